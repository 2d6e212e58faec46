// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "selftests/trace.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "selftests/harness.h"

static void must(bool ok, const char *what)
{
	if (!ok)
		test_stop(T_FAIL, "%s: %s", what, strerror(errno));
}

/* --- Which call fails how --------------------------------------------------------- */

static const struct {
	long nr;
	const char *name;
	int error[5];
} calls[] = {
	{SYS_bpf, "bpf", {ENOMEM, EMFILE, EACCES}},
	{SYS_openat, "openat", {EIO, EMFILE, EACCES}},
	{SYS_mkdirat, "mkdirat", {EIO, ENOSPC, EACCES}},
	{SYS_unlinkat, "unlinkat", {EIO, EACCES}},
	{SYS_symlinkat, "symlinkat", {ENOSPC, EACCES}},
	{SYS_readlinkat, "readlinkat", {EIO, ENOMEM}},
	{SYS_renameat, "renameat", {EIO, ENOSPC}},
	{SYS_linkat, "linkat", {EIO, ENOSPC}},
	{SYS_newfstatat, "newfstatat", {EIO, ENOMEM}},
	{SYS_fstat, "fstat", {EIO}},
	{SYS_statfs, "statfs", {EIO}},
	{SYS_fstatfs, "fstatfs", {EIO}},
	{SYS_faccessat, "faccessat", {EIO}},
	{SYS_faccessat2, "faccessat2", {EIO}},
	{SYS_fchmod, "fchmod", {EIO}},
	{SYS_getdents64, "getdents64", {EIO}},
	{SYS_read, "read", {EIO, EINTR}},
	{SYS_pread64, "pread64", {EIO}},
	{SYS_write, "write", {EIO, ENOSPC, EAGAIN, EINTR}},
	{SYS_pwrite64, "pwrite64", {EIO, ENOSPC}},
	{SYS_writev, "writev", {EIO, EAGAIN, EINTR}},
	{SYS_readv, "readv", {EIO, EAGAIN, EINTR}},
	{SYS_fsync, "fsync", {EIO, ENOSPC}},
	{SYS_fdatasync, "fdatasync", {EIO, ENOSPC}},
	{SYS_ftruncate, "ftruncate", {EIO, ENOSPC}},
	{SYS_close, "close", {EIO, EINTR}},
	{SYS_dup3, "dup3", {EMFILE}},
	{SYS_fcntl, "fcntl", {EIO, EMFILE, ENOMEM}},
	{SYS_mmap, "mmap", {ENOMEM}},
	{SYS_munmap, "munmap", {ENOMEM}},
	{SYS_mprotect, "mprotect", {ENOMEM}},
	{SYS_mremap, "mremap", {ENOMEM}},
	{SYS_socket, "socket", {EMFILE, ENOMEM, EACCES}},
	{SYS_bind, "bind", {EACCES, ENOMEM}},
	{SYS_listen, "listen", {ENOMEM}},
	{SYS_accept4, "accept4", {EMFILE, ENOMEM, EINTR}},
	{SYS_connect, "connect", {EAGAIN, EACCES}},
	{SYS_getsockname, "getsockname", {ENOMEM}},
	{SYS_getsockopt, "getsockopt", {ENOMEM}},
	{SYS_setsockopt, "setsockopt", {ENOMEM, EACCES}},
	{SYS_sendto, "sendto", {ENOMEM, EAGAIN, EINTR}},
	{SYS_sendmsg, "sendmsg", {ENOMEM, EAGAIN, EINTR}},
	{SYS_recvfrom, "recvfrom", {ENOMEM, EAGAIN, EINTR}},
	{SYS_recvmsg, "recvmsg", {ENOMEM, EAGAIN, EINTR}},
	{SYS_epoll_create1, "epoll_create1", {EMFILE, ENOMEM}},
	{SYS_epoll_ctl, "epoll_ctl", {ENOMEM, ENOSPC}},
	{SYS_epoll_pwait, "epoll_pwait", {EINTR}},
	{SYS_timerfd_create, "timerfd_create", {EMFILE, ENOMEM}},
	{SYS_timerfd_settime, "timerfd_settime", {EINVAL}},
	{SYS_eventfd2, "eventfd2", {EMFILE, ENOMEM}},
	{SYS_pipe2, "pipe2", {EMFILE}},
	{SYS_ppoll, "ppoll", {EINTR, ENOMEM}},
	{SYS_getrandom, "getrandom", {EAGAIN}},
	{SYS_setns, "setns", {EACCES, ENOMEM}},
	{SYS_mount, "mount", {ENOMEM, EACCES}},
	{SYS_capset, "capset", {EPERM}},
	{SYS_capget, "capget", {EPERM}},
	{SYS_prctl, "prctl", {EPERM}},
	{SYS_fchdir, "fchdir", {EIO, EACCES}},
	{SYS_clone, "clone", {EAGAIN, ENOMEM}},
	{SYS_wait4, "wait4", {EINTR}},
	{SYS_nanosleep, "nanosleep", {EINTR}},
	{SYS_clock_nanosleep, "clock_nanosleep", {EINTR}},
#ifdef __x86_64__
	{SYS_epoll_wait, "epoll_wait", {EINTR}},
	{SYS_epoll_create, "epoll_create", {EMFILE, ENOMEM}},
	{SYS_open, "open", {EIO, EMFILE, EACCES}},
	{SYS_mkdir, "mkdir", {EIO, ENOSPC, EACCES}},
	{SYS_unlink, "unlink", {EIO, EACCES}},
	{SYS_rename, "rename", {EIO, ENOSPC}},
	{SYS_readlink, "readlink", {EIO, ENOMEM}},
	{SYS_access, "access", {EIO}},
	{SYS_poll, "poll", {EINTR, ENOMEM}},
	{SYS_fork, "fork", {EAGAIN, ENOMEM}},
#endif
};

const char *trace_name(long nr)
{
	static char number[24];

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].nr == nr)
			return calls[i].name;
	snprintf(number, sizeof(number), "call-%ld", nr);
	return number;
}

/* 0: it has no such failure; *ret_kinds: how many it has. */
static int failure(long nr, unsigned int kind, unsigned int *ret_kinds)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		unsigned int n = 0;

		if (calls[i].nr != nr)
			continue;
		while (n < 5 && calls[i].error[n])
			n++;
		*ret_kinds = n;
		return kind < n ? calls[i].error[kind] : 0;
	}
	*ret_kinds = 0;
	return 0;
}

/* --- Whether anything has changed -------------------------------------------------------- */

static bool leaves_nothing_in_bpf(uint64_t command)
{
	switch (command) {
	case BPF_MAP_CREATE: /* until it is pinned it ends with the process */
	case BPF_MAP_LOOKUP_ELEM:
	case BPF_MAP_GET_NEXT_KEY:
	case BPF_MAP_FREEZE:
	case BPF_PROG_LOAD:
	case BPF_BTF_LOAD:
	case BPF_OBJ_GET:
	case BPF_OBJ_GET_INFO_BY_FD:
		return true;
	default:
		return false;
	}
}

/* What a process has open, locked or mapped is gone with it all the same. */
static bool leaves_nothing(const struct __ptrace_syscall_info *info)
{
	static const long pure[] = {
		SYS_close,
		SYS_read,
		SYS_pread64,
		SYS_newfstatat,
		SYS_fstat,
		SYS_fstatfs,
		SYS_statfs,
		SYS_readlinkat,
		SYS_getdents64,
		SYS_lseek,
		SYS_getrandom,
		SYS_mmap,
		SYS_munmap,
		SYS_mprotect,
		SYS_brk,
		SYS_prctl,
		SYS_capget,
		SYS_capset,
		SYS_umask,
		SYS_rt_sigaction,
		SYS_getpid,
		SYS_getuid,
		SYS_geteuid,
		SYS_getgid,
		SYS_getegid,
		SYS_dup3,
		SYS_fcntl,
		SYS_socket,
		SYS_getsockopt,
		SYS_getsockname,
		SYS_setsockopt,
		SYS_epoll_create1,
		SYS_epoll_ctl,
		SYS_timerfd_create,
		SYS_pipe2,
		SYS_rt_sigprocmask,
		SYS_uname,
		SYS_fchdir,
		SYS_setns,
		SYS_sched_yield,
		SYS_nanosleep,
		SYS_clock_nanosleep,
		SYS_set_tid_address,
		SYS_ppoll,
#ifdef __x86_64__
		SYS_poll,
		SYS_readlink,
		SYS_access,
		SYS_arch_prctl,
#endif
	};
	long nr = (long)info->entry.nr;

	if (nr == SYS_bpf)
		return leaves_nothing_in_bpf(info->entry.args[0]);
	if (nr == SYS_openat)
		return !(info->entry.args[2] & (O_CREAT | O_TRUNC));
#ifdef __x86_64__
	if (nr == SYS_open)
		return !(info->entry.args[1] & (O_CREAT | O_TRUNC));
#endif
	for (size_t i = 0; i < sizeof(pure) / sizeof(pure[0]); i++)
		if (nr == pure[i])
			return true;
	return false;
}

static uint64_t sum_of(uint64_t sum, pid_t pid, unsigned long from, unsigned long to)
{
	static unsigned char copy[1 << 17];
	struct iovec here = {copy, to - from}, there = {(void *)from, to - from};
	static uint64_t unreadable;

	if (to - from > sizeof(copy) ||
	    process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)(to - from))
		return sum + ++unreadable;
	for (size_t i = 0; i < to - from; i++)
		sum = (sum ^ copy[i]) * 0x100000001b3;
	return sum;
}

/* One number for what all the mapped maps say that it may write to. */
static uint64_t memory_of(pid_t pid)
{
	char path[32], line[512];
	unsigned long from, to;
	uint64_t sum = 1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "re");
	must(f != NULL, path);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "rw-s") && strstr(line, "bpf-map") &&
		    sscanf(line, "%lx-%lx", &from, &to) == 2)
			sum = sum_of(sum, pid, from, to);
	fclose(f);
	return sum;
}

/* From the call before the point on: whether this one is another point. */
static bool is_new(struct trace *t, const struct __ptrace_syscall_info *info)
{
	if (t->calls + 1 < t->point)
		return false;
	if (t->calls + 1 == t->point)
		t->memory = memory_of(t->pid);
	else if (t->point == 1 || t->changed || memory_of(t->pid) != t->memory)
		return true;
	t->changed = !leaves_nothing(info);
	return false;
}

/* --- Registers ------------------------------------------------------------------------ */

#ifdef __x86_64__

static void skip_call(pid_t pid)
{
	must(!ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, orig_rax), -1L),
	     "orig_rax");
}

static void set_result(pid_t pid, long result)
{
	must(!ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax), result), "rax");
}

#elif defined(__aarch64__)

static void skip_call(pid_t pid)
{
	int none = -1;
	struct iovec at = {&none, sizeof(none)};

	must(!ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &at), "system call");
}

static void set_result(pid_t pid, long result)
{
	struct user_regs_struct regs;
	struct iovec at = {&regs, sizeof(regs)};

	must(!ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &at), "registers");
	regs.regs[0] = (unsigned long long)result;
	must(!ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &at), "registers");
}

#endif

/* --- Following it ------------------------------------------------------------------------- */

static void ring(int signal_number)
{
	(void)signal_number; /* it interrupts waitpid(), that is all */
}

static void set_limit(unsigned int seconds)
{
	struct sigaction act = {.sa_handler = ring};

	sigaction(SIGALRM, &act, NULL);
	alarm(seconds);
}

static const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;

void trace_exec(struct trace *t, void (*exec)(void))
{
	int status;

	fflush(stdout);
	t->pid = fork();
	must(t->pid >= 0, "fork");
	if (!t->pid) {
		if (!ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			exec();
		_exit(127);
	}
	must(waitpid(t->pid, &status, 0) == t->pid && WIFSTOPPED(status), "exec");
	must(!ptrace(PTRACE_SETOPTIONS, t->pid, NULL, options), "options");
}

void trace_attach(struct trace *t, pid_t pid)
{
	int status;

	t->pid = pid;
	must(!ptrace(PTRACE_SEIZE, pid, NULL, options), "seize");
	must(!ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), "interrupt");
	must(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status), "stop");
}

static bool waits(long nr)
{
#ifdef __x86_64__
	if (nr == SYS_epoll_wait)
		return true;
#endif
	return nr == SYS_epoll_pwait;
}

/*
 * Not ours to mend: a pipe of its own (libevent's, for signals) has no such errors,
 * and where the kernel has no memory for an event of a served call, libevent drops
 * the event without a word.
 */
static bool is_beyond_us(const struct trace *t, const struct __ptrace_syscall_info *info)
{
	char path[64], to[8] = "";

	if (info->entry.nr == SYS_epoll_ctl)
		return t->begin < 0;
	if (info->entry.nr != SYS_read && info->entry.nr != SYS_write)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)t->pid, (int)info->entry.args[0]);
	return readlink(path, to, sizeof(to) - 1) > 0 && !strncmp(to, "pipe:", 5);
}

/* Whether this call is the one; then, and if it is to fail, it is not made. */
static bool hits(struct trace *t, const struct __ptrace_syscall_info *info)
{
	long nr = (long)info->entry.nr;
	int error = 0;

	if (t->hit || (!t->fails && !t->every && !is_new(t, info)) || t->calls < t->point)
		return false;
	if (t->fails) {
		if (is_beyond_us(t, info))
			return false;
		error = failure(nr, t->kind, &t->kinds);
		if (!error)
			return false;
		skip_call(t->pid);
	}
	t->error = error;
	t->nr = nr;
	t->hit = t->calls;
	return true;
}

enum stop { GO_ON, OVER, KILLED };

static enum stop on_call(struct trace *t, bool *failing)
{
	struct __ptrace_syscall_info info = {0};

	must(ptrace(PTRACE_GET_SYSCALL_INFO, t->pid, sizeof(info), &info) > 0, "call");
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY) {
		if (*failing)
			set_result(t->pid, -t->error);
		*failing = false;
		return GO_ON;
	}
	if (!t->calls && t->begin >= 0 && (long)info.entry.nr != t->begin)
		return GO_ON;
	if (waits((long)info.entry.nr) && t->is_over())
		return OVER;
	t->calls++;
	if (!hits(t, &info))
		return GO_ON;
	*failing = t->fails;
	if (t->fails)
		return GO_ON;
	kill(t->pid, SIGKILL);
	return KILLED;
}

/* The signal to go on with. */
static int signal_of(int status)
{
	int s = WSTOPSIG(status);

	return status >> 16 || s == (SIGTRAP | 0x80) || s == SIGTRAP ? 0 : s;
}

enum trace_end trace_run(struct trace *t, unsigned int seconds)
{
	bool failing = false;
	int signal_number = 0, status;

	set_limit(seconds);
	for (;;) {
		enum stop stop = GO_ON;

		if (ptrace(PTRACE_SYSCALL, t->pid, NULL, (long)signal_number) && errno != ESRCH)
			must(false, "go on");
		if (waitpid(t->pid, &status, __WALL) != t->pid)
			break;
		if (!WIFSTOPPED(status)) {
			alarm(0);
			t->status = status;
			return TRACE_ENDED;
		}
		signal_number = signal_of(status);
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			stop = on_call(t, &failing);
		if (stop == KILLED) {
			alarm(0);
			must(waitpid(t->pid, &t->status, __WALL) == t->pid, "its end");
			return TRACE_CUT;
		}
		if (stop == OVER) {
			alarm(0);
			must(!ptrace(PTRACE_DETACH, t->pid, NULL, NULL), "detach");
			return TRACE_WHOLE;
		}
	}
	/* Interrupted by the limit: it may run, and is let go from its next stop. */
	if (!ptrace(PTRACE_INTERRUPT, t->pid, NULL, NULL) &&
	    waitpid(t->pid, &status, __WALL) == t->pid && WIFSTOPPED(status))
		ptrace(PTRACE_DETACH, t->pid, NULL, NULL);
	return TRACE_STUCK;
}
