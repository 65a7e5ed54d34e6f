/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first bytes of a connection: a PROXY header, then what its route depends
 * on. They are read into a small buffer that grows with them, never past what
 * their readers bound, and are what the target gets first: nothing is peeked, so
 * nothing is lost or sent twice. The table is asked anew after every read; the
 * readers resume where they were.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/conn.h"
#include "dataplane/http_head.h"

#define FIRST_CAP_BYTES		2048 /* most hellos fit */
#define UNDECIDED_PART_OF_PAIRS 5    /* 10 % of the descriptors */
#define EVICTIONS		8    /* for one that comes: a worker has others to serve */
#define LINGER_MS		2000
#define LINGER_BYTES		(64u << 10)
#define DEFAULT_WAIT_MS		60000
#define DEFAULT_HEAD_MS		10000

/* ---- the list of those without a route ---- */

static void undecided_add(struct conn *c)
{
	struct worker *w = c->w;

	c->undecided = w->undecided_end;
	*w->undecided_end = c;
	w->undecided_end = &c->undecided_next;
	atomic_fetch_add_explicit(&w->plane->undecided, 1, memory_order_relaxed);
}

void conn_first_decided(struct conn *c)
{
	if (!c->undecided)
		return;
	*c->undecided = c->undecided_next;
	if (c->undecided_next)
		c->undecided_next->undecided = c->undecided;
	else
		c->w->undecided_end = c->undecided;
	c->undecided = NULL;
	atomic_fetch_sub_explicit(&c->w->plane->undecided, 1, memory_order_relaxed);
}

/* The table's bound is of the descriptors that whoever compiled it could have had; this process may
 * have fewer. */
static unsigned undecided_max(const struct plane *p, const struct route_table *t)
{
	unsigned pairs = atomic_load_explicit(&p->max_pairs, memory_order_relaxed);
	unsigned own = pairs / UNDECIDED_PART_OF_PAIRS;

	own = pairs && !own ? 1 : own;
	return own && (!t->max_undecided || own < t->max_undecided) ? own : t->max_undecided;
}

static bool has_too_many(const struct conn *c)
{
	unsigned max = undecided_max(c->w->plane, c->first->table);

	return max && atomic_load_explicit(&c->w->plane->undecided, memory_order_relaxed) > max;
}

/* Whoever holds back its first bytes longest goes first; the new one is never that: a worker whose
 * own are too few, because another's are many, still serves it, and the bound is passed by one for
 * each such worker at most. More than one goes where an apply has lowered the bound. */
static void make_room(struct conn *c)
{
	for (unsigned i = 0; i < EVICTIONS && c->w->undecided != c && has_too_many(c); i++)
		conn_refuse(c->w->undecided, REASON_GLOBAL_LIMIT);
}

void conn_first_free(struct conn *c)
{
	conn_first_decided(c);
	if (!c->first)
		return;
	route_table_unref(c->first->table);
	budget_give(&c->w->plane->budget, sizeof(*c->first) + c->first->cap);
	free(c->first->bytes);
	free(c->first);
	c->first = NULL;
}

/* ---- deadlines ---- */

static void step(struct conn *c);

static const uint8_t *payload(const struct conn *c, size_t *n)
{
	*n = c->first->n - c->first->header_bytes;
	return c->first->bytes + c->first->header_bytes;
}

/* While nothing has come, a silent client may get the route that needs nothing. */
static bool serves_silent(const struct conn *c, int64_t *at_ms)
{
	const struct route *r = c->first->silent;
	size_t n;

	payload(c, &n);
	if (!r || !r->server_first_after_ms || n || c->state != CONN_SNIFF)
		return false;
	*at_ms = c->first->since_ms + r->server_first_after_ms;
	return true;
}

static void expired(struct timer *t)
{
	struct conn *c = conn_of_timer(t);
	int64_t at;

	if (serves_silent(c, &at) && at <= loop_now_ms(c->w->loop))
		conn_route(c, c->first->silent);
	else
		conn_refuse(c, REASON_INITIAL_TIMEOUT);
}

static void wait_for_bytes(struct conn *c)
{
	const struct route *r = route_table_first(c->first->table, &c->local_addr, c->listen_port);
	unsigned wait_ms = r ? r->initial_data_timeout_ms : DEFAULT_WAIT_MS;
	unsigned head_ms = r ? r->head_timeout_ms : DEFAULT_HEAD_MS;
	int64_t at = INT64_MAX, silent_at;

	if (c->first->began_ms && head_ms)
		at = c->first->began_ms + head_ms;
	else if (!c->first->began_ms && wait_ms)
		at = c->first->since_ms + wait_ms;
	if (serves_silent(c, &silent_at) && silent_at < at)
		at = silent_at;
	if (at == INT64_MAX)
		timer_cancel(c->w->loop, &c->timer);
	else
		timer_set(c->w->loop, &c->timer, at, expired);
	if (c->client.fd < 0 && conn_watch_client(c))
		conn_refuse(c, REASON_GLOBAL_LIMIT);
}

/* It waits for bytes, so it is watched; one that came from the queue of a port that closes waits
 * for what the table of now wants. The connection may be gone afterwards. */
static void await_bytes(struct conn *c)
{
	if (c->first->table == c->w->table)
		wait_for_bytes(c);
	else
		conn_first_redecide(c);
}

/* Whether a header comes first was settled by its first byte: one of somebody who is not believed
 * any more is not taken back to be payload. */
static bool reenter(struct conn *c, bool header_first)
{
	if (!header_first && c->first->header_bytes)
		return false;
	if (!header_first || !c->first->n)
		c->state = header_first ? CONN_HEADER : CONN_SNIFF;
	return true;
}

void conn_first_redecide(struct conn *c)
{
	struct route_table *before = c->first->table;

	c->first->table = route_table_ref(c->w->table);
	c->first->silent = NULL;
	if (reenter(c, conn_adopt(c, c->first->table)))
		step(c);
	else
		conn_refuse(c, REASON_BAD_PROXY_HEADER);
	route_table_unref(before);
}

/* ---- a client that is told why ---- */

static void linger_over(struct timer *t)
{
	conn_end(conn_of_timer(t), REASON_NONE);
}

/* Closing with bytes unread would reset the connection, and the alert could be lost. */
static void linger(struct conn *c, uint8_t alert, enum reason why)
{
	uint8_t bytes[HELLO_ALERT_BYTES];

	hello_alert(bytes, alert);
	conn_count_refusal(c, why);
	c->reason = why;
	if (send(c->client_fd, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ||
	    shutdown(c->client_fd, SHUT_WR) < 0) {
		conn_end(c, why);
		return;
	}
	conn_first_free(c);
	if (c->client.fd < 0 && conn_watch_client(c)) {
		conn_end(c, why);
		return;
	}
	c->state = CONN_LINGER;
	timer_set(c->w->loop, &c->timer, loop_now_ms(c->w->loop) + LINGER_MS, linger_over);
	conn_linger_ready(c, EPOLLIN);
}

void conn_linger_ready(struct conn *c, uint32_t events)
{
	uint8_t trash[4096];
	ssize_t n = 0;

	for (size_t i = 0; i < LINGER_BYTES / sizeof(trash); i++) {
		n = recv(c->client_fd, trash, sizeof(trash), MSG_DONTWAIT);
		if (n <= 0)
			break;
	}
	if (n >= 0 || (errno != EAGAIN && errno != EINTR) || (events & (EPOLLERR | EPOLLHUP)))
		conn_end(c, REASON_NONE);
}

/* ---- what they say ---- */

static void take_header(struct conn *c, const struct proxy_header *h, size_t used)
{
	c->first->header_bytes = used;
	if (h->local)
		return;
	c->announced = true;
	c->client_addr = h->source;
	c->client_port = h->source_port;
	c->announced_addr = h->destination;
	c->announced_port = h->destination_port;
}

/* False: the connection is gone, or waits. */
static bool read_header(struct conn *c)
{
	struct proxy_header h;
	size_t used = 0;

	switch (c->first->n ? proxy_header_read(&h, c->first->bytes, c->first->n, &used)
			    : SNIFF_MORE) {
	case SNIFF_MORE:
		if (c->first->eof)
			conn_refuse(c, REASON_CLOSED_BEFORE_DATA);
		else
			await_bytes(c);
		return false;
	case SNIFF_BAD:
		conn_refuse(c, REASON_BAD_PROXY_HEADER);
		return false;
	case SNIFF_YES:
		take_header(c, &h, used);
		break;
	case SNIFF_NO:
		break;
	}
	c->state = CONN_SNIFF;
	c->first->since_ms = loop_now_ms(c->w->loop);
	c->first->began_ms = c->first->n > used ? c->first->since_ms : 0;
	return true;
}

static void sniff(struct conn *c, struct match_facts *f)
{
	struct conn_first *first = c->first;
	size_t n;
	const uint8_t *bytes = payload(c, &n);
	enum sniff tls = SNIFF_NO, http;

	if (n && !first->not_tls)
		tls = hello_feed(&first->hello, bytes, n, c->w->plane->hello_max_bytes);
	first->not_tls = n && tls == SNIFF_NO;
	first->bad_hello = tls == SNIFF_BAD;
	if (tls == SNIFF_YES) {
		f->protocol = MATCH_TLS;
		f->have_hello = true;
		f->name = first->hello.name;
		f->tls_version = first->hello.max_version;
		return;
	}
	http = first->not_tls ? http_head_sniff(bytes, n) : SNIFF_MORE;
	f->protocol = http == SNIFF_YES	 ? MATCH_HTTP
		      : http == SNIFF_NO ? MATCH_OTHER
					 : MATCH_UNKNOWN;
	/* Nothing more will come that could tell. */
	if (f->protocol == MATCH_UNKNOWN && first->eof)
		f->protocol = MATCH_OTHER;
}

static void refuse_unmatched(struct conn *c, const struct match_facts *f, bool tls_expected)
{
	size_t n;

	payload(c, &n);
	if (c->first->eof && !n)
		conn_refuse(c, REASON_CLOSED_BEFORE_DATA);
	else if (tls_expected && f->protocol == MATCH_TLS)
		linger(c, HELLO_UNRECOGNIZED_NAME, REASON_NO_ROUTE);
	else
		conn_refuse(c, REASON_NO_ROUTE);
}

/* A hello that is broken is none where nobody wanted one. */
static bool refuse_bad_hello(struct conn *c, struct match_facts *f)
{
	struct match m;

	f->protocol = MATCH_UNKNOWN;
	m = route_table_match(c->first->table, f);
	if (m.tls) {
		linger(c, HELLO_DECODE_ERROR, REASON_BAD_HELLO);
		return true;
	}
	f->protocol = MATCH_OTHER;
	return false;
}

static void decide(struct conn *c)
{
	struct match_facts f = { .local = c->local_addr,
				 .client = c->client_addr,
				 .port = c->listen_port };
	struct match m;

	sniff(c, &f);
	if (f.name && *f.name && !c->name && !conn_set_name(c, f.name)) {
		conn_refuse(c, REASON_GLOBAL_LIMIT);
		return;
	}
	if (c->first->bad_hello && refuse_bad_hello(c, &f))
		return;
	m = route_table_match(c->first->table, &f);
	c->first->silent = m.silent;
	if (m.answer == MATCH_MORE) {
		await_bytes(c);
		return;
	}
	if (m.answer == MATCH_NO) {
		refuse_unmatched(c, &f, m.tls);
		return;
	}
	conn_route(c, m.route);
}

static void step(struct conn *c)
{
	if (c->state == CONN_SNIFF || read_header(c))
		decide(c);
}

/* ---- reading ---- */

/* -ENOBUFS: its readers do not want more. */
static int grow(struct conn *c)
{
	struct conn_first *f = c->first;
	size_t max = c->w->plane->hello_max_bytes + PROXY_V2_MAX;
	size_t cap = f->cap ? f->cap * 2 : FIRST_CAP_BYTES, more;
	uint8_t *bytes;

	if (cap > max)
		cap = max;
	if (cap <= f->cap)
		return -ENOBUFS;
	more = cap - f->cap;
	if (!budget_take(&c->w->plane->budget, more, BUDGET_NEW))
		return -ENOMEM;
	bytes = realloc(f->bytes, cap);
	if (!bytes) {
		budget_give(&c->w->plane->budget, more);
		return -ENOMEM;
	}
	f->bytes = bytes;
	f->cap = cap;
	return 0;
}

/* What was read on the stack: who has said nothing yet has no buffer. */
static int keep_first(struct conn *c, const uint8_t *bytes, size_t n)
{
	int rc = grow(c);

	if (!rc)
		memcpy(c->first->bytes, bytes, n);
	return rc;
}

/* -EAGAIN: no more for now. 0: there may be more. all: until the kernel says so. */
static int read_once(struct conn *c, bool all)
{
	struct conn_first *f = c->first;
	uint8_t begin[FIRST_CAP_BYTES];
	bool begins = !f->cap;
	uint8_t *to = begins ? begin : f->bytes + f->n;
	size_t room = begins ? sizeof(begin) : f->cap - f->n;
	ssize_t n = recv(c->client_fd, to, room, MSG_DONTWAIT);
	int rc = 0;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (!n) {
		f->eof = true;
		c->client_events = EPOLLIN | EPOLLRDHUP;
		return -EAGAIN;
	}
	if (begins)
		rc = keep_first(c, begin, (size_t)n);
	if (rc)
		return rc;
	if (f->n == f->header_bytes)
		f->began_ms = loop_now_ms(c->w->loop);
	f->n += (size_t)n;
	/* A short read has emptied the socket; what comes behind it is an event. */
	return (size_t)n < room && !all ? -EAGAIN : 0;
}

/* Until there is no more, or no more room. -ENOMEM, or negative: the client is gone. */
static int read_bytes(struct conn *c, bool all)
{
	struct conn_first *f = c->first;
	int rc = 0;

	c->client_events = 0;
	while (!rc) {
		rc = f->cap && f->n == f->cap ? grow(c) : 0;
		rc = rc ? rc : read_once(c, all);
	}
	if (rc == -ENOBUFS)
		c->client_events = EPOLLIN | EPOLLRDHUP; /* whoever is next has to look */
	return rc == -ENOBUFS || rc == -EAGAIN ? 0 : rc;
}

static enum reason no_bytes(int rc)
{
	return rc == -ENOMEM ? REASON_GLOBAL_LIMIT : REASON_CLOSED_BEFORE_DATA;
}

void conn_first_ready(struct conn *c, uint32_t events)
{
	int rc;

	if (events & (EPOLLERR | EPOLLHUP)) {
		conn_refuse(c, REASON_CLOSED_BEFORE_DATA);
		return;
	}
	if (!(events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP)))
		return;
	/* A FIN that came with these bytes is not going to be an event of its own, nor are those
	 * behind an urgent mark, where recv() stops. */
	rc = read_bytes(c, events & (EPOLLPRI | EPOLLRDHUP));
	if (rc) {
		conn_refuse(c, no_bytes(rc));
		return;
	}
	step(c);
}

static struct conn_first *first_new(struct worker *w)
{
	struct conn_first *f;

	if (!budget_take(&w->plane->budget, sizeof(*f), BUDGET_NEW))
		return NULL;
	f = calloc(1, sizeof(*f));
	if (!f)
		budget_give(&w->plane->budget, sizeof(*f));
	return f;
}

void conn_first_start(struct conn *c, struct route_table *t, enum conn_state state)
{
	int rc;

	c->state = state;
	c->first = first_new(c->w);
	if (!c->first) {
		conn_refuse(c, REASON_GLOBAL_LIMIT);
		return;
	}
	c->first->table = route_table_ref(t);
	c->first->since_ms = loop_now_ms(c->w->loop);
	undecided_add(c);
	make_room(c);
	/* Mostly they are there already: then it needs no watch for them. */
	rc = read_bytes(c, false);
	if (rc)
		conn_refuse(c, no_bytes(rc));
	else
		step(c);
}
