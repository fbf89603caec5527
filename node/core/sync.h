/*
 * sync.h: what two contacts say to each other over a link (PROTOCOL sections 5 and 6).
 *
 * What is not `stored` is sent again, in this session or in any later one: the same
 * bytes. Here envelopes are packed, cut into pieces, put together and opened; and the
 * ratchet is begun anew where the two `state`s show that a vault is older than it was.
 */
#ifndef NODE_CORE_SYNC_H
#define NODE_CORE_SYNC_H

#include "node/core/state.h"
#include "transport/frames.h"
#include "transport/recovery.h"

enum { SYNC_BROKEN = 1 }; /* outcome: the other side broke the rules, the session ends */

/* An envelope of ours on its way. */
struct outgoing {
	uint64_t sequence;
	uint32_t size;
	uint32_t next;      /* bytes before this were sent once */
	struct ranges lost; /* of these, what is to be sent again */
	uint8_t *bytes;     /* owned */
};

/* One of the other's that is being put together. */
struct incoming {
	uint32_t size;
	struct ranges have;
	uint8_t *bytes; /* owned */
};

enum reinit_state {
	REINIT_NONE,
	REINIT_BEGUN, /* our R' is said until it is acknowledged, theirs is waited for */
	REINIT_DONE,  /* the new ratchet is in force; ours may still be unacknowledged */
};

struct sync {
	bool met;               /* the other's first state came */
	uint64_t opened_before; /* envelopes that overtook it */
	struct ranges told; /* of our envelopes that it says it has stored: those whose turn it is not yet */
	struct frame_state peer;
	bool say_state, say_stored;
	uint64_t stored_from; /* envelopes from here on are said to be stored */

	struct outgoing *out[ENVELOPES_AHEAD]; /* in order of sequence, from conversation.handed on */
	size_t out_len;

	struct incoming *in[ENVELOPES_AHEAD]; /* in[i] is envelope conversation.received + i */
	struct ratchet_cache cache;

	enum reinit_state reinit;
	bool say_reinit, reinit_acked;
	uint32_t reinit_epoch;
	uint64_t jump_to; /* after a re-init: where the other goes on to count, once it has done its part; 0:
	                     none */
	struct key_pair reinit_r;
	bool has_early; /* their R' came before their state */
	struct frame_reinit early;
};

void sync_begin(struct sync *y); /* the link is up */
void sync_end(struct sync *y);   /* wipes */

/* One frame that came over the link of c; x is its X. Returns 0, SYNC_BROKEN or an enum err. */
must_check int sync_frame(struct node *n, struct contact *c, struct sync *y, const struct sym_key *x,
                          const struct frame *f);
/* Opens what came and was held back, as far as it is taken now. Returns 0, SYNC_BROKEN or an enum err. */
must_check int sync_take(struct node *n, struct contact *c, struct sync *y);
/* When that is worth a try, at the latest; UINT64_MAX: nothing is held back. */
uint64_t sync_deadline_us(const struct node *n, const struct contact *c, const struct sync *y);
/* Packs what waits, as far as the window goes. Returns 0 or an enum err. */
must_check int sync_pack(struct node *n, struct contact *c, struct sync *y);

/* Whether there is a frame to be sent now. */
bool sync_has_more(const struct sync *y);
/* Writes as many frames as fit, at most max, and says in sent which. Returns how many. */
size_t sync_fill(struct node *n, struct contact *c, struct sync *y, struct writer *w, struct sent_frame *sent,
                 size_t max);
/* What became of a frame. */
void sync_acked(struct sync *y, const struct sent_frame *f);
void sync_lost(struct sync *y, const struct sent_frame *f);

#endif
