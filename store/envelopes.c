#include "store/envelopes.h"

#include "store/stmt.h"

/* Numbers count up from 0 and are kept signed, so the upper half stands for no envelope. */
static int64_t bound_of(uint64_t sequence)
{
	return (int64_t)MIN(sequence, ENVELOPES_SEQUENCE_MAX);
}

int envelopes_add(struct store *s, uint32_t contact, uint64_t sequence, int64_t first, int64_t end,
                  struct span bytes)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_ENVELOPE_ADD);

	assert(sequence < ENVELOPES_SEQUENCE_MAX);
	stmt_bind_i64(q, 1, contact);
	stmt_bind_u64(q, 2, sequence);
	stmt_bind_i64(q, 3, first);
	stmt_bind_i64(q, 4, end);
	stmt_bind_blob(q, 5, bytes.p, bytes.len);
	return stmt_run(q);
}

int envelopes_read(struct store *s, uint32_t contact, uint64_t sequence, uint8_t *buf, size_t cap,
                   size_t *len)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_ENVELOPE_BYTES);
	struct span bytes;
	int r;

	stmt_bind_i64(q, 1, contact);
	stmt_bind_u64(q, 2, sequence);
	r = stmt_row(q);
	if (r != 0)
		return r == STMT_NO_ROW ? ENVELOPES_NONE : r;
	bytes = stmt_span(q, 0);
	r = stmt_check(q);
	if (r != 0)
		return r;
	if (bytes.len > cap)
		return store_failed(s, ERR_CORRUPT); /* no envelope is longer than the caller's largest */
	memcpy(buf, bytes.p, bytes.len);
	*len = bytes.len;
	return 0;
}

int envelopes_positions(struct store *s, uint32_t contact, uint64_t sequence, int64_t *first, int64_t *end)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_ENVELOPE_POSITIONS);
	int r;

	stmt_bind_i64(q, 1, contact);
	stmt_bind_i64(q, 2, bound_of(sequence));
	r = stmt_row(q);
	if (r != 0)
		return r == STMT_NO_ROW ? ENVELOPES_NONE : r;
	*first = stmt_i64(q, 0);
	*end = stmt_i64(q, 1);
	return 0;
}

int envelopes_forget(struct store *s, uint32_t contact, uint64_t from, uint64_t before)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_ENVELOPES_FORGET);

	stmt_bind_i64(q, 1, contact);
	stmt_bind_i64(q, 2, bound_of(from));
	stmt_bind_i64(q, 3, bound_of(before));
	return stmt_run(q);
}

int envelopes_remove_from(struct store *s, uint32_t contact, uint64_t sequence)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_ENVELOPES_REMOVE_FROM);

	stmt_bind_i64(q, 1, contact);
	stmt_bind_i64(q, 2, bound_of(sequence));
	return stmt_run(q);
}
