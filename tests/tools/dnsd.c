// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dnsd: a name server for tests, UDP and TCP on one port. Its zone file is read again for each
 * question, so whoever changes the file changes the answers. Lines of it (# starts a comment):
 *
 *	NAME A 10.0.0.1 [TTL]        NAME AAAA fd00::1 [TTL]        NAME CNAME OTHER [TTL]
 *	NAME mode WHAT               for its questions; NAME may be "*": for all that have none
 *	NAME mode4|mode6 WHAT        for its A (AAAA) questions only
 *
 * WHAT: silent, servfail, refused, garbage (no message at all), broken (an answer whose records are
 * cut), truncated (TC over UDP, whole over TCP). A name without a line is NXDOMAIN.
 *
 * dnsd ADDR:PORT ZONE [LOG]: port 0 = any; prints "dnsd: port N" when it serves. LOG gets a line
 * "NAME A|AAAA udp|tcp" for each question.
 */
#include <poll.h>
#include <strings.h>
#include <unistd.h>

#include "tool.h"

#define NAME_TEXT   256
#define MESSAGE_MAX 4096
#define LINES_MAX   1024
#define ALIASES_MAX 8
#define TYPE_A	    1
#define TYPE_CNAME  5
#define TYPE_AAAA   28

enum { RCODE_OK = 0, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3, RCODE_REFUSED = 5 };

struct record {
	char name[NAME_TEXT], type[16], value[NAME_TEXT];
	unsigned ttl;
};

struct zone {
	struct record v[LINES_MAX];
	unsigned n;
};

struct message {
	unsigned char bytes[MESSAGE_MAX];
	size_t len, answers_at;
	unsigned n_answers;
};

struct question {
	char name[NAME_TEXT];
	unsigned type;
	size_t len; /* header and question */
};

static const char *zone_path, *log_path;
static struct zone zone;

static void zone_read(void)
{
	FILE *f = fopen(zone_path, "r");
	char line[1024];

	zone.n = 0;
	while (f && zone.n < LINES_MAX && fgets(line, sizeof line, f)) {
		struct record *r = &zone.v[zone.n];

		line[strcspn(line, "#\n")] = 0;
		r->ttl = 60;
		if (sscanf(line, "%255s %15s %255s %u", r->name, r->type, r->value, &r->ttl) >= 3)
			zone.n++;
	}
	if (f)
		fclose(f);
}

static bool is_mode(const struct record *r, unsigned type)
{
	return !strcmp(r->type, "mode") || !strcmp(r->type, type == TYPE_A ? "mode4" : "mode6");
}

static const char *mode_of(const char *name, unsigned type)
{
	const char *all = "";

	for (unsigned i = 0; i < zone.n; i++) {
		if (!is_mode(&zone.v[i], type))
			continue;
		if (!strcasecmp(zone.v[i].name, name))
			return zone.v[i].value;
		if (!strcmp(zone.v[i].name, "*"))
			all = zone.v[i].value;
	}
	return all;
}

/* ---- messages ---- */

static void put16(struct message *m, unsigned v)
{
	m->bytes[m->len++] = (unsigned char)(v >> 8);
	m->bytes[m->len++] = (unsigned char)v;
}

static void put_name(struct message *m, const char *name)
{
	while (*name && *name != '.') {
		size_t n = strcspn(name, ".");

		m->bytes[m->len++] = (unsigned char)n;
		memcpy(m->bytes + m->len, name, n);
		m->len += n;
		name += n + (name[n] == '.');
	}
	m->bytes[m->len++] = 0;
}

static bool put_record(struct message *m, const char *name, unsigned type, const char *value,
		       unsigned ttl)
{
	unsigned char address[16];
	size_t length_at;

	if (m->len + 2 * NAME_TEXT + 32 > sizeof m->bytes)
		return false;
	put_name(m, name);
	put16(m, type);
	put16(m, 1);
	put16(m, ttl >> 16);
	put16(m, ttl);
	length_at = m->len;
	put16(m, 0);
	if (type == TYPE_CNAME) {
		put_name(m, value);
	} else if (inet_pton(type == TYPE_A ? AF_INET : AF_INET6, value, address) == 1) {
		memcpy(m->bytes + m->len, address, type == TYPE_A ? 4 : 16);
		m->len += type == TYPE_A ? 4 : 16;
	}
	m->bytes[length_at + 1] = (unsigned char)(m->len - length_at - 2);
	m->n_answers++;
	return true;
}

static bool question_parse(const unsigned char *p, size_t n, struct question *q)
{
	size_t at = 12, len = 0;

	if (n < 17 || p[4] || p[5] != 1)
		return false;
	while (at < n && p[at]) {
		if (p[at] > 63 || at + p[at] + 6 > n || len + p[at] + 2 > sizeof q->name)
			return false;
		if (len)
			q->name[len++] = '.';
		memcpy(q->name + len, p + at + 1, p[at]);
		len += p[at];
		at += p[at] + 1u;
	}
	if (at + 5 > n)
		return false;
	q->name[len] = 0;
	q->type = (unsigned)(p[at + 1] << 8 | p[at + 2]);
	q->len = at + 5;
	return true;
}

/* The aliases on the way, then the addresses. Returns the rcode. */
static int put_answers(struct message *m, const struct question *q)
{
	const char *name = q->name, *type = q->type == TYPE_A ? "A" : "AAAA";

	for (unsigned depth = 0; depth < ALIASES_MAX; depth++) {
		const char *next = NULL;
		bool known = false;

		for (unsigned i = 0; i < zone.n; i++) {
			const struct record *r = &zone.v[i];

			if (strcasecmp(r->name, name) || !strncmp(r->type, "mode", 4))
				continue;
			known = true;
			if (!strcmp(r->type, type))
				put_record(m, name, q->type, r->value, r->ttl);
			if (!strcmp(r->type, "CNAME") &&
			    put_record(m, name, TYPE_CNAME, r->value, r->ttl))
				next = r->value;
		}
		if (!next)
			return known ? RCODE_OK : RCODE_NXDOMAIN;
		name = next;
	}
	return RCODE_OK;
}

static void answer(struct message *m, const unsigned char *asked, const struct question *q,
		   const char *mode, bool tcp)
{
	bool cut = !strcmp(mode, "truncated") && !tcp;
	int rcode = RCODE_OK;

	memcpy(m->bytes, asked, q->len);
	m->len = q->len;
	m->n_answers = 0;
	if (!strcmp(mode, "servfail"))
		rcode = RCODE_SERVFAIL;
	else if (!strcmp(mode, "refused"))
		rcode = RCODE_REFUSED;
	else if (!cut)
		rcode = put_answers(m, q);
	m->bytes[2] = (unsigned char)(0x81 | (cut ? 0x02 : 0));
	m->bytes[3] = (unsigned char)(0x80 | rcode);
	m->bytes[6] = (unsigned char)(m->n_answers >> 8);
	m->bytes[7] = (unsigned char)m->n_answers;
	memset(m->bytes + 8, 0, 4);
	if (!strcmp(mode, "broken") && m->n_answers)
		m->len -= 3;
	if (!strcmp(mode, "garbage"))
		for (size_t i = 2; i < m->len; i++)
			m->bytes[i] = (unsigned char)(0xff - i * 37);
}

static void question_log(const struct question *q, bool tcp)
{
	FILE *f = log_path ? fopen(log_path, "a") : NULL;

	if (!f)
		return;
	fprintf(f, "%s %s %s\n", q->name, q->type == TYPE_A ? "A" : "AAAA", tcp ? "tcp" : "udp");
	fclose(f);
}

/* False: it is not answered. */
static bool reply(const unsigned char *asked, size_t n, bool tcp, struct message *m)
{
	struct question q;
	const char *mode;

	if (!question_parse(asked, n, &q))
		return false;
	question_log(&q, tcp);
	zone_read();
	mode = mode_of(q.name, q.type);
	if (!strcmp(mode, "silent"))
		return false;
	answer(m, asked, &q, mode, tcp);
	return true;
}

/* ---- sockets ---- */

static void serve_udp(int fd)
{
	unsigned char asked[MESSAGE_MAX];
	union sockaddr_any from;
	socklen_t from_len = sizeof from;
	struct message m;
	ssize_t n = recvfrom(fd, asked, sizeof asked, 0, &from.sa, &from_len);

	if (n > 0 && reply(asked, (size_t)n, false, &m))
		sendto(fd, m.bytes, m.len, 0, &from.sa, from_len);
}

static void serve_tcp(int listener)
{
	int fd = accept(listener, NULL, NULL);
	const struct timeval patience = { .tv_sec = 2 };
	unsigned char asked[MESSAGE_MAX], length[2];
	struct message m;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	while (recv(fd, length, 2, MSG_WAITALL) == 2) {
		size_t n = (size_t)(length[0] << 8 | length[1]);

		if (n > sizeof asked || recv(fd, asked, n, MSG_WAITALL) != (ssize_t)n)
			break;
		if (!reply(asked, n, true, &m))
			continue;
		length[0] = (unsigned char)(m.len >> 8);
		length[1] = (unsigned char)m.len;
		send(fd, length, 2, MSG_NOSIGNAL | MSG_MORE);
		send(fd, m.bytes, m.len, MSG_NOSIGNAL);
	}
	close(fd);
}

static int open_socket(int type, union sockaddr_any *at)
{
	socklen_t len = sockaddr_len(at);
	int one = 1, fd = socket(at->sa.sa_family, type | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd >= 0 && !bind(fd, &at->sa, len) && !getsockname(fd, &at->sa, &len))
		return fd;
	if (fd < 0 || errno != EADDRINUSE)
		die_usage("dnsd: %s", strerror(errno));
	close(fd);
	return -1;
}

/* Port 0: one that is free for both; a program beside this one may have half of the first choice.
 */
static void open_both(const union sockaddr_any *wanted, union sockaddr_any *at, struct pollfd p[2])
{
	for (int tries = 0; tries < 50; tries++) {
		*at = *wanted;
		p[0] = (struct pollfd){ .fd = open_socket(SOCK_DGRAM, at), .events = POLLIN };
		if (p[0].fd < 0)
			continue;
		p[1] = (struct pollfd){ .fd = open_socket(SOCK_STREAM, at), .events = POLLIN };
		if (p[1].fd >= 0)
			return;
		close(p[0].fd);
	}
	die_usage("dnsd: %s", strerror(EADDRINUSE));
}

int main(int argc, char **argv)
{
	union sockaddr_any at, wanted;
	struct pollfd p[2];

	if (argc < 3)
		die_usage("usage: dnsd ADDR:PORT ZONE [LOG]");
	endpoint_arg(argv[1], &wanted);
	zone_path = argv[2];
	log_path = argc > 3 ? argv[3] : NULL;
	open_both(&wanted, &at, p);
	if (listen(p[1].fd, 16))
		die_usage("dnsd: %s", strerror(errno));
	printf("dnsd: port %u\n", ntohs(at.in.sin_port)); /* in6 has it at the same place */
	fflush(stdout);
	while (poll(p, 2, -1) > 0 || errno == EINTR) {
		if (p[0].revents)
			serve_udp(p[0].fd);
		if (p[1].revents)
			serve_tcp(p[1].fd);
	}
	return 1;
}
