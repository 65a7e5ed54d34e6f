/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Templates of target hosts: what becomes of them, and what must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/template.h"

static struct template_values values(const char *domain)
{
	struct template_values v = { .domain = domain, .port = 443 };

	assert_true(addr_parse("10.1.2.3", &v.client));
	return v;
}

static void becomes(const char *text, const char *domain, enum template_kind kind, const char *want)
{
	const struct template_values v = values(domain);
	struct template_target t;

	assert_int_equal(template_expand(text, &v, &t), 0);
	assert_string_equal(t.text, want);
	assert_int_equal(t.kind, kind);
}

static void is_refused(const char *text, const char *domain, int rc)
{
	const struct template_values v = values(domain);
	struct template_target t;

	if (template_expand(text, &v, &t) != rc)
		fail_msg("\"%s\" with \"%s\": %d, not %d", text, domain ? domain : "(none)",
			 template_expand(text, &v, &t), rc);
}

static void values_take_their_places(void **state)
{
	(void)state;
	becomes("{domain}.backend.test", "a.b", TEMPLATE_NAME, "a.b.backend.test");
	becomes("{label:1}.pool.test", "db.eu.test", TEMPLATE_NAME, "db.pool.test");
	becomes("{label:2}-{label:3}.x", "db.eu.test", TEMPLATE_NAME, "eu-test.x");
	becomes("h{port}.test", NULL, TEMPLATE_NAME, "h443.test");
	becomes("{clientIp}", NULL, TEMPLATE_ADDRESS, "10.1.2.3");
	becomes("{clientIp}.by.test", NULL, TEMPLATE_NAME, "10.1.2.3.by.test");
	becomes("10.0.0.{label:1}", "7.test", TEMPLATE_ADDRESS, "10.0.0.7");
	becomes("unix:/run/{domain}.sock", "a.test", TEMPLATE_PATH, "/run/a.test.sock");
	becomes("unix:/run/{clientIp}/{port}", NULL, TEMPLATE_PATH, "/run/10.1.2.3/443");
	becomes("unix:/run/..{domain}", "a", TEMPLATE_PATH, "/run/..a");
}

static void a_value_that_is_missing_is_no_target(void **state)
{
	const struct template_values none = { 0 };
	struct template_target t;

	(void)state;
	is_refused("{domain}.x", NULL, -ENODATA);
	is_refused("{domain}.x", "", -ENODATA);
	is_refused("{label:3}.x", "a.b", -ENODATA);
	is_refused("{label:2}.x", "a..b", -ENODATA);
	is_refused("{label:1}.x", NULL, -ENODATA);
	assert_int_equal(template_expand("{clientIp}", &none, &t), -ENODATA);
	assert_int_equal(template_expand("h{port}.x", &none, &t), -ENODATA);
}

static void a_name_cannot_leave_its_directory(void **state)
{
	(void)state;
	is_refused("unix:/run/{domain}.sock", "../etc/x", -EINVAL);
	is_refused("unix:/run/{domain}/s", "..", -EINVAL);
	is_refused("unix:/run/{domain}/s", ".", -EINVAL);
	is_refused("unix:/run/{domain}", "..", -EINVAL);
	is_refused("unix:/run/.{domain}/s", ".", -EINVAL);
	is_refused("unix:/run/{domain}/s", "a/b", -EINVAL);
	is_refused("unix:{domain}", "a", -EINVAL);
}

static void what_is_no_host_is_refused(void **state)
{
	char label[66] = "", word[300] = "", text[4] = "a c";

	(void)state;
	memset(label, 'a', 64);
	is_refused("{domain}.x", label, -EINVAL);
	memset(word, 'a', 256);
	is_refused("{domain}", word, -ENAMETOOLONG);
	is_refused("unix:/{domain}", word, -ENAMETOOLONG);
	is_refused("{domain}", "a..b", -EINVAL);
	is_refused("{domain}", ".a", -EINVAL);
	is_refused("{domain}", "a.1", -EINVAL);
	is_refused("{domain}", "0.0.0.0", -EINVAL);
	is_refused("22{label:1}.0.0.1", "4.a", -EINVAL);
	is_refused("{domain}", "{port}", -EINVAL);
	for (int c = 1; c < 256; c++) {
		text[1] = (char)c;
		if (!strchr("-_.", c) && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
		    !(c >= 'A' && c <= 'Z'))
			is_refused("unix:/run/{domain}", text, -EINVAL);
	}
}

static void a_client_cannot_say_loopback(void **state)
{
	struct template_values v = values(NULL);
	struct template_target t;

	(void)state;
	is_refused("{domain}", "127.0.0.1", -EINVAL);
	is_refused("{label:1}.0.0.1", "127", -EINVAL);
	is_refused("{domain}", "localhost", -EINVAL);
	is_refused("{domain}", "x.localhost", -EINVAL);
	is_refused("www.{domain}", "LocalHost", -EINVAL);
	is_refused("{domain}", "169.254.169.254", -EINVAL);
	is_refused("{label:1}.254.169.254", "169", -EINVAL);
	is_refused("{domain}", "0.0.0.1", -EINVAL);
	/* The file can. */
	becomes("127.0.0.{label:1}", "7.test", TEMPLATE_ADDRESS, "127.0.0.7");
	becomes("{label:1}.localhost", "a.test", TEMPLATE_NAME, "a.localhost");
	/* And who is there already goes nowhere else. */
	assert_true(addr_parse("127.0.0.1", &v.client));
	assert_int_equal(template_expand("{clientIp}", &v, &t), 0);
}

static void faults_are_found_before_a_client_comes(void **state)
{
	(void)state;
	assert_null(template_fault("{domain}.{label:12}.{port}"));
	assert_null(template_fault("unix:/run/{clientIp}"));
	assert_non_null(template_fault("{path}"));
	assert_non_null(template_fault("{domain"));
	assert_non_null(template_fault("{label:0}"));
	assert_non_null(template_fault("{label:}"));
	assert_non_null(template_fault("{label:123}"));
	assert_non_null(template_fault("{}"));
	assert_non_null(template_fault("unix:run/{domain}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_take_their_places),
		cmocka_unit_test(a_value_that_is_missing_is_no_target),
		cmocka_unit_test(a_name_cannot_leave_its_directory),
		cmocka_unit_test(what_is_no_host_is_refused),
		cmocka_unit_test(a_client_cannot_say_loopback),
		cmocka_unit_test(faults_are_found_before_a_client_comes),
	};

	return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
