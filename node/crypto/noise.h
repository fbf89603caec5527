/*
 * noise.h: a Noise handshake of suite 25519_ChaChaPoly_BLAKE2b, from either side.
 *
 * The pattern is named ("KKpsk0", "XXpsk0+psk2"): the one-way, the fundamental and the
 * deferred patterns of the Noise specification with any psk modifiers. Flyleaf speaks two
 * of them (PROTOCOL sections 2.2 and 5); the others let the published vectors judge the
 * same code.
 *
 * A state lies where its caller puts it, allocates nothing, and holds copies of all keys it
 * was given. noise_deinit() wipes it.
 */
#ifndef NODE_CRYPTO_NOISE_H
#define NODE_CRYPTO_NOISE_H

#include "node/base/random.h"
#include "node/crypto/keys.h"

enum {
	NOISE_TAG_LEN = 16,
	NOISE_MESSAGE_MAX = 65535, /* of one message, Noise section 3 */
	NOISE_PSKS_MAX = 5,        /* psk0 to psk4 */
};

enum { NOISE_BAD_PATTERN = 1 }; /* outcome of noise_init() */
enum { NOISE_REFUSED = 1 };     /* outcome of noise_write(), noise_read(), noise_open() */

/* Everything is borrowed for the time of noise_init() only; what the pattern does not use is ignored. */
struct noise_config {
	const char *pattern;
	bool initiator;
	struct span prologue;
	const struct key_pair *s;    /* own static pair */
	const struct public_key *rs; /* the other's static key, where the pattern knows it beforehand */
	const struct key_pair *e;    /* own ephemeral pair; NULL: drawn when its turn comes */
	const struct sym_key *psks;  /* in the order of their modifiers */
	size_t psks_len;
};

struct noise_pattern;

struct noise {
	const struct noise_pattern *pattern; /* NULL once wiped or refused */
	unsigned psk_places;                 /* bit i: modifier pski */
	bool initiator;
	bool has_k, has_e;
	unsigned step; /* messages done */
	unsigned psk_next;
	uint64_t n;
	struct sym_key k;
	struct hash64 ck, h;
	struct key_pair s, e;
	struct public_key rs, re;
	struct sym_key psks[NOISE_PSKS_MAX];
};

/* What a finished handshake leaves. */
struct noise_keys {
	struct sym_key k_i_to_r, k_r_to_i; /* first 32 bytes of the two outputs of Split */
	struct sym_key x; /* X[0..32): of the third output (PROTOCOL sections 2.2, 3 and 6) */
	struct hash64 h;  /* handshake hash */
};

/* Returns 0, or NOISE_BAD_PATTERN: no such pattern, or a key that it needs was not given, or another number
 * of psks than its name has. */
must_check int noise_init(struct noise *n, const struct noise_config *c);
/* Wipes the state; a zeroed, wiped or refused one is allowed. */
void noise_deinit(struct noise *n);

/* The next message, own turn: appended to out, which must not overlap payload. Draws 32 bytes from rng
 * when the message has an `e` that was not given; rng may be NULL otherwise. Returns 0, or NOISE_REFUSED: the
 * other's key is of small order, out has no room, or it is not the own turn. */
must_check int noise_write(struct noise *n, struct random *rng, struct writer *out, struct span payload);
/* The next message, the other's turn: its payload is appended to payload. Returns 0, or NOISE_REFUSED for
 * anything that is not this message, or whose payload finds no room; then payload is as it was. After a
 * refusal by either function the state is wiped and refuses everything. */
must_check int noise_read(struct noise *n, struct writer *payload, struct span message);

bool noise_is_done(const struct noise *n);
/* The other's static key, of a handshake that has come by it; all zero before. */
const struct public_key *noise_remote_static(const struct noise *n);
/* Split, of a handshake that is done. The caller wipes out. */
void noise_split(const struct noise *n, struct noise_keys *out);

/* ChaCha20-Poly1305 with Noise's nonce, a counter that the caller keeps: never twice under one key, never
 * UINT64_MAX. noise_seal() appends plain.len + NOISE_TAG_LEN bytes to out; noise_open() appends
 * what was sealed, or returns NOISE_REFUSED with out as it was. out must not overlap the input. */
void noise_seal(struct writer *out, const struct sym_key *key, uint64_t nonce, struct span ad,
                struct span plain);
must_check int noise_open(struct writer *out, const struct sym_key *key, uint64_t nonce, struct span ad,
                          struct span sealed);

#endif
