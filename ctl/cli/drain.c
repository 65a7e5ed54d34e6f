/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/cli/drain.h"

#include <signal.h>

#include "ctl/base/log.h"
#include "ctl/base/text.h"
#include "ctl/cli/progress.h"

#define SAY_EVERY_S 30

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

void drain_catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

bool drain_tick(unsigned left_s, unsigned flows)
{
	static bool begun;
	static unsigned say_at_s;
	char text[80];

	if (interrupted) {
		log_info("not waiting any longer: %u connection%s ended now", flows,
			 flows == 1 ? " is" : "s are");
		return true;
	}
	snprintf(text, sizeof(text), "draining: %u connection%s, %u s left (Ctrl-C ends %s now)",
		 flows, text_plural(flows), left_s, flows == 1 ? "it" : "them");
	if (!begun)
		drain_catch_signals();
	if (!progress_show(text) && (!begun || left_s <= say_at_s)) {
		log_info("%s", text);
		say_at_s = left_s > SAY_EVERY_S ? left_s - SAY_EVERY_S : 0;
	}
	begun = true;
	return false;
}
