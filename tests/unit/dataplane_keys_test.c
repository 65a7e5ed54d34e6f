/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a route says about time, sockets, the PROXY protocol and who may come changes what its
 * clients and targets see. */
#include "tests/unit/keys_fixture.h"

#define ROUTE2 "'id':2,'name':'r2'"
#define SNI    "'domains':['a.test']"

/* ---- time ---- */

/* A target that answers no SYN: its queue is full. */
static uint16_t full_listener(int fds[8])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(bind(fds[0], (struct sockaddr *)&a, sizeof(a)), errno);
	assert_return_code(listen(fds[0], 0), errno);
	getsockname(fds[0], (struct sockaddr *)&a, &len);
	for (unsigned i = 1; i < 8; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(fds[i], (struct sockaddr *)&a, sizeof(a));
	}
	return ntohs(a.sin_port);
}

static void connect_timeout_bounds_the_way_to_the_targets(void **state)
{
	struct keys_lab l = keys_lab(state);
	int fds[8];
	uint16_t full = full_listener(fds);
	int64_t since;

	keys_load(&l, "",
		  keys_route(&l, "{'connectTimeout':400,'targets':[" LOCAL(1, "") "]}", full),
		  NULL);
	since = clock_mono_ms();
	keys_ends_after(&l, tcp_connect(l.port), since, 400, "connect_timeout");
	for (unsigned i = 0; i < 8; i++)
		close(fds[i]);
	keys_end(&l);
}

static void initial_data_timeout_bounds_silence(void **state)
{
	struct keys_lab l = keys_lab(state);
	int64_t since = clock_mono_ms();

	keys_load(&l, "", keys_route(&l, "{'initialDataTimeout':300," SNI "}"), NULL);
	keys_ends_after(&l, tcp_connect(l.port), since, 300, "initial_timeout");
	keys_end(&l);
}

static void head_timeout_bounds_a_hello_that_has_begun(void **state)
{
	struct keys_lab l = keys_lab(state);
	int64_t since = clock_mono_ms();
	int client;

	keys_load(&l, "", keys_route(&l, "{'headTimeout':300," SNI "}"), NULL);
	client = tcp_connect(l.port);
	put(client, "\x16\x03\x01", 3);
	keys_ends_after(&l, client, since, 300, "initial_timeout");
	keys_end(&l);
}

static void a_silent_client_gets_its_server_after_so_long_or_never(void **state)
{
	struct keys_lab l = keys_lab(state);
	json_t *sni = keys_route(&l, "{'serverFirstAfter':300," SNI "}");
	int64_t since;
	int client, server;

	keys_load(&l, "", sni, keys_route(&l, "{'serverFirstAfter':300," ROUTE2 "}"));
	since = clock_mono_ms();
	client = tcp_connect(l.port);
	server = tcp_accept(l.target[0]);
	assert_true(clock_mono_ms() - since >= 298);
	put(server, "220\r\n", 5);
	expect(client, "220\r\n", 5);
	close(client);
	close(server);
	keys_load(&l, "", keys_route(&l, "{'initialDataTimeout':300," SNI "}"),
		  keys_route(&l, "{" ROUTE2 "}"));
	since = clock_mono_ms();
	keys_ends_after(&l, tcp_connect(l.port), since, 300, "initial_timeout");
	keys_end(&l);
}

/* Each direction's bytes count; without any it ends. */
static void inactivity_timeout_ends_who_is_idle(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client, server;
	int64_t since = 0, begun;

	keys_load(&l, "", keys_route(&l, "{'inactivityTimeout':1000}"), NULL);
	client = tcp_connect(l.port);
	server = tcp_accept(l.target[0]);
	for (begun = clock_mono_ms(); clock_mono_ms() - begun < 1500; clock_sleep_ms(100)) {
		since = clock_mono_ms();
		put(server, "x", 1);
		expect(client, "x", 1);
	}
	keys_ends_after(&l, client, since, 1000, "inactivity");
	assert_int_equal(ending_of(server), END_RESET);
	close(server);
	keys_end(&l);
}

static void max_lifetime_ends_who_is_not_idle_too(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client, server;
	int64_t since = clock_mono_ms();
	enum ending how;

	keys_load(&l, "", keys_route(&l, "{'maxLifetime':500}"), NULL);
	client = tcp_connect(l.port);
	server = tcp_accept(l.target[0]);
	do {
		send(server, "x", 1, MSG_NOSIGNAL);
		how = ending_of(client);
	} while (how == END_BYTES && clock_mono_ms() - since < WAIT_MS);
	assert_int_equal(how, END_RESET);
	assert_true(clock_mono_ms() - since >= 498);
	assert_int_equal(plane_refused(l.f, "max_lifetime"), 1);
	close(client);
	close(server);
	keys_end(&l);
}

/* ---- sockets ---- */

struct pair {
	int client, server, ours[2]; /* the dataplane's */
};

/* Bytes have gone both ways. */
static struct pair pair_of(const struct keys_lab *l, int target)
{
	struct pair p = { .client = tcp_connect(l->port) };

	p.server = tcp_accept(l->target[target]);
	put(p.client, "x", 1);
	expect(p.server, "x", 1);
	put(p.server, "y", 1);
	expect(p.client, "y", 1);
	p.ours[0] = keys_socket(l->f, l->port, port_at(p.client, false));
	p.ours[1] = keys_socket(l->f, port_at(p.server, true), l->target_port[target]);
	return p;
}

static void pair_close(struct pair *p)
{
	close(p->client);
	close(p->server);
	close(p->ours[0]);
	close(p->ours[1]);
}

/* Until it lets go of them the kernel reports on them, and their connection is gone. */
static void sockets_that_another_process_holds_too_end_like_others(void **state)
{
	struct keys_lab l = keys_lab(state);
	struct pair p[16];

	keys_load(&l, "", keys_route(&l, "{}"), NULL);
	for (unsigned i = 0; i < 16; i++)
		p[i] = pair_of(&l, 0);
	for (unsigned i = 0; i < 16; i++) {
		shutdown(p[i].client, SHUT_WR);
		shutdown(p[i].server, SHUT_WR);
		eventually(plane_count(l.f, "active") == 15 - i);
	}
	assert_int_equal(keys_goes_to(&l, tcp_connect(l.port)), 'A');
	for (unsigned i = 0; i < 16; i++)
		pair_close(&p[i]);
	keys_end(&l);
}

static int option(int fd, int level, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	assert_return_code(getsockopt(fd, level, name, &v, &len), errno);
	return v;
}

static void no_delay_is_that_of_both_sockets(void **state)
{
	struct keys_lab l = keys_lab(state);
	struct pair p;

	for (int on = 1; on >= 0; on--) {
		keys_load(&l, "", keys_route(&l, "{'noDelay':%s}", on ? "true" : "false"), NULL);
		p = pair_of(&l, 0);
		for (unsigned i = 0; i < 2; i++)
			assert_int_equal(option(p.ours[i], IPPROTO_TCP, TCP_NODELAY), on);
		pair_close(&p);
	}
	keys_end(&l);
}

static void keep_alive_and_its_delay_are_those_of_both_sockets(void **state)
{
	struct keys_lab l = keys_lab(state);
	struct pair without, with;

	keys_load(&l, "", keys_route(&l, "{'keepAlive':false,'keepAliveDelay':1000}"), NULL);
	without = pair_of(&l, 0);
	for (int delay_s = 1; delay_s <= 2; delay_s++) {
		keys_load(&l, "",
			  keys_route(&l, "{'keepAlive':true,'keepAliveDelay':%d}", delay_s * 1000),
			  NULL);
		with = pair_of(&l, 0);
		for (unsigned i = 0; i < 2; i++) {
			eventually(option(with.ours[i], SOL_SOCKET, SO_KEEPALIVE) == 1);
			eventually(option(with.ours[i], IPPROTO_TCP, TCP_KEEPIDLE) == delay_s);
		}
		pair_close(&with);
	}
	/* That one is older. */
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(option(without.ours[i], SOL_SOCKET, SO_KEEPALIVE), 0);
	pair_close(&without);
	keys_end(&l);
}

/* ---- the PROXY protocol ---- */

static void each_target_gets_its_own_kind_of_header(void **state)
{
	static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11";
	struct keys_lab l = keys_lab(state);
	char want[128];

	keys_load(&l, "",
		  keys_route(&l,
			     "{'sendProxy':1,'targets':[" LOCAL(1, ",'sendProxy':0") "," LOCAL(
				     2, "") "," LOCAL(3, ",'sendProxy':2") "]}",
			     l.target_port[0], l.target_port[1], l.target_port[2]),
		  NULL);
	for (unsigned i = 0; i < 3; i++) {
		int client = tcp_connect(l.port), server, at;

		at = keys_accept(&l, &server);
		put(client, "hi", 2);
		snprintf(want, sizeof(want), "PROXY TCP4 127.0.0.1 127.0.0.1 %u %u\r\nhi",
			 port_at(client, false), l.port);
		if (at == 0)
			expect(server, "hi", 2);
		else if (at == 1)
			expect(server, want, strlen(want));
		else
			expect(server, v2, sizeof(v2) - 1);
		assert_int_equal(at, i);
		close(client);
		close(server);
	}
	keys_end(&l);
}

static void only_trusted_peers_are_asked_for_a_header_where_it_is_accepted(void **state)
{
	static const char header[] = "PROXY TCP4 192.0.2.7 192.0.2.8 7 8\r\n";
	static const struct {
		const char *trusted;
		bool accept, read;
	} cases[] = { { "127.0.0.1", true, true },
		      { "127.0.0.1", false, false },
		      { "127.0.0.2", true, false } };
	struct keys_lab l = keys_lab(state);

	for (unsigned i = 0; i < 3; i++) {
		char top[100];
		int client, server;

		snprintf(top, sizeof(top), "'sets':[['%s']],'trusted':0", cases[i].trusted);
		keys_load(&l, top,
			  keys_route(&l, "{'acceptProxy':%s}", cases[i].accept ? "true" : "false"),
			  NULL);
		client = tcp_connect(l.port);
		put(client, header, sizeof(header) - 1);
		put(client, "hi", 2);
		server = tcp_accept(l.target[0]);
		if (!cases[i].read)
			expect(server, header, sizeof(header) - 1);
		expect(server, "hi", 2);
		close(client);
		close(server);
	}
	keys_end(&l);
}

static int announced(const struct keys_lab *l, const char *address)
{
	int client = tcp_connect(l->port);
	char header[100];

	snprintf(header, sizeof(header), "PROXY TCP4 %s 192.0.2.8 7 8\r\n", address);
	put(client, header, strlen(header));
	return client;
}

static void the_top_levels_limits_count_who_was_announced(void **state)
{
	static const char *const limits[] = { "'perAddress':1,'perMinute':0",
					      "'perAddress':0,'perMinute':1" };
	static const char *const reasons[] = { "ip_limit", "rate_limit" };
	struct keys_lab l = keys_lab(state);

	for (unsigned i = 0; i < 2; i++) {
		char top[200], address[2][20];
		int one, server, other;

		snprintf(top, sizeof(top), "'sets':[['127.0.0.1']],'trusted':0,'limits':{%s}",
			 limits[i]);
		snprintf(address[0], sizeof(address[0]), "192.0.2.%u", i);
		snprintf(address[1], sizeof(address[1]), "198.51.100.%u", i);
		keys_load(&l, top, keys_route(&l, "{'acceptProxy':true}"), NULL);
		one = announced(&l, address[0]);
		server = tcp_accept(l.target[0]);
		keys_refused(&l, announced(&l, address[0]), reasons[i], 1);
		other = announced(&l, address[1]);
		close(tcp_accept(l.target[0]));
		close(other);
		close(one);
		close(server);
	}
	keys_end(&l);
}

/* ---- who may come ---- */

static void the_lists_let_in_and_keep_out(void **state)
{
	struct keys_lab l = keys_lab(state);

	keys_load(&l, "'sets':[['127.0.0.0/30'],['127.0.0.2']]",
		  keys_route(&l, "{'allow':0,'block':1}"), NULL);
	keys_goes_to(&l, keys_connect_from(&l, "127.0.0.1"));
	keys_refused(&l, keys_connect_from(&l, "127.0.0.2"), "route_ip_blocked", 1);
	keys_refused(&l, keys_connect_from(&l, "127.0.0.9"), "route_ip_blocked", 2);
	keys_load(&l, "'sets':[['127.0.0.2']]", keys_route(&l, "{'block':0}"), NULL);
	keys_goes_to(&l, keys_connect_from(&l, "127.0.0.9"));
	keys_refused(&l, keys_connect_from(&l, "127.0.0.2"), "route_ip_blocked", 3);
	keys_end(&l);
}

static void connections_at_once_are_bounded_for_the_route_and_for_each_client(void **state)
{
	struct keys_lab l = keys_lab(state);
	int one, server;

	keys_load(&l, "", keys_route(&l, "{'maxConnections':1}"), NULL);
	one = tcp_connect(l.port);
	server = tcp_accept(l.target[0]);
	keys_refused(&l, keys_connect_from(&l, "127.0.0.2"), "route_limit", 1);
	close(one);
	close(server);
	eventually(plane_count(l.f, "active") == 0);
	keys_goes_to(&l, tcp_connect(l.port));
	keys_load(&l, "", keys_route(&l, "{'maxConnectionsPerIP':1}"), NULL);
	one = tcp_connect(l.port);
	server = tcp_accept(l.target[0]);
	keys_refused(&l, tcp_connect(l.port), "ip_limit", 1);
	reset(keys_connect_from(&l, "127.0.0.2"));
	close(tcp_accept(l.target[0]));
	close(one);
	close(server);
	keys_end(&l);
}

static void connection_rate_is_a_number_a_minute_for_each_client(void **state)
{
	struct keys_lab l = keys_lab(state);

	keys_load(&l, "", keys_route(&l, "{'connectionRate':2}"), NULL);
	keys_go_to(&l, 2);
	keys_refused(&l, tcp_connect(l.port), "rate_limit", 1);
	keys_goes_to(&l, keys_connect_from(&l, "127.0.0.2"));
	keys_end(&l);
}

#define T(f) cmocka_unit_test_setup_teardown(f, plane_start, plane_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(connect_timeout_bounds_the_way_to_the_targets),
		T(initial_data_timeout_bounds_silence),
		T(head_timeout_bounds_a_hello_that_has_begun),
		T(a_silent_client_gets_its_server_after_so_long_or_never),
		T(inactivity_timeout_ends_who_is_idle),
		T(max_lifetime_ends_who_is_not_idle_too),
		T(sockets_that_another_process_holds_too_end_like_others),
		T(no_delay_is_that_of_both_sockets),
		T(keep_alive_and_its_delay_are_those_of_both_sockets),
		T(each_target_gets_its_own_kind_of_header),
		T(only_trusted_peers_are_asked_for_a_header_where_it_is_accepted),
		T(the_top_levels_limits_count_who_was_announced),
		T(the_lists_let_in_and_keep_out),
		T(connections_at_once_are_bounded_for_the_route_and_for_each_client),
		T(connection_rate_is_a_number_a_minute_for_each_client),
	};

	return cmocka_run_group_tests_name("dataplane_keys", tests, NULL, NULL);
}
