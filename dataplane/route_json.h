/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * route_json: reads members of JSON objects into structs as tables say, within
 * bounds; an unknown member is an error, because it would not be enforced. Sentences
 * begin with the path: "routes[3].targets[0].port: ...".
 */
#ifndef DATAPLANE_ROUTE_JSON_H
#define DATAPLANE_ROUTE_JSON_H

#include <jansson.h>

#include "ctl/base/err.h"

/* Where a value is; only built into text when there is something to say. */
struct json_at {
	const struct json_at *up;
	const char *key; /* NULL: number `index` of what `up` is */
	size_t index;
};

enum json_kind {
	FIELD_UINT,  /* unsigned */
	FIELD_INT,   /* int */
	FIELD_U64,   /* uint64_t */
	FIELD_BOOL,  /* bool */
	FIELD_TEXT,  /* char *, of the heap, min to max bytes, no control characters */
	FIELD_NAMED, /* int: the index into `values` */
	FIELD_OTHER, /* only known: read elsewhere */
};

struct json_field {
	const char *key;
	enum json_kind kind;
	size_t off;
	json_int_t min, max, def; /* def: where it is absent */
	bool required;
	const char *const *values; /* ends with NULL */
};

/* -EINVAL with "path.key: ..."; key may be NULL. */
int json_refuse(const struct json_at *at, const char *key, struct err *e, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* What a value is, for sentences. Returns out. */
#define SEEN_BYTES 64
const char *json_seen(const json_t *v, char out[SEEN_BYTES]);
/* All members of o as f says into base. Texts that were read stay in base on errors, too. */
int json_read(const json_t *o, const struct json_field *f, size_t n, void *base,
	      const struct json_at *at, struct err *e);
/* o[key] as a list of at most max; *out is NULL where it is absent or wrong. */
int json_list(const json_t *o, const char *key, size_t max, const json_t **out,
	      const struct json_at *at, struct err *e);

#endif
