/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fixed part of the table: base chains and the rules around the maps.
 *
 * Deciding happens once per connection, in the nat chains; a forwarded packet
 * passes one filter chain. Only what the plan needs is emitted. The bare-SYN
 * rule keeps TCP connections that already live on a port from being reset when
 * the first nat chain appears: conntrack sees them as new in mid-stream.
 */
#include "ctl/nft/ruleset_compile.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/nft/ruleset_compile_internal.h"

static const struct rs_hook hook_pre = { "nat", NF_INET_PRE_ROUTING, -100 };
static const struct rs_hook hook_out = { "nat", NF_INET_LOCAL_OUT, -100 };
static const struct rs_hook hook_post = { "nat", NF_INET_POST_ROUTING, 100 };
static const uint32_t lo_index = LO_INDEX;

void comp_fail(struct compiler *c, int code, const char *what)
{
	if (!c->rc)
		c->rc = err_set(c->e, code, "%s", what);
}

struct rs_set *comp_set(struct compiler *c, const char *stem, int f, uint32_t flags,
			uint32_t key_type, uint32_t key_len, uint32_t data_type, uint32_t data_len)
{
	struct rs_set_def def = {
		.flags = flags,
		.key_type = key_type,
		.key_len = key_len,
		.data_type = data_type,
		.data_len = data_len,
	};
	struct rs_set *s;

	snprintf(def.name, sizeof(def.name), "%s%c", stem, f == V4 ? '4' : '6');
	s = ruleset_set(c->rs, &def, RS_NO_PLACE);
	if (!s)
		comp_fail(c, -ENOMEM, "out of memory");
	return s;
}

struct rs_chain *comp_chain(struct compiler *c, const char *name, uint32_t place)
{
	struct rs_chain *chain = ruleset_chain(c->rs, name, NULL, place);

	if (!chain)
		comp_fail(c, -ENOMEM, "out of memory");
	return chain;
}

void comp_rule(struct compiler *c, struct rs_chain *chain, struct nx *x, const char *comment,
	       uint32_t place)
{
	struct nftnl_rule *rule = nx_done(x);

	if (!rule || !chain)
		comp_fail(c, -ENOMEM, "out of memory");
	if (rule && chain)
		rs_chain_add(chain, c->rs, rule, comment, place);
}

struct rs_chain *comp_base_chain(struct compiler *c, const char *name, const struct rs_hook *hook)
{
	struct rs_chain *chain = ruleset_chain(c->rs, name, hook, RS_NO_PLACE);

	if (!chain)
		comp_fail(c, -ENOMEM, "out of memory");
	return chain;
}

void comp_is_family(struct nx *x, int f)
{
	if (f == V4)
		nx_is_v4(x);
	else
		nx_is_v6(x);
}

/* ---- decision ---- */

/* tcp flags & (fin|syn|rst|ack) != syn return */
static void rule_bare_syn(struct compiler *c, struct rs_chain *dec)
{
	const uint8_t mask = 0x17, zero = 0, syn = 0x02;
	struct nx x = nx_new();

	nx_is_l4proto(&x, IPPROTO_TCP);
	nx_payload(&x, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, NX_R(8));
	nx_bitwise(&x, NX_R(8), NX_R(8), 1, &mask, &zero);
	nx_cmp(&x, NFT_CMP_NEQ, NX_R(8), &syn, 1);
	nx_verdict(&x, NFT_RETURN, NULL);
	comp_rule(c, dec, &x, "a connection that lives already is left alone", RS_NO_PLACE);
}

void comp_load_key(struct nx *x, int f, bool keyed)
{
	if (!keyed) {
		nx_load_proto_port(x, 8);
		return;
	}
	nx_load_daddr(x, nfproto(f), 8);
	nx_load_proto_port(x, 8 + addr_bytes(f) / 4);
}

void comp_plain_end(struct compiler *c, struct rs_chain *chain, int f, bool keyed)
{
	char to[RS_NAME_MAX];
	struct nx x;

	snprintf(to, sizeof(to), "to%s%c", keyed ? "a" : "", f == V4 ? '4' : '6');
	comp_count_connection(c, chain, RS_NO_PLACE);
	x = nx_new();
	comp_is_family(&x, f);
	comp_load_key(&x, f, keyed);
	nx_lookup_map(&x, to, NX_R(8), NX_R(4));
	nx_dnat(&x, nfproto(f), NX_R(4), NX_R(4 + addr_bytes(f) / 4), 0);
	comp_rule(c, chain, &x, NULL, RS_NO_PLACE);
}

static void rule_vmap(struct compiler *c, struct rs_chain *dec, int f, const char *stem, bool keyed)
{
	char map[RS_NAME_MAX];
	struct nx x;

	snprintf(map, sizeof(map), "%s%s%c", stem, keyed ? "a" : "", f == V4 ? '4' : '6');
	if (!ruleset_find_set(c->rs, map))
		return;
	x = nx_new();
	comp_is_family(&x, f);
	comp_load_key(&x, f, keyed);
	nx_vmap(&x, map, NX_R(8));
	comp_rule(c, dec, &x, NULL, RS_NO_PLACE);
}

/* What one port with one target meets once its label is set. */
static void plain_chain(struct compiler *c, const char *name, int f, bool keyed)
{
	struct rs_chain *chain = comp_chain(c, name, RS_NO_PLACE);

	rule_vmap(c, chain, f, STEM_POLICY, keyed);
	comp_shared_limits(c, chain, f, RS_NO_PLACE);
	comp_plain_end(c, chain, f, keyed);
}

static void rule_plain(struct compiler *c, struct rs_chain *dec, int f, bool keyed)
{
	char id[RS_NAME_MAX], chain[RS_NAME_MAX], which[4];
	struct nx x;

	snprintf(which, sizeof(which), "%s%c", keyed ? "a" : "", f == V4 ? '4' : '6');
	snprintf(id, sizeof(id), "id%s", which);
	snprintf(chain, sizeof(chain), "plain%s", which);
	if (!ruleset_find_set(c->rs, id))
		return;
	x = nx_new();
	comp_is_family(&x, f);
	comp_load_key(&x, f, keyed);
	nx_lookup_map(&x, id, NX_R(8), NX_R(0));
	nx_ct_set(&x, NFT_CT_LABELS, NX_R(0));
	nx_verdict(&x, NFT_GOTO, chain);
	comp_rule(c, dec, &x, "one port, one target", RS_NO_PLACE);
	plain_chain(c, chain, f, keyed);
}

static void rule_address_ranges(struct compiler *c, struct rs_chain *dec, int f)
{
	const char *map = f == V4 ? "adr4" : "adr6";
	struct nx x;

	if (!ruleset_find_set(c->rs, map))
		return;
	x = nx_new();
	comp_is_family(&x, f);
	nx_load_daddr(&x, nfproto(f), 8);
	nx_vmap(&x, map, NX_R(8));
	comp_rule(c, dec, &x, "port ranges of one address", RS_NO_PLACE);
}

static void rule_range(struct compiler *c, struct rs_chain *dec, int f, uint8_t proto)
{
	char map[RS_NAME_MAX];
	struct nx x;

	snprintf(map, sizeof(map), "range_%c%c", proto == IPPROTO_TCP ? 't' : 'u',
		 f == V4 ? '4' : '6');
	if (!ruleset_find_set(c->rs, map))
		return;
	x = nx_new();
	nx_is_l4proto(&x, proto);
	nx_payload(&x, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NX_R(8));
	nx_vmap(&x, map, NX_R(8));
	comp_rule(c, dec, &x, NULL, RS_NO_PLACE);
}

/* The ports that no range of the address covers belong to the routes for all addresses. */
static struct rs_chain *rest_chain(struct compiler *c, struct rs_chain *dec, int f)
{
	struct nx x;

	if (!ruleset_find_set(c->rs, f == V4 ? "adr4" : "adr6"))
		return dec;
	x = nx_new();
	nx_verdict(&x, NFT_GOTO, f == V4 ? CHAIN_REST_V4 : CHAIN_REST_V6);
	comp_rule(c, dec, &x, NULL, RS_NO_PLACE);
	return comp_chain(c, f == V4 ? CHAIN_REST_V4 : CHAIN_REST_V6, RS_NO_PLACE);
}

static void decision_chain(struct compiler *c, int f)
{
	struct rs_chain *dec = comp_chain(c, f == V4 ? "dec4" : "dec6", RS_NO_PLACE);

	if (c->tcp[f])
		rule_bare_syn(c, dec);
	if (c->keyed[f]) {
		rule_plain(c, dec, f, true);
		rule_vmap(c, dec, f, "svc", true);
		rule_address_ranges(c, dec, f);
		dec = rest_chain(c, dec, f);
	}
	rule_plain(c, dec, f, false);
	rule_vmap(c, dec, f, "svc", false);
	rule_range(c, dec, f, IPPROTO_TCP);
	rule_range(c, dec, f, IPPROTO_UDP);
}

/* Nothing but what is addressed to this host itself: traffic through it is not ours. */
static void rule_local_only(struct compiler *c, struct rs_chain *chain)
{
	const uint32_t local = RTN_LOCAL;
	struct nx x = nx_new();

	nx_fib(&x, NFTA_FIB_F_DADDR, NFT_FIB_RESULT_ADDRTYPE, NX_R(8));
	nx_cmp(&x, NFT_CMP_NEQ, NX_R(8), &local, sizeof(local));
	nx_verdict(&x, NFT_RETURN, NULL);
	comp_rule(c, chain, &x, "only what is addressed to this host", RS_NO_PLACE);
}

/* [::1]:port from this host: the answer could not come back (no route_localnet in IPv6). */
static void rule_skip_v6_loopback(struct compiler *c, struct rs_chain *chain)
{
	static const uint8_t one[16] = { [15] = 1 };
	struct nx x = nx_new();

	nx_is_v6(&x);
	nx_load_daddr(&x, NFPROTO_IPV6, 8);
	nx_cmp(&x, NFT_CMP_EQ, NX_R(8), one, sizeof(one));
	nx_verdict(&x, NFT_RETURN, NULL);
	comp_rule(c, chain, &x, NULL, RS_NO_PLACE);
}

static void rule_goto_decision(struct compiler *c, struct rs_chain *chain, int f)
{
	struct nx x;

	if (!c->used[f])
		return;
	x = nx_new();
	comp_is_family(&x, f);
	nx_verdict(&x, NFT_GOTO, f == V4 ? "dec4" : "dec6");
	comp_rule(c, chain, &x, NULL, RS_NO_PLACE);
}

static void entry_chain(struct compiler *c, const char *name, const struct rs_hook *hook)
{
	struct rs_chain *chain = comp_base_chain(c, name, hook);

	rule_local_only(c, chain);
	if (hook == &hook_out && c->used[V6])
		rule_skip_v6_loopback(c, chain);
	rule_goto_decision(c, chain, V4);
	rule_goto_decision(c, chain, V6);
}

/* ---- source address ---- */

static void not_to_lo(struct nx *x)
{
	nx_meta(x, NFT_META_OIF, NX_R(8));
	nx_cmp(x, NFT_CMP_NEQ, NX_R(8), &lo_index, sizeof(lo_index));
}

/* `ip saddr/daddr 127.0.0.0/8` */
static void is_loopback_net(struct nx *x, bool source)
{
	const uint8_t net = 127;

	nx_payload(x, NFT_PAYLOAD_NETWORK_HEADER, source ? 12 : 16, 1, NX_R(8));
	nx_cmp(x, NFT_CMP_EQ, NX_R(8), &net, 1);
}

static void post_chain(struct compiler *c)
{
	struct rs_chain *post = comp_base_chain(c, "post", &hook_post);
	struct nx x = nx_new();

	nx_ct_label_test(&x, 1, LABEL_MASQUERADE | LABEL_HAIRPIN, true);
	not_to_lo(&x);
	nx_masquerade(&x);
	comp_rule(c, post, &x, "our flows that do not keep the client's address", RS_NO_PLACE);
	if (!c->p->needs_route_localnet)
		return;
	x = nx_new();
	nx_is_v4(&x);
	nx_ct_label_test(&x, 0, UINT32_MAX, true);
	not_to_lo(&x);
	is_loopback_net(&x, true);
	nx_masquerade(&x);
	comp_rule(c, post, &x, "clients at 127.0.0.1 on this host", RS_NO_PLACE);
}

static const char drain_name[] = "drain";

bool ruleset_keeps_flows(const struct ruleset *rs)
{
	return ruleset_find_chain(rs, drain_name) != NULL;
}

/*
 * No kernel route: flows that live go on only while a nat base chain and one ct
 * expression exist (without them the kernel unhooks NAT and conntrack).
 */
static void drain_chain(struct compiler *c)
{
	const uint32_t invalid = CT_STATE_INVALID, zero = 0;
	struct nx x = nx_new();

	nx_ct(&x, NFT_CT_STATE, NX_R(8));
	nx_bitwise(&x, NX_R(8), NX_R(8), 4, &invalid, &zero);
	nx_cmp(&x, NFT_CMP_NEQ, NX_R(8), &zero, 4);
	nx_counter(&x);
	comp_rule(c, comp_base_chain(c, drain_name, &hook_pre), &x, "lets established flows end",
		  RS_NO_PLACE);
}

static void compile(struct compiler *c)
{
	bool any;

	comp_default_policy(c);
	for (unsigned i = 0; i < c->p->n_cells && !c->rc; i++)
		comp_cell(c, &c->p->cells[i]);
	any = c->used[V4] || c->used[V6];
	for (int f = 0; f < N_FAMILIES; f++)
		if (c->used[f])
			decision_chain(c, f);
	for (int f = 0; f < N_FAMILIES; f++)
		if (c->users[f])
			comp_user_limits(c, f);
	if (any) {
		entry_chain(c, "pre", &hook_pre);
		entry_chain(c, "out", &hook_out);
	}
	if (c->translates)
		post_chain(c);
	else if (!c->o->no_flows)
		drain_chain(c);
	comp_packet_chains(c);
	comp_refusals(c);
	if (any)
		comp_count_sets(c);
	if (c->p->needs_route_localnet || c->o->guard_loopback)
		comp_loopback_guard(c);
}

struct ruleset *ruleset_compile(const struct plan *p, const struct compile_options *o,
				struct err *e)
{
	struct compiler c = { .p = p, .o = o, .e = e };

	c.rs = ruleset_new(o->table, o->owner, o->generation);
	c.chain_made = calloc(p->n_routes + 1, 1);
	c.policy_of = malloc((p->n_routes + 1) * sizeof(*c.policy_of));
	if (!c.rs || !c.chain_made || !c.policy_of) {
		comp_fail(&c, -ENOMEM, "out of memory");
	} else {
		memset(c.policy_of, 0xff, (p->n_routes + 1) * sizeof(*c.policy_of));
		compile(&c);
	}
	if (!c.rc)
		c.rc = ruleset_seal(c.rs, e);
	free(c.chain_made);
	for (size_t i = 0; i < c.n_shifts; i++)
		free(c.shifts[i]);
	free(c.shifts);
	free(c.lists.v);
	free(c.policies.v);
	free(c.policy_of);
	if (!c.rc)
		return c.rs;
	ruleset_free(c.rs);
	return NULL;
}

#define CHAIN_GUARD "guard"
#define CHAIN_LO127 "lo127"

static void guard_chains(struct compiler *c)
{
	comp_guard_chain(c, CHAIN_GUARD);
	if (c->o->guard_loopback)
		comp_loopback_guard(c);
}

struct ruleset *ruleset_guard(const struct compile_options *o, struct err *e)
{
	struct compiler c = { .o = o, .e = e };

	c.rs = ruleset_new(o->table, o->owner, o->generation);
	if (c.rs)
		guard_chains(&c);
	else
		comp_fail(&c, -ENOMEM, "out of memory");
	if (!c.rc)
		c.rc = ruleset_seal(c.rs, e);
	if (!c.rc)
		return c.rs;
	ruleset_free(c.rs);
	return NULL;
}

struct ruleset *ruleset_without_guard(const struct compile_options *o, const struct ruleset *have,
				      struct err *e)
{
	struct ruleset *rs = ruleset_new(o->table, o->owner, o->generation);

	/* A chain that an interrupted apply left, or that is there for good, is written anew. */
	if (rs && ruleset_find_chain(have, CHAIN_GUARD))
		ruleset_chain(rs, CHAIN_GUARD, &comp_hook_forward, RS_NO_PLACE);
	if (rs && o->guard_loopback && ruleset_find_chain(have, CHAIN_LO127))
		ruleset_chain(rs, CHAIN_LO127, &comp_hook_raw, RS_NO_PLACE);
	if (rs && !ruleset_seal(rs, e)) {
		rs->exists = rs->ours = have->exists;
		return rs;
	}
	ruleset_free(rs);
	if (!rs)
		err_set(e, ENOMEM, "out of memory");
	return NULL;
}

/* Offset of the protocol in the keys of a set, or -1 where they have none. */
static int proto_offset(const struct rs_set_def *d)
{
	const uint32_t plain = RS_CONCAT(RS_TYPE_PROTO, RS_TYPE_PORT);

	if (d->key_type == plain)
		return 0;
	if (d->key_type == RS_CONCAT(RS_CONCAT(RS_TYPE_IP, RS_TYPE_PROTO), RS_TYPE_PORT))
		return 4;
	if (d->key_type == RS_CONCAT(RS_CONCAT(RS_TYPE_IP6, RS_TYPE_PROTO), RS_TYPE_PORT))
		return 16;
	return -1;
}

bool ruleset_leads_udp(const struct ruleset *rs)
{
	for (size_t i = 0; i < rs->n_sets; i++) {
		const struct rs_set *s = rs->sets[i];
		size_t len = strlen(s->def.name), stride = rs_set_stride(&s->def);
		int at = proto_offset(&s->def);

		/* range_u4, aHASHu6: port ranges of UDP */
		if (s->n && s->def.key_type == RS_TYPE_PORT && len > 2 &&
		    s->def.name[len - 2] == 'u')
			return true;
		/* Where the protocol comes first, UDP sorts last. */
		for (size_t k = at == 0 && s->n ? s->n - 1 : 0; at >= 0 && k < s->n; k++)
			if (rs_elem(s, stride, k)[at] == IPPROTO_UDP)
				return true;
	}
	return false;
}
