/* SPDX-License-Identifier: GPL-2.0-or-later */
/* notify: sd_notify(3) and sd_listen_fds(3), the few lines that are needed. Without systemd all of
 * it does nothing. */
#ifndef CTL_SERVICE_NOTIFY_H
#define CTL_SERVICE_NOTIFY_H

#include <stdbool.h>

/* "READY=1\nSTATUS=…". False: nobody listens. */
bool notify_say(const char *text);
/* Keeps a copy of fd across restarts; the name has no colon. */
bool notify_store(int fd, const char *name);
void notify_unstore(const char *name);
/* fn takes each descriptor that was kept over. What comes from the environment is used up. */
void notify_take(void (*fn)(void *arg, int fd, const char *name), void *arg);
/* How often WATCHDOG=1 is wanted at least, in ms; 0 = never. */
unsigned notify_watchdog_ms(void);

#endif
