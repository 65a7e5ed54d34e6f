/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state_found: STATE/found, what the service has found out about the targets of
 * the live generation: the addresses of names, as they are now, and which
 * targets are down. It is the truth as long as the generation is: what N.json
 * says of a name is what was so when N was applied.
 *
 * Addresses are good for ever, so that a boot asks nobody; who is down is only good
 * in the boot that saw it. Written under STATE's lock, before the kernel's table.
 */
#ifndef CTL_STATE_STATE_FOUND_H
#define CTL_STATE_STATE_FOUND_H

#include "ctl/state/state.h"

#define FOUND_DOWN_MAX	65536
#define FOUND_NAMES_MAX 65535

struct found_name {
	char *name;
	uint32_t since; /* the generation that was live then: later ones had these themselves */
	struct addr addrs[RESOLVE_MAX_ADDRS]; /* sorted */
	unsigned n;			      /* never 0 */
};

struct state_found {
	uint32_t generation; /* that it is about; only of what the controller asks for */
	char boot[40];	     /* of `down` */
	struct found_name *names;
	unsigned n_names;
	struct target_down *down; /* sorted by route and tag */
	unsigned n_down;
};

/* All strings are copied. 0 or -ENOMEM; -E2BIG: there are too many already. */
int state_found_add_name(struct state_found *f, const char *name, uint32_t since,
			 const struct addr *v, unsigned n);
int state_found_add_down(struct state_found *f, const char *route, uint32_t tag);
void state_found_sort(struct state_found *f);
/* Of a sorted one, as all are that were parsed. NULL: it is not there. */
const struct found_name *state_found_name(const struct state_found *f, const char *name);
void state_found_fini(struct state_found *f);

int state_found_format(const struct state_found *f, struct buf *out, struct err *e);
/* -EBADMSG: it is not what state_found_format() writes. */
int state_found_parse(const char *text, size_t len, struct state_found *out, struct err *e);
/* Nothing was found: empty. One that is damaged is empty as well, with a warning in the log: what
 * it said is found out again. Who is down of another boot is left out. */
int state_found_load(const struct state *s, struct state_found *out, struct err *e);
int state_found_save(const struct state *s, const struct state_found *f, struct err *e);
/* Nobody is down any more, as far as anybody knows: there is no service. */
int state_found_forget_down(const struct state *s, struct err *e);
/* Into m, of generation m->generation: the addresses of its names as they are now, and who is down.
 */
int state_found_lay_over(struct state_found *f, struct state_meta *m);

#endif
