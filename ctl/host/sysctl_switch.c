/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/sysctl_switch.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/base/io.h"

const struct sysctl_switch_info sysctl_switches[SYSCTL_SWITCHES] = {
	[SYSCTL_FORWARD_V4] = { "net/ipv4/ip_forward", "net/ipv4/conf", NULL,
				"net/ipv4/conf/all/accept_redirects" },
	[SYSCTL_FORWARD_V6] = { "net/ipv6/conf/all/forwarding", "net/ipv6/conf", "accept_ra",
				NULL },
	[SYSCTL_ROUTE_LOCALNET] = { "net/ipv4/conf/all/route_localnet", NULL, NULL, NULL },
};

bool sysctl_switch_is_wanted(const struct sysctl_wants *w, enum sysctl_switch which)
{
	if (!w)
		return false;
	if (which == SYSCTL_FORWARD_V4)
		return w->forward_v4;
	return which == SYSCTL_FORWARD_V6 ? w->forward_v6 : w->route_localnet;
}

int sysctl_value_read(const char *name, char out[SYSCTL_VALUE_MAX], struct err *e)
{
	char path[SYSCTL_PATH_CAP];

	snprintf(path, sizeof(path), SYSCTL_ROOT "%s", name);
	return io_read_text(path, out, SYSCTL_VALUE_MAX, e);
}

int sysctl_value_write(const char *name, const char *value, struct err *e)
{
	char path[SYSCTL_PATH_CAP];

	snprintf(path, sizeof(path), SYSCTL_ROOT "%s", name);
	return io_write_text(path, value, e);
}

int sysctl_switch_read(const struct sysctl_switch_info *s, char out[SYSCTL_VALUE_MAX],
		       struct err *e)
{
	int rc = sysctl_value_read(s->main, out, e);

	if (rc == -ENOENT && s->own)
		return err_set(e, ENOENT, "IPv6 forwarding is needed, but this kernel has no IPv6");
	return rc;
}

int sysctl_each_conf(const struct sysctl_switch_info *s, const char *leaf,
		     int (*fn)(const char *name, void *arg, struct err *e), void *arg,
		     struct err *e)
{
	char path[SYSCTL_PATH_CAP], name[SYSCTL_NAME_CAP];
	struct dirent *ent;
	DIR *d;
	int rc = 0;

	snprintf(path, sizeof(path), SYSCTL_ROOT "%s", s->conf);
	d = opendir(path);
	if (!d)
		return err_sys(e, errno, "cannot list %s", path);
	while (!rc && (ent = readdir(d))) {
		if (!strcmp(ent->d_name, ".") || !strcmp(ent->d_name, "..") ||
		    !strcmp(ent->d_name, "all"))
			continue;
		if (snprintf(name, sizeof(name), "%s/%s/%s", s->conf, ent->d_name, leaf) <
		    (int)sizeof(name))
			rc = fn(name, arg, e);
	}
	closedir(d);
	return rc;
}

int sysctl_record(struct sysctl_group *g, enum sysctl_kind kind, const char *name, const char *ours,
		  const char *reset, struct err *e)
{
	char old[SYSCTL_VALUE_MAX];
	struct sysctl_entry *t;
	struct err one = { 0 };
	int rc = sysctl_value_read(name, old, &one);

	/* An interface may go away while we look. */
	if (rc == -ENOENT && kind != SYSCTL_MAIN)
		return 0;
	if (rc) {
		if (e)
			*e = one;
		return rc;
	}
	t = sysctl_group_add(g, kind, name);
	if (!t)
		return err_set(e, ENOMEM, "out of memory");
	snprintf(t->old, sizeof(t->old), "%s", old);
	snprintf(t->ours, sizeof(t->ours), "%s", ours ? ours : strcmp(old, "1") ? old : "2");
	snprintf(t->reset, sizeof(t->reset), "%s", reset);
	return 0;
}

int sysctl_record_own(const char *name, void *arg, struct err *e)
{
	return sysctl_record(arg, SYSCTL_OWN, name, NULL, "", e);
}

int sysctl_record_side(const char *name, void *arg, struct err *e)
{
	return sysctl_record(arg, SYSCTL_SIDE, name, "1", "0", e);
}
