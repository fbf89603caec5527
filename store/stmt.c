#include "store/stmt.h"

#include "store/sqlite.h"

static void note(struct stmt *q, int err)
{
	if (q->err == 0)
		q->err = err;
}

void stmt_done(struct stmt **q)
{
	struct stmt *p = *q;

	if (p->raw != NULL) {
		(void)sqlite3_reset(p->raw); /* says again what the step said */
		(void)sqlite3_clear_bindings(p->raw);
	}
	p->err = 0;
	p->in_use = false;
}

void stmt_finalize(struct stmt *q)
{
	(void)sqlite3_finalize(q->raw);
	q->raw = NULL;
}

/* Binding to no statement would be misuse of the library: the error of its preparation stands. */
static void bound(struct stmt *q, int code)
{
	if (code != SQLITE_OK)
		note(q, sqlite_err(code));
}

void stmt_bind_i64(struct stmt *q, int at, int64_t value)
{
	if (q->err == 0)
		bound(q, sqlite3_bind_int64(q->raw, at, value));
}

void stmt_bind_u64(struct stmt *q, int at, uint64_t value)
{
	stmt_bind_i64(q, at, (int64_t)value);
}

void stmt_bind_blob(struct stmt *q, int at, const void *p, size_t len)
{
	/* A NULL pointer would bind NULL, not an empty blob. */
	if (q->err == 0)
		bound(q, sqlite3_bind_blob64(q->raw, at, len == 0 ? "" : p, len, SQLITE_STATIC));
}

void stmt_bind_text(struct stmt *q, int at, const char *text)
{
	if (q->err == 0)
		bound(q, sqlite3_bind_text(q->raw, at, text, -1, SQLITE_STATIC));
}

int stmt_row(struct stmt *q)
{
	int code;

	if (q->err != 0)
		return store_failed(q->store, q->err);
	code = sqlite3_step(q->raw);
	if (code == SQLITE_ROW)
		return 0;
	if (code == SQLITE_DONE)
		return STMT_NO_ROW;
	return store_failed(q->store, sqlite_err(code));
}

int stmt_run(struct stmt *q)
{
	const int r = stmt_row(q);

	assert(r != 0);
	return r == STMT_NO_ROW ? 0 : r;
}

int stmt_changed(const struct stmt *q)
{
	return sqlite3_changes(sqlite3_db_handle(q->raw));
}

int64_t stmt_i64(struct stmt *q, int at)
{
	return sqlite3_column_int64(q->raw, at);
}

uint64_t stmt_u64(struct stmt *q, int at)
{
	return (uint64_t)stmt_i64(q, at);
}

uint32_t stmt_small(struct stmt *q, int at, uint32_t max)
{
	const int64_t value = stmt_i64(q, at);

	if (value >= 0 && value <= max)
		return (uint32_t)value;
	note(q, ERR_CORRUPT);
	return 0;
}

bool stmt_is_null(struct stmt *q, int at)
{
	return sqlite3_column_type(q->raw, at) == SQLITE_NULL;
}

struct span stmt_span(struct stmt *q, int at)
{
	/* The pointer first: SQLite says that the length is valid after it only. */
	const void *p = sqlite3_column_blob(q->raw, at);
	const int len = sqlite3_column_bytes(q->raw, at);

	if (p == NULL && len > 0) {
		note(q, ERR_NOMEM);
		return SPAN_NONE;
	}
	return span_from(len == 0 ? "" : p, (size_t)len); /* an empty blob has no address in SQLite */
}

void stmt_bytes(struct stmt *q, int at, void *out, size_t len)
{
	const struct span s = stmt_span(q, at);

	if (s.len == len) {
		memcpy(out, s.p, len);
		return;
	}
	note(q, ERR_CORRUPT);
	memset(out, 0, len);
}

void stmt_string(struct stmt *q, int at, char *out, size_t cap)
{
	const struct span s = stmt_span(q, at);
	const size_t len = s.len < cap ? s.len : 0;

	if (s.len >= cap)
		note(q, ERR_CORRUPT);
	if (len > 0)
		memcpy(out, s.p, len);
	out[len] = '\0';
}

int stmt_check(const struct stmt *q)
{
	return q->err == 0 ? 0 : store_failed(q->store, q->err);
}
