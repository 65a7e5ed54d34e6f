/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unprivileged: gives up in a forked child what its parent has. Call from a
 * process with one thread; there is no way back.
 */
#ifndef CTL_HOST_UNPRIVILEGED_H
#define CTL_HOST_UNPRIVILEGED_H

#include "ctl/base/err.h"

#define UNPRIVILEGED_UID_FIRST 64000
#define UNPRIVILEGED_UID_LAST  64999

/*
 * New session, default signal dispositions, /dev/null as standard streams, no
 * descriptor but keep_fd (which gets the number that is returned), no core
 * dumps. Negative errno on failure.
 */
int unprivileged_detach(int keep_fd);
/*
 * When root: a uid and gid from 64000-64999 that no user and no process has;
 * where uids cannot change (a user namespace with one uid) the process keeps
 * its own. In both cases no capability, no_new_privs, and it dies with its
 * parent (parent_pid: who that is). Returns 0 only if the kernel confirms that
 * no capability is left.
 */
int unprivileged_become(int parent_pid);

/*
 * The same for a process that outlives its parent: user, where /etc/passwd has it (NULL: not
 * asked for), else as above. required: it is an error that there is no such user.
 */
/* -EPERM also where it would stay uid 0 although there are other uids: without capabilities, root
 * still has all that is root's. */
struct unprivileged_result {
	bool changed;	   /* false: uids cannot change here */
	unsigned uid, gid; /* that it has now */
};
int unprivileged_become_user(const char *user, bool required, struct unprivileged_result *out,
			     struct err *e);

#endif
