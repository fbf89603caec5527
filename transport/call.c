#include "transport/call.h"

#include "node/crypto/kdf.h"

/*
 * The mDNS form (PROTOCOL section 4), big-endian:
 *
 *     0  +2 id 0 | 2 +2 flags 0 | 4 +2 questions, 8 or 24 | 6 +6 no records
 *     then for each question, 48 bytes:
 *     0  +1 36 | 1 +36 UUID, lower case | 37 +1 5 | 38 +5 "local" | 43 +1 0 | 44 +2 A | 46 +2 IN
 *
 * The direct form is the 16 places of 16 bytes, one after the other.
 *
 * A Bluetooth advertisement (PROTOCOL section 9), 26 bytes:
 *
 *     0  +16 the entry | 16 +10 n; the last 6 bytes of n are zeros
 *
 * An entry is T(8) ‖ Q(8). A version-4 UUID fixes four bits of byte 6, which is in T, and two of byte 8, the
 * first of Q: in the mDNS form they are left out when T and Q are compared. T and Q are compared as
 * integers, since a comparison that stops early would tell a prober how far it got.
 */
enum { HEAD_LEN = 12, QUESTION_LEN = 48, UUID_LEN = 36 };

static_assert(CALL_SMALL_LEN == HEAD_LEN + CALL_SMALL * QUESTION_LEN, "small call");
static_assert(CALL_LARGE_LEN == HEAD_LEN + CALL_LARGE * QUESTION_LEN, "large call");
static_assert(CALL_DIRECT_LEN == CALL_DIRECT * 16, "direct call");

static const uint8_t question_tail[] = { 5, 'l', 'o', 'c', 'a', 'l', 0, 0, 1, 0, 1 };

static_assert(ADVERT_LEN == 16 + CALL_ADVERT_NONCE, "advertisement");

/* As load_u64() sees them: the bits of T and Q that a UUID leaves to us. */
static const uint64_t tag_mask = ~(UINT64_C(0xf0) << 48), fresh_mask = ~UINT64_C(0xc0);

static void uuid_fix(uint8_t uuid[static 16])
{
	uuid[6] = (uuid[6] & 0x0f) | 0x40;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
}

static uint64_t tag(const struct sym_key *key, const uint8_t n[static 16])
{
	uint8_t t[16];

	b2(t, sizeof(t), "fl1:tag", KEY_SPAN(key), span_from(n, 16));
	return load_u64(t);
}

static uint64_t fresh(const struct sym_key *key, const uint8_t n[static 16], const struct call_proof *proof)
{
	uint8_t data[16 + sizeof(proof->b)], q[16];

	memcpy(data, n, 16);
	memcpy(data + 16, proof->b, proof->len);
	b2(q, sizeof(q), "fl1:fresh", KEY_SPAN(key), span_from(data, 16u + proof->len));
	return load_u64(q);
}

/* PROTOCOL section 9: over Bluetooth the source is 16 zeros, since addresses of devices change there. */
static void source_put(uint8_t out[static 16], const struct address *source)
{
	if (!address_is_bluetooth(source))
		memcpy(out, source->ip, sizeof(source->ip));
}

static struct call_proof proof_unit(enum call_kind kind, uint32_t unit, const struct address *source)
{
	struct call_proof proof = { .len = 1 + 4 + 16, .b = { (uint8_t)kind } };

	store_u32(proof.b + 1, unit);
	source_put(proof.b + 5, source);
	return proof;
}

struct call_proof call_proof_clock(enum call_kind kind, uint64_t clock_s, const struct address *source)
{
	return proof_unit(kind, (uint32_t)(clock_s / CALL_UNIT_S), source);
}

struct call_proof call_proof_answer(const struct nonce16 *n_call, const struct address *source)
{
	struct call_proof proof = { .len = 1 + 16 + 16, .b = { CALL_KIND_ANSWER } };

	memcpy(proof.b + 1, n_call->b, sizeof(n_call->b));
	source_put(proof.b + 17, source);
	return proof;
}

static void entry_put(uint8_t place[static 16], const struct call_entry *entry, const uint8_t n[static 16])
{
	store_u64(place, tag(entry->key, n));
	store_u64(place + 8, fresh(entry->key, n, &entry->proof));
}

/* Random places without a double: the first n of a shuffle. */
static void entries_place(struct call *c, const struct call_entry *entries, size_t n, struct random *rng)
{
	uint8_t free_places[CALL_PLACES_MAX];
	size_t left = c->count - 1;

	for (size_t i = 0; i < left; i++)
		free_places[i] = (uint8_t)(i + 1);
	for (size_t i = 0; i < n; i++) {
		const uint32_t pick = random_below(rng, (uint32_t)left);

		entry_put(c->place[free_places[pick]], &entries[i], c->place[0]);
		free_places[pick] = free_places[--left];
	}
}

void call_make(struct call *out, enum call_shape shape, const struct call_entry *entries, size_t n,
               struct random *rng)
{
	*out = (struct call){ .shape = shape, .count = (size_t)shape };
	assert(n < out->count);
	random_bytes(rng, out->place, out->count * 16);
	if (shape != CALL_DIRECT)
		uuid_fix(out->place[0]); /* n is the bytes after that */
	entries_place(out, entries, n, rng);
	for (size_t i = 1; shape != CALL_DIRECT && i < out->count; i++)
		uuid_fix(out->place[i]);
}

static bool hyphen_follows(size_t byte)
{
	return byte == 3 || byte == 5 || byte == 7 || byte == 9;
}

static void uuid_write(struct writer *w, const uint8_t uuid[static 16])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < 16; i++) {
		writer_u8(w, (uint8_t)digits[uuid[i] >> 4]);
		writer_u8(w, (uint8_t)digits[uuid[i] & 15]);
		if (hyphen_follows(i))
			writer_u8(w, '-');
	}
}

void call_write(struct writer *w, const struct call *c)
{
	if (c->shape == CALL_DIRECT) {
		writer_bytes(w, c->place, c->count * 16);
		return;
	}
	writer_zeros(w, 4);
	writer_u16_be(w, (uint16_t)c->count);
	writer_zeros(w, 6);
	for (size_t i = 0; i < c->count; i++) {
		writer_u8(w, UUID_LEN);
		uuid_write(w, c->place[i]);
		writer_span(w, SPAN(question_tail));
	}
}

/* The value of a digit, and one; 0: none. A flood of calls is read at 10,000 a second. */
static const uint8_t digit_of[256] = {
	['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
	['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

static bool question_read(uint8_t out[static 16], struct span q)
{
	uint8_t fixed[16];
	size_t at = 0;

	if (q.len != QUESTION_LEN || q.p[at++] != UUID_LEN)
		return false;
	for (size_t i = 0; i < 16; i++) {
		const uint8_t high = digit_of[q.p[at]], low = digit_of[q.p[at + 1]];

		if (high == 0 || low == 0)
			return false;
		out[i] = (uint8_t)((high - 1) << 4 | (low - 1));
		at += 2;
		if (hyphen_follows(i) && q.p[at++] != '-')
			return false;
	}
	memcpy(fixed, out, 16);
	uuid_fix(fixed); /* a version-4 UUID */
	return memcmp(fixed, out, 16) == 0 && memcmp(&q.p[at], question_tail, sizeof(question_tail)) == 0;
}

int call_read(struct call *out, struct span datagram)
{
	static const uint8_t zeros[6];
	struct reader r = reader_from(datagram);
	struct call c = { .shape = datagram.len == CALL_SMALL_LEN ? CALL_SMALL : CALL_LARGE };

	if (datagram.len != CALL_SMALL_LEN && datagram.len != CALL_LARGE_LEN)
		return CALL_REFUSED;
	c.count = (size_t)c.shape;
	reader_expect(&r, span_from(zeros, 4));
	if (reader_u16_be(&r) != c.count)
		return CALL_REFUSED;
	reader_expect(&r, span_from(zeros, 6));
	for (size_t i = 0; i < c.count; i++)
		if (!question_read(c.place[i], reader_span(&r, QUESTION_LEN)))
			return CALL_REFUSED;
	if (!reader_done(&r))
		return CALL_REFUSED;
	*out = c;
	return 0;
}

int call_read_direct(struct call *out, struct span datagram)
{
	if (datagram.len != CALL_DIRECT_LEN)
		return CALL_REFUSED;
	*out = (struct call){ .shape = CALL_DIRECT, .count = CALL_DIRECT };
	memcpy(out->place, datagram.p, datagram.len);
	return 0;
}

void call_advert_make(struct call *out, const struct call_entry *entry, struct random *rng)
{
	*out = (struct call){ .shape = CALL_DIRECT, .count = 2 };
	random_bytes(rng, out->place[0], CALL_ADVERT_NONCE);
	entry_put(out->place[1], entry, out->place[0]);
}

void call_advert_write(struct writer *w, const struct call *c)
{
	writer_bytes(w, c->place[1], 16);
	writer_bytes(w, c->place[0], CALL_ADVERT_NONCE);
}

int call_advert_read(struct call *out, struct span bytes)
{
	if (bytes.len != ADVERT_LEN)
		return CALL_REFUSED;
	*out = (struct call){ .shape = CALL_DIRECT, .count = 2 };
	memcpy(out->place[1], bytes.p, 16);
	memcpy(out->place[0], bytes.p + 16, CALL_ADVERT_NONCE);
	return 0;
}

uint8_t call_psm(const struct sym_key *key, const struct nonce16 *n)
{
	uint8_t out[16];

	b2(out, sizeof(out), "fl1:psm", KEY_SPAN(key), SPAN(n->b));
	return (uint8_t)(0x80 + (load_u16(out) & 0x7f));
}

const struct nonce16 *call_nonce(const struct call *c)
{
	return (const struct nonce16 *)(const void *)c->place[0];
}

int call_find(const struct call *c, const struct sym_key *key)
{
	const uint64_t mask = c->shape == CALL_DIRECT ? UINT64_MAX : tag_mask;
	const uint64_t want = tag(key, c->place[0]) & mask;

	for (size_t i = 1; i < c->count; i++)
		if ((load_u64(c->place[i]) & mask) == want)
			return (int)i;
	return -1;
}

bool call_is_live(const struct call *c, int place, const struct sym_key *key, const struct call_proof *proof)
{
	const uint64_t mask = c->shape == CALL_DIRECT ? UINT64_MAX : fresh_mask;

	assert(place >= 1 && (size_t)place < c->count);
	return ((load_u64(c->place[place] + 8) ^ fresh(key, c->place[0], proof)) & mask) == 0;
}

/* The unit of clock + offset; -1 where that is before 1970 or beyond what a proof can say. */
static int64_t unit_of(uint64_t clock_s, int64_t offset_s)
{
	int64_t s;

	if (clock_s > INT64_MAX || __builtin_add_overflow((int64_t)clock_s, offset_s, &s) || s < 0)
		return -1;
	return s / CALL_UNIT_S <= UINT32_MAX ? s / CALL_UNIT_S : -1;
}

bool call_is_live_by_clock(const struct call *c, int place, const struct sym_key *key, enum call_kind kind,
                           const struct address *source, uint64_t clock_s, int64_t offset_s)
{
	const int64_t unit = unit_of(clock_s, offset_s);

	if (unit < 0)
		return false;
	for (int64_t u = unit - CALL_UNITS_EITHER; u <= unit + CALL_UNITS_EITHER; u++) {
		const struct call_proof proof = proof_unit(kind, (uint32_t)u, source);

		if (u >= 0 && u <= UINT32_MAX && call_is_live(c, place, key, &proof))
			return true;
	}
	return false;
}

void call_search_init(struct call_search *out, const struct call *c, int place, enum call_kind kind,
                      const struct address *source, uint64_t clock_s)
{
	const uint64_t unit = clock_s / CALL_UNIT_S;

	assert(place >= 1 && (size_t)place < c->count);
	*out = (struct call_search){
		.q = load_u64(c->place[place] + 8),
		.q_mask = c->shape == CALL_DIRECT ? UINT64_MAX : fresh_mask,
		.kind = kind,
		.source = *source,
		.around = (uint32_t)MIN(unit, (uint64_t)UINT32_MAX),
	};
	memcpy(out->n, c->place[0], sizeof(out->n));
}

static bool search_fits(const struct call_search *s, const struct sym_key *key, int64_t unit)
{
	struct call_proof proof;

	if (unit < 0 || unit > UINT32_MAX)
		return false;
	proof = proof_unit(s->kind, (uint32_t)unit, &s->source);
	return ((s->q ^ fresh(key, s->n, &proof)) & s->q_mask) == 0;
}

int call_search_step(uint64_t *clock_s, struct call_search *s, const struct sym_key *key, unsigned distances)
{
	for (; distances > 0 && s->distance <= CALL_SEARCH_UNITS; distances--, s->distance++) {
		const int64_t later = (int64_t)s->around + s->distance;
		const int64_t earlier = (int64_t)s->around - s->distance;
		const bool fits_later = search_fits(s, key, later);

		if (!fits_later && !search_fits(s, key, earlier))
			continue;
		*clock_s = (uint64_t)(fits_later ? later : earlier) * CALL_UNIT_S;
		return 0;
	}
	return s->distance <= CALL_SEARCH_UNITS ? CALL_SEARCH_MORE : CALL_SEARCH_NOTHING;
}

/* The dynamic ports, 49152 to 65535. */
static uint16_t port_from(const uint8_t b[static 2])
{
	return (uint16_t)(49152 + (load_u16(b) & 0x3fff));
}

uint16_t call_port(const struct sym_key *key, const struct nonce16 *n_call, const struct nonce16 *n_answer)
{
	uint8_t data[32], out[16];

	memcpy(data, n_call->b, 16);
	memcpy(data + 16, n_answer->b, 16);
	b2(out, sizeof(out), "fl1:port", KEY_SPAN(key), SPAN(data));
	return port_from(out);
}

struct call_meet call_meet(const struct link_secret *anchor, uint32_t unit)
{
	uint8_t data[4], h[16];

	store_u32(data, unit);
	b2(h, sizeof(h), "fl1:meet", KEY_SPAN(anchor), SPAN(data));
	return (struct call_meet){ .port = port_from(h), .slot = load_u16(h + 2) % CALL_MEET_SLOTS };
}
