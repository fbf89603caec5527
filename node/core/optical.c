#include "node/core/optical.h"

#include <sodium.h>

/*
 * Every QR begins  0 +1 type | 1 +1 version 0x01.  Then:
 *
 *   0x51  98   2 +32 S             34 +32 R          66 +32 q, a random secret
 *   0x52  19   2 +1  NN, 0 to 99    3 +16 PRS
 *   0x53  36   2 +16 address       18 +2  port LE    20 +16 n
 *   0x54  34   2 +32 q
 */
enum { OPTICAL_VERSION = 0x01 };

/* --- Base45 --- */

static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

enum { BASE = sizeof(alphabet) - 1 };

/* digits characters for a number, the lowest first. */
static void put_digits(struct writer *out, unsigned number, unsigned digits)
{
	for (unsigned i = 0; i < digits; i++) {
		writer_u8(out, (uint8_t)alphabet[number % BASE]);
		number /= BASE;
	}
}

void optical_base45_encode(struct writer *out, struct span in)
{
	struct reader r = reader_from(in);

	while (r.len >= 2)
		put_digits(out, reader_u16_be(&r), 3);
	if (r.len == 1)
		put_digits(out, reader_u8(&r), 2);
}

/* The number of that many characters; fails the reader at one that is none of ours. */
static unsigned take_digits(struct reader *r, unsigned digits)
{
	unsigned number = 0, unit = 1;

	for (unsigned i = 0; i < digits; i++, unit *= BASE) {
		const uint8_t c = reader_u8(r);
		const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

		if (at == NULL)
			reader_fail(r);
		else
			number += unit * (unsigned)(at - alphabet);
	}
	return number;
}

int optical_base45_decode(struct writer *out, struct span text)
{
	uint8_t bytes[OPTICAL_BYTES_MAX];
	struct writer w = WRITER_ON(bytes);
	struct reader r = reader_from(text);
	int result = OPTICAL_REFUSED;

	while (r.len > 0 && !r.failed && !w.failed) {
		const bool whole = r.len >= 3;
		const unsigned number = take_digits(&r, whole ? 3 : 2);

		if (number > (whole ? UINT16_MAX : UINT8_MAX))
			reader_fail(&r);
		else if (whole)
			writer_u16_be(&w, (uint16_t)number);
		else
			writer_u8(&w, (uint8_t)number);
	}
	if (reader_done(&r) && !w.failed && w.len <= writer_left(out)) {
		writer_span(out, writer_done(&w));
		result = 0;
	}
	sodium_memzero(bytes, sizeof(bytes));
	return result;
}

/* --- Payloads --- */

void optical_bytes(struct writer *out, const struct optical *o)
{
	writer_u8(out, (uint8_t)o->kind);
	writer_u8(out, OPTICAL_VERSION);
	switch (o->kind) {
	case OPTICAL_PAIR:
		writer_span(out, KEY_SPAN(&o->pair.s));
		writer_span(out, KEY_SPAN(&o->pair.r));
		writer_span(out, KEY_SPAN(&o->pair.q));
		break;
	case OPTICAL_CODE:
		assert(!o->code.spoken && o->code.prs_len == CODE_SECRET_LEN);
		writer_u8(out, o->code.number);
		writer_span(out, code_prs(&o->code));
		break;
	case OPTICAL_MEET:
		writer_span(out, SPAN(o->meet.ip));
		writer_u16(out, o->meet.port);
		writer_span(out, KEY_SPAN(&o->meet.n));
		break;
	case OPTICAL_TOP_UP:
		writer_span(out, KEY_SPAN(&o->q));
		break;
	}
}

void optical_text(struct writer *out, const struct optical *o)
{
	uint8_t bytes[OPTICAL_BYTES_MAX];
	struct writer w = WRITER_ON(bytes);

	optical_bytes(&w, o);
	optical_base45_encode(out, writer_done(&w));
	sodium_memzero(bytes, sizeof(bytes));
}

static void read_body(struct optical *o, struct reader *r)
{
	switch (o->kind) {
	case OPTICAL_PAIR:
		reader_bytes(r, o->pair.s.b, sizeof(o->pair.s.b));
		reader_bytes(r, o->pair.r.b, sizeof(o->pair.r.b));
		reader_bytes(r, o->pair.q.b, sizeof(o->pair.q.b));
		break;
	case OPTICAL_CODE:
		o->code.number = reader_u8(r);
		if (o->code.number >= CODE_NUMBERS)
			reader_fail(r);
		reader_bytes(r, o->code.prs, CODE_SECRET_LEN);
		o->code.prs_len = CODE_SECRET_LEN;
		break;
	case OPTICAL_MEET:
		reader_bytes(r, o->meet.ip, sizeof(o->meet.ip));
		o->meet.port = reader_u16(r);
		if (o->meet.port == 0)
			reader_fail(r);
		reader_bytes(r, o->meet.n.b, sizeof(o->meet.n.b));
		break;
	case OPTICAL_TOP_UP:
		reader_bytes(r, o->q.b, sizeof(o->q.b));
		break;
	default:
		reader_fail(r);
	}
}

int optical_decode(struct optical *out, struct span bytes)
{
	struct reader r = reader_from(bytes);
	struct optical o = { 0 };
	int result = OPTICAL_REFUSED;

	o.kind = (enum optical_kind)reader_u8(&r);
	reader_expect_u8(&r, OPTICAL_VERSION);
	read_body(&o, &r);
	if (reader_done(&r)) {
		*out = o;
		result = 0;
	}
	optical_wipe(&o);
	return result;
}

int optical_read(struct optical *out, struct span text)
{
	uint8_t bytes[OPTICAL_BYTES_MAX];
	struct writer w = WRITER_ON(bytes);
	int r = optical_base45_decode(&w, text);

	if (r == 0)
		r = optical_decode(out, writer_done(&w));
	sodium_memzero(bytes, sizeof(bytes));
	return r;
}

void optical_wipe(struct optical *o)
{
	sodium_memzero(o, sizeof(*o));
}
