/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft_model: random tables of every kind of set, map, chain and reference that
 * the diff has to order, drawn from small key spaces so that two of them
 * overlap. The gotos never make a loop. After cmocka.h, once a test.
 */
#ifndef TESTS_UNIT_NFT_MODEL_H
#define TESTS_UNIT_NFT_MODEL_H

#include <stdio.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "ctl/nft/nft_expr.h"
#include "ctl/nft/ruleset.h"

#define TABLE "t1"
#define OWNER "unit test"

#define CHECK_RC(rc, e)                                                            \
	do {                                                                       \
		if (rc)                                                            \
			fail_msg("%s:%d: %d %s", __func__, __LINE__, rc, (e).msg); \
	} while (0)

static uint64_t rng_state;

static inline uint32_t rnd(uint32_t n)
{
	rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rng_state >> 33) % n;
}

static inline void seal(struct ruleset *rs)
{
	struct err e = { 0 };

	CHECK_RC(ruleset_seal(rs, &e), e);
}

#define N_CHAINS 10

struct model {
	struct ruleset *rs;
	bool chain[N_CHAINS];
	bool id, svc, range, client, block, block6, ports, shape;
	bool shape_is_mark;
};

static inline const char *chain_name(unsigned i)
{
	static const char *const names[N_CHAINS] = { "c0", "c1", "c2", "c3", "c4",
						     "c5", "c6", "c7", "c8", "c9" };

	return names[i];
}

static inline struct rs_set *add_set(struct model *m, const char *name, uint32_t flags,
				     uint32_t key_type, uint32_t key_len, uint32_t data_type,
				     uint32_t data_len)
{
	struct rs_set_def def = {
		.flags = flags,
		.key_type = key_type,
		.key_len = key_len,
		.data_type = data_type,
		.data_len = data_len,
	};

	snprintf(def.name, sizeof(def.name), "%s", name);
	return ruleset_set(m->rs, &def, RS_NO_PLACE);
}

static inline const char *some_chain(const struct model *m)
{
	for (;;) {
		unsigned i = rnd(N_CHAINS);

		if (m->chain[i])
			return chain_name(i);
	}
}

static inline void key_proto_port(uint8_t key[8], unsigned i)
{
	memset(key, 0, 8);
	key[0] = i & 1 ? 17 : 6;
	key[4] = (uint8_t)(i >> 8);
	key[5] = (uint8_t)i;
}

static inline void fill_hashed(struct model *m)
{
	const uint32_t pp = RS_CONCAT(RS_TYPE_PROTO, RS_TYPE_PORT);
	struct rs_set *s = NULL;
	uint8_t key[8];

	if (m->id)
		s = add_set(m, "id4", NFT_SET_MAP, pp, 8, RS_TYPE_IP6, 16);
	for (unsigned i = 0; m->id && i < 300; i++) {
		uint32_t data[4] = { rnd(2), 7, 0, 0 };

		key_proto_port(key, i);
		if (rnd(3))
			rs_set_add(s, m->rs, key, 0, data, i);
	}
	if (m->svc)
		s = add_set(m, "svc4", NFT_SET_MAP, pp, 8, NFT_DATA_VERDICT, 0);
	for (unsigned i = 0; m->svc && i < 60; i++) {
		key_proto_port(key, i);
		if (rnd(3))
			rs_set_add_goto(s, m->rs, key, some_chain(m), i);
	}
}

/* Random cuts of a key space whose keys are `len` bytes, the last two being the number. */
static inline void fill_intervals(struct model *m, struct rs_set *s, unsigned len)
{
	bool verdict = rs_set_def_is_verdict(&s->def), map = s->def.flags & NFT_SET_MAP;
	unsigned at = rnd(4), next;

	for (; at < 64; at = next) {
		uint8_t lo[16] = { 0 }, hi[16] = { 0 }, data[2] = { 0, (uint8_t)rnd(3) };
		bool open;

		next = at + 1 + rnd(9);
		open = next >= 64 && rnd(2);
		lo[len - 1] = (uint8_t)at;
		hi[len - 1] = (uint8_t)next;
		if (!rnd(3))
			continue;
		if (verdict)
			rs_set_add_goto(s, m->rs, lo, some_chain(m), at);
		else
			rs_set_add(s, m->rs, lo, 0, map ? data : NULL, at);
		if (!open)
			rs_set_add(s, m->rs, hi, RS_ELEM_INTERVAL_END, NULL, at);
	}
}

static inline void fill_interval_sets(struct model *m)
{
	const uint32_t vmap = NFT_SET_MAP | NFT_SET_INTERVAL;

	if (m->range)
		fill_intervals(m, add_set(m, "rng4", vmap, RS_TYPE_PORT, 2, NFT_DATA_VERDICT, 0),
			       2);
	if (m->client)
		fill_intervals(m, add_set(m, "cl4", vmap, RS_TYPE_IP, 4, NFT_DATA_VERDICT, 0), 4);
	if (m->ports)
		fill_intervals(m, add_set(m, "ports", vmap, RS_TYPE_PORT, 2, RS_TYPE_PORT, 2), 2);
	if (m->block)
		fill_intervals(m, add_set(m, "block4", NFT_SET_INTERVAL, RS_TYPE_IP, 4, 0, 0), 4);
	if (m->block6)
		fill_intervals(m, add_set(m, "block6", NFT_SET_INTERVAL, RS_TYPE_IP6, 16, 0, 0),
			       16);
}

/* A set whose definition is drawn anew, and a dynamic one of changing size. */
static inline void fill_shapes(struct model *m)
{
	struct rs_set_def dyn = {
		.name = "dyn",
		.flags = NFT_SET_EVAL | NFT_SET_TIMEOUT,
		.key_type = RS_TYPE_IP,
		.key_len = 4,
		.size = 1024 * (1 + rnd(2)),
		.timeout_ms = 60000,
	};
	uint32_t key;
	struct rs_set *s;

	if (rnd(2))
		ruleset_set(m->rs, &dyn, RS_NO_PLACE);
	if (!m->shape)
		return;
	m->shape_is_mark = rnd(2);
	s = add_set(m, "shape", 0, m->shape_is_mark ? RS_TYPE_MARK : RS_TYPE_IP, 4, 0, 0);
	for (key = 0; key < 20; key++) {
		if (rnd(2))
			rs_set_add(s, m->rs, &key, 0, NULL, key);
	}
}

static inline void add_rule(struct model *m, struct rs_chain *c, struct nx *x, const char *comment)
{
	rs_chain_add(c, m->rs, nx_done(x), comment, RS_NO_PLACE);
}

static inline void rule_lookup(struct model *m, struct rs_chain *c, const char *set, bool v6)
{
	struct nx x = nx_new();

	if (v6)
		nx_is_v6(&x);
	else
		nx_is_v4(&x);
	nx_load_saddr(&x, v6 ? NFPROTO_IPV6 : NFPROTO_IPV4, 4);
	nx_lookup_set(&x, set, NX_R(4), rnd(2));
	nx_counter(&x);
	add_rule(m, c, &x, NULL);
}

static inline void rule_vmap(struct model *m, struct rs_chain *c, const char *map, unsigned kind)
{
	struct nx x = nx_new();

	if (kind == 0) {
		nx_load_proto_port(&x, 8);
		nx_vmap(&x, map, NX_R(8));
	} else if (kind == 1) {
		nx_is_l4proto(&x, 6);
		nx_payload(&x, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG_1);
		nx_vmap(&x, map, NFT_REG_1);
	} else {
		nx_is_v4(&x);
		nx_load_saddr(&x, NFPROTO_IPV4, 0);
		nx_vmap(&x, map, NFT_REG_1);
	}
	add_rule(m, c, &x, "vmap");
}

/* Random rules; gotos lead to later chains only, so there is never a loop. */
static inline void fill_chain(struct model *m, struct rs_chain *c, unsigned i)
{
	for (unsigned k = rnd(4); k; k--) {
		struct nx x = nx_new();
		uint16_t port = (uint16_t)rnd(3);

		nx_is_l4proto(&x, 6);
		nx_payload(&x, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG_1);
		nx_cmp(&x, NFT_CMP_EQ, NFT_REG_1, &port, 2);
		if (i + 1 < N_CHAINS && m->chain[i + 1] && rnd(2))
			nx_verdict(&x, NFT_GOTO, chain_name(i + 1));
		else
			nx_verdict(&x, NFT_RETURN, NULL);
		add_rule(m, c, &x, rnd(2) ? "a comment" : NULL);
	}
	if (m->block && rnd(2))
		rule_lookup(m, c, "block4", false);
	if (m->block6 && rnd(2))
		rule_lookup(m, c, "block6", true);
	if (m->shape && !m->shape_is_mark && rnd(2))
		rule_lookup(m, c, "shape", false);
}

static inline void fill_base(struct model *m)
{
	struct rs_hook nat = { "nat", NF_INET_PRE_ROUTING, -100 + (int)rnd(2) };
	struct rs_hook filter = { "filter", NF_INET_FORWARD, 0 };
	struct rs_chain *c = ruleset_chain(m->rs, "pre", &nat, RS_NO_PLACE);

	if (m->svc)
		rule_vmap(m, c, "svc4", 0);
	if (m->range)
		rule_vmap(m, c, "rng4", 1);
	if (m->client)
		rule_vmap(m, c, "cl4", 2);
	if (rnd(2))
		ruleset_chain(m->rs, "forw", &filter, RS_NO_PLACE);
}

static inline struct ruleset *random_ruleset(uint32_t generation)
{
	struct model m = { .rs = ruleset_new(TABLE, OWNER, generation) };
	struct rs_chain *c[N_CHAINS] = { 0 };

	m.id = rnd(4);
	m.svc = rnd(4);
	m.range = rnd(4);
	m.client = rnd(4);
	m.block = rnd(4);
	m.block6 = rnd(4);
	m.ports = rnd(4);
	m.shape = rnd(4);
	for (unsigned i = 0; i < N_CHAINS; i++) {
		m.chain[i] = i == 3 || rnd(4);
		if (m.chain[i])
			c[i] = ruleset_chain(m.rs, chain_name(i), NULL, RS_NO_PLACE);
	}
	fill_hashed(&m);
	fill_interval_sets(&m);
	fill_shapes(&m);
	fill_base(&m);
	for (unsigned i = 0; i < N_CHAINS; i++) {
		if (c[i])
			fill_chain(&m, c[i], i);
	}
	seal(m.rs);
	return m.rs;
}

#endif
