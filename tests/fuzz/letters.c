#include "tests/fuzz/fuzz.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/crypto/kdf.h"
#include "node/crypto/random.h"
#include "node/crypto/ratchet.h"
#include "tests/skipped_memory.h"

enum { LETTERS = 96, TURNS_MAX = 256 };

enum act {
	WRITE,   /* a letter */
	READ,    /* one of the other's letters, again or not */
	PASS,    /* places of the chain, up to 255 letters that nobody gets */
	RESTART, /* from the encoded state */
	LIE,     /* about the own key, or the length of the chain before */
	ACTS
};

struct side {
	struct ratchet ratchet;
	struct ratchet_cache cache;
	struct skipped_memory skipped;
	uint8_t letters[LETTERS][ENVELOPE_MIN];
	bool read[LETTERS];
	uint8_t n;
};

static void write(struct side *s, struct random *rng)
{
	struct writer w = writer_on(s->letters[s->n], ENVELOPE_MIN);
	const uint8_t text[] = { s->n };

	assert(ratchet_seal(&s->ratchet, rng, SPAN(text), ENVELOPE_MIN, &w) == 0);
	s->n++;
}

static void pass(struct side *s, struct random *rng, unsigned places)
{
	uint8_t unsent[ENVELOPE_MIN];

	while (places-- > 0) {
		struct writer w = WRITER_ON(unsent);

		assert(ratchet_seal(&s->ratchet, rng, SPAN_NONE, ENVELOPE_MIN, &w) == 0);
	}
}

/* A letter is read once, and says what was written. What does not open leaves the reader as it was. */
static void read(struct side *from, struct side *to, struct random *rng, uint8_t number)
{
	const struct ratchet before = to->ratchet;
	uint8_t buf[ENVELOPE_MIN];
	struct writer text = WRITER_ON(buf);
	const int r = ratchet_open(&to->ratchet, &to->cache, rng, &to->skipped.base,
	                           span_from(from->letters[number], ENVELOPE_MIN), &text);

	assert(r >= 0);
	if (r != 0) {
		assert(text.len == 0 && memcmp(&before, &to->ratchet, sizeof(before)) == 0);
		return;
	}
	assert(!from->read[number] && text.len == 1 && buf[0] == number);
	from->read[number] = true;
}

static void restart(struct side *s)
{
	uint8_t state[RATCHET_BYTES];
	struct writer w = WRITER_ON(state);

	ratchet_encode(&w, &s->ratchet);
	ratchet_cache_deinit(&s->cache);
	assert(ratchet_decode(&s->ratchet, SPAN(state)) == 0);
}

static void lie(struct side *s, struct reader *in)
{
	const uint8_t how = reader_u8(in);

	if (how == 0)
		reader_bytes(in, s->ratchet.own.public.b, sizeof(s->ratchet.own.public.b));
	else if (how < 128)
		s->ratchet.own.public.b[how % 32] ^= how;
	else
		s->ratchet.previous += (uint32_t)reader_u16(in) - 512;
}

/* Two sides write and read as the input says. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ratchet_root root = { { { 1 } }, { { 2 } }, { { 3 } }, { { 4 } } };
	static struct side sides[2];
	struct reader in = reader_from(span_from(data, size));
	struct random_seeded rng;
	struct key_pair r[2];

	memset(sides, 0, sizeof(sides));
	random_seeded_init(&rng, 1);
	for (size_t i = 0; i < 2; i++)
		key_pair_new(&r[i], &rng.base);
	for (size_t i = 0; i < 2; i++) {
		skipped_memory_init(&sides[i].skipped);
		assert(ratchet_init(&sides[i].ratchet, i == 0 ? ROLE_A : ROLE_B, &root, &r[i],
		                    &r[1 - i].public, &rng.base) == 0);
	}
	for (unsigned turns = 0; turns < TURNS_MAX && in.len > 0; turns++) {
		const uint8_t what = reader_u8(&in);
		struct side *s = &sides[what & 1], *other = &sides[1 - (what & 1)];

		switch (what / 2 % ACTS) {
		case WRITE:
			if (s->n < LETTERS)
				write(s, &rng.base);
			break;
		case READ:
			if (other->n > 0)
				read(other, s, &rng.base,
				     (uint8_t)(other->n - 1 - reader_u8(&in) % other->n));
			break;
		case PASS:
			pass(s, &rng.base, reader_u8(&in));
			break;
		case RESTART:
			restart(s);
			break;
		default:
			lie(s, &in);
			break;
		}
	}
	for (size_t i = 0; i < 2; i++) {
		ratchet_cache_deinit(&sides[i].cache);
		skipped_memory_deinit(&sides[i].skipped);
		ratchet_deinit(&sides[i].ratchet);
	}
	return 0;
}
