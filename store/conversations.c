#include "store/conversations.h"

#include "store/stmt.h"

int conversation_save(struct store *s, const struct conversation_record *record)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_CONVERSATION_SAVE);

	assert(record->ratchet_len <= RATCHET_BYTES_MAX);
	stmt_bind_i64(q, 1, record->contact);
	stmt_bind_i64(q, 2, record->epoch);
	stmt_bind_u64(q, 3, record->sent);
	stmt_bind_u64(q, 4, record->handed);
	stmt_bind_u64(q, 5, record->received);
	stmt_bind_i64(q, 6, record->packed);
	stmt_bind_i64(q, 7, record->stored_before);
	if (record->has_previous) /* else it stays NULL */
		stmt_bind_blob(q, 8, record->previous.b, sizeof(record->previous.b));
	stmt_bind_blob(q, 9, record->ratchet, record->ratchet_len);
	if (record->may_repeat)
		stmt_bind_i64(q, 10, record->repeats);
	return stmt_run(q);
}

static void read_ratchet(struct stmt *q, int at, struct conversation_record *out)
{
	const struct span ratchet = stmt_span(q, at);

	out->ratchet_len = MIN(ratchet.len, sizeof(out->ratchet));
	stmt_bytes(q, at, out->ratchet, ratchet.len <= sizeof(out->ratchet) ? ratchet.len : 0);
}

int conversation_load(struct store *s, uint32_t contact, struct conversation_record *out)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_CONVERSATION);
	int r;

	stmt_bind_i64(q, 1, contact);
	r = stmt_row(q);
	if (r != 0)
		return r == STMT_NO_ROW ? CONVERSATION_NONE : r;
	memset(out, 0, sizeof(*out));
	out->contact = contact;
	out->epoch = stmt_small(q, 0, UINT32_MAX);
	out->sent = stmt_u64(q, 1);
	out->handed = stmt_u64(q, 2);
	out->received = stmt_u64(q, 3);
	out->packed = stmt_i64(q, 4);
	out->stored_before = stmt_i64(q, 5);
	out->has_previous = !stmt_is_null(q, 6);
	if (out->has_previous)
		stmt_bytes(q, 6, out->previous.b, sizeof(out->previous.b));
	read_ratchet(q, 7, out);
	out->may_repeat = !stmt_is_null(q, 8);
	if (out->may_repeat)
		out->repeats = stmt_i64(q, 8);
	return stmt_check(q);
}
