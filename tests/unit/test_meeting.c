#include <stdio.h>

#include "node/core/state.h"
#include "tests/unit/world.h"

#include "tests/unit/unit.h"

/* Two people become contacts, or do not, and are told why. */

#define S(seconds) ((uint64_t)(seconds)*1000000)

static enum reply_code ask(struct world *w, size_t i, enum request_kind kind, const char *name,
                           const char *text, bool flag)
{
	const struct request q = {
		.kind = kind, .name = span_str(name), .text = span_str(text), .flag = flag
	};

	return world_ask(w, i, &q);
}

/* Both confirm, one calls, and they write. */
static void check_new_contacts(struct world *w, const char *of0, const char *of1)
{
	const struct request mode = { .kind = REQ_MODE, .name = span_str(of0), .mode = MODE_CALL };
	struct contact_view v;

	assert_int_equal(w->nodes[0].notices[NOTICE_PAIR_COMPARE], 1);
	assert_int_equal(w->nodes[1].notices[NOTICE_PAIR_COMPARE], 1);
	assert_int_equal(strlen(w->nodes[0].notice_text), SAFETY_TEXT_LEN);
	assert_string_equal(w->nodes[0].notice_text, w->nodes[1].notice_text);
	assert_int_equal(ask(w, 0, REQ_SEND, of0, "too early", false), REPLY_PENDING);
	assert_int_equal(ask(w, 0, REQ_PAIR_CONFIRM, of0, "", true), REPLY_OK);
	assert_int_equal(world_ask(w, 0, &mode), REPLY_OK);
	world_run(w, S(15));
	assert_false(w->nodes[0].notices[NOTICE_LINKED]); /* the other person has not confirmed */
	assert_int_equal(ask(w, 1, REQ_PAIR_CONFIRM, of1, "", true), REPLY_OK);
	assert_int_equal(ask(w, 0, REQ_SEND, of0, "hello", false), REPLY_OK);
	assert_int_equal(ask(w, 1, REQ_SEND, of1, "hi", false), REPLY_OK);
	world_run(w, S(15));
	for (size_t i = 0; i < 2; i++) {
		node_contact_view(w->nodes[i].node, 0, &v);
		assert_int_equal(v.record->state, CONTACT_MET);
		assert_int_equal(v.waiting, 0);
		assert_int_equal(v.next_position, 2);
	}
}

static void two_people_pair_by_code(void **state)
{
	(void)state;
	for (unsigned camera = 0; camera < 2; camera++) {
		struct world *w = world_new(20 + camera, 3);
		char code[256];

		w->loss = 20;
		w->nodes[1].clock_offset = -86400 * 3650; /* a code works between two wrong clocks */
		assert_int_equal(ask(w, 0, REQ_PAIR_SHOW, "Ana", "", camera), REPLY_OK);
		strcpy(code, w->nodes[0].reply_text);
		assert_int_equal(ask(w, 0, REQ_PAIR_SHOW, "Ben", "", false), REPLY_BUSY);
		assert_int_equal(ask(w, 0, REQ_PAIR_ENTER, "Ben", code, false), REPLY_OWN_CODE);
		assert_int_equal(ask(w, 1, REQ_PAIR_ENTER, "Ben", code, false), REPLY_OK);
		world_run(w, S(30));
		w->nodes[1].clock_offset = 0; /* from here on clocks count */
		w->loss = 0;
		check_new_contacts(w, "Ana", "Ben");
		assert_int_equal(ask(w, 1, REQ_PAIR_ENTER, "Ben", code, false), REPLY_SPENT);
		/* The code is used up: nobody answers to it any more. */
		assert_int_equal(ask(w, 2, REQ_PAIR_ENTER, "Cay", code, false), REPLY_OK);
		world_run(w, S(610));
		assert_int_equal(w->nodes[2].notices[NOTICE_PAIR_FAILED], 1);
		assert_int_equal(w->nodes[2].notices[NOTICE_PAIR_TALKING], 0);
		world_free(w);
	}
}

static void two_people_pair_by_two_cameras(void **state)
{
	struct world *w = world_new(22, 2);
	char shown[2][256];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(ask(w, i, REQ_PAIR_BOTH, "Ana", "", false), REPLY_OK);
		strcpy(shown[i], w->nodes[i].reply_text);
	}
	assert_int_equal(ask(w, 0, REQ_PAIR_BOTH, "Ana", "no QR", false), REPLY_BAD_CODE);
	assert_int_equal(ask(w, 0, REQ_PAIR_BOTH, "Ana", shown[0], false), REPLY_OWN_CODE);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(ask(w, i, REQ_PAIR_BOTH, "Ana", shown[1 - i], false), REPLY_OK);
	assert_int_equal(ask(w, 0, REQ_PAIR_BOTH, "Ana", shown[1], false), REPLY_NO_PAIRING);
	assert_int_equal(w->nodes[0].sent_calls + w->nodes[1].sent_calls, 0); /* no radio at all */
	check_new_contacts(w, "Ana", "Ana");
	world_free(w);
}

static void a_pairing_that_cannot_be(void **state)
{
	struct world *w = world_new(23, 2);

	(void)state;
	assert_int_equal(ask(w, 0, REQ_PAIR_ENTER, "Ana", "no number", false), REPLY_BAD_CODE);
	assert_int_equal(ask(w, 0, REQ_PAIR_ENTER, "Ana", "12 abacus", false), REPLY_BAD_CODE);
	assert_int_equal(ask(w, 0, REQ_PAIR_SHOW, "\xe2\x80\xae", "", false), REPLY_BAD_NAME);
	assert_int_equal(ask(w, 0, REQ_PAIR_CANCEL, "", "", false), REPLY_NO_PAIRING);
	/* Both display: nobody calls, and both codes expire. */
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(ask(w, i, REQ_PAIR_SHOW, "Ana", "", false), REPLY_OK);
	world_run(w, S(601));
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(w->nodes[i].notices[NOTICE_PAIR_FAILED], 1);
	assert_int_equal(w->nodes[0].sent_calls + w->nodes[1].sent_calls, 0);
	/* Cancelled, and begun again. */
	assert_int_equal(ask(w, 0, REQ_PAIR_SHOW, "Ana", "", false), REPLY_OK);
	assert_int_equal(ask(w, 0, REQ_PAIR_CANCEL, "", "", false), REPLY_OK);
	assert_int_equal(ask(w, 0, REQ_PAIR_SHOW, "Ana", "", false), REPLY_OK);
	assert_int_equal(ask(w, 0, REQ_PAIR_CANCEL, "", "", false), REPLY_OK);
	world_network(w, 0, false);
	assert_int_equal(ask(w, 0, REQ_PAIR_SHOW, "Ana", "", false), REPLY_NO_NETWORK);
	assert_int_equal(node_contact_count(w->nodes[0].node), 0);
	world_free(w);
}

static void a_wrong_code_has_one_attempt(void **state)
{
	struct world *w = world_new(26, 2);
	char code[256];

	(void)state;
	assert_int_equal(ask(w, 0, REQ_PAIR_SHOW, "Ana", "", false), REPLY_OK);
	strcpy(code, w->nodes[0].reply_text);
	strcpy(strrchr(code, ' '), strstr(code, "zodiac") != NULL ? " abacus" : " zodiac");
	assert_int_equal(ask(w, 1, REQ_PAIR_ENTER, "Ben", code, false), REPLY_OK);
	assert_int_equal(ask(w, 1, REQ_PAIR_ENTER, "Ben", code, false), REPLY_BUSY);
	world_run(w, S(30));
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(w->nodes[i].notices[NOTICE_PAIR_FAILED], 1);
	assert_int_equal(ask(w, 1, REQ_PAIR_ENTER, "Ben", code, false), REPLY_SPENT);
	assert_int_equal(node_contact_count(w->nodes[0].node) + node_contact_count(w->nodes[1].node), 0);
	world_free(w);
}

/* The name of a contact to be is taken already. */
static void a_promised_name_is_taken(void **state)
{
	struct world *w = world_new(27, 2);
	const struct request rename = { .kind = REQ_RENAME, .name = span_str("n1"), .text = span_str("ana") };

	(void)state;
	world_pair(w, 0, 1);
	assert_int_equal(ask(w, 0, REQ_PAIR_SHOW, "Ana", "", false), REPLY_OK);
	assert_int_equal(world_ask(w, 0, &rename), REPLY_NAME_TAKEN);
	assert_int_equal(ask(w, 0, REQ_PAIR_CANCEL, "", "", false), REPLY_OK);
	assert_int_equal(world_ask(w, 0, &rename), REPLY_OK);
	world_free(w);
}

static void safety_numbers_that_differ_leave_no_contact(void **state)
{
	struct world *w = world_new(24, 2);

	(void)state;
	world_network(w, 0, true);
	assert_int_equal(ask(w, 0, REQ_PAIR_SHOW, "Ana", "", false), REPLY_OK);
	assert_int_equal(ask(w, 1, REQ_PAIR_ENTER, "Ben", w->nodes[0].reply_text, false), REPLY_OK);
	world_run(w, S(5));
	assert_int_equal(node_contact_count(w->nodes[0].node), 1);
	assert_int_equal(ask(w, 0, REQ_PAIR_CONFIRM, "Ana", "", false), REPLY_OK);
	assert_int_equal(node_contact_count(w->nodes[0].node), 0);
	world_crash(w, 0);
	assert_int_equal(node_contact_count(w->nodes[0].node), 0);
	world_free(w);
}

/* ---- What a person does wrong ---------------------------------------------- */

static void a_mistyped_code_is_explained(void **state)
{
	static const struct {
		const char *typed, *why;
	} rows[] = {
		{ "", "a code begins with its number of two digits" },
		{ "abacus abacus abacus", "a code begins with its number of two digits" },
		{ "12", "word 1 of three is missing" },
		{ "12 abacus", "word 2 of three is missing" },
		{ "12 abacus abacus", "word 3 of three is missing" },
		{ "12 abacus abacus abacus abacus",
		  "a code is a number and three words; there is more here" },
		{ "12 abacus qqqqqqqqqq abacus", "word 2 is none of the words" },
	};
	struct world *w = world_new(40, 1);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(ask(w, 0, REQ_PAIR_ENTER, "Ana", rows[i].typed, false), REPLY_BAD_CODE);
		assert_string_equal(w->nodes[0].reply_text, rows[i].why);
	}
	/* Two letters too many are not forgiven, and few enough for a hint. */
	assert_int_equal(ask(w, 0, REQ_PAIR_ENTER, "Ana", "12 abacus abacus abacusqq", false),
	                 REPLY_BAD_CODE);
	assert_non_null(strstr(w->nodes[0].reply_text, "word 3 is none of the words; did you mean abacus"));
	assert_int_equal(w->nodes[0].reply_text[strlen(w->nodes[0].reply_text) - 1], '?');
	/* Nothing has begun. */
	assert_int_equal(ask(w, 0, REQ_PAIR_CANCEL, "", "", false), REPLY_NO_PAIRING);
	world_free(w);
}

static void each_kind_of_qr_has_its_place(void **state)
{
	struct world *w = world_new(41, 2);
	char code[256], pair[256];

	(void)state;
	assert_int_equal(ask(w, 0, REQ_PAIR_SHOW, "Ana", "", true), REPLY_OK);
	strcpy(code, w->nodes[0].reply_text);
	assert_int_equal(ask(w, 1, REQ_PAIR_BOTH, "Ben", "", false), REPLY_OK);
	strcpy(pair, w->nodes[1].reply_text);
	assert_int_equal(ask(w, 1, REQ_PAIR_BOTH, "Ben", code, false), REPLY_BAD_CODE);
	assert_string_equal(w->nodes[1].reply_text, "this is not the QR text that the other device shows");
	assert_int_equal(ask(w, 0, REQ_PAIR_ENTER, "Ana", pair, false), REPLY_BAD_CODE);
	assert_string_equal(w->nodes[0].reply_text, "this QR is of another kind");
	/* One at a time, whatever its kind. */
	assert_int_equal(ask(w, 0, REQ_PAIR_BOTH, "Ana", "", false), REPLY_BUSY);
	assert_int_equal(ask(w, 0, REQ_PAIR_BOTH, "Ana", pair, false), REPLY_NO_PAIRING);
	assert_int_equal(ask(w, 1, REQ_PAIR_SHOW, "Ben", "", false), REPLY_BUSY);
	assert_int_equal(ask(w, 1, REQ_PAIR_ENTER, "Ben", code, false), REPLY_BUSY);
	assert_int_equal(ask(w, 1, REQ_PAIR_CANCEL, "", "", false), REPLY_OK);
	assert_int_equal(ask(w, 1, REQ_PAIR_BOTH, "Ben", pair, false), REPLY_NO_PAIRING);
	world_free(w);
}

static void only_the_very_code_is_the_own_one(void **state)
{
	struct world *w = world_new(42, 1);
	char code[256], other[256];

	(void)state;
	assert_int_equal(ask(w, 0, REQ_PAIR_SHOW, "Ana", "", false), REPLY_OK);
	strcpy(code, w->nodes[0].reply_text);
	strcpy(other, code);
	other[0] = (char)(other[0] == '9' ? '0' : other[0] + 1);
	assert_int_equal(ask(w, 0, REQ_PAIR_ENTER, "Ben", other, false), REPLY_BUSY);
	strcpy(other, code);
	strcpy(strrchr(other, ' '), strstr(code, "zodiac") != NULL ? " abacus" : " zodiac");
	assert_int_equal(ask(w, 0, REQ_PAIR_ENTER, "Ben", other, false), REPLY_BUSY);
	assert_int_equal(ask(w, 0, REQ_PAIR_ENTER, "Ben", code, false), REPLY_OWN_CODE);
	/* Who enters a code may be told it again, and that is no reason to say it were his. */
	assert_int_equal(ask(w, 0, REQ_PAIR_CANCEL, "", "", false), REPLY_OK);
	assert_int_equal(ask(w, 0, REQ_PAIR_ENTER, "Ben", code, false), REPLY_OK);
	assert_int_equal(ask(w, 0, REQ_PAIR_ENTER, "Ben", code, false), REPLY_BUSY);
	world_free(w);
}

static void a_contact_of_this_name_is_there(void **state)
{
	struct world *w = world_new(43, 2);

	(void)state;
	world_pair(w, 0, 1);
	assert_int_equal(ask(w, 0, REQ_PAIR_SHOW, "N1", "", false), REPLY_NAME_TAKEN);
	assert_int_equal(ask(w, 0, REQ_PAIR_BOTH, "n1", "", false), REPLY_NAME_TAKEN);
	assert_int_equal(ask(w, 0, REQ_PAIR_CONFIRM, "n1", "", true), REPLY_NO_PAIRING); /* long ago */
	assert_int_equal(ask(w, 0, REQ_PAIR_CANCEL, "", "", false), REPLY_NO_PAIRING);
	world_free(w);
}

/* ---- Two cameras ----------------------------------------------------------- */

static void both_begin(struct world *w, char shown[2][256])
{
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(ask(w, i, REQ_PAIR_BOTH, "Ana", "", false), REPLY_OK);
		strcpy(shown[i], w->nodes[i].reply_text);
	}
}

static void a_shown_qr_expires(void **state)
{
	struct world *w = world_new(44, 2);
	char shown[2][256];

	(void)state;
	both_begin(w, shown);
	world_run(w, S(PAIRING_LIFE_S) - 1);
	assert_int_equal(w->nodes[0].notices[NOTICE_PAIR_FAILED], 0);
	world_run(w, 1);
	assert_int_equal(w->nodes[0].notices[NOTICE_PAIR_FAILED], 1);
	assert_string_equal(w->nodes[0].notice_text, pairing_failure_text(PAIRING_EXPIRED));
	assert_int_equal(ask(w, 0, REQ_PAIR_BOTH, "Ana", shown[1], false), REPLY_NO_PAIRING);
	assert_int_equal(node_contact_count(w->nodes[0].node), 0);
	world_free(w);
}

/* Keys that were a contact's, or our own for one, make no second contact. */
static void keys_make_one_contact(void **state)
{
	struct world *w = world_new(45, 2);
	char shown[2][256];

	(void)state;
	both_begin(w, shown);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(ask(w, i, REQ_PAIR_BOTH, "Ana", shown[1 - i], false), REPLY_OK);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(ask(w, 0, REQ_PAIR_BOTH, "Ben", "", false), REPLY_OK);
		assert_int_equal(ask(w, 0, REQ_PAIR_BOTH, "Ben", shown[i], false), REPLY_KNOWN);
		assert_int_equal(ask(w, 0, REQ_PAIR_CANCEL, "", "", false), REPLY_NO_PAIRING);
	}
	assert_int_equal(node_contact_count(w->nodes[0].node), 1);
	world_free(w);
}

/* ---- A path that breaks, and a call that is not for us ---------------------- */

/* Node 0 shows a code, which the others enter, one after the other at once. */
static void code_for_all(struct world *w)
{
	char code[256];

	assert_int_equal(ask(w, 0, REQ_PAIR_SHOW, "Ana", "", false), REPLY_OK);
	strcpy(code, w->nodes[0].reply_text);
	for (size_t i = 1; i < w->n; i++)
		assert_int_equal(ask(w, i, REQ_PAIR_ENTER, "Ben", code, false), REPLY_OK);
}

static void run_until_path(struct world *w, size_t i)
{
	for (unsigned k = 0; k < 100000 && w->nodes[i].paths_len == 0; k++)
		world_run(w, 50);
	assert_int_equal(w->nodes[i].paths_len, 1);
}

/* Nobody has spoken yet: the next call is answered as if it were the first. */
static void a_path_that_breaks_early_is_opened_again(void **state)
{
	(void)state;
	for (size_t who = 0; who < 2; who++) {
		struct world *w = world_new(46, 2);
		uint32_t path;

		code_for_all(w);
		run_until_path(w, who);
		path = w->nodes[who].paths[0].id;
		world_path_fails(w, who, path + 1); /* another's */
		assert_int_equal(w->nodes[who].paths_len, 1);
		if (who == 0)
			world_network(w, 1, false); /* the answer is lost with the path */
		world_path_fails(w, who, path);
		assert_int_equal(w->nodes[who].paths_len, 0);
		world_run(w, S(3));
		world_network(w, 1, true);
		world_run(w, S(5));
		assert_int_equal(w->nodes[0].sent_calls, 2);
		for (size_t i = 0; i < 2; i++) {
			assert_int_equal(w->nodes[i].notices[NOTICE_PAIR_FAILED], 0);
			assert_int_equal(w->nodes[i].notices[NOTICE_PAIR_TALKING], 1);
			assert_int_equal(w->nodes[i].notices[NOTICE_PAIR_COMPARE], 1);
		}
		world_free(w);
	}
}

static void a_path_that_breaks_late_burns_the_code(void **state)
{
	(void)state;
	for (size_t who = 0; who < 2; who++) {
		struct world *w = world_new(47, 2);

		code_for_all(w);
		while (w->nodes[0].notices[NOTICE_PAIR_TALKING] == 0) /* both have spoken */
			world_run(w, 50);
		world_path_fails(w, who, w->nodes[who].paths[0].id);
		assert_int_equal(w->nodes[who].notices[NOTICE_PAIR_FAILED], 1);
		assert_string_equal(w->nodes[who].notice_text, pairing_failure_text(PAIRING_WENT_SILENT));
		assert_int_equal(ask(w, who, REQ_PAIR_CANCEL, "", "", false), REPLY_NO_PAIRING);
		world_run(w, S(PAIRING_FLIGHT_S) + S(1));
		assert_int_equal(w->nodes[1 - who].notices[NOTICE_PAIR_FAILED], 1);
		for (size_t i = 0; i < 2; i++)
			assert_int_equal(node_contact_count(w->nodes[i].node), 0);
		world_free(w);
	}
}

/* Two enter one code at once: one of them becomes the contact, the other is told that nobody came. */
static void a_code_is_for_one(void **state)
{
	struct world *w = world_new(48, 3);
	size_t with = 0;

	(void)state;
	code_for_all(w);
	world_run(w, S(1) / 2);
	assert_int_equal(w->nodes[0].sent_calls, 1); /* the other call came too soon after */
	world_run(w, S(PAIRING_LIFE_S) + S(PAIRING_FLIGHT_S));
	for (size_t i = 1; i < 3; i++) {
		with += node_contact_count(w->nodes[i].node);
		assert_int_equal(w->nodes[i].notices[NOTICE_PAIR_FAILED],
		                 1 - node_contact_count(w->nodes[i].node));
	}
	assert_int_equal(with, 1);
	assert_int_equal(node_contact_count(w->nodes[0].node), 1);
	world_free(w);
}

static uint8_t heard_call[CALL_SMALL_LEN];

static void keep_call(struct world *w, size_t node, const struct effect *e, struct span bytes)
{
	(void)w;
	if (node == 1 && e->kind == FX_CALL) {
		assert_int_equal(bytes.len, sizeof(heard_call));
		memcpy(heard_call, bytes.p, sizeof(heard_call));
	}
}

/* A call under the code counts from its own address, on a network that we are in, from a neighbour. */
static void a_call_under_the_code_from_elsewhere(void **state)
{
	struct world *w = world_new(49, 2);
	struct event ev = { .kind = EV_CALL, .bytes = SPAN(heard_call), .ttl = 255 };

	(void)state;
	w->deaf = true;
	w->watch = keep_call;
	code_for_all(w);
	world_run(w, S(1) / 10);
	for (unsigned wrong = 0; wrong < 4; wrong++) {
		ev.from = w->nodes[1].address;
		ev.ttl = wrong == 0 ? 254 : 255;
		ev.from.ip[15] += wrong == 1;
		ev.from.interface += wrong == 2;
		world_event(w, 0, &ev);
		assert_int_equal(w->nodes[0].sent_calls, wrong < 3 ? 0 : 1);
		assert_int_equal(w->nodes[0].paths_len, wrong < 3 ? 0 : 1);
	}
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_people_pair_by_code),
		cmocka_unit_test(two_people_pair_by_two_cameras),
		cmocka_unit_test(a_pairing_that_cannot_be),
		cmocka_unit_test(a_wrong_code_has_one_attempt),
		cmocka_unit_test(a_promised_name_is_taken),
		cmocka_unit_test(safety_numbers_that_differ_leave_no_contact),
		cmocka_unit_test(a_mistyped_code_is_explained),
		cmocka_unit_test(each_kind_of_qr_has_its_place),
		cmocka_unit_test(only_the_very_code_is_the_own_one),
		cmocka_unit_test(a_contact_of_this_name_is_there),
		cmocka_unit_test(a_shown_qr_expires),
		cmocka_unit_test(keys_make_one_contact),
		cmocka_unit_test(a_path_that_breaks_early_is_opened_again),
		cmocka_unit_test(a_path_that_breaks_late_burns_the_code),
		cmocka_unit_test(a_code_is_for_one),
		cmocka_unit_test(a_call_under_the_code_from_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
