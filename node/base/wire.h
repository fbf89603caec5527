/*
 * wire.h: bytes to read and bytes to write.
 *
 * All parsing and building of formats goes through a reader or a writer; no
 * pointer arithmetic on messages elsewhere. The error sticks: after a failure
 * reads give zeros and writes do nothing, so that one check at the end decides.
 * Integers are little-endian unless the name says _be.
 */
#ifndef NODE_BASE_WIRE_H
#define NODE_BASE_WIRE_H

#include "node/base/common.h"

/* Borrowed bytes. p may be NULL when len is 0. */
struct span {
	const uint8_t *p;
	size_t len;
};

#define SPAN_NONE   ((struct span){ NULL, 0 })
#define SPAN(array) ((struct span){ (const uint8_t *)(array), sizeof(array) })

struct span span_from(const void *p, size_t len);
struct span span_str(const char *text);        /* without its terminator; borrowed */
bool span_equal(struct span a, struct span b); /* not in constant time: never for secrets */

struct reader {
	const uint8_t *p;
	size_t len; /* what is left */
	bool failed;
};

struct reader reader_from(struct span in);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
uint16_t reader_u16_be(struct reader *r);
/* Copies len bytes to out; zeros after a failure. */
void reader_bytes(struct reader *r, void *out, size_t len);
/* The next len bytes, borrowed from the input; an empty span after a failure. */
struct span reader_span(struct reader *r, size_t len);
struct span reader_rest(struct reader *r);
/* Fails the reader unless the next byte, or bytes, are these. */
void reader_expect_u8(struct reader *r, uint8_t value);
void reader_expect(struct reader *r, struct span bytes);
void reader_fail(struct reader *r);
/* True when nothing failed and no byte is left over. */
bool reader_done(const struct reader *r);

struct writer {
	uint8_t *p;
	size_t len; /* written so far */
	size_t cap;
	bool failed; /* something did not fit */
};

struct writer writer_on(void *buf, size_t cap);
#define WRITER_ON(array) writer_on((array), sizeof(array))
void writer_u8(struct writer *w, uint8_t value);
void writer_u16(struct writer *w, uint16_t value);
void writer_u32(struct writer *w, uint32_t value);
void writer_u64(struct writer *w, uint64_t value);
void writer_u16_be(struct writer *w, uint16_t value);
void writer_bytes(struct writer *w, const void *p, size_t len);
void writer_span(struct writer *w, struct span s);
void writer_str(struct writer *w, const char *text); /* without its terminator */
void writer_zeros(struct writer *w, size_t len);
/* Room for len bytes that the caller fills at once; NULL after a failure. */
uint8_t *writer_skip(struct writer *w, size_t len);
void writer_fail(struct writer *w);
size_t writer_left(const struct writer *w);
struct span writer_done(const struct writer *w); /* what was written; an empty span after a failure */

uint16_t load_u16(const uint8_t *p);
uint32_t load_u32(const uint8_t *p);
uint64_t load_u64(const uint8_t *p);
void store_u16(uint8_t *p, uint16_t value);
void store_u32(uint8_t *p, uint32_t value);
void store_u64(uint8_t *p, uint64_t value);

#endif
