// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/config/doc.h"

#include "ctl/base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct bad {
	const char *text, *want; /* "line:col: sentence" of the first error */
};

static void first_error(const char *text, size_t len, char *out, size_t cap)
{
	struct diags d = { 0 };
	struct doc doc = { 0 };
	int r = doc_parse(&doc, "f", text, len, &d);

	snprintf(out, cap, "none");
	if (d.n)
		snprintf(out, cap, "%u:%u: %s", d.v[0].loc.line, d.v[0].loc.col, d.v[0].msg);
	assert_int_equal(r != 0, d.errors != 0);
	doc_fini(&doc);
	diags_fini(&d);
}

static void bad_text_is_refused_with_its_place(void **state)
{
	static const struct bad cases[] = {
		{ "", "1:1: the file is empty" },
		{ " \n\t", "1:1: the file is empty" },
		{ "# nothing\n", "1:1: the file holds nothing but comments" },
		{ "a: 1\nb: \xff\n", "2:4: byte 0xff is not valid UTF-8" },
		{ "{\"a\":1,\"b\":2,\"a\":3}",
		  "1:14: key \"a\" stands twice in one object, first at 1:2" },
		{ "a: 1\nb:\n  c: 1\na: 2\n",
		  "4:1: key \"a\" stands twice in one object, first at 1:1" },
		{ "80: x\n", "1:1: a key must be a string, not 80" },
		{ "[a]: x\n", "1:1: a key must be a string, not a list" },
		{ "{a: b}: x\n", "1:1: a key must be a string, not an object" },
		{ "a: &x {b: *x}\n", "1:11: alias \"*x\" stands inside what it names" },
		{ "a: *nope\n", "1:4: alias \"*nope\" names no anchor above it" },
		{ "a: &x {b: 1}\nc:\n  <<: *x\n", "3:3: merge keys (\"<<\") are not supported" },
		{ "a: !!str 1\n", "1:10: tags (\"!...\") have no meaning here" },
		{ "a: !x {b: 1}\n", "1:7: tags (\"!...\") have no meaning here" },
		{ "a: 1\n---\nb: 2\n", "2:1: a second document starts here" },
		{ "a: \"x\\0y\"\n", "1:4: a string holds a NUL character" },
		{ "{\"a\":\"\\u0000\"}", "1:6: a string holds a NUL character" },
		{ "{\"a\":1,}", "1:7: not valid JSON: JSON disallows trailing comma before closing "
				"brace" },
		{ "{\"a\":01}", "1:6: not valid JSON: Invalid JSON plain scalar" },
		{ "a:\n  - *x\n", "2:5: alias \"*x\" names no anchor above it" },
	};
	char got[600];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		first_error(cases[i].text, strlen(cases[i].text), got, sizeof(got));
		assert_string_equal(got, cases[i].want);
	}
	first_error("{\"a\":\n \"\0\"}", 11, got, sizeof(got));
	assert_string_equal(got, "2:3: the file holds a NUL byte: it is not text");
}

/* Whatever ends the lines, in both languages, in what we find and in what libfyaml finds. */
static void places_do_not_depend_on_the_line_ends(void **state)
{
	static const struct bad cases[] = {
		{ "{\n\"a\":\n{\"b\":1,\n\n \"b\":2}}",
		  "5:2: key \"b\" stands twice in one object, first at 3:2" },
		{ "a:\n  \xc3\xa9: {b: 1,\n    b: 2}\n",
		  "3:5: key \"b\" stands twice in one object, first at 2:7" },
		{ "{\"a\":1,\n\"\xc3\xa9\":01}", "2:5: not valid JSON: Invalid JSON plain scalar" },
		{ "{\"a\":1,\n\"b\":[1,\n]}",
		  "2:7: not valid JSON: JSON disallows trailing comma before closing bracket" },
		{ "{\"a\":1,\n\"b\":[1,\n",
		  "3:1: not valid JSON: did not find expected node content" },
		{ "a: 1\nb: c: d\n",
		  "2:5: not valid YAML: invalid nested block mapping on the same "
		  "line" },
		{ "{\n\n\"a\":\xff}", "3:5: byte 0xff is not valid UTF-8" },
	};
	static const char *const ends[] = { "\n", "\r\n", "\r" };
	char got[600];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t k = 0; k < sizeof(ends) / sizeof(ends[0]); k++) {
			struct buf b = { 0 };

			for (const char *s = cases[i].text; *s; s++)
				buf_put(&b, *s == '\n' ? ends[k] : s,
					*s == '\n' ? strlen(ends[k]) : 1);
			first_error(b.data, b.len, got, sizeof(got));
			if (strcmp(got, cases[i].want))
				fail_msg("line ends %zu, text %zu: %s", k, i, got);
			buf_fini(&b);
		}
}

static void comments_in_json_are_named_where_they_begin(void **state)
{
	static const struct bad cases[] = {
		{ "{\n // c\n \"routes\":[]}", "2:2: not valid JSON: a comment begins here" },
		{ "{ /* c */ \"routes\":[] \"a\":1}",
		  "1:3: not valid JSON: a comment begins here" },
		{ "// c\n/* d */\n{\"routes\":[]}", "1:1: not valid JSON: a comment begins here" },
		{ "/* \"{ */ {}", "1:1: not valid JSON: a comment begins here" },
		{ "[ // c\n{\"a\":1}]", "1:3: not valid JSON: a comment begins here" },
		{ "{\"a\":1, // c\n\"b\":2}", "1:9: not valid JSON: a comment begins here" },
		{ "{\"a\":1 // c\n}", "1:8: not valid JSON: a comment begins here" },
		{ "{\"a\":\"x\"\n/* y */,\"b\":1}", "2:1: not valid JSON: a comment begins here" },
		{ "{\"a\":1}\n// end", "2:1: not valid JSON: a comment begins here" },
		{ "{\"a\":\"// x\ty\"}", "1:11: not valid JSON: Invalid JSON unescaped character" },
		{ "{\"a\":\"x // \n\"}", "1:7: not valid JSON: Multi line double quoted scalars "
					 "not supported in JSON mode" },
		{ "{\"a\":http://b}", "1:6: not valid JSON: Invalid JSON plain scalar" },
		/* YAML, and none the worse for it */
		{ "{ # c\n \"a\": 1}", "none" },
		{ "{ # c\n a: 1}", "none" },
		{ "{a: b//c, d: http://e}", "none" },
		{ "{a: 1 // c\n}", "none" },
		{ "// c\n// d", "none" },
		{ "{ // c\n \"a\": 1, \"routes\": []}", "none" },
		{ "{ /* c */ \"routes\":[]}", "none" },
		{ "/* c */: 1", "none" },
	};
	char got[600];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		first_error(cases[i].text, strlen(cases[i].text), got, sizeof(got));
		if (strcmp(got, cases[i].want))
			fail_msg("%s\n got: %s\nwant: %s", cases[i].text, got, cases[i].want);
	}
}

static void errors_of_the_tree_have_paths(void **state)
{
	static const struct {
		const char *text, *path; /* of the first error */
	} cases[] = {
		{ "{\"a\":1,\"a\":2}", "a" },
		{ "{\"routes\":[{\"name\":\"x\"},{\"match\":{\"p\":1,\"q\":[],\"p\":2}}]}",
		  "routes[1].match.p" },
		{ "routes:\n- a: [1, {b: !x 1}]\n", "routes[0].a[1].b" },
		{ "routes:\n- a: [1, *x]\n", "routes[0].a[1]" },
		{ "routes:\n- a: {80: x}\n", "routes[0].a" },
		{ "- [1, {2: x}]\n", "[0][1]" },
		{ "{\"a\":{\"b\":\"\\u0000\"}}", "a.b" },
		{ "{\"a\":{\"b\":01}}", NULL },
		{ "[a]: x\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct diags d = { 0 };
		struct doc doc = { 0 };

		assert_int_equal(doc_parse(&doc, "f", cases[i].text, strlen(cases[i].text), &d),
				 -EINVAL);
		assert_int_equal(d.v[0].path == NULL, cases[i].path == NULL);
		if (cases[i].path)
			assert_string_equal(d.v[0].path, cases[i].path);
		doc_fini(&doc);
		diags_fini(&d);
	}
}

static void numbers_are_shown_as_they_are_written(void **state)
{
	static const struct {
		const char *json, *want;
	} cases[] = {
		{ "80", "80" },
		{ "0", "0" },
		{ "-0", "-0" },
		{ "-17", "-17" },
		{ "80.0", "80.0" },
		{ "1e3", "1e3" },
		{ "1e400", "1e400" },
		{ "1.50", "1.50" },
		{ "123456789012345678901234567890", "123456789012345678901234567890" },
		{ "1234567890123456789012345678901234567890123456789012345678901234567890",
		  "1234567890123456789012345678901234567890123456789012345678901234..." },
	};
	char text[200], seen[96];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct diags d = { 0 };
		struct doc doc = { 0 };

		snprintf(text, sizeof(text), "{\"a\":%s}", cases[i].json);
		assert_int_equal(doc_parse(&doc, "f", text, strlen(text), &d), 0);
		assert_string_equal(doc_describe(doc_find(doc.root, "a"), seen, sizeof(seen)),
				    cases[i].want);
		doc_fini(&doc);
		diags_fini(&d);
	}
}

static void numbers_of_yaml_are_kept_through_aliases(void **state)
{
	static const char text[] = "a: &a 0x1F\nb: [+5, .inf, *a]\nc: &c {d: 1e99}\ne: *c\n";
	static const char *const want[] = { "+5", ".inf", "0x1F" };
	struct diags d = { 0 };
	struct doc doc = { 0 };
	const struct doc_node *n;
	char seen[96];
	size_t i = 0;

	(void)state;
	assert_int_equal(doc_parse(&doc, "f", text, sizeof(text) - 1, &d), 0);
	for (n = doc_find(doc.root, "b")->child; n; n = n->next)
		assert_string_equal(doc_describe(n, seen, sizeof(seen)), want[i++]);
	assert_int_equal(doc_find(doc.root, "a")->integer, 31);
	n = doc_find(doc_find(doc.root, "e"), "d");
	assert_string_equal(doc_describe(n, seen, sizeof(seen)), "1e99");
	doc_fini(&doc);
	diags_fini(&d);
}

static void empty_values_stand_where_their_key_does(void **state)
{
	static const char text[] = "x: 1\na:\n  b:\n  c: 2\nl:\n  -\n  - 1\n";
	struct diags d = { 0 };
	struct doc doc = { 0 };
	const struct doc_node *n;

	(void)state;
	assert_int_equal(doc_parse(&doc, "f", text, sizeof(text) - 1, &d), 0);
	n = doc_find(doc_find(doc.root, "a"), "b");
	assert_int_equal(n->type, DOC_NULL);
	assert_int_equal(n->line, 3);
	assert_int_equal(n->col, 3);
	n = doc_find(doc.root, "l")->child;
	assert_int_equal(n->type, DOC_NULL);
	assert_true(n->line >= 5);
	doc_fini(&doc);
	diags_fini(&d);
}

static void depth_is_bounded(void **state)
{
	char text[400], got[600];

	(void)state;
	memset(text, '[', 200);
	memset(text + 200, ']', 200);
	first_error(text, 400, got, sizeof(got));
	assert_non_null(strstr(got, ": "));
	assert_string_not_equal(got, "none");
	first_error(text + 180, 40, got, sizeof(got));
	assert_string_equal(got, "none");
}

static void long_strings_are_refused(void **state)
{
	struct buf b = { 0 };
	char got[600];

	(void)state;
	buf_puts(&b, "{\"a\":\"");
	for (int i = 0; i < 1 << 20; i++)
		buf_putc(&b, 'x');
	buf_puts(&b, "\"}");
	first_error(b.data, b.len, got, sizeof(got));
	assert_string_equal(got,
			    "1:6: a string of 1048576 bytes is longer than the limit of 65536");
	buf_fini(&b);
}

static void aliases_expand_to_a_bounded_tree(void **state)
{
	struct buf b = { 0 };
	char got[600];

	(void)state;
	buf_puts(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 9; i++) {
		buf_printf(&b, "a%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			buf_printf(&b, "%s*a%d", k ? "," : "", i - 1);
		buf_puts(&b, "]\n");
	}
	first_error(b.data, b.len, got, sizeof(got));
	assert_non_null(strstr(got, "aliases expand to more than 100000 values"));
	buf_fini(&b);
}

static void values_have_types_and_places(void **state)
{
	static const char text[] = "\xef\xbb\xbf# c\na: no\nb: [1, 0x10, 1.5, 8e1, ~, true]\n"
				   "c: \"q\\u00e9\"\nd: &d {e: 'x'}\nf: *d\n";
	static const enum doc_type types[] = { DOC_INT, DOC_INT,  DOC_FLOAT,
					       DOC_INT, DOC_NULL, DOC_BOOL };
	struct diags d = { 0 };
	struct doc doc = { 0 };
	const struct doc_node *n;
	size_t i = 0;

	(void)state;
	assert_int_equal(doc_parse(&doc, "f", text, sizeof(text) - 1, &d), 0);
	assert_false(doc.is_json);
	n = doc_find(doc.root, "a");
	assert_int_equal(n->type, DOC_STRING);
	assert_string_equal(n->string, "no");
	assert_int_equal(n->line, 2);
	assert_int_equal(n->col, 4);
	assert_int_equal(n->key_col, 1);
	for (n = doc_find(doc.root, "b")->child; n; n = n->next)
		assert_int_equal(n->type, types[i++]);
	n = doc_find(doc.root, "c");
	assert_string_equal(n->string, "q\xc3\xa9");
	assert_int_equal(n->col, 4);
	n = doc_find(doc_find(doc.root, "f"), "e");
	assert_string_equal(n->string, "x");
	doc_fini(&doc);
	diags_fini(&d);
}

static void json_is_told_by_its_first_characters(void **state)
{
	static const struct {
		const char *text;
		bool json;
	} cases[] = {
		{ " { \"a\": 1 }", true }, { "{}", true },	  { "[{}]", true },
		{ "{a: 1}", false },	   { "[a]", false },	  { "a: 1", false },
		{ "[1]", true },	   { "{'a': 1}", false }, { "---\n{\"a\": 1}", false }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct diags d = { 0 };
		struct doc doc = { 0 };

		assert_int_equal(doc_parse(&doc, "f", cases[i].text, strlen(cases[i].text), &d), 0);
		assert_int_equal(doc.is_json, cases[i].json);
		doc_fini(&doc);
		diags_fini(&d);
	}
}

/* libfyaml's marks go back at each pair in brackets. Quadratic would be minutes. */
static void marks_that_go_back_cost_no_more_than_the_way(void **state)
{
	struct buf text = { 0 };
	struct diags d = { 0 };
	struct doc doc = { 0 };

	(void)state;
	buf_puts(&text, "routes:\n");
	for (unsigned i = 0; i < 160000; i++)
		buf_puts(&text, "- [a: b]\n");
	alarm(60);
	assert_int_equal(doc_parse(&doc, "f", text.data, text.len, &d), 0);
	alarm(0);
	doc_fini(&doc);
	diags_fini(&d);
	buf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_text_is_refused_with_its_place),
		cmocka_unit_test(places_do_not_depend_on_the_line_ends),
		cmocka_unit_test(marks_that_go_back_cost_no_more_than_the_way),
		cmocka_unit_test(comments_in_json_are_named_where_they_begin),
		cmocka_unit_test(errors_of_the_tree_have_paths),
		cmocka_unit_test(numbers_are_shown_as_they_are_written),
		cmocka_unit_test(numbers_of_yaml_are_kept_through_aliases),
		cmocka_unit_test(empty_values_stand_where_their_key_does),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(long_strings_are_refused),
		cmocka_unit_test(aliases_expand_to_a_bounded_tree),
		cmocka_unit_test(values_have_types_and_places),
		cmocka_unit_test(json_is_told_by_its_first_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
