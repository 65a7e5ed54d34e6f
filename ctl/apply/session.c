/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recovery rule: STATE/pending names the generation that a transaction was about
 * to make true. If the kernel's table carries its number, it did and becomes
 * live; if not, it never happened and its files go. Nothing else is ever undone.
 */
#include "ctl/apply/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/base/io.h"
#include "ctl/base/log.h"
#include "ctl/nft/ruleset_compile.h"

#define IMAGE "image"
#define IDS   "ids"

const char *session_table(const struct session *s)
{
	if (s->meta.generation && s->meta.table)
		return s->meta.table;
	return s->noted_table[0] ? s->noted_table : DEFAULT_TABLE;
}

static int load_noted_table(struct session *s, struct err *e)
{
	char *path = state_path(&s->state, "table"), text[RS_NAME_MAX] = "";
	int rc = path ? io_read_text(path, text, sizeof(text), e) : -ENOMEM;

	free(path);
	if (rc == -ENOENT) {
		memset(e, 0, sizeof(*e));
		rc = 0;
	}
	memcpy(s->noted_table, text, sizeof(text));
	return rc;
}

int session_note_table(struct session *s, const char *table, struct err *e)
{
	char *path;
	int rc = 0;

	if (!strcmp(s->noted_table, table ? table : ""))
		return 0;
	path = state_path(&s->state, "table");
	if (!path)
		return err_set(e, ENOMEM, "out of memory");
	if (table)
		rc = io_write_file(path, table, strlen(table), 0600, e);
	else if (unlink(path) && errno != ENOENT)
		rc = err_sys(e, errno, "cannot remove %s", path);
	free(path);
	if (!rc)
		snprintf(s->noted_table, sizeof(s->noted_table), "%s", table ? table : "");
	return rc;
}

static int load_live(struct session *s, struct err *e)
{
	int rc = state_live(&s->state, &s->live, e);

	rc = rc ? rc : state_newest(&s->state, &s->newest, e);
	if (s->newest < s->live)
		s->newest = s->live;
	state_meta_fini(&s->meta);
	memset(&s->meta, 0, sizeof(s->meta));
	rc = rc ? rc : load_noted_table(s, e);
	if (rc || !s->live)
		return rc;
	/* Lost files of a generation must not keep `down` or the next apply from working. */
	if (state_read_generation(&s->state, s->live, &s->meta, NULL, e)) {
		log_warn("the files of the live generation %u cannot be read: %s", s->live, e->msg);
		memset(e, 0, sizeof(*e));
		memset(&s->meta, 0, sizeof(s->meta));
	}
	return 0;
}

/* Which generation the kernel's table has: 0 when it is not there or not ours. */
static int kernel_generation(struct session *s, const char *table, uint32_t *generation,
			     bool *exists, struct err *e)
{
	struct ruleset *head = NULL;
	int rc = nft_read_head(s->nft, table, &head, e);

	if (rc)
		return rc;
	*generation = head->exists && head->ours && !strcmp(head->owner, s->state.instance)
			      ? head->generation
			      : 0;
	*exists = head->exists;
	ruleset_free(head);
	return 0;
}

int session_pending(const struct session *s, uint32_t *generation)
{
	char *path = state_path(&s->state, "pending"), text[16] = "";
	int rc = path ? io_read_text(path, text, sizeof(text), NULL) : -ENOMEM;

	free(path);
	*generation = rc ? 0 : (uint32_t)strtoul(text, NULL, 10);
	return rc == -ENOENT ? 0 : rc;
}

int session_set_pending(struct session *s, uint32_t generation, struct err *e)
{
	char *path = state_path(&s->state, "pending"), text[16];
	int rc;

	if (!path)
		return err_set(e, ENOMEM, "out of memory");
	snprintf(text, sizeof(text), "%u\n", generation);
	if (generation)
		rc = io_write_file(path, text, strlen(text), 0600, e);
	else
		rc = unlink(path) && errno != ENOENT ? err_sys(e, errno, "cannot remove %s", path)
						     : 0;
	free(path);
	return rc;
}

/* A look from the side settles nothing, but what is true is told by the same rule. */
static int see_pending(struct session *s, struct err *e)
{
	struct state_meta meta = { 0 };
	uint32_t pending = 0, in_kernel = 0;
	bool exists;

	/* One that cannot be read, or is gone again, is an apply's at work: the next look sees. */
	if (session_pending(s, &pending) || !pending || pending == s->live ||
	    state_read_generation(&s->state, pending, &meta, NULL, NULL))
		return 0;
	if (kernel_generation(s, meta.table, &in_kernel, &exists, e) || in_kernel != pending) {
		state_meta_fini(&meta);
		return e->code;
	}
	state_meta_fini(&s->meta);
	s->meta = meta;
	s->live = pending;
	return 0;
}

/* Has the kernel the live generation, under whatever name? */
static int live_is_there(struct session *s, bool *yes, struct err *e)
{
	uint32_t in_kernel = 0;
	bool exists;
	int rc = kernel_generation(s, session_table(s), &in_kernel, &exists, e);

	*yes = !rc && exists && in_kernel == s->live;
	return rc;
}

/*
 * STATE/live is lost, and the table says which generation it is: that one is live, as long as its
 * record is kept. Without that a --confirm would note that nothing comes back after it.
 */
static int adopt_lost(struct session *s, bool write, struct err *e)
{
	struct nft_tables own = { 0 };
	struct state_meta meta = { 0 };
	uint32_t generation = 0;
	struct err why = { 0 };
	int rc;

	if (s->live || !s->newest)
		return 0;
	rc = nft_find_owned(s->nft, s->state.instance, &own, e);
	for (unsigned i = 0; !rc && !meta.generation && i < own.n; i++) {
		bool exists;

		rc = kernel_generation(s, own.v[i].name, &generation, &exists, e);
		if (!rc && generation)
			state_read_generation(&s->state, generation, &meta, NULL, NULL);
	}
	if (rc || !meta.generation)
		return rc;
	if (write) {
		log_warn("which generation is live was lost; the kernel's table says %u",
			 generation);
		/* A full disk keeps nobody from going on: the next command finds it again. */
		if (state_set_live(&s->state, generation, &why))
			log_warn("%s", why.msg);
	}
	state_meta_fini(&s->meta);
	s->meta = meta;
	s->live = generation;
	return 0;
}

static int settle_pending(struct session *s, struct err *e)
{
	struct state_meta meta = { 0 };
	uint32_t pending = 0, in_kernel = 0;
	bool exists = true;
	int rc = session_pending(s, &pending);

	if (rc)
		return err_sys(e, rc, "cannot read %s/pending", s->state.state_dir);
	if (!pending || pending == s->live)
		return pending ? session_set_pending(s, 0, e) : 0;
	/* A meta that cannot be read was never fsynced: its transaction did not begin. */
	if (!state_read_generation(&s->state, pending, &meta, NULL, NULL))
		rc = kernel_generation(s, meta.table, &in_kernel, &exists, e);
	state_meta_fini(&meta);
	if (!rc && !exists && s->live)
		rc = live_is_there(s, &exists, e);
	if (rc)
		return rc;
	if (in_kernel == pending) {
		log_info("an earlier command was interrupted after generation %u took effect: it "
			 "is live",
			 pending);
		rc = state_set_live(&s->state, pending, e);
	} else if (!exists && s->live) {
		/* The table that could tell is gone: its file stays, as one of the past. */
		log_info("an earlier command was interrupted, and the table is gone: whether "
			 "generation %u took effect cannot be said",
			 pending);
	} else {
		log_info("an earlier command was interrupted before generation %u took effect: it "
			 "is dropped",
			 pending);
		rc = state_delete_generation(&s->state, pending, e);
	}
	rc = rc ? rc : session_set_pending(s, 0, e);
	return rc ? rc : load_live(s, e);
}

static int load_journal(struct session *s, struct err *e)
{
	char *path;

	path = state_path(&s->state, "sysctl.json");
	s->journal = path ? sysctl_journal_load(path, s->state.boot, e) : NULL;
	free(path);
	return s->journal ? 0 : (e->code ? e->code : err_set(e, ENOMEM, "out of memory"));
}

static int open_locked(struct session *s, bool settle, unsigned timeout_ms, struct err *e)
{
	int rc = state_lock(&s->state, timeout_ms, e);

	rc = rc ? rc : load_live(s, e);
	if (!rc)
		rc = settle ? settle_pending(s, e) : see_pending(s, e);
	return rc ? rc : adopt_lost(s, settle, e);
}

bool session_is_busy(const struct session *s)
{
	char *path = state_path(&s->state, "lock");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	bool busy = fd >= 0 && io_is_locked(fd);

	if (fd >= 0)
		close(fd);
	free(path);
	return busy;
}

bool session_has_leftovers(struct session *s)
{
	struct nft_tables own = { 0 };
	struct err e = { 0 };

	if (s->live)
		return false;
	return sysctl_journal_count(s->journal) ||
	       (!nft_find_owned(s->nft, s->state.instance, &own, &e) && own.n);
}

int session_open(struct session *s, const char *state_dir, const char *run_dir, unsigned flags,
		 unsigned timeout_ms, struct err *e)
{
	int rc;

	memset(s, 0, sizeof(*s));
	s->state.lock_fd = -1;
	rc = state_open(&s->state, state_dir, run_dir, flags & SESSION_CREATE, e);
	if (rc)
		return rc;
	s->nft = nft_open(e);
	rc = s->nft ? 0 : e->code;
	if (!rc && (flags & SESSION_LOCK))
		rc = open_locked(s, !(flags & SESSION_LOOK), timeout_ms, e);
	else if (!rc)
		rc = load_live(s, e);
	if (!rc && !(flags & SESSION_LOCK))
		rc = see_pending(s, e);
	/* A look that cannot ask the kernel sees what the files say. */
	if (!rc && !(flags & SESSION_LOCK) && adopt_lost(s, false, e))
		memset(e, 0, sizeof(*e));
	rc = rc ? rc : load_journal(s, e);
	if (rc)
		session_close(s);
	return rc;
}

void session_close(struct session *s)
{
	ruleset_free(s->have);
	route_ids_fini(&s->ids);
	state_meta_fini(&s->meta);
	sysctl_journal_free(s->journal);
	nft_close(s->nft);
	state_close(&s->state);
	memset(s, 0, sizeof(*s));
	s->state.lock_fd = -1;
}

static int check_owner(const struct session *s, const struct ruleset *rs, struct err *e)
{
	if (!rs->exists || (rs->ours && !strcmp(rs->owner, s->state.instance)))
		return 0;
	if (!rs->ours) {
		err_set(e, EEXIST,
			"the nftables table \"inet %s\" exists and was not made by spctl",
			rs->table);
		err_hint(e,
			 "choose another name with --table, or delete it: nft delete table inet %s",
			 rs->table);
		return e->code;
	}
	err_set(e, EEXIST,
		"the nftables table \"inet %s\" belongs to another spctl instance (not the one in "
		"%s)",
		rs->table, s->state.state_dir);
	err_hint(e,
		 "give that instance's --state-dir, or another --table; if its state is lost, turn "
		 "ip_forward and route_localnet off yourself where it turned them on, then: nft "
		 "delete table inet %s",
		 rs->table);
	return e->code;
}

/* The numbers of the routes: an image of no ruleset, whose generation and genid are ids_of and
 * n_own. STATE has them from before each commit, so it knows best; the
 * image's serve where that file is lost. */
static void load_ids(struct session *s)
{
	char *path = state_path(&s->state, IDS);
	struct ruleset *nothing = NULL;
	struct route_ids ids = { 0 };
	uint32_t n_own;

	s->ids_of = 0;
	s->n_own = s->ids.n;
	if (path && !ruleset_image_load(path, s->state.boot, &nothing, &ids, &n_own)) {
		s->ids_of = nothing->generation;
		s->n_own = s->ids_of ? n_own : ids.n;
		ruleset_free(nothing);
		route_ids_fini(&s->ids);
		s->ids = ids;
	}
	free(path);
}

void session_load_ids(struct session *s)
{
	char *path = state_run_path(&s->state, IMAGE);
	struct ruleset *image = NULL;
	uint32_t genid;

	route_ids_fini(&s->ids);
	load_ids(s);
	if (path && !s->ids.n &&
	    !ruleset_image_load(path, s->state.boot, &image, &s->ids, &genid)) {
		ruleset_free(image);
		s->n_own = s->ids.n;
	}
	free(path);
}

static bool same_ids(const struct route_ids *a, const struct route_ids *b)
{
	return a->n == b->n && a->next_id == b->next_id && a->text.len == b->text.len &&
	       (!a->n || (!memcmp(a->text.data, b->text.data, a->text.len) &&
			  !memcmp(a->ids, b->ids, a->n * sizeof(*a->ids))));
}

void session_write_ids(struct session *s, const struct route_ids *ids, size_t n_own,
		       uint32_t generation)
{
	uint32_t of = n_own < ids->n ? generation : 0;
	bool same = same_ids(ids, &s->ids) && of == s->ids_of && (!of || n_own == s->n_own);
	struct ruleset *nothing = ruleset_new("-", s->state.instance, of);
	char *path = state_path(&s->state, IDS);
	struct err e = { 0 };

	if (path && nothing && !ruleset_seal(nothing, &e) && (access(path, F_OK) || !same) &&
	    ruleset_image_save(path, nothing, ids, s->state.boot, of ? (uint32_t)n_own : 0, &e))
		log_debug("route numbers are not kept: %s", e.msg);
	ruleset_free(nothing);
	free(path);
}

/* The image counts only if the kernel has not moved since and it is of the live generation.
 * The table's own number is asked, too: it costs nothing. */
static bool load_image(struct session *s, const char *table)
{
	char *path = state_run_path(&s->state, IMAGE);
	struct ruleset *rs = NULL;
	uint32_t genid = 0, in_kernel = 0;
	bool exists;
	int rc = path ? ruleset_image_load(path, s->state.boot, &rs, &s->ids, &genid) : -ENOMEM;

	free(path);
	if (rc) {
		load_ids(s);
		return false;
	}
	load_ids(s);
	if (genid == s->genid && rs->generation == s->live && !strcmp(rs->table, table) &&
	    !strcmp(rs->owner, s->state.instance) &&
	    !kernel_generation(s, table, &in_kernel, &exists, NULL) && in_kernel == s->live) {
		rs->exists = rs->ours = true;
		s->have = rs;
		s->from_image = true;
		s->had_udp = ruleset_leads_udp(rs);
		return true;
	}
	ruleset_free(rs); /* the ids are good all the same */
	return false;
}

int session_read_kernel(struct session *s, const char *table, struct err *e)
{
	int rc;

	ruleset_free(s->have);
	s->have = NULL;
	s->from_image = false;
	route_ids_fini(&s->ids);
	for (unsigned tries = 0;; tries++) {
		uint32_t after = 0;

		rc = nft_genid(s->nft, &s->genid, e);
		if (rc)
			return rc;
		if (load_image(s, table))
			return 0;
		rc = nft_read(s->nft, table, &s->have, e);
		rc = rc ? rc : nft_genid(s->nft, &after, e);
		if (rc || after == s->genid || tries == 20)
			break;
		/* Somebody committed while we read: what we have may be torn. */
		ruleset_free(s->have);
		s->have = NULL;
		route_ids_fini(&s->ids);
	}
	if (!rc)
		s->had_udp = ruleset_leads_udp(s->have);
	return rc ? rc : check_owner(s, s->have, e);
}

void session_write_image(struct session *s, const struct ruleset *rs, const struct route_ids *ids,
			 uint32_t genid)
{
	char *path = state_run_path(&s->state, IMAGE);
	struct err e = { 0 };

	if (path && ruleset_image_save(path, rs, ids, s->state.boot, genid, &e)) {
		log_debug("no image kept: %s", e.msg);
		unlink(path);
	}
	free(path);
}

void session_drop_image(struct session *s)
{
	char *path = state_run_path(&s->state, IMAGE);

	if (path)
		unlink(path);
	free(path);
}
