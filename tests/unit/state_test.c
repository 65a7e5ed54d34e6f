/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/state_fixture.h"

static void instance_stays_the_same(void **unused)
{
	struct state a, b;

	(void)unused;
	ns_need();
	open_ok(&a);
	open_ok(&b);
	assert_int_equal(strlen(a.instance), 32);
	assert_string_equal(a.instance, b.instance);
	assert_int_equal(mode_of(state_dir, ""), 0700);
	assert_int_equal(mode_of(run_dir, ""), 0700);
	assert_int_equal(mode_of(state_dir, "instance"), 0600);
	assert_int_equal(mode_of(run_dir, "instance"), 0600);
	state_close(&a);
	state_close(&b);
}

static void first_runs_at_once_agree_on_the_instance(void **unused)
{
	char text[8][40];
	struct state s;
	int fds[2];

	(void)unused;
	ns_need();
	assert_int_equal(pipe(fds), 0);
	for (int i = 0; i < 8; i++) {
		if (fork())
			continue;
		if (state_open(&s, state_dir, run_dir, true, NULL) < 0)
			_exit(1);
		memset(text[0], 0, sizeof(text[0]));
		memcpy(text[0], s.instance, sizeof(s.instance));
		_exit(io_write_all(fds[1], text[0], sizeof(text[0])) < 0);
	}
	close(fds[1]);
	assert_int_equal(io_read_all(fds[0], text, sizeof(text)), sizeof(text));
	close(fds[0]);
	for (int i = 0; i < 8; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
		assert_string_equal(text[i], text[0]);
	}
}

static void nothing_applied_is_enoent_without_create(void **unused)
{
	struct err e = { 0 };
	char expected[256];
	struct state s;

	(void)unused;
	ns_need();
	assert_int_equal(state_open(&s, state_dir, run_dir, false, &e), -ENOENT);
	snprintf(expected, sizeof(expected), "%s: nothing was ever applied here", state_dir);
	assert_string_equal(e.msg, expected);
	assert_int_not_equal(access(state_dir, F_OK), 0);
	open_ok(&s);
	state_close(&s);
	assert_int_equal(state_open(&s, state_dir, run_dir, false, &e), 0);
	state_close(&s);
}

static void a_run_that_is_gone_after_a_reboot_does_not_matter(void **unused)
{
	struct err e = { 0 };
	char path[200];
	struct state s;

	(void)unused;
	ns_need();
	open_ok(&s);
	state_close(&s);
	snprintf(path, sizeof(path), "%s/instance", run_dir);
	unlink(path);
	assert_int_equal(rmdir(run_dir), 0);
	assert_int_equal(state_open(&s, state_dir, run_dir, false, &e), 0);
	assert_int_not_equal(access(run_dir, F_OK), 0);
	assert_int_equal(state_lock(&s, 100, &e), 0);
	state_close(&s);
}

/* In a child in a network namespace of its own: the code, and the sentence over a pipe. */
static int open_elsewhere(struct err *e)
{
	int fds[2], status;
	struct state s;

	assert_int_equal(pipe(fds), 0);
	if (!fork()) {
		if (unshare(CLONE_NEWNET) < 0)
			_exit(1);
		memset(e, 0, sizeof(*e));
		state_open(&s, state_dir, run_dir, true, e);
		_exit(io_write_all(fds[1], e, sizeof(*e)) < 0);
	}
	close(fds[1]);
	assert_int_equal(io_read_all(fds[0], e, sizeof(*e)), sizeof(*e));
	close(fds[0]);
	wait(&status);
	return e->code;
}

static void another_namespace_is_refused_with_the_way_out(void **unused)
{
	char start[256], hint[1024];
	struct err e;
	struct state s;

	(void)unused;
	ns_need();
	open_ok(&s);
	assert_int_equal(open_elsewhere(&e), -EXDEV);
	snprintf(start, sizeof(start), "%s belongs to another network namespace (pid ", run_dir);
	assert_memory_equal(e.msg, start, strlen(start));
	assert_non_null(strstr(e.msg, "): give --run-dir and --state-dir"));
	snprintf(hint, sizeof(hint),
		 "run it there (nsenter --net); or, if that namespace is gone for good: rm -f "
		 "%s/instance %s/instance && spctl apply --boot --force --state-dir %s --run-dir "
		 "%s",
		 run_dir, state_dir, state_dir, run_dir);
	assert_non_null(strstr(e.hint, "/instance && spctl apply --boot --force"));
	assert_memory_equal(e.hint, hint, strlen(e.hint)); /* long names are cut */
	/* STATE alone is compared, too. */
	snprintf(hint, sizeof(hint), "%s/instance", run_dir);
	unlink(hint);
	assert_int_equal(open_elsewhere(&e), -EXDEV);
	assert_memory_equal(e.msg, state_dir, strlen(state_dir));
	assert_int_not_equal(access(hint, F_OK), 0);
	/* The way out; values of the other namespace are not put back here. */
	put(&s, "sysctl.json", "{}");
	put(&s, "live", "3\n");
	snprintf(hint, sizeof(hint), "%s/instance", state_dir);
	unlink(hint);
	assert_int_equal(open_elsewhere(&e), 0);
	assert_false(there(&s, "sysctl.json"));
	assert_false(there(&s, "live"));
	state_close(&s);
}

/* What the file of the owner is asked for when it is lost. */
static void generations_without_owner_are_told(void **unused)
{
	struct err e = { 0 };
	struct state s;
	char *owner, hint[512];

	(void)unused;
	ns_need();
	open_ok(&s);
	owner = state_path(&s, "instance");
	assert_int_equal(state_ownerless(state_dir), 0);
	unlink(owner);
	assert_int_equal(state_ownerless(state_dir), 0); /* keeps none */
	write_generation(&s, 3, "{}");
	assert_int_equal(state_ownerless(state_dir), 3);
	state_close(&s);
	assert_int_equal(state_open(&s, state_dir, run_dir, false, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "keeps generations (the newest is 3)"));
	assert_memory_equal(e.hint, "to have one of them here: spctl rollback N", 42);
	/* What was not live is nothing to take over. */
	assert_int_equal(state_take_over(state_dir, run_dir, &e), 0);
	assert_int_equal(state_ownerless(state_dir), 3);
	s.state_dir = state_dir;
	put(&s, "live", "3\n");
	put(&s, "sysctl.json", "{}");
	snprintf(hint, sizeof(hint),
		 "to have generation 3, which was live, here: spctl apply --boot --force "
		 "--state-dir %s",
		 state_dir);
	assert_int_equal(state_open(&s, state_dir, run_dir, false, &e), -ENOENT);
	assert_memory_equal(e.hint, hint, strlen(hint));
	assert_int_equal(state_take_over(state_dir, run_dir, &e), 0);
	assert_int_equal(state_open(&s, state_dir, run_dir, false, &e), 0);
	assert_true(there(&s, "live"));
	assert_false(there(&s, "sysctl.json"));
	state_close(&s);
	free(owner);
}

static void another_boot_is_taken_over(void **unused)
{
	char instance[33];
	struct buf b = { 0 };
	struct state s;
	char *path;

	(void)unused;
	ns_need();
	open_ok(&s);
	memcpy(instance, s.instance, sizeof(instance));
	path = state_path(&s, "instance");
	buf_printf(&b,
		   "{\"instance\": \"%s\", \"netnsDevice\": 1, \"netnsInode\": 2, \"boot\": \"x\"}",
		   instance);
	put(&s, "instance", b.data);
	state_close(&s);
	open_ok(&s);
	assert_string_equal(s.instance, instance);
	assert_int_equal(io_read_regular(path, 4096, &b, NULL), 0);
	assert_non_null(strstr(b.data, s.boot));
	free(path);
	buf_fini(&b);
	state_close(&s);
}

static void a_damaged_instance_file_is_an_error(void **unused)
{
	static const char *const bad[] = {
		"", "{", "{}", "[]", "{\"instance\": \"../x\"}", "{\"instance\": 1}"
	};
	struct err e;
	struct state s;

	(void)unused;
	ns_need();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		open_ok(&s);
		put(&s, "instance", bad[i]);
		state_close(&s);
		assert_int_equal(state_open(&s, state_dir, run_dir, true, &e), -EBADMSG);
		setup(NULL);
	}
}

static void a_directory_others_can_write_is_refused(void **unused)
{
	struct err e = { 0 };
	struct state s;

	(void)unused;
	ns_need();
	open_ok(&s);
	state_close(&s);
	chmod(state_dir, 0777);
	assert_int_equal(state_open(&s, state_dir, run_dir, true, &e), -EPERM);
	assert_non_null(strstr(e.msg, "can be written by others (owner 0, mode 0777)"));
}

static void live_is_a_number_or_an_error(void **unused)
{
	static const char *const bad[] = { "",	    "x",    "12", "0\n", "-1\n", "4294967296\n",
					   "7\n\n", "7 8\n" };
	struct err e = { 0 };
	char expected[300];
	struct state s;
	uint32_t g = 99;

	(void)unused;
	ns_need();
	open_ok(&s);
	assert_int_equal(state_live(&s, &g, &e), 0);
	assert_int_equal(g, 0);
	assert_int_equal(state_set_live(&s, 4294967295u, &e), 0);
	assert_int_equal(mode_of(state_dir, "live"), 0600);
	assert_int_equal(state_live(&s, &g, &e), 0);
	assert_true(g == 4294967295u);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(&s, "live", bad[i]);
		assert_int_equal(state_live(&s, &g, &e), -EBADMSG);
	}
	put(&s, "live", "x\n");
	assert_int_equal(state_live(&s, &g, &e), -EBADMSG);
	snprintf(expected, sizeof(expected),
		 "%s/live is damaged: \"x\\x0a\" is not a generation number", state_dir);
	assert_string_equal(e.msg, expected);
	assert_int_equal(state_forget_live(&s, &e), 0);
	assert_int_equal(state_forget_live(&s, &e), 0);
	assert_int_equal(state_live(&s, &g, &e), 0);
	assert_int_equal(g, 0);
	state_close(&s);
}

static void a_symbolic_link_is_not_followed(void **unused)
{
	struct err e = { 0 };
	char path[200], target[200];
	struct buf b = { 0 };
	struct state s;
	uint32_t g;

	(void)unused;
	ns_need();
	open_ok(&s);
	put(&s, "elsewhere", "5\n");
	snprintf(path, sizeof(path), "%s/live", state_dir);
	snprintf(target, sizeof(target), "%s/elsewhere", state_dir);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(state_live(&s, &g, &e), -ELOOP);
	/* Writing replaces the link and leaves what it points to. */
	assert_int_equal(state_set_live(&s, 6, &e), 0);
	assert_int_equal(io_read_regular(target, 10, &b, &e), 0);
	assert_string_equal(b.data, "5\n");
	buf_fini(&b);
	snprintf(path, sizeof(path), "%s/lock", state_dir);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(state_lock(&s, 10, &e), -ELOOP);
	state_close(&s);
}

/* A child that holds the lock until it is killed; returns its pid. */
static pid_t hold_lock(void)
{
	struct state s;
	int fds[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		if (state_open(&s, state_dir, run_dir, true, NULL) < 0 ||
		    state_lock(&s, 1000, NULL) < 0 || write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(fds[0], &c, 1), 1);
	close(fds[0]);
	close(fds[1]);
	return pid;
}

static void the_lock_is_waited_for_until_the_deadline(void **unused)
{
	struct err e = { 0 };
	char expected[300];
	struct state s;
	pid_t pid;

	(void)unused;
	ns_need();
	open_ok(&s);
	pid = hold_lock();
	log_set_level(LOG_LEVEL_ERR);
	assert_int_equal(state_lock(&s, 60, &e), -ENOLCK);
	snprintf(expected, sizeof(expected),
		 "another spctl (pid %d) still holds %s/lock after 60 ms", pid, state_dir);
	assert_string_equal(e.msg, expected);
	assert_int_equal(s.lock_fd, -1);
	/* A holder that dies gives the lock back, its pid left in the file or not. */
	kill(pid, SIGKILL);
	assert_int_equal(state_lock(&s, 5000, &e), 0);
	log_set_level(LOG_LEVEL_INFO);
	assert_true(s.lock_fd >= 0);
	assert_int_equal(mode_of(state_dir, "lock"), 0600);
	waitpid(pid, NULL, 0);
	state_close(&s);
}

static void a_removed_lock_file_is_made_again(void **unused)
{
	struct err e = { 0 };
	char path[200];
	struct state a, b;

	(void)unused;
	ns_need();
	open_ok(&a);
	open_ok(&b);
	snprintf(path, sizeof(path), "%s/lock", state_dir);
	assert_int_equal(state_lock(&a, 100, &e), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(state_lock(&b, 100, &e), 0);
	assert_int_equal(access(path, F_OK), 0);
	state_close(&a);
	state_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(instance_stays_the_same, setup),
		cmocka_unit_test_setup(first_runs_at_once_agree_on_the_instance, setup),
		cmocka_unit_test_setup(nothing_applied_is_enoent_without_create, setup),
		cmocka_unit_test_setup(a_run_that_is_gone_after_a_reboot_does_not_matter, setup),
		cmocka_unit_test_setup(another_namespace_is_refused_with_the_way_out, setup),
		cmocka_unit_test_setup(another_boot_is_taken_over, setup),
		cmocka_unit_test_setup(generations_without_owner_are_told, setup),
		cmocka_unit_test_setup(a_damaged_instance_file_is_an_error, setup),
		cmocka_unit_test_setup(a_directory_others_can_write_is_refused, setup),
		cmocka_unit_test_setup(live_is_a_number_or_an_error, setup),
		cmocka_unit_test_setup(a_symbolic_link_is_not_followed, setup),
		cmocka_unit_test_setup(the_lock_is_waited_for_until_the_deadline, setup),
		cmocka_unit_test_setup(a_removed_lock_file_is_made_again, setup),
	};
	int failed;

	ns_enter();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	ns_leave();
	return failed;
}
