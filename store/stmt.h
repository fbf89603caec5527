/*
 * stmt.h: the statements of the store; for the files of store/ only.
 *
 * All SQL is in the list below, is prepared on first use and kept. A use of one:
 *
 *     scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_X);   reset on return
 *     stmt_bind_i64(q, 1, ...);                                  a failure sticks until it is run
 *     return stmt_run(q);
 *
 * Columns are read the same way: what does not fit gives zeros and sticks, and
 * stmt_check() tells.
 */
#ifndef STORE_STMT_H
#define STORE_STMT_H

#include <sqlite3.h>

#include "node/base/wire.h"
#include "store/store.h"

#define CONTACT_COLUMNS                                                                                      \
	"name, mode, state, blocked, restored, by_code, paired_at, safety, secret, public, peer_public, "    \
	"role, cur, prev, prev_called, anchor, clock_offset, addresses"
#define MESSAGE_COLUMNS "id, own, sequence, place, kind, claimed, arrived, not_before, drop_after, content"

#define SQL_LIST(X)                                                                                          \
	X(SQL_BEGIN, "BEGIN IMMEDIATE")                                                                      \
	X(SQL_COMMIT, "COMMIT")                                                                              \
	X(SQL_ROLLBACK, "ROLLBACK")                                                                          \
	X(SQL_CONTACT_ADD, "INSERT INTO contacts(" CONTACT_COLUMNS ") VALUES"                                \
	                   "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)")               \
	X(SQL_CONTACT_UPDATE, "UPDATE contacts SET (" CONTACT_COLUMNS ") = "                                 \
	                      "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18) "            \
	                      "WHERE id = ?19")                                                              \
	X(SQL_CONTACT_REMOVE, "DELETE FROM contacts WHERE id = ?1")                                          \
	X(SQL_CONTACTS, "SELECT " CONTACT_COLUMNS ", id FROM contacts ORDER BY id")                          \
	X(SQL_MESSAGE_ADD,                                                                                   \
	  "INSERT INTO messages(" MESSAGE_COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)")                \
	X(SQL_MESSAGES, "SELECT " MESSAGE_COLUMNS " FROM messages "                                          \
	                "WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3")                                   \
	X(SQL_MESSAGES_OWN, "SELECT " MESSAGE_COLUMNS " FROM messages INDEXED BY messages_own "              \
	                    "WHERE own = 1 AND id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3")                   \
	X(SQL_MESSAGES_LAST, "SELECT id FROM messages WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT 1")  \
	X(SQL_MESSAGES_COUNT_OWN, "SELECT count(*) FROM messages INDEXED BY messages_own "                   \
	                          "WHERE own = 1 AND id >= ?1 AND id < ?2")                                  \
	X(SQL_MESSAGES_REMOVE, "DELETE FROM messages WHERE id >= ?1 AND id < ?2")                            \
	X(SQL_CONVERSATION_SAVE,                                                                             \
	  "INSERT INTO conversations"                                                                        \
	  "(contact, epoch, sent, handed, received, packed, stored_before, previous, ratchet, repeats) "     \
	  "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10) ON CONFLICT(contact) DO UPDATE SET "                       \
	  "epoch = ?2, sent = ?3, handed = ?4, received = ?5, packed = ?6, stored_before = ?7, "             \
	  "previous = ?8, ratchet = ?9, repeats = ?10")                                                      \
	X(SQL_CONVERSATION,                                                                                  \
	  "SELECT epoch, sent, handed, received, packed, stored_before, previous, ratchet, repeats "         \
	  "FROM conversations WHERE contact = ?1")                                                           \
	X(SQL_ENVELOPE_ADD, "INSERT INTO envelopes(contact, sequence, first_position, end_position, bytes) " \
	                    "VALUES(?1,?2,?3,?4,?5)")                                                        \
	X(SQL_ENVELOPE_BYTES, "SELECT bytes FROM envelopes "                                                 \
	                      "WHERE contact = ?1 AND sequence = ?2 AND bytes IS NOT NULL")                  \
	X(SQL_ENVELOPE_POSITIONS, "SELECT first_position, end_position FROM envelopes "                      \
	                          "WHERE contact = ?1 AND sequence >= ?2 ORDER BY sequence LIMIT 1")         \
	X(SQL_ENVELOPES_FORGET, "UPDATE envelopes SET bytes = NULL WHERE contact = ?1 AND sequence >= ?2 "   \
	                        "AND sequence < ?3 AND bytes IS NOT NULL")                                   \
	X(SQL_ENVELOPES_REMOVE_FROM, "DELETE FROM envelopes WHERE contact = ?1 AND sequence >= ?2")          \
	X(SQL_SKIPPED_FIND,                                                                                  \
	  "SELECT tag, header, message, dh FROM skipped_keys WHERE contact = ?1 AND tag = ?2")               \
	X(SQL_SKIPPED_PUT,                                                                                   \
	  "INSERT INTO skipped_keys(contact, age, made, tag, header, message, dh) SELECT ?1, "               \
	  "coalesce(max(age), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM skipped_keys WHERE contact = ?1")              \
	X(SQL_SKIPPED_REMOVE, "DELETE FROM skipped_keys WHERE contact = ?1 AND tag = ?2")                    \
	X(SQL_SKIPPED_TRIM,                                                                                  \
	  "DELETE FROM skipped_keys WHERE contact = ?1 AND age <= (SELECT age FROM skipped_keys "            \
	  "WHERE contact = ?1 ORDER BY age DESC LIMIT 1 OFFSET ?2)")                                         \
	X(SQL_SKIPPED_DROP_OLD, "DELETE FROM skipped_keys WHERE made < ?1")                                  \
	X(SQL_META_GET, "SELECT value FROM meta WHERE key = ?1")                                             \
	X(SQL_META_SET, "INSERT INTO meta(key, value) VALUES(?1,?2) "                                        \
	                "ON CONFLICT(key) DO UPDATE SET value = ?2")

#define X(name, text) name,
enum sql { SQL_LIST(X) SQL_COUNT };
#undef X

struct stmt {
	struct store *store; /* borrowed, outlives us */
	sqlite3_stmt *raw;   /* owned; NULL before the first use */
	int err;             /* sticks until stmt_done() */
	bool in_use;
};

/* Never NULL; one that could not be prepared fails when it is run. One use at a time. */
struct stmt *store_stmt(struct store *s, enum sql which);
/* Notes what broke the transaction, if there is one: store_rollback() is the way out. Returns err. */
int store_failed(struct store *s, int err);

void stmt_done(struct stmt **q);
void stmt_finalize(struct stmt *q);

/* Parameters count from 1. Blobs and texts are borrowed until stmt_done(). */
void stmt_bind_i64(struct stmt *q, int at, int64_t value);
void stmt_bind_u64(struct stmt *q, int at, uint64_t value); /* the signed number of the same bits */
void stmt_bind_blob(struct stmt *q, int at, const void *p, size_t len);
void stmt_bind_text(struct stmt *q, int at, const char *text);

enum { STMT_NO_ROW = 1 };
/* Returns 0 when there is a row to read, STMT_NO_ROW when there is none left, or an enum err. */
must_check int stmt_row(struct stmt *q);
/* Runs a statement that gives no rows. Returns 0 or an enum err. */
must_check int stmt_run(struct stmt *q);
/* How many rows the statement that ran last has changed. */
int stmt_changed(const struct stmt *q);

/* Columns count from 0. */
int64_t stmt_i64(struct stmt *q, int at);
uint64_t stmt_u64(struct stmt *q, int at);
uint32_t stmt_small(struct stmt *q, int at, uint32_t max); /* 0 to max, else damaged */
bool stmt_is_null(struct stmt *q, int at);
struct span stmt_span(struct stmt *q, int at);                   /* borrowed until the next row */
void stmt_bytes(struct stmt *q, int at, void *out, size_t len);  /* len bytes, else damaged */
void stmt_string(struct stmt *q, int at, char *out, size_t cap); /* cap counts the terminator */
must_check int stmt_check(const struct stmt *q); /* 0, or what was wrong with a column of this row */

#endif
