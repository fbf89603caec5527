#include "tests/fuzz/fuzz.h"

#include "node/crypto/kdf.h"
#include "node/crypto/random.h"
#include "transport/link.h"

enum { DATAGRAMS_MAX = 64, FRAMES_SAID = 32 };
enum {
	LARGE = 1,
	CHANGED = 2,
	STEP_SHIFT = 2
}; /* of a datagram's first byte; above: how its number is given */

/* A twin of the window that keeps every number. */
struct twin {
	uint64_t seen[DATAGRAMS_MAX];
	size_t n;
	uint64_t next;
};

static bool twin_takes(struct twin *t, uint64_t pn)
{
	if (pn > INT64_MAX || pn + REPLAY_WINDOW < t->next)
		return false;
	for (size_t i = 0; i < t->n; i++)
		if (t->seen[i] == pn)
			return false;
	t->seen[t->n++] = pn;
	t->next = MAX(t->next, pn + 1);
	return true;
}

static uint64_t number(struct reader *in, uint8_t how, uint64_t next)
{
	switch (how >> STEP_SHIFT & 3) {
	case 0:
		return next;
	case 1:
		return next + reader_u16(in);
	case 2:
		return next - reader_u16(in); /* below 0 is far too much */
	default:
		return reader_u64(in);
	}
}

/* Datagrams of any number under the right key: each valid one opens once, and says what was sealed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct link_secret secret = { { 5 } };
	static const struct nonce16 n_i = { { 1 } }, n_r = { { 2 } };
	struct reader in = reader_from(span_from(data, size));
	uint8_t datagram[CARRIER_LARGE], plain[LINK_PLAIN_MAX], said[CARRIER_LARGE_FRAMES];
	struct random_seeded rng;
	struct key_pair s_i, s_r;
	struct link i, r;
	struct twin twin = { .n = 0 };
	struct span wire, frames;
	uint64_t pn;

	random_seeded_init(&rng, 1);
	key_pair_new(&s_i, &rng.base);
	key_pair_new(&s_r, &rng.base);
	link_init(&i, &(struct link_config){ LINK_INITIATOR, &secret, &s_i, &s_r.public, &n_i, &n_r });
	link_init(&r, &(struct link_config){ LINK_ANSWERER, &secret, &s_r, &s_i.public, &n_i, &n_r });
	assert(link_wire(&wire, &i, &rng.base) == 0 && link_read_wire(&r, wire) == 0);
	assert(link_wire(&wire, &r, &rng.base) == 0 && link_read_wire(&i, wire) == 0);
	for (unsigned k = 0; k < DATAGRAMS_MAX && in.len > 0; k++) {
		const uint8_t how = reader_u8(&in);
		const size_t len = (how & LARGE) != 0 ? CARRIER_LARGE_FRAMES : CARRIER_SMALL_FRAMES;
		const uint64_t as = number(&in, how, twin.next);
		const struct span some = reader_span(&in, MIN(in.len, (size_t)FRAMES_SAID));
		const uint16_t at = (how & CHANGED) != 0 ? reader_u16(&in) : 0;
		size_t sealed;
		bool opens;

		memset(said, 0, sizeof(said));
		if (some.len > 0)
			memcpy(said, some.p, some.len);
		i.pn_next = MIN(as, (uint64_t)INT64_MAX);
		sealed = link_seal(&pn, &i, &rng.base, datagram, span_from(said, len));
		if ((how & CHANGED) != 0)
			datagram[at % sealed] ^= (uint8_t)(1u << at % 7);
		opens = (how & CHANGED) == 0 && twin_takes(&twin, i.pn_next - 1);
		assert((link_open(&frames, &pn, &r, plain, span_from(datagram, sealed)) == 0) == opens);
		if (opens)
			assert(pn == i.pn_next - 1 && span_equal(frames, span_from(said, len)));
	}
	return 0;
}
