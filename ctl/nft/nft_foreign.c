/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading follows nft_read.c: several dumps, valid together only if the ruleset
 * generation is the same before and after. Rules are asked for table by table,
 * so that our own, which may be large, never comes along; elements only of
 * sets that some rule looks up.
 */
#include "ctl/nft/nft_foreign.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "ctl/nft/nft_attr.h"
#include "ctl/nft/nft_socket.h"

#define READ_TRIES 10

struct nft_foreign *nft_foreign_new(const char *own)
{
	struct nft_foreign *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->own = arena_strdup(&f->arena, own);
	if (f->own)
		return f;
	nft_foreign_free(f);
	return NULL;
}

void nft_foreign_free(struct nft_foreign *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < f->n_sets; i++)
		free(f->sets[i]->v);
	free(f->tables);
	free(f->chains);
	free(f->sets);
	arena_fini(&f->arena);
	free(f);
}

const char *foreign_family_name(uint8_t family)
{
	switch (family) {
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	case NFPROTO_NETDEV:
		return "netdev";
	default:
		return "inet";
	}
}

/* ---- finding by family, table, name ---- */

static int key_cmp(uint8_t af, const char *at, const char *an, uint8_t bf, const char *bt,
		   const char *bn)
{
	int rc = (int)af - (int)bf;

	rc = rc ? rc : strcmp(at, bt);
	return rc ? rc : strcmp(an, bn);
}

static int chain_cmp(const void *a, const void *b)
{
	const struct foreign_chain *x = *(struct foreign_chain *const *)a;
	const struct foreign_chain *y = *(struct foreign_chain *const *)b;

	return key_cmp(x->family, x->table, x->name, y->family, y->table, y->name);
}

static int set_cmp(const void *a, const void *b)
{
	const struct foreign_set *x = *(struct foreign_set *const *)a;
	const struct foreign_set *y = *(struct foreign_set *const *)b;

	return key_cmp(x->family, x->table, x->name, y->family, y->table, y->name);
}

struct foreign_chain *foreign_chain_find(struct nft_foreign *f, uint8_t family, const char *table,
					 const char *name)
{
	struct foreign_chain key = { .family = family, .table = table, .name = name };
	const struct foreign_chain *k = &key;
	struct foreign_chain **found;

	if (!f->n_chains)
		return NULL;
	if (!f->chains_sorted)
		qsort(f->chains, f->n_chains, sizeof(*f->chains), chain_cmp);
	f->chains_sorted = true;
	found = bsearch(&k, f->chains, f->n_chains, sizeof(*f->chains), chain_cmp);
	return found ? *found : NULL;
}

/* A set is noted once for each lookup that names it: one of them stays. */
static void sort_sets(struct nft_foreign *f)
{
	unsigned n = 0;

	qsort(f->sets, f->n_sets, sizeof(*f->sets), set_cmp);
	for (unsigned i = 0; i < f->n_sets; i++) {
		struct foreign_set *s = f->sets[i];

		if (!n || set_cmp(&f->sets[n - 1], &s)) {
			f->sets[n++] = s;
		} else if (f->sets[n - 1]->truncated) {
			free(f->sets[n - 1]->v);
			f->sets[n - 1] = s;
		} else {
			free(s->v);
		}
	}
	f->n_sets = n;
	f->sets_sorted = true;
}

struct foreign_set *foreign_set_find(struct nft_foreign *f, uint8_t family, const char *table,
				     const char *name)
{
	struct foreign_set key = { .family = family, .table = table, .name = name };
	const struct foreign_set *k = &key;
	struct foreign_set **found;

	if (!f->n_sets)
		return NULL;
	if (!f->sets_sorted)
		sort_sets(f);
	found = bsearch(&k, f->sets, f->n_sets, sizeof(*f->sets), set_cmp);
	return found ? *found : NULL;
}

const struct foreign_table *foreign_table_find(const struct nft_foreign *f, uint8_t family,
					       const char *name)
{
	for (unsigned i = 0; i < f->n_tables; i++)
		if (f->tables[i].family == family && !strcmp(f->tables[i].name, name))
			return &f->tables[i];
	return NULL;
}

/* ---- reading ---- */

static void read_piece(const void *bytes, size_t len, void *arg, struct nft_answer *a)
{
	nft_foreign_parse(bytes, len, arg, a);
}

/* A dump of one kind; table and set (with it) may be NULL = of all. */
static int dump(struct nft *n, struct nft_foreign *f, uint16_t type, uint8_t family,
		const char *table, const char *set, struct err *e)
{
	_Alignas(8) char buf[NFT_REQUEST_MAX];
	struct nlmsghdr *nlh = nft_request_new(n, buf, type, NLM_F_DUMP);
	struct nfgenmsg *m = mnl_nlmsg_get_payload(nlh);
	struct nft_answer a = { 0 };

	m->nfgen_family = family;
	if (table)
		mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, table);
	if (set)
		mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	return nft_ask(n, nlh, read_piece, f, &a, e);
}

static int read_sets(struct nft *n, struct nft_foreign *f, struct err *e)
{
	int rc = 0;

	if (f->n_sets) {
		sort_sets(f);
		rc = dump(n, f, NFT_MSG_GETSET, NFPROTO_UNSPEC, NULL, NULL, e);
	}
	for (unsigned i = 0; i < f->n_sets && !rc; i++)
		rc = dump(n, f, NFT_MSG_GETSETELEM, f->sets[i]->family, f->sets[i]->table,
			  f->sets[i]->name, e);
	return rc;
}

static int read_all(struct nft *n, struct nft_foreign *f, struct err *e)
{
	uint32_t before = 0, after = 0;
	int rc = nft_genid(n, &before, e);

	rc = rc ? rc : dump(n, f, NFT_MSG_GETTABLE, NFPROTO_UNSPEC, NULL, NULL, e);
	if (!rc && f->n_tables)
		rc = dump(n, f, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, NULL, NULL, e);
	for (unsigned i = 0; i < f->n_tables && !rc; i++)
		rc = dump(n, f, NFT_MSG_GETRULE, f->tables[i].family, f->tables[i].name, NULL, e);
	rc = rc ? rc : read_sets(n, f, e);
	rc = rc ? rc : nft_genid(n, &after, e);
	if (!rc && f->failed)
		return err_set(e, -ENOMEM, "out of memory");
	return rc ? rc : before != after ? -EINTR : 0;
}

int nft_foreign_read(struct nft *n, const char *own, struct nft_foreign **out, struct err *e)
{
	for (int i = 0; i < READ_TRIES; i++) {
		struct nft_foreign *f = nft_foreign_new(own);
		int rc = f ? read_all(n, f, e) : err_set(e, -ENOMEM, "out of memory");

		if (!rc) {
			*out = f;
			return 0;
		}
		nft_foreign_free(f);
		/* ENOENT: a table went away between two dumps. */
		if (rc != -EINTR && rc != -ENOENT)
			return nft_refused(e, rc, "the tables of others");
	}
	return err_set(e, -EAGAIN,
		       "other tables could not be read: the ruleset changes all the time");
}
