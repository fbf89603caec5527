#include "tests/fuzz/fuzz.h"

#include "node/crypto/kdf.h"
#include "node/crypto/random.h"
#include "transport/link.h"

/* The first byte: 0 a flight for the answerer, 1 one for the initiator, else what is xored to a datagram. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct link_secret secret = { { 5 } };
	static const struct nonce16 n_i = { { 1 } }, n_r = { { 2 } };
	uint8_t datagram[CARRIER_LARGE], plain[LINK_PLAIN_MAX];
	struct random_seeded rng;
	struct key_pair s_i, s_r;
	struct link i, r;
	struct span wire, frames;
	uint64_t pn;
	size_t len;
	bool same = true;

	if (size == 0)
		return 0;
	random_seeded_init(&rng, 1);
	key_pair_new(&s_i, &rng.base);
	key_pair_new(&s_r, &rng.base);
	link_init(&i, &(struct link_config){ LINK_INITIATOR, &secret, &s_i, &s_r.public, &n_i, &n_r });
	link_init(&r, &(struct link_config){ LINK_ANSWERER, &secret, &s_r, &s_i.public, &n_i, &n_r });
	assert(link_wire(&wire, &i, &rng.base) == 0);
	if (data[0] < 2) {
		assert(link_read_wire(data[0] == 0 ? &r : &i, span_from(data + 1, size - 1)) == LINK_REFUSED);
		return 0;
	}
	assert(link_read_wire(&r, wire) == 0 && link_wire(&wire, &r, &rng.base) == 0);
	assert(link_read_wire(&i, wire) == 0);
	assert(link_open(&frames, &pn, &r, plain, span_from(data, size)) == LINK_REFUSED);
	len = link_seal(&pn, &i, &rng.base, datagram, SPAN_NONE);
	for (size_t k = 0; k < MIN(len, size - 1); k++) {
		datagram[k] ^= data[k + 1];
		same &= data[k + 1] == 0;
	}
	assert((link_open(&frames, &pn, &r, plain, span_from(datagram, len)) == 0) == same);
	return 0;
}
