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
#include "ctl/state/state_instance.h"
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

const char *state_where(const char *state_dir, const char *run_dir, char *out, size_t cap)
{
	bool state = strcmp(state_dir, STATE_USUAL_DIR) != 0;
	bool run = strcmp(run_dir, STATE_USUAL_RUN_DIR) != 0;

	snprintf(out, cap, "%s%s%s%s", state ? " --state-dir " : "", state ? state_dir : "",
		 run ? " --run-dir " : "", run ? run_dir : "");
	return out;
}

/* ---- who a directory belongs to ---- */

/* -ENOENT, with e left empty, when the directory has no owner yet. */
static int owner_load(const char *dir, bool needs_instance, struct state_instance *out,
		      struct err *e)
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
		rc = state_instance_parse(path, &b, needs_instance, out, e);
	buf_fini(&b);
	free(path);
	return rc;
}

static int owner_save(const char *dir, const struct state_instance *o, struct err *e)
{
	char *path = join(dir, "instance");
	struct buf b = { 0 };
	int rc;

	state_instance_format(o, &b);
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

static bool is_foreign(const char *dir, bool needs_instance, const struct host_identity *me,
		       struct state_instance *o)
{
	return !owner_load(dir, needs_instance, o, NULL) && same_boot(&o->id, me) &&
	       !host_same_namespace(&o->id, me);
}

struct owners {
	bool of_state, of_run; /* is it another namespace's of this boot? */
	struct state_instance state, run;
};

/* False: one of them belongs to a namespace that is, or may be, still there. */
static bool owners_are_gone(const char *state_dir, const char *run_dir,
			    const struct host_identity *me, struct owners *o)
{
	o->of_state = is_foreign(state_dir, true, me, &o->state);
	o->of_run = is_foreign(run_dir, false, me, &o->run);
	return (!o->of_state || state_owner_is_gone(&o->state.id, me)) &&
	       (!o->of_run || state_owner_is_gone(&o->run.id, me));
}

bool state_can_be_taken(const char *state_dir, const char *run_dir)
{
	struct host_identity me;
	struct owners o;

	return !host_identity_read(&me, NULL) && owners_are_gone(state_dir, run_dir, &me, &o) &&
	       (o.of_state || o.of_run);
}

/* Without the owner file what is live is brought back by those alone who say that it is theirs. */
static void hint_take_over(const struct state *s, struct err *e)
{
	char where[160];

	state_where(s->state_dir, s->run_dir, where, sizeof(where));
	if (state_can_be_taken(s->state_dir, s->run_dir))
		err_hint(e, "if that namespace is gone for good: spctl apply --boot --force%s",
			 where);
	else
		err_hint(e,
			 "run it there (nsenter --net); or, if that namespace is gone for good: rm "
			 "-f %s/instance %s/instance && spctl apply --boot --force%s",
			 s->run_dir, s->state_dir, where);
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
	hint_take_over(s, e);
	return rc;
}

/* 0 = ours (also of another boot), -ENOENT = nobody's yet, -EXDEV = somebody else's. */
static int owner_check(const struct state *s, const char *dir, bool needs_instance,
		       const struct host_identity *me, struct state_instance *out, struct err *e)
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
	struct state_instance run = { 0 }, state = { 0 };
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

uint32_t state_ownerless(const char *state_dir)
{
	const struct state s = { .state_dir = (char *)(uintptr_t)state_dir, .lock_fd = -1 };
	uint32_t newest = 0;
	struct state_instance o;

	if (owner_load(state_dir, true, &o, NULL) != -ENOENT || state_newest(&s, &newest, NULL))
		return 0;
	return newest;
}

static int no_owner(const struct state *s, struct err *e)
{
	uint32_t newest = state_ownerless(s->state_dir), live = 0;
	char where[160];
	int rc;

	if (!newest)
		return err_set(e, ENOENT, "%s: nothing was ever applied here", s->state_dir);
	state_where(s->state_dir, s->run_dir, where, sizeof(where));
	rc = err_set(e, ENOENT,
		     "%s keeps generations (the newest is %u), but no file \"instance\": in which "
		     "network namespace they were applied is not known",
		     s->state_dir, newest);
	if (!state_live(s, &live, NULL) && live)
		err_hint(e,
			 "to have generation %u, which was live, here: spctl apply --boot "
			 "--force%s; another one: spctl rollback N%s",
			 live, where, where);
	else
		err_hint(e, "to have one of them here: spctl rollback N%s", where);
	return rc;
}

/* For status and down: reads only. A RUN that is not there (after a reboot) is nobody's. */
static int open_existing(struct state *s, const struct host_identity *me, struct err *e)
{
	struct state_instance o = { 0 };
	int rc = owner_check(s, s->run_dir, false, me, &o, e);

	if (rc && rc != -ENOENT)
		return rc;
	rc = access(s->run_dir, F_OK) ? 0 : dir_check(s->run_dir, e);
	if (rc)
		return rc;
	rc = owner_check(s, s->state_dir, true, me, &o, e);
	if (rc == -ENOENT)
		return no_owner(s, e);
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

/* Its owner file is lost: whoever takes it over starts a new instance. */
static bool has_lost_owner(const char *state_dir)
{
	const struct state s = { .state_dir = (char *)(uintptr_t)state_dir, .lock_fd = -1 };
	uint32_t live = 0;

	return state_ownerless(state_dir) && !state_live(&s, &live, NULL) && live;
}

/* STATE last: until then a kill leaves it to be done again. */
static int take(const char *state_dir, const char *run_dir, struct owners *o,
		const struct host_identity *me, struct err *e)
{
	int rc = o->of_state ? forget(state_dir, "sysctl.json", e) : 0;

	if (!rc && (o->of_state || o->of_run))
		rc = forget(run_dir, "image", e);
	if (!rc && o->of_run) {
		o->run.id = *me;
		rc = owner_save(run_dir, &o->run, e);
	}
	if (!rc && o->of_state) {
		o->state.id = *me;
		rc = owner_save(state_dir, &o->state, e);
	}
	return rc;
}

static int take_locked(const char *state_dir, const char *run_dir, struct err *e)
{
	struct host_identity me;
	struct owners o;
	bool lost;
	int rc = host_identity_read(&me, e);

	if (rc || !owners_are_gone(state_dir, run_dir, &me, &o))
		return rc;
	lost = has_lost_owner(state_dir);
	if (lost) {
		rc = instance_new(o.state.instance, e);
		o.of_state = true;
	}
	rc = rc ? rc : take(state_dir, run_dir, &o, &me, e);
	if (!rc && lost)
		log_warn("which network namespace %s belonged to was lost: it is this one's now",
			 state_dir);
	else if (!rc && o.of_state)
		log_warn("the network namespace that %s belonged to is gone: it is this one's now",
			 state_dir);
	return rc;
}

int state_take_over(const char *state_dir, const char *run_dir, struct err *e)
{
	int fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return 0; /* whoever opens it next says why */
	if (!flock(fd, LOCK_EX))
		rc = take_locked(state_dir, run_dir, e);
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
