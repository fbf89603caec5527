#include "store/skipped.h"

#include "store/stmt.h"

static int find(struct skipped_keys *self, struct skipped_key *out, const struct tag16 *tag)
{
	const struct skipped_rows *rows = CONTAINER_OF(self, struct skipped_rows, base);
	scoped(stmt_done) struct stmt *q = store_stmt(rows->store, SQL_SKIPPED_FIND);
	int r;

	stmt_bind_i64(q, 1, rows->contact);
	stmt_bind_blob(q, 2, tag->b, sizeof(tag->b));
	r = stmt_row(q);
	if (r != 0)
		return r == STMT_NO_ROW ? SKIPPED_NONE : r;
	stmt_bytes(q, 0, out->tag.b, sizeof(out->tag.b));
	stmt_bytes(q, 1, out->header.b, sizeof(out->header.b));
	stmt_bytes(q, 2, out->message.b, sizeof(out->message.b));
	stmt_bytes(q, 3, out->dh.b, sizeof(out->dh.b));
	return stmt_check(q);
}

static int put(struct skipped_keys *self, const struct skipped_key *key)
{
	const struct skipped_rows *rows = CONTAINER_OF(self, struct skipped_rows, base);
	scoped(stmt_done) struct stmt *q = store_stmt(rows->store, SQL_SKIPPED_PUT);

	stmt_bind_i64(q, 1, rows->contact);
	stmt_bind_u64(q, 2, rows->running);
	stmt_bind_blob(q, 3, key->tag.b, sizeof(key->tag.b));
	stmt_bind_blob(q, 4, key->header.b, sizeof(key->header.b));
	stmt_bind_blob(q, 5, key->message.b, sizeof(key->message.b));
	stmt_bind_blob(q, 6, key->dh.b, sizeof(key->dh.b));
	return stmt_run(q);
}

static int remove_one(struct skipped_keys *self, const struct tag16 *tag)
{
	const struct skipped_rows *rows = CONTAINER_OF(self, struct skipped_rows, base);
	scoped(stmt_done) struct stmt *q = store_stmt(rows->store, SQL_SKIPPED_REMOVE);

	stmt_bind_i64(q, 1, rows->contact);
	stmt_bind_blob(q, 2, tag->b, sizeof(tag->b));
	return stmt_run(q);
}

static int trim(struct skipped_keys *self, size_t max)
{
	const struct skipped_rows *rows = CONTAINER_OF(self, struct skipped_rows, base);
	scoped(stmt_done) struct stmt *q = store_stmt(rows->store, SQL_SKIPPED_TRIM);

	stmt_bind_i64(q, 1, rows->contact);
	stmt_bind_i64(q, 2, (int64_t)MIN(max, (size_t)SKIPPED_MAX));
	return stmt_run(q);
}

void skipped_rows_init(struct skipped_rows *out, struct store *s, uint32_t contact, uint64_t running)
{
	*out = (struct skipped_rows){
		.base = { .find = find, .put = put, .remove = remove_one, .trim = trim },
		.store = s,
		.contact = contact,
		.running = running,
	};
}

int skipped_rows_drop_old(struct store *s, uint64_t running)
{
	const uint64_t kept = (uint64_t)SKIPPED_DAYS * 86400;
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_SKIPPED_DROP_OLD);

	stmt_bind_u64(q, 1, running < kept ? 0 : running - kept + 1);
	return stmt_run(q);
}
