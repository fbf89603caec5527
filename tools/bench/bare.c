#include "tools/bench/bare.h"

#include <sodium.h>

#include "node/crypto/ratchet.h"
#include "tools/bench/bench.h"

enum { MESSAGES = 20000, TURNS = 2000 };
enum { ENVELOPE_BODY_AT = 76, ENVELOPE_HEAD_AT = 40, ENVELOPE_HEAD = 36, ENVELOPE_AD = 91 };

struct bare_chain {
	uint8_t ck[64], hk[64]; /* the key of the step, and what it made */
};

static void bare_hash(uint8_t *out, size_t len, const char *label, const uint8_t *key, const uint8_t *data,
                      size_t data_len)
{
	uint8_t personal[16] = { 0 };

	memcpy(personal, label, strlen(label));
	(void)crypto_generichash_blake2b_salt_personal(out, len, data, data_len, key, 32, NULL, personal);
}

static void bare_step(struct bare_chain *c, uint8_t tag[static 16])
{
	bare_hash(tag, 16, "fl1:et", c->hk, NULL, 0);
	bare_hash(c->hk, 64, "fl1:hk", c->hk, NULL, 0);
	bare_hash(c->ck, 64, "fl1:ck", c->ck, NULL, 0);
}

/* Seals and opens one envelope, each side with a chain of its own. */
static void bare_hand_over(struct bare_chain *from, struct bare_chain *to)
{
	uint8_t envelope[ENVELOPE_MIN] = { 0 }, plain[ENVELOPE_MIN], tag[16], head[ENVELOPE_HEAD];
	uint8_t ad[ENVELOPE_AD] = { 0 };
	const size_t body = ENVELOPE_MIN - ENVELOPE_BODY_AT - 16;

	bare_step(from, tag);
	randombytes_buf(envelope, 24);
	memcpy(envelope + 24, tag, sizeof(tag));
	crypto_stream_xchacha20_xor(envelope + ENVELOPE_HEAD_AT, envelope + ENVELOPE_HEAD_AT, ENVELOPE_HEAD,
	                            envelope, from->hk + 32);
	memcpy(ad, envelope, ENVELOPE_BODY_AT);
	crypto_aead_xchacha20poly1305_ietf_encrypt(envelope + ENVELOPE_BODY_AT, NULL,
	                                           envelope + ENVELOPE_BODY_AT, body, ad, sizeof(ad), NULL,
	                                           envelope, from->ck + 32);
	bare_step(to, tag);
	if (sodium_memcmp(tag, envelope + 24, sizeof(tag)) != 0)
		bench_fail("the bare ratchet", "the tag differs");
	crypto_stream_xchacha20_xor(head, envelope + ENVELOPE_HEAD_AT, ENVELOPE_HEAD, envelope, to->hk + 32);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, envelope + ENVELOPE_BODY_AT,
	                                               body + 16, ad, sizeof(ad), envelope, to->ck + 32) != 0)
		bench_fail("the bare ratchet", "an envelope does not open");
}

double bare_one_way(void *arg)
{
	struct bare_chain a = { { 1 }, { 2 } }, b = a;
	double began = timing_worked();

	(void)arg;
	for (unsigned i = 0; i < MESSAGES; i++)
		bare_hand_over(&a, &b);
	return (timing_worked() - began) / MESSAGES;
}

/* A DH step of the root chain: KDF_RK. */
static void bare_root(uint8_t rk[static 32], struct bare_chain *c, const uint8_t dh[static 32])
{
	uint8_t out[64];

	bare_hash(out, 64, "fl1:rk", rk, dh, 32);
	bare_hash(c->hk, 32, "fl1:nh", rk, dh, 32);
	memcpy(rk, out, 32);
	memcpy(c->ck, out + 32, 32);
}

double bare_ping_pong(void *arg)
{
	uint8_t rk[2][32] = { { 3 }, { 3 } }, secret[2][32], public[2][32], dh[32];
	double began;
	unsigned from = 0;

	(void)arg;
	for (unsigned i = 0; i < 2; i++) {
		randombytes_buf(secret[i], 32);
		crypto_scalarmult_base(public[i], secret[i]);
	}
	began = timing_worked();
	for (unsigned i = 0; i < TURNS; i++) {
		struct bare_chain c[2] = { { { 0 }, { 0 } }, { { 0 }, { 0 } } };
		const unsigned to = 1 - from;

		/* The sender's fresh key; then the receiver's half of the step. */
		randombytes_buf(secret[from], 32);
		crypto_scalarmult_base(public[from], secret[from]);
		if (crypto_scalarmult(dh, secret[from], public[to]) != 0)
			bench_fail("the bare ratchet", "a key is weak");
		bare_root(rk[from], &c[0], dh);
		if (crypto_scalarmult(dh, secret[to], public[from]) != 0)
			bench_fail("the bare ratchet", "a key is weak");
		bare_root(rk[to], &c[1], dh);
		bare_hand_over(&c[0], &c[1]);
		from = to;
	}
	return (timing_worked() - began) / TURNS;
}
