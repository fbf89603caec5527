#include "tests/fuzz/fuzz.h"

#include <sodium.h>

#include "node/crypto/envelope.h"

/* PROTOCOL section 6 */
enum { TAG_AT = 24, HEAD_AT = 40, BODY_AT = 76, MAC_LEN = 16, AD_LEN = 7 + 32 + 52 };

/* Byte 0: the size class; then the head, then the body: both under the right keys. It opens where the length
 * and the zeros are right, to what stands there. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sym_key header_key = { { 1 } }, message_key = { { 2 } };
	static const struct hash32 aid = { { 3 } };
	static uint8_t envelope[ENVELOPE_MAX], body[ENVELOPE_MAX], out[ENVELOPE_MAX];
	struct reader in = reader_from(span_from(data, size));
	static const size_t sizes[] = { 1024, 4096, 16384, 65536 };
	const size_t len = sizes[reader_u8(&in) % COUNT_OF(sizes)], body_len = len - BODY_AT - MAC_LEN;
	const struct span all = span_from(envelope, len);
	uint8_t ad[AD_LEN], plain_head[BODY_AT - HEAD_AT];
	struct writer w = WRITER_ON(ad), text = WRITER_ON(out);
	struct envelope_head head;
	struct span given;
	size_t text_len;
	bool whole;

	reader_bytes(&in, plain_head, sizeof(plain_head));
	given = reader_span(&in, MIN(in.len, body_len));
	memset(envelope, 0x55, BODY_AT);
	memset(body, 0, body_len);
	if (given.len > 0)
		memcpy(body, given.p, given.len);
	crypto_stream_xchacha20_xor(envelope + HEAD_AT, plain_head, sizeof(plain_head), envelope,
	                            header_key.b);
	writer_str(&w, "fl1:env");
	writer_span(&w, KEY_SPAN(&aid));
	writer_bytes(&w, envelope + TAG_AT, BODY_AT - TAG_AT);
	crypto_aead_xchacha20poly1305_ietf_encrypt(envelope + BODY_AT, NULL, body, body_len, ad, sizeof(ad),
	                                           NULL, envelope, message_key.b);
	envelope_open_head(&head, all, &header_key);
	assert(memcmp(head.dh.b, plain_head, 32) == 0 && head.previous == load_u32(plain_head + 32));
	text_len = load_u16(body);
	whole = text_len <= body_len - 2 && sodium_is_zero(body + 2 + text_len, body_len - 2 - text_len);
	assert((envelope_open_text(&text, all, &message_key, &aid) == 0) == whole);
	assert(text.len == (whole ? text_len : 0) && memcmp(out, body + 2, text.len) == 0);
	return 0;
}
