#include "tools/sim/blocks.h"

#include <stdlib.h>

enum { LEAF = 32 };

struct block {
	size_t owners;
	uint8_t b[BLOCKS_SIZE];
};

struct blocks_leaf {
	size_t owners;
	struct block *block[LEAF]; /* NULL: zeros */
};

static const uint8_t zeros[BLOCKS_SIZE];
static size_t memory;

/* The simulated machine has enough of it; what it simulates may run out. */
static void *new_zeroed(size_t size)
{
	void *p = calloc(1, size);

	if (p == NULL)
		abort();
	memory += size;
	return p;
}

static void block_drop(struct block *b)
{
	if (b == NULL || --b->owners > 0)
		return;
	memory -= sizeof(*b);
	free(b);
}

static void leaf_drop(struct blocks_leaf *leaf)
{
	if (leaf == NULL || --leaf->owners > 0)
		return;
	for (size_t i = 0; i < LEAF; i++)
		block_drop(leaf->block[i]);
	memory -= sizeof(*leaf);
	free(leaf);
}

void blocks_free(struct blocks *b)
{
	for (size_t i = 0; i < b->leaves_len; i++)
		leaf_drop(b->leaves[i]);
	memory -= b->leaves_len * sizeof(b->leaves[0]);
	free(b->leaves);
	*b = (struct blocks){ 0 };
}

void blocks_share(struct blocks *to, const struct blocks *from)
{
	assert(to->leaves == NULL);
	*to = *from;
	if (from->leaves_len == 0)
		return;
	to->leaves = new_zeroed(from->leaves_len * sizeof(to->leaves[0]));
	for (size_t i = 0; i < from->leaves_len; i++) {
		to->leaves[i] = from->leaves[i];
		if (to->leaves[i] != NULL)
			to->leaves[i]->owners++;
	}
}

static void leaves_reserve(struct blocks *b, size_t n)
{
	if (n <= b->leaves_len)
		return;
	b->leaves = realloc(b->leaves, n * sizeof(b->leaves[0]));
	if (b->leaves == NULL)
		abort();
	memset(b->leaves + b->leaves_len, 0, (n - b->leaves_len) * sizeof(b->leaves[0]));
	memory += (n - b->leaves_len) * sizeof(b->leaves[0]);
	b->leaves_len = n;
}

static struct block *block_of(const struct blocks *b, uint64_t i)
{
	const struct blocks_leaf *leaf = i / LEAF < b->leaves_len ? b->leaves[i / LEAF] : NULL;

	return leaf != NULL ? leaf->block[i % LEAF] : NULL;
}

/* The place of block i in a leaf that is ours alone. */
static struct block **place_of(struct blocks *b, uint64_t i)
{
	struct blocks_leaf **leaf;

	leaves_reserve(b, (size_t)(i / LEAF) + 1);
	leaf = &b->leaves[i / LEAF];
	if (*leaf == NULL) {
		*leaf = new_zeroed(sizeof(**leaf));
		(*leaf)->owners = 1;
	} else if ((*leaf)->owners > 1) {
		struct blocks_leaf *own = new_zeroed(sizeof(*own));

		memcpy(own->block, (*leaf)->block, sizeof(own->block));
		own->owners = 1;
		for (size_t k = 0; k < LEAF; k++)
			if (own->block[k] != NULL)
				own->block[k]->owners++;
		(*leaf)->owners--;
		*leaf = own;
	}
	return &(*leaf)->block[i % LEAF];
}

/* Block i, ours alone to write to. */
static uint8_t *block_own(struct blocks *b, uint64_t i)
{
	struct block **place = place_of(b, i);

	if (*place == NULL || (*place)->owners > 1) {
		struct block *own = new_zeroed(sizeof(*own));

		own->owners = 1;
		if (*place != NULL)
			memcpy(own->b, (*place)->b, sizeof(own->b));
		block_drop(*place);
		*place = own;
	}
	return (*place)->b;
}

static void block_put(struct blocks *b, uint64_t i, struct block *block)
{
	struct block **place;

	if (block_of(b, i) == block)
		return;
	place = place_of(b, i);
	if (block != NULL)
		block->owners++;
	block_drop(*place);
	*place = block;
}

const uint8_t *blocks_at(const struct blocks *b, uint64_t i)
{
	const struct block *block = block_of(b, i);

	return block != NULL ? block->b : zeros;
}

void blocks_take(struct blocks *b, const struct blocks *from, uint64_t i)
{
	block_put(b, i, block_of(from, i));
}

void blocks_read(const struct blocks *b, void *out, size_t len, uint64_t offset)
{
	uint8_t *p = out;

	while (len > 0) {
		const size_t at = (size_t)(offset % BLOCKS_SIZE), n = MIN(len, BLOCKS_SIZE - at);

		memcpy(p, blocks_at(b, offset / BLOCKS_SIZE) + at, n);
		p += n;
		len -= n;
		offset += n;
	}
}

void blocks_write(struct blocks *b, const void *bytes, size_t len, uint64_t offset)
{
	const uint8_t *p = bytes;

	b->len = MAX(b->len, offset + len);
	while (len > 0) {
		const size_t at = (size_t)(offset % BLOCKS_SIZE), n = MIN(len, BLOCKS_SIZE - at);

		if (n == BLOCKS_SIZE && memcmp(p, zeros, n) == 0)
			block_put(b, offset / BLOCKS_SIZE, NULL);
		else
			memcpy(block_own(b, offset / BLOCKS_SIZE) + at, p, n);
		p += n;
		len -= n;
		offset += n;
	}
}

void blocks_resize(struct blocks *b, uint64_t len)
{
	const uint64_t whole = len / BLOCKS_SIZE;

	if (len < b->len) {
		if (len % BLOCKS_SIZE != 0 && block_of(b, whole) != NULL)
			memset(block_own(b, whole) + len % BLOCKS_SIZE, 0, BLOCKS_SIZE - len % BLOCKS_SIZE);
		for (uint64_t i = whole + (len % BLOCKS_SIZE != 0); i < (uint64_t)b->leaves_len * LEAF; i++)
			block_put(b, i, NULL);
	}
	b->len = len;
}

static const struct blocks_leaf *leaf_of(const struct blocks *b, uint64_t i)
{
	return i / LEAF < b->leaves_len ? b->leaves[i / LEAF] : NULL;
}

bool blocks_next_other(const struct blocks *a, const struct blocks *b, uint64_t *i)
{
	const uint64_t end = (uint64_t)MAX(a->leaves_len, b->leaves_len) * LEAF;

	while (*i < end) {
		if (leaf_of(a, *i) == leaf_of(b, *i))
			*i = (*i / LEAF + 1) * LEAF;
		else if (block_of(a, *i) == block_of(b, *i))
			(*i)++;
		else
			return true;
	}
	return false;
}

size_t blocks_memory(void)
{
	return memory;
}
