/*
 * test_store.c: turns, opening, and what is left when something is removed or fails.
 */
#include "tests/unit/rows.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/pagevfs.h"
#include "store/schema.h"
#include "store/sqlite.h"

/* ---- A disk file, and a VFS that counts syncs ------------------------------- */

static char path[] = "/tmp/flyleaf-store-XXXXXX";
static unsigned syncs;
static int fail_sync; /* a result code of SQLite; 0: none */
static const sqlite3_io_methods *io_below;
static sqlite3_io_methods io_counting;
static sqlite3_vfs vfs_counting;

static int counting_sync(sqlite3_file *f, int flags)
{
	syncs++;
	return fail_sync != 0 ? fail_sync : io_below->xSync(f, flags);
}

static int counting_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
	sqlite3_vfs *below = vfs->pAppData;
	const int rc = below->xOpen(below, name, f, flags, out_flags);

	if (rc != SQLITE_OK)
		return rc;
	io_below = f->pMethods;
	io_counting = *io_below;
	io_counting.xSync = counting_sync;
	f->pMethods = &io_counting;
	return rc;
}

static int make_file(void **state)
{
	const int fd = mkstemp(path);

	(void)state;
	assert_int_equal(sqlite_setup(), 0);
	vfs_counting = *sqlite3_vfs_find(NULL);
	vfs_counting.pAppData = sqlite3_vfs_find(NULL);
	vfs_counting.zName = "counting";
	vfs_counting.xOpen = counting_open;
	assert_int_equal(sqlite3_vfs_register(&vfs_counting, 0), SQLITE_OK);
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	fail_sync = 0;
	(void)unlink(path);
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	return sqlite3_vfs_unregister(&vfs_counting) == SQLITE_OK ? 0 : -1;
}

static struct store *open_file(void)
{
	struct store *s = NULL;

	assert_int_equal(store_open(&s, "counting", path), 0);
	return s;
}

/* Runs sql on the file behind the store's back. */
static void behind(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int64_t ask_behind(const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *q;
	int64_t out;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	out = sqlite3_column_int64(q, 0);
	assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return out;
}

/* ---- Turns ------------------------------------------------------------------ */

static void a_turn_costs_one_sync_and_an_idle_one_none(void **state)
{
	struct store *s = open_file();
	const struct message m = rows_message(0, true, "a");
	int64_t next;

	(void)state;
	syncs = 0;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(messages_next_position(s, 1, &next), 0);
	assert_int_equal(envelopes_forget(s, 1, 0, 10), 0); /* nothing to forget */
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(syncs, 0);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(messages_add(s, 1, &m), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(syncs, 1);
	store_close(s);
}

static void what_was_committed_is_there_again(void **state)
{
	struct store *s = open_file();
	uint64_t value;

	(void)state;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(meta_set(s, META_LATEST_CLOCK, 1), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(meta_set(s, META_LATEST_CLOCK, 2), 0);
	store_rollback(s);
	store_rollback(s);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(meta_set(s, META_LATEST_CLOCK, 3), 0);
	store_close(s); /* rolls back */
	s = open_file();
	assert_int_equal(meta_get(s, META_LATEST_CLOCK, &value), 0);
	assert_int_equal(value, 1);
	store_close(s);
	store_close(NULL);
}

/* PROTOCOL section 8, crash rule 4. */
static void after_a_failed_commit_nothing_works_but_closing(void **state)
{
	static const struct {
		int code, err;
	} cases[] = {
		{ SQLITE_IOERR_FSYNC, ERR_IO },
		{ SQLITE_FULL, ERR_FULL },
		{ SQLITE_READONLY, ERR_READONLY },
	};
	uint64_t value;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct store *s = open_file();

		assert_int_equal(store_begin(s), 0);
		assert_int_equal(meta_set(s, META_LATEST_CLOCK, 1), 0);
		fail_sync = cases[i].code;
		assert_int_equal(store_commit(s), cases[i].err);
		fail_sync = 0;
		assert_int_equal(store_commit(s), cases[i].err);
		store_rollback(s);
		assert_int_equal(store_begin(s), cases[i].err);
		assert_int_equal(meta_get(s, META_LATEST_CLOCK, &value), cases[i].err);
		store_close(s);
	}
}

/* ---- Opening ---------------------------------------------------------------- */

static void newer_or_foreign_is_refused(void **state)
{
	struct store *s = open_file();
	char newer[64], present[96];

	(void)state;
	store_close(s);
	snprintf(newer, sizeof(newer), "PRAGMA user_version = %d", SCHEMA_VERSION + 1);
	snprintf(present, sizeof(present), "PRAGMA user_version = %d; PRAGMA application_id = 7",
	         SCHEMA_VERSION);
	behind(newer);
	assert_int_equal(store_open(&s, NULL, path), ERR_VERSION);
	assert_int_equal(ask_behind("PRAGMA user_version"), SCHEMA_VERSION + 1);
	behind(present);
	assert_int_equal(store_open(&s, NULL, path), ERR_VERSION);
	behind("PRAGMA application_id = 0x466c796c");
	s = open_file();
	store_close(s);
}

static void damage_is_told(void **state)
{
	struct store *s = open_file();
	FILE *f;

	(void)state;
	store_close(s);
	f = fopen(path, "r+b");
	assert_non_null(f);
	for (int i = 0; i < 4096; i++)
		(void)fputc(0xa5, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(store_open(&s, NULL, path), ERR_CORRUPT);
	assert_int_equal(store_open(&s, NULL, "/nonexistent/store"), ERR_ABSENT);
}

static int count_contacts(void *arg, const struct contact_record *record)
{
	(void)record;
	++*(int *)arg;
	return 0;
}

/* A row that this program would never have written. */
static void a_wrong_row_is_damage(void **state)
{
	static const char *const wrong[] = {
		"UPDATE contacts SET secret = x'00'",
		"UPDATE contacts SET mode = 3",
		"UPDATE contacts SET mode = -1",
		"UPDATE contacts SET id = 1 << 31",
		"UPDATE contacts SET name = hex(zeroblob(40))",
	};
	struct contact_record c = rows_contact(1);
	int n = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct store *s = open_file();

		assert_int_equal(store_begin(s), 0);
		assert_int_equal(contacts_add(s, &c), 0);
		assert_int_equal(store_commit(s), 0);
		store_close(s);
		behind(wrong[i]);
		s = open_file();
		assert_int_equal(contacts_each(s, count_contacts, &n), ERR_CORRUPT);
		store_close(s);
		behind("DELETE FROM contacts; DELETE FROM sqlite_sequence");
	}
	assert_int_equal(n, 0);
}

/* The ratchet of a conversation has a largest size, and contacts have a last number. */
static void what_is_beyond_its_bound_is_told(void **state)
{
	struct store *s = open_file();
	struct contact_record c = rows_contact(1), last = rows_contact(2);
	struct conversation_record talk;
	int n = 0;

	(void)state;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(contacts_add(s, &c), 0);
	talk = rows_conversation(c.id, 5);
	assert_int_equal(conversation_save(s, &talk), 0);
	assert_int_equal(store_commit(s), 0);
	store_close(s);
	behind("UPDATE conversations SET ratchet = zeroblob(length(ratchet) + 1);"
	       "UPDATE sqlite_sequence SET seq = 0x7ffffffe WHERE name = 'contacts'");
	s = open_file();
	assert_int_equal(conversation_load(s, c.id, &talk), ERR_CORRUPT);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(contacts_add(s, &last), 0);
	assert_int_equal(last.id, CONTACT_ID_MAX);
	assert_int_equal(store_commit(s), 0);
	last = rows_contact(3);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(contacts_add(s, &last), ERR_FULL);
	assert_int_equal(store_commit(s), ERR_FULL);
	store_rollback(s);
	assert_int_equal(contacts_each(s, count_contacts, &n), 0);
	assert_int_equal(n, 2);
	store_close(s);
}

/* ---- Migrations ------------------------------------------------------------- */

static void migrations_go_step_by_step_or_not_at_all(void **state)
{
	static const struct schema_step steps[] = {
		{ 0, 3, "not reached" },
		{ 1, 2, "CREATE TABLE second(a)" },
		{ 2, 3, "CREATE TABLE third(a); INSERT INTO second VALUES(1)" },
		{ 3, 4, "CREATE TABLE fourth(a); CREATE TABLE second(a)" }, /* fails half-way */
	};
	struct store *s = open_file();
	sqlite3 *db;

	(void)state;
	store_close(s);
	behind("PRAGMA user_version = 1");
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(schema_apply(db, steps, COUNT_OF(steps), 4), ERR_SYSTEM);
	assert_int_equal(ask_behind("PRAGMA user_version"), 1);
	assert_int_equal(ask_behind("SELECT count(*) FROM sqlite_schema WHERE name IN ('second', 'fourth')"),
	                 0);
	assert_int_equal(schema_apply(db, steps, COUNT_OF(steps), 3), 0);
	assert_int_equal(ask_behind("PRAGMA user_version"), 3);
	assert_int_equal(ask_behind("SELECT count(*) FROM second"), 1);
	assert_int_equal(schema_apply(db, steps, COUNT_OF(steps), 3), 0);
	assert_int_equal(schema_apply(db, steps, 1, 5), ERR_CORRUPT); /* no step leads on from 3 */
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- Removing --------------------------------------------------------------- */

/* Two contacts with rows in every table; each row of the one holds mark somewhere. */
static void fill(struct store *s, uint32_t ids[2], const char *mark)
{
	for (uint8_t i = 0; i < 2; i++) {
		struct contact_record c = rows_contact(i);
		struct conversation_record conversation;
		struct skipped_rows rows;
		struct skipped_key key = { .tag = { { 1 } } };

		if (i == 0) {
			(void)snprintf(c.name, sizeof(c.name), "%s", mark);
			memcpy(key.message.b, mark, strlen(mark));
		}
		assert_int_equal(contacts_add(s, &c), 0);
		ids[i] = c.id;
		conversation = rows_conversation(c.id, 1);
		if (i == 0)
			memcpy(conversation.ratchet, mark, strlen(mark));
		assert_int_equal(conversation_save(s, &conversation), 0);
		skipped_rows_init(&rows, s, c.id, 0);
		for (unsigned n = 0; n < 300; n++) {
			store_u32(key.tag.b, n);
			assert_int_equal(rows.base.put(&rows.base, &key), 0);
		}
		for (int64_t p = 0; p < 300; p++) {
			const struct message m = rows_message(p, p % 2, i == 0 ? mark : "kept");

			assert_int_equal(messages_add(s, c.id, &m), 0);
			assert_int_equal(envelopes_add(s, c.id, (uint64_t)p, p, p + 1, m.content), 0);
		}
	}
}

static bool holds(sqlite3 *db, const char *mark)
{
	sqlite3_int64 size;
	unsigned char *image = sqlite3_serialize(db, "main", &size, 0);
	bool found;

	assert_non_null(image);
	found = memmem(image, (size_t)size, mark, strlen(mark)) != NULL;
	sqlite3_free(image);
	return found;
}

static bool file_holds(const char *mark)
{
	sqlite3 *db;
	bool found;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	found = holds(db, mark);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return found;
}

/* No row in any table, and not a byte in any page: compaction copies pages as they are. */
static void a_removed_contact_leaves_nothing(void **state)
{
	static const char mark[] = "twelve o'clock";
	struct store *s = open_file();
	uint32_t ids[2];

	(void)state;
	assert_int_equal(store_begin(s), 0);
	fill(s, ids, mark);
	assert_int_equal(store_commit(s), 0);
	store_close(s);
	assert_true(file_holds(mark));
	s = open_file();
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(contacts_remove(s, ids[0]), 0);
	assert_int_equal(store_commit(s), 0);
	store_close(s);
	assert_false(file_holds(mark));
	assert_true(file_holds("kept"));
	assert_int_equal(ask_behind("SELECT count(*) FROM contacts"), 1);
	assert_int_equal(ask_behind("SELECT count(*) FROM messages"), 300);
	assert_int_equal(ask_behind("SELECT count(*) FROM messages WHERE id >> 32 = 2"), 300);
	assert_int_equal(ask_behind("SELECT count(*) FROM conversations"), 1);
	assert_int_equal(ask_behind("SELECT count(*) FROM envelopes"), 300);
	assert_int_equal(ask_behind("SELECT count(*) FROM skipped_keys"), 300);
	assert_int_equal(ask_behind("SELECT count(*) FROM skipped_keys WHERE contact = 1"), 0);
	/* A table that is added later must be looked at here. */
	assert_int_equal(ask_behind("SELECT count(*) FROM sqlite_schema WHERE type = 'table'"), 7);
}

/* Many contacts, states of every length: rows move about within pages and between them. */
static void an_old_ratchet_leaves_nothing(void **state)
{
	enum { CONTACTS = 40, SAVES = 12 };
	struct store *s = open_file();
	uint32_t ids[CONTACTS], x = 2463534242u;
	char mark[40];

	(void)state;
	assert_int_equal(store_begin(s), 0);
	for (unsigned i = 0; i < CONTACTS; i++) {
		struct contact_record contact = rows_contact(1);

		assert_int_equal(contacts_add(s, &contact), 0);
		ids[i] = contact.id;
	}
	for (unsigned i = 0; i < CONTACTS * SAVES; i++) {
		struct conversation_record c = rows_conversation(ids[i % CONTACTS], 1);
		const int n =
		        snprintf(mark, sizeof(mark), "state %u of ratchet %u.", i / CONTACTS, i % CONTACTS);

		x = x * 1664525u + 1013904223u;
		c.ratchet_len = 200 + (x >> 8) % 800;
		memcpy(c.ratchet + 100, mark, (size_t)n);
		assert_int_equal(conversation_save(s, &c), 0);
	}
	assert_int_equal(store_commit(s), 0);
	store_close(s);
	for (unsigned i = 0; i < CONTACTS * SAVES; i++) {
		(void)snprintf(mark, sizeof(mark), "state %u of ratchet %u.", i / CONTACTS, i % CONTACTS);
		assert_int_equal(file_holds(mark), i / CONTACTS == SAVES - 1);
	}
}

/* ---- SQLite ----------------------------------------------------------------- */

/* What SQLite began in another way would keep pages in memory that nobody wipes. */
static void what_sqlite_began_by_itself_is_refused(void **state)
{
	const pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		struct store *s = NULL;
		struct pagevfs *v = NULL;

		exit(sqlite3_initialize() != SQLITE_OK || sqlite_setup() != ERR_SYSTEM ||
		     store_open(&s, NULL, ":memory:") != ERR_SYSTEM ||
		     pagevfs_new(&v, NULL, NULL) != ERR_SYSTEM);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void each_code_of_sqlite_is_an_error_of_ours(void **state)
{
	static const int table[][2] = {
		{ SQLITE_OK, 0 },
		{ SQLITE_ROW, 0 },
		{ SQLITE_DONE, 0 },
		{ SQLITE_NOMEM, ERR_NOMEM },
		{ SQLITE_IOERR_NOMEM, ERR_NOMEM },
		{ SQLITE_IOERR_WRITE, ERR_IO },
		{ SQLITE_IOERR_CORRUPTFS, ERR_CORRUPT },
		{ SQLITE_IOERR_DATA, ERR_CORRUPT },
		{ SQLITE_CORRUPT, ERR_CORRUPT },
		{ SQLITE_NOTADB, ERR_CORRUPT },
		{ SQLITE_CONSTRAINT_CHECK, ERR_CORRUPT },
		{ SQLITE_CONSTRAINT_PRIMARYKEY, ERR_EXISTS },
		{ SQLITE_CONSTRAINT_ROWID, ERR_EXISTS },
		{ SQLITE_CONSTRAINT_UNIQUE, ERR_EXISTS },
		{ SQLITE_CONSTRAINT_FOREIGNKEY, ERR_ABSENT },
		{ SQLITE_CANTOPEN, ERR_ABSENT },
		{ SQLITE_FULL, ERR_FULL },
		{ SQLITE_READONLY, ERR_READONLY },
		{ SQLITE_PERM, ERR_READONLY },
		{ SQLITE_BUSY, ERR_BUSY },
		{ SQLITE_LOCKED, ERR_BUSY },
		{ SQLITE_MISUSE, ERR_SYSTEM },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++)
		assert_int_equal(sqlite_err(table[i][0]), table[i][1]);
}

static void memory_that_shrinks_or_grows_keeps_its_bytes(void **state)
{
	static const int sizes[] = { 900, 400, 8000, 10 }; /* kept, moved, moved, moved */
	uint8_t *p = sqlite3_malloc(1000);

	(void)state;
	memset(p, 0x5a, 1000);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		p = sqlite3_realloc(p, sizes[i]);
		assert_non_null(p);
		for (size_t at = 0; at < (size_t)MIN(sizes[i], 400); at++)
			assert_int_equal(p[at], 0x5a);
	}
	sqlite3_free(p);
}

/* A stored envelope that is larger than any may be is damage, and nothing is written beyond the buffer. */
static void an_envelope_is_never_larger_than_its_buffer(void **state)
{
	struct store *s = rows_open();
	struct contact_record c = rows_contact(1);
	uint8_t sealed[100] = { 1 }, buf[100] = { 0 };
	size_t len = 0;

	(void)state;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(contacts_add(s, &c), 0);
	assert_int_equal(envelopes_add(s, c.id, 0, 0, 1, SPAN(sealed)), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(envelopes_read(s, c.id, 0, buf, sizeof(buf) - 1, &len), ERR_CORRUPT);
	assert_int_equal(buf[0], 0);
	assert_int_equal(envelopes_read(s, c.id, 0, buf, sizeof(buf), &len), 0);
	assert_int_equal(len, sizeof(sealed));
	store_close(s);
}

int main(void)
{
#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, make_file, remove_file)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_sqlite_began_by_itself_is_refused), /* before anything else begins it */
		cmocka_unit_test(each_code_of_sqlite_is_an_error_of_ours),
		WITH_FILE(memory_that_shrinks_or_grows_keeps_its_bytes),
		WITH_FILE(an_envelope_is_never_larger_than_its_buffer),
		WITH_FILE(a_turn_costs_one_sync_and_an_idle_one_none),
		WITH_FILE(what_was_committed_is_there_again),
		WITH_FILE(after_a_failed_commit_nothing_works_but_closing),
		WITH_FILE(newer_or_foreign_is_refused),
		WITH_FILE(damage_is_told),
		WITH_FILE(a_wrong_row_is_damage),
		WITH_FILE(what_is_beyond_its_bound_is_told),
		WITH_FILE(migrations_go_step_by_step_or_not_at_all),
		WITH_FILE(a_removed_contact_leaves_nothing),
		WITH_FILE(an_old_ratchet_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
