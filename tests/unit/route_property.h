/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random tables, asked about connections of which little, more, or all is known. What is right
 * comes from trying everything that may still come: a route that all of it matches says yes, one
 * that none of it matches says no. The slow matcher knows only whole connections and has no index.
 * property_run() returns the number of wrong answers.
 */
#include "ctl/base/buf.h"
#include "tests/unit/route_fixture.h"

#define N_OF(v)	     (sizeof(v) / sizeof((v)[0]))
#define MODEL_ROUTES 10
#define MODEL_CELLS  24
#define MODEL_PORTS  8
#define NAMES_MAX    160

struct model_route {
	int clients; /* index, -1: everybody */
	const char *domains[4];
	unsigned n_domains, versions; /* versions: bit i = model_versions[i] */
	bool tcp_only, passthrough;
};

struct model_cell {
	int address; /* index, -1: all */
	unsigned from, to, n, routes[MODEL_ROUTES];
};

struct model {
	struct model_route routes[MODEL_ROUTES];
	struct model_cell cells[MODEL_CELLS];
	unsigned n_routes, n_cells;
	int fallback;
	char names[NAMES_MAX][40];
	unsigned n_names;
	uint64_t seed;
};

static const char *const model_locals[] = { "10.1.0.1", "10.1.0.2", "fd01::1", "10.1.0.9" };
static const char *const model_clients[] = { "10.0.0.1", "10.0.0.9", "fd00::1", "192.0.2.1" };
static const char *const model_sets[] = { "10.0.0.0/29", "10.0.0.0/8", "fd00::/16", "192.0.2.1" };
static const uint16_t model_versions[] = { 0, 0x0300, 0x0301, 0x0302, 0x0303, 0x0304 };
static const char *const model_version_names[] = { NULL,      NULL,	 "TLSv1",
						   "TLSv1.1", "TLSv1.2", "TLSv1.3" };
static const char *const model_domains[] = {
	"a.test",   "b.test",	"a.b.test",  "test",	  "*.test",	  "*.b.test",
	"a.*",	    "a.*.test", "*",	     "*test",	  "*a*",	  "a.b.*",
	"*.*.test", "*-x.test", "a*.b.test", "x*",	  "*.a.b.test",	  "A.Test",
	"*.B.TEST", "**.test",	"a.b.*.c",   "*.b.*",	  "a-x.test",	  "b*t",
	"*b.test",  "*.st",	"te*",	     "a.b.test*", "*.test.b.test"
};
static const char *const model_names[] = {
	"a.test",  "b.test", "a.b.test",      "test",  "c.a.b.test",	  "x",
	"a",	   "b",	     "a-x.test",      ".test", "xa.test",	  "a.b.c",
	"a.b.x.c", "zzz",    "a.test.b.test", "best",  "a.b.test.b.test", "a..test",
	"b.a.test"
};

static unsigned draw(struct model *m, unsigned n)
{
	m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)((m->seed >> 33) % n);
}

/* ---- the slow matcher ---- */

struct whole {
	unsigned client;
	enum match_protocol protocol;
	const char *name; /* NULL: none */
	uint16_t version;
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool slow_glob(const char *p, const char *s)
{
	if (!*p)
		return !*s;
	if (*p == '*')
		return slow_glob(p + 1, s) || (*s && slow_glob(p, s + 1));
	return *s && lower(*p) == *s && slow_glob(p + 1, s + 1);
}

static bool slow_client(const struct model_route *r, unsigned client)
{
	struct addr_set set = { 0 };
	struct addr a = address(model_clients[client]);
	bool has;

	if (r->clients < 0)
		return true;
	addr_set_parse(&set, model_sets[r->clients], NULL);
	addr_set_seal(&set);
	has = addr_set_has(&set, &a);
	addr_set_fini(&set);
	return has;
}

static bool slow_name(const struct model_route *r, const struct whole *w)
{
	bool hit = !r->n_domains;

	if (r->n_domains && (!w->name || w->protocol == MATCH_OTHER))
		return false;
	if (r->n_domains && r->passthrough && w->protocol != MATCH_TLS)
		return false;
	for (unsigned i = 0; i < r->n_domains; i++)
		hit |= slow_glob(r->domains[i], w->name);
	return hit;
}

static bool slow_version(const struct model_route *r, const struct whole *w)
{
	for (unsigned i = 0; r->versions && i < N_OF(model_versions); i++)
		if (r->versions & 1u << i && model_versions[i] == w->version)
			return w->protocol == MATCH_TLS;
	return !r->versions;
}

static bool slow_matches(const struct model_route *r, const struct whole *w)
{
	return slow_client(r, w->client) && slow_name(r, w) && slow_version(r, w) &&
	       !(r->tcp_only && w->protocol == MATCH_HTTP);
}

/* Everything that a connection of which f is known may turn out to be. */
static void try_all(const struct model *m, const struct model_route *r, const struct match_facts *f,
		    unsigned client, bool *some, bool *all)
{
	static const enum match_protocol protocols[] = { MATCH_TLS, MATCH_HTTP, MATCH_OTHER };

	*some = false;
	*all = true;
	for (unsigned p = 0; p < N_OF(protocols); p++)
		for (unsigned n = 0; n <= m->n_names; n++)
			for (unsigned v = 0; v < N_OF(model_versions); v++) {
				struct whole w = { client, protocols[p],
						   n < m->n_names ? m->names[n] : NULL,
						   model_versions[v] };
				bool hit;

				if (f->protocol != MATCH_UNKNOWN && f->protocol != w.protocol)
					continue;
				hit = slow_matches(r, &w);
				*some |= hit;
				*all &= hit;
			}
}

static const struct model_cell *slow_cell(const struct model *m, int local, unsigned port)
{
	for (unsigned i = 0; i < m->n_cells; i++)
		if (m->cells[i].address == local && port >= m->cells[i].from &&
		    port <= m->cells[i].to)
			return &m->cells[i];
	return local < 0 ? NULL : slow_cell(m, -1, port);
}

/* Number k of a cell's routes, the default one behind; -1: no more. */
static int nth_route(const struct model *m, const struct model_cell *c, unsigned k)
{
	if (k < c->n)
		return (int)c->routes[k];
	return k == c->n ? m->fallback : -1;
}

static bool is_whole(const struct match_facts *f)
{
	return f->protocol == MATCH_HTTP || f->protocol == MATCH_OTHER ||
	       (f->protocol == MATCH_TLS && f->have_hello);
}

static enum match_answer slow_route(const struct model *m, const struct model_route *r,
				    const struct match_facts *f, unsigned client)
{
	const struct whole w = { client, f->protocol, f->name, f->tls_version };
	bool some, all;

	if (is_whole(f))
		return slow_matches(r, &w) ? MATCH_YES : MATCH_NO;
	try_all(m, r, f, client, &some, &all);
	return all ? MATCH_YES : some ? MATCH_MORE : MATCH_NO;
}

struct expected {
	enum match_answer answer;
	int route, silent;
	bool tls;
};

static struct expected slow_answer(const struct model *m, const struct match_facts *f, int local,
				   unsigned client)
{
	const struct model_cell *c = slow_cell(m, local, f->port);
	const struct whole quiet = { client,
				     f->protocol == MATCH_UNKNOWN ? MATCH_OTHER : f->protocol, NULL,
				     0 };
	struct expected x = { MATCH_NO, -1, -1, false };

	for (unsigned k = 0; c && nth_route(m, c, k) >= 0; k++) {
		int i = nth_route(m, c, k);
		const struct model_route *r = &m->routes[i];
		enum match_answer a = slow_route(m, r, f, client);

		x.tls |= r->passthrough;
		if (x.answer == MATCH_NO && a != MATCH_NO) {
			x.answer = a;
			x.route = a == MATCH_YES ? i : -1;
		}
		if (x.silent < 0 && slow_matches(r, &quiet))
			x.silent = i;
	}
	if (x.answer != MATCH_MORE)
		x.silent = -1;
	x.tls &= x.answer != MATCH_YES;
	return x;
}

/* ---- random tables ---- */

static void make_route(struct model *m, struct model_route *r)
{
	*r = (struct model_route){ .clients = draw(m, 3) ? -1 : (int)draw(m, N_OF(model_sets)) };
	if (draw(m, 3))
		r->n_domains = 1 + draw(m, N_OF(r->domains));
	for (unsigned i = 0; i < r->n_domains; i++)
		r->domains[i] = model_domains[draw(m, N_OF(model_domains))];
	if (!draw(m, 4))
		r->versions = (1 + draw(m, 15)) << 2;
	r->tcp_only = !draw(m, 4);
	r->passthrough = draw(m, 2);
}

/* A name that each pattern matches has to be among those that may come. */
static void make_names(struct model *m)
{
	m->n_names = 0;
	for (unsigned i = 0; i < N_OF(model_names); i++)
		snprintf(m->names[m->n_names++], sizeof(m->names[0]), "%s", model_names[i]);
	for (unsigned i = 0; i < m->n_routes; i++)
		for (unsigned k = 0; k < m->routes[i].n_domains; k++) {
			char *out = m->names[m->n_names++];

			for (const char *p = m->routes[i].domains[k]; *p; p++)
				*out++ = *p == '*' ? 'q' : lower(*p);
			*out = '\0';
		}
}

static void make_cells(struct model *m)
{
	m->n_cells = 0;
	for (int address = -1; address < 3; address++)
		for (unsigned port = 1; port <= MODEL_PORTS && m->n_cells < MODEL_CELLS;) {
			struct model_cell *c = &m->cells[m->n_cells];

			c->address = address;
			c->from = port + draw(m, 3);
			c->to = c->from + draw(m, 3);
			port = c->to + 1;
			c->n = 0;
			for (unsigned i = 0; i < m->n_routes; i++)
				if (draw(m, 3))
					c->routes[c->n++] = i;
			for (unsigned i = 1; i < c->n; i++) {
				unsigned k = draw(m, i + 1), r = c->routes[i];

				c->routes[i] = c->routes[k];
				c->routes[k] = r;
			}
			m->n_cells += c->n > 0;
		}
}

static void make_model(struct model *m)
{
	m->n_routes = 1 + draw(m, MODEL_ROUTES);
	for (unsigned i = 0; i < m->n_routes; i++)
		make_route(m, &m->routes[i]);
	m->fallback = draw(m, 2) ? (int)draw(m, m->n_routes) : -1;
	make_names(m);
	make_cells(m);
}

static void put_route(struct buf *b, const struct model_route *r, unsigned i)
{
	const char *comma = "";

	buf_printf(b, "%s{\"id\":%u,\"name\":\"%u\",\"tier\":\"proxy\"", i ? "," : "", i + 1, i);
	if (r->clients >= 0)
		buf_printf(b, ",\"clients\":%d", r->clients);
	for (unsigned k = 0; k < r->n_domains; k++)
		buf_printf(b, "%s\"%s\"", k ? "," : ",\"domains\":[", r->domains[k]);
	buf_puts(b, r->n_domains ? "]" : "");
	for (unsigned k = 0; k < N_OF(model_versions); k++)
		if (r->versions & 1u << k) {
			buf_printf(b, "%s\"%s\"", *comma ? comma : ",\"tlsVersions\":[",
				   model_version_names[k]);
			comma = ",";
		}
	buf_printf(b, "%s%s%s}", *comma ? "]" : "", r->tcp_only ? ",\"protocol\":\"tcp\"" : "",
		   r->passthrough ? ",\"passthrough\":true" : "");
}

static void put_cell(struct buf *b, const struct model_cell *c, bool first)
{
	buf_printf(b, "%s{\"from\":%u,\"to\":%u,\"routes\":[", first ? "" : ",", c->from, c->to);
	for (unsigned k = 0; k < c->n; k++)
		buf_printf(b, "%s%u", k ? "," : "", c->routes[k]);
	buf_puts(b, "]");
	if (c->address >= 0)
		buf_printf(b, ",\"address\":\"%s\"", model_locals[c->address]);
	buf_puts(b, "}");
}

static void put_model(struct buf *b, const struct model *m)
{
	buf_puts(b, "{\"type\":\"load\",\"generation\":1,\"sets\":[");
	for (unsigned i = 0; i < N_OF(model_sets); i++)
		buf_printf(b, "%s[\"%s\"]", i ? "," : "", model_sets[i]);
	buf_puts(b, "],\"routes\":[");
	for (unsigned i = 0; i < m->n_routes; i++)
		put_route(b, &m->routes[i], i);
	buf_puts(b, "],\"cells\":[");
	/* From the last to the first: a load need not be sorted. */
	for (unsigned i = m->n_cells; i--;)
		put_cell(b, &m->cells[i], i + 1 == m->n_cells);
	buf_puts(b, "]");
	if (m->fallback >= 0)
		buf_printf(b, ",\"default\":%d", m->fallback);
	buf_puts(b, "}");
}

/* ---- questions ---- */

struct run {
	const struct model *m;
	const struct route_table *t;
	unsigned asked, answers[3];
	unsigned wrong;
};

static int index_of(const struct run *run, const struct route *r)
{
	for (unsigned i = 0; r && i < run->t->n_routes; i++)
		if (run->t->routes[i] == r)
			return (int)i;
	return -1;
}

static struct match ask(struct run *run, const struct match_facts *f, int local, unsigned client)
{
	struct match got = route_table_match(run->t, f);
	struct expected x = slow_answer(run->m, f, local, client);

	run->asked++;
	run->answers[got.answer]++;
	if (got.answer != x.answer || index_of(run, got.route) != x.route ||
	    index_of(run, got.silent) != x.silent || got.tls != x.tls) {
		if (!run->wrong++)
			fprintf(stderr,
				"port %u protocol %d hello %d name %s version %x: %d/%d/%d/%d, "
				"not %d/%d/%d/%d\n",
				f->port, f->protocol, f->have_hello, f->name ? f->name : "-",
				f->tls_version, got.answer, index_of(run, got.route),
				index_of(run, got.silent), got.tls, x.answer, x.route, x.silent,
				x.tls);
	}
	return got;
}

/* What has been said stays said. */
static void follows(struct run *run, struct match before, struct match after)
{
	if (before.answer != MATCH_MORE &&
	    (before.answer != after.answer || before.route != after.route))
		run->wrong++;
}

static void ask_connection(struct run *run, struct model *m)
{
	int local = (int)draw(m, N_OF(model_locals));
	unsigned client = draw(m, N_OF(model_clients));
	struct match_facts f = { .local = address(model_locals[local]),
				 .client = address(model_clients[client]),
				 .port = (uint16_t)(1 + draw(m, MODEL_PORTS + 2)) };
	struct match first, second;

	local = local == 3 ? -1 : local;
	first = ask(run, &f, local, client);
	f.protocol = MATCH_TLS + draw(m, 3);
	second = f.protocol == MATCH_TLS ? ask(run, &f, local, client) : first;
	follows(run, first, second);
	f.have_hello = f.protocol == MATCH_TLS;
	if (f.protocol != MATCH_OTHER && draw(m, 6))
		f.name = m->names[draw(m, m->n_names)];
	if (f.protocol == MATCH_TLS)
		f.tls_version = model_versions[draw(m, N_OF(model_versions))];
	follows(run, second, ask(run, &f, local, client));
}

static unsigned property_run(unsigned tables, unsigned questions, uint64_t seed, struct run *total)
{
	struct route_registry *g = route_registry_new();
	struct model *m = calloc(1, sizeof(*m));
	struct route_table *t = NULL;

	*total = (struct run){ 0 };
	m->seed = seed;
	for (unsigned i = 0; i < tables && total->wrong < 10; i++) {
		struct buf b = { 0 };
		struct err e = { 0 };
		struct route_table *next;
		int route;

		make_model(m);
		put_model(&b, m);
		/* Beside the one before: routes that happen to be the same are shared. */
		next = table_of(b.data, t, g, &route, &e);
		route_table_unref(t);
		t = next;
		if (!t) {
			fprintf(stderr, "%s: %s\n", e.msg, b.data);
			total->wrong++;
		}
		total->m = m;
		total->t = t;
		for (unsigned k = 0; t && k < questions && total->wrong < 10; k++)
			ask_connection(total, m);
		if (total->wrong)
			fprintf(stderr, "%s\n", b.data);
		buf_fini(&b);
	}
	route_table_unref(t);
	route_registry_free(g);
	free(m);
	return total->wrong;
}
