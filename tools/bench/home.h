/*
 * home.h: vaults to measure with: a fixed key in place of a pass-phrase, contacts in place of pairings.
 */
#ifndef TOOLS_BENCH_HOME_H
#define TOOLS_BENCH_HOME_H

#include "node/base/random.h"
#include "store/contacts.h"
#include "store/vault.h"

enum { HOME_TEXT_LEN = 150 }; /* of the messages that home_write() makes */

/* Makes a vault in dir. passphrase: NULL for the fixed key. */
void home_make(const char *dir, const char *passphrase);
/* Opens it; vault_close() it. */
struct vault *home_open(const char *dir, const char *passphrase);

/* What either side keeps of a pair. */
struct home_pair {
	struct contact_record record[2];
	struct ratchet *ratchet[2]; /* owned */
};

/* Two people who have paired, and answer each other. home_pair_free() it. */
void home_pair(struct home_pair *out);
void home_pair_free(struct home_pair *p);
/* Puts one side's contact into the store, which has begun, under the name given. Returns its id. */
uint32_t home_add(struct store *s, const struct home_pair *p, unsigned side, const char *name);
/* Adds so many messages to the store, which has begun, from position on. */
void home_write(struct store *s, uint32_t contact, bool own, int64_t position, unsigned count);
/* The two vaults of a pair, where the contacts are named "n0" and "n1" after the other's side, the first with
 * so many messages that wait. */
void home_make_pair(const char *const dirs[2], unsigned waiting);

#endif
