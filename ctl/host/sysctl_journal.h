/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sysctl_journal: what sysctl.c changed, in memory and on disk. A group is one
 * switch (IPv4 forwarding ...) with all values that go with it; groups stand in
 * the order in which they were turned on.
 */
#ifndef CTL_HOST_SYSCTL_JOURNAL_H
#define CTL_HOST_SYSCTL_JOURNAL_H

#include "ctl/base/buf.h"
#include "ctl/host/sysctl.h"

#define SYSCTL_VALUE_MAX 32

enum sysctl_kind {
	SYSCTL_OWN,  /* written by us before the switch: accept_ra */
	SYSCTL_MAIN, /* the switch */
	SYSCTL_SIDE, /* the kernel sets it to `ours` with the switch, to `reset` without */
	SYSCTL_KEEP, /* likewise, but we put it back to `old` right after */
};

struct sysctl_entry {
	enum sysctl_kind kind;
	char *name; /* path below /proc/sys, owned */
	char old[SYSCTL_VALUE_MAX], ours[SYSCTL_VALUE_MAX], reset[SYSCTL_VALUE_MAX];
};

enum sysctl_switch { SYSCTL_FORWARD_V4, SYSCTL_FORWARD_V6, SYSCTL_ROUTE_LOCALNET };
#define SYSCTL_SWITCHES 3

/* What may have been done when this phase is read from disk. */
enum sysctl_phase {
	SYSCTL_APPLYING,  /* anything between nothing and all but the KEEP values */
	SYSCTL_APPLIED,	  /* all; `ours` of KEEP is their old value now */
	SYSCTL_RESTORING, /* `old` is the value to end with; the switch may be off already */
};

struct sysctl_group {
	enum sysctl_switch which;
	enum sysctl_phase phase;
	struct sysctl_entry *v;
	size_t n, cap;
};

struct sysctl_journal {
	char *path, *boot; /* owned */
	struct sysctl_group groups[SYSCTL_SWITCHES];
	size_t n;
};

struct sysctl_group *sysctl_journal_find(struct sysctl_journal *j, enum sysctl_switch which);
struct sysctl_group *sysctl_journal_add(struct sysctl_journal *j, enum sysctl_switch which);
void sysctl_journal_drop(struct sysctl_journal *j, struct sysctl_group *g);
struct sysctl_entry *sysctl_group_find(struct sysctl_group *g, const char *name);
/* NULL when out of memory. Pointers to entries are good until the next add. */
struct sysctl_entry *sysctl_group_add(struct sysctl_group *g, enum sysctl_kind kind,
				      const char *name);
/* fsynced; without groups the file is removed. */
int sysctl_journal_save(const struct sysctl_journal *j, struct err *e);
/* The file as text (owned by the caller) and back; pure. Format: NULL when out of memory or where a
 * name is not UTF-8. Parse: j has path and boot and no groups; on -EBADMSG what it has is for
 * sysctl_journal_free() only. */
char *sysctl_journal_format(const struct sysctl_journal *j);
int sysctl_journal_parse(struct sysctl_journal *j, const struct buf *b, struct err *e);

#endif
