/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sentences and fixes of forward-policy and input-policy. */
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <stdio.h>
#include <string.h>

#include "ctl/doctor/policy_internal.h"

/* ---- the fix ---- */

static bool is_iptables(const struct foreign_chain *c)
{
	return c->family != NFPROTO_INET && !strcmp(c->table, "filter") &&
	       (!strcmp(c->name, "FORWARD") || !strcmp(c->name, "INPUT") ||
		!strcmp(c->name, "OUTPUT"));
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

/* The mark of a translation is not there yet: the packet has to be named. */
static void fix_before(struct walk *w, struct pending_finding *f, const struct judge_packet *p)
{
	const struct foreign_chain *c = w->chain;
	const char *family = foreign_family_name(c->family);
	char text[ADDR_TEXT];

	if (p->reply)
		finding_fix(w->d, f, "nft insert rule %s %s %s %s saddr %s accept", family,
			    c->table, c->name, p->family == ADDR_V4 ? "ip" : "ip6",
			    addr_format(&p->source, text));
	else
		finding_fix(w->d, f,
			    "nft insert rule %s %s %s %s dport %u accept    # and so for each port "
			    "of these routes",
			    family, c->table, c->name, p->proto == IPPROTO_TCP ? "tcp" : "udp",
			    p->port);
}

static void fix_policy(struct walk *w, struct pending_finding *f, const struct judge_packet *p)
{
	const struct foreign_chain *c = w->chain;
	const struct foreign_table *t = foreign_table_find(w->d->foreign, c->family, c->table);

	if (is_iptables(c))
		fix_iptables(w, f);
	else if (t && t->owned)
		finding_fix(w->d, f, "tell the program that owns this table to accept %s",
			    p->translated && !p->untracked ? "`ct status dnat`" : "these");
	else if (!p->translated || p->untracked)
		fix_before(w, f, p);
	else
		finding_fix(w->d, f,
			    "nft insert rule %s %s %s ct status dnat accept    # and into the file "
			    "that it was loaded from",
			    foreign_family_name(c->family), c->table, c->name);
}

/* ---- one chain ---- */

/* "table ip fw, chain forward (policy drop)" */
static const char *chain_text(const struct walk *w, const struct judge_verdict *v, char *out,
			      size_t cap)
{
	const struct foreign_chain *c = w->chain;
	char by[48] = "policy drop";

	if (v->rule)
		snprintf(by, sizeof(by), "rule handle %llu", (unsigned long long)v->rule->handle);
	snprintf(out, cap, "table %s %s, chain %s (%s)", foreign_family_name(c->family), c->table,
		 v->rule ? v->chain->name : c->name, by);
	return out;
}

void policy_report_drops(struct walk *w, const struct connection *x, const struct tally *t)
{
	const char *subject = t->packet.reply ? "answers" : "connections";
	const char *on = !*t->where ? "" : t->packet.reply ? " to " : " from ";
	const char *what = !w->local ? "through" : t->packet.reply ? "from" : "to";
	struct pending_finding **slot = t->drops == t->all ? &w->drops : &w->some;
	char text[3 * FOREIGN_NAME_MAX];

	if (!*slot)
		chain_text(w, &t->verdict, text, sizeof(text));
	if (!*slot && slot == &w->drops) {
		*slot = doctor_problem(w->d, "%s drops %s%s%s %s this host", text, subject, on,
				       t->where, what);
		fix_policy(w, *slot, &t->packet);
	} else if (!*slot) {
		*slot = doctor_note(w->d, "%s drops %s%s%s %s this host, but not all others", text,
				    subject, on, t->where, what);
	}
	finding_route(w->d, *slot, x->route);
}

void policy_report_unsure(struct walk *w, const struct connection *x)
{
	const struct foreign_chain *c = w->chain;

	if (!w->unsure)
		w->unsure = doctor_note(w->d,
					"table %s %s, chain %s drops what its rules do not accept; "
					"for whom they accept these routes cannot be told",
					foreign_family_name(c->family), c->table, c->name);
	finding_route(w->d, w->unsure, x->route);
}

/* Whether a service of UDP answers at all is not known. */
void policy_report_mute(struct walk *w, const struct connection *x, const struct judge_verdict *v)
{
	char text[3 * FOREIGN_NAME_MAX];

	if (!w->mute)
		w->mute = doctor_note(w->d, "%s drops the answers to datagrams, if there are any",
				      chain_text(w, v, text, sizeof(text)));
	finding_route(w->d, w->mute, x->route);
}

void policy_report_untracked(struct walk *w, const struct connection *x, const struct tally *t)
{
	static const char fmt[] = "table %s %s, chain %s (rule handle %llu) takes %s%s out of "
				  "connection tracking: they are not translated";
	const struct judge_side *by = &t->verdict.side[EFFECT_NOTRACK];
	const char *family = foreign_family_name(w->chain->family);
	struct pending_finding **slot = t->untracked == t->all ? &w->untracked : &w->some_untracked;
	struct pending_finding *(*add)(struct doctor * d, const char *fmt, ...) PRINTF_LIKE(2, 3) =
		slot == &w->untracked ? doctor_problem : doctor_note;

	if (!*slot) {
		*slot = add(w->d, fmt, family, by->chain->table, by->chain->name,
			    (unsigned long long)by->rule->handle,
			    t->packet.reply ? "answers" : "connections",
			    slot == &w->untracked ? "" : " of some clients");
		finding_fix(w->d, *slot, "nft delete rule %s %s %s handle %llu", family,
			    by->chain->table, by->chain->name,
			    (unsigned long long)by->rule->handle);
	}
	finding_route(w->d, *slot, x->route);
}
