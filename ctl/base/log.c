/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/base/log.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/base/buf.h"
#include "ctl/base/clock.h"
#include "ctl/base/io.h"
#include "ctl/base/text.h"

#define RECENT_LINES 8

static enum log_level level = LOG_LEVEL_INFO;
static void (*before_line)(void);
static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static struct buf held; /* lines that nobody would take yet */
static bool holds, skips_repeats, as_json;

void log_set_level(enum log_level l)
{
	level = l;
}

enum log_level log_get_level(void)
{
	return level;
}

void log_before_line(void (*fn)(void))
{
	before_line = fn;
}

void log_set_json(bool json)
{
	as_json = json;
}

/* One write per line, so that lines of two processes do not mix. */
static void put(const char *text, size_t len)
{
	if (before_line)
		before_line();
	fwrite(text, 1, len, stderr);
}

static void put_held(void)
{
	if (held.len)
		put(held.data, held.len);
	buf_fini(&held);
}

void log_hold(void)
{
	pthread_mutex_lock(&held_lock);
	holds = true;
	pthread_mutex_unlock(&held_lock);
}

void log_release(void)
{
	pthread_mutex_lock(&held_lock);
	holds = false;
	put_held();
	pthread_mutex_unlock(&held_lock);
}

void log_skip_repeats(void)
{
	skips_repeats = true;
}

/* One attempt says more than one line: the same ones again are all repeats. */
static bool was_said(const char *text, size_t len)
{
	static uint64_t said[RECENT_LINES];
	static unsigned next;
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
	for (size_t i = 0; i < RECENT_LINES; i++)
		if (said[i] == hash)
			return true;
	said[next++ % RECENT_LINES] = hash;
	return false;
}

/* Once one line is kept, all that follow are: their order is part of what they say. */
static void put_or_keep(const char *text, size_t len)
{
	pthread_mutex_lock(&held_lock);
	if (skips_repeats && was_said(text, len))
		len = 0;
	if (len && (!holds || (!held.len && io_is_writable(STDERR_FILENO))))
		put(text, len);
	else if (len)
		buf_put(&held, text, len);
	pthread_mutex_unlock(&held_lock);
}

#define LINE_MAX_BYTES 1024
#define JSON_MAX_BYTES (6 * LINE_MAX_BYTES + 128)

/* UTF-8 stays; \u00NN for what a string of JSON cannot have. */
static size_t json_escape(const char *text, char *out)
{
	const bool utf8 = text_is_utf8(text, strlen(text), NULL);
	size_t n = 0;

	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p < 0x20 || (*p >= 0x80 && !utf8) || *p == '"' || *p == '\\')
			n += (size_t)snprintf(out + n, 7, "\\u%04x", *p);
		else
			out[n++] = (char)*p;
	out[n] = '\0';
	return n;
}

static size_t json_line(enum log_level l, const char *line, char out[JSON_MAX_BYTES])
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	const int64_t now_ms = clock_wall_ms();
	char when[24];
	size_t n;

	clock_format_utc(now_ms, when);
	when[strcspn(when, "Z")] = '\0';
	n = (size_t)snprintf(out, 128, "{\"time\":\"%s.%03dZ\",\"level\":\"%s\",\"message\":\"",
			     when, (int)(now_ms % 1000), names[l]);
	n += json_escape(line, out + n);
	memcpy(out + n, "\"}\n", 4);
	return n + 3;
}

static void log_line(enum log_level l, const char *word, const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES], all[JSON_MAX_BYTES];
	size_t n;

	if (l > level)
		return;
	vsnprintf(line, sizeof(line), fmt, ap);
	if (as_json)
		n = json_line(l, line, all);
	else
		n = (size_t)snprintf(all, sizeof(all), "spctl: %s%s\n", word, line);
	put_or_keep(all, n);
}

#define LOG_FUNCTION(name, lvl, word)         \
	void name(const char *fmt, ...)       \
	{                                     \
		va_list ap;                   \
                                              \
		va_start(ap, fmt);            \
		log_line(lvl, word, fmt, ap); \
		va_end(ap);                   \
	}

LOG_FUNCTION(log_err, LOG_LEVEL_ERR, "error: ")
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN, "warning: ")
LOG_FUNCTION(log_info, LOG_LEVEL_INFO, "")
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG, "debug: ")

const char *log_escape(const void *bytes, size_t n, char *out, size_t cap)
{
	const unsigned char *p = bytes;
	size_t len = 0;

	if (!cap)
		return "";
	for (size_t i = 0; i < n; i++) {
		char one[5] = { (char)p[i], '\0' };
		size_t w = 1;

		if (p[i] < 0x20 || p[i] > 0x7e || p[i] == '\\')
			w = (size_t)snprintf(one, sizeof(one), "\\x%02x", p[i]);
		if (len + w + 4 > cap) {
			len += (size_t)snprintf(out + len, cap - len, "...");
			break;
		}
		for (size_t k = 0; k < w; k++)
			out[len++] = one[k];
	}
	out[len < cap ? len : cap - 1] = '\0';
	return out;
}
