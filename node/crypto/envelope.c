#include "node/crypto/envelope.h"

#include <sodium.h>

/*
 * An envelope is 1,024, 4,096, 16,384 or 65,536 bytes long (PROTOCOL section 6):
 *
 *     0 24  N, random
 *    24 16  tag
 *    40 36  head: XChaCha20(header key, N) from block 0, xor  0 +32 DHs public | 32 +4 PN, LE
 *    76 ..  body: XChaCha20-Poly1305(message key, N, ad) of   0 +2 length, LE | 2 .. text | .. zeros
 *    end-16 the body's authenticator
 *
 *    ad: 0 +7 "fl1:env" | 7 +32 aid | 39 +52 bytes 24 to 75 of the envelope
 */
enum {
	NONCE_LEN = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG_AT = NONCE_LEN,
	HEAD_AT = TAG_AT + 16,
	HEAD_LEN = 36,
	BODY_AT = HEAD_AT + HEAD_LEN,
	MAC_LEN = crypto_aead_xchacha20poly1305_ietf_ABYTES,
	LENGTH_LEN = 2,
	AD_LEN = 7 + 32 + (BODY_AT - TAG_AT)
};

static_assert(BODY_AT == 76, "PROTOCOL section 6");
static_assert(BODY_AT + MAC_LEN + LENGTH_LEN == ENVELOPE_OVERHEAD, "PROTOCOL section 6");
static_assert(ENVELOPE_TEXT_MAX <= UINT16_MAX, "the text's length has 16 bits");

static const size_t classes[] = { ENVELOPE_MIN, 4096, 16384, ENVELOPE_MAX };

size_t envelope_size_for(size_t text_len)
{
	for (size_t i = 0; i < COUNT_OF(classes); i++) {
		if (text_len <= classes[i] - ENVELOPE_OVERHEAD)
			return classes[i];
	}
	return 0;
}

size_t envelope_text_max(size_t size)
{
	for (size_t i = 0; i < COUNT_OF(classes); i++) {
		if (size == classes[i])
			return size - ENVELOPE_OVERHEAD;
	}
	return 0;
}

static void make_ad(uint8_t ad[static AD_LEN], const struct hash32 *aid, const uint8_t *envelope)
{
	struct writer w = writer_on(ad, AD_LEN);

	writer_str(&w, "fl1:env");
	writer_bytes(&w, aid->b, sizeof(aid->b));
	writer_bytes(&w, envelope + TAG_AT, BODY_AT - TAG_AT);
	assert(!w.failed && w.len == AD_LEN);
}

static void encode_head(uint8_t out[static HEAD_LEN], const struct envelope_head *head)
{
	memcpy(out, head->dh.b, sizeof(head->dh.b));
	store_u32(out + sizeof(head->dh.b), head->previous);
}

void envelope_seal(struct writer *out, size_t size, const struct envelope_keys *keys,
                   const struct envelope_head *head, const struct hash32 *aid, struct span text,
                   struct random *rng)
{
	uint8_t *p = writer_skip(out, size), *body = p + BODY_AT;
	const size_t body_len = size - BODY_AT - MAC_LEN;
	uint8_t ad[AD_LEN];

	assert(p != NULL && envelope_text_max(size) >= text.len && envelope_text_max(size) > 0);
	random_bytes(rng, p, NONCE_LEN);
	memcpy(p + TAG_AT, keys->tag.b, sizeof(keys->tag.b));
	encode_head(p + HEAD_AT, head);
	crypto_stream_xchacha20_xor(p + HEAD_AT, p + HEAD_AT, HEAD_LEN, p, keys->header.b);
	make_ad(ad, aid, p);
	store_u16(body, (uint16_t)text.len);
	if (text.len > 0)
		memcpy(body + LENGTH_LEN, text.p, text.len);
	memset(body + LENGTH_LEN + text.len, 0, body_len - LENGTH_LEN - text.len);
	crypto_aead_xchacha20poly1305_ietf_encrypt(body, NULL, body, body_len, ad, sizeof(ad), NULL, p,
	                                           keys->message.b);
}

void envelope_tag(struct tag16 *out, struct span envelope)
{
	assert(envelope_text_max(envelope.len) > 0);
	memcpy(out->b, envelope.p + TAG_AT, sizeof(out->b));
}

void envelope_open_head(struct envelope_head *out, struct span envelope, const struct sym_key *header_key)
{
	uint8_t head[HEAD_LEN];

	assert(envelope_text_max(envelope.len) > 0);
	crypto_stream_xchacha20_xor(head, envelope.p + HEAD_AT, HEAD_LEN, envelope.p, header_key->b);
	memcpy(out->dh.b, head, sizeof(out->dh.b));
	out->previous = load_u32(head + sizeof(out->dh.b));
	sodium_memzero(head, sizeof(head));
}

/* The text within an opened body; false when its length or its padding is not as PROTOCOL section 6 has it.
 * The body is authentic by now, so that its zeros need not be looked at in constant time. */
static bool body_text(struct span *text, const uint8_t *body, size_t body_len)
{
	const size_t len = load_u16(body), rest = body_len - LENGTH_LEN;
	const uint8_t *zeros = body + LENGTH_LEN + len;

	if (len > rest)
		return false;
	*text = span_from(body + LENGTH_LEN, len);
	return len == rest || (zeros[0] == 0 && memcmp(zeros, zeros + 1, rest - len - 1) == 0);
}

int envelope_open_text(struct writer *text, struct span envelope, const struct sym_key *message_key,
                       const struct hash32 *aid)
{
	const size_t body_len = envelope.len - BODY_AT - MAC_LEN;
	const size_t before = text->len;
	uint8_t *body = writer_skip(text, body_len);
	uint8_t ad[AD_LEN];
	struct span found = SPAN_NONE;
	bool whole;

	assert(envelope_text_max(envelope.len) > 0 && body != NULL);
	make_ad(ad, aid, envelope.p);
	whole = crypto_aead_xchacha20poly1305_ietf_decrypt(body, NULL, NULL, envelope.p + BODY_AT,
	                                                   body_len + MAC_LEN, ad, sizeof(ad), envelope.p,
	                                                   message_key->b) == 0 &&
	        body_text(&found, body, body_len);
	if (whole)
		memmove(body, found.p, found.len);
	else
		found.len = 0;
	sodium_memzero(body + found.len, body_len - found.len);
	text->len = before + found.len;
	return whole ? 0 : ENVELOPE_REFUSED;
}
