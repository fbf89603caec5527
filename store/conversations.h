/*
 * conversations.h: how far the two sides of a conversation have come.
 *
 * One row a contact, rewritten in the same transaction as what it counts.
 */
#ifndef STORE_CONVERSATIONS_H
#define STORE_CONVERSATIONS_H

#include "node/crypto/keys.h"
#include "store/store.h"

enum { RATCHET_BYTES_MAX = 1024 };

struct conversation_record {
	uint32_t contact;
	uint32_t epoch;        /* of the ratchet */
	uint64_t sent;         /* envelopes ever made: the number of the next one */
	uint64_t handed;       /* of ours, stored by the other without a gap */
	uint64_t received;     /* of the other's, stored here without a gap */
	int64_t packed;        /* own messages before this position are in envelopes */
	int64_t stored_before; /* own messages before this position are stored by the other */
	bool has_previous;
	struct hash32 previous; /* BLAKE2b-256 of our last text (PROTOCOL section 6, key 1) */
	bool may_repeat; /* since a re-init: the other may say again what it does not know to have said */
	int64_t repeats; /* while it may: what it repeats next is at this position or a later one */
	size_t ratchet_len;
	uint8_t ratchet[RATCHET_BYTES_MAX]; /* as node/crypto/ratchet.h encodes it */
};

/* Writes the row, new or changed. Returns 0, ERR_ABSENT for an unknown contact, or another enum err. */
must_check int conversation_save(struct store *s, const struct conversation_record *record);
/* Returns 0, an enum err, or CONVERSATION_NONE when the contact has no row. */
enum { CONVERSATION_NONE = 1 };
must_check int conversation_load(struct store *s, uint32_t contact, struct conversation_record *out);

#endif
