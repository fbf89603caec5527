#include "transport/link.h"

#include <sodium.h>

#include "node/crypto/kdf.h"
#include "node/crypto/random.h"

#include "tests/unit/unit.h"

struct pair {
	struct random_seeded rng;
	struct key_pair s_i, s_r;
	struct link i, r;
};

static int setup(void **state)
{
	static struct pair p;
	const struct link_secret secret = { { 5 } };
	struct nonce16 n_i, n_r;

	random_seeded_init(&p.rng, 11);
	key_pair_new(&p.s_i, &p.rng.base);
	key_pair_new(&p.s_r, &p.rng.base);
	random_bytes(&p.rng.base, n_i.b, sizeof(n_i.b));
	random_bytes(&p.rng.base, n_r.b, sizeof(n_r.b));
	link_init(&p.i, &(struct link_config){ LINK_INITIATOR, &secret, &p.s_i, &p.s_r.public, &n_i, &n_r });
	link_init(&p.r, &(struct link_config){ LINK_ANSWERER, &secret, &p.s_r, &p.s_i.public, &n_i, &n_r });
	*state = &p;
	return 0;
}

static int teardown(void **state)
{
	static const struct link zeros;
	struct pair *p = *state;

	link_deinit(&p->i);
	link_deinit(&p->r);
	assert_memory_equal(&p->i, &zeros, sizeof(zeros));
	return 0;
}

static void handshake(struct pair *p)
{
	struct span wire;

	assert_int_equal(link_wire(&wire, &p->i, &p->rng.base), 0);
	assert_int_equal(link_read_wire(&p->r, wire), 0);
	assert_int_equal(link_wire(&wire, &p->r, &p->rng.base), 0);
	assert_int_equal(link_read_wire(&p->i, wire), 0);
}

static void a_bad_flight_leaves_no_trace(void **state)
{
	struct pair *p = *state;
	const struct link before = p->r;
	uint8_t opener[LINK_WIRE_LEN], bad[LINK_WIRE_LEN];
	struct span wire, again;

	link_opener(opener, &p->rng.base);
	assert_int_equal(link_read_wire(&p->i, SPAN(opener)), LINK_REFUSED);
	assert_int_equal(link_wire(&wire, &p->i, &p->rng.base), 0);
	assert_int_equal(link_read_wire(&p->r, SPAN(opener)), LINK_REFUSED);
	for (size_t byte = 0; byte < 64; byte++) {
		memcpy(bad, wire.p, sizeof(bad));
		bad[byte] ^= 1;
		assert_int_equal(link_read_wire(&p->r, SPAN(bad)), LINK_REFUSED);
	}
	assert_int_equal(link_read_wire(&p->i, wire), LINK_REFUSED); /* one's own */
	assert_memory_equal(&p->r, &before, sizeof(before));
	assert_int_equal(link_read_wire(&p->r, wire), 0);
	assert_int_equal(link_wire(&again, &p->i, NULL), 0); /* resent as it was */
	assert_memory_equal(again.p, wire.p, wire.len);
	assert_int_equal(link_read_wire(&p->r, again), LINK_REFUSED);
	assert_int_equal(p->r.state, LINK_ANSWERED);
}

static void the_answerer_waits_for_the_first_datagram(void **state)
{
	struct pair *p = *state;
	uint8_t wire[CARRIER_LARGE], plain[LINK_PLAIN_MAX];
	struct span frames;
	uint64_t pn;
	size_t len;

	handshake(p);
	assert_int_equal(p->i.state, LINK_OPEN);
	assert_int_equal(p->r.state, LINK_ANSWERED);
	len = link_seal(&pn, &p->i, &p->rng.base, wire, span_str("hello"));
	wire[100] ^= 1;
	assert_int_equal(link_open(&frames, &pn, &p->r, plain, span_from(wire, len)), LINK_REFUSED);
	assert_int_equal(p->r.state, LINK_ANSWERED);
	wire[100] ^= 1;
	assert_int_equal(link_open(&frames, &pn, &p->r, plain, span_from(wire, len)), 0);
	assert_int_equal(p->r.state, LINK_OPEN);
	assert_memory_equal(link_x(&p->i), link_x(&p->r), sizeof(struct sym_key));
	assert_int_equal(link_open(&frames, &pn, &p->i, plain, span_from(wire, len)),
	                 LINK_REFUSED); /* sent back */
	assert_int_equal(link_open(&frames, &pn, &p->r, plain, span_from(wire, len)),
	                 LINK_REFUSED); /* sent again */
}

static void sizes_and_numbers(void **state)
{
	static const struct {
		size_t frames, wire;
	} rows[] = { { 0, 256 }, { 208, 256 }, { 209, 1232 }, { 1184, 1232 } };
	struct pair *p = *state;
	uint8_t wire[CARRIER_LARGE], plain[LINK_PLAIN_MAX], frames[CARRIER_LARGE_FRAMES];
	struct span opened;
	uint64_t pn;

	handshake(p);
	random_bytes(&p->rng.base, frames, sizeof(frames));
	for (size_t i = 0; i < 2 * COUNT_OF(rows); i++) {
		const size_t len = rows[i / 2].frames;
		struct span s = span_from(frames, len);

		if (i % 2 == 1) { /* already in its place */
			memcpy(wire + LINK_FRAMES_AT, frames, len);
			s.p = wire + LINK_FRAMES_AT;
		}
		assert_int_equal(link_seal(&pn, &p->i, &p->rng.base, wire, s), rows[i / 2].wire);
		assert_int_equal(pn, i);
		assert_int_equal(link_open(&opened, &pn, &p->r, plain, span_from(wire, rows[i / 2].wire)), 0);
		assert_int_equal(pn, i);
		assert_int_equal(opened.len, rows[i / 2].wire == 256 ? 208 : 1184);
		assert_memory_equal(opened.p, frames, len);
		for (size_t k = len; k < opened.len; k++)
			assert_int_equal(opened.p[k], 0);
	}
}

/* Numbers beyond all counting would stand in the way of the window's arithmetic. */
static void an_absurd_number_is_refused(void **state)
{
	static const uint8_t nonce[24];
	static const uint64_t numbers[] = { UINT64_MAX, (uint64_t)INT64_MAX + 1, INT64_MAX };
	struct pair *p = *state;
	uint8_t wire[CARRIER_SMALL] = { 0 }, plain[LINK_PLAIN_MAX];
	struct span frames;
	uint64_t pn;

	assert_int_equal(link_open(&frames, &pn, &p->r, plain, SPAN(wire)), LINK_REFUSED); /* no keys yet */
	handshake(p);
	assert_int_equal(link_read_wire(&p->i, SPAN(p->r.wire)), LINK_REFUSED); /* again */
	assert_int_equal(link_read_wire(&p->r, SPAN(p->i.wire)), LINK_REFUSED);
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		uint8_t body[8 + CARRIER_SMALL_FRAMES] = { 0 };

		store_u64(body, numbers[i]);
		crypto_aead_xchacha20poly1305_ietf_encrypt(wire + 24, NULL, body, sizeof(body), NULL, 0, NULL,
		                                           nonce, p->i.send.b);
		assert_int_equal(link_open(&frames, &pn, &p->r, plain, SPAN(wire)),
		                 numbers[i] == INT64_MAX ? 0 : LINK_REFUSED);
	}
}

/* Between the flights: wire1 came, wire2 was not made yet. */
static void a_datagram_before_the_own_flight_is_refused(void **state)
{
	struct pair *p = *state;
	uint8_t datagram[CARRIER_SMALL] = { 0 }, plain[LINK_PLAIN_MAX];
	struct span wire, frames;
	uint64_t pn;

	assert_int_equal(link_wire(&wire, &p->i, &p->rng.base), 0);
	assert_int_equal(link_read_wire(&p->r, wire), 0);
	assert_int_equal(link_open(&frames, &pn, &p->r, plain, SPAN(datagram)), LINK_REFUSED);
}

static void a_key_of_small_order_is_refused(void **state)
{
	struct pair *p = *state;
	const struct link_secret secret = { { 5 } };
	const struct public_key small = { { 1 } };
	const struct nonce16 n = { { 1 } };
	struct span wire;

	link_deinit(&p->i);
	link_init(&p->i, &(struct link_config){ LINK_INITIATOR, &secret, &p->s_i, &small, &n, &n });
	assert_int_equal(link_wire(&wire, &p->i, &p->rng.base), LINK_REFUSED);
	assert_int_equal(link_wire(&wire, &p->i, &p->rng.base), LINK_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_bad_flight_leaves_no_trace, setup, teardown),
		cmocka_unit_test_setup_teardown(the_answerer_waits_for_the_first_datagram, setup, teardown),
		cmocka_unit_test_setup_teardown(sizes_and_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(an_absurd_number_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_datagram_before_the_own_flight_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_key_of_small_order_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
