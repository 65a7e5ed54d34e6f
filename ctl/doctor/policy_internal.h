/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What check_policy.c finds out and policy_report.c says. Only they include this. */
#ifndef CTL_DOCTOR_POLICY_INTERNAL_H
#define CTL_DOCTOR_POLICY_INTERNAL_H

#include "ctl/doctor/doctor_internal.h"
#include "ctl/nft/nft_judge.h"

struct walk {
	struct doctor *d;
	const struct foreign_chain *chain;
	bool local; /* targets on this host */
	unsigned steps;
	bool gave_up;
	struct pending_finding *drops, *some, *unsure, *mute, *untracked, *some_untracked;
};

/* One kind of connection, by one port of a route to one target. */
struct connection {
	const struct plan_route *route;
	const struct plan_target *target;
	const struct doctor_target *known; /* may be NULL */
	uint16_t port;			   /* of the route */
	uint8_t proto;
};

/* What became of it, by the interfaces where clients come in. */
struct tally {
	unsigned all, drops, unsure, untracked;
	struct judge_packet packet; /* the first that was dropped, or not tracked */
	struct judge_verdict verdict;
	char where[DOCTOR_MAX_INGRESS * (IFNAMSIZ + 2)];
};

/* One finding for each chain and kind; the routes are added to it. */
void policy_report_drops(struct walk *w, const struct connection *x, const struct tally *t);
void policy_report_unsure(struct walk *w, const struct connection *x);
/* Answers to datagrams. */
void policy_report_mute(struct walk *w, const struct connection *x, const struct judge_verdict *v);
void policy_report_untracked(struct walk *w, const struct connection *x, const struct tally *t);

#endif
