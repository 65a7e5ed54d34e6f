/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Both directories say which network namespace they belong to: what is kept
 * here (sysctl values, the live generation) is true in one namespace only, and
 * a network namespace sees the same files as every other. The check compares
 * device and inode of /proc/self/ns/net, which the kernel hands out again
 * later; so the boot id stands beside it, and a namespace that went away during
 * this boot still blocks: only a person can know that nobody needs it any more,
 * or what starts the host or container, which says so with apply --boot.
 *
 * Invariant: nothing is written before both directories have been compared.
 */
#include "ctl/state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/base/io.h"
#include "ctl/base/log.h"
#include "ctl/host/host.h"
#include "ctl/state/state_owner.h"

#define INSTANCE_MAX_BYTES 4096

static char *join(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

char *state_path(const struct state *s, const char *name)
{
	return join(s->state_dir, name);
}

char *state_run_path(const struct state *s, const char *name)
{
	return join(s->run_dir, name);
}

/* ---- who a directory belongs to ---- */

struct owner {
	struct host_identity id;
	char instance[33]; /* "" in RUN */
};

static bool instance_is_valid(const char *s)
{
	return strlen(s) == 32 && strspn(s, "0123456789abcdef") == 32;
}

static int owner_parse(const char *path, const struct buf *b, bool needs_instance,
		       struct owner *out, struct err *e)
{
	const char *instance = "", *boot = "";
	json_int_t dev = 0, ino = 0, cookie = 0;
	json_t *root = json_loadb(b->data, b->len, JSON_REJECT_DUPLICATES, NULL);
	int rc;

	if (json_unpack(root, "{s?s, s?I, s:I, s:I, s:s}", "instance", &instance, "netnsCookie",
			&cookie, "netnsDevice", &dev, "netnsInode", &ino, "boot", &boot) < 0 ||
	    (needs_instance && !instance_is_valid(instance)) ||
	    strlen(boot) >= sizeof(out->id.boot)) {
		rc = err_set(e, EBADMSG, "%s is damaged", path);
		err_hint(e, "if no spctl is in use here, remove that file");
		json_decref(root);
		return rc;
	}
	out->id.ns_cookie = (uint64_t)cookie;
	out->id.ns_dev = (dev_t)dev;
	out->id.ns_ino = (ino_t)ino;
	snprintf(out->id.boot, sizeof(out->id.boot), "%s", boot);
	snprintf(out->instance, sizeof(out->instance), "%s", needs_instance ? instance : "");
	json_decref(root);
	return 0;
}

/* -ENOENT, with e left empty, when the directory has no owner yet. */
static int owner_load(const char *dir, bool needs_instance, struct owner *out, struct err *e)
{
	struct buf b = { 0 };
	char *path = join(dir, "instance");
	int rc;

	if (!path)
		return err_set(e, ENOMEM, "out of memory");
	rc = io_read_regular(path, INSTANCE_MAX_BYTES, &b, e);
	if (rc == -ENOENT && e)
		*e = (struct err){ 0 };
	if (!rc)
		rc = owner_parse(path, &b, needs_instance, out, e);
	buf_fini(&b);
	free(path);
	return rc;
}

static int owner_save(const char *dir, const struct owner *o, struct err *e)
{
	char *path = join(dir, "instance");
	struct buf b = { 0 };
	int rc;

	buf_puts(&b, "{");
	if (o->instance[0])
		buf_printf(&b, "\"instance\": \"%s\", ", o->instance);
	buf_printf(&b,
		   "\"netnsCookie\": %ju, \"netnsDevice\": %ju, \"netnsInode\": %ju, \"boot\": "
		   "\"%s\"}\n",
		   (uintmax_t)o->id.ns_cookie, (uintmax_t)o->id.ns_dev, (uintmax_t)o->id.ns_ino,
		   o->id.boot);
	if (!path || b.failed)
		rc = err_set(e, ENOMEM, "out of memory");
	else
		rc = io_write_file(path, b.data, b.len, 0600, e);
	buf_fini(&b);
	free(path);
	return rc;
}

static bool same_boot(const struct host_identity *a, const struct host_identity *b)
{
	return !strcmp(a->boot, b->boot);
}

static int owner_refuse(const struct state *s, const char *dir, const struct host_identity *id,
			struct err *e)
{
	char who[160];
	int rc;

	state_owner_describe(id, who, sizeof(who));
	rc = err_set(e, EXDEV,
		     "%s belongs to another network namespace (%s): give --run-dir and --state-dir",
		     dir, who);
	err_hint(e, "if that namespace is gone for good: rm -f %s/instance %s/instance", s->run_dir,
		 s->state_dir);
	return rc;
}

/* 0 = ours (also of another boot), -ENOENT = nobody's yet, -EXDEV = somebody else's. */
static int owner_check(const struct state *s, const char *dir, bool needs_instance,
		       const struct host_identity *me, struct owner *out, struct err *e)
{
	int rc = owner_load(dir, needs_instance, out, e);

	if (rc)
		return rc;
	if (!same_boot(&out->id, me) || host_same_namespace(&out->id, me))
		return 0;
	return owner_refuse(s, dir, &out->id, e);
}

/* ---- directories ---- */

static int dir_check(const char *path, struct err *e)
{
	struct stat st;
	int rc;

	if (stat(path, &st) < 0)
		return err_sys(e, errno, "cannot use %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "%s is not a directory", path);
	if ((st.st_uid == geteuid() || st.st_uid == 0) && !(st.st_mode & 022))
		return 0;
	rc = err_set(e, EPERM, "%s can be written by others (owner %u, mode %04o)", path,
		     (unsigned)st.st_uid, (unsigned)st.st_mode & 07777);
	err_hint(e, "chown root %s && chmod 700 %s", path, path);
	return rc;
}

static int dir_make(const char *path, struct err *e)
{
	int rc = io_mkdirs(path, 0700, e);

	return rc ? rc : dir_check(path, e);
}

static int instance_new(char out[33], struct err *e)
{
	uint8_t bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return err_sys(e, errno, "cannot get random bytes");
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

static int forget(const char *dir, const char *name, struct err *e)
{
	char *path = join(dir, name);
	int rc = 0;

	if (!path)
		return err_set(e, ENOMEM, "out of memory");
	if (unlink(path) < 0 && errno != ENOENT)
		rc = err_sys(e, errno, "cannot remove %s", path);
	free(path);
	return rc;
}

/* Values of a STATE whose owner file was removed may be another namespace's: they must
 * not be "put back" here. Generations stay; they are only files. */
static int forget_foreign_facts(const struct state *s, struct err *e)
{
	static const char *const names[] = { "sysctl.json", "live" };

	for (size_t i = 0; i < 2; i++) {
		int rc = forget(s->state_dir, names[i], e);

		if (rc)
			return rc;
	}
	return 0;
}

/* Writes what is missing or of an earlier boot. The caller holds the STATE directory's lock. */
static int claim(struct state *s, const struct host_identity *me, struct err *e)
{
	struct owner run = { 0 }, state = { 0 };
	int run_rc = owner_check(s, s->run_dir, false, me, &run, e);
	int state_rc, rc = 0;

	if (run_rc && run_rc != -ENOENT)
		return run_rc;
	state_rc = owner_check(s, s->state_dir, true, me, &state, e);
	if (state_rc && state_rc != -ENOENT)
		return state_rc;
	if (state_rc) {
		rc = instance_new(state.instance, e);
		if (!rc)
			rc = forget_foreign_facts(s, e);
	}
	if (!rc && (state_rc || !same_boot(&state.id, me))) {
		state.id = *me;
		rc = owner_save(s->state_dir, &state, e);
	}
	if (!rc && (run_rc || !same_boot(&run.id, me))) {
		run.id = *me;
		rc = owner_save(s->run_dir, &run, e);
	}
	if (rc)
		return rc;
	memcpy(s->instance, state.instance, sizeof(s->instance));
	s->of_this_boot = true;
	return 0;
}

static int open_create(struct state *s, const struct host_identity *me, struct err *e)
{
	int fd, rc = dir_make(s->state_dir, e);

	if (!rc)
		rc = dir_make(s->run_dir, e);
	if (rc)
		return rc;
	/* Two first runs at once must agree on one instance id. */
	fd = open(s->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", s->state_dir);
	while (flock(fd, LOCK_EX) < 0) {
		if (errno == EINTR)
			continue;
		rc = err_sys(e, errno, "cannot lock %s", s->state_dir);
		close(fd);
		return rc;
	}
	rc = claim(s, me, e);
	close(fd);
	return rc;
}

/* For status and down: reads only. A RUN that is not there (after a reboot) is nobody's. */
static int open_existing(struct state *s, const struct host_identity *me, struct err *e)
{
	struct owner o = { 0 };
	int rc = owner_check(s, s->run_dir, false, me, &o, e);

	if (rc && rc != -ENOENT)
		return rc;
	rc = access(s->run_dir, F_OK) ? 0 : dir_check(s->run_dir, e);
	if (rc)
		return rc;
	rc = owner_check(s, s->state_dir, true, me, &o, e);
	if (rc == -ENOENT)
		return err_set(e, ENOENT, "%s: nothing was ever applied here", s->state_dir);
	if (!rc)
		rc = dir_check(s->state_dir, e);
	if (rc)
		return rc;
	memcpy(s->instance, o.instance, sizeof(s->instance));
	s->of_this_boot = same_boot(&o.id, me);
	return 0;
}

int state_open(struct state *s, const char *state_dir, const char *run_dir, bool create,
	       struct err *e)
{
	struct host_identity me;
	int rc;

	*s = (struct state){ .lock_fd = -1 };
	rc = host_identity_read(&me, e);
	if (rc)
		return rc;
	snprintf(s->boot, sizeof(s->boot), "%s", me.boot);
	s->state_dir = strdup(state_dir);
	s->run_dir = strdup(run_dir);
	if (!s->state_dir || !s->run_dir)
		rc = err_set(e, ENOMEM, "out of memory");
	else
		rc = create ? open_create(s, &me, e) : open_existing(s, &me, e);
	if (rc)
		state_close(s);
	return rc;
}

static bool is_foreign(const char *dir, bool needs_instance, const struct host_identity *me,
		       struct owner *o)
{
	return !owner_load(dir, needs_instance, o, NULL) && same_boot(&o->id, me) &&
	       !host_same_namespace(&o->id, me);
}

int state_take_over(const char *state_dir, const char *run_dir, struct err *e)
{
	struct owner state, run;
	struct host_identity me;
	bool of_state, of_run;
	int fd, rc = host_identity_read(&me, e);

	if (rc)
		return rc;
	fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX) < 0) {
		if (fd >= 0)
			close(fd);
		return 0; /* whoever opens it next says why */
	}
	of_state = is_foreign(state_dir, true, &me, &state);
	of_run = is_foreign(run_dir, false, &me, &run);
	if ((of_state && !state_owner_is_gone(&state.id, &me)) ||
	    (of_run && !state_owner_is_gone(&run.id, &me)))
		of_state = of_run = false;
	if (of_state)
		rc = forget(state_dir, "sysctl.json", e);
	if (!rc && (of_state || of_run))
		rc = forget(run_dir, "image", e);
	/* STATE last: until then a kill leaves it to be done again. */
	if (!rc && of_run) {
		run.id = me;
		rc = owner_save(run_dir, &run, e);
	}
	if (!rc && of_state) {
		state.id = me;
		rc = owner_save(state_dir, &state, e);
	}
	if (!rc && of_state)
		log_warn("the network namespace that %s belonged to is gone: it is this one's now",
			 state_dir);
	close(fd);
	return rc;
}

void state_close(struct state *s)
{
	state_unlock(s);
	free(s->state_dir);
	free(s->run_dir);
	*s = (struct state){ .lock_fd = -1 };
}
