/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SO_REUSEPORT lets any other root process that sets it share a port without a
 * word, and then half of the connections are gone. So bind() is not the judge:
 * before anything is bound, the sockets that listen are listed, and one that is
 * not ours in the way is an error with the name of who has it.
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
	*l = (struct listeners){ 0 };
}

static int at_cmp(const struct listen_at *a, const struct listen_at *b)
{
	const int by = addr_cmp(&a->address, &b->address);

	return by ? by : (a->port > b->port) - (a->port < b->port);
}

static int listener_cmp(const void *pa, const void *pb)
{
	const struct listener *a = pa, *b = pb;
	const int by = at_cmp(&a->at, &b->at);

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

		if (at_cmp(&l->v[mid].at, at) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (hi = lo; hi < n && !at_cmp(&l->v[hi].at, at); hi++)
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

/* ---- one socket ---- */

static int set_one(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int socket_new(int family, bool only_v6)
{
	const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc;

	if (fd < 0)
		return -errno;
	rc = set_one(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	rc = rc ? rc : set_one(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	/* An address that is not there yet: a floating one, or an interface that comes later. */
	rc = rc ? rc : set_one(fd, IPPROTO_IP, IP_FREEBIND, 1);
	if (!rc && family == AF_INET6)
		rc = set_one(fd, IPPROTO_IPV6, IPV6_V6ONLY, only_v6);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static int socket_listen(const struct addr *address, uint16_t port, bool only_v6)
{
	socklen_t len;
	const struct sockaddr_storage sa = addr_to_sockaddr(address, port, &len);
	const int fd = socket_new(sa.ss_family, only_v6);
	int rc;

	if (fd < 0)
		return fd;
	if (!bind(fd, (const struct sockaddr *)&sa, len) && !listen(fd, LISTENERS_BACKLOG))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* All addresses: one socket of both families, or of IPv4 where IPv6 is off. */
static int listen_at(const struct listen_at *at)
{
	const struct addr any6 = { .family = ADDR_V6 }, any4 = { .family = ADDR_V4 };
	int fd;

	if (at->address.family != ADDR_NONE)
		return socket_listen(&at->address, at->port, true);
	fd = socket_listen(&any6, at->port, false);
	if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)
		fd = socket_listen(&any4, at->port, false);
	return fd;
}

static bool is_at(int fd, const struct listen_at *at)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa), n = sizeof(int);
	int listens = 0, protocol = 0;
	struct addr address;
	uint16_t port;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) < 0 || !listens ||
	    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &n) < 0 || protocol != IPPROTO_TCP ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return false;
	address = addr_from_sockaddr((struct sockaddr *)&sa, &port);
	if (port != at->port)
		return false;
	return at->address.family == ADDR_NONE ? addr_is_unspecified(&address)
					       : !addr_cmp(&address, &at->address);
}

static bool has_socket(const struct listeners *l, ino_t inode)
{
	struct stat st;

	for (size_t i = 0; i < l->n; i++)
		if (!fstat(l->v[i].fd, &st) && st.st_ino == inode)
			return true;
	return false;
}

int listeners_adopt(struct listeners *l, int fd, const struct listen_at *at, struct err *e)
{
	char text[LISTENER_NAME_MAX];
	struct listener *new;
	struct stat st;
	size_t count;
	int rc = 0;

	if (fstat(fd, &st) < 0 || !is_at(fd, at))
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
		.at = *at, .slot = (unsigned)count, .id = l->next_id++, .fd = fd
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

static int at_qsort_cmp(const void *a, const void *b)
{
	return at_cmp(a, b);
}

/* Those of the n_old sorted ones at that place, and new ones for the slots that miss one. */
static int stage_one(struct listeners *l, size_t n_old, const struct listen_at *at, struct err *e)
{
	char text[LISTENER_NAME_MAX];
	struct listener *old;
	size_t count;

	old = find(l, n_old, at, &count);
	for (size_t i = 0; i < count; i++)
		old[i].staged = true;
	for (unsigned slot = (unsigned)count; slot < l->workers; slot++) {
		const int fd = l->n < LISTENERS_MAX ? listen_at(at) : -E2BIG;
		struct listener *new = fd < 0 ? NULL : append(l);

		if (!new) {
			if (fd >= 0)
				close(fd);
			return err_sys(e, fd < 0 ? fd : -ENOMEM, "cannot listen on %s",
				       listen_at_text(at, text));
		}
		*new = (struct listener){ .at = *at,
					  .slot = slot,
					  .id = l->next_id++,
					  .fd = fd,
					  .staged = true,
					  .fresh = true };
	}
	return 0;
}

/* Only who is going to bind something has to know who else did. */
static int find_free(const struct listeners *l, const struct listen_at *v, size_t n, size_t *bad,
		     struct err *e)
{
	struct host_facts f = { 0 };
	bool listed = false;
	int rc = 0;

	for (size_t i = 0, count; !rc && i < n; i++) {
		*bad = i;
		find(l, l->n, &v[i], &count);
		if (count >= l->workers)
			continue;
		if (!listed)
			rc = host_sockets_read(&f, e);
		listed = true;
		rc = rc ? rc : check_free(l, &f, &v[i], e);
	}
	host_facts_fini(&f);
	return rc;
}

static int stage_all(struct listeners *l, const struct listen_at *v, size_t n, size_t *bad,
		     struct err *e)
{
	struct listen_at *sorted = calloc(n ? n : 1, sizeof(*sorted));
	const size_t n_old = l->n;
	int rc = 0;

	if (!sorted)
		return err_set(e, -ENOMEM, "out of memory");
	if (n)
		memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), at_qsort_cmp);
	*bad = n;
	for (size_t i = 0; !rc && i < n; i++) {
		if (!i || at_cmp(&sorted[i - 1], &sorted[i]))
			rc = stage_one(l, n_old, &sorted[i], e);
		for (size_t k = 0; rc && k < n; k++)
			*bad = at_cmp(&v[k], &sorted[i]) ? *bad : k;
	}
	free(sorted);
	listeners_sort(l);
	return rc;
}

int listeners_stage(struct listeners *l, const struct listen_at *v, size_t n, size_t *bad,
		    struct err *e)
{
	int rc;

	listeners_unstage(l);
	listeners_sort(l);
	*bad = 0;
	rc = find_free(l, v, n, bad, e);
	rc = rc ? rc : stage_all(l, v, n, bad, e);
	if (rc)
		listeners_unstage(l);
	return rc;
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
}

void listeners_commit(struct listeners *l)
{
	for (size_t i = 0; i < l->n; i++) {
		l->v[i].live = l->v[i].staged;
		l->v[i].staged = l->v[i].fresh = false;
	}
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

/* ---- names ---- */

const char *listen_at_text(const struct listen_at *at, char out[LISTENER_NAME_MAX])
{
	char text[ADDR_TEXT];

	addr_format(&at->address, text);
	snprintf(out, LISTENER_NAME_MAX, at->address.family == ADDR_V6 ? "[%s]:%u" : "%s:%u", text,
		 at->port);
	return out;
}

/* A colon separates the names of the store. */
const char *listener_name(const struct listener *l, char out[LISTENER_NAME_MAX])
{
	char text[ADDR_TEXT];

	addr_format(&l->at.address, text);
	for (char *p = text; *p; p++)
		if (*p == ':')
			*p = '_';
	if (l->at.address.family == ADDR_NONE)
		snprintf(out, LISTENER_NAME_MAX, "any/%u/%u", l->at.port, l->slot);
	else
		snprintf(out, LISTENER_NAME_MAX, "%s/%u/%u", text, l->at.port, l->slot);
	return out;
}

bool listener_name_parse(const char *name, struct listen_at *out)
{
	const size_t n = strcspn(name, "/");
	char text[ADDR_TEXT] = "";
	unsigned port, slot;
	char end;

	if (n >= sizeof(text) || sscanf(name + n, "/%5u/%5u%c", &port, &slot, &end) != 2 || !port ||
	    port > 65535)
		return false;
	for (size_t i = 0; i < n; i++)
		text[i] = name[i] == '_' ? ':' : name[i];
	out->port = (uint16_t)port;
	out->address = (struct addr){ .family = ADDR_NONE };
	return !strcmp(text, "any") || addr_parse(text, &out->address);
}
