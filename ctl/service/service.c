/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * There is one way to begin, whatever was before: sockets that systemd kept,
 * sockets of dataplanes that are still there, then what STATE says is live. A new
 * binary (SIGUSR2) is run in the same process, so that its pid and its lock stay
 * what they are, and begins the same way, as if its forerunner had been killed.
 */
#include "ctl/service/service.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/base/io.h"
#include "ctl/base/log.h"
#include "ctl/base/text.h"
#include "ctl/service/live.h"
#include "ctl/service/notify.h"
#include "ctl/service/run_lock.h"
#include "ctl/service/service_child.h"
#include "ctl/service/service_internal.h"
#include "ctl/service/spawn.h"
#include "ctl/state/state.h"

#define WORKERS_MAX   256
#define HELLO_MAX     16384
#define SHUTDOWN_MS   30000	/* where nothing is live that says otherwise */
#define OLD_MS	      INT32_MAX /* after a hand-over connections live as long as they like */
#define FORCE_MS      2000	/* beyond the time that was given */
#define COUNT_MS      1000
#define LOG_LOOK_MS   1000
#define LOG_MAX_BYTES (1 << 20)

static unsigned cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) < 0 ? 1 : (unsigned)CPU_COUNT(&set);
}

/* ---- the end ---- */

void service_check_end(struct service *s)
{
	if (s->stopping && !s->link.pid && !s->olds)
		loop_stop(s->loop);
}

static void force(struct service *s)
{
	link_kill(&s->link, "it had to end at once");
	olds_kill(s);
	service_check_end(s);
}

static void count_down(struct timer *t)
{
	struct service *s = (struct service *)((char *)t - offsetof(struct service, countdown));
	const int64_t now = loop_now_ms(s->loop), left_ms = s->stop_at_ms - now;

	timer_set(s->loop, t, now + COUNT_MS, count_down);
	if (left_ms <= -FORCE_MS)
		force(s);
	else if (left_ms > 0)
		log_info("ends in %lld s at the latest: %u connection%s left",
			 (long long)(left_ms + 999) / 1000, s->link.connections,
			 text_plural(s->link.connections));
}

void service_stop(struct service *s, unsigned timeout_ms)
{
	const int64_t now = loop_now_ms(s->loop);

	if (s->stopping && now + timeout_ms >= s->stop_at_ms)
		return;
	if (!s->stopping)
		notify_say("STOPPING=1\nSTATUS=connections end");
	s->stopping = true;
	s->stop_at_ms = now + timeout_ms;
	link_drain(&s->link, timeout_ms);
	olds_drain(s, timeout_ms);
	/* Nobody waits for who does not come, nor in a copy that systemd keeps. */
	missing_fini(s);
	listeners_want_none(&s->listeners);
	service_store_listeners(s);
	listeners_close_idle(&s->listeners);
	timer_set(s->loop, &s->countdown, now + COUNT_MS, count_down);
	service_check_end(s);
}

/* ---- what is heard ---- */

static void start_file(struct service *s)
{
	struct err e = { 0 };

	if (!s->o.file || s->apply_pid)
		return;
	s->apply_pid = service_child_apply(s->o.file, s->state_dir, s->run_dir, &e);
	if (s->apply_pid > 0)
		return;
	log_err("%s", e.msg);
	s->exit_code = 1;
	service_stop(s, 0);
}

static void is_ready(void *arg)
{
	struct service *s = arg;
	char text[160];

	stage_ready(s);
	found_dataplane_ready(s);
	olds_drain(s, OLD_MS);
	service_store_listeners(s);
	snprintf(text, sizeof(text), "READY=1\nSTATUS=generation %u, %zu socket%s, %u worker%s",
		 s->link.generation, s->listeners.n, text_plural(s->listeners.n),
		 s->listeners.workers, text_plural(s->listeners.workers));
	notify_say(text);
	if (!s->ready)
		log_info("the service is ready (pid %d, dataplane %d, %u worker%s, %zu listening "
			 "socket%s)",
			 (int)getpid(), (int)s->link.pid, s->listeners.workers,
			 text_plural(s->listeners.workers), s->listeners.n,
			 text_plural(s->listeners.n));
	else
		log_info("the dataplane is back (pid %d)", (int)s->link.pid);
	s->ready = true;
	start_file(s);
}

static void said(void *arg, const struct upcall *u)
{
	struct service *s = arg;

	switch (u->type) {
	case UPCALL_LOADED:
	case UPCALL_FAILED:
	case UPCALL_SWITCHED:
		stage_heard(s, u);
		break;
	case UPCALL_ANSWER:
		control_heard(s, u);
		break;
	case UPCALL_TARGET:
	case UPCALL_NAME_CHANGED:
		found_heard(s, u);
		break;
	case UPCALL_NOTICE:
		words_say(&s->link.words, u->level, u->text);
		break;
	default:
		break;
	}
}

static void ended(void *arg, const char *why)
{
	struct service *s = arg;

	control_dataplane_ended(s);
	stage_dataplane_ended(s, why);
	if (!s->stopping && why)
		log_err("the dataplane ended (%s): it is started again, new connections wait", why);
	service_check_end(s);
}

static void not_started(void *arg, const char *why)
{
	stage_dataplane_ended(arg, why);
}

/* ---- signals ---- */

/* What was live before it is live still: that is no reason to take it from anybody. */
static void file_failed(struct service *s)
{
	if (!s->link.generation) {
		service_stop(s, 0);
		return;
	}
	log_err("%s was not applied (exit code %d): generation %u goes on", s->o.file, s->exit_code,
		s->link.generation);
}

static void reap(struct service *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (link_child_ended(&s->link, pid, status) || found_child_ended(s, pid, status) ||
		    pid != s->apply_pid)
			continue;
		s->apply_pid = -1;
		s->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		if (s->exit_code)
			file_failed(s);
	}
}

/* Comes back only if it could not be done: then everything is as before. */
static void upgrade(struct service *s)
{
	struct err e = { 0 };

	if (s->stopping || s->link.state != LINK_READY || s->stage.state != STAGE_NONE) {
		log_warn("SIGUSR2: not now, something is being changed; try again");
		return;
	}
	log_info("SIGUSR2: %s takes over", s->binary);
	if (service_child_check(s->binary, &e)) {
		log_err("%s: it is not run, this one goes on", e.msg);
		return;
	}
	run_lock_keep(s->lock_fd, true);
	execv(s->binary, s->o.argv);
	log_err("cannot run %s: %s; this one goes on", s->binary, strerror(errno));
	run_lock_keep(s->lock_fd, false);
}

static void on_signal(struct service *s, unsigned sig)
{
	switch (sig) {
	case SIGCHLD:
		reap(s);
		break;
	case SIGHUP:
		log_info("SIGHUP: there is nothing to read again; routes change by spctl apply");
		break;
	case SIGUSR2:
		upgrade(s);
		break;
	default:
		if (s->stopping) {
			log_info("a second signal: connections end now");
			force(s);
			break;
		}
		log_info("%s: connections have %u s to end, a second signal ends them now",
			 strsignal((int)sig), (s->shutdown_ms + 999) / 1000);
		service_stop(s, s->shutdown_ms);
	}
}

static void signalled(struct watch *w, uint32_t events)
{
	struct service *s = (struct service *)((char *)w - offsetof(struct service, signals));
	struct signalfd_siginfo info;

	(void)events;
	while (read(w->fd, &info, sizeof(info)) == sizeof(info))
		on_signal(s, info.ssi_signo);
}

static int signals_open(struct service *s, struct err *e)
{
	static const int mine[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD };
	sigset_t set;
	int rc;

	sigemptyset(&set);
	for (unsigned i = 0; i < sizeof(mine) / sizeof(*mine); i++)
		sigaddset(&set, mine[i]);
	sigprocmask(SIG_SETMASK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return err_sys(e, errno, "cannot receive signals");
	rc = watch_add(s->loop, &s->signals, s->signal_fd, EPOLLIN, signalled);
	return rc ? err_sys(e, rc, "cannot watch signals") : 0;
}

/* ---- the beginning ---- */

static void adopt(void *arg, int fd, const char *name)
{
	struct service *s = arg;
	struct listen_at at;
	struct err e = { 0 };

	if (!listen_at_name_parse(name, &at))
		close(fd);
	else if (listeners_adopt(&s->listeners, fd, &at, true, &e))
		log_warn("kept socket: %s", e.msg);
}

static void start_link(struct service *s, struct live *live)
{
	const struct link_owner owner = { s, is_ready, said, ended, not_started };
	const struct link_config c = {
		.run_dir = s->run_dir,
		.user = s->o.user,
		.workers = s->listeners.workers,
		.pipes = s->listeners.workers * PIPES_PER_WORKER,
		.hello_max_bytes = HELLO_MAX,
		.access_fd = s->log.access_fd,
	};

	link_init(&s->link, s->loop, &c, &owner, &s->listeners);
	link_set_live(&s->link, live->load ? json_incref(live->load) : NULL, live->generation);
	found_begin(s, &live->found);
	link_start(&s->link);
}

unsigned service_workers(const struct service *s, unsigned wanted)
{
	const unsigned n = s->o.workers ? s->o.workers : wanted ? wanted : cores();

	return n < WORKERS_MAX ? n : WORKERS_MAX;
}

static int start_with(struct service *s, struct live *live, struct err *e)
{
	int rc;

	memcpy(s->instance, live->instance, sizeof(s->instance));
	s->shutdown_ms = live->generation ? live->shutdown_ms : SHUTDOWN_MS;
	service_log_follow(&s->log, live->load);
	listeners_init(&s->listeners, service_workers(s, live->workers));
	notify_take(adopt, s);
	/* First: commands wait for the answer of who has a socket, however long the rest takes. */
	rc = control_open(s, e);
	if (rc)
		return rc;
	olds_take_over(s);
	missing_bind(s, live);
	start_link(s, live);
	return 0;
}

/* Of this dataplane: former ones drain with what they know. */
static void dns_changed(void *arg, json_t *dns)
{
	struct service *s = arg;

	link_say(&s->link, json_pack("{s:s,s:O}", "type", "dns", "dns", dns));
}

/* A file that nobody rotates (RUN is in memory) is begun again. */
static void cut_log(struct timer *t)
{
	struct service *s = (struct service *)((char *)t - offsetof(struct service, log_clock));
	struct stat st;

	timer_set(s->loop, t, loop_now_ms(s->loop) + LOG_LOOK_MS, cut_log);
	words_look(&s->link.words);
	if (!fstat(STDERR_FILENO, &st) && S_ISREG(st.st_mode) && st.st_size > LOG_MAX_BYTES &&
	    (fcntl(STDERR_FILENO, F_GETFL) & O_APPEND) && ftruncate(STDERR_FILENO, 0) < 0)
		return;
}

static void feed_watchdog(struct timer *t)
{
	struct service *s = (struct service *)((char *)t - offsetof(struct service, watchdog));

	notify_say("WATCHDOG=1");
	timer_set(s->loop, t, loop_now_ms(s->loop) + s->watchdog_ms, feed_watchdog);
}

/* The directories are this namespace's, and there is one service in them. */
static int claim(struct service *s, struct err *e)
{
	struct state st;
	char path[PATH_MAX];
	ssize_t n;
	int rc = state_open(&st, s->o.state_dir, s->o.run_dir, true, e);

	if (rc)
		return rc;
	state_close(&st);
	s->state_dir = realpath(s->o.state_dir, NULL);
	s->run_dir = realpath(s->o.run_dir, NULL);
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (!s->state_dir || !s->run_dir || n < 0)
		return err_sys(e, errno, "cannot find out where %s is",
			       n < 0 ? "this program" : s->o.run_dir);
	path[n] = '\0';
	s->binary = strdup(path);
	if (!s->binary)
		return err_set(e, -ENOMEM, "out of memory");
	s->lock_fd = run_lock_take(s->run_dir, e);
	return s->lock_fd < 0 ? s->lock_fd : host_identity_read(&s->identity, e);
}

static int begin(struct service *s, struct err *e)
{
	struct live live = { 0 };
	int rc = claim(s, e);

	if (rc)
		return rc;
	spawn_raise_nofile();
	service_log_init(&s->log);
	s->loop = loop_new(e);
	if (!s->loop)
		return e->code ? e->code : -ENOMEM;
	rc = signals_open(s, e);
	rc = rc ? rc : live_read(s->state_dir, s->run_dir, &live, e);
	rc = rc ? rc : start_with(s, &live, e);
	live_fini(&live);
	if (!rc)
		cut_log(&s->log_clock);
	s->watchdog_ms = notify_watchdog_ms();
	if (!rc && s->watchdog_ms)
		feed_watchdog(&s->watchdog);
	if (!rc)
		service_idle_start(s);
	if (!rc)
		follow_start(s);
	dns_watch_start(&s->dns, s->loop, dns_changed, s);
	return rc;
}

static void end(struct service *s)
{
	if (s->loop) {
		control_close(s);
		stage_fini(s);
		olds_fini(s);
		missing_fini(s);
		follow_fini(s);
		dns_watch_stop(&s->dns);
		timer_cancel(s->loop, &s->watchdog);
		timer_cancel(s->loop, &s->countdown);
		timer_cancel(s->loop, &s->idle);
		timer_cancel(s->loop, &s->log_clock);
		if (s->link.loop) {
			link_kill(&s->link, "the service ends");
			link_fini(&s->link);
		}
		found_fini(s);
		watch_remove(s->loop, &s->signals);
		loop_free(s->loop);
	}
	listeners_fini(&s->listeners);
	nft_close(s->nft);
	service_log_fini(&s->log);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	if (s->lock_fd >= 0)
		run_lock_give(s->run_dir, s->lock_fd);
	free(s->state_dir);
	free(s->run_dir);
	free(s->binary);
}

int service_run(const struct service_options *o, int *exit_code, struct err *e)
{
	struct service s = {
		.o = *o, .lock_fd = -1, .signal_fd = -1, .control.fd = -1, .log.access_fd = -1
	};
	int rc;

	s.signals.fd = s.control.watch.fd = -1;
	/* It was applied by the binary of before; what is live may have changed since. */
	if (run_lock_is_kept())
		s.o.file = NULL;
	rc = begin(&s, e);
	if (!rc)
		rc = loop_run(s.loop);
	end(&s);
	*exit_code = s.exit_code;
	return rc;
}
