/*
 * envelope.h: the outside of a message: its sizes, and its bytes under keys that are given.
 *
 * Which keys those are is the ratchet's affair (node/crypto/ratchet.h). PROTOCOL section 6.
 */
#ifndef NODE_CRYPTO_ENVELOPE_H
#define NODE_CRYPTO_ENVELOPE_H

#include "node/base/random.h"
#include "node/crypto/keys.h"

enum {
	ENVELOPE_MIN = 1024, /* the smallest size class */
	ENVELOPE_MAX = 65536,
	ENVELOPE_OVERHEAD = 94, /* what a size class does not leave for text */
	ENVELOPE_TEXT_MAX = ENVELOPE_MAX - ENVELOPE_OVERHEAD
};
enum { ENVELOPE_REFUSED = 1 }; /* outcome of envelope_open_text() */

/* The smallest size class (1,024, 4,096, 16,384 or 65,536 bytes) whose envelope holds text_len bytes; 0 when
 * none does. */
size_t envelope_size_for(size_t text_len);
/* How many bytes of text fit into an envelope of this size; 0 when no envelope has this size. */
size_t envelope_text_max(size_t size);

struct envelope_head {
	struct public_key dh; /* of the sender's chain */
	uint32_t previous;    /* PN: the length of the sender's chain before */
};

struct envelope_keys {
	struct tag16 tag;
	struct sym_key header;  /* seals envelope_head */
	struct sym_key message; /* seals the text */
};

/* Appends an envelope of exactly size bytes, a size class that holds the text. rng gives its 24-byte nonce.
 * The writer must have room for it. */
void envelope_seal(struct writer *out, size_t size, const struct envelope_keys *keys,
                   const struct envelope_head *head, const struct hash32 *aid, struct span text,
                   struct random *rng);

/* The three acts of opening. Each takes an envelope whose length is a size class. */
void envelope_tag(struct tag16 *out, struct span envelope);
/* Not authenticated before envelope_open_text() has returned 0. */
void envelope_open_head(struct envelope_head *out, struct span envelope, const struct sym_key *header_key);
/* Appends the text. The writer must have room for envelope.len - ENVELOPE_OVERHEAD + 2 bytes, of which the
 * unused ones are wiped. Returns 0 or ENVELOPE_REFUSED (nothing appended). */
must_check int envelope_open_text(struct writer *text, struct span envelope,
                                  const struct sym_key *message_key, const struct hash32 *aid);

#endif
