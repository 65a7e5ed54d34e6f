/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A dynamic set grows and shrinks while it is dumped, so an element may come twice and another not
 * at all (nft_read.c says why); one that comes twice makes us read again.
 */
#include "ctl/nft/nft_count.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "ctl/base/clock.h"
#include "ctl/nft/nft_socket.h"
#include "ctl/nft/ruleset_compile.h"

#define READ_TRIES 20

/* ---- reading ---- */

static int count_cmp(const void *a, const void *b)
{
	const struct nft_count *x = a, *y = b;

	return memcmp(x->key, y->key, sizeof(x->key));
}

static bool sort_distinct(struct nft_counts *c)
{
	if (c->n)
		qsort(c->v, c->n, sizeof(*c->v), count_cmp);
	for (size_t i = 1; i < c->n; i++)
		if (!count_cmp(&c->v[i - 1], &c->v[i]))
			return false;
	return true;
}

static int ask(struct nft *n, struct ruleset *rs, const char *set, struct nft_counts *out,
	       struct err *e)
{
	_Alignas(8) char buf[NFT_REQUEST_MAX];
	struct nlmsghdr *nlh = nft_request_new(n, buf, NFT_MSG_GETSETELEM, NLM_F_DUMP);
	struct nft_answer a = { .counts = out };

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, rs->table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	return nft_request(n, nlh, rs, &a, e);
}

static int read_counts(struct nft *n, struct ruleset *rs, const char *set, struct nft_counts *out,
		       struct err *e)
{
	int rc = -EINTR;

	for (unsigned i = 0; i < READ_TRIES && rc == -EINTR; i++) {
		if (i)
			clock_sleep_ms(i);
		out->n = out->seen = 0;
		rc = ask(n, rs, set, out, e);
		if (!rc && out->failed)
			return err_set(e, -ENOMEM, "out of memory");
		if (!rc && !sort_distinct(out))
			rc = -EINTR;
	}
	if (rc == -ENOENT)
		return 0;
	return rc ? nft_refused(e, rc, "the counters") : 0;
}

int nft_counts_read(struct nft *n, const char *table, const char *set, struct nft_counts *out,
		    struct err *e)
{
	struct ruleset *rs = ruleset_new(table, "", 0);
	int rc;

	*out = (struct nft_counts){ 0 };
	if (!rs)
		return err_set(e, -ENOMEM, "out of memory");
	rc = read_counts(n, rs, set, out, e);
	ruleset_free(rs);
	if (rc)
		nft_counts_fini(out);
	return rc;
}

int nft_set_count(struct nft *n, const char *table, const char *set, size_t *count, struct err *e)
{
	struct nft_counts c;
	int rc = nft_counts_read(n, table, set, &c, e);

	if (rc)
		return rc;
	*count = c.seen;
	nft_counts_fini(&c);
	return 0;
}

/* ---- all of them ---- */

static bool is_count_set(const struct rs_set *s)
{
	for (int k = 0; k < N_COUNTS; k++)
		if (!strcmp(s->def.name, count_set_name((enum count_kind)k)))
			return true;
	for (int k = 0; k < N_REFUSALS; k++)
		if (!strcmp(s->def.name, refusal_set_name((enum refusal_kind)k)))
			return true;
	return false;
}

static uint32_t route_of(const struct nft_count *c)
{
	uint32_t id;

	memcpy(&id, c->key, sizeof(id));
	return id;
}

/* A set of its own, with those of the counters that are wanted as elements; NULL: no memory. */
static struct rs_set *set_of(const struct rs_set_def *def, const struct nft_counts *c)
{
	struct rs_set *s = calloc(1, sizeof(*s));
	size_t stride;

	if (!s)
		return NULL;
	s->def = *def;
	s->def.data_type = RS_DATA_COUNTER;
	s->def.data_len = 2 * sizeof(uint64_t);
	s->place = RS_NO_PLACE;
	stride = rs_set_stride(&s->def);
	s->elems = calloc(c->n + 1, stride);
	if (!s->elems) {
		free(s);
		return NULL;
	}
	for (size_t i = 0; i < c->n; i++) {
		const uint64_t count[2] = { c->v[i].packets, c->v[i].bytes };
		uint8_t *el = rs_elem(s, stride, s->n++);

		memcpy(el, c->v[i].key, sizeof(c->v[i].key));
		memcpy(el + s->def.key_len + sizeof(uint32_t), count, sizeof(count));
	}
	return s;
}

static void set_free(struct rs_set *s)
{
	if (s)
		free(s->elems);
	free(s);
}

/* ---- pruning ---- */

static void only_gone(struct nft_counts *c, bool (*keep)(uint32_t id, void *arg), void *arg)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		if (!keep(route_of(&c->v[i]), arg))
			c->v[n++] = c->v[i];
	c->n = n;
}

static int delete_counts(struct nft *n, const struct ruleset *rs, const struct rs_set *of,
			 const struct nft_counts *c, struct err *e)
{
	struct rs_set *s = set_of(&of->def, c);
	struct nft_batch_answer a;
	struct nft_batch b;
	int rc = -ENOMEM;

	nft_batch_begin(&b, rs->table, 0);
	nft_batch_table(&b, NFT_MSG_NEWTABLE, NLM_F_ACK, NULL);
	for (uint32_t i = 0; s && i < s->n; i++)
		nft_batch_elem(&b, NFT_MSG_DELSETELEM, s, i);
	nft_batch_end(&b);
	if (s && !nft_batch_failed(&b))
		rc = nft_transact(n, &b, &a, e);
	if (!rc && a.refused)
		rc = nft_explain(n, &b, &a, NULL, e);
	nft_batch_fini(&b);
	set_free(s);
	return rc;
}

int nft_counts_prune(struct nft *n, const struct ruleset *rs,
		     bool (*keep)(uint32_t route_id, void *arg), void *arg, unsigned *commits,
		     struct err *e)
{
	int rc = 0;

	*commits = 0;
	for (size_t i = 0; i < rs->n_sets && !rc; i++) {
		struct nft_counts c = { 0 };

		if (!is_count_set(rs->sets[i]))
			continue;
		rc = nft_counts_read(n, rs->table, rs->sets[i]->def.name, &c, e);
		only_gone(&c, keep, arg);
		if (!rc && c.n) {
			rc = delete_counts(n, rs, rs->sets[i], &c, e);
			*commits += !rc;
		}
		nft_counts_fini(&c);
	}
	return rc;
}

/* ---- carrying ---- */

static int carry_one(struct nft *n, const struct ruleset *have, const struct rs_set *old,
		     const struct rs_set *new, struct nft_carry *out, struct err *e)
{
	struct nft_counts c = { 0 };
	struct rs_set *s = NULL;
	int rc = nft_counts_read(n, have->table, old->def.name, &c, e);

	if (!rc && c.n > new->def.size)
		c.n = new->def.size;
	if (!rc && c.n) {
		s = set_of(&new->def, &c);
		rc = s ? 0 : err_set(e, -ENOMEM, "out of memory");
	}
	if (s)
		out->v[out->n++] = s;
	nft_counts_fini(&c);
	return rc;
}

int nft_carry_read(struct nft *n, const struct ruleset *have, const struct ruleset *want, bool anew,
		   struct nft_carry *out, struct err *e)
{
	int rc = 0;

	*out = (struct nft_carry){ 0 };
	if (!have->exists || !have->ours || strcmp(have->owner, want->owner))
		return 0;
	out->v = calloc(N_COUNTS + N_REFUSALS, sizeof(*out->v));
	if (!out->v)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < want->n_sets && !rc; i++) {
		const struct rs_set *new = want->sets[i];
		const struct rs_set *old =
			is_count_set(new) ? ruleset_find_set(have, new->def.name) : NULL;

		if (old && !old->foreign && (anew || !rs_set_def_equal(&old->def, &new->def)))
			rc = carry_one(n, have, old, new, out, e);
	}
	if (rc)
		nft_carry_fini(out);
	return rc;
}

void nft_carry_put(struct nft_batch *b, const struct nft_carry *c)
{
	for (size_t i = 0; i < c->n; i++)
		for (uint32_t k = 0; k < c->v[i]->n; k++)
			nft_batch_elem(b, NFT_MSG_NEWSETELEM, c->v[i], k);
}

void nft_carry_fini(struct nft_carry *c)
{
	for (size_t i = 0; i < c->n; i++)
		set_free(c->v[i]);
	free(c->v);
	*c = (struct nft_carry){ 0 };
}
