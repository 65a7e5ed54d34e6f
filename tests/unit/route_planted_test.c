/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The property test again, with a bug planted in the matcher: it has to find it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ROUTE_SELFTEST_MATCH
#include "dataplane/route_match.c" /* takes the place of the library's */
#include "tests/unit/route_property.h"

static void a_connection_decided_too_early_is_found(void **state)
{
	struct run run;

	(void)state;
	assert_int_not_equal(property_run(300, 60, 42, &run), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_decided_too_early_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
