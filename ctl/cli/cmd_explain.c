/* SPDX-License-Identifier: GPL-2.0-or-later */
/* explain: the competitors for one connection, in their order, and why each wins or loses. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl/apply/confirm.h"
#include "ctl/apply/gather.h"
#include "ctl/cli/cmd.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/explain_service.h"
#include "ctl/cli/explain_walk.h"
#include "ctl/cli/table.h"
#include "ctl/host/host_way.h"
#include "ctl/plan/plan_match.h"

struct question {
	struct plan_conn conn; /* local ADDR_NONE = any address */
	struct match_facts facts;
	bool local; /* from this host itself */
};

struct answer {
	const struct plan_route *route;
	enum tier tier; /* for this connection */
	enum match_answer match;
	char why[160];
	bool wins;
};

struct answers {
	struct answer *v; /* in their order */
	unsigned n;
	const struct answer *winner; /* NULL = none */
	struct plan_service service; /* the winner's */
};

/* ---- reading the question ---- */

static int bad(const struct options *o, const char *option, const char *value, const char *right)
{
	struct err e = { 0 };

	err_set(&e, EINVAL, "--%s \"%s\" is not %s", option, value ? value : "", right);
	return cmd_fail(o, &e, EXIT_USAGE);
}

/* The address from which a program on this host connects to that one of its own. */
static struct addr own_source(const struct addr *to)
{
	struct host_path way;

	if (!host_way_find(to, &way) && way.source.family == to->family)
		return way.source;
	return *to;
}

static int read_addresses(const struct options *o, struct question *q)
{
	if (o->address && !addr_parse(o->address, &q->conn.local))
		return bad(o, "address", o->address, "an address");
	if (o->client && !addr_parse(o->client, &q->conn.client))
		return bad(o, "client", o->client, "an address");
	q->local = o->local;
	if (o->local && !o->client && q->conn.local.family)
		q->conn.client = own_source(&q->conn.local);
	else if (o->local && !o->client)
		addr_parse("127.0.0.1", &q->conn.client);
	if (q->conn.local.family && q->conn.client.family &&
	    q->conn.local.family != q->conn.client.family)
		return bad(o, "client", o->client, "of the family of --address");
	q->facts.client = q->conn.client;
	return 0;
}

static int read_question(const struct options *o, struct question *q)
{
	unsigned long port;
	char *end;

	memset(q, 0, sizeof(*q));
	if (!o->port)
		return bad(o, "port", NULL, "given: which port does the client connect to?");
	port = strtoul(o->port, &end, 10);
	if (*end || end == o->port || port < 1 || port > 65535)
		return bad(o, "port", o->port, "a port: 1 to 65535");
	if (o->proto && strcasecmp(o->proto, "tcp") && strcasecmp(o->proto, "udp"))
		return bad(o, "proto", o->proto, "tcp or udp");
	q->conn.port = (uint16_t)port;
	q->conn.proto = o->proto && !strcasecmp(o->proto, "udp") ? IPPROTO_UDP : IPPROTO_TCP;
	q->facts.name = o->host ? o->host : o->sni;
	q->facts.path = o->path;
	q->facts.method = o->method;
	q->facts.headers = o->headers;
	q->facts.n_headers = o->n_headers;
	return read_addresses(o, q);
}

/* ---- answering ---- */

static int asked_family(const struct question *q)
{
	return q->conn.client.family ? q->conn.client.family : q->conn.local.family;
}

static void judge(struct answer *a, const struct plan_route *r, const struct question *q,
		  bool *open)
{
	a->route = r;
	a->match = route_matches(&r->route->match, &q->facts, a->why, sizeof(a->why));
	if (a->match == MATCH_NO)
		return;
	if (!*open) {
		snprintf(a->why, sizeof(a->why), "ranks behind the winner");
		return;
	}
	if (a->match == MATCH_NEED_MORE)
		return; /* may win: later ones may, too */
	*open = false;
	a->wins = true;
	snprintf(a->why, sizeof(a->why), "matches");
}

static void answer_all(struct answers *out, const struct plan *p, const struct plan_cell *cell,
		       const struct question *q)
{
	struct plan_border border;
	bool open = true;

	*out = (struct answers){ .v = cell ? calloc(cell->n_order, sizeof(*out->v)) : NULL };
	if (!out->v)
		return;
	border = plan_find_border(p, cell, &q->conn.client);
	for (out->n = 0; out->n < cell->n_order; out->n++) {
		struct answer *a = &out->v[out->n];
		struct plan_service service;

		judge(a, cell->order[out->n], q, &open);
		plan_serve(p, cell, out->n, &border, &q->conn, &service);
		a->tier = service.tier;
		if (!a->wins)
			continue;
		out->winner = a;
		out->service = service;
	}
}

static const char *answer_word(const struct answer *a)
{
	if (a->wins)
		return "WINS";
	return a->match == MATCH_NEED_MORE ? "maybe" : "no";
}

/* ---- output ---- */

/* The port at the targets that the connection may go to; nothing where they differ: the line
 * above says each. */
static void print_port(const struct plan_route *r, const struct question *q)
{
	int family = asked_family(q), port = -1;

	for (unsigned i = 0; i < r->n_targets; i++) {
		int to = plan_target_port(&r->targets[i], q->conn.port);

		if (family && r->targets[i].addr.family != family)
			continue;
		if (port >= 0 && to != port)
			return;
		port = to;
	}
	if (port >= 0)
		printf("port:    %d at the target\n", port);
}

/* What the routes that may match wait for: "depends on the client (--client)", each once. */
static void put_missing(struct buf *b, const struct answers *v)
{
	for (unsigned i = 0; i < v->n; i++) {
		const struct answer *a = &v->v[i];

		if (a == v->winner)
			return;
		if (a->match != MATCH_NEED_MORE || (b->data && strstr(b->data, a->why)))
			continue;
		buf_printf(b, "%s%s", b->len ? ", " : "", a->why);
	}
}

/* Is it the TLS hello that what they wait for stands in? */
static bool hello_decides(const struct answers *v)
{
	for (unsigned i = 0; i < v->n && &v->v[i] != v->winner; i++)
		if (v->v[i].match == MATCH_NEED_MORE && v->v[i].route->own_tier == TIER_RELAY)
			return true;
	return false;
}

/* A refusal because of another route may concern other ports than that of the question. */
static bool own_refusal(const struct plan_route *r)
{
	return r->refusal && !r->refusal_follows;
}

/* Some route of that port needs them. */
static bool reads_first(const struct answers *v)
{
	for (unsigned i = 0; i < v->n; i++)
		if (!v->v[i].route->decides_early)
			return true;
	return false;
}

static bool is_of_service(const struct answers *v)
{
	return v->service.runs && v->service.tier == TIER_RELAY && !own_refusal(v->winner->route);
}

static void print_service(const struct answers *v, const struct plan *p)
{
	json_t *s = is_of_service(v) ? explain_service_json(p, v->winner->route) : NULL;
	struct buf b = { 0 };

	if (s)
		explain_service_text(&b, s, reads_first(v));
	if (b.len)
		fputs(b.data, stdout);
	buf_fini(&b);
	json_decref(s);
}

static void print_winner(const struct answers *v, const struct question *q, const struct plan *p)
{
	const struct plan_route *r = v->winner->route;
	struct buf targets = { 0 }, notes = { 0 }, missing = { 0 };

	describe_targets(&targets, r);
	describe_notes(&notes, r);
	put_missing(&missing, v);
	printf("route:   %s (priority %d, line %u)\n", r->route->name, r->route->priority,
	       r->route->loc.line);
	if (missing.len)
		printf("         unless one before it takes it: %s%s\n", missing.data,
		       hello_decides(v) ? "; the TLS hello decides" : "");
	printf("tier:    %s: %s\n", tier_name(v->service.tier), v->service.reason);
	if (own_refusal(r))
		printf("         %s\n", r->refusal);
	else if (!v->service.runs && v->service.tier == TIER_RELAY)
		printf("         nobody listens there: forwardingEngine \"relay\" serves it\n");
	else if (!v->service.runs)
		printf("         not in this version\n");
	printf("targets: %s%s%s\n", targets.data ? targets.data : "-", notes.len ? "  " : "",
	       notes.data ? notes.data : "");
	print_port(r, q);
	print_service(v, p);
	buf_fini(&targets);
	buf_fini(&notes);
	buf_fini(&missing);
}

/* Whom no route takes, and somebody listens for: defaults.target has him. */
static bool falls_to_default(const struct plan *p, const struct plan_cell *cell)
{
	return cell && cell->user && p->config->default_target;
}

static void print_no_winner(const struct answers *v, bool falls)
{
	struct buf missing = { 0 };

	put_missing(&missing, v);
	if (missing.len)
		printf("no route takes it for sure: %s%s\n", missing.data,
		       hello_decides(v) ? "; the TLS hello decides" : "");
	else
		printf("no route takes it\n");
	if (falls)
		printf("%s defaults.target does (relay)\n", missing.len ? "else" : "but");
	buf_fini(&missing);
}

static void print_order(const struct answers *v)
{
	static const char *const head[] = { "#", "ROUTE", "TIER", "ANSWER", "WHY" };
	struct table t;

	printf("\nin this order:\n");
	table_init(&t, 5, head);
	for (unsigned i = 0; i < v->n; i++) {
		table_cellf(&t, "%u", i + 1);
		table_cell(&t, v->v[i].route->route->name);
		table_cell(&t, tier_name(v->v[i].tier));
		table_cell(&t, answer_word(&v->v[i]));
		table_cell(&t, v->v[i].why);
	}
	table_print(&t, stdout);
	table_fini(&t);
}

static void print_text(const struct answers *v, const struct question *q, const struct plan *p,
		       bool falls)
{
	if (!v->n) {
		printf("no route listens on %s/%u%s: the kernel's own listener, if any, answers\n",
		       describe_proto(q->conn.proto), q->conn.port,
		       q->conn.local.family ? " at that address" : "");
		return;
	}
	if (v->winner)
		print_winner(v, q, p);
	else
		print_no_winner(v, falls);
	print_order(v);
}

static json_t *winner_json(const struct answers *v, const struct plan *p)
{
	const struct plan_service *s = &v->service;

	if (!v->winner)
		return json_null();
	return json_pack("{s:s,s:s,s:s,s:b,s:o,s:o?}", "route", v->winner->route->route->name,
			 "tier", tier_name(s->tier), "reason", s->reason, "runs",
			 s->runs && !own_refusal(v->winner->route), "targets",
			 describe_targets_json(v->winner->route), "service",
			 is_of_service(v) ? explain_service_json(p, v->winner->route) : NULL);
}

static void print_json(const struct answers *v, const struct question *q, const struct plan *p,
		       bool falls, const struct explained *x)
{
	json_t *order = json_array();

	for (unsigned i = 0; i < v->n; i++)
		json_array_append_new(order, json_pack("{s:s,s:s,s:s,s:s}", "route",
						       v->v[i].route->route->name, "tier",
						       tier_name(v->v[i].tier), "answer",
						       answer_word(&v->v[i]), "why", v->v[i].why));
	describe_print_json(json_pack("{s:i,s:s,s:i,s:o,s:b,s:o,s:o,s:o}", "schema", 1, "protocol",
				      describe_proto(q->conn.proto), "port", (int)q->conn.port,
				      "winner", winner_json(v, p), "default", !v->winner && falls,
				      "routes", order, "steps", explain_steps_json(x), "kernel",
				      explain_kernel_json(x)));
}

/* Without an address the wildcard's cell is asked, else any cell of that port. */
static const struct plan_cell *find_cell(const struct plan *p, const struct plan_conn *c)
{
	const struct plan_cell *cell = plan_find_cell(p, c);

	for (unsigned i = 0; !cell && !c->local.family && i < p->n_cells; i++)
		if (p->cells[i].proto == c->proto && p->cells[i].from <= c->port &&
		    p->cells[i].to >= c->port)
			cell = &p->cells[i];
	return cell;
}

/* What the plan's answer took for granted is what the packet has. */
static struct plan_conn packet_of(const struct question *q, const struct plan_cell *cell)
{
	struct plan_conn c = q->conn;

	if (c.local.family)
		return c;
	if (cell && cell->address.family &&
	    (!c.client.family || c.client.family == cell->address.family))
		c.local = cell->address;
	else if (q->local && addr_is_loopback(&c.client))
		c.local = c.client;
	return c;
}

static int explain(const struct options *o, const struct plan *p, const struct gathered *g,
		   const struct buf *file, const struct question *q)
{
	const struct plan_cell *cell = find_cell(p, &q->conn);
	const struct explain_question ask = {
		.plan = p, .facts = g, .file = file, .conn = packet_of(q, cell), .local = q->local
	};
	struct explained x = { 0 };
	struct answers v;

	answer_all(&v, p, cell, q);
	if (!o->quiet)
		explain_walk(o, &ask, &x);
	if (o->json)
		print_json(&v, q, p, falls_to_default(p, cell), &x);
	else
		print_text(&v, q, p, falls_to_default(p, cell));
	if (!o->json && !o->quiet)
		explain_walk_print(&x);
	explain_walk_fini(&x);
	free(v.v);
	return EXIT_DONE;
}

/* Without FILE: what is live. */
static int load_live(const struct options *o, struct loaded *l, struct state_meta *meta)
{
	struct config_options opt = { .lenient = true };
	struct session s;
	struct err e = { 0 };
	int rc = confirm_open(&s, o->state_dir, o->run_dir, 0, o->timeout_ms, NULL, &e);

	if (!rc && !s.live)
		rc = err_set(&e, ENOENT, "nothing is applied");
	if (!rc)
		rc = state_read_generation(&s.state, s.live, meta, &l->text, &e);
	if (rc == -ENOENT && !e.hint[0])
		err_hint(&e, "name a route file: spctl explain FILE --port %s", o->port);
	if (s.nft)
		session_close(&s);
	if (rc)
		return cmd_fail(o, &e, cmd_exit_code(rc));
	l->file = meta->file;
	l->config = config_parse(meta->file, l->text.data, l->text.len, &opt, &l->diags);
	return l->config ? 0 : EXIT_FAILED;
}

int cmd_explain(const struct options *o, int argc, char **argv)
{
	struct state_meta meta = { 0 };
	struct gathered g = { 0 };
	struct loaded l = { 0 };
	struct plan *p = NULL;
	struct question q;
	struct err e = { 0 };
	int rc = read_question(o, &q);

	if (rc)
		return rc;
	if (argc)
		rc = cmd_load(&l, argv[0], o->lenient) ? 0 : EXIT_USAGE;
	else
		rc = load_live(o, &l, &meta);
	if (!rc && (argc ? gather_facts(&g, l.config, NULL, o->timeout_ms, &l.diags, &e)
			 : gather_past_facts(&g, &meta, &e)))
		rc = cmd_fail(o, &e, EXIT_FAILED);
	if (!rc) {
		p = plan_build(l.config, &g.facts, &l.diags);
		rc = p ? explain(o, p, &g, argc ? &l.text : NULL, &q) : cmd_file_code(&l);
	}
	if (!p && l.diags.errors)
		cmd_report(o, &l);
	plan_free(p);
	gather_fini(&g);
	cmd_unload(&l);
	state_meta_fini(&meta);
	return rc;
}
