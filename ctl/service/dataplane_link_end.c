/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why the process of a link ended, as a clause, and how often it does. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "ctl/service/dataplane_link_internal.h"

/* Where it ended by itself, what it said last, as an error, comes first. */
void link_say_why(const struct link *l, int status, char *out, size_t cap)
{
	const char *said = l->why[0] ? "" : words_last(&l->words);
	int n = said[0] ? snprintf(out, cap, "%s; ", said) : 0;

	out += n;
	cap -= (size_t)n;
	if (l->why[0])
		snprintf(out, cap, "it was killed: %s", l->why);
	else if (WIFSIGNALED(status))
		snprintf(out, cap, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(out, cap, "exit code %d", WEXITSTATUS(status));
}

static bool is_steady(const struct link *l)
{
	return loop_now_ms(l->loop) - l->started_ms >= LINK_STEADY_MS;
}

void link_note_end(struct link *l, const char *why)
{
	l->ends = is_steady(l) ? 1 : l->ends + 1;
	snprintf(l->last_end, sizeof(l->last_end), "%s", why);
}

unsigned link_ends(const struct link *l)
{
	return l->state == LINK_READY && is_steady(l) ? 0 : l->ends;
}
