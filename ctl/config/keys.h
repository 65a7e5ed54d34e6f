/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keys: the one table of the route language. Each key says its name, type,
 * default, limits, where its value goes, which tier keeps it, and one line of
 * help. The parser (config*.c), the JSON Schema and the manual page (schema.c)
 * are all driven by it: a key that is not in the table does not exist.
 * Constant data, any thread.
 */
#ifndef CTL_CONFIG_KEYS_H
#define CTL_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct parse;
struct doc_node;
struct key;
struct key_object;

enum key_type {
	KEY_BOOL,      /* bool */
	KEY_UINT,      /* unsigned, min..max */
	KEY_INT,       /* int, min..max */
	KEY_TEXT,      /* const char * */
	KEY_ENUM,      /* int: position in values + value_base */
	KEY_CHOICE,    /* const char *: one of values */
	KEY_TEXTS,     /* struct cfg_strings; one string will do; values = those allowed */
	KEY_ADDRESSES, /* struct addr_set; one string will do */
	KEY_PAIRS,     /* struct cfg_pairs: name -> text */
	KEY_OBJECT,    /* struct * (or the struct itself with KEY_EMBED) */
	KEY_CUSTOM,    /* parse() */
	KEY_OLD,       /* older spelling of `now`, same object */
	KEY_REFUSED,   /* error whose sentence ends with `now` */
	KEY_UNUSED     /* of SmartProxy's internals, without meaning here: one warning names all */
};

enum key_tier {
	KEY_TIER_ANY,
	KEY_TIER_NFTABLES,
	KEY_TIER_RELAY,
	KEY_TIER_PROXY,
	KEY_TIER_SERVICE,
	KEY_TIER_NONE
};

enum key_flags {
	KEY_REQUIRED = 1 << 0,
	KEY_EMBED = 1 << 1,	/* the object is part of its parent's struct */
	KEY_EXTRA = 1 << 2,	/* off counts inside the parent's struct cfg_extra */
	KEY_PLAINTEXT = 1 << 3, /* cannot be kept where the bytes are encrypted */
	KEY_SECRET = 1 << 4,	/* the value is never shown */
	KEY_MULTILINE = 1 << 5, /* text may hold newlines */
	KEY_EMPTY_OK = 1 << 6,	/* text or list may be empty */
	KEY_TIME = 1 << 7,	/* not applied by the kernel tier: named in its one warning */
	KEY_NEW = 1 << 8,	/* not known to SmartProxy */
	KEY_MS = 1 << 9,	/* milliseconds */
	KEY_QUIET = 1 << 10,	/* KEY_OLD without a warning */
	KEY_UPPER = 1 << 11,	/* texts are stored in upper case (methods) */
	KEY_REGEX = 1 << 12,	/* values of pairs may be a /regular expression/ */
	KEY_PATH = 1 << 13,	/* text must begin with a slash */
	KEY_LIMITS = 1 << 14	/* off counts inside struct cfg_limits */
};

/* Puts the value where it belongs in base (the parent's struct). 0, -EINVAL (reported), -ENOMEM. */
typedef int key_parse_fn(struct parse *p, const struct key *k, const struct doc_node *n,
			 void *base);

struct key {
	const char *name;
	enum key_type type;
	enum key_tier tier;
	unsigned flags;
	size_t off;
	size_t loc_off, has_off; /* 0 = none: where the place, the "was given" go */
	int64_t min, max;
	int value_base;
	const char *def; /* text of the default, NULL = none */
	const char *const *values;
	const struct key_object *object;
	key_parse_fn *parse;
	const char *need;    /* a route with this key needs `tier` because of ... */
	const char *now;     /* KEY_OLD, KEY_REFUSED */
	const char *shape;   /* KEY_CUSTOM: type for people */
	const char *schema;  /* KEY_CUSTOM: JSON Schema */
	const char *example; /* JSON of an accepted value where the type does not give one */
	unsigned only;	     /* handler options: bit mask of the kinds that take it */
	const char *help;
};

struct key_object {
	const char *name;  /* "match"; the section of the manual */
	const char *title; /* one line */
	const struct key *keys;
	size_t n_keys;
	size_t size;	  /* of its struct */
	size_t extra_off; /* of its struct cfg_extra *, 0 = none */
	bool open;	  /* unknown keys are only warnings */
	bool placeless;	  /* its struct does not begin with a struct loc */
	/* After all keys: what one key alone cannot know. Reports errors itself. */
	void (*finish)(struct parse *p, const struct doc_node *n, void *base);
};

extern const struct key_object key_root, key_defaults, key_acme, key_eab, key_admin, key_log,
	key_store, key_etcd, key_metrics;
extern const struct key_object key_route, key_match, key_action, key_target, key_target_match,
	key_balancing, key_health, key_nftables, key_default_target;
extern const struct key_object key_tls, key_certificate, key_client_auth;
extern const struct key_object key_websocket, key_advanced, key_static, key_test_response,
	key_url_rewrite, key_options, key_headers, key_cors;
extern const struct key_object key_handler, key_redirect, key_block;
extern const struct key_object key_security, key_rate_limit, key_authentication, key_basic_auth,
	key_jwt_auth, key_user;

/* Every object, for generators: in the order of the manual, NULL at the end. */
extern const struct key_object *const key_objects[];

const struct key *key_find(const struct key_object *o, const char *name);
/* The key most like name in o, or NULL. */
const char *key_nearest(const struct key_object *o, const char *name);
/* "number, 1..65535" and the like. Writes out, returns it. */
const char *key_type_text(const struct key *k, char *out, size_t cap);
const char *key_tier_text(const struct key *k);

#endif
