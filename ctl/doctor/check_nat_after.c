/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Source nat of others, for routes that keep the client's address. Each nat chain
 * is asked until one gives a source, and ours gives those none: whatever the
 * priority, another chain's masquerade hides the client from the target.
 */
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <string.h>

#include "ctl/doctor/doctor_internal.h"
#include "ctl/nft/nft_judge.h"

#define MAX_STEPS 20000000u

struct source_walk {
	struct doctor *d;
	const struct foreign_chain *chain;
	unsigned steps;
	struct pending_finding *surely, *perhaps;
};

static void fix_source(struct source_walk *w, struct pending_finding *f,
		       const struct judge_packet *p)
{
	const struct foreign_chain *c = w->chain;
	const struct foreign_table *t = foreign_table_find(w->d->foreign, c->family, c->table);
	bool v4 = p->family == ADDR_V4;
	char text[ADDR_TEXT];

	addr_format(&p->destination, text);
	if (t && t->owned)
		finding_fix(w->d, f, "tell the program that owns this table to leave %s alone",
			    text);
	else if (c->family != NFPROTO_INET && !strcmp(c->table, "nat") &&
		 !strcmp(c->name, "POSTROUTING"))
		finding_fix(
			w->d, f,
			"%s -t nat -I POSTROUTING -d %s -m conntrack --ctstate DNAT -j ACCEPT    "
			"# and so for each target of these routes",
			v4 ? "iptables" : "ip6tables", text);
	else
		finding_fix(
			w->d, f,
			"nft insert rule %s %s %s %s daddr %s ct status dnat accept    # and so "
			"for each target of these routes",
			foreign_family_name(c->family), c->table, c->name, v4 ? "ip" : "ip6", text);
}

static void report(struct source_walk *w, const struct plan_route *r, const struct judge_packet *p,
		   const struct judge_side *by, bool surely)
{
	static const char fmt[] = "table %s %s, chain %s (rule handle %llu) %s the client's "
				  "address, which these routes keep: targets see another%s";
	struct pending_finding **slot = surely ? &w->surely : &w->perhaps;
	struct pending_finding *(*add)(struct doctor * d, const char *fmt, ...) PRINTF_LIKE(2, 3) =
		surely ? doctor_problem : doctor_note;

	if (!*slot) {
		*slot = add(w->d, fmt, foreign_family_name(w->chain->family), by->chain->table,
			    by->chain->name, (unsigned long long)by->rule->handle,
			    surely ? "replaces" : "may replace", surely ? "" : " for some clients");
		fix_source(w, *slot, p);
	}
	finding_route(w->d, *slot, r);
}

static void judge_port(struct source_walk *w, const struct plan_route *r, struct judge_packet *p)
{
	const struct host_link *in[DOCTOR_MAX_INGRESS];
	unsigned n = doctor_ingress(w->d, p->family, p->oif_index, in, DOCTOR_MAX_INGRESS);
	struct judge_side by = { 0 };
	unsigned surely = 0, all = n ? n : 1;

	for (unsigned i = 0; i < all; i++) {
		struct judge_verdict v;

		if (n) {
			memcpy(p->iif, in[i]->name, sizeof(p->iif));
			p->iif_index = in[i]->index;
		}
		nft_judge(w->d->foreign, w->chain, p, &v);
		w->steps += v.steps + 1;
		surely += v.side[EFFECT_SOURCE].surely;
		if (v.side[EFFECT_SOURCE].rule && !by.surely)
			by = v.side[EFFECT_SOURCE];
	}
	if (by.rule)
		report(w, r, p, &by, surely == all);
}

static void judge_target(struct source_walk *w, const struct plan_route *r,
			 const struct plan_target *t)
{
	const struct doctor_target *known = doctor_target_find(w->d, &t->addr);
	struct judge_packet p = { .family = t->addr.family,
				  .destination = t->addr,
				  .translated = true };
	uint16_t ports[DOCTOR_MAX_PORTS];
	unsigned n = doctor_sample_ports(r, ports);

	if (known && known->link) {
		memcpy(p.oif, known->link->name, sizeof(p.oif));
		p.oif_index = known->link->index;
	}
	for (unsigned i = 0; i < n; i++) {
		p.port = plan_target_port(t, ports[i]);
		p.proto = IPPROTO_TCP;
		if (r->transport & TRANSPORT_TCP)
			judge_port(w, r, &p);
		p.proto = IPPROTO_UDP;
		if (r->transport & TRANSPORT_UDP)
			judge_port(w, r, &p);
	}
}

static void judge_chain(struct source_walk *w)
{
	const struct plan_route *r;

	w->surely = w->perhaps = NULL;
	for (unsigned i = 0; (r = doctor_next_route(w->d, &i));)
		for (unsigned k = 0; r->preserve_source && k < r->n_targets; k++)
			if (!r->targets[k].local && w->steps <= MAX_STEPS &&
			    foreign_takes_family(w->chain, r->targets[k].addr.family))
				judge_target(w, r, &r->targets[k]);
}

void check_nat_after(struct doctor *d)
{
	struct source_walk w = { .d = d };

	if (!d->foreign) {
		doctor_note(d, "not looked at: %s", d->foreign_error.msg);
		return;
	}
	foreign_chain_find(d->foreign, 0, "", ""); /* may sort the list */
	for (unsigned i = 0; i < d->foreign->n_chains; i++) {
		w.chain = d->foreign->chains[i];
		if (w.chain->hook == NF_INET_POST_ROUTING && !strcmp(w.chain->type, "nat") &&
		    foreign_is_active(d, w.chain))
			judge_chain(&w);
	}
	if (w.steps > MAX_STEPS)
		doctor_note(d, "other tables are too large to look at all routes");
}
