/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
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
#include "ctl/host/resolve.h"
#include "ctl/host/resolve_record.h"
#include "tests/unit/netns.h"

static bool files_are_ours; /* hosts, resolv.conf, nsswitch.conf */
static int silent_fd = -1;  /* a name server that never answers */

static bool replace(const char *path, const char *text)
{
	static unsigned n;
	char mine[128];

	snprintf(mine, sizeof(mine), "%s/file%u", ns_dir, n++);
	return !io_write_file_fast(mine, text, strlen(text), 0644, NULL) &&
	       mount(mine, path, NULL, MS_BIND, NULL) == 0;
}

static void prepare(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(53) };

	if (!ns_is_ready)
		return;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	silent_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	files_are_ours = chmod(ns_dir, 0755) == 0 &&
			 replace("/etc/hosts", "192.0.2.7 many.test\n"
					       "2001:db8::7 many.test\n"
					       "192.0.2.3 many.test\n"
					       "192.0.2.7 many.test\n"
					       "0.0.0.0 bad.test\n"
					       "224.0.0.1 bad.test\n"
					       "10.9.8.7 localhost\n") &&
			 replace("/etc/resolv.conf", "nameserver 127.0.0.1\n"
						     "options timeout:30 attempts:1\n") &&
			 replace("/etc/nsswitch.conf", "hosts: files dns\n") &&
			 bind(silent_fd, (const void *)&at, sizeof(at)) == 0;
}

#define need_files()                                                             \
	do {                                                                     \
		ns_need();                                                       \
		if (!files_are_ours) {                                           \
			print_message("SKIP: cannot replace /etc/hosts here\n"); \
			skip();                                                  \
		}                                                                \
	} while (0)

static void assert_addr(const struct addr *a, const char *expected)
{
	char text[ADDR_TEXT];

	assert_string_equal(addr_format(a, text), expected);
}

static void localhost_and_addresses_are_answered_without_asking(void **unused)
{
	static const char *const names[] = { "localhost", "LocalHost.",	 "a.b.localhost",
					     "192.0.2.9", "2001:db8::1", "::ffff:10.0.0.1",
					     "",	  "0.0.0.0",	 "ff02::1" };
	struct resolved_name out[9];
	struct err e;

	(void)unused;
	/* No time at all: a question could not be answered. */
	assert_int_equal(resolve_names(names, 9, 0, out, &e), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(out[i].n, 2);
		assert_addr(&out[i].addrs[0], "127.0.0.1");
		assert_addr(&out[i].addrs[1], "::1");
	}
	assert_ptr_equal(out[3].name, names[3]);
	assert_addr(&out[3].addrs[0], "192.0.2.9");
	assert_addr(&out[4].addrs[0], "2001:db8::1");
	assert_addr(&out[5].addrs[0], "10.0.0.1");
	assert_string_equal(out[6].why, "it is not a host name");
	assert_int_equal(out[7].n, 0);
	assert_string_equal(out[8].why, "it is no address that can be connected to");
	resolved_names_fini(out, 9);
}

static void names_come_sorted_and_without_doubles(void **unused)
{
	static const char *const names[] = { "many.test", "bad.test" };
	struct resolved_name out[2];
	struct err e;

	(void)unused;
	need_files();
	assert_int_equal(resolve_names(names, 2, 5000, out, &e), 0);
	assert_int_equal(out[0].n, 3);
	assert_addr(&out[0].addrs[0], "192.0.2.3");
	assert_addr(&out[0].addrs[1], "192.0.2.7");
	assert_addr(&out[0].addrs[2], "2001:db8::7");
	assert_int_equal(out[1].n, 0);
	assert_string_equal(out[1].why, "it has no address that can be connected to");
	resolved_names_fini(out, 2);
}

static void one_silent_name_does_not_hold_up_the_others(void **unused)
{
	const char *names[40];
	char text[40][24];
	struct resolved_name out[40];
	struct err e;

	(void)unused;
	need_files();
	for (int i = 0; i < 40; i++) {
		snprintf(text[i], sizeof(text[i]), "silent%d.test", i);
		names[i] = text[i];
	}
	names[0] = "many.test";
	names[8] = "localhost";
	assert_int_equal(resolve_names(names, 40, 300, out, &e), 0);
	assert_int_equal(out[0].n, 3);
	assert_int_equal(out[8].n, 2);
	assert_int_equal(out[7].n, 0);
	assert_string_equal(out[7].why, "no answer within 300 ms");
	resolved_names_fini(out, 40);
	/* The child is gone, not left behind. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

struct status {
	unsigned parent, uid, gid;
	unsigned long long eff, prm, bnd, amb;
	unsigned no_new_privs;
};

static bool status_read(int pid, struct status *s)
{
	char path[64], line[256];
	FILE *f;

	memset(s, 0, sizeof(*s));
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "PPid: %u", &s->parent);
		sscanf(line, "Uid: %u", &s->uid);
		sscanf(line, "Gid: %u", &s->gid);
		sscanf(line, "CapEff: %llx", &s->eff);
		sscanf(line, "CapPrm: %llx", &s->prm);
		sscanf(line, "CapBnd: %llx", &s->bnd);
		sscanf(line, "CapAmb: %llx", &s->amb);
		sscanf(line, "NoNewPrivs: %u", &s->no_new_privs);
	}
	fclose(f);
	return true;
}

static int child_of(int parent)
{
	DIR *d = opendir("/proc");
	struct dirent *ent;
	struct status s;
	int found = 0;

	while (d && !found && (ent = readdir(d)))
		if (atoi(ent->d_name) > 0 && status_read(atoi(ent->d_name), &s) &&
		    s.parent == (unsigned)parent)
			found = atoi(ent->d_name);
	if (d)
		closedir(d);
	return found;
}

static unsigned count_fds(int pid)
{
	char path[64];
	struct dirent *ent;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	while (d && (ent = readdir(d)))
		n += ent->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

static pid_t start_asking(bool one_uid)
{
	static const char *const names[] = { "silent.test" };
	struct resolved_name out[1];
	struct err e;
	pid_t pid = fork();

	if (pid)
		return pid;
	if (one_uid &&
	    (unshare(CLONE_NEWUSER) < 0 || io_write_text("/proc/self/setgroups", "deny", NULL) ||
	     io_write_text("/proc/self/uid_map", "0 0 1", NULL) ||
	     io_write_text("/proc/self/gid_map", "0 0 1", NULL)))
		_exit(77);
	_exit(resolve_names(names, 1, 20000, out, &e) < 0);
}

/* Waits until the resolver child has settled (no capability left). */
static int settled_child(pid_t parent, struct status *s)
{
	int64_t deadline = clock_mono_ms() + 5000;

	while (clock_mono_ms() < deadline) {
		int pid = child_of((int)parent);

		if (pid && status_read(pid, s) && s->no_new_privs && !s->eff && !s->prm)
			return pid;
		clock_sleep_ms(2);
	}
	return 0;
}

static void the_child_has_no_privilege_and_dies_with_its_parent(void **unused)
{
	int64_t deadline = clock_mono_ms() + 5000;
	struct status s;
	pid_t parent;
	int pid, again = 1;

	(void)unused;
	need_files();
	parent = start_asking(false);
	pid = settled_child(parent, &s);
	assert_true(pid > 0);
	assert_in_range(s.uid, 64000, 64999);
	assert_in_range(s.gid, 64000, 64999);
	assert_true(!s.eff && !s.prm && !s.amb && !s.bnd);
	assert_int_equal(getsid(pid), pid);
	/* 0, 1, 2, the pipe, and what getaddrinfo() has open at this moment. */
	assert_in_range(count_fds(pid), 4, 6);
	/* Its last step: from then on it goes when the parent goes. */
	while (clock_mono_ms() < deadline && count_fds(pid) < 5)
		clock_sleep_ms(2);
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	while (clock_mono_ms() < deadline && (again = kill(pid, 0)) == 0)
		clock_sleep_ms(2);
	assert_int_equal(again, -1);
}

static void where_uids_cannot_change_only_capabilities_go(void **unused)
{
	struct status s;
	pid_t parent;
	int pid;

	(void)unused;
	need_files();
	parent = start_asking(true);
	pid = settled_child(parent, &s);
	if (!pid && waitpid(parent, NULL, WNOHANG) == parent) {
		print_message("SKIP: no user namespaces here\n");
		skip();
	}
	assert_true(pid > 0);
	assert_int_equal(s.uid, 0);
	assert_true(!s.eff && !s.prm && !s.amb);
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
}

/* ---- the record parser ---- */

static const struct resolve_record good = {
	.index = 1,
	.n = 2,
	.addrs = { { .family = ADDR_V4, .bytes = { 10, 0, 0, 1 } },
		   { .family = ADDR_V6, .bytes = { 0x20, 1, [15] = 9 } } },
};

static void a_record_reads_back_as_written(void **unused)
{
	struct resolve_record bad = { .index = 0, .why = "n\xc3\xb6 answer" }, r;
	uint8_t bytes[RESOLVE_RECORD_LEN];

	(void)unused;
	resolve_record_format(&good, bytes);
	assert_true(resolve_record_parse(bytes, sizeof(bytes), 2, &r));
	assert_int_equal(r.index, 1);
	assert_int_equal(r.n, 2);
	assert_memory_equal(r.addrs, good.addrs, sizeof(r.addrs));
	assert_string_equal(r.why, "");
	resolve_record_format(&bad, bytes);
	assert_true(resolve_record_parse(bytes, sizeof(bytes), 1, &r));
	assert_string_equal(r.why, "n?? answer");
	assert_false(resolve_record_parse(bytes, sizeof(bytes) - 1, 1, &r));
	assert_false(resolve_record_parse(bytes, sizeof(bytes), 0, &r));
}

static void every_changed_field_is_refused(void **unused)
{
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = {
		{ 0, 0 },     { 4, 2 },	     { 7, 0x80 },  { 8, 1 },	 { 8, 0 },
		{ 8, 17 },    { 11, 1 },     { 12, 5 },	   { 12, 0 },	 { 13, 0xe0 },
		{ 17, 1 },    { 29, 4 },     { 30, 0xff }, { 46, 4 },	 { 283, 1 },
		{ 284, 'x' }, { 284, 0x1b }, { 411, 'x' }, { 300, 'x' },
	};
	uint8_t bytes[RESOLVE_RECORD_LEN];
	struct resolve_record r;

	(void)unused;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		resolve_record_format(&good, bytes);
		bytes[changes[i].at] = changes[i].value;
		if (resolve_record_parse(bytes, sizeof(bytes), 2, &r))
			fail_msg("byte %zu = %u was taken", changes[i].at, changes[i].value);
	}
}

static void wrong_addresses_in_a_record_are_refused(void **unused)
{
	static const struct addr bad[][2] = {
		{ { .family = ADDR_V4, .bytes = { 10, 0, 0, 2 } },
		  { .family = ADDR_V4, .bytes = { 10, 0, 0, 1 } } },
		{ { .family = ADDR_V4, .bytes = { 10, 0, 0, 1 } },
		  { .family = ADDR_V4, .bytes = { 10, 0, 0, 1 } } },
		{ { .family = ADDR_V4 }, { .family = ADDR_V4, .bytes = { 10, 0, 0, 1 } } },
		{ { .family = ADDR_V4, .bytes = { 10 } },
		  { .family = ADDR_V6, .bytes = { [10] = 0xff, 0xff, 10, 0, 0, 1 } } },
		{ { .family = ADDR_V4, .bytes = { 10 } },
		  { .family = ADDR_V6, .bytes = { 0xff, 2, [15] = 1 } } },
	};
	uint8_t bytes[RESOLVE_RECORD_LEN];
	struct resolve_record r;

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct resolve_record w = { .n = 2 };

		memcpy(w.addrs, bad[i], sizeof(bad[i]));
		resolve_record_format(&w, bytes);
		assert_false(resolve_record_parse(bytes, sizeof(bytes), 1, &r));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(localhost_and_addresses_are_answered_without_asking),
		cmocka_unit_test(names_come_sorted_and_without_doubles),
		cmocka_unit_test(one_silent_name_does_not_hold_up_the_others),
		cmocka_unit_test(the_child_has_no_privilege_and_dies_with_its_parent),
		cmocka_unit_test(where_uids_cannot_change_only_capabilities_go),
		cmocka_unit_test(a_record_reads_back_as_written),
		cmocka_unit_test(every_changed_field_is_refused),
		cmocka_unit_test(wrong_addresses_in_a_record_are_refused),
	};
	int failed;

	ns_enter();
	prepare();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	ns_leave();
	return failed;
}
