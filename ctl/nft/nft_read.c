/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading takes several dumps, so they can belong to different moments. The
 * kernel marks one dump that a commit has cut in two, and the generation
 * before and after covers all of them together; either way the reading starts
 * again, a bounded number of times.
 *
 * A hash set that has just grown is being rehashed for some milliseconds, and
 * no mark tells of that: each piece of the dump skips by count in whatever
 * order the table has then, so elements come twice and as many are missing.
 * The count of all pieces stays right, hence no element twice = none missing;
 * a set with an element twice is dumped again.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "ctl/base/clock.h"
#include "ctl/nft/nft_socket.h"

#define READ_TRIES 10
#define SET_TRIES  20

static struct ruleset *empty_ruleset(const char *table)
{
	struct ruleset *rs = ruleset_new(table, "", 0);

	if (rs)
		rs->exists = rs->ours = false;
	return rs;
}

/* One message with a table's name and perhaps a set's; attribute 1 is the table's name in all. */
static int ask(struct nft *n, uint16_t type, uint16_t flags, const char *set, struct ruleset *rs,
	       struct nft_answer *a, struct err *e)
{
	_Alignas(8) char buf[NFT_REQUEST_MAX];
	struct nlmsghdr *nlh = nft_request_new(n, buf, type, flags);

	_Static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 &&
			       NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1,
		       "all requests begin alike");
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, rs->table);
	if (set)
		mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	return nft_request(n, nlh, rs, a, e);
}

static int read_table(struct nft *n, struct ruleset *rs, struct nft_answer *a, struct err *e)
{
	int rc = ask(n, NFT_MSG_GETTABLE, NLM_F_ACK, NULL, rs, a, e);

	return rc == -ENOENT ? 0 : rc;
}

static void take_generation(struct ruleset *rs)
{
	const struct rs_set *s = ruleset_find_set(rs, RS_GENERATION_SET);
	const uint32_t key = RS_GENERATION_KEY;

	if (!s || s->foreign || s->n != 1 || s->def.key_len != sizeof(key) ||
	    rs_set_data_len(&s->def) != sizeof(rs->generation) ||
	    memcmp(s->elems, &key, sizeof(key)))
		return;
	memcpy(&rs->generation, s->elems + 2 * sizeof(key), sizeof(rs->generation));
}

int nft_read_set(struct nft *n, struct ruleset *rs, struct rs_set *s, struct nft_answer *a,
		 struct err *e)
{
	int rc;

	for (unsigned i = 0; i < SET_TRIES; i++) {
		s->n = 0;
		rc = ask(n, NFT_MSG_GETSETELEM, NLM_F_DUMP, s->def.name, rs, a, e);
		if (rc)
			return rc;
		rc = rs_set_seal(s, e);
		if (rc != -EEXIST)
			return rc;
		clock_sleep_ms(1 + i);
	}
	return -EINTR;
}

static int read_elems(struct nft *n, struct ruleset *rs, struct nft_answer *a, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < rs->n_sets && !rc; i++) {
		if (rs->sets[i]->contents_known)
			rc = nft_read_set(n, rs, rs->sets[i], a, e);
	}
	return rc;
}

static int read_generation(struct nft *n, struct ruleset *rs, struct nft_answer *a, struct err *e);

static int read_dumps(struct nft *n, struct ruleset *rs, bool elems, struct err *e)
{
	static const uint16_t dumps[] = { NFT_MSG_GETCHAIN, NFT_MSG_GETSET, NFT_MSG_GETRULE };
	struct nft_answer a = { 0 };
	uint32_t before = 0, after = 0;
	int rc = nft_genid(n, &before, e);

	if (rc)
		return rc;
	rc = read_table(n, rs, &a, e);
	if (rc || !rs->exists)
		return rc;
	for (size_t i = 0; i < sizeof(dumps) / sizeof(dumps[0]) && !rc; i++)
		rc = ask(n, dumps[i], NLM_F_DUMP, NULL, rs, &a, e);
	if (!rc && elems)
		rc = read_elems(n, rs, &a, e);
	else if (!rc && ruleset_find_set(rs, RS_GENERATION_SET))
		rc = read_generation(n, rs, &a, e);
	if (rc)
		return rc;
	/* Named objects and flowtables are counted by the table but are none of ours. */
	rs->foreign |= a.use != a.seen;
	take_generation(rs);
	rc = nft_genid(n, &after, e);
	return rc ? rc : before != after ? -EINTR : 0;
}

static int read_all(struct nft *n, struct ruleset *rs, struct err *e)
{
	return read_dumps(n, rs, true, e);
}

static int read_shape(struct nft *n, struct ruleset *rs, struct err *e)
{
	int rc = read_dumps(n, rs, false, e);

	for (size_t i = 0; !rc && i < rs->n_sets; i++)
		rs->sets[i]->contents_known = false;
	return rc;
}

int nft_request_elem(struct nft *n, struct ruleset *rs, const struct rs_set_def *def,
		     const void *key, struct nft_answer *a, struct err *e)
{
	_Alignas(8) char buf[NFT_REQUEST_MAX];
	struct nlmsghdr *nlh = nft_request_new(n, buf, NFT_MSG_GETSETELEM, NLM_F_ACK);
	struct nlattr *list, *elem, *value;

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, rs->table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, def->name);
	list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	value = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_KEY);
	mnl_attr_put(nlh, NFTA_DATA_VALUE, def->key_len, key);
	mnl_attr_nest_end(nlh, value);
	mnl_attr_nest_end(nlh, elem);
	mnl_attr_nest_end(nlh, list);
	return nft_request(n, nlh, rs, a, e);
}

/* Generation 1 of the map alone: the table may have 64k elements in other sets. */
static int read_generation(struct nft *n, struct ruleset *rs, struct nft_answer *a, struct err *e)
{
	const struct rs_set *s = ruleset_generation_map(rs);
	const uint32_t key = RS_GENERATION_KEY;
	int rc;

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	rc = nft_request_elem(n, rs, &s->def, &key, a, e);
	take_generation(rs);
	/* No such set, no such key, or somebody's set of another shape: no generation. */
	return rc == -ENOENT || rc == -EINVAL ? 0 : rc;
}

static int read_head(struct nft *n, struct ruleset *rs, struct err *e)
{
	struct nft_answer a = { 0 };
	int rc = read_table(n, rs, &a, e);

	return rc || !rs->exists ? rc : read_generation(n, rs, &a, e);
}

static int read_with(struct nft *n, const char *table, struct ruleset **out, struct err *e,
		     int (*reader)(struct nft *, struct ruleset *, struct err *))
{
	for (int i = 0; i < READ_TRIES; i++) {
		struct ruleset *rs = empty_ruleset(table);
		int rc = rs ? reader(n, rs, e) : -ENOMEM;

		if (!rc)
			rc = ruleset_seal(rs, e);
		if (!rc) {
			*out = rs;
			return 0;
		}
		ruleset_free(rs);
		/* ENOENT: the table went away between two dumps. */
		if (rc != -EINTR && rc != -ENOENT)
			return nft_refused(e, rc, "the table as it is");
	}
	return err_set(e, -EAGAIN, "table %s could not be read: the ruleset changes all the time",
		       table);
}

int nft_read(struct nft *n, const char *table, struct ruleset **out, struct err *e)
{
	return read_with(n, table, out, e, read_all);
}

int nft_read_shape(struct nft *n, const char *table, struct ruleset **out, struct err *e)
{
	return read_with(n, table, out, e, read_shape);
}

int nft_read_head(struct nft *n, const char *table, struct ruleset **out, struct err *e)
{
	return read_with(n, table, out, e, read_head);
}

static int find_marked(struct nft *n, struct nft_tables *out, struct err *e)
{
	_Alignas(8) char buf[NFT_REQUEST_MAX];
	struct ruleset *rs = empty_ruleset(""); /* no table has that name: all are others */
	struct nft_answer a = { 0 };
	int rc = -EINTR;

	if (!rs)
		return err_set(e, -ENOMEM, "out of memory");
	for (int i = 0; i < READ_TRIES && rc == -EINTR; i++) {
		a.others.n = 0;
		rc = nft_request(n, nft_request_new(n, buf, NFT_MSG_GETTABLE, NLM_F_DUMP), rs, &a,
				 e);
	}
	ruleset_free(rs);
	*out = a.others;
	return rc ? nft_refused(e, rc, "the list of tables") : 0;
}

int nft_find_owned(struct nft *n, const char *owner, struct nft_tables *out, struct err *e)
{
	struct nft_tables all = { 0 };
	int rc = find_marked(n, &all, e);

	out->n = 0;
	for (unsigned i = 0; !rc && i < all.n; i++)
		if (!strcmp(all.v[i].owner, owner))
			out->v[out->n++] = all.v[i];
	return rc;
}

/* A table that only guards what its spctl turned on has no generation: it is nobody's need. */
int nft_find_other(struct nft *n, const char *owner, char other[RS_NAME_MAX], struct err *e)
{
	struct nft_tables all = { 0 };
	int rc = find_marked(n, &all, e);

	other[0] = '\0';
	for (unsigned i = 0; !rc && i < all.n && !other[0]; i++) {
		struct ruleset *head = NULL;

		if (!strcmp(all.v[i].owner, owner))
			continue;
		rc = nft_read_head(n, all.v[i].name, &head, e);
		if (!rc && head->exists && head->generation)
			memcpy(other, all.v[i].name, RS_NAME_MAX);
		ruleset_free(head);
	}
	return rc;
}
