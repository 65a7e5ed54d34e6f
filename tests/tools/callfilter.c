// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * callfilter: runs a program with no more system calls than a file names, a line
 * each; any other one is the end of it, as under SystemCallFilter= of systemd.
 */
#include <seccomp.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

/* Names that this architecture has not are passed over, as systemd does. */
static int allow_all(scmp_filter_ctx f, FILE *list)
{
	char name[128];
	int rc = 0;

	while (!rc && fgets(name, sizeof(name), list)) {
		int nr;

		name[strcspn(name, "\n")] = '\0';
		nr = seccomp_syscall_resolve_name(name);
		rc = nr < 0 ? 0 : seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 0);
	}
	return rc;
}

int main(int argc, char **argv)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	FILE *list = argc > 2 ? fopen(argv[1], "re") : NULL;

	if (argc < 3)
		die_usage("usage: callfilter FILE PROGRAM [ARG...]");
	if (!list || !f || allow_all(f, list) || seccomp_load(f)) {
		fprintf(stderr, "callfilter: cannot filter as %s says\n", argv[1]);
		return 127;
	}
	fclose(list);
	seccomp_release(f);
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
