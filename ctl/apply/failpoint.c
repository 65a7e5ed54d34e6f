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

void failpoint_hide(bool hide)
{
	static char *die, *stop;

	if (hide) {
		die = getenv("SPCTL_FAILPOINT");
		stop = getenv("SPCTL_STOPPOINT");
		die = die ? strdup(die) : NULL;
		stop = stop ? strdup(stop) : NULL;
		unsetenv("SPCTL_FAILPOINT");
		unsetenv("SPCTL_STOPPOINT");
		return;
	}
	if (die)
		setenv("SPCTL_FAILPOINT", die, 1);
	if (stop)
		setenv("SPCTL_STOPPOINT", stop, 1);
	free(die);
	free(stop);
}

void failpoint_list(void)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		puts(names[i]);
}
#endif
