/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dns_conf: what of /etc/resolv.conf and /etc/hosts a dataplane gets. */
#include "ctl/service/dns_conf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check(const char *resolv, const char *hosts, json_t *want)
{
	json_t *got = dns_conf_parse(resolv, hosts);

	assert_non_null(want);
	assert_true(json_equal(got, want));
	json_decref(got);
	json_decref(want);
}

static void resolv_conf_is_read_as_libc_reads_it(void **state)
{
	(void)state;
	check("# x\nnameserver 10.0.0.53\r\n nameserver fd00::53\n"
	      "domain old.test\nsearch a.test b.test\n"
	      "options ndots:3 timeout:1 attempts:9 rotate\n",
	      "127.0.0.1 localhost\n",
	      json_pack("{s:[ss],s:[ss],s:[],s:i,s:i,s:i,s:s}", "servers", "10.0.0.53", "fd00::53",
			"search", "a.test", "b.test", "unused", "ndots", 3, "timeout", 1000,
			"tries", 5, "hosts", "127.0.0.1 localhost\n"));
	check("", NULL,
	      json_pack("{s:[s],s:[],s:[],s:i,s:i,s:i}", "servers", "127.0.0.1", "search", "unused",
			"ndots", 1, "timeout", 5000, "tries", 2));
}

static void a_server_that_cannot_be_asked_is_not_in_the_way(void **state)
{
	(void)state;
	check("nameserver nobody\nnameserver fe80::1%eth0\nnameserver 10.0.0.53\n", NULL,
	      json_pack("{s:[s],s:[],s:[ss],s:i,s:i,s:i}", "servers", "10.0.0.53", "search",
			"unused", "nobody", "fe80::1%eth0", "ndots", 1, "timeout", 5000, "tries",
			2));
	check("nameserver nobody\n", NULL,
	      json_pack("{s:[s],s:[],s:[s],s:i,s:i,s:i}", "servers", "127.0.0.1", "search",
			"unused", "nobody", "ndots", 1, "timeout", 5000, "tries", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolv_conf_is_read_as_libc_reads_it),
		cmocka_unit_test(a_server_that_cannot_be_asked_is_not_in_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
