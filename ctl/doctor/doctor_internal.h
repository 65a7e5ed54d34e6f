/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the checks share. Only ctl/doctor includes this. */
#ifndef CTL_DOCTOR_DOCTOR_INTERNAL_H
#define CTL_DOCTOR_DOCTOR_INTERNAL_H

#include "ctl/doctor/census.h"
#include "ctl/doctor/doctor.h"
#include "ctl/host/host_net.h"
#include "ctl/nft/nft_foreign.h"

/* One address that kernel routes lead to. */
struct doctor_target {
	struct addr addr;
	bool local;
	bool have_path;
	struct host_path path;
	const struct host_link *link; /* NULL = none, or it is local */
};

#define DOCTOR_MAX_TARGETS 4096

struct check;

struct pending_finding {
	struct pending_finding *next;
	struct finding f;
	uint8_t *has; /* a bit per route of the config */
};

struct doctor {
	const struct doctor_input *in;
	struct arena *arena;
	const struct check *check; /* that runs now */
	struct pending_finding *first, *last;
	bool spoke;  /* the check has said something */
	bool failed; /* out of memory */
	/* Read once; where reading failed, the error says why. */
	struct nft *nft;
	struct nft_foreign *foreign;
	struct host_net net;
	struct census census;
	bool have_net, have_census;
	struct err nft_error, foreign_error, net_error, census_error;
	struct doctor_target *targets; /* sorted by address */
	unsigned n_targets;
	bool more_targets;
};

/* Each adds a finding; the sentence is copied. Never NULL: out of memory gives a scratch one. */
struct pending_finding *doctor_ok(struct doctor *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct pending_finding *doctor_note(struct doctor *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct pending_finding *doctor_problem(struct doctor *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
void finding_fix(struct doctor *d, struct pending_finding *f, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
void finding_route(struct doctor *d, struct pending_finding *f, const struct plan_route *r);
/* All routes for which want() is true (NULL: all that the kernel serves). */
void finding_routes(struct doctor *d, struct pending_finding *f,
		    bool (*want)(const struct plan_route *r, const void *arg), const void *arg);
bool finding_has_routes(const struct doctor *d, const struct pending_finding *f);

/* The i-th route that the kernel serves, from *i on; NULL = no more. */
const struct plan_route *doctor_next_route(const struct doctor *d, unsigned *i);
bool doctor_has_routes(const struct doctor *d);
const struct doctor_target *doctor_target_find(const struct doctor *d, const struct addr *a);
/* Has r a target of that family (ADDR_NONE: of any) on another host / on this one? */
bool route_forwards(const struct plan_route *r, int family);
bool route_is_local(const struct plan_route *r, int family);
/* Does it lead to that address? */
bool route_leads_to(const struct plan_route *r, const struct addr *a);
/* A value below /proc/sys; false when it cannot be read. */
bool doctor_sysctl(const char *name, char *out, size_t cap);
long doctor_sysctl_number(long fallback, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "sysctl -w net/ipv4/ip_forward=1", with dots where no name has one. Returns out. */
const char *doctor_sysctl_command(char *out, size_t cap, const char *name, const char *value);
/* The interface by which most clients come: those with a default route, else all others than
 * `but` that have an address. Fills v[max], returns the number. */
unsigned doctor_ingress(const struct doctor *d, int family, uint32_t but,
			const struct host_link **v, unsigned max);

#define DOCTOR_MAX_INGRESS 8
#define DOCTOR_MAX_PORTS   16

/* The first and the last port of each range, as many as fit. */
unsigned doctor_sample_ports(const struct plan_route *r, uint16_t ports[DOCTOR_MAX_PORTS]);
bool foreign_takes_family(const struct foreign_chain *c, int family);
/* A base chain that is on and can decide something. */
bool foreign_is_active(const struct doctor *d, const struct foreign_chain *c);

/* Apply what is live once more, or end what waits for confirmation. */
void doctor_fix_by_apply(struct doctor *d, struct pending_finding *f);
/* "80,8000-8010": has such a list that port? */
bool doctor_ports_have(const char *list, uint16_t port);

/* The checks: each reports at least one finding. */
void check_namespace(struct doctor *d);
void check_table(struct doctor *d);
void check_kernel(struct doctor *d);
void check_forwarding(struct doctor *d);
void check_forward_policy(struct doctor *d);
void check_input_policy(struct doctor *d);
void check_nat_before(struct doctor *d);
void check_nat_after(struct doctor *d);
void check_rp_filter(struct doctor *d);
void check_return_path(struct doctor *d);
void check_target_route(struct doctor *d);
void check_ipv6(struct doctor *d);
void check_accept_ra(struct doctor *d);
void check_conntrack(struct doctor *d);
void check_ports(struct doctor *d);
void check_listeners(struct doctor *d);
void check_service(struct doctor *d);
void check_clock(struct doctor *d);
void check_iptables(struct doctor *d);

#endif
