/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sysctl: changes of /proc/sys that can be put back. The journal file is
 * written (fsync) before a value is changed; restore touches only what still
 * has the value that we wrote.
 */
#ifndef CTL_HOST_SYSCTL_H
#define CTL_HOST_SYSCTL_H

#include "ctl/base/err.h"

struct sysctl_journal; /* STATE/sysctl.json in memory */

/* A missing file is an empty journal. A journal of another boot is dropped (values are gone). */
struct sysctl_journal *sysctl_journal_load(const char *path, const char *boot, struct err *e);
void sysctl_journal_free(struct sysctl_journal *j);
/* name is the path below /proc/sys ("net/ipv4/ip_forward"): interface names may hold dots.
 * The count is of values recorded, also of those that the kernel changes by itself. */
bool sysctl_journal_has(const struct sysctl_journal *j, const char *name);
size_t sysctl_journal_count(const struct sysctl_journal *j);

/* What is to be turned on, per family. */
struct sysctl_wants {
	bool forward_v4; /* net.ipv4.ip_forward = 1 */
	bool forward_v6; /* net.ipv6.conf.all.forwarding = 1, after accept_ra 1 -> 2 everywhere */
	bool route_localnet; /* net.ipv4.conf.all.route_localnet = 1 */
};

/* Which of the switches the journal has: what spctl turned on. */
struct sysctl_wants sysctl_journal_wants(const struct sysctl_journal *j);
/* Is something of `w` off now? */
bool sysctl_is_pending(const struct sysctl_wants *w);
/* 0 if every file that `w` needs to change can be opened for writing; changes nothing. */
int sysctl_check(const struct sysctl_wants *w, struct err *e);
/* Journals, then changes, what is not already so. Also records values that the
 * kernel resets as a side effect of forwarding (conf/X/forwarding, accept_redirects,
 * per interface) and keeps those as they were as far as forwarding allows. */
int sysctl_apply(struct sysctl_journal *j, const struct sysctl_wants *w, struct err *e);
/* Puts back, last change first, what `keep` (may be NULL = nothing) no longer needs, and
 * rewrites or removes the journal. Values that somebody changed since stay (one note each in
 * log_info). */
int sysctl_restore(struct sysctl_journal *j, const struct sysctl_wants *keep, struct err *e);

#endif
