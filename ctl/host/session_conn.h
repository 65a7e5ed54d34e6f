/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session_conn: the connection by which the person at the keyboard came in, as
 * sshd(8) leaves it in the environment: SSH_CONNECTION="CLIENT CPORT SERVER SPORT".
 */
#ifndef CTL_HOST_SESSION_CONN_H
#define CTL_HOST_SESSION_CONN_H

#include "ctl/base/addr.h"

struct session_conn {
	struct addr client, server;
	uint16_t client_port, server_port;
};

/* False when the text is not of that form. A zone ("fe80::1%lan") is dropped. */
bool session_conn_parse(const char *text, struct session_conn *out);
/* The value of NAME in a block of NAME=VALUE strings, each with its NUL (as /proc/PID/environ is),
 * or NULL. The last one may lack its NUL: it does not count then. */
const char *session_conn_lookup(const char *block, size_t len, const char *name);
/* This process's own environment, else that of its parents: sudo(8) drops the variable. False: no
 * such session, or it cannot be seen (the environments of other users' processes need root). */
bool session_conn_find(struct session_conn *out);

#endif
