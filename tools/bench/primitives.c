/*
 * Nothing here waits, so the time is what the processor took; rounds are short and many.
 */
#include <stdio.h>

#include <sodium.h>

#include "node/crypto/noise.h"
#include "node/crypto/random.h"
#include "node/crypto/ratchet.h"
#include "tools/bench/bare.h"
#include "tools/bench/bench.h"
#include "tools/bench/home.h"

enum { MESSAGES = 20000, TURNS = 2000, HANDSHAKES = 200 };

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
	static const uint8_t text[HOME_TEXT_LEN];
	uint8_t envelope[ENVELOPE_MIN], plain[ENVELOPE_MIN];
	struct writer sealed = WRITER_ON(envelope), opened = WRITER_ON(plain);

	bench_must(ratchet_seal(from, random_system(), SPAN(text), sizeof(envelope), &sealed), "sealing");
	bench_must(ratchet_open(to, cache, random_system(), &none, SPAN(envelope), &opened), "opening");
	assert(opened.len == HOME_TEXT_LEN);
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

void bench_compare(struct bench *b, const char *id, const char *what, timing_work *ours,
                   timing_work *reference, double bound)
{
	struct series o = { .n = 0 }, r = { .n = 0 };

	timing_pair(&o, &r, 4 * b->rounds, ours, reference, NULL);
	report_add_times(&b->report, id, what, &o, &r, true, bound);
}

void bench_primitives(struct bench *b)
{
	bench_compare(b, "ratchet-one-way", "ratchet, seal and open, one direction (the same steps, bare)",
	              ratchet_one_way, bare_one_way, 0.6);
	bench_compare(b, "ratchet-ping-pong", "ratchet, seal and open, ping-pong (the same steps, bare)",
	              ratchet_ping_pong, bare_ping_pong, 0.8);
	bench_compare(b, "handshake-kk", "KK handshake, both sides (10 X25519)", handshake_kk, ten_x25519,
	              0.9);
	/* What a link does; its psk costs four HKDFs more than the row above, and has no bound of its own. */
	bench_compare(b, "handshake", "KKpsk0 handshake, both sides (the same)", handshake_kkpsk0, ten_x25519,
	              0);
}
