/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other tables: does one of their base chains drop what our routes let through?
 * Each chain is walked with the first packet of each route's connections
 * (nft_judge.h). Only "dropped, whatever the client" is a problem; "depends on
 * the client" is what firewalls are for, and a note.
 */
#include <errno.h>
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "ctl/base/io.h"
#include "ctl/doctor/doctor_internal.h"
#include "ctl/nft/nft_judge.h"

#define MAX_INGRESS 8
#define MAX_STEPS   20000000u /* of all chains of one check: about a second */
#define MAX_PORTS   16

struct walk {
	struct doctor *d;
	const struct foreign_chain *chain;
	bool local; /* the input hook: targets on this host */
	unsigned steps;
	bool gave_up;
	struct pending_finding *drops, *unsure;
};

static bool takes_family(const struct foreign_chain *c, int family)
{
	return c->family == NFPROTO_INET ||
	       c->family == (family == ADDR_V4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
}

static bool is_active(const struct doctor *d, const struct foreign_chain *c)
{
	const struct foreign_table *t = foreign_table_find(d->foreign, c->family, c->table);

	return c->is_base && !(t && t->dormant) && (c->rules || c->policy == NF_DROP);
}

/* ---- the fix ---- */

static bool is_iptables(const struct foreign_chain *c)
{
	return c->family != NFPROTO_INET && !strcmp(c->table, "filter") &&
	       (!strcmp(c->name, "FORWARD") || !strcmp(c->name, "INPUT"));
}

static void fix_iptables(struct walk *w, struct pending_finding *f)
{
	const struct foreign_chain *c = w->chain;
	const char *user = "DOCKER-USER", *keep = "";

	if (w->local || !foreign_chain_find(w->d->foreign, c->family, c->table, user))
		user = c->name;
	if (foreign_chain_find(w->d->foreign, c->family, c->table, "ufw-before-forward") ||
	    foreign_chain_find(w->d->foreign, c->family, c->table, "ufw6-before-forward"))
		keep = c->family == NFPROTO_IPV4
			       ? "    # and into /etc/ufw/before.rules, to keep it"
			       : "    # and into /etc/ufw/before6.rules, to keep it";
	finding_fix(w->d, f, "%s -I %s -m conntrack --ctstate DNAT -j ACCEPT%s",
		    c->family == NFPROTO_IPV4 ? "iptables" : "ip6tables", user, keep);
}

static void fix_policy(struct walk *w, struct pending_finding *f)
{
	const struct foreign_chain *c = w->chain;
	const struct foreign_table *t = foreign_table_find(w->d->foreign, c->family, c->table);

	if (is_iptables(c))
		fix_iptables(w, f);
	else if (t && t->owned)
		finding_fix(w->d, f,
			    "tell the program that owns this table to accept `ct status dnat`");
	else
		finding_fix(w->d, f,
			    "nft insert rule %s %s %s ct status dnat accept    # and into the file "
			    "that it was loaded from",
			    foreign_family_name(c->family), c->table, c->name);
}

/* ---- one chain ---- */

static struct pending_finding *new_drop(struct walk *w, const struct judge_packet *p,
					const struct judge_verdict *v)
{
	const struct foreign_chain *c = w->chain;
	const char *family = foreign_family_name(c->family), *what = w->local ? "to" : "through";
	const char *on = *p->iif ? " from " : "";
	struct pending_finding *f;

	if (v->rule)
		f = doctor_problem(w->d,
				   "table %s %s, chain %s (rule handle %llu) drops connections%s%s "
				   "%s this host",
				   family, c->table, v->chain->name,
				   (unsigned long long)v->rule->handle, on, p->iif, what);
	else
		f = doctor_problem(w->d,
				   "table %s %s, chain %s (policy drop) drops connections%s%s %s "
				   "this host",
				   family, c->table, c->name, on, p->iif, what);
	fix_policy(w, f);
	return f;
}

static void note_verdict(struct walk *w, const struct plan_route *r, const struct judge_packet *p,
			 const struct judge_verdict *v)
{
	const struct foreign_chain *c = w->chain;

	if (v->usually != JUDGE_DROP)
		return;
	if (v->possible == JUDGE_DROP) {
		if (!w->drops)
			w->drops = new_drop(w, p, v);
		finding_route(w->d, w->drops, r);
		return;
	}
	if (!w->unsure)
		w->unsure = doctor_note(w->d,
					"table %s %s, chain %s drops what its rules do not accept; "
					"for whom they accept these routes cannot be told",
					foreign_family_name(c->family), c->table, c->name);
	finding_route(w->d, w->unsure, r);
}

static void judge_packet(struct walk *w, const struct plan_route *r, struct judge_packet *p,
			 uint32_t oif)
{
	const struct host_link *in[MAX_INGRESS];
	unsigned n = doctor_ingress(w->d, p->family, oif, in, MAX_INGRESS);

	for (unsigned i = 0; i < (n ? n : 1); i++) {
		struct judge_verdict v;

		if (n) {
			memcpy(p->iif, in[i]->name, sizeof(p->iif));
			p->iif_index = in[i]->index;
		}
		nft_judge(w->d->foreign, w->chain, p, &v);
		w->steps += v.steps + 1;
		note_verdict(w, r, p, &v);
	}
}

/* The first and the last port of each range: firewalls that cut a range in two are rare. */
static unsigned sample_ports(const struct plan_route *r, uint16_t ports[MAX_PORTS])
{
	const struct cfg_match *m = &r->route->match;
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_ports && n + 2 <= MAX_PORTS; i++) {
		ports[n++] = m->ports[i].from;
		if (m->ports[i].to != m->ports[i].from)
			ports[n++] = m->ports[i].to;
	}
	return n;
}

static void judge_target(struct walk *w, const struct plan_route *r, const struct plan_target *t)
{
	const struct doctor_target *known = doctor_target_find(w->d, &t->addr);
	struct judge_packet p = { .family = t->addr.family,
				  .destination = t->addr,
				  .translated = true,
				  .to_host = w->local };
	uint16_t ports[MAX_PORTS];
	unsigned n = sample_ports(r, ports);

	if (t->redirect) /* whichever address it came to */
		p.destination = (struct addr){ 0 };
	if (known && known->link) {
		memcpy(p.oif, known->link->name, sizeof(p.oif));
		p.oif_index = known->link->index;
	}
	for (unsigned i = 0; i < n; i++) {
		p.port = plan_target_port(t, ports[i]);
		for (int proto = 0; proto < 2; proto++) {
			if (!(r->transport & (proto ? TRANSPORT_UDP : TRANSPORT_TCP)))
				continue;
			p.proto = proto ? IPPROTO_UDP : IPPROTO_TCP;
			judge_packet(w, r, &p, p.oif_index);
		}
	}
}

static void judge_chain(struct walk *w)
{
	const struct plan_route *r;

	w->drops = w->unsure = NULL;
	for (unsigned i = 0; (r = doctor_next_route(w->d, &i));) {
		for (unsigned k = 0; k < r->n_targets && !w->gave_up; k++)
			if (r->targets[k].local == w->local &&
			    takes_family(w->chain, r->targets[k].addr.family))
				judge_target(w, r, &r->targets[k]);
		w->gave_up |= w->steps > MAX_STEPS;
	}
}

static void check_hook(struct doctor *d, uint32_t hook, bool local)
{
	struct walk w = { .d = d, .local = local };

	if (!d->foreign) {
		doctor_note(d, "not looked at: %s", d->foreign_error.msg);
		return;
	}
	/* Looking up a chain may sort the list, not change it. */
	foreign_chain_find(d->foreign, 0, "", "");
	for (unsigned i = 0; i < d->foreign->n_chains; i++) {
		w.chain = d->foreign->chains[i];
		if (w.chain->hook == hook && !strcmp(w.chain->type, "filter") &&
		    is_active(d, w.chain))
			judge_chain(&w);
	}
	if (w.gave_up)
		doctor_note(d, "other tables are too large to look at all routes");
}

void check_forward_policy(struct doctor *d)
{
	check_hook(d, NF_INET_FORWARD, false);
}

void check_input_policy(struct doctor *d)
{
	check_hook(d, NF_INET_LOCAL_IN, true);
}

/* ---- what cannot be seen ---- */

/* The old iptables (x_tables) lists its tables; what is in them only it can say. */
void check_iptables(struct doctor *d)
{
	static const char *const files[] = { "/proc/net/ip_tables_names",
					     "/proc/net/ip6_tables_names" };

	for (int i = 0; i < 2; i++) {
		struct buf b = { 0 };
		struct err e = { 0 };
		int rc = io_read_file(files[i], 4096, &b, &e);

		for (char *c = b.data; !rc && c && *c; c++)
			if (*c == '\n')
				*c = c[1] ? ' ' : '\0';
		if (rc && rc != -ENOENT)
			doctor_note(d, "not looked at: %s", e.msg);
		else if (!rc && b.len)
			finding_fix(d,
				    doctor_note(d,
						"the old iptables has tables here (%s): they are "
						"not looked at",
						b.data),
				    "%s-legacy-save    # shows them", i ? "ip6tables" : "iptables");
		buf_fini(&b);
	}
}
