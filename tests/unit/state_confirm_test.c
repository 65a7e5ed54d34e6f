/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What N.json says of its confirmation: back as written, and what is damaged is never "confirmed".
 */
#include <jansson.h>

#include "ctl/state/state_confirm.h"
#include "ctl/state/state_meta.h"
#include "tests/unit/state_fixture.h"

#define BOOT "11111111-2222-4333-8444-555555555555"
#define HEAD "{\"generation\": 7, \"timeMs\": 1, \"file\": \"f\", \"table\": \"t\", \"names\": []"

static int parse(const char *text, struct state_meta *m)
{
	union {
		const char *constant;
		char *text;
	} bytes = { text };
	const struct buf b = { .data = bytes.text, .len = strlen(text) };
	struct err e = { 0 };

	return state_meta_parse("7.json", &b, 7, m, &e);
}

static void what_was_written_is_read(void **unused)
{
	char file[] = "f", table[] = "t";

	(void)unused;
	for (int p = STATE_CONFIRM_NONE; p <= STATE_CONFIRM_GIVEN; p++) {
		struct state_meta m = { .generation = 7,
					.file = file,
					.table = table,
					.copy_of = 3,
					.routes = 12,
					.confirm = { .phase = (enum state_confirm_phase)p,
						     .previous = 6,
						     .deadline_ms = 123456789012,
						     .boot = BOOT,
						     .decided_ms = 1700000000123 } };
		struct state_meta got = { 0 };
		struct buf b = { 0 };
		struct err e = { 0 };

		assert_int_equal(state_meta_format(&m, &b, &e), 0);
		assert_int_equal(parse(b.data, &got), 0);
		assert_int_equal(got.copy_of, 3);
		assert_int_equal(got.routes, 12);
		assert_int_equal(got.confirm.phase, p);
		if (p != STATE_CONFIRM_NONE) {
			assert_int_equal(got.confirm.previous, 6);
			assert_true(got.confirm.deadline_ms == 123456789012);
			assert_true(got.confirm.decided_ms == 1700000000123);
			assert_string_equal(got.confirm.boot, BOOT);
		}
		state_meta_fini(&got);
		buf_fini(&b);
	}
}

static void files_of_the_first_version_are_confirmed(void **unused)
{
	struct state_meta m = { 0 };

	(void)unused;
	assert_int_equal(parse(HEAD "}", &m), 0);
	assert_int_equal(m.confirm.phase, STATE_CONFIRM_NONE);
	assert_int_equal(m.routes, -1);
	assert_int_equal(m.copy_of, 0);
	state_meta_fini(&m);
}

static void damage_is_never_a_confirmation(void **unused)
{
	static const char *const bad[] = {
		"null",
		"\"waiting\"",
		"{}",
		"[]",
		"{\"phase\": \"waiting\"}",
		"{\"phase\": \"confirmed\"}",
		"{\"phase\": \"\", \"previous\": 6, \"deadlineMs\": 5, \"boot\": \"b\", "
		"\"decidedMs\": 0}",
		"{\"phase\": \"Waiting\", \"previous\": 6, \"deadlineMs\": 5, \"boot\": \"b\", "
		"\"decidedMs\": 0}",
		"{\"phase\": \"waiting\", \"previous\": 7, \"deadlineMs\": 5, \"boot\": \"b\", "
		"\"decidedMs\": 0}",
		"{\"phase\": \"waiting\", \"previous\": -1, \"deadlineMs\": 5, \"boot\": \"b\", "
		"\"decidedMs\": 0}",
		"{\"phase\": \"waiting\", \"previous\": \"6\", \"deadlineMs\": 5, \"boot\": \"b\", "
		"\"decidedMs\": 0}",
		"{\"phase\": \"waiting\", \"previous\": 6, \"deadlineMs\": -5, \"boot\": \"b\", "
		"\"decidedMs\": 0}",
		"{\"phase\": \"waiting\", \"previous\": 6, \"deadlineMs\": 1.5, \"boot\": \"b\", "
		"\"decidedMs\": 0}",
		"{\"phase\": \"waiting\", \"previous\": 6, \"deadlineMs\": 5, \"boot\": \"\", "
		"\"decidedMs\": 0}",
		"{\"phase\": \"waiting\", \"previous\": 6, \"deadlineMs\": 5, \"boot\": "
		"\"" BOOT BOOT "\", \"decidedMs\": 0}",
		"{\"phase\": \"waiting\", \"previous\": 6, \"deadlineMs\": 5, \"boot\": \"b\", "
		"\"decidedMs\": 0, \"more\": 1}",
		"{\"phase\": \"waiting\", \"previous\": 6, \"deadlineMs\": 5, \"boot\": \"b\", "
		"\"decidedMs\": 0.5}",
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct state_meta m = { 0 };
		char text[512];

		snprintf(text, sizeof(text), HEAD ", \"confirm\": %s}", bad[i]);
		if (parse(text, &m) != -EBADMSG)
			fail_msg("taken: %s", text);
	}
}

static void a_truncated_file_is_damaged_at_every_byte(void **unused)
{
	static const char whole[] =
		HEAD ", \"copyOf\": 2, \"routes\": 1, \"confirm\": {\"phase\": \"waiting\", "
		     "\"previous\": 6, \"deadlineMs\": 5, \"boot\": \"b\", \"decidedMs\": 0}}";
	struct state_meta m = { 0 };
	char text[sizeof(whole)];

	(void)unused;
	assert_int_equal(parse(whole, &m), 0);
	assert_int_equal(m.confirm.phase, STATE_CONFIRM_WAITING);
	state_meta_fini(&m);
	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		memcpy(text, whole, n);
		text[n] = '\0';
		if (parse(text, &m) != -EBADMSG)
			fail_msg("taken: %s", text);
	}
}

static void time_counts_on_one_boot_only(void **unused)
{
	struct state_confirm c = {
		.phase = STATE_CONFIRM_WAITING, .previous = 6, .deadline_ms = 10000, .boot = BOOT
	};

	(void)unused;
	assert_true(state_confirm_is_open(&c));
	assert_int_equal(state_confirm_left_ms(&c, BOOT, 9000), 1000);
	assert_int_equal(state_confirm_left_ms(&c, BOOT, 10000), 0);
	assert_int_equal(state_confirm_left_ms(&c, BOOT, 99999), 0);
	/* After a reboot the clock starts anew: the number means nothing. */
	assert_int_equal(state_confirm_left_ms(&c, "another boot", 10), 0);
	/* Decided, and not finished: at once. */
	c.phase = STATE_CONFIRM_TAKEN_BACK;
	assert_true(state_confirm_is_open(&c));
	assert_int_equal(state_confirm_left_ms(&c, BOOT, 10), 0);
	c.phase = STATE_CONFIRM_GIVEN;
	assert_false(state_confirm_is_open(&c));
	c.phase = STATE_CONFIRM_NONE;
	assert_false(state_confirm_is_open(&c));
}

static void prune_keeps_what_would_come_back(void **unused)
{
	char file[] = "f", table[] = "t";
	struct state_meta m = { .generation = 30,
				.file = file,
				.table = table,
				.confirm = { .phase = STATE_CONFIRM_WAITING,
					     .previous = 3,
					     .deadline_ms = 1,
					     .boot = BOOT } };
	struct err e = { 0 };
	struct state s;
	uint32_t *v;
	size_t n;

	(void)unused;
	ns_need();
	open_ok(&s);
	for (uint32_t g = 1; g < 30; g++)
		write_generation(&s, g, "x");
	assert_int_equal(state_write_generation(&s, &m, "x", 1, &e), 0);
	assert_int_equal(state_set_live(&s, 30, &e), 0);
	assert_int_equal(state_prune(&s, &e), 0);
	assert_int_equal(state_generations(&s, &v, &n, &e), 0);
	/* Ten confirmed ones, what waits, and what comes back. */
	assert_int_equal(n, 12);
	assert_int_equal(v[0], 3);
	assert_int_equal(v[1], 20);
	free(v);
	state_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_was_written_is_read, setup),
		cmocka_unit_test_setup(files_of_the_first_version_are_confirmed, setup),
		cmocka_unit_test_setup(damage_is_never_a_confirmation, setup),
		cmocka_unit_test_setup(a_truncated_file_is_damaged_at_every_byte, setup),
		cmocka_unit_test_setup(time_counts_on_one_boot_only, setup),
		cmocka_unit_test_setup(prune_keeps_what_would_come_back, setup),
	};
	int failed;

	ns_enter();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	ns_leave();
	return failed;
}
