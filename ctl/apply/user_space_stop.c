/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The service is reached within a time, or it hangs; and one that hangs is not
 * what anything depends on. Its controller is killed, which no connection notices,
 * and another one takes over from its dataplanes and can be told what to do.
 */
#include "ctl/apply/user_space.h"

#include <errno.h>

#include "ctl/apply/session.h"
#include "ctl/base/clock.h"
#include "ctl/base/log.h"
#include "ctl/control/start.h"

#define KILL_MS	 2000
#define STOP_MS	 5000 /* to say that it will */
#define LOOK_MS	 20
#define ATTEMPTS 3

int user_space_open(const struct session *s, struct control_client *c, unsigned patience_ms,
		    enum control_presence *p, struct err *e)
{
	const int64_t end = clock_mono_ms() + patience_ms;
	int rc;

	for (;;) {
		rc = client_open(c, s->state.run_dir, patience_ms, p, e);
		if (rc != -ENOENT || *p != CONTROL_STARTS)
			return rc;
		if (clock_mono_ms() >= end)
			return err_set(e, -ETIME,
				       "the service is starting, and is not there in "
				       "time");
		clock_sleep_ms(LOOK_MS);
	}
}

int user_space_start(const struct session *s, struct err *e)
{
	const struct control_start start = { .state_dir = s->state.state_dir,
					     .run_dir = s->state.run_dir,
					     .timeout_ms = USER_SPACE_PATIENCE_MS };

	*e = (struct err){ 0 };
	return control_start(&start, e);
}

int user_space_kill(const struct session *s, struct err *e)
{
	log_warn("%s: it is killed, and another one takes over from it", e->msg);
	*e = (struct err){ 0 };
	return control_kill(s->state.run_dir, KILL_MS, e);
}

/* ---- down ---- */

static int ask_to_stop(const struct session *s, unsigned drain_s, enum control_presence *p,
		       struct err *e)
{
	struct control_client c;
	int rc = user_space_open(s, &c, USER_SPACE_PATIENCE_MS, p, e);
	json_t *answer;

	if (rc)
		return rc;
	answer = client_ask(&c, json_pack("{s:s,s:i}", "type", "stop", "timeout", (int)drain_s),
			    "done", STOP_MS, NULL, e);
	client_close(&c);
	if (!answer)
		return e->code ? e->code : -EIO;
	json_decref(answer);
	return 0;
}

/* Once: 0 = it was told, 1 = there is none, -EAGAIN = there is another one to tell now. */
static int stop_once(const struct session *s, unsigned drain_s, struct err *e)
{
	enum control_presence p = CONTROL_NONE;
	int rc = ask_to_stop(s, drain_s, &p, e);

	if (rc == -ETIME)
		rc = user_space_kill(s, e);
	else if (rc == -ENOENT && p == CONTROL_NONE)
		return 1;
	/* Nobody else can tell a dataplane whose controller is gone to end. */
	else if (rc == -ENOENT)
		rc = user_space_start(s, e);
	else
		return rc;
	return rc ? rc : -EAGAIN;
}

int user_space_stop(const struct session *s, unsigned drain_s, struct err *e)
{
	int rc = -EAGAIN;

	for (unsigned i = 0; rc == -EAGAIN && i < ATTEMPTS; i++) {
		*e = (struct err){ 0 };
		rc = stop_once(s, drain_s, e);
	}
	if (rc >= 0) {
		*e = (struct err){ 0 };
		return 0;
	}
	if (rc == -EAGAIN)
		err_set(e, rc, "another one comes each time");
	return err_wrap(e, "the service cannot be ended");
}

int user_space_await_end(const struct session *s, unsigned timeout_ms, struct err *e)
{
	int64_t end = clock_mono_ms() + timeout_ms;

	while (control_look(s->state.run_dir) != CONTROL_NONE) {
		if (clock_mono_ms() > end)
			return err_set(e, -ETIME, "the service has not ended within %u s",
				       timeout_ms / 1000);
		clock_sleep_ms(LOOK_MS);
	}
	return 0;
}
