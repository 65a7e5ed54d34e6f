/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/base/io.h"
#include "ctl/host/host.h"
#include "ctl/host/host_sock.h"
#include "tests/unit/netns.h"

static struct host_facts facts;

/* A bound (and, for TCP, listening) socket; -1 in tests without namespaces. */
static int open_at(int type, const char *address, uint16_t port, bool v6_only)
{
	struct sockaddr_storage at;
	struct addr a;
	socklen_t len;
	int one = 1, on = v6_only, fd;

	assert_true(addr_parse(address, &a));
	at = addr_to_sockaddr(&a, port, &len);
	fd = socket(at.ss_family, type | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (at.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	assert_int_equal(bind(fd, (const void *)&at, len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void read_facts(void)
{
	struct err e = { 0 };

	host_facts_fini(&facts);
	if (host_facts_read(&facts, &e) < 0)
		fail_msg("%s", e.msg);
}

static struct addr address(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static bool is_local(const char *text)
{
	struct addr a = address(text);

	return addr_set_has(&facts.local, &a);
}

static void local_is_what_the_routing_table_says(void **unused)
{
	(void)unused;
	ns_need();
	/* Not on lo: there a whole prefix becomes local. */
	assert_true(ns_ip("link add v0 type veth peer name v1"));
	assert_true(ns_ip("link set v0 up") && ns_ip("link set v1 up"));
	assert_true(ns_ip("addr add 10.1.2.3/24 dev v0"));
	assert_true(ns_ip("addr add 2001:db8::5/64 dev v0 nodad"));
	assert_true(ns_ip("route add local 10.9.0.0/20 dev lo"));
	assert_true(ns_ip("route add local 10.8.0.0/16 dev lo table 99"));
	assert_true(ns_ip("-6 route add local 2001:db8:9::/48 dev lo"));
	read_facts();
	assert_true(is_local("127.0.0.1"));
	assert_true(is_local("127.255.1.1"));
	assert_true(is_local("10.1.2.3"));
	assert_false(is_local("10.1.2.4"));
	assert_false(is_local("10.1.2.255"));
	assert_true(is_local("10.9.15.255"));
	assert_false(is_local("10.9.16.0"));
	assert_false(is_local("10.8.0.1"));
	assert_true(is_local("::1"));
	assert_true(is_local("2001:db8::5"));
	assert_true(is_local("2001:db8:9:ffff::1"));
	assert_false(is_local("2001:db8::6"));
	assert_false(is_local("ff02::1"));
	assert_true(addr_set_has_family(&facts.local, ADDR_V6));
	assert_true(ns_ip("link del v0"));
}

static void many_addresses_are_all_read(void **unused)
{
	char path[128], first[ADDR_TEXT], last[160];
	FILE *f;

	(void)unused;
	ns_need();
	snprintf(path, sizeof(path), "%s/batch", ns_dir);
	f = fopen(path, "w");
	for (int i = 0; i < 2000; i++)
		fprintf(f, "addr add 10.%d.%d.%d/32 dev lo\n", 100 + i % 2, i / 200, 1 + i % 200);
	fclose(f);
	snprintf(last, sizeof(last), "-batch %s", path);
	assert_true(ns_ip(last));
	read_facts();
	for (int i = 0; i < 2000; i++) {
		snprintf(first, sizeof(first), "10.%d.%d.%d", 100 + i % 2, i / 200, 1 + i % 200);
		assert_true(is_local(first));
	}
	assert_true(ns_ip("addr flush dev lo scope global"));
}

static void listeners_are_found_by_protocol_family_and_port(void **unused)
{
	int fds[6];
	struct addr at;
	int i = 0;

	(void)unused;
	ns_need();
	fds[i++] = open_at(SOCK_STREAM, "0.0.0.0", 80, false);
	fds[i++] = open_at(SOCK_STREAM, "::", 81, false);
	fds[i++] = open_at(SOCK_STREAM, "::", 82, true);
	fds[i++] = open_at(SOCK_STREAM, "127.0.0.1", 83, false);
	fds[i++] = open_at(SOCK_DGRAM, "0.0.0.0", 53, false);
	fds[i++] = open_at(SOCK_DGRAM, "::", 54, true);
	read_facts();
	assert_int_equal(facts.n_listeners, 6);
	assert_true(host_listens(&facts, IPPROTO_TCP, ADDR_V4, 80));
	assert_false(host_listens(&facts, IPPROTO_TCP, ADDR_V6, 80));
	assert_true(host_listens(&facts, IPPROTO_TCP, ADDR_V4, 81));
	assert_true(host_listens(&facts, IPPROTO_TCP, ADDR_V6, 81));
	assert_false(host_listens(&facts, IPPROTO_TCP, ADDR_V4, 82));
	assert_true(host_listens(&facts, IPPROTO_TCP, ADDR_V6, 82));
	assert_false(host_listens(&facts, IPPROTO_TCP, ADDR_V4, 83));
	assert_false(host_listens(&facts, IPPROTO_TCP, ADDR_V4, 53));
	assert_true(host_listens(&facts, IPPROTO_UDP, ADDR_V4, 53));
	assert_false(host_listens(&facts, IPPROTO_UDP, ADDR_V4, 54));
	assert_true(host_listens(&facts, IPPROTO_UDP, ADDR_V6, 54));
	assert_false(host_listens(&facts, IPPROTO_TCP, ADDR_V4, 65535));
	at = address("127.0.0.1");
	assert_non_null(host_listener_at(&facts, IPPROTO_TCP, &at, 83));
	assert_true(host_listener_at(&facts, IPPROTO_TCP, &at, 83)->inode > 0);
	at = address("127.0.0.2");
	assert_null(host_listener_at(&facts, IPPROTO_TCP, &at, 83));
	while (i)
		close(fds[--i]);
	read_facts();
	assert_int_equal(facts.n_listeners, 0);
}

static void a_connected_udp_socket_listens_to_nobody_else(void **unused)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd;

	(void)unused;
	ns_need();
	fd = open_at(SOCK_DGRAM, "0.0.0.0", 5000, false);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (const void *)&to, sizeof(to)), 0);
	read_facts();
	assert_false(host_listens(&facts, IPPROTO_UDP, ADDR_V4, 5000));
	close(fd);
}

static int by_inode(const void *a, const void *b)
{
	const struct host_listener *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

/* Where the kernel has no sock_diag: the same sockets, v6_only unknown. */
static void proc_gives_the_same_sockets(void **unused)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
	struct host_facts proc = { 0 };
	struct err e;
	int fds[40];

	(void)unused;
	ns_need();
	for (int i = 0; i < 40; i++)
		fds[i] = open_at(i % 2 ? SOCK_STREAM : SOCK_DGRAM,
				 i % 4 < 2    ? "127.0.0.1"
				 : i % 8 == 7 ? "::"
					      : "::1",
				 (uint16_t)(1000 + i), false);
	read_facts();
	for (int i = 0; i < 2; i++) {
		assert_int_equal(host_sockets_read_proc(&proc, protos[i], AF_INET, &e), 0);
		assert_int_equal(host_sockets_read_proc(&proc, protos[i], AF_INET6, &e), 0);
	}
	assert_int_equal(facts.n_listeners, 40);
	assert_int_equal(proc.n_listeners, 40);
	qsort(facts.listeners, 40, sizeof(*facts.listeners), by_inode);
	qsort(proc.listeners, 40, sizeof(*proc.listeners), by_inode);
	for (int i = 0; i < 40; i++) {
		const struct host_listener *x = &facts.listeners[i], *y = &proc.listeners[i];

		assert_int_equal(x->inode, y->inode);
		assert_int_equal(x->proto, y->proto);
		assert_int_equal(x->port, y->port);
		assert_int_equal(addr_cmp(&x->addr, &y->addr), 0);
		close(fds[i]);
	}
	host_facts_fini(&proc);
}

static void sysctls_are_facts(void **unused)
{
	(void)unused;
	ns_need();
	assert_int_equal(io_write_text("/proc/sys/net/ipv4/ip_forward", "0", NULL), 0);
	assert_int_equal(io_write_text("/proc/sys/net/ipv6/conf/all/forwarding", "1", NULL), 0);
	read_facts();
	assert_false(facts.forward_v4);
	assert_true(facts.forward_v6);
	assert_true(facts.has_v6);
	assert_int_equal(io_write_text("/proc/sys/net/ipv4/ip_forward", "1", NULL), 0);
	assert_int_equal(io_write_text("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1", NULL), 0);
	read_facts();
	assert_true(facts.forward_v4);
	assert_false(facts.has_v6);
	assert_false(addr_set_has_family(&facts.local, ADDR_V6));
}

static void the_identity_is_that_of_the_namespace(void **unused)
{
	struct host_identity a, b;

	(void)unused;
	assert_int_equal(host_identity_read(&a, NULL), 0);
	assert_int_equal(host_identity_read(&b, NULL), 0);
	assert_true(a.ns_ino == b.ns_ino && a.ns_dev == b.ns_dev);
	assert_int_equal(strlen(a.boot), 36);
	ns_need();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(host_identity_read(&b, NULL), 0);
	assert_true(a.ns_ino != b.ns_ino);
	assert_string_equal(a.boot, b.boot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(local_is_what_the_routing_table_says),
		cmocka_unit_test(many_addresses_are_all_read),
		cmocka_unit_test(listeners_are_found_by_protocol_family_and_port),
		cmocka_unit_test(a_connected_udp_socket_listens_to_nobody_else),
		cmocka_unit_test(proc_gives_the_same_sockets),
		cmocka_unit_test(sysctls_are_facts),
		cmocka_unit_test(the_identity_is_that_of_the_namespace),
	};
	int failed;

	ns_enter();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	host_facts_fini(&facts);
	ns_leave();
	return failed;
}
