/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other tables: does one of their base chains drop what our routes let through?
 * Each chain is walked with the first packet of each route's connections, and
 * with the first answer (nft_judge.h). Only "dropped, whatever the client and
 * wherever it comes in" is a problem; "depends on the client" is what firewalls
 * are for, and a note.
 */
#include <errno.h>
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include "ctl/base/io.h"
#include "ctl/doctor/policy_internal.h"

#define MAX_STEPS 20000000u /* of all chains of one check: about a second */

/* Where the kernel's own work stands among the hooks (linux/netfilter_ipv4.h). */
#define TRACKING    (-200)
#define DESTINATION (-100)
#define SOURCE	    100

bool foreign_takes_family(const struct foreign_chain *c, int family)
{
	return c->family == NFPROTO_INET ||
	       c->family == (family == ADDR_V4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
}

bool foreign_is_active(const struct doctor *d, const struct foreign_chain *c)
{
	const struct foreign_table *t = foreign_table_find(d->foreign, c->family, c->table);

	return c->is_base && !(t && t->dormant) && (c->rules || c->policy == NF_DROP);
}

/* ---- one packet ---- */

static void set_iif(struct judge_packet *p, const struct host_link *l)
{
	if (l)
		memcpy(p->iif, l->name, sizeof(p->iif));
	p->iif_index = l ? l->index : 0;
}

static void set_oif(const struct walk *w, struct judge_packet *p, const struct host_link *l)
{
	if (!l || w->chain->hook == NF_INET_PRE_ROUTING || w->chain->hook == NF_INET_LOCAL_IN)
		return; /* not decided yet, or none */
	memcpy(p->oif, l->name, sizeof(p->oif));
	p->oif_index = l->index;
}

/* Is the chain asked before prerouting's translation? */
static bool is_before(const struct walk *w)
{
	return w->chain->hook == NF_INET_PRE_ROUTING && w->chain->priority < DESTINATION;
}

static bool is_untracked(const struct walk *w)
{
	return (w->chain->hook == NF_INET_PRE_ROUTING || w->chain->hook == NF_INET_LOCAL_OUT) &&
	       w->chain->priority < TRACKING;
}

/* `to`: the address that the client connects to. */
static struct judge_packet first_packet(const struct walk *w, const struct connection *x,
					const struct host_link *in, const struct addr *to)
{
	struct judge_packet p = { .family = x->target->addr.family, .proto = x->proto };

	set_iif(&p, in);
	if (is_before(w)) {
		p.destination = *to;
		p.port = x->port;
		p.to_host = true;
		p.untracked = is_untracked(w);
		return p;
	}
	p.translated = true;
	p.to_host = w->local;
	p.port = plan_target_port(x->target, x->port);
	if (!x->target->redirect) /* else whichever address it came to */
		p.destination = x->target->addr;
	set_oif(w, &p, x->known ? x->known->link : NULL);
	return p;
}

/* Targets on this host: connections come in, their answers go out. */
static bool sees_connections(const struct walk *w)
{
	return !w->local || w->chain->hook == NF_INET_PRE_ROUTING ||
	       w->chain->hook == NF_INET_LOCAL_IN;
}

static bool sees_answers(const struct walk *w)
{
	return !w->local || !sees_connections(w);
}

/* The first answer goes the other way; only behind the last translation it comes from `to`. */
static struct judge_packet first_answer(const struct walk *w, const struct connection *x,
					const struct host_link *in, const struct addr *to)
{
	bool translated_back =
		w->chain->hook == NF_INET_POST_ROUTING && w->chain->priority > SOURCE;
	struct judge_packet p = { .family = x->target->addr.family,
				  .proto = x->proto,
				  .source = translated_back ? *to : x->target->addr,
				  .reply = true,
				  .translated = true,
				  .masqueraded = !w->local && !x->route->preserve_source,
				  .untracked = is_untracked(w) };

	p.source_port = translated_back ? x->port : plan_target_port(x->target, x->port);
	if (is_before(w) && p.masqueraded) {
		p.to_host = true;
		if (x->known)
			p.destination = x->known->path.source;
	}
	if (x->target->redirect && !translated_back) /* whichever address it came to */
		p.source = (struct addr){ 0 };
	if (!w->local)
		set_iif(&p, x->known ? x->known->link : NULL);
	set_oif(w, &p, in);
	return p;
}

/* ---- all ways ---- */

static void add_name(struct tally *t, const struct host_link *in)
{
	size_t used = strlen(t->where);

	if (in && !strstr(t->where, in->name))
		snprintf(t->where + used, sizeof(t->where) - used, "%s%s", used ? ", " : "",
			 in->name);
}

/* True when it goes on from here. */
static bool count_verdict(struct walk *w, const struct connection *x, struct tally *t,
			  const struct judge_packet *p, const struct host_link *in)
{
	struct judge_verdict v;
	bool drops, untracked;

	nft_judge(w->d->foreign, w->chain, p, &v);
	w->steps += v.steps + 1;
	drops = v.possible == JUDGE_DROP;
	untracked = p->untracked && v.side[EFFECT_NOTRACK].surely;
	if (drops && p->reply && p->proto == IPPROTO_UDP) {
		policy_report_mute(w, x, &v);
		return true;
	}
	if (!drops && !untracked) {
		t->unsure += v.usually == JUDGE_DROP;
		return v.usually != JUDGE_DROP;
	}
	if (!t->drops && (drops || !t->untracked)) {
		t->packet = *p;
		t->verdict = v;
	}
	*(drops ? &t->drops : &t->untracked) += 1;
	add_name(t, in);
	return false;
}

static void judge_way(struct walk *w, const struct connection *x, struct tally *t,
		      const struct host_link *in, const struct addr *to)
{
	struct judge_packet p = first_packet(w, x, in, to);

	t->all++;
	if (sees_connections(w) && !count_verdict(w, x, t, &p, in))
		return;
	if (!sees_answers(w))
		return;
	p = first_answer(w, x, in, to);
	count_verdict(w, x, t, &p, in);
}

static void judge_ingress(struct walk *w, const struct connection *x, struct tally *t,
			  const struct host_link *in)
{
	const struct cfg_match *m = &x->route->route->match;
	struct addr own = { 0 };

	for (unsigned i = 0; i < m->n_addresses; i++)
		if (m->addresses[i].family == x->target->addr.family)
			judge_way(w, x, t, in, &m->addresses[i]);
	if (in)
		own = x->target->addr.family == ADDR_V4 ? in->v4 : in->v6;
	if (!m->n_addresses)
		judge_way(w, x, t, in, &own);
}

static void judge_connection(struct walk *w, const struct connection *x)
{
	const struct host_link *in[DOCTOR_MAX_INGRESS];
	uint32_t oif = x->known && x->known->link ? x->known->link->index : 0;
	unsigned n = doctor_ingress(w->d, x->target->addr.family, oif, in, DOCTOR_MAX_INGRESS);
	struct tally t = { 0 };

	for (unsigned i = 0; i < n; i++)
		judge_ingress(w, x, &t, in[i]);
	if (!n)
		judge_ingress(w, x, &t, NULL);
	if (t.drops)
		policy_report_drops(w, x, &t);
	else if (t.untracked)
		policy_report_untracked(w, x, &t);
	if (t.unsure)
		policy_report_unsure(w, x);
}

/* The first and the last port of each range: firewalls that cut a range in two are rare. */
unsigned doctor_sample_ports(const struct plan_route *r, uint16_t ports[DOCTOR_MAX_PORTS])
{
	const struct cfg_match *m = &r->route->match;
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_ports && n + 2 <= DOCTOR_MAX_PORTS; i++) {
		ports[n++] = m->ports[i].from;
		if (m->ports[i].to != m->ports[i].from)
			ports[n++] = m->ports[i].to;
	}
	return n;
}

static void judge_target(struct walk *w, const struct plan_route *r, const struct plan_target *t)
{
	struct connection x = { .route = r,
				.target = t,
				.known = doctor_target_find(w->d, &t->addr) };
	uint16_t ports[DOCTOR_MAX_PORTS];
	unsigned n = doctor_sample_ports(r, ports);

	for (unsigned i = 0; i < n; i++) {
		x.port = ports[i];
		for (int proto = 0; proto < 2; proto++) {
			if (!(r->transport & (proto ? TRANSPORT_UDP : TRANSPORT_TCP)))
				continue;
			x.proto = proto ? IPPROTO_UDP : IPPROTO_TCP;
			judge_connection(w, &x);
		}
	}
}

static void judge_chain(struct walk *w)
{
	const struct plan_route *r;

	w->drops = w->some = w->unsure = w->mute = w->untracked = w->some_untracked = NULL;
	for (unsigned i = 0; (r = doctor_next_route(w->d, &i));) {
		for (unsigned k = 0; k < r->n_targets && !w->gave_up; k++)
			if (r->targets[k].local == w->local &&
			    foreign_takes_family(w->chain, r->targets[k].addr.family))
				judge_target(w, r, &r->targets[k]);
		w->gave_up |= w->steps > MAX_STEPS;
	}
}

/* At the very priority of a translation, whether it comes before cannot be told. */
static bool is_at(const struct foreign_chain *c, unsigned hooks)
{
	if (c->hook >= NF_INET_NUMHOOKS || !(hooks & 1u << c->hook) || !strcmp(c->type, "nat"))
		return false;
	return !(c->hook == NF_INET_PRE_ROUTING && c->priority == DESTINATION) &&
	       !(c->hook == NF_INET_POST_ROUTING && c->priority == SOURCE);
}

static void check_hooks(struct doctor *d, unsigned hooks, bool local)
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
		if (is_at(w.chain, hooks) && foreign_is_active(d, w.chain))
			judge_chain(&w);
	}
	if (w.gave_up)
		doctor_note(d, "other tables are too large to look at all routes");
}

/* Chains of devices: before and behind all hooks that are looked at. */
static bool is_of_device(const struct foreign_chain *c)
{
	return c->family == NFPROTO_NETDEV ||
	       (c->family == NFPROTO_INET && c->hook == NF_INET_INGRESS);
}

static void note_devices(struct doctor *d)
{
	const struct foreign_chain *first = NULL;
	unsigned n = 0;
	char more[32] = "";

	for (unsigned i = 0; d->foreign && i < d->foreign->n_chains; i++) {
		const struct foreign_chain *c = d->foreign->chains[i];

		if (!is_of_device(c) || !foreign_is_active(d, c))
			continue;
		first = first ? first : c;
		n++;
	}
	if (!n)
		return;
	if (n > 1)
		snprintf(more, sizeof(more), " and %u more", n - 1);
	finding_fix(d,
		    doctor_note(d,
				"table %s %s, chain %s%s filters at a device (ingress, egress): "
				"what it drops is not looked at",
				foreign_family_name(first->family), first->table, first->name,
				more),
		    "nft list table %s %s    # shows it", foreign_family_name(first->family),
		    first->table);
}

void check_forward_policy(struct doctor *d)
{
	note_devices(d);
	check_hooks(d,
		    1u << NF_INET_PRE_ROUTING | 1u << NF_INET_FORWARD | 1u << NF_INET_POST_ROUTING,
		    false);
}

void check_input_policy(struct doctor *d)
{
	check_hooks(d,
		    1u << NF_INET_PRE_ROUTING | 1u << NF_INET_LOCAL_IN | 1u << NF_INET_LOCAL_OUT |
			    1u << NF_INET_POST_ROUTING,
		    true);
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
