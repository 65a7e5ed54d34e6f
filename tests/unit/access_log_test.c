// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lines of connections: their form with hostile names in them, and what a reader that is slow,
 * stopped or gone costs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/base/clock.h"
#include "dataplane/access_log.h"
#include "tests/unit/loop_fixture.h"

static struct access_record record(void)
{
	struct access_record r = { .at_ms = 1764142200123,
				   .route = "web",
				   .target = "10.0.0.1:443",
				   .sni = "a.test",
				   .sni_len = 6,
				   .client_port = 40000,
				   .local_port = 443,
				   .bytes_up = 12,
				   .bytes_down = 3456,
				   .duration_ms = 789,
				   .reason = "",
				   .mover = "splice" };

	addr_parse("192.0.2.7", &r.client);
	addr_parse("fd00::1", &r.local);
	return r;
}

static const char *format(const struct access_record *r, bool json)
{
	static char out[ACCESS_LINE_MAX + 1];
	size_t n = access_log_format(r, json, out, sizeof(out));

	assert_true(n && n <= ACCESS_LINE_MAX);
	assert_int_equal(strlen(out), n);
	assert_int_equal(strchr(out, '\n') - out, n - 1); /* one line */
	return out;
}

static void a_line_says_all_of_it(void **state)
{
	struct access_record r = record();

	(void)state;
	assert_string_equal(format(&r, false),
			    "2025-11-26T07:30:00.123Z route=web client=192.0.2.7:40000 "
			    "local=[fd00::1]:443 sni=a.test target=10.0.0.1:443 up=12 down=3456 "
			    "ms=789 reason=- mover=splice\n");
	assert_string_equal(format(&r, true),
			    "{\"time\":\"2025-11-26T07:30:00.123Z\",\"route\":\"web\","
			    "\"client\":\"192.0.2.7:40000\",\"local\":\"[fd00::1]:443\","
			    "\"sni\":\"a.test\",\"target\":\"10.0.0.1:443\",\"up\":12,"
			    "\"down\":3456,\"ms\":789,\"reason\":\"\",\"mover\":\"splice\"}\n");
}

static void what_is_not_there_is_a_dash(void **state)
{
	const struct access_record none = { .reason = "no-route", .duration_ms = -1 };

	(void)state;
	assert_string_equal(format(&none, false),
			    "1970-01-01T00:00:00.000Z route=- client=- local=- sni=- target=- up=0 "
			    "down=0 ms=0 reason=no-route mover=-\n");
}

static void a_name_cannot_forge_a_field(void **state)
{
	static const struct {
		const char *sni;
		const char *text, *json; /* as they stand in the line; JSON: decoded */
	} cases[] = {
		{ "a target=evil", " sni=a\\x20target=evil target=", "a target=evil" },
		{ "a\nb", " sni=a\\x0ab ", "a\\x0ab" },
		{ "-", " sni=\\x2d ", "-" },
		{ "\"}", " sni=\\x22} ", "\"}" },
		{ "\\", " sni=\\x5c ", "\\x5c" },
		{ "\xff\xc3\xa4", " sni=\\xff\\xc3\\xa4 ", "\\xff\\xc3\\xa4" },
		{ "\x7f\x1b[2J", " sni=\\x7f\\x1b[2J ", "\\x7f\\x1b[2J" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct access_record r = record();
		json_t *j;

		r.sni = cases[i].sni;
		r.sni_len = strlen(cases[i].sni);
		if (!strstr(format(&r, false), cases[i].text))
			fail_msg("%zu: %s", i, format(&r, false));
		j = json_loads(format(&r, true), JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(j);
		assert_string_equal(json_string_value(json_object_get(j, "sni")), cases[i].json);
		json_decref(j);
	}
}

static void names_of_the_file_stay_utf8_in_json(void **state)
{
	struct access_record r = record();
	json_t *j;

	(void)state;
	r.route = "f\xc3\xbcr \xf0\x9f\x90\x9f \x01";
	j = json_loads(format(&r, true), 0, NULL);
	assert_string_equal(json_string_value(json_object_get(j, "route")),
			    "f\xc3\xbcr \xf0\x9f\x90\x9f \\x01");
	json_decref(j);
	r.route = "f\xc3"; /* not UTF-8 */
	j = json_loads(format(&r, true), 0, NULL);
	assert_string_equal(json_string_value(json_object_get(j, "route")), "f\\xc3");
	json_decref(j);
}

/* Whatever the bytes are: it is JSON, all fields are in it, and the text has as many words. */
static void any_bytes_make_one_whole_line(void **state)
{
	static char sni[5000], route[5001];
	unsigned seed = 1;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		struct access_record r = record();
		unsigned blanks = 0;
		json_t *j;

		r.sni_len = (size_t)rand_r(&seed) % (round % 10 ? 300 : sizeof(sni));
		for (size_t i = 0; i < r.sni_len; i++)
			sni[i] = (char)(round % 3 ? rand_r(&seed) : "\"\\\n\xf0\x9f "[i % 6]);
		memset(route, 0, sizeof(route));
		memcpy(route, sni, r.sni_len);
		r.sni = sni;
		r.route = r.target = r.reason = r.mover = route;
		j = json_loads(format(&r, true), JSON_REJECT_DUPLICATES, NULL);
		if (!j || json_object_size(j) != 11)
			fail_msg("round %u: %s", round, format(&r, true));
		json_decref(j);
		for (const char *p = format(&r, false); *p; p++) {
			blanks += *p == ' ';
			assert_true(*p == '\n' || (*p >= 0x20 && *p < 0x7f));
		}
		assert_int_equal(blanks, 10);
	}
}

static void long_values_end_in_dots(void **state)
{
	static char name[3000];
	struct access_record r = record();

	(void)state;
	memset(name, 0xff, sizeof(name) - 1);
	r.sni = name;
	r.sni_len = sizeof(name) - 1;
	assert_non_null(strstr(format(&r, false), "\\xff... target=10.0.0.1:443 "));
	assert_non_null(strstr(format(&r, true), "\\xff...\",\"target\""));
	for (size_t i = 0; i + 2 < sizeof(name); i += 2)
		memcpy(name + i, "\xc3\xa4", 2);
	name[2998] = '\0';
	r.route = name;
	assert_non_null(strstr(format(&r, true), "\xc3\xa4...\",\"client\""));
}

static void a_buffer_that_is_too_small_gets_nothing(void **state)
{
	char out[ACCESS_LINE_MAX + 1] = "x";
	struct access_record r = record();

	(void)state;
	assert_int_equal(access_log_format(&r, false, out, ACCESS_LINE_MAX), 0);
	assert_string_equal(out, "x");
}

/* ---- the lines of workers ---- */

static struct loop *loop;
static int p[2];

static int setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	loop = loop_new(&e);
	return loop ? pipe2(p, O_CLOEXEC | O_NONBLOCK) : -1;
}

static int teardown(void **state)
{
	(void)state;
	loop_free(loop);
	close(p[1]);
	return p[0] >= 0 ? close(p[0]) : 0;
}

static struct access_log *log_open(void)
{
	struct err e = { 0 };
	struct access_log *a = access_log_new(loop, p[1], true, &e);

	if (!a)
		fail_msg("%s", e.msg);
	return a;
}

/* Reads what is there; each line has to be whole. Returns how many. */
static unsigned lines_read(void)
{
	static char line[ACCESS_LINE_MAX * 2], bytes[65536];
	static size_t len;
	unsigned lines = 0;
	ssize_t n;

	while ((n = read(p[0], bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < n; i++) {
			assert_true(len < sizeof(line));
			line[len++] = bytes[i];
			if (bytes[i] != '\n')
				continue;
			json_decref(json_loadb(line, len, 0, NULL));
			assert_true(line[0] == '{' && line[len - 2] == '}');
			lines++;
			len = 0;
		}
	return lines;
}

static void lines_arrive_without_more_of_them(void **state)
{
	struct access_log *a = log_open();
	struct access_record r = record();
	int64_t until_ms = clock_mono_ms() + 5000;
	unsigned got = 0;

	(void)state;
	access_log_put(a, &r);
	assert_int_equal(lines_read(), 0); /* not one write for each */
	while (!got && clock_mono_ms() < until_ms) {
		loop_run_ms(loop, 10);
		got = lines_read();
	}
	assert_int_equal(got, 1);
	access_log_put(a, &r);
	access_log_free(a);
	assert_int_equal(lines_read(), 1);
}

static void a_stopped_reader_costs_lines_and_no_time(void **state)
{
	struct access_log *a = log_open(), *b = log_open();
	struct access_record r = record();
	int64_t start_ms = clock_mono_ms();
	unsigned got = 0, put = 0;

	(void)state;
	for (; put < 4000; put += 2) {
		r.bytes_up = put;
		access_log_put(a, &r);
		access_log_put(b, &r);
		if (put % 100 == 0)
			loop_run_ms(loop, 0);
	}
	assert_true(clock_mono_ms() - start_ms < 5000);
	assert_true(access_log_dropped(a) > 0 && access_log_dropped(b) > 0);
	for (unsigned i = 0; i < 300; i++) { /* it goes on */
		got += lines_read();
		loop_run_ms(loop, 2);
	}
	assert_int_equal(got + access_log_dropped(a) + access_log_dropped(b), put);
	assert_true(got > 500);
	access_log_put(a, &r);
	access_log_free(a);
	access_log_free(b);
	assert_int_equal(lines_read(), 1);
}

static void a_reader_that_is_gone_is_not_waited_for(void **state)
{
	struct access_log *a = log_open();
	struct access_record r = record();

	(void)state;
	close(p[0]);
	p[0] = -1;
	for (unsigned i = 0; i < 1000; i++)
		access_log_put(a, &r);
	loop_run_ms(loop, 300);
	assert_int_equal(access_log_dropped(a), 1000);
	access_log_free(a);
}

static void a_descriptor_that_waits_is_refused(void **state)
{
	char path[] = "/tmp/access_log_test.XXXXXX";
	int file = mkstemp(path);
	struct access_record r = record();
	struct access_log *a;
	struct err e = { 0 };

	(void)state;
	unlink(path);
	fcntl(p[1], F_SETFL, 0);
	assert_null(access_log_new(loop, p[1], true, &e));
	assert_int_equal(e.code, -EINVAL);
	assert_null(access_log_new(loop, -1, true, &e));
	assert_int_equal(e.code, -EBADF);
	a = access_log_new(loop, file, true, &e);
	assert_non_null(a);
	for (unsigned i = 0; i < 1000; i++)
		access_log_put(a, &r);
	access_log_free(a);
	assert_int_equal(lseek(file, 0, SEEK_CUR), 1000 * strlen(format(&r, true)));
	close(file);
}

#define with_pipe(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_says_all_of_it),
		cmocka_unit_test(what_is_not_there_is_a_dash),
		cmocka_unit_test(a_name_cannot_forge_a_field),
		cmocka_unit_test(names_of_the_file_stay_utf8_in_json),
		cmocka_unit_test(any_bytes_make_one_whole_line),
		cmocka_unit_test(long_values_end_in_dots),
		cmocka_unit_test(a_buffer_that_is_too_small_gets_nothing),
		with_pipe(lines_arrive_without_more_of_them),
		with_pipe(a_stopped_reader_costs_lines_and_no_time),
		with_pipe(a_reader_that_is_gone_is_not_waited_for),
		with_pipe(a_descriptor_that_waits_is_refused),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
