/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * again: a generation that is kept on disk, applied once more: its saved file
 * with the addresses that its names had then. Asks no name server. What
 * rollback, boot, an unconfirmed apply and a failed read-back go by.
 */
#ifndef CTL_APPLY_AGAIN_H
#define CTL_APPLY_AGAIN_H

#include "ctl/apply/apply.h"

struct again_request {
	uint32_t generation;
	bool by_service;    /* on its behalf: for what it found out */
	bool kernel_first;  /* as in apply_request */
	bool same_number;   /* that very generation is live then; else it becomes a new one */
	unsigned confirm_s; /* of a new one; see apply_request */
	/* Of the kernel settings that spctl turned on, those stay that generation settings_of had
	 * (0 = none) or the one applied needs; the rest go back, unless another spctl is there. */
	bool close_settings;
	uint32_t settings_of;
	/* Not NULL: a last word on its plan; what is not 0 ends it, with nothing changed. */
	int (*allow)(const struct plan *p, const struct host_facts *h, void *arg, struct err *e);
	void *arg;
};

/* s: locked. Warnings go to d (may be NULL). -ENOENT: its files are lost. */
int again_apply(struct session *s, const struct again_request *r, struct apply_result *out,
		struct diags *d, struct err *e);

/* Could it be, as far as its files and this host tell? Changes nothing. s: locked or not; e may be
 * NULL. */
int again_check(const struct session *s, uint32_t generation, struct err *e);

#endif
