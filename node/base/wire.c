#include "node/base/wire.h"

struct span span_from(const void *p, size_t len)
{
	return (struct span){ p, len };
}

struct span span_str(const char *text)
{
	return span_from(text, strlen(text));
}

bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

uint16_t load_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t load_u32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t load_u64(const uint8_t *p)
{
	return p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
	       (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
	       (uint64_t)p[7] << 56; /* one load */
}

void store_u16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

void store_u32(uint8_t *p, uint32_t value)
{
	store_u16(p, (uint16_t)value);
	store_u16(p + 2, (uint16_t)(value >> 16));
}

void store_u64(uint8_t *p, uint64_t value)
{
	store_u32(p, (uint32_t)value);
	store_u32(p + 4, (uint32_t)(value >> 32));
}

struct reader reader_from(struct span in)
{
	return (struct reader){ in.p, in.len, false };
}

/* The next len bytes, or NULL when there are fewer or something failed before. */
static const uint8_t *take(struct reader *r, size_t len)
{
	const uint8_t *p = r->p;

	if (r->failed || len > r->len) {
		reader_fail(r);
		return NULL;
	}
	if (len != 0)
		r->p += len;
	r->len -= len;
	return p;
}

uint8_t reader_u8(struct reader *r)
{
	const uint8_t *p = take(r, 1);

	return p != NULL ? p[0] : 0;
}

uint16_t reader_u16(struct reader *r)
{
	const uint8_t *p = take(r, 2);

	return p != NULL ? load_u16(p) : 0;
}

uint32_t reader_u32(struct reader *r)
{
	const uint8_t *p = take(r, 4);

	return p != NULL ? load_u32(p) : 0;
}

uint64_t reader_u64(struct reader *r)
{
	const uint8_t *p = take(r, 8);

	return p != NULL ? load_u64(p) : 0;
}

uint16_t reader_u16_be(struct reader *r)
{
	const uint8_t *p = take(r, 2);

	return p != NULL ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

void reader_bytes(struct reader *r, void *out, size_t len)
{
	const uint8_t *p = take(r, len);

	if (len == 0)
		return;
	if (p != NULL)
		memcpy(out, p, len);
	else
		memset(out, 0, len);
}

struct span reader_span(struct reader *r, size_t len)
{
	const uint8_t *p = take(r, len);

	return r->failed ? SPAN_NONE : span_from(p, len);
}

struct span reader_rest(struct reader *r)
{
	return reader_span(r, r->len);
}

void reader_expect_u8(struct reader *r, uint8_t value)
{
	if (reader_u8(r) != value)
		reader_fail(r);
}

void reader_expect(struct reader *r, struct span bytes)
{
	if (!span_equal(reader_span(r, bytes.len), bytes))
		reader_fail(r);
}

void reader_fail(struct reader *r)
{
	r->failed = true;
	r->len = 0;
}

bool reader_done(const struct reader *r)
{
	return !r->failed && r->len == 0;
}

struct writer writer_on(void *buf, size_t cap)
{
	return (struct writer){ buf, 0, cap, false };
}

uint8_t *writer_skip(struct writer *w, size_t len)
{
	uint8_t *p;

	if (w->failed || len > w->cap - w->len) {
		writer_fail(w);
		return NULL;
	}
	p = w->p + w->len;
	w->len += len;
	return p;
}

void writer_u8(struct writer *w, uint8_t value)
{
	writer_bytes(w, &value, 1);
}

void writer_u16(struct writer *w, uint16_t value)
{
	uint8_t *p = writer_skip(w, 2);

	if (p != NULL)
		store_u16(p, value);
}

void writer_u32(struct writer *w, uint32_t value)
{
	uint8_t *p = writer_skip(w, 4);

	if (p != NULL)
		store_u32(p, value);
}

void writer_u64(struct writer *w, uint64_t value)
{
	uint8_t *p = writer_skip(w, 8);

	if (p != NULL)
		store_u64(p, value);
}

void writer_u16_be(struct writer *w, uint16_t value)
{
	const uint8_t b[2] = { (uint8_t)(value >> 8), (uint8_t)value };

	writer_bytes(w, b, sizeof(b));
}

void writer_bytes(struct writer *w, const void *p, size_t len)
{
	uint8_t *to;

	if (len == 0)
		return;
	to = writer_skip(w, len);
	if (to != NULL)
		memcpy(to, p, len);
}

void writer_span(struct writer *w, struct span s)
{
	writer_bytes(w, s.p, s.len);
}

void writer_str(struct writer *w, const char *text)
{
	writer_span(w, span_str(text));
}

void writer_zeros(struct writer *w, size_t len)
{
	uint8_t *p = writer_skip(w, len);

	if (p != NULL && len != 0)
		memset(p, 0, len);
}

void writer_fail(struct writer *w)
{
	w->failed = true;
}

size_t writer_left(const struct writer *w)
{
	return w->failed ? 0 : w->cap - w->len;
}

struct span writer_done(const struct writer *w)
{
	return w->failed ? SPAN_NONE : span_from(w->p, w->len);
}
