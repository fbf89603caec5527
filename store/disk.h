/*
 * disk.h: every file operation of the vault.
 *
 * The slots and the page log reach files through a struct disk only, so that the
 * simulator and the fault tests can put a disk of their own below the same code.
 * Operations return 0 or an enum err; none is retried here, fsync least of all.
 */
#ifndef STORE_DISK_H
#define STORE_DISK_H

#include "node/base/common.h"

enum { DISK_PATH_MAX = 4096 };
/* Outcomes. SHORT: the file ends before the last byte asked for. FOREIGN: a link, a folder, or anything else
 * that is no plain file stands there. */
enum { DISK_SHORT = 1, DISK_FOREIGN = 2 };

/* How disk_ops.open opens. CREATE makes a new, empty file of mode 0600 that the file system is asked to
 * overwrite in place (NOCOW), and fails with ERR_EXISTS where one is. */
enum disk_mode { DISK_READ, DISK_WRITE, DISK_CREATE };

struct disk;

struct disk_ops {
	/* A handle >= 0 in *out. Links are never followed. Also returns DISK_FOREIGN. */
	int (*open)(struct disk *d, int *out, const char *path, enum disk_mode mode);
	void (*close)(struct disk *d, int file);
	/* Nobody else's until closed or the process ends; ERR_BUSY where somebody else has it. */
	int (*lock)(struct disk *d, int file);
	int (*size)(struct disk *d, int file, uint64_t *out);
	/* Whole or not at all; read also returns DISK_SHORT. */
	int (*read)(struct disk *d, int file, void *out, size_t len, uint64_t offset);
	int (*write)(struct disk *d, int file, const void *bytes, size_t len, uint64_t offset);
	/* What was written is on the disk (fdatasync). After a failure the state of the file is unknown: to
	 * be called through disk_sync(). */
	int (*sync)(struct disk *d, int file);
	/* Later reads come from the disk, where the system can be told so. */
	void (*evict)(struct disk *d, int file);
	int (*truncate)(struct disk *d, int file, uint64_t size);
	/* Room on the disk for size bytes, and that size; 0 too where the file system cannot. */
	int (*allocate)(struct disk *d, int file, uint64_t size);
	/* How many bytes of the disk that path is on are free for us. */
	int (*room)(struct disk *d, const char *path, uint64_t *out);
	int (*make_dir)(struct disk *d, const char *path); /* 0700; ERR_EXISTS where there is anything */
	int (*sync_dir)(struct disk *d, const char *path);
	int (*rename)(struct disk *d, const char *from, const char *to);
	int (*unlink)(struct disk *d, const char *path);
};

struct disk {
	const struct disk_ops *ops;
};

/* The system's own; lives as long as the program. */
struct disk *disk_posix(void);

/* As ops->sync; after a failure later reads come from the disk as well. The system may take for written what
 * it could not write: else the next reader would find it there, and the next sync would not write it either.
 */
must_check int disk_sync(struct disk *d, int file);

/* dir ‖ "/" ‖ name in out. Returns 0, or ERR_SYSTEM where it is longer than DISK_PATH_MAX. */
must_check int disk_path(char out[static DISK_PATH_MAX], const char *dir, const char *name);

#endif
