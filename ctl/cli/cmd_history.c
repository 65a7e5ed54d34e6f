/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/base/clock.h"
#include "ctl/base/log.h"
#include "ctl/cli/cmd_confirm.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/report.h"
#include "ctl/cli/table.h"
#include "ctl/state/state_confirm.h"

#define FILE_COLUMNS 24

struct entry {
	uint32_t generation;
	struct state_meta meta; /* generation 0: its files are lost or damaged */
	bool live, has_config;
	struct confirm_view waits; /* of the live one */
};

struct history {
	struct session s;
	struct entry *v; /* newest first */
	size_t n;
};

static bool config_is_there(const struct session *s, uint32_t generation)
{
	char name[32], *path;
	bool there;

	snprintf(name, sizeof(name), "applied/%u.config", generation);
	path = state_path(&s->state, name);
	there = path && !access(path, R_OK);
	free(path);
	return there;
}

static void add(struct history *h, uint32_t generation)
{
	struct entry *en = &h->v[h->n++];

	en->generation = generation;
	en->live = generation == h->s.live;
	if (state_read_generation(&h->s.state, generation, &en->meta, NULL, NULL))
		return;
	en->has_config = config_is_there(&h->s, generation);
	if (en->live)
		confirm_look(&h->s, &en->waits);
}

static int history_load(struct history *h, struct err *e)
{
	uint32_t *v = NULL;
	size_t n = 0;
	int rc = state_generations(&h->s.state, &v, &n, e);
	bool live_is_listed = !h->s.live;

	if (rc)
		return rc;
	h->v = calloc(n + 1, sizeof(*h->v));
	if (!h->v) {
		free(v);
		return err_set(e, ENOMEM, "out of memory");
	}
	while (n) {
		live_is_listed |= v[n - 1] == h->s.live;
		/* The live one has no N.json any more: in its place all the same. */
		if (!live_is_listed && v[n - 1] < h->s.live) {
			add(h, h->s.live);
			live_is_listed = true;
		}
		add(h, v[--n]);
	}
	if (!live_is_listed)
		add(h, h->s.live);
	free(v);
	return 0;
}

static void history_close(struct history *h)
{
	for (size_t i = 0; i < h->n; i++)
		state_meta_fini(&h->v[i].meta);
	free(h->v);
	session_close(&h->s);
}

/* One word for programs. */
static const char *state_word(const struct entry *en)
{
	if (!en->has_config)
		return "lost";
	if (en->waits.generation)
		return "waiting";
	if (en->live)
		return "live";
	switch (en->meta.confirm.phase) {
	case STATE_CONFIRM_TAKEN_BACK:
		return "takenBack";
	case STATE_CONFIRM_WAITING:
		return "unconfirmed";
	default:
		return "confirmed";
	}
}

/* "15:04:05", or the day where that was not the day it was applied. */
static const char *clock_of(const struct entry *en, int64_t wall_ms, char out[24])
{
	char day[24];

	clock_format_utc(en->meta.time_ms, day);
	clock_format_utc(wall_ms, out);
	if (strlen(out) < 20)
		return out;
	if (!strncmp(day, out, 11))
		memmove(out, out + 11, 9);
	out[strcspn(out, "TZ")] = '\0';
	return out;
}

/* The last n characters of a UTF-8 text. */
static const char *text_tail(const char *s, size_t n)
{
	const char *p = s + strlen(s);

	while (p > s && n) {
		p--;
		n -= (*p & 0xc0) != 0x80;
	}
	return p;
}

/* The end of a name says more than its beginning. */
static void print_file(struct table *t, const char *file)
{
	size_t n = file ? strlen(file) : 0;

	if (!file || !strcmp(file, "-"))
		table_cell(t, file ? "standard input" : "?");
	else if (n <= FILE_COLUMNS)
		table_cell(t, file);
	else
		table_cellf(t, "...%s", text_tail(file, FILE_COLUMNS - 3));
}

static void describe_state(const struct entry *en, struct buf *b)
{
	const struct state_confirm *c = &en->meta.confirm;
	char when[24];

	if (en->live)
		buf_puts(b, "live");
	if (!en->has_config)
		buf_printf(b, "%sfiles lost", en->live ? ", " : "");
	else if (en->waits.generation)
		buf_printf(b, ", unconfirmed (%lld s left)",
			   (long long)(en->waits.left_ms + 999) / 1000);
	else if (c->phase == STATE_CONFIRM_TAKEN_BACK && !en->live)
		buf_printf(b, "taken back %s", clock_of(en, c->decided_ms, when));
	else if (c->phase == STATE_CONFIRM_WAITING && !en->live)
		buf_puts(b, "never confirmed");
	else if (c->phase == STATE_CONFIRM_GIVEN && en->live)
		buf_puts(b, ", confirmed");
	else if (!en->live)
		buf_puts(b, "confirmed");
	if (en->meta.copy_of)
		buf_printf(b, ", copy of %u", en->meta.copy_of);
}

static void print_row(struct table *t, const struct entry *en)
{
	struct buf what = { 0 };
	char when[24];

	describe_state(en, &what);
	table_cellf(t, "%u", en->generation);
	table_cell(t, en->meta.generation ? clock_format_utc(en->meta.time_ms, when) : "?");
	print_file(t, en->meta.file);
	if (en->meta.generation && en->meta.routes >= 0)
		table_cellf(t, "%d", en->meta.routes);
	else
		table_cell(t, "?");
	table_cell(t, what.data);
	buf_fini(&what);
}

static void print_text(const struct history *h)
{
	static const char *const head[] = { "GENERATION", "APPLIED", "FILE", "ROUTES", "STATE" };
	struct table t;

	if (!h->n) {
		printf("nothing was ever applied\n");
		return;
	}
	table_init(&t, 5, head);
	for (size_t i = 0; i < h->n; i++)
		print_row(&t, &h->v[i]);
	table_print(&t, stdout);
	table_fini(&t);
}

static json_t *time_json(int64_t wall_ms)
{
	char when[24];

	return wall_ms ? json_string(clock_format_utc(wall_ms, when)) : json_null();
}

static json_t *entry_json(const struct entry *en)
{
	const struct state_meta *m = &en->meta;
	bool known = m->generation != 0;

	return json_pack("{s:I,s:o,s:o,s:o,s:s,s:b,s:o,s:o,s:o}", "generation",
			 (json_int_t)en->generation, "applied", time_json(m->time_ms), "file",
			 report_json_text(m->file), "routes",
			 known && m->routes >= 0 ? json_integer(m->routes) : json_null(), "state",
			 state_word(en), "live", en->live, "copyOf",
			 m->copy_of ? json_integer(m->copy_of) : json_null(), "decided",
			 time_json(m->confirm.decided_ms), "confirm", cmd_confirm_json(&en->waits));
}

static void print_json(const struct history *h)
{
	json_t *list = json_array();

	for (size_t i = 0; i < h->n; i++)
		json_array_append_new(list, entry_json(&h->v[i]));
	describe_print_json(json_pack("{s:i,s:o}", "schema", 1, "history", list));
}

/* Nothing there, or generations of nobody knows which namespace: a list of files all the same. */
static int list_ownerless(struct history *h, const struct options *o, struct err *e)
{
	const struct err why = *e;

	*e = (struct err){ 0 };
	if (!state_ownerless(o->state_dir))
		return 0;
	h->s.state.state_dir = strdup(o->state_dir);
	if (!h->s.state.state_dir)
		return err_set(e, ENOMEM, "out of memory");
	if (!o->quiet)
		log_warn("%s; %s", why.msg, why.hint);
	return history_load(h, e);
}

int cmd_history(const struct options *o, int argc, char **argv)
{
	struct history h = { 0 };
	struct err e = { 0 };
	int rc = cmd_need_root(o, "history reads what only root may read");

	(void)argc;
	(void)argv;
	if (rc)
		return rc;
	h.s.state.lock_fd = -1;
	rc = confirm_open(&h.s, o->state_dir, o->run_dir, 0, o->timeout_ms, NULL, &e);
	if (!rc)
		rc = history_load(&h, &e);
	else if (rc == -ENOENT)
		rc = list_ownerless(&h, o, &e);
	if (rc)
		rc = cmd_fail(o, &e, cmd_exit_code(rc));
	else if (o->json)
		print_json(&h);
	else
		print_text(&h);
	history_close(&h);
	return rc;
}
