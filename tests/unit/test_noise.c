#include "node/crypto/noise.h"

#include <sodium.h>
#include <stdio.h>

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

/* A whole handshake of a pattern with n psks; keys are known beforehand only where the pattern says so. */
static void shake(const char *pattern, size_t psks_len)
{
	const struct sym_key many[NOISE_PSKS_MAX] = { { { 1 } }, { { 2 } }, { { 3 } }, { { 4 } }, { { 5 } } };
	struct noise_config c_i = config(pattern, true), c_r = config(pattern, false);
	struct noise i, r, *from = &i, *to = &r, *swap;
	struct noise_keys of_i, of_r;
	uint8_t buf[512], got[64];

	c_i.psks = c_r.psks = many;
	c_i.psks_len = c_r.psks_len = psks_len;
	assert_int_equal(noise_init(&i, &c_i), 0);
	assert_int_equal(noise_init(&r, &c_r), 0);
	for (; !noise_is_done(&i); swap = from, from = to, to = swap) {
		struct writer w = WRITER_ON(buf), p = WRITER_ON(got);

		assert_int_equal(noise_write(from, &rng.base, &w, span_str("payload")), 0);
		assert_int_equal(noise_read(to, &p, writer_done(&w)), 0);
		assert_true(span_equal(writer_done(&p), span_str("payload")));
	}
	assert_true(noise_is_done(&r));
	noise_split(&i, &of_i);
	noise_split(&r, &of_r);
	assert_memory_equal(&of_i, &of_r, sizeof(of_i));
}

static void every_pattern_comes_to_one_end(void **state)
{
	static const char *const names[] = {
		"N",    "K",   "X",   "NN",   "NK",   "NX",  "KN",  "KK",   "KX",  "XN",
		"XK",   "XX",  "IN",  "IK",   "IX",   "NK1", "NX1", "X1N",  "X1K", "XK1",
		"X1K1", "X1X", "XX1", "X1X1", "K1N",  "K1K", "KK1", "K1K1", "K1X", "KX1",
		"K1X1", "I1N", "I1K", "IK1",  "I1K1", "I1X", "IX1", "I1X1",
	};
	char name[32];

	(void)state;
	for (size_t k = 0; k < COUNT_OF(names); k++) {
		shake(names[k], 0);
		snprintf(name, sizeof(name), "%spsk0", names[k]);
		shake(name, 1);
		snprintf(name, sizeof(name), "%spsk0+psk1", names[k]);
		shake(name, 2);
	}
	shake("XXpsk0+psk1+psk2+psk3", 4);
	shake("XXpsk3", 1);
}

/* One that was given is used, and no other is drawn. */
static void an_ephemeral_key_may_be_given(void **state)
{
	struct noise_config c = config("NN", true);
	struct key_pair e;
	uint8_t buf[64];
	struct writer w = WRITER_ON(buf);
	struct noise n;

	(void)state;
	key_pair_new(&e, &rng.base);
	c.e = &e;
	assert_int_equal(noise_init(&n, &c), 0);
	assert_int_equal(noise_write(&n, NULL, &w, SPAN_NONE), 0);
	assert_true(span_equal(writer_done(&w), KEY_SPAN(&e.public)));
	noise_deinit(&n);
}

static void a_writer_that_failed_gets_nothing(void **state)
{
	uint8_t sealed[NOISE_TAG_LEN], out[64];
	struct writer w = WRITER_ON(sealed), p = WRITER_ON(out);

	(void)state;
	noise_seal(&w, &psk, 0, SPAN_NONE, span_str("x"));
	assert_true(w.failed && w.len == 0);
	w = WRITER_ON(sealed);
	noise_seal(&w, &psk, 0, SPAN_NONE, SPAN_NONE);
	writer_fail(&p);
	assert_int_equal(noise_open(&p, &psk, 0, SPAN_NONE, writer_done(&w)), NOISE_REFUSED);
	assert_int_equal(p.len, 0);
}

/* Where there is no key yet a payload is plain, and has to find room as well. */
static void a_plain_payload_without_room_is_refused(void **state)
{
	struct noise i, r;
	uint8_t buf[64], small[4];
	struct writer w = WRITER_ON(buf), p = WRITER_ON(small);

	(void)state;
	init(&i, "XX", true);
	init(&r, "XX", false);
	assert_int_equal(noise_write(&i, &rng.base, &w, span_str("hello")), 0);
	assert_int_equal(noise_read(&r, &p, writer_done(&w)), NOISE_REFUSED);
	assert_int_equal(p.len, 0);
	assert_wiped(&r);
	noise_deinit(&i);
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
		cmocka_unit_test(every_pattern_comes_to_one_end),
		cmocka_unit_test(an_ephemeral_key_may_be_given),
		cmocka_unit_test(a_writer_that_failed_gets_nothing),
		cmocka_unit_test(a_plain_payload_without_room_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
