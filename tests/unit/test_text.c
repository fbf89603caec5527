#include "node/core/text.h"

#include <sodium.h>

#include "node/crypto/random.h"
#include "tests/unit/unit.h"

static uint8_t buf[TEXT_HEAD_MAX + TEXT_MAX];

/* --- What is refused, and what nearly would be --- */

static size_t from_hex(uint8_t *out, size_t cap, const char *hex)
{
	size_t len;

	assert_int_equal(sodium_hex2bin(out, cap, hex, strlen(hex), " ", &len, NULL), 0);
	return len;
}

static int decode_hex(const char *hex)
{
	uint8_t bytes[512];
	struct text t;

	return text_decode(&t, span_from(bytes, from_hex(bytes, sizeof(bytes), hex)));
}

/* HASH: 32 bytes. WITH: a text with a value under an unknown key. CONTENT: a text of one message. */
#define HASH                 "0000000000000000000000000000000000000000000000000000000000000000"
#define WITH(value)          "a4 0000 0200 0381a3000001000460 05" value
#define CONTENT(kind, value) "a3 0000 0200 0381a300" kind "010004" value

static const struct {
	const char *what, *hex;
	int want;
} rows[] = {
	{ "the smallest", "a3 0000 0200 0381a3000001000460", 0 },
	{ "with a previous hash", "a4 0000 015820" HASH " 0200 0381a3000001000460", 0 },
	{ "nothing", "", TEXT_REFUSED },
	{ "an array", "83 00 00 00", TEXT_REFUSED },
	{ "a byte left over", "a3 0000 0200 0381a3000001000460 00", TEXT_REFUSED },
	{ "cut short", "a3 0000 0200 0381a30000010004", TEXT_REFUSED },
	{ "no sequence", "a2 0200 0381a3000001000460", TEXT_REFUSED },
	{ "no acknowledgement", "a2 0000 0381a3000001000460", TEXT_REFUSED },
	{ "no messages", "a2 0000 0200", TEXT_REFUSED },
	{ "no message", "a3 0000 0200 0380", TEXT_REFUSED },
	{ "one message fewer than said", "a3 0000 0200 0382a3000001000460", TEXT_REFUSED },
	{ "513 messages", "a3 0000 0200 03990201", TEXT_REFUSED },
	{ "sequence is negative", "a3 0020 0200 0381a3000001000460", TEXT_REFUSED },
	{ "sequence is a string", "a3 0060 0200 0381a3000001000460", TEXT_REFUSED },
	{ "a hash of 31 bytes",
	  "a4 0000 01581f00000000000000000000000000000000000000000000000000000000000000 0200 "
	  "0381a3000001000460",
	  TEXT_REFUSED },
	{ "a hash as a string", "a4 0000 017820" HASH " 0200 0381a3000001000460", TEXT_REFUSED },
	{ "keys descend", "a3 0200 0000 0381a3000001000460", TEXT_REFUSED },
	{ "a key twice", "a4 0000 0000 0200 0381a3000001000460", TEXT_REFUSED },
	{ "a long key", "a3 180000 0200 0381a3000001000460", TEXT_REFUSED },
	{ "sequence in two bytes", "a3 001817 0200 0381a3000001000460", TEXT_REFUSED },
	{ "sequence 24 in two bytes", "a3 001818 0200 0381a3000001000460", 0 },
	{ "sequence in three", "a3 001900ff 0200 0381a3000001000460", TEXT_REFUSED },
	{ "sequence in five", "a3 001a0000ffff 0200 0381a3000001000460", TEXT_REFUSED },
	{ "sequence in nine", "a3 001b00000000ffffffff 0200 0381a3000001000460", TEXT_REFUSED },
	{ "sequence 2^32", "a3 001b0000000100000000 0200 0381a3000001000460", 0 },
	{ "indefinite map", "bf 0000 0200 0381a3000001000460 ff", TEXT_REFUSED },
	{ "indefinite array", "a3 0000 0200 039fa3000001000460ff", TEXT_REFUSED },
	{ "indefinite string", "a3 0000 0200 0381a300000100047f6161ff", TEXT_REFUSED },
	{ "indefinite bytes", "a3 0000 0200 0381a300010100045f4161ff", TEXT_REFUSED },
	{ "long array head", "a3 0000 0200 039801a3000001000460", TEXT_REFUSED },
	{ "long map head", "b803 0000 0200 0381a3000001000460", TEXT_REFUSED },
	{ "long string head", "a3 0000 0200 0381a300000100047800", TEXT_REFUSED },
	{ "a map of 2^63 pairs", "bb8000000000000000 0000 0200 0381a3000001000460", TEXT_REFUSED },
	{ "a string of 2^64 - 1", "a3 0000 0200 0381a300000100047bffffffffffffffff", TEXT_REFUSED },

	{ "message: no kind", "a3 0000 0200 0381a201000460", TEXT_REFUSED },
	{ "message: no time", "a3 0000 0200 0381a200000460", TEXT_REFUSED },
	{ "message: no content", "a3 0000 0200 0381a200000100", TEXT_REFUSED },
	{ "message: all keys", "a3 0000 0200 0381a5 0000 0100 0201 0302 0460", 0 },
	{ "message: unknown key", "a3 0000 0200 0381a4 0000 0100 0460 0580", 0 },
	{ "message: negative kind", CONTENT("20", "60"), TEXT_REFUSED },
	{ "message: not a map", "a3 0000 0200 038100", TEXT_REFUSED },

	{ "words", CONTENT("00", "63 e282ac"), 0 },
	{ "words not in UTF-8", CONTENT("00", "62 c3 28"), TEXT_REFUSED },
	{ "words, a bad byte among the first eight", CONTENT("00", "6a 61616161616161ff6161"), TEXT_REFUSED },
	{ "words, a bad byte after eight", CONTENT("00", "6a 616161616161616161ff"), TEXT_REFUSED },
	{ "words, cut short after eight", CONTENT("00", "69 6161616161616161c3"), TEXT_REFUSED },
	{ "words, a sign after eight", CONTENT("00", "6a 6161616161616161c3a9"), 0 },
	{ "words as bytes", CONTENT("00", "40"), TEXT_REFUSED },
	{ "check", CONTENT("01", "42 c328"), 0 },
	{ "check as words", CONTENT("01", "60"), TEXT_REFUSED },
	{ "card", CONTENT("02", "a1 00 82 01 6161"), 0 },
	{ "card as an array", CONTENT("02", "80"), TEXT_REFUSED },
	{ "card with keys that descend", CONTENT("02", "a2 0100 0000"), TEXT_REFUSED },
	{ "card cut short", CONTENT("02", "a1 00"), TEXT_REFUSED },
	{ "unknown kind", CONTENT("1903e8", "83 01 f6 a0"), 0 },
	{ "unknown kind, long head", CONTENT("1903e8", "81 1801"), TEXT_REFUSED },

	{ "skipped: negative number", WITH("3903e7"), 0 },
	{ "skipped: negative, long head", WITH("3900ff"), TEXT_REFUSED },
	{ "skipped: string not in UTF-8", WITH("61ff"), TEXT_REFUSED },
	{ "skipped: true, null", WITH("82f5f6"), 0 },
	{ "skipped: a break", WITH("ff"), TEXT_REFUSED },
	{ "skipped: simple value in two bytes", WITH("f814"), TEXT_REFUSED },
	{ "skipped: reserved head", WITH("1c"), TEXT_REFUSED },
	{ "skipped: tag", WITH("c100"), 0 },
	{ "skipped: tag, long head", WITH("d80100"), TEXT_REFUSED },
	{ "skipped: tag before nothing", WITH("c1"), TEXT_REFUSED },
	{ "skipped: bignum", WITH("c249010000000000000000"), 0 },
	{ "skipped: bignum that is none", WITH("c24801000000000000 00"), TEXT_REFUSED },
	{ "skipped: bignum with a zero", WITH("c2490001000000000000 00"), TEXT_REFUSED },
	{ "skipped: bignum as a string", WITH("c269616161616161616161"), TEXT_REFUSED },
	{ "skipped: half", WITH("f93c00"), 0 },
	{ "skipped: 1.0 in five bytes", WITH("fa3f800000"), TEXT_REFUSED },
	{ "skipped: 1.0 in nine bytes", WITH("fb3ff0000000000000"), TEXT_REFUSED },
	{ "skipped: 0.1 in nine bytes", WITH("fb3fb999999999999a"), 0 },
	{ "skipped: 2^-24 in five bytes", WITH("fa33800000"), TEXT_REFUSED },
	{ "skipped: 2^-25 in five bytes", WITH("fa33000000"), 0 },
	{ "skipped: 2^-15 + 2^-25 in five bytes", WITH("fa38002000"), 0 },
	{ "skipped: 65504 in five bytes", WITH("fa477fe000"), TEXT_REFUSED },
	{ "skipped: 65536 in five bytes", WITH("fa47800000"), 0 },
	{ "skipped: 2^-149 in nine bytes", WITH("fb36a0000000000000"), TEXT_REFUSED },
	{ "skipped: 2^-150 in nine bytes", WITH("fb3690000000000000"), 0 },
	{ "skipped: 1e300", WITH("fb7e37e43c8800759c"), 0 },
	{ "skipped: zero in five bytes", WITH("fa00000000"), TEXT_REFUSED },
	{ "skipped: infinity", WITH("f97c00"), 0 },
	{ "skipped: infinity in five bytes", WITH("fa7f800000"), TEXT_REFUSED },
	{ "skipped: infinity in nine bytes", WITH("fb7ff0000000000000"), TEXT_REFUSED },
	{ "skipped: NaN", WITH("f97e00"), 0 },
	{ "skipped: another NaN", WITH("f97e01"), TEXT_REFUSED },
	{ "skipped: a NaN with a sign", WITH("f9fe00"), TEXT_REFUSED },
	{ "skipped: NaN in five bytes", WITH("fa7fc00000"), TEXT_REFUSED },
	{ "skipped: map, descending", WITH("a2 2000 0100"), TEXT_REFUSED },
	{ "skipped: map, all right", WITH("a4 0100 2000 616100 810000"), 0 },
	{ "skipped: map, a key twice", WITH("a2 616100 616100"), TEXT_REFUSED },
	{ "skipped: map, long before short", WITH("a2 62616100 616200"), TEXT_REFUSED },
	{ "skipped: map, by bytes", WITH("a2 181800 2000"), 0 },
	{ "skipped: map, a value missing", WITH("a1 00"), TEXT_REFUSED },
	{ "a key that is a string", "a4 0000 0200 0381a3000001000460 6161 00", 0 },
	{ "a key that is a map", "a4 0000 0200 0381a3000001000460 a10000 00", 0 },
	{ "16 arrays deep", WITH("81818181818181818181818181818181 00"), 0 },
	{ "17 arrays deep", WITH("8181818181818181818181818181818181 00"), TEXT_REFUSED },
	{ "17 tags deep", WITH("c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1 00"), TEXT_REFUSED },
	{ "17 maps deep",
	  CONTENT("02", "a100a100a100a100a100a100a100a100a100a100a100a100a100a100a100a100a100 00"),
	  TEXT_REFUSED },
};

static void only_the_one_encoding_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (decode_hex(rows[i].hex) != rows[i].want)
			fail_msg("%s: %s", rows[i].what, rows[i].want == 0 ? "refused" : "accepted");
	}
}

/* --- Written and read again --- */

static struct span random_words(struct random *rng, uint8_t *out, size_t cap)
{
	const size_t len = random_below(rng, (uint32_t)cap);

	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(' ' + random_below(rng, 90));
	return span_from(out, len);
}

static uint64_t random_number(struct random *rng)
{
	uint64_t x;

	random_bytes(rng, &x, sizeof(x));
	return x >> random_below(rng, 64);
}

static void random_message(struct random *rng, struct text_message *m, uint8_t *out, size_t cap)
{
	static const uint8_t card[] = { 0xa1, 0x00, 0x41, 0x07 };

	*m = (struct text_message){ .kind = random_below(rng, 4), .claimed = random_number(rng) };
	m->has_not_before = random_below(rng, 3) == 0;
	m->not_before = m->has_not_before ? random_number(rng) : 0;
	m->has_drop_after = random_below(rng, 3) == 0;
	m->drop_after = m->has_drop_after ? random_number(rng) : 0;
	m->content = m->kind < TEXT_CARD ? random_words(rng, out, cap) : SPAN(card);
}

static void random_head(struct random *rng, struct text_head *head)
{
	memset(head, 0, sizeof(*head));
	head->sequence = random_number(rng);
	head->acknowledged = random_number(rng);
	head->has_previous = random_below(rng, 2) == 0;
	if (head->has_previous)
		random_bytes(rng, head->previous.b, sizeof(head->previous.b));
}

static void same_message(const struct text_message *got, const struct text_message *want)
{
	assert_int_equal(got->kind, want->kind);
	assert_int_equal(got->claimed, want->claimed);
	assert_int_equal(got->has_not_before, want->has_not_before);
	assert_int_equal(got->has_drop_after, want->has_drop_after);
	assert_int_equal(got->not_before, want->not_before);
	assert_int_equal(got->drop_after, want->drop_after);
	assert_true(span_equal(got->content, want->content));
}

/* Fills a text of at most limit bytes until a message does not fit, and reads it. Returns how many went in.
 */
static unsigned there_and_back(struct random *rng, size_t limit, size_t words_max)
{
	static uint8_t words[TEXT_MESSAGES_MAX + 1][512];
	static struct text_message in[TEXT_MESSAGES_MAX + 1];
	struct text_head head;
	struct text_message out;
	struct text_writer w;
	struct span bytes;
	struct text t;
	unsigned n = 0;

	random_head(rng, &head);
	text_begin(&w, buf, limit, &head);
	do
		random_message(rng, &in[n], words[n], words_max);
	while (text_add(&w, &in[n]) == 0 && ++n);
	assert_int_equal(w.count, n);
	if (n == 0)
		return 0;
	bytes = text_end(&w);
	assert_true(bytes.len <= limit && bytes.len == text_len(&w));
	assert_int_equal(text_decode(&t, bytes), 0);
	assert_int_equal(t.count, n);
	assert_memory_equal(&t.head, &head, sizeof(head));
	for (unsigned i = 0; i < n; i++) {
		assert_true(text_next(&t, &out));
		same_message(&out, &in[i]);
	}
	assert_false(text_next(&t, &out));
	return n;
}

static void what_is_written_is_read(void **state)
{
	struct random_seeded rng;
	bool sizes[TEXT_MESSAGES_MAX + 1] = { false };

	(void)state;
	random_seeded_init(&rng, 1);
	for (unsigned i = 0; i < 2000; i++)
		sizes[there_and_back(&rng.base, 100 + random_below(&rng.base, 4000), 40)] = true;
	for (unsigned n = 10; n < 40; n++)
		assert_true(sizes[n]); /* the array's head grows at 24 */
	assert_int_equal(there_and_back(&rng.base, TEXT_MAX, 20), TEXT_MESSAGES_MAX);
	assert_in_range(there_and_back(&rng.base, TEXT_MAX, 512), 257, 511);
}

/* The last byte of the limit is used, whatever the head of the array takes. */
static void a_limit_is_reached_exactly(void **state)
{
	static const unsigned counts[] = { 1, 23, 24, 255, 256, 512 };
	const struct text_message m = { .content = { (const uint8_t *)"hello", 5 } };
	const struct text_head head = { 0 };
	struct text_writer w;
	struct text t;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		const unsigned n = counts[i];
		const size_t len = 1 + 2 + 2 + 1 + (n < 24 ? 1 : n < 256 ? 2 : 3) + n * 12;

		for (size_t limit = len - 1; limit <= len; limit++) {
			text_begin(&w, buf, limit, &head);
			for (unsigned k = 1; k < n; k++)
				assert_int_equal(text_add(&w, &m), 0);
			assert_int_equal(text_add(&w, &m), limit == len ? 0 : TEXT_FULL);
		}
		assert_int_equal(text_end(&w).len, len);
	}
	assert_int_equal(text_decode(&t, text_end(&w)), 0);
	/* The 513th is too many, though there is room. */
	text_begin(&w, buf, TEXT_MAX, &head);
	for (unsigned k = 0; k < TEXT_MESSAGES_MAX; k++)
		assert_int_equal(text_add(&w, &m), 0);
	assert_int_equal(text_add(&w, &m), TEXT_FULL);
	text_end(&w);
	buf[TEXT_HEAD_MAX - 1]++;                              /* the array's head says 513, */
	memcpy(buf + w.messages.len, buf + TEXT_HEAD_MAX, 12); /* which there are */
	assert_int_equal(text_decode(&t, span_from(buf + TEXT_HEAD_MAX - 9, 9 + 513 * 12)), TEXT_REFUSED);
}

static void content_is_what_its_kind_demands(void **state)
{
	static const struct {
		uint64_t kind;
		const char *content;
		int want;
	} contents[] = { { 0, "41c3a9", 0 },      { 0, "ff", TEXT_REFUSED },   { 1, "ff", 0 },
		         { 2, "a0", 0 },          { 2, "80", TEXT_REFUSED },   { 2, "a0a0", TEXT_REFUSED },
		         { 2, "", TEXT_REFUSED }, { 9, "1801", TEXT_REFUSED }, { 9, "1818", 0 } };
	const struct text_head head = { 0 };
	struct text_writer w;
	uint8_t bytes[8];

	(void)state;
	text_begin(&w, buf, TEXT_MAX, &head);
	for (size_t i = 0; i < COUNT_OF(contents); i++) {
		struct text_message m = { .kind = contents[i].kind };

		m.content = span_from(bytes, from_hex(bytes, sizeof(bytes), contents[i].content));
		assert_int_equal(text_add(&w, &m), contents[i].want);
	}
}

/* What is longer than the largest envelope holds is refused without being looked at. */
static void a_text_fits_an_envelope(void **state)
{
	static uint8_t words[TEXT_MAX], longer[TEXT_MAX + 1];
	const struct text_head head = { 0 };
	struct text_message m = { .content = { words, TEXT_MAX - 15 } };
	struct text_writer w;
	struct text t;
	struct span bytes;

	(void)state;
	memset(words, 'x', sizeof(words));
	text_begin(&w, buf, TEXT_MAX, &head);
	assert_int_equal(text_add(&w, &m), TEXT_FULL);
	m.content.len--; /* 7 bytes before the message, 9 before its content */
	assert_int_equal(text_add(&w, &m), 0);
	bytes = text_end(&w);
	assert_int_equal(bytes.len, TEXT_MAX);
	assert_int_equal(text_decode(&t, bytes), 0);
	memcpy(longer, bytes.p, bytes.len); /* and one byte more */
	longer[14] = (uint8_t)((m.content.len + 1) >> 8);
	longer[15] = (uint8_t)(m.content.len + 1);
	longer[TEXT_MAX] = 'x';
	assert_int_equal(text_decode(&t, SPAN(longer)), TEXT_REFUSED);
}

/* Nothing that comes from outside may do more than be refused: texts with a byte changed, and cut ones. */
static void damaged_texts_are_harmless(void **state)
{
	struct random_seeded rng;
	struct text_head head;
	struct text_message m;
	struct text_writer w;
	struct text t;
	struct span bytes;
	uint8_t words[64], copy[400];
	unsigned n = 0;

	(void)state;
	random_seeded_init(&rng, 2);
	random_head(&rng.base, &head);
	text_begin(&w, buf, sizeof(copy), &head);
	do
		random_message(&rng.base, &m, words, sizeof(words));
	while (text_add(&w, &m) == 0 && ++n);
	bytes = text_end(&w);
	for (unsigned i = 0; i < 100000; i++) {
		const size_t len = i % 8 == 0 ? random_below(&rng.base, (uint32_t)bytes.len) : bytes.len;

		memcpy(copy, bytes.p, len);
		if (i % 8 != 0)
			copy[random_below(&rng.base, (uint32_t)len)] = (uint8_t)random_below(&rng.base, 256);
		if (text_decode(&t, span_from(copy, len)) != 0)
			continue;
		assert_int_equal(len, bytes.len);
		while (text_next(&t, &m))
			assert_true(m.content.len <= len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_one_encoding_is_read),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_limit_is_reached_exactly),
		cmocka_unit_test(content_is_what_its_kind_demands),
		cmocka_unit_test(a_text_fits_an_envelope),
		cmocka_unit_test(damaged_texts_are_harmless),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
