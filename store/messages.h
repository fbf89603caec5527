/*
 * messages.h: what was written, in the order in which this device learned of it.
 *
 * A message is named by its contact and its position, 0, 1, 2 ... within the
 * conversation, own and received ones mixed. Whether an own one waits, is on its way
 * or is stored by the other follows from the positions in conversations.h: no row is
 * written again when a message gets there.
 */
#ifndef STORE_MESSAGES_H
#define STORE_MESSAGES_H

#include "node/base/wire.h"
#include "store/store.h"

enum { POSITION_MAX = INT32_MAX }; /* of a message within its conversation */

struct message {
	int64_t position; /* 0 to POSITION_MAX */
	bool own;
	uint64_t sequence; /* received: the envelope it came in, and its place there */
	uint16_t place;
	uint16_t kind;                   /* 0 text; others: PROTOCOL section 6 */
	uint64_t claimed;                /* when it was written, by the writer's clock */
	uint64_t arrived;                /* received: by our clock */
	uint64_t not_before, drop_after; /* 0: none */
	struct span content;             /* UTF-8 for kind 0; borrowed */
};

/* Adds a message at message->position, which the caller counts. Returns 0, ERR_EXISTS where there is one,
 * or another enum err. */
must_check int messages_add(struct store *s, uint32_t contact, const struct message *message);

/* One past the last position, 0 for an empty conversation. */
must_check int messages_next_position(struct store *s, uint32_t contact, int64_t *out);

/* Calls each() for messages from position on, upwards, at most limit, until it returns non-zero, which is
 * passed on. The message's content is valid inside each() only, and within it everything but the function
 * that called may be called. */
must_check int messages_each(struct store *s, uint32_t contact, int64_t from, int64_t limit,
                             int (*each)(void *arg, const struct message *message), void *arg);

/* The same for own messages only. */
must_check int messages_each_own(struct store *s, uint32_t contact, int64_t from, int64_t limit,
                                 int (*each)(void *arg, const struct message *message), void *arg);

/* How many own messages there are at positions in [from, end). */
must_check int messages_count_own(struct store *s, uint32_t contact, int64_t from, int64_t end, int64_t *out);

/* Removes the whole conversation. */
must_check int messages_remove(struct store *s, uint32_t contact);

#endif
