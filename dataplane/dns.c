// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * c-ares says which sockets it waits for (the sock-state callback) and when its
 * next timeout is; both become watches and one timer of the loop. Everything that
 * ares_init_options() would look up in files is given (lookups, sort list, search
 * list, servers - even where there are none), which makes it skip them all:
 * ares_getaddrinfo() is not used, as it sorts by connecting sockets and opens
 * /etc/hosts, and merges the families so that a failure of one hides the other.
 *
 * A question cannot be taken back from c-ares: dns_forget() only cuts its owner off.
 */
#include "dataplane/dns.h"

#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define PORT_DNS    53
#define SERVERS_MAX 16
#define CLASS_IN    1
#define TYPE_A	    1
#define TYPE_AAAA   28
#define SERVER_TEXT (ADDR_TEXT + 8)

struct dns_socket {
	struct dns_socket *next;
	struct dns *dns;
	struct watch watch;
};

struct dns {
	struct loop *loop;
	ares_channel channel;
	unsigned n_servers;
	struct timer timer;
	struct dns_socket *sockets;
};

struct dns_ask {
	int family;
	void (*answered)(void *arg, int family, const struct dns_answer *a); /* NULL: forgotten */
	void *arg;
};

/* ---- sockets and time ---- */

static void timeout_due(struct timer *t);

/* After everything that c-ares did. */
static void timer_follow(struct dns *d)
{
	struct timeval tv, *next = ares_timeout(d->channel, NULL, &tv);

	if (!next) {
		timer_cancel(d->loop, &d->timer);
		return;
	}
	timer_set(d->loop, &d->timer,
		  loop_now_ms(d->loop) + next->tv_sec * 1000 + next->tv_usec / 1000 + 1,
		  timeout_due);
}

static void timeout_due(struct timer *t)
{
	struct dns *d = (struct dns *)((char *)t - offsetof(struct dns, timer));

	ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	timer_follow(d);
}

static void socket_ready(struct watch *w, uint32_t events)
{
	struct dns_socket *s =
		(struct dns_socket *)((char *)w - offsetof(struct dns_socket, watch));
	struct dns *d = s->dns; /* s may be gone after the next call */
	ares_socket_t fd = w->fd;
	bool broken = events & (EPOLLERR | EPOLLHUP);

	ares_process_fd(d->channel, broken || (events & EPOLLIN) ? fd : ARES_SOCKET_BAD,
			events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
	timer_follow(d);
}

static struct dns_socket **socket_find(struct dns *d, int fd)
{
	struct dns_socket **p = &d->sockets;

	while (*p && (*p)->watch.fd != fd)
		p = &(*p)->next;
	return p;
}

static void socket_remove(struct dns *d, struct dns_socket **p)
{
	struct dns_socket *s = *p;

	if (!s)
		return;
	*p = s->next;
	watch_remove(d->loop, &s->watch);
	free(s);
}

/* Without memory the socket is not watched, and the question times out. */
static void socket_add(struct dns *d, int fd, uint32_t events)
{
	struct dns_socket *s = calloc(1, sizeof(*s));

	if (!s)
		return;
	s->dns = d;
	if (watch_add(d->loop, &s->watch, fd, events, socket_ready)) {
		free(s);
		return;
	}
	s->next = d->sockets;
	d->sockets = s;
}

/* Neither readable nor writable: it is about to be closed. */
static void socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct dns *d = data;
	struct dns_socket **p = socket_find(d, fd);
	uint32_t events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);

	if (!events)
		socket_remove(d, p);
	else if (*p)
		watch_change(d->loop, &(*p)->watch, events);
	else
		socket_add(d, fd, events);
}

/* ---- servers ---- */

static bool port_parse(const char *s, int *port)
{
	char *end;
	long v;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	v = strtol(s, &end, 10);
	if (errno || *end || v < 1 || v > 65535)
		return false;
	*port = (int)v;
	return true;
}

/* A colon is a port's after "]", or where it is the only one. */
static bool server_parse(const char *s, struct addr *a, int *port)
{
	bool bracket = *s == '[';
	const char *end = bracket ? strchr(s, ']') : strchr(s, ':');
	char host[SERVER_TEXT];
	size_t len;

	*port = PORT_DNS;
	if (bracket && (!end || (end[1] && end[1] != ':')))
		return false;
	if (!bracket && end && strchr(end + 1, ':'))
		end = NULL;
	s += bracket;
	len = end ? (size_t)(end - s) : strlen(s);
	if (len >= sizeof(host))
		return false;
	memcpy(host, s, len);
	host[len] = '\0';
	if (end && end[bracket] && !port_parse(end + bracket + 1, port))
		return false;
	return addr_parse(host, a) && (!bracket || a->family == ADDR_V6);
}

static void server_node(struct ares_addr_port_node *node, const struct addr *a, int port)
{
	memset(node, 0, sizeof(*node));
	node->family = a->family == ADDR_V6 ? AF_INET6 : AF_INET;
	memcpy(&node->addr, a->bytes, addr_len(a));
	node->udp_port = node->tcp_port = port;
}

static int servers_set(struct dns *d, const char *const *servers, unsigned n, struct err *e)
{
	struct ares_addr_port_node nodes[SERVERS_MAX];
	int rc;

	if (n > SERVERS_MAX)
		n = SERVERS_MAX;
	for (unsigned i = 0; i < n; i++) {
		struct addr a;
		int port;

		if (!server_parse(servers[i], &a, &port))
			return err_set(e, EINVAL, "\"%s\" is no address of a name server",
				       servers[i]);
		server_node(&nodes[i], &a, port);
		if (i)
			nodes[i - 1].next = &nodes[i];
	}
	d->n_servers = n;
	rc = ares_set_servers_ports(d->channel, n ? nodes : NULL);
	return rc ? err_set(e, EIO, "name servers: %s", ares_strerror(rc)) : 0;
}

static int channel_open(struct dns *d, unsigned timeout_ms, unsigned tries, struct err *e)
{
	static char lookups[] = "b"; /* no files */
	struct ares_options o = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = (int)timeout_ms,
		.tries = (int)tries,
		.ndots = 1,
		.lookups = lookups,
		.sock_state_cb = socket_state,
		.sock_state_cb_data = d,
	};
	int rc = ares_init_options(&d->channel, &o,
				   ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
					   ARES_OPT_NDOTS | ARES_OPT_SERVERS | ARES_OPT_DOMAINS |
					   ARES_OPT_LOOKUPS | ARES_OPT_SORTLIST |
					   ARES_OPT_NOROTATE | ARES_OPT_SOCK_STATE_CB);

	if (!rc)
		return 0;
	d->channel = NULL;
	return err_set(e, rc == ARES_ENOMEM ? ENOMEM : EIO, "c-ares: %s", ares_strerror(rc));
}

struct dns *dns_new(struct loop *l, const char *const *servers, unsigned n_servers,
		    unsigned timeout_ms, unsigned tries, struct err *e)
{
	struct dns *d = calloc(1, sizeof(*d));

	if (!d) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	d->loop = l;
	if (!channel_open(d, timeout_ms, tries, e) && !servers_set(d, servers, n_servers, e))
		return d;
	dns_free(d);
	return NULL;
}

void dns_free(struct dns *d)
{
	if (!d)
		return;
	if (d->channel)
		ares_destroy(d->channel);
	while (d->sockets) /* c-ares has closed them */
		socket_remove(d, &d->sockets);
	timer_cancel(d->loop, &d->timer);
	free(d);
}

/* ---- questions ---- */

static const char *clause(int status)
{
	switch (status) {
	case ARES_ENOTFOUND:
		return "no such name";
	case ARES_ENODATA:
		return "it has no address";
	case ARES_ETIMEOUT:
		return "no name server answered";
	case ARES_ECONNREFUSED: /* of 1.18, also for SERVFAIL, REFUSED and NOTIMP from all of them
				 */
		return "no name server could say (unreachable, or it failed)";
	case ARES_EBADNAME:
		return "it cannot be a name";
	case ARES_EBADRESP:
		return "the answer makes no sense";
	case ARES_ENOMEM:
		return "out of memory";
	default:
		return "no answer";
	}
}

static void answer_none(struct dns_answer *a, int status)
{
	bool sure = status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_EBADNAME;

	*a = (struct dns_answer){ .result = sure ? DNS_NONE : DNS_FAILED, .why = clause(status) };
}

static unsigned least(unsigned ttl_s, int other_s)
{
	unsigned o = other_s > 0 ? (unsigned)other_s : 0;

	return o < ttl_s ? o : ttl_s;
}

/* c-ares has lowered each TTL to the least of the aliases before. */
static int take_v4(const unsigned char *bytes, int len, struct addr *v, struct dns_answer *a)
{
	struct ares_addrttl got[DNS_ADDRESSES_MAX];
	int n = DNS_ADDRESSES_MAX;
	int rc = ares_parse_a_reply(bytes, len, NULL, got, &n);

	for (int i = 0; !rc && i < n; i++) {
		v[i] = (struct addr){ .family = ADDR_V4 };
		memcpy(v[i].bytes, &got[i].ipaddr, 4);
		a->ttl_s = least(a->ttl_s, got[i].ttl);
	}
	a->n = rc ? 0 : (unsigned)n;
	return rc;
}

static int take_v6(const unsigned char *bytes, int len, struct addr *v, struct dns_answer *a)
{
	struct ares_addr6ttl got[DNS_ADDRESSES_MAX];
	int n = DNS_ADDRESSES_MAX;
	int rc = ares_parse_aaaa_reply(bytes, len, NULL, got, &n);

	for (int i = 0; !rc && i < n; i++) {
		v[i] = (struct addr){ .family = ADDR_V6 };
		memcpy(v[i].bytes, &got[i].ip6addr, 16);
		a->ttl_s = least(a->ttl_s, got[i].ttl);
	}
	a->n = rc ? 0 : (unsigned)n;
	return rc;
}

static void came(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
	struct dns_ask *ask = arg;
	struct addr v[DNS_ADDRESSES_MAX];
	struct dns_answer a = { .result = DNS_FOUND, .v = v, .ttl_s = INT32_MAX };

	(void)timeouts;
	if (ask->answered) {
		if (!status)
			status = (ask->family == ADDR_V6 ? take_v6 : take_v4)(bytes, len, v, &a);
		if (!status && !a.n)
			status = ARES_ENODATA;
		if (status)
			answer_none(&a, status);
		ask->answered(ask->arg, ask->family, &a);
	}
	free(ask);
}

static void refuse(struct dns_ask *ask)
{
	const struct dns_answer a = { .result = DNS_FAILED, .why = "there is no name server" };

	ask->answered(ask->arg, ask->family, &a);
	free(ask);
}

int dns_ask(struct dns *d, const char *name, int family,
	    void (*answered)(void *arg, int family, const struct dns_answer *a), void *arg,
	    struct dns_ask **ask)
{
	struct dns_ask *new = malloc(sizeof(*new));

	if (!new)
		return -ENOMEM;
	*new = (struct dns_ask){ .family = family, .answered = answered, .arg = arg };
	*ask = new;
	if (!d->n_servers) {
		refuse(new);
		return 0;
	}
	ares_query(d->channel, name, CLASS_IN, family == ADDR_V6 ? TYPE_AAAA : TYPE_A, came, new);
	timer_follow(d);
	return 0;
}

void dns_forget(struct dns_ask *ask)
{
	if (ask)
		ask->answered = NULL;
}
