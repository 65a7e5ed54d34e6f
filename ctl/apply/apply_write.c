/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The route file of the new generation is written, and synced, while the table
 * is being worked out: for 64k routes that is 8 MB. It means nothing until its
 * N.json stands beside it, so a file that is left over harms nobody.
 */
#include <errno.h>

#include "ctl/apply/apply_internal.h"

static void *write_config(void *arg)
{
	struct apply_job *j = arg;
	struct config_writer *w = &j->writer;

	w->rc = state_write_config(&j->s->state, j->compile.generation, j->r->text, j->r->text_len,
				   &w->e);
	return NULL;
}

void apply_start_writing(struct apply_job *j)
{
	struct config_writer *w = &j->writer;

	w->started = true;
	w->in_thread = !pthread_create(&w->thread, NULL, write_config, j);
	if (!w->in_thread)
		write_config(j);
}

int apply_finish_writing(struct apply_job *j)
{
	struct config_writer *w = &j->writer;

	if (!w->started)
		return 0;
	if (w->in_thread)
		pthread_join(w->thread, NULL);
	w->started = false;
	if (w->rc)
		*j->e = w->e;
	return w->rc;
}
