/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/control/bounds.h"

#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "ctl/control/compile.h"

#define NOFILE_OTHERS  8192 /* sockets that listen, pipes, name servers; of few an eighth */
#define FDS_OF_ONE     2
#define MEMORY_PART    4  /* of the host's */
#define UNDECIDED_PART 10 /* of the descriptors */

void control_bounds(struct control_options *o)
{
	struct rlimit l = { BOUNDS_NOFILE_MAX, BOUNDS_NOFILE_MAX };
	struct sysinfo si = { 0 };
	unsigned fds, others;

	getrlimit(RLIMIT_NOFILE, &l);
	fds = l.rlim_max < BOUNDS_NOFILE_MAX ? (unsigned)l.rlim_max : BOUNDS_NOFILE_MAX;
	others = fds / 8 < NOFILE_OTHERS ? fds / 8 : NOFILE_OTHERS;
	o->max_connections = (fds - others) / FDS_OF_ONE;
	o->max_undecided = fds / UNDECIDED_PART;
	if (!sysinfo(&si))
		o->max_memory_bytes = (uint64_t)si.totalram * si.mem_unit / MEMORY_PART;
}
