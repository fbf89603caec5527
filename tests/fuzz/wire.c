#include "tests/fuzz/fuzz.h"

#include "node/crypto/kdf.h"
#include "node/crypto/random.h"
#include "transport/link.h"

enum { TO_ANSWERER = 1, REPLACE = 2, SEALED_LEN = 48, KEY_LEN = 32, TAG_LEN = 16 };

/* The masked key, anew. */
static void mask(uint8_t *flight, const struct link *to, const uint8_t *e)
{
	const enum link_role from = to->role == LINK_INITIATOR ? LINK_ANSWERER : LINK_INITIATOR;
	struct writer w = writer_on(flight, SEALED_LEN);

	noise_seal(&w, &to->mask[from], 0, SPAN(to->n), span_from(e, KEY_LEN));
}

/* What a flight says is changed before it is masked. Byte 0: who reads it, and whether the key is replaced or
 * xored; then the key and the tag. What is not the flight is refused, and the flight is still taken after it.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct link_secret secret = { { 5 } };
	static const struct nonce16 n_i = { { 1 } }, n_r = { { 2 } };
	struct reader in = reader_from(span_from(data, size));
	const uint8_t how = reader_u8(&in);
	uint8_t changed[LINK_WIRE_LEN], e[KEY_LEN], by[KEY_LEN + TAG_LEN];
	struct random_seeded rng;
	struct key_pair s_i, s_r;
	struct link i, r, *const to = (how & TO_ANSWERER) != 0 ? &r : &i;
	struct writer w = WRITER_ON(e);
	struct span wire;
	bool same;

	reader_bytes(&in, by, sizeof(by));
	random_seeded_init(&rng, 1);
	key_pair_new(&s_i, &rng.base);
	key_pair_new(&s_r, &rng.base);
	link_init(&i, &(struct link_config){ LINK_INITIATOR, &secret, &s_i, &s_r.public, &n_i, &n_r });
	link_init(&r, &(struct link_config){ LINK_ANSWERER, &secret, &s_r, &s_i.public, &n_i, &n_r });
	assert(link_wire(&wire, &i, &rng.base) == 0);
	if (to == &i)
		assert(link_read_wire(&r, wire) == 0 && link_wire(&wire, &r, &rng.base) == 0);
	memcpy(changed, wire.p, wire.len);
	assert(noise_open(&w, &to->mask[to == &i ? LINK_ANSWERER : LINK_INITIATOR], 0, SPAN(to->n),
	                  span_from(changed, SEALED_LEN)) == 0);
	for (size_t k = 0; k < KEY_LEN; k++)
		e[k] = (uint8_t)((how & REPLACE) != 0 ? by[k] : e[k] ^ by[k]);
	mask(changed, to, e);
	for (size_t k = 0; k < TAG_LEN; k++)
		changed[SEALED_LEN + k] ^= by[KEY_LEN + k];
	same = memcmp(changed, wire.p, wire.len) == 0;
	assert((link_read_wire(to, SPAN(changed)) == 0) == same);
	assert((link_read_wire(to, wire) == 0) == !same);
	return 0;
}
