#include "store/slots.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/crypto/kdf.h"

/*
 * A sealed block, 3,072 bytes:
 *
 *      0   24  nonce
 *     24   +1  01
 *     25   +2  version 1
 *     27   +4  generation
 *     31  +32  VK
 *     63       zeros to 3,056; from 24 on sealed
 *   3056  +16  tag
 */
enum {
	NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
	PLAIN = SLOTS_BLOCK - NONCE - TAG,
	KIND = 1,
	VERSION = 1,
	AD = 8 + SLOTS_SALT + 1,
};
static_assert(PLAIN == 3032, "the block of PROTOCOL section 8");
static_assert(SLOTS_SLOT == 128 * 1024, "the slot of PROTOCOL section 8");

struct slots {
	struct disk *disk; /* borrowed, outlives us */
	int file;
	unsigned places;
	bool readonly;
	struct slots_salt salt;
};

/* --- One slot as bytes --- */

struct slots_cost slots_cost(const struct slots_salt *salt)
{
	static const struct slots_cost costs[] = {
		[SLOTS_256_MIB] = { UINT64_C(256) << 20, 4 },
		[SLOTS_64_MIB] = { UINT64_C(64) << 20, 6 },
	};

	return costs[salt->b[SLOTS_SALT - 1] & 1];
}

void slots_salt_new(struct slots_salt *out, enum slots_profile profile, struct random *rng)
{
	random_bytes(rng, out->b, sizeof(out->b));
	out->b[SLOTS_SALT - 1] = (uint8_t)((out->b[SLOTS_SALT - 1] & 0xfe) | profile);
}

int slots_derive(struct sym_key *kek, struct span passphrase, const struct slots_salt *salt,
                 const struct slots_cost *cost)
{
	struct sym_key stretched;
	int r;

	r = crypto_pwhash(stretched.b, sizeof(stretched.b), (const char *)passphrase.p, passphrase.len,
	                  salt->b, cost->passes, cost->memory_bytes, crypto_pwhash_ALG_ARGON2ID13);
	if (r == 0)
		b2(kek->b, sizeof(kek->b), "fl1:kek", KEY_SPAN(&stretched), SPAN_NONE);
	sodium_memzero(&stretched, sizeof(stretched));
	return r == 0 ? 0 : ERR_NOMEM;
}

static void xor32(uint8_t to[static 32], const uint8_t with[static 32])
{
	for (size_t i = 0; i < 32; i++)
		to[i] ^= with[i];
}

/* d = d_3999: each stripe but the last stirred in. */
static void diffuse(uint8_t d[static 32], const uint8_t *stripes)
{
	memset(d, 0, 32);
	for (size_t k = 0; k < SLOTS_STRIPES - 1; k++) {
		xor32(d, stripes + k * SLOTS_STRIPE);
		b2(d, 32, "fl1:af", SPAN_NONE, span_from(d, 32));
	}
}

void slots_split(uint8_t stripes[static SLOTS_SPLIT], const uint8_t s32[static 32], struct random *rng)
{
	uint8_t *last = stripes + SLOTS_SPLIT - SLOTS_STRIPE;

	random_bytes(rng, stripes, SLOTS_SPLIT - SLOTS_STRIPE);
	diffuse(last, stripes);
	xor32(last, s32);
}

void slots_join(uint8_t s32[static 32], const uint8_t stripes[static SLOTS_SPLIT])
{
	diffuse(s32, stripes);
	xor32(s32, stripes + SLOTS_SPLIT - SLOTS_STRIPE);
}

static void ad_build(uint8_t ad[static AD], const struct slots_salt *salt, unsigned number)
{
	struct writer w = writer_on(ad, AD);

	writer_str(&w, "fl1:slot");
	writer_span(&w, KEY_SPAN(salt));
	writer_u8(&w, (uint8_t)number);
	assert(writer_done(&w).len == AD);
}

static void block_key(struct sym_key *out, const uint8_t s32[static 32], const struct sym_key *kek)
{
	b2(out->b, sizeof(out->b), "fl1:slot", span_from(s32, 32), KEY_SPAN(kek));
}

void slots_seal(uint8_t slot[static SLOTS_SLOT], const struct slots_content *content, unsigned number,
                const struct sym_key *kek, const struct slots_salt *salt, struct random *rng)
{
	uint8_t *const block = slot + SLOTS_SPLIT;
	uint8_t s32[32], ad[AD];
	struct sym_key key;
	struct writer w = writer_on(block + NONCE, PLAIN);

	random_bytes(rng, s32, sizeof(s32));
	slots_split(slot, s32, rng);
	random_bytes(rng, block, NONCE);
	writer_u8(&w, KIND);
	writer_u16(&w, VERSION);
	writer_u32(&w, content->generation);
	writer_span(&w, KEY_SPAN(&content->vk));
	writer_zeros(&w, writer_left(&w));
	block_key(&key, s32, kek);
	ad_build(ad, salt, number);
	crypto_aead_xchacha20poly1305_ietf_encrypt(block + NONCE, NULL, block + NONCE, PLAIN, ad, AD, NULL,
	                                           block, key.b);
	sodium_memzero(&key, sizeof(key));
	sodium_memzero(s32, sizeof(s32));
}

static int block_decode(struct slots_content *out, struct span plain)
{
	struct reader r = reader_from(plain);
	struct slots_content c;
	struct span rest;

	if (reader_u8(&r) != KIND || reader_u16(&r) != VERSION)
		return SLOTS_NEWER;
	c.generation = reader_u32(&r);
	reader_bytes(&r, c.vk.b, sizeof(c.vk.b));
	rest = reader_rest(&r);
	if (!sodium_is_zero(rest.p, rest.len)) {
		sodium_memzero(&c, sizeof(c));
		return SLOTS_NO_MATCH;
	}
	*out = c;
	sodium_memzero(&c, sizeof(c));
	return 0;
}

int slots_unseal(struct slots_content *out, const uint8_t slot[static SLOTS_SLOT], unsigned number,
                 const struct sym_key *kek, const struct slots_salt *salt)
{
	const uint8_t *const block = slot + SLOTS_SPLIT;
	uint8_t s32[32], ad[AD], plain[PLAIN];
	struct sym_key key;
	int r = SLOTS_NO_MATCH;

	slots_join(s32, slot);
	block_key(&key, s32, kek);
	ad_build(ad, salt, number);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, block + NONCE, PLAIN + TAG, ad, AD,
	                                               block, key.b) == 0)
		r = block_decode(out, SPAN(plain));
	sodium_memzero(plain, sizeof(plain));
	sodium_memzero(&key, sizeof(key));
	sodium_memzero(s32, sizeof(s32));
	return r;
}

/* --- The file --- */

static uint64_t slot_offset(unsigned slot)
{
	return SLOTS_HEAD + (uint64_t)slot * SLOTS_SLOT;
}

static uint64_t file_size(unsigned places)
{
	return slot_offset(2 * places);
}

/* Writes, syncs, and reads back from the disk: only then are the old bytes gone. */
static int overwrite(struct slots *s, uint64_t offset, const uint8_t *bytes, size_t len)
{
	const struct disk_ops *ops = s->disk->ops;
	uint8_t *back;
	int r;

	if (s->readonly)
		return ERR_READONLY;
	back = malloc(len);
	if (back == NULL)
		return ERR_NOMEM;
	r = ops->write(s->disk, s->file, bytes, len, offset);
	if (r == 0)
		r = disk_sync(s->disk, s->file);
	if (r == 0) {
		ops->evict(s->disk, s->file);
		r = ops->read(s->disk, s->file, back, len, offset);
	}
	if (r > 0 || (r == 0 && sodium_memcmp(back, bytes, len) != 0))
		r = ERR_IO;
	sodium_memzero(back, len);
	free(back);
	return r;
}

static int overwrite_random(struct slots *s, uint64_t offset, size_t len, struct random *rng)
{
	uint8_t *bytes = malloc(len);
	int r;

	if (bytes == NULL)
		return ERR_NOMEM;
	random_bytes(rng, bytes, len);
	r = overwrite(s, offset, bytes, len);
	free(bytes);
	return r;
}

static int seal_into(struct slots *s, unsigned slot, const struct slots_content *content,
                     const struct sym_key *kek, struct random *rng)
{
	uint8_t *bytes = sodium_malloc(SLOTS_SLOT);
	int r;

	if (bytes == NULL)
		return ERR_NOMEM;
	slots_seal(bytes, content, slot, kek, &s->salt, rng);
	r = overwrite(s, slot_offset(slot), bytes, SLOTS_SLOT);
	sodium_free(bytes);
	return r;
}

static struct slots *slots_new(struct disk *disk, int file, unsigned places)
{
	struct slots *s = calloc(1, sizeof(*s));

	if (s != NULL)
		*s = (struct slots){ .disk = disk, .file = file, .places = places };
	return s;
}

/* The whole file as random bytes, the salt first. */
static int fill_file(struct slots *s, struct random *rng)
{
	uint8_t *bytes = malloc(SLOTS_SLOT);
	int r;

	if (bytes == NULL)
		return ERR_NOMEM;
	r = s->disk->ops->allocate(s->disk, s->file, file_size(s->places));
	for (unsigned slot = 0; r == 0 && slot < 2 * s->places; slot++) {
		random_bytes(rng, bytes, SLOTS_SLOT);
		r = s->disk->ops->write(s->disk, s->file, bytes, SLOTS_SLOT, slot_offset(slot));
	}
	if (r == 0) {
		random_bytes(rng, bytes, SLOTS_HEAD);
		memcpy(bytes, s->salt.b, SLOTS_SALT);
		r = overwrite(s, 0, bytes, SLOTS_HEAD);
	}
	free(bytes);
	return r;
}

/* 0 where there is nothing of this name, ERR_EXISTS where there is. */
static int is_absent(struct disk *disk, const char *path)
{
	int file = -1, r = disk->ops->open(disk, &file, path, DISK_READ);

	if (r == 0)
		disk->ops->close(disk, file);
	return r == ERR_ABSENT ? 0 : r < 0 ? r : ERR_EXISTS;
}

/* A new file under new_path, in place of what an unfinished creation left. */
static int create_file(struct disk *disk, int *file, const char *new_path)
{
	int r = disk->ops->unlink(disk, new_path);

	if (r == 0 || r == ERR_ABSENT)
		r = disk->ops->open(disk, file, new_path, DISK_CREATE);
	return r == DISK_FOREIGN ? ERR_EXISTS : r;
}

/* The file whole and on the disk, but for its name. */
static int make_file(struct slots *s, const struct slots_salt *salt, const struct sym_key *kek,
                     struct slots_match *out, struct random *rng)
{
	int r = s->disk->ops->lock(s->disk, s->file);

	s->salt = *salt;
	if (r == 0)
		r = fill_file(s, rng);
	return r == 0 ? slots_add(s, 0, kek, out, rng) : r;
}

int slots_create(struct disk *disk, const char *dir, unsigned places, const struct slots_salt *salt,
                 const struct sym_key *kek, struct slots_match *out, struct random *rng)
{
	char path[DISK_PATH_MAX], new_path[DISK_PATH_MAX];
	struct slots *s = NULL;
	int file = -1, r;

	assert(places >= 1 && places <= SLOTS_PLACES_MAX);
	r = disk->ops->make_dir(disk, dir);
	if (r == 0 || r == ERR_EXISTS)
		r = disk_path(path, dir, "slots");
	if (r == 0)
		r = disk_path(new_path, dir, "slots.new");
	if (r == 0)
		r = is_absent(disk, path);
	if (r == 0)
		r = create_file(disk, &file, new_path);
	if (r != 0)
		return r;
	s = slots_new(disk, file, places);
	r = s != NULL ? make_file(s, salt, kek, out, rng) : ERR_NOMEM;
	/* Only now there is a vault: half of one would open for nobody, and be in the way of another. */
	if (r == 0)
		r = disk->ops->rename(disk, new_path, path);
	if (r == 0)
		r = disk->ops->sync_dir(disk, dir);
	disk->ops->close(disk, file);
	if (r != 0 && disk->ops->unlink(disk, new_path) != 0)
		(void)!disk->ops->unlink(disk, path);
	free(s);
	return r;
}

/* How many places a file of this size has. */
static int places_of(unsigned *out, uint64_t size)
{
	for (unsigned places = 1; places <= SLOTS_PLACES_MAX; places++) {
		if (size == file_size(places)) {
			*out = places;
			return 0;
		}
	}
	return size < file_size(SLOTS_PLACES_MAX) ? SLOTS_TRUNCATED : SLOTS_FOREIGN;
}

static int open_file(struct disk *disk, int *out, bool *readonly, const char *path)
{
	int r = disk->ops->open(disk, out, path, DISK_WRITE);

	*readonly = r == ERR_READONLY;
	if (*readonly)
		r = disk->ops->open(disk, out, path, DISK_READ);
	return r == DISK_FOREIGN ? SLOTS_FOREIGN : r;
}

int slots_open(struct slots **out, struct disk *disk, const char *dir)
{
	char path[DISK_PATH_MAX];
	struct slots *s = NULL;
	uint64_t size = 0;
	unsigned places = 0;
	bool readonly;
	int file = -1, r;

	r = disk_path(path, dir, "slots");
	if (r == 0)
		r = open_file(disk, &file, &readonly, path);
	if (r != 0)
		return r;
	r = disk->ops->lock(disk, file);
	if (r == 0)
		r = disk->ops->size(disk, file, &size);
	if (r == 0)
		r = places_of(&places, size);
	if (r == 0 && (s = slots_new(disk, file, places)) == NULL)
		r = ERR_NOMEM;
	if (r == 0) {
		s->readonly = readonly;
		r = disk->ops->read(disk, file, s->salt.b, sizeof(s->salt.b), 0);
		if (r > 0)
			r = SLOTS_TRUNCATED;
	}
	if (r != 0) {
		disk->ops->close(disk, file);
		free(s);
		return r;
	}
	*out = s;
	return 0;
}

void slots_close(struct slots *s)
{
	if (s == NULL)
		return;
	s->disk->ops->close(s->disk, s->file);
	free(s);
}

unsigned slots_places(const struct slots *s)
{
	return s->places;
}

bool slots_readonly(const struct slots *s)
{
	return s->readonly;
}

const struct slots_salt *slots_salt(const struct slots *s)
{
	return &s->salt;
}

int slots_try(struct slots *s, const struct sym_key *kek, struct slots_match *out)
{
	uint8_t *bytes = sodium_malloc(SLOTS_SLOT);
	struct slots_match best = { 0 };
	int r = 0, found = SLOTS_NO_MATCH;

	if (bytes == NULL)
		return ERR_NOMEM;
	for (unsigned slot = 0; slot < 2 * s->places; slot++) {
		struct slots_match m = { .place = slot / 2, .slot = slot };
		int opened;

		r = s->disk->ops->read(s->disk, s->file, bytes, SLOTS_SLOT, slot_offset(slot));
		if (r != 0)
			break;
		opened = slots_unseal(&m.content, bytes, slot, kek, &s->salt);
		if (opened == 0 && (found != 0 || m.content.generation > best.content.generation)) {
			best = m;
			found = 0;
		}
		if (opened == SLOTS_NEWER && found != 0)
			found = SLOTS_NEWER;
		slots_match_wipe(&m);
	}
	sodium_free(bytes);
	if (r > 0)
		r = SLOTS_TRUNCATED;
	if (r == 0 && found == 0)
		*out = best;
	slots_match_wipe(&best);
	return r != 0 ? r : found;
}

void slots_match_wipe(struct slots_match *m)
{
	sodium_memzero(m, sizeof(*m));
}

/* Slot number `slot` once more, as it is. */
static int write_again(struct slots *s, unsigned slot)
{
	uint8_t *bytes = malloc(SLOTS_SLOT);
	int r;

	if (bytes == NULL)
		return ERR_NOMEM;
	r = s->disk->ops->read(s->disk, s->file, bytes, SLOTS_SLOT, slot_offset(slot));
	if (r == 0)
		r = overwrite(s, slot_offset(slot), bytes, SLOTS_SLOT);
	free(bytes);
	return r > 0 ? SLOTS_TRUNCATED : r;
}

int slots_settle(struct slots *s, const struct slots_match *m, const struct sym_key *kek, struct random *rng)
{
	const unsigned other = m->slot ^ 1;
	uint8_t *bytes = sodium_malloc(SLOTS_SLOT);
	struct slots_content content;
	bool opens;
	int r;

	if (bytes == NULL)
		return ERR_NOMEM;
	r = s->disk->ops->read(s->disk, s->file, bytes, SLOTS_SLOT, slot_offset(other));
	opens = r == 0 && slots_unseal(&content, bytes, other, kek, &s->salt) == 0;
	if (r > 0)
		r = SLOTS_TRUNCATED;
	/* The one that counts may be in memory only, after a sync that failed. */
	if (opens)
		r = write_again(s, m->slot);
	if (opens && r == 0)
		r = overwrite_random(s, slot_offset(other), SLOTS_SLOT, rng);
	sodium_memzero(&content, sizeof(content));
	sodium_free(bytes);
	return r;
}

int slots_replace(struct slots *s, struct slots_match *m, const struct sym_key *vk, const struct sym_key *kek,
                  struct random *rng)
{
	struct slots_match next = { m->place, m->slot ^ 1, { m->content.generation + 1, *vk } };
	int r;

	assert(m->content.generation < UINT32_MAX);
	r = seal_into(s, next.slot, &next.content, kek, rng);
	if (r == 0)
		r = overwrite_random(s, slot_offset(m->slot), SLOTS_SLOT, rng);
	if (r == 0)
		*m = next;
	slots_match_wipe(&next);
	return r;
}

int slots_add(struct slots *s, unsigned place, const struct sym_key *kek, struct slots_match *out,
              struct random *rng)
{
	struct slots_match m = { place, 2 * place, { .generation = 1 } };
	int r;

	assert(place < s->places);
	random_bytes(rng, m.content.vk.b, sizeof(m.content.vk.b));
	r = overwrite_random(s, slot_offset(m.slot ^ 1), SLOTS_SLOT, rng);
	if (r == 0)
		r = seal_into(s, m.slot, &m.content, kek, rng);
	if (r == 0)
		*out = m;
	slots_match_wipe(&m);
	return r;
}

int slots_wipe(struct slots *s, unsigned slot, struct random *rng)
{
	int stripes, block, other;

	assert(slot < 2 * s->places);
	/* Each is tried, whatever became of the one before: stripes or block gone is enough. */
	stripes = overwrite_random(s, slot_offset(slot), SLOTS_SPLIT, rng);
	block = overwrite_random(s, slot_offset(slot) + SLOTS_SPLIT, SLOTS_BLOCK, rng);
	other = overwrite_random(s, slot_offset(slot ^ 1), SLOTS_SLOT, rng);
	if (stripes != 0)
		return stripes;
	return block != 0 ? block : other;
}
