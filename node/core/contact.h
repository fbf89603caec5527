/*
 * contact.h: one person in memory: the rows, the ratchet, and the keys that follow from them.
 *
 * The records are changed in place and marked; contact_save() writes what is marked at
 * the end of the turn, in the transaction of whatever made the change.
 */
#ifndef NODE_CORE_CONTACT_H
#define NODE_CORE_CONTACT_H

#include "node/core/quota.h"
#include "node/crypto/ratchet.h"
#include "store/contacts.h"
#include "store/conversations.h"

struct session;

/* The link secrets of PROTOCOL section 3, newest first: a call is answered under the newest it recognises. */
enum secret_kind { SECRET_CUR = 0, SECRET_PREV = 1, SECRET_ANCHOR = 2 };
enum { SECRET_KINDS = 3 };

/* A call of theirs, so that it counts once: the first 8 bytes of its nonce say which. */
struct heard_call {
	uint32_t n[2];
	uint32_t until_s; /* on the clock of now_us */
};

struct call_keys {
	bool known;
	struct sym_key out; /* we call */
	struct sym_key in;  /* the other calls */
};

struct contact {
	struct contact_record record;
	struct conversation_record conversation;
	struct ratchet ratchet;
	struct call_keys keys[SECRET_KINDS];
	bool record_changed, conversation_changed;

	int64_t next_position;
	int64_t waiting;      /* own messages that the other has not stored */
	int64_t arrived_from; /* messages from here on came in this turn; -1: none */

	/* At most one of each; all NULL for a contact that is not about. */
	struct session *up;        /* a link over which frames go */
	struct session *calling;   /* a handshake that we began: our call was answered */
	struct session *answering; /* a handshake that we wait for: we answered a call */

	uint64_t advertised[SECRET_KINDS]; /* over Bluetooth: in which turn last; 0: never */
	uint64_t answered_us;              /* when we last answered a call of theirs; 0: never */
	struct heard_call *heard;          /* owned: a ring, once there is a first one */
	size_t heard_cap;                  /* it doubles while the oldest counts, up to CALLS_HEARD_MAX */
	size_t heard_next;                 /* the oldest, whose place comes next */
	uint64_t taken;                    /* the number of our latest call whose answer was taken; 0: none */
	bool asks_again;                   /* called under the anchor, and was not answered */
	bool suspect;                      /* linked, but seems to be gone: is called as if it were not */

	struct quota quota;
	bool held; /* sends more than is taken; the notice was given */
};

/* Reads what the store has of a contact: all but record, which is given. Returns 0 or an enum err. */
must_check int contact_load(struct contact *c, struct store *s, const struct contact_record *record);
/* Writes what changed. Returns 0 or an enum err. */
must_check int contact_save(struct contact *c, struct store *s);
/* Wipes. Its sessions must be gone. */
void contact_deinit(struct contact *c);

/* Makes keys follow the record's secrets. */
void contact_keys_update(struct contact *c);
const struct link_secret *contact_secret(const struct contact *c, enum secret_kind kind);
/* Whether our calls have an entry under this one: an answer under another is none to us. */
bool contact_calls_under(const struct contact *c, enum secret_kind kind);
/* After a session under used, whose X is x: prev := used, cur := L', in the record (PROTOCOL section 3).
 * False, and nothing changed, where used is no longer held. */
bool contact_secret_advance(struct contact *c, const struct link_secret *used, const struct sym_key *x);

/* Whether the person may be called, answered and written to at all. */
bool contact_is_open(const struct contact *c);
/* Whether another envelope of theirs is taken: their quota is not used up, and the conversation has room. */
bool contact_may_send(const struct contact *c, uint64_t now_us);

#endif
