/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dns_watch: notices that /etc/resolv.conf or /etc/hosts says something else than before. A host
 * that boots gets its name servers later than its services; one that moves gets others. */
#ifndef CTL_SERVICE_DNS_WATCH_H
#define CTL_SERVICE_DNS_WATCH_H

#include <jansson.h>
#include <sys/stat.h>

#include "dataplane/loop.h"

#define DNS_WATCH_MS 2000

struct dns_watch {
	struct loop *loop;
	struct timer clock;
	struct stat seen[2];
	json_t *last;
	void (*changed)(void *arg, json_t *dns); /* borrowed: dns_conf.h */
	void *arg;
};

void dns_watch_start(struct dns_watch *w, struct loop *l, void (*changed)(void *arg, json_t *dns),
		     void *arg);
void dns_watch_stop(struct dns_watch *w);

#endif
