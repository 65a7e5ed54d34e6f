/* SPDX-License-Identifier: GPL-2.0-or-later */
/* explain: the competitors for one connection, in their order, and why each wins or loses. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl/apply/gather.h"
#include "ctl/apply/session.h"
#include "ctl/cli/cmd.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/table.h"
#include "ctl/plan/plan_match.h"

struct question {
	struct plan_conn conn; /* local ADDR_NONE = any address */
	struct match_facts facts;
	bool family_known;
};

struct answer {
	const struct plan_route *route;
	enum match_answer match;
	char why[160];
	bool wins;
};

/* ---- reading the question ---- */

static int bad(const struct options *o, const char *option, const char *value, const char *right)
{
	struct err e = { 0 };

	err_set(&e, EINVAL, "--%s \"%s\" is not %s", option, value ? value : "", right);
	return cmd_fail(o, &e, EXIT_USAGE);
}

static int read_addresses(const struct options *o, struct question *q)
{
	if (o->address && !addr_parse(o->address, &q->conn.local))
		return bad(o, "address", o->address, "an address");
	if (o->client && !addr_parse(o->client, &q->conn.client))
		return bad(o, "client", o->client, "an address");
	if (o->local && !o->client)
		addr_parse(q->conn.local.family == ADDR_V6 ? "::1" : "127.0.0.1", &q->conn.client);
	if (q->conn.local.family && q->conn.client.family &&
	    q->conn.local.family != q->conn.client.family)
		return bad(o, "client", o->client, "of the family of --address");
	q->facts.client = q->conn.client;
	q->family_known = q->conn.local.family || q->conn.client.family;
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

static bool serves_family(const struct plan_route *r, const struct question *q)
{
	int family = asked_family(q);

	if (r->tier != TIER_NFTABLES || !q->family_known)
		return true;
	return family == ADDR_V4 ? r->v4 : r->v6;
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
	if (!serves_family(r, q))
		snprintf(a->why, sizeof(a->why),
			 "matches, but has no target of that address family: not served by the "
			 "kernel");
	else
		snprintf(a->why, sizeof(a->why), "matches");
}

static unsigned answer_all(const struct plan_cell *cell, const struct question *q,
			   struct answer **out)
{
	struct answer *v = cell ? calloc(cell->n_order, sizeof(*v)) : NULL;
	bool open = true;

	for (unsigned i = 0; v && i < cell->n_order; i++)
		judge(&v[i], cell->order[i], q, &open);
	*out = v;
	return v ? cell->n_order : 0;
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

static void print_winner(const struct answer *a, const struct question *q)
{
	struct buf targets = { 0 }, notes = { 0 };

	describe_targets(&targets, a->route);
	describe_notes(&notes, a->route);
	printf("route:   %s (priority %d, line %u)\n", a->route->route->name,
	       a->route->route->priority, a->route->route->loc.line);
	printf("tier:    %s: %s\n", tier_name(a->route->tier), a->route->reason);
	if (a->route->refusal)
		printf("         %s\n", a->route->refusal);
	printf("targets: %s%s%s\n", targets.data ? targets.data : "-", notes.len ? "  " : "",
	       notes.data ? notes.data : "");
	print_port(a->route, q);
	buf_fini(&targets);
	buf_fini(&notes);
}

static void print_text(const struct answer *v, unsigned n, const struct question *q)
{
	static const char *const head[] = { "#", "ROUTE", "TIER", "ANSWER", "WHY" };
	struct table t;
	unsigned winner = n;

	if (!n) {
		printf("no route listens on %s/%u%s: the kernel's own listener, if any, answers\n",
		       describe_proto(q->conn.proto), q->conn.port,
		       q->conn.local.family ? " at that address" : "");
		return;
	}
	for (unsigned i = 0; i < n && winner == n; i++)
		winner = v[i].wins ? i : n;
	if (winner < n)
		print_winner(&v[winner], q);
	else
		printf("no route takes it for sure\n");
	printf("\nin this order:\n");
	table_init(&t, 5, head);
	for (unsigned i = 0; i < n; i++) {
		table_cellf(&t, "%u", i + 1);
		table_cell(&t, v[i].route->route->name);
		table_cell(&t, tier_name(v[i].route->tier));
		table_cell(&t, answer_word(&v[i]));
		table_cell(&t, v[i].why);
	}
	table_print(&t, stdout);
	table_fini(&t);
}

static void print_json(const struct answer *v, unsigned n, const struct question *q)
{
	json_t *order = json_array(), *winner = json_null();

	for (unsigned i = 0; i < n; i++) {
		const struct plan_route *r = v[i].route;

		if (v[i].wins)
			winner = json_pack("{s:s,s:s,s:s,s:o}", "route", r->route->name, "tier",
					   tier_name(r->tier), "reason", r->reason, "targets",
					   describe_targets_json(r));
		json_array_append_new(order, json_pack("{s:s,s:s,s:s,s:s}", "route", r->route->name,
						       "tier", tier_name(r->tier), "answer",
						       answer_word(&v[i]), "why", v[i].why));
	}
	describe_print_json(json_pack("{s:i,s:s,s:i,s:o,s:o}", "schema", 1, "protocol",
				      describe_proto(q->conn.proto), "port", (int)q->conn.port,
				      "winner", winner, "routes", order));
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

static int explain(const struct options *o, const struct plan *p, const struct question *q)
{
	struct answer *v;
	unsigned n = answer_all(find_cell(p, &q->conn), q, &v);

	if (o->json)
		print_json(v, n, q);
	else
		print_text(v, n, q);
	free(v);
	return EXIT_DONE;
}

/* Without FILE: what is live. */
static int load_live(const struct options *o, struct loaded *l, struct state_meta *meta)
{
	struct config_options opt = { .lenient = true };
	struct session s;
	struct err e = { 0 };
	int rc = session_open(&s, o->state_dir, o->run_dir, 0, 0, &e);

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
		rc = p ? explain(o, p, &q) : EXIT_USAGE;
	}
	if (!p && l.diags.errors)
		cmd_report(o, &l);
	plan_free(p);
	gather_fini(&g);
	cmd_unload(&l);
	state_meta_fini(&meta);
	return rc;
}
