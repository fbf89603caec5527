#include "tests/fuzz/fuzz.h"

#include <sodium.h>
#include <string.h>

#include "store/record.h"

/* The input as what a head of the page log says, sealed under the right key. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sym_key k = { { 1 } };
	static struct record_head head;
	uint8_t sealed[RECORD_BLOCK] = { 0 }, plain[RECORD_BLOCK - RECORD_NONCE - RECORD_MAC] = { 0 };

	if (size > 0)
		memcpy(plain, data, MIN(size, sizeof(plain)));
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + RECORD_NONCE, NULL, plain, sizeof(plain),
	                                           (const uint8_t *)"fl1:head", 8, NULL, sealed, k.b);
	if (record_open_head(&head, sealed, &k) == 0)
		assert(head.count <= RECORD_PAGES_MAX && head.part < head.parts);
	return 0;
}
