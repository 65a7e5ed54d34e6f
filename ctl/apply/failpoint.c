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
	const char *want = getenv("SPCTL_FAILPOINT");

	if (want && !strcmp(want, names[p]))
		raise(SIGKILL);
}

void failpoint_list(void)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		puts(names[i]);
}
#endif
