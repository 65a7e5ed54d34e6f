/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Aligned columns: nothing is wider than TABLE_WIDTH, and no character is cut in two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ctl/base/text.h"
#include "ctl/cli/table.h"

static const char *const head3[] = { "NAME", "B", "LAST" };

static char *printed(struct table *t)
{
	static char *text;
	size_t len = 0;
	FILE *f;

	free(text);
	text = NULL;
	f = open_memstream(&text, &len);
	table_print(t, f);
	fclose(f);
	table_fini(t);
	return text;
}

/* Characters of the widest line. */
static size_t widest(const char *text)
{
	size_t best = 0, n = 0;

	for (; *text; text++) {
		n = *text == '\n' ? 0 : n + (((unsigned char)*text & 0xc0) != 0x80);
		best = n > best ? n : best;
	}
	return best;
}

static void columns_are_as_wide_as_they_must_be(void **state)
{
	struct table t;

	(void)state;
	table_init(&t, 3, head3);
	table_cell(&t, "web");
	table_cell(&t, NULL);
	table_cellf(&t, "%d", 12);
	table_cell(&t, "a-longer-name");
	table_cell(&t, "");
	table_cell(&t, "x");
	assert_string_equal(printed(&t), "NAME           B  LAST\n"
					 "web            -  12\n"
					 "a-longer-name  -  x\n");
}

static void the_widest_column_is_cut(void **state)
{
	char longest[400];
	struct table t;
	char *out;

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	table_init(&t, 3, head3);
	table_cell(&t, "short");
	table_cell(&t, longest);
	table_cell(&t, "end");
	out = printed(&t);
	assert_int_equal(widest(out), TABLE_WIDTH);
	assert_non_null(strstr(out, "short  xxx"));
	assert_non_null(strstr(out, "xxx...  end\n"));

	table_init(&t, 3, head3);
	for (unsigned i = 0; i < 3; i++)
		table_cell(&t, longest);
	out = printed(&t);
	assert_int_equal(widest(out), TABLE_WIDTH);
	assert_int_equal(out[strlen(out) - 2], '.');
}

static void what_fits_exactly_is_not_cut(void **state)
{
	char text[TABLE_WIDTH + 1];
	static const char *const one[] = { "A" };
	struct table t;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[TABLE_WIDTH] = '\0';
	table_init(&t, 1, one);
	table_cell(&t, text);
	assert_null(strstr(printed(&t), "..."));
}

/* Terminal columns of the widest line: in these texts three bytes are a character of two columns.
 */
static size_t widest_columns(const char *out)
{
	size_t best = 0, now = 0;

	for (; *out; out++) {
		unsigned char c = (unsigned char)*out;

		if (c == '\n')
			now = 0;
		else if ((c & 0xc0) != 0x80)
			now += c >= 0xe0 ? 2 : 1;
		best = now > best ? now : best;
	}
	return best;
}

static void columns_are_counted_and_no_character_cut_in_two(void **state)
{
	char text[1024] = "";
	struct table t;
	size_t bad = 0;
	char *out;

	(void)state;
	for (unsigned i = 0; i < 120; i++)
		strcat(text, i % 2 ? "é" : "日");
	table_init(&t, 3, head3);
	table_cell(&t, text);
	table_cell(&t, "ü");
	table_cell(&t, text);
	table_cell(&t, "ab");
	table_cell(&t, "y");
	table_cell(&t, "z");
	out = printed(&t);
	assert_in_range(widest_columns(out), TABLE_WIDTH - 1, TABLE_WIDTH);
	assert_true(text_is_utf8(out, strlen(out), &bad));
}

static void eight_columns_of_long_text_still_fit(void **state)
{
	static const char *const head[] = { "A", "B", "C", "D", "E", "F", "G", "H" };
	struct table t;

	(void)state;
	table_init(&t, 8, head);
	for (unsigned i = 0; i < 16; i++)
		table_cell(&t, "a text of some forty characters, or so..");
	assert_in_range(widest(printed(&t)), 90, TABLE_WIDTH);
}

static void a_half_row_is_not_printed(void **state)
{
	struct table t;

	(void)state;
	table_init(&t, 3, head3);
	table_cell(&t, "only one");
	assert_string_equal(printed(&t), "NAME      B  LAST\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_they_must_be),
		cmocka_unit_test(the_widest_column_is_cut),
		cmocka_unit_test(what_fits_exactly_is_not_cut),
		cmocka_unit_test(columns_are_counted_and_no_character_cut_in_two),
		cmocka_unit_test(eight_columns_of_long_text_still_fit),
		cmocka_unit_test(a_half_row_is_not_printed),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
