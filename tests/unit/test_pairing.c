#include "node/core/pairing.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/crypto/random.h"
#include "tests/unit/unit.h"

#define MS UINT64_C(1000)
#define S  UINT64_C(1000000)

enum { FLIGHTS = 7, PLAIN_AT = 24, PLAIN_LEN = 216 };

/* --- Two people and what lies between them --- */

struct list {
	struct pairing_known base;
	struct public_key known;
};

static bool list_has(struct pairing_known *self, const struct public_key *s)
{
	return memcmp(&CONTAINER_OF(self, struct list, base)->known, s, sizeof(*s)) == 0;
}

struct person {
	struct pairing p;
	struct random_seeded rng;
	struct list list;
	struct public_key drawn; /* S of this attempt, once there is one */
};

static const struct nonce16 n_call = { { 1 } }, n_answer = { { 2 } };

static void person_begin(struct person *x, enum pairing_side side, const struct code *code, uint64_t seed)
{
	memset(x, 0, sizeof(*x));
	x->list.base.has = list_has;
	random_seeded_init(&x->rng, seed);
	pairing_begin(&x->p, side, code, &x->list.base, 0);
}

static void person_meet(struct person *x, uint64_t now_us)
{
	pairing_path(&x->p, &x->rng.base, &n_call, &n_answer, now_us);
}

static bool person_hears(struct person *x, const uint8_t *datagram, uint64_t now_us)
{
	static const struct public_key none;
	const bool sends =
	        pairing_datagram(&x->p, &x->rng.base, span_from(datagram, PAIRING_DATAGRAM_LEN), now_us);

	if (memcmp(&x->p.s.public, &none, sizeof(none)) != 0)
		x->drawn = x->p.s.public;
	return sends;
}

static struct code new_code(uint64_t seed)
{
	struct random_seeded rng;
	struct code c = { 0 };

	random_seeded_init(&rng, seed);
	code_new(&c, &rng.base);
	c.number = 48; /* an attacker knows it */
	return c;
}

/* D and E with their path open; E enters other where it is not NULL. */
static void pair_begin(struct person *d, struct person *e, const struct code *other, uint64_t seed)
{
	const struct code code = new_code(1);

	person_begin(d, PAIRING_DISPLAYS, &code, 2 * seed);
	person_begin(e, PAIRING_ENTERS, other != NULL ? other : &code, 2 * seed + 1);
	person_meet(d, 0);
	person_meet(e, 0);
}

static void pair_end(struct person *d, struct person *e)
{
	pairing_deinit(&d->p);
	pairing_deinit(&e->p);
}

static void assert_paired(const struct person *d, const struct person *e)
{
	const struct pairing_result *a = &d->p.result, *b = &e->p.result;

	assert_int_equal(d->p.state, PAIRING_DONE);
	assert_int_equal(e->p.state, PAIRING_DONE);
	assert_memory_equal(&a->secrets, &b->secrets, sizeof(a->secrets));
	assert_memory_equal(&a->aid, &b->aid, sizeof(a->aid));
	assert_memory_equal(&a->peer_s, &b->s.public, 32);
	assert_memory_equal(&b->peer_s, &a->s.public, 32);
	assert_memory_equal(&a->peer_r, &b->r.public, 32);
	assert_memory_equal(&b->peer_r, &a->r.public, 32);
	assert_string_equal(a->safety, b->safety);
	assert_int_equal(strlen(a->safety), SAFETY_TEXT_LEN);
	assert_int_not_equal(a->role, b->role);
	assert_true(a->by_code && b->by_code);
}

/* Nobody may end up with a contact that is not the other one. */
static void assert_not_misled(const struct person *x, const struct person *other)
{
	if (x->p.state == PAIRING_DONE)
		assert_memory_equal(&x->p.result.peer_s, &other->drawn, 32);
}

/* True where these bytes stand somewhere in the machine. */
static bool holds(const struct pairing *p, const uint8_t secret[static 32])
{
	return memmem(p, sizeof(*p), secret, 32) != NULL;
}

/* --- A path that loses, delays, doubles and overtakes --- */

enum { AIR_MAX = 512 };

struct air {
	struct {
		uint64_t at_us;
		struct person *to;
		uint8_t bytes[PAIRING_DATAGRAM_LEN];
	} v[AIR_MAX];
	size_t n;
	struct random_seeded dice;
	unsigned loss, doubles; /* percent */
	uint64_t delay_us;
};

static void air_send(struct air *a, struct person *from, struct person *to, uint64_t now_us)
{
	unsigned copies = random_below(&a->dice.base, 100) < a->doubles ? 2 : 1;

	for (; copies > 0; copies--) {
		if (random_below(&a->dice.base, 100) < a->loss)
			continue;
		assert_true(a->n < AIR_MAX);
		a->v[a->n].at_us = now_us + random_between(&a->dice.base, 0, a->delay_us);
		a->v[a->n].to = to;
		memcpy(a->v[a->n++].bytes, from->p.datagram, PAIRING_DATAGRAM_LEN);
	}
}

static size_t air_first(const struct air *a)
{
	size_t first = 0;

	for (size_t i = 1; i < a->n; i++) {
		if (a->v[i].at_us < a->v[first].at_us)
			first = i;
	}
	return first;
}

/* Lets both talk until neither waits for anything or the end; returns the time. */
static uint64_t air_run(struct air *a, struct person *d, struct person *e, uint64_t until_us)
{
	struct person *const all[2] = { d, e };
	uint64_t now = 0;

	for (;;) {
		uint8_t bytes[PAIRING_DATAGRAM_LEN];
		const size_t first = air_first(a);
		struct person *to;

		for (size_t i = 0; i < 2; i++) {
			if (pairing_deadline_us(&all[i]->p) <= now &&
			    pairing_timer(&all[i]->p, &all[i]->rng.base, now))
				air_send(a, all[i], all[1 - i], now);
			assert_true(pairing_deadline_us(&all[i]->p) > now);
		}
		if (a->n > 0 && a->v[first].at_us <= now) {
			memcpy(bytes, a->v[first].bytes, sizeof(bytes));
			to = a->v[first].to;
			a->v[first] = a->v[--a->n];
			if (person_hears(to, bytes, now))
				air_send(a, to, to == d ? e : d, now);
			continue;
		}
		now = MIN(pairing_deadline_us(&d->p), pairing_deadline_us(&e->p));
		if (a->n > 0)
			now = MIN(now, a->v[air_first(a)].at_us);
		if (now >= until_us)
			return now;
	}
}

static void two_find_each_other_over_a_bad_path(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 60; seed++) {
		static struct air air;
		struct person d, e;

		air = (struct air){ .loss = 35, .doubles = 30, .delay_us = 900 * MS };
		random_seeded_init(&air.dice, seed);
		pair_begin(&d, &e, NULL, seed);
		assert_true(air_run(&air, &d, &e, 300 * S) >= 300 * S);
		assert_paired(&d, &e);
		assert_true(pairing_deadline_us(&d.p) == UINT64_MAX &&
		            pairing_deadline_us(&e.p) == UINT64_MAX);
		pair_end(&d, &e);
	}
}

static void a_wrong_code_ends_both_and_burns_it(void **state)
{
	const struct code wrong = new_code(2);
	static const struct code none;
	static struct air air;
	struct person d, e;

	(void)state;
	air = (struct air){ .loss = 10, .delay_us = 50 * MS };
	random_seeded_init(&air.dice, 1);
	pair_begin(&d, &e, &wrong, 1);
	air_run(&air, &d, &e, 300 * S);
	assert_int_equal(d.p.state, PAIRING_FAILED);
	assert_int_equal(d.p.failure, PAIRING_WRONG_CODE);
	assert_int_equal(e.p.state, PAIRING_FAILED);
	assert_int_equal(e.p.failure, PAIRING_WENT_SILENT);
	assert_memory_equal(&d.p.code, &none, sizeof(none));
	assert_memory_equal(&e.p.code, &none, sizeof(none));
	pair_end(&d, &e);
}

/* --- One flight after the other --- */

/* A flight, on its way from one side to the other, may be changed by somebody who knows K. */
typedef void (*meddle)(unsigned flight, uint8_t datagram[static PAIRING_DATAGRAM_LEN],
                       const struct person *sender, void *arg);

/* Returns how many flights were sent. */
static unsigned converse(struct person *d, struct person *e, meddle change, void *arg)
{
	struct person *from = d, *to = e;

	for (unsigned flight = 1;; flight++) {
		uint8_t datagram[PAIRING_DATAGRAM_LEN];
		struct person *const heard = to;

		memcpy(datagram, from->p.datagram, sizeof(datagram));
		if (change != NULL)
			change(flight, datagram, from, arg);
		if (!person_hears(heard, datagram, flight * MS))
			return flight;
		to = from;
		from = heard;
	}
}

static void both_silent_from_now(struct person *d, struct person *e)
{
	for (uint64_t now = 1 * S; now < 700 * S; now += 250 * MS) {
		(void)pairing_timer(&d->p, &d->rng.base, now);
		(void)pairing_timer(&e->p, &e->rng.base, now);
	}
	assert_true(d->p.state == PAIRING_DONE || d->p.state == PAIRING_FAILED);
	assert_true(e->p.state == PAIRING_DONE || e->p.state == PAIRING_FAILED);
}

struct tamper {
	unsigned flight;
	size_t at;   /* byte of number, flight and padding */
	bool sealed; /* by somebody who knows K; else a bit changes on the air */
};

static void tamper(unsigned flight, uint8_t datagram[static PAIRING_DATAGRAM_LEN],
                   const struct person *sender, void *arg)
{
	const struct tamper *t = arg;
	uint8_t plain[PLAIN_LEN];

	if (flight != t->flight)
		return;
	if (!t->sealed) {
		datagram[t->at] ^= 0x10;
		return;
	}
	assert_int_equal(crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, datagram + PLAIN_AT,
	                                                            PAIRING_DATAGRAM_LEN - PLAIN_AT, NULL, 0,
	                                                            datagram, sender->p.send_key.b),
	                 0);
	plain[t->at] ^= 0x10;
	crypto_aead_xchacha20poly1305_ietf_encrypt(datagram + PLAIN_AT, NULL, plain, sizeof(plain), NULL, 0,
	                                           NULL, datagram, sender->p.send_key.b);
}

static void what_changes_on_the_air_is_not_heard(void **state)
{
	(void)state;
	for (unsigned flight = 1; flight <= FLIGHTS; flight++) {
		for (size_t at = 0; at < PAIRING_DATAGRAM_LEN; at += 17) {
			struct tamper t = { flight, at, false };
			static struct air air;
			struct person d, e;

			pair_begin(&d, &e, NULL, 5);
			assert_int_equal(converse(&d, &e, tamper, &t), flight);
			air = (struct air){ 0 };
			random_seeded_init(&air.dice, at);
			air_run(&air, &d, &e, 300 * S); /* what was lost is sent again */
			assert_paired(&d, &e);
			pair_end(&d, &e);
		}
	}
}

/* Every byte of every flight counts. */
static void a_flight_changed_by_an_attacker_ends_it(void **state)
{
	static const size_t len[FLIGHTS + 1] = { 0, 16, 49, 32, 48, 128, 96, 16 };

	(void)state;
	for (unsigned flight = 1; flight <= FLIGHTS; flight++) {
		for (size_t at = 0; at < PLAIN_LEN; at += at <= len[flight] ? 1 : 13) {
			struct tamper t = { flight, at, true };
			struct person d, e;

			pair_begin(&d, &e, NULL, 9);
			converse(&d, &e, tamper, &t);
			both_silent_from_now(&d, &e);
			assert_int_equal(e.p.state, PAIRING_FAILED);
			assert_int_equal(d.p.state, flight == 7 ? PAIRING_DONE : PAIRING_FAILED);
			assert_not_misled(&d, &e);
			pair_end(&d, &e);
		}
	}
}

static void record(unsigned flight, uint8_t datagram[static PAIRING_DATAGRAM_LEN],
                   const struct person *sender, void *arg)
{
	uint8_t(*tape)[PAIRING_DATAGRAM_LEN] = arg;

	(void)sender;
	memcpy(tape[flight], datagram, PAIRING_DATAGRAM_LEN);
}

struct splice {
	unsigned flight;
	uint8_t (*tape)[PAIRING_DATAGRAM_LEN];
};

static void splice(unsigned flight, uint8_t datagram[static PAIRING_DATAGRAM_LEN],
                   const struct person *sender, void *arg)
{
	const struct splice *s = arg;

	(void)sender;
	if (flight == s->flight)
		memcpy(datagram, s->tape[flight], PAIRING_DATAGRAM_LEN);
}

/* Flights of another attempt, once under the same code and once under another, in the place of each. */
static void flights_of_another_attempt_end_it(void **state)
{
	const struct code wrong = new_code(2);

	(void)state;
	for (unsigned flight = 1; flight <= FLIGHTS; flight++) {
		uint8_t tape[FLIGHTS + 1][PAIRING_DATAGRAM_LEN] = { 0 };
		struct splice s = { flight, tape };
		struct person d, e, other_d, other_e;

		pair_begin(&other_d, &other_e, NULL, 20);
		if (flight <= 4) { /* an attacker without the code gets no further */
			pairing_deinit(&other_d.p);
			person_begin(&other_d, PAIRING_DISPLAYS, &wrong, 21);
			person_meet(&other_d, 0);
		}
		converse(&other_d, &other_e, record, tape);
		pair_begin(&d, &e, NULL, 22);
		converse(&d, &e, splice, &s);
		both_silent_from_now(&d, &e);
		assert_int_equal(e.p.state, PAIRING_FAILED);
		assert_int_equal(d.p.state, flight == 7 ? PAIRING_DONE : PAIRING_FAILED);
		assert_not_misled(&d, &e);
		pair_end(&d, &e);
		pair_end(&other_d, &other_e);
	}
}

/* Somebody between who answers both, with a guess of the code, learns only that it was wrong. */
static void a_guess_between_them_fails_at_both(void **state)
{
	const struct code guess = new_code(3);
	struct person d, e, as_e, as_d;

	(void)state;
	pair_begin(&d, &e, NULL, 30);
	pair_begin(&as_d, &as_e, &guess, 31);
	pairing_deinit(&as_d.p);
	person_begin(&as_d, PAIRING_DISPLAYS, &guess, 33);
	person_meet(&as_d, 0);
	converse(&d, &as_e, NULL, NULL);
	converse(&as_d, &e, NULL, NULL);
	both_silent_from_now(&d, &e);
	assert_int_equal(d.p.state, PAIRING_FAILED);
	assert_int_equal(e.p.state, PAIRING_FAILED);
	pair_end(&d, &e);
	pair_end(&as_d, &as_e);
}

/* --- Again, back, and to the wrong one --- */

struct echo {
	uint8_t tape[FLIGHTS + 1][PAIRING_DATAGRAM_LEN];
	struct person *d, *e;
};

/* Before each flight arrives, both hear everything that was sent before, their own words too. */
static void echo(unsigned flight, uint8_t datagram[static PAIRING_DATAGRAM_LEN], const struct person *sender,
                 void *arg)
{
	struct echo *x = arg;

	memcpy(x->tape[flight], datagram, PAIRING_DATAGRAM_LEN);
	for (unsigned i = 1; i <= flight; i++) {
		const bool repeats = i == 6 && x->d->p.state == PAIRING_DONE; /* D says 7 again */

		if (i < flight || sender == x->d)
			assert_int_equal(person_hears(x->d, x->tape[i], 0), repeats);
		if (i < flight || sender == x->e)
			assert_false(person_hears(x->e, x->tape[i], 0));
	}
	if (flight == 7)
		assert_memory_equal(x->d->p.datagram, datagram, PAIRING_DATAGRAM_LEN);
}

static void replays_and_reflections_are_not_heard(void **state)
{
	struct person d, e;
	struct echo x = { .d = &d, .e = &e };

	(void)state;
	pair_begin(&d, &e, NULL, 40);
	assert_int_equal(converse(&d, &e, echo, &x), FLIGHTS);
	assert_paired(&d, &e);
	for (unsigned i = 1; i <= FLIGHTS; i++) {
		assert_false(person_hears(&e, x.tape[i], 0));
		assert_int_equal(person_hears(&d, x.tape[i], 0), i == 6);
	}
	assert_false(pairing_datagram(&e.p, &e.rng.base, span_from(x.tape[7], 255), 0));
	assert_false(pairing_datagram(&e.p, &e.rng.base, SPAN_NONE, 0));
	pair_end(&d, &e);
}

static void two_who_both_show_or_both_enter_do_not_pair(void **state)
{
	static const enum pairing_side sides[] = { PAIRING_DISPLAYS, PAIRING_ENTERS };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sides); i++) {
		const struct code code = new_code(1);
		struct person a, b;
		static struct air air;

		person_begin(&a, sides[i], &code, 50);
		person_begin(&b, sides[i], &code, 51);
		person_meet(&a, 0);
		person_meet(&b, 0);
		air = (struct air){ 0 };
		random_seeded_init(&air.dice, 1);
		air_run(&air, &a, &b, 1000 * S);
		assert_int_equal(a.p.state, PAIRING_FAILED);
		assert_int_equal(b.p.state, PAIRING_FAILED);
		pair_end(&a, &b);
	}
}

/* --- Time --- */

static void silence_ends_each_side_after_its_time(void **state)
{
	(void)state;
	for (unsigned last = 0; last < FLIGHTS; last++) {
		uint64_t end = 20 * S;
		struct person d, e, *hears = &e, *says = &d;

		pair_begin(&d, &e, NULL, 60);
		for (unsigned flight = 1; flight <= last; flight++) {
			struct person *const next = hears;

			assert_true(person_hears(hears, says->p.datagram, 0));
			hears = says;
			says = next;
		}
		(void)pairing_timer(&d.p, &d.rng.base, end - 1);
		(void)pairing_timer(&e.p, &e.rng.base, end - 1);
		assert_int_equal(e.p.state, PAIRING_TALKS);
		assert_int_equal(d.p.state, last == 6 ? PAIRING_DONE : PAIRING_TALKS);
		assert_false(pairing_timer(&d.p, &d.rng.base, end));
		assert_false(pairing_timer(&e.p, &e.rng.base, end));
		assert_int_equal(e.p.state, PAIRING_FAILED);
		assert_int_equal(e.p.failure, PAIRING_WENT_SILENT);
		if (last < 2) { /* nobody entered the code yet: it stays on the screen for its ten minutes */
			assert_int_equal(d.p.state, PAIRING_WAITS);
			assert_true(pairing_deadline_us(&d.p) == 600 * S);
			(void)pairing_timer(&d.p, &d.rng.base, 600 * S);
			assert_int_equal(d.p.failure, PAIRING_EXPIRED);
		}
		assert_int_equal(d.p.state, last == 6 ? PAIRING_DONE : PAIRING_FAILED);
		pair_end(&d, &e);
	}
}

static void a_path_that_breaks_ends_only_what_has_begun(void **state)
{
	struct person d, e;

	(void)state;
	pair_begin(&d, &e, NULL, 62);
	pairing_path_lost(&d.p);
	assert_int_equal(d.p.state, PAIRING_WAITS);
	person_meet(&d, 599 * S);
	assert_int_equal(d.p.state, PAIRING_TALKS);
	pairing_path_lost(&d.p);
	assert_true(pairing_deadline_us(&d.p) == 600 * S);
	assert_false(pairing_timer(&d.p, &d.rng.base, 600 * S));
	assert_int_equal(d.p.state, PAIRING_FAILED);
	assert_int_equal(d.p.failure, PAIRING_EXPIRED);
	pair_end(&d, &e);
	pair_begin(&d, &e, NULL, 63);
	assert_true(person_hears(&e, d.p.datagram, 0));
	assert_true(person_hears(&d, e.p.datagram, 0));
	pairing_path_lost(&d.p);
	pairing_path_lost(&e.p);
	assert_int_equal(d.p.failure, PAIRING_WENT_SILENT);
	assert_int_equal(e.p.failure, PAIRING_WENT_SILENT);
	assert_true(pairing_deadline_us(&d.p) == UINT64_MAX);
	pair_end(&d, &e);
}

static void a_flight_that_comes_too_late_is_not_heard(void **state)
{
	struct person d, e;

	(void)state;
	pair_begin(&d, &e, NULL, 61);
	assert_true(person_hears(&e, d.p.datagram, 20 * S - 1));
	assert_true(person_hears(&d, e.p.datagram, 20 * S - 1));
	assert_false(person_hears(&e, d.p.datagram, 40 * S - 1));
	assert_int_equal(e.p.state, PAIRING_FAILED);
	assert_int_equal(e.p.failure, PAIRING_WENT_SILENT);
	pair_end(&d, &e);
}

/* Before each flight its receiver hears one of every other number, sealed as it should be. */
static void out_of_turn(unsigned flight, uint8_t datagram[static PAIRING_DATAGRAM_LEN],
                        const struct person *sender, void *arg)
{
	struct person *const *both = arg;
	struct person *receiver = sender == both[0] ? both[1] : both[0];

	for (unsigned number = 0; number <= UINT8_MAX; number++) {
		uint8_t forged[PAIRING_DATAGRAM_LEN] = { 0 }, plain[PLAIN_LEN] = { (uint8_t)number };

		crypto_aead_xchacha20poly1305_ietf_encrypt(forged + PLAIN_AT, NULL, plain, sizeof(plain),
		                                           NULL, 0, NULL, forged, sender->p.send_key.b);
		if (number != flight)
			assert_false(person_hears(receiver, forged, 0));
	}
	(void)datagram;
}

static void flights_out_of_turn_are_not_heard(void **state)
{
	struct person d, e, *both[2] = { &d, &e };

	(void)state;
	pair_begin(&d, &e, NULL, 41);
	assert_int_equal(converse(&d, &e, out_of_turn, both), FLIGHTS);
	assert_paired(&d, &e);
	pair_end(&d, &e);
}

static void noise_is_not_heard(void **state)
{
	uint8_t noise[PAIRING_DATAGRAM_LEN + 1];
	struct random_seeded rng;
	struct person d, e;

	(void)state;
	random_seeded_init(&rng, 64);
	pair_begin(&d, &e, NULL, 64);
	for (unsigned i = 0; i < 5000; i++) {
		const size_t len = i % 3 == 0 ? i % sizeof(noise) : PAIRING_DATAGRAM_LEN;

		random_bytes(&rng.base, noise, sizeof(noise));
		assert_false(pairing_datagram(&d.p, &d.rng.base, span_from(noise, len), 0));
		assert_false(pairing_datagram(&e.p, &e.rng.base, span_from(noise, len), 0));
	}
	assert_int_equal(converse(&d, &e, NULL, NULL), FLIGHTS);
	assert_paired(&d, &e);
	pair_end(&d, &e);
}

/* E knows the code, and says an ephemeral key with which every DH is zero. */
static void weak_e(unsigned flight, uint8_t datagram[static PAIRING_DATAGRAM_LEN],
                   const struct person *sender, void *arg)
{
	static const struct key_pair weak;
	const struct pairing *p = &sender->p;
	uint8_t prologue[105], plain[PLAIN_LEN] = { 4 };
	struct writer w = WRITER_ON(prologue), out = writer_on(plain + 1, 48);
	struct noise n;

	(void)arg;
	if (flight != 4)
		return;
	writer_str(&w, "fl1:pair");
	writer_u8(&w, 1);
	writer_span(&w, KEY_SPAN(&p->n_d));
	writer_span(&w, KEY_SPAN(&p->n_e));
	writer_bytes(&w, p->share_e, 32);
	writer_bytes(&w, p->share_d, 32);
	assert_int_equal(noise_init(&n, &(struct noise_config){ .pattern = "XXpsk0",
	                                                        .initiator = true,
	                                                        .prologue = writer_done(&w),
	                                                        .s = &p->s,
	                                                        .e = &weak,
	                                                        .psks = &p->noise.psks[0],
	                                                        .psks_len = 1 }),
	                 0);
	assert_int_equal(noise_write(&n, NULL, &out, SPAN_NONE), 0);
	crypto_aead_xchacha20poly1305_ietf_encrypt(datagram + PLAIN_AT, NULL, plain, sizeof(plain), NULL, 0,
	                                           NULL, datagram, p->send_key.b);
}

static void an_ephemeral_key_of_small_order_ends_it(void **state)
{
	struct person d, e;

	(void)state;
	pair_begin(&d, &e, NULL, 42);
	assert_int_equal(converse(&d, &e, weak_e, NULL), 4);
	assert_int_equal(d.p.state, PAIRING_FAILED);
	assert_int_equal(d.p.failure, PAIRING_WRONG_CODE);
	pair_end(&d, &e);
}

/* --- Secrets, and who may not be a contact --- */

static void the_same_bytes(struct random *self, void *out, size_t len)
{
	(void)self;
	memset(out, 0x42, len);
}

/* A device that draws what the other one draws would be its own contact. */
static void the_own_key_is_refused(void **state)
{
	struct person d, e;

	(void)state;
	pair_begin(&d, &e, NULL, 71);
	d.rng.base.fill = e.rng.base.fill = the_same_bytes;
	converse(&d, &e, NULL, NULL);
	assert_int_equal(e.p.state, PAIRING_FAILED);
	assert_int_equal(e.p.failure, PAIRING_KNOWN);
	pair_end(&d, &e);
}

static void who_is_known_is_refused(void **state)
{
	(void)state;
	for (unsigned side = 0; side < 2; side++) {
		struct person d, e;

		pair_begin(&d, &e, NULL, 70); /* once, to learn the keys */
		converse(&d, &e, NULL, NULL);
		assert_paired(&d, &e);
		{
			const struct public_key s_d = d.p.result.s.public, s_e = e.p.result.s.public;
			struct person *refuses = side == 0 ? &d : &e;

			pair_end(&d, &e);
			pair_begin(&d, &e, NULL, 70); /* the same seed: the same keys */
			refuses->list.known = side == 0 ? s_e : s_d;
			converse(&d, &e, NULL, NULL);
			assert_int_equal(refuses->p.state, PAIRING_FAILED);
			assert_int_equal(refuses->p.failure, PAIRING_KNOWN);
			both_silent_from_now(&d, &e);
			assert_int_equal(d.p.state,
			                 PAIRING_FAILED); /* and nobody is left with half a contact */
			assert_int_equal(e.p.state, PAIRING_FAILED);
		}
		pair_end(&d, &e);
	}
}

static void spoil_r(unsigned flight, uint8_t datagram[static PAIRING_DATAGRAM_LEN],
                    const struct person *sender, void *arg)
{
	struct person *e = arg;

	(void)datagram;
	(void)sender;
	if (flight == 5) /* E says R in flight 6 */
		memset(&e->p.r.public, 0, sizeof(e->p.r.public));
}

static void a_ratchet_key_of_small_order_is_refused(void **state)
{
	struct person d, e;

	(void)state;
	pair_begin(&d, &e, NULL, 75);
	assert_int_equal(converse(&d, &e, spoil_r, &e), 6);
	assert_int_equal(d.p.failure, PAIRING_BROKEN);
	both_silent_from_now(&d, &e);
	assert_int_equal(d.p.state, PAIRING_FAILED);
	assert_int_equal(e.p.state, PAIRING_FAILED);
	pair_end(&d, &e);
}

static void nothing_secret_is_left(void **state)
{
	static const struct pairing wiped;
	const struct code wrong = new_code(2);
	struct person d, e;
	uint8_t s[32], r[32], y[32];

	(void)state;
	pair_begin(&d, &e, &wrong, 80);
	assert_true(person_hears(&e, d.p.datagram, 0));
	assert_true(person_hears(&d, e.p.datagram, 0));
	assert_true(person_hears(&e, d.p.datagram, 0));
	memcpy(s, e.p.s.secret.b, 32);
	memcpy(r, e.p.r.secret.b, 32);
	memcpy(y, d.p.y_own, 32);
	assert_true(holds(&e.p, s) && holds(&e.p, r) && holds(&d.p, y));
	assert_false(person_hears(&d, e.p.datagram, 0));
	assert_int_equal(d.p.state, PAIRING_FAILED);
	both_silent_from_now(&d, &e);
	assert_false(holds(&e.p, s) || holds(&e.p, r) || holds(&d.p, y));
	pair_end(&d, &e);
	assert_memory_equal(&d.p, &wiped, sizeof(wiped));
	assert_memory_equal(&e.p, &wiped, sizeof(wiped));

	pair_begin(&d, &e, NULL, 81);
	converse(&d, &e, NULL, NULL);
	assert_paired(&d, &e);
	for (size_t i = 0; i < sizeof(d.p.noise); i++)
		assert_int_equal(((const uint8_t *)&d.p.noise)[i], 0);
	assert_int_equal(d.p.code.prs_len, 0);
	pair_end(&d, &e);
	assert_memory_equal(&d.p, &wiped, sizeof(wiped));
	assert_memory_equal(&e.p, &wiped, sizeof(wiped));
}

/* --- Both scan --- */

struct screen {
	struct qr_pair shown;
	struct key_pair s, r;
	struct list list;
	struct pairing_result result;
};

static void screen_begin(struct screen *x, uint64_t seed)
{
	struct random_seeded rng;

	memset(x, 0, sizeof(*x));
	x->list.base.has = list_has;
	random_seeded_init(&rng, seed);
	pairing_qr_new(&x->shown, &x->s, &x->r, &rng.base);
}

static int screen_scans(struct screen *x, const struct qr_pair *scanned)
{
	return pairing_qr(&x->result, &x->s, &x->r, &x->shown.q, scanned, &x->list.base);
}

static void two_screens_make_a_pair(void **state)
{
	struct screen a, b;

	(void)state;
	for (uint64_t seed = 0; seed < 8; seed++) {
		screen_begin(&a, 2 * seed);
		screen_begin(&b, 2 * seed + 1);
		assert_int_equal(screen_scans(&a, &b.shown), 0);
		assert_int_equal(screen_scans(&b, &a.shown), 0);
		assert_memory_equal(&a.result.secrets, &b.result.secrets, sizeof(a.result.secrets));
		assert_string_equal(a.result.safety, b.result.safety);
		assert_int_not_equal(a.result.role, b.result.role);
		assert_false(a.result.by_code);
	}
}

static void what_no_contact_can_be_is_not_taken(void **state)
{
	static const struct pairing_result untouched;
	struct qr_pair bad;
	struct screen a, b;

	(void)state;
	screen_begin(&a, 90);
	screen_begin(&b, 91);
	assert_int_equal(screen_scans(&a, &a.shown), PAIRING_REFUSED);
	a.list.known = b.shown.s;
	assert_int_equal(screen_scans(&a, &b.shown), PAIRING_REFUSED);
	a.list.known = a.shown.s;
	bad = b.shown;
	memset(&bad.s, 0, sizeof(bad.s));
	assert_int_equal(screen_scans(&a, &bad), PAIRING_REFUSED);
	bad = b.shown;
	memset(&bad.r, 0, sizeof(bad.r));
	assert_int_equal(screen_scans(&a, &bad), PAIRING_REFUSED);
	assert_memory_equal(&a.result, &untouched, sizeof(untouched));
	assert_int_equal(screen_scans(&a, &b.shown), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_find_each_other_over_a_bad_path),
		cmocka_unit_test(a_wrong_code_ends_both_and_burns_it),
		cmocka_unit_test(what_changes_on_the_air_is_not_heard),
		cmocka_unit_test(a_flight_changed_by_an_attacker_ends_it),
		cmocka_unit_test(flights_of_another_attempt_end_it),
		cmocka_unit_test(a_guess_between_them_fails_at_both),
		cmocka_unit_test(replays_and_reflections_are_not_heard),
		cmocka_unit_test(two_who_both_show_or_both_enter_do_not_pair),
		cmocka_unit_test(silence_ends_each_side_after_its_time),
		cmocka_unit_test(a_path_that_breaks_ends_only_what_has_begun),
		cmocka_unit_test(a_flight_that_comes_too_late_is_not_heard),
		cmocka_unit_test(flights_out_of_turn_are_not_heard),
		cmocka_unit_test(noise_is_not_heard),
		cmocka_unit_test(an_ephemeral_key_of_small_order_ends_it),
		cmocka_unit_test(the_own_key_is_refused),
		cmocka_unit_test(who_is_known_is_refused),
		cmocka_unit_test(a_ratchet_key_of_small_order_is_refused),
		cmocka_unit_test(nothing_secret_is_left),
		cmocka_unit_test(two_screens_make_a_pair),
		cmocka_unit_test(what_no_contact_can_be_is_not_taken),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
