/*
 * The references are the same steps on bare libsodium, without checks, states or wiping: what nobody can go
 * below without another library. Nothing here waits, so the time is what the processor took; rounds are short
 * and many.
 */
#include <stdio.h>

#include <sodium.h>

#include "node/crypto/noise.h"
#include "node/crypto/random.h"
#include "node/crypto/ratchet.h"
#include "tools/bench/bench.h"
#include "tools/bench/home.h"

enum { MESSAGES = 20000, TURNS = 2000, HANDSHAKES = 200, TEXT = 150 };

/* ---- The ratchet ----------------------------------------------------------- */

static int find_none(struct skipped_keys *self, struct skipped_key *out, const struct tag16 *tag)
{
	(void)self;
	(void)out;
	(void)tag;
	return SKIPPED_NONE;
}

static int put_none(struct skipped_keys *self, const struct skipped_key *key)
{
	(void)self;
	(void)key;
	return ERR_FULL;
}

static int remove_none(struct skipped_keys *self, const struct tag16 *tag)
{
	(void)self;
	(void)tag;
	return 0;
}

static int trim_none(struct skipped_keys *self, size_t max)
{
	(void)self;
	(void)max;
	return 0;
}

static struct skipped_keys none = { find_none, put_none, remove_none, trim_none };

static void hand_over(struct ratchet *from, struct ratchet *to, struct ratchet_cache *cache)
{
	static const uint8_t text[TEXT];
	uint8_t envelope[ENVELOPE_MIN], plain[ENVELOPE_MIN];
	struct writer sealed = WRITER_ON(envelope), opened = WRITER_ON(plain);

	bench_must(ratchet_seal(from, random_system(), SPAN(text), sizeof(envelope), &sealed), "sealing");
	bench_must(ratchet_open(to, cache, random_system(), &none, SPAN(envelope), &opened), "opening");
	assert(opened.len == TEXT);
}

static double ratchet_one_way(void *arg)
{
	struct home_pair p;
	struct ratchet_cache cache = { 0 };
	double began;

	(void)arg;
	home_pair(&p);
	const unsigned from = p.record[0].role == ROLE_A ? 0 : 1;

	hand_over(p.ratchet[from], p.ratchet[1 - from], &cache);
	began = timing_worked();
	for (unsigned i = 0; i < MESSAGES; i++)
		hand_over(p.ratchet[from], p.ratchet[1 - from], &cache);
	return (timing_worked() - began) / MESSAGES;
}

static double ratchet_ping_pong(void *arg)
{
	struct home_pair p;
	struct ratchet_cache cache[2] = { { 0 }, { 0 } };
	double began;

	(void)arg;
	home_pair(&p);
	unsigned from = p.record[0].role == ROLE_A ? 0 : 1;

	began = timing_worked();
	for (unsigned i = 0; i < TURNS; i++) {
		hand_over(p.ratchet[from], p.ratchet[1 - from], &cache[1 - from]);
		from = 1 - from;
	}
	return (timing_worked() - began) / TURNS;
}

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

static double bare_one_way(void *arg)
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

static double bare_ping_pong(void *arg)
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

/* ---- The handshake --------------------------------------------------------- */

static void shake_hands(const char *pattern, const struct key_pair s[2], const struct sym_key *psk)
{
	static const uint8_t prologue[41] = "fl1:link\x01";
	uint8_t message[64], nothing[1];
	struct noise sides[2];
	struct noise_keys keys[2];

	for (unsigned i = 0; i < 2; i++)
		bench_must(noise_init(&sides[i],
		                      &(struct noise_config){
		                              .pattern = pattern,
		                              .initiator = i == 0,
		                              .prologue = SPAN(prologue),
		                              .s = &s[i],
		                              .rs = &s[1 - i].public,
		                              .psks = psk,
		                              .psks_len = psk != NULL,
		                      }),
		           "a handshake");
	for (unsigned i = 0; i < 2; i++) {
		struct writer out = WRITER_ON(message), payload = WRITER_ON(nothing);

		bench_must(noise_write(&sides[i], random_system(), &out, SPAN_NONE), "a handshake");
		bench_must(noise_read(&sides[1 - i], &payload, writer_done(&out)), "a handshake");
	}
	for (unsigned i = 0; i < 2; i++) {
		noise_split(&sides[i], &keys[i]);
		noise_deinit(&sides[i]);
	}
	assert(memcmp(&keys[0], &keys[1], sizeof(keys[0])) == 0);
}

static double shake_many(const char *pattern, const struct sym_key *psk)
{
	struct home_pair p;
	double began;

	home_pair(&p);
	const struct key_pair s[2] = { p.record[0].s, p.record[1].s };

	began = timing_worked();
	for (unsigned i = 0; i < HANDSHAKES; i++)
		shake_hands(pattern, s, psk);
	return (timing_worked() - began) / HANDSHAKES;
}

static double handshake_kk(void *arg)
{
	(void)arg;
	return shake_many("KK", NULL);
}

static double handshake_kkpsk0(void *arg)
{
	const struct sym_key psk = { { 1 } };

	(void)arg;
	return shake_many("KKpsk0", &psk);
}

static double ten_x25519(void *arg)
{
	uint8_t secret[32], public[32], shared[32];
	double began;

	(void)arg;
	randombytes_buf(secret, sizeof(secret));
	crypto_scalarmult_base(public, secret);
	began = timing_worked();
	for (unsigned i = 0; i < 10 * HANDSHAKES; i++)
		if (crypto_scalarmult(shared, secret, public) != 0)
			bench_fail("X25519", "a key is weak");
	return (timing_worked() - began) / HANDSHAKES;
}

static void measure(struct bench *b, const char *id, const char *what, timing_work *ours,
                    timing_work *reference, double bound)
{
	struct series o = { .n = 0 }, r = { .n = 0 };

	timing_pair(&o, &r, 4 * b->rounds, ours, reference, NULL);
	report_add_times(&b->report, id, what, series_median(&o), series_median(&r), true, bound);
}

void bench_primitives(struct bench *b)
{
	measure(b, "ratchet-one-way", "ratchet, seal and open, one direction (the same steps, bare)",
	        ratchet_one_way, bare_one_way, 0.6);
	measure(b, "ratchet-ping-pong", "ratchet, seal and open, ping-pong (the same steps, bare)",
	        ratchet_ping_pong, bare_ping_pong, 0.8);
	measure(b, "handshake-kk", "KK handshake, both sides (10 X25519)", handshake_kk, ten_x25519, 0.9);
	measure(b, "handshake", "KKpsk0 handshake, both sides (the same)", handshake_kkpsk0, ten_x25519, 0.9);
}
