/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/control/start.h"

#include <errno.h>

static control_starter *starter;

void control_set_starter(control_starter *fn)
{
	starter = fn;
}

int control_start(const struct control_start *s, struct err *e)
{
	return starter ? starter(s, e) : err_set(e, ENOSYS, "nothing here can start the service");
}
