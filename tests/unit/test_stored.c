/*
 * test_stored.c: a stored file of each old version opens, and is then as one of today.
 *
 * test_stored DIR: DIR/store-vN.db for each version N up to the present one, with what
 * fill() writes. test_stored DIR make: writes the one of the present version, once,
 * when it is released.
 */
#include "tests/unit/rows.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/schema.h"

static const char *stored_dir;

static void stored_path(char out[static 1024], unsigned version)
{
	assert_true(snprintf(out, 1024, "%s/store-v%u.db", stored_dir, version) < 1024);
}

static void fill(struct store *s)
{
	struct contact_record c = rows_contact(1);
	struct conversation_record conversation;
	struct skipped_rows rows;
	const struct skipped_key key = { .tag = { { 1 } }, .message = { { 2 } } };

	assert_int_equal(store_begin(s), 0);
	assert_int_equal(contacts_add(s, &c), 0);
	assert_int_equal(c.id, 1);
	conversation = rows_conversation(1, 7);
	assert_int_equal(conversation_save(s, &conversation), 0);
	for (int64_t p = 0; p < 20; p++) {
		const struct message m = rows_message(p, p % 2, "an old message");

		assert_int_equal(messages_add(s, 1, &m), 0);
	}
	assert_int_equal(envelopes_add(s, 1, 3, 1, 9, span_str("sealed")), 0);
	skipped_rows_init(&rows, s, 1, 5);
	assert_int_equal(rows.base.put(&rows.base, &key), 0);
	assert_int_equal(meta_set(s, META_LATEST_CLOCK, 1700000000), 0);
	assert_int_equal(store_commit(s), 0);
}

static int same_contact(void *arg, const struct contact_record *record)
{
	const struct contact_record c = rows_contact(1);

	++*(int *)arg;
	assert_int_equal(record->id, 1);
	assert_string_equal(record->name, c.name);
	assert_true(record->paired_at == c.paired_at);
	assert_memory_equal(&record->s, &c.s, sizeof(c.s));
	assert_memory_equal(&record->cur, &c.cur, sizeof(c.cur));
	assert_memory_equal(&record->anchor, &c.anchor, sizeof(c.anchor));
	return 0;
}

static int same_message(void *arg, const struct message *m)
{
	int64_t *position = arg;

	assert_int_equal(m->position, *position);
	assert_int_equal(m->own, *position % 2);
	assert_true(span_equal(m->content, span_str("an old message")));
	++*position;
	return 0;
}

static void check(struct store *s)
{
	const struct conversation_record expected = rows_conversation(1, 7);
	struct conversation_record conversation;
	struct skipped_rows rows;
	struct skipped_key key = { .tag = { { 1 } } };
	int contacts = 0;
	int64_t position = 0, first, end;
	uint64_t clock;
	uint8_t buf[16];
	size_t len;

	assert_int_equal(contacts_each(s, same_contact, &contacts), 0);
	assert_int_equal(contacts, 1);
	assert_int_equal(messages_each(s, 1, 0, 100, same_message, &position), 0);
	assert_int_equal(position, 20);
	assert_int_equal(conversation_load(s, 1, &conversation), 0);
	assert_true(conversation.sent == expected.sent && conversation.packed == expected.packed);
	assert_memory_equal(conversation.ratchet, expected.ratchet, expected.ratchet_len);
	assert_int_equal(envelopes_read(s, 1, 3, buf, sizeof(buf), &len), 0);
	assert_true(span_equal(span_from(buf, len), span_str("sealed")));
	assert_int_equal(envelopes_positions(s, 1, 3, &first, &end), 0);
	assert_true(first == 1 && end == 9);
	skipped_rows_init(&rows, s, 1, 5);
	assert_int_equal(rows.base.find(&rows.base, &key, &key.tag), 0);
	assert_int_equal(key.message.b[0], 2);
	assert_int_equal(meta_get(s, META_LATEST_CLOCK, &clock), 0);
	assert_int_equal(clock, 1700000000);
}

/* All tables of a database with their columns, and its indexes, as text: ALTER leaves other spaces in their
 * SQL. */
static char *schema_of(const char *file)
{
	sqlite3 *db;
	sqlite3_stmt *q;
	char *out;

	assert_int_equal(sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(
	        sqlite3_prepare_v2(db,
	                           "SELECT group_concat(line, ';') || "
	                           "(SELECT user_version FROM pragma_user_version) FROM ("
	                           "SELECT t.name || '.' || c.name || ' ' || c.type || c.\"notnull\" || "
	                           "c.pk || ifnull(c.dflt_value, '') AS line "
	                           "FROM sqlite_schema t JOIN pragma_table_info(t.name) c "
	                           "WHERE t.type = 'table' UNION ALL "
	                           "SELECT name || sql FROM sqlite_schema WHERE type = 'index' "
	                           "ORDER BY line)",
	                           -1, &q, NULL),
	        SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	out = strdup((const char *)sqlite3_column_text(q, 0));
	assert_non_null(out);
	assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return out;
}

static void copy_file(const char *to, const char *from)
{
	FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
	char buf[4096];
	size_t n;

	assert_true(in != NULL && out != NULL);
	while ((n = fread(buf, 1, sizeof(buf), in)) > 0)
		assert_int_equal(fwrite(buf, 1, n, out), n);
	assert_int_equal(fclose(in), 0);
	assert_int_equal(fclose(out), 0);
}

static char *fresh_schema(const char *file)
{
	struct store *s;

	assert_int_equal(store_open(&s, NULL, file), 0);
	store_close(s);
	return schema_of(file);
}

static void every_old_version_opens(void **state)
{
	char path[1024], copy[] = "/tmp/flyleaf-stored-XXXXXX", *fresh, *migrated;
	const int fd = mkstemp(copy);

	(void)state;
	assert_true(fd >= 0 && close(fd) == 0);
	fresh = fresh_schema(copy);
	for (unsigned version = 1; version <= SCHEMA_VERSION; version++) {
		struct store *s;

		stored_path(path, version);
		copy_file(copy, path);
		assert_int_equal(store_open(&s, NULL, copy), 0);
		check(s);
		store_close(s);
		migrated = schema_of(copy);
		assert_string_equal(migrated, fresh);
		free(migrated);
	}
	free(fresh);
	assert_int_equal(unlink(copy), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_old_version_opens) };
	char path[1024];
	struct store *s;

	if (argc < 2)
		return 2;
	stored_dir = argv[1];
	if (argc > 2 && strcmp(argv[2], "make") == 0) {
		stored_path(path, SCHEMA_VERSION);
		assert_int_equal(store_open(&s, NULL, path), 0);
		fill(s);
		store_close(s);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
