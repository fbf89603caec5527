#include "transport/recovery.h"

#include <stdlib.h>

#include "transport/received.h"

/*
 * RFC 9002 with one packet number space; names in brackets are the RFC's sections and appendices.
 *
 * The ring holds the datagrams that want an ack, in order of number. One that was acknowledged or lost
 * stays, settled, until all before it are settled too: so a number is found by halving, and the span
 * between two losses can be checked for an acknowledgement (persistent congestion).
 *
 * What is ours:
 * - A probe sends the frames of the oldest datagrams again; these stay in flight, as their fate is open.
 * - The window grows only while its use reaches it [7.8]. Whether it does is judged by the most bytes in
 *   flight in this and in the last round trip, so that a sender with little to say does not store up leave
 *   to send a burst.
 * - Pacing is a bucket of tokens. Timers of 1 ms must not throttle a path of 100 us: the bucket holds what
 *   two milliseconds bring, and never less than the first window.
 * - A reliable path has no loss to detect: its queue, which the other side's acks empty, is all that there
 *   is to know. It holds 24 datagrams, 30 KB: half a second of what such a path bears, so that what is
 *   written next does not wait long behind them, and the channel never runs dry within an ack's delay.
 */
enum {
	PACKET_THRESHOLD = 3,
	GRANULARITY_US = 1000,
	PERSISTENT_PTOS = 3,
	PROBES = 2,
	PTO_SHIFT_MAX = 16,
	BURST_US = 2000,
	RTT_MAX_US = 60000000, /* a sample beyond says nothing, and bounds the sums */
};

static_assert(RECOVERY_SENT_MAX % RECOVERY_SENT_REST == 0, "the ring doubles up to its maximum");

enum sent_state { SENT_IN_FLIGHT, SENT_ACKED, SENT_LOST };

struct recovery_sent {
	uint64_t pn;
	uint64_t at_us;
	uint16_t bytes;
	uint8_t state; /* enum sent_state */
	uint8_t n;
	struct sent_frame frames[RECOVERY_FRAMES_MAX];
};

void recovery_init(struct recovery *r, uint64_t rtt_us, uint64_t now_us)
{
	const uint64_t rtt = rtt_us != 0 ? MIN(rtt_us, (uint64_t)RTT_MAX_US) : RECOVERY_RTT_INITIAL_US;

	*r = (struct recovery){
		.rtt_smoothed_us = rtt,
		.rtt_var_us = rtt / 2,
		.loss_at_us = UINT64_MAX,
		.rest_at_us = UINT64_MAX,
		.paced_until_us = UINT64_MAX,
		.window = RECOVERY_WINDOW_INITIAL,
		.threshold = UINT64_MAX,
		.tokens = RECOVERY_WINDOW_INITIAL,
		.tokens_at_us = now_us,
	};
}

void recovery_init_reliable(struct recovery *r)
{
	recovery_init(r, 0, 0);
	r->reliable = true;
}

void recovery_deinit(struct recovery *r)
{
	free(r->ring);
	*r = (struct recovery){ 0 };
}

unsigned recovery_pto_count(const struct recovery *r)
{
	return r->pto_count;
}

/* --- The ring --- */

static struct recovery_sent *sent_at(const struct recovery *r, uint32_t i)
{
	return &r->ring[(r->ring_head + i) & (r->ring_cap - 1)]; /* the capacity is a power of two */
}

/* The index of the first with a number of at least pn; ring_len when there is none. */
static uint32_t sent_find(const struct recovery *r, uint64_t pn)
{
	uint32_t lo = 0, hi = r->ring_len;

	while (lo < hi) {
		const uint32_t mid = lo + (hi - lo) / 2;

		if (sent_at(r, mid)->pn < pn)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int ring_resize(struct recovery *r, uint32_t cap)
{
	struct recovery_sent *ring = calloc(cap, sizeof(*ring));

	if (ring == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < r->ring_len; i++)
		ring[i] = *sent_at(r, i);
	free(r->ring);
	r->ring = ring;
	r->ring_cap = cap;
	r->ring_head = 0;
	return 0;
}

/* Lets go of the oldest that are settled. */
static void ring_trim(struct recovery *r, uint64_t now_us)
{
	while (r->ring_len > 0 && sent_at(r, 0)->state != SENT_IN_FLIGHT) {
		r->ring_head = (r->ring_head + 1) & (r->ring_cap - 1);
		r->ring_len--;
	}
	if (r->ring_len == 0 && r->ring_cap > RECOVERY_SENT_REST)
		r->rest_at_us = now_us + RECOVERY_REST_US;
}

static void settle(struct recovery *r, struct recovery_sent *s, enum sent_state state,
                   struct recovery_sink *sink)
{
	s->state = state;
	r->bytes_in_flight -= s->bytes;
	for (size_t i = 0; i < s->n; i++)
		sink->frame(sink, &s->frames[i], state == SENT_ACKED ? RECOVERY_ACKED : RECOVERY_LOST);
}

/* --- Round-trip time [5] --- */

static void rtt_sample(struct recovery *r, uint64_t latest_us, uint64_t ack_delay_us, uint64_t now_us)
{
	uint64_t difference;

	latest_us = MAX(MIN(latest_us, (uint64_t)RTT_MAX_US), 1);
	r->rtt_latest_us = latest_us;
	if (!r->rtt_known) {
		r->rtt_known = true;
		r->rtt_first_sample_us = now_us;
		r->rtt_min_us = r->rtt_smoothed_us = latest_us;
		r->rtt_var_us = latest_us / 2;
		return;
	}
	r->rtt_min_us = MIN(r->rtt_min_us, latest_us);
	ack_delay_us = MIN(ack_delay_us, (uint64_t)RECEIVED_ACK_DELAY_US);
	if (latest_us >= r->rtt_min_us + ack_delay_us)
		latest_us -= ack_delay_us;
	difference = latest_us > r->rtt_smoothed_us ? latest_us - r->rtt_smoothed_us
	                                            : r->rtt_smoothed_us - latest_us;
	r->rtt_var_us = (3 * r->rtt_var_us + difference) / 4;
	r->rtt_smoothed_us = MAX((7 * r->rtt_smoothed_us + latest_us) / 8, 1);
}

/* [6.2.1], without backoff */
static uint64_t pto_us(const struct recovery *r)
{
	return r->rtt_smoothed_us + MAX(4 * r->rtt_var_us, (uint64_t)GRANULARITY_US) + RECEIVED_ACK_DELAY_US;
}

static uint64_t pto_at_us(const struct recovery *r)
{
	uint64_t wait = pto_us(r) << MIN(r->pto_count, (unsigned)PTO_SHIFT_MAX);

	if (r->reliable)
		wait = RECOVERY_STALL_US;
	return r->bytes_in_flight > 0 ? r->last_sent_us + MIN(wait, (uint64_t)RECOVERY_PTO_MAX_US)
	                              : UINT64_MAX;
}

/* --- The window [7] --- */

static bool window_is_used(const struct recovery *r)
{
	const uint64_t peak = MAX(r->round_peak, r->round_peak_before);

	if (r->window < r->threshold)
		return r->window < 2 * peak;
	return r->window <= peak + 3 * CARRIER_LARGE;
}

static void window_on_acked(struct recovery *r, const struct recovery_sent *s)
{
	if ((r->in_recovery && s->at_us <= r->recovery_since_us) || !window_is_used(r))
		return;
	if (r->window < r->threshold) {
		r->window += s->bytes;
	} else {
		/* One datagram more for each window that was acknowledged. */
		r->growth += s->bytes;
		if (r->growth >= r->window) {
			r->growth -= r->window;
			r->window += CARRIER_LARGE;
		}
	}
	r->window = MIN(r->window, (uint64_t)RECOVERY_WINDOW_MAX);
}

/* sent_us: when the latest of what was lost had been sent. */
static void window_on_lost(struct recovery *r, uint64_t sent_us, bool persistent, uint64_t now_us)
{
	if (!r->in_recovery || sent_us > r->recovery_since_us) {
		r->in_recovery = true;
		r->recovery_since_us = now_us;
		r->window = MAX(r->window / 2, (uint64_t)RECOVERY_WINDOW_MIN);
		r->threshold = r->window;
		r->growth = 0;
	}
	if (persistent) {
		r->window = RECOVERY_WINDOW_MIN;
		r->in_recovery = false;
	}
}

static void round_on_sent(struct recovery *r)
{
	r->round_peak = MAX(r->round_peak, r->bytes_in_flight);
}

static void round_on_ack(struct recovery *r)
{
	if (r->largest_acked_next <= r->round_end)
		return;
	r->round_end = r->pn_next;
	r->round_peak_before = r->round_peak;
	r->round_peak = r->bytes_in_flight;
}

/* --- Pacing [7.7] --- */

/* What the window lets go in so many microseconds, and some more so that pacing is not what limits. */
static uint64_t paced_bytes(const struct recovery *r, uint64_t us)
{
	const uint64_t gain_percent = r->window < r->threshold ? 200 : 125;

	us = MIN(us, r->rtt_smoothed_us * 16 + BURST_US);
	return r->window * gain_percent / 100 * us / r->rtt_smoothed_us;
}

static void tokens_refill(struct recovery *r, uint64_t now_us)
{
	const uint64_t most = MAX(paced_bytes(r, BURST_US), (uint64_t)RECOVERY_WINDOW_INITIAL);
	const uint64_t more = paced_bytes(r, now_us - r->tokens_at_us);

	if (more == 0)
		return; /* the time is kept until it is worth a byte */
	r->tokens = MIN(r->tokens + more, most);
	r->tokens_at_us = now_us;
}

static uint64_t tokens_wait_us(const struct recovery *r, uint64_t bytes)
{
	const uint64_t in_a_round = MAX(paced_bytes(r, r->rtt_smoothed_us), 1);

	return (bytes * r->rtt_smoothed_us + in_a_round - 1) / in_a_round;
}

bool recovery_can_send(struct recovery *r, size_t bytes, uint64_t now_us)
{
	r->paced_until_us = UINT64_MAX;
	if (r->reliable)
		return r->ring_len < RECOVERY_RELIABLE_MAX;
	if (r->ring_len == RECOVERY_SENT_MAX)
		return false;
	if (r->probes > 0)
		return true; /* [7.5] */
	if (r->bytes_in_flight + bytes > r->window)
		return false;
	tokens_refill(r, now_us);
	if (r->tokens >= bytes)
		return true;
	r->paced_until_us = now_us + MAX(tokens_wait_us(r, bytes - r->tokens), 1);
	return false;
}

/* --- Sent, acknowledged, lost --- */

int recovery_on_sent(struct recovery *r, uint64_t pn, size_t bytes, const struct sent_frame *frames, size_t n,
                     uint64_t now_us)
{
	struct recovery_sent *s;

	assert(pn >= r->pn_next && n <= RECOVERY_FRAMES_MAX && bytes <= CARRIER_LARGE);
	r->pn_next = pn + 1;
	if (n == 0) {
		r->unfollowed_next = pn + 1;
		r->unfollowed_us = now_us;
		return 0;
	}
	assert(r->ring_len < RECOVERY_SENT_MAX);
	if (r->ring_len == r->ring_cap &&
	    ring_resize(r, MAX(2 * r->ring_cap, (uint32_t)RECOVERY_SENT_REST)) != 0)
		return ERR_NOMEM;
	s = sent_at(r, r->ring_len++);
	*s = (struct recovery_sent){ .pn = pn, .at_us = now_us, .bytes = (uint16_t)bytes, .n = (uint8_t)n };
	memcpy(s->frames, frames, n * sizeof(*frames));
	/* A reliable path is slow, not lost, as long as acks come: the time is counted from the last of them.
	 */
	if (!r->reliable || r->bytes_in_flight == 0)
		r->last_sent_us = now_us;
	r->bytes_in_flight += bytes;
	r->tokens -= MIN(r->tokens, (uint64_t)bytes);
	r->probes -= r->probes > 0;
	r->rest_at_us = UINT64_MAX;
	round_on_sent(r);
	return 0;
}

/* Settles what is newly acknowledged in a range. Returns how many; *last is the one with the largest number.
 */
static unsigned ack_range(struct recovery *r, const struct range *range, struct recovery_sent *last,
                          struct recovery_sink *sink)
{
	unsigned n = 0;

	for (uint32_t i = sent_find(r, range->first); i < r->ring_len; i++) {
		struct recovery_sent *s = sent_at(r, i);

		if (s->pn >= range->end)
			break;
		if (s->state != SENT_IN_FLIGHT)
			continue;
		settle(r, s, SENT_ACKED, sink);
		window_on_acked(r, s);
		if (n++ == 0 || s->pn > last->pn)
			*last = *s;
	}
	return n;
}

/* The stretch of losses with no acknowledgement within, for persistent congestion [7.6]. */
struct stretch {
	bool open;
	uint64_t since_us;
	bool persistent;
};

static void stretch_note(struct stretch *t, const struct recovery *r, const struct recovery_sent *s)
{
	if (s->state == SENT_ACKED || !r->rtt_known || s->at_us <= r->rtt_first_sample_us) {
		t->open = false;
		return;
	}
	if (!t->open) {
		t->open = true;
		t->since_us = s->at_us;
	}
	if (s->at_us - t->since_us > pto_us(r) * PERSISTENT_PTOS)
		t->persistent = true;
}

/* [6.1]: three later ones acknowledged, or one later one and 9/8 of a round trip ago. */
static void detect_lost(struct recovery *r, uint64_t now_us, struct recovery_sink *sink)
{
	const uint64_t rtt = MAX(r->rtt_smoothed_us, r->rtt_latest_us);
	const uint64_t delay = MAX(rtt + rtt / 8, (uint64_t)GRANULARITY_US);
	struct stretch stretch = { false };
	uint64_t lost_sent_us = 0;
	bool lost = false;

	r->loss_at_us = UINT64_MAX;
	for (uint32_t i = 0; i < r->ring_len; i++) {
		struct recovery_sent *s = sent_at(r, i);

		if (s->pn >= r->largest_acked_next)
			break;
		if (s->state == SENT_IN_FLIGHT) {
			if (s->at_us + delay > now_us && s->pn + PACKET_THRESHOLD >= r->largest_acked_next) {
				r->loss_at_us = MIN(r->loss_at_us, s->at_us + delay);
				continue;
			}
			settle(r, s, SENT_LOST, sink);
			lost = true;
			lost_sent_us = s->at_us;
		}
		stretch_note(&stretch, r, s);
	}
	if (lost)
		window_on_lost(r, lost_sent_us, stretch.persistent, now_us);
	ring_trim(r, now_us);
}

int recovery_on_ack(struct recovery *r, const struct frame_ack *ack, uint64_t now_us,
                    struct recovery_sink *sink)
{
	struct frame_ack_cursor cursor = frame_ack_first(ack);
	struct recovery_sent last = { 0 };
	struct range range;
	unsigned n = 0;

	if (ack->largest >= r->pn_next)
		return RECOVERY_REFUSED;
	r->largest_acked_next = MAX(r->largest_acked_next, ack->largest + 1);
	while (frame_ack_next(&range, &cursor)) {
		struct recovery_sent newest = { 0 };
		const unsigned newly = ack_range(r, &range, &newest, sink);

		if (n == 0 && newly > 0)
			last = newest; /* ranges descend: the first that settles any has the largest */
		n += newly;
	}
	if (n == 0)
		return 0;
	if (r->reliable) {
		r->pto_count = 0;
		r->last_sent_us = now_us;
		ring_trim(r, now_us);
		return 0;
	}
	if (last.pn == ack->largest)
		rtt_sample(r, now_us - last.at_us, ack->delay_us, now_us);
	else if (ack->largest + 1 == r->unfollowed_next)
		rtt_sample(r, now_us - r->unfollowed_us, ack->delay_us, now_us);
	r->pto_count = 0;
	r->probes = 0;
	detect_lost(r, now_us, sink);
	round_on_ack(r);
	return 0;
}

/* --- Timers --- */

uint64_t recovery_deadline_us(const struct recovery *r)
{
	const uint64_t follow_up = r->loss_at_us != UINT64_MAX ? r->loss_at_us : pto_at_us(r);

	return MIN(MIN(follow_up, r->rest_at_us), r->paced_until_us);
}

/* [6.2.4]: the frames of the oldest in flight go again, beyond the window. Where the ring has no place left
 * for a probe, they are given up instead. */
static void probe(struct recovery *r, uint64_t now_us, struct recovery_sink *sink)
{
	const bool full = r->ring_len + PROBES > RECOVERY_SENT_MAX;
	const unsigned probes = r->reliable ? 0 : PROBES;
	unsigned given = 0;

	for (uint32_t i = 0; i < r->ring_len && given < probes; i++) {
		struct recovery_sent *s = sent_at(r, i);

		if (s->state != SENT_IN_FLIGHT)
			continue;
		if (full)
			settle(r, s, SENT_LOST, sink);
		for (size_t k = 0; !full && k < s->n; k++)
			sink->frame(sink, &s->frames[k], RECOVERY_PROBE);
		given++;
	}
	ring_trim(r, now_us);
	r->probes = given;
	r->pto_count++;
	r->last_sent_us = now_us; /* the next one is counted from here, whether or not a probe goes */
}

void recovery_on_timer(struct recovery *r, uint64_t now_us, struct recovery_sink *sink)
{
	if (r->paced_until_us <= now_us)
		r->paced_until_us = UINT64_MAX;
	if (r->loss_at_us != UINT64_MAX) {
		if (r->loss_at_us <= now_us)
			detect_lost(r, now_us, sink);
	} else if (pto_at_us(r) <= now_us) {
		probe(r, now_us, sink);
	}
	if (r->rest_at_us <= now_us) {
		assert(r->ring_len == 0);
		r->rest_at_us = UINT64_MAX;
		free(r->ring);
		r->ring = NULL;
		r->ring_cap = r->ring_head = 0;
	}
}
