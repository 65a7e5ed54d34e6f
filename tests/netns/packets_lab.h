/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Real connections in the lab (scripts/lab.sh), all made by one thread: a socket
 * stays in the network namespace that it was made in. Servers listen on every
 * port that a route may lead to, so what is seen of a connection is which of
 * them got it, at which address and port, and from whom.
 */
#ifndef TESTS_NETNS_PACKETS_LAB_H
#define TESTS_NETNS_PACKETS_LAB_H

#include <netinet/in.h>

#include "ctl/base/addr.h"

enum lab_ns { NS_CL, NS_C2, NS_A, NS_B, NS_FO, NS_GW, N_NS };

struct lab_client {
	enum lab_ns ns;
	struct addr addr;
};

struct lab_server {
	int fd;
	enum lab_ns ns;
	uint8_t proto;
	uint16_t port;
	struct addr addr; /* ADDR_NONE = every address of the namespace */
};

struct lab {
	int ns[N_NS];
	int epoll;
	struct lab_server *servers;
	unsigned n_servers, cap_servers;
	uint16_t next_port; /* of clients: none is used twice while conntrack knows it */
	uint64_t nonce;
	bool hold; /* connections stay open until lab_release() */
	int *held; /* both ends */
	unsigned n_held, cap_held;
};

enum lab_outcome {
	LAB_ANSWERED, /* the server got the client's bytes, and the client the server's */
	LAB_REFUSED,  /* reset, closed without an answer, or ICMP port unreachable */
	LAB_SILENT,   /* nothing came of it in time */
	LAB_STRANGE,  /* anything else; error says what */
};

struct lab_seen {
	enum lab_outcome outcome;
	const struct lab_server *server;
	struct addr target, client; /* as the server saw them */
	uint16_t port;
	int error; /* errno */
};

/* All of these print what failed and return false: there is nothing to test then. */
bool lab_open(struct lab *l);
bool lab_enter(const struct lab *l, enum lab_ns ns);
/* addr NULL: on all addresses. TCP and UDP. Enters ns. */
bool lab_serve(struct lab *l, enum lab_ns ns, const char *addr, uint16_t port);
/* The gateway forgets all connections. */
bool lab_forget(struct lab *l);
void lab_close(struct lab *l);

/* Does a server of that namespace listen there? */
const struct lab_server *lab_server_at(const struct lab *l, enum lab_ns ns, uint8_t proto,
				       const struct addr *addr, uint16_t port);
/* Makes one connection, exchanges a few bytes both ways and resets it (or holds it: TCP). */
void lab_connect(struct lab *l, const struct lab_client *c, uint8_t proto, const struct addr *to,
		 uint16_t port, struct lab_seen *out);
/* Ends those that were held. */
void lab_release(struct lab *l);

#endif
