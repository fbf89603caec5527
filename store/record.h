/*
 * record.h: the bytes of the page log (PROTOCOL section 8), pure.
 *
 * A log is records from offset 0 on; a record is a sealed head, sealed pages, and
 * random bytes to a whole block. The commits that records make are pagelog.h's.
 */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "node/crypto/keys.h"

enum {
	RECORD_BLOCK = 4096, /* records begin at multiples of it, and a head is one */
	RECORD_PAGE = 4096,
	RECORD_NONCE = 24,
	RECORD_MAC = 16,
	RECORD_SEALED = RECORD_NONCE + RECORD_PAGE + RECORD_MAC, /* a page in the log */
	RECORD_PAGES_MAX = 997,
	RECORD_BLANK = 8, /* blocks behind the one commit of a log made anew */
};
enum { RECORD_SHUT = 1 }; /* outcome: not sealed under this key for this place, or not as the format says */

struct record_head {
	uint64_t seq; /* of the commit, from 0 */
	uint16_t part, parts;
	uint32_t count;    /* pages in this record */
	uint32_t db_pages; /* in the database after the commit */
	uint8_t before[RECORD_MAC];
	struct hash32 macs;
	uint32_t pgno[RECORD_PAGES_MAX]; /* count of them, from 1 on */
};

/* k of a VK. */
void record_key(struct sym_key *k, const struct sym_key *vk);
/* Bytes of a record of count pages, padding and all; and without the padding. */
uint64_t record_len(uint32_t count);
uint64_t record_len_bare(uint32_t count);

/* out begins with its nonce, which the caller has put there. */
void record_seal_head(uint8_t out[static RECORD_BLOCK], const struct record_head *head,
                      const struct sym_key *k);
/* Whether in is worth opening: false only for what is no head, at a tenth of the cost. Says nothing of what
 * it is. */
bool record_may_be_head(const uint8_t in[static RECORD_BLOCK], const struct sym_key *k);
must_check int record_open_head(struct record_head *out, const uint8_t in[static RECORD_BLOCK],
                                const struct sym_key *k);
/* out begins with its nonce here too. */
void record_seal_page(uint8_t out[static RECORD_SEALED], const uint8_t page[static RECORD_PAGE],
                      uint32_t pgno, uint64_t seq, const struct sym_key *k);
must_check int record_open_page(uint8_t page[static RECORD_PAGE], const uint8_t in[static RECORD_SEALED],
                                uint32_t pgno, uint64_t seq, const struct sym_key *k);
/* One block of what stands behind the one commit of a log made anew until the next one is written. */
void record_blank(uint8_t out[static RECORD_BLOCK], uint32_t block, const struct sym_key *k);
/* The hash of the page MACs, one after the other, that a head holds. */
void record_macs(struct hash32 *out, struct span macs);
/* The MAC of a sealed head, or of a sealed page of len bytes: its end. */
const uint8_t *record_mac(const uint8_t *sealed, size_t len);

#endif
