/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A dataplane that somebody has taken over can say what it likes. It has no
 * descriptor of our log (unless the file asks for access lines), so it forges no
 * line of ours and fills no disk: what it writes comes through a pipe, a line at a
 * time. How much is read at once is bounded, too: others wait for this loop.
 */
#include "ctl/service/dataplane_words.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define READS_A_TURN 16
#define READS_AT_END 128 /* more than a pipe holds */

void words_init(struct words *w, struct loop *loop)
{
	*w = (struct words){ .loop = loop,
			     .watch.fd = -1,
			     .bucket = { .burst = WORDS_BURST, .per_s = WORDS_PER_S } };
}

void words_look(struct words *w)
{
	if (!w->left_out || !bucket_take(&w->bucket, loop_now_ms(w->loop)))
		return;
	log_warn("dataplane: %u line%s left out: it says too much", w->left_out,
		 w->left_out == 1 ? " was" : "s were");
	w->left_out = 0;
}

bool words_may_say(struct words *w)
{
	words_look(w);
	if (!w->left_out && bucket_take(&w->bucket, loop_now_ms(w->loop)))
		return true;
	w->left_out++;
	return false;
}

const char *words_last(const struct words *w)
{
	const bool now = loop_now_ms(w->loop) - w->last_error_ms <= WORDS_NOW_MS;

	return now ? w->last_error : "";
}

void words_say(struct words *w, enum log_level level, const char *text)
{
	if (level == LOG_LEVEL_ERR) {
		snprintf(w->last_error, sizeof(w->last_error), "%s", text);
		w->last_error_ms = loop_now_ms(w->loop);
	}
	if (level > log_get_level() || !words_may_say(w))
		return;
	if (level == LOG_LEVEL_ERR)
		log_err("dataplane: %s", text);
	else if (level == LOG_LEVEL_WARN)
		log_warn("dataplane: %s", text);
	else if (level == LOG_LEVEL_INFO)
		log_info("dataplane: %s", text);
	else
		log_debug("dataplane: %s", text);
}

/* ---- standard error ---- */

/* Without what our own messages begin with. */
static void line_ends(struct words *w)
{
	static const char mark[] = "spctl: error: ";
	const bool marked = w->len >= strlen(mark) && !memcmp(w->line, mark, strlen(mark));
	const size_t from = marked ? strlen(mark) : 0;
	char text[WORDS_LINE];

	if (w->len > from)
		words_say(w, LOG_LEVEL_ERR,
			  log_escape(w->line + from, w->len - from, text, sizeof(text)));
	w->len = 0;
}

/* What is longer than a line may be is several. */
static void take(struct words *w, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] != '\n')
			w->line[w->len++] = bytes[i];
		if (bytes[i] == '\n' || w->len == sizeof(w->line))
			line_ends(w);
	}
}

static void stop_reading(struct words *w)
{
	const int fd = w->watch.fd;

	if (fd < 0)
		return;
	watch_remove(w->loop, &w->watch);
	close(fd);
	line_ends(w);
}

static void read_some(struct words *w, unsigned times)
{
	char bytes[1024];
	ssize_t n = 0;

	for (; w->watch.fd >= 0 && times; times--) {
		n = read(w->watch.fd, bytes, sizeof(bytes));
		if (n <= 0)
			break;
		take(w, bytes, (size_t)n);
	}
	if (times && (!n || (n < 0 && errno != EAGAIN && errno != EINTR)))
		stop_reading(w);
}

static void readable(struct watch *watch, uint32_t events)
{
	(void)events;
	read_some((struct words *)((char *)watch - offsetof(struct words, watch)), READS_A_TURN);
}

int words_open(struct words *w)
{
	int ends[2];

	words_close(w);
	w->last_error[0] = '\0';
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	if (!watch_add(w->loop, &w->watch, ends[0], EPOLLIN, readable))
		return ends[1];
	close(ends[0]);
	close(ends[1]);
	return -1;
}

void words_close(struct words *w)
{
	read_some(w, READS_AT_END);
	stop_reading(w);
}

void words_fini(struct words *w)
{
	if (w->loop)
		stop_reading(w);
}
