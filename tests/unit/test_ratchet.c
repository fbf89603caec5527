#include "node/crypto/ratchet.h"

#include <limits.h>
#include <sodium.h>
#include <stdlib.h>

#include "node/crypto/kdf.h"
#include "node/crypto/random.h"
#include "tests/failing_memory.h"
#include "tests/skipped_memory.h"
#include "tests/unit/unit.h"

struct side {
	struct ratchet ratchet;
	struct ratchet_cache cache;
	struct skipped_memory skipped;
};

struct pair {
	struct random_seeded rng;
	struct side a, b;
};

static void pair_start(struct pair *p, uint64_t seed)
{
	struct random *rng = &p->rng.base;
	struct ratchet_root root;
	struct key_pair a, b;

	memset(p, 0, sizeof(*p));
	random_seeded_init(&p->rng, seed);
	random_bytes(rng, &root, sizeof(root));
	key_pair_new(&a, rng);
	key_pair_new(&b, rng);
	assert_int_equal(ratchet_init(&p->a.ratchet, ROLE_A, &root, &a, &b.public, rng), 0);
	assert_int_equal(ratchet_init(&p->b.ratchet, ROLE_B, &root, &b, &a.public, rng), 0);
	skipped_memory_init(&p->a.skipped);
	skipped_memory_init(&p->b.skipped);
}

static void side_end(struct side *side)
{
	ratchet_cache_deinit(&side->cache);
	skipped_memory_deinit(&side->skipped);
	ratchet_deinit(&side->ratchet);
}

static void pair_end(struct pair *p)
{
	side_end(&p->a);
	side_end(&p->b);
}

/* The text of every envelope is its number. */
static struct span seal(struct pair *p, struct side *by, uint32_t number, uint8_t out[static ENVELOPE_MIN])
{
	struct writer w = writer_on(out, ENVELOPE_MIN);
	uint8_t text[4];

	store_u32(text, number);
	assert_int_equal(ratchet_seal(&by->ratchet, &p->rng.base, SPAN(text), ENVELOPE_MIN, &w), 0);
	return writer_done(&w);
}

/* Opens; whatever does not open changes nothing. Returns the outcome, *number says what was read. */
static int open_any(struct pair *p, struct side *by, struct span envelope, uint32_t *number)
{
	static uint8_t buf[ENVELOPE_MAX];
	const struct ratchet before = by->ratchet;
	const size_t skipped_before = by->skipped.n;
	const uint64_t draws_before = p->rng.calls;
	struct writer text = WRITER_ON(buf);
	const int r =
	        ratchet_open(&by->ratchet, &by->cache, &p->rng.base, &by->skipped.base, envelope, &text);

	if (r == 0) {
		assert_int_equal(text.len, 4);
		*number = load_u32(buf);
		return 0;
	}
	assert_int_equal(text.len, 0);
	assert_memory_equal(&before, &by->ratchet, sizeof(before));
	assert_int_equal(p->rng.calls, draws_before);
	if (r > 0)
		assert_int_equal(skipped_before, by->skipped.n);
	return r;
}

static void opens(struct pair *p, struct side *by, struct span envelope, uint32_t number)
{
	uint32_t got = ~number;

	assert_int_equal(open_any(p, by, envelope, &got), 0);
	assert_int_equal(got, number);
}

static int outcome(struct pair *p, struct side *by, struct span envelope)
{
	uint32_t unused;

	return open_any(p, by, envelope, &unused);
}

/* b answers, so that a begins a chain. */
static void turn_a(struct pair *p)
{
	uint8_t e[ENVELOPE_MIN];

	opens(p, &p->a, seal(p, &p->b, 7, e), 7);
}

/* --- Conversations against a naive twin: a list of what was sent and a flag for what was read --- */

enum { LETTERS = 3000, STEPS = 12000 };

struct way {
	uint8_t (*letters)[ENVELOPE_MIN];
	bool *read;
	uint32_t sent, stored; /* stored: without a gap */
};

struct talk {
	struct pair pair;
	struct way from_a, from_b;
	uint32_t spread; /* how far back letters are taken from */
};

static uint32_t roll(struct talk *t, uint32_t bound)
{
	return random_below(&t->pair.rng.base, bound);
}

static void post(struct talk *t, struct way *way, struct side *from)
{
	if (way->sent == LETTERS || ratchet_room(&from->ratchet, way->sent - way->stored) == 0)
		return;
	seal(&t->pair, from, way->sent, way->letters[way->sent]);
	way->sent++;
}

static void deliver(struct talk *t, struct way *way, struct side *to, uint32_t number)
{
	const struct span letter = span_from(way->letters[number], ENVELOPE_MIN);

	if (way->read[number]) {
		assert_int_equal(outcome(&t->pair, to, letter), RATCHET_UNKNOWN);
		return;
	}
	opens(&t->pair, to, letter, number);
	way->read[number] = true;
	while (way->stored < way->sent && way->read[way->stored])
		way->stored++;
}

static void deliver_some(struct talk *t, struct way *way, struct side *to)
{
	const uint32_t ahead = way->sent - way->stored;

	if (ahead > 0)
		deliver(t, way, to, way->stored + roll(t, MIN(ahead, t->spread)));
	else if (way->sent > 0)
		deliver(t, way, to, roll(t, way->sent)); /* one that was read before */
}

static void tamper(struct talk *t, const struct way *way, struct side *to)
{
	uint8_t copy[ENVELOPE_MIN];
	const uint32_t at = roll(t, ENVELOPE_MIN);

	if (way->sent == 0)
		return;
	memcpy(copy, way->letters[way->sent - 1 - roll(t, MIN(way->sent, 20u))], sizeof(copy));
	copy[at] ^= (uint8_t)(1u << roll(t, 8));
	assert_true(outcome(&t->pair, to, SPAN(copy)) > 0);
}

static void stranger(struct talk *t, struct side *to)
{
	uint8_t noise[ENVELOPE_MIN];

	random_bytes(&t->pair.rng.base, noise, sizeof(noise));
	assert_int_equal(outcome(&t->pair, to, SPAN(noise)), RATCHET_UNKNOWN);
}

/* The node is started again, or forgets what it can do without. */
static void restart(struct talk *t, struct side *side)
{
	uint8_t state[RATCHET_BYTES];
	struct writer w = WRITER_ON(state);

	ratchet_encode(&w, &side->ratchet);
	ratchet_deinit(&side->ratchet);
	assert_int_equal(ratchet_decode(&side->ratchet, writer_done(&w)), 0);
	if (roll(t, 2) == 0)
		ratchet_cache_deinit(&side->cache);
}

/* An envelope is opened, and then the transaction is rolled back: it comes again. */
static void roll_back(struct talk *t, struct way *way, struct side *to)
{
	const struct ratchet before = to->ratchet;
	struct skipped_memory keys = to->skipped;
	uint32_t number = way->stored, got;

	if (number == way->sent)
		return;
	number += roll(t, MIN(way->sent - number, t->spread));
	if (way->read[number])
		return;
	keys.keys = malloc((keys.room + 1) * sizeof(keys.keys[0]));
	if (keys.n > 0)
		memcpy(keys.keys, to->skipped.keys, keys.n * sizeof(keys.keys[0]));
	assert_int_equal(open_any(&t->pair, to, span_from(way->letters[number], ENVELOPE_MIN), &got), 0);
	to->ratchet = before;
	skipped_memory_deinit(&to->skipped);
	to->skipped = keys;
}

static void way_start(struct way *way)
{
	*way = (struct way){ .letters = calloc(LETTERS, ENVELOPE_MIN), .read = calloc(LETTERS, 1) };
	assert_non_null(way->letters);
	assert_non_null(way->read);
}

static void way_end(struct way *way)
{
	free(way->letters);
	free(way->read);
}

static void talk_step(struct talk *t)
{
	const bool a = roll(t, 2) == 0;
	struct side *self = a ? &t->pair.a : &t->pair.b;
	struct way *out = a ? &t->from_a : &t->from_b, *in = a ? &t->from_b : &t->from_a;
	const uint32_t what = roll(t, 100);

	if (what < 45)
		post(t, out, self);
	else if (what < 85)
		deliver_some(t, in, self);
	else if (what < 89)
		tamper(t, in, self);
	else if (what < 92)
		stranger(t, self);
	else if (what < 96)
		restart(t, self);
	else
		roll_back(t, in, self);
}

static void talk_of(uint64_t seed, uint32_t spread)
{
	struct talk t = { .spread = spread };

	pair_start(&t.pair, seed);
	way_start(&t.from_a);
	way_start(&t.from_b);
	for (unsigned i = 0; i < STEPS; i++)
		talk_step(&t);
	while (t.from_a.stored < t.from_a.sent)
		deliver(&t, &t.from_a, &t.pair.b, t.from_a.stored);
	while (t.from_b.stored < t.from_b.sent)
		deliver(&t, &t.from_b, &t.pair.a, t.from_b.stored);
	assert_true(t.from_a.sent > 1000 && t.from_b.sent > 1000);
	assert_int_equal(t.pair.a.skipped.n, 0);
	assert_int_equal(t.pair.b.skipped.n, 0);
	way_end(&t.from_a);
	way_end(&t.from_b);
	pair_end(&t.pair);
}

static void every_letter_is_read_once(void **state)
{
	(void)state;
	talk_of(1, 1);
	talk_of(2, 4);
	talk_of(3, 60);
	talk_of(4, 500);
}

/* --- Damage --- */

static void damaged_everywhere(struct pair *p, struct side *to, struct span envelope)
{
	uint8_t copy[ENVELOPE_MIN];

	for (size_t at = 0; at < sizeof(copy); at++) {
		memcpy(copy, envelope.p, sizeof(copy));
		copy[at] ^= (uint8_t)(1u << at % 8);
		assert_int_equal(outcome(p, to, SPAN(copy)),
		                 at >= 24 && at < 40 ? RATCHET_UNKNOWN : RATCHET_REFUSED);
	}
}

static void no_byte_may_differ(void **state)
{
	uint8_t e[3][ENVELOPE_MIN];
	struct pair p;

	(void)state;
	pair_start(&p, 5);
	for (unsigned i = 0; i < 3; i++)
		seal(&p, &p.b, i, e[i]);
	damaged_everywhere(&p, &p.a, SPAN(e[1])); /* in the next chain */
	opens(&p, &p.a, SPAN(e[1]), 1);
	damaged_everywhere(&p, &p.a, SPAN(e[0])); /* overtaken */
	damaged_everywhere(&p, &p.a, SPAN(e[2])); /* in the current chain */
	opens(&p, &p.a, SPAN(e[2]), 2);
	opens(&p, &p.a, SPAN(e[0]), 0);
	assert_int_equal(p.a.skipped.n, 0);
	for (size_t len = 0; len < ENVELOPE_MIN; len++)
		assert_int_equal(outcome(&p, &p.a, span_from(e[0], len)), RATCHET_UNKNOWN);
	pair_end(&p);
}

/* --- Bounds of PROTOCOL section 6 --- */

static void finds_512_places(void **state)
{
	static uint8_t e[RATCHET_WINDOW + 1][ENVELOPE_MIN];
	struct pair p;

	(void)state;
	for (int first = 0; first < 2; first++) { /* in the current chain of b, in the next one of a */
		struct side *from, *to;

		pair_start(&p, 6);
		from = first == 0 ? &p.a : &p.b;
		to = first == 0 ? &p.b : &p.a;
		for (unsigned i = 0; i <= RATCHET_WINDOW; i++)
			seal(&p, from, i, e[i]);
		assert_int_equal(outcome(&p, to, SPAN(e[RATCHET_WINDOW])), RATCHET_UNKNOWN);
		opens(&p, to, SPAN(e[RATCHET_WINDOW - 1]), RATCHET_WINDOW - 1);
		assert_int_equal(to->skipped.n, RATCHET_WINDOW - 1);
		opens(&p, to, SPAN(e[RATCHET_WINDOW]), RATCHET_WINDOW);
		for (unsigned i = 0; i < RATCHET_WINDOW - 1; i++)
			opens(&p, to, SPAN(e[i]), i);
		pair_end(&p);
	}
}

static void previous_is_at_most_512_further(void **state)
{
	uint8_t e[ENVELOPE_MIN];
	struct pair p;

	(void)state;
	for (unsigned n = RATCHET_WINDOW; n <= RATCHET_WINDOW + 1; n++) {
		pair_start(&p, 7);
		for (unsigned i = 0; i < n; i++)
			seal(&p, &p.a, i, e);
		turn_a(&p);
		assert_int_equal(p.a.ratchet.previous, n);
		seal(&p, &p.a, 9, e);
		assert_int_equal(outcome(&p, &p.b, SPAN(e)), n <= RATCHET_WINDOW ? 0 : RATCHET_REFUSED);
		assert_int_equal(p.b.skipped.n, n <= RATCHET_WINDOW ? RATCHET_WINDOW : 0);
		pair_end(&p);
	}
}

static void previous_is_not_less_than_what_came(void **state)
{
	uint8_t e[ENVELOPE_MIN];
	struct pair p;

	(void)state;
	pair_start(&p, 8);
	opens(&p, &p.b, seal(&p, &p.a, 0, e), 0);
	opens(&p, &p.b, seal(&p, &p.a, 1, e), 1);
	turn_a(&p);
	p.a.ratchet.previous = 1; /* a lie */
	seal(&p, &p.a, 2, e);
	assert_int_equal(outcome(&p, &p.b, SPAN(e)), RATCHET_REFUSED);
	p.a.ratchet.previous = 2;
	seal(&p, &p.a, 3, e);
	opens(&p, &p.b, SPAN(e), 3);
	pair_end(&p);
}

static void nothing_precedes_the_first_chain(void **state)
{
	uint8_t e[ENVELOPE_MIN];
	struct pair p;

	(void)state;
	pair_start(&p, 9);
	p.b.ratchet.previous = 1;
	assert_int_equal(outcome(&p, &p.a, seal(&p, &p.b, 0, e)), RATCHET_REFUSED);
	p.b.ratchet.previous = 0;
	opens(&p, &p.a, seal(&p, &p.b, 1, e), 1);
	pair_end(&p);
}

static void a_chain_has_one_key(void **state)
{
	uint8_t e[2][ENVELOPE_MIN];
	struct pair p;

	(void)state;
	pair_start(&p, 10);
	p.a.ratchet.own.public.b[0] ^= 1;
	seal(&p, &p.a, 0, e[0]);
	assert_int_equal(outcome(&p, &p.b, SPAN(e[0])), RATCHET_REFUSED);
	p.a.ratchet.own.public.b[0] ^= 1;
	opens(&p, &p.b, seal(&p, &p.a, 1, e[1]), 1);
	assert_int_equal(outcome(&p, &p.b, SPAN(e[0])), RATCHET_REFUSED); /* skipped by now */
	pair_end(&p);
}

static void a_weak_key_is_refused(void **state)
{
	const struct public_key zero = { { 0 } };
	struct ratchet_root root = { { { 0 } } };
	struct key_pair own;
	uint8_t e[ENVELOPE_MIN];
	struct ratchet out;
	struct pair p;

	(void)state;
	pair_start(&p, 11);
	key_pair_new(&own, &p.rng.base);
	assert_int_equal(ratchet_init(&out, ROLE_A, &root, &own, &zero, &p.rng.base), RATCHET_WEAK_KEY);
	assert_int_equal(ratchet_init(&out, ROLE_B, &root, &own, &zero, &p.rng.base), RATCHET_WEAK_KEY);
	p.b.ratchet.own.public = zero;
	assert_int_equal(outcome(&p, &p.a, seal(&p, &p.b, 0, e)), RATCHET_REFUSED);
	pair_end(&p);
}

/* Before a's first receiving chain its keys are zeros, which anybody knows. */
static void zeros_are_no_chain(void **state)
{
	uint8_t e[ENVELOPE_MIN];
	struct pair p;

	(void)state;
	pair_start(&p, 12);
	memset(&p.b.ratchet.sending, 0, sizeof(p.b.ratchet.sending));
	memset(&p.b.ratchet.own.public, 0, sizeof(p.b.ratchet.own.public));
	memset(&p.a.ratchet.peer, 0, sizeof(p.a.ratchet.peer));
	assert_int_equal(outcome(&p, &p.a, seal(&p, &p.b, 0, e)), RATCHET_UNKNOWN);
	pair_end(&p);
}

static void room_is_for_512_unstored(void **state)
{
	uint8_t e[ENVELOPE_MIN];
	struct pair p;

	(void)state;
	pair_start(&p, 13);
	for (unsigned i = 0; i < RATCHET_UNSTORED_MAX; i++) {
		assert_int_equal(ratchet_room(&p.a.ratchet, i), RATCHET_UNSTORED_MAX - i);
		seal(&p, &p.a, i, e);
	}
	assert_int_equal(ratchet_room(&p.a.ratchet, RATCHET_UNSTORED_MAX), 0);
	assert_int_equal(ratchet_room(&p.a.ratchet, RATCHET_UNSTORED_MAX - 1), 1);
	assert_int_equal(ratchet_room(&p.a.ratchet, UINT64_MAX), 0);
	turn_a(&p);
	assert_int_equal(ratchet_room(&p.a.ratchet, RATCHET_UNSTORED_MAX), RATCHET_UNSTORED_MAX);
	pair_end(&p);
}

static void a_chain_cannot_be_counted_for_ever(void **state)
{
	uint8_t e[ENVELOPE_MIN];
	struct writer w = WRITER_ON(e);
	struct pair p;

	(void)state;
	pair_start(&p, 14);
	p.a.ratchet.sending.n = p.b.ratchet.receiving.n = UINT32_MAX - 1;
	opens(&p, &p.b, seal(&p, &p.a, 0, e), 0);
	assert_int_equal(ratchet_seal(&p.a.ratchet, &p.rng.base, SPAN_NONE, ENVELOPE_MIN, &w),
	                 RATCHET_CHAIN_FULL);
	assert_int_equal(w.len, 0);
	p.a.ratchet.sending.n = 0;
	assert_int_equal(outcome(&p, &p.b, seal(&p, &p.a, 1, e)), RATCHET_REFUSED);
	pair_end(&p);
}

/* Five chains whose first 511 letters are overtaken: 2,555 keys, of which the oldest 507 go. */
static void the_oldest_skipped_keys_go_first(void **state)
{
	enum { CHAINS = 5, OVERTAKEN = 511 };
	static uint8_t e[CHAINS][OVERTAKEN + 1][ENVELOPE_MIN];
	const unsigned lost = CHAINS * OVERTAKEN - SKIPPED_MAX;
	struct pair p;

	(void)state;
	pair_start(&p, 15);
	for (unsigned c = 0; c < CHAINS; c++) {
		for (unsigned i = 0; i <= OVERTAKEN; i++)
			seal(&p, &p.a, i, e[c][i]);
		opens(&p, &p.b, SPAN(e[c][OVERTAKEN]), OVERTAKEN);
		turn_a(&p);
	}
	assert_int_equal(p.b.skipped.n, SKIPPED_MAX);
	for (unsigned i = 0; i < CHAINS * OVERTAKEN; i++) {
		const struct span letter = SPAN(e[i / OVERTAKEN][i % OVERTAKEN]);

		if (i < lost)
			assert_int_equal(outcome(&p, &p.b, letter), RATCHET_UNKNOWN);
		else
			opens(&p, &p.b, letter, i % OVERTAKEN);
	}
	assert_int_equal(p.b.skipped.n, 0);
	pair_end(&p);
}

/* A store that fails at the nth key leaves the ratchet where it was. */
static void a_failing_store_changes_nothing(void **state)
{
	enum { GAP = 6 };
	uint8_t e[GAP + 2][ENVELOPE_MIN];
	struct pair p;

	(void)state;
	pair_start(&p, 16);
	for (unsigned i = 0; i < GAP / 2; i++)
		seal(&p, &p.a, i, e[i]);
	turn_a(&p);
	for (unsigned i = GAP / 2; i <= GAP; i++)
		seal(&p, &p.a, i, e[i]);
	for (unsigned n = 0; n < GAP; n++) {
		p.b.skipped.puts_left = n;
		assert_int_equal(outcome(&p, &p.b, SPAN(e[GAP])), ERR_IO);
		assert_int_equal(p.b.skipped.n, n);
		p.b.skipped.n = 0; /* what the caller's transaction does */
	}
	p.b.skipped.puts_left = GAP;
	opens(&p, &p.b, SPAN(e[GAP]), GAP);
	for (unsigned i = 0; i < GAP; i++)
		opens(&p, &p.b, SPAN(e[i]), i);
	pair_end(&p);
}

/* --- Sizes --- */

/* The windows of tags find no memory: nothing has changed, and later the letter opens. */
static void without_memory_nothing_changes(void **state)
{
	uint8_t e[2][ENVELOPE_MIN];
	struct span last;
	struct pair p;

	(void)state;
	pair_start(&p, 18);
	seal(&p, &p.a, 0, e[0]);
	last = seal(&p, &p.a, 1, e[1]);
	failing_memory_arm(1, false);
	assert_int_equal(outcome(&p, &p.b, last), ERR_NOMEM);
	failing_memory.armed = false;
	opens(&p, &p.b, last, 1);
	pair_end(&p);
	ratchet_deinit(NULL);
}

static void texts_fit_their_size_exactly(void **state)
{
	static uint8_t text[ENVELOPE_MAX], e[ENVELOPE_MAX], buf[ENVELOPE_MAX];
	static const size_t sizes[] = { 1024, 4096, 16384, 65536, 0 }; /* PROTOCOL section 6 */
	struct pair p;

	(void)state;
	pair_start(&p, 17);
	random_bytes(&p.rng.base, text, sizeof(text));
	for (unsigned c = 0; sizes[c] != 0; c++) {
		const size_t size = sizes[c], max = envelope_text_max(size);
		struct writer w = WRITER_ON(e), read = WRITER_ON(buf);

		assert_int_equal(max, size - 94);
		assert_int_equal(envelope_size_for(max), size);
		assert_int_equal(envelope_size_for(max + 1), sizes[c + 1]);
		assert_int_equal(ratchet_seal(&p.a.ratchet, &p.rng.base, span_from(text, max + 1), size, &w),
		                 RATCHET_TOO_LONG);
		assert_int_equal(ratchet_seal(&p.a.ratchet, &p.rng.base, span_from(text, max), size, &w), 0);
		assert_int_equal(w.len, size);
		assert_int_equal(ratchet_open(&p.b.ratchet, &p.b.cache, &p.rng.base, &p.b.skipped.base,
		                              writer_done(&w), &read),
		                 0);
		assert_int_equal(read.len, max);
		assert_memory_equal(buf, text, max);
	}
	assert_int_equal(envelope_text_max(1023), 0);
	pair_end(&p);
}

/* Envelopes that only somebody who has the keys can make. */
static void a_body_is_length_text_zeros(void **state)
{
	static const struct {
		uint16_t len;
		uint16_t dirty; /* a byte of the body that is not zero; 0: none */
		int want;
	} rows[] = { { 0, 0, 0 },
		     { 930, 0, 0 },
		     { 931, 0, ENVELOPE_REFUSED },
		     { 65535, 0, ENVELOPE_REFUSED },
		     { 10, 11, 0 },
		     { 10, 12, ENVELOPE_REFUSED },
		     { 10, 931, ENVELOPE_REFUSED },
		     { 0, 2, ENVELOPE_REFUSED } /* all of the padding */ };
	const struct sym_key key = { { 1 } };
	const struct hash32 aid = { { 2 } };
	uint8_t e[ENVELOPE_MIN], ad[91], buf[ENVELOPE_MIN];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(rows); i++) {
		struct writer text = WRITER_ON(buf);

		memset(e, 0, sizeof(e));
		store_u16(e + 76, rows[i].len);
		if (rows[i].dirty > 0)
			memset(e + 76 + rows[i].dirty, 1, rows[i].dirty == 2 ? 930 : 1);
		memcpy(ad, "fl1:env", 7);
		memcpy(ad + 7, aid.b, 32);
		memcpy(ad + 39, e + 24, 52);
		crypto_aead_xchacha20poly1305_ietf_encrypt(e + 76, NULL, e + 76, 932, ad, 91, NULL, e, key.b);
		assert_int_equal(envelope_open_text(&text, SPAN(e), &key, &aid), rows[i].want);
		assert_int_equal(text.len, rows[i].want == 0 ? rows[i].len : 0);
		assert_int_equal(sodium_is_zero(buf + 10, sizeof(buf) - 10 - 92), 1);
	}
}

/* --- At rest --- */

static void nonsense_at_rest_is_damage(void **state)
{
	uint8_t whole[RATCHET_BYTES + 1] = { 0 }, copy[RATCHET_BYTES];
	struct writer w = writer_on(whole, RATCHET_BYTES);
	struct ratchet out;
	struct pair p;

	(void)state;
	pair_start(&p, 18);
	ratchet_encode(&w, &p.a.ratchet); /* has no receiving chain */
	assert_false(w.failed);
	for (size_t len = 0; len <= sizeof(whole); len++)
		assert_int_equal(ratchet_decode(&out, span_from(whole, len)),
		                 len == RATCHET_BYTES ? 0 : ERR_CORRUPT);
	for (size_t at = 0; at < RATCHET_BYTES; at++) {
		const bool matters = at == 0 || (at >= 230 && at < 298); /* version, receiving chain */

		memcpy(copy, whole, sizeof(copy));
		copy[at] ^= at == 0 ? 1 : 2;
		assert_int_equal(ratchet_decode(&out, SPAN(copy)), matters || at == 1 ? ERR_CORRUPT : 0);
	}
	whole[0] = 2;
	assert_int_equal(ratchet_decode(&out, span_from(whole, RATCHET_BYTES)), ERR_VERSION);
	pair_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_letter_is_read_once),
		cmocka_unit_test(no_byte_may_differ),
		cmocka_unit_test(finds_512_places),
		cmocka_unit_test(previous_is_at_most_512_further),
		cmocka_unit_test(previous_is_not_less_than_what_came),
		cmocka_unit_test(nothing_precedes_the_first_chain),
		cmocka_unit_test(a_chain_has_one_key),
		cmocka_unit_test(a_weak_key_is_refused),
		cmocka_unit_test(zeros_are_no_chain),
		cmocka_unit_test(room_is_for_512_unstored),
		cmocka_unit_test(a_chain_cannot_be_counted_for_ever),
		cmocka_unit_test(the_oldest_skipped_keys_go_first),
		cmocka_unit_test(a_failing_store_changes_nothing),
		cmocka_unit_test(without_memory_nothing_changes),
		cmocka_unit_test(texts_fit_their_size_exactly),
		cmocka_unit_test(a_body_is_length_text_zeros),
		cmocka_unit_test(nonsense_at_rest_is_damage),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
