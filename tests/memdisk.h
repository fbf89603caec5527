/*
 * memdisk.h: a disk in memory that forgets, tears and fails on demand.
 *
 * Each file has what the processes see and what is on the platter; sync moves the
 * one to the other. A crash leaves of every sector of 512 bytes that was not
 * synced either the old or the new bytes, or neither, as its seed decides, and of
 * the changes of names a first few.
 */
#ifndef TESTS_MEMDISK_H
#define TESTS_MEMDISK_H

#include "store/disk.h"

enum { MEMDISK_FILES_MAX = 64, MEMDISK_NAMES_MAX = 64, MEMDISK_OPEN_MAX = 64, MEMDISK_SECTOR = 512 };

struct memdisk_file {
	uint8_t *now, *platter; /* owned */
	size_t len, platter_len, cap;
	bool *dirty;   /* a flag for each sector of `now` */
	int locked_by; /* handle, or -1 */
	bool used;
};

struct memdisk_names {
	char path[MEMDISK_NAMES_MAX][64];
	int file[MEMDISK_NAMES_MAX]; /* -1: a folder */
	size_t n;
};

struct memdisk {
	struct disk base; /* hand out &x->base */
	struct memdisk_file files[MEMDISK_FILES_MAX];
	struct memdisk_names names;
	struct memdisk_names steps[32]; /* the names after each change since sync_dir; the first is durable */
	size_t steps_n;
	struct {
		int file;
		bool writable;
	} handles[MEMDISK_OPEN_MAX]; /* file -1: free */
	uint64_t rng;

	uint64_t ops, writes, syncs; /* counted: what changes the disk, of which writes and syncs */
	uint64_t fail_at;            /* the op of this number (from 1) fails; 0: none */
	bool fail_on;                /* and all after it */
	int fail_with;               /* an enum err; ERR_SYSTEM stands for a crash: half of a write is done */
	bool readonly;
};

void memdisk_init(struct memdisk *d);
void memdisk_deinit(struct memdisk *d);
/* Power off and on: handles are closed, what was not synced is torn as seed says. */
void memdisk_crash(struct memdisk *d, uint64_t seed);
/* The process ends, the machine goes on: handles are closed. */
void memdisk_exit(struct memdisk *d);
/* The bytes of a file as processes see them, to look at and to damage; NULL where there is none. */
struct memdisk_file *memdisk_find(struct memdisk *d, const char *path);
/* A file of these bytes, durable. */
void memdisk_put(struct memdisk *d, const char *path, const void *bytes, size_t len);
void memdisk_copy(struct memdisk *to, const struct memdisk *from); /* to is uninitialised; no handles */

#endif
