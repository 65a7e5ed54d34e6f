/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two things to know of SO_REUSEPORT. It lets any other root process that sets it share
 * a port without a word, and then half of the connections are gone. So bind() is not
 * the judge: before anything is bound, the sockets that listen are listed, and one that
 * is not ours in the way is an error with the name of who has it.
 *
 * And whoever listens gets connections at once, beside or before the ones that are live,
 * and takes them along when he closes. So what is staged listens before it is committed
 * only where nothing of ours is live: there, nobody could come before, and when the kernel
 * gives the port to us not one connection is refused.
 */
#include "ctl/service/listeners.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/host/host.h"
#include "ctl/host/host_owner.h"
#include "ctl/host/host_sock.h"

void listeners_init(struct listeners *l, unsigned workers)
{
	*l = (struct listeners){ .next_id = 1, .workers = workers };
}

void listeners_fini(struct listeners *l)
{
	for (size_t i = 0; i < l->n; i++)
		close(l->v[i].fd);
	free(l->v);
	free(l->leaving);
	free(l->wanted);
	free(l->next);
	*l = (struct listeners){ 0 };
}

static int listener_cmp(const void *pa, const void *pb)
{
	const struct listener *a = pa, *b = pb;
	const int by = listen_at_cmp(&a->at, &b->at);

	return by ? by : (a->slot > b->slot) - (a->slot < b->slot);
}

static void listeners_sort(struct listeners *l)
{
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), listener_cmp);
}

/* The first of the n sorted ones at that place, and how many there are. */
static struct listener *find(const struct listeners *l, size_t n, const struct listen_at *at,
			     size_t *count)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;

		if (listen_at_cmp(&l->v[mid].at, at) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (hi = lo; hi < n && !listen_at_cmp(&l->v[hi].at, at); hi++)
		;
	*count = hi - lo;
	return l->v + lo;
}

static struct listener *append(struct listeners *l)
{
	if (l->n == l->cap) {
		const size_t cap = l->cap ? l->cap * 2 : 16;
		struct listener *v = realloc(l->v, cap * sizeof(*v));

		if (!v)
			return NULL;
		l->v = v;
		l->cap = cap;
	}
	memset(&l->v[l->n], 0, sizeof(*l->v));
	return &l->v[l->n++];
}

/* ---- sockets from before ---- */

static bool has_socket(const struct listeners *l, ino_t inode)
{
	struct stat st;

	for (size_t i = 0; i < l->n; i++)
		if (!fstat(l->v[i].fd, &st) && st.st_ino == inode)
			return true;
	return false;
}

int listeners_adopt(struct listeners *l, int fd, const struct listen_at *at, bool stored,
		    struct err *e)
{
	char text[LISTENER_NAME_MAX];
	struct listener *new;
	struct stat st;
	size_t count;
	int rc = 0;

	if (fstat(fd, &st) < 0 || !listen_at_is(fd, at))
		rc = err_set(e, -EINVAL, "no socket that listens on %s", listen_at_text(at, text));
	/* It came on two ways. */
	else if (has_socket(l, st.st_ino))
		rc = err_set(e, -EEXIST, "%s is here already", listen_at_text(at, text));
	else if (l->n == LISTENERS_MAX)
		rc = err_set(e, -E2BIG, "more than %d listening sockets", LISTENERS_MAX);
	listeners_sort(l);
	find(l, l->n, at, &count);
	new = rc ? NULL : append(l);
	if (!new) {
		close(fd);
		return rc ? rc : err_set(e, -ENOMEM, "out of memory");
	}
	*new = (struct listener){
		.at = *at,
		.slot = (unsigned)count,
		.id = l->next_id++,
		.fd = fd,
		.listens = true,
		.stored = stored,
	};
	listeners_sort(l);
	return 0;
}

/* ---- who else is there ---- */

/* Would bind() of ours and that socket be in each other's way? */
static bool in_the_way(const struct host_listener *o, const struct listen_at *at)
{
	const bool wild = addr_is_unspecified(&o->addr);

	if (o->proto != IPPROTO_TCP || o->port != at->port)
		return false;
	if (at->address.family == ADDR_NONE)
		return true;
	if (wild && o->addr.family == ADDR_V6)
		return at->address.family == ADDR_V6 || !o->v6_only;
	return wild ? at->address.family == ADDR_V4 : !addr_cmp(&o->addr, &at->address);
}

static int say_who(const struct host_listener *o, const struct listen_at *at, struct err *e)
{
	const struct listen_at theirs = { o->addr, o->port };
	struct owned_socket s = { .inode = o->inode };
	struct host_owner owner = { 0 };
	char who[96], where[LISTENER_NAME_MAX], want[LISTENER_NAME_MAX];

	host_owners_find(&s, 1, &owner);
	host_owner_text(&owner, who, sizeof(who));
	err_set(e, -EADDRINUSE, "cannot listen on %s: %s listens on %s", listen_at_text(at, want),
		who, listen_at_text(&theirs, where));
	err_hint(e, "stop it, or move it to another port");
	return -EADDRINUSE;
}

static bool is_leaving(const struct listeners *l, uint64_t inode)
{
	for (size_t i = 0; i < l->n_leaving; i++)
		if (l->leaving[i] == inode)
			return true;
	return false;
}

static int check_free(const struct listeners *l, const struct host_facts *f,
		      const struct listen_at *at, struct err *e)
{
	char text[LISTENER_NAME_MAX];
	int rc = 0;

	for (size_t i = 0; i < f->n_listeners; i++) {
		const struct host_listener *o = &f->listeners[i];

		if (!in_the_way(o, at) || has_socket(l, o->inode))
			continue;
		if (!is_leaving(l, o->inode))
			return say_who(o, at, e);
		rc = err_set(e, -EAGAIN, "the dataplane is still closing its sockets on %s",
			     listen_at_text(at, text));
	}
	return rc;
}

/* ---- generations ---- */

/* What is done for all places of one generation. */
struct staging {
	struct listeners *l;
	size_t n_old; /* sorted; behind them are new ones */
	struct host_facts facts;
	bool listed; /* only who is going to bind something has to know who else did */
};

static bool is_live_at(const struct listener *o, const struct listen_at *at)
{
	return o->live && o->at.port == at->port &&
	       (o->at.address.family == ADDR_NONE || at->address.family == ADDR_NONE ||
		!addr_cmp(&o->at.address, &at->address));
}

/* Does a connection to that place come to one that is live? */
static bool is_served(const struct staging *g, const struct listen_at *at)
{
	for (size_t i = 0; i < g->n_old; i++)
		if (is_live_at(&g->l->v[i], at))
			return true;
	return false;
}

static int stage_socket(struct staging *g, const struct listen_at *at, unsigned slot, bool served)
{
	struct listeners *l = g->l;
	const int fd = l->n < LISTENERS_MAX ? listen_at_bind(at) : -E2BIG;
	int rc = fd < 0 ? fd : served ? 0 : listen_at_listen(fd);
	struct listener *new = rc ? NULL : append(l);

	if (!new) {
		if (fd >= 0)
			close(fd);
		return rc ? rc : -ENOMEM;
	}
	*new = (struct listener){ .at = *at,
				  .slot = slot,
				  .id = l->next_id++,
				  .fd = fd,
				  .listens = !served,
				  .staged = true,
				  .fresh = true };
	return 0;
}

static int place_is_free(struct staging *g, const struct listen_at *at, struct err *e)
{
	int rc = g->listed ? 0 : host_sockets_read(&g->facts, e);

	g->listed = !rc;
	return rc ? rc : check_free(g->l, &g->facts, at, e);
}

/* Those of the old ones at that place, and new ones for the slots that miss one. */
static int stage_place(struct staging *g, const struct listen_at *at, struct err *e)
{
	struct listeners *l = g->l;
	const size_t n_before = l->n;
	char text[LISTENER_NAME_MAX];
	struct listener *old;
	bool served;
	size_t count;
	int rc;

	old = find(l, g->n_old, at, &count);
	for (size_t i = 0; i < count; i++)
		old[i].staged = true;
	if (count >= l->workers)
		return 0;
	rc = place_is_free(g, at, e);
	if (rc)
		return rc;
	served = is_served(g, at);
	for (unsigned slot = (unsigned)count; !rc && slot < l->workers; slot++)
		rc = stage_socket(g, at, slot, served);
	while (rc && l->n > n_before)
		close(l->v[--l->n].fd);
	return rc ? err_sys(e, rc, "cannot listen on %s", listen_at_text(at, text)) : 0;
}

static int place_cmp(const void *pa, const void *pb)
{
	const struct listen_at *const *a = pa, *const *b = pb;

	return listen_at_cmp(*a, *b);
}

static void say_trouble(struct listeners *l, listeners_say *say, const struct err *e)
{
	snprintf(l->why, sizeof(l->why), "%s", e->msg);
	if (say)
		say(e);
}

/* some: what cannot be had is said, and the others go on. */
static int stage_places(struct staging *g, const struct listen_at **sorted, size_t n, bool some,
			listeners_say *say, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct err why = { 0 };

		if ((i && !listen_at_cmp(sorted[i - 1], sorted[i])) ||
		    !stage_place(g, sorted[i], &why))
			continue;
		if (!some) {
			*e = why;
			return why.code;
		}
		say_trouble(g->l, say, &why);
	}
	return 0;
}

/* A copy: v may be what was wanted before. */
static int want(struct listeners *l, const struct listen_at *v, size_t n, struct err *e)
{
	listeners_unstage(l);
	l->next = calloc(n + 1, sizeof(*l->next));
	if (!l->next)
		return err_set(e, -ENOMEM, "out of memory");
	if (n)
		memcpy(l->next, v, n * sizeof(*v));
	l->n_next = n;
	return 0;
}

static int stage(struct listeners *l, bool some, listeners_say *say, struct err *e)
{
	const struct listen_at **sorted = calloc(l->n_next + 1, sizeof(*sorted));
	struct staging g = { .l = l };
	int rc;

	if (!sorted)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < l->n_next; i++)
		sorted[i] = &l->next[i];
	listeners_sort(l);
	qsort(sorted, l->n_next, sizeof(*sorted), place_cmp);
	g.n_old = l->n;
	rc = stage_places(&g, sorted, l->n_next, some, say, e);
	host_facts_fini(&g.facts);
	free(sorted);
	listeners_sort(l);
	if (rc)
		listeners_unstage(l);
	return rc;
}

int listeners_stage(struct listeners *l, const struct listen_at *v, size_t n, struct err *e)
{
	struct err unheard = { 0 };

	e = e ? e : &unheard;
	return want(l, v, n, e) ? e->code : stage(l, false, NULL, e);
}

int listeners_stage_some(struct listeners *l, const struct listen_at *v, size_t n,
			 listeners_say *say, struct err *e)
{
	return want(l, v, n, e) ? -ENOMEM : stage(l, true, say, e);
}

static void drop(struct listeners *l, bool (*goes)(const struct listener *))
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (goes(&l->v[i]))
			close(l->v[i].fd);
		else
			l->v[kept++] = l->v[i];
	}
	l->n = kept;
}

static bool is_fresh(const struct listener *l)
{
	return l->fresh;
}

void listeners_unstage(struct listeners *l)
{
	drop(l, is_fresh);
	for (size_t i = 0; i < l->n; i++)
		l->v[i].staged = false;
	free(l->next);
	l->next = NULL;
	l->n_next = 0;
}

/* Who else listens is asked only now that it failed. */
static void say_not_listening(struct listeners *l, const struct listener *at, int rc,
			      listeners_say *say)
{
	struct host_facts f = { 0 };
	char text[LISTENER_NAME_MAX];
	struct err e = { 0 };

	if (host_sockets_read(&f, &e) || !check_free(l, &f, &at->at, &e))
		err_sys(&e, rc, "cannot listen on %s", listen_at_text(&at->at, text));
	host_facts_fini(&f);
	say_trouble(l, say, &e);
}

/* Somebody was faster between bind() and here: what he has is not live. */
static void begin_to_listen(struct listeners *l, listeners_say *say)
{
	const struct listener *said = NULL; /* once for a place */

	for (size_t i = 0; i < l->n; i++) {
		struct listener *at = &l->v[i];
		int rc;

		if (!at->staged || at->listens)
			continue;
		rc = listen_at_listen(at->fd);
		at->listens = !rc;
		if (!rc || (said && !listen_at_cmp(&said->at, &at->at)))
			continue;
		say_not_listening(l, at, rc, say);
		said = at;
	}
}

void listeners_commit(struct listeners *l, listeners_say *say)
{
	begin_to_listen(l, say);
	for (size_t i = 0; i < l->n; i++) {
		l->v[i].live = l->v[i].staged && l->v[i].listens;
		l->v[i].staged = l->v[i].fresh = false;
	}
	free(l->wanted);
	l->wanted = l->next;
	l->n_wanted = l->n_next;
	l->next = NULL;
	l->n_next = 0;
}

void listeners_want_none(struct listeners *l)
{
	listeners_unstage(l);
	listeners_commit(l, NULL);
}

bool listeners_serve(const struct listeners *l, const struct listen_at *at)
{
	size_t count;
	const struct listener *v = find(l, l->n, at, &count);

	for (size_t i = 0; i < count; i++)
		if (v[i].live && listen_at_listens(v[i].fd))
			return true;
	return false;
}

size_t listeners_missing(const struct listeners *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n_wanted; i++)
		n += !listeners_serve(l, &l->wanted[i]);
	return n;
}

static bool is_idle(const struct listener *l)
{
	return !l->live && !l->staged;
}

static size_t count_idle(const struct listeners *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += is_idle(&l->v[i]);
	return n;
}

/* Without memory for it, who wants the port again at once is told that it is taken. */
static void note_leaving(struct listeners *l)
{
	const size_t n = count_idle(l);
	uint64_t *v = n ? realloc(l->leaving, n * sizeof(*v)) : NULL;
	struct stat st;

	if (!v)
		return;
	l->leaving = v;
	l->n_leaving = 0;
	for (size_t i = 0; i < l->n; i++)
		if (is_idle(&l->v[i]) && !fstat(l->v[i].fd, &st))
			l->leaving[l->n_leaving++] = st.st_ino;
}

void listeners_close_idle(struct listeners *l)
{
	note_leaving(l);
	drop(l, is_idle);
}
