/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log: one line a message on stderr (`spctl: warning: sentence`).
 * Modules return errors; they log only what has no caller to return to.
 * Bytes from foreign peers must be passed through log_escape() first.
 */
#ifndef CTL_BASE_LOG_H
#define CTL_BASE_LOG_H

#include "ctl/base/err.h"

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level l); /* default INFO */
enum log_level log_get_level(void);
/* One JSON object a line from now on: {"time", "level", "message"}. */
void log_set_json(bool json);
/* Until log_release() no line waits for whoever reads stderr (a terminal stopped with Ctrl-S, a
 * full pipe): it is kept instead. For as long as others wait for us. */
void log_hold(void);
void log_release(void);
/* From here on a line that is among the last few is not said again: for what retries by itself. */
void log_skip_repeats(void);
/* fn is called before each line that is printed: what else is on the terminal's line goes. NULL
 * ends it. */
void log_before_line(void (*fn)(void));
void log_err(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Printable ASCII stays, the rest becomes \xNN; cut with ... when out is full. */
const char *log_escape(const void *bytes, size_t n, char *out, size_t cap);

#endif
