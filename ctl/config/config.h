/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config: the route file as typed structs (the language is in docs/CONFIG.md).
 *
 * config_parse() turns text into this and nothing else: no I/O besides the
 * include of nothing, no name resolution, no look at the host. Everything is
 * owned by the config (one arena) and is read-only afterwards. Every object
 * keeps its place. Optional groups are NULL when the file does not have them.
 */
#ifndef CTL_CONFIG_CONFIG_H
#define CTL_CONFIG_CONFIG_H

#include "ctl/base/addr.h"
#include "ctl/base/arena.h"
#include "ctl/base/err.h"

/* In rising order: what a route needs is the maximum over its keys. */
enum tier { TIER_NFTABLES, TIER_RELAY, TIER_PROXY };

/* "nftables", "relay", "proxy" */
const char *tier_name(enum tier t);

/* Why a route cannot be served by the kernel alone: one per key that says so. */
struct cfg_need {
	struct cfg_need *next;
	enum tier tier;
	const char *reason; /* "TLS termination"; completes "needs the proxy tier: ..." */
	struct loc loc;
	const char *path;
	bool needs_plaintext; /* cannot be had where the bytes stay encrypted */
	bool tcp_only;	      /* the UDP half of a transport "all" route does without it */
};

struct port_range {
	uint16_t from, to; /* host order, both included, from <= to, from >= 1 */
};

struct cfg_strings {
	const char **v;
	unsigned n;
};

enum cfg_transport { TRANSPORT_TCP = 1, TRANSPORT_UDP = 2, TRANSPORT_ALL = 3 }; /* bit mask */

struct cfg_pair { /* header and query matches */
	const char *name, *value;
	bool is_regex; /* value is the text between the slashes */
	bool is_icase; /* /text/i */
	struct loc loc;
};

struct cfg_pairs {
	struct cfg_pair *v;
	unsigned n;
};

struct cfg_match {
	struct loc loc, ports_loc, address_loc, client_loc, domains_loc;
	struct port_range *ports; /* sorted, merged */
	unsigned n_ports;
	enum cfg_transport transport;
	struct addr *addresses; /* n_addresses 0 = all local addresses of both families */
	unsigned n_addresses;
	struct cfg_strings domains; /* lower case, no trailing dot */
	const char *path;	    /* NULL = any */
	struct cfg_pairs headers, query;
	struct cfg_strings methods;
	bool has_client_ip;
	struct addr_set client_ip; /* sealed */
	struct cfg_strings tls_versions;
	const char *protocol; /* "http", "tcp" or NULL */
};

enum cfg_host_kind { HOST_ADDR, HOST_NAME, HOST_UNIX, HOST_TEMPLATE };

struct cfg_host {
	enum cfg_host_kind kind;
	const char *text; /* as written; for HOST_UNIX the path after "unix:" */
	struct addr addr; /* HOST_ADDR */
	struct loc loc;
};

enum cfg_port_kind { PORT_FIXED, PORT_PRESERVE, PORT_OFFSET };

struct cfg_tls;
struct cfg_security;
struct cfg_load_balancing;
struct cfg_extra; /* groups that only the proxy reads; see config_groups.h */

struct cfg_target {
	struct loc loc, port_loc, weight_loc; /* weight_loc.line 0: no weight is given */
	struct cfg_host *hosts;		      /* at least one */
	unsigned n_hosts;
	enum cfg_port_kind port_kind;
	int port; /* PORT_FIXED: 1..65535; PORT_OFFSET: -65534..65534, not 0 */
	int priority;
	unsigned weight; /* 0..256, default 1; 0 = no new connections */
	bool backup;
	bool has_match;			/* some sub-match is given */
	struct port_range *match_ports; /* the sub-match `ports`; the others are in extra */
	unsigned n_match_ports;
	struct cfg_extra *extra;
};

enum cfg_algorithm {
	LB_ROUND_ROBIN,
	LB_RANDOM,
	LB_LEAST_CONNECTIONS,
	LB_IP_HASH,
	LB_CONSISTENT_HASH
};

enum cfg_engine { ENGINE_AUTO, ENGINE_NFTABLES, ENGINE_RELAY, ENGINE_SOCKMAP, ENGINE_PROXY };

struct cfg_nftables { /* action.nftables */
	struct loc loc;
	bool preserve_source_ip, has_preserve_source_ip;
	uint64_t max_rate_bits; /* bits/s, 0 = none */
	struct loc max_rate_loc, preserve_source_ip_loc;
	int priority;
	const char *table_name; /* or NULL */
	bool use_ip_sets, use_advanced_nat;
};

struct cfg_health_check {
	struct loc loc;
	const char *path;
	unsigned interval_ms, timeout_ms, unhealthy_threshold, healthy_threshold;
};

enum cfg_action_type { ACTION_FORWARD, ACTION_SOCKET_HANDLER };

struct cfg_action {
	struct loc loc, engine_loc, targets_loc;
	enum cfg_action_type type;
	struct cfg_target *targets;
	unsigned n_targets;
	enum cfg_algorithm algorithm;
	struct loc algorithm_loc;
	struct cfg_health_check *health_check; /* or NULL */
	enum cfg_engine engine;
	struct cfg_nftables *nftables; /* or NULL */
	struct cfg_tls *tls;	       /* or NULL */
	int send_proxy_protocol;       /* 0, 1, 2; the top level's where the route is silent */
	bool accept_proxy_protocol;    /* likewise */
	struct cfg_extra *extra;
};

struct cfg_security {
	struct loc loc, allow_loc, block_loc;
	bool has_allow, has_block;
	struct addr_set allow, block;	     /* sealed */
	unsigned max_connections;	     /* 0 = unlimited */
	unsigned max_connections_per_ip;     /* 0 = unlimited */
	unsigned connection_rate_per_minute; /* 0 = unlimited */
	struct loc max_connections_loc, max_connections_per_ip_loc, connection_rate_loc;
	struct cfg_extra *extra; /* rateLimit, authentication, ... */
};

struct cfg_route {
	struct loc loc, name_loc, id_loc;
	unsigned index;	  /* position in the file: routes[index] */
	const char *name; /* never NULL, unique; generated from the match where missing */
	bool name_given;
	const char *id, *description;
	struct cfg_strings tags;
	int priority;
	bool enabled;
	struct cfg_match match;
	struct cfg_action action;
	struct cfg_security
		*security; /* the effective one (action beats route beats defaults), or NULL */
	struct cfg_extra *headers;
	struct cfg_need *needs; /* every key that asks for more than the kernel tier */
	/* Time limits given on this route that the kernel tier cannot apply; for the one warning.
	 */
	struct cfg_strings unapplied_in_kernel;
};

struct config {
	struct arena arena;
	const char *file; /* as given; "-" for stdin */
	const char *text; /* the bytes read, for carets; owned by the caller of config_parse */
	size_t text_len;
	struct cfg_route *routes;
	unsigned n_routes;
	bool preserve_source_ip; /* top level, or defaults.preserveSourceIP */
	struct addr_set proxy_ips;
	bool accept_proxy_protocol, send_proxy_protocol;
	int send_proxy_protocol_version; /* 1, 2; 0 when it is not sent */
	struct loc send_proxy_protocol_loc, accept_proxy_protocol_loc;
	unsigned max_connections_per_ip;     /* default 100; 0 = off */
	unsigned connection_rate_per_minute; /* default 300; 0 = off */
	bool max_connections_per_ip_given, connection_rate_given;
	struct loc max_connections_per_ip_loc, connection_rate_loc;
	struct cfg_target *default_target; /* defaults.target, or NULL */
	struct cfg_security *default_security;
	/* Top-level time limits that were written in the file: named in the kernel-route warning.
	 */
	struct cfg_strings unapplied_in_kernel;
	const char *table_name; /* the one nftables.tableName all routes agree on, or NULL */
	struct loc table_name_loc;
	struct cfg_extra *extra; /* acme, admin, log, store, metrics, workers, time limits ... */
};

struct config_options {
	bool lenient; /* unknown keys are warnings */
};

/*
 * Parses and validates text (JSON or YAML by content). Reports up to 20 errors
 * and all warnings into diags. Returns the config, or NULL when there was an
 * error (diags says which) or no memory. `file` and `text` are borrowed: both must
 * outlive the config and the diags, whose places point to them.
 */
struct config *config_parse(const char *file, const char *text, size_t len,
			    const struct config_options *opt, struct diags *diags);
void config_free(struct config *c);

#endif
