/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * progress: what a command that takes long is doing, as one line on stderr that
 * is rewritten in place and is gone at the end. Only on a terminal, only after
 * half a second. One per process; a thread of its own draws it, so that it
 * comes in the middle of a system call, too.
 */
#ifndef CTL_CLI_PROGRESS_H
#define CTL_CLI_PROGRESS_H

#include "ctl/cli/cmd.h"

/* Does nothing without a terminal, with -q and with --json; the others do nothing then. */
void progress_start(const struct options *o);
/* "writing 64000 elements"; copied, cut at 79 columns. */
void progress_phase(const char *what);
/* The same, and shows it now. False: there is no line to show it in. */
bool progress_show(const char *what);
/* Takes the line away, so that something else can be printed; it comes again by itself, a second
 * later. Log lines do this themselves. */
void progress_hide(void);
/* Takes it away for good. Twice is fine. */
void progress_end(void);

/* "spctl: reading the kernel's table, 3 s": at most cap - 1 bytes and never a control character.
 * Under a second the time is left out. Returns out. */
const char *progress_text(const char *what, unsigned seconds, char *out, size_t cap);

#endif
