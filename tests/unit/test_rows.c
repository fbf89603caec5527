/*
 * test_rows.c: what is written to a store is read from it, noun by noun, in memory and
 * over a page log.
 */
#include "tests/unit/rows.h"

#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/crypto/random.h"
#include "store/pagevfs.h"

enum { SEEN_MAX = 16 };

struct seen {
	size_t n, stop_after; /* 0: never */
	struct contact_record contacts[SEEN_MAX];
	struct message messages[SEEN_MAX];
	char texts[SEEN_MAX][64];
};

static int see_contact(void *arg, const struct contact_record *record)
{
	struct seen *seen = arg;

	assert_true(seen->n < SEEN_MAX);
	seen->contacts[seen->n++] = *record;
	return seen->n == seen->stop_after ? 7 : 0;
}

static int see_message(void *arg, const struct message *m)
{
	struct seen *seen = arg;

	assert_true(seen->n < SEEN_MAX && m->content.len < sizeof(seen->texts[0]));
	memcpy(seen->texts[seen->n], m->content.p, m->content.len);
	seen->texts[seen->n][m->content.len] = '\0';
	seen->messages[seen->n++] = *m;
	return seen->n == seen->stop_after ? 7 : 0;
}

static void same_contact(const struct contact_record *a, const struct contact_record *b)
{
	assert_int_equal(a->id, b->id);
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->blocked, b->blocked);
	assert_int_equal(a->restored, b->restored);
	assert_int_equal(a->by_code, b->by_code);
	assert_true(a->paired_at == b->paired_at);
	assert_string_equal(a->safety, b->safety);
	assert_memory_equal(&a->s, &b->s, sizeof(a->s));
	assert_memory_equal(&a->peer_s, &b->peer_s, sizeof(a->peer_s));
	assert_int_equal(a->role, b->role);
	assert_memory_equal(&a->cur, &b->cur, sizeof(a->cur));
	assert_int_equal(a->has_prev, b->has_prev);
	assert_memory_equal(&a->prev, &b->prev, sizeof(a->prev));
	assert_int_equal(a->prev_called, b->prev_called);
	assert_memory_equal(&a->anchor, &b->anchor, sizeof(a->anchor));
	assert_int_equal(a->clock_offset, b->clock_offset);
	assert_memory_equal(a->addresses, b->addresses, sizeof(a->addresses));
}

static uint32_t add_contact(struct store *s, uint8_t seed)
{
	struct contact_record c = rows_contact(seed);

	assert_int_equal(contacts_add(s, &c), 0);
	return c.id;
}

static void contacts_come_back(void **state)
{
	struct store *s = rows_open();
	struct contact_record a = rows_contact(1), b = rows_contact(100);
	struct seen seen = { 0 };

	(void)state;
	memset(b.name, 'x', CONTACT_NAME_MAX); /* the longest there is */
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(contacts_add(s, &a), 0);
	assert_int_equal(contacts_add(s, &b), 0);
	assert_true(a.id >= 1 && b.id > a.id);
	assert_int_equal(contacts_each(s, see_contact, &seen), 0);
	assert_int_equal(seen.n, 2);
	same_contact(&seen.contacts[0], &a);
	same_contact(&seen.contacts[1], &b);

	b = (struct contact_record){ .id = b.id, .name = "y" }; /* every field changes, prev goes */
	assert_int_equal(contacts_update(s, &b), 0);
	assert_int_equal(store_commit(s), 0);
	seen.n = 0;
	assert_int_equal(contacts_each(s, see_contact, &seen), 0);
	assert_int_equal(seen.n, 2);
	same_contact(&seen.contacts[0], &a);
	same_contact(&seen.contacts[1], &b);

	seen = (struct seen){ .stop_after = 1 };
	assert_int_equal(contacts_each(s, see_contact, &seen), 7);
	assert_int_equal(seen.n, 1);
	store_close(s);
}

static void a_contact_id_is_never_used_again(void **state)
{
	struct store *s = rows_open();
	uint32_t first, second;

	(void)state;
	assert_int_equal(store_begin(s), 0);
	first = add_contact(s, 1);
	second = add_contact(s, 2);
	assert_int_equal(contacts_remove(s, second), 0);
	assert_int_equal(contacts_remove(s, second), 0);
	assert_int_equal(contacts_remove(s, first), 0);
	assert_true(add_contact(s, 3) > second);
	assert_int_equal(store_commit(s), 0);
	store_close(s);
}

static void updating_nobody_is_an_error(void **state)
{
	struct store *s = rows_open();
	struct contact_record c = rows_contact(1);

	(void)state;
	c.id = 5;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(contacts_update(s, &c), ERR_ABSENT);
	store_rollback(s);
	store_close(s);
}

static void messages_come_back_in_order(void **state)
{
	struct store *s = rows_open();
	const struct message received = {
		.position = 2,
		.sequence = UINT64_MAX,
		.place = 511,
		.kind = UINT16_MAX,
		.claimed = UINT64_MAX - 1,
		.arrived = 3,
		.not_before = UINT64_MAX - 2,
		.drop_after = 4,
		.content = SPAN_NONE,
	};
	struct message m;
	struct seen seen = { 0 };
	int64_t next, own;

	(void)state;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(messages_next_position(s, 1, &next), 0);
	assert_int_equal(next, 0);
	m = rows_message(0, true, "zero");
	assert_int_equal(messages_add(s, 1, &m), 0);
	m = rows_message(1, true, "one");
	assert_int_equal(messages_add(s, 1, &m), 0);
	assert_int_equal(messages_add(s, 1, &received), 0);
	m = rows_message(POSITION_MAX, true, "last");
	assert_int_equal(messages_add(s, 1, &m), 0);
	m = rows_message(0, true, "of the next");
	assert_int_equal(messages_add(s, 2, &m), 0);
	m = rows_message(POSITION_MAX, true, "of the last");
	assert_int_equal(messages_add(s, CONTACT_ID_MAX, &m), 0);
	assert_int_equal(store_commit(s), 0);

	assert_int_equal(messages_next_position(s, 1, &next), 0);
	assert_int_equal(next, (int64_t)POSITION_MAX + 1);
	assert_int_equal(messages_each(s, 1, 0, 100, see_message, &seen), 0);
	assert_int_equal(seen.n, 4);
	assert_string_equal(seen.texts[0], "zero");
	assert_string_equal(seen.texts[3], "last");
	seen.messages[2].content = SPAN_NONE;
	assert_false(seen.messages[2].own);
	assert_int_equal(seen.messages[2].position, received.position);
	assert_true(seen.messages[2].sequence == received.sequence);
	assert_int_equal(seen.messages[2].place, received.place);
	assert_int_equal(seen.messages[2].kind, received.kind);
	assert_true(seen.messages[2].claimed == received.claimed);
	assert_int_equal(seen.messages[2].arrived, received.arrived);
	assert_true(seen.messages[2].not_before == received.not_before);
	assert_int_equal(seen.messages[2].drop_after, received.drop_after);

	seen = (struct seen){ 0 };
	assert_int_equal(messages_each_own(s, 1, 1, 100, see_message, &seen), 0);
	assert_int_equal(seen.n, 2);
	assert_string_equal(seen.texts[0], "one");
	assert_string_equal(seen.texts[1], "last");
	seen = (struct seen){ .stop_after = 1 };
	assert_int_equal(messages_each_own(s, 1, 0, 100, see_message, &seen), 7);
	seen = (struct seen){ 0 };
	assert_int_equal(messages_each(s, 1, 1, 2, see_message, &seen), 0);
	assert_int_equal(seen.n, 2);
	assert_int_equal(messages_count_own(s, 1, 1, INT64_MAX, &own), 0);
	assert_int_equal(own, 2);
	assert_int_equal(messages_count_own(s, 1, 0, 2, &own), 0);
	assert_int_equal(own, 2);
	assert_int_equal(messages_count_own(s, 1, 1, POSITION_MAX, &own), 0);
	assert_int_equal(own, 1);
	assert_int_equal(messages_count_own(s, 1, 2, 1, &own), 0);
	assert_int_equal(own, 0);
	assert_int_equal(messages_count_own(s, 3, 0, INT64_MAX, &own), 0);
	assert_int_equal(own, 0);
	store_close(s);
}

/* Two authors in turns, compared with a list that is simply kept. */
static void two_authors_mixed(void **state)
{
	enum { N = 500 };
	struct store *s = rows_open();
	bool twin[N];
	uint32_t x = 2463534242u;

	(void)state;
	assert_int_equal(store_begin(s), 0);
	for (int64_t i = 0; i < N; i++) {
		struct message m;

		x = x * 1664525u + 1013904223u;
		twin[i] = x >> 31;
		m = rows_message(i, twin[i], "t");
		assert_int_equal(messages_add(s, 9, &m), 0);
	}
	for (int64_t from = 0; from <= N; from += 25) {
		int64_t expected = 0, own = -1;
		struct seen seen = { 0 };
		size_t i = 0;

		for (int64_t p = from; p < N; p++)
			expected += twin[p];
		assert_int_equal(messages_count_own(s, 9, from, N, &own), 0);
		assert_int_equal(own, expected);
		assert_int_equal(messages_each_own(s, 9, from, SEEN_MAX, see_message, &seen), 0);
		assert_int_equal(seen.n, MIN(expected, SEEN_MAX));
		for (int64_t p = from; p < N && i < seen.n; p++)
			if (twin[p])
				assert_int_equal(seen.messages[i++].position, p);
	}
	assert_int_equal(store_commit(s), 0);
	store_close(s);
}

static void a_position_is_taken_once(void **state)
{
	struct store *s = rows_open();
	const struct message m = rows_message(0, true, "a");
	int64_t next = -1;

	(void)state;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(messages_add(s, 1, &m), 0);
	assert_int_equal(messages_add(s, 1, &m), ERR_EXISTS);
	assert_int_equal(messages_next_position(s, 1, &next), ERR_EXISTS); /* the turn is broken */
	assert_int_equal(store_commit(s), ERR_EXISTS);
	store_rollback(s);
	assert_int_equal(messages_next_position(s, 1, &next), 0);
	assert_int_equal(next, 0);
	store_close(s);
}

static void conversations_come_back(void **state)
{
	struct store *s = rows_open();
	struct conversation_record in, out;

	(void)state;
	assert_int_equal(store_begin(s), 0);
	in = rows_conversation(add_contact(s, 1), 0x55);
	assert_int_equal(conversation_load(s, in.contact, &out), CONVERSATION_NONE);
	assert_int_equal(conversation_save(s, &in), 0);
	assert_int_equal(conversation_load(s, in.contact, &out), 0);
	assert_int_equal(out.contact, in.contact);
	assert_int_equal(out.epoch, in.epoch);
	assert_true(out.sent == in.sent && out.handed == in.handed && out.received == in.received);
	assert_true(out.packed == in.packed && out.stored_before == in.stored_before);
	assert_true(out.has_previous);
	assert_memory_equal(&out.previous, &in.previous, sizeof(in.previous));
	assert_int_equal(out.ratchet_len, RATCHET_BYTES_MAX);
	assert_memory_equal(out.ratchet, in.ratchet, RATCHET_BYTES_MAX);

	in.has_previous = false;
	in.ratchet_len = 0;
	in.sent = 8;
	assert_int_equal(conversation_save(s, &in), 0);
	assert_int_equal(conversation_load(s, in.contact, &out), 0);
	assert_false(out.has_previous);
	assert_int_equal(out.ratchet_len, 0);
	assert_int_equal(out.sent, 8);
	in.contact += 1; /* nobody */
	assert_int_equal(conversation_save(s, &in), ERR_ABSENT);
	store_rollback(s);
	store_close(s);
}

static void envelopes_are_forgotten_and_removed(void **state)
{
	struct store *s = rows_open();
	uint8_t *big = calloc(1, 65536), *buf = calloc(1, 65536);
	const struct span sealed = span_from(big, 65536);
	int64_t first, end;
	size_t len = 0;
	uint32_t contact;

	(void)state;
	memset(big, 0x77, 65536);
	assert_int_equal(store_begin(s), 0);
	contact = add_contact(s, 1);
	for (uint64_t i = 0; i < 6; i++)
		assert_int_equal(envelopes_add(s, contact, i, (int64_t)i * 10, (int64_t)i * 10 + 10, sealed),
		                 0);
	assert_int_equal(envelopes_read(s, contact, 5, buf, 65536, &len), 0);
	assert_int_equal(len, 65536);
	assert_memory_equal(buf, big, 65536);
	assert_int_equal(envelopes_read(s, contact, 6, buf, 65536, &len), ENVELOPES_NONE);
	assert_int_equal(envelopes_read(s, contact + 1, 5, buf, 65536, &len), ENVELOPES_NONE);

	assert_int_equal(envelopes_forget(s, contact, 1, 3), 0);
	assert_int_equal(envelopes_read(s, contact, 0, buf, 65536, &len), 0);
	assert_int_equal(envelopes_read(s, contact, 1, buf, 65536, &len), ENVELOPES_NONE);
	assert_int_equal(envelopes_read(s, contact, 2, buf, 65536, &len), ENVELOPES_NONE);
	assert_int_equal(envelopes_read(s, contact, 3, buf, 65536, &len), 0);
	assert_int_equal(envelopes_positions(s, contact, 2, &first, &end), 0);
	assert_true(first == 20 && end == 30);

	assert_int_equal(envelopes_remove_from(s, contact, 4), 0);
	assert_int_equal(envelopes_positions(s, contact, 4, &first, &end), ENVELOPES_NONE);
	assert_int_equal(envelopes_positions(s, contact, 5, &first, &end), ENVELOPES_NONE);
	assert_int_equal(envelopes_positions(s, contact, 3, &first, &end), 0);
	assert_true(first == 30 && end == 40);
	assert_int_equal(envelopes_add(s, contact, 4, 40, 45, sealed), 0);

	/* What a peer can say it has stored. */
	assert_int_equal(envelopes_forget(s, contact, 0, UINT64_MAX), 0);
	assert_int_equal(envelopes_forget(s, contact, UINT64_MAX, UINT64_MAX), 0);
	assert_int_equal(envelopes_read(s, contact, UINT64_MAX, buf, 65536, &len), ENVELOPES_NONE);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(envelopes_read(s, contact, i, buf, 65536, &len), ENVELOPES_NONE);
	assert_int_equal(envelopes_positions(s, contact, UINT64_MAX, &first, &end), ENVELOPES_NONE);
	assert_int_equal(envelopes_remove_from(s, contact, UINT64_MAX), 0);
	assert_int_equal(envelopes_positions(s, contact, 4, &first, &end), 0);
	assert_int_equal(envelopes_add(s, contact, 4, 40, 45, sealed), ERR_EXISTS);
	store_rollback(s);
	store_close(s);
	free(big);
	free(buf);
}

static struct skipped_key skipped(uint8_t n)
{
	struct skipped_key k;

	memset(&k.tag, n, sizeof(k.tag));
	memset(&k.header, n + 1, sizeof(k.header));
	memset(&k.message, n + 2, sizeof(k.message));
	memset(&k.dh, n + 3, sizeof(k.dh));
	return k;
}

static void skipped_keys_go_the_oldest_first(void **state)
{
	struct store *s = rows_open();
	struct skipped_rows rows, other;
	struct skipped_keys *keys = &rows.base;
	struct skipped_key k, out;

	(void)state;
	assert_int_equal(store_begin(s), 0);
	skipped_rows_init(&rows, s, add_contact(s, 1), 1000);
	skipped_rows_init(&other, s, add_contact(s, 2), 1000);
	for (uint8_t i = 0; i < 10; i++) {
		k = skipped(i);
		assert_int_equal(keys->put(keys, &k), 0);
	}
	assert_int_equal(other.base.put(&other.base, &k), 0); /* the same tag with somebody else */
	k = skipped(9);
	assert_int_equal(keys->find(keys, &out, &k.tag), 0);
	assert_memory_equal(&out, &k, sizeof(k));
	k = skipped(10);
	assert_int_equal(keys->find(keys, &out, &k.tag), SKIPPED_NONE);

	k = skipped(9); /* the youngest goes, the next is younger than the rest all the same */
	assert_int_equal(keys->remove(keys, &k.tag), 0);
	assert_int_equal(keys->remove(keys, &k.tag), 0);
	assert_int_equal(keys->find(keys, &out, &k.tag), SKIPPED_NONE);
	k = skipped(20);
	assert_int_equal(keys->put(keys, &k), 0);
	assert_int_equal(keys->trim(keys, 10), 0);
	assert_int_equal(keys->trim(keys, 3), 0);
	for (uint8_t i = 0; i <= 20; i++) {
		k = skipped(i);
		assert_int_equal(keys->find(keys, &out, &k.tag),
		                 i == 7 || i == 8 || i == 20 ? 0 : SKIPPED_NONE);
	}
	assert_int_equal(keys->trim(keys, 0), 0);
	k = skipped(20);
	assert_int_equal(keys->find(keys, &out, &k.tag), SKIPPED_NONE);
	k = skipped(9);
	assert_int_equal(other.base.find(&other.base, &out, &k.tag), 0);
	store_rollback(s);
	store_close(s);
}

static void skipped_keys_age_while_the_node_runs(void **state)
{
	const uint64_t kept = (uint64_t)SKIPPED_DAYS * 86400;
	struct store *s = rows_open();
	struct skipped_rows rows;
	struct skipped_keys *keys = &rows.base;
	struct skipped_key k = skipped(1), out;

	(void)state;
	assert_int_equal(store_begin(s), 0);
	skipped_rows_init(&rows, s, add_contact(s, 1), 1000);
	assert_int_equal(keys->put(keys, &k), 0);
	assert_int_equal(skipped_rows_drop_old(s, 1000), 0);
	assert_int_equal(skipped_rows_drop_old(s, 999 + kept), 0);
	assert_int_equal(keys->find(keys, &out, &k.tag), 0);
	assert_int_equal(skipped_rows_drop_old(s, 1000 + kept), 0);
	assert_int_equal(keys->find(keys, &out, &k.tag), SKIPPED_NONE);
	store_rollback(s);
	store_close(s);
}

static void as_many_skipped_keys_as_there_may_be(void **state)
{
	struct store *s = rows_open();
	struct skipped_rows rows;
	struct skipped_keys *keys = &rows.base;
	struct skipped_key k = skipped(1), out;

	(void)state;
	assert_int_equal(store_begin(s), 0);
	skipped_rows_init(&rows, s, add_contact(s, 1), 1000);
	for (uint32_t i = 0; i <= SKIPPED_MAX; i++) {
		store_u32(k.tag.b, i);
		assert_int_equal(keys->put(keys, &k), 0);
	}
	assert_int_equal(keys->trim(keys, SKIPPED_MAX), 0);
	for (uint32_t i = 0; i <= SKIPPED_MAX; i++) {
		store_u32(k.tag.b, i);
		assert_int_equal(keys->find(keys, &out, &k.tag), i == 0 ? SKIPPED_NONE : 0);
	}
	store_rollback(s);
	store_close(s);
}

static void single_values(void **state)
{
	struct store *s = rows_open();
	uint64_t value = 1;

	(void)state;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(meta_get(s, META_LATEST_CLOCK, &value), 0);
	assert_true(value == 0);
	assert_int_equal(meta_set(s, META_LATEST_CLOCK, 5), 0);
	assert_int_equal(meta_set(s, META_LATEST_CLOCK, UINT64_MAX), 0);
	assert_int_equal(meta_get(s, META_LATEST_CLOCK, &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(store_commit(s), 0);
	store_close(s);
}

/* ---- The same over a page log ------------------------------------------------ */

static char dir[] = "/tmp/flyleaf-rows-XXXXXX";
static struct random_seeded rng;
static struct pagelog *page_log;
static struct pagevfs *page_vfs;

static int make_log(void **state)
{
	const struct pagelog_place where = { disk_posix(), dir, 1, 0, false };
	const struct sym_key key = { { 1 } };
	struct pagelog_report report;

	(void)state;
	random_seeded_init(&rng, 1);
	if (sodium_init() < 0 || mkdtemp(dir) == NULL || pagelog_create(where.disk, dir, 1, &rng.base) != 0 ||
	    pagelog_mount(&page_log, &where, &key, &rng.base, &report) != 0 ||
	    pagevfs_new(&page_vfs, page_log, &rng.base) != 0)
		return -1;
	rows_vfs = pagevfs_name(page_vfs);
	return 0;
}

static int remove_log(void **state)
{
	char path[64];

	(void)state;
	rows_vfs = NULL;
	pagevfs_free(page_vfs);
	pagelog_unmount(page_log);
	(void)snprintf(path, sizeof(path), "%s/0", dir);
	if (unlink(path) != 0 || rmdir(dir) != 0)
		return -1;
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	return 0;
}

int main(void)
{
#define BOTH(test) cmocka_unit_test(test), cmocka_unit_test_setup_teardown(test, make_log, remove_log)
	const struct CMUnitTest tests[] = {
		BOTH(contacts_come_back),
		BOTH(a_contact_id_is_never_used_again),
		BOTH(updating_nobody_is_an_error),
		BOTH(messages_come_back_in_order),
		BOTH(two_authors_mixed),
		BOTH(a_position_is_taken_once),
		BOTH(conversations_come_back),
		BOTH(envelopes_are_forgotten_and_removed),
		BOTH(skipped_keys_go_the_oldest_first),
		BOTH(skipped_keys_age_while_the_node_runs),
		BOTH(as_many_skipped_keys_as_there_may_be),
		BOTH(single_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
