#include "node/base/random.h"

uint32_t random_below(struct random *r, uint32_t bound)
{
	/* Values under (2^32 mod bound) would make the small results more likely. */
	const uint32_t first_fair = (uint32_t)(-bound) % bound;
	uint32_t x;

	assert(bound >= 1);
	do
		random_bytes(r, &x, sizeof(x));
	while (x < first_fair);
	return x % bound;
}

uint64_t random_between(struct random *r, uint64_t low, uint64_t high)
{
	assert(low <= high && high - low < UINT32_MAX);
	return low + random_below(r, (uint32_t)(high - low + 1));
}
