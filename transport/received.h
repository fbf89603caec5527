/*
 * received.h: what came over a link, and when to say so (PROTOCOL section 5, RFC 9002).
 *
 * Remembers the numbers of the datagrams that came, and when an acknowledgement of them is
 * due. Times are microseconds of the caller's clock, which never goes back.
 */
#ifndef TRANSPORT_RECEIVED_H
#define TRANSPORT_RECEIVED_H

#include "node/base/ranges.h"
#include "node/base/wire.h"

enum {
	RECEIVED_ACK_DELAY_US = 25000, /* the longest that an acknowledgement waits */
	RECEIVED_UNSAID_MAX = 2,       /* with so many datagrams unacknowledged it is due at once */
	/* The same on a reliable path, where an acknowledgement only frees the queue (recovery.h). */
	RECEIVED_RELIABLE_DELAY_US = 250000,
	RECEIVED_RELIABLE_UNSAID_MAX = 8,
};

/* A zeroed one has received nothing. */
struct received {
	bool reliable;
	struct ranges numbers; /* the oldest are forgotten when it is full */
	uint64_t largest_us;   /* when the largest number came */
	uint64_t due_us;       /* of the acknowledgement; only while unsaid > 0 */
	unsigned unsaid;       /* datagrams that want an acknowledgement, since the last one */
};

/* Notes datagram pn, which link_open() let in. wants_ack: a frame in it does (frame_wants_ack()). */
void received_note(struct received *r, uint64_t pn, bool wants_ack, uint64_t now_us);
/* When an acknowledgement must go out, were it alone: UINT64_MAX while none is owed. */
uint64_t received_deadline_us(const struct received *r);
/* Whether one is owed, so that it can ride in a datagram that goes anyway. */
bool received_owes_ack(const struct received *r);
/* Writes frame 01, and owes nothing any more. False, nothing written, when nothing was received or the writer
 * has no room. What does not fit of the oldest ranges is left out. */
bool received_write_ack(struct received *r, struct writer *w, uint64_t now_us);

#endif
