#include "node/core/text.h"

#include <cbor.h>
#include <float.h>
#include <math.h>
#include <sodium.h>

#include "node/base/utf8.h"

/*
 * text = map: 0 sequence, 1 BLAKE2b-256 of the text before (absent in the first), 2 acknowledged, 3 array of
 * 1 to 512 messages message = map: 0 kind, 1 claimed time, 2 not-before, 3 drop-after (2 and 3 may be
 * absent), 4 content
 *
 * in deterministic CBOR (RFC 8949, 4.2.1): shortest heads and floats, definite lengths, keys ascending by
 * their bytes, none twice. Keys that are not named here are skipped, but held to the same rules.
 *
 * The head of the array says how many messages follow, and its own length depends on that. So the writer puts
 * the messages behind room for the longest head, and in the end sets the head close before them.
 */
enum {
	KEY_SEQUENCE = 0,
	KEY_PREVIOUS = 1,
	KEY_ACKNOWLEDGED = 2,
	KEY_MESSAGES = 3,

	KEY_KIND = 0,
	KEY_CLAIMED = 1,
	KEY_NOT_BEFORE = 2,
	KEY_DROP_AFTER = 3,
	KEY_CONTENT = 4,

	KEY_OTHER = 5 /* any that has no name */
};
enum { CBOR_HEAD_MAX = 9, HASH_HEAD_LEN = 2 };
enum { TAG_BIGNUM = 2, TAG_BIGNUM_NEGATIVE = 3 };

/* map, four keys of a byte, two numbers, the hash, the array of up to 512. */
static_assert(1 + 4 + 2 * CBOR_HEAD_MAX + HASH_HEAD_LEN + 32 + 3 == TEXT_HEAD_MAX,
              "room for the longest head");

void text_hash(struct hash32 *out, struct span text)
{
	crypto_generichash(out->b, sizeof(out->b), text.p, text.len, NULL, 0);
}

/* How long the shortest head with this number in it is. */
static size_t head_len(uint64_t value)
{
	if (value < 24)
		return 1;
	if (value <= UINT8_MAX)
		return 2;
	if (value <= UINT16_MAX)
		return 3;
	return value <= UINT32_MAX ? 5 : CBOR_HEAD_MAX;
}

/* --- Items, as libcbor sees them --- */

enum item_type {
	ITEM_NONE,
	ITEM_UINT,
	ITEM_NEGINT,
	ITEM_BYTES,
	ITEM_STRING,
	ITEM_ARRAY,
	ITEM_MAP,
	ITEM_TAG,
	ITEM_SIMPLE,
	ITEM_FLOAT,
	ITEM_INDEFINITE
};

struct item {
	enum item_type type;
	uint64_t value;    /* the number, length, count or tag */
	double number;     /* of a float */
	struct span bytes; /* of ITEM_BYTES and ITEM_STRING */
};

static void seen(void *arg, enum item_type type, uint64_t value)
{
	struct item *item = arg;

	item->type = type;
	item->value = value;
}

#define ON_NUMBER(name, type, item)                                                                          \
	static void name(void *arg, type value)                                                              \
	{                                                                                                    \
		seen(arg, item, value);                                                                      \
	}
ON_NUMBER(on_uint8, uint8_t, ITEM_UINT)
ON_NUMBER(on_uint16, uint16_t, ITEM_UINT)
ON_NUMBER(on_uint32, uint32_t, ITEM_UINT)
ON_NUMBER(on_uint64, uint64_t, ITEM_UINT)
ON_NUMBER(on_negint8, uint8_t, ITEM_NEGINT)
ON_NUMBER(on_negint16, uint16_t, ITEM_NEGINT)
ON_NUMBER(on_negint32, uint32_t, ITEM_NEGINT)
ON_NUMBER(on_negint64, uint64_t, ITEM_NEGINT)
ON_NUMBER(on_array, size_t, ITEM_ARRAY)
ON_NUMBER(on_map, size_t, ITEM_MAP)
ON_NUMBER(on_tag, uint64_t, ITEM_TAG)
#undef ON_NUMBER

static void on_bytes(void *arg, cbor_data data, size_t len)
{
	seen(arg, ITEM_BYTES, len);
	((struct item *)arg)->bytes = span_from(data, len);
}

static void on_string(void *arg, cbor_data data, size_t len)
{
	seen(arg, ITEM_STRING, len);
	((struct item *)arg)->bytes = span_from(data, len);
}

static void on_double(void *arg, double value)
{
	seen(arg, ITEM_FLOAT, 0);
	((struct item *)arg)->number = value;
}

static void on_float(void *arg, float value)
{
	on_double(arg, (double)value);
}

static void on_simple(void *arg)
{
	seen(arg, ITEM_SIMPLE, 0);
}

static void on_bool(void *arg, bool value)
{
	(void)value;
	seen(arg, ITEM_SIMPLE, 0);
}

static void on_indefinite(void *arg)
{
	seen(arg, ITEM_INDEFINITE, 0);
}

static const struct cbor_callbacks callbacks = {
	.uint8 = on_uint8,
	.uint16 = on_uint16,
	.uint32 = on_uint32,
	.uint64 = on_uint64,
	.negint8 = on_negint8,
	.negint16 = on_negint16,
	.negint32 = on_negint32,
	.negint64 = on_negint64,
	.byte_string = on_bytes,
	.byte_string_start = on_indefinite,
	.string = on_string,
	.string_start = on_indefinite,
	.array_start = on_array,
	.indef_array_start = on_indefinite,
	.map_start = on_map,
	.indef_map_start = on_indefinite,
	.tag = on_tag,
	.float2 = on_float,
	.float4 = on_float,
	.float8 = on_double,
	.null = on_simple,
	.undefined = on_simple,
	.boolean = on_bool,
	.indef_break = on_indefinite,
};

/* A half has 11 bits of significand, exponents from -14 to 15, and multiples of 2^-24 below. */
static bool fits_half(double x)
{
	int exponent;
	const double significand =
	        frexp(x, &exponent); /* x = significand * 2^exponent, 0.5 <= |significand| < 1 */
	const double unit = exponent >= -13 ? ldexp(significand, 11) : ldexp(x, 24);

	return isinf(x) || (exponent <= 16 && unit == trunc(unit));
}

static bool fits_single(double x)
{
	return isinf(x) || (fabs(x) <= (double)FLT_MAX && (double)(float)x == x);
}

/* Whether a float of len bytes, its head included, is the shortest for its value; there is one NaN. */
static bool float_shortest(const uint8_t *p, size_t len, double x)
{
	if (isnan(x))
		return len == 3 && p[1] == 0x7e && p[2] == 0x00;
	return len == 3 || (!fits_half(x) && (len == 5 || !fits_single(x)));
}

/* Reads one item: a head, and the bytes of a string. Returns its type, or ITEM_NONE, which fails the reader,
 * where there is none in its deterministic form. */
static enum item_type next_item(struct reader *r, struct item *out)
{
	const uint8_t *p = r->p;
	struct cbor_decoder_result result;
	bool sound;

	*out = (struct item){ ITEM_NONE, 0, 0, SPAN_NONE };
	if (r->failed || r->len == 0) {
		reader_fail(r);
		return ITEM_NONE;
	}
	result = cbor_stream_decode(p, r->len, &callbacks, out);
	sound = result.status == CBOR_DECODER_FINISHED && out->type != ITEM_NONE &&
	        out->type != ITEM_INDEFINITE;
	if (sound && out->type == ITEM_FLOAT)
		sound = float_shortest(p, result.read, out->number);
	else if (sound)
		sound = result.read - out->bytes.len == head_len(out->value);
	if (!sound) {
		reader_fail(r);
		return out->type = ITEM_NONE;
	}
	reader_span(r, result.read);
	return out->type;
}

/* --- Values of any shape --- */

static void skip_value(struct reader *r, unsigned depth);

/* Keys ascend by their bytes. None is the beginning of another, for an item says where it ends. */
static void check_ascending(struct reader *r, struct span *before, struct span key)
{
	const int order = before->len == 0 ? -1 : memcmp(before->p, key.p, MIN(before->len, key.len));

	if (order >= 0)
		reader_fail(r);
	*before = key;
}

static void skip_map(struct reader *r, uint64_t pairs, unsigned depth)
{
	struct span before = SPAN_NONE;

	for (uint64_t i = 0; i < pairs && !r->failed; i++) {
		const uint8_t *start = r->p;

		skip_value(r, depth);
		if (r->failed)
			return;
		check_ascending(r, &before, span_from(start, (size_t)(r->p - start)));
		skip_value(r, depth);
	}
}

/* What a tag stands before. A number that fits into 64 bits has no business in a bignum (RFC 8949, 3.4.3). */
static void skip_tagged(struct reader *r, uint64_t tag, unsigned depth)
{
	struct item item;

	if (tag != TAG_BIGNUM && tag != TAG_BIGNUM_NEGATIVE)
		skip_value(r, depth);
	else if (next_item(r, &item) != ITEM_BYTES || item.bytes.len <= sizeof(uint64_t) ||
	         item.bytes.p[0] == 0)
		reader_fail(r);
}

/* What follows the item, so that the value it begins is complete and sound. */
static void skip_inside(struct reader *r, const struct item *item, unsigned depth)
{
	if (item->type == ITEM_STRING && !utf8_valid(item->bytes))
		reader_fail(r);
	if (item->type != ITEM_ARRAY && item->type != ITEM_MAP && item->type != ITEM_TAG)
		return;
	if (depth == TEXT_NESTING_MAX) {
		reader_fail(r);
		return;
	}
	if (item->type == ITEM_MAP)
		skip_map(r, item->value, depth + 1);
	else if (item->type == ITEM_TAG)
		skip_tagged(r, item->value, depth + 1);
	for (uint64_t i = 0; item->type == ITEM_ARRAY && i < item->value && !r->failed; i++)
		skip_value(r, depth + 1);
}

static void skip_value(struct reader *r, unsigned depth)
{
	struct item item;

	next_item(r, &item);
	skip_inside(r, &item, depth);
}

static uint64_t read_uint(struct reader *r)
{
	struct item item;

	if (next_item(r, &item) != ITEM_UINT)
		reader_fail(r);
	return item.value;
}

/* The key of the next pair: its number, or KEY_OTHER. */
static unsigned read_key(struct reader *r, struct span *before)
{
	const uint8_t *start = r->p;
	struct item item;

	next_item(r, &item);
	skip_inside(r, &item, 0);
	if (r->failed)
		return KEY_OTHER;
	check_ascending(r, before, span_from(start, (size_t)(r->p - start)));
	return item.type == ITEM_UINT && item.value < KEY_OTHER ? (unsigned)item.value : KEY_OTHER;
}

/* --- Reading --- */

/* The content of a message of this kind; checked: it was read before, and its words need no second look. */
static struct span read_content(struct reader *r, uint64_t kind, bool checked)
{
	const uint8_t *start = r->p;
	struct item item;
	const enum item_type type = next_item(r, &item);

	if ((kind == TEXT_WORDS && type != ITEM_STRING) ||
	    (kind == TEXT_PERSON_CHECK && type != ITEM_BYTES) || (kind == TEXT_CARD && type != ITEM_MAP))
		reader_fail(r);
	if (!checked || kind != TEXT_WORDS)
		skip_inside(r, &item, 0);
	if (r->failed)
		return SPAN_NONE;
	return kind <= TEXT_PERSON_CHECK ? item.bytes : span_from(start, (size_t)(r->p - start));
}

static void read_message(struct reader *r, struct text_message *m, bool checked)
{
	const unsigned required = BIT(KEY_KIND) | BIT(KEY_CLAIMED) | BIT(KEY_CONTENT);
	unsigned have = 0, key;
	struct span before = SPAN_NONE;
	struct item map;

	*m = (struct text_message){ 0 };
	if (next_item(r, &map) != ITEM_MAP)
		reader_fail(r);
	for (uint64_t i = 0; i < map.value && !r->failed; i++) {
		key = read_key(r, &before);
		if (key == KEY_KIND)
			m->kind = read_uint(r);
		else if (key == KEY_CLAIMED)
			m->claimed = read_uint(r);
		else if (key == KEY_NOT_BEFORE)
			m->not_before = read_uint(r);
		else if (key == KEY_DROP_AFTER)
			m->drop_after = read_uint(r);
		else if (key == KEY_CONTENT)
			m->content = read_content(r, m->kind, checked); /* the kind came first */
		else
			skip_value(r, 0);
		have |= BIT(key);
	}
	if ((have & required) != required)
		reader_fail(r);
	m->has_not_before = (have & BIT(KEY_NOT_BEFORE)) != 0;
	m->has_drop_after = (have & BIT(KEY_DROP_AFTER)) != 0;
}

static void read_previous(struct reader *r, struct text_head *head)
{
	struct item item;

	if (next_item(r, &item) != ITEM_BYTES || item.bytes.len != sizeof(head->previous.b)) {
		reader_fail(r);
		return;
	}
	memcpy(head->previous.b, item.bytes.p, sizeof(head->previous.b));
	head->has_previous = true;
}

static void read_messages(struct reader *r, struct text *t)
{
	struct text_message unused;
	struct item array;

	if (next_item(r, &array) != ITEM_ARRAY || array.value == 0 || array.value > TEXT_MESSAGES_MAX) {
		reader_fail(r);
		return;
	}
	t->count = (unsigned)array.value;
	t->messages = span_from(r->p, r->len);
	for (unsigned i = 0; i < t->count && !r->failed; i++)
		read_message(r, &unused, false);
}

int text_decode(struct text *out, struct span in)
{
	const unsigned required = BIT(KEY_SEQUENCE) | BIT(KEY_ACKNOWLEDGED) | BIT(KEY_MESSAGES);
	struct reader r = reader_from(in);
	struct text t = { 0 };
	struct span before = SPAN_NONE;
	unsigned have = 0, key;
	struct item map;

	if (in.len > TEXT_MAX || next_item(&r, &map) != ITEM_MAP)
		return TEXT_REFUSED;
	for (uint64_t i = 0; i < map.value && !r.failed; i++) {
		key = read_key(&r, &before);
		if (key == KEY_SEQUENCE)
			t.head.sequence = read_uint(&r);
		else if (key == KEY_PREVIOUS)
			read_previous(&r, &t.head);
		else if (key == KEY_ACKNOWLEDGED)
			t.head.acknowledged = read_uint(&r);
		else if (key == KEY_MESSAGES)
			read_messages(&r, &t);
		else
			skip_value(&r, 0);
		have |= BIT(key);
	}
	if (!reader_done(&r) || (have & required) != required)
		return TEXT_REFUSED;
	*out = t;
	return 0;
}

bool text_next(struct text *t, struct text_message *out)
{
	struct reader r = reader_from(t->messages);

	if (t->given == t->count)
		return false;
	read_message(&r, out, true);
	assert(!r.failed); /* text_decode() has read it before */
	t->messages = span_from(r.p, r.len);
	t->given++;
	return true;
}

/* --- Writing --- */

static void put_uint(struct writer *w, uint64_t value)
{
	uint8_t head[CBOR_HEAD_MAX];

	writer_bytes(w, head, cbor_encode_uint(value, head, sizeof(head)));
}

static void put_pair(struct writer *w, unsigned key, uint64_t value)
{
	put_uint(w, key);
	put_uint(w, value);
}

static void put_head(struct writer *w, size_t (*encode)(size_t, unsigned char *, size_t), size_t value)
{
	uint8_t head[CBOR_HEAD_MAX];

	writer_bytes(w, head, encode(value, head, sizeof(head)));
}

static void put_content(struct writer *w, const struct text_message *m)
{
	put_uint(w, KEY_CONTENT);
	if (m->kind == TEXT_WORDS)
		put_head(w, cbor_encode_string_start, m->content.len);
	else if (m->kind == TEXT_PERSON_CHECK)
		put_head(w, cbor_encode_bytestring_start, m->content.len);
	writer_span(w, m->content);
}

static void put_message(struct writer *w, const struct text_message *m)
{
	put_head(w, cbor_encode_map_start, 3u + m->has_not_before + m->has_drop_after);
	put_pair(w, KEY_KIND, m->kind);
	put_pair(w, KEY_CLAIMED, m->claimed);
	if (m->has_not_before)
		put_pair(w, KEY_NOT_BEFORE, m->not_before);
	if (m->has_drop_after)
		put_pair(w, KEY_DROP_AFTER, m->drop_after);
	put_content(w, m);
}

/* Whether the content of a message to be written is what its kind demands. */
static bool content_sound(const struct text_message *m)
{
	struct reader r = reader_from(m->content);

	if (m->kind == TEXT_WORDS)
		return utf8_valid(m->content);
	if (m->kind == TEXT_PERSON_CHECK)
		return true;
	read_content(&r, m->kind, false);
	return reader_done(&r);
}

/* The length of everything before count messages. */
static size_t front_len(const struct text_head *head, unsigned count)
{
	return 1 + 1 + head_len(head->sequence) +
	       (head->has_previous ? 1 + HASH_HEAD_LEN + sizeof(head->previous.b) : 0) + 1 +
	       head_len(head->acknowledged) + 1 + head_len(count);
}

void text_begin(struct text_writer *t, void *buf, size_t limit, const struct text_head *head)
{
	assert(limit <= TEXT_MAX);
	*t = (struct text_writer){ .head = *head, .limit = limit };
	t->messages = writer_on(buf, TEXT_HEAD_MAX + limit);
	writer_skip(&t->messages, TEXT_HEAD_MAX);
}

static size_t len_with(const struct text_writer *t, unsigned count)
{
	return front_len(&t->head, count) + t->messages.len - TEXT_HEAD_MAX;
}

int text_add(struct text_writer *t, const struct text_message *message)
{
	const struct writer before = t->messages;

	if (t->count == TEXT_MESSAGES_MAX)
		return TEXT_FULL;
	if (!content_sound(message))
		return TEXT_REFUSED;
	put_message(&t->messages, message);
	if (t->messages.failed || len_with(t, t->count + 1) > t->limit) {
		t->messages = before;
		return TEXT_FULL;
	}
	t->count++;
	return 0;
}

size_t text_len(const struct text_writer *t)
{
	return len_with(t, t->count);
}

struct span text_end(struct text_writer *t)
{
	const size_t len = front_len(&t->head, t->count);
	uint8_t *start = t->messages.p + TEXT_HEAD_MAX - len;
	struct writer w = writer_on(start, len);

	assert(t->count > 0);
	put_head(&w, cbor_encode_map_start, 3u + t->head.has_previous);
	put_pair(&w, KEY_SEQUENCE, t->head.sequence);
	if (t->head.has_previous) {
		put_uint(&w, KEY_PREVIOUS);
		put_head(&w, cbor_encode_bytestring_start, sizeof(t->head.previous.b));
		writer_span(&w, KEY_SPAN(&t->head.previous));
	}
	put_pair(&w, KEY_ACKNOWLEDGED, t->head.acknowledged);
	put_uint(&w, KEY_MESSAGES);
	put_head(&w, cbor_encode_array_start, t->count);
	assert(!w.failed && w.len == len);
	return span_from(start, text_len(t));
}
