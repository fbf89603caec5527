/*
 * random.h: where randomness comes from.
 *
 * Everything below the loop draws it from the source that it was handed:
 * the system's in the program (node/crypto/random.h), a seeded one in tests and
 * in the simulator, the vectors' own bytes where they are given.
 */
#ifndef NODE_BASE_RANDOM_H
#define NODE_BASE_RANDOM_H

#include "node/base/common.h"

struct random {
	void (*fill)(struct random *self, void *out, size_t len);
};

static inline void random_bytes(struct random *r, void *out, size_t len)
{
	r->fill(r, out, len);
}

/* Uniform in [0, bound); bound is at least 1. */
uint32_t random_below(struct random *r, uint32_t bound);

/* Uniform in [low, high]: the U(low,high) of the protocol, in whole units of the caller's. */
uint64_t random_between(struct random *r, uint64_t low, uint64_t high);

#endif
