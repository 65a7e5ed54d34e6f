/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a route says about its match, its targets and how they share changes where a connection
 * goes. The letters are targets: A, B and C. */
#include <sys/un.h>

#include "tests/unit/hello_client.h"
#include "tests/unit/keys_fixture.h"

#define SECOND	   "'id':2,'name':'r2','targets':[" LOCAL(2, "") "]"
#define THREE	   "'targets':[" LOCAL(1, "%s") "," LOCAL(2, "%s") "," LOCAL(3, "%s") "]"
#define N_SOURCES  24
#define TWO_TAGGED "'targets':[" LOCAL(1, "") "," LOCAL(2, "") "]"

/* The keys of each target, e.g. ",'weight':3". */
static json_t *three(const struct keys_lab *l, const char *a, const char *b, const char *c)
{
	return keys_route(l, "{" THREE "}", l->target_port[0], a, l->target_port[1], b,
			  l->target_port[2], c);
}

/* ---- the match ---- */

static void a_client_has_the_route_of_its_address(void **state)
{
	struct keys_lab l = keys_lab(state);

	keys_load(&l, "'sets':[['127.0.0.2']]", keys_route(&l, "{'clients':0}"),
		  keys_route(&l, "{" SECOND "}", l.target_port[1]));
	assert_int_equal(keys_goes_to(&l, keys_connect_from(&l, "127.0.0.2")), 'A');
	assert_int_equal(keys_goes_to(&l, keys_connect_from(&l, "127.0.0.3")), 'B');
	keys_end(&l);
}

static void a_name_has_its_route_and_passthrough_tells_others_why(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client;

	keys_load(&l, "", keys_route(&l, "{'domains':['a.test'],'passthrough':true}"),
		  keys_route(&l, "{'domains':['*.b.test'],'passthrough':true," SECOND "}",
			     l.target_port[1]));
	assert_int_equal(keys_goes_to(&l, hello_connect(l.port, "a.test", HELLO_TLS_1_2)), 'A');
	assert_int_equal(keys_goes_to(&l, hello_connect(l.port, "x.b.test", HELLO_TLS_1_2)), 'B');
	client = hello_connect(l.port, "c.test", HELLO_TLS_1_2);
	expect(client, "\x15\x03\x03\0\x02\x02\x70", 7); /* unrecognized_name */
	close(client);
	/* A route without TLS has no alerts. */
	keys_load(&l, "", keys_route(&l, "{'domains':['a.test']}"), NULL);
	client = hello_connect(l.port, "c.test", HELLO_TLS_1_2);
	assert_int_not_equal(ending_of(client), END_BYTES);
	close(client);
	keys_end(&l);
}

static void a_version_of_tls_has_its_route(void **state)
{
	struct keys_lab l = keys_lab(state);

	keys_load(&l, "", keys_route(&l, "{'tlsVersions':['TLSv1.2']}"),
		  keys_route(&l, "{" SECOND "}", l.target_port[1]));
	assert_int_equal(keys_goes_to(&l, hello_connect(l.port, NULL, HELLO_TLS_1_2)), 'A');
	assert_int_equal(keys_goes_to(&l, hello_connect(l.port, NULL, HELLO_TLS_1_1)), 'B');
	keys_end(&l);
}

static void whom_no_route_takes_has_the_default(void **state)
{
	struct keys_lab l = keys_lab(state);

	keys_load(&l, "'sets':[['127.0.0.2']],'default':1", keys_route(&l, "{'clients':0}"),
		  keys_route(&l, "{" SECOND "}", l.target_port[1]));
	assert_int_equal(keys_goes_to(&l, keys_connect_from(&l, "127.0.0.2")), 'A');
	assert_int_equal(keys_goes_to(&l, keys_connect_from(&l, "127.0.0.3")), 'B');
	keys_end(&l);
}

/* ---- the targets ---- */

static void weights_are_shares_and_none_is_nothing(void **state)
{
	struct keys_lab l = keys_lab(state);
	unsigned a = 0;

	keys_load(&l, "", three(&l, ",'weight':3", ",'weight':1", ",'weight':0"), NULL);
	for (const char *s = keys_go_to(&l, 16); *s; s++) {
		a += *s == 'A';
		assert_int_not_equal(*s, 'C');
	}
	assert_int_equal(a, 12);
	keys_end(&l);
}

static void a_backup_is_for_when_all_others_are_down(void **state)
{
	struct keys_lab l = keys_lab(state);

	keys_load(&l, "", three(&l, "", ",'backup':true", ",'backup':true"), NULL);
	assert_string_equal(keys_go_to(&l, 4), "AAAA");
	close(l.target[0]);
	l.target[0] = -1;
	for (const char *s = keys_go_to(&l, 4); *s; s++)
		assert_true(*s == 'B' || *s == 'C');
	keys_end(&l);
}

static void the_higher_priority_is_asked_first(void **state)
{
	struct keys_lab l = keys_lab(state);

	keys_load(&l, "", three(&l, "", ",'priority':5", ",'priority':2"), NULL);
	assert_string_equal(keys_go_to(&l, 4), "BBBB");
	close(l.target[1]);
	l.target[1] = -1;
	assert_string_equal(keys_go_to(&l, 4), "CCCC");
	keys_end(&l);
}

static void a_target_is_for_its_ports_only(void **state)
{
	struct keys_lab l = keys_lab(state);
	char mine[64], other[64];

	snprintf(mine, sizeof(mine), ",'ports':[[%u,%u]]", l.port, l.port);
	snprintf(other, sizeof(other), ",'ports':[[1,%u]]", l.port - 1);
	keys_load(&l, "", three(&l, other, mine, other), NULL);
	assert_string_equal(keys_go_to(&l, 4), "BBBB");
	keys_end(&l);
}

/* A listener beside that of the dataplane, on another loopback address. */
static int listen_beside(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, "127.0.0.2", &a.sin_addr);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 8))
		fail_msg("127.0.0.2:%u: %s", port, strerror(errno));
	return fd;
}

static void the_port_may_be_the_clients_or_stand_beside_it(void **state)
{
	struct keys_lab l = keys_lab(state);
	static const struct {
		const char *kind;
		int port;
	} cases[] = { { "preserve", 0 }, { "offset", 1 }, { "offset", -1 } };

	for (unsigned i = 0; i < 3; i++) {
		int fd = listen_beside((unsigned)(l.port + cases[i].port)), client;

		keys_load(&l, "",
			  keys_route(&l,
				     "{'targets':[{'tag':1,'kind':'address','host':'127.0.0.2',"
				     "'port':%d,'portKind':'%s'}]}",
				     cases[i].port, cases[i].kind),
			  NULL);
		client = tcp_connect(l.port);
		close(tcp_accept(fd));
		close(client);
		close(fd);
	}
	keys_end(&l);
}

static void a_target_may_be_a_unix_socket(void **state)
{
	struct keys_lab l = keys_lab(state);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client, server;

	snprintf(a.sun_path, sizeof(a.sun_path), "/tmp/spctl-keys-%d.sock", (int)getpid());
	unlink(a.sun_path);
	assert_return_code(bind(fd, (struct sockaddr *)&a, sizeof(a)), errno);
	assert_return_code(listen(fd, 8), errno);
	keys_load(&l, "",
		  keys_route(&l, "{'targets':[{'tag':1,'kind':'unix','host':'%s'}]}", a.sun_path),
		  NULL);
	client = tcp_connect(l.port);
	server = tcp_accept(fd);
	put(client, "x", 1);
	expect(server, "x", 1);
	unlink(a.sun_path);
	close(client);
	close(server);
	close(fd);
	keys_end(&l);
}

static bool is_down(const struct keys_lab *l)
{
	json_t *a = plane_status(l->f);
	json_t *r = json_array_get(json_object_get(a, "routes"), 0);
	bool down = json_is_true(
		json_object_get(json_array_get(json_object_get(r, "targets"), 0), "down"));

	json_decref(a);
	return down;
}

/* Nobody connects: it is the checks that find out, both ways. */
static void checks_take_a_target_out_and_bring_it_back(void **state)
{
	struct keys_lab l = keys_lab(state);

	close(l.target[0]);
	keys_load(&l, "",
		  keys_route(&l,
			     "{" TWO_TAGGED ",'healthCheck':{'interval':50,'timeout':50,"
			     "'unhealthy':2,'healthy':1}}",
			     l.target_port[0], l.target_port[1]),
		  NULL);
	eventually(is_down(&l));
	l.target[0] = tcp_listen(&l.target_port[0]);
	eventually(!is_down(&l));
	keys_end(&l);
}

/* ---- what is told of them ---- */

#define MANY 1000

/* All the same place; their tags are 1 … */
static json_t *many_targets(const struct keys_lab *l, const char *more)
{
	json_t *r = keys_route(l, "%s", more), *list = json_object_get(r, "targets");

	for (unsigned i = 2; i <= MANY; i++) {
		json_t *t = json_copy(json_array_get(list, 0));

		json_object_set_new(t, "tag", json_integer(i));
		json_array_append_new(list, t);
	}
	return r;
}

/* Of that route in one part; true: with its own numbers. */
static bool see_targets(const json_t *route, unsigned seen[MANY], unsigned *next)
{
	const json_t *t;
	size_t i;

	json_array_foreach (json_object_get(route, "targets"), i, t) {
		assert_int_equal(json_integer_value(json_object_get(t, "tag")), *next + 1);
		seen[(*next)++] = (unsigned)json_integer_value(json_object_get(t, "total"));
		assert_true(*next <= MANY);
	}
	return json_object_get(route, "total") != NULL;
}

/* seen: connections of each target of route 1 and 2, over all parts; in order, and each once. */
static void see_all(struct keys_lab *l, unsigned seen[2][MANY])
{
	unsigned next[2] = { 0 }, heads[2] = { 0 };
	json_int_t from = 0;
	bool more = true;

	while (more) {
		json_t *a = plane_status_from(l->f, from), *route;
		size_t i;

		json_array_foreach (json_object_get(a, "routes"), i, route) {
			unsigned k = json_integer_value(json_object_get(route, "id")) == 2;

			heads[k] += see_targets(route, seen[k], &next[k]);
		}
		more = json_is_true(json_object_get(a, "more"));
		assert_true(!more || json_integer_value(json_object_get(a, "next")) > from);
		from = json_integer_value(json_object_get(a, "next"));
		json_decref(a);
	}
	for (unsigned k = 0; k < 2; k++) {
		assert_int_equal(next[k], MANY);
		assert_int_equal(heads[k], 1);
	}
}

static void each_of_a_thousand_targets_is_told_once_and_counted(void **state)
{
	struct keys_lab l = keys_lab(state);
	static unsigned seen[2][MANY];

	keys_load(&l, "", many_targets(&l, "{'balance':'round-robin'}"),
		  many_targets(&l, "{'id':2,'name':'r2'}"));
	for (unsigned i = 0; i < MANY; i++) {
		int client = tcp_connect(l.port), server = tcp_accept(l.target[0]);

		close(client);
		close(server);
	}
	see_all(&l, seen);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(seen[0][i], 1);
		assert_int_equal(seen[1][i], 0);
	}
	keys_end(&l);
}

/* ---- who is next ---- */

static void load_balanced(struct keys_lab *l, const char *algorithm, unsigned n)
{
	json_t *r = three(l, "", "", "");

	json_object_set_new(r, "balance", json_string(algorithm));
	while (json_array_size(json_object_get(r, "targets")) > n)
		json_array_remove(json_object_get(r, "targets"), n);
	keys_load(l, "", r, NULL);
}

static void round_robin_takes_turns_and_random_does_not(void **state)
{
	struct keys_lab l = keys_lab(state);

	load_balanced(&l, "round-robin", 3);
	assert_string_equal(keys_go_to(&l, 9), "ABCABCABC");
	load_balanced(&l, "random", 2);
	/* By chance once in 2^38. */
	assert_null(strstr("ABABABABABABABABABABABABABABABABABABABABA", keys_go_to(&l, 40)));
	assert_non_null(strchr(keys_go_to(&l, 40), 'A'));
	assert_non_null(strchr(keys_go_to(&l, 40), 'B'));
	keys_end(&l);
}

/* Of two that stay, one ends: the next goes there, whoever's turn it is. */
static void least_connections_counts_them(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client[2], server[2], at[2];

	load_balanced(&l, "least-connections", 2);
	for (unsigned i = 0; i < 2; i++) {
		client[i] = tcp_connect(l.port);
		at[i] = keys_accept(&l, &server[i]);
	}
	assert_int_not_equal(at[0], at[1]);
	close(client[1]);
	close(server[1]);
	eventually(plane_count(l.f, "active") == 1);
	for (unsigned i = 0; i < 3; i++) {
		client[1] = tcp_connect(l.port);
		assert_int_equal(keys_accept(&l, &server[1]), at[1]);
		close(client[1]);
		close(server[1]);
		eventually(plane_count(l.f, "active") == 1);
	}
	close(client[0]);
	close(server[0]);
	keys_end(&l);
}

/* Where each of many clients goes. */
static void sources_go_to(const struct keys_lab *l, char out[N_SOURCES + 1])
{
	for (unsigned i = 0; i < N_SOURCES; i++) {
		char source[20];

		snprintf(source, sizeof(source), "127.0.1.%u", i + 1);
		out[i] = keys_goes_to(l, keys_connect_from(l, source));
	}
	out[N_SOURCES] = '\0';
}

static void a_client_stays_with_its_target(void **state)
{
	struct keys_lab l = keys_lab(state);
	char first[N_SOURCES + 1], again[N_SOURCES + 1];

	load_balanced(&l, "ip-hash", 2);
	sources_go_to(&l, first);
	sources_go_to(&l, again);
	assert_string_equal(first, again);
	assert_true(strchr(first, 'A') && strchr(first, 'B'));
	keys_end(&l);
}

/* When one target of three goes, the clients of the others stay where they are. */
static void consistent_hash_moves_only_who_has_to(void **state)
{
	struct keys_lab l = keys_lab(state);
	char three_of_them[N_SOURCES + 1], two[N_SOURCES + 1];
	unsigned moved = 0;

	load_balanced(&l, "consistent-hash", 3);
	sources_go_to(&l, three_of_them);
	load_balanced(&l, "consistent-hash", 2);
	sources_go_to(&l, two);
	for (unsigned i = 0; i < N_SOURCES; i++) {
		if (three_of_them[i] != 'C')
			assert_int_equal(three_of_them[i], two[i]);
		moved += three_of_them[i] == 'C';
	}
	assert_true(moved > 0 && moved < N_SOURCES);
	keys_end(&l);
}

#define T(f) cmocka_unit_test_setup_teardown(f, plane_start, plane_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_client_has_the_route_of_its_address),
		T(a_name_has_its_route_and_passthrough_tells_others_why),
		T(a_version_of_tls_has_its_route),
		T(whom_no_route_takes_has_the_default),
		T(weights_are_shares_and_none_is_nothing),
		T(a_backup_is_for_when_all_others_are_down),
		T(the_higher_priority_is_asked_first),
		T(a_target_is_for_its_ports_only),
		T(the_port_may_be_the_clients_or_stand_beside_it),
		T(a_target_may_be_a_unix_socket),
		T(checks_take_a_target_out_and_bring_it_back),
		T(each_of_a_thousand_targets_is_told_once_and_counted),
		T(round_robin_takes_turns_and_random_does_not),
		T(least_connections_counts_them),
		T(a_client_stays_with_its_target),
		T(consistent_hash_moves_only_who_has_to),
	};

	return cmocka_run_group_tests_name("dataplane_keys_targets", tests, NULL, NULL);
}
