/*
 * test_node_faults.c: a node's memory runs out in the middle of a life, and comes back.
 *
 * One life of two nodes - they pair, write, are renamed, blocked and looked for - is run again and again;
 * each time another request for memory of node 0 fails, alone or with all others of its turn, the store's and
 * SQLite's among them. The turn says so, the node starts again from its store, its person asks again, and in
 * the end all is as if nothing had happened.
 */
#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "tests/failing_memory.h"
#include "tests/unit/world.h"

#include "tests/unit/unit.h"

#define S(seconds) ((uint64_t)(seconds)*1000000)

static unsigned failures;
static sqlite3_mem_methods below;

static void *sqlite_malloc(int len)
{
	return failing_memory_now() ? NULL : below.xMalloc(len);
}

static void *sqlite_realloc(void *p, int len)
{
	return failing_memory_now() ? NULL : below.xRealloc(p, len);
}

/* What SQLite asks for counts too. */
static int take_sqlite(void **state)
{
	sqlite3_mem_methods ours;

	(void)state;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &below), SQLITE_OK);
	ours = below;
	ours.xMalloc = sqlite_malloc;
	ours.xRealloc = sqlite_realloc;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours), SQLITE_OK);
	return 0;
}

static void arm(struct world *w, size_t node, bool begins)
{
	(void)w;
	failing_memory.armed = begins && node == 0;
}

/* There is memory again. */
static void fell(struct world *w, size_t node, int err)
{
	(void)w;
	assert_int_equal(node, 0);
	assert_int_equal(err, ERR_NOMEM);
	failing_memory.at = UINT64_MAX;
	failures++;
}

/* A person asks until the answer comes. */
static enum reply_code ask(struct world *w, size_t i, const struct request *q)
{
	const unsigned before = failures;
	enum reply_code code = world_ask(w, i, q);

	return failures == before ? code : world_ask(w, i, q);
}

static void say(struct world *w, size_t from, const char *text)
{
	const struct request q = { .kind = REQ_SEND,
		                   .name = span_str(from == 0 ? "n1" : "n0"),
		                   .text = span_str(text) };

	assert_int_equal(ask(w, from, &q), REPLY_OK);
}

static void simple(struct world *w, enum request_kind kind, const char *name, const char *text, bool flag)
{
	const struct request q = {
		.kind = kind, .name = span_str(name), .text = span_str(text), .flag = flag
	};

	assert_int_equal(ask(w, 0, &q), REPLY_OK);
}

/* Until the code was shown, entered and compared: an attempt that fails is begun anew. */
static void pair_by_code(struct world *w)
{
	for (unsigned tries = 0; tries < 4; tries++) {
		const struct request show = { .kind = REQ_PAIR_SHOW, .name = span_str("Ana") };
		const struct request cancel = { .kind = REQ_PAIR_CANCEL };
		struct request enter = { .kind = REQ_PAIR_ENTER, .name = span_str("Bea") };
		struct request confirm = { .kind = REQ_PAIR_CONFIRM, .name = span_str("Ana"), .flag = true };
		char code[256];

		assert_int_equal(ask(w, 0, &show), REPLY_OK);
		snprintf(code, sizeof(code), "%s", w->nodes[0].reply_text);
		enter.text = span_str(code);
		assert_int_equal(ask(w, 1, &enter), REPLY_OK);
		world_run(w, S(60));
		if (ask(w, 0, &confirm) == REPLY_OK)
			return;
		(void)ask(w, 0, &cancel);
		(void)ask(w, 1, &cancel);
		enter.kind = REQ_FORGET; /* what the other one may have of it */
		(void)ask(w, 1, &enter);
	}
	fail_msg("they do not pair");
}

static void life(uint64_t at, bool on)
{
	static char long_text[3000];
	struct world *w = world_new(31, 2);

	failing_memory = (struct failing_memory){ .at = at, .on = on }; /* armed by arm() */

	memset(long_text, 'x', sizeof(long_text) - 1);
	world_pair(w, 0, 1);
	w->around = arm;
	w->failed = fell;
	(void)world_mode(w, 0, 1, MODE_CALL);
	(void)world_mode(w, 0, 1, MODE_CALL);
	say(w, 0, "one");
	say(w, 1, "uno");
	world_run(w, S(30));
	say(w, 0, long_text);
	say(w, 1, long_text);
	say(w, 0, "two");
	world_run(w, S(30));
	world_crash(w, 0);
	world_run(w, S(30));
	simple(w, REQ_RENAME, "n1", "N1", false);
	simple(w, REQ_BLOCK, "n1", "", true);
	world_run(w, S(5));
	simple(w, REQ_BLOCK, "n1", "", false);
	simple(w, REQ_LOOK, "", "", true);
	say(w, 1, "dos");
	world_run(w, S(300));
	pair_by_code(w);
	say(w, 0, "three");
	world_run(w, S(300));
	failing_memory.armed = false;
	assert_int_equal(strlen(world_texts(w, 1, 0, false)), strlen("one||two|three") + strlen(long_text));
	assert_int_equal(strlen(world_texts(w, 0, 1, false)), strlen("uno||dos") + strlen(long_text));
	assert_int_equal(world_waiting(w, 0, 1) + world_waiting(w, 1, 0), 0);
	world_free(w);
}

static void a_node_goes_on_after_it_had_no_memory(void **state)
{
	const bool full = getenv("FLYLEAF_FULL") != NULL;
	uint64_t all;

	(void)state;
	life(UINT64_MAX, false);
	all = failing_memory.seen;
	for (uint64_t at = 1; at <= all; at++)
		for (int on = 0; on <= 1; on++)
			if (full || at % 2 == (uint64_t)on)
				life(at, on);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_node_goes_on_after_it_had_no_memory) };

	return cmocka_run_group_tests(tests, take_sqlite, NULL);
}
