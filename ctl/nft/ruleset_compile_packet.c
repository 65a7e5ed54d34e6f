/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every packet meets: the guard, maxRate, MSS and the counters. A
 * forwarded packet passes one filter chain, one of this host's own another; each
 * is counted once, by the label of its flow, in a dynamic set. So a counter
 * costs nothing until its first packet, and an apply has nothing to carry over.
 *
 * The hairpin bit is part of the label, so it is set before anything is counted.
 */
#include <errno.h>
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "ctl/nft/ruleset_compile_internal.h"

#define CHAIN_POLICE "police"

enum { TCP_SYN = 0x02, TCP_SYN_RST = 0x06, TCP_FIN_SYN_RST_ACK = 0x17 };

const struct rs_hook comp_hook_forward = { "filter", NF_INET_FORWARD, 0 };
static const struct rs_hook hook_input = { "filter", NF_INET_LOCAL_IN, 0 };
static const struct rs_hook hook_output = { "filter", NF_INET_LOCAL_OUT, 0 };
const struct rs_hook comp_hook_raw = { "filter", NF_INET_PRE_ROUTING, -300 };

/* A full set counts no new flows; nothing else comes of it. Flows have two labels, with hairpin
 * bit and without, and former targets keep theirs. Multiples of 65536: see RS_SIZE_FREE. */
#define COUNT_SIZE_MIN	(4 * RS_SIZE_FREE)
#define COUNT_SIZE_STEP 16u

enum { CT_STATUS_CONFIRMED = 8 };

/* Headers alone: 60 bytes of TCP and 60 of IPv4, or 40 of IPv6 and a few of extensions. */
enum { SYN_MAX_BYTES = 120 };

const char *count_set_name(enum count_kind k)
{
	static const char *const names[N_COUNTS] = { "new", "up", "down" };

	return names[k];
}

/* ---- counters ---- */

static uint32_t count_size(const struct plan *p)
{
	uint32_t size = COUNT_SIZE_MIN;
	size_t n = 0;

	for (unsigned i = 0; i < p->n_routes; i++)
		n += p->routes[i].in_kernel ? p->routes[i].n_targets : 0;
	while (size < 4 * n)
		size *= COUNT_SIZE_STEP;
	return size;
}

static void count_set(struct compiler *c, const char *name)
{
	struct rs_set_def def = { .flags = NFT_SET_EVAL,
				  .key_type = RS_TYPE_IP6, /* nft has no name for 16 bytes */
				  .key_len = LABEL_BYTES,
				  .size = count_size(c->p) };

	memcpy(def.name, name, strlen(name) + 1);
	if (!ruleset_set(c->rs, &def, RS_NO_PLACE))
		comp_fail(c, -ENOMEM, "out of memory");
}

void comp_count_sets(struct compiler *c)
{
	for (int k = 0; k < N_COUNTS; k++)
		count_set(c, count_set_name((enum count_kind)k));
	for (int k = 0; k < N_REFUSALS; k++)
		if (c->refuses[k])
			count_set(c, refusal_set_name((enum refusal_kind)k));
}

void comp_count_connection(struct compiler *c, struct rs_chain *chain, uint32_t place)
{
	struct nx x = nx_new();

	nx_load_label(&x);
	nx_dynset_counter(&x, count_set_name(COUNT_NEW), NX_R(0));
	comp_rule(c, chain, &x, NULL, place);
}

static void rule_count_packets(struct compiler *c, struct rs_chain *chain, bool reply)
{
	struct nx x = nx_new();

	nx_ct_direction(&x, reply);
	nx_load_label(&x);
	nx_dynset_counter(&x, count_set_name(reply ? COUNT_DOWN : COUNT_UP), NX_R(0));
	comp_rule(c, chain, &x, NULL, RS_NO_PLACE);
}

/* Of a flow that is not there yet: its first packet, or what answers that right here. */
static void is_unconfirmed(struct nx *x)
{
	const uint32_t confirmed = CT_STATUS_CONFIRMED, zero = 0;

	nx_ct(x, NFT_CT_STATUS, NX_R(8));
	nx_bitwise(x, NX_R(8), NX_R(8), sizeof(confirmed), &confirmed, &zero);
	nx_cmp(x, NFT_CMP_EQ, NX_R(8), &zero, sizeof(zero));
}

/* ---- maxRate ---- */

static const char *police_set(bool reply)
{
	return reply ? RS_LIMIT_SET "down" : RS_LIMIT_SET "up";
}

void comp_police(struct compiler *c, const struct plan_route *r)
{
	const struct cfg_nftables *n = r->route->action.nftables;
	uint64_t bytes = n ? n->max_rate_bits / 8 : 0;
	const uint32_t key[4] = { comp_route_id(c, r), 0, label_instance(c->o->owner), 0 };

	if (!bytes)
		return;
	c->polices = true;
	for (int reply = 0; reply < 2; reply++) {
		struct rs_set_def def = { .key_type = RS_TYPE_IP6,
					  .key_len = LABEL_BYTES,
					  .data_type = RS_DATA_LIMIT,
					  .data_len = sizeof(bytes) };
		struct rs_set *s;

		memcpy(def.name, police_set(reply), strlen(police_set(reply)) + 1);
		s = ruleset_set(c->rs, &def, RS_NO_PLACE);
		if (s)
			rs_set_add(s, c->rs, key, 0, &bytes, r->route->index);
		else
			comp_fail(c, -ENOMEM, "out of memory");
	}
}

/* Beyond the route's rate: each route has one bucket a direction, whatever its targets. */
static void rule_police(struct compiler *c, struct rs_chain *chain, bool reply)
{
	const uint32_t mask[4] = { UINT32_MAX, 0, UINT32_MAX, 0 }, zero[4] = { 0 };
	struct nx x = nx_new();

	nx_ct_direction(&x, reply);
	nx_load_label(&x);
	nx_bitwise(&x, NX_R(0), NX_R(0), LABEL_BYTES, mask, zero);
	nx_lookup_set(&x, police_set(reply), NX_R(0), false);
	nx_verdict(&x, NF_DROP, NULL);
	comp_rule(c, chain, &x, "maxRate", RS_NO_PLACE);
}

/*
 * A SYN that is dropped before its flow exists is sent again, and would be a new
 * connection each time: counted, and taken from what its client may do in a
 * minute. So each flow's first one passes; a SYN may carry data, or be repeated
 * at will, and neither is a way around the rate.
 */
static void police_chain(struct compiler *c)
{
	struct rs_chain *chain = comp_chain(c, CHAIN_POLICE, RS_NO_PLACE);
	struct nx x = nx_new();

	nx_is_l4proto(&x, IPPROTO_TCP);
	nx_tcp_flags(&x, TCP_FIN_SYN_RST_ACK, NFT_CMP_EQ, TCP_SYN);
	is_unconfirmed(&x);
	nx_length_at_most(&x, SYN_MAX_BYTES);
	nx_verdict(&x, NFT_RETURN, NULL);
	comp_rule(c, chain, &x, "new connections pass", RS_NO_PLACE);
	for (int reply = 0; reply < 2; reply++)
		rule_police(c, chain, reply);
}

/* ---- guards ---- */

static void rule_guard(struct compiler *c, struct rs_chain *chain, int f)
{
	struct nx x = nx_new();

	comp_is_family(&x, f);
	nx_ct_label_test(&x, 0, UINT32_MAX, false);
	nx_counter(&x);
	nx_verdict(&x, NF_DROP, NULL);
	comp_rule(c, chain, &x, "forwarding is on for our routes only", RS_NO_PLACE);
}

static struct rs_chain *guarded_chain(struct compiler *c, const char *name)
{
	struct rs_chain *chain = comp_base_chain(c, name, &comp_hook_forward);

	if (c->o->guard_v4)
		rule_guard(c, chain, V4);
	if (c->o->guard_v6)
		rule_guard(c, chain, V6);
	return chain;
}

void comp_guard_chain(struct compiler *c, const char *name)
{
	guarded_chain(c, name);
}

/* route_localnet must not let the network talk to 127.0.0.0/8. */
void comp_loopback_guard(struct compiler *c)
{
	struct rs_chain *chain = comp_base_chain(c, "lo127", &comp_hook_raw);
	const uint32_t lo_index = LO_INDEX;
	const uint8_t net = 127;

	for (int source = 0; source < 2; source++) {
		struct nx x = nx_new();

		/* The address first: it is nearly always another, and every packet comes here. */
		nx_is_v4(&x);
		nx_payload(&x, NFT_PAYLOAD_NETWORK_HEADER, source ? 12 : 16, 1, NX_R(8));
		nx_cmp(&x, NFT_CMP_EQ, NX_R(8), &net, 1);
		nx_meta(&x, NFT_META_IIF, NX_R(8));
		nx_cmp(&x, NFT_CMP_NEQ, NX_R(8), &lo_index, sizeof(lo_index));
		nx_verdict(&x, NF_DROP, NULL);
		comp_rule(c, chain, &x, "nobody outside talks to 127.0.0.0/8", RS_NO_PLACE);
	}
}

/* ---- chains ---- */

/* Flows of another spctl in this namespace are counted, and policed, by that one. */
static void rule_not_ours(struct compiler *c, struct rs_chain *chain)
{
	struct nx x = nx_new();

	nx_ct_label_differs(&x, 2, label_instance(c->o->owner));
	nx_verdict(&x, NFT_RETURN, NULL);
	comp_rule(c, chain, &x, "not ours", RS_NO_PLACE);
}

/* A client and its target behind the same interface: the answer must come back through us. */
static void rule_hairpin(struct compiler *c, struct rs_chain *chain)
{
	const uint32_t state_new = CT_STATE_NEW, zero = 0;
	const uint32_t label[4] = { 0, LABEL_HAIRPIN, 0, 0 };
	const uint32_t present = 1;
	struct nx x = nx_new();

	nx_ct(&x, NFT_CT_STATE, NX_R(8));
	nx_bitwise(&x, NX_R(8), NX_R(8), 4, &state_new, &zero);
	nx_cmp(&x, NFT_CMP_NEQ, NX_R(8), &zero, 4);
	nx_fib(&x, NFTA_FIB_F_DADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT, NFT_FIB_RESULT_OIF,
	       NX_R(8));
	nx_cmp(&x, NFT_CMP_EQ, NX_R(8), &present, sizeof(present));
	nx_ct_label_set(&x, label);
	comp_rule(c, chain, &x, "hairpin", RS_NO_PLACE);
}

/* An answer to a connection that is not there yet is our own refusal: no traffic of the route. */
static void rule_refusal(struct compiler *c, struct rs_chain *chain)
{
	struct nx x = nx_new();

	nx_ct_direction(&x, true);
	is_unconfirmed(&x);
	nx_verdict(&x, NFT_RETURN, NULL);
	comp_rule(c, chain, &x, "refusals", RS_NO_PLACE);
}

/* maxRate first: what it drops has not passed. */
static void rules_of_flow(struct compiler *c, struct rs_chain *chain)
{
	if (c->polices) {
		struct nx x = nx_new();

		nx_verdict(&x, NFT_JUMP, CHAIN_POLICE);
		comp_rule(c, chain, &x, NULL, RS_NO_PLACE);
	}
	for (int reply = 0; reply < 2; reply++)
		rule_count_packets(c, chain, reply);
}

/* Only those have the option; asking for the route's MTU is a route lookup. */
static void rule_mss(struct compiler *c, struct rs_chain *chain)
{
	struct nx x = nx_new();

	nx_is_l4proto(&x, IPPROTO_TCP);
	nx_tcp_flags(&x, TCP_SYN_RST, NFT_CMP_EQ, TCP_SYN);
	nx_mss_clamp(&x);
	comp_rule(c, chain, &x, NULL, RS_NO_PLACE);
}

static void forward_chain(struct compiler *c)
{
	struct rs_chain *chain = guarded_chain(c, "forw");

	if (!c->translates)
		return;
	rule_not_ours(c, chain);
	if (c->preserves)
		rule_hairpin(c, chain);
	rules_of_flow(c, chain);
	rule_mss(c, chain);
}

/* Clients on this host, and targets on it. What goes over lo is seen once, on its way out. */
static void host_chains(struct compiler *c)
{
	struct rs_chain *in = comp_base_chain(c, "inp", &hook_input);
	struct rs_chain *out = comp_base_chain(c, "outp", &hook_output);
	const uint32_t lo_index = LO_INDEX;
	struct nx x = nx_new();

	nx_meta(&x, NFT_META_IIF, NX_R(8));
	nx_cmp(&x, NFT_CMP_EQ, NX_R(8), &lo_index, sizeof(lo_index));
	nx_verdict(&x, NFT_RETURN, NULL);
	comp_rule(c, in, &x, NULL, RS_NO_PLACE);
	rule_not_ours(c, in);
	rule_not_ours(c, out);
	rule_refusal(c, out);
	rules_of_flow(c, in);
	rules_of_flow(c, out);
}

void comp_packet_chains(struct compiler *c)
{
	if (c->translates || c->o->guard_v4 || c->o->guard_v6)
		forward_chain(c);
	if (!c->translates)
		return;
	host_chains(c);
	if (c->polices)
		police_chain(c);
}
