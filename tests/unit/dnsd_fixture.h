/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dnsd_fixture: the name server of the tests (tests/tools/dnsd.c) in a child, with a zone that a
 * test changes, and a log of what it was asked. For one test program. */
#ifndef TESTS_UNIT_DNSD_FIXTURE_H
#define TESTS_UNIT_DNSD_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define main dnsd_main
int dnsd_main(int argc, char **argv);
#include "tests/tools/dnsd.c"
#undef main

static char dir[] = "/tmp/dnsd_fixture.XXXXXX", zone_file[64], log_file[64], server[64];
static pid_t child;

static void zone_is(const char *text)
{
	char tmp[80];
	FILE *f;

	snprintf(tmp, sizeof(tmp), "%s.new", zone_file);
	f = fopen(tmp, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(rename(tmp, zone_file), 0);
}

static void child_run(int out)
{
	char at[] = "127.0.0.1:0", name[] = "dnsd";
	char *argv[] = { name, at, zone_file, log_file, NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, 1);
	_exit(dnsd_main(4, argv));
}

static int server_start(void **state)
{
	unsigned port;
	FILE *out;
	int p[2];

	(void)state;
	if (!mkdtemp(dir) || pipe2(p, O_CLOEXEC))
		return -1;
	snprintf(zone_file, sizeof(zone_file), "%s/zone", dir);
	snprintf(log_file, sizeof(log_file), "%s/log", dir);
	child = fork();
	if (!child)
		child_run(p[1]);
	close(p[1]);
	out = fdopen(p[0], "r");
	if (child < 0 || fscanf(out, "dnsd: port %u", &port) != 1)
		return -1;
	fclose(out);
	snprintf(server, sizeof(server), "127.0.0.1:%u", port);
	return 0;
}

static int server_stop(void **state)
{
	(void)state;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	unlink(zone_file);
	unlink(log_file);
	return rmdir(dir);
}

/* How often a question was asked. */
static unsigned asked(const char *question)
{
	FILE *f = fopen(log_file, "r");
	char line[512];
	unsigned n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, question) == line;
	if (f)
		fclose(f);
	return n;
}

#endif
