/*
 * hurt.c: runs a program of which one system call fails, or which is killed before one.
 *
 *     hurt [-u USER] [-a NAME] [-n N] [-e | -k] [-c CHOICE] REPORT PROGRAM ARG...
 *
 *     -n N   the Nth call, counted from 1; without it, or with 0, none, and "call NAME" is reported of each
 * that could be hit, "spared NAME" of the others -e     from there on all calls of the same kind fail, not
 * one -k     SIGKILL before it is made, not a failure -c     which of the errors that this call may have
 *
 * The kernel asks us before each call of the program and of its children (the user notification of seccomp),
 * and waits for what we say. Calls are counted from prctl(HURT_BEGIN) on, which quick_guess.c makes once the
 * program is loaded. A call fails only as the manual says that it can, on such a descriptor; others are
 * spared. Written to standard error, it never fails: we want to read it.
 *
 * REPORT is the number of a descriptor, which the program does not inherit. It gets "pid N" at once, "hit
 * WHAT" when a call is hit, and at the end "calls N" and "exit CODE" or "signal NUMBER".
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/system/hurt.h"

enum { CHANNEL = 1000 /* a descriptor that no program of ours uses */, ERRORS_MAX = 6 };

/* What the first argument must be for the errors to be possible. */
enum on { ANY, ON_FILE, ON_SOCKET };

static const struct possible {
	int call;
	enum on on;
	int errors[ERRORS_MAX]; /* up to the first 0 */
} possible[] = {
	{ SCMP_SYS(read), ON_FILE, { EIO } },
	{ SCMP_SYS(pread64), ON_FILE, { EIO } },
	{ SCMP_SYS(readv), ON_FILE, { EIO } },
	{ SCMP_SYS(write), ON_FILE, { EIO, ENOSPC, EDQUOT } },
	{ SCMP_SYS(write), ON_SOCKET, { EAGAIN, EPIPE, ENOBUFS } },
	{ SCMP_SYS(pwrite64), ON_FILE, { EIO, ENOSPC, EDQUOT } },
	{ SCMP_SYS(writev), ON_FILE, { EIO, ENOSPC } },
	{ SCMP_SYS(writev), ON_SOCKET, { EAGAIN, EPIPE, ENOBUFS } },
	{ SCMP_SYS(open), ANY, { EMFILE, ENFILE, EACCES, ENOMEM, EIO, ENOSPC } },
	{ SCMP_SYS(openat), ANY, { EMFILE, ENFILE, EACCES, ENOMEM, EIO, ENOSPC } },
	{ SCMP_SYS(close), ON_FILE, { EIO } },
	{ SCMP_SYS(close_range), ANY, { ENOMEM, ENOSYS } },
	{ SCMP_SYS(stat), ANY, { EACCES, EIO } },
	{ SCMP_SYS(fstat), ON_FILE, { EIO, ENOMEM } },
	{ SCMP_SYS(newfstatat), ANY, { EIO, ENOMEM } },
	{ SCMP_SYS(statx), ANY, { EIO, ENOMEM } },
	{ SCMP_SYS(statfs), ANY, { EIO, ENOSYS } },
	{ SCMP_SYS(fstatfs), ANY, { EIO, ENOSYS } },
	{ SCMP_SYS(access), ANY, { EACCES, EIO } },
	{ SCMP_SYS(readlink), ANY, { EACCES, EIO } },
	{ SCMP_SYS(getdents64), ANY, { EIO } },
	{ SCMP_SYS(fsync), ANY, { EIO, ENOSPC, EDQUOT } },
	{ SCMP_SYS(fdatasync), ANY, { EIO, ENOSPC, EDQUOT } },
	{ SCMP_SYS(fallocate), ANY, { ENOSPC, EIO, EOPNOTSUPP, EFBIG } },
	{ SCMP_SYS(ftruncate), ANY, { EIO, EFBIG } },
	{ SCMP_SYS(fadvise64), ANY, { EINVAL } },
	{ SCMP_SYS(lseek), ON_FILE, { EINVAL } },
	{ SCMP_SYS(mkdir), ANY, { ENOSPC, EROFS, EACCES, EDQUOT } },
	{ SCMP_SYS(unlink), ANY, { EIO, EROFS, EACCES } },
	{ SCMP_SYS(rename), ANY, { EIO, ENOSPC, EROFS } },
	{ SCMP_SYS(chmod), ANY, { EIO, EPERM, EROFS } },
	{ SCMP_SYS(fchmod), ANY, { EIO, EPERM, EROFS } },
	{ SCMP_SYS(flock), ANY, { ENOLCK, EINTR } },
	{ SCMP_SYS(fcntl), ANY, { EMFILE, ENOLCK } },
	{ SCMP_SYS(ioctl), ANY, { ENOTTY, ENODEV } },
	{ SCMP_SYS(dup), ANY, { EMFILE } },
	{ SCMP_SYS(dup2), ANY, { EMFILE } },
	{ SCMP_SYS(dup3), ANY, { EMFILE } },
	{ SCMP_SYS(mmap), ANY, { ENOMEM, EAGAIN } },
	{ SCMP_SYS(brk), ANY, { ENOMEM } },
	{ SCMP_SYS(mremap), ANY, { ENOMEM } },
	{ SCMP_SYS(mprotect), ANY, { ENOMEM } },
	{ SCMP_SYS(madvise), ANY, { EAGAIN, EINVAL } },
	{ SCMP_SYS(mlock), ANY, { ENOMEM, EPERM, EAGAIN } },
	{ SCMP_SYS(mlock2), ANY, { ENOMEM, EPERM, ENOSYS } },
	{ SCMP_SYS(mlockall), ANY, { ENOMEM, EPERM } },
	{ SCMP_SYS(memfd_secret), ANY, { ENOSYS, EMFILE, ENOMEM } },
	{ SCMP_SYS(getrandom), ANY, { EAGAIN, ENOSYS } },
	{ SCMP_SYS(prctl), ANY, { EINVAL, EPERM } },
	{ SCMP_SYS(prlimit64), ANY, { EPERM } },
	{ SCMP_SYS(socket), ANY, { EMFILE, ENFILE, ENOBUFS, EAFNOSUPPORT, EACCES } },
	{ SCMP_SYS(socketpair), ANY, { EMFILE, ENFILE, ENOBUFS } },
	{ SCMP_SYS(bind), ANY, { EADDRINUSE, EADDRNOTAVAIL, EACCES, ENOMEM } },
	{ SCMP_SYS(listen), ANY, { EADDRINUSE, ENOBUFS } },
	{ SCMP_SYS(connect), ANY, { ENETUNREACH, EAGAIN, EACCES, ECONNREFUSED } },
	{ SCMP_SYS(accept), ANY, { EMFILE, ENFILE, ECONNABORTED, ENOBUFS } },
	{ SCMP_SYS(accept4), ANY, { EMFILE, ENFILE, ECONNABORTED, ENOBUFS } },
	{ SCMP_SYS(getsockname), ANY, { ENOBUFS } },
	{ SCMP_SYS(getsockopt), ANY, { ENOPROTOOPT } },
	{ SCMP_SYS(setsockopt), ANY, { ENOPROTOOPT, ENOMEM, ENOBUFS, EPERM } },
	{ SCMP_SYS(sendto), ANY, { ENOBUFS, ENETUNREACH, EPERM, EAGAIN } },
	{ SCMP_SYS(sendmsg), ANY, { ENOBUFS, ENETUNREACH, EPERM, EAGAIN } },
	{ SCMP_SYS(sendmmsg), ANY, { ENOBUFS, ENETUNREACH, EPERM, EAGAIN } },
	{ SCMP_SYS(recvfrom), ON_SOCKET, { ECONNREFUSED, ENOMEM } },
	{ SCMP_SYS(recvmsg), ON_SOCKET, { ECONNREFUSED, ENOMEM } },
	{ SCMP_SYS(recvmmsg), ON_SOCKET, { ECONNREFUSED, ENOMEM } },
	{ SCMP_SYS(poll), ANY, { ENOMEM, EINTR } },
	{ SCMP_SYS(epoll_create1), ANY, { EMFILE, ENFILE, ENOMEM } },
	{ SCMP_SYS(eventfd2), ANY, { EMFILE, ENFILE, ENOMEM } },
	{ SCMP_SYS(pipe2), ANY, { EMFILE, ENFILE } },
	{ SCMP_SYS(clone), ANY, { EAGAIN, ENOMEM } },
	{ SCMP_SYS(clone3), ANY, { EAGAIN, ENOMEM } },
	{ SCMP_SYS(seccomp), ANY, { EINVAL, ENOMEM } },
	{ SCMP_SYS(kill), ANY, { EPERM } },
};

struct plan {
	long user;
	int only; /* the call that is counted; -1: all are */
	uint64_t n;
	bool ever, kill;
	bool has_pipe; /* a pipe2 was let pass */
	unsigned choice;
};

struct state {
	struct plan plan;
	int listener, report;
	pid_t pid;
	bool begun;
	uint64_t calls;
	int kind; /* of the call that was hit first; -1 */
};

static void die(const char *what)
{
	perror(what);
	_exit(99);
}

/* ---- The program ------------------------------------------------------------- */

/* Everything is asked about, except the one call that hands us the listener. */
static int listen_to_all(void)
{
	struct sock_filter all[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_sendmsg, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CHANNEL, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};
	const struct sock_fprog program = { sizeof(all) / sizeof(*all), all };

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	                    SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
	                    &program);
}

union one_descriptor {
	struct cmsghdr head;
	char space[CMSG_SPACE(sizeof(int))];
};

static void hand_over(int fd)
{
	char byte = 0;
	struct iovec data = { &byte, 1 };
	union one_descriptor control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr m = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	if (sendmsg(CHANNEL, &m, 0) != 1)
		die("hurt: sendmsg");
}

static int take_over(int channel)
{
	char byte;
	int fd;
	struct iovec data = { &byte, 1 };
	union one_descriptor control;
	struct msghdr m = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};

	if (recvmsg(channel, &m, MSG_CMSG_CLOEXEC) != 1)
		die("hurt: the program's side failed");
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

static void become(const struct plan *plan, int channel, char **argv)
{
	const unsigned user = (unsigned)plan->user;
	int fd;

	if (dup3(channel, CHANNEL, O_CLOEXEC) < 0)
		die("hurt: dup3");
	fd = listen_to_all(); /* as root, so that the program may still gain what it could without us */
	if (fd < 0)
		die("hurt: seccomp");
	hand_over(fd);
	if (plan->user >= 0 &&
	    (setgroups(0, NULL) != 0 || setresgid(user, user, user) != 0 || setresuid(user, user, user) != 0))
		die("hurt: setresuid");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		die("hurt: prctl");
	execv(argv[0], argv);
	die(argv[0]);
}

/* ---- What happens to a call -------------------------------------------------- */

/* Good until the next one. */
static const char *name_of(const struct seccomp_notif *call)
{
	static char *name;

	free(name);
	name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call->data.nr);
	return name != NULL ? name : "?";
}

/* Between glibc and the kernel: it stops the program when an error comes over one, which none does. */
static bool is_netlink(pid_t pid, int fd)
{
	const int process = (int)syscall(SYS_pidfd_open, pid, 0);
	const int copy = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, fd, 0);
	int domain = 0;
	socklen_t len = sizeof(domain);

	if (copy >= 0) {
		(void)!getsockopt(copy, SOL_SOCKET, SO_DOMAIN, &domain, &len);
		close(copy);
	}
	if (process >= 0)
		close(process);
	return domain == AF_NETLINK;
}

static enum on kind_of(pid_t pid, uint64_t fd, char target[static 256])
{
	char path[64];
	struct stat st;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, (int)fd);
	n = readlink(path, target, 255);
	target[n > 0 ? n : 0] = '\0';
	if (n <= 0 || stat(path, &st) != 0)
		return ANY;
	if (S_ISSOCK(st.st_mode))
		return is_netlink(pid, (int)fd) ? ANY : ON_SOCKET;
	return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? ON_FILE : ANY;
}

/* Those that go away by themselves. */
static bool is_passing(int error)
{
	return error == EINTR || error == EAGAIN || error == ECONNABORTED;
}

/* One of the errors of this row. For ever, it is none that goes away, where there is another. */
static int choose(const struct possible *p, const struct plan *plan)
{
	unsigned n = 0;

	/* Without one libuv aborts, so that the loop tries first whether there is one. */
	if (p->call == SCMP_SYS(pipe2) && (!plan->ever || plan->has_pipe))
		return 0;
	while (n < ERRORS_MAX && p->errors[n] != 0)
		n++;
	for (unsigned i = 0; plan->ever && i < n; i++) {
		if (!is_passing(p->errors[(plan->choice + i) % n]))
			return p->errors[(plan->choice + i) % n];
	}
	return p->errors[plan->choice % n];
}

/* The error that this call is to have, or 0: it is spared. target: what its descriptor is. */
static int error_for(const struct plan *plan, const struct seccomp_notif *call, char target[static 256])
{
	const enum on on = kind_of((pid_t)call->pid, call->data.args[0], target);
	const bool writes = call->data.nr == __NR_write || call->data.nr == __NR_writev;

	if (writes && call->data.args[0] == STDERR_FILENO)
		return 0;
	for (const struct possible *p = possible; p < possible + sizeof(possible) / sizeof(*possible); p++) {
		if (p->call == call->data.nr && (p->on == ANY || p->on == on))
			return choose(p, plan);
	}
	return 0;
}

static int hit(struct state *s, const struct seccomp_notif *call)
{
	char target[256];
	const int error = error_for(&s->plan, call, target);

	if (error != 0 && s->kind < 0) {
		s->kind = call->data.nr;
		dprintf(s->report, "hit %s(%#llx %s): %s\n", name_of(call),
		        (unsigned long long)call->data.args[0], target, strerrorname_np(error));
	}
	return error;
}

static void tell(const struct state *s, const struct seccomp_notif *call)
{
	char target[256];

	dprintf(s->report, "%s %s\n",
	        s->plan.kill || error_for(&s->plan, call, target) != 0 ? "call" : "spared", name_of(call));
}

static bool is_due(const struct state *s, const struct seccomp_notif *call)
{
	if (s->plan.n == 0 || s->calls < s->plan.n)
		return false;
	if (s->calls == s->plan.n)
		return true;
	return s->plan.ever && s->kind == call->data.nr;
}

static void answer(struct state *s, const struct seccomp_notif *call)
{
	struct seccomp_notif_resp reply = { .id = call->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
	int error = 0;

	const bool counts = s->begun && (s->plan.only < 0 || s->plan.only == call->data.nr);

	if (counts)
		s->calls++;
	else if (!s->begun)
		s->begun = call->data.nr == __NR_prctl && call->data.args[0] == HURT_BEGIN;
	if (counts && is_due(s, call) && s->plan.kill) {
		dprintf(s->report, "hit killed before %s\n", name_of(call));
		kill(s->pid, SIGKILL);
		return;
	}
	if (counts && is_due(s, call))
		error = hit(s, call);
	else if (counts && s->plan.n == 0)
		tell(s, call);
	if (call->data.nr == __NR_pipe2 && error == 0)
		s->plan.has_pipe = true;
	if (error != 0) {
		reply.flags = 0;
		/* brk says what the break is: not where it was wanted. */
		reply.error = call->data.nr == __NR_brk ? 0 : -error;
	}
	/* It may have been killed meanwhile. */
	(void)!ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
}

static void serve(struct state *s)
{
	struct pollfd wait = { .fd = s->listener, .events = POLLIN };

	while (poll(&wait, 1, -1) >= 0 && (wait.revents & POLLIN) != 0) {
		struct seccomp_notif call = { 0 };

		if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, &call) == 0)
			answer(s, &call);
	}
}

/* ---- All of it ----------------------------------------------------------------- */

static int usage(void)
{
	fputs("usage: hurt [-u USER] [-a NAME] [-n N] [-e | -k] [-c CHOICE] REPORT PROGRAM ARG...\n", stderr);
	return 2;
}

static bool parse(struct state *s, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "+u:a:n:ekc:")) != -1) {
		switch (option) {
		case 'u':
			s->plan.user = atol(optarg);
			break;
		case 'a':
			s->plan.only = seccomp_syscall_resolve_name(optarg);
			break;
		case 'n':
			s->plan.n = strtoull(optarg, NULL, 10);
			break;
		case 'e':
			s->plan.ever = true;
			break;
		case 'k':
			s->plan.kill = true;
			break;
		case 'c':
			s->plan.choice = (unsigned)strtoul(optarg, NULL, 10);
			break;
		default:
			return false;
		}
	}
	if (argc - optind < 2)
		return false;
	s->report = atoi(argv[optind++]);
	return fcntl(s->report, F_SETFD, FD_CLOEXEC) == 0;
}

int main(int argc, char **argv)
{
	struct state s = { .plan = { .user = -1, .only = -1 }, .kind = -1 };
	int ends[2], status;

	if (!parse(&s, argc, argv))
		return usage();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		die("hurt: socketpair");
	s.pid = fork();
	if (s.pid < 0)
		die("hurt: fork");
	if (s.pid == 0)
		become(&s.plan, ends[1], argv + optind);
	close(ends[1]);
	dprintf(s.report, "pid %d\n", (int)s.pid);
	s.listener = take_over(ends[0]);
	signal(SIGINT, SIG_IGN);
	serve(&s);
	if (waitpid(s.pid, &status, 0) != s.pid)
		die("hurt: waitpid");
	dprintf(s.report, "calls %llu\n", (unsigned long long)s.calls);
	if (WIFEXITED(status))
		dprintf(s.report, "exit %d\n", WEXITSTATUS(status));
	else
		dprintf(s.report, "signal %d\n", WTERMSIG(status));
	return 0;
}
