/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/service/dataplane_words.h"
#include "tests/unit/loop_fixture.h"

/* ---- what is written to standard error meanwhile ---- */

static char text[1 << 20];
static int file, before;

static void listen_in(void)
{
	char path[] = "/tmp/spctl-words-XXXXXX";

	file = mkstemp(path);
	assert_true(file >= 0);
	unlink(path);
	before = dup(STDERR_FILENO);
	dup2(file, STDERR_FILENO);
}

static unsigned lines_heard(void)
{
	unsigned n = 0;
	ssize_t len;

	dup2(before, STDERR_FILENO);
	close(before);
	len = pread(file, text, sizeof(text) - 1, 0);
	assert_true(len >= 0);
	close(file);
	text[len] = '\0';
	for (ssize_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

/* ---- tests ---- */

static void a_bucket_has_so_many_at_once_and_so_many_a_second(void **state)
{
	struct bucket b = { .burst = 3, .per_s = 2 };
	unsigned n = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		n += bucket_take(&b, 1000000);
	assert_int_equal(n, 3);
	assert_false(bucket_take(&b, 1000499));
	assert_true(bucket_take(&b, 1000500));
	assert_false(bucket_take(&b, 1000501));
	/* It holds no more than it holds. */
	for (int i = 0; i < 10; i++)
		n += bucket_take(&b, 2000000);
	assert_int_equal(n, 6);
}

static void who_says_too_much_is_left_out_and_that_is_said(void **state)
{
	struct loop *loop = loop_new(NULL);
	struct words w;
	unsigned n;

	(void)state;
	words_init(&w, loop);
	listen_in();
	for (int i = 0; i < 100000; i++)
		words_say(&w, LOG_LEVEL_WARN, "A");
	w.bucket.used_milli = 0; /* as time goes by */
	words_look(&w);
	words_look(&w);
	n = lines_heard();
	/* The loop's clock stands still, but the test's may not. */
	assert_in_range(n, WORDS_BURST + 1, WORDS_BURST + 20);
	assert_non_null(strstr(text, "spctl: warning: dataplane: A\n"));
	assert_non_null(strstr(text, " lines were left out: it says too much\n"));
	words_fini(&w);
	loop_free(loop);
}

static void put(int fd, const char *bytes)
{
	assert_int_equal(write(fd, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
}

static void its_standard_error_is_escaped_and_kept_as_the_reason(void **state)
{
	struct loop *loop = loop_new(NULL);
	struct words w;
	int fd;

	(void)state;
	words_init(&w, loop);
	fd = words_open(&w);
	assert_true(fd >= 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK));
	put(fd, "one\nspctl: warning: forged\nspctl: error: \033[31mwhy\n\nhalf");
	close(fd);
	listen_in();
	words_close(&w);
	assert_int_equal(lines_heard(), 4);
	assert_string_equal(text, "spctl: error: dataplane: one\n"
				  "spctl: error: dataplane: spctl: warning: forged\n"
				  "spctl: error: dataplane: \\x1b[31mwhy\n"
				  "spctl: error: dataplane: half\n");
	assert_string_equal(words_last(&w), "half");
	w.last_error_ms -= WORDS_NOW_MS + 1000;
	assert_string_equal(words_last(&w), "");
	/* A new process has said nothing yet. */
	fd = words_open(&w);
	assert_string_equal(w.last_error, "");
	close(fd);
	words_fini(&w);
	loop_free(loop);
}

static void lines_without_an_end_are_cut_and_nobody_waits(void **state)
{
	struct loop *loop = loop_new(NULL);
	char much[4096];
	struct words w;
	size_t sent = 0;
	ssize_t n;
	int fd;

	(void)state;
	memset(much, 'x', sizeof(much));
	words_init(&w, loop);
	fd = words_open(&w);
	while ((n = write(fd, much, sizeof(much))) > 0)
		sent += (size_t)n;
	assert_true(sent >= 4096); /* then it would wait, and does not */
	listen_in();
	loop_run_ms(loop, 100);
	close(fd);
	words_close(&w);
	assert_in_range(lines_heard(), sent / WORDS_LINE, sent / WORDS_LINE + 2);
	words_fini(&w);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_has_so_many_at_once_and_so_many_a_second),
		cmocka_unit_test(who_says_too_much_is_left_out_and_that_is_said),
		cmocka_unit_test(its_standard_error_is_escaped_and_kept_as_the_reason),
		cmocka_unit_test(lines_without_an_end_are_cut_and_nobody_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
