/*
 * slots.h: from a pass-phrase to the key of a notebook (PROTOCOL section 8).
 *
 * The file `slots` holds two slots for each place of a notebook. Which places are
 * used cannot be seen: unused slots are random, and so is all of a used one. The
 * file is locked while it is open, so that a vault has one process at a time.
 *
 * The pass-phrase comes as its bytes in UTF-8, NFC.
 */
#ifndef STORE_SLOTS_H
#define STORE_SLOTS_H

#include "node/base/random.h"
#include "node/crypto/keys.h"
#include "store/disk.h"

enum {
	SLOTS_HEAD = 4096,
	SLOTS_SALT = 16,
	SLOTS_STRIPE = 32,
	SLOTS_STRIPES = 4000,
	SLOTS_SPLIT = SLOTS_STRIPE * SLOTS_STRIPES, /* bytes of all stripes */
	SLOTS_BLOCK = 3072,
	SLOTS_SLOT = SLOTS_SPLIT + SLOTS_BLOCK,
	SLOTS_PLACES_OWN = 2, /* on a device of one's own */
	SLOTS_PLACES_SHARED = 16,
	SLOTS_PLACES_MAX = 16,
};

/* Outcomes.
 * NO_MATCH  no slot opens: a wrong pass-phrase, or nothing there
 * NEWER     a slot opens, and was made by a later version
 * TRUNCATED the file ends early
 * FOREIGN   the file is none of ours, by its kind or its size */
enum { SLOTS_NO_MATCH = 1, SLOTS_NEWER = 2, SLOTS_TRUNCATED = 3, SLOTS_FOREIGN = 4 };

struct slots_salt {
	uint8_t b[SLOTS_SALT];
};

/* What one guess costs. */
struct slots_cost {
	uint64_t memory_bytes;
	uint64_t passes;
};

enum slots_profile { SLOTS_256_MIB = 0, SLOTS_64_MIB = 1 };

/* What a slot holds. */
struct slots_content {
	uint32_t generation;
	struct sym_key vk;
};

/* What slots_try() found; holds secrets: slots_match_wipe() it. */
struct slots_match {
	unsigned place;
	unsigned slot; /* 2 x place or the one after */
	struct slots_content content;
};

/* --- The pure half: one slot as bytes --- */

/* The cost that the lowest bit of the salt's last byte names. */
struct slots_cost slots_cost(const struct slots_salt *salt);

/* KEK of a pass-phrase: Argon2id, then B2. Pure and slow: meant for the thread pool. Returns 0 or ERR_NOMEM,
 * which never means that the pass-phrase is wrong. */
must_check int slots_derive(struct sym_key *kek, struct span passphrase, const struct slots_salt *salt,
                            const struct slots_cost *cost);

/* The anti-forensic split of s32 in stripes; all but the last are drawn from rng, in one draw. And back. */
void slots_split(uint8_t stripes[static SLOTS_SPLIT], const uint8_t s32[static 32], struct random *rng);
void slots_join(uint8_t s32[static 32], const uint8_t stripes[static SLOTS_SPLIT]);

/* A whole slot for place number / 2. Draws S32, the stripes, the nonce, in this order. */
void slots_seal(uint8_t slot[static SLOTS_SLOT], const struct slots_content *content, unsigned number,
                const struct sym_key *kek, const struct slots_salt *salt, struct random *rng);
/* Returns 0, SLOTS_NO_MATCH or SLOTS_NEWER. */
must_check int slots_unseal(struct slots_content *out, const uint8_t slot[static SLOTS_SLOT], unsigned number,
                            const struct sym_key *kek, const struct slots_salt *salt);

/* --- The file --- */

struct slots;

/* Makes dir where it is not there, and in it the file `slots` of random bytes with one used slot, in place 0
 * for kek; its key and generation go to out. The salt is the caller's (slots_salt_new()), because kek was
 * derived with it. Returns 0 or an enum err: ERR_EXISTS where there is a vault, ERR_FULL. The logs are
 * pagelog_create()'s, to be called first: a vault is there when its slots are. */
must_check int slots_create(struct disk *disk, const char *dir, unsigned places,
                            const struct slots_salt *salt, const struct sym_key *kek, struct slots_match *out,
                            struct random *rng);
void slots_salt_new(struct slots_salt *out, enum slots_profile profile, struct random *rng);

/* Opens and locks the file. Returns 0, SLOTS_TRUNCATED, SLOTS_FOREIGN, or an enum err: ERR_ABSENT, ERR_BUSY
 * where another process has it. On a read-only disk it opens, and what writes returns ERR_READONLY. */
must_check int slots_open(struct slots **out, struct disk *disk, const char *dir);
void slots_close(struct slots *s); /* NULL is allowed */

unsigned slots_places(const struct slots *s);
bool slots_readonly(const struct slots *s);
const struct slots_salt *slots_salt(const struct slots *s);

/* Tries all slots, always all, whichever opens. Where both of a place open, the higher generation counts.
 * Returns 0, SLOTS_NO_MATCH, SLOTS_NEWER or an enum err. Writes nothing. */
must_check int slots_try(struct slots *s, const struct sym_key *kek, struct slots_match *out);
void slots_match_wipe(struct slots_match *m);

/* Overwrites the other slot of the place with random: what a crash within slots_replace() may have left
 * there. To be called after slots_try() where `slot` is the one that counts. */
must_check int slots_settle(struct slots *s, const struct slots_match *m, const struct sym_key *kek,
                            struct random *rng);

/* Puts vk, and the next generation, in the other slot of m's place, makes sure that it is on the disk, then
 * overwrites the slot that m names with random. m becomes the new one. kek may be another than before: so a
 * pass-phrase is changed. After a failure either the old slot opens or the new one; the file must be opened
 * again. */
must_check int slots_replace(struct slots *s, struct slots_match *m, const struct sym_key *vk,
                             const struct sym_key *kek, struct random *rng);

/* Fills place (nobody's, the caller makes sure) for kek with a fresh key; the other slot becomes random. */
must_check int slots_add(struct slots *s, unsigned place, const struct sym_key *kek, struct slots_match *out,
                         struct random *rng);

/* Steps 2 and 3 of the wipe: the stripes of the used slot, then its block and the place's other slot. Step 1
 * is the caller's, step 4 pagelog_refill(). */
must_check int slots_wipe(struct slots *s, unsigned slot, struct random *rng);

#endif
