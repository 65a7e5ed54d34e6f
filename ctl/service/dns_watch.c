/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A look every two seconds instead of inotify: these files are symbolic links to
 * places that come and go, bind mounts, and renamed over; stat(2) sees all of that.
 */
#include "ctl/service/dns_watch.h"

#include "ctl/base/log.h"
#include "ctl/service/dns_conf.h"

static const char *const files[2] = { "/etc/resolv.conf", "/etc/hosts" };

/* Has either another file, or another time or size? One that is gone is all zeros. */
static bool looks_other(struct dns_watch *w)
{
	bool other = false;

	for (int i = 0; i < 2; i++) {
		struct stat now = { 0 }, *was = &w->seen[i];

		if (stat(files[i], &now) < 0)
			now = (struct stat){ 0 };
		other |= now.st_dev != was->st_dev || now.st_ino != was->st_ino ||
			 now.st_size != was->st_size || now.st_mtim.tv_sec != was->st_mtim.tv_sec ||
			 now.st_mtim.tv_nsec != was->st_mtim.tv_nsec;
		*was = now;
	}
	return other;
}

static void look(struct timer *t)
{
	struct dns_watch *w = (struct dns_watch *)((char *)t - offsetof(struct dns_watch, clock));
	json_t *now = looks_other(w) ? dns_conf_read() : NULL;

	if (now && !json_equal(now, w->last)) {
		log_info("/etc/resolv.conf or /etc/hosts has changed: names are looked up anew");
		w->changed(w->arg, now);
		json_decref(w->last);
		w->last = json_incref(now);
	}
	json_decref(now);
	timer_set(w->loop, t, loop_now_ms(w->loop) + DNS_WATCH_MS, look);
}

void dns_watch_start(struct dns_watch *w, struct loop *l, void (*changed)(void *arg, json_t *dns),
		     void *arg)
{
	*w = (struct dns_watch){ .loop = l, .changed = changed, .arg = arg };
	looks_other(w);
	w->last = dns_conf_read();
	timer_set(l, &w->clock, loop_now_ms(l) + DNS_WATCH_MS, look);
}

void dns_watch_stop(struct dns_watch *w)
{
	if (w->loop)
		timer_cancel(w->loop, &w->clock);
	json_decref(w->last);
	*w = (struct dns_watch){ 0 };
}
