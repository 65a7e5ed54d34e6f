/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel acknowledged the batch; what stands in its table a moment later may
 * still be something else: another tool's commit to our table, a kernel that
 * dropped what it did not understand. The old generation goes back by its saved
 * file, through the same transaction as any other.
 */
#include "ctl/apply/readback.h"

#include <errno.h>
#include <string.h>

#include "ctl/apply/again.h"
#include "ctl/apply/failpoint.h"
#include "ctl/base/log.h"

static bool was_read(int rc)
{
	return !rc || rc == -EBADE || rc == -EAGAIN;
}

/* A socket or a moment that fails says nothing about the table: asked once more by a new one. */
static int verify(struct apply_job *j)
{
	uint32_t genid = nft_genid_next(j->s->genid);
	int rc = nft_verify(j->s->nft, j->s->have, j->want, genid, &j->seen_genid, j->e);
	struct nft *fresh = was_read(rc) ? NULL : nft_open(NULL);

	if (!fresh)
		return rc;
	log_debug("reading back again: %s", j->e->msg);
	memset(j->e, 0, sizeof(*j->e));
	nft_close(j->s->nft);
	j->s->nft = fresh;
	return nft_verify(j->s->nft, j->s->have, j->want, genid, &j->seen_genid, j->e);
}

int apply_read_back(struct apply_job *j)
{
	int rc;

	j->seen_genid = nft_genid_next(j->s->genid);
	FAILPOINT(committed);
	rc = verify(j);
	FAILPOINT(verified);
	if (rc != -EAGAIN)
		return rc ? -EBADE : 0;
	/* Others commit all the time: no reason to take away what was acknowledged. */
	log_warn("what was written could not be read back (%s): see spctl status", j->e->msg);
	memset(j->e, 0, sizeof(*j->e));
	return 0;
}

/* Under another name as well: the table that read back wrongly goes in the same transaction. */
static int restore_old(struct apply_job *j, struct err *e)
{
	struct again_request r = { .generation = j->s->live, .same_number = true };
	struct sysctl_wants keep = apply_settings_before(j);
	struct apply_result result;
	int rc;

	if (!j->s->live)
		return down_take_back(j->s, e); /* nothing was applied before */
	rc = sysctl_restore(j->s->journal, &keep, e);
	FAILPOINT(put_back_settings);
	rc = rc ? rc : again_apply(j->s, &r, &result, NULL, e);
	FAILPOINT(put_back);
	return rc;
}

int apply_put_back(struct apply_job *j)
{
	struct err e = { 0 };
	uint32_t old = j->s->live;

	j->e->code = -EBADE;
	if (j->again) {
		/* What was there before was broken, too. */
		err_wrap(j->e, "generation %u was written again, but read back differently", old);
		err_hint(j->e, "does another program change this table? see: nft monitor");
		return j->e->code = -ENOTRECOVERABLE;
	}
	err_hint(j->e, "does another program change this table? see: nft monitor");
	if (restore_old(j, &e)) {
		err_wrap(j->e, "%s; and the old state could not be put back", e.msg);
		return j->e->code = -ENOTRECOVERABLE;
	}
	j->preparing = false;
	if (old)
		err_wrap(j->e, "generation %u is back: read back after the commit", old);
	else
		err_wrap(j->e, "all is taken away again: read back after the commit");
	return -EBADE;
}
