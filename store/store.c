#include "store/store.h"

#include <stdlib.h>

#include "store/schema.h"
#include "store/sqlite.h"
#include "store/stmt.h"

struct store {
	sqlite3 *db; /* owned */
	struct stmt stmts[SQL_COUNT];
	bool in_turn; /* between store_begin() and its end */
	int failed;   /* what broke this transaction: nothing more goes in, it can only be rolled back */
	bool lost;    /* a commit failed: what the disk holds is unknown, for good */
};

#define X(name, text) text,
static const char *const sql_texts[SQL_COUNT] = { SQL_LIST(X) };
#undef X

/* PROTOCOL section 8: whole pages, no other file, one sync a commit. What was removed is overwritten within
 * its page, because compaction copies pages as they are. */
static const char pragmas[] = "PRAGMA page_size = 4096;"
                              "PRAGMA auto_vacuum = NONE;"
                              "PRAGMA locking_mode = EXCLUSIVE;"
                              "PRAGMA journal_mode = MEMORY;"
                              "PRAGMA temp_store = MEMORY;"
                              "PRAGMA cache_size = -2048;"
                              "PRAGMA cache_spill = OFF;"
                              "PRAGMA mmap_size = 0;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA secure_delete = ON;"
                              "PRAGMA foreign_keys = ON;"
                              "PRAGMA trusted_schema = OFF;";

static int settle_in(struct store *s)
{
	/* A rollback must not depend on memory. */
	static const enum sql needed[] = { SQL_BEGIN, SQL_COMMIT, SQL_ROLLBACK };
	int r = sqlite_err(sqlite3_exec(s->db, pragmas, NULL, NULL, NULL));

	if (r == 0)
		r = schema_apply(s->db, schema_steps, schema_steps_len, SCHEMA_VERSION);
	for (size_t i = 0; r == 0 && i < COUNT_OF(needed); i++) {
		scoped(stmt_done) struct stmt *q = store_stmt(s, needed[i]);

		r = stmt_check(q);
	}
	return r;
}

int store_open(struct store **out, const char *vfs, const char *file)
{
	const int flags =
	        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	struct store *s;
	int r = sqlite_setup();

	if (r != 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return ERR_NOMEM;
	r = sqlite_err(sqlite3_open_v2(file, &s->db, flags, vfs));
	if (r == 0)
		r = settle_in(s);
	if (r != 0) {
		store_close(s);
		return r;
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < SQL_COUNT; i++) {
		assert(!s->stmts[i].in_use);
		stmt_finalize(&s->stmts[i]);
	}
	(void)sqlite3_close(s->db); /* rolls back */
	free(s);
}

struct stmt *store_stmt(struct store *s, enum sql which)
{
	struct stmt *q = &s->stmts[which];

	assert(!q->in_use);
	q->store = s;
	q->in_use = true;
	q->err = s->failed;
	if (q->raw == NULL && q->err == 0)
		q->err = sqlite_err(sqlite3_prepare_v3(s->db, sql_texts[which], -1, SQLITE_PREPARE_PERSISTENT,
		                                       &q->raw, NULL));
	/* The driver alone begins: nothing is written that no commit covers. */
	assert(q->raw == NULL || which <= SQL_ROLLBACK || s->in_turn || sqlite3_stmt_readonly(q->raw));
	return q;
}

int store_failed(struct store *s, int err)
{
	if (s->in_turn && s->failed == 0)
		s->failed = err;
	return err;
}

static int run(struct store *s, enum sql which)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, which);

	return stmt_run(q);
}

int store_begin(struct store *s)
{
	int r;

	assert(!s->in_turn);
	r = run(s, SQL_BEGIN);
	s->in_turn = r == 0;
	return r;
}

int store_commit(struct store *s)
{
	int r;

	assert(s->in_turn);
	if (s->failed != 0)
		return s->failed;
	r = run(s, SQL_COMMIT);
	if (r == 0)
		s->in_turn = false;
	else
		s->lost = true; /* PROTOCOL section 8, crash rule 4 */
	return r;
}

void store_rollback(struct store *s)
{
	const int failed = s->failed;

	if (!s->in_turn)
		return;
	s->failed = 0;
	/* Fails where an error has made SQLite roll back by itself: it is rolled back either way. */
	(void)run(s, SQL_ROLLBACK);
	s->failed = s->lost ? failed : 0;
	s->in_turn = false;
}
