/*
 * ranges.h: a set of numbers kept as ascending ranges that never touch.
 *
 * Serves acknowledgements (packet numbers) and reassembly (byte offsets). It
 * holds at most RANGES_MAX ranges; what happens beyond is the caller's choice.
 */
#ifndef NODE_BASE_RANGES_H
#define NODE_BASE_RANGES_H

#include "node/base/common.h"

enum { RANGES_MAX = 64 };
enum { RANGES_FULL = 1 }; /* outcome of ranges_add() */

struct range {
	uint64_t first;
	uint64_t end; /* the first number that is not in it */
};

struct ranges {
	struct range v[RANGES_MAX];
	size_t n;
};

/* Adds [first, end), end > first, joining what it meets. Returns 0 or RANGES_FULL (set unchanged). */
must_check int ranges_add(struct ranges *set, uint64_t first, uint64_t end);
bool ranges_has(const struct ranges *set, uint64_t number);
/* True when every number of [first, end) is in the set. */
bool ranges_cover(const struct ranges *set, uint64_t first, uint64_t end);
/* Takes the lowest range out; the set must not be empty. */
void ranges_drop_lowest(struct ranges *set);

#endif
