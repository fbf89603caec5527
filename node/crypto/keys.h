/*
 * keys.h: a type for everything that must not be mixed up.
 */
#ifndef NODE_CRYPTO_KEYS_H
#define NODE_CRYPTO_KEYS_H

#include "node/base/wire.h"

struct secret_key { /* X25519, unclamped: crypto_scalarmult does it */
	uint8_t b[32];
};

struct public_key { /* X25519 */
	uint8_t b[32];
};

struct key_pair {
	struct secret_key secret;
	struct public_key public;
};

struct sym_key { /* an AEAD key, a chain key, a key of B2 */
	uint8_t b[32];
};

struct link_secret { /* L of PROTOCOL section 3 */
	uint8_t b[32];
};

struct nonce16 { /* n of a call, of a pairing, of a person check */
	uint8_t b[16];
};

struct tag16 { /* tag of an envelope, PROTOCOL section 6 */
	uint8_t b[16];
};

struct hash32 {
	uint8_t b[32];
};

struct hash64 {
	uint8_t b[64];
};

/* PROTOCOL section 1: `a` has the smaller static public key. */
enum pair_role { ROLE_A = 0, ROLE_B = 1 };

/* A span over a key or another struct that is nothing but its bytes. */
#define KEY_SPAN(key) span_from((key)->b, sizeof((key)->b))

#endif
