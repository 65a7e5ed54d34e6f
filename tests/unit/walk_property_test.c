/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/rounds.h"
#include "tests/unit/walk_property.h"

static unsigned run(enum damage d, unsigned files)
{
	unsigned planned = 0, asked = 0, wrong;

	walk_damage = d;
	property_ask = walk_everything;
	walks = walks_led = walks_refused = walks_passed = walks_unknown = 0;
	wrong = property_run(files, 42 + (uint64_t)d, &planned, &asked);
	print_message("%u tables, %u walks: %u led, %u refused, %u passed, %u unknown; %u wrong\n",
		      planned, walks, walks_led, walks_refused, walks_passed, walks_unknown, wrong);
	assert_true(planned > files / 3);
	return wrong;
}

static void the_table_does_what_the_routes_say(void **state)
{
	(void)state;
	assert_int_equal(run(NO_DAMAGE, rounds(400)), 0);
	assert_true(walks_led > rounds(10000) && walks_refused > rounds(10000) &&
		    walks_passed > rounds(10000));
	assert_int_equal(walks_unknown, 0);
}

static void an_element_that_is_gone_shows(void **state)
{
	(void)state;
	assert_true(run(ELEMENT_GONE, 60) > 20);
}

static void an_element_that_leads_elsewhere_shows(void **state)
{
	(void)state;
	assert_true(run(ELEMENT_CHANGED, 60) > 20);
}

static void a_rule_that_is_gone_shows(void **state)
{
	(void)state;
	assert_true(run(RULE_GONE, 60) > 20);
}

static void the_walk_ends_at_a_rule_of_somebody_else(void **state)
{
	(void)state;
	assert_true(run(RULE_FOREIGN, 60) > 20);
	assert_true(walks_unknown > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_does_what_the_routes_say),
		cmocka_unit_test(an_element_that_is_gone_shows),
		cmocka_unit_test(an_element_that_leads_elsewhere_shows),
		cmocka_unit_test(a_rule_that_is_gone_shows),
		cmocka_unit_test(the_walk_ends_at_a_rule_of_somebody_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
