#include "node/base/ranges.h"

/* The index of the first range that ends at or after number: the only one that may touch it from below. */
static size_t lower_bound(const struct ranges *set, uint64_t number)
{
	size_t lo = 0, hi = set->n;

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;

		if (set->v[mid].end < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int ranges_add(struct ranges *set, uint64_t first, uint64_t end)
{
	size_t at = lower_bound(set, first), past = at;

	assert(first < end);
	while (past < set->n && set->v[past].first <= end) {
		first = MIN(first, set->v[past].first);
		end = MAX(end, set->v[past].end);
		past++;
	}
	if (past == at && set->n == RANGES_MAX)
		return RANGES_FULL;
	memmove(&set->v[at + 1], &set->v[past], (set->n - past) * sizeof(set->v[0]));
	set->n = set->n - (past - at) + 1;
	set->v[at] = (struct range){ first, end };
	return 0;
}

bool ranges_has(const struct ranges *set, uint64_t number)
{
	return ranges_cover(set, number, number + 1);
}

bool ranges_cover(const struct ranges *set, uint64_t first, uint64_t end)
{
	const size_t at = lower_bound(set, end);

	return at < set->n && set->v[at].first <= first; /* and it ends at or after end */
}

void ranges_drop_lowest(struct ranges *set)
{
	assert(set->n > 0);
	set->n--;
	memmove(&set->v[0], &set->v[1], set->n * sizeof(set->v[0]));
}
