#include "node/crypto/cpace.h"

#include <sodium.h>

/* "CPace", the group, then for the last step "_ISK". */
#define DSI     "CPaceRistretto255"
#define DSI_ISK DSI "_ISK"

enum { LEN_MAX = 10, HASH_BLOCK = 128 };

/* A length in LEB128: seven bits a byte, the lowest first, the top bit says that more follow. */
static size_t len_encode(uint8_t out[static LEN_MAX], size_t len)
{
	size_t n = 0;

	for (; len >= 0x80; len >>= 7)
		out[n++] = (uint8_t)(len | 0x80);
	out[n++] = (uint8_t)len;
	return n;
}

void cpace_prepend_len(struct writer *w, struct span part)
{
	uint8_t len[LEN_MAX];

	writer_bytes(w, len, len_encode(len, part.len));
	writer_span(w, part);
}

void cpace_lv_cat(struct writer *w, const struct span *parts, size_t parts_len)
{
	for (size_t i = 0; i < parts_len; i++)
		cpace_prepend_len(w, parts[i]);
}

/* prepend_len() into a hash, so that no part has a longest length. */
static void hash_lv(crypto_hash_sha512_state *state, struct span part)
{
	uint8_t len[LEN_MAX];

	crypto_hash_sha512_update(state, len, len_encode(len, part.len));
	crypto_hash_sha512_update(state, part.p, part.len);
}

void cpace_scalar_new(struct cpace_scalar *out, struct random *rng)
{
	uint8_t wide[crypto_core_ristretto255_NONREDUCEDSCALARBYTES] = { 0 };
	uint8_t reduced[crypto_core_ristretto255_SCALARBYTES];

	do {
		random_bytes(rng, wide, sizeof(out->b));
		wide[31] &= 0x1f; /* the order has 253 bits */
		crypto_core_ristretto255_scalar_reduce(reduced, wide);
	} while (sodium_memcmp(reduced, wide, sizeof(reduced)) != 0 ||
	         sodium_is_zero(reduced, sizeof(reduced)));
	memcpy(out->b, reduced, sizeof(out->b));
	sodium_memzero(wide, sizeof(wide));
	sodium_memzero(reduced, sizeof(reduced));
}

/* calculate_generator: the password fills the first block of the hash alone, the zeros do that. */
static void generator(uint8_t out[static crypto_core_ristretto255_BYTES], const struct cpace *c)
{
	static const uint8_t zeros[HASH_BLOCK];
	uint8_t hash[crypto_core_ristretto255_HASHBYTES], len[LEN_MAX];
	const size_t used = 1 + (1 + strlen(DSI)) + len_encode(len, c->prs.len) + c->prs.len;
	crypto_hash_sha512_state state;

	crypto_hash_sha512_init(&state);
	hash_lv(&state, span_str(DSI));
	hash_lv(&state, c->prs);
	hash_lv(&state, span_from(zeros, used < HASH_BLOCK ? HASH_BLOCK - used : 0));
	hash_lv(&state, c->ci);
	hash_lv(&state, c->sid);
	crypto_hash_sha512_final(&state, hash);
	crypto_core_ristretto255_from_hash(out, hash);
	sodium_memzero(&state, sizeof(state));
	sodium_memzero(hash, sizeof(hash));
}

void cpace_share(struct cpace_share *out, const struct cpace *c, const struct cpace_scalar *y)
{
	uint8_t g[crypto_core_ristretto255_BYTES];
	int r;

	generator(g, c);
	r = crypto_scalarmult_ristretto255(out->b, y->b, g);
	assert(r == 0); /* only a scalar of zero, which is none */
	(void)r;
	sodium_memzero(g, sizeof(g));
}

int cpace_isk_ir(struct hash64 *out, const struct cpace *c, const struct cpace_scalar *y, bool initiator,
                 const struct cpace_share *share_a, const struct cpace_share *share_b)
{
	uint8_t k[crypto_scalarmult_ristretto255_BYTES];
	crypto_hash_sha512_state state;

	/* scalar_mult_vfy: fails for what is no encoding, and where the result is neutral. */
	if (crypto_scalarmult_ristretto255(k, y->b, initiator ? share_b->b : share_a->b) != 0) {
		sodium_memzero(k, sizeof(k));
		return CPACE_REFUSED;
	}
	crypto_hash_sha512_init(&state);
	hash_lv(&state, span_str(DSI_ISK));
	hash_lv(&state, c->sid);
	hash_lv(&state, SPAN(k));
	hash_lv(&state, KEY_SPAN(share_a)); /* transcript_ir */
	hash_lv(&state, c->ad_a);
	hash_lv(&state, KEY_SPAN(share_b));
	hash_lv(&state, c->ad_b);
	crypto_hash_sha512_final(&state, out->b);
	sodium_memzero(&state, sizeof(state));
	sodium_memzero(k, sizeof(k));
	return 0;
}
