/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seccomp: the system calls that a dataplane keeps once its threads run. What
 * would leave the sandbox ends the process; paths do not exist; everything else
 * is refused with EPERM and counted where the controller sees it.
 */
#ifndef CTL_SERVICE_SECCOMP_H
#define CTL_SERVICE_SECCOMP_H

#include <stdatomic.h>
#include <stdint.h>

#include "ctl/base/err.h"

/* In memory that both processes have; what is in there is foreign to the controller. */
struct seccomp_page {
	atomic_ullong refused; /* calls with EPERM */
	atomic_int last;       /* the number of the last one */
	atomic_bool sealed;    /* the filter is on */
	atomic_uint uid;       /* who the dataplane is */
};

/* A memfd of fixed size (the dataplane cannot cut it away under the reader), close-on-exec. */
int seccomp_page_new(struct err *e);
/* NULL: not to be mapped. munmap() it with its size. */
struct seccomp_page *seccomp_page_map(int fd);

/* false in builds with sanitizers, which need calls of their own. */
bool seccomp_is_built_in(void);
/* For all threads of the process. page: where refusals are counted; NULL = nowhere. The threads
 * must not block SIGSYS. Sets no_new_privs. */
int seccomp_seal(struct seccomp_page *page, struct err *e);

#endif
