// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/cli/report.h"
#include "ctl/config/schema.h"

#include "ctl/config/config.h"
#include "ctl/config/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Every "$ref" below v names something that exists. */
static void check_refs(const json_t *v, const json_t *defs)
{
	const char *ref = json_string_value(json_object_get(v, "$ref"));
	const char *key;
	json_t *e;
	size_t i;

	if (ref && !json_object_get(defs, ref + strlen("#/$defs/")))
		fail_msg("%s names nothing", ref);
	if (json_is_object(v))
		json_object_foreach ((json_t *)(uintptr_t)v, key, e)
			check_refs(e, defs);
	if (json_is_array(v))
		json_array_foreach (v, i, e)
			check_refs(e, defs);
}

static void schema_is_json_and_names_every_key(void **state)
{
	struct buf b = { 0 };
	json_error_t err;
	json_t *root, *defs;

	(void)state;
	assert_int_equal(schema_write_json(&b), 0);
	root = json_loadb(b.data, b.len, JSON_REJECT_DUPLICATES, &err);
	if (!root)
		fail_msg("%d:%d: %s", err.line, err.column, err.text);
	defs = json_object_get(root, "$defs");
	check_refs(root, defs);
	for (size_t i = 0; key_objects[i]; i++) {
		const struct key_object *o = key_objects[i];
		json_t *s = i ? json_object_get(defs, o->name) : root;
		json_t *keys = json_object_get(s, "properties");

		assert_int_equal(json_object_size(keys), o->n_keys);
		for (size_t k = 0; k < o->n_keys; k++)
			assert_non_null(json_object_get(keys, o->keys[k].name));
	}
	json_decref(root);
	buf_fini(&b);
}

static void manual_names_every_object_and_is_safe_roff(void **state)
{
	struct buf b = { 0 };

	(void)state;
	schema_write_man(&b);
	for (size_t i = 0; key_objects[i]; i++)
		assert_non_null(strstr(b.data, ".SS "));
	assert_non_null(strstr(b.data, "\\fBports\\fR ("));
	assert_null(strstr(b.data, "\n'"));
	for (const char *p = b.data; (p = strstr(p, "\n.")); p++)
		assert_true(!strncmp(p, "\n.TP\n", 5) || !strncmp(p, "\n.SS ", 5) ||
			    !strncmp(p, "\n.PP\n", 5));
	buf_fini(&b);
}

static char *report(const char *text, bool colour)
{
	struct diags d = { 0 };
	struct config *c = config_parse("f.json", text, strlen(text), NULL, &d);
	char *out = NULL;
	size_t n;
	FILE *f = open_memstream(&out, &n);

	report_diags_text(f, &d, text, strlen(text), colour);
	fclose(f);
	config_free(c);
	diags_fini(&d);
	return out;
}

static void reports_show_line_caret_and_hint(void **state)
{
	char *got = report("{\n\t\"routs\": 1\n}", false);

	(void)state;
	assert_string_equal(got, "f.json:2:2: error: routs: unknown key \"routs\"\n"
				 "   \"routs\": 1\n"
				 "   ^\n"
				 "  hint: did you mean \"routes\"?\n"
				 "1 error\n");
	free(got);
}

static void long_lines_are_cut_around_the_column(void **state)
{
	char text[700], *got;

	(void)state;
	memset(text, ' ', sizeof(text));
	memcpy(text, "{\"a\":1,", 7);
	memcpy(text + 300, "\"b\":2}", 7);
	got = report(text, false);
	assert_non_null(strstr(got, "  ..."));
	for (char *line = strtok(got, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) < 130);
	free(got);
}

static void errors_beyond_twenty_are_counted(void **state)
{
	struct diags d = { 0 };
	char *out = NULL;
	size_t n;
	FILE *f = open_memstream(&out, &n);

	(void)state;
	for (int i = 0; i < 23; i++)
		diags_add(&d, DIAG_ERROR, LOC_NONE, NULL, NULL, "e\033[2J");
	diags_add(&d, DIAG_WARNING, LOC_NONE, NULL, NULL, "w");
	report_diags_text(f, &d, NULL, 0, false);
	fclose(f);
	assert_null(strchr(out, '\033'));
	assert_non_null(strstr(out, "3 more errors not shown\n23 errors, 1 warning\n"));
	free(out);
	diags_fini(&d);
}

static void json_reports_have_all_fields(void **state)
{
	struct diags d = { 0 };
	json_t *j, *e;

	(void)state;
	diags_add(&d, DIAG_ERROR, (struct loc){ "f", 3, 4 }, "a.b", "try", "no");
	diags_add(&d, DIAG_WARNING, LOC_NONE, NULL, NULL, "hm");
	j = report_diags_json(&d);
	assert_int_equal(json_integer_value(json_object_get(j, "schema")), 1);
	e = json_array_get(json_object_get(j, "errors"), 0);
	assert_string_equal(json_string_value(json_object_get(e, "file")), "f");
	assert_int_equal(json_integer_value(json_object_get(e, "line")), 3);
	assert_string_equal(json_string_value(json_object_get(e, "hint")), "try");
	assert_int_equal(json_array_size(json_object_get(j, "warnings")), 1);
	json_decref(j);
	diags_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(schema_is_json_and_names_every_key),
		cmocka_unit_test(manual_names_every_object_and_is_safe_roff),
		cmocka_unit_test(reports_show_line_caret_and_hint),
		cmocka_unit_test(long_lines_are_cut_around_the_column),
		cmocka_unit_test(errors_beyond_twenty_are_counted),
		cmocka_unit_test(json_reports_have_all_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
