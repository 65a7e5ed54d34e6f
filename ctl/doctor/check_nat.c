/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first nat rule that translates a connection wins. Chains of others that
 * are asked before ours (a lower priority) or perhaps before (the same: then the
 * one made last goes first) are walked with the first packet of each route.
 */
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <string.h>

#include "ctl/doctor/doctor_internal.h"
#include "ctl/nft/nft_judge.h"

#define OUR_PRIORITY  (-100)
#define MAX_ADDRESSES 32
#define MAX_STEPS     20000000u

struct nat_walk {
	struct doctor *d;
	const struct foreign_chain *chain;
	struct addr addresses[MAX_ADDRESSES]; /* of this host */
	unsigned n_addresses;
	unsigned steps;
	bool gave_up;
	const struct foreign_rule *told; /* findings are by rule */
	struct pending_finding *surely, *perhaps;
};

static void collect_addresses(struct nat_walk *w)
{
	const struct host_facts *h = w->d->in->host;

	for (size_t i = 0; h && i < h->local.n; i++) {
		struct addr a = h->local.v[i].lo;

		for (unsigned k = 0; k < 16 && w->n_addresses < MAX_ADDRESSES; k++) {
			if (addr_is_loopback(&a) || addr_is_link_local_v6(&a))
				break;
			w->addresses[w->n_addresses++] = a;
			if (!addr_cmp(&a, &h->local.v[i].hi) || !addr_next(&a))
				break;
		}
	}
}

static void fix_rule(struct nat_walk *w, struct pending_finding *f, const struct foreign_rule *rule,
		     const struct foreign_chain *c)
{
	const struct foreign_table *t = foreign_table_find(w->d->foreign, c->family, c->table);

	if (t && t->owned)
		finding_fix(w->d, f, "stop the program that owns table %s %s from taking this port",
			    foreign_family_name(c->family), c->table);
	else
		finding_fix(w->d, f, "nft delete rule %s %s %s handle %llu%s",
			    foreign_family_name(c->family), c->table, c->name,
			    (unsigned long long)rule->handle,
			    w->chain->priority < OUR_PRIORITY
				    ? ""
				    : "    # if the route's connections go elsewhere");
}

static void report(struct nat_walk *w, const struct plan_route *r, const struct judge_packet *p,
		   const struct judge_verdict *v)
{
	bool always = v->usually == JUDGE_TRANSLATE;
	/* Which of two chains of one priority is asked first, no listing says. */
	bool surely = always && w->chain->priority < OUR_PRIORITY;
	const struct foreign_rule *rule = always ? v->rule : v->may_translate;
	const struct foreign_chain *c = always ? v->chain : v->may_translate_in;
	struct pending_finding **slot = surely ? &w->surely : &w->perhaps;
	const char *when = w->chain->priority < OUR_PRIORITY
				   ? "before spctl does"
				   : "at spctl's priority: who is asked first cannot be told";

	if (!(v->possible & JUDGE_TRANSLATE) || !rule)
		return;
	if (!*slot) {
		const char *fmt_family = foreign_family_name(c->family);

		*slot = surely ? doctor_problem(w->d,
						"table %s %s, chain %s (rule handle %llu) "
						"translates %s/%u %s",
						fmt_family, c->table, c->name,
						(unsigned long long)rule->handle,
						p->proto == IPPROTO_TCP ? "tcp" : "udp", p->port,
						when)
			       : doctor_note(w->d,
					     "table %s %s, chain %s (rule handle %llu) %s "
					     "%s/%u%s %s",
					     fmt_family, c->table, c->name,
					     (unsigned long long)rule->handle,
					     always ? "translates" : "may translate",
					     p->proto == IPPROTO_TCP ? "tcp" : "udp", p->port,
					     always ? "" : " for some clients,", when);
		fix_rule(w, *slot, rule, c);
	}
	finding_route(w->d, *slot, r);
}

static void judge_address(struct nat_walk *w, const struct plan_route *r, struct judge_packet *p,
			  const struct addr *a)
{
	const struct host_link *in[DOCTOR_MAX_INGRESS];
	unsigned n = doctor_ingress(w->d, a->family, 0, in, DOCTOR_MAX_INGRESS);

	p->family = a->family;
	p->destination = *a;
	for (unsigned i = 0; i < (n ? n : 1); i++) {
		struct judge_verdict v;

		if (n) {
			memcpy(p->iif, in[i]->name, sizeof(p->iif));
			p->iif_index = in[i]->index;
		}
		nft_judge(w->d->foreign, w->chain, p, &v);
		w->steps += v.steps + 1;
		report(w, r, p, &v);
	}
	w->gave_up |= w->steps > MAX_STEPS;
}

static void judge_port(struct nat_walk *w, const struct plan_route *r, uint8_t proto, uint16_t port)
{
	const struct cfg_match *m = &r->route->match;
	struct judge_packet p = { .proto = proto, .port = port, .to_host = true };
	unsigned n = m->n_addresses ? m->n_addresses : w->n_addresses;

	for (unsigned i = 0; i < n && !w->gave_up; i++) {
		const struct addr *a = m->n_addresses ? &m->addresses[i] : &w->addresses[i];
		bool v4 = a->family == ADDR_V4;

		if ((w->chain->family == NFPROTO_INET ||
		     w->chain->family == (v4 ? NFPROTO_IPV4 : NFPROTO_IPV6)) &&
		    (v4 ? r->v4 : r->v6))
			judge_address(w, r, &p, a);
	}
}

static void judge_route(struct nat_walk *w, const struct plan_route *r)
{
	const struct cfg_match *m = &r->route->match;

	for (unsigned i = 0; i < m->n_ports; i++)
		for (uint32_t port = m->ports[i].from; port <= m->ports[i].to && !w->gave_up;
		     port++) {
			if (r->transport & TRANSPORT_TCP)
				judge_port(w, r, IPPROTO_TCP, (uint16_t)port);
			if (r->transport & TRANSPORT_UDP)
				judge_port(w, r, IPPROTO_UDP, (uint16_t)port);
		}
}

static bool comes_before(const struct doctor *d, const struct foreign_chain *c)
{
	const struct foreign_table *t = foreign_table_find(d->foreign, c->family, c->table);

	return c->is_base && c->rules && !(t && t->dormant) && !strcmp(c->type, "nat") &&
	       c->hook == NF_INET_PRE_ROUTING && c->priority <= OUR_PRIORITY;
}

void check_nat_before(struct doctor *d)
{
	struct nat_walk w = { .d = d };

	if (!d->foreign) {
		doctor_note(d, "not looked at: %s", d->foreign_error.msg);
		return;
	}
	collect_addresses(&w);
	foreign_chain_find(d->foreign, 0, "", ""); /* may sort the list */
	for (unsigned i = 0; i < d->foreign->n_chains; i++) {
		const struct plan_route *r;

		w.chain = d->foreign->chains[i];
		w.surely = w.perhaps = NULL;
		if (!comes_before(d, w.chain))
			continue;
		for (unsigned k = 0; (r = doctor_next_route(d, &k));)
			judge_route(&w, r);
	}
	if (w.gave_up)
		doctor_note(d, "other tables are too large to look at all ports");
}
