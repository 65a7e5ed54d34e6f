/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Putting back: sysctl.c says why it goes in two steps - decide() while the
 * switch is still on, put_all_back() when it is off.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/base/log.h"
#include "ctl/host/sysctl_switch.h"

static void note(const struct sysctl_entry *t, const char *now)
{
	if (strcmp(now, t->ours) != 0 && strcmp(now, t->old) != 0)
		log_info("%s was changed to %s by somebody else: it stays", t->name, now);
}

/* An interface that came while the switch was on has what `default` gave it then. */
static int record_newcomer(struct sysctl_group *g, const char *name, const char *leaf,
			   enum sysctl_kind kind, struct err *e)
{
	char path[SYSCTL_NAME_CAP];
	struct sysctl_entry *t, *model;
	size_t n = g->n;
	int rc;

	if (sysctl_group_find(g, name))
		return 0;
	rc = kind == SYSCTL_OWN ? sysctl_record_own(name, g, e) : sysctl_record_side(name, g, e);
	if (rc || g->n == n)
		return rc;
	t = &g->v[n];
	snprintf(path, sizeof(path), "%s/default/%s", sysctl_switches[g->which].conf, leaf);
	model = sysctl_group_find(g, path);
	/* `old` holds its present value: it goes where `default` goes, or stays. */
	if (model && !strcmp(t->old, model->ours)) {
		memcpy(t->ours, model->ours, sizeof(t->ours));
		memcpy(t->old, model->old, sizeof(t->old));
	} else {
		memcpy(t->ours, t->old, sizeof(t->ours));
	}
	return 0;
}

static int newcomer_own(const char *name, void *arg, struct err *e)
{
	struct sysctl_group *g = arg;

	return record_newcomer(g, name, sysctl_switches[g->which].own, SYSCTL_OWN, e);
}

static int newcomer_side(const char *name, void *arg, struct err *e)
{
	return record_newcomer(arg, name, "forwarding", SYSCTL_SIDE, e);
}

/* A full disk must not keep `down` from its work: without the note, a kill in the next few
 * milliseconds would leave some values as the kernel reset them. */
static int save_or_warn(struct sysctl_journal *j, struct err *e)
{
	struct err full = { 0 };
	int rc = sysctl_journal_save(j, &full);

	if (rc == -ENOSPC || rc == -EDQUOT || rc == -EROFS) {
		log_warn("%s: kernel settings are put back all the same", full.msg);
		return 0;
	}
	if (rc && e)
		*e = full;
	return rc;
}

/* While the switch is still on: what should each value be when it is off? */
static int decide(struct sysctl_journal *j, struct sysctl_group *g, struct err *e)
{
	const struct sysctl_switch_info *s = &sysctl_switches[g->which];
	char now[SYSCTL_VALUE_MAX];
	int rc = 0;

	for (size_t i = 0; i < g->n; i++) {
		struct sysctl_entry *t = &g->v[i];

		if ((t->kind != SYSCTL_SIDE && t->kind != SYSCTL_KEEP) ||
		    sysctl_value_read(t->name, now, NULL) || !strcmp(now, t->ours))
			continue;
		note(t, now);
		memcpy(t->old, now, sizeof(t->old));
	}
	if (s->own)
		rc = sysctl_each_conf(s, s->own, newcomer_own, g, e);
	if (!rc && s->conf)
		rc = sysctl_each_conf(s, "forwarding", newcomer_side, g, e);
	if (rc)
		return rc;
	g->phase = SYSCTL_RESTORING;
	return save_or_warn(j, e);
}

/* One value back, if it is what `expected` says. The first failure is kept in e. */
static int put_back(const struct sysctl_entry *t, const char *expected, struct err *e)
{
	char now[SYSCTL_VALUE_MAX];
	int rc = sysctl_value_read(t->name, now, e);

	if (!rc && strcmp(now, expected) != 0)
		note(t, now);
	else if (!rc && strcmp(now, t->old) != 0)
		rc = sysctl_value_write(t->name, t->old, e);
	/* The interface is gone, and with it the value. */
	return rc == -ENOENT ? 0 : rc;
}

static int put_all_back(const struct sysctl_group *g, bool with_sides, struct err *e)
{
	struct err first = { 0 }, one;

	for (size_t i = g->n; i-- > 0;) {
		const struct sysctl_entry *t = &g->v[i];
		int rc = 0;

		if (t->kind == SYSCTL_OWN)
			rc = put_back(t, t->ours, &one);
		else if (t->kind != SYSCTL_MAIN && with_sides)
			rc = put_back(t, t->reset, &one);
		if (rc && !first.code)
			first = one;
	}
	if (first.code && e)
		*e = first;
	return first.code;
}

int sysctl_group_restore(struct sysctl_journal *j, struct sysctl_group *g, struct err *e)
{
	const struct sysctl_switch_info *s = &sysctl_switches[g->which];
	const struct sysctl_entry *t = sysctl_group_find(g, s->main);
	bool with_sides = g->phase == SYSCTL_RESTORING;
	char now[SYSCTL_VALUE_MAX];
	int rc = t ? sysctl_value_read(s->main, now, e) : -ENOENT;

	if (!rc && !strcmp(now, t->ours)) {
		rc = decide(j, g, e);
		t = sysctl_group_find(g, s->main); /* decide() may have moved it */
		if (!rc)
			rc = sysctl_value_write(s->main, t->old, e);
		with_sides = true;
	} else if (!rc && g->phase == SYSCTL_APPLIED) {
		log_info("%s was turned off by somebody else: it stays", s->main);
	}
	if (rc && rc != -ENOENT)
		return rc;
	if (rc && e)
		*e = (struct err){ 0 };
	rc = put_all_back(g, with_sides, e);
	if (rc)
		return rc;
	sysctl_journal_drop(j, g);
	return save_or_warn(j, e);
}

int sysctl_restore(struct sysctl_journal *j, const struct sysctl_wants *keep, struct err *e)
{
	struct err first = { 0 }, one;

	for (size_t i = j->n; i-- > 0;) {
		if (sysctl_switch_is_wanted(keep, j->groups[i].which))
			continue;
		if (sysctl_group_restore(j, &j->groups[i], &one) < 0 && !first.code)
			first = one;
	}
	if (first.code && e)
		*e = first;
	return first.code;
}
