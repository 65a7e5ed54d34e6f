// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A worker's lines wait in a buffer until it is half full or FLUSH_MS have gone
 * by. A write is the longest run of whole lines within PIPE_BUF: a pipe takes that
 * whole or not at all (POSIX), so workers need no lock between them. Where the
 * reader is slow the loop is told to say when there is room; until then lines are
 * kept as long as the buffer has room, and counted as dropped afterwards: the new
 * ones, because what is in the buffer may be in the middle of being written.
 *
 * Values are escaped into the line directly. Each has a bound of its own, and the sum of
 * the bounds is below ACCESS_LINE_MAX: a line is never cut in the middle.
 */
#include "dataplane/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/base/clock.h"
#include "ctl/base/text.h"

#define BUFFER_BYTES (64 * 1024)
#define FLUSH_MS     200
#define VALUE_MAX    768 /* of one value, escaped; five of them */
#define CUT	     3	 /* "..." */

_Static_assert(ACCESS_LINE_MAX <= PIPE_BUF, "a line is written whole");
/* Numbers, addresses and keys take less than 512 bytes. */
_Static_assert(5 * VALUE_MAX + 256 <= ACCESS_LINE_MAX, "the bounds of the values fit");

/* ---- one line ---- */

struct line {
	char *out;
	size_t len, cap;
	bool json;
};

enum value_kind { VALUE_BYTES, VALUE_NAME }; /* a peer's; of our own file */

static void line_put(struct line *l, const char *s, size_t n)
{
	if (n > l->cap - l->len)
		n = l->cap - l->len;
	memcpy(l->out + l->len, s, n);
	l->len += n;
}

__attribute__((format(printf, 2, 3))) static void line_printf(struct line *l, const char *fmt, ...)
{
	char text[128];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	line_put(l, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* Length of the UTF-8 character at p, of a text known to be valid. */
static size_t char_len(unsigned char c)
{
	return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

static bool stays(const struct line *l, unsigned char c, bool utf8)
{
	if (c >= 0x80)
		return utf8;
	if (c < 0x20 || c == 0x7f || c == '\\')
		return false;
	return l->json || (c != ' ' && c != '"');
}

/* Writes the character at p into out[8]; *used: bytes of p; returns bytes of out. */
static size_t escape_one(const struct line *l, const unsigned char *p, bool utf8, char out[8],
			 size_t *used)
{
	*used = utf8 ? char_len(*p) : 1;
	if (!stays(l, *p, utf8))
		return (size_t)snprintf(out, 8, l->json ? "\\\\x%02x" : "\\x%02x", *p);
	if (l->json && *p == '"') {
		memcpy(out, "\\\"", 2);
		return 2;
	}
	memcpy(out, p, *used);
	return *used;
}

static void line_escape(struct line *l, const void *bytes, size_t n, enum value_kind kind)
{
	const unsigned char *p = bytes, *end = p + n;
	bool utf8 = kind == VALUE_NAME && l->json && text_is_utf8(bytes, n, NULL);
	size_t room = VALUE_MAX - CUT, used;
	char one[8];

	while (p < end) {
		size_t w = escape_one(l, p, utf8, one, &used);

		if (w > room) {
			line_put(l, "...", CUT);
			return;
		}
		line_put(l, one, w);
		room -= w;
		p += used;
	}
}

static void line_key(struct line *l, const char *key)
{
	line_printf(l, l->json ? ",\"%s\":" : " %s=", key);
}

static void line_text(struct line *l, const char *key, const void *v, size_t n,
		      enum value_kind kind)
{
	line_key(l, key);
	if (l->json) {
		line_put(l, "\"", 1);
		line_escape(l, v, n, kind);
		line_put(l, "\"", 1);
		return;
	}
	if (!n)
		line_put(l, "-", 1);
	else if (n == 1 && *(const char *)v == '-')
		line_put(l, "\\x2d", 4);
	else
		line_escape(l, v, n, kind);
}

static void line_name(struct line *l, const char *key, const char *v)
{
	line_text(l, key, v, v ? strlen(v) : 0, VALUE_NAME);
}

static void line_endpoint(struct line *l, const char *key, const struct addr *a, uint16_t port)
{
	char text[ADDR_TEXT], both[ADDR_TEXT + 16];

	if (a->family == ADDR_NONE) {
		line_text(l, key, NULL, 0, VALUE_NAME);
		return;
	}
	snprintf(both, sizeof(both), a->family == ADDR_V6 ? "[%s]:%u" : "%s:%u",
		 addr_format(a, text), port);
	line_name(l, key, both);
}

static void line_number(struct line *l, const char *key, uint64_t v)
{
	line_key(l, key);
	line_printf(l, "%" PRIu64, v);
}

static void line_time(struct line *l, int64_t at_ms)
{
	char second[24];

	if (at_ms < 0)
		at_ms = 0;
	clock_format_utc(at_ms, second);
	second[strcspn(second, "Z")] = '\0';
	line_printf(l, l->json ? "{\"time\":\"%s.%03dZ\"" : "%s.%03dZ", second,
		    (int)(at_ms % 1000));
}

size_t access_log_format(const struct access_record *r, bool json, char *out, size_t cap)
{
	struct line l = { .out = out, .cap = ACCESS_LINE_MAX, .json = json };

	if (cap < ACCESS_LINE_MAX + 1)
		return 0;
	line_time(&l, r->at_ms);
	line_name(&l, "route", r->route);
	line_endpoint(&l, "client", &r->client, r->client_port);
	line_endpoint(&l, "local", &r->local, r->local_port);
	line_text(&l, "sni", r->sni, r->sni ? r->sni_len : 0, VALUE_BYTES);
	line_name(&l, "target", r->target);
	line_number(&l, "up", r->bytes_up);
	line_number(&l, "down", r->bytes_down);
	line_number(&l, "ms", r->duration_ms > 0 ? (uint64_t)r->duration_ms : 0);
	line_name(&l, "reason", r->reason);
	line_name(&l, "mover", r->mover);
	line_put(&l, "}\n" + !json, 1 + json);
	out[l.len] = '\0';
	return l.len;
}

/* ---- the lines of a worker ---- */

struct access_log {
	struct loop *loop;
	struct watch room; /* fd -1: nobody waits for room */
	struct timer flush;
	int fd;
	bool json;
	atomic_ullong dropped;
	size_t len;
	char bytes[BUFFER_BYTES];
};

#define LOG_OF(member_ptr, member) \
	((struct access_log *)((char *)(member_ptr)-offsetof(struct access_log, member)))

static unsigned lines_in(const char *p, size_t n)
{
	unsigned lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += p[i] == '\n';
	return lines;
}

/* Whole lines, as many as go at once. After a write that was cut (no pipe does) the first one is
 * the rest of its line. */
static size_t run_len(const struct access_log *a)
{
	size_t n = a->len < PIPE_BUF ? a->len : PIPE_BUF;

	while (n && a->bytes[n - 1] != '\n')
		n--;
	return n;
}

static void drop_all(struct access_log *a)
{
	atomic_fetch_add_explicit(&a->dropped, lines_in(a->bytes, a->len), memory_order_relaxed);
	a->len = 0;
}

/* 0: all of it; -EAGAIN: no room; else nobody will ever read it. */
static int write_out(struct access_log *a)
{
	size_t done = 0, n;

	for (; (n = run_len(a)); a->len -= done) {
		ssize_t w = write(a->fd, a->bytes, n);

		if (w < 0 && errno == EINTR) {
			done = 0;
			continue;
		}
		if (w < 0)
			return -errno;
		done = (size_t)w;
		memmove(a->bytes, a->bytes + done, a->len - done);
	}
	return 0;
}

static void room_ready(struct watch *w, uint32_t events);
static void flush_due(struct timer *t);

static void flush(struct access_log *a)
{
	int rc = write_out(a);

	if (rc && rc != -EAGAIN)
		drop_all(a);
	if (rc != -EAGAIN) {
		watch_remove(a->loop, &a->room);
		timer_cancel(a->loop, &a->flush);
		return;
	}
	/* Who cannot be watched (twice in one loop) is asked again. */
	if (a->room.fd < 0 && watch_add(a->loop, &a->room, a->fd, EPOLLOUT, room_ready))
		timer_set(a->loop, &a->flush, loop_now_ms(a->loop) + FLUSH_MS, flush_due);
}

static void room_ready(struct watch *w, uint32_t events)
{
	(void)events;
	flush(LOG_OF(w, room));
}

static void flush_due(struct timer *t)
{
	flush(LOG_OF(t, flush));
}

void access_log_put(struct access_log *a, const struct access_record *r)
{
	char line[ACCESS_LINE_MAX + 1];
	size_t n = access_log_format(r, a->json, line, sizeof(line));

	if (n > sizeof(a->bytes) - a->len) {
		atomic_fetch_add_explicit(&a->dropped, 1, memory_order_relaxed);
		return;
	}
	memcpy(a->bytes + a->len, line, n);
	a->len += n;
	if (a->room.fd >= 0)
		return;
	if (a->len >= sizeof(a->bytes) / 2)
		flush(a);
	else if (!timer_is_set(&a->flush))
		timer_set(a->loop, &a->flush, loop_now_ms(a->loop) + FLUSH_MS, flush_due);
}

uint64_t access_log_dropped(const struct access_log *a)
{
	return atomic_load_explicit(&a->dropped, memory_order_relaxed);
}

/* By lseek(2): fstat(2) of the C library asks by path, and in the sandbox there are none. */
int access_log_check(int fd, struct err *e)
{
	const int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return err_sys(e, errno, "access log: descriptor %d", fd);
	if (lseek(fd, 0, SEEK_CUR) < 0 && !(flags & O_NONBLOCK))
		return err_set(e, EINVAL, "access log: descriptor %d would wait for its reader",
			       fd);
	return 0;
}

struct access_log *access_log_new(struct loop *l, int fd, bool json, struct err *e)
{
	struct access_log *a;

	if (access_log_check(fd, e))
		return NULL;
	a = calloc(1, sizeof(*a));
	if (!a) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	a->loop = l;
	a->fd = fd;
	a->json = json;
	a->room.fd = -1;
	return a;
}

void access_log_set_json(struct access_log *a, bool json)
{
	a->json = json;
}

void access_log_free(struct access_log *a)
{
	if (!a)
		return;
	if (write_out(a))
		drop_all(a);
	watch_remove(a->loop, &a->room);
	timer_cancel(a->loop, &a->flush);
	free(a);
}
