#include "tools/sim/nonces.h"

#include <execinfo.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * A growing table, open addressing, of 64-bit hashes of key and nonce with eight bytes that stand for the
 * text: of the tag, because under one key and nonce another text or other associated data has another tag.
 * A bare stream has no tag: a hash of its output. Of ten million seals two have one hash by chance in five
 * runs of a million.
 */
enum { FIRST_CAP = 1 << 16, FRAMES_MAX = 32, REPORTS_MAX = 4 };

enum family { XCHACHA20 = 1, CHACHA20_IETF = 2 };

struct seal {
	uint64_t id; /* 0: free */
	uint64_t text;
};

static struct {
	struct seal *seals;
	size_t cap, n;
	uint64_t calls, broken, repeated;
	const char *label;
	bool watching;
} all;

static const uint8_t hash_key[crypto_shorthash_KEYBYTES] = "(key, nonce) ids";

static struct seal *find(struct seal *seals, size_t cap, uint64_t id)
{
	size_t i = id & (cap - 1);

	while (seals[i].id != 0 && seals[i].id != id)
		i = (i + 1) & (cap - 1);
	return &seals[i];
}

static struct seal *table(size_t cap)
{
	struct seal *seals = calloc(cap, sizeof(*seals));

	if (seals == NULL)
		abort();
	return seals;
}

static void grow(void)
{
	const size_t cap = all.cap == 0 ? FIRST_CAP : all.cap * 2;
	struct seal *seals = table(cap);

	for (size_t i = 0; i < all.cap; i++)
		if (all.seals[i].id != 0)
			*find(seals, cap, all.seals[i].id) = all.seals[i];
	free(all.seals);
	all.seals = seals;
	all.cap = cap;
}

static void report(const char *what)
{
	void *frames[FRAMES_MAX];

	if (++all.broken > REPORTS_MAX)
		return;
	fprintf(stderr, "nonces: %s: a key sealed twice with one nonce (%s), call %llu\n",
	        all.label != NULL ? all.label : "somebody", what, (unsigned long long)all.calls);
	backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), STDERR_FILENO);
}

static void remember(enum family family, const uint8_t *key, const uint8_t *nonce, size_t nonce_len,
                     const uint8_t *text, const char *what)
{
	uint8_t in[1 + 32 + 24] = { (uint8_t)family };
	struct seal seal, *found;

	if (!all.watching)
		return;
	all.calls++;
	if (all.n * 4 >= all.cap * 3)
		grow();
	memcpy(in + 1, key, 32);
	memcpy(in + 33, nonce, nonce_len);
	crypto_shorthash((uint8_t *)&seal.id, in, 33 + nonce_len, hash_key);
	sodium_memzero(in, sizeof(in));
	seal.id += seal.id == 0;
	memcpy(&seal.text, text, sizeof(seal.text));
	found = find(all.seals, all.cap, seal.id);
	if (found->id == 0) {
		*found = seal;
		all.n++;
	} else if (found->text == seal.text) {
		all.repeated++;
	} else {
		report(what);
	}
}

void nonces_reset(void)
{
	free(all.seals);
	memset(&all, 0, sizeof(all));
	all.watching = true;
}

void nonces_label(const char *who)
{
	all.label = who;
}

uint64_t nonces_sealed(void)
{
	return all.calls;
}

uint64_t nonces_broken(void)
{
	return all.broken;
}

uint64_t nonces_repeated(void)
{
	return all.repeated;
}

/* --- What the linker puts in place of libsodium's --- */

#define AEAD(name)                                                                                           \
	int __real_##name(unsigned char *c, unsigned long long *clen, const unsigned char *m,                \
	                  unsigned long long mlen, const unsigned char *ad, unsigned long long adlen,        \
	                  const unsigned char *nsec, const unsigned char *npub, const unsigned char *k);     \
	int __wrap_##name(unsigned char *c, unsigned long long *clen, const unsigned char *m,                \
	                  unsigned long long mlen, const unsigned char *ad, unsigned long long adlen,        \
	                  const unsigned char *nsec, const unsigned char *npub, const unsigned char *k);     \
	int __wrap_##name(unsigned char *c, unsigned long long *clen, const unsigned char *m,                \
	                  unsigned long long mlen, const unsigned char *ad, unsigned long long adlen,        \
	                  const unsigned char *nsec, const unsigned char *npub, const unsigned char *k)

AEAD(crypto_aead_xchacha20poly1305_ietf_encrypt)
{
	const int r =
	        __real_crypto_aead_xchacha20poly1305_ietf_encrypt(c, clen, m, mlen, ad, adlen, nsec, npub, k);

	remember(XCHACHA20, k, npub, crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, c + mlen,
	         "XChaCha20-Poly1305");
	return r;
}

AEAD(crypto_aead_chacha20poly1305_ietf_encrypt)
{
	const int r =
	        __real_crypto_aead_chacha20poly1305_ietf_encrypt(c, clen, m, mlen, ad, adlen, nsec, npub, k);

	remember(CHACHA20_IETF, k, npub, crypto_aead_chacha20poly1305_ietf_NPUBBYTES, c + mlen,
	         "ChaCha20-Poly1305");
	return r;
}

int __real_crypto_stream_xchacha20_xor(unsigned char *c, const unsigned char *m, unsigned long long mlen,
                                       const unsigned char *n, const unsigned char *k);
int __wrap_crypto_stream_xchacha20_xor(unsigned char *c, const unsigned char *m, unsigned long long mlen,
                                       const unsigned char *n, const unsigned char *k);

/* The head of an envelope is sealed in place, and opened to elsewhere (node/crypto/envelope.c). */
int __wrap_crypto_stream_xchacha20_xor(unsigned char *c, const unsigned char *m, unsigned long long mlen,
                                       const unsigned char *n, const unsigned char *k)
{
	const int r = __real_crypto_stream_xchacha20_xor(c, m, mlen, n, k);
	uint8_t text[crypto_shorthash_siphashx24_BYTES];

	if (c != m)
		return r;
	crypto_shorthash_siphashx24(text, c, mlen, hash_key);
	remember(XCHACHA20, k, n, crypto_stream_xchacha20_NONCEBYTES, text, "XChaCha20");
	return r;
}
