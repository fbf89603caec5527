#include <malloc.h>
#include <sodium.h>
#include <stdlib.h>

#include "node/core/text.h"
#include "node/crypto/secrets.h"

#include "tests/unit/rogue.h"

#include "tests/unit/unit.h"

/* What a contact, or anybody who can send to the group or to an open path, may do: the session ends or
 * nothing happens. world.c fails the test for every negative result of a step. */

static const uint64_t huge = UINT64_MAX;

/* ---- Frames against the rules ---------------------------------------------- */

struct hostile {
	const char *what;
	void (*write)(struct writer *w);
	bool ends; /* the session */
};

static void bytes(struct writer *w, const char *hex)
{
	uint8_t b[64];
	size_t len;

	assert_int_equal(sodium_hex2bin(b, sizeof(b), hex, strlen(hex), " ", &len, NULL), 0);
	writer_bytes(w, b, len);
}

static void piece(struct writer *w, uint64_t seq, uint32_t offset, uint32_t total, uint16_t len)
{
	writer_u8(w, FRAME_PIECE);
	writer_u64(w, seq);
	writer_u32(w, offset);
	writer_u32(w, total);
	writer_u16(w, len);
	writer_zeros(w, len);
}

static void runs(struct writer *w, uint64_t first, uint32_t count)
{
	writer_u8(w, FRAME_STORED);
	writer_u8(w, 1);
	writer_u64(w, first);
	writer_u32(w, count);
}

/* `stored` in so many parts. */
static void gaps(struct writer *w, uint8_t count)
{
	writer_u8(w, FRAME_STORED);
	writer_u8(w, count);
	for (unsigned i = 0; i < count; i++) {
		writer_u64(w, 2 * i);
		writer_u32(w, 1);
	}
}

static void ack(struct writer *w, uint64_t largest, uint16_t gap, uint16_t run)
{
	writer_u8(w, FRAME_ACK);
	writer_u64(w, largest);
	writer_u32(w, UINT32_MAX);
	writer_u8(w, 1);
	writer_u16(w, gap);
	writer_u16(w, run);
}

static void state(struct writer *w, uint32_t epoch, uint64_t sent, uint64_t stored, uint64_t clock)
{
	const struct frame_state f = { 255, epoch, sent, stored, clock };

	frame_write_state(w, &f);
}

static void reinit_with(struct writer *w, uint8_t key, uint32_t epoch)
{
	writer_u8(w, FRAME_REINIT);
	writer_u8(w, key);
	writer_zeros(w, 31);
	writer_u32(w, epoch);
}

static void reinit(struct writer *w, uint32_t epoch)
{
	reinit_with(w, 0, epoch); /* a key of no use, too */
}

/* Whole frames up to the last bytes of the datagram, then one that has no room. */
static void cut_short(struct writer *w, uint8_t type)
{
	while (w->len + 38 <= CARRIER_LARGE_FRAMES)
		state(w, 0, 0, 0, 0);
	writer_u8(w, type);
	while (w->len < CARRIER_LARGE_FRAMES)
		writer_u8(w, 1);
}

/* clang-format off */
#define FRAMES(name, code) static void name(struct writer *w) { code; }
FRAMES(unknown_0a, writer_u8(w, 0x0a))
FRAMES(unknown_ff, writer_u8(w, 0xff))
FRAMES(cut_ack, cut_short(w, FRAME_ACK))
FRAMES(cut_state, cut_short(w, FRAME_STATE))
FRAMES(cut_piece, cut_short(w, FRAME_PIECE))
FRAMES(cut_stored, cut_short(w, FRAME_STORED))
FRAMES(cut_reinit, cut_short(w, FRAME_REINIT))
FRAMES(piece_last_place, piece(w, ENVELOPES_AHEAD - 1, 0, ENVELOPE_MAX, 100))
FRAMES(piece_beyond, piece(w, ENVELOPES_AHEAD, 0, ENVELOPE_MAX, 100))
FRAMES(piece_far_beyond, piece(w, huge, 0, ENVELOPE_MAX, 100))
FRAMES(piece_total, piece(w, 0, 0, 1000, 100))
FRAMES(piece_two_totals, piece(w, 0, 0, 1024, 100); piece(w, 0, 100, 4096, 100))
FRAMES(piece_past_total, piece(w, 0, 1020, 1024, 5))
FRAMES(piece_offset_wraps, piece(w, 0, UINT32_MAX, 1024, 2))
FRAMES(piece_empty, piece(w, 0, 0, 1024, 0))
FRAMES(piece_of_zeros, piece(w, 0, 0, 1024, 1024))
FRAMES(stored_unsent, runs(w, 0, 1))
FRAMES(stored_wraps, runs(w, huge, 1))
FRAMES(stored_nothing, runs(w, 0, 0))
FRAMES(stored_none, bytes(w, "0400"))
FRAMES(ack_unsent, ack(w, huge, 0, 1))
FRAMES(ack_one_beyond, ack(w, 1000, 0, 1))
FRAMES(ack_below_zero, ack(w, 0, 0, 2))
FRAMES(ack_of_nothing, ack(w, 0, 0, 0))
FRAMES(ack_empty, bytes(w, "01 0000000000000000 00000000 00"))
FRAMES(have_none, bytes(w, "0500"))
FRAMES(have_one, bytes(w, "0501 0102030405060708"))
FRAMES(want_one, bytes(w, "0601 0102030405060708"))
FRAMES(carried, bytes(w, "07 0102030405060708 00000000 00040000 0100 77"))
FRAMES(reinit_alone, reinit(w, 1))
FRAMES(reinit_old, reinit(w, 0))
FRAMES(reinit_silly, reinit(w, UINT32_MAX))
FRAMES(close_, writer_u8(w, FRAME_CLOSE))
FRAMES(state_epoch, state(w, UINT32_MAX, 0, 0, 0))
FRAMES(state_sent, state(w, 0, huge, 0, 0))
FRAMES(state_stored, state(w, 0, 0, huge, 0))
FRAMES(state_all, state(w, UINT32_MAX, huge, huge, huge))
FRAMES(state_both, state(w, 0, huge, huge, 0))
FRAMES(state_half, state(w, 0, huge / 2, huge / 2 + 1, 0))
FRAMES(state_clock, state(w, 0, 0, 0, huge))
FRAMES(state_bound, state(w, 0, SEQUENCE_MAX, SEQUENCE_MAX, 0); reinit_with(w, 9, 1))
FRAMES(state_above, state(w, 0, 0, SEQUENCE_MAX + 1, 0); reinit_with(w, 9, 1))
FRAMES(state_weak, state(w, 1, 0, 0, 0); reinit_with(w, 0, 2))
FRAMES(state_last_epoch, state(w, EPOCH_MAX, 0, 0, 0); reinit_with(w, 9, EPOCH_MAX + 1))
FRAMES(state_other_epoch, state(w, 5, 0, 0, 0); reinit_with(w, 9, 7))
FRAMES(amid_reinit, state(w, 5, 0, 0, 0); runs(w, 0, 1); piece(w, 0, 0, 1024, 1024); state(w, 0, huge, huge, 0))
FRAMES(reinit_twice, state(w, 5, 0, 0, 0); reinit_with(w, 9, 6); reinit_with(w, 9, 7))
FRAMES(reinit_unasked, reinit_with(w, 9, 1); state(w, 0, 0, 0, 0))
FRAMES(stored_gaps, state_bound(w); gaps(w, RANGES_MAX))
FRAMES(stored_more_gaps, state_bound(w); gaps(w, RANGES_MAX + 1))
#undef FRAMES

/* After a first state that agrees. */
static const struct hostile after_state[] = {
	{ "unknown 0a", unknown_0a, true }, { "unknown ff", unknown_ff, true },
	{ "ack cut short", cut_ack, true }, { "state cut short", cut_state, true },
	{ "piece cut short", cut_piece, true }, { "stored cut short", cut_stored, true },
	{ "re-init cut short", cut_reinit, true },
	{ "piece in the last place", piece_last_place, false }, { "piece beyond", piece_beyond, true },
	{ "piece far beyond", piece_far_beyond, true }, { "piece of no size", piece_total, true },
	{ "piece of two sizes", piece_two_totals, true }, { "piece past its end", piece_past_total, true },
	{ "piece whose end wraps", piece_offset_wraps, true }, { "piece of nothing", piece_empty, true },
	{ "an envelope of zeros", piece_of_zeros, true },
	{ "stored unsent", stored_unsent, true }, { "stored wraps", stored_wraps, true },
	{ "stored nothing", stored_nothing, true }, { "stored without runs", stored_none, true },
	{ "ack of the unsent", ack_unsent, true }, { "ack of one unsent", ack_one_beyond, true },
	{ "ack below zero", ack_below_zero, true }, { "ack of no run", ack_of_nothing, true },
	{ "ack without ranges", ack_empty, true }, { "have of none", have_none, true },
	{ "have", have_one, false }, { "want", want_one, false }, { "carried", carried, false },
	{ "re-init alone", reinit_alone, true }, { "re-init old", reinit_old, false },
	{ "re-init silly", reinit_silly, true }, { "close", close_, true },
	{ "later state, sent", state_sent, false }, { "later state, stored", state_stored, false },
	{ "later state, epoch", state_epoch, false },
};

/* As the first words. */
static const struct hostile at_first[] = {
	{ "state, epoch", state_epoch, true }, { "state, sent", state_sent, true },
	{ "state, stored", state_stored, true }, { "state, all", state_all, true },
	{ "state, both", state_both, true }, { "state, half", state_half, true },
	{ "state, clock", state_clock, false }, { "stored before state", stored_unsent, false },
	{ "early re-init", reinit_alone, false }, { "early silly re-init", reinit_silly, false },
	{ "state at its bound", state_bound, false }, { "state above it", state_above, true },
	{ "re-init with a weak key", state_weak, true }, { "re-init of the last epoch", state_last_epoch, false },
	{ "re-init of another epoch", state_other_epoch, true },
	{ "words of the old epoch amid a re-init", amid_reinit, false },
	{ "a second re-init", reinit_twice, true }, { "a re-init, and no reason for it", reinit_unasked, true },
	{ "stored with gaps", stored_gaps, false }, { "stored with more gaps", stored_more_gaps, true },
	{ "early piece", piece_last_place, false }, { "early far piece", piece_far_beyond, true },
};
/* clang-format on */

static void meet(struct rogue *r, uint64_t seed)
{
	rogue_new(r, seed);
	world_mode(r->w, 0, 1, MODE_CALL);
	rogue_meet(r);
	assert_true(rogue_is_linked(r));
}

static void try_one(const struct hostile *h, uint64_t seed, bool after)
{
	uint8_t buf[CARRIER_LARGE_FRAMES];
	struct writer w = writer_on(buf, sizeof(buf));
	struct rogue r;

	meet(&r, seed);
	if (after)
		rogue_state(&r, 0, 0, 0);
	h->write(&w);
	rogue_say(&r, writer_done(&w));
	if (rogue_is_linked(&r) == h->ends)
		fail_msg("%s: the session %s", h->what, h->ends ? "goes on" : "ended");
	/* Whatever it did, the node goes on: it packs what waits, restarts, and meets the next one. */
	if (!h->ends)
		rogue_ack(&r);
	assert_int_equal(world_say(r.w, 0, 1, "hello"), REPLY_OK);
	world_run(r.w, 5000000);
	world_crash(r.w, 0);
	rogue_meet(&r);
	rogue_state(&r, r.state.epoch, 0, 0);
	world_run(r.w, 1000000);
	rogue_free(&r);
}

static void frames_against_the_rules_end_the_session(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT_OF(after_state); i++)
		try_one(&after_state[i], 100 + i, true);
	for (size_t i = 0; i < COUNT_OF(at_first); i++)
		try_one(&at_first[i], 200 + i, false);
}

/* Any bytes as frames, and frames with any bytes in them, over many sessions. */
static void frames_of_chance(void **unused)
{
	struct rogue r;

	(void)unused;
	rogue_new(&r, 7);
	world_mode(r.w, 0, 1, MODE_CALL);
	for (unsigned sessions = 0; sessions < 100; sessions++) {
		rogue_meet(&r);
		if (sessions % 4 != 0)
			rogue_state(&r, r.state.epoch, r.state.stored, r.state.sent);
		for (unsigned i = 0; i < 50 && rogue_is_linked(&r); i++) {
			uint8_t buf[CARRIER_LARGE_FRAMES];
			const size_t len = 1 + random_below(&r.rng.base, sizeof(buf));

			random_bytes(&r.rng.base, buf, len);
			buf[0] = (uint8_t)(1 + random_below(&r.rng.base, 9));
			if (random_below(&r.rng.base, 2) == 0)
				sodium_memzero(buf + 1, MIN(len - 1, 16u));
			rogue_say(&r, span_from(buf, len));
		}
		rogue_say(&r, span_from("\x09", 1));
		assert_false(rogue_is_linked(&r));
	}
	rogue_free(&r);
}

/* ---- Numbers --------------------------------------------------------------- */

/* The clock of `a` says when both meet without multicast. It says what cannot be counted any more, is missed,
 * and meets us again in the other way. */
static void a_clock_at_the_end_of_time(void **unused)
{
	static const uint64_t clocks[] = { INT64_MAX,
		                           INT64_MAX - 1,
		                           INT64_MAX - 20,
		                           INT64_MAX - 600,
		                           INT64_MAX - 100000,
		                           INT64_MAX / 30,
		                           UINT64_C(600) * UINT32_MAX,
		                           UINT64_C(1) << 63,
		                           UINT64_MAX };

	(void)unused;
	for (size_t i = 0; i < COUNT_OF(clocks); i++) {
		uint8_t buf[64];
		struct writer w = WRITER_ON(buf);
		uint64_t seed = 400;
		struct rogue r;

		for (rogue_new(&r, seed); r.c.role != ROLE_A; rogue_new(&r, ++seed))
			rogue_free(&r);
		world_mode(r.w, 0, 1, MODE_CALL);
		rogue_link(&r);
		state(&w, 0, 0, 0, clocks[i]);
		rogue_say(&r, writer_done(&w));
		rogue_say(&r, span_from("\x09", 1));
		world_run(r.w, 60000000);
		rogue_meet(&r);
		rogue_free(&r);
	}
}

/* After a re-init that jumps to the largest number, an envelope of long ago: `stored` has 32 bits to say how
 * many there are. */
static void an_envelope_of_long_ago(void **unused)
{
	uint8_t buf[CARRIER_LARGE_FRAMES];
	struct writer w = WRITER_ON(buf);
	struct rogue r;

	(void)unused;
	meet(&r, 11);
	state_bound(&w);
	rogue_say(&r, writer_done(&w));
	rogue_ack(&r);
	assert_int_equal(r.state.stored, 0); /* not before the other is seen to be done */
	w = WRITER_ON(buf);
	piece(&w, 0, 0, 1024, 100);
	r.stored = 0;
	rogue_say(&r, writer_done(&w));
	world_run(r.w, 100000);
	assert_true(rogue_is_linked(&r));
	assert_int_equal(r.stored, SEQUENCE_MAX);
	rogue_free(&r);
}

/* ---- Envelopes that open --------------------------------------------------- */

static void say_envelope(struct rogue *r, uint64_t seq, struct span text)
{
	static uint8_t envelope[ENVELOPE_MAX];
	const size_t size = envelope_size_for(text.len);
	struct writer w = writer_on(envelope, size);

	assert_int_equal(ratchet_seal(&r->ratchet, &r->rng.base, text, size, &w), 0);
	for (size_t at = 0; at < size; at += 1000) {
		uint8_t buf[CARRIER_LARGE_FRAMES];
		struct writer f = WRITER_ON(buf);
		const struct frame_piece p = { .seq = seq,
			                       .offset = (uint32_t)at,
			                       .total = (uint32_t)size,
			                       .bytes = span_from(envelope + at, MIN(1000u, size - at)) };

		frame_write_piece(&f, FRAME_PIECE, &p);
		rogue_say(r, writer_done(&f));
	}
}

/* A text that opens is stored or, where it breaks the rules, counted; the largest numbers do no harm. */
static void texts_of_all_kinds(void **unused)
{
	static uint8_t buf[TEXT_MAX + TEXT_HEAD_MAX];
	const struct text_message extreme = { .kind = huge,
		                              .claimed = huge,
		                              .not_before = huge,
		                              .drop_after = huge,
		                              .has_not_before = true,
		                              .has_drop_after = true,
		                              .content = span_str("\xf6") };
	const struct text_message empty = { .content = SPAN_NONE };
	struct text_writer t;
	struct rogue r;
	uint64_t seq = 0;

	(void)unused;
	meet(&r, 8);
	rogue_state(&r, 0, 0, 0);
	text_begin(&t, buf, TEXT_MAX, &(struct text_head){ .sequence = seq, .acknowledged = huge });
	assert_int_equal(text_add(&t, &extreme), 0);
	say_envelope(&r, seq++, text_end(&t));
	text_begin(&t, buf, TEXT_MAX, &(struct text_head){ .sequence = seq });
	for (unsigned i = 0; i < TEXT_MESSAGES_MAX; i++)
		assert_int_equal(text_add(&t, &empty), 0);
	assert_int_equal(text_add(&t, &empty), TEXT_FULL);
	say_envelope(&r, seq++, text_end(&t));
	text_begin(&t, buf, TEXT_MAX, &(struct text_head){ .sequence = huge });
	assert_int_equal(text_add(&t, &empty), 0);
	say_envelope(&r, seq++, text_end(&t)); /* the wrong number */
	say_envelope(&r, seq++, span_str("no text"));
	say_envelope(&r, seq++, SPAN_NONE);
	text_begin(&t, buf, TEXT_MAX, &(struct text_head){ .sequence = seq });
	assert_int_equal(text_add(&t, &(struct text_message){ .content = span_str("fine") }), 0);
	say_envelope(&r, seq++, text_end(&t));
	world_run(r.w, 1000000);
	assert_true(rogue_is_linked(&r));
	assert_int_equal(r.stored, seq);
	assert_non_null(strstr(world_texts(r.w, 0, 1, false), "fine"));
	world_crash(r.w, 0);
	rogue_free(&r);
}

/* ---- Handshakes ------------------------------------------------------------ */

/* We call, and while our call is answered two other sessions come and go, so that its link secret is no
 * longer held when its handshake ends: it comes to nothing (PROTOCOL section 3). */
static void a_handshake_that_was_overtaken(void **unused)
{
	struct link_secret secret;
	struct nonce16 n_call, n_answer;
	struct span wire;
	struct rogue r;
	uint32_t path;
	uint64_t seed = 300;

	(void)unused;
	for (rogue_new(&r, seed); r.c.role != ROLE_A; rogue_new(&r, ++seed))
		rogue_free(&r);
	secret = r.c.cur;
	rogue_call(&r, NULL);
	n_call = r.asked;
	n_answer = *call_nonce(&r.heard);
	path = r.path;
	world_mode(r.w, 0, 1, MODE_CALL);
	rogue_link(&r);
	rogue_say(&r, span_from("\x09", 1));
	rogue_link(&r);
	r.path = path;
	link_deinit(&r.link);
	link_init(&r.link,
	          &(struct link_config){ LINK_INITIATOR, &secret, &r.c.s, &r.c.peer_s, &n_call, &n_answer });
	assert_int_equal(link_wire(&wire, &r.link, &r.rng.base), 0);
	r.open = true;
	rogue_send(&r, wire);
	assert_int_equal(link_read_wire(&r.link, SPAN(r.wire)), 0);
	rogue_state(&r, 0, 0, 0);
	assert_false(r.open);
	assert_true(rogue_is_linked(&r)); /* the other one */
	rogue_free(&r);
}

/* What comes through a router, over an interface or in a family of addresses that is not ours is not for us:
 * nobody could be answered there. */
static void calls_from_elsewhere(void **unused)
{
	struct rogue r;
	struct call made;

	(void)unused;
	rogue_new(&r, 15);
	world_mode(r.w, 0, 1, MODE_CALL);
	made = r.heard;
	for (unsigned i = 0; i < 3; i++) {
		struct address *from = &r.w->nodes[1].address;
		const struct address near = *from;

		from->interface += i < 2;
		from->ip[0] = i == 1 ? 0xfe : 0;
		if (i == 2)
			*from = (struct address){ { 0xfe, 0x80, [15] = 2 }, near.interface };
		rogue_call(&r, NULL);
		assert_int_equal(r.answers, 0);
		if (i < 2)
			rogue_answer(&r, &made);
		assert_int_equal(r.opened, 0);
		*from = near;
	}
	rogue_call(&r, NULL);
	assert_int_equal(r.answers, 1);
	assert_int_equal(r.opened, 1);
	rogue_free(&r);
}

/* A call by a clock that is a year off, as made at `clock` beside ours. */
static void call_by_clock(struct rogue *r, int64_t offset, bool far)
{
	struct address from = r->w->nodes[1].address;
	struct sym_key key;
	struct call_entry entry = { .key = &key };
	struct call c;

	from.ip[15] += far; /* sent on from another place */
	entry.proof = call_proof_clock(CALL_KIND_CALL,
	                               r->w->clock0 + r->w->now_us / 1000000 + (uint64_t)offset, &from);
	secrets_call_key(&key, &r->c.cur, r->c.role);
	call_make(&c, CALL_SMALL, &entry, 1, &r->rng.base);
	r->asked = *call_nonce(&c);
	rogue_call_again(r, &c);
}

/* Who looks for somebody finds out whether a clock is wrong, at a price that strangers do not set. */
static void a_search_is_made_now_and_then(void **unused)
{
	const struct request look = { .kind = REQ_LOOK, .flag = true };
	const int64_t year = 365 * 86400;
	struct rogue r;

	(void)unused;
	rogue_new(&r, 16);
	call_by_clock(&r, year, false);
	assert_int_equal(r.answers, 0); /* nobody looks */
	world_ask(r.w, 0, &look);
	call_by_clock(&r, year, true);
	assert_int_equal(r.answers, 0); /* it was made elsewhere, whenever that was */
	call_by_clock(&r, -year, false);
	assert_int_equal(r.answers, 0); /* too soon after */
	r.w->now_us += 5000000;
	call_by_clock(&r, -year, false);
	assert_int_equal(r.answers, 1);
	r.w->now_us += 5000000;
	call_by_clock(&r, 11 * year, false); /* more than ten years */
	assert_int_equal(r.answers, 1);
	rogue_free(&r);
}

/* Two of its calls are answered, and somebody sends the first answer again: a second handshake under the
 * same two nonces would say a second e under the same mask (PROTOCOL section 5). */
static void an_answer_that_comes_again(void **unused)
{
	struct call first, answer;
	struct rogue r;
	unsigned opened;

	(void)unused;
	rogue_new(&r, 12);
	world_mode(r.w, 0, 1, MODE_CALL);
	first = r.heard;
	rogue_answer(&r, &first);
	answer = r.said;
	world_say(r.w, 0, 1, "hello");
	rogue_answer(&r, &r.heard);
	opened = r.opened;
	assert_int_equal(opened, 2);
	rogue_call_again(&r, &answer);
	assert_int_equal(r.opened, opened);
	rogue_free(&r);
}

/* Who has an old copy of its vault holds the anchor, and hears our calls without knowing whose they are: an
 * answer under the anchor would tell, for ever (PROTOCOL section 3). */
static void an_answer_under_the_anchor(void **unused)
{
	struct link_secret cur;
	struct rogue r;

	(void)unused;
	rogue_new(&r, 13);
	world_mode(r.w, 0, 1, MODE_CALL);
	cur = r.c.cur;
	r.c.cur = r.c.anchor;
	rogue_answer(&r, &r.heard);
	assert_int_equal(r.opened, 0);
	r.c.cur = cur;
	rogue_link(&r); /* and the call is still open for who is meant */
	assert_true(rogue_is_linked(&r));
	rogue_free(&r);
}

/* Answers a call at once, and ends the link as soon as it is there. */
static void come_and_go(struct rogue *r)
{
	struct span wire;

	rogue_answer(r, &r->heard);
	world_run(r->w, 20000);
	assert_int_equal(link_read_wire(&r->link, SPAN(r->wire)), 0);
	assert_int_equal(link_wire(&wire, &r->link, &r->rng.base), 0);
	rogue_send(r, wire);
	assert_true(rogue_is_linked(r));
	secrets_next(&r->c.cur, &r->c.cur, link_x(&r->link));
	rogue_say(r, span_from("\x09", 1));
	assert_false(rogue_is_linked(r));
}

/* Who comes and goes is missed each time, and does not decide how often we call. */
static void links_that_end_at_once(void **unused)
{
	unsigned links = 0, calls;
	struct rogue r;

	(void)unused;
	rogue_new(&r, 14);
	world_mode(r.w, 0, 1, MODE_CALL);
	calls = r.calls - 1;
	for (unsigned i = 0; i < 3000; i++) {
		if (r.calls != calls) {
			calls = r.calls;
			come_and_go(&r);
			links++;
		}
		world_run(r.w, 20000);
	}
	assert_in_range(links, 20, 60 / CALL_AGAIN_S + 3);
	assert_in_range(r.calls, links, links + 1);
	rogue_free(&r);
}

/* In the slots without multicast `b` calls without end: each call is a new one and live. */
static void direct_calls_without_end(void **unused)
{
	uint64_t seed = 500, sent;
	struct rogue r;

	(void)unused;
	for (rogue_new(&r, seed); r.c.role != ROLE_B; rogue_new(&r, ++seed))
		rogue_free(&r);
	world_mode(r.w, 0, 1, MODE_CALL);
	come_and_go(&r);
	for (r.asking = true, r.open = false; !r.open;)
		world_run(r.w, 100000); /* to the slot */
	sent = r.w->nodes[0].sent_datagrams;
	for (unsigned i = 0; i < 1000; i++) {
		struct sym_key key;
		const struct call_entry entry = {
			.key = &key,
			.proof = call_proof_clock(CALL_KIND_CALL, r.w->clock0 + r.w->now_us / 1000000,
			                          &r.w->nodes[1].address),
		};
		uint8_t bytes[CALL_DIRECT_LEN];
		struct writer w = WRITER_ON(bytes);
		struct call c;

		secrets_call_key(&key, &r.c.cur, r.c.role);
		call_make(&c, CALL_DIRECT, &entry, 1, &r.rng.base);
		call_write(&w, &c);
		rogue_send(&r, writer_done(&w));
		world_run(r.w, 10000);
	}
	assert_in_range(r.w->nodes[0].sent_datagrams - sent, 20, 32); /* one a second, and two */
	rogue_free(&r);
}

/* ---- Noise ----------------------------------------------------------------- */

static size_t memory_in_use(void)
{
	return mallinfo2().uordblks;
}

static void garbage_on_the_path(void **unused)
{
	static const size_t sizes[] = { 256, 1232, 0, 1, 23, 40, 255, 257, 1233, 1500 };
	uint8_t buf[1500];
	uint64_t sent;
	size_t used;
	struct rogue r;

	(void)unused;
	meet(&r, 9);
	rogue_state(&r, 0, 0, 0);
	random_bytes(&r.rng.base, buf, sizeof(buf));
	rogue_send(&r, span_from(buf, 256));
	used = memory_in_use();
	sent = r.w->nodes[0].sent_bytes;
	for (unsigned i = 0; i < 100000; i++) {
		buf[i % sizeof(buf)]++;
		rogue_send(&r, span_from(buf, sizes[i % 8 < 2 ? i % 2 : i / 8 % COUNT_OF(sizes)]));
	}
	assert_int_equal(memory_in_use(), used);
	assert_int_equal(r.w->nodes[0].sent_bytes, sent);
	assert_true(rogue_is_linked(&r));
	rogue_free(&r);
}

/* Random bytes, calls of strangers, and calls of a contact with one bit turned. */
static void garbage_on_the_group(void **unused)
{
	uint8_t buf[CALL_LARGE_LEN];
	struct world_node *n;
	struct rogue r;
	struct call c, bad;

	(void)unused;
	rogue_new(&r, 10);
	n = &r.w->nodes[0];
	rogue_call(&r, &c);
	assert_int_equal(r.answers, 1);
	world_run(r.w, 60000000); /* its openers end */
	assert_false(r.open);
	n->sent_bytes = n->sent_calls = 0;
	for (unsigned i = 0; i < 20000; i++) {
		struct writer w = WRITER_ON(buf);

		switch (i % 4) {
		case 0:
			random_bytes(&r.rng.base, buf, sizeof(buf));
			rogue_group(&r, span_from(buf, random_below(&r.rng.base, sizeof(buf))));
			break;
		case 1:
			call_make(&bad, i % 8 == 1 ? CALL_SMALL : CALL_LARGE, NULL, 0, &r.rng.base);
			rogue_call_again(&r, &bad);
			break;
		case 2:
			call_write(&w, &c);
			buf[random_below(&r.rng.base, CALL_SMALL_LEN)] ^=
			        (uint8_t)(1 << random_below(&r.rng.base, 8));
			rogue_group(&r, writer_done(&w));
			break;
		default:
			rogue_call_again(&r, &c); /* the same once more */
			break;
		}
		r.w->now_us += 50000;
	}
	assert_int_equal(n->sent_calls, 0);
	assert_int_equal(n->sent_bytes, 0);
	rogue_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_against_the_rules_end_the_session),
		cmocka_unit_test(frames_of_chance),
		cmocka_unit_test(a_clock_at_the_end_of_time),
		cmocka_unit_test(an_envelope_of_long_ago),
		cmocka_unit_test(texts_of_all_kinds),
		cmocka_unit_test(a_handshake_that_was_overtaken),
		cmocka_unit_test(calls_from_elsewhere),
		cmocka_unit_test(a_search_is_made_now_and_then),
		cmocka_unit_test(an_answer_that_comes_again),
		cmocka_unit_test(an_answer_under_the_anchor),
		cmocka_unit_test(links_that_end_at_once),
		cmocka_unit_test(direct_calls_without_end),
		cmocka_unit_test(garbage_on_the_path),
		cmocka_unit_test(garbage_on_the_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
