#include <stdio.h>
#include <stdlib.h>

#include "node/core/state.h"
#include "node/crypto/envelope.h"
#include "store/conversations.h"
#include "store/envelopes.h"
#include "tests/unit/world.h"

#include "tests/unit/unit.h"

#define S(seconds) ((uint64_t)(seconds)*1000000)

static void nobody_calls_and_nothing_is_sent(void **state)
{
	struct world *w = world_new(1, 2);

	(void)state;
	world_pair(w, 0, 1);
	world_say(w, 0, 1, "hello"); /* both only answer */
	world_run(w, S(600));
	assert_int_equal(w->nodes[0].sent_calls + w->nodes[1].sent_calls, 0);
	assert_int_equal(w->nodes[0].sent_datagrams + w->nodes[1].sent_datagrams, 0);
	world_free(w);
}

static void two_contacts_write_to_each_other(void **state)
{
	struct world *w = world_new(2, 2);

	(void)state;
	world_pair(w, 0, 1);
	assert_int_equal(world_say(w, 1, 0, "before"), REPLY_OK);
	assert_int_equal(world_mode(w, 0, 1, MODE_CALL), REPLY_OK);
	world_run(w, S(2));
	assert_true(world_linked(w, 0, 1) && world_linked(w, 1, 0));
	assert_string_equal(world_texts(w, 0, 1, false), "before");
	world_say(w, 0, 1, "one");
	world_say(w, 1, 0, "two");
	world_run(w, S(1));
	world_say(w, 0, 1, "three");
	world_run(w, S(1));
	assert_string_equal(world_texts(w, 1, 0, false), "one|three");
	assert_string_equal(world_texts(w, 0, 1, false), "before|two");
	assert_int_equal(world_waiting(w, 0, 1), 0);
	assert_int_equal(world_waiting(w, 1, 0), 0);
	world_free(w);
}

/* Messages both ways while the network loses and doubles and either side crashes: nothing lost, nothing
 * twice, each author's order kept. */
static void assert_no_envelopes(struct world *w, size_t i)
{
	static uint8_t bytes[ENVELOPE_MAX];

	for (uint64_t sequence = 0; sequence < 200; sequence++) {
		size_t len;

		assert_int_equal(envelopes_read(w->nodes[i].store, 1, sequence, bytes, sizeof(bytes), &len),
		                 ENVELOPES_NONE);
	}
}

static void nothing_is_lost(uint64_t seed, enum contact_mode other)
{
	struct world *w = world_new(seed, 2);
	char want[2][1 << 14] = { "", "" };

	world_pair(w, 0, 1);
	world_mode(w, 0, 1, MODE_CALL);
	world_mode(w, 1, 0, other);
	w->loss = random_below(&w->rng.base, 30);
	w->twice = random_below(&w->rng.base, 30);
	w->delay_high_us = 1000 + random_below(&w->rng.base, 80000);
	for (unsigned i = 0; i < 200; i++) {
		const unsigned from = random_below(&w->rng.base, 2);
		char text[32];

		snprintf(text, sizeof(text), "%u.%u", from, i);
		assert_int_equal(world_say(w, from, 1 - from, text), REPLY_OK);
		strcat(want[from], *want[from] == '\0' ? "" : "|");
		strcat(want[from], text);
		world_run(w, random_below(&w->rng.base, 500000));
		if (random_below(&w->rng.base, 10) == 0)
			world_crash(w, random_below(&w->rng.base, 2));
		if (random_below(&w->rng.base, 20) == 0) {
			world_network(w, from, false);
			world_run(w, random_below(&w->rng.base, 30000000));
			world_network(w, from, true);
		}
	}
	w->loss = w->twice = 0;
	world_run(w, S(600));
	assert_string_equal(world_texts(w, 1, 0, false), want[0]);
	assert_string_equal(world_texts(w, 0, 1, false), want[1]);
	assert_int_equal(world_waiting(w, 0, 1) + world_waiting(w, 1, 0), 0);
	for (size_t i = 0; i < 2; i++) {
		struct conversation_record record;

		assert_int_equal(conversation_load(w->nodes[i].store, 1, &record), 0);
		assert_int_equal(record.epoch, 0); /* nothing was put back, so that nothing begins anew */
	}
	assert_no_envelopes(w, 0); /* what the other side has stored is sealed no more here */
	assert_no_envelopes(w, 1);
	world_free(w);
}

static void nothing_is_lost_on_a_bad_network(void **state)
{
	(void)state;
	for (uint64_t seed = 108; seed < 118; seed++)
		nothing_is_lost(seed, seed % 2 == 0 ? MODE_CALL : MODE_ANSWER);
}

/* One of two wants to start again, or consents to it. */
static void start_again(struct world *w, size_t who)
{
	world_ask(w, who,
	          &(struct request){ .kind = REQ_START_AGAIN, .name = span_str(who == 0 ? "n1" : "n0") });
}

/* An older copy of a vault is put back: what the other side still has comes again, what was lost with the
 * copy does not, nothing is shown twice, and the two go on writing (PROTOCOL section 6, re-init). */
static void an_older_vault_is_put_back(void **state)
{
	(void)state;
	for (size_t who = 0; who < 2; who++) {
		struct world *w = world_new(200 + who, 2);

		world_pair(w, 0, 1);
		world_mode(w, 0, 1, MODE_CALL);
		world_say(w, 0, 1, "a1");
		world_say(w, 1, 0, "b1");
		world_run(w, S(2));
		world_backup(w, who);
		for (unsigned sessions = 0; sessions < 3; sessions++) {
			world_crash(w, 0);
			world_run(w, S(15));
		}
		world_say(w, 0, 1, "a2");
		world_say(w, 1, 0, "b2");
		world_run(w, S(15));
		assert_string_equal(world_texts(w, 0, 1, false), "b1|b2");
		world_restore(w, who);
		world_say(w, 0, 1, "a3");
		world_say(w, 1, 0, "b3");
		world_run(w, S(100));
		/* The copy knows none of the secrets that are in use, but the anchor. */
		assert_false(world_linked(w, 0, 1));
		start_again(w, who);
		world_run(w, S(15));
		assert_int_equal(w->nodes[1 - who].notices[NOTICE_ASKS_AGAIN], 1);
		assert_false(world_linked(w, 0, 1));
		start_again(w, 1 - who);
		world_run(w, S(15));
		assert_true(world_linked(w, 0, 1));
		assert_string_equal(world_texts(w, 0, 1, false), "b1|b2|b3");
		assert_string_equal(world_texts(w, 1, 0, false), "a1|a2|a3");
		assert_int_equal(world_waiting(w, 0, 1) + world_waiting(w, 1, 0), 0);
		world_free(w);
	}
}

/* The same on a bad network, where the words of the new beginning are lost too, so that sessions break
 * between its two halves. early: the other side has written something that the copy does not know. */
static void an_older_vault_and_losses(uint64_t seed, bool early)
{
	struct world *w = world_new(seed, 2);

	world_pair(w, 0, 1);
	world_mode(w, 0, 1, MODE_CALL);
	world_say(w, 0, 1, "a1");
	world_run(w, S(2));
	world_backup(w, 1);
	if (early)
		world_say(w, 0, 1, "a2");
	world_say(w, 1, 0, "b1");
	for (unsigned sessions = 0; sessions < 3; sessions++) {
		world_crash(w, 0);
		world_run(w, S(15));
	}
	world_restore(w, 1);
	w->loss = 40;
	if (!early)
		world_say(w, 0, 1, "a2");
	world_say(w, 1, 0, "b2");
	for (size_t i = 0; i < 2; i++)
		start_again(w, i);
	world_run(w, S(110));
	w->loss = 0;
	world_run(w, S(200));
	assert_string_equal(world_texts(w, 1, 0, false), "a1|a2");
	assert_string_equal(world_texts(w, 0, 1, false), "b1|b2");
	assert_int_equal(world_waiting(w, 0, 1) + world_waiting(w, 1, 0), 0);
	world_free(w);
}

static void an_older_vault_on_a_bad_network(void **state)
{
	(void)state;
	for (uint64_t seed = 230; seed < 250; seed++)
		an_older_vault_and_losses(seed, false);
	for (uint64_t seed = 240; seed < 260; seed++)
		an_older_vault_and_losses(seed, true);
}

/* The one who only read since the copy has said more than it now knows of: the other side alone can tell. */
static void what_was_read_after_the_copy_comes_again(void **state)
{
	struct world *w = world_new(210, 2);

	(void)state;
	world_pair(w, 0, 1);
	world_mode(w, 1, 0, MODE_CALL); /* by what the copy knows; the other knows it still */
	world_say(w, 0, 1, "a1");
	world_run(w, S(15));
	assert_string_equal(world_texts(w, 1, 0, false), "a1");
	world_backup(w, 1);
	world_say(w, 0, 1, "a2");
	world_run(w, S(5));
	world_say(w, 0, 1, "a3");
	world_run(w, S(5));
	assert_string_equal(world_texts(w, 1, 0, false), "a1|a2|a3");
	world_restore(w, 1);
	assert_string_equal(world_texts(w, 1, 0, false), "a1");
	world_crash(w, 0);
	world_run(w, S(300));
	assert_string_equal(world_texts(w, 1, 0, false), "a1|a2|a3");
	world_say(w, 0, 1, "a4");
	world_run(w, S(60));
	assert_string_equal(world_texts(w, 1, 0, false), "a1|a2|a3|a4");
	assert_int_equal(world_waiting(w, 0, 1), 0);
	world_free(w);
}

/* What waited in the copy, and arrived after it was made, is written again by who put it back, and shown
 * once; what else is written later is shown, were it the same words. */
static void what_waited_in_the_copy_is_shown_once(void **state)
{
	struct world *w = world_new(220, 2);

	(void)state;
	world_pair(w, 0, 1);
	world_mode(w, 0, 1, MODE_CALL);
	world_say(w, 1, 0, "b1");
	world_run(w, S(2));
	world_network(w, 1, false);
	world_run(w, S(600));
	world_say(w, 0, 1, "a1");
	world_say(w, 0, 1, "a2");
	world_run(w, S(2));
	world_backup(w, 0);
	world_network(w, 1, true);
	world_run(w, S(30));
	world_say(w, 0, 1, "lost with the disk");
	world_run(w, S(30));
	assert_string_equal(world_texts(w, 1, 0, false), "a1|a2|lost with the disk");
	for (unsigned times = 0; times < 2; times++) {
		world_restore(w, 0);
		world_run(w, S(5));
		world_say(w, 0, 1, "a3");
		world_say(w, 0, 1, "a1");
		for (size_t i = 0; i < 2; i++) {
			start_again(w, i);
			world_run(w, S(15));
		}
		world_crash(w, 1); /* what may come again is known after a crash too */
		world_run(w, S(60));
		assert_true(world_linked(w, 0, 1));
		assert_int_equal(world_waiting(w, 0, 1), 0);
	}
	assert_string_equal(world_texts(w, 1, 0, false), "a1|a2|lost with the disk|a3|a1|a3|a1");
	world_free(w);
}

static void a_silent_or_blocked_contact_hears_nothing(void **state)
{
	struct world *w = world_new(4, 2);
	const struct request block = { .kind = REQ_BLOCK, .name = span_str("n0"), .flag = true };
	uint64_t sent;

	(void)state;
	world_pair(w, 0, 1);
	world_mode(w, 0, 1, MODE_CALL);
	world_mode(w, 1, 0, MODE_SILENT);
	world_run(w, S(60));
	assert_false(world_linked(w, 0, 1));
	assert_int_equal(w->nodes[1].sent_datagrams + w->nodes[1].sent_calls, 0);
	world_mode(w, 1, 0, MODE_ANSWER);
	world_run(w, S(15));
	assert_true(world_linked(w, 1, 0));
	world_ask(w, 1, &block);
	assert_false(world_linked(w, 1, 0));
	sent = w->nodes[1].sent_datagrams + w->nodes[1].sent_calls;
	world_run(w, S(600));
	assert_int_equal(w->nodes[1].sent_datagrams + w->nodes[1].sent_calls, sent);
	assert_false(world_linked(w, 0, 1)); /* three keep-alives were not answered */
	assert_int_equal(world_say(w, 1, 0, "no"), REPLY_BLOCKED);
	world_free(w);
}

static void a_clock_that_is_wrong_is_learned_or_refused(void **state)
{
	struct world *w = world_new(5, 2);
	const struct request look = { .kind = REQ_LOOK, .flag = true };

	(void)state;
	world_pair(w, 0, 1);
	w->nodes[1].clock_offset = 86400 * 365 * 3; /* three years ahead: no call of 0 is live to it */
	world_mode(w, 0, 1, MODE_CALL);
	world_run(w, S(60));
	assert_false(world_linked(w, 0, 1));
	world_ask(w, 1, &look); /* the person asks: the unit is searched */
	world_run(w, S(15));
	assert_true(world_linked(w, 0, 1));
	world_crash(w, 0); /* the offset was learned */
	world_run(w, S(300));
	world_crash(w, 1);
	world_run(w, S(200)); /* until a keep-alive tells 0 */
	assert_true(world_linked(w, 1, 0));

	w->nodes[1].clock_offset = -86400; /* earlier than it ever was: nothing is answered by itself */
	world_crash(w, 1);
	world_crash(w, 0);
	world_run(w, S(60));
	assert_false(world_linked(w, 1, 0));
	assert_true(node_clock_is_wrong(w->nodes[1].node));
	assert_true(w->nodes[1].notices[NOTICE_CLOCK] > 0);
	world_free(w);
}

static void long_and_bad_messages(void **state)
{
	struct world *w = world_new(6, 2);
	char *text = malloc(MESSAGE_BYTES_MAX + 2);

	(void)state;
	world_pair(w, 0, 1);
	world_mode(w, 0, 1, MODE_CALL);
	memset(text, 'x', MESSAGE_BYTES_MAX + 1);
	text[MESSAGE_BYTES_MAX + 1] = '\0';
	assert_int_equal(world_say(w, 0, 1, text), REPLY_TOO_LONG);
	text[MESSAGE_BYTES_MAX] = '\0';
	assert_int_equal(world_say(w, 0, 1, text), REPLY_OK);
	assert_int_equal(world_say(w, 0, 1, ""), REPLY_EMPTY);
	assert_int_equal(world_say(w, 0, 1, "\xc3"), REPLY_BAD_TEXT);
	assert_int_equal(world_say(w, 0, 7, "nobody"), REPLY_UNKNOWN);
	world_run(w, S(5));
	assert_string_equal(world_texts(w, 1, 0, false), text);
	free(text);
	world_free(w);
}

static void a_long_queue_is_packed(void **state)
{
	struct world *w = world_new(7, 2);
	char text[160];

	(void)state;
	world_pair(w, 0, 1);
	for (unsigned i = 0; i < 3000; i++) {
		memset(text, 'x', sizeof(text) - 1);
		snprintf(text, 10, "%08u", i);
		text[8] = ' ';
		text[150] = '\0';
		assert_int_equal(world_say(w, 1, 0, text), REPLY_OK);
	}
	w->delay_low_us = w->delay_high_us; /* nothing is overtaken, so nothing is taken for lost */
	world_mode(w, 0, 1, MODE_CALL);
	world_run(w, S(60));
	assert_int_equal(world_waiting(w, 1, 0), 0);
	assert_int_equal(strlen(world_texts(w, 0, 1, false)), 3000 * 151 - 1);
	assert_in_range(w->nodes[1].sent_bytes, 3000 * 150, 3000 * 150 * 135 / 100);
	world_free(w);
}

static void names_are_kept_clean(void **state)
{
	struct world *w = world_new(8, 3);
	struct request rename = { .kind = REQ_RENAME, .name = span_str("n1") };
	static const char *const bad[] = {
		"",
		" x",
		"x ",
		"a  b",
		"-x",
		"a\tb",
		"a\nb",
		"\xe2\x80\xaex",
		"x\xe2\x80\x8b",
		"\xe2\x81\xa6x",
		"\xef\xbb\xbfx",
		"x\xe2\x80\xa8",
		"\xff",
		"\xc0\x80",
		"\xe3\x85\xa4",
		"0123456789012345678901234567890123456789012345678901234567890123x",
		/* Fillers and selectors, which show nothing, and blanks that are none. */
		"a\xcd\x8f",
		"a\xe1\x85\x9f",
		"a\xe1\x85\xa0",
		"a\xe1\x9e\xb4",
		"a\xe1\x9e\xb5",
		"a\xe2\xa0\x80",
		"a\xef\xbe\xa0",
		"a\xef\xb8\x80",
		"a\xef\xb8\x8f",
		"a\xf3\xa0\x84\x80",
		"a\xf3\xa0\x87\xaf",
		"a\xc2\xa0x",
		"a\xe3\x80\x80x",
		"a\xe2\x80\xa9x",
		"a\xee\x80\x80", /* nobody's */
		"a\xcd\xb8",
	};
	char long_name[4 * CONTACT_NAME_MAX + 2] = { 0 };
	static const char *const good[] = {
		"Ana",           "J\xc3\xb6rg", "\xd8\xa2\xd9\x86\xd8\xa7", "\xe5\xae\x89\xe5\xa8\x9c",
		"a\xef\xb8\x90", "a-b c",       "\xf0\x9f\x8c\xb1",         "n1"
	};

	(void)state;
	world_pair(w, 0, 1);
	world_pair(w, 0, 2);
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		rename.text = span_str(bad[i]);
		assert_int_equal(world_ask(w, 0, &rename), REPLY_BAD_NAME);
	}
	memset(long_name, 'x', sizeof(long_name) - 1);
	rename.text = span_str(long_name);
	assert_int_equal(world_ask(w, 0, &rename), REPLY_BAD_NAME);
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		rename.text = span_str(good[i]);
		assert_int_equal(world_ask(w, 0, &rename), REPLY_OK);
		rename.name = rename.text;
	}
	rename.text = span_str("Jo\xcc\x88rg"); /* one name, however it was typed */
	assert_int_equal(world_ask(w, 0, &rename), REPLY_OK);
	assert_true(node_contact_find(w->nodes[0].node, span_str("J\xc3\xb6rg")) >= 0);
	rename.name = rename.text;
	rename.text = span_str("N2"); /* case does not tell two people apart */
	assert_int_equal(world_ask(w, 0, &rename), REPLY_NAME_TAKEN);
	world_free(w);
}

/* No multicast gets through, as in many public networks: two who both call, and have met before, meet within
 * ten minutes and a slot, with lost datagrams and with clocks that differ. */
static void two_who_call_meet_without_multicast(void **state)
{
	(void)state;
	for (uint64_t seed = 300; seed < 320; seed++) {
		struct world *w = world_new(seed, 2);
		uint64_t sent;

		w->nodes[1].clock_offset = (int64_t)(seed % 6) * 100;
		world_pair(w, 0, 1);
		world_mode(w, 0, 1, MODE_CALL);
		world_run(w, S(15));
		assert_true(world_linked(w, 0, 1));
		world_mode(w, 1, 0, MODE_CALL);
		w->deaf = true;
		w->loss = 20;
		world_crash(w, 0);
		world_crash(w, 1);
		world_say(w, 0, 1, "hello");
		world_run(w, S(630));
		assert_true(world_linked(w, 0, 1) && world_linked(w, 1, 0));
		assert_string_equal(world_texts(w, 1, 0, false), "hello");

		/* One who answers only sends nothing into such a network. */
		world_mode(w, 1, 0, MODE_ANSWER);
		world_crash(w, 0);
		world_crash(w, 1);
		sent = w->nodes[1].sent_datagrams;
		world_run(w, S(1300));
		assert_int_equal(w->nodes[1].sent_datagrams, sent);
		assert_false(world_linked(w, 0, 1));
		world_free(w);
	}
}

/* Two who both call and hear each other link at once, whenever it is: in a slot, too, where they try each
 * other's addresses as well and two handshakes meet. */
static void two_ways_at_once_do_not_get_in_each_others_way(void **state)
{
	(void)state;
	for (uint64_t seed = 320; seed < 326; seed++) {
		struct world *w = world_new(seed, 2);

		world_pair(w, 0, 1);
		world_mode(w, 0, 1, MODE_CALL);
		world_mode(w, 1, 0, MODE_CALL);
		world_run(w, S(2));
		for (unsigned i = 0; i < 150; i++) {
			for (size_t who = 0; who < 2; who++) {
				world_network(w, who, false);
				world_crash(w, who);
				world_network(w, who, false);
			}
			world_run(w, S(1));
			world_network(w, 0, true);
			world_run(w, random_below(&w->rng.base, 1000000));
			world_network(w, 1, true);
			world_run(w, S(2));
			assert_true(world_linked(w, 0, 1) && world_linked(w, 1, 0));
			world_run(w, S(2));
		}
		world_free(w);
	}
}

/* A path that bears small datagrams only, from the start or from some time on, and says nothing. */
static void a_path_for_small_datagrams(void **state)
{
	(void)state;
	for (uint64_t seed = 340; seed < 352; seed++) {
		struct world *w = world_new(seed, 2);
		char text[4000];

		memset(text, 'x', sizeof(text));
		text[sizeof(text) - 1] = '\0';
		world_pair(w, 0, 1);
		w->mtu = seed % 2 == 0 ? 548 : 0;
		w->loss = seed % 3 == 0 ? 10 : 0;
		world_mode(w, 0, 1, MODE_CALL);
		world_say(w, 0, 1, text);
		world_say(w, 1, 0, text);
		world_run(w, S(30));
		assert_int_equal(world_waiting(w, 0, 1), 0);
		assert_int_equal(world_waiting(w, 1, 0), 0);
		w->mtu = 548;
		world_say(w, 0, 1, text);
		world_say(w, 1, 0, text);
		world_run(w, S(120));
		assert_int_equal(world_waiting(w, 0, 1), 0);
		assert_int_equal(world_waiting(w, 1, 0), 0);
		world_free(w);
	}
}

/* A slow network that puts datagrams out of order: what is said of stored messages comes in any order too,
 * before the first state even, and none of it is forgotten until a keep-alive says it again. */
static void words_overtake_each_other(void **state)
{
	(void)state;
	for (uint64_t seed = 1000; seed < 1040; seed++) {
		struct world *w = world_new(seed, 2);
		char text[1001] = { 0 };

		w->delay_low_us = 100000;
		w->delay_high_us = 150000;
		world_pair(w, 0, 1);
		world_mode(w, 0, 1, MODE_CALL);
		world_run(w, S(1) + random_below(&w->rng.base, 1000000));
		for (unsigned i = 0; i < 40; i++) {
			memset(text, 'x', sizeof(text) - 1);
			text[1 + random_below(&w->rng.base, 1000)] = '\0';
			world_say(w, i % 2, 1 - i % 2, text);
			world_run(w, random_below(&w->rng.base, 2000));
		}
		world_run(w, S(8));
		assert_int_equal(world_waiting(w, 0, 1), 0);
		assert_int_equal(world_waiting(w, 1, 0), 0);
		world_free(w);
	}
}

/* Who locks says so, and is missed at once; a caller that locks does not call after whom it has left. */
static void a_farewell_is_heard(void **state)
{
	(void)state;
	for (size_t who = 0; who < 2; who++) {
		struct world *w = world_new(25, 2);
		struct event lock = { .kind = EV_LOCK };
		uint64_t calls;

		world_pair(w, 0, 1);
		world_mode(w, 0, 1, MODE_CALL);
		world_run(w, S(2));
		assert_true(world_linked(w, 0, 1));
		calls = w->nodes[who].sent_calls;
		world_event(w, who, &lock);
		assert_int_equal(w->nodes[who].sent_calls, calls);
		if (who == 1)
			world_run(w, S(1));
		assert_false(world_linked(w, 0, 1));
		world_free(w);
	}
}

/* ---- Paths that break ------------------------------------------------------ */

static void a_path_that_breaks_is_missed(void **state)
{
	struct world *w = world_new(50, 2);

	(void)state;
	world_pair(w, 0, 1);
	world_mode(w, 0, 1, MODE_CALL);
	world_run(w, S(5));
	assert_true(world_linked(w, 0, 1));
	world_path_fails(w, 0, w->nodes[0].paths[0].id + 100); /* none of ours */
	assert_true(world_linked(w, 0, 1));
	world_path_fails(w, 0, w->nodes[0].paths[0].id);
	assert_false(world_linked(w, 0, 1));
	assert_int_equal(w->nodes[0].notices[NOTICE_UNLINKED], 1);
	world_say(w, 0, 1, "again");
	world_run(w, S(CALL_AGAIN_S) + S(1));
	assert_true(world_linked(w, 0, 1) && world_linked(w, 1, 0));
	assert_string_equal(world_texts(w, 1, 0, false), "again");
	world_free(w);
}

/* In a slot without multicast a path breaks as soon as it is open: it is opened anew. To an address of a
 * family that we have none of there is no path. */
static void a_path_of_a_slot_breaks(void **state)
{
	struct world *w = world_new(56, 2);
	uint32_t broken;

	(void)state;
	world_pair(w, 0, 1);
	world_mode(w, 0, 1, MODE_CALL);
	world_mode(w, 1, 0, MODE_CALL);
	world_run(w, S(5));
	w->nodes[0].node->contacts[0]->record.addresses[1][0] = 0xfe; /* where it was met once */
	w->nodes[0].node->contacts[0]->record_changed = true;
	world_network(w, 0, true);
	w->deaf = true;
	world_crash(w, 0);
	world_crash(w, 1);
	for (unsigned i = 0; i < 12000 && w->nodes[0].paths_len == 0; i++)
		world_run(w, 50000);
	assert_int_equal(w->nodes[0].paths_len, 1);
	broken = w->nodes[0].paths[0].id;
	world_path_fails(w, 0, broken);
	assert_int_equal(w->nodes[0].paths_len, 0);
	assert_false(world_linked(w, 0, 1));
	world_run(w, S(3)); /* the slot lasts longer */
	assert_int_equal(w->nodes[0].paths_len, 1);
	assert_int_not_equal(w->nodes[0].paths[0].id, broken);
	world_run(w, S(630));
	assert_true(world_linked(w, 0, 1) && world_linked(w, 1, 0));
	world_free(w);
}

/* Anybody can forge the word that nobody listens: the link is doubted, asked, and goes on where it was. */
static void a_refusal_is_only_a_hint(void **state)
{
	struct world *w = world_new(51, 2);
	struct event refused = { .kind = EV_PATH_REFUSED };

	(void)state;
	world_pair(w, 0, 1);
	world_mode(w, 0, 1, MODE_CALL);
	world_run(w, S(10));
	world_event(w, 0, &refused); /* of no path */
	assert_true(world_linked(w, 0, 1));
	for (unsigned times = 0; times < 2; times++) {
		uint64_t calls;

		w->deaf = true; /* our call must not help */
		refused.path = w->nodes[0].paths[0].id;
		world_event(w, 0, &refused);
		assert_false(world_linked(w, 0, 1));
		calls = w->nodes[0].sent_calls;
		world_event(w, 0, &refused); /* said twice, doubted once */
		assert_int_equal(w->nodes[0].sent_calls, calls);
		world_run(w, S(2));
		assert_true(world_linked(w, 0, 1));
		assert_int_equal(w->nodes[0].paths[0].id, refused.path);
		world_run(w, S(10));
	}
	assert_int_equal(w->nodes[0].notices[NOTICE_UNLINKED], 0);
	world_free(w);
}

/* ---- Looking, and how often ------------------------------------------------ */

static uint64_t calls_within(struct world *w, size_t i, unsigned seconds)
{
	const uint64_t before = w->nodes[i].sent_calls;

	world_run(w, S(seconds));
	return w->nodes[i].sent_calls - before;
}

static void on_battery_calls_are_fewer(void **state)
{
	struct world *w = world_new(52, 2);
	struct event ev = { .kind = EV_NETWORK, .locals = &w->nodes[0].address, .locals_len = 1 };

	(void)state;
	world_pair(w, 0, 1);
	world_network(w, 1, false);
	world_mode(w, 0, 1, MODE_CALL);
	assert_in_range(calls_within(w, 0, 3000), 3000 / 12, 3000 / 8);
	ev.power = POWER_BATTERY;
	world_event(w, 0, &ev);
	world_run(w, S(12));
	assert_in_range(calls_within(w, 0, 3000), 3000 / 35, 3000 / 25);
	ev.power = POWER_MAINS;
	world_event(w, 0, &ev);
	world_run(w, S(35));
	assert_in_range(calls_within(w, 0, 3000), 3000 / 12, 3000 / 8);
	world_free(w);
}

static void who_looks_may_stop(void **state)
{
	struct request look = { .kind = REQ_LOOK, .flag = true };
	struct world *w = world_new(53, 2);

	(void)state;
	world_pair(w, 0, 1);
	world_network(w, 1, false);
	assert_int_equal(calls_within(w, 0, 60), 0);
	assert_false(node_is_looking(w->nodes[0].node));
	assert_int_equal(world_ask(w, 0, &look), REPLY_OK);
	assert_true(node_is_looking(w->nodes[0].node));
	assert_in_range(calls_within(w, 0, 60), 60 / 12, 60 / 8);
	look.flag = false;
	assert_int_equal(world_ask(w, 0, &look), REPLY_OK);
	assert_false(node_is_looking(w->nodes[0].node));
	assert_int_equal(calls_within(w, 0, 600), 0);
	assert_int_equal(w->nodes[0].notices[NOTICE_LOOK_ENDED], 0); /* it was the person who ended it */
	world_network(w, 0, false);
	assert_int_equal(world_ask(w, 0, &look), REPLY_OK);
	look.flag = true;
	assert_int_equal(world_ask(w, 0, &look), REPLY_NO_NETWORK);
	world_free(w);
}

/* The own clock went back: a call that would be live by it is not answered, until the person looks. */
static void with_a_clock_that_went_back_nothing_is_answered(void **state)
{
	const struct request look = { .kind = REQ_LOOK, .flag = true };
	struct world *w = world_new(54, 2);

	(void)state;
	world_pair(w, 0, 1);
	w->nodes[1].clock_offset = 86400;
	world_run(w, S(1));
	world_network(w, 1, true); /* that was the time */
	w->nodes[1].clock_offset = 0;
	world_crash(w, 1);
	assert_true(node_clock_is_wrong(w->nodes[1].node));
	world_mode(w, 0, 1, MODE_CALL);
	world_run(w, S(60));
	assert_int_equal(w->nodes[1].sent_datagrams + w->nodes[1].sent_calls, 0);
	world_network(w, 0, false);
	world_network(w, 0, true);
	world_ask(w, 1, &look);
	world_run(w, S(15));
	assert_true(world_linked(w, 0, 1) && world_linked(w, 1, 0));
	world_run(w, S(60));
	assert_false(node_clock_is_wrong(w->nodes[1].node)); /* it counts from now on */
	world_free(w);
}

/* ---- What a contact's state forbids ---------------------------------------- */

static void a_blocked_contact_does_not_start_again(void **state)
{
	const struct request block = { .kind = REQ_BLOCK, .name = span_str("n1"), .flag = true };
	const struct request again = { .kind = REQ_START_AGAIN, .name = span_str("n1") };
	const struct request forget = { .kind = REQ_FORGET, .name = span_str("n1") };
	const struct request nul = { .kind = REQ_SEND,
		                     .name = span_str("n1"),
		                     .text = { (const uint8_t *)"a\0b", 3 } };
	struct world *w = world_new(55, 2);

	(void)state;
	world_pair(w, 0, 1);
	assert_int_equal(world_ask(w, 0, &nul), REPLY_BAD_TEXT);
	assert_int_equal(world_ask(w, 0, &block), REPLY_OK);
	assert_int_equal(world_ask(w, 0, &again), REPLY_BLOCKED);
	assert_int_equal(calls_within(w, 0, 30), 0);
	assert_int_equal(world_ask(w, 0, &forget), REPLY_OK);
	assert_int_equal(world_ask(w, 0, &forget), REPLY_UNKNOWN);
	world_crash(w, 0);
	assert_int_equal(node_contact_count(w->nodes[0].node), 0);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_calls_and_nothing_is_sent),
		cmocka_unit_test(two_contacts_write_to_each_other),
		cmocka_unit_test(nothing_is_lost_on_a_bad_network),
		cmocka_unit_test(an_older_vault_is_put_back),
		cmocka_unit_test(an_older_vault_on_a_bad_network),
		cmocka_unit_test(what_was_read_after_the_copy_comes_again),
		cmocka_unit_test(what_waited_in_the_copy_is_shown_once),
		cmocka_unit_test(a_silent_or_blocked_contact_hears_nothing),
		cmocka_unit_test(a_clock_that_is_wrong_is_learned_or_refused),
		cmocka_unit_test(long_and_bad_messages),
		cmocka_unit_test(a_long_queue_is_packed),
		cmocka_unit_test(names_are_kept_clean),
		cmocka_unit_test(two_who_call_meet_without_multicast),
		cmocka_unit_test(two_ways_at_once_do_not_get_in_each_others_way),
		cmocka_unit_test(a_path_for_small_datagrams),
		cmocka_unit_test(words_overtake_each_other),
		cmocka_unit_test(a_farewell_is_heard),
		cmocka_unit_test(a_path_that_breaks_is_missed),
		cmocka_unit_test(a_path_of_a_slot_breaks),
		cmocka_unit_test(a_refusal_is_only_a_hint),
		cmocka_unit_test(on_battery_calls_are_fewer),
		cmocka_unit_test(who_looks_may_stop),
		cmocka_unit_test(with_a_clock_that_went_back_nothing_is_answered),
		cmocka_unit_test(a_blocked_contact_does_not_start_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
