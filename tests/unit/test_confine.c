/*
 * Who is confined: what it may still do, and what it tries in vain. Each thing in a thread of its own: both
 * fences bind the thread that puts them up.
 */
#include "node/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/base/err.h"
#include "tests/unit/unit.h"

static pid_t parent; /* who is confined cannot ask */
static char folder[] = "/tmp/confine.XXXXXX";
static char home[64], notebooks[80], own[96], other[96], beside[80], ssh[80], key[96];

static void put(const char *path)
{
	const int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0 && write(fd, "x", 1) == 1);
	close(fd);
}

/* A person's folder: HOME of the vault, and .ssh beside it. */
static int make_folder(void **state)
{
	(void)state;
	parent = getppid();
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(home, sizeof(home), "%s/flyleaf", folder);
	snprintf(notebooks, sizeof(notebooks), "%s/notebooks", home);
	snprintf(own, sizeof(own), "%s/one", notebooks);
	snprintf(other, sizeof(other), "%s/two", notebooks);
	snprintf(beside, sizeof(beside), "%s/letter", home);
	snprintf(ssh, sizeof(ssh), "%s/.ssh", folder);
	snprintf(key, sizeof(key), "%s/id", ssh);
	if (mkdir(home, 0700) != 0 || mkdir(notebooks, 0700) != 0 || mkdir(ssh, 0700) != 0)
		return -1;
	put(own);
	put(beside);
	put(key);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	(void)!unlink(own);
	(void)!unlink(other);
	(void)!unlink(beside);
	(void)!unlink(key);
	return rmdir(notebooks) | rmdir(home) | rmdir(ssh) | rmdir(folder);
}

/* ---- Behind the fences --------------------------------------------------------- */

struct deed {
	const char *what;
	bool (*does)(void);
	bool happens;
};

struct attempt {
	const char *home;
	bool (*does)(void); /* NULL: nothing */
	int confined;       /* what confine_process() returned */
	bool happened;
};

static void *attempt(void *arg)
{
	struct attempt *a = arg;

	a->confined = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? confine_process(a->home) : -1;
	a->happened = a->confined == 0 && a->does != NULL && a->does();
	return NULL;
}

static struct attempt attempted(const char *where, bool (*does)(void))
{
	struct attempt a = { .home = where, .does = does };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, attempt, &a), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return a;
}

static bool opens(const char *path, int how)
{
	const int fd = open(path, how, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool has_socket(int family, int type, int protocol)
{
	const int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* What a node does. */
static bool reads_own(void)
{
	return opens(own, O_RDONLY);
}
static bool writes_own(void)
{
	return opens(own, O_RDWR | O_TRUNC);
}
static bool makes_own(void)
{
	return opens(other, O_RDWR | O_CREAT | O_EXCL) && rename(other, own) == 0;
}
static bool lists_own(void)
{
	return opens(notebooks, O_RDONLY | O_DIRECTORY);
}
static bool reads_power(void)
{
	return opens("/sys/class", O_RDONLY | O_DIRECTORY);
}
static bool reads_addresses(void)
{
	return opens("/proc/net/if_inet6", O_RDONLY) || errno == ENOENT;
}
static bool has_a_reserve(void)
{
	return opens("/dev/null", O_RDONLY);
}
static bool speaks_ipv4(void)
{
	return has_socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
}
static bool speaks_ipv6(void)
{
	return has_socket(AF_INET6, SOCK_DGRAM, 0) || errno == EAFNOSUPPORT;
}
static bool hears_of_interfaces(void)
{
	return has_socket(AF_NETLINK, SOCK_RAW, 0);
}
static bool listens_to_faces(void)
{
	return has_socket(AF_UNIX, SOCK_STREAM, 0);
}
static bool grows(void)
{
	char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED && mremap(p, 1 << 20, 1 << 22, MREMAP_MAYMOVE) != MAP_FAILED;
}

/* What only an intruder does. */
static bool reads_ssh(void)
{
	return opens(key, O_RDONLY);
}
static bool lists_ssh(void)
{
	return opens(ssh, O_RDONLY | O_DIRECTORY);
}
static bool writes_beside(void)
{
	return opens(key, O_WRONLY);
}
static bool reads_passwd(void)
{
	return opens("/etc/passwd", O_RDONLY);
}
static bool opens_device(void)
{
	return opens("/dev/zero", O_RDONLY);
}
static bool makes_folder(void)
{
	return mkdir(other, 0700) == 0;
}
static bool makes_link(void)
{
	return symlink(key, other) == 0;
}
static bool reads_beside(void)
{
	return opens(beside, O_RDONLY);
}
static bool cuts_short(void)
{
	struct stat st;

	opens(key, 3 | O_TRUNC);
	return stat(key, &st) != 0 || st.st_size == 0;
}
static bool changes_mode(void)
{
	return chmod(key, 0644) == 0;
}
static bool limits_parent(void)
{
	const struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	return prlimit(parent, RLIMIT_CPU, &limit, NULL) == 0;
}
static bool asks_for_signals(void)
{
	const int fd = open(own, O_RDONLY);

	return fcntl(fd, F_SETOWN, parent) == 0;
}
static bool executes(void)
{
	char *const argv[] = { (char[]){ "true" }, NULL };

	execve("/bin/true", argv, argv + 1);
	return false;
}
static bool forks(void)
{
	const pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0;
}
static bool traces(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}
static bool looks_into_parent(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)parent);
	return opens(path, O_RDONLY);
}
static bool signals_parent(void)
{
	return kill(parent, 0) == 0;
}
static bool speaks_tcp(void)
{
	return has_socket(AF_INET, SOCK_STREAM, 0);
}
static bool speaks_tcp6(void)
{
	return has_socket(AF_INET6, SOCK_STREAM, 0);
}
static bool speaks_raw(void)
{
	return has_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}
static bool pings(void)
{
	return has_socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) ||
	       errno != ENOSYS; /* not by its own rules alone */
}
static bool sees_packets(void)
{
	return has_socket(AF_PACKET, SOCK_RAW, 0);
}
static bool makes_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}
static bool turns_into_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}
static bool types_into_the_terminal(void)
{
	return syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x") == 0 || errno != ENOSYS;
}
static bool loads_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0) == 0;
}
static bool rings(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL) >= 0;
}

static const struct deed deeds[] = {
	{ "reads in its folder", reads_own, true },
	{ "writes in its folder", writes_own, true },
	{ "makes a file in its folder, and renames it", makes_own, true },
	{ "lists its folder", lists_own, true },
	{ "reads of adapters and power", reads_power, true },
	{ "reads addresses", reads_addresses, true },
	{ "keeps /dev/null in reserve", has_a_reserve, true },
	{ "speaks over IPv4", speaks_ipv4, true },
	{ "speaks over IPv6", speaks_ipv6, true },
	{ "hears of interfaces", hears_of_interfaces, true },
	{ "listens to faces", listens_to_faces, true },
	{ "grows", grows, true },
	{ "a key in .ssh is read", reads_ssh, false },
	{ ".ssh is listed", lists_ssh, false },
	{ "another file is written", writes_beside, false },
	{ "what lies in HOME is read", reads_beside, false },
	{ "another file is cut short", cuts_short, false },
	{ "the mode of another file is changed", changes_mode, false },
	{ "another process is limited", limits_parent, false },
	{ "another process is to get signals", asks_for_signals, false },
	{ "/etc/passwd is read", reads_passwd, false },
	{ "a device is opened", opens_device, false },
	{ "a folder is made", makes_folder, false },
	{ "a link is made", makes_link, false },
	{ "a program is started", executes, false },
	{ "a process is made", forks, false },
	{ "a process is traced", traces, false },
	{ "another process is looked into", looks_into_parent, false },
	{ "another process gets a signal", signals_parent, false },
	{ "TCP is spoken", speaks_tcp, false },
	{ "TCP is spoken over IPv6", speaks_tcp6, false },
	{ "raw packets are sent", speaks_raw, false },
	{ "a ping is sent", pings, false },
	{ "others' packets are seen", sees_packets, false },
	{ "memory for code is made", makes_code, false },
	{ "memory becomes code", turns_into_code, false },
	{ "somebody types into the terminal", types_into_the_terminal, false },
	{ "a program is loaded into the kernel", loads_bpf, false },
	{ "calls are made by a ring", rings, false },
};

static void who_is_confined_can_do_this_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(deeds); i++) {
		const struct attempt a = attempted(home, deeds[i].does);

		assert_int_equal(a.confined, 0);
		if (a.happened != deeds[i].happens)
			fail_msg("%s: %s", deeds[i].what, a.happened ? "it happened" : "it was refused");
	}
}

static void the_system_has_both(void **state)
{
	(void)state;
	assert_int_equal(confine_lacks(), 0);
	assert_int_equal(attempted(home, NULL).confined, 0);
}

/* By which signal a confined process ends that does it; 0: by none. */
static int ends(void (*does)(void))
{
	const pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		static const int caught[] = { SIGABRT, SIGSEGV }; /* by the harness */
		struct attempt a = { .home = home };

		for (size_t i = 0; i < COUNT_OF(caught); i++)
			signal(caught[i], SIG_DFL);
		attempt(&a);
		does();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_failed_assertion_still_ends_it(void **state)
{
	(void)state;
	assert_int_equal(ends(abort), SIGABRT);
}

static void what_is_no_folder_is_no_home(void **state)
{
	struct rlimit limit, none;

	(void)state;
	assert_true(attempted(own, NULL).confined < 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_true(attempted(home, NULL).confined < 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_system_has_both),
		cmocka_unit_test(who_is_confined_can_do_this_and_nothing_else),
		cmocka_unit_test(a_failed_assertion_still_ends_it),
		cmocka_unit_test(what_is_no_folder_is_no_home),
	};

	return cmocka_run_group_tests_name("confine", tests, make_folder, remove_folder);
}
