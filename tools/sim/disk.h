/*
 * disk.h: a disk in memory that forgets, tears, rots and fails on demand.
 *
 * Each file has what the processes see and what is on the platter; sync moves the one
 * to the other. Names that were made, moved or removed are on the platter once their
 * folder is synced, and in their order. sim_disk_crash() decides what a loss of power
 * leaves of the rest. Copies share all their blocks (tools/sim/blocks.h), so that a
 * disk for each crash state, or an older copy to be put back, costs next to nothing.
 *
 * A disk is one machine's: locks, handles and the fault that is armed are its own.
 */
#ifndef TOOLS_SIM_DISK_H
#define TOOLS_SIM_DISK_H

#include "store/disk.h"
#include "tools/sim/blocks.h"

enum sim_disk_op {
	SIM_DISK_OPEN, /* of a file that is there */
	SIM_DISK_LOCK,
	SIM_DISK_SIZE,
	SIM_DISK_READ,
	SIM_DISK_CREATE, /* from here on: what changes the disk */
	SIM_DISK_WRITE,
	SIM_DISK_SYNC,
	SIM_DISK_TRUNCATE,
	SIM_DISK_ALLOCATE,
	SIM_DISK_MAKE_DIR,
	SIM_DISK_SYNC_DIR,
	SIM_DISK_RENAME,
	SIM_DISK_UNLINK,
	SIM_DISK_OPS
};
enum {
	SIM_DISK_ALL = (1 << SIM_DISK_OPS) - 1,
	SIM_DISK_CHANGES = SIM_DISK_ALL & ~((1 << SIM_DISK_CREATE) - 1)
};

/* Where the power goes: nothing of the op is done, half of what it writes, or all. */
enum sim_disk_cut { SIM_DISK_NO_CUT, SIM_DISK_CUT_BEFORE, SIM_DISK_CUT_HALF, SIM_DISK_CUT_AFTER };

/* What goes wrong, and when. */
struct sim_disk_fault {
	uint64_t at;    /* the op of this number, counted from 1 when the fault is armed; 0: none */
	uint32_t kinds; /* the ops that count: bits of enum sim_disk_op; 0: all that change the disk */
	bool on;        /* all later ones of these kinds fail too */
	bool half;      /* a write that fails has done half */
	int with;       /* what it returns: an enum err, or DISK_SHORT for a read */
	enum sim_disk_cut
	        cut; /* the power goes: that op and all others return ERR_IO until sim_disk_crash() */
};

struct sim_disk_file;
struct sim_disk_names;
struct sim_disk_handle;

struct sim_disk {
	struct disk base; /* hand out &x->base */
	/* All owned. */
	struct sim_disk_file **files; /* NULL where one was */
	size_t files_len;
	struct sim_disk_names *
	        *steps; /* the names after each change since a folder was synced; the first is durable */
	size_t steps_len;
	struct sim_disk_handle *handles;
	size_t handles_len;

	struct sim_disk_fault fault;
	uint64_t fault_seen; /* ops that counted for it */
	bool half_now;       /* the op that fails is a write that does half */
	bool dark;           /* the power is gone */
	bool readonly;       /* mounted so */
	uint64_t space;      /* bytes that all files together may have; 0: no bound. More is ERR_FULL */
	uint64_t ops;        /* that change the disk, so far */
	uint64_t count[SIM_DISK_OPS]; /* of each kind, so far */
	/* Called before (done false) and after each op that changes the disk and is not failing; may be NULL.
	 */
	void (*watch)(void *arg, struct sim_disk *d, enum sim_disk_op op, bool done);
	void *watch_arg;
};

void sim_disk_init(struct sim_disk *d);
void sim_disk_deinit(struct sim_disk *d);
/* to is uninitialised, and becomes a disk of the same files and counts, as they are now and on the platter.
 * No handles, no fault, no watch. */
void sim_disk_copy(struct sim_disk *to, const struct sim_disk *from);
/* An older copy is put back: the files of d become those of from. No handle may be open. */
void sim_disk_put_back(struct sim_disk *d, const struct sim_disk *from);

/* From now on. */
void sim_disk_fail(struct sim_disk *d, const struct sim_disk_fault *fault);
/* Takes the fault away. */
void sim_disk_mend(struct sim_disk *d);

/* The process ends, the machine goes on: handles are closed. */
void sim_disk_exit(struct sim_disk *d);

/* What a loss of power leaves of what was not synced. */
enum sim_disk_left {
	SIM_DISK_LOST,     /* nothing */
	SIM_DISK_KEPT,     /* all */
	SIM_DISK_NAMES,    /* no bytes, but all names and lengths */
	SIM_DISK_NAMELESS, /* all bytes, but no name or length */
	/* The rest draws the number of names and which lengths. */
	SIM_DISK_TORN,     /* the sectors up to one of them, in the order of the files */
	SIM_DISK_BACKWARD, /* those from one of them on */
	SIM_DISK_MIXED,    /* of each sector the old or the new */
	SIM_DISK_RUBBISH,  /* the old, the new, or noise */
	SIM_DISK_ALL_BUT,  /* all but one sector */
	SIM_DISK_ONLY,     /* one sector */
	/* The same six, in sectors of 4 KiB and not 512 bytes. */
	SIM_DISK_TORN_4K,
	SIM_DISK_BACKWARD_4K,
	SIM_DISK_MIXED_4K,
	SIM_DISK_RUBBISH_4K,
	SIM_DISK_ALL_BUT_4K,
	SIM_DISK_ONLY_4K,
	SIM_DISK_LEFTS
};
/* The power goes and comes back: handles are closed, the fault is gone, and left is what there is. Of one
 * disk, what returns the same number has left the same. */
uint64_t sim_disk_crash(struct sim_disk *d, enum sim_disk_left left, uint64_t seed);

/* --- From outside: now and on the platter at once --- */

/* Whether there is a file of this path; its length in *out, which may be NULL. */
bool sim_disk_find(const struct sim_disk *d, const char *path, uint64_t *out);
/* Bytes that are there. */
void sim_disk_peek(const struct sim_disk *d, const char *path, void *out, size_t len, uint64_t offset);
void sim_disk_poke(struct sim_disk *d, const char *path, const void *bytes, size_t len, uint64_t offset);
/* One bit of a byte that is there becomes the other one (bit rot). */
void sim_disk_flip(struct sim_disk *d, const char *path, uint64_t offset, unsigned bit);
/* A new file of these bytes, durable. */
void sim_disk_put(struct sim_disk *d, const char *path, const void *bytes, size_t len);
/* Removes the name, durably. */
void sim_disk_remove(struct sim_disk *d, const char *path);
/* How many names there are, folders too. */
size_t sim_disk_names(const struct sim_disk *d);
/* Whether the file is in both, and has the same blocks in memory: then it holds the same bytes. */
bool sim_disk_same(const struct sim_disk *a, const struct sim_disk *b, const char *path);

#endif
