/*
 * A contact that means harm (reliability A6, A7, N4): real keys, and a program of its own. What it does to
 * its own conversation is its affair; nothing of it may be shown twice, out of order or as somebody else's,
 * reach another conversation, grow without bound, or tell it whether the person is there after a block.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/core/text.h"
#include "node/crypto/secrets.h"

#include "tests/unit/rogue.h"

#include "tests/unit/unit.h"

#define SECOND UINT64_C(1000000)

static void meet(struct rogue *r, uint64_t seed, size_t nodes)
{
	rogue_new_among(r, seed, nodes);
	world_mode(r->w, 0, 1, MODE_CALL);
	rogue_meet(r);
	rogue_state(r, 0, 0, 0);
	assert_true(rogue_is_linked(r));
}

/* ---- Envelopes -------------------------------------------------------------- */

struct envelope {
	uint64_t seq;
	size_t size;
	uint8_t bytes[ENVELOPE_MAX];
};

static void seal_text(struct rogue *r, struct envelope *e, uint64_t seq, struct span text)
{
	struct writer w;

	e->seq = seq;
	e->size = envelope_size_for(text.len);
	w = writer_on(e->bytes, e->size);
	assert_int_equal(ratchet_seal(&r->ratchet, &r->rng.base, text, e->size, &w), 0);
}

/* One text with one message, of a sequence that it may lie about. */
static void seal(struct rogue *r, struct envelope *e, uint64_t seq, uint64_t says, const char *content)
{
	uint8_t buf[TEXT_MAX + TEXT_HEAD_MAX];
	struct text_writer t;

	text_begin(&t, buf, TEXT_MAX, &(struct text_head){ .sequence = says });
	assert_int_equal(text_add(&t, &(struct text_message){ .content = span_str(content) }), 0);
	seal_text(r, e, seq, text_end(&t));
}

enum { PIECE = 1000 };

static void say_piece(struct rogue *r, uint64_t seq, const struct envelope *e, size_t at, size_t total)
{
	uint8_t buf[CARRIER_LARGE_FRAMES];
	struct writer w = WRITER_ON(buf);
	const struct frame_piece p = { .seq = seq,
		                       .offset = (uint32_t)at,
		                       .total = (uint32_t)total,
		                       .bytes = span_from(e->bytes + at, MIN((size_t)PIECE, e->size - at)) };

	frame_write_piece(&w, FRAME_PIECE, &p);
	rogue_say(r, writer_done(&w));
}

static void say(struct rogue *r, const struct envelope *e)
{
	for (size_t at = 0; at < e->size; at += PIECE)
		say_piece(r, e->seq, e, at, e->size);
}

static const char *shown(struct rogue *r)
{
	return world_texts(r->w, 0, 1, false);
}

/* A new session; whoever has nothing to say begins a new ratchet, which is nothing to us here. */
static void meet_again(struct rogue *r)
{
	if (rogue_is_linked(r))
		rogue_say(r, span_from("\x09", 1));
	world_run(r->w, SECOND);
	rogue_meet(r);
	assert_true(rogue_is_linked(r));
}

/* ---- It says two things at once ---------------------------------------------- */

static void two_texts_under_one_number(void **state)
{
	static struct envelope one, two, three;
	struct ratchet before;
	struct rogue r;

	(void)state;
	meet(&r, 1, 2);
	before = r.ratchet;
	seal(&r, &one, 0, 0, "yes");
	r.ratchet = before; /* the same key, for something else */
	seal(&r, &two, 0, 0, "no");
	say(&r, &one);
	say(&r, &two);
	assert_string_equal(shown(&r), "yes");
	/* The fork as number 1: its key is spent, and the session ends. */
	two.seq = 1;
	say(&r, &two);
	assert_false(rogue_is_linked(&r));
	assert_string_equal(shown(&r), "yes");
	/* And after a restart. */
	world_crash(r.w, 0);
	rogue_meet(&r);
	rogue_state(&r, r.state.epoch, 1, 0);
	seal(&r, &three, 1, 1, "well");
	say(&r, &one);
	say(&r, &two);
	assert_string_equal(shown(&r), "yes");
	rogue_free(&r);
}

/* Numbers below, above and beside those that it announced, outside and inside. */
static void other_numbers_than_announced(void **state)
{
	static struct envelope e;
	static const struct {
		uint64_t outside, inside;
	} lies[] = { { 0, 1 }, { 1, 0 }, { 2, 2 }, { 3, UINT64_MAX }, { 4, 4 } };
	struct rogue r;

	(void)state;
	meet(&r, 2, 2);
	rogue_state(&r, 0, 1000, 0);
	rogue_state(&r, 0, 0, 0);
	for (size_t i = 0; i < COUNT_OF(lies); i++) {
		char text[16];

		snprintf(text, sizeof(text), "#%u", (unsigned)lies[i].outside);
		seal(&r, &e, lies[i].outside, lies[i].inside, text);
		say(&r, &e);
		say(&r, &e);
	}
	assert_string_equal(shown(&r), "#2|#4");
	assert_int_equal(r.stored, COUNT_OF(lies));
	rogue_free(&r);
}

/* ---- What it writes ---------------------------------------------------------- */

static void whatever_it_writes_stays_its_own(void **state)
{
	static const char *const texts[] = {
		"\xe2\x80\xaeno evil\xe2\x80\xac \xe2\x81\xa6\xe2\x81\xa7",          /* turned round */
		"Z\xcc\x80\xcc\x81\xcc\x82\xcc\x83\xcc\x84\xcc\x85\xcc\x86\xcc\x87", /* marks above marks */
		"\x1b[2J\x1b]0;n2\x07",                                              /* for a terminal */
		"n2: I am somebody else\r\n\r\nn2: really",
		"\xef\xbb\xbf\xe2\x80\x8b\xef\xbf\xbf",
	};
	static struct envelope e;
	uint8_t buf[TEXT_MAX + TEXT_HEAD_MAX];
	char all[1024] = "";
	struct text_writer t;
	struct rogue r;

	(void)state;
	meet(&r, 3, 3);
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		/* The last comes first, if one believes its clock. */
		const struct text_message m = { .claimed = UINT64_MAX - i * 1000000000,
			                        .content = span_str(texts[i]) };

		text_begin(&t, buf, TEXT_MAX, &(struct text_head){ .sequence = i });
		assert_int_equal(text_add(&t, &m), 0);
		seal_text(&r, &e, i, text_end(&t));
		say(&r, &e);
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i == 0 ? "" : "|", texts[i]);
	}
	assert_string_equal(shown(&r), all);
	assert_string_equal(world_texts(r.w, 0, 2, false), "");
	assert_true(rogue_is_linked(&r));
	rogue_free(&r);
}

/* ---- It never stops ---------------------------------------------------------- */

/* Returns what it counts of the quota. */
static uint64_t say_many(struct rogue *r, uint64_t seq)
{
	static uint8_t buf[TEXT_MAX + TEXT_HEAD_MAX];
	static struct envelope e;
	struct text_writer t;

	text_begin(&t, buf, TEXT_MAX, &(struct text_head){ .sequence = seq });
	for (unsigned i = 0; i < TEXT_MESSAGES_MAX; i++)
		assert_int_equal(text_add(&t, &(struct text_message){ .content = span_str("x") }), 0);
	seal_text(r, &e, seq, text_end(&t));
	say(r, &e);
	return e.size + TEXT_MESSAGES_MAX * (uint64_t)QUOTA_MESSAGE_BYTES;
}

/* A million messages: what is beyond the day's quota is not taken, memory stays what it is, and another
 * contact is served all the while. */
static void a_million_messages(void **state)
{
	const uint64_t texts = (1000000 + TEXT_MESSAGES_MAX - 1) / TEXT_MESSAGES_MAX;
	uint64_t taken = 0, seq = 0, each = 0;
	size_t used = 0;
	struct rogue r;

	(void)state;
	meet(&r, 4, 3);
	for (; seq < texts && rogue_is_linked(&r); seq++) {
		if (seq >= r.stored + ENVELOPES_AHEAD)
			break; /* no more than this is taken in */
		if (seq == texts / 2)
			used = mallinfo2().uordblks;
		each = say_many(&r, seq);
		if (seq % 16 == 0)
			rogue_ack(&r);
		if (seq % 256 == 0) {
			world_say(r.w, 2, 0, "still there?");
			world_mode(r.w, 2, 0, MODE_CALL);
			world_run(r.w, 500000);
		}
		taken = r.stored;
	}
	world_run(r.w, SECOND);
	print_message("%llu messages said, %llu taken\n", (unsigned long long)(seq * TEXT_MESSAGES_MAX),
	              (unsigned long long)(taken * TEXT_MESSAGES_MAX));
	assert_true(taken * each <= QUOTA_BYTES + each);
	assert_true(seq <= taken + ENVELOPES_AHEAD);
	assert_true(mallinfo2().uordblks < used + (ENVELOPES_AHEAD + 8) * (size_t)ENVELOPE_MAX);
	assert_int_equal(world_waiting(r.w, 2, 0), 0);
	rogue_free(&r);
}

/* ---- It goes slow, or stops half way (N4) ------------------------------------- */

enum stall {
	NO_FIRST_FLIGHT, /* our call was answered, and that was it */
	NO_STATE,        /* the handshake was done */
	NO_ACK,          /* everything is said to us, and nothing is acknowledged */
	HALF_A_MESSAGE,  /* the pieces of envelopes but the last */
	ONE_BYTE,        /* pieces of one byte, a second apart */
	STALLS
};

static void stall(struct rogue *r, enum stall how, struct envelope *e)
{
	if (how == NO_FIRST_FLIGHT) {
		rogue_answer(r, &r->heard);
		return;
	}
	if (!rogue_is_linked(r))
		rogue_meet(r);
	if (how >= NO_ACK)
		rogue_state(r, r->state.epoch, 0, 0);
	if (how == HALF_A_MESSAGE && rogue_is_linked(r))
		for (uint64_t seq = 0; seq < ENVELOPES_AHEAD; seq++)
			for (size_t at = 0; at + PIECE < ENVELOPE_MAX; at += PIECE)
				say_piece(r, seq, e, at, ENVELOPE_MAX);
	for (size_t at = 0; how == ONE_BYTE && at < 120 && rogue_is_linked(r); at++) {
		uint8_t buf[64];
		struct writer w = WRITER_ON(buf);
		const struct frame_piece p = { 0, (uint32_t)(2 * at), ENVELOPE_MAX, span_from("x", 1) };

		frame_write_piece(&w, FRAME_PIECE, &p);
		rogue_say(r, writer_done(&w));
		world_run(r->w, SECOND);
	}
}

static void it_stalls(void **state)
{
	static struct envelope e = { .size = ENVELOPE_MAX };

	(void)state;
	for (enum stall how = 0; how < STALLS; how++) {
		struct rogue r;
		unsigned said = 0;
		size_t used = 0;

		rogue_new_among(&r, 10 + how, 3);
		world_mode(r.w, 0, 1, MODE_CALL);
		world_mode(r.w, 2, 0, MODE_CALL);
		for (unsigned i = 0; i < 8; i++)
			world_say(r.w, 0, 1, "hello");
		for (unsigned hour = 0; hour < 12; hour++) {
			if (hour == 4)
				used = mallinfo2().uordblks;
			stall(&r, how, &e);
			said += world_say(r.w, 2, 0, "hello") == REPLY_OK;
			said += world_say(r.w, 0, 2, "hello") == REPLY_OK;
			world_run(r.w, 10 * 60 * SECOND);
			if (world_waiting(r.w, 2, 0) + world_waiting(r.w, 0, 2) != 0)
				fail_msg("stall %u keeps another contact from being heard", how);
			if (how <= NO_STATE && r.open)
				fail_msg("stall %u keeps a path open", how);
		}
		assert_int_equal(said, 24);
		assert_true(mallinfo2().uordblks < used + 2 * ENVELOPES_AHEAD * (size_t)ENVELOPE_MAX);
		rogue_free(&r);
	}
}

/* ---- Envelopes come badly (A7) -------------------------------------------------- */

/* Pieces in any order, twice, and from two sessions: it is one message each. */
static void pieces_in_any_order(void **state)
{
	static struct envelope e[4];
	static char text[4][9000];
	char all[40000] = "";
	struct rogue r;

	(void)state;
	meet(&r, 5, 2);
	for (size_t i = 0; i < COUNT_OF(e); i++) {
		memset(text[i], 'a' + (int)i, sizeof(text[i]) - 1);
		seal(&r, &e[i], i, i, text[i]);
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i == 0 ? "" : "|", text[i]);
	}
	for (unsigned n = 0; n < 3000; n++) {
		const size_t i = random_below(&r.rng.base, COUNT_OF(e));
		const size_t at =
		        random_below(&r.rng.base, (uint32_t)((e[i].size + PIECE - 1) / PIECE)) * PIECE;

		if (n % 700 == 699) {
			meet_again(&r);
			rogue_state(&r, r.state.epoch, COUNT_OF(e), 0);
		}
		say_piece(&r, e[i].seq, &e[i], at, e[i].size);
	}
	assert_string_equal(shown(&r), all);
	rogue_free(&r);
}

enum harm { SWAPPED, MIXED, FLIPPED, TRUNCATED, OF_ANOTHER_TIME, HARMS };

/* Envelopes that are not whole end the session and show nothing; a new ratchet, and it goes on. */
static void pieces_of_others(void **state)
{
	static struct envelope e[2];
	static char long_text[9000];

	(void)state;
	memset(long_text, 'm', sizeof(long_text) - 1);
	for (enum harm how = 0; how < HARMS; how++) {
		struct rogue r;

		meet(&r, 20 + how, 2);
		seal(&r, &e[0], 0, 0, long_text);
		seal(&r, &e[1], 1, 1, long_text);
		switch (how) {
		case SWAPPED: /* one in place of the other is found by its tag; its number is another, and it
		               * is not shown */
			e[0].seq = 1;
			e[1].seq = 0;
			break;
		case MIXED:
			memcpy(e[0].bytes + 3000, e[1].bytes + 3000, 3000);
			break;
		case FLIPPED:
			e[0].bytes[5000] ^= 1;
			break;
		case TRUNCATED:
			e[0].size = 4096;
			break;
		default:
			say(&r, &e[0]);
			meet_again(&r);
			rogue_state(&r, r.state.epoch, 1, 0);
			e[0].seq = 1;
			break;
		}
		say(&r, &e[0]);
		if (how == SWAPPED)
			say(&r, &e[1]);
		assert_string_equal(shown(&r), how == OF_ANOTHER_TIME ? long_text : "");
		assert_true(how == SWAPPED || !rogue_is_linked(&r));
		/* The node goes on, with us and by itself. */
		assert_int_equal(world_say(r.w, 0, 1, "hello"), REPLY_OK);
		world_crash(r.w, 0);
		rogue_meet(&r);
		rogue_free(&r);
	}
}

/* Tags of couriers are not heard: there is no way yet by which somebody else's envelope comes. */
static void what_couriers_say(void **state)
{
	static struct envelope e;
	uint8_t buf[CARRIER_LARGE_FRAMES];
	struct rogue r;

	(void)state;
	meet(&r, 6, 2);
	seal(&r, &e, 0, 0, "carried");
	for (size_t at = 0; at < e.size; at += PIECE) {
		struct writer w = WRITER_ON(buf);
		const struct frame_piece p = { .seq = 0,
			                       .offset = (uint32_t)at,
			                       .total = (uint32_t)e.size,
			                       .bytes = span_from(e.bytes + at,
			                                          MIN((size_t)PIECE, e.size - at)) };

		frame_write_piece(&w, FRAME_CARRIED, &p);
		rogue_say(&r, writer_done(&w));
	}
	assert_true(rogue_is_linked(&r));
	assert_string_equal(shown(&r), "");
	rogue_free(&r);
}

/* ---- Blocked --------------------------------------------------------------------- */

static enum reply_code block(struct rogue *r, bool on)
{
	const struct request q = { .kind = REQ_BLOCK, .name = span_str("n1"), .flag = on };

	return world_ask(r->w, 0, &q);
}

/* Everything that it can say. */
static void pester(struct rogue *r, const struct call *heard, bool was_linked)
{
	uint8_t noise[CARRIER_LARGE];

	rogue_call(r, NULL);
	rogue_answer(r, heard);
	random_bytes(&r->rng.base, noise, sizeof(noise));
	rogue_send(r, span_from(noise, CARRIER_SMALL));
	rogue_send(r, span_from(noise, CARRIER_LARGE));
	rogue_send(r, SPAN(r->wire));
	if (was_linked && r->link.state == LINK_OPEN)
		rogue_state(r, 0, 0, 0);
}

/* A blocked contact gets what a stranger gets: nothing, at any time, whatever it says, in each mode. */
static void blocked_is_strange(void **state)
{
	static const enum contact_mode modes[] = { MODE_ANSWER, MODE_CALL, MODE_SILENT };

	(void)state;
	for (size_t m = 0; m < 2 * COUNT_OF(modes); m++) {
		const bool linked = m >= COUNT_OF(modes);
		struct rogue r;
		struct call heard;
		uint64_t sent;

		rogue_new(&r, 30 + m);
		world_mode(r.w, 0, 1, MODE_CALL);
		rogue_meet(&r);
		if (!linked)
			rogue_say(&r, span_from("\x09", 1));
		else
			rogue_state(&r, 0, 0, 0);
		heard = r.heard;
		world_mode(r.w, 0, 1, modes[m % COUNT_OF(modes)]);
		world_say(r.w, 0, 1, "never mind");
		sent = r.w->nodes[0].sent_bytes; /* not even a farewell from here on */
		assert_int_equal(block(&r, true), REPLY_OK);
		for (unsigned i = 0; i < 600; i++) {
			if (i == 300)
				world_crash(r.w, 0);
			pester(&r, &heard, false);
			world_run(r.w, i * SECOND / 4);
		}
		if (r.w->nodes[0].sent_bytes != sent)
			fail_msg("mode %u, %s: who is blocked learns that the person is here",
			         (unsigned)modes[m % COUNT_OF(modes)], linked ? "linked" : "not linked");
		/* Let in again, it is answered. */
		assert_int_equal(block(&r, false), REPLY_OK);
		world_mode(r.w, 0, 1, MODE_ANSWER);
		r.answers = 0;
		world_run(r.w, 10 * SECOND);
		rogue_call(&r, NULL);
		assert_int_equal(r.answers, 1);
		rogue_free(&r);
	}
}

/* It hears the calls for others, and finds neither itself nor how many there are. */
static void calls_name_nobody(void **state)
{
	struct nonce16 last = { { 0 } };
	unsigned calls = 0;
	struct sym_key key;
	struct rogue r;

	(void)state;
	rogue_new_among(&r, 40, 5);
	for (size_t i = 2; i < 5; i++) {
		world_network(r.w, i, false);
		world_mode(r.w, 0, i, MODE_CALL);
	}
	assert_int_equal(block(&r, true), REPLY_OK);
	secrets_call_key(&key, &r.c.cur, r.c.role == ROLE_A ? ROLE_B : ROLE_A);
	for (unsigned i = 0; i < 50; i++) {
		world_run(r.w, 12 * SECOND);
		assert_int_equal(r.overheard.shape, CALL_SMALL);
		assert_true(call_find(&r.overheard, &key) < 0);
		calls += memcmp(call_nonce(&r.overheard), &last, sizeof(last)) != 0;
		last = *call_nonce(&r.overheard);
	}
	assert_int_equal(calls, 50);
	rogue_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_texts_under_one_number),
		cmocka_unit_test(other_numbers_than_announced),
		cmocka_unit_test(whatever_it_writes_stays_its_own),
		cmocka_unit_test(a_million_messages),
		cmocka_unit_test(it_stalls),
		cmocka_unit_test(pieces_in_any_order),
		cmocka_unit_test(pieces_of_others),
		cmocka_unit_test(what_couriers_say),
		cmocka_unit_test(blocked_is_strange),
		cmocka_unit_test(calls_name_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
