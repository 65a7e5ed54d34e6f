// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * noexpr: runs a program as on a kernel that lacks one nftables expression. In
 * what the program sends (sendto), the expression's name becomes one that no kernel
 * has: the kernel itself then says that it does not know it.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
/* After sys/ptrace.h: only the structure is wanted. */
#include <linux/ptrace.h>

#include "tool.h"

#define MAX_BYTES (4u << 20)

static void copy(pid_t pid, void *here, uint64_t there, size_t len, int write)
{
	struct iovec local = { here, len }, remote = { (void *)(uintptr_t)there, len };

	if ((write ? process_vm_writev(pid, &local, 1, &remote, 1, 0)
		   : process_vm_readv(pid, &local, 1, &remote, 1, 0)) != (ssize_t)len) {
		perror("noexpr: memory of the program");
		exit(1);
	}
}

static void hide(pid_t pid, const char *name, uint64_t at, uint64_t len)
{
	size_t n = strlen(name) + 1;
	char *bytes = malloc(len), *p = bytes;

	if (!bytes || len > MAX_BYTES)
		exit(1);
	copy(pid, bytes, at, len, 0);
	while ((p = memmem(p, len - (size_t)(p - bytes), name, n))) {
		/* Not the end of a longer name: an attribute's header is before it. */
		if (p > bytes && p[-1] == '\0') {
			memset(p, 'x', n - 1);
			copy(pid, p, at + (uint64_t)(p - bytes), n, 1);
		}
		p += n - 1;
	}
	free(bytes);
}

static void on_syscall(pid_t pid, const char *name)
{
	struct ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_sendto)
		hide(pid, name, info.entry.args[1], info.entry.args[2]);
}

static int follow(pid_t pid, const char *name)
{
	int status, signal = 0;

	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	while (ptrace(PTRACE_SYSCALL, pid, 0, signal) == 0 && waitpid(pid, &status, 0) == pid) {
		signal = 0;
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		if (WIFSIGNALED(status))
			return 128 + WTERMSIG(status);
		if (WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80))
			on_syscall(pid, name);
		else if (WIFSTOPPED(status) && WSTOPSIG(status) != SIGTRAP)
			signal = WSTOPSIG(status);
	}
	return 127;
}

int main(int argc, char **argv)
{
	pid_t pid;

	if (argc < 3)
		die_usage("usage: noexpr EXPRESSION PROGRAM [ARG...]");
	pid = fork();
	if (pid < 0)
		return 1;
	if (pid)
		return follow(pid, argv[1]);
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0) {
		perror("noexpr: ptrace");
		_exit(77);
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	_exit(127);
}
