/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/service/notify.h"

static int manager = -1; /* what systemd has */

/* In the abstract namespace, as some managers have it; or with a path. */
static void listen_as(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	memcpy(a.sun_path, path, strlen(path));
	if (*path == '@')
		a.sun_path[0] = '\0';
	if (manager >= 0)
		close(manager);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&a,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))),
			 0);
	setenv("NOTIFY_SOCKET", path, 1);
}

/* What came, with its descriptor, or -1. */
static int receive(char out[300])
{
	char room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { out, 299 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = room,
			    .msg_controllen = sizeof(room) };
	const ssize_t n = recvmsg(manager, &m, MSG_CMSG_CLOEXEC);
	int fd = -1;

	assert_true(n >= 0);
	out[n] = '\0';
	if (CMSG_FIRSTHDR(&m))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

static void what_is_said_arrives(void **state)
{
	char path[64], got[300];

	(void)state;
	snprintf(path, sizeof(path), "@spctl-unit-%d", (int)getpid());
	listen_as(path);
	assert_true(notify_say("READY=1\nSTATUS=x"));
	assert_int_equal(receive(got), -1);
	assert_string_equal(got, "READY=1\nSTATUS=x");
	snprintf(path, sizeof(path), "/tmp/spctl-unit-%d", (int)getpid());
	listen_as(path);
	assert_true(notify_say("STOPPING=1"));
	assert_int_equal(receive(got), -1);
	assert_string_equal(got, "STOPPING=1");
	unlink(path);
	assert_false(notify_say("STOPPING=1"));
	setenv("NOTIFY_SOCKET", "", 1);
	assert_false(notify_say("READY=1"));
	unsetenv("NOTIFY_SOCKET");
	assert_false(notify_say("READY=1"));
}

static void a_descriptor_is_kept_under_its_name(void **state)
{
	char path[64], got[300];
	struct stat a, b;
	int pipes[2], fd;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	snprintf(path, sizeof(path), "@spctl-unit-%d", (int)getpid());
	listen_as(path);
	assert_true(notify_store(pipes[0], "any/443/1"));
	fd = receive(got);
	assert_string_equal(got, "FDSTORE=1\nFDPOLL=0\nFDNAME=any/443/1");
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(fstat(pipes[0], &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	close(fd);
	notify_unstore("any/443/1");
	assert_int_equal(receive(got), -1);
	assert_string_equal(got, "FDSTOREREMOVE=1\nFDNAME=any/443/1");
	close(pipes[0]);
	close(pipes[1]);
}

static char taken[256];

static void take(void *arg, int fd, const char *name)
{
	const size_t n = strlen(taken);

	(void)arg;
	snprintf(taken + n, sizeof(taken) - n, "%d=%s,%d;", fd, name,
		 fcntl(fd, F_GETFD) == FD_CLOEXEC);
}

/* With descriptors 3 and 4 as a manager hands them over. */
static int take_in_child(const char *pid)
{
	char own[16];
	int status;
	pid_t child = fork();

	if (!child) {
		dup2(0, 3);
		dup2(0, 4);
		snprintf(own, sizeof(own), "%d", (int)getpid());
		setenv("LISTEN_PID", pid ? pid : own, 1);
		setenv("LISTEN_FDS", "2", 1);
		setenv("LISTEN_FDNAMES", "any/443/0:x", 1);
		notify_take(take, NULL);
		if (getenv("LISTEN_FDS") || getenv("LISTEN_PID"))
			_exit(9);
		_exit(!strcmp(taken, "3=any/443/0,1;4=x,1;") ? 1 : !*taken ? 2 : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WEXITSTATUS(status);
}

static void kept_descriptors_come_back_to_whom_they_are_for(void **state)
{
	(void)state;
	assert_int_equal(take_in_child(NULL), 1);
	assert_int_equal(take_in_child("1"), 2);
}

static void the_watchdog_is_fed_twice_as_often_as_it_asks(void **state)
{
	(void)state;
	unsetenv("WATCHDOG_USEC");
	assert_int_equal(notify_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(notify_watchdog_ms(), 15000);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_watchdog_ms(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_said_arrives),
		cmocka_unit_test(a_descriptor_is_kept_under_its_name),
		cmocka_unit_test(kept_descriptors_come_back_to_whom_they_are_for),
		cmocka_unit_test(the_watchdog_is_fed_twice_as_often_as_it_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
