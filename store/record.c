#include "store/record.h"

#include <sodium.h>

#include "node/crypto/kdf.h"

/*
 * A head, 4,096 bytes:
 *
 *      0   24  nonce
 *     24   +8  seq
 *     32   +2  part
 *     34   +2  parts
 *     36   +4  c, pages in this record
 *     40   +4  pages in the database
 *     44  +16  MAC of the head before; zeros in the first
 *     60  +32  B2("fl1:macs", the c page MACs)
 *     92  +4c  their page numbers
 *              zeros to 4,080; from 24 on sealed
 *   4080  +16  MAC
 */
enum {
	HEAD_PLAIN = RECORD_BLOCK - RECORD_NONCE - RECORD_MAC,
	HEAD_FIXED = 68,
	PAGE_AD = 8 + 4 + 8,
};
static_assert(HEAD_PLAIN == 4056 && (HEAD_PLAIN - HEAD_FIXED) / 4 == RECORD_PAGES_MAX, "PROTOCOL section 8");
static_assert(RECORD_SEALED == 4136, "PROTOCOL section 8");

#define HEAD_AD "fl1:head"

void record_key(struct sym_key *k, const struct sym_key *vk)
{
	b2(k->b, sizeof(k->b), "fl1:page", KEY_SPAN(vk), SPAN_NONE);
}

uint64_t record_len_bare(uint32_t count)
{
	return RECORD_BLOCK + (uint64_t)count * RECORD_SEALED;
}

uint64_t record_len(uint32_t count)
{
	return (record_len_bare(count) + RECORD_BLOCK - 1) / RECORD_BLOCK * RECORD_BLOCK;
}

const uint8_t *record_mac(const uint8_t *sealed, size_t len)
{
	return sealed + len - RECORD_MAC;
}

void record_macs(struct hash32 *out, struct span macs)
{
	b2(out->b, sizeof(out->b), "fl1:macs", SPAN_NONE, macs);
}

void record_seal_head(uint8_t out[static RECORD_BLOCK], const struct record_head *head,
                      const struct sym_key *k)
{
	struct writer w = writer_on(out + RECORD_NONCE, HEAD_PLAIN);

	assert(head->count <= RECORD_PAGES_MAX && head->part < head->parts);
	writer_u64(&w, head->seq);
	writer_u16(&w, head->part);
	writer_u16(&w, head->parts);
	writer_u32(&w, head->count);
	writer_u32(&w, head->db_pages);
	writer_bytes(&w, head->before, RECORD_MAC);
	writer_span(&w, KEY_SPAN(&head->macs));
	for (uint32_t i = 0; i < head->count; i++)
		writer_u32(&w, head->pgno[i]);
	writer_zeros(&w, writer_left(&w));
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + RECORD_NONCE, NULL, out + RECORD_NONCE, HEAD_PLAIN,
	                                           (const uint8_t *)HEAD_AD, strlen(HEAD_AD), NULL, out,
	                                           k->b);
}

/* Not in constant time: the count of pages is no secret from who holds the key. */
static bool all_zero(struct span s)
{
	static const uint8_t zeros[HEAD_PLAIN];

	return span_equal(s, span_from(zeros, s.len));
}

static int head_decode(struct record_head *h, struct span plain)
{
	struct reader r = reader_from(plain);

	h->seq = reader_u64(&r);
	h->part = reader_u16(&r);
	h->parts = reader_u16(&r);
	h->count = reader_u32(&r);
	h->db_pages = reader_u32(&r);
	reader_bytes(&r, h->before, RECORD_MAC);
	reader_bytes(&r, h->macs.b, sizeof(h->macs.b));
	if (h->part >= h->parts || h->count > RECORD_PAGES_MAX)
		return RECORD_SHUT;
	for (uint32_t i = 0; i < h->count; i++) {
		h->pgno[i] = reader_u32(&r);
		if (h->pgno[i] == 0)
			return RECORD_SHUT;
	}
	return all_zero(reader_rest(&r)) ? 0 : RECORD_SHUT;
}

bool record_may_be_head(const uint8_t in[static RECORD_BLOCK], const struct sym_key *k)
{
	uint8_t plain[16]; /* seq, part, parts, count */
	uint16_t part, parts;

	/* The AEAD's stream from its first block of text on. */
	crypto_stream_xchacha20_xor_ic(plain, in + RECORD_NONCE, sizeof(plain), in, 1, k->b);
	part = load_u16(plain + 8);
	parts = load_u16(plain + 10);
	return part < parts && load_u32(plain + 12) <= RECORD_PAGES_MAX;
}

int record_open_head(struct record_head *out, const uint8_t in[static RECORD_BLOCK], const struct sym_key *k)
{
	uint8_t plain[HEAD_PLAIN];

	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, in + RECORD_NONCE,
	                                               RECORD_BLOCK - RECORD_NONCE, (const uint8_t *)HEAD_AD,
	                                               strlen(HEAD_AD), in, k->b) != 0)
		return RECORD_SHUT;
	return head_decode(out, SPAN(plain));
}

void record_blank(uint8_t out[static RECORD_BLOCK], uint32_t block, const struct sym_key *k)
{
	static const uint8_t zeros[RECORD_BLOCK], nonce[crypto_stream_chacha20_ietf_NONCEBYTES];
	struct sym_key key;

	assert(block < RECORD_BLANK);
	b2(key.b, sizeof(key.b), "fl1:blank", KEY_SPAN(k), SPAN_NONE);
	crypto_stream_chacha20_ietf_xor_ic(out, zeros, sizeof(zeros), nonce, block * (RECORD_BLOCK / 64),
	                                   key.b);
	sodium_memzero(&key, sizeof(key));
}

static void page_ad(uint8_t ad[static PAGE_AD], uint32_t pgno, uint64_t seq)
{
	struct writer w = writer_on(ad, PAGE_AD);

	writer_str(&w, "fl1:page");
	writer_u32(&w, pgno);
	writer_u64(&w, seq);
	assert(writer_done(&w).len == PAGE_AD);
}

void record_seal_page(uint8_t out[static RECORD_SEALED], const uint8_t page[static RECORD_PAGE],
                      uint32_t pgno, uint64_t seq, const struct sym_key *k)
{
	uint8_t ad[PAGE_AD];

	page_ad(ad, pgno, seq);
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + RECORD_NONCE, NULL, page, RECORD_PAGE, ad,
	                                           sizeof(ad), NULL, out, k->b);
}

int record_open_page(uint8_t page[static RECORD_PAGE], const uint8_t in[static RECORD_SEALED], uint32_t pgno,
                     uint64_t seq, const struct sym_key *k)
{
	uint8_t ad[PAGE_AD];

	page_ad(ad, pgno, seq);
	return crypto_aead_xchacha20poly1305_ietf_decrypt(page, NULL, NULL, in + RECORD_NONCE,
	                                                  RECORD_SEALED - RECORD_NONCE, ad, sizeof(ad), in,
	                                                  k->b) == 0
	               ? 0
	               : RECORD_SHUT;
}
