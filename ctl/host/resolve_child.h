/* SPDX-License-Identifier: GPL-2.0-or-later */
/* resolve_child: the unprivileged half of resolve.c; never returns. */
#ifndef CTL_HOST_RESOLVE_CHILD_H
#define CTL_HOST_RESOLVE_CHILD_H

/* names[i] == NULL is not asked. Writes one record for each other name to fd (in any order). */
_Noreturn void resolve_child_run(const char *const *names, unsigned n, int fd, int parent_pid);

#endif
