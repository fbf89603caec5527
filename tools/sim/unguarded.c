/*
 * unguarded.c: libsodium's guarded memory without its guards.
 *
 * Each guarded block costs eight calls of the kernel and four of its maps, of which a
 * process has no more than 65,530. A program that is linked with --wrap for
 * sodium_malloc and sodium_free, and with this, simulates thousands of nodes, and
 * quickly. Contents are filled and wiped as libsodium does it.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void *__wrap_sodium_malloc(size_t size);
void __wrap_sodium_free(void *p);

enum { HEAD = 16, FILL = 0xdb };

void *__wrap_sodium_malloc(size_t size)
{
	unsigned char *block = size <= SIZE_MAX - HEAD ? malloc(HEAD + size) : NULL;

	if (block == NULL)
		return NULL;
	memcpy(block, &size, sizeof(size));
	memset(block + HEAD, FILL, size);
	return block + HEAD;
}

void __wrap_sodium_free(void *p)
{
	unsigned char *block;
	size_t size;

	if (p == NULL)
		return;
	block = (unsigned char *)p - HEAD;
	memcpy(&size, block, sizeof(size));
	sodium_memzero(p, size);
	free(block);
}
