#include "node/crypto/noise.h"

#include <sodium.h>

#include "node/crypto/kdf.h"
#include "node/crypto/random.h"
#include "tests/unit/unit.h"

/* What the published vectors do not show: everything that must be refused. */

static struct key_pair pair_i, pair_r;
static struct sym_key psk;
static struct random_seeded rng;

static int setup(void **state)
{
	(void)state;
	random_seeded_init(&rng, 7);
	key_pair_new(&pair_i, &rng.base);
	key_pair_new(&pair_r, &rng.base);
	random_bytes(&rng.base, psk.b, sizeof(psk.b));
	return 0;
}

static struct noise_config config(const char *pattern, bool initiator)
{
	return (struct noise_config){
		.pattern = pattern,
		.initiator = initiator,
		.prologue = span_str("fl1:test"),
		.s = initiator ? &pair_i : &pair_r,
		.rs = initiator ? &pair_r.public : &pair_i.public,
		.psks = &psk,
		.psks_len = strstr(pattern, "psk") != NULL ? 1 : 0,
	};
}

static void init(struct noise *n, const char *pattern, bool initiator)
{
	const struct noise_config c = config(pattern, initiator);

	assert_int_equal(noise_init(n, &c), 0);
}

static void assert_wiped(const struct noise *n)
{
	assert_true(sodium_is_zero((const uint8_t *)n, sizeof(*n)));
}

static void both_sides_agree(void **state)
{
	struct noise i, r;
	struct noise_keys of_i, of_r;
	uint8_t buf[256], got[64];
	struct writer w = WRITER_ON(buf), p = WRITER_ON(got);

	(void)state;
	init(&i, "XXpsk0", true);
	init(&r, "XXpsk0", false);
	assert_int_equal(noise_write(&i, &rng.base, &w, SPAN_NONE), 0);
	assert_int_equal(w.len, 48); /* PROTOCOL section 2.2, flights 4 to 6 */
	assert_int_equal(noise_read(&r, &p, writer_done(&w)), 0);
	w.len = 0;
	assert_int_equal(noise_write(&r, &rng.base, &w, KEY_SPAN(&psk)), 0);
	assert_int_equal(w.len, 128);
	assert_int_equal(noise_read(&i, &p, writer_done(&w)), 0);
	assert_memory_equal(got, psk.b, 32);
	assert_false(noise_is_done(&i));
	w.len = 0;
	assert_int_equal(noise_write(&i, &rng.base, &w, KEY_SPAN(&psk)), 0);
	assert_int_equal(w.len, 96);
	assert_int_equal(noise_read(&r, &p, writer_done(&w)), 0);
	assert_true(noise_is_done(&i) && noise_is_done(&r));
	assert_memory_equal(noise_remote_static(&i), &pair_r.public, 32);
	assert_memory_equal(noise_remote_static(&r), &pair_i.public, 32);
	assert_memory_equal(&r.re, &i.e.public, 32);
	noise_split(&i, &of_i);
	noise_split(&r, &of_r);
	assert_memory_equal(&of_i, &of_r, sizeof(of_i));
	noise_deinit(&i);
	noise_deinit(&r);
	assert_wiped(&i);
}

/* The first flight of KKpsk0, and the responder that waits for it. */
static struct span first_flight(struct noise *r, uint8_t *buf, size_t cap)
{
	struct noise i;
	struct writer w = writer_on(buf, cap);

	init(&i, "KKpsk0", true);
	init(r, "KKpsk0", false);
	assert_int_equal(noise_write(&i, &rng.base, &w, span_str("payload")), 0);
	noise_deinit(&i);
	return writer_done(&w);
}

static void assert_refused(const struct noise *waiting, struct span message)
{
	struct noise r = *waiting;
	uint8_t got[128] = { 0 };
	struct writer p = WRITER_ON(got);

	writer_u8(&p, 0xaa);
	assert_int_equal(noise_read(&r, &p, message), NOISE_REFUSED);
	assert_wiped(&r);
	assert_int_equal(p.len, 1);
	assert_true(sodium_is_zero(got + 1, sizeof(got) - 1));
	assert_int_equal(noise_read(&r, &p, message), NOISE_REFUSED);
	assert_int_equal(noise_write(&r, NULL, &p, SPAN_NONE), NOISE_REFUSED);
	assert_int_equal(p.len, 1);
}

static void a_damaged_message_is_refused(void **state)
{
	uint8_t buf[128] = { 0 };
	struct noise r;
	const struct span m = first_flight(&r, buf, sizeof(buf));

	(void)state;
	for (size_t len = 0; len < m.len; len++)
		assert_refused(&r, span_from(buf, len));
	assert_refused(&r, span_from(buf, m.len + 1));
	for (size_t i = 0; i < m.len * 8; i++) {
		/* X25519 ignores the top bit of a key; the hash does not. */
		buf[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_refused(&r, m);
		buf[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	noise_deinit(&r);
}

/* Where there is no key yet nothing but the length can be wrong. */
static void a_cut_plain_message_is_refused(void **state)
{
	uint8_t buf[64] = { 1 };
	struct noise r;

	(void)state;
	init(&r, "IN", false); /* e, s */
	for (size_t len = 0; len < sizeof(buf); len++)
		assert_refused(&r, span_from(buf, len));
	noise_deinit(&r);
}

static void another_secret_is_refused(void **state)
{
	uint8_t buf[128];
	struct noise right, r;
	const struct span m = first_flight(&right, buf, sizeof(buf));
	struct noise_config c = config("KKpsk0", false);
	struct sym_key other_psk = psk;
	const struct public_key other = pair_r.public;

	(void)state;
	other_psk.b[31] ^= 1;
	c.psks = &other_psk;
	assert_int_equal(noise_init(&r, &c), 0);
	assert_refused(&r, m);
	c = config("KKpsk0", false);
	c.prologue = span_str("fl1:tesu");
	assert_int_equal(noise_init(&r, &c), 0);
	assert_refused(&r, m);
	c = config("KKpsk0", false);
	c.rs = &other;
	assert_int_equal(noise_init(&r, &c), 0);
	assert_refused(&r, m);
	noise_deinit(&right);
}

static void a_payload_without_room_is_refused(void **state)
{
	uint8_t buf[128], got[6];
	struct noise r;
	struct writer p = WRITER_ON(got);
	const struct span m = first_flight(&r, buf, sizeof(buf));

	(void)state;
	assert_int_equal(noise_read(&r, &p, m), NOISE_REFUSED);
	assert_wiped(&r);
	assert_int_equal(p.len, 0);
}

static void out_of_turn_is_refused(void **state)
{
	uint8_t buf[256];
	struct writer w = WRITER_ON(buf), p = WRITER_ON(buf);
	struct noise n, r;

	(void)state;
	/* The first message of NN has no DH and no key: nothing but the turn can be wrong. */
	init(&n, "NN", false);
	assert_int_equal(noise_write(&n, &rng.base, &w, SPAN_NONE), NOISE_REFUSED);
	assert_wiped(&n);
	init(&n, "NN", true);
	assert_int_equal(noise_read(&n, &p, SPAN(psk.b)), NOISE_REFUSED);
	assert_wiped(&n);
	/* A one-way pattern is done after one message. */
	init(&n, "N", true);
	init(&r, "N", false);
	assert_int_equal(noise_write(&n, &rng.base, &w, SPAN_NONE), 0);
	assert_int_equal(noise_read(&r, &p, writer_done(&w)), 0);
	assert_true(noise_is_done(&n) && noise_is_done(&r));
	assert_int_equal(noise_write(&r, &rng.base, &w, SPAN_NONE), NOISE_REFUSED);
	assert_int_equal(noise_read(&n, &p, writer_done(&w)), NOISE_REFUSED);
	assert_false(noise_is_done(&n));
}

/* A key of small order makes every shared value zero: nobody may go on with that. */
static void a_key_of_small_order_is_refused(void **state)
{
	static const uint8_t points[][32] = { { 0 }, { 1 } };
	uint8_t buf[128], got[16];

	(void)state;
	for (size_t k = 0; k < COUNT_OF(points); k++) {
		struct writer w = WRITER_ON(buf), p = WRITER_ON(got);
		struct noise n;
		struct noise_config c = config("KK", true);
		struct public_key weak;

		init(&n, "NN", false);
		assert_int_equal(noise_read(&n, &p, SPAN(points[k])), 0); /* no DH yet */
		writer_u8(&w, 0xaa);
		assert_int_equal(noise_write(&n, &rng.base, &w, SPAN_NONE), NOISE_REFUSED); /* ee */
		assert_wiped(&n);
		assert_int_equal(w.len, 1);
		memcpy(weak.b, points[k], sizeof(weak.b));
		c.rs = &weak;
		assert_int_equal(noise_init(&n, &c), 0);
		assert_int_equal(noise_write(&n, &rng.base, &w, SPAN_NONE), NOISE_REFUSED); /* es */
		assert_wiped(&n);
	}
}

static void only_whole_configurations_are_taken(void **state)
{
	static const char *const bad[] = { "",        "Q",        "KKp",        "KKpsk",     "KKpsk3",
		                           "KKpsk0+", "KKpskx",   "KKpsk00",    "KKpsk0psk", "XXfallback",
		                           "kk",      "KKpsk0+x", "KKpsk+psk0", "K K" };
	struct noise_config c;
	struct sym_key two[2] = { { { 1 } }, { { 2 } } };
	struct noise n;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		c = config(bad[i], true);
		assert_int_equal(noise_init(&n, &c), NOISE_BAD_PATTERN);
		assert_wiped(&n);
	}
	c = config("KK", true);
	c.s = NULL;
	assert_int_equal(noise_init(&n, &c), NOISE_BAD_PATTERN);
	c = config("KK", true);
	c.rs = NULL;
	assert_int_equal(noise_init(&n, &c), NOISE_BAD_PATTERN);
	c = config("XX", false);
	c.s = NULL;
	assert_int_equal(noise_init(&n, &c), NOISE_BAD_PATTERN);
	c = config("NK", true);
	c.s = NULL; /* not needed */
	assert_int_equal(noise_init(&n, &c), 0);
	c = config("KKpsk0", true);
	c.psks_len = 0;
	assert_int_equal(noise_init(&n, &c), NOISE_BAD_PATTERN);
	c = config("KKpsk2+psk0", true); /* not in order */
	c.psks = two;
	c.psks_len = 2;
	assert_int_equal(noise_init(&n, &c), NOISE_BAD_PATTERN);
	c.pattern = "KKpsk0+psk2";
	assert_int_equal(noise_init(&n, &c), 0);
	c.pattern = "KKpsk0+psk0";
	assert_int_equal(noise_init(&n, &c), NOISE_BAD_PATTERN);
}

static void messages_have_a_longest_length(void **state)
{
	static uint8_t big[NOISE_MESSAGE_MAX], buf[NOISE_MESSAGE_MAX + 1];
	const size_t fits = NOISE_MESSAGE_MAX - 32;
	struct writer w = WRITER_ON(buf), p = WRITER_ON(big);
	struct noise n;

	(void)state;
	init(&n, "NN", true);
	assert_int_equal(noise_write(&n, &rng.base, &w, span_from(big, fits + 1)), NOISE_REFUSED);
	assert_int_equal(w.len, 0);
	init(&n, "NN", true);
	assert_int_equal(noise_write(&n, &rng.base, &w, span_from(big, fits)), 0);
	init(&n, "NN", false);
	assert_int_equal(noise_read(&n, &p, span_from(buf, sizeof(buf))), NOISE_REFUSED);
	init(&n, "NN", false);
	assert_int_equal(noise_read(&n, &p, writer_done(&w)), 0);
	noise_deinit(&n);
	/* A writer without room is the writer's own affair, and refused too. */
	w = writer_on(buf, 31);
	init(&n, "NN", true);
	assert_int_equal(noise_write(&n, &rng.base, &w, SPAN_NONE), NOISE_REFUSED);
	assert_wiped(&n);
}

static void sealing_binds_nonce_and_ad(void **state)
{
	uint8_t sealed[32], out[16];
	struct writer w = WRITER_ON(sealed), p = WRITER_ON(out);
	const struct span ad = span_str("ad");

	(void)state;
	noise_seal(&w, &psk, 3, ad, span_str("hello"));
	assert_int_equal(w.len, 5 + NOISE_TAG_LEN);
	assert_int_equal(noise_open(&p, &psk, 4, ad, writer_done(&w)), NOISE_REFUSED);
	assert_int_equal(noise_open(&p, &psk, 3, SPAN_NONE, writer_done(&w)), NOISE_REFUSED);
	assert_int_equal(noise_open(&p, &psk, 3, ad, span_from(sealed, NOISE_TAG_LEN - 1)), NOISE_REFUSED);
	assert_int_equal(p.len, 0);
	assert_int_equal(noise_open(&p, &psk, 3, ad, writer_done(&w)), 0);
	assert_memory_equal(out, "hello", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_agree),
		cmocka_unit_test(a_damaged_message_is_refused),
		cmocka_unit_test(a_cut_plain_message_is_refused),
		cmocka_unit_test(another_secret_is_refused),
		cmocka_unit_test(a_payload_without_room_is_refused),
		cmocka_unit_test(out_of_turn_is_refused),
		cmocka_unit_test(a_key_of_small_order_is_refused),
		cmocka_unit_test(only_whole_configurations_are_taken),
		cmocka_unit_test(messages_have_a_longest_length),
		cmocka_unit_test(sealing_binds_nonce_and_ad),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
