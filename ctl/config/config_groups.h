/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_groups: the parts of the route file that only user space reads.
 *
 * config_parse() fills them with everything checked and every default in
 * place; the kernel planner never looks inside. All of it lives in the arena of
 * its config and is read-only. A pointer is NULL where the file has no such key.
 * Every group starts with its place.
 */
#ifndef CTL_CONFIG_CONFIG_GROUPS_H
#define CTL_CONFIG_CONFIG_GROUPS_H

#include "ctl/config/config.h"

/* --- TLS --------------------------------------------------------------- */

enum cfg_tls_mode { TLS_PASSTHROUGH, TLS_TERMINATE, TLS_REENCRYPT };

struct cfg_certificate {
	struct loc loc;
	bool is_auto;
	const char *cert_file, *key_file, *ca_file; /* paths */
	const char *cert, *key, *ca;		    /* PEM text */
};

struct cfg_eab {
	struct loc loc;
	const char *kid, *hmac_key;
};

enum cfg_acme_environment { ACME_ENV_UNSET, ACME_STAGING, ACME_PRODUCTION };

struct cfg_acme { /* top level; on a route only what was written there */
	struct loc loc;
	bool enabled, use_production, auto_renew, skip_configured;
	enum cfg_acme_environment environment;
	const char *email, *directory, *ca_file, *profile, *key_type, *preferred_chain;
	const char *certificate_store;
	unsigned port, renew_threshold_days, renew_check_interval_hours, propagation_wait_s;
	struct cfg_strings challenges, dns_hook;
	struct cfg_eab *eab;
};

enum cfg_client_auth_mode { CLIENT_AUTH_NONE, CLIENT_AUTH_REQUEST, CLIENT_AUTH_REQUIRE };

struct cfg_client_auth {
	struct loc loc;
	enum cfg_client_auth_mode mode;
	const char *ca_file;
};

struct cfg_tls {
	struct loc loc, mode_loc;
	enum cfg_tls_mode mode;
	struct cfg_certificate *certificate;
	struct cfg_acme *acme;
	struct cfg_strings versions, alpn;
	const char *ciphers;
	bool honor_cipher_order, verify_target;
	unsigned session_timeout_s;
	struct cfg_client_auth *client_auth;
};

/* --- HTTP -------------------------------------------------------------- */

struct cfg_websocket {
	struct loc loc;
	bool enabled;
	unsigned ping_interval_ms, ping_timeout_ms, max_payload_bytes;
	struct cfg_strings subprotocols, allowed_origins;
	const char *rewrite_path;
	struct cfg_pairs custom_headers;
};

struct cfg_static_files {
	struct loc loc;
	const char *root, *cache_control;
	struct cfg_strings index;
	bool directory_listing;
	struct cfg_pairs headers;
};

struct cfg_test_response {
	struct loc loc;
	unsigned status;
	struct cfg_pairs headers;
	const char *body;
};

struct cfg_url_rewrite {
	struct loc loc;
	const char *pattern, *target, *flags;
	bool only_path;
};

struct cfg_advanced {
	struct loc loc;
	unsigned timeout_ms; /* 0 = as the top level says */
	bool keep_alive;
	struct cfg_pairs headers;
	struct cfg_static_files *static_files;
	struct cfg_test_response *test_response;
	struct cfg_url_rewrite *url_rewrite;
};

enum cfg_backend_protocol { BACKEND_AUTO, BACKEND_HTTP1, BACKEND_HTTP2 };

struct cfg_options {
	struct loc loc;
	bool rewrite_host_header;
	enum cfg_backend_protocol backend_protocol;
};

struct cfg_cors {
	struct loc loc;
	bool enabled, allow_credentials, preflight;
	struct cfg_strings allow_origin, allow_methods, allow_headers, expose_headers;
	unsigned max_age_s;
};

struct cfg_headers {
	struct loc loc;
	struct cfg_pairs request, response; /* value "!delete" removes */
	struct cfg_cors *cors;
};

/* --- actions and targets ------------------------------------------------ */

struct cfg_load_balancing {
	struct loc loc, algorithm_loc;
	enum cfg_algorithm algorithm;
	struct cfg_health_check *health_check;
};

struct cfg_target_match {
	struct loc loc;
	struct port_range *ports;
	unsigned n_ports;
	const char *path;
	struct cfg_pairs headers;
	struct cfg_strings methods;
};

enum cfg_handler_kind {
	HANDLER_NONE,
	HANDLER_ECHO,
	HANDLER_BLOCK,
	HANDLER_HTTP_BLOCK,
	HANDLER_HTTP_RESPONSE,
	HANDLER_HTTP_REDIRECT,
	HANDLER_STATIC,
	HANDLER_PROXY,
	HANDLER_ACME_CHALLENGE,
	HANDLER_UNIX,
	HANDLER_EXEC
};

struct cfg_handler {
	struct loc loc;
	enum cfg_handler_kind kind;
	unsigned status;
	const char *to, *message, *body;
	struct cfg_pairs headers;
	struct cfg_static_files files; /* HANDLER_STATIC */
	const char *host;	       /* HANDLER_PROXY */
	unsigned port;
	const char *unix_path;
	bool stream; /* HANDLER_UNIX: relay bytes instead of handing the socket over */
	struct cfg_strings exec;
	unsigned max_processes;
};

/* --- security ----------------------------------------------------------- */

enum cfg_rate_key { RATE_BY_IP, RATE_BY_PATH, RATE_BY_HEADER };

struct cfg_rate_limit {
	struct loc loc;
	bool enabled;
	unsigned max_requests, window_s;
	enum cfg_rate_key key_by;
	const char *header_name, *error_message;
};

struct cfg_user {
	struct loc loc;
	const char *username, *password;
};

struct cfg_users {
	struct cfg_user *v;
	unsigned n;
};

struct cfg_basic_auth {
	struct loc loc;
	bool enabled;
	struct cfg_users users;
	const char *realm;
	struct cfg_strings exclude_paths;
};

struct cfg_jwt_auth {
	struct loc loc;
	bool enabled;
	const char *secret, *algorithm, *issuer, *audience;
	unsigned expires_in_s;
	struct cfg_strings exclude_paths;
};

enum cfg_auth_type { AUTH_BASIC, AUTH_JWT, AUTH_FORWARD };

struct cfg_authentication {
	struct loc loc;
	enum cfg_auth_type type;
	struct cfg_users credentials;
	const char *realm, *secret, *algorithm, *issuer, *audience;
	const char *url; /* AUTH_FORWARD */
	struct cfg_strings copy_headers, exclude_paths;
};

/* --- top level ----------------------------------------------------------- */

enum cfg_keep_alive { KEEP_ALIVE_STANDARD, KEEP_ALIVE_EXTENDED, KEEP_ALIVE_IMMORTAL };

struct cfg_limits {
	unsigned connection_timeout_ms, initial_data_timeout_ms, head_timeout_ms;
	unsigned server_first_after_ms, inactivity_timeout_ms, max_connection_lifetime_ms;
	unsigned graceful_shutdown_timeout_ms, socket_timeout_ms;
	unsigned keep_alive_initial_delay_ms, extended_keep_alive_lifetime_ms;
	unsigned keep_alive_inactivity_multiplier;
	enum cfg_keep_alive keep_alive_treatment;
	bool keep_alive, no_delay, disable_inactivity_check, allow_session_ticket;
	unsigned workers; /* 0 = one a core */
};

struct cfg_admin {
	struct loc loc;
	const char *listen; /* "127.0.0.1:9180", "[::1]:9180" or "unix:/path" */
	bool metrics, dashboard;
};

enum cfg_log_level { CFG_LOG_ERROR, CFG_LOG_WARN, CFG_LOG_INFO, CFG_LOG_DEBUG };
enum cfg_log_format { CFG_LOG_TEXT, CFG_LOG_JSON };

struct cfg_log {
	struct loc loc;
	enum cfg_log_level level;
	enum cfg_log_format format;
	bool access;
};

struct cfg_etcd {
	struct loc loc;
	struct cfg_strings endpoints;
	const char *prefix, *ca_file, *cert_file, *key_file, *username, *password_file;
};

struct cfg_store {
	struct loc loc;
	struct cfg_etcd *etcd;
};

struct cfg_metrics {
	struct loc loc;
	bool enabled;
	unsigned sample_interval_ms, retention_s;
};

/* All groups; which are used depends on where the cfg_extra hangs. */
struct cfg_extra {
	/* action and target */
	struct cfg_tls *tls; /* target; the action has its own field */
	struct cfg_websocket *websocket;
	struct cfg_load_balancing *load_balancing;
	struct cfg_advanced *advanced;
	struct cfg_options *options;
	struct cfg_handler *handler;	/* action */
	struct cfg_target_match *match; /* target */
	struct cfg_headers *headers;	/* target, route */
	int send_proxy_protocol;	/* target: 0, 1, 2 */
	bool has_send_proxy_protocol;	/* target */
	/* security */
	struct cfg_rate_limit *rate_limit;
	struct cfg_authentication *authentication;
	struct cfg_basic_auth *basic_auth;
	struct cfg_jwt_auth *jwt_auth;
	/* top level */
	struct cfg_limits *limits; /* never NULL at the top level */
	struct cfg_acme *acme;
	struct cfg_admin *admin;
	struct cfg_log *log;
	struct cfg_store *store;
	struct cfg_metrics *metrics;
	struct port_range *http_ports; /* useHttpProxy */
	unsigned n_http_ports;
};

#endif
