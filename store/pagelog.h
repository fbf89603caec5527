/*
 * pagelog.h: the pages of a notebook, sealed, in a log that only grows (PROTOCOL section 8).
 *
 * What is written collects in memory until pagelog_commit(), which makes it durable
 * as a whole or not at all. A commit never touches bytes of an earlier one. SQLite
 * sits on top (store/pagevfs.h); the key comes from a slot (store/slots.h), whose
 * lock also keeps other processes away from the logs.
 *
 * All logs of a vault are of one size and grow together, in steps of random bytes.
 */
#ifndef STORE_PAGELOG_H
#define STORE_PAGELOG_H

#include "store/record.h"
#include "store/slots.h"

enum { PAGELOG_STEP = 1 << 20 }; /* logs grow by whole steps */
/* Bounds the 32-bit halves of the page index. Beyond, a commit is refused with ERR_FULL until a compaction.
 */
#define PAGELOG_BYTES_MAX   (UINT64_C(1) << 35)
#define PAGELOG_COMMITS_MAX UINT32_MAX
enum { PAGELOG_DB_PAGES_MAX = 1 << 23 }; /* 32 GiB */

/* Outcome of pagelog_mount(). */
enum { PAGELOG_DAMAGED = 1 };

enum pagelog_cut {
	PAGELOG_WHOLE,
	PAGELOG_TORN,  /* the last commit was not whole; it is dropped, and its place is written again */
	PAGELOG_BROKEN /* there are commits behind a place that does not open: nothing is ever written */
};

struct pagelog_report {
	uint64_t commits; /* whole ones that are used */
	uint64_t end;     /* of the last of them, in bytes */
	uint64_t size;    /* of the file */
	uint32_t db_pages;
	uint8_t head_mac[RECORD_MAC]; /* of the last head that is used */
	enum pagelog_cut cut;
	uint64_t bytes_cut; /* from end to the last byte known to have belonged to a commit */
};

/* Where a log is. */
struct pagelog_place {
	struct disk *disk; /* borrowed, outlives the log */
	const char *dir;   /* borrowed during the call */
	unsigned places;   /* N of the vault */
	unsigned place;    /* below it */
	bool begun;        /* its first commit is known to be on the disk: the slot's generation is above 1,
	                    * a compaction has synced it. Then it is never taken for torn, nor the log for empty. */
};

struct pagelog;

/* Makes dir where it is not there, and N logs of one step of random bytes. To be called before
 * slots_create(); what an unfinished creation left is written over. ERR_EXISTS where there is a vault. */
must_check int pagelog_create(struct disk *disk, const char *dir, unsigned places, struct random *rng);

/* Opens the log of a place under VK. Finishes or drops an interrupted compaction, drops a torn last commit.
 * Returns 0; PAGELOG_DAMAGED, when *out reads up to the last whole commit and writes nothing; or an enum err,
 * ERR_CORRUPT where nothing opens that must. rng is borrowed and outlives the log. */
must_check int pagelog_mount(struct pagelog **out, const struct pagelog_place *where,
                             const struct sym_key *vk, struct random *rng, struct pagelog_report *report);
void pagelog_unmount(struct pagelog *log); /* NULL is allowed; what was not committed is gone */

/* Pages are numbered from 1. */
uint32_t pagelog_pages(const struct pagelog *log); /* with what is not committed yet */
bool pagelog_readonly(const struct pagelog *log);
/* A page that was not written since the database was last shorter reads as zeros. ERR_CORRUPT, never wrong
 * bytes. */
must_check int pagelog_read(struct pagelog *log, uint8_t out[static RECORD_PAGE], uint32_t pgno);
/* The page is copied. A database shorter than pgno becomes that long. */
must_check int pagelog_write(struct pagelog *log, uint32_t pgno, const uint8_t page[static RECORD_PAGE]);
void pagelog_resize(struct pagelog *log, uint32_t db_pages);

/* Makes durable what was written and resized; nothing where nothing was. On failure all of it is dropped. Was
 * it ERR_FULL and the disk had no room to grow, the log works on; after any other failure the state on the
 * disk is unknown, and all writing fails with ERR_IO until the log is mounted again. */
must_check int pagelog_commit(struct pagelog *log);
void pagelog_rollback(struct pagelog *log);

/* Writes the log anew under a fresh VK, puts it in the slot (m becomes the new one), and erases so what was
 * deleted. Nothing may be uncommitted. Whole under a crash at any point. A failure before the slot changed
 * leaves everything as it was; after a later one all writing fails until the log is mounted again with what
 * slots_try() finds. */
must_check int pagelog_compact(struct pagelog *log, struct slots *slots, struct slots_match *m,
                               const struct sym_key *kek);

/* Step 4 of the wipe: random bytes over the log of a place, whatever it was. It must not be mounted. */
must_check int pagelog_refill(const struct pagelog_place *where, struct random *rng);

/* Commits since the log was made anew, and its bytes in use: what a compaction would shorten. */
uint64_t pagelog_commits(const struct pagelog *log);
uint64_t pagelog_end(const struct pagelog *log);

#endif
