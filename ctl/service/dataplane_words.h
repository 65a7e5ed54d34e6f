/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dataplane_words: what a dataplane says for people to read - notices, and what it
 * writes to its standard error - in our log: escaped, and not more of it than
 * somebody can read. Belongs to the loop's thread.
 */
#ifndef CTL_SERVICE_DATAPLANE_WORDS_H
#define CTL_SERVICE_DATAPLANE_WORDS_H

#include "ctl/base/log.h"
#include "ctl/service/bucket.h"
#include "dataplane/loop.h"

#define WORDS_BURST  200 /* lines at once */
#define WORDS_PER_S  10
#define WORDS_LINE   400
#define WORDS_NOW_MS 2000 /* who says it and ends so soon afterwards ends of that */

struct words {
	struct loop *loop;
	struct watch watch; /* our end of the pipe; fd -1: none */
	struct bucket bucket;
	unsigned left_out; /* lines, since the last one that was not */
	char line[WORDS_LINE];
	size_t len;
	char last_error[WORDS_LINE]; /* of this process, escaped; "" = it said nothing */
	int64_t last_error_ms;	     /* when */
};

void words_init(struct words *w, struct loop *loop);
void words_fini(struct words *w);
/* A pipe for a new process: the end that it gets as its standard error, the caller's to close; -1:
 * none can be had, and it shares ours. It never waits for us: what does not fit is lost. */
int words_open(struct words *w);
/* It has ended: what is left in the pipe is said. */
void words_close(struct words *w);
/* Its last error, if it said that just now; else "". */
const char *words_last(const struct words *w);
/* text: escaped already. May be left out; that it was is said with the next one. */
void words_say(struct words *w, enum log_level level, const char *text);
/* Says how many were left out, if one more line may be written. */
void words_look(struct words *w);
/* Is this one more line that may be written? For lines that others word. */
bool words_may_say(struct words *w);

#endif
