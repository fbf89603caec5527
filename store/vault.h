/*
 * vault.h: the notebooks of a home folder, from a pass-phrase to rows and back.
 *
 * Ties slots, page log and store together; a node opens one notebook of a vault.
 *
 *     vault_find     opens and locks the files
 *     vault_guess    what one guess needs; vault_derive() makes a key of it, slowly, and touches nothing
 *                    else, so that it can run in a thread
 *     vault_open     tries all slots, mounts the log, opens the rows
 *     vault_lock     erases what was deleted, then forgets the keys
 *
 * Everything is in HOME/notebooks (PROTOCOL section 8). Keys lie in libsodium's guarded
 * memory: sodium_init() comes first.
 */
#ifndef STORE_VAULT_H
#define STORE_VAULT_H

#include "store/pagelog.h"
#include "store/slots.h"
#include "store/store.h"

/* Outcomes. NO_MATCH: a wrong pass-phrase, or nothing there: nobody can tell which. */
enum {
	VAULT_NO_MATCH = SLOTS_NO_MATCH,
	VAULT_NEWER = SLOTS_NEWER,
	VAULT_TRUNCATED = SLOTS_TRUNCATED,
	VAULT_FOREIGN = SLOTS_FOREIGN,
};

/* How much room there is. */
enum {
	VAULT_ROOM_LOW =
	        1, /* none for what others send: the rest is for the own person, and for vault_compact() */
	VAULT_ROOM_TIDY = 2, /* vault_compact() wins a good deal */
};
enum {
	VAULT_RESERVE = 8 << 20, /* bytes of the log: below, room is low; */
	VAULT_WASTE_MAX =
	        64 << 20, /* the same, besides as much as is of use: above, it is worth a compaction; */
	VAULT_LOOK_BYTES = 256 << 10 /* written, until it is looked at again */
};

struct vault;

/* From a pass-phrase to a key. vault_guess_wipe() it. */
struct vault_guess {
	struct slots_salt salt;
	struct slots_cost cost;
	struct sym_key kek;
};

/* What was found when a notebook was opened. */
struct vault_report {
	struct pagelog_report log;
	bool damaged; /* there is more in the log than opens: everything up to there can be read */
	bool readonly;
};

/* A guess for a vault to be made: draws the salt. */
void vault_guess_new(struct vault_guess *out, enum slots_profile profile, struct random *rng);
/* A guess at one that is there. */
void vault_guess_for(struct vault_guess *out, const struct vault *v);
/* Argon2id: slow, hungry, and pure. The pass-phrase is UTF-8 in NFC. Returns 0 or ERR_NOMEM, which never
 * means that it is wrong. */
must_check int vault_derive(struct vault_guess *guess, struct span passphrase);
void vault_guess_wipe(struct vault_guess *guess);

/* Makes a vault of so many places (SLOTS_PLACES_OWN or _SHARED) in home, which is made where it is not there,
 * with an empty notebook in place 0 for guess. Returns 0 or an enum err: ERR_EXISTS where there is one,
 * ERR_FULL, ERR_READONLY. */
must_check int vault_create(struct disk *disk, const char *home, unsigned places,
                            const struct vault_guess *guess, struct random *rng);

/* Finds the vault of home and locks it for this process. disk is borrowed and outlives it. Returns 0,
 * VAULT_TRUNCATED, VAULT_FOREIGN, or an enum err: ERR_ABSENT, ERR_BUSY where another process has it. */
must_check int vault_find(struct vault **out, struct disk *disk, const char *home);
/* Forgets everything, without the compaction of vault_lock(). NULL is allowed. */
void vault_close(struct vault *v);

/* Opens the notebook of guess. rng is borrowed until the notebook is locked. Returns 0, VAULT_NO_MATCH,
 * VAULT_NEWER, VAULT_TRUNCATED or an enum err: ERR_VERSION, ERR_CORRUPT and so on. A damaged one opens, for
 * reading: see report. Nothing is open after anything but 0. */
must_check int vault_open(struct vault *v, const struct vault_guess *guess, struct random *rng,
                          struct vault_report *report);
/* The rows of the open notebook; owned by the vault, gone with vault_lock(). */
struct store *vault_store(const struct vault *v);

/* Writes the log anew under a new key, so that what was deleted can be read by nobody any more; nothing where
 * nothing was written since the last time. Between two turns only; takes as long as writing all rows. After
 * an error the notebook must be locked. */
must_check int vault_compact(struct vault *v);

/* Looks at the disk and the log of the open notebook, or remembers what it saw when little was written since
 * and it need not be known now. Room for a compaction, a second log of ours, is never counted. Returns 0,
 * VAULT_ROOM_LOW, VAULT_ROOM_TIDY or an enum err. */
must_check int vault_room(struct vault *v, bool now);

/* Compacts, then closes the notebook and forgets its keys, these two whatever happens. The vault stays found.
 * Returns what the compaction did. */
must_check int vault_lock(struct vault *v);

/* Closes the notebook at once and forgets its keys, without the compaction; nothing where none is open. The
 * vault stays found. After an error of a commit: so it can be opened from the disk again. */
void vault_forget(struct vault *v);

/* Destroys the open notebook for good: forgets the keys, overwrites its slots, refills its log, in this order
 * (PROTOCOL section 8). Returns 0 or the first enum err; the rest is done all the same. */
must_check int vault_wipe(struct vault *v, struct random *rng);

#endif
