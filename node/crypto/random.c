#include "node/crypto/random.h"

#include <sodium.h>

static void fill_from_system(struct random *self, void *out, size_t len)
{
	(void)self;
	randombytes_buf(out, len);
}

struct random *random_system(void)
{
	static struct random source = { fill_from_system };

	return &source;
}

static void fill_from_seed(struct random *self, void *out, size_t len)
{
	struct random_seeded *r = CONTAINER_OF(self, struct random_seeded, base);
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES] = { 0 };

	/* A stream of its own for each call: the nonce counts the calls. */
	store_u64(nonce, r->calls++);
	crypto_stream_chacha20(out, len, nonce, r->key.b);
}

void random_seeded_init(struct random_seeded *r, uint64_t seed)
{
	*r = (struct random_seeded){ .base = { fill_from_seed } };
	store_u64(r->key.b, seed);
}
