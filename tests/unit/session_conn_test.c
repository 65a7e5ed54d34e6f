/* SPDX-License-Identifier: GPL-2.0-or-later */
/* By which connection the session came, and whether a plan takes its port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "ctl/apply/own_session.h"
#include "ctl/host/session_conn.h"
#include "tests/unit/plan_fixture.h"

static void the_form_of_sshd_is_read_and_no_other(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{ "10.0.0.5 50000 10.0.0.1 22", true },
		{ "fd00::5 50000 fd00::1 22", true },
		{ "fe80::5%lan 50000 fe80::1%lan 22", true },
		{ "::ffff:10.0.0.5 1 10.0.0.1 65535", true },
		{ "", false },
		{ "10.0.0.5 50000 10.0.0.1", false },
		{ "10.0.0.5 50000 10.0.0.1 22 x", false },
		{ "10.0.0.5 50000 10.0.0.1 0", false },
		{ "10.0.0.5 50000 10.0.0.1 65536", false },
		{ "10.0.0.5 50000 10.0.0.1 -22", false },
		{ "10.0.0.5 50000 10.0.0.1 22a", false },
		{ "10.0.0.5 50000 10.0.0.1 99999999999999999999", false },
		{ "10.0.0.5 50000 fd00::1 22", false },
		{ "host 50000 10.0.0.1 22", false },
		{ "10.0.0.0/8 50000 10.0.0.1 22", false },
		{ "fd00:1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb 1 ::1 2", false },
	};
	struct session_conn c;
	char text[ADDR_TEXT], longest[400];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (session_conn_parse(cases[i].text, &c) != cases[i].good)
			fail_msg("\"%s\"", cases[i].text);
	assert_true(session_conn_parse("fe80::5%lan 50000 fe80::1%lan 22", &c));
	assert_string_equal(addr_format(&c.client, text), "fe80::5");
	assert_string_equal(addr_format(&c.server, text), "fe80::1");
	assert_int_equal(c.client_port, 50000);
	assert_int_equal(c.server_port, 22);
	memset(longest, ' ', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	memcpy(longest, cases[0].text, strlen(cases[0].text));
	assert_false(session_conn_parse(longest, &c));
}

static void a_variable_is_found_in_a_block_by_its_whole_name(void **state)
{
	static const char block[] = "A=1\0SSH_CONNECTION_X=no\0XSSH_CONNECTION=no\0"
				    "SSH_CONNECTION=yes\0B=2";
	const char *value = session_conn_lookup(block, sizeof(block) - 1, "SSH_CONNECTION");

	(void)state;
	assert_non_null(value);
	assert_string_equal(value, "yes");
	assert_null(session_conn_lookup(block, sizeof(block) - 1, "B")); /* cut off */
	assert_non_null(session_conn_lookup(block, sizeof(block), "B"));
	assert_null(session_conn_lookup(block, sizeof(block), "SSH"));
	assert_null(session_conn_lookup(NULL, 0, "A"));
	/* Every length of it is safe, and says the truth about what is whole. */
	for (size_t n = 0; n <= sizeof(block); n++) {
		char *copy = malloc(n + 1);

		memcpy(copy, block, n);
		value = session_conn_lookup(copy, n, "SSH_CONNECTION");
		assert_int_equal(value != NULL, n >= sizeof(block) - 4);
		free(copy);
	}
}

/* As under sudo: the variable is not in the own environment, but in that of the parent. */
static void a_parent_knows_when_the_own_environment_does_not(void **state)
{
	char self[200] = "", command[400];
	struct session_conn c;
	int status;

	(void)state;
	unsetenv("SSH_CONNECTION");
	setenv("SSH_CONNECTION", "10.0.0.5 50000 10.0.0.1 2222", 1);
	assert_true(session_conn_find(&c));
	assert_int_equal(c.server_port, 2222);
	/* A shell with it; below, a process without it that looks: this test again. */
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(command, sizeof(command),
		 "env SPCTL_TEST_LOOK=1 sh -c 'env -u SSH_CONNECTION \"$0\"; exit $?' '%s'", self);
	status = system(command);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 22);
	unsetenv("SSH_CONNECTION");
}

static bool taken(const char *conn, struct fx_host *h, struct err *e)
{
	struct session_conn c;

	memset(e, 0, sizeof(*e));
	assert_true(session_conn_parse(conn, &c));
	return own_session_is_taken(fx.plan, &h->facts, &c, e);
}

static void only_a_port_that_leads_elsewhere_is_taken(void **state)
{
	static const char ssh[] = "10.0.0.5 50000 10.0.0.1 22";
	struct fx_host h = { 0 };
	struct err e;

	(void)state;
	fx_local(&h, "10.0.0.1");
	fx_local(&h, "fd00::1");
	fx_local(&h, "127.0.0.0/8");
	fx_local(&h, "::1");
	fx_listen(&h, IPPROTO_TCP, "0.0.0.0", 22);
	fx_plan(FX_ROUTE("x", "ports: [22, 23]", FX_TARGET("10.20.0.2", "22")));
	assert_true(taken(ssh, &h, &e));
	assert_string_equal(e.msg, "route \"x\" takes tcp/22, over which this very session came "
				   "(10.0.0.5:50000 -> 10.0.0.1:22): new ssh connections will go "
				   "to 10.20.0.2:22");
	assert_int_equal(e.loc.line, 2);
	assert_non_null(strstr(e.hint, "--confirm 60"));
	assert_non_null(strstr(e.hint, "--force"));
	assert_false(taken("10.0.0.5 50000 10.0.0.1 24", &h, &e));
	assert_false(taken("10.0.0.5 50000 10.0.0.9 22", &h, &e)); /* not of this host */
	assert_false(taken("fd00::5 50000 fd00::1 22", &h, &e));   /* no target of that family */
	assert_false(taken("::1 50000 ::1 22", &h, &e));
	fx_plan("- {name: x, match: {ports: 22}, action: {type: forward, targets: [{host: "
		"[10.20.0.2, 10.20.0.3, 'fd00::9'], port: 2222}]}}\n");
	assert_true(taken(ssh, &h, &e));
	assert_non_null(strstr(e.msg, "to 10.20.0.2:2222 and 1 more"));
	assert_true(taken("fd00::5 50000 fd00::1 22", &h, &e));
	assert_non_null(strstr(e.msg, "([fd00::5]:50000 -> [fd00::1]:22)"));
	fx_plan(FX_ROUTE("x", "ports: 22, transport: udp", FX_TARGET("10.20.0.2", "22")));
	assert_false(taken(ssh, &h, &e));
	fx_plan(FX_ROUTE("x", "ports: 22, clientIp: [10.9.0.0/16]", FX_TARGET("10.20.0.2", "22")));
	assert_false(taken(ssh, &h, &e));
	assert_true(taken("10.9.0.5 50000 10.0.0.1 22", &h, &e));
	fx_plan(FX_ROUTE("x", "ports: 22", FX_TARGET("127.0.0.1", "22")));
	assert_false(taken(ssh, &h, &e)); /* what listens on the wildcard is this very sshd */
	fx_plan("- {name: x, match: {ports: 22}, action: {type: forward, targets: [{host: "
		"127.0.0.1, port: 22}]}, security: {ipBlockList: [10.0.0.5]}}\n");
	assert_true(taken(ssh, &h, &e));
	assert_non_null(strstr(e.msg, "new ssh connections will be refused"));
	assert_false(taken("10.0.0.6 50000 10.0.0.1 22", &h, &e));
	fx_plan(FX_ROUTE("x", "ports: 22", FX_TARGET("127.0.0.1", "2222")));
	assert_true(taken(ssh, &h, &e));
	h.facts.n_listeners = 0;
	fx_plan(FX_ROUTE("x", "ports: 22", FX_TARGET("127.0.0.1", "22")));
	assert_true(taken(ssh, &h, &e)); /* sshd listens at one address only: not there */
	fx_end();
	fx_host_end(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_form_of_sshd_is_read_and_no_other),
		cmocka_unit_test(a_variable_is_found_in_a_block_by_its_whole_name),
		cmocka_unit_test(a_parent_knows_when_the_own_environment_does_not),
		cmocka_unit_test(only_a_port_that_leads_elsewhere_is_taken),
	};
	struct session_conn c;

	if (getenv("SPCTL_TEST_LOOK"))
		return session_conn_find(&c) && c.server_port == 2222 ? 22 : 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
