#include "transport/replay.h"

#include "node/crypto/random.h"

#include "tests/unit/unit.h"

enum { ROUNDS = 200000, UNIVERSE = 1 << 20 };

/* The naive twin: a flag for each number ever, and the rule as it is written. */
static void behaves_like_its_twin(void **state)
{
	static bool seen[UNIVERSE];
	static const uint32_t jumps[] = { 3, 70, 3000, REPLAY_WINDOW + 2 };
	struct random_seeded rng;
	struct replay window = { 0 };
	uint64_t top = 0; /* one more than the largest */

	(void)state;
	random_seeded_init(&rng, 1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		const uint32_t spread = jumps[random_below(&rng.base, COUNT_OF(jumps))];
		const uint64_t back = random_below(&rng.base, spread), ahead = random_below(&rng.base, 8);
		const uint64_t pn = top + ahead > back ? top + ahead - back : 0;
		bool fresh;

		if (pn >= UNIVERSE)
			break;
		fresh = !seen[pn] && pn + REPLAY_WINDOW >= top;
		assert_int_equal(replay_take(&window, pn), fresh);
		seen[pn] = seen[pn] || fresh;
		top = MAX(top, pn + 1);
	}
	assert_true(top > 10 * REPLAY_WINDOW);
}

static void stands_great_leaps(void **state)
{
	struct replay window = { 0 };
	const uint64_t far = UINT64_MAX - 1;

	(void)state;
	assert_true(replay_take(&window, 7));
	assert_true(replay_take(&window, far));
	assert_false(replay_take(&window, far));
	assert_false(replay_take(&window, 7));
	assert_false(replay_take(&window, far - REPLAY_WINDOW));
	assert_true(replay_take(&window, far - REPLAY_WINDOW + 1));
	assert_false(replay_take(&window, far - REPLAY_WINDOW + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(behaves_like_its_twin),
		cmocka_unit_test(stands_great_leaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
