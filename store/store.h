/*
 * store.h: what rests on the disk of a node, as rows.
 *
 * SQLite over the sealed page log (store/pagelog.h). Rows are grouped one file per
 * noun: contacts.h, conversations.h, messages.h, envelopes.h, skipped.h, meta.h. The
 * driver alone begins and commits; a commit is durable when it returns. After an
 * error of a commit the state is unknown: close, open again (PROTOCOL section 8,
 * crash rule 4).
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "node/base/common.h"

struct store;

/* Opens the rows in file, by the SQLite VFS of this name (NULL: SQLite's own, for tests, with ":memory:"
 * too), and brings an older schema up to date. Returns 0; ERR_VERSION: made by a newer version, or not ours;
 * ERR_CORRUPT, ERR_FULL, ERR_READONLY, ERR_ABSENT or another enum err. */
must_check int store_open(struct store **out, const char *vfs, const char *file);
void store_close(struct store *s); /* NULL is allowed; an open transaction is rolled back */

/* Rows are written between store_begin() and store_commit() only. After an enum err of anything that writes
 * or reads within, all the rest gives the same err, the commit too, until store_rollback(). */
must_check int store_begin(struct store *s);
/* Durable when it returns 0. A turn that wrote nothing costs no sync. After an error here everything fails
 * but store_rollback() and store_close(). */
must_check int store_commit(struct store *s);
void store_rollback(struct store *s); /* nothing to roll back is fine */

#endif
