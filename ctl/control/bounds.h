/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bounds: how much a dataplane on this host may hold; the same for every compiled table. */
#ifndef CTL_CONTROL_BOUNDS_H
#define CTL_CONTROL_BOUNDS_H

#define BOUNDS_NOFILE_MAX (1u << 20) /* descriptors that a dataplane asks for */

struct control_options;
/* From RLIMIT_NOFILE (hard) and the memory: fills max_connections, max_undecided, max_memory_bytes.
 */
void control_bounds(struct control_options *o);

#endif
