/*
 * contacts.h: the people, and the keys that exist for each pair only.
 */
#ifndef STORE_CONTACTS_H
#define STORE_CONTACTS_H

#include "node/crypto/keys.h"
#include "node/crypto/safety.h"
#include "store/store.h"

enum { CONTACT_NAME_MAX = 64 /* bytes of UTF-8 */ };
enum { CONTACT_ADDRESSES_MAX = 4 };
enum { CONTACT_ID_MAX = 0x7fffffff }; /* the upper half of a message's id */

enum contact_mode { MODE_ANSWER = 0, MODE_CALL = 1, MODE_SILENT = 2 }; /* PROTOCOL section 4 */

enum contact_state {
	CONTACT_PENDING = 0,   /* the own person has not confirmed the safety number */
	CONTACT_CONFIRMED = 1, /* the own person has; the other's is not known yet */
	CONTACT_MET = 2,       /* a session came about: both have */
};

struct contact_record {
	uint32_t id; /* given by contacts_add(), from 1; never used again after the contact is forgotten */
	char name[CONTACT_NAME_MAX + 1];
	enum contact_mode mode;
	enum contact_state state;
	bool blocked;
	bool restored; /* by a restored vault, or by consent: calls and answers under the anchor (PROTOCOL
	                  section 3) */
	bool by_code;  /* paired by a spoken code: not safe against a later quantum computer */
	uint64_t paired_at;
	char safety[SAFETY_TEXT_LEN + 1];
	struct key_pair s; /* ours, for this pair only */
	struct public_key peer_s;
	enum pair_role role; /* ours */
	struct link_secret cur, prev, anchor;
	bool has_prev;
	bool prev_called;     /* the other side may hold prev only: calls carry an entry for it too */
	int64_t clock_offset; /* the other's clock minus ours, seconds, learned in the last session */
	uint8_t addresses[CONTACT_ADDRESSES_MAX][16]; /* where it was met, newest first; zeros: none */
};

/* Gives record->id. Returns 0 or an enum err. */
must_check int contacts_add(struct store *s, struct contact_record *record);
/* Writes the whole record anew. Returns 0, ERR_ABSENT where there is no such contact, or another enum err. */
must_check int contacts_update(struct store *s, const struct contact_record *record);
/* Removes the contact and every row of it in every table; an unknown one is fine. */
must_check int contacts_remove(struct store *s, uint32_t id);
/* Calls each() for every contact in order of id until it returns non-zero, which is passed on. Within each()
 * everything but contacts_each() may be called. */
must_check int contacts_each(struct store *s, int (*each)(void *arg, const struct contact_record *record),
                             void *arg);

#endif
