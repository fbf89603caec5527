#include "node/base/ranges.h"

#include "tests/unit/unit.h"

enum { UNIVERSE = 300, ROUNDS = 20000 };

/* The naive twin: a flag for each number. */
static void agree(const struct ranges *set, const bool *twin)
{
	size_t runs = 0;

	for (unsigned i = 0; i < UNIVERSE; i++) {
		assert_int_equal(ranges_has(set, i), twin[i]);
		runs += twin[i] && (i == 0 || !twin[i - 1]);
	}
	assert_int_equal(set->n, runs); /* sorted, joined: no more ranges than there are runs */
	for (size_t i = 1; i < set->n; i++)
		assert_true(set->v[i - 1].end < set->v[i].first);
}

static uint32_t xorshift(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

static void behaves_like_its_twin(void **state)
{
	struct ranges set = { 0 };
	bool twin[UNIVERSE] = { false };
	uint32_t seed = 2463534242u;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		const uint32_t first = xorshift(&seed) % (UNIVERSE - 8), len = 1 + xorshift(&seed) % 8;

		if (ranges_add(&set, first, first + len) == 0)
			memset(&twin[first], true, len);
		agree(&set, twin);
		if (set.n > 0 && xorshift(&seed) % 3 == 0) {
			memset(&twin[set.v[0].first], false, set.v[0].end - set.v[0].first);
			ranges_drop_lowest(&set);
		}
	}
}

static void a_full_set_still_joins(void **state)
{
	struct ranges set = { 0 };

	(void)state;
	for (unsigned i = 0; i < RANGES_MAX; i++)
		assert_int_equal(ranges_add(&set, 2 * i, 2 * i + 1), 0);
	assert_int_equal(ranges_add(&set, 1000, 1001), RANGES_FULL);
	assert_int_equal(set.n, RANGES_MAX);
	assert_int_equal(ranges_add(&set, 1, 2), 0);
	assert_int_equal(set.n, RANGES_MAX - 1);
	assert_true(ranges_cover(&set, 0, 3));
	assert_false(ranges_cover(&set, 0, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(behaves_like_its_twin),
		cmocka_unit_test(a_full_set_still_joins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
