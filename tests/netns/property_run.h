/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * property_run: what the property tests of the lab have in common: the program and the directory
 * that they were given, clients and addresses, spctl called in the gateway, and one random file
 * after the other until the time is over or something is wrong. Environment:
 * - SEED=N of the first file; file n has SEED + n (default: the time).
 * - ROUNDS=N: so many files instead of a time.
 * - PACKETS_SECONDS=N: so long (default 15).
 */
#ifndef TESTS_NETNS_PROPERTY_RUN_H
#define TESTS_NETNS_PROPERTY_RUN_H

#include "ctl/base/buf.h"
#include "ctl/host/host.h"
#include "tests/netns/packets_expect.h"
#include "tests/property/words.h"

#define PROPERTY_CLIENTS    24
#define PROPERTY_LOCALS	    8
#define PROPERTY_FIRST_PORT 9001 /* of the routes */

/* The world of one test; all of it is constant. */
struct property_world {
	struct {
		const struct property_client {
			enum lab_ns ns;
			const char *addr;
		} * v;
		unsigned n;
	} clients;
	struct words locals; /* addresses of the gateway */
	uint16_t n_ports;    /* of the routes; their targets may stand beside them */
	/* Of the routes' own ports the gateway itself serves those that this divides; 0 = none,
	 * because a relay listens there. */
	uint16_t own_every;
};

struct property {
	const char *spctl, *dir; /* borrowed */
	struct lab lab;
	struct host_facts host;
	struct lab_client clients[PROPERTY_CLIENTS];
	struct addr locals[PROPERTY_LOCALS];
	unsigned n_clients, n_locals, wrong;
	double seconds; /* that it took */
};

/* Runs one(p, seed) until p->wrong; false: it could not, which has been said. End it with
 * property_fini(). */
bool property_run(struct property *p, const struct property_world *w, int argc, char **argv,
		  void (*one)(struct property *p, uint64_t seed));
void property_fini(struct property *p);

/* From any client that can reach it, to any address of the gateway. draw: below n. */
struct conn property_conn(const struct property *p, uint16_t port, uint8_t proto,
			  unsigned (*draw)(unsigned n));
/* Writes DIR/random.json, and its path to out. Ends the program where that fails. */
void property_write(const struct property *p, const struct buf *text, char out[512]);
/* spctl's exit code, -1: it did not run. file may be NULL. */
int property_spctl(const struct property *p, const char *command, const char *file);
/* What it said. */
void property_show_messages(const struct property *p);
/* How many are wrong, how to repeat it, and the file. */
void property_show_file(const struct property *p, uint64_t seed, const struct buf *text);

#endif
