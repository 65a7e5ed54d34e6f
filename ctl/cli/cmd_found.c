/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hidden command by which a controller has done what its loop must not wait for: standard input
 * says what was found out about targets (state_found.h). */
#include <errno.h>

#include "ctl/apply/found.h"
#include "ctl/base/io.h"
#include "ctl/cli/cmd.h"

#define INPUT_MAX (64u << 20)

int cmd_found(const struct options *o, int argc, char **argv)
{
	struct state_found wish = { 0 };
	struct buf text = { 0 };
	struct err e = { 0 };
	int rc = io_read_file("-", INPUT_MAX, &text, &e);

	(void)argc;
	(void)argv;
	rc = rc ? rc : state_found_parse(text.data ? text.data : "", text.len, &wish, &e);
	rc = rc ? rc : found_commit(o->state_dir, o->run_dir, &wish, &e);
	state_found_fini(&wish);
	buf_fini(&text);
	if (rc == -EAGAIN)
		return EXIT_LOCKED;
	return rc ? cmd_fail(o, &e, cmd_exit_code(rc)) : EXIT_DONE;
}
