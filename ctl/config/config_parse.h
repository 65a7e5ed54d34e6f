/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_parse: what the files config*.c share. No one else includes it.
 *
 * struct parse is one run over one file. It knows the path of the value at
 * hand (routes[2].match.ports), so a report needs only the node and a sentence.
 */
#ifndef CTL_CONFIG_CONFIG_PARSE_H
#define CTL_CONFIG_CONFIG_PARSE_H

#include "ctl/config/config_groups.h"
#include "ctl/config/doc.h"
#include "ctl/config/keys.h"

#define NAME_MAX_BYTES 128
#define OBJECTS_MAX    64 /* length of key_objects[] */

struct name_entry {
	const char *name; /* NULL = free */
	const struct cfg_route *route;
	unsigned next_suffix;
};

struct name_set { /* open addressing; cap is a power of two */
	struct name_entry *v;
	size_t n, cap;
};

struct path_step {
	const char *key; /* NULL: index */
	unsigned index;
};

/* A warning that would come once a route: reported once, with a count. */
struct grouped {
	unsigned count;
	struct loc loc;
	char path[160];
};

/* One `security`: its needs count only if no better one beats it. */
struct security_slot {
	struct cfg_security *security;
	struct cfg_need *needs;
	const struct doc_node *node;
};

struct parse {
	struct config *c;
	const struct key_object *object; /* whose key is being parsed */
	struct diags *diags;
	bool lenient, no_memory;
	struct path_step path[2 * DOC_MAX_DEPTH];
	unsigned depth;
	void *images[OBJECTS_MAX]; /* structs with all defaults set, by object */

	/* the route at hand, NULL outside of routes */
	struct cfg_route *route;
	struct cfg_need *needs, **need_tail;
	const char *unapplied[32]; /* time limits; of the top level while route is NULL */
	unsigned n_unapplied;
	struct security_slot route_security, action_security;
	const struct doc_node *node_tls; /* the route's own `tls`, in its older place */
	const struct doc_node *node_transport, *node_nft_protocol;
	enum cfg_transport nft_protocol;

	/* of the whole file */
	const struct doc_node *routes;
	struct security_slot default_security;
	struct cfg_tls *default_tls;
	struct loc preserve_loc;
	struct addr_set old_allow;
	struct loc old_allow_loc;
	char unused[400];      /* names of KEY_UNUSED keys that were seen */
	struct loc unused_loc; /* of the first of them */
	char unused_path[160];
	struct name_set names, ids;
	struct grouped http_note, preserve_note, verify_note, host_note;
};

/* --- the path and reports (config_report.c) ------------------------------- */

void parse_push(struct parse *p, const char *key);
void parse_push_index(struct parse *p, unsigned index);
void parse_pop(struct parse *p);
/* Writes the path of the value at hand; returns out. */
const char *parse_path(const struct parse *p, char *out, size_t cap);
const char *parse_path_dup(struct parse *p); /* in the arena */
struct loc parse_loc(const struct parse *p, const struct doc_node *n);
struct loc parse_key_loc(const struct parse *p, const struct doc_node *n);
/* Both return -EINVAL. key: a key below the path at hand, or NULL. */
int parse_error(struct parse *p, struct loc loc, const char *key, const char *hint, const char *fmt,
		...) PRINTF_LIKE(5, 6);
void parse_warn(struct parse *p, struct loc loc, const char *key, const char *hint, const char *fmt,
		...) PRINTF_LIKE(5, 6);
/* `must be WHAT, not <what n is>`. Returns -EINVAL. */
int parse_expected(struct parse *p, const struct doc_node *n, const char *what);
int parse_no_memory(struct parse *p);
/* "routes.json:3:40" for sentences that name a second place. */
const char *parse_place(const struct parse *p, struct loc loc, char out[160]);

/* --- values (config_value.c) ----------------------------------------------- */

void *parse_alloc(struct parse *p, size_t n);
const char *parse_strdup(struct parse *p, const char *s);
int parse_object(struct parse *p, const struct key_object *o, const struct doc_node *n, void *base);
/* A zeroed struct of the object with its defaults; NULL when out of memory. */
void *parse_object_new(struct parse *p, const struct key_object *o);
void parse_object_init(struct parse *p, const struct key_object *o, void *base);
int parse_value(struct parse *p, const struct key_object *o, const struct key *k,
		const struct doc_node *n, void *base);
struct cfg_extra *parse_extra(struct parse *p, const struct key_object *o, void *base);
int parse_text(struct parse *p, const struct key *k, const struct doc_node *n, const char **out);
/* A list, or one value standing for a list of one: next element after e. */
const struct doc_node *parse_list_first(const struct doc_node *n);
unsigned parse_list_len(const struct doc_node *n);
const struct doc_node *parse_list_next(const struct doc_node *list, const struct doc_node *e);
int parse_addresses(struct parse *p, const struct doc_node *n, struct addr_set *out);
int parse_pairs(struct parse *p, const struct key *k, const struct doc_node *n,
		struct cfg_pairs *out);
void parse_need(struct parse *p, enum tier t, const char *reason, unsigned need_flags,
		struct loc loc, const char *key);
/* The same for a key of the top level, whatever is being parsed. */
void parse_need_at_top(struct parse *p, enum tier t, const char *reason, struct loc loc,
		       const char *key);
/* True where the value only turns its key off: false, or an object with "enabled": false. */
bool parse_is_off(const struct doc_node *n);
bool text_has_control(const char *s, bool multiline);

enum need_flags { NEED_PLAINTEXT = 1, NEED_TCP_ONLY = 2 };

/* --- keys with a shape of their own ----------------------------------------- */

key_parse_fn parse_key_ports, parse_key_addresses_local, parse_key_domains, parse_key_client_ip;
key_parse_fn parse_key_host, parse_key_target_port, parse_key_targets, parse_key_old_target;
key_parse_fn parse_key_default_target, parse_key_max_rate, parse_key_table_name;
key_parse_fn parse_key_nft_protocol, parse_key_action_type, parse_key_engine;
key_parse_fn parse_key_proxy_protocol, parse_key_target_proxy_protocol, parse_key_proxy_version;
key_parse_fn parse_key_top_proxy_protocol, parse_key_redirect, parse_key_block, parse_key_static;
key_parse_fn parse_key_handler, parse_key_certificate, parse_key_ciphers, parse_key_users;
key_parse_fn parse_key_security, parse_key_default_security, parse_key_old_allow;
key_parse_fn parse_key_default_tls, parse_key_route_tls, parse_key_name, parse_key_id;
key_parse_fn parse_key_routes, parse_key_http_ports, parse_key_workers, parse_key_listen;
key_parse_fn parse_key_transport, parse_key_preserve, parse_key_acme_email;
key_parse_fn parse_key_headers, parse_key_target_ports, parse_key_handler_mode;

int parse_port_list(struct parse *p, const struct doc_node *n, struct port_range **out,
		    unsigned *count);

/* --- after all keys of an object ---------------------------------------------- */

void finish_match(struct parse *p, const struct doc_node *n, void *base);
void finish_target(struct parse *p, const struct doc_node *n, void *base);
void finish_action(struct parse *p, const struct doc_node *n, void *base);
void finish_nftables(struct parse *p, const struct doc_node *n, void *base);
void finish_tls(struct parse *p, const struct doc_node *n, void *base);
void finish_certificate(struct parse *p, const struct doc_node *n, void *base);
void finish_client_auth(struct parse *p, const struct doc_node *n, void *base);
void finish_handler(struct parse *p, const struct doc_node *n, void *base);
void finish_rate_limit(struct parse *p, const struct doc_node *n, void *base);
void finish_authentication(struct parse *p, const struct doc_node *n, void *base);
void finish_health(struct parse *p, const struct doc_node *n, void *base);
void finish_acme(struct parse *p, const struct doc_node *n, void *base);
void finish_etcd(struct parse *p, const struct doc_node *n, void *base);
void finish_cors(struct parse *p, const struct doc_node *n, void *base);
/* What the action takes from the top level; needs the route's match. */
void settle_action(struct parse *p, const struct doc_node *n, struct cfg_action *a);
void settle_auto_certificate(struct parse *p, const struct cfg_route *r, const char *key);
/* What needs the whole route: tiers, passthrough, names of both places (config_route.c). */
void finish_route(struct parse *p, const struct doc_node *n, struct cfg_route *r);
/* Names and ids: unique; missing names are made from the match (config_names.c). */
void finish_names(struct parse *p, bool make);
void names_fini(struct name_set *s);
/* The top level, once its keys but `routes` are read, and once all is (config_top.c). */
void settle_top(struct parse *p, const struct doc_node *root);
void report_default_tls(struct parse *p);
void report_unused(struct parse *p);
void report_grouped(struct parse *p);
void group_add(struct parse *p, struct grouped *g, struct loc loc, const char *key);

#endif
