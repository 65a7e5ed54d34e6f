/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "ctl/base/buf.h"
#include "ctl/base/io.h"
#include "ctl/base/log.h"
#include "ctl/host/sysctl.h"
#include "tests/unit/netns.h"

#define BOOT "11111111-2222-3333-4444-555555555555"

static char journal_path[128];
static const struct sysctl_wants all = { true, true, true };

static void set(const char *name, const char *value)
{
	char path[160];
	struct err e;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	if (io_write_text(path, value, &e) < 0)
		fail_msg("%s", e.msg);
}

static const char *get(const char *name)
{
	static char text[64];
	char path[160];

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	return io_read_text(path, text, sizeof(text), NULL) ? "?" : text;
}

/* The whole of /proc/sys/net/{ipv4,ipv6} as text. stable_secret cannot be read: no value. */
static void tree_read(struct buf *out)
{
	char line[512];
	FILE *p = popen("cd /proc/sys/net && find ipv4 ipv6 -type f -perm -400 | sort | "
			"xargs grep -H . 2>/dev/null",
			"r");

	assert_non_null(p);
	buf_reset(out);
	while (fgets(line, sizeof(line), p))
		buf_puts(out, line);
	pclose(p);
	assert_true(out->len > 1000);
}

/* Names the first line that differs. */
static void assert_same_tree(const struct buf *a, const struct buf *b, const char *what)
{
	size_t i = 0, start;

	if (a->len == b->len && !memcmp(a->data, b->data, a->len))
		return;
	while (a->data[i] && a->data[i] == b->data[i])
		i++;
	for (start = i; start && a->data[start - 1] != '\n';)
		start--;
	fail_msg("%s: before: %.60s after: %.60s", what, a->data + start, b->data + start);
}

/* Interfaces with every mixture of starting values; a name with a dot. */
static int setup(void **unused)
{
	(void)unused;
	if (!ns_is_ready)
		return 0;
	/* A fresh namespace for each test: nothing is left of the one before. */
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_true(ns_lo_up());
	assert_true(ns_ip("link add eth0.100 type veth peer name eth1"));
	set("ipv4/ip_forward", "0");
	set("ipv6/conf/all/forwarding", "0");
	set("ipv4/conf/all/accept_redirects", "0");
	set("ipv4/conf/eth1/accept_redirects", "0");
	set("ipv4/conf/eth0.100/forwarding", "1");
	set("ipv6/conf/eth1/forwarding", "1");
	set("ipv6/conf/eth0.100/accept_ra", "1");
	set("ipv6/conf/eth1/accept_ra", "2");
	set("ipv6/conf/lo/accept_ra", "0");
	snprintf(journal_path, sizeof(journal_path), "%s/sysctl.json", ns_dir);
	unlink(journal_path);
	return 0;
}

static struct sysctl_journal *load(void)
{
	struct err e = { 0 };
	struct sysctl_journal *j = sysctl_journal_load(journal_path, BOOT, &e);

	if (!j)
		fail_msg("%s", e.msg);
	return j;
}

static void apply(const struct sysctl_wants *w)
{
	struct sysctl_journal *j = load();
	struct err e = { 0 };

	if (sysctl_check(w, &e) < 0 || sysctl_apply(j, w, &e) < 0)
		fail_msg("%s", e.msg);
	sysctl_journal_free(j);
}

static void restore(const struct sysctl_wants *keep)
{
	struct sysctl_journal *j = load();
	struct err e = { 0 };

	if (sysctl_restore(j, keep, &e) < 0)
		fail_msg("%s", e.msg);
	if (!keep)
		assert_int_equal(sysctl_journal_count(j), 0);
	sysctl_journal_free(j);
}

static void assert_all_on(void)
{
	assert_string_equal(get("ipv4/ip_forward"), "1");
	assert_string_equal(get("ipv4/conf/all/route_localnet"), "1");
	assert_string_equal(get("ipv6/conf/all/forwarding"), "1");
	assert_string_equal(get("ipv6/conf/eth0.100/accept_ra"), "2");
	assert_string_equal(get("ipv6/conf/default/accept_ra"), "2");
	assert_string_equal(get("ipv6/conf/eth1/accept_ra"), "2");
	assert_string_equal(get("ipv6/conf/lo/accept_ra"), "0");
}

static void the_whole_tree_is_the_same_after_restore(void **unused)
{
	static const struct {
		const char *name, *value;
	} starts[] = {
		{ "ipv4/conf/all/accept_redirects", "0" },
		{ "ipv4/conf/all/accept_redirects", "1" },
		{ "ipv4/conf/default/forwarding", "1" },
		{ "ipv4/conf/lo/forwarding", "1" },
		{ "ipv6/conf/default/forwarding", "1" },
		{ "ipv6/conf/default/accept_ra", "0" },
		{ "ipv4/conf/all/route_localnet", "1" },
		{ "ipv4/ip_forward", "1" },
		{ "ipv6/conf/all/forwarding", "1" },
	};
	struct buf before = { 0 }, after = { 0 };

	(void)unused;
	ns_need();
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		set(starts[i].name, starts[i].value);
		tree_read(&before);
		apply(&all);
		assert_string_equal(get("ipv4/ip_forward"), "1");
		apply(&all);
		restore(NULL);
		assert_int_not_equal(access(journal_path, F_OK), 0);
		tree_read(&after);
		assert_same_tree(&before, &after, starts[i].name);
	}
	buf_fini(&before);
	buf_fini(&after);
}

static void apply_changes_nothing_but_what_forwarding_needs(void **unused)
{
	struct sysctl_journal *j;

	(void)unused;
	ns_need();
	set("ipv4/conf/all/accept_redirects", "1");
	apply(&all);
	assert_all_on();
	assert_string_equal(get("ipv4/conf/all/accept_redirects"), "1");
	j = load();
	assert_true(sysctl_journal_has(j, "net/ipv4/ip_forward"));
	assert_true(sysctl_journal_has(j, "net/ipv6/conf/eth0.100/accept_ra"));
	assert_false(sysctl_journal_has(j, "net/ipv4/conf/all/rp_filter"));
	sysctl_journal_free(j);
	restore(NULL);
}

static void what_is_on_already_is_not_ours(void **unused)
{
	(void)unused;
	ns_need();
	set("ipv4/ip_forward", "1");
	set("ipv6/conf/all/forwarding", "1");
	set("ipv4/conf/all/route_localnet", "1");
	apply(&all);
	assert_int_not_equal(access(journal_path, F_OK), 0);
	assert_string_equal(get("ipv6/conf/eth0.100/accept_ra"), "1");
}

static void restore_keeps_what_is_still_needed(void **unused)
{
	static const struct sysctl_wants v6_only = { .forward_v6 = true };

	(void)unused;
	ns_need();
	apply(&all);
	restore(&v6_only);
	assert_string_equal(get("ipv4/ip_forward"), "0");
	assert_string_equal(get("ipv4/conf/all/route_localnet"), "0");
	assert_string_equal(get("ipv6/conf/all/forwarding"), "1");
	assert_string_equal(get("ipv6/conf/eth0.100/accept_ra"), "2");
	restore(NULL);
	assert_string_equal(get("ipv6/conf/eth0.100/accept_ra"), "1");
	assert_string_equal(get("ipv6/conf/eth1/forwarding"), "1");
}

static void values_changed_by_somebody_else_stay(void **unused)
{
	(void)unused;
	ns_need();
	apply(&all);
	set("ipv6/conf/eth0.100/accept_ra", "0");
	set("ipv4/conf/eth1/forwarding", "0");
	set("ipv4/conf/all/accept_redirects", "1");
	log_set_level(LOG_LEVEL_ERR);
	restore(NULL);
	log_set_level(LOG_LEVEL_INFO);
	assert_string_equal(get("ipv6/conf/eth0.100/accept_ra"), "0");
	assert_string_equal(get("ipv4/conf/eth1/forwarding"), "0");
	assert_string_equal(get("ipv4/conf/all/accept_redirects"), "1");
	assert_string_equal(get("ipv4/conf/eth0.100/forwarding"), "1");
}

static void a_switch_that_somebody_turned_off_stays_off(void **unused)
{
	(void)unused;
	ns_need();
	apply(&all);
	set("ipv4/ip_forward", "0");
	log_set_level(LOG_LEVEL_ERR);
	restore(NULL);
	log_set_level(LOG_LEVEL_INFO);
	assert_string_equal(get("ipv4/ip_forward"), "0");
	assert_string_equal(get("ipv4/conf/eth0.100/forwarding"), "0");
}

static void it_is_turned_on_again_and_the_first_values_are_remembered(void **unused)
{
	struct buf before = { 0 }, after = { 0 };

	(void)unused;
	ns_need();
	tree_read(&before);
	apply(&all);
	set("ipv4/ip_forward", "0");
	set("ipv4/conf/all/accept_redirects", "0");
	apply(&all);
	assert_all_on();
	assert_string_equal(get("ipv4/conf/all/accept_redirects"), "0");
	restore(NULL);
	tree_read(&after);
	assert_same_tree(&before, &after, "turned on twice");
	buf_fini(&before);
	buf_fini(&after);
}

static void interfaces_may_come_and_go_in_between(void **unused)
{
	(void)unused;
	ns_need();
	set("ipv4/conf/default/forwarding", "1");
	apply(&all);
	assert_true(ns_ip("link del eth1"));
	assert_true(ns_ip("link add new.5 type veth peer name new6"));
	assert_string_equal(get("ipv6/conf/new.5/accept_ra"), "2");
	assert_string_equal(get("ipv6/conf/new.5/forwarding"), "1");
	set("ipv4/conf/new6/forwarding", "0");
	restore(NULL);
	/* What `default` would have given them without us; new6 is somebody's choice. */
	assert_string_equal(get("ipv6/conf/new.5/accept_ra"), "1");
	assert_string_equal(get("ipv6/conf/new.5/forwarding"), "0");
	assert_string_equal(get("ipv4/conf/new.5/forwarding"), "1");
	assert_string_equal(get("ipv4/conf/new6/forwarding"), "0");
}

static void a_journal_of_another_boot_is_dropped(void **unused)
{
	struct sysctl_journal *j;

	(void)unused;
	ns_need();
	apply(&all);
	j = sysctl_journal_load(journal_path, "another", NULL);
	assert_non_null(j);
	assert_int_equal(sysctl_journal_count(j), 0);
	sysctl_journal_free(j);
	restore(NULL);
}

static void a_damaged_journal_is_an_error_and_no_path_leaves_the_tree(void **unused)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{\"boot\": 1}",
		"{\"boot\": \"" BOOT "\", \"groups\": [{}]}",
		"{\"boot\": \"" BOOT "\", \"groups\": [{\"switch\": \"forward_v4\", \"phase\": "
		"\"applied\", \"changes\": [{\"kind\": \"main\", \"name\": \"net/ipv4/../../x\", "
		"\"old\": \"0\", \"ours\": \"1\", \"reset\": \"\"}]}]}",
		"{\"boot\": \"" BOOT "\", \"groups\": [{\"switch\": \"forward_v4\", \"phase\": "
		"\"applied\", \"changes\": [{\"kind\": \"main\", \"name\": "
		"\"kernel/core_pattern\", "
		"\"old\": \"0\", \"ours\": \"1\", \"reset\": \"\"}]}]}",
	};
	struct err e;

	(void)unused;
	ns_need();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(io_write_file_fast(journal_path, bad[i], strlen(bad[i]), 0600, &e),
				 0);
		assert_null(sysctl_journal_load(journal_path, BOOT, &e));
		assert_int_equal(e.code, -EBADMSG);
	}
}

static void without_a_journal_nothing_is_changed(void **unused)
{
	struct buf before = { 0 }, after = { 0 };
	struct sysctl_journal *j;
	struct err e;

	(void)unused;
	ns_need();
	tree_read(&before);
	j = sysctl_journal_load("/proc/sysctl.json", BOOT, &e);
	assert_non_null(j);
	assert_true(sysctl_apply(j, &all, &e) < 0);
	assert_int_equal(sysctl_journal_count(j), 0);
	sysctl_journal_free(j);
	tree_read(&after);
	assert_same_tree(&before, &after, "no journal");
	buf_fini(&before);
	buf_fini(&after);
}

static void a_read_only_proc_is_found_before(void **unused)
{
	struct err e = { 0 };
	int rc;

	(void)unused;
	ns_need();
	assert_int_equal(mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
	rc = sysctl_check(&all, &e);
	umount2("/proc/sys", MNT_DETACH);
	assert_int_equal(rc, -EROFS);
	assert_string_equal(e.msg,
			    "cannot write /proc/sys/net/ipv4/ip_forward: Read-only file system");
}

/* ---- kill -9 before each system call that changes something ---- */

static bool changes_something(uint64_t nr)
{
	return nr == SYS_write || nr == SYS_fsync || nr == SYS_renameat2 || nr == SYS_unlinkat ||
#ifdef SYS_rename
	       nr == SYS_rename || nr == SYS_unlink ||
#endif
	       nr == SYS_close;
}

static void work(bool on)
{
	struct sysctl_journal *j = sysctl_journal_load(journal_path, BOOT, NULL);

	if (!j)
		_exit(1);
	_exit((on ? sysctl_apply(j, &all, NULL) : sysctl_restore(j, NULL, NULL)) < 0);
}

/* Runs apply or restore and kills it before the k-th such call; false when it ended first. */
static bool run_killed(bool on, unsigned k)
{
	struct __ptrace_syscall_info info;
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(1);
		raise(SIGSTOP);
		work(on);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status))
		return false;
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (;;) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status)) {
			assert_int_equal(status, 0);
			return false;
		}
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 ||
		    info.op != PTRACE_SYSCALL_INFO_ENTRY || !changes_something(info.entry.nr))
			continue;
		if (k--)
			continue;
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		return true;
	}
}

static void killed_anywhere_in_apply_it_can_be_restored(void **unused)
{
	struct buf before = { 0 }, after = { 0 };
	unsigned k = 0;
	char what[32];

	(void)unused;
	ns_need();
	tree_read(&before);
	for (bool killed = true; killed; k++) {
		killed = run_killed(true, k);
		/* Every other time the next apply goes on from there. */
		if (k % 2) {
			apply(&all);
			assert_all_on();
			assert_string_equal(get("ipv4/conf/all/accept_redirects"), "0");
		}
		restore(NULL);
		tree_read(&after);
		snprintf(what, sizeof(what), "killed at %u", k);
		assert_same_tree(&before, &after, what);
	}
	print_message("%u places\n", k);
	assert_true(k > 20);
	buf_fini(&before);
	buf_fini(&after);
}

static void killed_anywhere_in_restore_it_can_be_ended(void **unused)
{
	struct buf before = { 0 }, after = { 0 };
	unsigned k = 0;
	char what[32];

	(void)unused;
	ns_need();
	tree_read(&before);
	for (bool killed = true; killed; k++) {
		apply(&all);
		killed = run_killed(false, k);
		if (k % 2) {
			apply(&all);
			assert_all_on();
		}
		restore(NULL);
		tree_read(&after);
		snprintf(what, sizeof(what), "killed at %u", k);
		assert_same_tree(&before, &after, what);
	}
	print_message("%u places\n", k);
	assert_true(k > 20);
	buf_fini(&before);
	buf_fini(&after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_whole_tree_is_the_same_after_restore, setup),
		cmocka_unit_test_setup(apply_changes_nothing_but_what_forwarding_needs, setup),
		cmocka_unit_test_setup(what_is_on_already_is_not_ours, setup),
		cmocka_unit_test_setup(restore_keeps_what_is_still_needed, setup),
		cmocka_unit_test_setup(values_changed_by_somebody_else_stay, setup),
		cmocka_unit_test_setup(a_switch_that_somebody_turned_off_stays_off, setup),
		cmocka_unit_test_setup(it_is_turned_on_again_and_the_first_values_are_remembered,
				       setup),
		cmocka_unit_test_setup(interfaces_may_come_and_go_in_between, setup),
		cmocka_unit_test_setup(a_journal_of_another_boot_is_dropped, setup),
		cmocka_unit_test_setup(a_damaged_journal_is_an_error_and_no_path_leaves_the_tree,
				       setup),
		cmocka_unit_test_setup(without_a_journal_nothing_is_changed, setup),
		cmocka_unit_test_setup(a_read_only_proc_is_found_before, setup),
		cmocka_unit_test_setup(killed_anywhere_in_apply_it_can_be_restored, setup),
		cmocka_unit_test_setup(killed_anywhere_in_restore_it_can_be_ended, setup),
	};
	int failed;

	ns_enter();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	ns_leave();
	return failed;
}
