/* SPDX-License-Identifier: GPL-2.0-or-later */
/* run: the service in the foreground; and the hidden command that its dataplane is. */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ctl/base/log.h"
#include "ctl/cli/cmd.h"
#include "ctl/service/run_lock.h"
#include "ctl/service/seccomp.h"
#include "ctl/service/service.h"
#include "ctl/service/spawn.h"
#include "dataplane/dataplane.h"

/* Before the options are read, which puts them in another order. */
static char *own_argv[64];

void cmd_run_keep_argv(char **argv)
{
	for (unsigned i = 0; argv[i] && i + 1 < sizeof(own_argv) / sizeof(*own_argv); i++)
		own_argv[i] = argv[i];
}

/* A file with an error is found before anything is taken over from whoever serves now. What runs
 * again as another binary has applied it long ago. */
static int check_first(const struct options *o, int argc, char **argv)
{
	struct options quiet = *o;

	quiet.quiet = true;
	quiet.strict = false;
	if (!argc || !strcmp(argv[0], "-") || run_lock_is_kept())
		return EXIT_DONE;
	return cmd_check(&quiet, 1, argv);
}

int cmd_run(const struct options *o, int argc, char **argv)
{
	const struct service_options so = {
		.state_dir = o->state_dir,
		.run_dir = o->run_dir,
		.user = o->user,
		.workers = o->workers,
		.file = argc ? argv[0] : NULL,
		.argv = own_argv,
	};
	struct err e = { 0 };
	int rc = cmd_need_root(o, "the service changes the kernel's ruleset"), code = EXIT_DONE;

	prctl(PR_SET_NAME, "spctl"); /* it may have been run as /proc/self/exe */
	if (rc)
		return rc;
	prctl(PR_SET_NAME, "spctl"); /* in the background it was executed as /proc/self/exe */
	if (o->json) {
		err_set(&e, EINVAL, "--json makes no sense with run: it prints nothing");
		return cmd_fail(o, &e, EXIT_USAGE);
	}
	rc = check_first(o, argc, argv);
	if (rc)
		return rc;
	rc = service_run(&so, &code, &e);
	return rc ? cmd_fail(o, &e, cmd_exit_code(rc)) : code;
}

static int seal(void)
{
	struct err e = { 0 };

	if (!seccomp_is_built_in())
		return 0;
	return seccomp_seal(seccomp_page_map(SPAWN_PAGE_FD), &e);
}

int cmd_dataplane(const struct options *o, int argc, char **argv)
{
	struct err e = { 0 };
	int rc;

	prctl(PR_SET_NAME, "spctl");
	rc = spawn_settle(o->user, &e);
	(void)argc;
	(void)argv;
	if (rc)
		return cmd_fail(o, &e, EXIT_FAILED);
	return dataplane_run(SPAWN_WIRE_FD, SPAWN_LISTEN_FD, seal);
}
