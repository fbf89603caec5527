#include "node/crypto/kdf.h"

#include <sodium.h>

void b2(void *out, size_t n, const char *label, struct span key, struct span data)
{
	uint8_t personal[B2_LABEL_MAX] = { 0 };
	const size_t label_len = strlen(label);
	int r;

	assert(label_len <= sizeof(personal) && n >= B2_MIN && n <= B2_MAX && key.len <= 64);
	memcpy(personal, label, label_len);
	r = crypto_generichash_blake2b_salt_personal(out, n, data.p, data.len, key.p, key.len, NULL,
	                                             personal);
	assert(r == 0);
	(void)r;
}

int x25519(uint8_t out[static 32], const struct secret_key *secret, const struct public_key *peer)
{
	if (crypto_scalarmult(out, secret->b, peer->b) == 0)
		return 0;
	sodium_memzero(out, 32);
	return KEY_WEAK;
}

void public_key_of(struct public_key *out, const struct secret_key *secret)
{
	const int r = crypto_scalarmult_base(out->b, secret->b);

	assert(r == 0);
	(void)r;
}

void key_pair_new(struct key_pair *out, struct random *rng)
{
	random_bytes(rng, out->secret.b, sizeof(out->secret.b));
	public_key_of(&out->public, &out->secret);
}
