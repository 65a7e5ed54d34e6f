/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The chain of one route in one family: label the flow, choose the target,
 * translate. Used where a route is more than "this port, that address".
 * Registers: label R0-3, target address R4-7, target port behind it, scratch R9-15.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/text.h"
#include "ctl/nft/ruleset_compile_internal.h"

#define HASH_SEED 0x5bd1e995u /* any constant: what matters is that it never changes */

uint32_t comp_route_id(const struct compiler *c, const struct plan_route *r)
{
	return c->o->ids[r - c->p->routes];
}

void comp_route_label(const struct compiler *c, const struct plan_route *r,
		      const struct plan_target *t, uint32_t words[4])
{
	words[0] = comp_route_id(c, r);
	words[1] = r->preserve_source ? 0 : LABEL_MASQUERADE;
	words[2] = label_instance(c->o->owner);
	words[3] = t ? t->tag : 0;
}

static uint64_t target_key(const struct plan_target *t)
{
	int32_t port[2] = { (int32_t)t->target->port_kind, t->target->port };

	return text_hash(port, sizeof(port), text_hash(t->addr.bytes, sizeof(t->addr.bytes), 0));
}

uint32_t label_instance(const char *instance)
{
	return (uint32_t)text_hash(instance, strlen(instance), 0);
}

const struct plan_target *comp_only_target(const struct plan_route *r, int f)
{
	const struct plan_target *found = NULL;

	for (unsigned i = 0; i < r->n_targets; i++) {
		if (r->targets[i].addr.family != addr_family(f))
			continue;
		if (found)
			return NULL;
		found = &r->targets[i];
	}
	return found;
}

static unsigned port_reg(int f)
{
	return f == V4 ? 5 : 8;
}

/* ---- shifted ports ---- */

static struct shift *find_shift(struct compiler *c, int offset)
{
	struct shift **v, *s;
	char name[RS_NAME_MAX];
	struct rs_set_def def = { .flags = NFT_SET_MAP,
				  .key_type = RS_TYPE_PORT,
				  .key_len = 2,
				  .data_type = RS_TYPE_PORT,
				  .data_len = 2 };

	for (size_t i = 0; i < c->n_shifts; i++)
		if (c->shifts[i]->offset == offset)
			return c->shifts[i];
	v = realloc(c->shifts, (c->n_shifts + 1) * sizeof(struct shift *));
	s = v ? calloc(1, sizeof(*s)) : NULL;
	if (v)
		c->shifts = v;
	if (!s) {
		comp_fail(c, -ENOMEM, "out of memory");
		return NULL;
	}
	c->shifts[c->n_shifts++] = s;
	snprintf(name, sizeof(name), "shift_%s%d", offset < 0 ? "down" : "up", abs(offset));
	memcpy(def.name, name, sizeof(def.name));
	s->offset = offset;
	s->map = ruleset_set(c->rs, &def, RS_NO_PLACE);
	return s;
}

void comp_route_ports(struct compiler *c, const struct plan_route *r, uint32_t from, uint32_t to)
{
	const struct cfg_target *t = r->targets[0].target;
	struct shift *s;

	if (t->port_kind != PORT_OFFSET)
		return;
	s = find_shift(c, t->port);
	for (uint32_t port = from; s && s->map && port <= to; port++) {
		uint16_t key = htons((uint16_t)port), data = htons((uint16_t)((int)port + t->port));

		if (s->done[port / 8] & (1u << port % 8))
			continue;
		s->done[port / 8] |= (uint8_t)(1u << port % 8);
		rs_set_add(s->map, c->rs, &key, 0, &data, r->route->index);
	}
}

static void load_shifted_port(struct compiler *c, struct nx *x, int offset)
{
	struct shift *s = find_shift(c, offset);

	if (!s || !s->map)
		return;
	nx_payload(x, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NX_R(10));
	nx_lookup_map(x, s->map->def.name, NX_R(10), NX_R(11));
}

/* ---- load balancing ---- */

static bool hashes_clients(enum cfg_algorithm a)
{
	return a == LB_IP_HASH || a == LB_CONSISTENT_HASH;
}

static void refuse_slots(struct compiler *c, const struct plan_route *r)
{
	bool hash = hashes_clients(r->route->action.algorithm);
	char what[200];

	if (c->rc)
		return;
	snprintf(what, sizeof(what), "route \"%.100s\" has too many targets or weights%s",
		 r->route->name, hash ? ": some target would never get a client" : "");
	comp_fail(c, -E2BIG, what);
	err_place(c->e, r->route->action.loc, NULL);
	if (hash)
		err_hint(c->e,
			 "use fewer targets, weights that differ less, or another algorithm: at "
			 "most %d slots are dealt out by hash",
			 MAX_SLOTS);
	else
		err_hint(c->e,
			 "the weights of a route, divided by what they have in common, add up to "
			 "at most %d",
			 MAX_SLOTS);
}

struct shares {
	unsigned *weights;
	uint64_t *keys;
	bool *down;
	unsigned n;
	bool some_down; /* and not all */
};

/* Whether it can be done at all must not depend on who is down. */
static unsigned deal_by_hash(const struct shares *s, uint16_t *slot)
{
	const unsigned total = slots_hash(s->keys, s->weights, s->n, slot);

	if (!total || !s->some_down)
		return total;
	for (unsigned i = 0; i < s->n; i++)
		s->weights[i] = s->down[i] ? 0 : s->weights[i];
	return slots_hash(s->keys, s->weights, s->n, slot);
}

static unsigned deal(const struct plan_route *r, const struct shares *s, uint16_t *slot)
{
	unsigned total;

	if (hashes_clients(r->route->action.algorithm))
		return deal_by_hash(s, slot);
	total = slots_round_robin(s->weights, s->n, slot);
	if (r->route->action.health_check)
		total = slots_repeat(s->n, slot, total);
	if (s->some_down)
		slots_give_away(s->weights, s->down, s->n, slot, total);
	return total;
}

static unsigned fill_slots(struct compiler *c, const struct plan_route *r,
			   const struct plan_target **targets, unsigned n, uint16_t *slot)
{
	struct shares s = { calloc(n, sizeof(*s.weights)), calloc(n, sizeof(*s.keys)),
			    calloc(n, sizeof(*s.down)), n, false };
	const bool room = s.weights && s.keys && s.down;
	unsigned total = 0;

	for (unsigned i = 0; i < n && room; i++) {
		s.weights[i] = targets[i]->weight;
		s.keys[i] = target_key(targets[i]);
		s.down[i] = !plan_target_serves(r, targets[i]);
		s.some_down |= s.down[i];
	}
	if (room)
		total = deal(r, &s, slot);
	if (!room)
		comp_fail(c, -ENOMEM, "out of memory");
	else if (!total)
		refuse_slots(c, r);
	free(s.weights);
	free(s.keys);
	free(s.down);
	return total;
}

/* Slot -> label, and label -> address . port (or address, where the port is made otherwise). */
static struct rs_set *slot_map(struct compiler *c, int f)
{
	return comp_set(c, "slot", f, NFT_SET_MAP, RS_TYPE_MARK, 4, RS_TYPE_IP6, LABEL_BYTES);
}

static struct rs_set *target_map(struct compiler *c, int f, bool with_port)
{
	uint32_t ip = f == V4 ? RS_TYPE_IP : RS_TYPE_IP6;

	if (with_port)
		return comp_set(c, "target", f, NFT_SET_MAP, RS_TYPE_IP6, LABEL_BYTES,
				RS_CONCAT(ip, RS_TYPE_PORT), addr_bytes(f) + 4);
	return comp_set(c, "host", f, NFT_SET_MAP, RS_TYPE_IP6, LABEL_BYTES, ip, addr_bytes(f));
}

static void add_target(struct compiler *c, struct rs_set *map, const struct plan_route *r, int f,
		       const struct plan_target *t)
{
	uint16_t port_be = htons((uint16_t)t->target->port);
	uint32_t label[4];
	uint8_t data[20] = { 0 };

	comp_route_label(c, r, t, label);
	memcpy(data, t->addr.bytes, addr_bytes(f));
	if (t->target->port_kind == PORT_FIXED)
		memcpy(data + addr_bytes(f), &port_be, 2);
	rs_set_add(map, c->rs, label, 0, data, r->route->index);
}

static void add_slots(struct compiler *c, struct rs_set *map, const struct plan_route *r,
		      const struct plan_target **targets, const uint16_t *slot, unsigned total)
{
	for (unsigned i = 0; i < total; i++) {
		uint32_t key = comp_route_id(c, r) << 12 | i, label[4];

		comp_route_label(c, r, targets[slot[i]], label);
		rs_set_add(map, c->rs, &key, 0, label, r->route->index);
	}
}

static void choose_slot(struct nx *x, enum cfg_algorithm algorithm, int f, uint32_t first,
			unsigned total)
{
	if (hashes_clients(algorithm)) {
		nx_load_saddr(x, nfproto(f), 12);
		nx_jhash(x, NX_R(12), addr_bytes(f), total, HASH_SEED, first, NX_R(9));
		return;
	}
	nx_numgen(x, algorithm == LB_RANDOM, total, first, NX_R(9));
}

/* Distinct targets: the same address and port may stand in the file twice. */
static void add_targets(struct compiler *c, struct rs_set *map, const struct plan_route *r, int f,
			const struct plan_target **targets, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		bool again = false;

		for (unsigned k = 0; k < i && !again; k++)
			again = targets[k]->tag == targets[i]->tag;
		if (!again)
			add_target(c, map, r, f, targets[i]);
	}
}

/* Sets the label that names the chosen target; where it leads to is looked up by it. */
static void balance(struct compiler *c, struct nx *x, const struct plan_route *r, int f)
{
	unsigned n = plan_count_targets(r, addr_family(f)), k = 0, total;
	const struct plan_target **targets = calloc(n, sizeof(struct plan_target *));
	struct rs_set *slots = slot_map(c, f);
	struct rs_set *map = target_map(c, f, r->targets[0].target->port_kind == PORT_FIXED);
	uint16_t slot[MAX_SLOTS];

	if (!targets || !slots || !map) {
		comp_fail(c, -ENOMEM, "out of memory");
		free(targets);
		return;
	}
	for (unsigned i = 0; i < r->n_targets; i++)
		if (r->targets[i].addr.family == addr_family(f))
			targets[k++] = &r->targets[i];
	total = fill_slots(c, r, targets, n, slot);
	add_slots(c, slots, r, targets, slot, total);
	add_targets(c, map, r, f, targets, n);
	choose_slot(x, r->route->action.algorithm, f, comp_route_id(c, r) << 12, total);
	nx_lookup_map(x, slots->def.name, NX_R(9), NX_R(0));
	nx_ct_set(x, NFT_CT_LABELS, NX_R(0));
	free(targets);
}

/* ---- translation ---- */

static void load_target(struct nx *x, const struct plan_target *t, int f)
{
	uint16_t port_be = htons((uint16_t)t->target->port);

	nx_imm(x, NX_R(4), t->addr.bytes, addr_bytes(f));
	if (t->target->port_kind == PORT_FIXED)
		nx_imm(x, NX_R(port_reg(f)), &port_be, 2);
}

/* The target that the label names into R4. */
static void load_chosen(struct compiler *c, struct nx *x, const struct plan_route *r, int f)
{
	struct rs_set *map = target_map(c, f, r->targets[0].target->port_kind == PORT_FIXED);

	nx_load_label(x);
	if (map)
		nx_lookup_map(x, map->def.name, NX_R(0), NX_R(4));
}

static void translate(struct compiler *c, struct nx *x, const struct plan_route *r, int f)
{
	const struct plan_target *only = comp_only_target(r, f);
	/* Several: all of one kind, and of one offset; the map holds what differs. */
	const struct cfg_target *t = only ? only->target : r->targets[0].target;

	if (only && only->redirect) {
		uint16_t port_be = htons((uint16_t)t->port);

		nx_imm(x, NX_R(5), &port_be, 2);
		nx_redirect(x, NX_R(5));
		return;
	}
	if (only)
		load_target(x, only, f);
	else
		load_chosen(c, x, r, f);
	if (t->port_kind == PORT_FIXED) {
		nx_dnat(x, nfproto(f), NX_R(4), NX_R(port_reg(f)), 0);
	} else if (t->port_kind == PORT_PRESERVE) {
		nx_dnat(x, nfproto(f), NX_R(4), 0, 0);
	} else {
		load_shifted_port(c, x, t->port);
		nx_dnat(x, nfproto(f), NX_R(4), NX_R(11), 0);
	}
}

/* The label, without the target where that is still to be chosen: who refuses counts by it. */
static void rule_label(struct compiler *c, struct rs_chain *chain, const struct plan_route *r,
		       const struct plan_target *only, const char *comment)
{
	struct nx x = nx_new();
	uint32_t label[4];

	comp_route_label(c, r, only, label);
	nx_ct_label_set(&x, label);
	comp_rule(c, chain, &x, comment, r->route->index);
}

static void rule_balance(struct compiler *c, struct rs_chain *chain, const struct plan_route *r,
			 int f)
{
	struct nx x = nx_new();

	balance(c, &x, r, f);
	comp_rule(c, chain, &x, NULL, r->route->index);
}

const char *comp_route_chain(struct compiler *c, const struct plan_route *r, int f,
			     char name[RS_NAME_MAX])
{
	const struct plan_target *only = comp_only_target(r, f);
	size_t index = (size_t)(r - c->p->routes);
	struct rs_chain *chain;
	char comment[100];
	struct nx x;

	snprintf(name, RS_NAME_MAX, "r%u_%c", comp_route_id(c, r), f == V4 ? '4' : '6');
	if (c->chain_made[index] & (1u << f))
		return name;
	c->chain_made[index] |= (uint8_t)(1u << f);
	chain = comp_chain(c, name, r->route->index);
	snprintf(comment, sizeof(comment), "route %.90s", r->route->name);
	rule_label(c, chain, r, only, comment);
	comp_jump_policy(c, chain, f, r);
	if (!only)
		rule_balance(c, chain, r, f);
	comp_count_connection(c, chain, r->route->index);
	x = nx_new();
	translate(c, &x, r, f);
	comp_rule(c, chain, &x, NULL, r->route->index);
	return name;
}
