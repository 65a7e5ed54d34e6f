/* SPDX-License-Identifier: GPL-2.0-or-later */
/* run_socket: unix sockets in RUN, for root alone. */
#ifndef CTL_CONTROL_RUN_SOCKET_H
#define CTL_CONTROL_RUN_SOCKET_H

#include "ctl/base/err.h"

/* Replaces what has the name, atomically; mode 0600. The descriptor, non-blocking, or negative. */
int run_socket_listen(const char *run_dir, const char *name, int backlog, struct err *e);
/* -ENOENT, -ECONNREFUSED: nobody is there (e is not set then). */
int run_socket_connect(const char *run_dir, const char *name, struct err *e);
/* Is whoever connected root, or the user that this process is? */
bool run_socket_is_root(int fd);

#endif
