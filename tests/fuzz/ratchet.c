#include "tests/fuzz/fuzz.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/crypto/kdf.h"
#include "node/crypto/random.h"
#include "node/crypto/ratchet.h"
#include "tests/skipped_memory.h"

enum { MADE = 3 }; /* envelopes of which the last is changed */

/* The input as an envelope, then xored to one that would open: to its tag, its head, its text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t envelope[ENVELOPE_MAX], text[ENVELOPE_MAX];
	static const struct ratchet_root root = { { { 1 } }, { { 2 } }, { { 3 } }, { { 4 } } };
	struct ratchet_cache cache = { 0 };
	struct random_seeded rng;
	struct skipped_memory skipped;
	struct key_pair r_a, r_b;
	struct ratchet a, b;
	struct writer w;
	bool same = true;

	random_seeded_init(&rng, 1);
	key_pair_new(&r_a, &rng.base);
	key_pair_new(&r_b, &rng.base);
	assert(ratchet_init(&a, ROLE_A, &root, &r_a, &r_b.public, &rng.base) == 0);
	assert(ratchet_init(&b, ROLE_B, &root, &r_b, &r_a.public, &rng.base) == 0);
	skipped_memory_init(&skipped);
	if (envelope_text_max(size) != 0) {
		w = WRITER_ON(text);
		assert(ratchet_open(&b, &cache, &rng.base, &skipped.base, span_from(data, size), &w) > 0);
	}
	for (unsigned i = 0; i < MADE; i++) {
		w = writer_on(envelope, ENVELOPE_MIN);
		assert(ratchet_seal(&a, &rng.base, SPAN("hello"), ENVELOPE_MIN, &w) == 0);
	}
	for (size_t i = 0; i < MIN(size, (size_t)ENVELOPE_MIN); i++) {
		envelope[i] ^= data[i];
		same &= data[i] == 0;
	}
	w = WRITER_ON(text);
	assert((ratchet_open(&b, &cache, &rng.base, &skipped.base, span_from(envelope, ENVELOPE_MIN), &w) ==
	        0) == same);
	skipped_memory_deinit(&skipped);
	ratchet_cache_deinit(&cache);
	ratchet_deinit(&a);
	ratchet_deinit(&b);
	return 0;
}
