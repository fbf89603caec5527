#include "transport/replay.h"

/*
 * The bit of number pn is bit pn mod 2,048. When the window moves, whole words that come
 * into it are cleared; the bits between are cleared one word at a time.
 */

static uint64_t *word_of(struct replay *r, uint64_t pn)
{
	return &r->seen[pn / 64 % COUNT_OF(r->seen)];
}

/* Clears the bits of [r->next, pn], which come into the window. */
static void advance(struct replay *r, uint64_t pn)
{
	if (pn - r->next >= REPLAY_WINDOW) {
		memset(r->seen, 0, sizeof(r->seen));
		r->next = pn + 1;
		return;
	}
	while (r->next <= pn) {
		const uint64_t from = r->next % 64, count = MIN(64 - from, pn + 1 - r->next);
		const uint64_t bits = count == 64 ? UINT64_MAX : ((UINT64_C(1) << count) - 1) << from;

		*word_of(r, r->next) &= ~bits;
		r->next += count;
	}
}

bool replay_take(struct replay *r, uint64_t pn)
{
	const uint64_t bit = UINT64_C(1) << pn % 64;
	uint64_t *word = word_of(r, pn);

	assert(pn < UINT64_MAX);
	if (pn >= r->next)
		advance(r, pn);
	else if (r->next - pn > REPLAY_WINDOW || (*word & bit) != 0)
		return false;
	*word |= bit;
	return true;
}
