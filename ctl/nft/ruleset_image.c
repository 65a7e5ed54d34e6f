/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file is a cache of this machine for this boot: numbers stand in the
 * machine's own order, elements as they lie in memory. A fixed header is
 * followed by records; each record begins with its own counts. The checksum is
 * over 8-byte words, quick enough for megabytes at every apply; every step of
 * it is reversible, so no single flipped bit can cancel out.
 *
 * The loader trusts nothing even behind a right checksum: every count is
 * checked against the bytes that are left before anything is allocated.
 */
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/io.h"
#include "ctl/nft/ruleset_image.h"

#define MAGIC	       "spctl-rs"
#define VERSION	       1u
#define BOOT_LEN       40
#define ALIGN	       8
#define FILE_MAX       ((size_t)1 << 30)
#define VALUE_MAX      64
#define ROUTE_NAME_MAX 4096

struct header {
	char magic[8];
	uint64_t checksum; /* of everything after it */
	uint32_t version, genid;
	uint64_t length; /* of the whole file */
	char boot[BOOT_LEN];
	char table[RS_NAME_MAX];
	char owner[64];
	uint32_t generation, n_sets, n_chains, n_ids, next_id, zero;
};

struct set_record {
	struct rs_set_def def;
	uint64_t n;
	uint32_t contents_known, zero;
};

struct chain_record {
	char name[RS_NAME_MAX];
	char type[16];
	uint32_t hooknum;
	int32_t priority;
	uint64_t n;
};

struct id_record {
	uint32_t id, len; /* len with NUL */
};

#define SUM_END (RULESET_IMAGE_SUM_OFFSET + sizeof(uint64_t))
_Static_assert(offsetof(struct header, checksum) == RULESET_IMAGE_SUM_OFFSET &&
		       offsetof(struct header, length) == RULESET_IMAGE_LENGTH_OFFSET,
	       "see the header file");
_Static_assert(sizeof(struct header) % ALIGN == 0 && sizeof(struct set_record) % ALIGN == 0 &&
		       sizeof(struct chain_record) % ALIGN == 0 &&
		       sizeof(struct id_record) % ALIGN == 0,
	       "records keep the alignment");
_Static_assert(sizeof(struct rs_set_def) == 64, "no padding that would be written uninitialized");

uint64_t ruleset_image_checksum(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t h = 0x9e3779b97f4a7c15u ^ len, w;

	for (; len; p += sizeof(w)) {
		size_t n = len < sizeof(w) ? len : sizeof(w);

		w = 0;
		memcpy(&w, p, n);
		h = (h ^ w) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
		len -= n;
	}
	return h;
}

/* ---- route ids ---- */

/* ---- writing ---- */

static void put_padded(struct buf *out, const void *p, size_t n)
{
	static const uint8_t zero[ALIGN];

	buf_put(out, p, n);
	if (n % ALIGN)
		buf_put(out, zero, ALIGN - n % ALIGN);
}

static void put_set(struct buf *out, const struct rs_set *s)
{
	bool known = s->contents_known;
	struct set_record r = { .def = s->def, .n = known ? s->n : 0, .contents_known = known };

	buf_put(out, &r, sizeof(r));
	put_padded(out, s->elems, r.n * rs_set_stride(&s->def));
}

static void put_chain(struct buf *out, const struct rs_chain *c)
{
	struct chain_record r = { .hooknum = c->hooknum, .priority = c->priority, .n = c->n };

	memcpy(r.name, c->name, strlen(c->name));
	memcpy(r.type, c->type, strlen(c->type));
	buf_put(out, &r, sizeof(r));
	for (size_t i = 0; i < c->n; i++)
		buf_put(out, &c->rules[i].hash, sizeof(c->rules[i].hash));
}

static void put_id(struct buf *out, const char *name, uint32_t id)
{
	struct id_record r = { .id = id, .len = (uint32_t)strlen(name) + 1 };

	buf_put(out, &r, sizeof(r));
	put_padded(out, name, r.len);
}

static struct header make_header(const struct ruleset *rs, const struct route_ids *ids,
				 const char *boot, uint32_t genid)
{
	struct header h = {
		.version = VERSION,
		.genid = genid,
		.generation = rs->generation,
		.n_sets = (uint32_t)rs->n_sets,
		.n_chains = (uint32_t)rs->n_chains,
		.n_ids = (uint32_t)ids->n,
		.next_id = ids->next_id,
	};

	memcpy(h.magic, MAGIC, sizeof(h.magic));
	memcpy(h.boot, boot, strnlen(boot, sizeof(h.boot) - 1));
	memcpy(h.table, rs->table, strlen(rs->table));
	memcpy(h.owner, rs->owner, strlen(rs->owner));
	return h;
}

int ruleset_image_build(const struct ruleset *rs, const struct route_ids *ids, const char *boot,
			uint32_t genid, struct buf *out)
{
	struct header h = make_header(rs, ids, boot, genid);
	size_t start = out->len;
	char *p;

	buf_put(out, &h, sizeof(h));
	for (size_t i = 0; i < rs->n_sets; i++)
		put_set(out, rs->sets[i]);
	for (size_t i = 0; i < rs->n_chains; i++)
		put_chain(out, rs->chains[i]);
	for (size_t i = 0; i < ids->n; i++)
		put_id(out, route_ids_name(ids, i), ids->ids[i]);
	if (out->failed)
		return -ENOMEM;
	p = out->data + start;
	h.length = out->len - start;
	memcpy(p + offsetof(struct header, length), &h.length, sizeof(h.length));
	h.checksum = ruleset_image_checksum(p + SUM_END, h.length - SUM_END);
	memcpy(p + RULESET_IMAGE_SUM_OFFSET, &h.checksum, sizeof(h.checksum));
	return 0;
}

int ruleset_image_save(const char *path, const struct ruleset *rs, const struct route_ids *ids,
		       const char *boot, uint32_t genid, struct err *e)
{
	struct buf out = { 0 };
	int rc = ruleset_image_build(rs, ids, boot, genid, &out);

	if (rc)
		err_set(e, rc, "out of memory");
	else
		rc = io_write_file_fast(path, out.data, out.len, 0600, e);
	buf_fini(&out);
	return rc;
}

/* ---- reading ---- */

struct cursor {
	const uint8_t *p;
	size_t left;
};

/* n bytes of the image, or NULL. */
static const uint8_t *take(struct cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (n > c->left)
		return NULL;
	c->p += n;
	c->left -= n;
	return p;
}

/* n items of `size` bytes and the padding after them. */
static const uint8_t *take_array(struct cursor *c, uint64_t n, size_t size)
{
	size_t bytes;

	if (n > c->left / size)
		return NULL;
	bytes = (size_t)n * size;
	return take(c, (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1));
}

static bool take_record(struct cursor *c, void *out, size_t size)
{
	const uint8_t *p = take(c, size);

	if (p)
		memcpy(out, p, size);
	return p;
}

static bool is_text(const char *s, size_t cap)
{
	return memchr(s, '\0', cap);
}

static bool is_name(const char *s, size_t cap)
{
	return is_text(s, cap) && *s;
}

static bool elems_are_sound(const struct rs_set *s)
{
	size_t stride = rs_set_stride(&s->def), data = s->def.key_len + sizeof(uint32_t);

	for (size_t i = 0; i < s->n; i++) {
		const uint8_t *p = rs_elem(s, stride, i);

		if (i && rs_elem_cmp(&s->def, p - stride, p) >= 0)
			return false;
		if (rs_set_def_is_verdict(&s->def) && !is_text((const char *)p + data, RS_NAME_MAX))
			return false;
	}
	return true;
}

static int load_set(struct cursor *c, struct ruleset *rs)
{
	const uint8_t *elems;
	struct set_record r;
	struct rs_set *s;
	size_t stride;

	if (!take_record(c, &r, sizeof(r)) || !is_name(r.def.name, sizeof(r.def.name)) ||
	    !r.def.key_len || r.def.key_len > VALUE_MAX || r.def.data_len > VALUE_MAX ||
	    r.contents_known > 1 || (!r.contents_known && r.n) || r.n > UINT32_MAX ||
	    ruleset_find_set(rs, r.def.name))
		return -ENOENT;
	stride = rs_set_stride(&r.def);
	elems = take_array(c, r.n, stride);
	s = elems ? ruleset_set(rs, &r.def, RS_NO_PLACE) : NULL;
	if (!s)
		return -ENOENT;
	s->contents_known = r.contents_known;
	s->elems = r.n ? malloc(r.n * stride) : NULL;
	if (r.n && !s->elems)
		return -ENOENT;
	if (r.n)
		memcpy(s->elems, elems, r.n * stride);
	s->n = s->cap = r.n;
	return elems_are_sound(s) ? 0 : -ENOENT;
}

static int load_chain(struct cursor *c, struct ruleset *rs)
{
	struct chain_record r;
	const uint8_t *hashes;
	struct rs_chain *chain;
	struct rs_hook hook;

	if (!take_record(c, &r, sizeof(r)) || !is_name(r.name, sizeof(r.name)) ||
	    !is_text(r.type, sizeof(r.type)) || ruleset_find_chain(rs, r.name))
		return -ENOENT;
	hashes = take_array(c, r.n, sizeof(uint64_t));
	hook = (struct rs_hook){ *r.type ? r.type : NULL, r.hooknum, r.priority };
	chain = hashes ? ruleset_chain(rs, r.name, &hook, RS_NO_PLACE) : NULL;
	if (!chain)
		return -ENOENT;
	for (uint64_t i = 0; i < r.n; i++) {
		uint64_t hash;

		memcpy(&hash, hashes + i * sizeof(hash), sizeof(hash));
		if (!hash) /* only rules that are not ours have none */
			return -ENOENT;
		rs_chain_add_hash(chain, rs, hash);
	}
	return 0;
}

static int load_id(struct cursor *c, struct route_ids *ids)
{
	struct id_record r;
	const char *name;

	if (!take_record(c, &r, sizeof(r)) || !r.len || r.len > ROUTE_NAME_MAX || !r.id)
		return -ENOENT;
	name = (const char *)take_array(c, r.len, 1);
	if (!name || name[r.len - 1] || strlen(name) != r.len - 1)
		return -ENOENT;
	return route_ids_add(ids, name, r.id) ? -ENOENT : 0;
}

static bool header_is_sound(const struct header *h, const uint8_t *bytes, size_t len,
			    const char *boot)
{
	return !memcmp(h->magic, MAGIC, sizeof(h->magic)) && h->version == VERSION &&
	       h->length == len && is_text(h->boot, sizeof(h->boot)) && !strcmp(h->boot, boot) &&
	       is_name(h->table, sizeof(h->table)) && is_text(h->owner, sizeof(h->owner)) &&
	       h->checksum == ruleset_image_checksum(bytes + SUM_END, len - SUM_END);
}

static int load_records(struct cursor *c, const struct header *h, struct ruleset *rs,
			struct route_ids *ids)
{
	for (uint32_t i = 0; i < h->n_sets; i++) {
		if (load_set(c, rs))
			return -ENOENT;
	}
	for (uint32_t i = 0; i < h->n_chains; i++) {
		if (load_chain(c, rs))
			return -ENOENT;
	}
	for (uint32_t i = 0; i < h->n_ids; i++) {
		if (load_id(c, ids))
			return -ENOENT;
	}
	if (c->left || rs->failed)
		return -ENOENT;
	return ruleset_seal(rs, NULL) ? -ENOENT : 0;
}

int ruleset_image_parse(const void *bytes, size_t len, const char *boot, struct ruleset **out,
			struct route_ids *ids, uint32_t *genid)
{
	struct cursor c = { bytes, len };
	struct route_ids read = { 0 };
	struct ruleset *rs = NULL;
	struct header h;

	if (!take_record(&c, &h, sizeof(h)) || !header_is_sound(&h, bytes, len, boot))
		return -ENOENT;
	rs = ruleset_new(h.table, h.owner, h.generation);
	if (!rs || load_records(&c, &h, rs, &read)) {
		ruleset_free(rs);
		route_ids_fini(&read);
		return -ENOENT;
	}
	read.next_id = h.next_id;
	if (route_ids_seal(&read)) {
		ruleset_free(rs);
		route_ids_fini(&read);
		return -ENOENT;
	}
	*out = rs;
	*ids = read;
	*genid = h.genid;
	return 0;
}

int ruleset_image_load(const char *path, const char *boot, struct ruleset **rs,
		       struct route_ids *ids, uint32_t *genid)
{
	struct buf file = { 0 };
	int rc = io_read_file(path, FILE_MAX, &file, NULL);

	rc = rc ? -ENOENT : ruleset_image_parse(file.data, file.len, boot, rs, ids, genid);
	buf_fini(&file);
	return rc;
}
