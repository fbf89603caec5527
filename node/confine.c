#include "node/confine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || HAS_FEATURE(address_sanitizer) ||       \
        HAS_FEATURE(memory_sanitizer) || HAS_FEATURE(thread_sanitizer)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* ---- Files ----------------------------------------------------------------- */

/* As the kernel has them: the headers of Debian 12 end with the second version. */
enum {
	ABI_TCP = 4, /* the versions from which on a part of the attributes is known */
	ABI_SCOPE = 6,
	FS_RIGHTS_1 = (1 << 13) - 1,
	FS_REFER = 1 << 13,     /* from 2 on */
	FS_TRUNCATE = 1 << 14,  /* from 3 on */
	FS_IOCTL_DEV = 1 << 15, /* from 5 on */
	NET_TCP = 3,            /* to bind and to connect */
	SCOPES = 3,             /* abstract Unix sockets and signals */
};

struct ruleset_attributes {
	uint64_t fs, net, scoped;
};

static struct ruleset_attributes attributes_of(int abi)
{
	struct ruleset_attributes a = { .fs = FS_RIGHTS_1, .net = NET_TCP, .scoped = SCOPES };

	if (abi >= 2)
		a.fs |= FS_REFER;
	if (abi >= 3)
		a.fs |= FS_TRUNCATE;
	if (abi >= 5)
		a.fs |= FS_IOCTL_DEV;
	return a;
}

static size_t attributes_len(int abi)
{
	if (abi >= ABI_SCOPE)
		return sizeof(struct ruleset_attributes);
	return abi >= ABI_TCP ? offsetof(struct ruleset_attributes, scoped)
	                      : offsetof(struct ruleset_attributes, net);
}

/* path, and what is beneath it, may be used with these rights. What is not there needs no rule. */
static int allow(int ruleset, const char *path, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = rights };
	int r = 0;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT ? 0 : err_from_errno(errno);
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
		r = err_from_errno(errno);
	close(rule.parent_fd);
	return r;
}

/* The state of adapters and of the battery is read from /sys, addresses from /proc/net, which is a folder of
 * each process's own; libuv keeps /dev/null in reserve for when there are no descriptors left. Landlock
 * itself keeps what other processes hold in /proc closed. */
static int restrict_files(int ruleset, int abi, const char *home)
{
	static const uint64_t reads = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	const uint64_t owns = reads | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |
	                      LANDLOCK_ACCESS_FS_MAKE_REG | (attributes_of(abi).fs & FS_TRUNCATE);
	char notebooks[PATH_MAX];
	int r;

	if ((size_t)snprintf(notebooks, sizeof(notebooks), "%s/notebooks", home) >= sizeof(notebooks))
		return ERR_SYSTEM;
	r = allow(ruleset, notebooks, owns);
	if (r == 0) /* its socket */
		r = allow(ruleset, home, LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE);

	if (r == 0)
		r = allow(ruleset, "/sys", reads);
	if (r == 0)
		r = allow(ruleset, "/proc", reads);
	if (r == 0)
		r = allow(ruleset, "/dev/null", LANDLOCK_ACCESS_FS_READ_FILE);
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		r = err_from_errno(errno);
	return r;
}

/* Below 1: there is none. */
static int landlock_abi(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static int confine_files(const char *home)
{
	const int abi = landlock_abi();
	const struct ruleset_attributes a = attributes_of(abi);
	int ruleset, r;

	if (abi < 1)
		return CONFINE_FILES_OPEN;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &a, attributes_len(abi), 0);
	if (ruleset < 0)
		return err_from_errno(errno);
	r = restrict_files(ruleset, abi, home);
	close(ruleset);
	return r;
}

/* ---- Calls ------------------------------------------------------------------ */

/* The program that the kernel runs before each call is put together here and not by libseccomp, which crashes
 * where memory is refused to it. Of an argument it looks at the lower half, as do all these calls themselves.
 */

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define MACHINE AUDIT_ARCH_RISCV64
#else
#define MACHINE 0 /* not known here: no filter */
#endif

/* These may be called in any way. Files are Landlock's. */
static const uint32_t calls[] = {
	/* files */
	SYS_close, SYS_read, SYS_readv, SYS_pread64, SYS_write, SYS_writev, SYS_pwrite64, SYS_pwritev,
	SYS_lseek, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_statfs, SYS_fstatfs, SYS_faccessat,
	SYS_readlinkat, SYS_getdents64, SYS_fsync, SYS_fdatasync, SYS_fallocate, SYS_ftruncate, SYS_fadvise64,
	SYS_renameat2, SYS_unlinkat, SYS_umask, SYS_flock, SYS_dup, SYS_dup3, SYS_pipe2, SYS_getcwd,
	/* sockets: which of them, says socket() */
	SYS_bind, SYS_connect, SYS_listen, SYS_accept, SYS_accept4, SYS_shutdown, SYS_getsockname,
	SYS_getpeername, SYS_getsockopt, SYS_setsockopt, SYS_sendto, SYS_sendmsg, SYS_sendmmsg, SYS_recvfrom,
	SYS_recvmsg, SYS_recvmmsg,
	/* waiting */
	SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_ppoll, SYS_eventfd2, SYS_futex,
	SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
	SYS_sched_yield, SYS_restart_syscall,
	/* memory: what of it runs, say mmap() and mprotect() */
	SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise, SYS_mlock, SYS_mlock2, SYS_munlock, SYS_mlockall,
	/* oneself */
	SYS_getrandom, SYS_getpid, SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_uname,
	SYS_sysinfo, SYS_getrusage, SYS_sched_getaffinity, SYS_rt_sigaction, SYS_rt_sigprocmask,
	SYS_rt_sigreturn, SYS_sigaltstack, SYS_exit, SYS_exit_group,
/* what newer machines do not have any more */
#ifdef SYS_renameat
	SYS_renameat,
#endif
#ifdef __x86_64__
	SYS_access, SYS_readlink, SYS_rename, SYS_unlink, SYS_dup2, SYS_epoll_wait, SYS_poll, SYS_time,
	SYS_getrlimit
#endif
};

enum { CONDITIONS = 3, KIND = 0xf /* of a socket's type: the rest are flags */ };

/* These only where each condition holds: argument number `at`, and'ed with mask, is value. One that is all
 * zeros always holds. */
struct narrow_call {
	uint32_t call;
	struct {
		uint32_t at, mask, value;
	} when[CONDITIONS];
};

#define SOCKET(family, kind, protocol)                                                                       \
	{                                                                                                    \
		SYS_socket,                                                                                  \
		{                                                                                            \
			{ 0, UINT32_MAX, family }, { 1, KIND, kind },                                        \
			{                                                                                    \
				2, UINT32_MAX, protocol                                                      \
			}                                                                                    \
		}                                                                                            \
	}
#define ONLY_IOCTL(request)                                                                                  \
	{                                                                                                    \
		SYS_ioctl,                                                                                   \
		{                                                                                            \
			{                                                                                    \
				1, UINT32_MAX, (uint32_t)(request)                                           \
			}                                                                                    \
		}                                                                                            \
	}

static const struct narrow_call narrow_calls[] = {
	/* Access mode 3 would need no right, and could still cut a file short: one of its bits is not set. */
	{ SYS_openat, { { 2, O_WRONLY, 0 } } },
	{ SYS_openat, { { 2, O_RDWR, 0 } } },
	{ SYS_fcntl, { { 1, ~(uint32_t)F_SETLKW, 0 } } }, /* the first eight: none sends a signal */
	{ SYS_fcntl, { { 1, UINT32_MAX, F_DUPFD_CLOEXEC } } },
	{ SYS_prlimit64, { { 0, UINT32_MAX, 0 } } }, /* of oneself */
	{ SYS_mmap, { { 2, PROT_EXEC, 0 } } },
	{ SYS_mprotect, { { 2, PROT_EXEC, 0 } } },
	ONLY_IOCTL(FIONBIO),
	ONLY_IOCTL(FIOCLEX),
	ONLY_IOCTL(FIONREAD),
	ONLY_IOCTL(TCGETS), /* asked for by stdio and isatty() */
	ONLY_IOCTL(TIOCGWINSZ),
	ONLY_IOCTL(SIOCGIFINDEX),
	ONLY_IOCTL(SIOCGIFNAME),
	ONLY_IOCTL(FS_IOC_GETFLAGS),
	ONLY_IOCTL(FS_IOC_SETFLAGS),
	/* What carriers, faces and the system's bus need. */
	SOCKET(AF_UNIX, SOCK_STREAM, 0),
	SOCKET(AF_UNIX, SOCK_DGRAM, 0),
	SOCKET(AF_INET, SOCK_DGRAM, 0),
	SOCKET(AF_INET6, SOCK_DGRAM, 0),
	SOCKET(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE),
	SOCKET(AF_BLUETOOTH, SOCK_SEQPACKET, 0),
};

enum { PROGRAM_MAX = 640 };

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short n;
};

static void put(struct program *p, struct sock_filter one)
{
	assert(p->n < PROGRAM_MAX);
	p->code[p->n++] = one;
}

static void load(struct program *p, size_t offset)
{
	put(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void answer(struct program *p, uint32_t what)
{
	put(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

/* Goes on where what was loaded is value, else past the next `past`. */
static void unless(struct program *p, uint32_t value, unsigned past)
{
	put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, (uint8_t)past));
}

static void allow_call(struct program *p, uint32_t call)
{
	unless(p, call, 1);
	answer(p, SECCOMP_RET_ALLOW);
}

static void allow_narrow_call(struct program *p, const struct narrow_call *c)
{
	enum { STEPS = 3 /* for each condition */ };

	unless(p, c->call, CONDITIONS * STEPS + 2);
	for (unsigned i = 0; i < CONDITIONS; i++) {
		load(p, offsetof(struct seccomp_data, args) + c->when[i].at * sizeof(uint64_t));
		put(p, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, c->when[i].mask));
		unless(p, c->when[i].value, (CONDITIONS - 1 - i) * STEPS + 1);
	}
	answer(p, SECCOMP_RET_ALLOW);
	load(p, offsetof(struct seccomp_data, nr));
}

/* What is not allowed is not there: so libraries that try a newer call first take the older one. */
static void write_program(struct program *p)
{
	/* abort(), so that a failed assertion ends the process. */
	const struct narrow_call own_thread = { SYS_tgkill, { { 0, UINT32_MAX, (uint32_t)getpid() } } };

	load(p, offsetof(struct seccomp_data, arch));
	unless(p, MACHINE, 1);
	put(p, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1));
	answer(p, SECCOMP_RET_KILL_PROCESS);
	load(p, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < COUNT_OF(calls); i++)
		allow_call(p, calls[i]);
	for (size_t i = 0; i < COUNT_OF(narrow_calls); i++)
		allow_narrow_call(p, &narrow_calls[i]);
	allow_narrow_call(p, &own_thread);
	answer(p, SECCOMP_RET_ERRNO | ENOSYS);
}

static int confine_calls(void)
{
	struct program p = { .n = 0 };
	struct sock_fprog all;

	if (MACHINE == 0)
		return CONFINE_CALLS_OPEN;
	write_program(&p);
	all = (struct sock_fprog){ .len = p.n, .filter = p.code };
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &all) == 0 ? 0 : CONFINE_CALLS_OPEN;
}

int confine_lacks(void)
{
	const uint32_t refusal = SECCOMP_RET_ERRNO;
	const bool filters = MACHINE != 0 && syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &refusal) == 0;

	return (landlock_abi() < 1 ? CONFINE_FILES_OPEN : 0) | (filters ? 0 : CONFINE_CALLS_OPEN);
}

int confine_process(const char *home)
{
	int lacks;

	if (SANITIZED)
		return 0;
	lacks = confine_files(home);
	return lacks < 0 ? lacks : lacks | confine_calls();
}
