/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tags of targets: stable, distinct within a route, also where two hashes meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/plan/plan_internal.h"

static struct cfg_target port_80 = { .port_kind = PORT_FIXED, .port = 80 };
static struct cfg_target port_81 = { .port_kind = PORT_FIXED, .port = 81 };
static struct cfg_target preserve = { .port_kind = PORT_PRESERVE };

static struct plan_target target(uint32_t address, const struct cfg_target *t)
{
	struct plan_target pt = { .addr = { .family = ADDR_V4 }, .target = t };
	uint32_t be = htonl(address);

	memcpy(pt.addr.bytes, &be, sizeof(be));
	return pt;
}

static uint32_t tag_alone(struct plan_target t)
{
	struct plan_route r = { .targets = &t, .n_targets = 1 };

	assert_int_equal(plan_tag_targets(&r), 0);
	assert_int_not_equal(t.tag, 0);
	return t.tag;
}

static void a_target_keeps_its_tag_beside_others(void **state)
{
	struct plan_target v[] = { target(1, &port_80), target(2, &port_80), target(1, &port_81),
				   target(1, &preserve), target(1, &port_80) };
	struct plan_route r = { .targets = v, .n_targets = 5 };

	(void)state;
	assert_int_equal(plan_tag_targets(&r), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(v[i].tag, tag_alone(v[i]));
	assert_int_equal(v[0].tag, v[4].tag); /* the same target twice */
	for (unsigned i = 0; i < 4; i++)
		for (unsigned k = 0; k < i; k++)
			assert_int_not_equal(v[i].tag, v[k].tag);
}

struct seen {
	uint32_t tag, address;
};

static int seen_cmp(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	return (x->tag > y->tag) - (x->tag < y->tag);
}

#define MANY 400000u /* about 18 pairs are expected to meet in 32 bits */

static void targets_that_meet_get_other_tags(void **state)
{
	struct seen *v = calloc(MANY, sizeof(*v));
	unsigned met = 0;

	(void)state;
	assert_non_null(v);
	for (uint32_t i = 0; i < MANY; i++)
		v[i] = (struct seen){ tag_alone(target(0x0a000000 + 977 * i, &port_80)),
				      0x0a000000 + 977 * i };
	qsort(v, MANY, sizeof(*v), seen_cmp);
	for (uint32_t i = 1; i < MANY; i++) {
		struct plan_target two[] = { target(v[i - 1].address, &port_80),
					     target(v[i].address, &port_80) };
		struct plan_route r = { .targets = two, .n_targets = 2 };

		if (v[i].tag != v[i - 1].tag)
			continue;
		met++;
		assert_int_equal(plan_tag_targets(&r), 0);
		assert_int_not_equal(two[0].tag, two[1].tag);
		assert_int_not_equal(two[0].tag, 0);
	}
	free(v);
	if (met < 3)
		fail_msg("only %u pairs met: the test tests nothing", met);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_target_keeps_its_tag_beside_others),
		cmocka_unit_test(targets_that_meet_get_other_tags),
	};

	return cmocka_run_group_tests_name("plan_tag", tests, NULL, NULL);
}
