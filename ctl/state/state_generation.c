/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * STATE/applied: the configs as they were given, one pair of files each.
 * N.config is written first and N.json last; deletion goes the other way
 * round. So a generation exists exactly when its N.json does, and a kill at
 * any point leaves at most a file that nobody counts (state_prune takes it).
 */
#include "ctl/state/state.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/base/io.h"
#include "ctl/base/log.h"
#include "ctl/state/state_confirm.h"
#include "ctl/state/state_found.h"
#include "ctl/state/state_meta.h"

#define LIVE_MAX_BYTES	 64
#define META_MAX_BYTES	 (64u << 20)
#define CONFIG_MAX_BYTES (64u << 20)

static int out_of_memory(struct err *e)
{
	return err_set(e, ENOMEM, "out of memory");
}

/* A number and nothing else; on success *rest points behind it. */
static bool parse_generation(const char *s, uint32_t *out, const char **rest)
{
	char *end;
	unsigned long long n;

	if (*s < '1' || *s > '9')
		return false;
	errno = 0;
	n = strtoull(s, &end, 10);
	if (errno || n > UINT32_MAX)
		return false;
	*out = (uint32_t)n;
	*rest = end;
	return true;
}

bool state_number_parse(const char *text, uint32_t *out)
{
	const char *rest;
	uint32_t n;

	if (!parse_generation(text, &n, &rest) || strcmp(rest, "\n") != 0)
		return false;
	*out = n;
	return true;
}

int state_live(const struct state *s, uint32_t *generation, struct err *e)
{
	char *path = state_path(s, "live"), seen[80];
	struct buf b = { 0 };
	uint32_t n;
	int rc;

	if (!path)
		return out_of_memory(e);
	rc = io_read_regular(path, LIVE_MAX_BYTES, &b, e);
	if (rc == -ENOENT) {
		*generation = 0;
		rc = 0;
		if (e)
			*e = (struct err){ 0 };
	} else if (!rc && state_number_parse(b.data, &n) && strlen(b.data) == b.len) {
		*generation = n;
	} else if (!rc) {
		rc = err_set(e, EBADMSG, "%s is damaged: \"%s\" is not a generation number", path,
			     log_escape(b.data, b.len, seen, sizeof(seen)));
		err_hint(e, "remove that file; the kernel's table knows its generation");
	}
	buf_fini(&b);
	free(path);
	return rc;
}

int state_set_live(const struct state *s, uint32_t generation, struct err *e)
{
	char *path, text[16];
	int n, rc;

	if (!generation)
		return state_forget_live(s, e);
	path = state_path(s, "live");
	if (!path)
		return out_of_memory(e);
	n = snprintf(text, sizeof(text), "%" PRIu32 "\n", generation);
	rc = io_write_file(path, text, (size_t)n, 0600, e);
	free(path);
	return rc;
}

static int remove_file(const char *path, struct err *e)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(e, errno, "cannot remove %s", path);
	return 0;
}

int state_forget_live(const struct state *s, struct err *e)
{
	char *path = state_path(s, "live");
	int rc;

	if (!path)
		return out_of_memory(e);
	rc = remove_file(path, e);
	if (!rc)
		rc = io_fsync_dir(s->state_dir, e);
	if (!rc)
		rc = state_found_forget_down(s, e);
	free(path);
	return rc;
}

static int generation_cmp(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int list_add(uint32_t **v, size_t *n, uint32_t generation)
{
	/* Powers of two: grow when the next one is reached. */
	if (!(*n & (*n - 1))) {
		uint32_t *w = realloc(*v, (*n ? *n * 2 : 1) * sizeof(*w));

		if (!w)
			return -ENOMEM;
		*v = w;
	}
	(*v)[(*n)++] = generation;
	return 0;
}

int state_generations(const struct state *s, uint32_t **v, size_t *n, struct err *e)
{
	char *path = state_path(s, "applied");
	struct dirent *ent;
	uint32_t *list = NULL, g;
	const char *rest;
	size_t count = 0;
	DIR *d;
	int rc = 0;

	if (!path)
		return out_of_memory(e);
	d = opendir(path);
	if (!d && errno != ENOENT)
		rc = err_sys(e, errno, "cannot list %s", path);
	free(path);
	while (d && !rc && (ent = readdir(d)))
		if (parse_generation(ent->d_name, &g, &rest) && !strcmp(rest, ".json") &&
		    list_add(&list, &count, g) < 0)
			rc = out_of_memory(e);
	if (d)
		closedir(d);
	if (rc) {
		free(list);
		return rc;
	}
	if (count)
		qsort(list, count, sizeof(*list), generation_cmp);
	*v = list;
	*n = count;
	return 0;
}

int state_newest(const struct state *s, uint32_t *generation, struct err *e)
{
	uint32_t *v = NULL;
	size_t n = 0;
	int rc = state_generations(s, &v, &n, e);

	if (!rc)
		*generation = n ? v[n - 1] : 0;
	free(v);
	return rc;
}

static char *file_of(const struct state *s, uint32_t generation, const char *ending)
{
	char name[64];

	snprintf(name, sizeof(name), "applied/%" PRIu32 ".%s", generation, ending);
	return state_path(s, name);
}

static int make_applied(const struct state *s, struct err *e)
{
	char *path = state_path(s, "applied");
	int rc = 0;

	if (!path)
		return out_of_memory(e);
	if (mkdir(path, 0700) == 0)
		rc = io_fsync_dir(s->state_dir, e);
	else if (errno != EEXIST)
		rc = err_sys(e, errno, "cannot make directory %s", path);
	free(path);
	return rc;
}

int state_write_config(const struct state *s, uint32_t generation, const void *config, size_t len,
		       struct err *e)
{
	char *path = file_of(s, generation, "config");
	int rc = path ? make_applied(s, e) : out_of_memory(e);

	rc = rc ? rc : io_write_file(path, config, len, 0600, e);
	free(path);
	return rc;
}

int state_write_meta(const struct state *s, const struct state_meta *m, struct err *e)
{
	char *path = file_of(s, m->generation, "json");
	struct buf json = { 0 };
	int rc;

	if (!m->generation)
		rc = err_set(e, EINVAL, "generation 0 means none");
	else if (!path)
		rc = out_of_memory(e);
	else
		rc = state_meta_format(m, &json, e);
	rc = rc ? rc : make_applied(s, e);
	rc = rc ? rc : io_write_file(path, json.data, json.len, 0600, e);
	buf_fini(&json);
	free(path);
	return rc;
}

int state_write_generation(const struct state *s, const struct state_meta *m, const void *config,
			   size_t len, struct err *e)
{
	int rc;

	if (!m->generation)
		return err_set(e, EINVAL, "generation 0 means none");
	rc = state_write_config(s, m->generation, config, len, e);
	if (!rc) {
		rc = state_write_meta(s, m, e);
		if (rc)
			state_delete_generation(s, m->generation, NULL);
	}
	return rc;
}

static int read_part(const char *path, size_t max_bytes, struct buf *out, uint32_t generation,
		     struct err *e)
{
	int rc = io_read_regular(path, max_bytes, out, e);

	if (rc == -ENOENT)
		return err_set(e, ENOENT, "generation %" PRIu32 " is not kept (%s is missing)",
			       generation, path);
	return rc;
}

/* As it is now, where the service has found out more since. */
static int bring_up_to_date(const struct state *s, struct state_meta *m, struct err *e)
{
	struct state_found f;
	int rc = state_found_load(s, &f, e);

	if (!rc && state_found_lay_over(&f, m))
		rc = out_of_memory(e);
	state_found_fini(&f);
	return rc;
}

int state_read_generation(const struct state *s, uint32_t generation, struct state_meta *m,
			  struct buf *config, struct err *e)
{
	char *config_path = file_of(s, generation, "config");
	char *meta_path = file_of(s, generation, "json");
	struct state_meta meta = { 0 };
	struct buf json = { 0 };
	int rc;

	if (!config_path || !meta_path)
		rc = out_of_memory(e);
	else
		rc = read_part(meta_path, META_MAX_BYTES, &json, generation, e);
	if (!rc)
		rc = state_meta_parse(meta_path, &json, generation, &meta, e);
	if (!rc && m)
		rc = bring_up_to_date(s, &meta, e);
	if (!rc && config)
		rc = read_part(config_path, CONFIG_MAX_BYTES, config, generation, e);
	if (!rc && m)
		*m = meta;
	else
		state_meta_fini(&meta);
	buf_fini(&json);
	free(config_path);
	free(meta_path);
	return rc;
}

int state_delete_generation(const struct state *s, uint32_t generation, struct err *e)
{
	char *config_path = file_of(s, generation, "config");
	char *meta_path = file_of(s, generation, "json");
	char *dir = state_path(s, "applied");
	int rc;

	if (!config_path || !meta_path || !dir)
		rc = out_of_memory(e);
	else
		rc = remove_file(meta_path, e);
	if (!rc)
		rc = remove_file(config_path, e);
	if (!rc && access(dir, F_OK) == 0)
		rc = io_fsync_dir(dir, e);
	free(config_path);
	free(meta_path);
	free(dir);
	return rc;
}

static bool is_listed(const uint32_t *v, size_t n, uint32_t generation)
{
	return n && bsearch(&generation, v, n, sizeof(*v), generation_cmp);
}

/* What a kill left behind: temporary files, and configs whose N.json never came. */
static void sweep(const struct state *s, const uint32_t *v, size_t n)
{
	char *path = state_path(s, "applied");
	DIR *d = path ? opendir(path) : NULL;
	struct dirent *ent;
	const char *rest;
	uint32_t g;

	while (d && (ent = readdir(d))) {
		size_t len = strlen(ent->d_name);

		if (!parse_generation(ent->d_name, &g, &rest))
			continue;
		if ((len > 4 && !strcmp(ent->d_name + len - 4, ".tmp")) ||
		    (!strcmp(rest, ".config") && !is_listed(v, n, g)))
			unlinkat(dirfd(d), ent->d_name, 0);
	}
	if (d)
		closedir(d);
	free(path);
}

/* What comes back if the live one is not confirmed must be there. */
static uint32_t fallback_of(const struct state *s, uint32_t live)
{
	struct state_meta m = { 0 };
	uint32_t previous = 0;

	if (live && !state_read_generation(s, live, &m, NULL, NULL))
		previous = m.confirm.previous;
	state_meta_fini(&m);
	return previous;
}

static bool was_given(const struct state *s, uint32_t generation)
{
	struct state_meta m = { 0 };
	bool given = !state_read_generation(s, generation, &m, NULL, NULL) &&
		     state_confirm_was_given(&m.confirm);

	state_meta_fini(&m);
	return given;
}

int state_prune(const struct state *s, struct err *e)
{
	uint32_t *v = NULL, live = 0, fallback;
	unsigned given = 0, others = 0;
	size_t n = 0;
	int rc = state_live(s, &live, e);

	if (!rc)
		rc = state_generations(s, &v, &n, e);
	if (!rc)
		sweep(s, v, n);
	fallback = rc ? 0 : fallback_of(s, live);
	/* Attempts that nobody confirmed must not push out what can be gone back to. */
	for (size_t i = n; !rc && n > STATE_KEEP_UNCONFIRMED && i-- > 0;) {
		bool keep = was_given(s, v[i]) ? given++ < STATE_KEEP_GENERATIONS
					       : others++ < STATE_KEEP_UNCONFIRMED;

		if (!keep && v[i] != live && v[i] != fallback)
			rc = state_delete_generation(s, v[i], e);
	}
	free(v);
	return rc;
}
