/*
 * limits.h: every bound of a node, in one place. tests/unit/test_limits.c reaches each.
 */
#ifndef NODE_CORE_LIMITS_H
#define NODE_CORE_LIMITS_H

#include <stdint.h>

enum {
	CONTACTS_MAX = 1024,
	MESSAGE_BYTES_MAX = 32000, /* of UTF-8 */
	WAITING_MAX = 1 << 20,     /* own messages of one contact that are not stored by it yet */
	LOCALS_MAX = 32,           /* interfaces times address families */
	CALLS_KEPT_MAX = 256,      /* own calls whose answers are still taken */
	ADVERTS_KEPT_MAX = 1024,   /* the same over Bluetooth: 5 adverts of 8 adapters for 20 s and more */
	ADVERTS_AT_ONCE = 5,       /* of one adapter */
	CALL_ANSWER_S = 20,        /* how long an answer is taken */
	CALL_AGAIN_S = 2,          /* between a round of calls and one because a link is missed */
	CALL_TAGS_PER_S = 1 << 16, /* computed for the calls of others; at random above that */
	CALLS_HEARD_MAX = 4096,    /* calls of one contact that are remembered, for an hour */
	ANSWER_PAUSE_S = 5,        /* between two answers to one contact */
	LOOK_S = 120,              /* look for my worker */
	CODES_SPENT_MAX = 32,      /* entered codes that are not tried again */
	HANDSHAKE_S = 20,          /* a path without a session is given up */
	RESEND_MS = 300,           /* openers and handshake flights */
	KEEPALIVES_MAX = 3,        /* unanswered, then the session ends */
	ENVELOPES_AHEAD = 24,      /* envelopes of one direction on their way at a time */
	MESSAGES_MAX = 1 << 30,    /* of one conversation, ever */
	QUOTA_BYTES = 64 << 20,    /* taken from one contact within ... */
	QUOTA_S = 86400,           /* ... so long, counted from the first of them; */
	QUOTA_MESSAGE_BYTES = 64,  /* what a message counts besides its share of the envelope */
	EPOCH_MAX = 1 << 30,       /* of a ratchet */
	EFFECT_BYTES_PER_TURN = 1 << 20 /* datagrams built in one turn; the rest waits for the next */
};

#define SEQUENCE_MAX                                                                                         \
	(UINT64_C(1) << 48) /* envelopes ever made in one direction, as the other side says it               \
	                     */

#endif
