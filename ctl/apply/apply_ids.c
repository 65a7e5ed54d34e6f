/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Route ids. New ones count up, so that a number is not given again while
 * flows of a former route may carry it. At the end of the numbers, after a
 * million routes, they start over with what no route has.
 */
#include <errno.h>
#include <stdlib.h>

#include "ctl/apply/apply_internal.h"
#include "ctl/apply/former_ids.h"
#include "ctl/control/compile.h"

struct used {
	uint8_t *bits; /* one per id, made at the first wrap */
	uint32_t next;
};

static void mark(struct used *u, uint32_t id)
{
	if (id <= ROUTE_ID_MAX)
		u->bits[id / 8] |= (uint8_t)(1u << id % 8);
}

static int used_make(struct used *u, const struct route_ids *old, const struct route_ids *now)
{
	u->bits = calloc(1, ROUTE_ID_MAX / 8 + 1);
	if (!u->bits)
		return -ENOMEM;
	mark(u, 0);
	for (size_t i = 0; i < old->n; i++)
		mark(u, old->ids[i]);
	for (size_t i = 0; i < now->n; i++)
		mark(u, now->ids[i]);
	return 0;
}

/* The lowest number that nobody has; 0 when there is none or no memory. */
static uint32_t id_again(struct used *u, const struct route_ids *old, const struct route_ids *now)
{
	if (!u->bits && used_make(u, old, now))
		return 0;
	while (u->next <= ROUTE_ID_MAX && (u->bits[u->next / 8] & (1u << u->next % 8)))
		u->next++;
	if (u->next > ROUTE_ID_MAX)
		return 0;
	mark(u, u->next);
	return u->next;
}

static uint32_t id_new(struct apply_job *j, struct used *u)
{
	if (!j->ids.next_id)
		j->ids.next_id = 1;
	if (j->ids.next_id <= ROUTE_ID_MAX)
		return j->ids.next_id++;
	return id_again(u, &j->s->ids, &j->ids);
}

static int assign_name(struct apply_job *j, const char *name, struct used *u, uint32_t *out)
{
	uint32_t id = route_ids_find(&j->s->ids, name);

	if (!id)
		id = id_new(j, u);
	if (!id)
		return err_set(j->e, ENOSPC, "there are no more than %u route numbers",
			       ROUTE_ID_MAX);
	*out = id;
	if (route_ids_add(&j->ids, name, id))
		return err_set(j->e, ENOMEM, "out of memory");
	return 0;
}

static int assign(struct apply_job *j, unsigned i, struct used *u)
{
	const struct plan_route *r = &j->r->plan->routes[i];

	/* The two halves of one route have one number. */
	if (i && r[-1].route == r->route) {
		j->route_ids[i] = j->route_ids[i - 1];
		return 0;
	}
	return assign_name(j, r->route->name, u, &j->route_ids[i]);
}

int apply_assign_ids(struct apply_job *j)
{
	struct used u = { .next = 1 };
	int rc = 0;

	j->route_ids = calloc(j->r->plan->n_routes + 1, sizeof(*j->route_ids));
	if (!j->route_ids)
		return err_set(j->e, ENOMEM, "out of memory");
	j->ids.next_id = j->s->ids.next_id;
	for (unsigned i = 0; i < j->r->plan->n_routes && !rc; i++)
		rc = assign(j, i, &u);
	if (!rc && j->r->plan->config->default_target)
		rc = assign_name(j, CONTROL_DEFAULT_NAME, &u, &j->default_id);
	if (!rc && route_ids_seal(&j->ids))
		rc = err_set(j->e, ENOMEM, "out of memory");
	free(u.bits);
	return rc;
}

static int add_all(struct route_ids *out, const struct route_ids *from, const struct route_ids *but)
{
	int rc = 0;

	for (size_t i = 0; i < from->n && !rc; i++) {
		const char *name = route_ids_name(from, i);

		if (!but || !route_ids_find(but, name))
			rc = route_ids_add(out, name, from->ids[i]);
	}
	return rc;
}

static bool has_all(const struct route_ids *ids, const struct route_ids *of)
{
	for (size_t i = 0; i < of->n; i++)
		if (!route_ids_find(ids, route_ids_name(of, i)))
			return false;
	return true;
}

void apply_write_ids(struct apply_job *j)
{
	struct route_ids both = { .next_id = j->ids.next_id };
	uint32_t generation = j->compile.generation;

	former_ids_add(j->s, &j->ids);
	if (has_all(&j->ids, &j->s->ids))
		session_write_ids(j->s, &j->ids, j->ids.n, generation);
	else if (!add_all(&both, &j->ids, NULL) && !add_all(&both, &j->s->ids, &j->ids) &&
		 !route_ids_seal(&both))
		session_write_ids(j->s, &both, j->ids.n, generation);
	route_ids_fini(&both);
}
