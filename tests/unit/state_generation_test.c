/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/state_fixture.h"

static void a_generation_reads_back_as_written(void **unused)
{
	struct state_meta m;
	struct buf config = { 0 };
	struct err e = { 0 };
	struct state s;
	uint32_t g;

	(void)unused;
	ns_need();
	open_ok(&s);
	assert_int_equal(state_newest(&s, &g, &e), 0);
	assert_int_equal(g, 0);
	write_generation(&s, 7, "{\"routes\": []}");
	assert_int_equal(mode_of(state_dir, "applied"), 0700);
	assert_int_equal(mode_of(state_dir, "applied/7.json"), 0600);
	assert_int_equal(state_read_generation(&s, 7, &m, &config, &e), 0);
	assert_int_equal(m.generation, 7);
	assert_true(m.time_ms == 1700000000123);
	assert_string_equal(m.file, "/etc/spctl/routes.json");
	assert_string_equal(m.table, "spctl");
	assert_int_equal(m.n_names, 2);
	assert_string_equal(m.names[0].name, "a.example");
	assert_int_equal(m.names[0].n, 2);
	assert_int_equal(m.names[0].addrs[1].family, ADDR_V6);
	assert_int_equal(m.names[1].n, 0);
	assert_string_equal(m.names[1].why, "no answer");
	assert_string_equal(config.data, "{\"routes\": []}");
	state_meta_fini(&m);
	buf_fini(&config);
	assert_int_equal(state_read_generation(&s, 8, &m, NULL, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "generation 8 is not kept ("));
	put(&s, "applied/7.json", "{\"generation\": 8}");
	assert_int_equal(state_read_generation(&s, 7, &m, NULL, &e), -EBADMSG);
	put(&s, "applied/7.json", "");
	assert_int_equal(state_read_generation(&s, 7, &m, NULL, &e), -EBADMSG);
	state_close(&s);
}

static void half_written_generations_do_not_count(void **unused)
{
	struct state_meta m;
	struct buf config = { 0 };
	struct err e = { 0 };
	struct state s;
	uint32_t g;

	(void)unused;
	ns_need();
	open_ok(&s);
	write_generation(&s, 2, "two");
	write_generation(&s, 5, "five");
	put(&s, "applied/9.config", "killed before 9.json");
	put(&s, "applied/9.config.77.tmp", "killed earlier");
	put(&s, "applied/notes.json", "x");
	put(&s, "applied/010.json", "x");
	assert_int_equal(state_newest(&s, &g, &e), 0);
	assert_int_equal(g, 5);
	/* A hole: config lost, description there. */
	write_generation(&s, 6, "six");
	assert_int_equal(chdir(state_dir), 0);
	assert_int_equal(unlink("applied/6.config"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(state_read_generation(&s, 6, &m, &config, &e), -ENOENT);
	assert_int_equal(state_prune(&s, &e), 0);
	assert_false(there(&s, "applied/9.config"));
	assert_false(there(&s, "applied/9.config.77.tmp"));
	assert_true(there(&s, "applied/notes.json"));
	assert_true(there(&s, "applied/2.config"));
	assert_int_equal(state_delete_generation(&s, 6, &e), 0);
	assert_int_equal(state_delete_generation(&s, 6, &e), 0);
	buf_fini(&config);
	state_close(&s);
}

static void prune_keeps_ten_and_the_live_one(void **unused)
{
	struct err e = { 0 };
	struct state s;
	uint32_t *v;
	size_t n;

	(void)unused;
	ns_need();
	open_ok(&s);
	for (uint32_t g = 1; g <= 14; g++)
		write_generation(&s, g, "x");
	assert_int_equal(state_set_live(&s, 2, &e), 0);
	assert_int_equal(state_prune(&s, &e), 0);
	assert_int_equal(state_generations(&s, &v, &n, &e), 0);
	assert_int_equal(n, 11);
	assert_int_equal(v[0], 2);
	assert_int_equal(v[1], 5);
	assert_int_equal(v[10], 14);
	free(v);
	state_close(&s);
}

static void write_unconfirmed(const struct state *s, uint32_t g)
{
	struct state_meta m = { 0 };
	struct err e = { 0 };

	write_generation(s, g, "x");
	assert_int_equal(state_read_generation(s, g, &m, NULL, &e), 0);
	m.confirm.phase = STATE_CONFIRM_TAKEN_BACK;
	memcpy(m.confirm.boot, s->boot, sizeof(m.confirm.boot));
	assert_int_equal(state_write_meta(s, &m, &e), 0);
	state_meta_fini(&m);
}

/* Any number of failed attempts leaves the confirmed ones alone. */
static void prune_counts_unconfirmed_apart(void **unused)
{
	const uint32_t kept[] = { 1, 2, 3, 20, 21, 22, 23, 24 };
	struct err e = { 0 };
	struct state s;
	uint32_t *v;
	size_t n;

	(void)unused;
	ns_need();
	open_ok(&s);
	for (uint32_t g = 1; g <= 3; g++)
		write_generation(&s, g, "x");
	for (uint32_t g = 4; g <= 24; g++)
		write_unconfirmed(&s, g);
	assert_int_equal(state_set_live(&s, 3, &e), 0);
	assert_int_equal(state_prune(&s, &e), 0);
	assert_int_equal(state_generations(&s, &v, &n, &e), 0);
	assert_int_equal(n, sizeof(kept) / sizeof(*kept));
	assert_memory_equal(v, kept, sizeof(kept));
	free(v);
	state_close(&s);
}

/* Fills the file system that holds dir. */
static void fill(const char *dir)
{
	char path[256], block[4096] = { 1 };
	int fd;

	snprintf(path, sizeof(path), "%s/filler", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

static unsigned count_temps(const char *dir)
{
	char command[256], text[16] = "";
	FILE *p;

	snprintf(command, sizeof(command), "ls -R %s | grep -c '[.]tmp$'", dir);
	p = popen(command, "r");
	assert_non_null(fgets(text, sizeof(text), p));
	pclose(p);
	return (unsigned)atoi(text);
}

static void a_full_disk_changes_nothing(void **unused)
{
	char big[65536];
	struct state_meta m = { .generation = 2 };
	struct buf config = { 0 };
	struct err e = { 0 };
	struct state s;
	uint32_t g;

	(void)unused;
	ns_need();
	io_mkdirs(state_dir, 0700, NULL);
	assert_int_equal(mount("tmpfs", state_dir, "tmpfs", 0, "size=64k,mode=0700"), 0);
	open_ok(&s);
	write_generation(&s, 1, "one");
	assert_int_equal(state_set_live(&s, 1, &e), 0);
	fill(state_dir);
	memset(big, 'x', sizeof(big));
	assert_int_equal(state_write_generation(&s, &m, big, sizeof(big), &e), -ENOSPC);
	assert_non_null(strstr(e.msg, "No space left on device"));
	assert_int_equal(state_set_live(&s, 2, &e), -ENOSPC);
	assert_int_equal(count_temps(state_dir), 0);
	assert_int_equal(state_newest(&s, &g, &e), 0);
	assert_int_equal(g, 1);
	assert_int_equal(state_live(&s, &g, &e), 0);
	assert_int_equal(g, 1);
	assert_int_equal(state_read_generation(&s, 1, NULL, &config, &e), 0);
	assert_string_equal(config.data, "one");
	buf_fini(&config);
	state_close(&s);
	umount2(state_dir, MNT_DETACH);
}

static void a_read_only_state_can_be_read(void **unused)
{
	struct err e = { 0 };
	struct state s;
	uint32_t g;

	(void)unused;
	ns_need();
	io_mkdirs(state_dir, 0700, NULL);
	assert_int_equal(mount("tmpfs", state_dir, "tmpfs", 0, "size=64k,mode=0700"), 0);
	open_ok(&s);
	assert_int_equal(state_set_live(&s, 3, &e), 0);
	state_close(&s);
	assert_int_equal(mount("tmpfs", state_dir, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
	open_ok(&s);
	assert_int_equal(state_live(&s, &g, &e), 0);
	assert_int_equal(g, 3);
	assert_int_equal(state_set_live(&s, 4, &e), -EROFS);
	assert_int_equal(state_prune(&s, &e), 0);
	state_close(&s);
	umount2(state_dir, MNT_DETACH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_generation_reads_back_as_written, setup),
		cmocka_unit_test_setup(half_written_generations_do_not_count, setup),
		cmocka_unit_test_setup(prune_keeps_ten_and_the_live_one, setup),
		cmocka_unit_test_setup(prune_counts_unconfirmed_apart, setup),
		cmocka_unit_test_setup(a_full_disk_changes_nothing, setup),
		cmocka_unit_test_setup(a_read_only_state_can_be_read, setup),
	};
	int failed;

	ns_enter();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	ns_leave();
	return failed;
}
