#include "store/messages.h"

#include "store/contacts.h"
#include "store/stmt.h"

/* id = contact << 32 | position, so that a conversation is one range of the table. */
static int64_t id_of(uint32_t contact, int64_t position)
{
	assert(contact <= CONTACT_ID_MAX && position >= 0 && position <= POSITION_MAX);
	return (int64_t)contact << 32 | position;
}

static int64_t position_of(int64_t id)
{
	return id & UINT32_MAX;
}

static const int64_t conversation_end = (int64_t)POSITION_MAX + 1; /* of every conversation */

/* The ids of positions [from, end) as parameters 1 and 2. */
static void bind_range(struct stmt *q, uint32_t contact, int64_t from, int64_t end)
{
	stmt_bind_i64(q, 1, id_of(contact, 0) + MIN(MAX(from, 0), conversation_end));
	stmt_bind_i64(q, 2, id_of(contact, 0) + MIN(MAX(end, 0), conversation_end));
}

int messages_add(struct store *s, uint32_t contact, const struct message *message)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_MESSAGE_ADD);

	stmt_bind_i64(q, 1, id_of(contact, message->position));
	stmt_bind_i64(q, 2, message->own);
	stmt_bind_u64(q, 3, message->sequence);
	stmt_bind_i64(q, 4, message->place);
	stmt_bind_i64(q, 5, message->kind);
	stmt_bind_u64(q, 6, message->claimed);
	stmt_bind_u64(q, 7, message->arrived);
	stmt_bind_u64(q, 8, message->not_before);
	stmt_bind_u64(q, 9, message->drop_after);
	stmt_bind_blob(q, 10, message->content.p, message->content.len);
	return stmt_run(q);
}

static int read_row(struct stmt *q, struct message *m)
{
	m->position = position_of(stmt_i64(q, 0));
	m->own = stmt_small(q, 1, 1);
	m->sequence = stmt_u64(q, 2);
	m->place = (uint16_t)stmt_small(q, 3, UINT16_MAX);
	m->kind = (uint16_t)stmt_small(q, 4, UINT16_MAX);
	m->claimed = stmt_u64(q, 5);
	m->arrived = stmt_u64(q, 6);
	m->not_before = stmt_u64(q, 7);
	m->drop_after = stmt_u64(q, 8);
	m->content = stmt_span(q, 9);
	return stmt_check(q);
}

static int each_of(struct store *s, enum sql which, uint32_t contact, int64_t from, int64_t limit,
                   int (*each)(void *arg, const struct message *message), void *arg)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, which);
	struct message message;
	int r;

	bind_range(q, contact, from, conversation_end);
	stmt_bind_i64(q, 3, MAX(limit, 0)); /* a negative one would mean no limit */
	do {
		r = stmt_row(q);
		if (r == STMT_NO_ROW)
			return 0;
		if (r == 0)
			r = read_row(q, &message);
		if (r == 0)
			r = each(arg, &message);
	} while (r == 0);
	return r;
}

int messages_each(struct store *s, uint32_t contact, int64_t from, int64_t limit,
                  int (*each)(void *arg, const struct message *message), void *arg)
{
	return each_of(s, SQL_MESSAGES, contact, from, limit, each, arg);
}

int messages_each_own(struct store *s, uint32_t contact, int64_t from, int64_t limit,
                      int (*each)(void *arg, const struct message *message), void *arg)
{
	return each_of(s, SQL_MESSAGES_OWN, contact, from, limit, each, arg);
}

int messages_next_position(struct store *s, uint32_t contact, int64_t *out)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_MESSAGES_LAST);
	int r;

	bind_range(q, contact, 0, conversation_end);
	r = stmt_row(q);
	if (r < 0)
		return r;
	*out = r == STMT_NO_ROW ? 0 : position_of(stmt_i64(q, 0)) + 1;
	return 0;
}

int messages_count_own(struct store *s, uint32_t contact, int64_t from, int64_t end, int64_t *out)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_MESSAGES_COUNT_OWN);
	int r;

	bind_range(q, contact, from, end);
	r = stmt_row(q);
	if (r < 0)
		return r;
	assert(r == 0); /* a count is always one row */
	*out = stmt_i64(q, 0);
	return 0;
}

int messages_remove(struct store *s, uint32_t contact)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_MESSAGES_REMOVE);

	bind_range(q, contact, 0, conversation_end);
	return stmt_run(q);
}
