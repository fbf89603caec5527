/*
 * skipped.h: keys of messages that were overtaken, kept until they come.
 *
 * An interface: the store keeps them in a table, tests in memory. Each key is
 * found by its tag. What is older than SKIPPED_DAYS, counted while the node
 * runs, is dropped by whoever keeps them. PROTOCOL section 6.
 */
#ifndef NODE_CRYPTO_SKIPPED_H
#define NODE_CRYPTO_SKIPPED_H

#include "node/crypto/keys.h"

enum { SKIPPED_MAX = 2048 }; /* per contact; the oldest goes first */
enum { SKIPPED_DAYS = 90 };
enum { SKIPPED_NONE = 1 }; /* outcome of find(): no key has this tag */

struct skipped_key {
	struct tag16 tag;
	struct sym_key header;
	struct sym_key message;
	struct public_key dh; /* of the chain it belongs to: the envelope must name the same */
};

/* Every function may return a negative enum err, after which the caller's transaction is rolled back. */
struct skipped_keys {
	/* Returns 0, or SKIPPED_NONE (out is not written). */
	int (*find)(struct skipped_keys *self, struct skipped_key *out, const struct tag16 *tag);
	/* The key is copied; it is younger than every one that was put before. */
	int (*put)(struct skipped_keys *self, const struct skipped_key *key);
	int (*remove)(struct skipped_keys *self, const struct tag16 *tag);
	/* Drops the oldest ones until at most max are left. */
	int (*trim)(struct skipped_keys *self, size_t max);
};

#endif
