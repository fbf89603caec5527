#include "store/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int failed(void)
{
	return err_from_errno(errno);
}

/* Without this btrfs keeps the old bytes at each overwriting; other file systems may refuse it. */
static void ask_for_no_copies(int file)
{
	int flags;

	if (ioctl(file, FS_IOC_GETFLAGS, &flags) == 0) {
		flags |= FS_NOCOW_FL;
		(void)!ioctl(file, FS_IOC_SETFLAGS, &flags);
	}
}

static int posix_open(struct disk *d, int *out, const char *path, enum disk_mode mode)
{
	static const int flags[] = {
		[DISK_READ] = O_RDONLY, [DISK_WRITE] = O_RDWR, [DISK_CREATE] = O_RDWR | O_CREAT | O_EXCL
	};
	struct stat st;
	int file;

	(void)d;
	/* O_NONBLOCK: opening a FIFO that somebody put here must not wait. */
	file = open(path, flags[mode] | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (file < 0)
		return errno == ELOOP || errno == EISDIR || errno == ENXIO ? DISK_FOREIGN : failed();
	if (fstat(file, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(file);
		return DISK_FOREIGN;
	}
	if (mode == DISK_CREATE)
		ask_for_no_copies(file);
	*out = file;
	return 0;
}

static void posix_close(struct disk *d, int file)
{
	(void)d;
	close(file);
}

static int posix_lock(struct disk *d, int file)
{
	(void)d;
	return flock(file, LOCK_EX | LOCK_NB) == 0 ? 0 : failed();
}

static int posix_size(struct disk *d, int file, uint64_t *out)
{
	struct stat st;

	(void)d;
	if (fstat(file, &st) != 0)
		return failed();
	*out = (uint64_t)st.st_size;
	return 0;
}

static int posix_read(struct disk *d, int file, void *out, size_t len, uint64_t offset)
{
	uint8_t *p = out;

	(void)d;
	while (len > 0) {
		const ssize_t n = pread(file, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed();
		if (n == 0)
			return DISK_SHORT;
		p += n;
		len -= (size_t)n;
		offset += (size_t)n;
	}
	return 0;
}

static int posix_write(struct disk *d, int file, const void *bytes, size_t len, uint64_t offset)
{
	const uint8_t *p = bytes;

	(void)d;
	while (len > 0) {
		const ssize_t n = pwrite(file, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? failed() : ERR_IO;
		p += n;
		len -= (size_t)n;
		offset += (size_t)n;
	}
	return 0;
}

static int posix_sync(struct disk *d, int file)
{
	(void)d;
	return fdatasync(file) == 0 ? 0 : failed();
}

static void posix_evict(struct disk *d, int file)
{
	(void)d;
	(void)!posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
}

static int posix_truncate(struct disk *d, int file, uint64_t size)
{
	(void)d;
	return ftruncate(file, (off_t)size) == 0 ? 0 : failed();
}

static int posix_allocate(struct disk *d, int file, uint64_t size)
{
	(void)d;
	if (fallocate(file, 0, 0, (off_t)size) == 0 || errno == EOPNOTSUPP || errno == ENOSYS)
		return 0;
	return failed();
}

static int posix_room(struct disk *d, const char *path, uint64_t *out)
{
	struct statvfs st;

	(void)d;
	if (statvfs(path, &st) != 0)
		return failed();
	*out = (uint64_t)st.f_bavail * st.f_frsize;
	return 0;
}

static int posix_make_dir(struct disk *d, const char *path)
{
	(void)d;
	return mkdir(path, 0700) == 0 ? 0 : failed();
}

static int posix_sync_dir(struct disk *d, const char *path)
{
	const int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	(void)d;
	if (dir < 0)
		return failed();
	r = fsync(dir) == 0 ? 0 : failed();
	close(dir);
	return r;
}

static int posix_rename(struct disk *d, const char *from, const char *to)
{
	(void)d;
	return rename(from, to) == 0 ? 0 : failed();
}

static int posix_unlink(struct disk *d, const char *path)
{
	(void)d;
	return unlink(path) == 0 ? 0 : failed();
}

struct disk *disk_posix(void)
{
	static const struct disk_ops ops = {
		.open = posix_open,
		.close = posix_close,
		.lock = posix_lock,
		.size = posix_size,
		.read = posix_read,
		.write = posix_write,
		.sync = posix_sync,
		.evict = posix_evict,
		.truncate = posix_truncate,
		.allocate = posix_allocate,
		.room = posix_room,
		.make_dir = posix_make_dir,
		.sync_dir = posix_sync_dir,
		.rename = posix_rename,
		.unlink = posix_unlink,
	};
	static struct disk disk = { &ops };

	return &disk;
}

int disk_sync(struct disk *d, int file)
{
	const int r = d->ops->sync(d, file);

	if (r != 0)
		d->ops->evict(d, file);
	return r;
}

int disk_path(char out[static DISK_PATH_MAX], const char *dir, const char *name)
{
	const int n = snprintf(out, DISK_PATH_MAX, "%s/%s", dir, name);

	return n > 0 && n < DISK_PATH_MAX ? 0 : ERR_SYSTEM;
}
