/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random routing tables against a matcher that knows only whole connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/rounds.h"
#include "tests/unit/route_property.h"

static void every_answer_is_that_of_trying_all_that_may_come(void **state)
{
	struct run run;

	(void)state;
	assert_int_equal(property_run(rounds(400), 60, 7, &run), 0);
	/* Of each kind, a good part. */
	for (unsigned i = 0; i < 3; i++)
		assert_true(run.answers[i] > run.asked / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_answer_is_that_of_trying_all_that_may_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
