/*
 * ratchet.h: Signal's Double Ratchet with a tag and a header key for each message.
 *
 * One struct ratchet is one epoch of one pair of people. It turns texts into
 * envelopes and envelopes into texts, and changes with each: who calls keeps the
 * encoded state in the same transaction as the envelope or the text. PROTOCOL
 * section 6.
 */
#ifndef NODE_CRYPTO_RATCHET_H
#define NODE_CRYPTO_RATCHET_H

#include "node/base/random.h"
#include "node/crypto/envelope.h"
#include "node/crypto/keys.h"
#include "node/crypto/skipped.h"

enum {
	RATCHET_WINDOW = 512,       /* places ahead in which a tag is looked for, PROTOCOL section 6 */
	RATCHET_UNSTORED_MAX = 512, /* envelopes of one chain that the other side has not stored */
	RATCHET_BYTES = 366         /* of an encoded state */
};
enum { RATCHET_CHAIN_FULL = 1, RATCHET_TOO_LONG = 2 }; /* outcomes of ratchet_seal() */
enum { RATCHET_UNKNOWN = 1, RATCHET_REFUSED = 2 };     /* outcomes of ratchet_open() */
enum { RATCHET_WEAK_KEY = 1 };                         /* outcome of ratchet_init() */

/* What a pairing or a re-init gives, PROTOCOL section 2.3. */
struct ratchet_root {
	struct sym_key rk0;
	struct sym_key ha;
	struct sym_key nb;
	struct hash32 aid;
};

struct ratchet_chain {
	struct sym_key ck; /* of the message at place n */
	struct sym_key hk; /* the same */
	uint32_t n;        /* messages sent, or places passed: Ns, Nr */
};

/* All of it is in the encoded state. Callers look at nothing but through the functions below. */
struct ratchet {
	struct hash32 aid;
	struct sym_key rk;
	struct key_pair own;    /* DHs */
	struct public_key peer; /* DHr */
	struct ratchet_chain sending, receiving;
	struct sym_key next_sending_hk, next_receiving_hk; /* NHs, NHr */
	uint32_t previous;                                 /* PN */
	bool has_receiving;                                /* else receiving is not to be looked at */
};

/* Windows of tags, built when an envelope is not the expected one, so that further strangers cost little. It
 * is never part of the state: it may be dropped at any time, and notices itself when the ratchet was changed
 * behind its back. Starts zeroed; holds about 8 KiB once it was needed. */
struct ratchet_cache {
	struct ratchet_windows *windows; /* owned */
};
void ratchet_cache_deinit(struct ratchet_cache *cache);

/* Starts an epoch. own is r, which the caller erases (section 6: `b` at once, `a` on its first step), peer is
 * the other's R. Role `b` draws 32 bytes, a fresh private key. Returns 0 or RATCHET_WEAK_KEY (peer is no
 * key). */
must_check int ratchet_init(struct ratchet *out, enum pair_role role, const struct ratchet_root *root,
                            const struct key_pair *own, const struct public_key *peer, struct random *rng);
void ratchet_deinit(struct ratchet *r); /* wipes it; zeroed is fine */

/* Appends an envelope of size bytes (a size class, see envelope_size_for()) that holds text; the writer must
 * have room for it. Draws 24 bytes. Returns 0, RATCHET_TOO_LONG (text does not fit) or RATCHET_CHAIN_FULL
 * (the chain cannot be counted any further); state and writer are unchanged then. */
must_check int ratchet_seal(struct ratchet *r, struct random *rng, struct span text, size_t size,
                            struct writer *envelope);
/* How many envelopes may be sealed now, when unstored of this direction and epoch are not yet `stored`. The
 * caller keeps to it: at most RATCHET_UNSTORED_MAX of a chain are ever unstored. */
unsigned ratchet_room(const struct ratchet *r, uint64_t unstored);

/* Opens an envelope and appends its text; the writer must have room for envelope.len bytes. Draws 32 bytes
 * when, and only when, the envelope opened and begins a chain. Outcomes, with state, keys and writer
 * unchanged: RATCHET_UNKNOWN, no tag of ours: for somebody else, or read already; RATCHET_REFUSED, the tag is
 * ours and the rest is not. A negative enum err comes from skipped or from memory; the state is unchanged,
 * keys may not be. */
must_check int ratchet_open(struct ratchet *r, struct ratchet_cache *cache, struct random *rng,
                            struct skipped_keys *skipped, struct span envelope, struct writer *text);

/* The state as the store keeps it: exactly RATCHET_BYTES, secret. */
void ratchet_encode(struct writer *out, const struct ratchet *r);
/* Returns 0, ERR_CORRUPT or ERR_VERSION. */
must_check int ratchet_decode(struct ratchet *out, struct span in);

#endif
