#include "tests/skipped_memory.h"

#include <limits.h>
#include <stdlib.h>

static struct skipped_memory *memory_of(struct skipped_keys *self)
{
	return CONTAINER_OF(self, struct skipped_memory, base);
}

/* m->n when there is none. */
static size_t index_of(const struct skipped_memory *m, const struct tag16 *tag)
{
	size_t i = 0;

	while (i < m->n && memcmp(m->keys[i].tag.b, tag->b, sizeof(tag->b)) != 0)
		i++;
	return i;
}

static void drop(struct skipped_memory *m, size_t at, size_t n)
{
	memmove(&m->keys[at], &m->keys[at + n], (m->n - at - n) * sizeof(m->keys[0]));
	m->n -= n;
}

static int find(struct skipped_keys *self, struct skipped_key *out, const struct tag16 *tag)
{
	const struct skipped_memory *m = memory_of(self);
	const size_t i = index_of(m, tag);

	if (i == m->n)
		return SKIPPED_NONE;
	*out = m->keys[i];
	return 0;
}

static int put(struct skipped_keys *self, const struct skipped_key *key)
{
	struct skipped_memory *m = memory_of(self);

	if (m->puts_left == 0)
		return ERR_IO;
	if (m->puts_left != UINT_MAX)
		m->puts_left--;
	if (m->n == m->room) {
		m->room = m->room * 2 + 64;
		m->keys = realloc(m->keys, m->room * sizeof(m->keys[0]));
		assert(m->keys != NULL);
	}
	m->keys[m->n++] = *key;
	return 0;
}

static int remove_key(struct skipped_keys *self, const struct tag16 *tag)
{
	struct skipped_memory *m = memory_of(self);

	drop(m, index_of(m, tag), 1);
	return 0;
}

static int trim(struct skipped_keys *self, size_t max)
{
	struct skipped_memory *m = memory_of(self);

	if (m->n > max)
		drop(m, 0, m->n - max);
	return 0;
}

void skipped_memory_init(struct skipped_memory *m)
{
	*m = (struct skipped_memory){ .base = { find, put, remove_key, trim }, .puts_left = UINT_MAX };
}

void skipped_memory_deinit(struct skipped_memory *m)
{
	free(m->keys);
	m->keys = NULL;
}
