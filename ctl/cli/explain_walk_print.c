/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The walk as numbered lines, and as JSON. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/cli/cmd_confirm.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/explain_walk.h"
#include "ctl/cli/report.h"
#include "ctl/cli/table.h"

#define TOLD_TARGETS 4
#define CHAIN_MIN    6 /* columns */

struct count {
	uint64_t packets, bytes;
};

/* ---- counters ---- */

/* label[3] 0: of any target. The flags are not part of the question: a flow that turned out to be
 * a hairpin is still one of its target. */
static struct count sum(const struct explained *x, const struct nft_counts *c,
			const uint32_t label[4])
{
	struct count total = { 0 };

	for (size_t i = 0; i < c->n; i++) {
		uint32_t key[4];

		memcpy(key, c->v[i].key, sizeof(key));
		if (key[0] != label[0] || key[2] != x->instance || (label[3] && key[3] != label[3]))
			continue;
		total.packets += c->v[i].packets;
		total.bytes += c->v[i].bytes;
	}
	return total;
}

static bool is_refusal(unsigned k)
{
	return k >= N_COUNTS;
}

static const char *reason_of(unsigned k)
{
	return refusal_reason((enum refusal_kind)(k - N_COUNTS));
}

/* The sum that a step's set has for its label; false when it is no set of counters. */
static bool count_of_step(const struct explained *x, const struct walk_step *s, struct count *out)
{
	uint32_t label[4];

	memcpy(label, s->label, sizeof(label));
	for (unsigned k = 0; k < EXPLAIN_COUNTS; k++) {
		const char *set = is_refusal(k)
					  ? refusal_set_name((enum refusal_kind)(k - N_COUNTS))
					  : count_set_name((enum count_kind)k);

		if (strcmp(s->set, set))
			continue;
		/* A refusal is of the route: which target it would have been does not matter. */
		if (is_refusal(k))
			label[3] = 0;
		*out = sum(x, &x->counts[k], label);
		return true;
	}
	return false;
}

/* ---- the end, in words ---- */

static void put_target(struct buf *b, const struct walk_target *t)
{
	char text[ADDR_TEXT];

	addr_format(&t->addr, text);
	if (!t->addr.family)
		buf_puts(b, "nowhere");
	else if (t->addr.family == ADDR_V6)
		buf_printf(b, "[%s]:%u", text, t->port);
	else
		buf_printf(b, "%s:%u", text, t->port);
}

static void put_targets(struct buf *b, const struct walk *w)
{
	unsigned dealt = 0;

	buf_puts(b, "led to ");
	if (w->redirected) {
		buf_printf(b, "port %u of this host", w->targets[0].port);
		return;
	}
	for (size_t i = 0; i < w->n_targets; i++) {
		dealt += w->targets[i].share;
		if (i >= TOLD_TARGETS)
			continue;
		buf_puts(b, i ? ", " : "");
		put_target(b, &w->targets[i]);
		if (w->shares > 1)
			buf_printf(b, " (%u of %u)", w->targets[i].share, w->shares);
	}
	if (w->n_targets > TOLD_TARGETS)
		buf_printf(b, " and %zu more", w->n_targets - TOLD_TARGETS);
	if (dealt < w->shares)
		buf_printf(b, ", nowhere (%u of %u)", w->shares - dealt, w->shares);
	buf_puts(b, w->masqueraded ? ", from this host's address" : ", from the client's address");
}

const char *explain_end_text(const struct walk *w, char *out, size_t cap)
{
	struct buf b = { 0 };

	switch (w->verdict) {
	case WALK_LED:
		put_targets(&b, w);
		break;
	case WALK_PASSES:
		buf_puts(&b, w->forwarded ? "not addressed to this host: left alone"
					  : "taken by no rule: left to this host itself");
		break;
	case WALK_REFUSED:
		buf_printf(&b, "refused: %s",
			   w->refusal < 0 ? "?" : refusal_reason((enum refusal_kind)w->refusal));
		break;
	case WALK_DROPPED:
		buf_printf(&b, "dropped: %s", w->steps[w->n_steps - 1].object);
		break;
	case WALK_OPEN:
		buf_puts(&b, "that depends on the client: --client asks about one");
		break;
	case WALK_UNKNOWN:
		buf_puts(&b, "cannot be said: what was changed by hand decides");
		break;
	}
	snprintf(out, cap, "%s", b.data ? b.data : "");
	buf_fini(&b);
	return out;
}

/* What the end is not sure of; NULL = it is. */
static const char *end_note(const struct walk *w)
{
	if (w->verdict == WALK_LED && w->rate_open)
		return "unless rate_limit refuses it";
	if (w->verdict == WALK_REFUSED && w->count_open)
		return "unless some were open before the limit was";
	return NULL;
}

/* ---- text ---- */

/* The text from column `indent` on, broken between words at the table's width. */
static void print_wrapped(const char *text, size_t indent)
{
	size_t at = indent;
	bool first = true;

	while (*text) {
		size_t len = strcspn(text, " "), w = table_columns(text, len);

		if (!first && at + 1 + w > TABLE_WIDTH) {
			printf("\n%*s", (int)indent, "");
			at = indent;
			first = true;
		}
		printf("%s%.*s", first ? "" : " ", (int)len, text);
		at += w + !first;
		first = false;
		text += len;
		text += *text == ' ';
	}
	putchar('\n');
}

static void print_line(unsigned no, const char *chain, size_t width, const struct buf *b)
{
	printf("%2u  %-*s  ", no, (int)width, chain);
	print_wrapped(b->data ? b->data : "", 6 + width);
}

static void put_step(struct buf *b, const struct explained *x, const struct walk_step *s)
{
	struct count c;

	buf_puts(b, s->object);
	if (*s->key)
		buf_printf(b, ": %s", s->key);
	buf_puts(b, " -> ");
	if (!count_of_step(x, s, &c)) {
		buf_puts(b, s->result);
		return;
	}
	if (s->what == WALK_BALANCE) {
		buf_printf(b, "%s; %" PRIu64 " let in", s->result, c.packets);
		return;
	}
	if (!strcmp(s->set, count_set_name(COUNT_UP)) ||
	    !strcmp(s->set, count_set_name(COUNT_DOWN)))
		buf_printf(b, "%" PRIu64 " packets, %" PRIu64 " bytes %s", c.packets, c.bytes,
			   s->result);
	else
		buf_printf(b, "%" PRIu64 " %s", c.packets, s->result);
}

static void put_setting(struct buf *b, const struct explained *x, const struct explain_setting *s)
{
	buf_printf(b, "%s -> ", s->name);
	if (s->on)
		buf_printf(b, "1; %s", s->why);
	else
		buf_printf(b, "OFF: it goes nowhere: %s turns it on", cmd_repair(x->waits));
}

static size_t chain_width(const struct walk *w)
{
	size_t width = CHAIN_MIN;

	for (size_t i = 0; i < w->n_steps; i++)
		if (strlen(w->steps[i].chain) > width)
			width = strlen(w->steps[i].chain);
	return width;
}

static bool setting_is_off(const struct explain_family *f)
{
	for (unsigned i = 0; i < f->n_settings; i++)
		if (!f->settings[i].on)
			return true;
	return false;
}

static void print_end(const struct explain_family *f)
{
	char text[600];
	struct buf b = { 0 };

	buf_printf(&b, "so: %s", explain_end_text(&f->walk, text, sizeof(text)));
	if (setting_is_off(f))
		buf_puts(&b, ", but a setting that it needs is off");
	else if (end_note(&f->walk))
		buf_printf(&b, ", %s", end_note(&f->walk));
	if (f->walk.by_client && f->walk.verdict != WALK_OPEN)
		buf_puts(&b, "; some clients may fare otherwise (--client)");
	if (f->walk.by_address)
		buf_puts(&b, "; at some addresses it is otherwise (--address)");
	print_wrapped(b.data ? b.data : "", 4);
	buf_fini(&b);
}

static void print_counted(const struct explained *x, const struct walk *w)
{
	const uint32_t label[4] = { w->label[0] };
	struct buf b = { 0 };

	if (!w->label[0])
		return;
	buf_printf(&b, "counted of this route so far: %" PRIu64 " let in",
		   sum(x, &x->counts[COUNT_NEW], label).packets);
	buf_printf(&b, ", %" PRIu64 " bytes up, %" PRIu64 " bytes down",
		   sum(x, &x->counts[COUNT_UP], label).bytes,
		   sum(x, &x->counts[COUNT_DOWN], label).bytes);
	for (unsigned k = N_COUNTS; k < EXPLAIN_COUNTS; k++) {
		uint64_t n = sum(x, &x->counts[k], label).packets;

		if (n)
			buf_printf(&b, ", %" PRIu64 " refused (%s)", n, reason_of(k));
	}
	print_wrapped(b.data ? b.data : "", 4);
	buf_fini(&b);
}

/* Of two families that were not asked for, one that nothing happens to is told in a line. */
static bool is_aside(const struct explained *x, unsigned i)
{
	const struct walk *w = &x->v[i].walk, *other = &x->v[!i].walk;

	return x->n == 2 && w->verdict == WALK_PASSES && !w->by_address && !x->v[i].differs &&
	       (i || other->verdict != WALK_PASSES);
}

static void print_family(const struct explained *x, unsigned i)
{
	const struct explain_family *f = &x->v[i];
	size_t width = chain_width(&f->walk);
	unsigned no = 1;
	char text[100];

	if (is_aside(x, i)) {
		printf("\nIPv%d: %s\n", x->families[i],
		       explain_end_text(&f->walk, text, sizeof(text)));
		return;
	}
	printf("\nin the kernel, table inet %s, IPv%d:\n", x->table, x->families[i]);
	for (size_t k = 0; k < f->walk.n_steps; k++) {
		struct buf b = { 0 };

		put_step(&b, x, &f->walk.steps[k]);
		print_line(no++, f->walk.steps[k].chain, width, &b);
		buf_fini(&b);
	}
	for (unsigned k = 0; k < f->n_settings; k++) {
		struct buf b = { 0 };

		put_setting(&b, x, &f->settings[k]);
		print_line(no++, "-", width, &b);
		buf_fini(&b);
	}
	print_end(f);
	print_counted(x, &f->walk);
}

static void print_drift(const struct explained *x)
{
	struct buf b = { 0 };
	bool met = false;

	for (unsigned i = 0; i < x->n; i++) {
		if (!x->v[i].differs)
			continue;
		buf_printf(&b,
			   "DRIFT: the routes say: %s; the table was changed: %s: "
			   "%s repairs it",
			   x->v[i].wanted, x->drift, cmd_repair(x->waits));
		met = true;
		break;
	}
	if (!met)
		buf_printf(&b, "DRIFT, not on this way: the table was changed: %s: %s repairs it",
			   x->drift, cmd_repair(x->waits));
	print_wrapped(b.data ? b.data : "", 4);
	buf_fini(&b);
}

void explain_walk_print(const struct explained *x)
{
	for (unsigned i = 0; x->shown && i < x->n; i++)
		print_family(x, i);
	if (*x->drift && x->shown)
		print_drift(x);
	if (*x->note) {
		printf("\n");
		print_wrapped(x->note, 0);
	}
}

/* ---- JSON ---- */

static json_t *count_json(struct count c)
{
	return json_pack("{s:I,s:I}", "packets", (json_int_t)c.packets, "bytes",
			 (json_int_t)c.bytes);
}

static json_t *step_json(const struct explained *x, int family, const struct walk_step *s)
{
	struct count c;
	bool counts = count_of_step(x, s, &c);

	return json_pack("{s:i,s:s,s:s,s:o,s:o,s:o,s:o}", "family", family, "chain", s->chain,
			 "what", walk_what_name(s->what), "object", report_json_text(s->object),
			 "key", report_json_text(s->key), "result", report_json_text(s->result),
			 "counter", counts ? count_json(c) : json_null());
}

static json_t *setting_json(int family, const struct explain_setting *s)
{
	return json_pack("{s:i,s:s,s:s,s:s,s:s,s:s,s:n}", "family", family, "chain", "", "what",
			 "setting", "object", s->name, "key", "", "result", s->on ? "1" : "0",
			 "counter");
}

json_t *explain_steps_json(const struct explained *x)
{
	json_t *list = json_array();

	for (unsigned i = 0; x->shown && i < x->n; i++) {
		const struct explain_family *f = &x->v[i];

		for (size_t k = 0; k < f->walk.n_steps; k++)
			json_array_append_new(list,
					      step_json(x, x->families[i], &f->walk.steps[k]));
		for (unsigned k = 0; k < f->n_settings; k++)
			json_array_append_new(list, setting_json(x->families[i], &f->settings[k]));
	}
	return list;
}

static json_t *targets_json(const struct walk *w)
{
	json_t *list = json_array();
	char text[ADDR_TEXT];

	for (size_t i = 0; w->verdict == WALK_LED && i < w->n_targets; i++) {
		const struct walk_target *t = &w->targets[i];

		json_array_append_new(list,
				      json_pack("{s:o,s:i,s:i}", "host",
						t->addr.family
							? json_string(addr_format(&t->addr, text))
							: json_null(),
						"port", (int)t->port, "share", (int)t->share));
	}
	return list;
}

static json_t *refused_json(const struct explained *x, const uint32_t label[4])
{
	json_t *o = json_object();

	for (unsigned k = N_COUNTS; k < EXPLAIN_COUNTS; k++)
		json_object_set_new(o, reason_of(k),
				    json_integer((json_int_t)sum(x, &x->counts[k], label).packets));
	return o;
}

static json_t *counted_json(const struct explained *x, const struct walk *w)
{
	const uint32_t label[4] = { w->label[0] };

	if (!w->label[0])
		return json_null();
	return json_pack("{s:I,s:o,s:o,s:o}", "new",
			 (json_int_t)sum(x, &x->counts[COUNT_NEW], label).packets, "up",
			 count_json(sum(x, &x->counts[COUNT_UP], label)), "down",
			 count_json(sum(x, &x->counts[COUNT_DOWN], label)), "refused",
			 refused_json(x, label));
}

static json_t *walk_json(const struct explained *x, unsigned i)
{
	const struct explain_family *f = &x->v[i];
	const struct walk *w = &f->walk;
	const char *reason = w->refusal < 0 ? NULL : refusal_reason((enum refusal_kind)w->refusal);

	return json_pack("{s:i,s:s,s:o,s:i,s:o,s:i,s:b,s:b,s:b,s:b,s:b,s:b,s:b,s:o,s:o}", "family",
			 x->families[i], "verdict", walk_verdict_name(w->verdict), "reason",
			 report_json_text(reason), "routeId", (int)w->label[0], "targets",
			 targets_json(w), "shares", (int)w->shares, "redirected", w->redirected,
			 "masqueraded", w->masqueraded, "hairpin", w->hairpin, "forwarded",
			 w->forwarded, "dependsOnClient", w->by_client, "dependsOnAddress",
			 w->by_address, "differs", f->differs, "counted", counted_json(x, w),
			 "note", report_json_text(end_note(w)));
}

json_t *explain_kernel_json(const struct explained *x)
{
	json_t *walks = json_array();

	for (unsigned i = 0; x->shown && i < x->n; i++)
		json_array_append_new(walks, walk_json(x, i));
	return json_pack("{s:o,s:i,s:b,s:o,s:o,s:o}", "table",
			 x->shown ? json_string(x->table) : json_null(), "generation",
			 (int)x->generation, "drift", *x->drift != '\0', "driftReason",
			 report_json_text(*x->drift ? x->drift : NULL), "note",
			 report_json_text(*x->note ? x->note : NULL), "walks", walks);
}
