/*
 * dice.h: chance for the world around the nodes: fast, and the same everywhere.
 *
 * Nodes draw from a random_seeded, which nobody can foresee; weather need not be that good.
 */
#ifndef TOOLS_SIM_DICE_H
#define TOOLS_SIM_DICE_H

#include "node/base/common.h"

struct dice {
	uint64_t state;
};

enum { DICE_MILLION = 1000000 };

/* A stream of its own for each seed and purpose. */
static inline struct dice dice_new(uint64_t seed, uint64_t purpose)
{
	return (struct dice){ seed * UINT64_C(0xd1342543de82ef95) + purpose * UINT64_C(0xaf251af3b0f025b5) };
}

static inline uint64_t dice_draw(struct dice *d)
{
	uint64_t x = d->state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* In [0, bound); bound is at least 1. The modulo leans by less than anybody can measure. */
static inline uint64_t dice_below(struct dice *d, uint64_t bound)
{
	return dice_draw(d) % bound;
}

static inline uint64_t dice_between(struct dice *d, uint64_t low, uint64_t high)
{
	return low + dice_below(d, high - low + 1);
}

static inline bool dice_chance(struct dice *d, uint32_t in_a_million)
{
	return in_a_million != 0 && dice_below(d, DICE_MILLION) < in_a_million;
}

#endif
