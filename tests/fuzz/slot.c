#include "tests/fuzz/fuzz.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/crypto/kdf.h"
#include "node/crypto/random.h"
#include "store/slots.h"
#include "tools/sim/disk.h"

/* PROTOCOL section 8 */
enum {
	NONCE_LEN = 24,
	PLAIN_LEN = SLOTS_BLOCK - NONCE_LEN - 16,
	PLACES = 1,
	FILE_LEN = SLOTS_HEAD + 2 * SLOTS_SLOT
};
enum { SEALED_ANEW = 1, CUT = 2, WRONG_PLACE = 4, SIZE_BYTES = 16, NEWER_TOO = 32 }; /* of byte 0 */

static const struct slots_salt salt = { { 7 } };
static const struct sym_key kek = { { 1 } };

/* A slot of a file whose block says plain. Its stripes are made once: they are the slow part. */
static void seal(uint8_t *file, unsigned at, const uint8_t plain[static PLAIN_LEN], unsigned number)
{
	static const uint8_t s32[32] = { 2 };
	static uint8_t stripes[SLOTS_SPLIT];
	static bool made;
	uint8_t *const slot = file + SLOTS_HEAD + (size_t)at * SLOTS_SLOT, *const block = slot + SLOTS_SPLIT,
	               ad[8 + SLOTS_SALT + 1];
	struct writer w = WRITER_ON(ad);
	struct random_seeded rng;
	struct sym_key key;

	random_seeded_init(&rng, 1);
	if (!made)
		slots_split(stripes, s32, &rng.base);
	made = true;
	memcpy(slot, stripes, sizeof(stripes));
	writer_str(&w, "fl1:slot");
	writer_span(&w, KEY_SPAN(&salt));
	writer_u8(&w, (uint8_t)number);
	b2(key.b, sizeof(key.b), "fl1:slot", SPAN(s32), KEY_SPAN(&kek));
	memset(block, 9, NONCE_LEN);
	crypto_aead_xchacha20poly1305_ietf_encrypt(block + NONCE_LEN, NULL, plain, PLAIN_LEN, ad, sizeof(ad),
	                                           NULL, block, key.b);
}

/* What PROTOCOL section 8 says of a block. */
static int expect(const uint8_t plain[static PLAIN_LEN])
{
	if (plain[0] != 1 || load_u16(plain + 1) != 1)
		return SLOTS_NEWER;
	return sodium_is_zero(plain + 39, PLAIN_LEN - 39) ? 0 : SLOTS_NO_MATCH;
}

/* Byte 0: what is done to the file; two bytes for it; then what the block of the used slot says. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[FILE_LEN + 65536];
	static struct sim_disk disk;
	struct reader in = reader_from(span_from(data, size));
	const uint8_t how = reader_u8(&in);
	const uint16_t where = reader_u16(&in);
	static const uint8_t newer[PLAIN_LEN] = { 1, 2 };
	uint8_t plain[PLAIN_LEN] = { 0 };
	struct slots_match m;
	struct slots *s;
	size_t len = FILE_LEN;
	int r, want;

	reader_bytes(&in, plain, MIN(in.len, sizeof(plain)));
	want = expect(plain);
	memset(file, 0x33, sizeof(file));
	memcpy(file, salt.b, sizeof(salt.b));
	seal(file, 0, plain, (how & WRONG_PLACE) != 0 ? 1 : 0);
	if ((how & WRONG_PLACE) != 0)
		want = SLOTS_NO_MATCH;
	if ((how & CUT) != 0) {
		file[SLOTS_HEAD + (size_t)where * 2] ^= 1;
		want = SLOTS_NO_MATCH;
	}
	if ((how & NEWER_TOO) != 0) { /* what a later version would have put beside it */
		seal(file, 1, newer, 1);
		want = want == SLOTS_NO_MATCH ? SLOTS_NEWER : want;
	}
	if ((how & SIZE_BYTES) != 0)
		len = FILE_LEN - 65536 + (size_t)where * 2;
	sim_disk_init(&disk);
	sim_disk_put(&disk, "v/slots", file, len);
	r = slots_open(&s, &disk.base, "v");
	if (len != FILE_LEN) {
		assert(r == SLOTS_TRUNCATED);
	} else {
		assert(r == 0 && slots_places(s) == PLACES);
		r = slots_try(s, &kek, &m);
		assert(r == want);
		if (r == 0)
			assert(m.slot == 0 && m.content.generation == load_u32(plain + 3) &&
			       memcmp(m.content.vk.b, plain + 7, 32) == 0);
		slots_close(s);
	}
	sim_disk_deinit(&disk);
	return 0;
}
