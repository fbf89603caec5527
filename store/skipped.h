/*
 * skipped.h: the keys of overtaken messages, as rows (node/crypto/skipped.h).
 */
#ifndef STORE_SKIPPED_H
#define STORE_SKIPPED_H

#include "node/crypto/skipped.h"
#include "store/store.h"

/* The keys of one contact; lives on the stack of a turn. Hand out &x->base. */
struct skipped_rows {
	struct skipped_keys base;
	struct store *store;
	uint32_t contact;
	uint64_t running; /* how long the node has run in all, seconds (META_RUNNING): noted with a new key */
};

void skipped_rows_init(struct skipped_rows *out, struct store *s, uint32_t contact, uint64_t running);

/* Drops the keys of all contacts that are SKIPPED_DAYS of running old. Returns 0 or an enum err. */
must_check int skipped_rows_drop_old(struct store *s, uint64_t running);

#endif
