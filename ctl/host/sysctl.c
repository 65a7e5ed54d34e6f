/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Turning forwarding on or off is one write that makes the kernel overwrite
 * other values (inet_forward_change, addrconf_fixup_forwarding):
 *
 *   net/ipv4/ip_forward          every conf/X/forwarding (default, too) gets the same;
 *                                conf/all/accept_redirects gets the opposite
 *   net/ipv6/conf/all/forwarding every conf/X/forwarding (default, too) gets the same;
 *                                learned default routes go, except where accept_ra is 2
 *   net/ipv4/conf/all/route_localnet   nothing else
 *
 * So a switch is recorded with everything around it, in three phases, each on
 * disk before the first write that belongs to it (sysctl_journal.h). Whether a
 * value is still ours must be asked before the switch goes off, because after
 * that the kernel has overwritten it: the answers are put into the journal.
 * Rejected: one flat list of old values - a kill between the switch and the
 * last value could then not be told from an administrator's change.
 *
 * Values are compared as text; paths, never dotted names (eth0.100).
 */
#include "ctl/host/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/base/log.h"
#include "ctl/host/sysctl_journal.h"
#include "ctl/host/sysctl_switch.h"

static bool is_on(const char *value)
{
	return atoi(value) != 0;
}

/* ---- turning on ---- */

static int record_switch(struct sysctl_group *g, struct err *e)
{
	const struct sysctl_switch_info *s = &sysctl_switches[g->which];
	int rc = 0;

	if (s->own)
		rc = sysctl_each_conf(s, s->own, sysctl_record_own, g, e);
	if (!rc)
		rc = sysctl_record(g, SYSCTL_MAIN, s->main, "1", "", e);
	if (!rc && s->conf)
		rc = sysctl_each_conf(s, "forwarding", sysctl_record_side, g, e);
	if (!rc && s->keep)
		rc = sysctl_record(g, SYSCTL_KEEP, s->keep, "0", "1", e);
	return rc;
}

/* Somebody turned it off and we are to turn it on again: the first old values stay, but
 * what we only guard over the switch is taken as it is now. */
static int record_again(struct sysctl_group *g, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < g->n; i++) {
		if (g->v[i].kind != SYSCTL_KEEP)
			continue;
		rc = sysctl_value_read(g->v[i].name, g->v[i].old, e);
		snprintf(g->v[i].ours, sizeof(g->v[i].ours), "0");
	}
	g->phase = SYSCTL_APPLYING;
	return rc;
}

static int write_kind(struct sysctl_group *g, enum sysctl_kind kind, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < g->n; i++) {
		const struct sysctl_entry *t = &g->v[i];
		char now[SYSCTL_VALUE_MAX];

		if (t->kind != kind || sysctl_value_read(t->name, now, NULL) ||
		    !strcmp(now, t->ours))
			continue;
		/* Not what we saw when we recorded it: somebody's own choice of just now. */
		if (kind == SYSCTL_OWN && strcmp(now, t->old) != 0)
			continue;
		rc = sysctl_value_write(t->name, t->ours, e);
		if (rc == -ENOENT && kind != SYSCTL_MAIN)
			rc = 0;
	}
	return rc;
}

/* After the switch: what the kernel changed beside it goes back to what it was. */
static int settle(struct sysctl_journal *j, struct sysctl_group *g, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < g->n; i++) {
		struct sysctl_entry *t = &g->v[i];
		char now[SYSCTL_VALUE_MAX];

		if (t->kind != SYSCTL_KEEP)
			continue;
		rc = sysctl_value_read(t->name, now, e);
		if (!rc && !strcmp(now, t->ours) && strcmp(now, t->old) != 0)
			rc = sysctl_value_write(t->name, t->old, e);
		if (!rc)
			memcpy(t->ours, t->old, sizeof(t->ours));
	}
	g->phase = SYSCTL_APPLIED;
	return rc ? rc : sysctl_journal_save(j, e);
}

/* The journal on disk knows g already. */
static int turn_on(struct sysctl_journal *j, struct sysctl_group *g, struct err *e)
{
	struct err undo;
	int rc = write_kind(g, SYSCTL_OWN, e);

	if (!rc)
		rc = write_kind(g, SYSCTL_MAIN, e);
	if (!rc)
		rc = settle(j, g, e);
	if (rc && sysctl_group_restore(j, g, &undo) < 0)
		log_warn("some kernel settings could not be put back: %s", undo.msg);
	return rc;
}

static int switch_apply(struct sysctl_journal *j, enum sysctl_switch which, struct err *e)
{
	const struct sysctl_switch_info *s = &sysctl_switches[which];
	struct sysctl_group *g = sysctl_journal_find(j, which);
	char now[SYSCTL_VALUE_MAX];
	int rc;

	if (g && g->phase == SYSCTL_RESTORING) {
		/* A `down` was killed: let it end first. */
		rc = sysctl_group_restore(j, g, e);
		if (rc)
			return rc;
		g = NULL;
	}
	rc = sysctl_switch_read(s, now, e);
	if (rc)
		return rc;
	if (is_on(now))
		return g && g->phase == SYSCTL_APPLYING ? settle(j, g, e) : 0;
	if (g) {
		rc = record_again(g, e);
		if (!rc)
			rc = sysctl_journal_save(j, e);
		return rc ? rc : turn_on(j, g, e);
	}
	g = sysctl_journal_add(j, which);
	rc = record_switch(g, e);
	if (!rc)
		rc = sysctl_journal_save(j, e);
	if (!rc)
		return turn_on(j, g, e);
	/* Nothing was changed, so nothing is to be remembered. */
	sysctl_journal_drop(j, g);
	return rc;
}

int sysctl_apply(struct sysctl_journal *j, const struct sysctl_wants *w, struct err *e)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < SYSCTL_SWITCHES; i++)
		if (sysctl_switch_is_wanted(w, (enum sysctl_switch)i))
			rc = switch_apply(j, (enum sysctl_switch)i, e);
	return rc;
}

/* ---- looking first ---- */

bool sysctl_is_pending(const struct sysctl_wants *w)
{
	for (unsigned i = 0; i < SYSCTL_SWITCHES; i++) {
		char now[SYSCTL_VALUE_MAX];

		if (sysctl_switch_is_wanted(w, (enum sysctl_switch)i) &&
		    !sysctl_switch_read(&sysctl_switches[i], now, NULL) && !is_on(now))
			return true;
	}
	return false;
}

static int check_writable(const char *name, struct err *e)
{
	char path[SYSCTL_PATH_CAP];
	int fd, rc;

	snprintf(path, sizeof(path), SYSCTL_ROOT "%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	rc = err_sys(e, errno, "cannot write %s", path);
	err_hint(e, "run as root where /proc/sys is writable, or set it before spctl starts");
	return rc;
}

static int check_own(const char *name, void *arg, struct err *e)
{
	char now[SYSCTL_VALUE_MAX];

	(void)arg;
	if (sysctl_value_read(name, now, NULL) || strcmp(now, "1") != 0)
		return 0;
	return check_writable(name, e);
}

static int switch_check(const struct sysctl_switch_info *s, struct err *e)
{
	char now[SYSCTL_VALUE_MAX];
	int rc = sysctl_switch_read(s, now, e);

	if (rc || is_on(now))
		return rc;
	rc = check_writable(s->main, e);
	if (!rc && s->own)
		rc = sysctl_each_conf(s, s->own, check_own, NULL, e);
	if (!rc && s->keep)
		rc = check_writable(s->keep, e);
	return rc;
}

int sysctl_check(const struct sysctl_wants *w, struct err *e)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < SYSCTL_SWITCHES; i++)
		if (sysctl_switch_is_wanted(w, (enum sysctl_switch)i))
			rc = switch_check(&sysctl_switches[i], e);
	return rc;
}
