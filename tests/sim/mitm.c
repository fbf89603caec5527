/*
 * mitm.c: a pairing with somebody in the middle (PROTOCOL section 2).
 *
 * The mask of a flight is no secret, so that whoever is in the middle opens, changes and seals flights as he
 * likes, at each of the seven, once or whenever it is sent; says others' flights; runs machines of his own.
 * What he may never have: a person who is paired with a key that is not the other person's, unless he knew
 * the code, and then the two safety numbers differ. He has one guess a code, and it shows.
 *
 * Everything follows from a seed: MITM_SEED=N repeats what a failure names. FLYLEAF_FULL=1: fifty times the
 * guesses.
 *
 *     mitm [TEST]     without a name: all of them
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/core/pairing.h"
#include "node/crypto/cpace.h"
#include "node/crypto/random.h"

#include "tests/unit/unit.h"
#include "tests/unit/world.h"

#define MS       UINT64_C(1000)
#define SECOND   (1000 * MS)
#define LIFE_US  ((PAIRING_LIFE_S + 60) * SECOND)
#define TRAVEL   (2 * MS)
#define REPEAT_D "repeat: MITM_SEED=%llu tests/sim/mitm"

enum { FLIGHTS = 7, PLAIN_AT = 24, PLAIN_LEN = 216, AIR_MAX = 4096, GUESSES = 12000, GUESS_AMONG = 8 };
static const size_t flight_len[FLIGHTS + 1] = { 0, 16, 49, 32, 48, 128, 96, 16 };

static uint64_t seed_of_all;
static unsigned runs; /* of all kinds, to be printed */

static uint64_t base_seed(void)
{
	const char *text = getenv("MITM_SEED");

	return text != NULL ? strtoull(text, NULL, 10) : 1;
}

/* ---- Two people ------------------------------------------------------------- */

struct known {
	struct pairing_known base;
};

static bool knows_nobody(struct pairing_known *self, const struct public_key *s)
{
	(void)self;
	(void)s;
	return false;
}

struct side {
	struct pairing p;
	struct random_seeded rng;
	struct known known;
	struct public_key s, r; /* what was drawn for this attempt */
};

enum { D, E, EVIL_D, EVIL_E, SIDES }; /* EVIL_D displays to E, EVIL_E enters at D */

struct message {
	uint64_t at_us;
	unsigned to;
	uint8_t bytes[PAIRING_DATAGRAM_LEN];
};

enum act {
	NOTHING,
	DROP,
	DELAY,       /* by param seconds */
	TWICE,       /* again after param milliseconds */
	NOISE,       /* a datagram of random bytes */
	RANDOM,      /* a flight of random bytes */
	ZEROS,       /* a flight of zeros */
	OTHER_CODE,  /* the same flight of a run with another code */
	OTHER_RUN,   /* of a run before, with the same code */
	EARLIER,     /* flight number param of this run under this number */
	RENUMBERED,  /* as flight number param */
	BACK,        /* to who said it, as the flight that is awaited there */
	FLIPPED,     /* bit param of what is masked */
	FLIPPED_OUT, /* bit param of the datagram */
	ACTS
};

struct evil {
	unsigned number; /* of the flight; 0: none */
	enum act act;
	unsigned param;
	bool always; /* each time that it is sent, and not the first only */
};

struct run {
	struct side side[SIDES];
	unsigned sides; /* 2, or 4 with the evil ones */
	unsigned split; /* from this flight on the evil ones speak in place of the others */
	struct evil evil[2];
	unsigned said[FLIGHTS + 1];             /* how often */
	uint8_t flight[FLIGHTS + 1][PLAIN_LEN]; /* what was said last, unmasked */
	const struct run *same, *other;         /* runs that were recorded */
	struct sym_key mask[2];                 /* of D's and of E's datagrams */
	struct message air[AIR_MAX];
	size_t air_len;
	uint64_t now_us;
	struct random_seeded dice;
};

static const struct nonce16 n_call = { { 1 } }, n_answer = { { 2 } };

static struct code code_from(uint64_t seed, bool spoken)
{
	struct random_seeded rng;
	struct code c = { 0 };

	random_seeded_init(&rng, seed);
	if (spoken)
		code_new(&c, &rng.base);
	else
		code_new_secret(&c, &rng.base);
	c.number = 48; /* it is no secret */
	return c;
}

static bool displays(unsigned who)
{
	return who == D || who == EVIL_D;
}

static void side_begin(struct side *x, unsigned who, const struct code *code, uint64_t seed)
{
	memset(x, 0, sizeof(*x));
	x->known.base.has = knows_nobody;
	random_seeded_init(&x->rng, seed * SIDES + who);
	pairing_begin(&x->p, displays(who) ? PAIRING_DISPLAYS : PAIRING_ENTERS, code, &x->known.base, 0);
	pairing_path(&x->p, &x->rng.base, &n_call, &n_answer, 0);
}

static void run_begin(struct run *r, const struct code *code, const struct code *guess, uint64_t seed)
{
	memset(r, 0, offsetof(struct run, air));
	r->air_len = 0;
	r->now_us = 0;
	r->sides = guess != NULL ? SIDES : 2;
	for (unsigned i = 0; i < r->sides; i++)
		side_begin(&r->side[i], i, i < 2 ? code : guess, seed);
	r->mask[D] = r->side[D].p.send_key;
	r->mask[E] = r->side[E].p.send_key;
	random_seeded_init(&r->dice, seed + 77);
	runs++;
}

static void run_end(struct run *r)
{
	for (unsigned i = 0; i < r->sides; i++)
		pairing_deinit(&r->side[i].p);
}

/* ---- The middle ------------------------------------------------------------- */

static void seal(const struct run *r, unsigned from, uint8_t out[static PAIRING_DATAGRAM_LEN],
                 const uint8_t plain[static PLAIN_LEN])
{
	random_bytes((struct random *)&r->dice.base, out, PLAIN_AT);
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + PLAIN_AT, NULL, plain, PLAIN_LEN, NULL, 0, NULL, out,
	                                           r->mask[from].b);
}

/* The number of the flight, 0 for what is none. */
static unsigned unseal(const struct run *r, unsigned from, uint8_t plain[static PLAIN_LEN],
                       const uint8_t in[static PAIRING_DATAGRAM_LEN])
{
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, in + PLAIN_AT,
	                                               PAIRING_DATAGRAM_LEN - PLAIN_AT, NULL, 0, in,
	                                               r->mask[from].b) != 0)
		return 0;
	return plain[0];
}

static void put(struct run *r, unsigned to, const uint8_t *bytes, uint64_t after_us)
{
	if (r->air_len == AIR_MAX)
		fail_msg("too much is said, " REPEAT_D, (unsigned long long)seed_of_all);
	r->air[r->air_len] = (struct message){ .at_us = r->now_us + after_us, .to = to };
	memcpy(r->air[r->air_len++].bytes, bytes, PAIRING_DATAGRAM_LEN);
}

static void put_plain(struct run *r, unsigned as, unsigned to, const uint8_t plain[static PLAIN_LEN])
{
	uint8_t bytes[PAIRING_DATAGRAM_LEN];

	seal(r, as, bytes, plain);
	put(r, to, bytes, TRAVEL);
}

/* Changes what goes over, in place. False: it does not go as it was. */
static bool change(struct run *r, const struct evil *v, unsigned from, uint8_t *bytes,
                   uint8_t plain[static PLAIN_LEN])
{
	const unsigned to = from == D ? E : D, number = plain[0];
	uint8_t other[PLAIN_LEN] = { (uint8_t)number };

	switch (v->act) {
	case DROP:
		return false;
	case DELAY:
		put(r, to, bytes, v->param * SECOND);
		return false;
	case TWICE:
		put(r, to, bytes, TRAVEL + v->param * MS);
		return true;
	case NOISE:
		random_bytes(&r->dice.base, bytes, PAIRING_DATAGRAM_LEN);
		return true;
	case RANDOM:
		random_bytes(&r->dice.base, other + 1, flight_len[number]);
		break;
	case ZEROS:
		break;
	case OTHER_CODE:
	case OTHER_RUN:
		memcpy(other, (v->act == OTHER_RUN ? r->same : r->other)->flight[number], PLAIN_LEN);
		break;
	case EARLIER:
		memcpy(other + 1, r->flight[v->param] + 1, flight_len[number]);
		break;
	case RENUMBERED:
		memcpy(other, plain, PLAIN_LEN);
		other[0] = (uint8_t)v->param;
		break;
	case BACK:
		put(r, from, bytes, TRAVEL);
		memcpy(other + 1, plain + 1, PLAIN_LEN - 1);
		other[0] = (uint8_t)r->side[from].p.awaits;
		put_plain(r, to, from, other);
		if (other[0] <= FLIGHTS) {
			memset(other + 1 + flight_len[other[0]], 0, PLAIN_LEN - 1 - flight_len[other[0]]);
			put_plain(r, to, from, other);
		}
		return true;
	case FLIPPED:
		memcpy(other, plain, PLAIN_LEN);
		other[v->param / 8] ^= (uint8_t)(1 << v->param % 8);
		break;
	case FLIPPED_OUT:
		bytes[v->param / 8] ^= (uint8_t)(1 << v->param % 8);
		return true;
	default:
		return true;
	}
	seal(r, from, bytes, other);
	return true;
}

/* Somebody says what is in the machine. */
static void says(struct run *r, unsigned who)
{
	const unsigned as = displays(who) ? D : E, to = as == D ? E : D;
	uint8_t bytes[PAIRING_DATAGRAM_LEN], plain[PLAIN_LEN];
	unsigned number;

	memcpy(bytes, r->side[who].p.datagram, sizeof(bytes));
	number = unseal(r, as, plain, bytes);
	if (who >= 2) {
		if (number >= r->split)
			put(r, to, bytes, TRAVEL);
		return;
	}
	if (r->sides == SIDES) /* the evil ones hear everything */
		put(r, who == D ? EVIL_E : EVIL_D, bytes, TRAVEL);
	if (number == 0 || number > FLIGHTS) { /* an opener */
		put(r, to, bytes, TRAVEL);
		return;
	}
	memcpy(r->flight[number], plain, PLAIN_LEN);
	r->said[number]++;
	if (r->sides == SIDES && number >= r->split)
		return;
	for (size_t i = 0; i < COUNT_OF(r->evil); i++)
		if (r->evil[i].number == number && (r->evil[i].always || r->said[number] == 1) &&
		    !change(r, &r->evil[i], who, bytes, plain))
			return;
	put(r, to, bytes, TRAVEL);
}

/* ---- Time ------------------------------------------------------------------- */

static void note_keys(struct side *x)
{
	static const struct public_key none;

	if (memcmp(&x->p.s.public, &none, sizeof(none)) != 0) {
		x->s = x->p.s.public;
		x->r = x->p.r.public;
	}
}

static bool is_over(const struct side *x)
{
	return x->p.state == PAIRING_DONE || x->p.state == PAIRING_FAILED;
}

static void hears(struct run *r, const struct message *m)
{
	struct side *x = &r->side[m->to];

	if (pairing_datagram(&x->p, &x->rng.base, SPAN(m->bytes), r->now_us))
		says(r, m->to);
	note_keys(x);
}

static size_t first_in_air(const struct run *r)
{
	size_t first = 0;

	for (size_t i = 1; i < r->air_len; i++)
		if (r->air[i].at_us < r->air[first].at_us)
			first = i;
	return first;
}

static uint64_t next_due(const struct run *r)
{
	uint64_t due = r->air_len != 0 ? r->air[first_in_air(r)].at_us : UINT64_MAX;

	for (unsigned i = 0; i < r->sides; i++)
		due = MIN(due, pairing_deadline_us(&r->side[i].p));
	return due;
}

/* Until both are at an end, whatever it is. */
static void run_on(struct run *r)
{
	while (!is_over(&r->side[D]) || !is_over(&r->side[E]) || r->air_len != 0) {
		const uint64_t due = next_due(r);
		bool heard = false;

		if (due > LIFE_US)
			return;
		r->now_us = MAX(r->now_us, due);
		if (r->air_len != 0) {
			const size_t at = first_in_air(r);
			const struct message m = r->air[at];

			if (m.at_us <= r->now_us) {
				heard = true;
				r->air[at] = r->air[--r->air_len];
				hears(r, &m);
			}
		}
		for (unsigned i = 0; i < r->sides && !heard; i++)
			if (pairing_timer(&r->side[i].p, &r->side[i].rng.base, r->now_us))
				says(r, i);
	}
}

/* ---- What may not be -------------------------------------------------------- */

static bool are_paired(const struct run *r)
{
	const struct pairing_result *a = &r->side[D].p.result, *b = &r->side[E].p.result;

	return r->side[D].p.state == PAIRING_DONE && r->side[E].p.state == PAIRING_DONE &&
	       memcmp(&a->secrets, &b->secrets, sizeof(a->secrets)) == 0 &&
	       memcmp(&a->aid, &b->aid, sizeof(a->aid)) == 0 && strcmp(a->safety, b->safety) == 0 &&
	       a->role != b->role;
}

static bool is_misled(const struct run *r, unsigned who)
{
	const struct side *x = &r->side[who], *other = &r->side[who == D ? E : D];

	return x->p.state == PAIRING_DONE && (memcmp(&x->p.result.peer_s, &other->s, sizeof(other->s)) != 0 ||
	                                      memcmp(&x->p.result.peer_r, &other->r, sizeof(other->r)) != 0);
}

/* True when the two are paired with each other. */
static bool judge(struct run *r, const char *what, unsigned a, unsigned b, unsigned c)
{
	const bool paired = are_paired(r);

	if (is_misled(r, D) || is_misled(r, E))
		fail_msg("%s (%u, %u, %u): somebody is paired with a wrong key; " REPEAT_D, what, a, b, c,
		         (unsigned long long)seed_of_all);
	if (!is_over(&r->side[D]) || !is_over(&r->side[E]))
		fail_msg("%s (%u, %u, %u): somebody waits for ever; " REPEAT_D, what, a, b, c,
		         (unsigned long long)seed_of_all);
	if (!paired && r->side[D].p.state != PAIRING_FAILED && r->side[E].p.state != PAIRING_FAILED)
		fail_msg("%s (%u, %u, %u): nobody notices; " REPEAT_D, what, a, b, c,
		         (unsigned long long)seed_of_all);
	return paired;
}

/* A code that has failed is burnt: not even who knows it gets an answer. */
static void is_burnt(struct run *r, const struct code *code)
{
	static struct run again;
	struct side *d = &r->side[D];

	if (d->p.state != PAIRING_FAILED)
		return;
	side_begin(&again.side[E], E, code, seed_of_all + 5);
	again.mask[E] = again.side[E].p.send_key;
	for (unsigned number = 0; number <= FLIGHTS + 1; number++) {
		uint8_t bytes[PAIRING_DATAGRAM_LEN], plain[PLAIN_LEN] = { (uint8_t)number, 1 };

		random_seeded_init(&again.dice, number);
		seal(&again, E, bytes, plain);
		assert_false(pairing_datagram(&d->p, &d->rng.base, SPAN(bytes), r->now_us));
	}
	assert_false(pairing_timer(&d->p, &d->rng.base, r->now_us + SECOND));
	assert_int_equal(d->p.state, PAIRING_FAILED);
	pairing_deinit(&again.side[E].p);
}

/* ---- Every flight, every way ------------------------------------------------- */

static struct run now, same, other;
static struct code code;

static void record(bool spoken)
{
	const struct code another = code_from(seed_of_all + 1000, spoken);

	code = code_from(seed_of_all, spoken);
	run_begin(&same, &code, NULL, seed_of_all + 1);
	run_on(&same);
	assert_true(judge(&same, "nobody in the middle", 0, 0, 0));
	run_begin(&other, &another, NULL, seed_of_all + 2);
	run_on(&other);
	assert_true(judge(&other, "nobody in the middle", 0, 0, 0));
}

static bool try(const struct evil *a, const struct evil *b)
{
	bool paired;

	run_begin(&now, &code, NULL, seed_of_all + 3);
	now.same = &same;
	now.other = &other;
	now.evil[0] = *a;
	if (b != NULL)
		now.evil[1] = *b;
	run_on(&now);
	paired = judge(&now, "flight, act, param", a->number, a->act, a->param);
	is_burnt(&now, &code);
	run_end(&now);
	return paired;
}

/* All that can be done to one flight, bits aside. Returns how many. */
static size_t list_acts(struct evil *out, size_t cap)
{
	static const unsigned delays[] = { 1, 10, 19, 25, 700 }, pauses[] = { 0, 1, 350, 5000, 30000 };
	size_t n = 0;

#define ADD(act_, param_)                                                                                    \
	do                                                                                                   \
		for (unsigned always_ = 0; always_ < 2 && n < cap; always_++)                                \
			out[n++] = (struct evil){ number, act_, param_, always_ == 1 };                      \
	while (0)
	for (unsigned number = 1; number <= FLIGHTS; number++) {
		ADD(DROP, 0);
		for (size_t i = 0; i < COUNT_OF(delays); i++)
			ADD(DELAY, delays[i]);
		for (size_t i = 0; i < COUNT_OF(pauses); i++)
			ADD(TWICE, pauses[i]);
		ADD(NOISE, 0);
		ADD(RANDOM, 0);
		ADD(ZEROS, 0);
		ADD(OTHER_CODE, 0);
		ADD(OTHER_RUN, 0);
		for (unsigned k = 1; k < number; k++)
			ADD(EARLIER, k);
		for (unsigned k = 0; k <= FLIGHTS + 1; k++)
			if (k != number)
				ADD(RENUMBERED, k);
		ADD(BACK, 0);
	}
#undef ADD
	return n;
}

static void each_flight(bool spoken)
{
	static struct evil acts[1024];
	const size_t n = list_acts(acts, COUNT_OF(acts));
	unsigned paired = 0;

	assert_true(n < COUNT_OF(acts));
	record(spoken);
	for (size_t i = 0; i < n; i++)
		paired += try(&acts[i], NULL);
	/* What was only lost, late, doubled or noise once is sent again. */
	assert_true(paired > 0 && paired < n);
	print_message("%zu ways with one flight: %u paired all the same\n", n, paired);
	run_end(&same);
	run_end(&other);
}

static void every_flight_of_a_spoken_code(void **state)
{
	(void)state;
	each_flight(true);
}

static void every_flight_of_one_camera(void **state)
{
	(void)state;
	each_flight(false);
}

static void two_flights_at_once(void **state)
{
	static struct evil acts[1024];
	const size_t n = list_acts(acts, COUNT_OF(acts));
	const size_t step = getenv("FLYLEAF_FULL") != NULL ? 1 : 41; /* a prime, so that all kinds meet */
	unsigned tried = 0;

	(void)state;
	record(true);
	for (size_t i = seed_of_all % step; i < n * n; i += step) {
		if (acts[i / n].number >= acts[i % n].number)
			continue;
		try(&acts[i / n], &acts[i % n]);
		tried++;
	}
	print_message("%u ways with two flights\n", tried);
	run_end(&same);
	run_end(&other);
}

/* No bit of a flight is without meaning, and none of its zeros. */
static void every_bit(void **state)
{
	unsigned tried = 0;

	(void)state;
	record(true);
	for (unsigned number = 1; number <= FLIGHTS; number++)
		for (unsigned bit = 0; bit < PLAIN_LEN * 8; bit++) {
			const struct evil v = { number, FLIPPED, bit, true };

			/* Zeros behind the flight: one of each byte is enough. */
			if (bit >= (1 + flight_len[number]) * 8 && bit % 8 != number % 8)
				continue;
			if (try(&v, NULL))
				fail_msg("bit %u of flight %u means nothing; " REPEAT_D, bit, number,
				         (unsigned long long)seed_of_all);
			tried++;
		}
	for (unsigned number = 1; number <= FLIGHTS; number++)
		for (unsigned bit = number; bit < PAIRING_DATAGRAM_LEN * 8; bit += 67) {
			const struct evil v = { number, FLIPPED_OUT, bit, false };

			assert_true(try(&v, NULL)); /* it is sent again */
			tried++;
		}
	print_message("%u bits\n", tried);
	run_end(&same);
	run_end(&other);
}

/* ---- Machines of his own ---------------------------------------------------- */

static void between(const struct code *guess, unsigned split, bool takes_over, uint64_t seed)
{
	run_begin(&now, &code, guess, seed);
	now.split = split;
	if (takes_over) { /* he has seen what went before, and goes on from there */
		now.side[EVIL_D].p.n_d = now.side[D].p.n_d;
		memcpy(now.side[EVIL_D].p.datagram, now.side[D].p.datagram, PAIRING_DATAGRAM_LEN);
	}
	run_on(&now);
}

static void keys_are_swapped(void **state)
{
	(void)state;
	code = code_from(seed_of_all, true);
	for (uint64_t seed = 0; seed < 200; seed++) {
		const struct code guess = code_from(seed_of_all + 100 + seed, true);

		for (unsigned split = 1; split <= FLIGHTS; split++) {
			between(&guess, split, seed % 2 == 1, seed_of_all + seed);
			if (judge(&now, "from this flight on, seed", split, (unsigned)seed, 0))
				fail_msg("what the two said did not get through, and they are "
				         "paired; " REPEAT_D,
				         (unsigned long long)seed_of_all);
			is_burnt(&now, &code);
			run_end(&now);
		}
	}
}

/* Who knows the code is in the middle; the two numbers say so. */
static void the_safety_number_shows_it(void **state)
{
	(void)state;
	code = code_from(seed_of_all, true);
	for (uint64_t seed = 0; seed < 100; seed++) {
		between(&code, 1, false, seed_of_all + seed);
		assert_true(is_misled(&now, D) && is_misled(&now, E));
		assert_string_not_equal(now.side[D].p.result.safety, now.side[E].p.result.safety);
		/* The first two groups are what people compare. */
		assert_memory_not_equal(now.side[D].p.result.safety, now.side[E].p.result.safety, 11);
		run_end(&now);
	}
}

/* ---- Guesses ---------------------------------------------------------------- */

/* One of few codes that differ in one word; which, the rest of the world does not know. */
static struct code one_of(unsigned i)
{
	struct code c = { .number = 48, .spoken = true };
	struct writer w = WRITER_ON(c.prs);

	writer_str(&w, words_at(7));
	writer_str(&w, " ");
	writer_str(&w, words_at(100 + i));
	writer_str(&w, " ");
	writer_str(&w, words_at(9));
	c.prs_len = (uint8_t)w.len;
	return c;
}

static void share_under(struct pairing *p, const struct code *c)
{
	uint8_t sid[32];
	const struct cpace run = { .prs = code_prs(c), .ci = span_str("fl1:pair/1"), .sid = SPAN(sid) };
	struct cpace_scalar y;
	struct cpace_share share;

	memcpy(sid, p->n_e.b, 16);
	memcpy(sid + 16, p->n_d.b, 16);
	memcpy(y.b, p->y_own, sizeof(y.b));
	cpace_share(&share, &run, &y);
	memcpy(p->share_d, share.b, sizeof(share.b));
}

/* What he has seen, and his own scalar, against every code: as if he had said the share that it gives, or
 * with the one that he has said. Whether flight 4 opens with any. */
static bool fits(const struct run *r, unsigned who)
{
	const struct pairing *p = &r->side[who].p;
	bool found = false;

	for (unsigned i = 0; i < 2 * GUESS_AMONG; i++) {
		const struct code c = one_of(i / 2);
		struct side twin;
		uint8_t bytes[PAIRING_DATAGRAM_LEN];

		side_begin(&twin, who, &c, 0);
		twin.p.n_d = p->n_d;
		twin.p.n_e = p->n_e;
		memcpy(twin.p.y_own, p->y_own, sizeof(p->y_own));
		memcpy(twin.p.share_e, p->share_e, sizeof(p->share_e));
		memcpy(twin.p.share_d, p->share_d, sizeof(p->share_d));
		if (i % 2 == 1)
			share_under(&twin.p, &c);
		twin.p.awaits = 4;
		twin.p.receive_key = r->mask[E];
		seal(r, E, bytes, r->flight[4]);
		pairing_datagram(&twin.p, &twin.rng.base, SPAN(bytes), 0);
		found |= twin.p.state == PAIRING_TALKS;
		pairing_deinit(&twin.p);
	}
	return found;
}

/* Stops before flight 4 is heard, so that the scalar is still there. */
static void run_until_4(struct run *r)
{
	while (r->said[4] == 0 && r->now_us < 5 * SECOND) {
		const size_t at = first_in_air(r);
		struct message m;

		if (r->air_len == 0 || r->air[at].at_us > next_due(r)) {
			r->now_us = MAX(r->now_us, next_due(r));
			for (unsigned i = 0; i < r->sides; i++)
				if (pairing_timer(&r->side[i].p, &r->side[i].rng.base, r->now_us))
					says(r, i);
			continue;
		}
		m = r->air[at];
		r->now_us = MAX(r->now_us, m.at_us);
		r->air[at] = r->air[--r->air_len];
		hears(r, &m);
	}
}

static void one_guess_each(void **state)
{
	const unsigned guesses = getenv("FLYLEAF_FULL") != NULL ? 50 * GUESSES : GUESSES;
	struct random_seeded dice;
	unsigned right = 0, through[2] = { 0 };
	double most;

	(void)state;
	random_seeded_init(&dice, seed_of_all + 9);
	for (unsigned i = 0; i < guesses; i++) {
		const unsigned is = random_below(&dice.base, GUESS_AMONG);
		const unsigned said = random_below(&dice.base, GUESS_AMONG);
		const struct code guess = one_of(said);

		code = one_of(is);
		right += is == said;
		between(&guess, 1, false, seed_of_all + i);
		through[D] += now.side[D].p.state == PAIRING_DONE;
		through[E] += now.side[E].p.state == PAIRING_DONE;
		if (is != said) {
			judge(&now, "guess, code", said, is, 0);
			is_burnt(&now, &code);
		}
		run_end(&now);
	}
	/* As often as he guessed, neither more nor less, which is one in so many. */
	assert_int_equal(through[D], right);
	assert_int_equal(through[E], right);
	most = (double)guesses / GUESS_AMONG;
	assert_true((right - most) * (right - most) < 36 * most);
	print_message("%u guesses among %u codes, at both sides: %u right, and no other got through\n",
	              guesses, (unsigned)GUESS_AMONG, right);
}

/* What is left of a guess is not worth another one: no other code than the guessed one fits. */
static void nothing_to_try_afterwards(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		const unsigned is = i % GUESS_AMONG, said = i / GUESS_AMONG % GUESS_AMONG;
		const struct code guess = one_of(said);

		code = one_of(is);
		run_begin(&now, &code, &guess, seed_of_all + i);
		now.split = 1;
		run_until_4(&now);
		assert_true(now.said[4] > 0);
		assert_int_equal(fits(&now, EVIL_D), is == said);
		run_end(&now);
	}
}

/* ---- Both scan ---------------------------------------------------------------- */

struct screen {
	struct qr_pair shown;
	struct key_pair s, r;
};

static void screen_new(struct screen *x, uint64_t seed)
{
	struct random_seeded rng;

	random_seeded_init(&rng, seed);
	pairing_qr_new(&x->shown, &x->s, &x->r, &rng.base);
}

/* What is scanned in place of what is shown. True when both take it. */
static bool scan(const struct screen *a, const struct screen *b, const struct qr_pair *seen_by_a,
                 const struct qr_pair *seen_by_b, const char *what, unsigned n)
{
	struct known known = { .base.has = knows_nobody };
	struct pairing_result x, y;
	const int r = pairing_qr(&x, &a->s, &a->r, &a->shown.q, seen_by_a, &known.base);
	const int q = pairing_qr(&y, &b->s, &b->r, &b->shown.q, seen_by_b, &known.base);
	bool good;

	runs++;
	if (r != 0 || q != 0)
		return false;
	good = memcmp(&x.peer_s, &b->s.public, 32) == 0 && memcmp(&y.peer_s, &a->s.public, 32) == 0 &&
	       memcmp(&x.peer_r, &b->r.public, 32) == 0 && memcmp(&y.peer_r, &a->r.public, 32) == 0;
	if (good != (strcmp(x.safety, y.safety) == 0) || (!good && memcmp(x.safety, y.safety, 11) == 0))
		fail_msg("%s %u: the safety numbers do not say it; " REPEAT_D, what, n,
		         (unsigned long long)seed_of_all);
	/* A wrong q is no other person; the two have no secret in common, and never meet. */
	if (memcmp(&x.secrets, &y.secrets, sizeof(x.secrets)) == 0)
		assert_true(good);
	return good;
}

static void both_scan(void **state)
{
	struct screen a, b, evil;
	struct qr_pair seen;

	(void)state;
	screen_new(&a, seed_of_all + 1);
	screen_new(&b, seed_of_all + 2);
	screen_new(&evil, seed_of_all + 3);
	assert_true(scan(&a, &b, &b.shown, &a.shown, "as shown", 0));
	assert_false(scan(&a, &b, &a.shown, &b.shown, "each its own", 0));
	for (unsigned which = 1; which < 8; which++) /* S, R and q of somebody else */
		for (unsigned side = 1; side < 4; side++) {
			struct qr_pair to_a = b.shown, to_b = a.shown;

			if (side & 1) {
				to_a.s = which & 1 ? evil.shown.s : to_a.s;
				to_a.r = which & 2 ? evil.shown.r : to_a.r;
				to_a.q = which & 4 ? evil.shown.q : to_a.q;
			}
			if (side & 2) {
				to_b.s = which & 1 ? evil.shown.s : to_b.s;
				to_b.r = which & 2 ? evil.shown.r : to_b.r;
				to_b.q = which & 4 ? evil.shown.q : to_b.q;
			}
			assert_true(scan(&a, &b, &to_a, &to_b, "another's", which * 4 + side) ==
			            (which == 4));
		}
	for (unsigned bit = 0; bit < 3 * 32 * 8; bit++) {
		uint8_t *const at[] = { seen.s.b, seen.r.b, seen.q.b };

		seen = b.shown;
		at[bit / 256][bit % 256 / 8] ^= (uint8_t)(1 << bit % 8);
		scan(&a, &b, &seen, &a.shown, "bit", bit);
	}
}

/* ---- Whole nodes: who else calls, and who else answers ------------------------ */

static enum reply_code ask(struct world *w, size_t i, enum request_kind kind, const char *name,
                           const char *text)
{
	const struct request q = { .kind = kind, .name = span_str(name), .text = span_str(text) };

	return world_ask(w, i, &q);
}

static size_t contacts(const struct world *w, size_t i)
{
	return node_contact_count(w->nodes[i].node);
}

/* D is 0, E is 1, and 2 is faster or slower, with the number and other words. */
static void race(uint64_t seed, bool displays_too, uint64_t ahead_us, uint64_t behind_us)
{
	struct world *w = world_new(seed, 3);
	char shown[256], wrong[256], number[3] = "";
	bool one;

	runs++;
	assert_int_equal(ask(w, 0, REQ_PAIR_SHOW, "e", ""), REPLY_OK);
	snprintf(shown, sizeof(shown), "%s", w->nodes[0].reply_text);
	memcpy(number, shown, 2);
	snprintf(wrong, sizeof(wrong), "%s %s %s %s", number, words_at(1), words_at(2), words_at(3));
	if (displays_too) { /* as often as it takes to have the same number */
		assert_int_equal(ask(w, 2, REQ_PAIR_SHOW, "x", ""), REPLY_OK);
		while (memcmp(w->nodes[2].reply_text, number, 2) != 0) {
			ask(w, 2, REQ_PAIR_CANCEL, "x", "");
			assert_int_equal(ask(w, 2, REQ_PAIR_SHOW, "x", ""), REPLY_OK);
		}
	} else {
		world_run(w, ahead_us);
		assert_int_equal(ask(w, 2, REQ_PAIR_ENTER, "x", wrong), REPLY_OK);
	}
	world_run(w, behind_us);
	assert_int_equal(ask(w, 1, REQ_PAIR_ENTER, "d", shown), REPLY_OK);
	world_run(w, LIFE_US);
	one = contacts(w, 0) == 1 && contacts(w, 1) == 1;
	if (contacts(w, 2) != 0 || (!one && contacts(w, 0) + contacts(w, 1) != 0))
		fail_msg("race %u: the third one has %zu contacts, the others %zu and %zu; " REPEAT_D,
		         (unsigned)seed, contacts(w, 2), contacts(w, 0), contacts(w, 1),
		         (unsigned long long)seed_of_all);
	/* Two that are paired have one number; else both were told. */
	if (one)
		assert_string_equal(w->nodes[0].notice_text, w->nodes[1].notice_text);
	else
		assert_true(w->nodes[0].notices[NOTICE_PAIR_FAILED] > 0 &&
		            w->nodes[1].notices[NOTICE_PAIR_FAILED] > 0);
	world_free(w);
}

static void somebody_is_faster(void **state)
{
	static const uint64_t waits[] = { 0, 1, 200, 999, 2000, 5000, 21000 }; /* ms */

	(void)state;
	for (size_t i = 0; i < COUNT_OF(waits); i++) {
		race(seed_of_all + i, false, 0, waits[i] * MS);
		race(seed_of_all + i, false, waits[i] * MS, 0);
		race(seed_of_all + i, true, 0, waits[i] * MS);
	}
}

static int begin(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return -1;
	seed_of_all = base_seed();
	return 0;
}

static int end(void **state)
{
	(void)state;
	print_message("%u pairings, seed %llu\n", runs, (unsigned long long)seed_of_all);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flight_of_a_spoken_code),
		cmocka_unit_test(every_flight_of_one_camera),
		cmocka_unit_test(two_flights_at_once),
		cmocka_unit_test(every_bit),
		cmocka_unit_test(keys_are_swapped),
		cmocka_unit_test(the_safety_number_shows_it),
		cmocka_unit_test(one_guess_each),
		cmocka_unit_test(nothing_to_try_afterwards),
		cmocka_unit_test(both_scan),
		cmocka_unit_test(somebody_is_faster),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, begin, end);
}
