/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The property test again, with a bug planted in the order rule: it has to find it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PLAN_SELFTEST_ORDER
#include "ctl/plan/plan_order.c" /* takes the place of the library's */
#include "tests/unit/plan_property.h"

static void a_bug_in_the_order_rule_is_found(void **state)
{
	unsigned planned = 0, asked = 0;

	(void)state;
	assert_int_not_equal(property_run(300, 42, &planned, &asked), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bug_in_the_order_rule_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
