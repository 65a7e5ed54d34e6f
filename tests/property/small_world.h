/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A world small enough to ask about each connection of it. */
#ifndef TESTS_PROPERTY_SMALL_WORLD_H
#define TESTS_PROPERTY_SMALL_WORLD_H

#include "ctl/config/config.h"
#include "tests/property/route_world.h"

static const char *const world_locals[] = { "10.1.0.1", "10.1.0.2", "10.1.0.3", "fd01::1",
					    "fd01::2" };
static const char *const world_clients[] = { "10.0.0.0",    "10.0.0.1", "10.0.0.6",
					     "10.0.0.7",    "10.0.0.8", "192.168.1.9",
					     "fd00::1",	    "fd00::2",	"fd00::1:0",
					     "2001:db8::1", "0.0.0.0",	"255.255.255.255" };
static const char *const world_ranges[] = { "10.0.0.0/29",	 "10.0.0.0/8",	"10.0.0.6-10.0.0.8",
					    "10.0.0.7",		 "0.0.0.0/0",	"fd00::/64",
					    "fd00::1",		 "::/0",	"192.168.1.*",
					    "2001:db8::/32",	 "10.0.0.0/30", "255.255.255.255",
					    "fd00::1-fd00::1:0", "*",		"10.?.0.1" };
static const char *const world_hosts[] = { "\"10.2.0.2\"", "\"fd02::2\"",
					   "[\"10.2.0.2\",\"fd02::2\"]",
					   "[\"10.2.0.2\",\"10.2.0.3\"]",
					   "[\"10.2.0.2\",\"fd02::2\",\"fd02::3\"]" };
static const char *const world_target_ports[] = { "80", "\"preserve\"", "\"+1000\"" };
#define WORLD_PORTS 24

static const struct route_world small_world = { .locals = WORDS(world_locals),
						.clients = WORDS(world_clients),
						.ranges = WORDS(world_ranges),
						.hosts = WORDS(world_hosts),
						.target_ports = WORDS(world_target_ports),
						.first_port = 1,
						.n_ports = WORLD_PORTS,
						.names_and_limits = true };

static bool oracle_has_family(const struct cfg_route *r, int family)
{
	for (unsigned i = 0; i < r->action.targets[0].n_hosts; i++)
		if (r->action.targets[0].hosts[i].addr.family == family)
			return true;
	return false;
}

#endif
