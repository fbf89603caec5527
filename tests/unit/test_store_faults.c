/*
 * test_store_faults.c: memory runs out at the nth request of SQLite, for every n.
 *
 * Whatever fails says ERR_NOMEM, nothing leaks, what is given back is wiped, and after
 * the rollback the same store works again.
 */
#include "tests/unit/rows.h"

#include <sqlite3.h>

static sqlite3_mem_methods below;
static uint64_t requests, fail_at; /* 0: never */
static bool fail_on;               /* and all after it */
static int64_t blocks;             /* that are not given back */

static void *failing_malloc(int size)
{
	void *p;

	requests++;
	if (fail_at != 0 && (requests == fail_at || (fail_on && requests > fail_at)))
		return NULL;
	p = below.xMalloc(size);
	blocks += p != NULL;
	return p;
}

/* What comes back has been wiped: rows and pages were in it. */
static void counting_free(void *p)
{
	const uint8_t *bytes = p;
	const size_t len = (size_t)below.xSize(p);

	for (size_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], 0);
	blocks--;
	below.xFree(p);
}

static int put_allocator(void **state)
{
	sqlite3_mem_methods failing;

	(void)state;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &below), SQLITE_OK);
	failing = below;
	failing.xMalloc = failing_malloc;
	failing.xFree = counting_free;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing), SQLITE_OK);
	return 0;
}

static int look_contact(void *arg, const struct contact_record *record)
{
	(void)arg;
	(void)record;
	return 0;
}

static int look_message(void *arg, const struct message *message)
{
	(void)arg;
	(void)message;
	return 0;
}

/* The script: each line runs unless one before it failed. */
#define THEN(call)                                                                                           \
	do {                                                                                                 \
		if (r == 0)                                                                                  \
			r = (call);                                                                          \
	} while (0)

static int talk(struct store *s, uint32_t contact)
{
	static uint8_t sealed[16384];
	const struct message m = rows_message(0, true, "hello");
	struct conversation_record c = rows_conversation(contact, 1);
	size_t len;
	int64_t n, first, end;
	int r = 0;

	THEN(messages_add(s, contact, &m));
	THEN(messages_next_position(s, contact, &n));
	THEN(messages_each(s, contact, 0, 10, look_message, NULL));
	THEN(messages_each_own(s, contact, 0, 10, look_message, NULL));
	THEN(messages_count_own(s, contact, 0, 10, &n));
	THEN(conversation_save(s, &c));
	THEN(conversation_load(s, contact, &c));
	THEN(envelopes_add(s, contact, 0, 0, 1, SPAN(sealed)));
	THEN(envelopes_read(s, contact, 0, sealed, sizeof(sealed), &len));
	THEN(envelopes_positions(s, contact, 0, &first, &end));
	THEN(envelopes_forget(s, contact, 0, 1));
	THEN(envelopes_remove_from(s, contact, 0));
	return r;
}

static int overtake(struct store *s, uint32_t contact)
{
	struct skipped_rows rows;
	struct skipped_keys *keys = &rows.base;
	struct skipped_key key = { .tag = { { 1 } } }, out;
	int r = 0;

	skipped_rows_init(&rows, s, contact, 0);
	THEN(keys->put(keys, &key));
	THEN(keys->find(keys, &out, &key.tag));
	THEN(keys->trim(keys, 1));
	THEN(keys->remove(keys, &key.tag));
	THEN(skipped_rows_drop_old(s, 1));
	return r;
}

static bool committing; /* a commit that fails is for good */

static int commit(struct store *s)
{
	int r;

	committing = true;
	r = store_commit(s);
	committing = r != 0;
	return r;
}

static int script(struct store *s)
{
	struct contact_record c = rows_contact(1);
	uint64_t value;
	int r = 0;

	THEN(store_begin(s));
	THEN(contacts_add(s, &c));
	THEN(contacts_update(s, &c));
	THEN(contacts_each(s, look_contact, NULL));
	THEN(talk(s, c.id));
	THEN(overtake(s, c.id));
	THEN(meta_set(s, META_LATEST_CLOCK, 1));
	THEN(meta_get(s, META_LATEST_CLOCK, &value));
	THEN(commit(s));
	THEN(store_begin(s));
	THEN(contacts_remove(s, c.id));
	THEN(commit(s));
	return r;
}

/* Memory fails while the store opens or works. Returns whether it failed at all. */
static bool one_round(void)
{
	struct store *s = NULL;
	int r = store_open(&s, NULL, ":memory:");

	if (r != 0) {
		assert_int_equal(r, ERR_NOMEM);
		fail_at = 0;
		return true;
	}
	r = script(s);
	fail_at = 0;
	if (r == 0) {
		store_close(s);
		return false;
	}
	assert_int_equal(r, ERR_NOMEM);
	store_rollback(s);
	assert_int_equal(script(s), committing ? ERR_NOMEM : 0);
	committing = false;
	store_close(s);
	return true;
}

static void fails_at_every_request(bool on)
{
	uint64_t total, failed = 0;
	int64_t blocks_before;
	bool hit;

	fail_at = 0;
	requests = 0;
	assert_false(one_round()); /* the first also sets up what stays for the process */
	blocks_before = blocks;
	requests = 0;
	assert_false(one_round());
	total = requests;
	assert_true(total > 100);
	for (uint64_t n = 1; n <= total; n++) {
		requests = 0;
		fail_at = n;
		fail_on = on;
		hit = one_round();
		failed += hit;
		assert_int_equal(blocks, blocks_before);
	}
	/* SQLite does without some of them. */
	assert_true(failed > total / 2);
	print_message("%u of %u requests mattered\n", (unsigned)failed, (unsigned)total);
}

static void memory_fails_once(void **state)
{
	(void)state;
	fails_at_every_request(false);
}

static void memory_fails_from_then_on(void **state)
{
	(void)state;
	fails_at_every_request(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_fails_once),
		cmocka_unit_test(memory_fails_from_then_on),
	};

	return cmocka_run_group_tests(tests, put_allocator, NULL);
}
