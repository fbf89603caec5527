/*
 * failing_malloc.c: loaded into flyleaf by LD_PRELOAD, lets the Nth allocation fail, or all from the Nth on.
 *
 * FAILING_MALLOC names a file of four numbers of 64 bits: N (0: none), whether all after it fail too, how
 * many there were, and the address that asked for the one that failed. The file is mapped, so that it tells
 * all whatever becomes of the program. Counted is what the program and its libraries ask for - malloc,
 * calloc, realloc, the aligned ones, and mmap, from which libsodium takes guarded memory - from when all is
 * loaded.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct plan {
	uint64_t n, ever, count, caller;
};

/* What glibc calls them itself. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static struct plan *plan;
static void *(*real_mmap)(void *, size_t, int, int, int, off_t);

static bool fails(const void *caller)
{
	uint64_t n;

	if (plan == NULL)
		return false;
	n = __atomic_add_fetch(&plan->count, 1, __ATOMIC_SEQ_CST);
	if (plan->n == 0 || n < plan->n || (n > plan->n && plan->ever == 0))
		return false;
	if (n == plan->n)
		plan->caller = (uint64_t)(uintptr_t)caller;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
	void *p = fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);

	if (p == NULL)
		return ENOMEM;
	*out = p;
	return 0;
}

void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	if (fails(__builtin_return_address(0)))
		return MAP_FAILED;
	if (real_mmap == NULL)
		*(void **)&real_mmap = dlsym(RTLD_NEXT, "mmap");
	return real_mmap(at, len, protection, flags, fd, offset);
}

__attribute__((constructor)) static void loaded(void)
{
	const char *path = getenv("FAILING_MALLOC");
	void *p;
	int fd;

	if (path == NULL || strcmp(program_invocation_short_name, "flyleaf") != 0)
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		_exit(99);
	close(fd);
	plan = p;
}
