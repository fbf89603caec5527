#include "node/crypto/noise.h"

#include <sodium.h>

#include "node/crypto/kdf.h"

/*
 * The names are those of the Noise specification: ck is the chaining key, h the hash of all that was
 * said, k and n the cipher state of the handshake; es is the DH of the initiator's ephemeral with
 * the responder's static key.
 *
 * A pattern is a row of a table, its messages are words. Each message is walked word by
 * word by write_token() or read_token(); what both sides do alike is in mix_token(). Whatever goes wrong
 * ends in refuse(), which wipes the state, so that nobody can go on with half a handshake.
 *
 * HMAC hashes with BLAKE2b, block 128 and output 64 bytes, unkeyed: libsodium's keyed mode is not HMAC.
 */

enum { HASH_LEN = 64, HASH_BLOCK = 128, MESSAGES_MAX = 4, TOKENS_MAX = 8 };

enum token { TOKEN_E, TOKEN_S, TOKEN_EE, TOKEN_ES, TOKEN_SE, TOKEN_SS, TOKEN_PSK };

/* Noise sections 7.4, 7.5 and 18.1. The initiator speaks first, then they take turns. */
struct noise_pattern {
	const char *name;
	bool knows_initiator, knows_responder; /* pre-messages -> s and <- s */
	const char *messages[MESSAGES_MAX];
};

static const struct noise_pattern patterns[] = {
	/* one-way */
	{ "N", false, true, { "e es" } },
	{ "K", true, true, { "e es ss" } },
	{ "X", false, true, { "e es s ss" } },
	/* fundamental */
	{ "NN", false, false, { "e", "e ee" } },
	{ "NK", false, true, { "e es", "e ee" } },
	{ "NX", false, false, { "e", "e ee s es" } },
	{ "KN", true, false, { "e", "e ee se" } },
	{ "KK", true, true, { "e es ss", "e ee se" } },
	{ "KX", true, false, { "e", "e ee se s es" } },
	{ "XN", false, false, { "e", "e ee", "s se" } },
	{ "XK", false, true, { "e es", "e ee", "s se" } },
	{ "XX", false, false, { "e", "e ee s es", "s se" } },
	{ "IN", false, false, { "e s", "e ee se" } },
	{ "IK", false, true, { "e es s ss", "e ee se" } },
	{ "IX", false, false, { "e s", "e ee se s es" } },
	/* deferred */
	{ "NK1", false, true, { "e", "e ee es" } },
	{ "NX1", false, false, { "e", "e ee s", "es" } },
	{ "X1N", false, false, { "e", "e ee", "s", "se" } },
	{ "X1K", false, true, { "e es", "e ee", "s", "se" } },
	{ "XK1", false, true, { "e", "e ee es", "s se" } },
	{ "X1K1", false, true, { "e", "e ee es", "s", "se" } },
	{ "X1X", false, false, { "e", "e ee s es", "s", "se" } },
	{ "XX1", false, false, { "e", "e ee s", "es s se" } },
	{ "X1X1", false, false, { "e", "e ee s", "es s", "se" } },
	{ "K1N", true, false, { "e", "e ee", "se" } },
	{ "K1K", true, true, { "e es", "e ee", "se" } },
	{ "KK1", true, true, { "e", "e ee se es" } },
	{ "K1K1", true, true, { "e", "e ee es", "se" } },
	{ "K1X", true, false, { "e", "e ee s es", "se" } },
	{ "KX1", true, false, { "e", "e ee se s", "es" } },
	{ "K1X1", true, false, { "e", "e ee s", "se es" } },
	{ "I1N", false, false, { "e s", "e ee", "se" } },
	{ "I1K", false, true, { "e es s", "e ee", "se" } },
	{ "IK1", false, true, { "e s", "e ee se es" } },
	{ "I1K1", false, true, { "e s", "e ee es", "se" } },
	{ "I1X", false, false, { "e s", "e ee s es", "se" } },
	{ "IX1", false, false, { "e s", "e ee se s", "es" } },
	{ "I1X1", false, false, { "e s", "e ee s", "se es" } },
};

/* --- Patterns --- */

static unsigned messages_of(const struct noise_pattern *p)
{
	unsigned n = 0;

	while (n < MESSAGES_MAX && p->messages[n] != NULL)
		n++;
	return n;
}

/* The modifiers behind the base name: "", or "psk0", "psk1+psk3", ..., in ascending order. */
static bool parse_modifiers(unsigned *places, const char *text, unsigned last)
{
	unsigned least = 0;

	*places = 0;
	while (*text != '\0') {
		unsigned place;

		if (*places != 0 && *text++ != '+')
			return false;
		if (strncmp(text, "psk", 3) != 0 || text[3] < '0' || text[3] > '9')
			return false;
		place = (unsigned)(text[3] - '0');
		if (place < least || place > last)
			return false;
		*places |= BIT(place);
		least = place + 1;
		text += 4;
	}
	return true;
}

static bool parse_pattern(struct noise *n, const char *name)
{
	const size_t base_len = strcspn(name, "p");

	for (size_t i = 0; i < COUNT_OF(patterns); i++) {
		const struct noise_pattern *p = &patterns[i];

		if (strlen(p->name) != base_len || strncmp(p->name, name, base_len) != 0)
			continue;
		n->pattern = p;
		return parse_modifiers(&n->psk_places, name + base_len, messages_of(p));
	}
	return false;
}

static enum token token_named(const char *word, size_t len)
{
	static const char *const names[] = { "e", "s", "ee", "es", "se", "ss" };
	unsigned t = 0;

	while (strlen(names[t]) != len || memcmp(names[t], word, len) != 0) {
		t++;
		assert(t < COUNT_OF(names));
	}
	return (enum token)t;
}

/* The tokens of the message that is next: those of the table with the psk modifiers around them. */
static size_t tokens_next(const struct noise *n, enum token out[static TOKENS_MAX])
{
	const char *text = n->pattern->messages[n->step];
	size_t len = 0;

	if (n->step == 0 && (n->psk_places & BIT(0)))
		out[len++] = TOKEN_PSK;
	while (*text != '\0') {
		const size_t word = strcspn(text, " ");

		out[len++] = token_named(text, word);
		text += word;
		text += strspn(text, " ");
	}
	if (n->psk_places & BIT(n->step + 1))
		out[len++] = TOKEN_PSK;
	assert(len <= TOKENS_MAX);
	return len;
}

/* Whether a key that token i makes seals anything: a static key or the payload comes next. Every other token
 * that can follow replaces it: an `e` is behind psk0 only, and mixed in then. */
static bool is_key_used(const enum token *tokens, size_t i, size_t len)
{
	return i + 1 == len || tokens[i + 1] == TOKEN_S;
}

/* Whether the side in question says its static key in one of its messages. */
static bool sends_static(const struct noise_pattern *p, bool initiator)
{
	for (unsigned i = initiator ? 0 : 1; i < messages_of(p); i += 2) {
		const char *s = strstr(p->messages[i], "s");

		for (; s != NULL; s = strstr(s + 1, "s")) {
			if ((s == p->messages[i] || s[-1] == ' ') && (s[1] == ' ' || s[1] == '\0'))
				return true;
		}
	}
	return false;
}

/* --- Hashing --- */

/* The hash of what was put together in buf, which is wiped: in one call, because libsodium's steps cost as
 * much again as the hashing of the few bytes that there are here. */
static void hash_of(uint8_t out[static HASH_LEN], uint8_t *buf, size_t len)
{
	crypto_generichash(out, HASH_LEN, buf, len, NULL, 0);
	sodium_memzero(buf, len);
}

/* HMAC-BLAKE2b of data ‖ last, where last is left out when it is 0. Only keys and hashes go into HKDF: data
 * is no longer than a hash. */
static void hmac(struct hash64 *out, const struct hash64 *key, struct span data, uint8_t last)
{
	uint8_t inner[HASH_BLOCK + HASH_LEN + 1], outer[HASH_BLOCK + HASH_LEN];
	size_t len = HASH_BLOCK + data.len;

	assert(data.len <= HASH_LEN);
	for (size_t i = 0; i < HASH_LEN; i++) {
		inner[i] = 0x36 ^ key->b[i];
		outer[i] = 0x5c ^ key->b[i];
	}
	memset(inner + HASH_LEN, 0x36, HASH_BLOCK - HASH_LEN);
	memset(outer + HASH_LEN, 0x5c, HASH_BLOCK - HASH_LEN);
	if (data.len > 0)
		memcpy(inner + HASH_BLOCK, data.p, data.len);
	if (last != 0)
		inner[len++] = last;
	hash_of(outer + HASH_BLOCK, inner, len);
	hash_of(out->b, outer, sizeof(outer));
}

/* HKDF of Noise 4.3: outputs (1 to 3) of 64 bytes each. */
static void hkdf(struct hash64 *out, size_t outputs, const struct hash64 *ck, struct span input)
{
	struct hash64 temp;

	hmac(&temp, ck, input, 0);
	for (size_t i = 0; i < outputs; i++)
		hmac(&out[i], &temp, i == 0 ? SPAN_NONE : KEY_SPAN(&out[i - 1]), (uint8_t)(i + 1));
	sodium_memzero(&temp, sizeof(temp));
}

static void mix_hash(struct noise *n, struct span data)
{
	crypto_generichash_state state;
	uint8_t both[2 * HASH_LEN];

	if (data.len <= sizeof(both) - HASH_LEN) { /* all but long payloads and prologues */
		memcpy(both, n->h.b, HASH_LEN);
		if (data.len > 0)
			memcpy(both + HASH_LEN, data.p, data.len);
		hash_of(n->h.b, both, HASH_LEN + data.len);
		return;
	}
	crypto_generichash_init(&state, NULL, 0, HASH_LEN);
	crypto_generichash_update(&state, n->h.b, HASH_LEN);
	crypto_generichash_update(&state, data.p, data.len);
	crypto_generichash_final(&state, n->h.b, HASH_LEN);
	sodium_memzero(&state, sizeof(state));
}

/* Takes the key, the last output of HKDF. One that the next token replaces is not made at all, which
 * spares a sixth of the hashing; the nonce that no sealing takes stands guard over it. */
static void set_key(struct noise *n, const struct hash64 *from, bool is_used)
{
	if (is_used)
		memcpy(n->k.b, from->b, sizeof(n->k.b));
	else
		sodium_memzero(n->k.b, sizeof(n->k.b));
	n->n = is_used ? 0 : UINT64_MAX;
	n->has_k = true;
}

static void mix_key(struct noise *n, struct span input, bool is_used)
{
	struct hash64 out[2];

	hkdf(out, is_used ? 2 : 1, &n->ck, input);
	n->ck = out[0];
	set_key(n, &out[1], is_used);
	sodium_memzero(out, sizeof(out));
}

static void mix_key_and_hash(struct noise *n, struct span input, bool is_used)
{
	struct hash64 out[3];

	hkdf(out, is_used ? 3 : 2, &n->ck, input);
	n->ck = out[0];
	mix_hash(n, KEY_SPAN(&out[1]));
	set_key(n, &out[2], is_used);
	sodium_memzero(out, sizeof(out));
}

/* --- Sealing --- */

/* Noise section 12.3: 32 bits of zeros, then the counter, little-endian. */
static void nonce_make(uint8_t out[static crypto_aead_chacha20poly1305_IETF_NPUBBYTES], uint64_t counter)
{
	assert(counter != UINT64_MAX);
	store_u32(out, 0);
	store_u64(out + 4, counter);
}

void noise_seal(struct writer *out, const struct sym_key *key, uint64_t nonce, struct span ad,
                struct span plain)
{
	uint8_t npub[crypto_aead_chacha20poly1305_IETF_NPUBBYTES];
	uint8_t *to = writer_skip(out, plain.len + NOISE_TAG_LEN);

	if (to == NULL)
		return;
	nonce_make(npub, nonce);
	crypto_aead_chacha20poly1305_ietf_encrypt(to, NULL, plain.p, plain.len, ad.p, ad.len, NULL, npub,
	                                          key->b);
}

int noise_open(struct writer *out, const struct sym_key *key, uint64_t nonce, struct span ad,
               struct span sealed)
{
	uint8_t npub[crypto_aead_chacha20poly1305_IETF_NPUBBYTES];
	const size_t before = out->len;
	uint8_t *to;

	if (sealed.len < NOISE_TAG_LEN || sealed.len - NOISE_TAG_LEN > writer_left(out))
		return NOISE_REFUSED;
	to = writer_skip(out, sealed.len - NOISE_TAG_LEN);
	if (to == NULL)
		return NOISE_REFUSED;
	nonce_make(npub, nonce);
	if (crypto_aead_chacha20poly1305_ietf_decrypt(to, NULL, NULL, sealed.p, sealed.len, ad.p, ad.len,
	                                              npub, key->b) == 0)
		return 0;
	out->len = before;
	return NOISE_REFUSED;
}

/* Plain as long as there is no key. */
static void encrypt_and_hash(struct noise *n, struct writer *out, struct span plain)
{
	const size_t before = out->len;

	if (n->has_k)
		noise_seal(out, &n->k, n->n++, KEY_SPAN(&n->h), plain);
	else
		writer_span(out, plain);
	if (!out->failed)
		mix_hash(n, span_from(out->p + before, out->len - before));
}

static int decrypt_and_hash(struct noise *n, struct writer *out, struct span sealed)
{
	if (n->has_k) {
		if (noise_open(out, &n->k, n->n++, KEY_SPAN(&n->h), sealed) != 0)
			return NOISE_REFUSED;
	} else {
		if (sealed.len > writer_left(out))
			return NOISE_REFUSED;
		writer_span(out, sealed);
	}
	mix_hash(n, sealed);
	return 0;
}

/* --- Tokens --- */

static int mix_dh(struct noise *n, const struct key_pair *own, const struct public_key *other, bool is_used)
{
	uint8_t shared[32];
	const int r = x25519(shared, &own->secret, other);

	if (r == 0)
		mix_key(n, SPAN(shared), is_used);
	sodium_memzero(shared, sizeof(shared));
	return r == 0 ? 0 : NOISE_REFUSED;
}

/* The tokens that put nothing into the message: the same for who writes and who reads it. */
static int mix_token(struct noise *n, enum token token, bool is_used)
{
	switch (token) {
	case TOKEN_EE: /* ee */
		return mix_dh(n, &n->e, &n->re, is_used);
	case TOKEN_ES: /* es */
		return n->initiator ? mix_dh(n, &n->e, &n->rs, is_used) : mix_dh(n, &n->s, &n->re, is_used);
	case TOKEN_SE: /* se */
		return n->initiator ? mix_dh(n, &n->s, &n->re, is_used) : mix_dh(n, &n->e, &n->rs, is_used);
	case TOKEN_SS: /* ss */
		return mix_dh(n, &n->s, &n->rs, is_used);
	case TOKEN_PSK: /* psk */
		mix_key_and_hash(n, KEY_SPAN(&n->psks[n->psk_next++]), is_used);
		return 0;
	default:
		assert(false);
		return NOISE_REFUSED;
	}
}

/* With a psk the ephemeral key is mixed in too, or the key stream would repeat (Noise 9.2). */
static void mix_ephemeral(struct noise *n, const struct public_key *e, bool is_used)
{
	mix_hash(n, KEY_SPAN(e));
	if (n->psk_places != 0)
		mix_key(n, KEY_SPAN(e), is_used);
}

static int write_token(struct noise *n, struct random *rng, struct writer *out, enum token token,
                       bool is_used)
{
	switch (token) {
	case TOKEN_E: /* e */
		if (!n->has_e)
			key_pair_new(&n->e, rng);
		n->has_e = true;
		writer_span(out, KEY_SPAN(&n->e.public));
		mix_ephemeral(n, &n->e.public, is_used);
		return 0;
	case TOKEN_S: /* s */
		encrypt_and_hash(n, out, KEY_SPAN(&n->s.public));
		return 0;
	default:
		return mix_token(n, token, is_used);
	}
}

static int read_token(struct noise *n, struct reader *in, enum token token, bool is_used)
{
	struct writer rs = WRITER_ON(n->rs.b);

	switch (token) {
	case TOKEN_E: /* e */
		reader_bytes(in, n->re.b, sizeof(n->re.b));
		mix_ephemeral(n, &n->re, is_used);
		return in->failed ? NOISE_REFUSED : 0;
	case TOKEN_S: /* s */
		return decrypt_and_hash(n, &rs,
		                        reader_span(in, sizeof(n->rs.b) + (n->has_k ? NOISE_TAG_LEN : 0)));
	default:
		return mix_token(n, token, is_used);
	}
}

/* --- The handshake --- */

/* Wipes, and takes back what the message has written so far. */
static int refuse(struct noise *n, struct writer *out, size_t before)
{
	noise_deinit(n);
	out->len = before;
	return NOISE_REFUSED;
}

static bool is_turn(const struct noise *n, bool writing)
{
	const bool initiators = n->step % 2 == 0;

	return n->pattern != NULL && !noise_is_done(n) && (n->initiator == initiators) == writing;
}

/* Copies the keys that the pattern uses. */
static bool take_keys(struct noise *n, const struct noise_config *c)
{
	const struct noise_pattern *p = n->pattern;
	const bool own_known = c->initiator ? p->knows_initiator : p->knows_responder;
	const bool other_known = c->initiator ? p->knows_responder : p->knows_initiator;

	if (own_known || sends_static(p, c->initiator)) {
		if (c->s == NULL)
			return false;
		n->s = *c->s;
	}
	if (other_known) {
		if (c->rs == NULL)
			return false;
		n->rs = *c->rs;
	}
	if (c->e != NULL) {
		n->e = *c->e;
		n->has_e = true;
	}
	if (c->psks_len != (size_t)__builtin_popcount(n->psk_places))
		return false;
	for (size_t i = 0; i < c->psks_len; i++)
		n->psks[i] = c->psks[i];
	return true;
}

/* h is the protocol's name padded with zeros: no name of ours is longer than a hash. */
static void start(struct noise *n, const struct noise_config *c)
{
	struct writer name = WRITER_ON(n->h.b);
	const struct public_key *own = &n->s.public, *other = &n->rs;

	writer_str(&name, "Noise_");
	writer_str(&name, c->pattern);
	writer_str(&name, "_25519_ChaChaPoly_BLAKE2b");
	assert(!name.failed);
	n->ck = n->h;
	mix_hash(n, c->prologue);
	if (n->pattern->knows_initiator)
		mix_hash(n, KEY_SPAN(n->initiator ? own : other)); /* -> s */
	if (n->pattern->knows_responder)
		mix_hash(n, KEY_SPAN(n->initiator ? other : own)); /* <- s */
}

int noise_init(struct noise *n, const struct noise_config *c)
{
	*n = (struct noise){ .initiator = c->initiator };
	if (!parse_pattern(n, c->pattern) || !take_keys(n, c)) {
		noise_deinit(n);
		return NOISE_BAD_PATTERN;
	}
	start(n, c);
	return 0;
}

void noise_deinit(struct noise *n)
{
	sodium_memzero(n, sizeof(*n));
}

int noise_write(struct noise *n, struct random *rng, struct writer *out, struct span payload)
{
	enum token tokens[TOKENS_MAX];
	const size_t before = out->len;
	size_t len;

	if (!is_turn(n, true))
		return refuse(n, out, before);
	len = tokens_next(n, tokens);
	for (size_t i = 0; i < len; i++) {
		if (write_token(n, rng, out, tokens[i], is_key_used(tokens, i, len)) != 0)
			return refuse(n, out, before);
	}
	encrypt_and_hash(n, out, payload);
	if (out->failed || out->len - before > NOISE_MESSAGE_MAX)
		return refuse(n, out, before);
	n->step++;
	return 0;
}

int noise_read(struct noise *n, struct writer *payload, struct span message)
{
	enum token tokens[TOKENS_MAX];
	struct reader in = reader_from(message);
	const size_t before = payload->len;
	size_t len;

	if (!is_turn(n, false) || message.len > NOISE_MESSAGE_MAX)
		return refuse(n, payload, before);
	len = tokens_next(n, tokens);
	for (size_t i = 0; i < len; i++) {
		if (read_token(n, &in, tokens[i], is_key_used(tokens, i, len)) != 0)
			return refuse(n, payload, before);
	}
	if (in.failed || decrypt_and_hash(n, payload, reader_rest(&in)) != 0)
		return refuse(n, payload, before);
	n->step++;
	return 0;
}

bool noise_is_done(const struct noise *n)
{
	return n->pattern != NULL && n->step == messages_of(n->pattern);
}

const struct public_key *noise_remote_static(const struct noise *n)
{
	return &n->rs;
}

void noise_split(const struct noise *n, struct noise_keys *out)
{
	struct hash64 o[3];

	assert(noise_is_done(n));
	hkdf(o, 3, &n->ck, SPAN_NONE);
	memcpy(out->k_i_to_r.b, o[0].b, sizeof(out->k_i_to_r.b));
	memcpy(out->k_r_to_i.b, o[1].b, sizeof(out->k_r_to_i.b));
	memcpy(out->x.b, o[2].b, sizeof(out->x.b));
	out->h = n->h;
	sodium_memzero(o, sizeof(o));
}
