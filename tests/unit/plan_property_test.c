/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/plan_property.h"
#include "tests/unit/rounds.h"

static void plan_agrees_with_the_obvious_matcher(void **state)
{
	unsigned planned = 0, asked = 0, wrong = property_run(rounds(3000), 42, &planned, &asked);

	(void)state;
	print_message("%u files planned, %u connections asked\n", planned, asked);
	assert_int_equal(wrong, 0);
	assert_true(planned > rounds(1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plan_agrees_with_the_obvious_matcher),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
