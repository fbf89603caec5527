#include "node/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	/* A limit below this would make ordinary allocations fail once all is locked. */
	MEMORY_ENOUGH = 256 << 20,
	/* What is locked besides: slots, keys, and a page on each side of them. */
	KEYS_ENOUGH = 1 << 20
};

int process_begin(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR); /* the lowest that is free */
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return err_from_errno(errno);
	close(fd);
	return 0;
}

int process_shield(void)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		return err_from_errno(errno);
	return 0;
}

static int close_inherited(void)
{
	DIR *d = opendir("/proc/self/fd");

	if (d == NULL)
		return close_range(3, ~0u, 0) == 0 ? 0 : err_from_errno(errno);
	for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
		const int fd = atoi(e->d_name); /* "." and ".." give 0 */

		if (fd > 2 && fd != dirfd(d))
			close(fd);
	}
	closedir(d);
	return 0;
}

/* MCL_FUTURE under a small limit would turn every later allocation into a failure; the keys themselves are in
 * memory that libsodium locks. */
static bool lock_memory(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
		return false;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < MEMORY_ENOUGH && geteuid() != 0)
		return false;
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

/* Whether the memory of keys is locked when libsodium asks for it. */
static bool keys_can_be_locked(void)
{
	static uint8_t probe[64];
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
		return false;
	if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < KEYS_ENOUGH && geteuid() != 0)
		return false;
	return mlock(probe, sizeof(probe)) == 0;
}

int process_harden(void)
{
	int lacks = 0, r = process_shield();

	umask(077);
	if (r == 0)
		r = close_inherited();
	if (r != 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		lacks |= PROCESS_PRIVILEGES_KEPT;
	if (!lock_memory())
		lacks |= PROCESS_MEMORY_NOT_LOCKED;
	if (!keys_can_be_locked())
		lacks |= PROCESS_KEYS_NOT_LOCKED;
	return lacks;
}
