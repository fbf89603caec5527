/*
 * recovery.h: what was sent over a link and became of it: RFC 9002 with NewReno and pacing.
 *
 * Knows each datagram in flight, what was in it, and when to take it for lost. Frames, not
 * datagrams, are sent again: the sender describes each frame in a record of its own, and
 * gets the record back when its datagram was acknowledged or is lost. Also says when the
 * next datagram may go. One for each link; the receiving half is received.h.
 *
 * On a path that neither loses nor reorders (an L2CAP channel) it only counts: at most
 * RECOVERY_RELIABLE_MAX datagrams are in flight, freed by acks, and nothing is ever lost,
 * probed or paced. What waits there too long is counted as a probe that was not answered.
 *
 * Times are microseconds of the caller's clock, which never goes back. It draws no
 * randomness. Its only memory is the list of datagrams in flight: nothing at first, more
 * as more are in flight, given back RECOVERY_REST_US after the last was settled.
 */
#ifndef TRANSPORT_RECOVERY_H
#define TRANSPORT_RECOVERY_H

#include "transport/carrier.h"
#include "transport/frames.h"

enum {
	RECOVERY_SENT_MAX = 1024, /* datagrams in flight; less than REPLAY_WINDOW */
	RECOVERY_SENT_REST = 16,  /* what the list keeps room for at rest */
	RECOVERY_FRAMES_MAX = 6,  /* records a datagram: a packer stops there */
	RECOVERY_WINDOW_INITIAL = 10 * CARRIER_LARGE,
	RECOVERY_WINDOW_MIN = 2 * CARRIER_LARGE,
	RECOVERY_WINDOW_MAX = RECOVERY_SENT_MAX * CARRIER_LARGE,
	RECOVERY_RTT_INITIAL_US = 333000,
	RECOVERY_PTO_MAX_US = 30000000, /* no probe waits longer, however many were not answered */
	RECOVERY_REST_US = 1000000,
	RECOVERY_RELIABLE_MAX = 24,   /* datagrams in flight on a reliable path */
	RECOVERY_STALL_US = 10000000, /* in flight there without an ack */
};

enum { RECOVERY_REFUSED = 1 }; /* outcome of recovery_on_ack() */

/* What its sender needs to know of a frame to send it again, or to tick it off. */
struct sent_frame {
	uint64_t a;
	uint32_t b, c;
	uint8_t type;
};

enum recovery_fate {
	RECOVERY_ACKED, /* the other side has it */
	RECOVERY_LOST,  /* send it again */
	RECOVERY_PROBE, /* nothing was heard for long: send it again now, though it may have come */
};

/* Where records go. frame() is called from within recovery_on_ack() and recovery_on_timer(), must not call
 * back into recovery, and the record is borrowed for the call. One frame may be acked after it was
 * handed out as a probe, or twice if it was sent twice. */
struct recovery_sink {
	void (*frame)(struct recovery_sink *self, const struct sent_frame *frame, enum recovery_fate fate);
};

struct recovery_sent;

struct recovery {
	/* in flight: a ring in order of number, settled ones among them until they are the oldest */
	struct recovery_sent *ring; /* owned */
	uint32_t ring_cap, ring_head, ring_len;
	uint64_t pn_next;            /* one more than the largest number sent */
	uint64_t largest_acked_next; /* one more than the largest acknowledged; 0: none */
	uint64_t bytes_in_flight;
	uint64_t last_sent_us;                   /* the latest datagram that wants an ack */
	uint64_t unfollowed_next, unfollowed_us; /* one more than the latest that does not, and when */

	uint64_t rtt_latest_us, rtt_smoothed_us, rtt_var_us, rtt_min_us;
	uint64_t rtt_first_sample_us; /* when; only while rtt_known */
	bool rtt_known;

	uint64_t loss_at_us; /* when the time threshold is next reached; UINT64_MAX: none waits for it */
	uint64_t rest_at_us; /* when the list is made small; UINT64_MAX: it is, or is in use */
	unsigned pto_count;
	bool reliable;
	unsigned probes; /* datagrams that may go beyond the window */

	uint64_t window, threshold; /* bytes; slow start below the threshold */
	uint64_t recovery_since_us; /* losses sent before count as one */
	bool in_recovery;
	uint64_t growth;                        /* bytes acknowledged towards the next step of the window */
	uint64_t round_end;                     /* the number with which the next round trip begins */
	uint64_t round_peak, round_peak_before; /* most bytes in flight in this round trip, in the last */

	uint64_t tokens, tokens_at_us; /* bytes that pacing lets go now; since when they are counted */
	uint64_t paced_until_us;       /* UINT64_MAX: pacing holds nothing back */
};

/* rtt_us: what the handshake took, or 0 where it is not known. */
void recovery_init(struct recovery *r, uint64_t rtt_us, uint64_t now_us);
/* For a reliable path. */
void recovery_init_reliable(struct recovery *r);
void recovery_deinit(struct recovery *r); /* a zeroed one is allowed */

/* Whether a datagram of so many bytes that wants an ack may go now. After false: on an ack, or at
 * recovery_deadline_us(). Others (acks alone, close) need not ask. */
bool recovery_can_send(struct recovery *r, size_t bytes, uint64_t now_us);
/* Notes that datagram pn was sent; numbers ascend. n is 0 to RECOVERY_FRAMES_MAX records, of the frames that
 * want an ack; with none it is not followed up. Returns 0 or ERR_NOMEM. */
must_check int recovery_on_sent(struct recovery *r, uint64_t pn, size_t bytes,
                                const struct sent_frame *frames, size_t n, uint64_t now_us);
/* Takes an acknowledgement. Returns 0, or RECOVERY_REFUSED (nothing changed): it names a number that was not
 * sent; the session ends. */
must_check int recovery_on_ack(struct recovery *r, const struct frame_ack *ack, uint64_t now_us,
                               struct recovery_sink *sink);
/* When recovery_on_timer() wants to be called, and sending tried again; UINT64_MAX: nothing to wait for. */
uint64_t recovery_deadline_us(const struct recovery *r);
/* Does what is due at now_us: nothing when nothing is. Who is handed a probe sends at least one datagram that
 * wants an ack, a state where its frames are no longer of use: the link stalls otherwise. */
void recovery_on_timer(struct recovery *r, uint64_t now_us, struct recovery_sink *sink);
/* How many times in a row nothing was heard of what was sent. */
unsigned recovery_pto_count(const struct recovery *r);

#endif
