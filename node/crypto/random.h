/*
 * random.h: the two sources of randomness there are.
 */
#ifndef NODE_CRYPTO_RANDOM_H
#define NODE_CRYPTO_RANDOM_H

#include "node/base/random.h"
#include "node/crypto/keys.h"

/* The system's, through libsodium; lives as long as the program. Only the program's main loop hands it out.
 */
struct random *random_system(void);

/* A ChaCha20 stream under a seed: the same seed gives the same bytes, for tests and the simulator. */
struct random_seeded {
	struct random base; /* hand out &x->base */
	struct sym_key key;
	uint64_t calls; /* each takes a stream of its own */
};

void random_seeded_init(struct random_seeded *r, uint64_t seed);

#endif
