#include <stdio.h>
#include <stdlib.h>

#include "node/core/state.h"
#include "node/crypto/secrets.h"
#include "store/conversations.h"
#include "store/messages.h"
#include "transport/recovery.h"

#include "tests/unit/rogue.h"

#include "tests/unit/unit.h"

/* Each bound of node/core/limits.h is reached here, or in the test that is named beside it:
 *
 *     MESSAGE_BYTES_MAX   test_node.c, long_and_bad_messages
 *     KEEPALIVES_MAX      test_node.c, a_silent_or_blocked_contact_hears_nothing
 *     CALL_AGAIN_S        test_hostile.c, links_that_end_at_once
 *     EPOCH_MAX, SEQUENCE_MAX and pieces beyond ENVELOPES_AHEAD    test_hostile.c
 */

#define S(seconds) ((uint64_t)(seconds)*1000000)

static struct node *node_of(struct rogue *r)
{
	return r->w->nodes[0].node;
}

/* ---- Contacts and rounds of calls ------------------------------------------ */

enum { MANY = CONTACTS_MAX, WITH_MESSAGES = 100, ROUND = 8 * (CALL_LARGE - 1) };

static struct sym_key many_keys[MANY];
static unsigned many_calls[MANY];

static void count_called(struct world *w, size_t node, const struct effect *e, struct span bytes)
{
	struct call c;

	(void)w;
	(void)node;
	if (e->kind != FX_CALL)
		return;
	assert_int_equal(call_read(&c, bytes), 0);
	for (size_t i = 0; i < MANY; i++)
		many_calls[i] += call_find(&c, &many_keys[i]) >= 0;
}

/* `count` contacts in mode call straight into the store; of the first ones a message waits. */
static void add_many(struct world *w, size_t count)
{
	struct store *s = w->nodes[0].store;
	const struct ratchet_root root = { .rk0 = { { 1 } } };
	struct contact_record c = { .state = CONTACT_CONFIRMED, .mode = MODE_CALL };
	struct conversation_record v = { 0 };
	struct writer out = WRITER_ON(v.ratchet);
	struct ratchet ratchet;
	const struct message m = { .own = true, .content = span_str("hello") };

	random_bytes(&w->rng.base, c.s.public.b, sizeof(c.s.public.b));
	c.peer_s.b[0] = 9;
	assert_int_equal(ratchet_init(&ratchet, ROLE_A, &root, &c.s, &c.peer_s, &w->rng.base), 0);
	ratchet_encode(&out, &ratchet);
	v.ratchet_len = out.len;
	assert_int_equal(store_begin(s), 0);
	for (size_t i = 0; i < count; i++) {
		snprintf(c.name, sizeof(c.name), "c%zu", i);
		random_bytes(&w->rng.base, c.cur.b, sizeof(c.cur.b));
		random_bytes(&w->rng.base, c.peer_s.b, sizeof(c.peer_s.b));
		if (i < MANY)
			secrets_call_key(&many_keys[i], &c.cur, c.role);
		assert_int_equal(contacts_add(s, &c), 0);
		v.contact = c.id;
		assert_int_equal(conversation_save(s, &v), 0);
		if (i >= MANY - WITH_MESSAGES && i < MANY)
			assert_int_equal(messages_add(s, c.id, &m), 0);
	}
	assert_int_equal(store_commit(s), 0);
}

static void more_contacts_than_places(void **unused)
{
	const struct request show = { .kind = REQ_PAIR_SHOW, .name = span_str("Ana") };
	struct world *w = world_new(1, 1);
	/* The others share what those with messages leave of a round. */
	const unsigned rounds = (MANY - WITH_MESSAGES + ROUND - WITH_MESSAGES - 1) / (ROUND - WITH_MESSAGES);

	(void)unused;
	add_many(w, MANY + 1);
	w->watch = count_called;
	w->nodes[0].sent_calls = 0;
	world_crash(w, 0); /* it starts with them, and calls at once */
	assert_int_equal(node_contact_count(w->nodes[0].node), CONTACTS_MAX);
	assert_int_equal(world_ask(w, 0, &show), REPLY_LIMIT);
	for (unsigned i = 1; i < rounds; i++)
		while (w->nodes[0].sent_calls < (i + 1) * 8)
			world_run(w, S(1));
	for (size_t i = 0; i < MANY; i++)
		if (many_calls[i] < (i >= MANY - WITH_MESSAGES ? rounds : 1))
			fail_msg("contact %zu was called %u times in %u rounds", i, many_calls[i], rounds);
	world_free(w);
}

static void count_fx_calls(struct world *w, size_t node, const struct effect *e, struct span bytes)
{
	(void)node;
	(void)bytes;
	w->nodes[0].reply_number += e->kind == FX_CALL;
}

static void more_addresses_than_places(void **unused)
{
	struct address locals[LOCALS_MAX + 8];
	struct rogue r;
	struct event ev = { .kind = EV_NETWORK, .locals = locals, .locals_len = COUNT_OF(locals) };

	(void)unused;
	rogue_new(&r, 2);
	world_mode(r.w, 0, 1, MODE_CALL);
	for (size_t i = 0; i < COUNT_OF(locals); i++)
		locals[i] = (struct address){ { [10] = 0xff, [11] = 0xff, 10, 1, 0, (uint8_t)i },
			                      (uint32_t)i + 1 };
	r.w->watch = count_fx_calls;
	r.w->nodes[0].reply_number = 0;
	world_event(r.w, 0, &ev);
	assert_int_equal(r.w->nodes[0].reply_number, LOCALS_MAX);
	rogue_free(&r);
}

/* ---- Own calls and their answers ------------------------------------------- */

static void an_answer_is_taken_for_a_while(void **unused)
{
	struct rogue r;
	struct call made;

	(void)unused;
	rogue_new(&r, 3);
	world_mode(r.w, 0, 1, MODE_CALL);
	made = r.heard;
	r.w->now_us += S(CALL_ANSWER_S) + 1;
	rogue_answer(&r, &made);
	assert_int_equal(r.opened, 0);
	made = r.heard; /* what it has called meanwhile */
	r.w->now_us += S(CALL_ANSWER_S) - 1;
	rogue_answer(&r, &made);
	assert_int_equal(r.opened, 1);
	rogue_answer(&r, &made); /* once per call */
	assert_int_equal(r.opened, 1);
	rogue_free(&r);
}

/* A message for somebody calls at once, so that calls come faster than they grow old. */
static void own_calls_beyond_the_last_are_forgotten(void **unused)
{
	struct rogue r;
	struct call first, second;

	(void)unused;
	rogue_new(&r, 4);
	world_mode(r.w, 0, 1, MODE_CALL);
	first = r.heard;
	world_say(r.w, 0, 1, "hello");
	second = r.heard;
	for (unsigned i = 0; i < CALLS_KEPT_MAX - 1; i++)
		world_say(r.w, 0, 1, "hello");
	assert_int_equal(r.calls, CALLS_KEPT_MAX + 1);
	rogue_answer(&r, &first);
	assert_int_equal(r.opened, 0);
	rogue_answer(&r, &second);
	assert_int_equal(r.opened, 1);
	rogue_free(&r);
}

/* ---- Calls of others ------------------------------------------------------- */

/* Calls that are recognised, and not live: the dearest. */
static void calls_examined_in_a_second(void **unused)
{
	struct rogue r;
	struct sym_key key;
	struct call_entry entry = { .key = &key };
	struct call c;
	unsigned late = 0;

	(void)unused;
	rogue_new(&r, 5);
	secrets_call_key(&key, &r.c.cur, r.c.role);
	for (unsigned second = 0; second < 3; second++) {
		for (unsigned i = 0; i < 6000; i++) {
			const uint64_t before = node_of(&r)->finder.hearing.examined;

			call_make(&c, CALL_SMALL, &entry, 1, &r.rng.base);
			rogue_call_again(&r, &c);
			assert_true(node_of(&r)->finder.hearing.tags < CALL_TAGS_PER_S + 100);
			late += second > 0 && i > 4000 && node_of(&r)->finder.hearing.examined > before;
		}
		assert_true(node_of(&r)->finder.hearing.tags > CALL_TAGS_PER_S / 2);
		r.w->now_us += S(1);
	}
	assert_true(late > 0); /* not the first ones alone, once there are too many */
	rogue_free(&r);
}

static void calls_answered_and_remembered(void **unused)
{
	struct rogue r;
	struct call first, last;

	(void)unused;
	rogue_new(&r, 6);
	rogue_call(&r, &first);
	assert_int_equal(r.answers, 1);
	world_run(r.w, S(ANSWER_PAUSE_S) - 1);
	rogue_call(&r, NULL);
	assert_int_equal(r.answers, 1);
	r.w->now_us++;
	rogue_call(&r, NULL);
	assert_int_equal(r.answers, 2);
	/* The first falls out of what is remembered; the newest never do. */
	for (unsigned i = 0; i < CALLS_HEARD_MAX - 2; i++) {
		if (i % 20 == 0)
			r.w->now_us += S(2);
		rogue_call(&r, &last);
	}
	assert_int_equal(node_of(&r)->contacts[0]->heard_cap, CALLS_HEARD_MAX);
	assert_int_equal(node_of(&r)->contacts[0]->heard_next, 1);
	world_run(r.w, S(60));
	r.answers = 0;
	r.asked = *call_nonce(&last);
	rogue_call_again(&r, &last);
	assert_int_equal(r.answers, 0);
	r.asked = *call_nonce(&first);
	rogue_call_again(&r, &first);
	assert_int_equal(r.answers, 1); /* still live, and forgotten: the bound was reached */
	rogue_free(&r);
}

static void a_handshake_is_given_up(void **unused)
{
	struct rogue r;
	const unsigned flights = HANDSHAKE_S * 1000 / RESEND_MS;

	(void)unused;
	rogue_new(&r, 7);
	rogue_call(&r, NULL);
	world_run(r.w, S(HANDSHAKE_S) - 1);
	assert_true(r.open);
	world_run(r.w, 1);
	assert_false(r.open);
	assert_in_range(r.w->nodes[0].sent_datagrams, flights - 1, flights + 1);
	rogue_free(&r);
}

static void looking_ends(void **unused)
{
	const struct request look = { .kind = REQ_LOOK, .flag = true };
	struct rogue r;

	(void)unused;
	rogue_new(&r, 8);
	world_ask(r.w, 0, &look);
	world_run(r.w, S(LOOK_S) - 1);
	assert_int_equal(r.w->nodes[0].notices[NOTICE_LOOK_ENDED], 0);
	world_run(r.w, 1);
	assert_int_equal(r.w->nodes[0].notices[NOTICE_LOOK_ENDED], 1);
	rogue_free(&r);
}

/* ---- Messages -------------------------------------------------------------- */

static void messages_that_wait(void **unused)
{
	struct rogue r;
	struct message m = { .own = true, .content = span_str("x") };

	(void)unused;
	rogue_new(&r, 9);
	assert_int_equal(store_begin(r.w->nodes[0].store), 0);
	for (; m.position < WAITING_MAX - 1; m.position++)
		assert_int_equal(messages_add(r.w->nodes[0].store, 1, &m), 0);
	assert_int_equal(store_commit(r.w->nodes[0].store), 0);
	world_crash(r.w, 0);
	assert_int_equal(world_say(r.w, 0, 1, "the last"), REPLY_OK);
	assert_int_equal(world_waiting(r.w, 0, 1), WAITING_MAX);
	assert_int_equal(world_say(r.w, 0, 1, "one too many"), REPLY_LIMIT);
	rogue_free(&r);
}

/* ---- A contact that floods -------------------------------------------------- */

static struct contact *contact_of(struct world *w, size_t i)
{
	return w->nodes[i].node->contacts[0];
}

static bool is_held(const struct world *w, size_t i)
{
	struct contact_view v;

	node_contact_view(w->nodes[i].node, 0, &v);
	return v.held;
}

/* Numbered texts of `bytes` bytes from node 0 to node 1. */
static void say_many(struct world *w, unsigned count, size_t bytes)
{
	char *text = malloc(bytes + 1);

	assert_non_null(text);
	for (unsigned i = 0; i < count; i++) {
		memset(text, 'x', bytes);
		text[bytes] = '\0';
		text[snprintf(text, bytes, "%u", i)] = ' ';
		assert_int_equal(world_say(w, 0, 1, text), REPLY_OK);
	}
	free(text);
}

static int is_next(void *arg, const struct message *m)
{
	unsigned *next = arg;

	if (!m->own && m->content.len == MESSAGE_BYTES_MAX)
		assert_int_equal(strtoul((const char *)m->content.p, NULL, 10), (*next)++);
	return 0;
}

/* How many of them node 1 has, in their order. */
static unsigned arrived(struct world *w)
{
	unsigned count = 0;

	assert_int_equal(messages_each(w->nodes[1].store, 1, 0, INT64_MAX, is_next, &count), 0);
	return count;
}

/* What is beyond the quota stays with its sender, who does not try again and again; the session goes on. */
static void a_flood_waits_for_a_day(void **unused)
{
	struct world *w = world_new(12, 2);
	uint64_t from, sent;

	(void)unused;
	world_pair(w, 0, 1);
	world_mode(w, 0, 1, MODE_CALL);
	world_say(w, 0, 1, "hello");
	world_run(w, S(3));
	assert_int_equal(contact_of(w, 1)->next_position, 1);
	assert_int_equal(contact_of(w, 1)->quota.bytes, ENVELOPE_MIN + QUOTA_MESSAGE_BYTES);
	from = contact_of(w, 1)->quota.from_us;
	contact_of(w, 1)->quota.bytes = QUOTA_BYTES - 2 * ENVELOPE_MAX;

	say_many(w, 4 * ENVELOPES_AHEAD, MESSAGE_BYTES_MAX); /* the first ones each in its envelope */
	world_run(w, S(60));
	assert_int_equal(arrived(w), 2);
	assert_true(is_held(w, 1) && world_linked(w, 0, 1) && world_linked(w, 1, 0));
	assert_int_equal(w->nodes[1].notices[NOTICE_HELD], 1);
	assert_int_equal(world_waiting(w, 0, 1), 4 * ENVELOPES_AHEAD - 2);
	world_say(w, 1, 0, "slowly");
	world_run(w, S(1));
	assert_string_equal(world_texts(w, 0, 1, false), "slowly");
	sent = w->nodes[0].sent_datagrams;
	world_run(w, S(3600));
	assert_in_range(w->nodes[0].sent_datagrams - sent, 1, 200); /* keep-alives */

	world_network(w, 0, false);
	world_run(w, S(600));
	assert_false(world_linked(w, 1, 0));
	world_network(w, 0, true);
	world_run(w, S(60));
	assert_true(is_held(w, 1) && world_linked(w, 1, 0));
	world_run(w, from + S(QUOTA_S) - w->now_us - 1);
	assert_int_equal(arrived(w), 2);
	assert_int_equal(w->nodes[1].notices[NOTICE_HELD], 1);
	world_run(w, 1);
	assert_true(arrived(w) >= ENVELOPES_AHEAD);
	world_run(w, S(60));
	assert_false(is_held(w, 1));
	assert_int_equal(world_waiting(w, 0, 1), 0);
	assert_int_equal(arrived(w), 4 * ENVELOPES_AHEAD);
	world_free(w);
}

/* While the disk has no room nobody's messages are taken, and the own person's go on. */
static void a_disk_without_room(void **unused)
{
	struct world *w = world_new(14, 3);
	struct event room = { .kind = EV_ROOM, .room_low = true };

	(void)unused;
	world_pair(w, 0, 1);
	world_pair(w, 1, 2);
	world_mode(w, 0, 1, MODE_CALL);
	world_mode(w, 2, 1, MODE_CALL);
	world_event(w, 1, &room);
	world_say(w, 0, 1, "one");
	world_say(w, 2, 1, "two");
	world_say(w, 1, 0, "mine");
	world_run(w, S(3600));
	assert_string_equal(world_texts(w, 1, 0, false), "");
	assert_string_equal(world_texts(w, 1, 2, false), "");
	assert_string_equal(world_texts(w, 0, 1, false), "mine");
	assert_true(world_waiting(w, 0, 1) == 1 && world_waiting(w, 2, 1) == 1 &&
	            world_waiting(w, 1, 0) == 0);
	assert_false(is_held(w, 1)); /* it is not their fault */
	room.room_low = false;
	world_event(w, 1, &room);
	assert_string_equal(world_texts(w, 1, 0, false), "one");
	assert_string_equal(world_texts(w, 1, 2, false), "two");
	world_run(w, S(1));
	assert_true(world_waiting(w, 0, 1) == 0 && world_waiting(w, 2, 1) == 0);
	world_free(w);
}

/* Held for its quota when the room goes: the quota's end must not keep the node busy. */
static void a_flood_and_no_room(void **unused)
{
	struct world *w = world_new(15, 2);
	struct event room = { .kind = EV_ROOM, .room_low = true };

	(void)unused;
	world_pair(w, 0, 1);
	world_mode(w, 0, 1, MODE_CALL);
	contact_of(w, 1)->quota = (struct quota){ w->now_us, QUOTA_BYTES };
	world_say(w, 0, 1, "one");
	world_run(w, S(15));
	assert_true(is_held(w, 1));
	world_event(w, 1, &room);
	world_run(w, S(QUOTA_S) + S(200));
	assert_false(is_held(w, 1));
	assert_true(node_deadline_us(w->nodes[1].node) > w->now_us);
	room.room_low = false;
	world_event(w, 1, &room);
	assert_string_equal(world_texts(w, 1, 0, false), "one");
	world_free(w);
}

/* A hundred thousand short messages in one go are no flood. */
static void what_people_write_is_no_flood(void **unused)
{
	struct quota q = { 0 };

	(void)unused;
	for (unsigned left = 100000; left > 0;) {
		const unsigned count = MIN(left, ENVELOPE_TEXT_MAX / 160u);

		assert_true(quota_is_left(&q, 7));
		quota_count(&q, 7, ENVELOPE_MAX, count);
		left -= count;
	}
	assert_true(q.bytes < QUOTA_BYTES / 2);
}

/* The last positions of a conversation are for the own person. */
static void a_conversation_is_full(void **unused)
{
	struct world *w = world_new(13, 2);
	const struct message m = { .position = MESSAGES_MAX - 2, .content = span_str("0") };

	(void)unused;
	world_pair(w, 0, 1);
	world_mode(w, 0, 1, MODE_CALL);
	assert_int_equal(store_begin(w->nodes[1].store), 0);
	assert_int_equal(messages_add(w->nodes[1].store, 1, &m), 0);
	assert_int_equal(store_commit(w->nodes[1].store), 0);
	world_crash(w, 1);
	world_say(w, 0, 1, "one more");
	world_run(w, S(QUOTA_S));
	assert_true(is_held(w, 1) && world_linked(w, 0, 1));
	assert_int_equal(contact_of(w, 1)->next_position, MESSAGES_MAX - 1);
	assert_int_equal(world_say(w, 1, 0, "the last"), REPLY_OK);
	assert_int_equal(world_say(w, 1, 0, "one too many"), REPLY_LIMIT);
	world_free(w);
}

/* Sends bytes[0..] of a turn, and the most that one turn had. */
static size_t turn_bytes, turn_most;
static void (*hear_on)(struct world *w, size_t node, const struct effect *e, struct span bytes);

static void count_turn(struct world *w, size_t node, const struct effect *e, struct span bytes)
{
	if (e == w->nodes[node].fx.v)
		turn_bytes = 0; /* the first effect of its turn */
	turn_bytes += e->kind == FX_SEND ? bytes.len : 0;
	turn_most = MAX(turn_most, turn_bytes);
	hear_on(w, node, e, bytes);
}

/* A contact that acknowledges everything and stores nothing: only so many envelopes are on their way. */
static void envelopes_on_their_way(void **unused)
{
	char *text = malloc(MESSAGE_BYTES_MAX + 1);
	struct rogue r;

	(void)unused;
	memset(text, 'x', MESSAGE_BYTES_MAX);
	text[MESSAGE_BYTES_MAX] = '\0';
	rogue_new(&r, 10);
	for (unsigned i = 0; i < 3 * ENVELOPES_AHEAD; i++)
		assert_int_equal(world_say(r.w, 0, 1, text), REPLY_OK); /* two to an envelope, at most */
	hear_on = r.w->watch;
	r.w->watch = count_turn;
	world_mode(r.w, 0, 1, MODE_CALL);
	rogue_link(&r);
	rogue_state(&r, 0, 0, 0);
	for (unsigned i = 0; i < 3000 && rogue_is_linked(&r); i++) {
		world_run(r.w, 10000);
		rogue_ack(&r);
	}
	assert_int_equal(r.pieces_end, ENVELOPES_AHEAD);
	assert_true(turn_most <= EFFECT_BYTES_PER_TURN + CARRIER_LARGE);
	free(text);
	rogue_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_contacts_than_places),
		cmocka_unit_test(more_addresses_than_places),
		cmocka_unit_test(an_answer_is_taken_for_a_while),
		cmocka_unit_test(own_calls_beyond_the_last_are_forgotten),
		cmocka_unit_test(calls_examined_in_a_second),
		cmocka_unit_test(calls_answered_and_remembered),
		cmocka_unit_test(a_handshake_is_given_up),
		cmocka_unit_test(looking_ends),
		cmocka_unit_test(messages_that_wait),
		cmocka_unit_test(a_flood_waits_for_a_day),
		cmocka_unit_test(a_disk_without_room),
		cmocka_unit_test(a_flood_and_no_room),
		cmocka_unit_test(what_people_write_is_no_flood),
		cmocka_unit_test(a_conversation_is_full),
		cmocka_unit_test(envelopes_on_their_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
