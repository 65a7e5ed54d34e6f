/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/apply/failpoint.h"

#ifdef SPCTL_FAILPOINTS
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
#define X(name) #name,
	FAILPOINTS_ALL(X)
#undef X
};

void failpoint_hit(enum failpoint p)
{
	const char *die = getenv("SPCTL_FAILPOINT"), *stop = getenv("SPCTL_STOPPOINT");

	if (die && !strcmp(die, names[p]))
		raise(SIGKILL);
	if (!stop || strcmp(stop, names[p]) != 0)
		return;
	/* Once: what is put back passes the same places. */
	unsetenv("SPCTL_STOPPOINT");
	raise(SIGSTOP);
}

void failpoint_in_timer(void)
{
	const char *name = getenv("SPCTL_TIMER_FAILPOINT");

	unsetenv("SPCTL_STOPPOINT");
	if (name)
		setenv("SPCTL_FAILPOINT", name, 1);
	else
		unsetenv("SPCTL_FAILPOINT");
}

void failpoint_list(void)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		puts(names[i]);
}
#endif
