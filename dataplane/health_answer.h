/* SPDX-License-Identifier: GPL-2.0-or-later */
/* health_answer: the status of an HTTP/1.x answer (RFC 9112, 4), from its first bytes. Pure. */
#ifndef DATAPLANE_HEALTH_ANSWER_H
#define DATAPLANE_HEALTH_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#define HEALTH_ANSWER_MAX 8192 /* bytes that are looked at, those of 1xx answers included */

/* Starts zeroed. */
struct health_answer {
	char line[16]; /* the first bytes of the line */
	size_t line_len, total;
	bool in_fields; /* of an interim answer */
};

/* The next bytes: 0 = not yet, the status (200 … 599) once its line has ended, -EBADMSG = that is
 * not HTTP, -EMSGSIZE = no status within HEALTH_ANSWER_MAX. Then it is over. */
int health_answer_feed(struct health_answer *a, const char *p, size_t n);

#endif
