/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ground floor: err, diags, buf, arena, text, log_escape, io. addr has a test of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/base/arena.h"
#include "ctl/base/clock.h"
#include "ctl/base/io.h"
#include "ctl/base/log.h"
#include "ctl/base/text.h"
#include "tests/unit/netns.h"

/* ---- err ---- */

static void an_error_keeps_its_innermost_place_and_grows_outwards(void **state)
{
	const struct loc inner = { "a.json", 3, 7 }, outer = { "a.json", 1, 1 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_at(&e, EINVAL, inner, "port %d is bad", 0), -EINVAL);
	assert_int_equal(err_wrap(&e, "route \"%s\"", "web"), -EINVAL);
	assert_int_equal(err_place(&e, outer, "routes[0]"), -EINVAL);
	err_hint(&e, "use %d", 80);
	assert_string_equal(e.msg, "route \"web\": port 0 is bad");
	assert_int_equal(e.loc.line, 3);
	assert_int_equal(e.loc.col, 7);
	assert_string_equal(e.hint, "use 80");
	/* Positive or negative, the code is negative. */
	assert_int_equal(err_set(&e, -ENOENT, "x"), -ENOENT);
	assert_int_equal(err_sys(&e, EACCES, "cannot open %s", "f"), -EACCES);
	assert_string_equal(e.msg, "cannot open f: Permission denied");
}

static void nobody_who_wants_the_error_is_fine(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, EINVAL, "x"), -EINVAL);
	assert_int_equal(err_sys(NULL, EINVAL, "x"), -EINVAL);
	assert_int_equal(err_at(NULL, EINVAL, LOC_NONE, "x"), -EINVAL);
	err_hint(NULL, "x");
}

static void a_sentence_that_is_too_long_is_cut_not_overrun(void **state)
{
	char text[2000];
	struct err e = { 0 };

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&e, EINVAL, "%s", text);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	err_wrap(&e, "%s", text);
	assert_true(strlen(e.msg) < sizeof(e.msg));
	err_hint(&e, "%s", text);
	assert_true(strlen(e.hint) < sizeof(e.hint));
}

static void diags_keep_twenty_errors_and_count_the_rest(void **state)
{
	struct diags d = { 0 };
	struct err e = {
		.code = -EINVAL, .loc = { "f", 2, 3 }, .path = "p", .msg = "m", .hint = "h"
	};

	(void)state;
	for (unsigned i = 0; i < 19; i++)
		diags_add(&d, DIAG_ERROR, LOC_NONE, NULL, NULL, "error %u", i);
	assert_false(diags_full(&d));
	diags_add_err(&d, &e);
	assert_true(diags_full(&d));
	diags_add(&d, DIAG_ERROR, LOC_NONE, NULL, NULL, "one too many");
	diags_add(&d, DIAG_WARNING, LOC_NONE, NULL, NULL, "still kept");
	assert_int_equal(d.errors, 21);
	assert_int_equal(d.warnings, 1);
	assert_int_equal(d.n, 21);
	assert_string_equal(d.v[19].msg, "m");
	assert_string_equal(d.v[19].path, "p");
	assert_string_equal(d.v[19].hint, "h");
	assert_int_equal(d.v[19].loc.col, 3);
	assert_string_equal(d.v[20].msg, "still kept");
	for (unsigned i = 0; i < 2 * DIAGS_MAX_WARNINGS; i++)
		diags_add(&d, DIAG_WARNING, LOC_NONE, NULL, NULL, "w");
	assert_int_equal(d.n, 20 + DIAGS_MAX_WARNINGS);
	diags_fini(&d);
}

/* ---- buf, arena ---- */

static void a_buffer_grows_and_ends_in_nul(void **state)
{
	struct buf b = { 0 };
	char *p;

	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		buf_printf(&b, "%u,", i % 10);
	assert_int_equal(b.len, 20000);
	assert_int_equal(strlen(b.data), 20000);
	buf_reset(&b);
	assert_int_equal(b.len, 0);
	buf_puts(&b, "ab");
	buf_putc(&b, 'c');
	buf_put(&b, "d\0e", 3);
	assert_int_equal(b.len, 6);
	assert_memory_equal(b.data, "abcd\0e", 6);
	p = buf_reserve(&b, 1000);
	assert_non_null(p);
	assert_ptr_equal(p, b.data + 6);
	buf_fini(&b);
	assert_null(b.data);
	buf_fini(&b);
}

static void a_buffer_that_failed_does_nothing_more(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_null(buf_reserve(&b, SIZE_MAX - 8));
	assert_true(b.failed);
	buf_puts(&b, "ignored");
	assert_int_equal(b.len, 0);
	buf_fini(&b);
}

static void arena_memory_is_zeroed_aligned_and_its_own(void **state)
{
	struct arena a = { 0 };
	char *v[1000];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		size_t n = 1 + i * 7 % 300;

		v[i] = arena_alloc(&a, n);
		assert_non_null(v[i]);
		assert_int_equal((uintptr_t)v[i] % 8, 0);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(v[i][k], 0);
		memset(v[i], (int)(i % 251) + 1, n);
	}
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal((unsigned char)v[i][i * 7 % 300], i % 251 + 1);
	assert_non_null(arena_alloc(&a, 10 << 20));
	assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
	assert_string_equal(arena_strdup(&a, ""), "");
	assert_string_equal(arena_printf(&a, "%s-%d", "x", 5), "x-5");
	assert_null(arena_alloc(&a, SIZE_MAX - 4));
	arena_fini(&a);
	arena_fini(&a);
}

/* ---- text ---- */

static void distance_counts_edits_and_swaps(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned limit, distance;
	} cases[] = {
		{ "targets", "targets", 3, 0 },
		{ "targets", "Targets", 3, 0 },
		{ "targets", "target", 3, 1 },
		{ "targets", "tragets", 3, 1 },
		{ "targets", "tarXets", 3, 1 },
		{ "abc", "", 3, 3 },
		{ "", "", 0, 0 },
		{ "abc", "xyz", 2, 3 },
		{ "abcd", "ab", 1, 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (text_distance(cases[i].a, cases[i].b, cases[i].limit) != cases[i].distance)
			fail_msg("%s, %s: %u", cases[i].a, cases[i].b,
				 text_distance(cases[i].a, cases[i].b, cases[i].limit));
}

static void the_nearest_name_is_near(void **state)
{
	static const char *const names[] = {
		"match", "action", "priority", "security", "tls", "id"
	};
	static const struct {
		const char *word, *nearest;
	} cases[] = {
		{ "macth", "match" },
		{ "acton", "action" },
		{ "prority", "priority" },
		{ "tsl", "tls" },
		{ "PRIORITY", "priority" },
		{ "xyz", NULL },
		{ "", NULL },
		{ "ie", "id" },
		{ "matching", NULL },
	};
	char longest[200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *got = text_nearest(cases[i].word, names, 6);

		if ((got != NULL) != (cases[i].nearest != NULL) ||
		    (got && strcmp(got, cases[i].nearest)))
			fail_msg("%s: %s", cases[i].word, got ? got : "nothing");
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_null(text_nearest(longest, names, 6));
}

static void one_thing_is_not_things(void **state)
{
	(void)state;
	assert_string_equal(text_plural(1), "");
	assert_string_equal(text_plural(0), "s");
	assert_string_equal(text_plural(2), "s");
	assert_string_equal(text_plural((1ull << 32) + 1), "s");
}

static void utf8_is_checked_to_the_byte(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		int bad; /* offset, -1 = valid */
	} cases[] = {
		{ "abc", 3, -1 },
		{ "\xc3\xa9", 2, -1 },
		{ "\xe6\x97\xa5", 3, -1 },
		{ "\xf0\x9f\x98\x80", 4, -1 },
		{ "\xf4\x8f\xbf\xbf", 4, -1 },
		{ "a\0b", 3, 1 },
		{ "a\x80", 2, 1 },
		{ "\xc0\x80", 2, 0 },	      /* overlong NUL */
		{ "\xe0\x80\xaf", 3, 0 },     /* overlong */
		{ "\xed\xa0\x80", 3, 0 },     /* surrogate */
		{ "\xf4\x90\x80\x80", 4, 0 }, /* above U+10FFFF */
		{ "\xf5\x80\x80\x80", 4, 0 },
		{ "ab\xe6\x97", 4, 2 }, /* cut */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t bad = 99;

		if (text_is_utf8(cases[i].bytes, cases[i].n, &bad) != (cases[i].bad < 0))
			fail_msg("%zu", i);
		if (cases[i].bad >= 0)
			assert_int_equal(bad, cases[i].bad);
	}
}

/* ---- log, clock ---- */

static void places_count_characters_and_every_kind_of_line_end(void **state)
{
	static const struct {
		const char *text;
		size_t pos;
		uint32_t line, col;
	} cases[] = {
		{ "", 0, 1, 1 },
		{ "ab", 1, 1, 2 },
		{ "ab", 2, 1, 3 },
		{ "ab", 9, 1, 3 },
		{ "a\nb", 2, 2, 1 },
		{ "a\r\nb", 3, 2, 1 },
		{ "a\rb", 2, 2, 1 },
		{ "a\r\rb\n\nc", 6, 5, 1 },
		{ "\r\n\r\nx", 4, 3, 1 },
		{ "a\n\rb", 3, 3, 1 },
		{ "\tx", 1, 1, 2 },
		{ "\xc3\xa9x", 2, 1, 2 },
		{ "\xf0\x9f\x98\x80\xe2\x82\xacx", 7, 1, 3 },
		{ "0123456789abcdef\r\n0123456789abcdef", 30, 2, 13 },
		{ "0123456789\xc3\xa9"
		  "abcdefghijklm",
		  20, 1, 20 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct text_place p = text_place_start(cases[i].text, strlen(cases[i].text));

		text_place_move(&p, cases[i].pos);
		if (p.line != cases[i].line || p.col != cases[i].col)
			fail_msg("case %zu: %u:%u", i, p.line, p.col);
	}
}

/* In steps of any length, forwards and back, the place is the same. */
static void a_place_does_not_depend_on_the_way_to_it(void **state)
{
	static const char text[] =
		"{\r\n\t\"a\": \"\xc3\xa9 \xe2\x82\xac\",\r\r\n"
		"        \"long enough for a run\": 1,\n\n\"b\":\x7f\x0f\x10 2}\r";
	struct text_place once, steps;

	(void)state;
	for (size_t step = 1; step < 20; step++) {
		steps = text_place_start(text, sizeof(text) - 1);
		for (size_t pos = 0; pos < sizeof(text); pos += step) {
			once = text_place_start(text, sizeof(text) - 1);
			text_place_move(&once, pos);
			text_place_move(&steps, pos);
			assert_memory_equal(&once, &steps, sizeof(once));
		}
	}
	for (size_t from = 0; from < sizeof(text); from++) {
		for (size_t to = 0; to < sizeof(text); to++) {
			once = steps = text_place_start(text, sizeof(text) - 1);
			text_place_move(&once, to);
			text_place_move(&steps, from);
			text_place_move(&steps, to);
			assert_memory_equal(&once, &steps, sizeof(once));
		}
	}
	text_place_move(&once, 3);
	assert_int_equal(once.line, 2);
	assert_int_equal(once.col, 1);
}

static void a_late_line_is_found_in_one_pass(void **state)
{
	enum { LINES = 1000000 };
	char *text = malloc(2 * LINES);
	size_t len;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < LINES; i++)
		memcpy(text + 2 * i, "#\r", 2);
	alarm(60);
	for (unsigned i = 0; i < 20; i++) {
		assert_ptr_equal(text_line(text, 2 * LINES, LINES, &len), text + 2 * (LINES - 1));
		assert_int_equal(len, 1);
	}
	alarm(0);
	free(text);
}

static void lines_are_found_whatever_ends_them(void **state)
{
	static const struct {
		const char *text;
		uint32_t line;
		const char *want;
	} cases[] = {
		{ "a\nbc\n", 1, "a" },	 { "a\nbc\n", 2, "bc" }, { "a\nbc\n", 3, "" },
		{ "a\nbc\n", 4, NULL },	 { "a\r\nbc", 2, "bc" }, { "a\r\nbc", 1, "a" },
		{ "a\rbc\rd", 2, "bc" }, { "a\rbc\rd", 3, "d" }, { "a\r\r\nd", 2, "" },
		{ "a\r\r\nd", 3, "d" },	 { "", 1, "" },		 { "", 2, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = 0;
		const char *s =
			text_line(cases[i].text, strlen(cases[i].text), cases[i].line, &len);

		assert_int_equal(s == NULL, cases[i].want == NULL);
		if (s && (len != strlen(cases[i].want) || memcmp(s, cases[i].want, len)))
			fail_msg("case %zu: %.*s", i, (int)len, s);
	}
}

static void foreign_bytes_are_escaped_and_cut(void **state)
{
	char out[64], small[10];

	(void)state;
	assert_string_equal(log_escape("ab c~", 5, out, sizeof(out)), "ab c~");
	assert_string_equal(log_escape("\x1b[2J\r\n\0", 7, out, sizeof(out)),
			    "\\x1b[2J\\x0d\\x0a\\x00");
	assert_string_equal(log_escape("a\\b\x7f\xff", 5, out, sizeof(out)), "a\\x5cb\\x7f\\xff");
	assert_string_equal(log_escape("", 0, out, sizeof(out)), "");
	log_escape("abcdefghijklmnop", 16, small, sizeof(small));
	assert_true(strlen(small) < sizeof(small));
	assert_string_equal(small + strlen(small) - 3, "...");
	for (size_t cap = 1; cap < 20; cap++) {
		memset(out, 'X', sizeof(out));
		log_escape("\xff\xfe\xfd\xfc\xfb", 5, out, cap);
		assert_true(strlen(out) < cap);
		assert_int_equal(out[cap], 'X');
	}
}

static void time_is_written_in_utc(void **state)
{
	char out[24];

	(void)state;
	assert_string_equal(clock_format_utc(0, out), "1970-01-01T00:00:00Z");
	assert_string_equal(clock_format_utc(1795505400999ll, out), "2026-11-24T07:30:00Z");
}

/* ---- io ---- */

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[4][128];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, 128, "%s/%s", dir, name);
	return p;
}

static void files_are_read_whole_up_to_a_limit(void **state)
{
	static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 200000, 1 << 20 };
	char *data = calloc(1, (1 << 20) + 1);
	struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < (1 << 20) + 1; i++)
		data[i] = (char)(i * 31);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		assert_int_equal(io_write_file_fast(in_dir("f"), data, sizes[i], 0640, &e), 0);
		assert_int_equal(io_read_file(in_dir("f"), 1 << 20, &b, &e), 0);
		assert_int_equal(b.len, sizes[i]);
		assert_memory_equal(b.data, data, sizes[i]);
	}
	assert_int_equal(io_write_file_fast(in_dir("f"), data, (1 << 20) + 1, 0640, &e), 0);
	assert_int_equal(io_read_file(in_dir("f"), 1 << 20, &b, &e), -EFBIG);
	assert_non_null(strstr(e.msg, in_dir("f")));
	assert_non_null(strstr(e.msg, "is larger than 1 MiB"));
	buf_fini(&b);
	free(data);
}

static void what_is_no_file_is_said_so(void **state)
{
	struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(io_read_file(in_dir("missing"), 100, &b, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "cannot open"));
	assert_non_null(strstr(e.msg, "missing"));
	assert_non_null(e.loc.file);
	assert_string_equal(e.loc.file, in_dir("missing"));
	assert_int_equal(io_read_file(dir, 100, &b, &e), -EISDIR);
	assert_non_null(strstr(e.msg, "is a directory, not a file"));
	/* A FIFO that nobody writes to must not hang us. */
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_int_equal(io_read_file(in_dir("fifo"), 100, &b, &e), 0);
	assert_int_equal(b.len, 0);
	buf_fini(&b);
}

static void *write_slowly(void *arg)
{
	int fd = *(const int *)arg;

	for (unsigned i = 0; i < 5; i++) {
		clock_sleep_ms(10);
		if (write(fd, "0123456789", 10) != 10)
			break;
	}
	close(fd);
	return NULL;
}

static void a_pipe_is_read_to_its_end(void **state)
{
	static char path[128];
	struct buf b = { 0 };
	struct err e = { 0 };
	pthread_t t;
	int hold, fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/pipe", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	hold = open(path, O_RDWR | O_CLOEXEC); /* so that the writer need not wait for the reader */
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pthread_create(&t, NULL, write_slowly, &fd), 0);
	close(hold);
	assert_int_equal(io_read_file(path, 1000, &b, &e), 0);
	assert_int_equal(b.len, 50);
	pthread_join(t, NULL);
	buf_fini(&b);
}

static void a_written_file_is_whole_or_not_there(void **state)
{
	struct stat st;
	struct buf b = { 0 };
	struct err e = { 0 };
	char text[16];

	(void)state;
	umask(022);
	assert_int_equal(io_write_file(in_dir("w"), "one", 3, 0600, &e), 0);
	assert_int_equal(stat(in_dir("w"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* A symbolic link is replaced, not followed. */
	assert_int_equal(symlink("w", in_dir("link")), 0);
	assert_int_equal(io_write_file(in_dir("link"), "two", 3, 0600, &e), 0);
	assert_int_equal(io_read_file(in_dir("w"), 100, &b, &e), 0);
	assert_string_equal(b.data, "one");
	assert_int_equal(io_write_file("/nonexistent/x", "a", 1, 0600, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "cannot create /nonexistent/x"));
	assert_int_equal(io_write_text(in_dir("w"), "value\n", &e), 0);
	assert_int_equal(io_read_text(in_dir("w"), text, sizeof(text), &e), 0);
	assert_string_equal(text, "value");
	buf_fini(&b);
}

static void a_full_disk_leaves_the_old_file(void **state)
{
	static char big[1 << 20];
	char path[128], options[64] = "size=64k";
	struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	ns_need();
	snprintf(path, sizeof(path), "%s/full", ns_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mount("tmpfs", path, "tmpfs", 0, options), 0);
	strcat(path, "/f");
	assert_int_equal(io_write_file(path, "old", 3, 0600, &e), 0);
	assert_int_equal(io_write_file(path, big, sizeof(big), 0600, &e), -ENOSPC);
	assert_non_null(strstr(e.msg, "No space left on device"));
	assert_non_null(strstr(e.msg, path));
	assert_int_equal(io_read_file(path, 100, &b, &e), 0);
	assert_string_equal(b.data, "old");
	/* What was begun is gone: there is room again. */
	assert_int_equal(io_write_file(path, big, 32768, 0600, &e), 0);
	buf_fini(&b);
}

static void directories_are_made_with_their_parents(void **state)
{
	struct stat st;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(io_mkdirs(in_dir("p/q/r"), 0700, &e), 0);
	assert_int_equal(stat(in_dir("p/q/r"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(io_mkdirs(in_dir("p/q/r"), 0700, &e), 0);
	assert_int_equal(io_write_file_fast(in_dir("p/file"), "", 0, 0600, &e), 0);
	assert_int_equal(io_mkdirs(in_dir("p/file/x"), 0700, &e), -ENOTDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_keeps_its_innermost_place_and_grows_outwards),
		cmocka_unit_test(nobody_who_wants_the_error_is_fine),
		cmocka_unit_test(a_sentence_that_is_too_long_is_cut_not_overrun),
		cmocka_unit_test(diags_keep_twenty_errors_and_count_the_rest),
		cmocka_unit_test(a_buffer_grows_and_ends_in_nul),
		cmocka_unit_test(a_buffer_that_failed_does_nothing_more),
		cmocka_unit_test(arena_memory_is_zeroed_aligned_and_its_own),
		cmocka_unit_test(distance_counts_edits_and_swaps),
		cmocka_unit_test(the_nearest_name_is_near),
		cmocka_unit_test(one_thing_is_not_things),
		cmocka_unit_test(utf8_is_checked_to_the_byte),
		cmocka_unit_test(places_count_characters_and_every_kind_of_line_end),
		cmocka_unit_test(a_place_does_not_depend_on_the_way_to_it),
		cmocka_unit_test(a_late_line_is_found_in_one_pass),
		cmocka_unit_test(lines_are_found_whatever_ends_them),
		cmocka_unit_test(foreign_bytes_are_escaped_and_cut),
		cmocka_unit_test(time_is_written_in_utc),
		cmocka_unit_test(files_are_read_whole_up_to_a_limit),
		cmocka_unit_test(what_is_no_file_is_said_so),
		cmocka_unit_test(a_pipe_is_read_to_its_end),
		cmocka_unit_test(a_written_file_is_whole_or_not_there),
		cmocka_unit_test(a_full_disk_leaves_the_old_file),
		cmocka_unit_test(directories_are_made_with_their_parents),
	};
	char command[128];
	int rc;

	ns_enter();
	snprintf(dir, sizeof(dir), "/tmp/spctl-base-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	rc = cmocka_run_group_tests_name("base", tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	rc |= system(command);
	ns_leave();
	return rc;
}
