/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A filter can refuse a call with an errno, but then nobody learns of it; the
 * audit log is for root to read and often off; a supervisor (USER_NOTIF) would
 * have the refused process wait for root. So calls that are not foreseen are
 * trapped: the handler counts them in a shared page and answers -EPERM in the
 * registers of the call. That costs a signal, on calls that must not happen.
 *
 * Paths do not exist (ENOENT), uncounted: libraries look for files and go on
 * without. Arguments are looked at only where calls are rare.
 */
#include "ctl/service/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static struct seccomp_page *shared;

bool seccomp_is_built_in(void)
{
	return !SANITIZED;
}

int seccomp_page_new(struct err *e)
{
	int fd = memfd_create("spctl-dataplane", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && !ftruncate(fd, sizeof(struct seccomp_page)) &&
	    !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return fd;
	err_sys(e, errno, "cannot make a page for counters");
	if (fd >= 0)
		close(fd);
	return e && e->code ? e->code : -EIO;
}

struct seccomp_page *seccomp_page_map(int fd)
{
	void *p =
		mmap(NULL, sizeof(struct seccomp_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* The kernel has put the registers back to what they were before the call. */
static void answer(ucontext_t *c, long value)
{
#if defined(__x86_64__)
	c->uc_mcontext.gregs[REG_RAX] = value;
#elif defined(__aarch64__)
	c->uc_mcontext.regs[0] = (unsigned long long)value;
#elif defined(__riscv)
	c->uc_mcontext.__gregs[REG_A0] = (unsigned long)value;
#else
#error "which register has the result of a system call here?"
#endif
}

static void refuse(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	/* Not of the filter: somebody sent it. */
	if (info->si_code != 1 /* SYS_SECCOMP */)
		return;
	if (shared) {
		atomic_fetch_add_explicit(&shared->refused, 1, memory_order_relaxed);
		atomic_store_explicit(&shared->last, info->si_syscall, memory_order_relaxed);
	}
	answer(context, -EPERM);
}

static const char *const allowed[] = {
	/* connections */
	"read",
	"write",
	"readv",
	"writev",
	"recvfrom",
	"recvmsg",
	"recvmmsg",
	"sendto",
	"sendmsg",
	"sendmmsg",
	"splice",
	"tee",
	"accept",
	"accept4",
	"connect",
	"bind",
	"shutdown",
	"getsockname",
	"getpeername",
	"setsockopt",
	"getsockopt",
	"close",
	"close_range",
	"fcntl",
	"dup",
	"dup2",
	"dup3",
	"pipe",
	"pipe2",
	"lseek",
	"fstat",
	"socketpair",
	/* waiting */
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"epoll_pwait2",
	"poll",
	"ppoll",
	"select",
	"pselect6",
	"eventfd2",
	"timerfd_create",
	"timerfd_settime",
	"timerfd_gettime",
	"nanosleep",
	"clock_nanosleep",
	"clock_gettime",
	"clock_getres",
	"gettimeofday",
	"time",
	"futex",
	"futex_waitv",
	"restart_syscall",
	"sched_yield",
	"membarrier",
	"rseq",
	"set_robust_list",
	"get_robust_list",
	/* memory and itself */
	"brk",
	"munmap",
	"mremap",
	"madvise",
	"getpid",
	"gettid",
	"getppid",
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"getrandom",
	"getrusage",
	"getcpu",
	"uname",
	"sysinfo",
	"sched_getaffinity",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"rt_sigpending",
	"sigaltstack",
	"exit",
	"exit_group",
};

/* They ask for something by its path: there is nothing. */
static const char *const no_path[] = {
	"open", "openat", "openat2",	"creat", "access",   "faccessat",  "faccessat2",
	"stat", "lstat",  "newfstatat", "statx", "readlink", "readlinkat", "statfs",
};

static const char *const deadly[] = {
	"execve",
	"execveat",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"init_module",
	"finit_module",
	"delete_module",
	"kexec_load",
	"kexec_file_load",
	"mount",
	"umount2",
	"pivot_root",
	"chroot",
	"setns",
	"unshare",
	"open_by_handle_at",
	"perf_event_open",
	"userfaultfd",
	"io_uring_setup",
	"keyctl",
	"add_key",
	"request_key",
	"pidfd_getfd",
};

static int add_all(scmp_filter_ctx f, uint32_t action, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const int nr = seccomp_syscall_resolve_name(names[i]);
		/* Not every architecture has each of them. */
		const int rc = nr < 0 ? 0 : seccomp_rule_add(f, action, nr, 0);

		if (rc < 0)
			return rc;
	}
	return 0;
}

#define TYPE_MASK 0xf /* of socket(2): without SOCK_NONBLOCK and SOCK_CLOEXEC */

/* TCP, UDP (name servers) and unix; what sees or makes packets of others is the end. */
static int add_sockets(scmp_filter_ctx f)
{
	static const int families[] = { AF_INET, AF_INET6, AF_UNIX };
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM };
	static const int worst[] = { AF_NETLINK, AF_PACKET };
	int rc = 0;

	for (int i = 0; !rc && i < 3; i++) {
		for (int k = 0; !rc && k < 2; k++)
			rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
					      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]),
					      SCMP_A1(SCMP_CMP_MASKED_EQ, TYPE_MASK,
						      (scmp_datum_t)types[k]));
		rc = rc ? rc
			: seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(socket), 2,
					   SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]),
					   SCMP_A1(SCMP_CMP_MASKED_EQ, TYPE_MASK, SOCK_RAW));
	}
	for (int i = 0; !rc && i < 2; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(socket), 1,
				      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)worst[i]));
	return rc;
}

/* Elements of maps that it was handed, and nothing that makes or finds a BPF object. */
static int add_bpf(scmp_filter_ctx f)
{
	int rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
				  SCMP_A0(SCMP_CMP_EQ, BPF_MAP_UPDATE_ELEM));

	rc = rc ? rc
		: seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
				   SCMP_A0(SCMP_CMP_EQ, BPF_MAP_DELETE_ELEM));
	rc = rc ? rc
		: seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(bpf), 1,
				   SCMP_A0(SCMP_CMP_LT, BPF_MAP_UPDATE_ELEM));
	return rc ? rc
		  : seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(bpf), 1,
				     SCMP_A0(SCMP_CMP_GT, BPF_MAP_DELETE_ELEM));
}

/* New memory is data; code is what was there. */
static int add_memory(scmp_filter_ctx f)
{
	static const int calls[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };
	int rc = 0;

	for (int i = 0; !rc && i < 2; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return rc;
}

/* Others of its user are former dataplanes: they are none of its business. */
static int add_own(scmp_filter_ctx f)
{
	const int rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
					SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));

	return rc ? rc
		  : seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
				     SCMP_A0(SCMP_CMP_EQ, 0));
}

#define N(list) (list), sizeof(list) / sizeof(*(list))

static int filter_fill(scmp_filter_ctx f)
{
	int rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);

	/* A tree instead of a list: every call goes through it. */
	rc = rc ? rc : seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	rc = rc ? rc : seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	rc = rc ? rc : add_all(f, SCMP_ACT_ALLOW, N(allowed));
	rc = rc ? rc : add_all(f, SCMP_ACT_ERRNO(ENOENT), N(no_path));
	rc = rc ? rc : add_all(f, SCMP_ACT_KILL_PROCESS, N(deadly));
	rc = rc ? rc : add_own(f);
	rc = rc ? rc : add_sockets(f);
	rc = rc ? rc : add_bpf(f);
	return rc ? rc : add_memory(f);
}

int seccomp_seal(struct seccomp_page *page, struct err *e)
{
	struct sigaction handler = { .sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER };
	scmp_filter_ctx f;
	int rc;

	handler.sa_sigaction = refuse;
	sigemptyset(&handler.sa_mask);
	shared = page;
	if (sigaction(SIGSYS, &handler, NULL) < 0)
		return err_sys(e, errno, "cannot catch SIGSYS");
	f = seccomp_init(SCMP_ACT_TRAP);
	rc = f ? filter_fill(f) : -ENOMEM;
	rc = rc ? rc : seccomp_load(f);
	seccomp_release(f);
	if (rc)
		return err_sys(e, rc, "cannot confine the system calls");
	if (page)
		atomic_store(&page->sealed, true);
	return 0;
}
