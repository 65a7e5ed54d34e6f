/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading back. A table of 64k elements takes a quarter of a second to read,
 * and most changes are of one: so what the difference touched is asked for by
 * key, between two looks at the kernel's commit counter. If that moved, somebody
 * else committed, and only reading the whole table tells what they did to it.
 * Intervals are read set by set: by key the kernel answers with the interval
 * that a key falls into, which proves nothing about where it begins.
 */
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "ctl/nft/nft_socket.h"

/* Up to so many elements are asked for one by one (some microseconds each). */
#define MAX_SINGLE_ELEMS 1000

struct verify {
	struct nft *n;
	const struct ruleset *want;
	struct nft_batch diff; /* what was committed */
	struct ruleset *got;   /* one set, with the element asked for */
	struct rs_set *set;
	struct err *e;
};

static int differs(struct err *e, const char *what)
{
	return err_set(e, EBADE, "the kernel's table is not what was written: %s", what);
}

static int elem_differs(struct verify *v, const struct rs_set *s, const uint8_t *elem)
{
	char key[96], what[160];

	snprintf(what, sizeof(what), "element %s of %s %s",
		 rs_elem_format(&s->def, elem, key, sizeof(key)),
		 s->def.flags & NFT_SET_MAP ? "map" : "set", s->def.name);
	return differs(v->e, what);
}

/* An empty set of that name to read into. */
static int take_set(struct verify *v, const struct rs_set *s)
{
	if (v->set && !strcmp(v->set->def.name, s->def.name))
		return 0;
	ruleset_free(v->got);
	v->got = ruleset_new(v->want->table, "", 0);
	v->set = v->got ? ruleset_set(v->got, &s->def, RS_NO_PLACE) : NULL;
	return v->set ? 0 : err_set(v->e, ENOMEM, "out of memory");
}

static const uint8_t *find_elem(const struct rs_set *s, const uint8_t *elem)
{
	size_t stride = rs_set_stride(&s->def), lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = rs_elem_cmp(&s->def, rs_elem(s, stride, mid), elem);

		if (!c)
			return rs_elem(s, stride, mid);
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* What stands under that key must be what `want` has there, if it has anything. */
static int check_elem(struct verify *v, const struct rs_set *s, const uint8_t *elem)
{
	const struct rs_set *want = ruleset_find_set(v->want, s->def.name);
	const uint8_t *wanted = want ? find_elem(want, elem) : NULL;
	struct nft_answer a = { 0 };
	int rc = take_set(v, s);
	bool same;

	if (rc)
		return rc;
	v->set->n = 0;
	v->set->foreign = false;
	rc = nft_request_elem(v->n, v->got, &s->def, elem, &a, v->e);
	if (rc && rc != -ENOENT)
		return nft_refused(v->e, rc, "what was written");
	if (!wanted)
		return rc == -ENOENT ? 0 : elem_differs(v, s, elem);
	same = !rc && v->set->n == 1 && !v->set->foreign &&
	       !memcmp(v->set->elems, wanted, rs_set_stride(&s->def));
	return same ? 0 : elem_differs(v, s, elem);
}

static int check_intervals(struct verify *v, const struct rs_set *s)
{
	const struct rs_set *want = ruleset_find_set(v->want, s->def.name);
	size_t stride = rs_set_stride(&s->def), i = 0;
	struct nft_answer a = { 0 };
	int rc;

	/* The shape was compared: a set that is not wanted is gone. Read once is enough. */
	if (!want || (v->set && !strcmp(v->set->def.name, s->def.name)))
		return 0;
	rc = take_set(v, s);
	rc = rc ? rc : nft_read_set(v->n, v->got, v->set, &a, v->e);
	if (rc)
		return nft_refused(v->e, rc, "what was written");
	while (i < want->n && i < v->set->n &&
	       !memcmp(rs_elem(want, stride, i), rs_elem(v->set, stride, i), stride))
		i++;
	if (i == want->n && i == v->set->n && !v->set->foreign)
		return 0;
	return elem_differs(v, s,
			    i < want->n ? rs_elem(want, stride, i) : rs_elem(v->set, stride, i));
}

static int check_note(struct verify *v, const struct nft_note *note)
{
	const struct rs_set *s = note->set;
	size_t stride = rs_set_stride(&s->def);
	int rc = 0;

	if (s->def.flags & NFT_SET_INTERVAL)
		return check_intervals(v, s);
	for (size_t i = 0; i < note->n && !rc; i++)
		rc = check_elem(v, s, rs_elem(s, stride, v->diff.elems[note->first + i]));
	return rc;
}

static int verify_changed(struct verify *v)
{
	struct ruleset *shape = NULL;
	char what[128];
	int rc = nft_read_shape(v->n, v->want->table, &shape, v->e);

	if (!rc && !ruleset_equal(v->want, shape, what, sizeof(what)))
		rc = differs(v->e, what);
	for (size_t i = 0; i < v->diff.n_notes && !rc; i++)
		if (v->diff.notes[i].kind == NFT_NOTE_ELEMS)
			rc = check_note(v, &v->diff.notes[i]);
	ruleset_free(shape);
	return rc;
}

static int verify_all(struct verify *v, uint32_t *seen)
{
	struct ruleset *now = NULL;
	char what[128];
	int rc = nft_genid(v->n, seen, v->e);

	rc = rc ? rc : nft_read(v->n, v->want->table, &now, v->e);
	if (!rc && !ruleset_equal(v->want, now, what, sizeof(what)))
		rc = differs(v->e, what);
	ruleset_free(now);
	return rc;
}

/* Few elements, in the table that was there: what was committed as one difference. */
static bool is_small(struct verify *v, const struct ruleset *have)
{
	if (!have->exists || !have->ours || have->foreign || strcmp(have->owner, v->want->owner) ||
	    strcmp(have->table, v->want->table))
		return false;
	nft_batch_begin(&v->diff, v->want->table, 0);
	return !nft_diff(&v->diff, have, v->want, NULL, NULL) && !nft_batch_failed(&v->diff) &&
	       v->diff.n_elems <= MAX_SINGLE_ELEMS;
}

/* *proved is false where somebody else committed meanwhile: what was read says nothing then. */
static int verify_small(struct verify *v, uint32_t genid, bool *proved)
{
	uint32_t before = 0, after = 0;
	int rc = nft_genid(v->n, &before, v->e);

	if (rc || before != genid)
		return rc;
	rc = verify_changed(v);
	*proved = rc != -EINTR && !nft_genid(v->n, &after, NULL) && after == genid;
	return rc;
}

int nft_verify(struct nft *n, const struct ruleset *have, const struct ruleset *want,
	       uint32_t genid, uint32_t *seen, struct err *e)
{
	struct verify v = { .n = n, .want = want, .e = e };
	bool proved = false;
	int rc = is_small(&v, have) ? verify_small(&v, genid, &proved) : 0;

	if (proved) {
		*seen = genid;
	} else {
		memset(e, 0, sizeof(*e));
		rc = verify_all(&v, seen);
	}
	ruleset_free(v.got);
	nft_batch_fini(&v.diff);
	return rc;
}
