/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/service/seccomp.h"

static struct seccomp_page *page;

/* What `act` returns as exit code, or -signal. */
static int sealed(int (*act)(void))
{
	int status;
	pid_t pid;

	atomic_store(&page->refused, 0);
	atomic_store(&page->last, 0);
	pid = fork();
	if (!pid) {
		if (seccomp_seal(page, NULL))
			_exit(99);
		_exit(act());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#define need_filter()                       \
	do {                                \
		if (!seccomp_is_built_in()) \
			skip();             \
	} while (0)

static int act_serve(void)
{
	char bytes[8], *memory;
	int pair[2], pipes[2], at = epoll_create1(EPOLL_CLOEXEC);
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int tcp6 = socket(AF_INET6, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);

	if (at < 0 || tcp < 0 || (tcp6 < 0 && errno != EAFNOSUPPORT) || udp < 0 || pipe(pipes) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 1;
	if (write(pair[0], "hello", 5) != 5 ||
	    splice(pair[1], NULL, pipes[1], NULL, 5, SPLICE_F_NONBLOCK) != 5 ||
	    read(pipes[0], bytes, 8) != 5)
		return 2;
	memory = malloc(8 << 20);
	if (!memory)
		return 3;
	free(memory);
	return close(at);
}

static void what_a_relay_does_is_allowed(void **state)
{
	(void)state;
	need_filter();
	assert_int_equal(sealed(act_serve), 0);
	assert_true(atomic_load(&page->sealed));
	assert_int_equal(atomic_load(&page->refused), 0);
}

static int act_paths(void)
{
	struct stat st;

	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != ENOENT)
		return 1;
	if (syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY) >= 0 || errno != ENOENT)
		return 2;
	if (!stat("/", &st) || errno != ENOENT)
		return 3;
	return !access("/", F_OK) || errno != ENOENT ? 4 : 0;
}

static void no_path_exists(void **state)
{
	(void)state;
	need_filter();
	assert_int_equal(sealed(act_paths), 0);
	assert_int_equal(atomic_load(&page->refused), 0);
}

/* abort() and getrlimit() are its own; the same of its parent, who has the same user, is not. */
static int act_own(void)
{
	struct rlimit l;

	if (raise(0) || getrlimit(RLIMIT_NOFILE, &l) || prlimit(0, RLIMIT_NOFILE, NULL, &l))
		return 1;
	if (atomic_load(&page->refused))
		return 2;
	if (!syscall(SYS_tgkill, getppid(), getppid(), 0) || errno != EPERM ||
	    atomic_load(&page->refused) != 1)
		return 3;
	if (!prlimit(getppid(), RLIMIT_NOFILE, NULL, &l) || errno != EPERM)
		return 4;
	return atomic_load(&page->refused) == 2 ? 0 : 5;
}

static void other_processes_of_its_user_are_none_of_its_business(void **state)
{
	(void)state;
	need_filter();
	assert_int_equal(sealed(act_own), 0);
}

static int act_strange(void)
{
	if (kill(getppid(), 0) == 0 || errno != EPERM)
		return 1;
	if (mkdir("/tmp/never", 0700) == 0 || errno != EPERM)
		return 2;
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
		    MAP_FAILED ||
	    errno != EPERM)
		return 3;
	return fork() >= 0 || errno != EPERM ? 4 : 0;
}

static void what_is_not_foreseen_is_refused_and_counted(void **state)
{
	(void)state;
	need_filter();
	assert_int_equal(sealed(act_strange), 0);
	assert_int_equal(atomic_load(&page->refused), 4);
	assert_int_not_equal(atomic_load(&page->last), 0);
}

static int act_exec(void)
{
	execl("/bin/true", "true", NULL);
	return 1;
}

static int act_ptrace(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL) + 1;
}

static int act_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0) >= 0;
}

static int act_packet(void)
{
	return socket(AF_PACKET, SOCK_DGRAM, 0) >= 0;
}

static int act_raw(void)
{
	return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1) >= 0;
}

static int act_raw6(void)
{
	return socket(AF_INET6, SOCK_RAW, 58) >= 0;
}

static int act_bpf(void)
{
	return syscall(SYS_bpf, BPF_PROG_LOAD, NULL, 0) >= 0;
}

static int act_bpf_map(void)
{
	return syscall(SYS_bpf, BPF_MAP_CREATE, NULL, 0) >= 0;
}

static void what_leaves_the_sandbox_is_the_end(void **state)
{
	(void)state;
	need_filter();
	assert_int_equal(sealed(act_exec), -SIGSYS);
	assert_int_equal(sealed(act_ptrace), -SIGSYS);
	assert_int_equal(sealed(act_netlink), -SIGSYS);
	assert_int_equal(sealed(act_packet), -SIGSYS);
	assert_int_equal(sealed(act_raw), -SIGSYS);
	assert_int_equal(sealed(act_raw6), -SIGSYS);
	assert_int_equal(sealed(act_bpf), -SIGSYS);
	assert_int_equal(sealed(act_bpf_map), -SIGSYS);
}

/* Updates of elements pass the filter: the kernel itself says that this is no map. */
static int act_bpf_element(void)
{
	union bpf_attr a = { .map_fd = 0xffff };

	return syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &a, sizeof(a)) == 0 || errno == ENOENT;
}

static void elements_of_maps_may_be_written(void **state)
{
	(void)state;
	need_filter();
	sealed(act_bpf_element);
	assert_int_equal(atomic_load(&page->refused), 0);
}

static atomic_int go;
static atomic_int seen;

static void *thread_opens(void *arg)
{
	(void)arg;
	while (!atomic_load(&go))
		sched_yield();
	atomic_store(&seen, open("/dev/null", O_RDONLY) < 0 ? errno : -1);
	return NULL;
}

static void threads_that_run_already_are_sealed_too(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	need_filter();
	pid = fork();
	if (!pid) {
		pthread_t t;

		if (pthread_create(&t, NULL, thread_opens, NULL) || seccomp_seal(page, NULL))
			_exit(99);
		atomic_store(&go, 1);
		while (!atomic_load(&seen))
			sched_yield();
		_exit(atomic_load(&seen) != ENOENT);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void the_page_cannot_be_cut_away(void **state)
{
	struct seccomp_page *mapped;
	int fd = seccomp_page_new(NULL);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	mapped = seccomp_page_map(fd);
	assert_non_null(mapped);
	assert_int_equal(atomic_load(&mapped->refused), 0);
	munmap(mapped, sizeof(*mapped));
	close(fd);
}

static int prepare(void **state)
{
	int fd = seccomp_page_new(NULL);

	(void)state;
	page = seccomp_page_map(fd);
	close(fd);
	return !page;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_relay_does_is_allowed),
		cmocka_unit_test(other_processes_of_its_user_are_none_of_its_business),
		cmocka_unit_test(no_path_exists),
		cmocka_unit_test(what_is_not_foreseen_is_refused_and_counted),
		cmocka_unit_test(what_leaves_the_sandbox_is_the_end),
		cmocka_unit_test(elements_of_maps_may_be_written),
		cmocka_unit_test(threads_that_run_already_are_sealed_too),
		cmocka_unit_test(the_page_cannot_be_cut_away),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
