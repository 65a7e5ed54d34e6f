/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/netns/property_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the lab's servers ---- */

static bool serve_some(struct lab *l, uint16_t port)
{
	static const char *const some[] = { "127.0.0.1", "10.20.0.1", "fd20::1" };

	for (unsigned i = 0; i < N(some); i++)
		if (!lab_serve(l, NS_GW, some[i], port))
			return false;
	return true;
}

/* In the gateway some listen on all its addresses, some on a few, and on most ports nobody does. */
static bool serve_gateway(struct lab *l, const struct property_world *w, uint16_t port,
			  bool of_route)
{
	if (of_route && (!w->own_every || port % w->own_every))
		return true;
	return port == 7001 ? serve_some(l, port) : lab_serve(l, NS_GW, NULL, port);
}

static bool serve_port(struct lab *l, const struct property_world *w, uint16_t port, bool of_route)
{
	static const enum lab_ns others[] = { NS_CL, NS_A, NS_B, NS_FO };

	for (unsigned i = 0; i < N(others); i++)
		if (!lab_serve(l, others[i], NULL, port))
			return false;
	return serve_gateway(l, w, port, of_route);
}

/* On all ports that a target may have: fixed ones, and each of the routes with each offset. */
static bool serve_all(struct lab *l, const struct property_world *w)
{
	static const int offsets[] = { 0, 100, -200 };

	for (unsigned i = 0; i < N(offsets); i++)
		for (int port = 0; port < w->n_ports; port++)
			if (!serve_port(l, w, (uint16_t)(PROPERTY_FIRST_PORT + port + offsets[i]),
					!offsets[i]))
				return false;
	for (uint16_t port = 7000; port <= 7002; port++)
		if (!serve_port(l, w, port, false))
			return false;
	return true;
}

static bool set_up(struct property *p, const struct property_world *w)
{
	struct err e = { 0 };

	if (w->clients.n > PROPERTY_CLIENTS || w->locals.n > PROPERTY_LOCALS)
		return false;
	for (; p->n_clients < w->clients.n; p->n_clients++) {
		p->clients[p->n_clients].ns = w->clients.v[p->n_clients].ns;
		if (!addr_parse(w->clients.v[p->n_clients].addr, &p->clients[p->n_clients].addr))
			return false;
	}
	for (; p->n_locals < w->locals.n; p->n_locals++)
		if (!addr_parse(w->locals.v[p->n_locals], &p->locals[p->n_locals]))
			return false;
	if (!lab_open(&p->lab) || !serve_all(&p->lab, w) || !lab_enter(&p->lab, NS_GW))
		return false;
	if (!host_facts_read(&p->host, &e))
		return true;
	fprintf(stderr, "%s\n", e.msg);
	return false;
}

/* ---- connections ---- */

/* 127.0.0.1 is for the gateway alone, and as a source only for 127.0.0.1. */
static bool is_possible(const struct conn *conn)
{
	const struct addr *local = &conn->at.local, *client = &conn->at.client;

	if (local->family != client->family)
		return false;
	if (addr_is_loopback(client))
		return addr_is_loopback(local);
	return conn->client->ns == NS_GW || !addr_is_loopback(local);
}

struct conn property_conn(const struct property *p, uint16_t port, uint8_t proto,
			  unsigned (*draw)(unsigned n))
{
	struct conn conn = { .at.port = port, .at.proto = proto };

	do {
		conn.client = &p->clients[draw(p->n_clients)];
		conn.at.client = conn.client->addr;
		conn.at.local = p->locals[draw(p->n_locals)];
	} while (!is_possible(&conn));
	return conn;
}

/* ---- spctl ---- */

static void messages_path(const struct property *p, char out[512])
{
	snprintf(out, 512, "%s/spctl.err", p->dir);
}

int property_spctl(const struct property *p, const char *command, const char *file)
{
	char messages[512];
	int status, fd;
	pid_t pid;

	messages_path(p, messages);
	if (!lab_enter(&p->lab, NS_GW))
		return -1;
	pid = fork();
	if (!pid) {
		fd = open(messages, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		execl(p->spctl, p->spctl, command, file, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void property_show_messages(const struct property *p)
{
	char path[512], line[512];
	FILE *f;

	messages_path(p, path);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		printf("  %s", line);
	if (f)
		fclose(f);
}

/* ---- files ---- */

void property_write(const struct property *p, const struct buf *text, char out[512])
{
	FILE *f;
	bool ok;

	snprintf(out, 512, "%s/random.json", p->dir);
	f = text->failed ? NULL : fopen(out, "w");
	ok = f && fwrite(text->data, 1, text->len, f) == text->len;
	if (!f || fclose(f) || !ok)
		exit(2);
}

void property_show_file(const struct property *p, uint64_t seed, const struct buf *text)
{
	printf("%u wrong; repeat with SEED=%llu ROUNDS=1\n%.*s", p->wrong, (unsigned long long)seed,
	       (int)text->len, text->data);
}

/* ---- all of it ---- */

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

bool property_run(struct property *p, const struct property_world *w, int argc, char **argv,
		  void (*one)(struct property *p, uint64_t seed))
{
	const uint64_t seed = number_of("SEED", (uint64_t)time(NULL));
	const uint64_t rounds = number_of("ROUNDS", 0);
	const double limit = (double)number_of("PACKETS_SECONDS", 15);
	double start;

	if (argc != 3) {
		fprintf(stderr, "usage: %s SPCTL DIR\n", program_invocation_short_name);
		return false;
	}
	p->spctl = argv[1];
	p->dir = argv[2];
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!set_up(p, w))
		return false;
	printf("SEED=%llu\n", (unsigned long long)seed);
	start = now_s();
	for (uint64_t n = 0; !p->wrong && (rounds ? n < rounds : p->seconds < limit); n++) {
		one(p, seed + n);
		p->seconds = now_s() - start;
	}
	return true;
}

void property_fini(struct property *p)
{
	host_facts_fini(&p->host);
	lab_close(&p->lab);
}
