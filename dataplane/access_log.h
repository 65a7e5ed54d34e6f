/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * access_log: one line for each connection that ended, as text or JSON, written to
 * a descriptor that was handed over. Formatting is pure. Each worker has a log of
 * its own on its loop; all of them may share the descriptor: what is written at
 * once are whole lines, at most PIPE_BUF bytes, so that they do not mix. A reader
 * that stopped costs lines, which are counted, and never waits.
 */
#ifndef DATAPLANE_ACCESS_LOG_H
#define DATAPLANE_ACCESS_LOG_H

#include "ctl/base/addr.h"
#include "dataplane/loop.h"

#define ACCESS_LINE_MAX 4096 /* with its newline; no record is longer */

/* Texts are borrowed; NULL: there is none. */
struct access_record {
	int64_t at_ms;		   /* of its end, wall clock */
	const char *route;	   /* name */
	struct addr client, local; /* ADDR_NONE: unknown */
	uint16_t client_port, local_port;
	const void *sni; /* as the client sent it */
	size_t sni_len;
	const char *target;	       /* "10.0.0.1:443", "unix:/path" */
	uint64_t bytes_up, bytes_down; /* to the target, to the client */
	int64_t duration_ms;
	const char *reason; /* reason_name(); "" = it ended in order */
	const char *mover;  /* "copy", "splice"; NULL: nothing was moved */
};

/*
 * One line with its newline, and a NUL that is not counted; 0 where cap is less than
 * ACCESS_LINE_MAX
 * + 1. Text: "TIME key=value …", a value has neither blanks nor quotes; what is not there is "-".
 * Bytes that are not printable are \xNN in both forms (in JSON the backslash is escaped once more);
 * there also blanks and quotes in text. Names of a file stay UTF-8 in JSON. Long values end in
 * "...".
 */
size_t access_log_format(const struct access_record *r, bool json, char *out, size_t cap);

struct access_log;

/* Has to be O_NONBLOCK unless it is a regular file: -EINVAL. It is never set here, others may share
 * the open file. */
int access_log_check(int fd, struct err *e);
/* fd stays the caller's, and is checked as above. SIGPIPE and SIGXFSZ have to be ignored. */
struct access_log *access_log_new(struct loop *l, int fd, bool json, struct err *e);
/* The form of the lines from now on. */
void access_log_set_json(struct access_log *a, bool json);
/* Writes what can be written without waiting. */
void access_log_free(struct access_log *a);
void access_log_put(struct access_log *a, const struct access_record *r);
/* Lines that nobody read in time; any thread. */
uint64_t access_log_dropped(const struct access_log *a);

#endif
