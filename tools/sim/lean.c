/*
 * lean.c: zeros for the random bytes that fill up logs and slots.
 *
 * A log grows by a MiB of random bytes that nothing ever reads, and a disk in memory
 * keeps no block of zeros. So a program that is linked with --wrap for
 * crypto_stream_chacha20, and with this, simulates thousands of vaults in little
 * memory. What fills comes in whole blocks (store/pagelog.c: FILL_CHUNK and its rest;
 * store/slots.c: a slot, 131,072 bytes, and its head); nothing else that is drawn from
 * a stream does.
 */
#include <sodium.h>
#include <string.h>

#include "tools/sim/blocks.h"

int __real_crypto_stream_chacha20(unsigned char *c, unsigned long long clen, const unsigned char *n,
                                  const unsigned char *k);
int __wrap_crypto_stream_chacha20(unsigned char *c, unsigned long long clen, const unsigned char *n,
                                  const unsigned char *k);

int __wrap_crypto_stream_chacha20(unsigned char *c, unsigned long long clen, const unsigned char *n,
                                  const unsigned char *k)
{
	if (clen == 0 || clen % BLOCKS_SIZE != 0)
		return __real_crypto_stream_chacha20(c, clen, n, k);
	memset(c, 0, (size_t)clen);
	return 0;
}
