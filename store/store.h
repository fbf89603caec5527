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

void store_close(struct store *s); /* NULL is allowed; an open transaction is rolled back */

must_check int store_begin(struct store *s);
/* Durable when it returns 0. A turn that wrote nothing costs no sync. */
must_check int store_commit(struct store *s);
void store_rollback(struct store *s);

#endif
