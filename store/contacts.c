#include "store/contacts.h"

#include <sodium.h>

#include "store/messages.h"
#include "store/stmt.h"

enum { ID_AT = 18 }; /* the column after CONTACT_COLUMNS, and one less than its parameter */

static void bind(struct stmt *q, const struct contact_record *c)
{
	stmt_bind_text(q, 1, c->name);
	stmt_bind_i64(q, 2, c->mode);
	stmt_bind_i64(q, 3, c->state);
	stmt_bind_i64(q, 4, c->blocked);
	stmt_bind_i64(q, 5, c->restored);
	stmt_bind_i64(q, 6, c->by_code);
	stmt_bind_u64(q, 7, c->paired_at);
	stmt_bind_text(q, 8, c->safety);
	stmt_bind_blob(q, 9, c->s.secret.b, sizeof(c->s.secret.b));
	stmt_bind_blob(q, 10, c->s.public.b, sizeof(c->s.public.b));
	stmt_bind_blob(q, 11, c->peer_s.b, sizeof(c->peer_s.b));
	stmt_bind_i64(q, 12, c->role);
	stmt_bind_blob(q, 13, c->cur.b, sizeof(c->cur.b));
	if (c->has_prev) /* else it stays NULL */
		stmt_bind_blob(q, 14, c->prev.b, sizeof(c->prev.b));
	stmt_bind_i64(q, 15, c->prev_called);
	stmt_bind_blob(q, 16, c->anchor.b, sizeof(c->anchor.b));
	stmt_bind_i64(q, 17, c->clock_offset);
	stmt_bind_blob(q, 18, c->addresses, sizeof(c->addresses));
}

static int read_row(struct stmt *q, struct contact_record *c)
{
	stmt_string(q, 0, c->name, sizeof(c->name));
	c->mode = stmt_small(q, 1, MODE_SILENT);
	c->state = stmt_small(q, 2, CONTACT_MET);
	c->blocked = stmt_small(q, 3, 1);
	c->restored = stmt_small(q, 4, 1);
	c->by_code = stmt_small(q, 5, 1);
	c->paired_at = stmt_u64(q, 6);
	stmt_string(q, 7, c->safety, sizeof(c->safety));
	stmt_bytes(q, 8, c->s.secret.b, sizeof(c->s.secret.b));
	stmt_bytes(q, 9, c->s.public.b, sizeof(c->s.public.b));
	stmt_bytes(q, 10, c->peer_s.b, sizeof(c->peer_s.b));
	c->role = stmt_small(q, 11, ROLE_B);
	stmt_bytes(q, 12, c->cur.b, sizeof(c->cur.b));
	c->has_prev = !stmt_is_null(q, 13);
	if (c->has_prev)
		stmt_bytes(q, 13, c->prev.b, sizeof(c->prev.b));
	else
		memset(&c->prev, 0, sizeof(c->prev));
	c->prev_called = stmt_small(q, 14, 1);
	stmt_bytes(q, 15, c->anchor.b, sizeof(c->anchor.b));
	c->clock_offset = stmt_i64(q, 16);
	stmt_bytes(q, 17, c->addresses, sizeof(c->addresses));
	c->id = stmt_small(q, ID_AT, CONTACT_ID_MAX);
	return stmt_check(q);
}

int contacts_add(struct store *s, struct contact_record *record)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_CONTACT_ADD);
	int64_t id;
	int r;

	bind(q, record);
	r = stmt_run(q);
	if (r != 0)
		return r;
	id = sqlite3_last_insert_rowid(sqlite3_db_handle(q->raw));
	if (id > CONTACT_ID_MAX)
		return store_failed(s, ERR_FULL);
	record->id = (uint32_t)id;
	return 0;
}

int contacts_update(struct store *s, const struct contact_record *record)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_CONTACT_UPDATE);
	int r;

	bind(q, record);
	stmt_bind_i64(q, ID_AT + 1, record->id);
	r = stmt_run(q);
	if (r == 0 && stmt_changed(q) == 0)
		return store_failed(s, ERR_ABSENT);
	return r;
}

int contacts_remove(struct store *s, uint32_t id)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_CONTACT_REMOVE);
	const int r = messages_remove(s, id);

	if (r != 0)
		return r;
	stmt_bind_i64(q, 1, id); /* the other tables refer to it: their rows go with it */
	return stmt_run(q);
}

int contacts_each(struct store *s, int (*each)(void *arg, const struct contact_record *record), void *arg)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_CONTACTS);
	struct contact_record record;
	int r;

	do {
		r = stmt_row(q);
		if (r == STMT_NO_ROW)
			return 0;
		if (r == 0)
			r = read_row(q, &record);
		if (r == 0)
			r = each(arg, &record);
		sodium_memzero(&record, sizeof(record));
	} while (r == 0);
	return r;
}
