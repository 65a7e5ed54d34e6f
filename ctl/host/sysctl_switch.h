/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sysctl_switch: the three switches as data, and reading and recording values
 * below /proc/sys. Shared by sysctl.c and sysctl_restore.c only.
 */
#ifndef CTL_HOST_SYSCTL_SWITCH_H
#define CTL_HOST_SYSCTL_SWITCH_H

#include "ctl/host/sysctl_journal.h"

#define SYSCTL_ROOT	"/proc/sys/"
#define SYSCTL_NAME_CAP 128 /* "net/ipv4/conf/" + IFNAMSIZ + the longest leaf */
#define SYSCTL_PATH_CAP (sizeof(SYSCTL_ROOT) + SYSCTL_NAME_CAP)

struct sysctl_switch_info {
	const char *main;
	const char *conf; /* directory with one directory per interface, or NULL */
	const char *own;  /* leaf that goes from 1 to 2 before, or NULL */
	const char *keep; /* gets 0 with the switch on and 1 with it off, or NULL */
};

extern const struct sysctl_switch_info sysctl_switches[SYSCTL_SWITCHES];

bool sysctl_switch_is_wanted(const struct sysctl_wants *w, enum sysctl_switch which);
int sysctl_value_read(const char *name, char out[SYSCTL_VALUE_MAX], struct err *e);
int sysctl_value_write(const char *name, const char *value, struct err *e);
/* Reads the switch itself; -ENOENT says that the kernel has no IPv6. */
int sysctl_switch_read(const struct sysctl_switch_info *s, char out[SYSCTL_VALUE_MAX],
		       struct err *e);
/* Calls fn for each conf/X of the switch but conf/all, which is the switch itself. */
int sysctl_each_conf(const struct sysctl_switch_info *s, const char *leaf,
		     int (*fn)(const char *name, void *arg, struct err *e), void *arg,
		     struct err *e);
/* Adds an entry with the present value as `old`; one that vanished is skipped. */
int sysctl_record(struct sysctl_group *g, enum sysctl_kind kind, const char *name, const char *ours,
		  const char *reset, struct err *e);
/* The same for sysctl_each_conf(); arg is the group. */
int sysctl_record_own(const char *name, void *arg, struct err *e);
int sysctl_record_side(const char *name, void *arg, struct err *e);
/* Puts one group back and takes it out of the journal (sysctl_restore.c). */
int sysctl_group_restore(struct sysctl_journal *j, struct sysctl_group *g, struct err *e);

#endif
