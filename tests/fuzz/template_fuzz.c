/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Templates of target hosts: the first line is the template, the second the name that a client
 * sent, the third its address. What comes out is an address, a name of labels, or a path that does
 * not leave its directory; and whatever the name is, a path has as many "/" as the template.
 *
 * covers: dataplane/template.c
 */
#include "dataplane/template.h"
#include "tests/fuzz/fuzz.h"

static unsigned slashes(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += *s == '/';
	return n;
}

static void check_path(const char *text, const struct template_target *t)
{
	fuzz_check(t->text[0] == '/' && strlen(t->text) <= TEMPLATE_PATH_MAX);
	fuzz_check(slashes(t->text) == slashes(text));
	fuzz_check(!strstr(t->text, "/../") && !strstr(t->text, "/./"));
	fuzz_check(strlen(t->text) < 3 || strcmp(strrchr(t->text, '/'), "/.."));
}

static void check_name(const struct template_target *t)
{
	struct addr a;

	fuzz_check(strlen(t->text) <= TEMPLATE_HOST_MAX && *t->text && *t->text != '.');
	fuzz_check(!strstr(t->text, "..") && !strpbrk(t->text, "/:{} \n"));
	fuzz_check(!addr_parse(t->text, &a));
}

static void check(const char *text, const struct template_values *v)
{
	struct template_target t;
	struct addr again;
	int rc = template_expand(text, v, &t);

	/* What is no template is none, whatever the values are. */
	fuzz_check(rc || !template_fault(text));
	fuzz_planted(!rc && t.kind == TEMPLATE_PATH && strstr(t.text, "/...") != NULL);
	if (rc)
		return;
	if (t.kind == TEMPLATE_PATH)
		check_path(text, &t);
	else if (t.kind == TEMPLATE_NAME)
		check_name(&t);
	else
		fuzz_check(addr_parse(t.text, &again) && !addr_cmp(&again, &t.addr) &&
			   !addr_is_unspecified(&again) && !addr_is_multicast(&again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *rest = text;
	const char *template = strsep(&rest, "\n"), *name = strsep(&rest, "\n");
	struct template_values v = { .domain = name, .port = 443 };

	if (!rest || !addr_parse(rest, &v.client))
		v.client.family = ADDR_NONE;
	check(template, &v);
	free(text);
	return 0;
}
