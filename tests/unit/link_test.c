/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The link starts /proc/self/exe, which is this test: as its own dataplane it misbehaves as the
 * user's name says. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/base/log.h"
#include "ctl/service/dataplane_link.h"
#include "ctl/service/spawn.h"

/* ---- the dataplane ---- */

struct fake {
	struct wire wire;
	const char *how;
	int rounds;
	json_int_t generation;
};

static bool does(const struct fake *f, const char *how)
{
	return !strcmp(f->how, how);
}

static void say(struct fake *f, json_t *m)
{
	wire_send(&f->wire, m, NULL, 0, false);
	wire_flush(&f->wire);
}

static void fake_start(struct fake *f)
{
	if (does(f, "garbage") && write(f->wire.fd, "\377\377\377\377", 4) != 4)
		_exit(1);
	if (does(f, "handover"))
		say(f, json_pack("{s:s,s:[]}", "type", "handover", "listeners"));
	say(f, json_pack("{s:s,s:i}", "type", "started", "pid", (int)getpid() + does(f, "liar")));
}

/* As much as the wire takes. */
static void fake_flood(struct fake *f)
{
	struct pollfd p = { .fd = SPAWN_WIRE_FD, .events = POLLOUT };

	for (;;) {
		say(f, json_pack("{s:s,s:s,s:s}", "type", "notice", "level", "info", "message",
				 "look at me"));
		if (wire_queued(&f->wire))
			poll(&p, 1, -1);
	}
}

static void fake_hear(struct fake *f, const struct wire_message *m)
{
	const char *type = wire_message_type(m);
	const json_t *generation = json_object_get(m->json, "generation");

	f->rounds += !strcmp(type, "ping");
	if (!strcmp(type, "start"))
		fake_start(f);
	else if (!strcmp(type, "load") && does(f, "refuse"))
		say(f, json_pack("{s:s,s:O,s:i,s:s}", "type", "failed", "generation", generation,
				 "route", 0, "message", "no"));
	else if (!strcmp(type, "load") && does(f, "dies"))
		_exit(3);
	else if (!strcmp(type, "load"))
		say(f, json_pack("{s:s,s:O}", "type", "loaded", "generation", generation));
	else if (!strcmp(type, "switch"))
		say(f, json_pack("{s:s,s:O}", "type", "switched", "generation", generation));
	if (!strcmp(type, "switch") && does(f, "floods"))
		fake_flood(f);
	if (!strcmp(type, "drain"))
		_exit(0);
	else if (!strcmp(type, "ping") && !does(f, "silent"))
		say(f, json_pack("{s:s,s:O,s:[ii]}", "type", "pong", "seq",
				 json_object_get(m->json, "seq"), "rounds", f->rounds,
				 does(f, "stuck") ? 7 : f->rounds));
}

static int fake_run(const char *how)
{
	struct fake f = { .how = how };
	struct wire_message m;
	int rc;

	wire_init(&f.wire, SPAWN_WIRE_FD, WIRE_MAX_DOWN);
	while ((rc = wire_receive(&f.wire, &m, NULL)) >= 0) {
		struct pollfd p = { .fd = SPAWN_WIRE_FD, .events = POLLIN };

		if (!rc) {
			poll(&p, 1, -1);
			continue;
		}
		fake_hear(&f, &m);
		wire_message_fini(&m);
	}
	return 0;
}

/* ---- the controller ---- */

#define LIMIT_MS 20000

struct world {
	struct loop *loop;
	struct link link;
	struct listeners listeners;
	struct timer reaper;
	char run_dir[32], why[200];
	int64_t until_ms;
	unsigned ready, ended;
	uint64_t round;
	unsigned heard, in_round; /* messages: most in one round of the loop, and in this one */
	unsigned stop_at_ready, stop_at_ended; /* 0 = never */
};

static void is_ready(void *arg)
{
	struct world *w = arg;

	if (++w->ready == w->stop_at_ready)
		loop_stop(w->loop);
}

static void said(void *arg, const struct upcall *u)
{
	struct world *w = arg;

	(void)u;
	w->in_round = w->round == loop_rounds(w->loop) ? w->in_round + 1 : 1;
	w->round = loop_rounds(w->loop);
	w->heard = w->heard > w->in_round ? w->heard : w->in_round;
}

static void ended(void *arg, const char *why)
{
	struct world *w = arg;

	snprintf(w->why, sizeof(w->why), "%s", why);
	if (++w->ended == w->stop_at_ended)
		loop_stop(w->loop);
}

static void reap(struct timer *t)
{
	struct world *w = (struct world *)((char *)t - offsetof(struct world, reaper));
	int status;
	pid_t pid = waitpid(-1, &status, WNOHANG);

	if (pid > 0)
		assert_true(link_child_ended(&w->link, pid, status));
	timer_set(w->loop, t, loop_now_ms(w->loop) + 5, reap);
	if (!w->until_ms)
		w->until_ms = loop_now_ms(w->loop) + LIMIT_MS;
	if (loop_now_ms(w->loop) > w->until_ms)
		loop_stop(w->loop);
}

static struct world *world_new(const char *how, bool serves)
{
	static struct world w;
	const struct link_owner owner = { &w, is_ready, said, ended, NULL };
	struct link_config c = { .run_dir = w.run_dir, .user = how, .workers = 2, .pipes = 3 };

	w = (struct world){ .run_dir = "/tmp/spctl-unit-XXXXXX" };
	assert_non_null(mkdtemp(w.run_dir));
	w.loop = loop_new(NULL);
	assert_non_null(w.loop);
	listeners_init(&w.listeners, 2);
	link_init(&w.link, w.loop, &c, &owner, &w.listeners);
	if (serves)
		link_set_live(&w.link, json_pack("{s:s,s:i}", "type", "load", "generation", 5), 5);
	timer_set(w.loop, &w.reaper, 0, reap);
	return &w;
}

static void world_free(struct world *w)
{
	static const char *const names[] = { "dataplane.1.sock", "dataplane.2.sock", LINK_LOCK };
	char path[96];

	if (w->link.pid) {
		const pid_t pid = w->link.pid;

		link_kill(&w->link, "the test ends");
		waitpid(pid, NULL, 0);
	}
	timer_cancel(w->loop, &w->reaper);
	link_fini(&w->link);
	listeners_fini(&w->listeners);
	loop_free(w->loop);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", w->run_dir, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(w->run_dir), 0);
}

static void expect_end(const char *how, const char *why)
{
	struct world *w = world_new(how, true);

	w->stop_at_ended = 1;
	link_start(&w->link);
	loop_run(w->loop);
	assert_string_equal(w->why, why);
	assert_int_equal(w->link.state, LINK_DOWN);
	assert_int_equal(w->link.restarts, 1);
	world_free(w);
}

static void one_that_behaves_serves_and_drains(void **state)
{
	struct world *w = world_new("fine", true);
	char path[96];

	(void)state;
	w->stop_at_ready = 1;
	link_start(&w->link);
	loop_run(w->loop);
	assert_int_equal(w->ready, 1);
	assert_int_equal(w->link.state, LINK_READY);
	snprintf(path, sizeof(path), "%s/%s", w->run_dir, w->link.socket);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(control_look(w->run_dir), CONTROL_ORPHAN); /* its lock tells that it is */
	w->stop_at_ended = 1;
	link_drain(&w->link, 0);
	loop_run(w->loop);
	assert_string_equal(w->why, "exit code 0");
	assert_int_equal(w->link.restarts, 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(control_look(w->run_dir), CONTROL_NONE);
	world_free(w);
}

static void nothing_to_serve_is_served_at_once(void **state)
{
	struct world *w = world_new("fine", false);

	(void)state;
	w->stop_at_ready = 1;
	link_start(&w->link);
	loop_run(w->loop);
	assert_int_equal(w->ready, 1);
	world_free(w);
}

static void one_that_dies_is_started_again_and_again(void **state)
{
	struct world *w = world_new("dies", true);

	(void)state;
	w->stop_at_ended = 4;
	link_start(&w->link);
	loop_run(w->loop);
	assert_string_equal(w->why, "exit code 3");
	assert_int_equal(w->ended, 4);
	assert_int_equal(w->ready, 0);
	assert_int_equal(w->link.failures, 4);
	/* At once, then after 100, 200, 400 ms, … */
	assert_int_equal(w->link.pause_ms, 800);
	world_free(w);
}

static void who_is_in_a_hurry_does_not_wait_for_the_pause(void **state)
{
	struct world *w = world_new("dies", true);
	int64_t began_ms;

	(void)state;
	w->stop_at_ended = 4;
	link_start(&w->link);
	loop_run(w->loop);
	began_ms = loop_now_ms(w->loop);
	w->stop_at_ended = 5;
	w->link.pause_ms = LINK_PAUSE_MAX_MS;
	link_hurry(&w->link);
	loop_run(w->loop);
	assert_int_equal(w->ended, 5);
	assert_int_equal(w->link.failures, 5);
	assert_true(loop_now_ms(w->loop) - began_ms < LINK_PAUSE_MAX_MS / 2);
	assert_int_equal(w->link.pause_ms, 2 * LINK_PAUSE_MIN_MS);
	world_free(w);
}

static void one_that_misbehaves_is_killed(void **state)
{
	(void)state;
	expect_end("garbage", "it was killed: a message of 4294967295 bytes; it has 1 to 65536");
	expect_end("liar", "it was killed: it says that it is another process");
	expect_end("handover", "it was killed: it hands over what nobody asked for");
	expect_end("refuse", "it was killed: it cannot serve what is live");
}

static void one_that_says_too_much_is_killed_and_keeps_nobody_waiting(void **state)
{
	struct world *w = world_new("floods", true);

	(void)state;
	w->link.upcalls.burst = 5000; /* for a test: it takes a while to read more */
	w->stop_at_ended = 1;
	link_start(&w->link);
	loop_run(w->loop);
	assert_string_equal(w->why, "it was killed: it says more than 1000 things a second");
	assert_in_range(w->heard, 1, LINK_A_TURN);
	assert_int_equal(w->link.ends, 1);
	assert_string_equal(w->link.last_end, w->why);
	world_free(w);
}

static void a_missing_heartbeat_is_the_end(void **state)
{
	(void)state;
	expect_end("silent", "it was killed: it missed its heartbeats");
}

static void so_is_one_of_a_single_worker(void **state)
{
	(void)state;
	expect_end("stuck", "it was killed: worker 1 missed 3 heartbeats");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_behaves_serves_and_drains),
		cmocka_unit_test(nothing_to_serve_is_served_at_once),
		cmocka_unit_test(one_that_dies_is_started_again_and_again),
		cmocka_unit_test(who_is_in_a_hurry_does_not_wait_for_the_pause),
		cmocka_unit_test(one_that_misbehaves_is_killed),
		cmocka_unit_test(one_that_says_too_much_is_killed_and_keeps_nobody_waiting),
		cmocka_unit_test(a_missing_heartbeat_is_the_end),
		cmocka_unit_test(so_is_one_of_a_single_worker),
	};

	if (argc == 4 && !strcmp(argv[1], SPAWN_COMMAND))
		return fake_run(argv[3]);
	log_set_level(LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
