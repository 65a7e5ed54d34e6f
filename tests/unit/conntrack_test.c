/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libmnl/libmnl.h>
#include <libnftnl/batch.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "ctl/base/clock.h"
#include "ctl/base/io.h"
#include "ctl/host/conntrack.h"
#include "tests/unit/netns.h"

static bool labels_work;

/* ---- a table that labels flows by their destination port ---- */

static struct nlmsghdr *message(struct mnl_nlmsg_batch *b, uint16_t type, uint16_t flags,
				uint32_t seq)
{
	return nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(b), type, NFPROTO_INET, flags, seq);
}

static void expr_add(struct nftnl_rule *r, const char *name, const uint32_t (*attrs)[2], size_t n,
		     uint16_t data_attr, const void *data, uint32_t len)
{
	struct nftnl_expr *x = nftnl_expr_alloc(name);

	for (size_t i = 0; i < n; i++)
		nftnl_expr_set_u32(x, (uint16_t)attrs[i][0], attrs[i][1]);
	if (data)
		nftnl_expr_set(x, data_attr, data, len);
	nftnl_rule_add_expr(r, x);
}

/* th dport PORT  ct label set { words } */
static struct nftnl_rule *label_rule(uint16_t port, const uint32_t words[4])
{
	const uint32_t load[][2] = { { NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER },
				     { NFTNL_EXPR_PAYLOAD_OFFSET, 2 },
				     { NFTNL_EXPR_PAYLOAD_LEN, 2 },
				     { NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1 } };
	const uint32_t cmp[][2] = { { NFTNL_EXPR_CMP_OP, NFT_CMP_EQ },
				    { NFTNL_EXPR_CMP_SREG, NFT_REG_1 } };
	const uint32_t imm[][2] = { { NFTNL_EXPR_IMM_DREG, NFT_REG_1 } };
	const uint32_t set[][2] = { { NFTNL_EXPR_CT_KEY, NFT_CT_LABELS },
				    { NFTNL_EXPR_CT_SREG, NFT_REG_1 } };
	struct nftnl_rule *r = nftnl_rule_alloc();
	uint16_t port_be = htons(port);

	nftnl_rule_set_u32(r, NFTNL_RULE_FAMILY, NFPROTO_INET);
	nftnl_rule_set_str(r, NFTNL_RULE_TABLE, "t");
	nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, "out");
	expr_add(r, "payload", load, 4, 0, NULL, 0);
	expr_add(r, "cmp", cmp, 2, NFTNL_EXPR_CMP_DATA, &port_be, 2);
	expr_add(r, "immediate", imm, 1, NFTNL_EXPR_IMM_DATA, words, 16);
	expr_add(r, "ct", set, 2, 0, NULL, 0);
	return r;
}

static void add_table(struct mnl_nlmsg_batch *b, uint32_t *seq)
{
	struct nftnl_table *t = nftnl_table_alloc();
	struct nftnl_chain *c = nftnl_chain_alloc();

	nftnl_table_set_str(t, NFTNL_TABLE_NAME, "t");
	nftnl_table_nlmsg_build_payload(message(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, (*seq)++), t);
	mnl_nlmsg_batch_next(b);
	nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, "t");
	nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, "out");
	nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, "filter");
	nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, NF_INET_LOCAL_OUT);
	nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, 0);
	nftnl_chain_nlmsg_build_payload(message(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, (*seq)++), c);
	mnl_nlmsg_batch_next(b);
	nftnl_table_free(t);
	nftnl_chain_free(c);
}

static bool labels_prepare(void)
{
	/* High bits, both words: an exchange of words or bytes would be seen. */
	static const struct {
		uint16_t port;
		uint32_t words[4];
	} rules[] = {
		{ 7001, { 0x80000001, 0x00010002, 0xdeadbeef, 0x12345678 } },
		{ 7002, { 2, 0, 0, 0 } },
		{ 7003, { 0, 5, 0, 0 } }, /* no route id: not ours */
		{ 7004, { 0x01020304, 0x05060708, 0, 0 } },
	};
	char buf[16384], answer[8192];
	struct mnl_nlmsg_batch *b = mnl_nlmsg_batch_start(buf, sizeof(buf));
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	uint32_t seq = 1;
	bool ok = nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0;

	nftnl_batch_begin(mnl_nlmsg_batch_current(b), seq++);
	mnl_nlmsg_batch_next(b);
	add_table(b, &seq);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct nftnl_rule *r = label_rule(rules[i].port, rules[i].words);

		nftnl_rule_nlmsg_build_payload(message(b, NFT_MSG_NEWRULE,
						       NLM_F_CREATE | NLM_F_APPEND, seq++),
					       r);
		mnl_nlmsg_batch_next(b);
		nftnl_rule_free(r);
	}
	nftnl_batch_end(mnl_nlmsg_batch_current(b), seq++);
	mnl_nlmsg_batch_next(b);
	ok = ok && mnl_socket_sendto(nl, mnl_nlmsg_batch_head(b), mnl_nlmsg_batch_size(b)) > 0;
	/* Errors are queued before sendmsg() returns; nothing queued = committed. */
	ok = ok && recv(mnl_socket_get_fd(nl), answer, sizeof(answer), MSG_DONTWAIT) < 0;
	mnl_nlmsg_batch_stop(b);
	if (nl)
		mnl_socket_close(nl);
	return ok;
}

#define need_labels()                                                      \
	do {                                                               \
		ns_need();                                                 \
		if (!labels_work) {                                        \
			print_message("SKIP: no ct labels in nftables\n"); \
			skip();                                            \
		}                                                          \
	} while (0)

/* ---- traffic ---- */

static int udp_send(const char *to, uint16_t from_port, uint16_t port)
{
	struct sockaddr_storage at;
	struct addr a;
	socklen_t len;
	int fd, one = 1;

	assert_true(addr_parse(to, &a));
	at = addr_to_sockaddr(&a, from_port, &len);
	fd = socket(at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (const void *)&at, len), 0);
	at = addr_to_sockaddr(&a, port, &len);
	assert_int_equal(sendto(fd, "hello", 5, 0, (const void *)&at, len), 5);
	return fd;
}

/* Sockets that only take what is sent, so that no ICMP error ends the flows. */
static int udp_sink(const char *at, uint16_t port)
{
	struct sockaddr_storage sa;
	struct addr a;
	socklen_t len;
	int fd;

	assert_true(addr_parse(at, &a));
	sa = addr_to_sockaddr(&a, port, &len);
	fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (const void *)&sa, len), 0);
	return fd;
}

struct list {
	struct ct_flow v[64];
	unsigned n;
};

static int collect(const struct ct_flow *f, void *arg)
{
	struct list *l = arg;

	if (l->n < 64)
		l->v[l->n++] = *f;
	return 0;
}

static struct list flows(void)
{
	struct list l = { 0 };
	struct err e = { 0 };

	if (conntrack_each(collect, &l, &e) != 0)
		fail_msg("%s", e.msg);
	return l;
}

static const struct ct_flow *find(const struct list *l, int family, uint16_t client_port,
				  uint16_t port)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->v[i].client.family == family && l->v[i].client_port == client_port &&
		    l->v[i].local_port == port)
			return &l->v[i];
	return NULL;
}

static unsigned delete_all(void)
{
	struct err e = { 0 };
	unsigned n = 99;

	if (conntrack_delete(NULL, NULL, &n, &e) < 0)
		fail_msg("%s", e.msg);
	return n;
}

static void label_words_are_read_exactly(void **unused)
{
	const struct ct_flow *f;
	struct list l;
	int fds[8], n = 0;

	(void)unused;
	need_labels();
	fds[n++] = udp_sink("127.0.0.1", 7001);
	fds[n++] = udp_sink("::1", 7004);
	fds[n++] = udp_sink("127.0.0.1", 7003);
	fds[n++] = udp_send("127.0.0.1", 6001, 7001);
	fds[n++] = udp_send("::1", 6002, 7004);
	fds[n++] = udp_send("127.0.0.1", 6003, 7003);
	fds[n++] = udp_send("127.0.0.1", 6004, 7005);
	l = flows();
	assert_int_equal(l.n, 2);
	f = find(&l, ADDR_V4, 6001, 7001);
	assert_non_null(f);
	assert_true(f->id == 0x80000001 && f->flags == 0x00010002);
	assert_int_equal(f->proto, IPPROTO_UDP);
	assert_int_equal(f->target_port, 7001);
	assert_int_equal(addr_cmp(&f->target, &f->local), 0);
	assert_true(f->bytes_in == 33 && f->bytes_out == 0);
	assert_true(f->counted && f->packets_in == 1 && f->packets_out == 0);
	assert_true(!f->answered && !f->assured);
	assert_string_equal(conntrack_state_name(f), "UNREPLIED");
	assert_true(f->expires_s > 0 && f->expires_s <= 30);
	assert_int_equal(f->start_ms, 0);
	assert_int_equal(addr_cmp(&f->seen, &f->client), 0);
	assert_int_equal(f->seen_port, 6001);
	assert_false(f->closed);
	assert_true(f->ct_id != 0);
	f = find(&l, ADDR_V6, 6002, 7004);
	assert_non_null(f);
	assert_true(f->id == 0x01020304 && f->flags == 0x05060708);
	assert_true(addr_is_loopback(&f->client) && addr_is_loopback(&f->target));
	while (n)
		close(fds[--n]);
	assert_int_equal(delete_all(), 2);
	assert_int_equal(flows().n, 0);
}

static void a_closed_tcp_flow_is_called_closed(void **unused)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(7002) };
	const struct ct_flow *f;
	int listener, client, server, one = 1;
	struct list l;

	(void)unused;
	need_labels();
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(listener, (const void *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (const void *)&at, sizeof(at)), 0);
	server = accept(listener, NULL, NULL);
	l = flows();
	assert_int_equal(l.n, 1);
	f = &l.v[0];
	assert_int_equal(f->proto, IPPROTO_TCP);
	assert_int_equal(f->id, 2);
	assert_false(f->closed);
	assert_true(f->bytes_in > 0 && f->bytes_out > 0);
	assert_true(f->packets_in == 2 && f->packets_out == 1);
	assert_string_equal(conntrack_state_name(f), "ESTABLISHED");
	assert_true(f->answered && f->assured && f->expires_s > 400000);
	close(client);
	close(server);
	l = flows();
	assert_int_equal(l.n, 1);
	assert_true(l.v[0].closed);
	assert_string_equal(conntrack_state_name(&l.v[0]), "TIME_WAIT");
	close(listener);
	assert_int_equal(delete_all(), 1);
}

/* What the kernel did not count when it began is not 0, but not known. */
static void counts_and_age_are_known_or_not(void **unused)
{
	static const char acct[] = "/proc/sys/net/netfilter/nf_conntrack_acct";
	static const char stamp[] = "/proc/sys/net/netfilter/nf_conntrack_timestamp";
	int sink, first, second;
	const struct ct_flow *f;
	struct list l;
	int64_t now;

	(void)unused;
	need_labels();
	if (io_write_text(stamp, "1", NULL))
		skip();
	sink = udp_sink("127.0.0.1", 7001);
	assert_int_equal(io_write_text(acct, "0", NULL), 0);
	now = clock_wall_ms();
	first = udp_send("127.0.0.1", 6301, 7001);
	assert_int_equal(io_write_text(acct, "1", NULL), 0);
	assert_int_equal(io_write_text(stamp, "0", NULL), 0);
	second = udp_send("127.0.0.1", 6302, 7001);
	l = flows();
	f = find(&l, ADDR_V4, 6301, 7001);
	assert_non_null(f);
	assert_false(f->counted);
	assert_in_range(f->start_ms, now - 1000, now + 60000);
	f = find(&l, ADDR_V4, 6302, 7001);
	assert_non_null(f);
	assert_true(f->counted && f->bytes_in == 33);
	assert_int_equal(f->start_ms, 0);
	close(first);
	close(second);
	close(sink);
	assert_int_equal(delete_all(), 2);
}

static void every_state_has_a_name(void **unused)
{
	struct ct_flow f = { .proto = IPPROTO_TCP };

	(void)unused;
	for (unsigned i = 0; i < 256; i++) {
		f.tcp_state = (uint8_t)i;
		assert_non_null(conntrack_state_name(&f));
	}
	assert_string_equal(conntrack_state_name(&f), "UNKNOWN");
	f = (struct ct_flow){ .proto = IPPROTO_UDP, .answered = true };
	assert_string_equal(conntrack_state_name(&f), "REPLIED");
	f.assured = true;
	assert_string_equal(conntrack_state_name(&f), "ASSURED");
}

static bool has_client_port(const struct ct_flow *f, void *arg)
{
	const uint16_t *port = arg;

	return f->client_port == *port;
}

static unsigned kernel_count(void)
{
	char text[16];

	assert_int_equal(io_read_text("/proc/sys/net/netfilter/nf_conntrack_count", text,
				      sizeof(text), NULL),
			 0);
	return (unsigned)atoi(text);
}

static void only_what_is_wanted_is_deleted(void **unused)
{
	uint16_t port = 6102;
	struct err e = { 0 };
	struct list l;
	unsigned n = 0, before;
	int fds[8], i = 0;

	(void)unused;
	need_labels();
	fds[i++] = udp_sink("127.0.0.1", 7002);
	fds[i++] = udp_sink("::1", 7002);
	fds[i++] = udp_send("127.0.0.1", 6101, 7002);
	fds[i++] = udp_send("127.0.0.1", 6102, 7002);
	fds[i++] = udp_send("::1", 6103, 7002);
	fds[i++] = udp_send("127.0.0.1", 6104, 7003);
	before = kernel_count();
	assert_int_equal(conntrack_delete(has_client_port, &port, &n, &e), 0);
	assert_int_equal(n, 1);
	l = flows();
	assert_int_equal(l.n, 2);
	assert_null(find(&l, ADDR_V4, 6102, 7002));
	assert_int_equal(delete_all(), 2);
	/* The one that is not ours is still there. */
	assert_int_equal(kernel_count(), before - 3);
	while (i)
		close(fds[--i]);
}

/* Between listing and deleting, the flow ends and a new one takes its addresses and ports.
 * The kernel's id is a hash of the entry's memory and tuple: others take that memory first. */
static bool replace_flow(const struct ct_flow *f, void *arg)
{
	unsigned *calls = arg;

	(void)f;
	if (!(*calls)++) {
		assert_int_equal(delete_all(), 1);
		for (uint16_t port = 6300; port < 6364; port++)
			close(udp_send("127.0.0.1", port, 7003));
		close(udp_send("127.0.0.1", 6201, 7002));
	}
	return true;
}

static void a_newer_flow_of_the_same_tuple_is_not_deleted(void **unused)
{
	struct err e = { 0 };
	unsigned n = 0, calls = 0;
	struct list first, second;
	int sink;

	(void)unused;
	need_labels();
	sink = udp_sink("127.0.0.1", 7002);
	close(udp_send("127.0.0.1", 6201, 7002));
	first = flows();
	assert_int_equal(first.n, 1);
	assert_int_equal(conntrack_delete(replace_flow, &calls, &n, &e), 0);
	assert_int_equal(calls, 1);
	second = flows();
	if (n == 1 && !second.n) {
		close(sink);
		print_message("SKIP: the new entry got the old one's memory\n");
		skip();
	}
	assert_int_equal(n, 0);
	assert_int_equal(second.n, 1);
	assert_int_equal(second.v[0].client_port, 6201);
	assert_true(second.v[0].ct_id != first.v[0].ct_id);
	assert_int_equal(delete_all(), 1);
	close(sink);
}

static int stop_at_once(const struct ct_flow *f, void *arg)
{
	unsigned *calls = arg;

	(void)f;
	(*calls)++;
	return 42;
}

static void thousands_of_flows_and_an_early_end(void **unused)
{
	struct err e = { 0 };
	unsigned calls = 0;
	int sink;

	(void)unused;
	need_labels();
	sink = udp_sink("127.0.0.1", 7002);
	for (uint16_t port = 20000; port < 25000; port++)
		close(udp_send("127.0.0.1", port, 7002));
	assert_int_equal(conntrack_each(stop_at_once, &calls, &e), 42);
	assert_int_equal(calls, 1);
	assert_int_equal(delete_all(), 5000);
	assert_int_equal(flows().n, 0);
	close(sink);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(label_words_are_read_exactly),
		cmocka_unit_test(a_closed_tcp_flow_is_called_closed),
		cmocka_unit_test(counts_and_age_are_known_or_not),
		cmocka_unit_test(every_state_has_a_name),
		cmocka_unit_test(only_what_is_wanted_is_deleted),
		cmocka_unit_test(a_newer_flow_of_the_same_tuple_is_not_deleted),
		cmocka_unit_test(thousands_of_flows_and_an_early_end),
	};
	int failed;

	ns_enter();
	if (ns_is_ready)
		labels_work =
			!io_write_text("/proc/sys/net/netfilter/nf_conntrack_acct", "1", NULL) &&
			labels_prepare();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	ns_leave();
	return failed;
}
