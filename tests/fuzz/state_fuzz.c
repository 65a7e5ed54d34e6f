/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our own files, which an editor or a full disk may have changed: N.json with its confirmation,
 * `instance`, the journal of sysctls, the number in `live`. The same bytes are given to each; what
 * is taken must be written, and read again, as the same text.
 *
 * covers: ctl/state/state_meta.c ctl/state/state_confirm.c ctl/state/state_instance.c
 * covers: ctl/host/sysctl_journal.c
 */
#include <stdio.h>

#include "ctl/host/sysctl_journal.h"
#include "ctl/state/state_confirm.h"
#include "ctl/state/state_instance.h"
#include "ctl/state/state_meta.h"
#include "tests/fuzz/fuzz.h"

#define GENERATION 7
#define BOOT	   "b"

static struct buf borrow(char *text)
{
	return (struct buf){ .data = text, .len = strlen(text) };
}

/* A rollback that waits for its confirmation. */
static bool is_planted(const struct state_meta *m)
{
	return m->confirm.phase == STATE_CONFIRM_WAITING && m->confirm.previous && m->copy_of;
}

static void fuzz_meta(const struct buf *file)
{
	struct state_meta m, again;
	struct buf one = { 0 }, two = { 0 };
	struct err e = { 0 };

	if (state_meta_parse("f", file, GENERATION, &m, &e)) {
		fuzz_check(*e.msg);
		return;
	}
	fuzz_check(m.generation == GENERATION && m.confirm.previous < GENERATION);
	fuzz_check(state_confirm_left_ms(&m.confirm, BOOT, 0) >= 0);
	fuzz_check(!state_confirm_is_open(&m.confirm) || !state_confirm_was_given(&m.confirm));
	fuzz_planted(is_planted(&m));
	fuzz_check(!state_meta_format(&m, &one, &e));
	fuzz_check(!state_meta_parse("f", &one, GENERATION, &again, &e));
	fuzz_check(!state_meta_format(&again, &two, &e) && !strcmp(one.data, two.data));
	state_meta_fini(&m);
	state_meta_fini(&again);
	buf_fini(&one);
	buf_fini(&two);
}

static void fuzz_instance(const struct buf *file, bool of_state)
{
	struct state_instance i = { 0 }, again = { 0 };
	struct buf text = { 0 };
	struct err e = { 0 };

	if (state_instance_parse("f", file, of_state, &i, &e)) {
		fuzz_check(*e.msg);
		return;
	}
	fuzz_check((strlen(i.instance) == 32) == of_state);
	/* As it is written: always with this boot's. */
	snprintf(i.id.boot, sizeof(i.id.boot), BOOT);
	state_instance_format(&i, &text);
	/* Above 2^63 the number is none of JSON's. */
	if (!state_instance_parse("f", &text, of_state, &again, &e))
		fuzz_check(i.id.ns_ino == again.id.ns_ino && !strcmp(i.instance, again.instance));
	else
		fuzz_check((int64_t)i.id.ns_ino < 0 || (int64_t)i.id.ns_dev < 0 ||
			   (int64_t)i.id.ns_cookie < 0);
	buf_fini(&text);
}

static struct sysctl_journal *journal_new(void)
{
	struct sysctl_journal *j = calloc(1, sizeof(*j));

	fuzz_check(j);
	j->path = strdup("f");
	j->boot = strdup(BOOT);
	return j;
}

static bool goes_up(const char *name)
{
	for (const char *p = name; (p = strstr(p, "/..")); p += 3)
		if (!p[3] || p[3] == '/')
			return true;
	return false;
}

static void check_names(const struct sysctl_journal *j)
{
	size_t count = 0;

	for (size_t g = 0; g < j->n; g++)
		for (size_t i = 0; i < j->groups[g].n; i++, count++) {
			const char *name = j->groups[g].v[i].name;

			fuzz_check(!strncmp(name, "net/ipv", 7) && sysctl_journal_has(j, name));
			fuzz_check(!goes_up(name));
		}
	fuzz_check(j->n <= SYSCTL_SWITCHES && count == sysctl_journal_count(j));
}

static void fuzz_journal(const struct buf *file)
{
	struct sysctl_journal *j = journal_new(), *again = journal_new();
	struct err e = { 0 };

	if (!sysctl_journal_parse(j, file, &e)) {
		char *one = sysctl_journal_format(j), *two;
		struct buf text = borrow(one);

		check_names(j);
		fuzz_check(!sysctl_journal_parse(again, &text, &e));
		two = sysctl_journal_format(again);
		fuzz_check(!strcmp(one, two));
		free(one);
		free(two);
	}
	sysctl_journal_free(j);
	sysctl_journal_free(again);
}

static void fuzz_number(const char *text)
{
	char again[16];
	uint32_t n;

	if (!state_number_parse(text, &n))
		return;
	snprintf(again, sizeof(again), "%u\n", n);
	fuzz_check(n && !strcmp(again, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	const struct buf file = { .data = text, .len = size };

	fuzz_meta(&file);
	fuzz_instance(&file, true);
	fuzz_instance(&file, false);
	fuzz_journal(&file);
	fuzz_number(text);
	free(text);
	return 0;
}
