#include "transport/recovery.h"

#include "node/crypto/random.h"
#include "transport/received.h"

#include "tests/unit/unit.h"

/*
 * A sender, a path and a receiver under a virtual clock. The sender has FRAMES to bring over, one in a
 * datagram; the path has a bottleneck with a queue, a delay, and loses, doubles and delays further at random.
 * Each run is judged after every step by what must always hold, and at its end by what came.
 */
enum { FRAMES = 3000, ON_PATH_MAX = 8192, ACK_LEN_MAX = CARRIER_SMALL_FRAMES };

struct datagram {
	uint64_t at_us;
	uint64_t pn;
	uint32_t frame;
	uint8_t ack[ACK_LEN_MAX]; /* of one that goes back */
	size_t ack_len;           /* 0: it goes forth */
};

struct path {
	uint64_t delay_us;                 /* one way */
	uint64_t jitter_us;                /* up to so much more for each */
	unsigned loss;                     /* per mille, either way */
	unsigned doubled;                  /* per mille */
	uint64_t byte_ns;                  /* the bottleneck: time for a byte */
	uint64_t queue_us;                 /* longest wait before it; beyond, it drops */
	uint64_t timer_us;                 /* granularity of the driver's timer */
	uint64_t dark_from_us, dark_to_us; /* nothing passes */
};

struct run {
	struct path path;
	struct recovery_sink sink;
	struct recovery sender;
	struct received receiver;
	struct random_seeded rng;
	uint64_t now_us, pn_next, bottleneck_free_ns;
	struct datagram on_path[ON_PATH_MAX];
	size_t on_path_len;
	uint32_t to_send[4 * FRAMES]; /* a ring of frames waiting */
	size_t send_head, send_len;
	bool acked[FRAMES], came[FRAMES];
	uint64_t last_came_us; /* when the last frame came that had not come before */
	unsigned acked_n, lost_n, probe_n, sent_n;
	uint64_t window_least, window_most;
	unsigned pto_most;
};

static void send_later(struct run *t, uint32_t frame)
{
	assert_true(t->send_len < COUNT_OF(t->to_send));
	t->to_send[(t->send_head + t->send_len++) % COUNT_OF(t->to_send)] = frame;
}

static void take_frame(struct recovery_sink *self, const struct sent_frame *f, enum recovery_fate fate)
{
	struct run *t = CONTAINER_OF(self, struct run, sink);

	assert_int_equal(f->type, FRAME_PIECE);
	assert_int_equal(f->b, f->a + 1);
	assert_int_equal(f->c, f->a + 2);
	if (fate == RECOVERY_ACKED) {
		assert_true(t->came[f->a]); /* nobody acknowledges what did not come */
		t->acked_n += !t->acked[f->a];
		t->acked[f->a] = true;
	} else {
		t->lost_n += fate == RECOVERY_LOST;
		t->probe_n += fate == RECOVERY_PROBE;
		send_later(t, (uint32_t)f->a);
	}
}

static bool happens(struct run *t, unsigned per_mille)
{
	return random_below(&t->rng.base, 1000) < per_mille;
}

static void put_on_path(struct run *t, struct datagram d, uint64_t ready_us)
{
	const unsigned copies = happens(t, t->path.doubled) ? 2 : 1;

	if (happens(t, t->path.loss) || (t->now_us >= t->path.dark_from_us && t->now_us < t->path.dark_to_us))
		return;
	for (unsigned i = 0; i < copies; i++) {
		assert_true(t->on_path_len < ON_PATH_MAX);
		d.at_us = ready_us + t->path.delay_us;
		if (t->path.jitter_us > 0)
			d.at_us += random_below(&t->rng.base, (uint32_t)t->path.jitter_us);
		t->on_path[t->on_path_len++] = d;
	}
}

/* Through the bottleneck, if its queue has room. */
static void pass_bottleneck(struct run *t, const struct datagram *d, size_t bytes)
{
	const uint64_t now_ns = t->now_us * 1000;

	t->bottleneck_free_ns = MAX(t->bottleneck_free_ns, now_ns);
	if (t->path.byte_ns > 0 && t->bottleneck_free_ns - now_ns > t->path.queue_us * 1000)
		return;
	t->bottleneck_free_ns += bytes * t->path.byte_ns;
	put_on_path(t, *d, t->bottleneck_free_ns / 1000);
}

static void check_sender(struct run *t)
{
	const struct recovery *s = &t->sender;

	assert_true(s->window >= RECOVERY_WINDOW_MIN && s->window <= RECOVERY_WINDOW_MAX);
	assert_true(s->ring_len <= s->ring_cap && s->ring_cap <= RECOVERY_SENT_MAX);
	t->window_least = MIN(t->window_least, s->window);
	t->window_most = MAX(t->window_most, s->window);
	t->pto_most = MAX(t->pto_most, recovery_pto_count(s));
}

static void send_what_may_go(struct run *t)
{
	while (t->send_len > 0) {
		const uint32_t frame = t->to_send[t->send_head];
		const bool probing = t->sender.probes > 0;
		const struct sent_frame record = { frame, frame + 1, frame + 2, FRAME_PIECE };
		const struct datagram d = { .pn = t->pn_next, .frame = frame };

		if (!t->acked[frame] || probing) { /* a probe must go, whatever is in it */
			if (!recovery_can_send(&t->sender, CARRIER_LARGE, t->now_us))
				return;
			assert_int_equal(recovery_on_sent(&t->sender, t->pn_next++, CARRIER_LARGE, &record, 1,
			                                  t->now_us),
			                 0);
			assert_true(probing || t->sender.bytes_in_flight <= t->sender.window);
			t->sent_n++;
			pass_bottleneck(t, &d, CARRIER_LARGE);
		}
		t->send_head = (t->send_head + 1) % COUNT_OF(t->to_send);
		t->send_len--;
	}
}

static void ack_if_due(struct run *t)
{
	struct datagram d = { .pn = 0 };
	struct writer w = WRITER_ON(d.ack);

	if (received_deadline_us(&t->receiver) > t->now_us)
		return;
	assert_true(received_write_ack(&t->receiver, &w, t->now_us));
	d.ack_len = writer_done(&w).len;
	put_on_path(t, d, t->now_us);
}

static void arrive(struct run *t, const struct datagram *d)
{
	struct reader r = reader_from(span_from(d->ack, d->ack_len));
	struct frame f;

	if (d->ack_len == 0) {
		if (!t->came[d->frame])
			t->last_came_us = t->now_us;
		t->came[d->frame] = true;
		received_note(&t->receiver, d->pn, true, t->now_us);
		return;
	}
	assert_int_equal(frame_read(&f, &r), 0);
	assert_int_equal(recovery_on_ack(&t->sender, &f.ack, t->now_us, &t->sink), 0);
}

static void arrive_all(struct run *t)
{
	for (size_t i = 0; i < t->on_path_len;) {
		const struct datagram d = t->on_path[i];

		if (d.at_us > t->now_us) {
			i++;
			continue;
		}
		t->on_path[i] = t->on_path[--t->on_path_len];
		arrive(t, &d);
		check_sender(t);
	}
}

static uint64_t round_up(uint64_t us, uint64_t to)
{
	return us == UINT64_MAX || to == 0 ? us : (us + to - 1) / to * to;
}

static uint64_t next_event_us(const struct run *t)
{
	uint64_t next = round_up(recovery_deadline_us(&t->sender), t->path.timer_us);

	next = MIN(next, round_up(received_deadline_us(&t->receiver), t->path.timer_us));
	for (size_t i = 0; i < t->on_path_len; i++)
		next = MIN(next, t->on_path[i].at_us);
	return next;
}

static void step(struct run *t)
{
	const uint64_t next = next_event_us(t);

	assert_true(next != UINT64_MAX); /* something is always waited for while frames are open */
	t->now_us = MAX(next, t->now_us + 1);
	arrive_all(t);
	recovery_on_timer(&t->sender, t->now_us, &t->sink);
	check_sender(t);
	send_what_may_go(t);
	check_sender(t);
	ack_if_due(t);
}

static struct run *run_new(const struct path *path, uint64_t seed)
{
	struct run *t = test_calloc(1, sizeof(*t));

	assert_non_null(t);
	t->path = *path;
	t->sink.frame = take_frame;
	t->window_least = UINT64_MAX;
	t->now_us = 1000000;
	random_seeded_init(&t->rng, seed);
	recovery_init(&t->sender, 0, t->now_us);
	return t;
}

static void run_free(struct run *t)
{
	recovery_deinit(&t->sender);
	test_free(t);
}

/* Sends n frames until all are acknowledged; returns how long they took to come. */
static uint64_t run_until_acked(struct run *t, unsigned n)
{
	const uint64_t from_us = t->now_us;

	for (uint32_t i = 0; i < n; i++)
		send_later(t, i);
	send_what_may_go(t);
	while (t->acked_n < n) {
		step(t);
		assert_true(t->now_us - from_us < UINT64_C(3600) * 1000000);
	}
	return t->last_came_us - from_us;
}

/* The list empties, and shrinks when it has been empty for a while. */
static void check_rest(struct run *t)
{
	t->send_len = 0;
	while (recovery_deadline_us(&t->sender) != UINT64_MAX || t->on_path_len > 0)
		step(t);
	assert_int_equal(t->sender.bytes_in_flight, 0);
	assert_true(t->sender.ring_len == 0 && t->sender.ring_cap <= RECOVERY_SENT_REST);
}

static void all_comes_over_any_path(void **state)
{
	static const struct path paths[] = {
		{ .delay_us = 50 },
		{ .delay_us = 50, .timer_us = 1000 },
		{ .delay_us = 2000, .jitter_us = 3000, .doubled = 50, .timer_us = 1000 },
		{ .delay_us = 10000, .loss = 10, .timer_us = 1000 },
		{ .delay_us = 10000, .loss = 100, .doubled = 100, .timer_us = 1000 },
		{ .delay_us = 5000, .jitter_us = 20000, .loss = 300, .doubled = 10, .timer_us = 1000 },
		{ .delay_us = 200000, .loss = 30, .jitter_us = 50000, .timer_us = 1000 },
		{ .delay_us = 3000, .byte_ns = 8000, .queue_us = 30000, .timer_us = 1000 },
		{ .delay_us = 3000, .byte_ns = 800, .queue_us = 20000, .loss = 20, .timer_us = 1000 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		for (uint64_t seed = 0; seed < 4; seed++) {
			struct run *t = run_new(&paths[i], seed);

			run_until_acked(t, FRAMES);
			for (size_t k = 0; k < FRAMES; k++)
				assert_true(t->came[k]);
			check_rest(t);
			run_free(t);
		}
	}
}

/* With a queue of a round trip, NewReno keeps the bottleneck busy. */
static void throughput_reaches_the_bottleneck(void **state)
{
	static const struct path paths[] = {
		{ .delay_us = 5000, .byte_ns = 800, .queue_us = 12000, .timer_us = 1000 }, /* 10 Mbit/s */
		{ .delay_us = 1000, .byte_ns = 80, .queue_us = 4000, .timer_us = 1000 },   /* 100 Mbit/s */
		{ .delay_us = 50, .byte_ns = 20, .queue_us = 2000, .timer_us = 1000 }, /* 400 Mbit/s, near */
		{ .delay_us = 50, .byte_ns = 4, .queue_us = 1000, .timer_us = 1000 },  /* 2 Gbit/s, near */
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		struct run *t = run_new(&paths[i], i);
		const uint64_t took_us = run_until_acked(t, FRAMES);
		const uint64_t least_us = (uint64_t)FRAMES * CARRIER_LARGE * paths[i].byte_ns / 1000;

		print_message("# path %zu: %llu us, bottleneck alone %llu us, %u lost\n", i,
		              (unsigned long long)took_us, (unsigned long long)least_us, t->lost_n);
		assert_true(took_us < least_us * 5 / 4 + 2000);
		run_free(t);
	}
}

static void a_clean_path_loses_and_repeats_nothing(void **state)
{
	const struct path path = { .delay_us = 20000, .timer_us = 1000 };
	struct run *t = run_new(&path, 0);

	(void)state;
	run_until_acked(t, FRAMES);
	assert_int_equal(t->lost_n, 0);
	assert_int_equal(t->probe_n, 0);
	assert_int_equal(t->sent_n, FRAMES);
	assert_true(t->window_least == RECOVERY_WINDOW_INITIAL);
	run_free(t);
}

/* One datagram a round trip, for long: the window must not become leave to send a burst. */
static void little_to_say_does_not_grow_the_window(void **state)
{
	const struct path path = { .delay_us = 5000, .timer_us = 1000 };
	struct run *t = run_new(&path, 0);

	(void)state;
	for (uint32_t i = 0; i < 500; i++) {
		send_later(t, i);
		send_what_may_go(t);
		while (t->acked_n <= i)
			step(t);
	}
	assert_int_equal(t->window_most, RECOVERY_WINDOW_INITIAL);
	run_free(t);
}

static void darkness_is_probed_and_survived(void **state)
{
	const struct path path = {
		.delay_us = 5000,
		.timer_us = 1000,
		.byte_ns = 800,
		.queue_us = 20000,
		.dark_from_us = 1500000,
		.dark_to_us = 9000000,
	};
	struct run *t = run_new(&path, 0);

	(void)state;
	run_until_acked(t, FRAMES);
	assert_true(t->pto_most >= 5);
	assert_true(t->probe_n <= 2 * t->pto_most);
	assert_int_equal(recovery_pto_count(&t->sender), 0);
	assert_int_equal(t->window_least, RECOVERY_WINDOW_MIN); /* persistent congestion */
	run_free(t);
}

/* --- Single rules --- */

static unsigned fates[3];

static void count_fate(struct recovery_sink *self, const struct sent_frame *f, enum recovery_fate fate)
{
	(void)self;
	(void)f;
	fates[fate]++;
}

static struct recovery_sink counter = { count_fate };

static void send_one(struct recovery *r, uint64_t pn, size_t bytes, uint64_t now_us)
{
	const struct sent_frame frame = { pn, 0, 0, FRAME_STATE };

	assert_int_equal(recovery_on_sent(r, pn, bytes, &frame, 1, now_us), 0);
}

static int ack_after(struct recovery *r, uint64_t first, uint64_t end, uint32_t delay_us, uint64_t now_us)
{
	const struct range range = { first, end };
	uint8_t bytes[32];
	struct writer w = WRITER_ON(bytes);
	struct reader reader;
	struct frame f;

	frame_write_ack(&w, &range, 1, delay_us);
	reader = reader_from(writer_done(&w));
	assert_int_equal(frame_read(&f, &reader), 0);
	return recovery_on_ack(r, &f.ack, now_us, &counter);
}

static int ack(struct recovery *r, uint64_t first, uint64_t end, uint64_t now_us)
{
	return ack_after(r, first, end, 0, now_us);
}

static int single_setup(void **state)
{
	static struct recovery r;

	memset(fates, 0, sizeof(fates));
	recovery_init(&r, 10000, 0);
	*state = &r;
	return 0;
}

static int single_teardown(void **state)
{
	recovery_deinit(*state);
	return 0;
}

static void acks_of_what_was_not_sent_are_refused(void **state)
{
	struct recovery *r = *state;

	assert_int_equal(ack(r, 0, 1, 10), RECOVERY_REFUSED);
	send_one(r, 0, 256, 10);
	assert_int_equal(recovery_on_sent(r, 1, 256, NULL, 0, 10), 0);
	assert_int_equal(ack(r, 0, 3, 20), RECOVERY_REFUSED);
	assert_int_equal(r->bytes_in_flight, 256);
	assert_int_equal(ack(r, 0, 2, 20), 0);
	assert_int_equal(ack(r, 0, 2, 30), 0); /* said again */
	assert_int_equal(fates[RECOVERY_ACKED], 1);
	assert_int_equal(r->bytes_in_flight, 0);
	assert_true(recovery_deadline_us(r) == UINT64_MAX);
}

static void three_later_ones_or_time_mean_loss(void **state)
{
	struct recovery *r = *state;

	for (uint64_t pn = 0; pn < 4; pn++)
		send_one(r, pn, 256, 1000 + pn);
	assert_int_equal(ack(r, 2, 3, 11000), 0);
	assert_int_equal(fates[RECOVERY_LOST], 0);
	assert_int_equal(ack(r, 3, 4, 11003), 0);
	assert_int_equal(fates[RECOVERY_LOST], 1); /* 0 is three before 3 */
	/* 1 has until 9/8 of a round trip after it was sent. */
	assert_in_range(recovery_deadline_us(r), 1001 + 11200, 1001 + 11300);
	recovery_on_timer(r, recovery_deadline_us(r) - 1, &counter);
	assert_int_equal(fates[RECOVERY_LOST], 1);
	recovery_on_timer(r, recovery_deadline_us(r), &counter);
	assert_int_equal(fates[RECOVERY_LOST], 2);
	assert_int_equal(r->window, RECOVERY_WINDOW_INITIAL / 2); /* both in one round trip: halved once */
}

static void probes_back_off(void **state)
{
	struct recovery *r = *state;
	uint64_t at_us = 0, wait_us = 0;

	send_one(r, 0, 256, at_us);
	for (unsigned i = 0; i < 20; i++) {
		const uint64_t deadline_us = recovery_deadline_us(r), last_wait_us = wait_us;

		wait_us = deadline_us - at_us;
		at_us = deadline_us;
		assert_true(wait_us == (i == 0 ? wait_us : MIN(2 * last_wait_us, RECOVERY_PTO_MAX_US)));
		recovery_on_timer(r, at_us, &counter);
		assert_int_equal(recovery_pto_count(r), i + 1);
		assert_int_equal(fates[RECOVERY_PROBE], i + 1);
	}
	assert_true(wait_us == RECOVERY_PTO_MAX_US);
	assert_int_equal(ack(r, 0, 1, at_us), 0);
	assert_int_equal(recovery_pto_count(r), 0);
}

/* Filled with small datagrams, the list still has room for a probe when nothing is heard. */
static void a_full_list_still_probes(void **state)
{
	struct recovery *r = *state;
	uint64_t pn = 0, now_us = 0;

	r->window = RECOVERY_WINDOW_MAX;
	r->tokens = UINT32_MAX;
	for (; recovery_can_send(r, CARRIER_SMALL, now_us) || pn < RECOVERY_SENT_MAX; now_us += 100)
		if (recovery_can_send(r, CARRIER_SMALL, now_us))
			send_one(r, pn++, CARRIER_SMALL, now_us);
	assert_int_equal(pn, RECOVERY_SENT_MAX);
	for (unsigned i = 0; i < 8; i++) {
		now_us = recovery_deadline_us(r);
		recovery_on_timer(r, now_us, &counter);
		assert_true(recovery_can_send(r, CARRIER_SMALL, now_us));
		send_one(r, pn++, CARRIER_SMALL, now_us);
	}
	assert_int_equal(ack(r, pn - 1, pn, now_us + 10000), 0);
	assert_int_equal(r->bytes_in_flight, 0);
	assert_int_equal(fates[RECOVERY_LOST] + fates[RECOVERY_ACKED], pn);
}

static void the_others_delay_is_no_distance(void **state)
{
	struct recovery *r = *state;

	send_one(r, 0, 256, 0);
	assert_int_equal(ack_after(r, 0, 1, 5000, 10000), 0); /* the first sample is taken as it is */
	assert_int_equal(r->rtt_smoothed_us, 10000);
	send_one(r, 1, 256, 20000);
	assert_int_equal(ack_after(r, 1, 2, 20000, 50000), 0);
	assert_int_equal(r->rtt_smoothed_us, 10000);
	send_one(r, 2, 256, 60000);
	assert_int_equal(ack_after(r, 2, 3, 4000000, 110000),
	                 0); /* believed up to the longest that is allowed */
	assert_int_equal(r->rtt_smoothed_us, (7 * 10000 + 50000 - RECEIVED_ACK_DELAY_US) / 8);
	assert_int_equal(r->rtt_min_us, 10000);
}

/* The delay that an ack tells is that of its largest, which may be an ack itself. */
static void an_ack_in_between_gives_a_sample_too(void **state)
{
	struct recovery *r = *state;

	send_one(r, 0, 256, 0);
	assert_int_equal(recovery_on_sent(r, 1, 256, NULL, 0, 15000), 0);
	assert_int_equal(ack_after(r, 0, 2, 1000, 20000), 0);
	assert_true(r->rtt_known && r->rtt_smoothed_us == 5000);
}

/* As many as may go now. */
static unsigned send_all(struct recovery *r, uint64_t *pn, uint64_t now_us)
{
	unsigned n = 0;

	for (; recovery_can_send(r, CARRIER_LARGE, now_us); n++)
		send_one(r, (*pn)++, CARRIER_LARGE, now_us);
	return n;
}

/* 800 datagrams in 20 ms, and a quarter more: 50 a millisecond. */
static void pacing_suits_a_slow_timer(void **state)
{
	struct recovery *r = *state;
	uint64_t pn = 0, now_us = 0;

	r->rtt_smoothed_us = 20000;
	r->window = r->threshold = 800 * CARRIER_LARGE;
	assert_int_equal(send_all(r, &pn, now_us), 10);
	assert_in_range(recovery_deadline_us(r), 15, 25); /* when the next may go */
	now_us += 1000;
	assert_in_range(send_all(r, &pn, now_us), 48, 50);
	now_us += 2000;
	assert_in_range(send_all(r, &pn, now_us), 98, 101);
	now_us += 10000; /* who pauses stores up no more than two milliseconds */
	assert_in_range(send_all(r, &pn, now_us), 98, 101);
}

static void an_ack_is_due_when_it_should_be(void **state)
{
	struct received r = { 0 };
	uint8_t bytes[64];
	struct writer w = WRITER_ON(bytes);

	(void)state;
	assert_false(received_write_ack(&r, &w, 5));
	received_note(&r, 0, false, 10);
	assert_true(received_deadline_us(&r) == UINT64_MAX && !received_owes_ack(&r));
	received_note(&r, 1, true, 20);
	assert_int_equal(received_deadline_us(&r), 20 + RECEIVED_ACK_DELAY_US);
	received_note(&r, 2, true, 30);
	assert_int_equal(received_deadline_us(&r), 30);
	assert_true(received_write_ack(&r, &w, 41));
	assert_true(
	        span_equal(writer_done(&w), span_from("\x01\x02\0\0\0\0\0\0\0\x0b\0\0\0\x01\0\0\x03\0", 18)));
	assert_false(received_owes_ack(&r));
	received_note(&r, 4, true, 50); /* a gap */
	assert_int_equal(received_deadline_us(&r), 50);
	w = writer_on(bytes, FRAME_ACK_HEAD_LEN + FRAME_ACK_RANGE_LEN - 1);
	assert_false(received_write_ack(&r, &w, 60));
	assert_true(received_owes_ack(&r) && w.len == 0 && !w.failed);
}

static void a_reliable_path_is_acked_seldom(void **state)
{
	struct received r = { .reliable = true };
	uint64_t pn = 0;

	(void)state;
	for (; pn < RECEIVED_RELIABLE_UNSAID_MAX - 1; pn++) {
		received_note(&r, pn * 2, true, 20 + pn); /* a gap says nothing there */
		assert_int_equal(received_deadline_us(&r), 20 + RECEIVED_RELIABLE_DELAY_US);
	}
	received_note(&r, pn * 2, true, 100);
	assert_int_equal(received_deadline_us(&r), 100);
}

struct tally {
	struct recovery_sink sink;
	unsigned acked, other;
};

static void tally_fate(struct recovery_sink *self, const struct sent_frame *f, enum recovery_fate fate)
{
	struct tally *t = CONTAINER_OF(self, struct tally, sink);

	(void)f;
	t->acked += fate == RECOVERY_ACKED;
	t->other += fate != RECOVERY_ACKED;
}

static int ack_all_before(struct recovery *r, uint64_t end, uint64_t now_us, struct tally *tally)
{
	const struct range range = { 0, end };
	uint8_t bytes[32];
	struct writer w = WRITER_ON(bytes);
	struct reader reader;
	struct frame f;

	frame_write_ack(&w, &range, 1, 0);
	reader = reader_from(writer_done(&w));
	assert_int_equal(frame_read(&f, &reader), 0);
	return recovery_on_ack(r, &f.ack, now_us, &tally->sink);
}

static uint64_t fill(struct recovery *r, uint64_t pn, uint64_t now_us)
{
	const struct sent_frame frame = { .type = FRAME_PIECE };

	while (recovery_can_send(r, CARRIER_LARGE, now_us))
		assert_int_equal(recovery_on_sent(r, pn++, CARRIER_LARGE, &frame, 1, now_us), 0);
	return pn;
}

/* PROTOCOL section 9: 24 in flight, freed by acks; however long these take, nothing is sent again. */
static void a_reliable_path_has_a_queue_and_no_losses(void **state)
{
	struct tally tally = { { tally_fate }, 0, 0 };
	struct recovery r;
	uint64_t pn = 0, now_us = 5000000;

	(void)state;
	recovery_init_reliable(&r);
	assert_int_equal(recovery_deadline_us(&r), UINT64_MAX);
	for (unsigned round = 0; round < 50; round++) {
		const uint64_t end = (pn = fill(&r, pn, now_us)) - round % RECOVERY_RELIABLE_MAX;

		assert_int_equal(pn - tally.acked, RECOVERY_RELIABLE_MAX);
		now_us += 9000000;
		recovery_on_timer(&r, now_us, &tally.sink);
		assert_int_equal(recovery_pto_count(&r), 0);
		assert_int_equal(ack_all_before(&r, end, now_us, &tally), 0);
		assert_int_equal(tally.acked, end);
	}
	/* It stands still: that is said, once every ten seconds, and no more. */
	pn = fill(&r, pn, now_us);
	for (unsigned stalls = 1; stalls < 10; stalls++) {
		assert_int_equal(recovery_deadline_us(&r), now_us + RECOVERY_STALL_US);
		now_us += RECOVERY_STALL_US;
		recovery_on_timer(&r, now_us, &tally.sink);
		assert_int_equal(recovery_pto_count(&r), stalls);
		assert_false(recovery_can_send(&r, CARRIER_LARGE, now_us));
	}
	assert_int_equal(ack_all_before(&r, pn + 1, now_us, &tally), RECOVERY_REFUSED);
	assert_int_equal(ack_all_before(&r, pn, now_us, &tally), 0);
	assert_int_equal(recovery_pto_count(&r), 0);
	assert_int_equal(tally.acked, pn);
	assert_int_equal(tally.other, 0);
	recovery_deinit(&r);
}

static void the_newest_ranges_are_remembered(void **state)
{
	struct received r = { 0 };

	(void)state;
	for (uint64_t pn = 10; pn < 10 + 4 * RANGES_MAX; pn += 2)
		received_note(&r, pn, true, pn);
	assert_int_equal(r.numbers.n, RANGES_MAX);
	assert_false(ranges_has(&r.numbers, 10));
	assert_true(ranges_has(&r.numbers, 10 + 4 * RANGES_MAX - 2));
	received_note(&r, 3, true, 1000);
	assert_false(ranges_has(&r.numbers, 3));
	assert_int_equal(r.numbers.n, RANGES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_comes_over_any_path),
		cmocka_unit_test(throughput_reaches_the_bottleneck),
		cmocka_unit_test(a_clean_path_loses_and_repeats_nothing),
		cmocka_unit_test(little_to_say_does_not_grow_the_window),
		cmocka_unit_test(darkness_is_probed_and_survived),
		cmocka_unit_test_setup_teardown(acks_of_what_was_not_sent_are_refused, single_setup,
		                                single_teardown),
		cmocka_unit_test_setup_teardown(three_later_ones_or_time_mean_loss, single_setup,
		                                single_teardown),
		cmocka_unit_test_setup_teardown(probes_back_off, single_setup, single_teardown),
		cmocka_unit_test_setup_teardown(a_full_list_still_probes, single_setup, single_teardown),
		cmocka_unit_test_setup_teardown(the_others_delay_is_no_distance, single_setup,
		                                single_teardown),
		cmocka_unit_test_setup_teardown(an_ack_in_between_gives_a_sample_too, single_setup,
		                                single_teardown),
		cmocka_unit_test_setup_teardown(pacing_suits_a_slow_timer, single_setup, single_teardown),
		cmocka_unit_test(an_ack_is_due_when_it_should_be),
		cmocka_unit_test(a_reliable_path_is_acked_seldom),
		cmocka_unit_test(a_reliable_path_has_a_queue_and_no_losses),
		cmocka_unit_test(the_newest_ranges_are_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
