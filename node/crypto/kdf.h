/*
 * kdf.h: B2, the one key derivation outside Noise and CPace (PROTOCOL section 1),
 * and X25519 with its one check.
 */
#ifndef NODE_CRYPTO_KDF_H
#define NODE_CRYPTO_KDF_H

#include "node/base/random.h"
#include "node/crypto/keys.h"

enum { B2_LABEL_MAX = 16, B2_MIN = 16, B2_MAX = 64 };
enum { KEY_WEAK = 1 }; /* outcome of x25519() */

/* B2(label, key, n, data): BLAKE2b of data with n bytes out (16 to 64), key of at most 64 bytes (may be
 * empty), the zero-padded label as personalisation and a zero salt. */
void b2(void *out, size_t n, const char *label, struct span key, struct span data);

/* out = the X25519 of secret and peer. Returns 0, or KEY_WEAK (out is zeros) where the shared value would be
 * all zero: the caller must stop. */
must_check int x25519(uint8_t out[static 32], const struct secret_key *secret, const struct public_key *peer);

/* A fresh pair from rng; the public key of a given secret. */
void key_pair_new(struct key_pair *out, struct random *rng);
void public_key_of(struct public_key *out, const struct secret_key *secret);

#endif
