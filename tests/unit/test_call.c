#include "transport/call.h"

#include "node/crypto/random.h"

#include "tests/unit/unit.h"

static const struct sym_key key = { { 1, 2, 3 } }, other_key = { { 9 } };
static const struct address here = { { [10] = 0xff, 0xff, 192, 168, 1, 20 }, 3 };
static const struct address there = { { [10] = 0xff, 0xff, 192, 168, 1, 21 }, 3 };

enum { NOON = 1797358272 };

static struct random_seeded rng;

static int setup(void **state)
{
	(void)state;
	random_seeded_init(&rng, 7);
	return 0;
}

static void make(struct call *c, enum call_shape shape, struct call_proof proof)
{
	const struct call_entry entry = { &key, proof };

	call_make(c, shape, &entry, 1, &rng.base);
}

static void every_bit_of_a_call_counts(void **state)
{
	static const enum call_shape shapes[] = { CALL_SMALL, CALL_LARGE };

	(void)state;
	for (size_t k = 0; k < COUNT_OF(shapes); k++) {
		uint8_t bytes[CALL_LARGE_LEN], again[CALL_LARGE_LEN];
		struct writer w = WRITER_ON(bytes);
		struct call c, back;
		struct span datagram;

		make(&c, shapes[k], call_proof_clock(CALL_KIND_CALL, NOON, &here));
		call_write(&w, &c);
		datagram = writer_done(&w);
		assert_int_equal(call_read(&back, datagram), 0);
		assert_memory_equal(back.place, c.place, c.count * 16);
		for (size_t bit = 0; bit < datagram.len * 8; bit++) {
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			/* Refused, or another call that is written the same way: never two forms of one. */
			w = WRITER_ON(again);
			if (call_read(&back, datagram) == 0) {
				call_write(&w, &back);
				assert_true(span_equal(writer_done(&w), datagram));
				assert_int_not_equal(memcmp(back.place, c.place, c.count * 16), 0);
			}
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		for (size_t len = 0; len < datagram.len; len++)
			assert_int_equal(call_read(&back, span_from(bytes, len)), CALL_REFUSED);
	}
}

static void entries_find_places_of_their_own(void **state)
{
	unsigned at[CALL_PLACES_MAX] = { 0 };

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		struct sym_key keys[7] = { { { 0 } } };
		struct call_entry entries[7];
		bool taken[8] = { false };
		struct call c;

		for (uint8_t i = 0; i < 7; i++) {
			keys[i].b[0] = i;
			entries[i] = (struct call_entry){ &keys[i],
				                          call_proof_clock(CALL_KIND_CALL, NOON, &here) };
		}
		call_make(&c, CALL_SMALL, entries, 7, &rng.base); /* as many as there are places */
		for (size_t i = 0; i < 7; i++) {
			const int place = call_find(&c, &keys[i]);

			assert_in_range(place, 1, 7);
			assert_false(taken[place]);
			taken[place] = true;
		}
		at[call_find(&c, &keys[0])]++;
	}
	for (size_t place = 1; place <= 7; place++)
		assert_in_range(at[place], 200, 380); /* 2,000 / 7 each */
}

static void a_call_is_live_by_the_clock(void **state)
{
	static const uint64_t last_unit_s = UINT64_C(600) * UINT32_MAX;
	static const struct {
		uint64_t made_s, clock_s;
		int64_t offset_s;
		bool live;
	} rows[] = {
		{ NOON, NOON, 0, true },
		{ 600000, 601799, 0, true }, /* the last second of the second unit after */
		{ 600000, 601800, 0, false },
		{ 600599, 598800, 0, true }, /* the first of the second unit before */
		{ 600599, 598799, 0, false },
		{ NOON, 86400, NOON - 86400, true }, /* a wrong clock and a learned offset */
		{ NOON, 86400, 0, false },
		{ NOON, NOON + 86400, -86400, true },
		{ 0, 0, 0, true }, /* near 1970 no unit wraps */
		{ 0, 1799, 0, true },
		{ 0, 1800, 0, false },
		{ 0, NOON, 0, false }, /* unit 0 is for codes only */
		{ 0, 5, -6, false },   /* before 1970 */
		{ last_unit_s, 5, 0, false },
		{ NOON, 0, INT64_MIN, false },
		{ NOON, UINT64_MAX, 0, false },
		{ NOON, INT64_MAX, INT64_MAX, false },
		{ last_unit_s, last_unit_s + 599, 0, true },
		{ last_unit_s, last_unit_s + 600, 0, false }, /* later than a proof can say */
		{ 0, last_unit_s, 0, false },                 /* nor does it wrap there */
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct call c;

		make(&c, i % 2 == 0 ? CALL_SMALL : CALL_DIRECT,
		     call_proof_clock(CALL_KIND_CALL, rows[i].made_s, &here));
		if (call_is_live_by_clock(&c, call_find(&c, &key), &key, CALL_KIND_CALL, &here,
		                          rows[i].clock_s, rows[i].offset_s) != rows[i].live)
			fail_msg("row %zu", i);
	}
}

static void what_a_proof_binds(void **state)
{
	const struct nonce16 n_call = { { 1 } }, n_other = { { 2 } };
	struct call_proof proof = call_proof_clock(CALL_KIND_CALL, NOON, &here);
	struct address other_card = here;
	struct call c;
	int place;

	(void)state;
	make(&c, CALL_SMALL, proof);
	place = call_find(&c, &key);
	assert_int_equal(call_find(&c, &other_key), -1);
	assert_true(call_is_live(&c, place, &key, &proof));
	other_card.interface++; /* the receiver's name for the path is not in it */
	assert_true(call_is_live_by_clock(&c, place, &key, CALL_KIND_CALL, &other_card, NOON, 0));
	assert_false(call_is_live_by_clock(&c, place, &key, CALL_KIND_CALL, &there, NOON, 0));
	assert_false(call_is_live_by_clock(&c, place, &key, CALL_KIND_BLUETOOTH, &here, NOON, 0));
	proof = call_proof_clock(CALL_KIND_CALL, 0, &here); /* of a code: not of a clock */
	assert_false(call_is_live(&c, place, &key, &proof));

	proof = call_proof_answer(&n_call, &here);
	make(&c, CALL_DIRECT, proof);
	place = call_find(&c, &key);
	assert_true(call_is_live(&c, place, &key, &proof));
	proof = call_proof_answer(&n_other, &here);
	assert_false(call_is_live(&c, place, &key, &proof));
	proof = call_proof_answer(&n_call, &there);
	assert_false(call_is_live(&c, place, &key, &proof));
}

static int search_all(uint64_t *clock_s, struct call_search *s, unsigned distances)
{
	int r;

	do
		r = call_search_step(clock_s, s, &key, distances);
	while (r == CALL_SEARCH_MORE);
	return r;
}

static void a_search_finds_a_lost_clock(void **state)
{
	static const uint64_t clocks_s[] = { NOON, NOON - 3 * 86400, NOON + 40 * 86400 };
	struct call_search s;
	uint64_t clock_s;
	struct call c;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(clocks_s); i++) {
		make(&c, CALL_SMALL, call_proof_clock(CALL_KIND_CALL, clocks_s[i], &here));
		call_search_init(&s, &c, call_find(&c, &key), CALL_KIND_CALL, &here, NOON);
		assert_int_equal(search_all(&clock_s, &s, 100), 0);
		assert_int_equal(clock_s / CALL_UNIT_S, clocks_s[i] / CALL_UNIT_S);
	}
	/* Bounded: just beyond ten years it gives up. */
	make(&c, CALL_SMALL,
	     call_proof_clock(CALL_KIND_CALL, NOON + UINT64_C(600) * (CALL_SEARCH_UNITS + 1), &here));
	call_search_init(&s, &c, call_find(&c, &key), CALL_KIND_CALL, &here, NOON);
	s.distance = CALL_SEARCH_UNITS - 50;
	assert_int_equal(search_all(&clock_s, &s, 100), CALL_SEARCH_NOTHING);
	assert_int_equal(search_all(&clock_s, &s, 100), CALL_SEARCH_NOTHING);
	/* In a direct call every bit of the proof stands as it is. */
	make(&c, CALL_DIRECT, call_proof_clock(CALL_KIND_CALL, NOON + 86400, &here));
	call_search_init(&s, &c, call_find(&c, &key), CALL_KIND_CALL, &here, NOON);
	assert_int_equal(search_all(&clock_s, &s, 100), 0);
	assert_int_equal(clock_s / CALL_UNIT_S, (NOON + 86400) / CALL_UNIT_S);
	/* A clock of no time that there is looks back only. */
	call_search_init(&s, &c, call_find(&c, &key), CALL_KIND_CALL, &here, UINT64_MAX);
	assert_int_equal(call_search_step(&clock_s, &s, &key, 10), CALL_SEARCH_MORE);
	/* A clock of 1970 looks forward only. */
	call_search_init(&s, &c, call_find(&c, &key), CALL_KIND_CALL, &here, 0);
	assert_int_equal(call_search_step(&clock_s, &s, &key, 10), CALL_SEARCH_MORE);
}

/* PROTOCOL section 9. */
static void an_advertisement_is_a_call_of_one_entry(void **state)
{
	const struct address radio = { { 0x12, 0x34 }, ADDRESS_BLUETOOTH | 1 }, network = { { 0 }, 3 };
	const struct call_entry entry = {
		&key,
		call_proof_clock(CALL_KIND_BLUETOOTH, NOON, &radio),
	};
	const struct call_proof none = call_proof_clock(CALL_KIND_BLUETOOTH, NOON, &network);
	static const uint8_t zeros[6];
	uint8_t bytes[ADVERT_LEN + 1];
	struct writer w = writer_on(bytes, ADVERT_LEN);
	struct call c, back;

	(void)state;
	assert_int_equal(entry.proof.len, none.len);
	assert_memory_equal(entry.proof.b, none.b, none.len); /* the source is 16 zeros */
	call_advert_make(&c, &entry, &rng.base);
	call_advert_write(&w, &c);
	assert_memory_equal(bytes, c.place[1], 16);
	assert_memory_equal(bytes + 16, call_nonce(&c)->b, 10);
	assert_memory_equal(call_nonce(&c)->b + 10, zeros, 6);
	for (size_t len = 0; len <= sizeof(bytes); len++)
		assert_int_equal(call_advert_read(&back, span_from(bytes, len)),
		                 len == ADVERT_LEN ? 0 : CALL_REFUSED);
	assert_int_equal(call_advert_read(&back, writer_done(&w)), 0);
	assert_memory_equal(&back, &c, sizeof(c));
	assert_int_equal(call_find(&back, &key), 1);
	assert_int_equal(call_find(&back, &other_key), -1);
	assert_true(call_is_live_by_clock(&back, 1, &key, CALL_KIND_BLUETOOTH, &radio, NOON, 0));
	assert_false(call_is_live_by_clock(&back, 1, &key, CALL_KIND_CALL, &radio, NOON, 0));
	for (size_t bit = 0; bit < ADVERT_LEN * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(call_advert_read(&back, span_from(bytes, ADVERT_LEN)), 0);
		assert_false(call_find(&back, &key) == 1 &&
		             call_is_live_by_clock(&back, 1, &key, CALL_KIND_BLUETOOTH, &radio, NOON, 0));
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* All 128, about equally often. */
static void psms_look_random(void **state)
{
	unsigned seen[256] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 12800; i++) {
		struct nonce16 n = { { 0 } };

		random_bytes(&rng.base, n.b, CALL_ADVERT_NONCE);
		seen[call_psm(&key, &n)]++;
	}
	for (unsigned psm = 0; psm < 256; psm++)
		assert_in_range(seen[psm], psm < 0x80 ? 0 : 50, psm < 0x80 ? 0 : 170);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_advertisement_is_a_call_of_one_entry, setup),
		cmocka_unit_test_setup(psms_look_random, setup),
		cmocka_unit_test_setup(every_bit_of_a_call_counts, setup),
		cmocka_unit_test_setup(entries_find_places_of_their_own, setup),
		cmocka_unit_test_setup(a_call_is_live_by_the_clock, setup),
		cmocka_unit_test_setup(what_a_proof_binds, setup),
		cmocka_unit_test_setup(a_search_finds_a_lost_clock, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
