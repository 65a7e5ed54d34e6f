/* SPDX-License-Identifier: GPL-2.0-or-later */
/* state_fixture: a fresh STATE and RUN for each test of state and its generations. */
#ifndef TESTS_UNIT_STATE_FIXTURE_H
#define TESTS_UNIT_STATE_FIXTURE_H

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "ctl/base/clock.h"
#include "ctl/base/io.h"
#include "ctl/base/log.h"
#include "ctl/state/state.h"
#include "tests/unit/netns.h"

static char base_dir[128], state_dir[160], run_dir[160];
static unsigned serial;

static inline int setup(void **unused)
{
	(void)unused;
	snprintf(base_dir, sizeof(base_dir), "%s/t%u", ns_dir, serial++);
	snprintf(state_dir, sizeof(state_dir), "%s/state", base_dir);
	snprintf(run_dir, sizeof(run_dir), "%s/run", base_dir);
	return 0;
}

static inline void open_ok(struct state *s)
{
	struct err e = { 0 };

	if (state_open(s, state_dir, run_dir, true, &e) < 0)
		fail_msg("%s", e.msg);
}

static inline void put(const struct state *s, const char *name, const char *text)
{
	char *path = state_path(s, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, text, strlen(text)), 0);
	close(fd);
	free(path);
}

static inline bool there(const struct state *s, const char *name)
{
	char *path = state_path(s, name);
	bool yes = access(path, F_OK) == 0;

	free(path);
	return yes;
}

static inline mode_t mode_of(const char *dir, const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static inline void write_generation(const struct state *s, uint32_t g, const char *config)
{
	struct addr addrs[2] = { { .family = ADDR_V4, .bytes = { 10, 0, 0, 1 } },
				 { .family = ADDR_V6, .bytes = { [0] = 0x20, [15] = 1 } } };
	struct resolved_name names[2] = { { .name = "a.example", .addrs = addrs, .n = 2 },
					  { .name = "b.example", .why = "no answer" } };
	char file[] = "/etc/spctl/routes.json", table[] = "spctl";
	struct state_meta m = { .generation = g,
				.time_ms = 1700000000123,
				.file = file,
				.table = table,
				.names = names,
				.n_names = 2 };
	struct err e = { 0 };

	if (state_write_generation(s, &m, config, strlen(config), &e) < 0)
		fail_msg("%s", e.msg);
}

#endif
