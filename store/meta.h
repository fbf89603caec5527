/*
 * meta.h: single values of a notebook.
 */
#ifndef STORE_META_H
#define STORE_META_H

#include "store/store.h"

/* What there is to remember; the numbers are on the disk. */
enum meta_key {
	META_LATEST_CLOCK = 1, /* the latest time that this notebook has seen, seconds */
	META_RUNNING = 2,      /* how long the node has run in all, seconds: the age of skipped keys */
};

/* *out is 0 where nothing was set. */
must_check int meta_get(struct store *s, enum meta_key key, uint64_t *out);
must_check int meta_set(struct store *s, enum meta_key key, uint64_t value);

#endif
