/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a dataplane says about targets, up to what a controller wants STATE and the kernel to have:
 * each line is one message. Whatever it says, the list holds only what the live routes have, and
 * only addresses that a name may have. Then the same bytes as the file STATE/found.
 *
 * covers: ctl/service/service_found.c ctl/apply/found_accept.c ctl/state/state_found.c
 */
#include "ctl/apply/found.h"
#include "ctl/service/service_internal.h"
#include "dataplane/wire.h"
#include "tests/fuzz/fuzz.h"

static const char load[] = "{\"type\":\"load\",\"generation\":7,\"routes\":["
			   "{\"id\":1,\"name\":\"pool\",\"healthCheck\":{},\"targets\":["
			   "{\"tag\":11,\"kind\":\"address\",\"host\":\"10.0.0.1\",\"port\":80},"
			   "{\"tag\":12,\"kind\":\"name\",\"host\":\"db.lan\",\"port\":80}]},"
			   "{\"id\":2,\"name\":\"other\",\"targets\":["
			   "{\"tag\":11,\"kind\":\"name\",\"host\":\"localhost\",\"port\":80}]}]}";

static void service_begin(struct service *s)
{
	static struct loop *loop; /* of all runs: a new one costs system calls */

	if (!loop)
		loop = loop_new(NULL);
	memset(s, 0, sizeof(*s));
	s->loop = loop;
	words_init(&s->link.words, loop);
	s->link.live = json_loads(load, 0, NULL);
	s->link.names = json_object();
	s->link.generation = 7;
	s->stopping = true; /* nothing is started */
}

static void service_fini(struct service *s)
{
	state_found_fini(&s->found.list);
	json_decref(s->link.live);
	json_decref(s->link.names);
	words_fini(&s->link.words);
}

static void check_name(const struct found_name *n)
{
	const bool local = !strcmp(n->name, "localhost");
	struct addr v[RESOLVE_MAX_ADDRS];

	fuzz_check(local || !strcmp(n->name, "db.lan"));
	fuzz_check(n->n && n->n <= RESOLVE_MAX_ADDRS);
	fuzz_check(found_accept(n->name, NULL, n->addrs, n->n, v) == n->n);
	for (unsigned i = 0; i < n->n; i++)
		fuzz_check(local || !addr_is_loopback(&n->addrs[i]));
}

static void check_list(const struct state_found *f)
{
	fuzz_check(f->n_names <= 2 && f->n_down <= 2);
	for (unsigned i = 0; i < f->n_names; i++)
		check_name(&f->names[i]);
	for (unsigned i = 0; i < f->n_down; i++)
		fuzz_check(!strcmp(f->down[i].route, "pool") &&
			   (f->down[i].tag == 11 || f->down[i].tag == 12));
	/* More than one seed says, together. */
	fuzz_planted(f->n_down == 2 && f->n_names == 1);
}

static void hear(struct service *s, const char *line, size_t n)
{
	json_t *json = wire_parse(line, n, NULL);
	struct upcall u;

	if (json && !upcall_parse(json, 0, &u, NULL))
		found_heard(s, &u);
	json_decref(json);
}

/* What is taken is written, and read again, as the same. */
static void fuzz_file(const char *text, size_t size)
{
	struct state_found f, again;
	struct buf one = { 0 }, two = { 0 };
	struct err e = { 0 };

	if (state_found_parse(text, size, &f, &e)) {
		fuzz_check(*e.msg);
		return;
	}
	fuzz_check(!state_found_format(&f, &one, &e));
	fuzz_check(!state_found_parse(one.data, one.len, &again, &e));
	fuzz_check(!state_found_format(&again, &two, &e) && !strcmp(one.data, two.data));
	state_found_fini(&f);
	state_found_fini(&again);
	buf_fini(&one);
	buf_fini(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *at = text, *end;
	struct service s;

	log_set_level(LOG_LEVEL_ERR);
	service_begin(&s);
	for (; (end = memchr(at, '\n', (size_t)(text + size - at))); at = end + 1)
		hear(&s, at, (size_t)(end - at));
	check_list(&s.found.list);
	service_fini(&s);
	fuzz_file(text, size);
	free(text);
	return 0;
}
