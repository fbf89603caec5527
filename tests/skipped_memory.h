/*
 * skipped_memory.h: skipped keys in memory, for tests.
 */
#ifndef TESTS_SKIPPED_MEMORY_H
#define TESTS_SKIPPED_MEMORY_H

#include "node/crypto/skipped.h"

struct skipped_memory {
	struct skipped_keys base; /* hand out &x->base */
	struct skipped_key *keys; /* oldest first; owned */
	size_t n, room;
	unsigned puts_left; /* put() fails with ERR_IO when it is 0; UINT_MAX: never */
};

void skipped_memory_init(struct skipped_memory *m);
void skipped_memory_deinit(struct skipped_memory *m);

#endif
