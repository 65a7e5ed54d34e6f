/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tool: what the test tools share - arguments, addresses as text, a clock, the words
 * for how a connection can end. libc only; nothing of spctl is in here.
 */
#ifndef TESTS_TOOLS_TOOL_H
#define TESTS_TOOLS_TOOL_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

union sockaddr_any {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage ss;
};

__attribute__((noreturn, format(printf, 1, 2))) static inline void die_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline socklen_t sockaddr_len(const union sockaddr_any *a)
{
	return a->sa.sa_family == AF_INET6 ? sizeof a->in6 : sizeof a->in;
}

static inline void sockaddr_set_port(union sockaddr_any *a, unsigned port)
{
	if (a->sa.sa_family == AF_INET6)
		a->in6.sin6_port = htons((uint16_t)port);
	else
		a->in.sin_port = htons((uint16_t)port);
}

/* "10.0.0.1", "fd00::1"; port is left 0. */
static inline bool sockaddr_parse_ip(const char *text, union sockaddr_any *a)
{
	memset(a, 0, sizeof *a);
	if (inet_pton(AF_INET, text, &a->in.sin_addr) == 1) {
		a->sa.sa_family = AF_INET;
		return true;
	}
	if (inet_pton(AF_INET6, text, &a->in6.sin6_addr) == 1) {
		a->sa.sa_family = AF_INET6;
		return true;
	}
	return false;
}

static inline bool number_parse(const char *text, unsigned long max, unsigned long *out)
{
	char *end;
	unsigned long v;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || *end || v > max)
		return false;
	*out = v;
	return true;
}

/* Cuts "ADDR:REST" or "[ADDR]:REST" in place; host loses its brackets. */
static inline bool endpoint_split(char *text, char **host, char **rest)
{
	char *colon = strrchr(text, ':');

	if (!colon)
		return false;
	*colon = 0;
	*rest = colon + 1;
	*host = text;
	if (*text == '[' && colon > text && colon[-1] == ']') {
		*host = text + 1;
		colon[-1] = 0;
	}
	return true;
}

/* "10.0.0.1:80", "[fd00::1]:80" */
static inline bool sockaddr_parse(const char *text, union sockaddr_any *a)
{
	char copy[128], *host, *port;
	unsigned long n;

	if (strlen(text) >= sizeof copy)
		return false;
	strcpy(copy, text);
	if (!endpoint_split(copy, &host, &port) || !number_parse(port, 65535, &n) ||
	    !sockaddr_parse_ip(host, a))
		return false;
	sockaddr_set_port(a, (unsigned)n);
	return true;
}

/* The address without its port; ::ffff:a.b.c.d is a.b.c.d. */
static inline const char *sockaddr_ip(const union sockaddr_any *a, char out[INET6_ADDRSTRLEN])
{
	if (a->sa.sa_family == AF_INET)
		return inet_ntop(AF_INET, &a->in.sin_addr, out, INET6_ADDRSTRLEN);
	if (IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
		return inet_ntop(AF_INET, &a->in6.sin6_addr.s6_addr[12], out, INET6_ADDRSTRLEN);
	return inet_ntop(AF_INET6, &a->in6.sin6_addr, out, INET6_ADDRSTRLEN);
}

/* ---- arguments: what is wrong ends the program ---- */

static inline unsigned long number_arg(const char *text, unsigned long min, unsigned long max)
{
	unsigned long v;

	if (!number_parse(text, max, &v) || v < min)
		die_usage("%s: a number from %lu to %lu, not %s", program_invocation_short_name,
			  min, max, text);
	return v;
}

/* "10.0.0.1" */
static inline void ip_arg(const char *text, union sockaddr_any *a)
{
	if (!sockaddr_parse_ip(text, a))
		die_usage("%s: not an address: %s", program_invocation_short_name, text);
}

/* "10.0.0.1:80" */
static inline void endpoint_arg(const char *text, union sockaddr_any *a)
{
	if (!sockaddr_parse(text, a))
		die_usage("%s: expected ADDR:PORT, not %s", program_invocation_short_name, text);
}

/* Of getopt(), what no other case had: -h, or an error that it has told of. */
__attribute__((noreturn)) static inline void other_option(int o, const char *usage)
{
	if (o != 'h')
		die_usage("%s", usage);
	exit(puts(usage) < 0);
}

/* ---- how it ended ---- */

/* How an attempt ended, as the one word that tests compare. */
enum outcome {
	OUT_OK,
	OUT_REFUSED,
	OUT_TIMEOUT,
	OUT_RESET,
	OUT_CLOSED,
	OUT_UNREACHABLE,
	OUT_ERROR
};
#define N_OUTCOMES (OUT_ERROR + 1)

static inline const char *outcome_word(enum outcome o)
{
	static const char *const words[N_OUTCOMES] = { "ok",	 "refused",	"timeout", "reset",
						       "closed", "unreachable", "error" };
	return words[o];
}

/* EPERM: how a packet refused in the output hook shows on a UDP send. */
static inline enum outcome outcome_of_errno(int e)
{
	switch (e) {
	case ECONNREFUSED:
	case EPERM:
		return OUT_REFUSED;
	case ETIMEDOUT:
	case EAGAIN:
		return OUT_TIMEOUT;
	case ECONNRESET:
	case EPIPE:
		return OUT_RESET;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EACCES:
	case ENETDOWN:
		return OUT_UNREACHABLE;
	default:
		return OUT_ERROR;
	}
}

/* "12 ok, 3 refused": zero counts are left out, but never everything. */
static inline void outcome_print(FILE *f, const unsigned long count[N_OUTCOMES])
{
	fprintf(f, "%lu ok", count[OUT_OK]);
	for (int i = 1; i < N_OUTCOMES; i++)
		if (count[i])
			fprintf(f, ", %lu %s", count[i], outcome_word((enum outcome)i));
	fputc('\n', f);
}

static inline void raise_fd_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

#endif
