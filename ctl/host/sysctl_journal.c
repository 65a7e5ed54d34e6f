/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/sysctl_journal.h"

#include <errno.h>
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/base/io.h"

#define JOURNAL_MAX_BYTES (64u << 20)

static const char *const switch_names[] = { "forward_v4", "forward_v6", "route_localnet" };
static const char *const phase_names[] = { "applying", "applied", "restoring" };
static const char *const kind_names[] = { "own", "main", "side", "keep" };

/* ---- in memory ---- */

static void group_fini(struct sysctl_group *g)
{
	for (size_t i = 0; i < g->n; i++)
		free(g->v[i].name);
	free(g->v);
}

void sysctl_journal_free(struct sysctl_journal *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < j->n; i++)
		group_fini(&j->groups[i]);
	free(j->path);
	free(j->boot);
	free(j);
}

struct sysctl_group *sysctl_journal_find(struct sysctl_journal *j, enum sysctl_switch which)
{
	for (size_t i = 0; i < j->n; i++)
		if (j->groups[i].which == which)
			return &j->groups[i];
	return NULL;
}

struct sysctl_group *sysctl_journal_add(struct sysctl_journal *j, enum sysctl_switch which)
{
	struct sysctl_group *g = &j->groups[j->n++];

	*g = (struct sysctl_group){ .which = which, .phase = SYSCTL_APPLYING };
	return g;
}

void sysctl_journal_drop(struct sysctl_journal *j, struct sysctl_group *g)
{
	size_t at = (size_t)(g - j->groups);

	group_fini(g);
	memmove(g, g + 1, (j->n - at - 1) * sizeof(*g));
	j->n--;
}

struct sysctl_entry *sysctl_group_find(struct sysctl_group *g, const char *name)
{
	for (size_t i = 0; i < g->n; i++)
		if (!strcmp(g->v[i].name, name))
			return &g->v[i];
	return NULL;
}

struct sysctl_entry *sysctl_group_add(struct sysctl_group *g, enum sysctl_kind kind,
				      const char *name)
{
	char *copy;

	if (g->n == g->cap) {
		size_t cap = g->cap ? g->cap * 2 : 16;
		struct sysctl_entry *v = realloc(g->v, cap * sizeof(*v));

		if (!v)
			return NULL;
		g->v = v;
		g->cap = cap;
	}
	copy = strdup(name);
	if (!copy)
		return NULL;
	g->v[g->n] = (struct sysctl_entry){ .kind = kind, .name = copy };
	return &g->v[g->n++];
}

bool sysctl_journal_has(const struct sysctl_journal *j, const char *name)
{
	for (size_t i = 0; i < j->n; i++)
		for (size_t k = 0; k < j->groups[i].n; k++)
			if (!strcmp(j->groups[i].v[k].name, name))
				return true;
	return false;
}

size_t sysctl_journal_count(const struct sysctl_journal *j)
{
	size_t count = 0;

	for (size_t i = 0; i < j->n; i++)
		count += j->groups[i].n;
	return count;
}

/* ---- on disk ---- */

static json_t *group_format(const struct sysctl_group *g)
{
	json_t *changes = json_array();
	bool ok = changes;

	for (size_t i = 0; ok && i < g->n; i++) {
		const struct sysctl_entry *t = &g->v[i];

		ok = json_array_append_new(changes, json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind",
							      kind_names[t->kind], "name", t->name,
							      "old", t->old, "ours", t->ours,
							      "reset", t->reset)) == 0;
	}
	if (!ok) {
		json_decref(changes);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:o}", "switch", switch_names[g->which], "phase",
			 phase_names[g->phase], "changes", changes);
}

char *sysctl_journal_format(const struct sysctl_journal *j)
{
	json_t *groups = json_array(), *root;
	bool ok = groups;
	char *text;

	for (size_t i = 0; ok && i < j->n; i++)
		ok = json_array_append_new(groups, group_format(&j->groups[i])) == 0;
	root = json_pack("{s:s, s:o}", "boot", j->boot, "groups", groups);
	text = ok && root ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_decref(root);
	return text;
}

static int journal_remove(const struct sysctl_journal *j, struct err *e)
{
	char *copy;
	int rc;

	if (unlink(j->path) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot remove %s", j->path);
	copy = strdup(j->path);
	if (!copy)
		return err_set(e, ENOMEM, "out of memory");
	rc = io_fsync_dir(dirname(copy), e);
	free(copy);
	return rc;
}

int sysctl_journal_save(const struct sysctl_journal *j, struct err *e)
{
	char *text;
	int rc;

	if (!j->n)
		return journal_remove(j, e);
	text = sysctl_journal_format(j);
	if (!text) /* jansson: no memory, or an interface's name is not UTF-8 */
		return err_set(e, EINVAL, "cannot describe the kernel settings for %s", j->path);
	rc = io_write_file(j->path, text, strlen(text), 0600, e);
	free(text);
	return rc;
}

static bool word_find(const char *word, const char *const *words, size_t n, unsigned *out)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(word, words[i])) {
			*out = (unsigned)i;
			return true;
		}
	return false;
}

static bool is_dots(const char *part)
{
	size_t n = strspn(part, ".");

	return n && n <= 2 && (!part[n] || part[n] == '/');
}

/* Root will write to these files: nothing outside of the two trees, whatever the journal says. */
static bool name_is_valid(const char *s)
{
	if (strncmp(s, "net/ipv4/", 9) != 0 && strncmp(s, "net/ipv6/", 9) != 0)
		return false;
	for (const char *p = s; (p = strchr(p, '/')); p++)
		if (is_dots(p + 1))
			return false;
	return s[strlen(s) - 1] != '/';
}

static bool value_copy(char out[SYSCTL_VALUE_MAX], const char *value)
{
	return snprintf(out, SYSCTL_VALUE_MAX, "%s", value) < SYSCTL_VALUE_MAX;
}

static bool entry_parse(json_t *item, struct sysctl_group *g)
{
	const char *kind, *name, *old, *ours, *reset;
	struct sysctl_entry *t;
	unsigned k;

	if (json_unpack(item, "{s:s, s:s, s:s, s:s, s:s}", "kind", &kind, "name", &name, "old",
			&old, "ours", &ours, "reset", &reset) < 0 ||
	    !word_find(kind, kind_names, 4, &k) || !name_is_valid(name))
		return false;
	t = sysctl_group_add(g, (enum sysctl_kind)k, name);
	return t && value_copy(t->old, old) && value_copy(t->ours, ours) &&
	       value_copy(t->reset, reset);
}

static bool group_parse(json_t *item, struct sysctl_journal *j)
{
	const char *which, *phase;
	struct sysctl_group *g;
	unsigned w, p;
	json_t *list;

	if (json_unpack(item, "{s:s, s:s, s:o}", "switch", &which, "phase", &phase, "changes",
			&list) < 0 ||
	    !word_find(which, switch_names, SYSCTL_SWITCHES, &w) ||
	    !word_find(phase, phase_names, 3, &p) || !json_is_array(list) ||
	    sysctl_journal_find(j, (enum sysctl_switch)w))
		return false;
	g = sysctl_journal_add(j, (enum sysctl_switch)w);
	g->phase = (enum sysctl_phase)p;
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!entry_parse(json_array_get(list, i), g))
			return false;
	return true;
}

int sysctl_journal_parse(struct sysctl_journal *j, const struct buf *b, struct err *e)
{
	json_t *root = json_loadb(b->data, b->len, JSON_REJECT_DUPLICATES, NULL), *groups;
	const char *boot;
	bool ok = json_unpack(root, "{s:s, s:o}", "boot", &boot, "groups", &groups) == 0 &&
		  json_is_array(groups);
	int rc = 0;

	/* Another boot: the kernel has forgotten these values, so do we. */
	for (size_t i = 0; ok && !strcmp(boot, j->boot) && i < json_array_size(groups); i++)
		ok = group_parse(json_array_get(groups, i), j);
	if (!ok) {
		rc = err_set(e, EBADMSG, "%s is damaged", j->path);
		err_hint(e, "look at the values it names, set them by hand, then remove it");
	}
	json_decref(root);
	return rc;
}

struct sysctl_journal *sysctl_journal_load(const char *path, const char *boot, struct err *e)
{
	struct sysctl_journal *j = calloc(1, sizeof(*j));
	struct buf b = { 0 };
	int rc;

	if (j) {
		j->path = strdup(path);
		j->boot = strdup(boot);
	}
	if (!j || !j->path || !j->boot)
		rc = err_set(e, ENOMEM, "out of memory");
	else
		rc = io_read_regular(path, JOURNAL_MAX_BYTES, &b, e);
	if (!rc)
		rc = sysctl_journal_parse(j, &b, e);
	buf_fini(&b);
	if (rc && rc != -ENOENT) {
		sysctl_journal_free(j);
		return NULL;
	}
	if (rc && e)
		*e = (struct err){ 0 };
	return j;
}

struct sysctl_wants sysctl_journal_wants(const struct sysctl_journal *j)
{
	struct sysctl_wants w = { 0 };

	for (size_t i = 0; i < j->n; i++) {
		w.forward_v4 |= j->groups[i].which == SYSCTL_FORWARD_V4;
		w.forward_v6 |= j->groups[i].which == SYSCTL_FORWARD_V6;
		w.route_localnet |= j->groups[i].which == SYSCTL_ROUTE_LOCALNET;
	}
	return w;
}
