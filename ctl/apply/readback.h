/* SPDX-License-Identifier: GPL-2.0-or-later */
/* readback: after the batch, what the kernel has is compared with what was written; on a
 * difference the old generation is put back. Part of apply_run(). */
#ifndef CTL_APPLY_READBACK_H
#define CTL_APPLY_READBACK_H

#include "ctl/apply/apply_internal.h"

/* Reads back what commit_want() wrote. -EBADE: it is not there; e says what differs. */
int apply_read_back(struct apply_job *j);
/* After that -EBADE: settings, then the generation that was live (nothing: as down does).
 * Returns -EBADE when the old state is back, -ENOTRECOVERABLE when not; e has the sentence. */
int apply_put_back(struct apply_job *j);

#endif
