/*
 * test_pairing.c: two people with a code, on a bad path, with a wrong word, with somebody between.
 */
#include "node/core/pairing.h"

#include <sodium.h>

#include "node/crypto/random.h"

#include "tests/unit/unit.h"

#define S(seconds) ((uint64_t)(seconds)*1000000)

struct known {
	struct pairing_known base;
	bool all;
};

static bool has(struct pairing_known *self, const struct public_key *s)
{
	(void)s;
	return CONTAINER_OF(self, struct known, base)->all;
}

struct two {
	struct pairing side[2]; /* D, E */
	struct known known[2];
	struct random_seeded rng;
	uint64_t now_us;
};

static void begin(struct two *t, uint64_t seed, bool same_code)
{
	struct code code, other;
	struct nonce16 n_call, n_answer;

	*t = (struct two){ .now_us = S(1) };
	random_seeded_init(&t->rng, seed);
	code_new(&code, &t->rng.base);
	code_new(&other, &t->rng.base);
	other.number = code.number;
	random_bytes(&t->rng.base, n_call.b, 16);
	random_bytes(&t->rng.base, n_answer.b, 16);
	for (size_t i = 0; i < 2; i++) {
		t->known[i].base.has = has;
		pairing_begin(&t->side[i], i == 0 ? PAIRING_DISPLAYS : PAIRING_ENTERS,
		              same_code || i == 0 ? &code : &other, &t->known[i].base, t->now_us);
		pairing_path(&t->side[i], &t->rng.base, &n_call, &n_answer, t->now_us);
	}
}

static bool is_over(const struct pairing *p)
{
	return p->state == PAIRING_DONE || p->state == PAIRING_FAILED;
}

/* What somebody on the path does with a datagram that from sends: may change it; false drops it. */
typedef bool (*between)(struct two *t, size_t from, uint8_t datagram[PAIRING_DATAGRAM_LEN], void *arg);

static void deliver(struct two *t, size_t from, between b, void *arg, unsigned depth)
{
	uint8_t datagram[PAIRING_DATAGRAM_LEN];
	const size_t to = 1 - from;

	memcpy(datagram, t->side[from].datagram, sizeof(datagram));
	if (b != NULL && !b(t, from, datagram, arg))
		return;
	if (pairing_datagram(&t->side[to], &t->rng.base, SPAN(datagram), t->now_us) && depth < 32)
		deliver(t, to, b, arg, depth + 1);
}

/* Runs both until they are over or a minute has passed. */
static void run(struct two *t, between b, void *arg)
{
	const uint64_t until = t->now_us + S(60);

	while (t->now_us < until && !(is_over(&t->side[0]) && is_over(&t->side[1]))) {
		for (size_t i = 0; i < 2; i++)
			if (pairing_timer(&t->side[i], &t->rng.base, t->now_us))
				deliver(t, i, b, arg, 0);
		t->now_us += 100000;
	}
}

static void check_done(const struct two *t)
{
	const struct pairing_result *d = &t->side[0].result, *e = &t->side[1].result;

	assert_int_equal(t->side[0].state, PAIRING_DONE);
	assert_int_equal(t->side[1].state, PAIRING_DONE);
	assert_string_equal(d->safety, e->safety);
	assert_int_equal(d->role, 1 - e->role);
	assert_memory_equal(&d->secrets, &e->secrets, sizeof(d->secrets));
	assert_memory_equal(&d->aid, &e->aid, sizeof(d->aid));
	assert_memory_equal(&d->s.public, &e->peer_s, 32);
	assert_memory_equal(&d->peer_r, &e->r.public, 32);
}

/* Nothing of an attempt that has ended is left but its result. */
static void check_wiped(const struct pairing *p)
{
	static const struct pairing zero;

	assert_memory_equal(&p->s, &zero.s, sizeof(p->s));
	assert_memory_equal(&p->r, &zero.r, sizeof(p->r));
	assert_memory_equal(p->y_own, zero.y_own, sizeof(p->y_own));
	assert_memory_equal(&p->code.prs, &zero.code.prs, sizeof(p->code.prs));
	assert_memory_equal(&p->noise.psks, &zero.noise.psks, sizeof(p->noise.psks));
}

static bool lossy(struct two *t, size_t from, uint8_t *datagram, void *arg)
{
	uint8_t before[PAIRING_DATAGRAM_LEN];

	(void)arg;
	if (random_below(&t->rng.base, 3) == 0) { /* doubled, or an older one of the same side once more */
		memcpy(before, t->side[from].datagram, sizeof(before));
		(void)pairing_datagram(&t->side[1 - from], &t->rng.base, SPAN(before), t->now_us);
	}
	if (random_below(&t->rng.base, 10) == 0) /* back to its sender */
		(void)pairing_datagram(&t->side[from], &t->rng.base,
		                       span_from(datagram, PAIRING_DATAGRAM_LEN), t->now_us);
	return random_below(&t->rng.base, 100) < 60;
}

static void both_become_contacts(void **state)
{
	struct two t;

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		begin(&t, seed, true);
		run(&t, seed % 2 == 0 ? lossy : NULL, NULL);
		check_done(&t);
		check_wiped(&t.side[0]);
		check_wiped(&t.side[1]);
	}
}

static void a_wrong_code_is_burnt_on_both_sides(void **state)
{
	struct two t;

	(void)state;
	begin(&t, 1, false);
	run(&t, NULL, NULL);
	assert_int_equal(t.side[0].state, PAIRING_FAILED);
	assert_int_equal(t.side[0].failure, PAIRING_WRONG_CODE);
	assert_int_equal(t.side[1].state, PAIRING_FAILED);
	assert_int_equal(t.side[1].failure, PAIRING_WENT_SILENT);
	check_wiped(&t.side[0]);
	check_wiped(&t.side[1]);
}

static void silence_ends_it(void **state)
{
	struct two t;

	(void)state;
	begin(&t, 2, true);
	for (uint64_t us = 0; us <= S(20); us += 100000, t.now_us += 100000)
		for (size_t i = 0; i < 2; i++)
			(void)pairing_timer(&t.side[i], &t.rng.base, t.now_us);
	assert_int_equal(t.side[1].state, PAIRING_FAILED); /* E has taken up its one answer */
	assert_int_equal(t.side[1].failure, PAIRING_WENT_SILENT);
	assert_int_equal(t.side[0].state, PAIRING_WAITS); /* D heard nobody yet: the code is still good */
	t.now_us += S(600);
	(void)pairing_timer(&t.side[0], &t.rng.base, t.now_us);
	assert_int_equal(t.side[0].state, PAIRING_FAILED);
	assert_int_equal(t.side[0].failure, PAIRING_EXPIRED);
}

static void known_keys_are_refused(void **state)
{
	struct two t;

	(void)state;
	for (size_t who = 0; who < 2; who++) {
		begin(&t, 3, true);
		t.known[who].all = true;
		run(&t, NULL, NULL);
		assert_int_equal(t.side[who].state, PAIRING_FAILED);
		assert_int_equal(t.side[who].failure, PAIRING_KNOWN);
		if (who == 0)
			assert_int_equal(t.side[1].state, PAIRING_FAILED); /* the last flight never comes */
	}
}

/* Somebody between, who knows the masks (they are public), and does this to flight number `flight`. */
struct attack {
	unsigned flight, how; /* 0 drop always, 1 change a byte of it, 2 put the one before in its place */
	struct pairing eyes[2];
	uint8_t last[PAIRING_DATAGRAM_LEN];
};

static void reseal(uint8_t *datagram, const struct sym_key *key, unsigned flight, unsigned at);

static bool attack(struct two *t, size_t from, uint8_t *datagram, void *arg)
{
	struct attack *a = arg;
	const unsigned flight = t->side[from].awaits == 1 ? 0 : t->side[from].awaits - 1;
	uint8_t this[PAIRING_DATAGRAM_LEN];

	memcpy(this, datagram, sizeof(this));
	if (flight == a->flight) {
		if (a->how == 0)
			return false;
		if (a->how == 1)
			reseal(datagram, &t->side[from].send_key, flight, random_below(&t->rng.base, 16));
		else
			memcpy(datagram, a->last, PAIRING_DATAGRAM_LEN);
	}
	if (flight != a->flight)
		memcpy(a->last, this, sizeof(this));
	return true;
}

static void reseal(uint8_t *datagram, const struct sym_key *key, unsigned flight, unsigned at)
{
	uint8_t plain[216];
	int r = crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, datagram + 24, 232, NULL, 0,
	                                                   datagram, key->b);

	assert_int_equal(r, 0);
	assert_int_equal(plain[0], flight);
	plain[1 + at] ^= 1;
	r = crypto_aead_xchacha20poly1305_ietf_encrypt(datagram + 24, NULL, plain, sizeof(plain), NULL, 0,
	                                               NULL, datagram, key->b);
	assert_int_equal(r, 0);
}

static void who_stands_between_gains_nothing(void **state)
{
	struct two t;

	(void)state;
	for (unsigned flight = 1; flight <= 7; flight++) {
		for (unsigned how = 0; how < 3; how++) {
			struct attack a = { .flight = flight, .how = how };

			begin(&t, 10 + flight, true);
			run(&t, attack, &a);
			/* D may be done when its last flight does not get through; E is not, and the safety
			 * number cannot be compared. */
			assert_int_not_equal(t.side[1].state, PAIRING_DONE);
			if (flight < 7)
				assert_int_not_equal(t.side[0].state, PAIRING_DONE);
			pairing_deinit(&t.side[0]);
			pairing_deinit(&t.side[1]);
		}
	}
}

static void garbage_is_dropped(void **state)
{
	struct two t;
	uint8_t noise[PAIRING_DATAGRAM_LEN + 1];

	(void)state;
	begin(&t, 50, true);
	for (unsigned i = 0; i < 20000; i++) {
		random_bytes(&t.rng.base, noise, sizeof(noise));
		assert_false(pairing_datagram(&t.side[i % 2], &t.rng.base,
		                              span_from(noise, i % 3 == 0 ? i % sizeof(noise)
		                                                          : PAIRING_DATAGRAM_LEN),
		                              t.now_us));
	}
	run(&t, NULL, NULL);
	check_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_become_contacts),
		cmocka_unit_test(a_wrong_code_is_burnt_on_both_sides),
		cmocka_unit_test(silence_ends_it),
		cmocka_unit_test(known_keys_are_refused),
		cmocka_unit_test(who_stands_between_gains_nothing),
		cmocka_unit_test(garbage_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
