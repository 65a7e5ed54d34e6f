/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host_owner: which process has a socket open. Reads /proc; needs root for other users' processes.
 */
#ifndef CTL_HOST_HOST_OWNER_H
#define CTL_HOST_HOST_OWNER_H

#include <stddef.h>
#include <stdint.h>

/* "sshd[411]" of the lowest pid that has the socket with this inode, or "a process" */
void host_socket_owner(uint32_t inode, char *out, size_t cap);

#endif
