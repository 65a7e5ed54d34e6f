/* SPDX-License-Identifier: GPL-2.0-or-later */
/* target_down: a target that its health checks have found to be down. */
#ifndef CTL_HOST_TARGET_DOWN_H
#define CTL_HOST_TARGET_DOWN_H

#include <stdint.h>

struct target_down {
	char *route;  /* its name; whose memory it is, the owner of the list says */
	uint32_t tag; /* plan_host_tags(): of an address, or of a name as a whole */
};

#endif
