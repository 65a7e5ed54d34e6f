/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/cli/progress.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/base/clock.h"
#include "ctl/base/io.h"
#include "ctl/base/log.h"

#define SILENT_MS  500
#define REDRAW_MS  1000
#define LINE_BYTES 80

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool running, ending, shown;
	int64_t start_ms, draw_at_ms;
	char what[LINE_BYTES];
} p = { .lock = PTHREAD_MUTEX_INITIALIZER };

const char *progress_text(const char *what, unsigned seconds, char *out, size_t cap)
{
	char time[24] = "";
	size_t room = cap - 1;

	if (seconds)
		snprintf(time, sizeof(time), ", %u s", seconds);
	room -= strlen(time) < room ? strlen(time) : room;
	snprintf(out, room + 1, "spctl: %s", what);
	for (char *c = out; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	snprintf(out + strlen(out), cap - strlen(out), "%s", time);
	return out;
}

/* With the lock held. */
static void draw(void)
{
	int64_t now = clock_mono_ms();
	char line[LINE_BYTES], all[LINE_BYTES + 8];
	int n;

	if (!p.what[0])
		return;
	p.draw_at_ms = now + REDRAW_MS;
	/* A line that goes away again is not worth waiting for, least of all with a lock held. */
	if (!io_is_writable(STDERR_FILENO))
		return;
	progress_text(p.what, (unsigned)((now - p.start_ms) / 1000), line, sizeof(line));
	n = snprintf(all, sizeof(all), "\r%s\033[K", line);
	io_write_all(STDERR_FILENO, all, (size_t)n);
	p.shown = true;
}

static void erase(void)
{
	if (!p.shown || !io_is_writable(STDERR_FILENO))
		return;
	io_write_all(STDERR_FILENO, "\r\033[K", 4);
	p.shown = false;
}

static void *draw_now_and_then(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&p.lock);
	while (!p.ending) {
		int64_t at = p.draw_at_ms;
		struct timespec t = { .tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000 };

		if (clock_mono_ms() >= at)
			draw();
		else
			pthread_cond_timedwait(&p.changed, &p.lock, &t);
	}
	erase();
	pthread_mutex_unlock(&p.lock);
	return NULL;
}

static bool is_wanted(const struct options *o)
{
	const char *term = getenv("TERM");

	return !o->quiet && !o->json && isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
}

void progress_start(const struct options *o)
{
	pthread_condattr_t attr;

	if (p.running || !is_wanted(o))
		return;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p.changed, &attr);
	pthread_condattr_destroy(&attr);
	p.start_ms = clock_mono_ms();
	p.draw_at_ms = p.start_ms + SILENT_MS;
	p.ending = p.shown = false;
	p.what[0] = '\0';
	p.running = !pthread_create(&p.thread, NULL, draw_now_and_then, NULL);
	if (p.running)
		log_before_line(progress_hide);
}

void progress_phase(const char *what)
{
	if (!p.running)
		return;
	pthread_mutex_lock(&p.lock);
	snprintf(p.what, sizeof(p.what), "%s", what);
	if (p.shown)
		draw();
	pthread_mutex_unlock(&p.lock);
}

bool progress_show(const char *what)
{
	if (!p.running)
		return false;
	pthread_mutex_lock(&p.lock);
	snprintf(p.what, sizeof(p.what), "%s", what);
	draw();
	pthread_mutex_unlock(&p.lock);
	return true;
}

void progress_hide(void)
{
	if (!p.running)
		return;
	pthread_mutex_lock(&p.lock);
	erase();
	p.draw_at_ms = clock_mono_ms() + REDRAW_MS;
	pthread_mutex_unlock(&p.lock);
}

void progress_end(void)
{
	if (!p.running)
		return;
	log_before_line(NULL);
	pthread_mutex_lock(&p.lock);
	p.ending = true;
	pthread_cond_signal(&p.changed);
	pthread_mutex_unlock(&p.lock);
	pthread_join(p.thread, NULL);
	pthread_cond_destroy(&p.changed);
	p.running = false;
}
