/*
 * jansson 2.14 looks not at what its parser's string buffer says: where that cannot grow, a byte of the
 * string is left out and the rest goes on. So it is watched whether memory was short.
 */
#include "node/object.h"

#include <malloc.h>
#include <sodium.h>
#include <stdlib.h>

static bool memory_was_short;

static void *watched_malloc(size_t size)
{
	void *p = malloc(size);

	memory_was_short |= p == NULL;
	return p;
}

static void wiping_free(void *p)
{
	if (p == NULL)
		return;
	sodium_memzero(p, malloc_usable_size(p));
	free(p);
}

void object_init(void)
{
	json_set_alloc_funcs(watched_malloc, wiping_free);
}

int object_load(json_t **out, struct span bytes, size_t flags)
{
	json_t *root;

	memory_was_short = false;
	root = json_loadb((const char *)bytes.p, bytes.len, flags, NULL);
	if (memory_was_short) {
		json_decref(root);
		return ERR_NOMEM;
	}
	if (root == NULL)
		return OBJECT_MALFORMED;
	*out = root;
	return 0;
}
