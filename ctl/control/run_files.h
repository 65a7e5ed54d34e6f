/* SPDX-License-Identifier: GPL-2.0-or-later */
/* run_files: what a service leaves in RUN when it has ended: its locks, and its words. */
#ifndef CTL_CONTROL_RUN_FILES_H
#define CTL_CONTROL_RUN_FILES_H

#define CONTROL_LOG "service.log" /* of one that systemd did not start */

/* Takes them away, unless another service has begun meanwhile. */
void run_files_remove(const char *run_dir);

#endif
