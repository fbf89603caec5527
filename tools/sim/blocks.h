/*
 * blocks.h: the bytes of a simulated file, sparse and shared.
 *
 * A file is leaves of 32 blocks of 4 KiB; leaves and blocks are counted and copied
 * only when one of several owners writes. So a copy of a whole disk costs a pointer
 * for each 128 KiB, and bytes that are zeros cost nothing. For one thread.
 */
#ifndef TOOLS_SIM_BLOCKS_H
#define TOOLS_SIM_BLOCKS_H

#include "node/base/common.h"

enum { BLOCKS_SIZE = 4096 };

struct blocks_leaf;

/* Zeroed: an empty file. */
struct blocks {
	struct blocks_leaf **leaves; /* owned; NULL where all is zeros */
	size_t leaves_len;
	uint64_t len; /* in bytes; what is beyond it reads as zeros */
};

void blocks_free(struct blocks *b); /* it is empty then */
/* to, which is empty, becomes what from is. */
void blocks_share(struct blocks *to, const struct blocks *from);

/* Up to len only; the caller checks. */
void blocks_read(const struct blocks *b, void *out, size_t len, uint64_t offset);
void blocks_write(struct blocks *b, const void *bytes, size_t len, uint64_t offset); /* grows */
void blocks_resize(struct blocks *b, uint64_t len);

/* Block number i; zeros where there is none. Valid until b is written to. */
const uint8_t *blocks_at(const struct blocks *b, uint64_t i);
/* Block number i becomes that of from, also beyond the length of b. */
void blocks_take(struct blocks *b, const struct blocks *from, uint64_t i);
/* The first block from *i on that is not one and the same in both, in *i; false: none is. Blocks that are not
 * the same may hold the same bytes. */
bool blocks_next_other(const struct blocks *a, const struct blocks *b, uint64_t *i);

/* Bytes of memory that all files together hold at present. */
size_t blocks_memory(void);

#endif
