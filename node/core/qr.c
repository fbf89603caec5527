#include "node/core/qr.h"

#include <sodium.h>

/*
 * Every QR begins  0 +1 type | 1 +1 version 0x01.  Then:
 *
 *   0x51  98   2 +32 S             34 +32 R          66 +32 q, a random secret
 *   0x52  19   2 +1  NN, 0 to 99    3 +16 PRS
 *   0x53  36   2 +16 address       18 +2  port LE    20 +16 n
 *   0x54  34   2 +32 q
 */
enum { QR_VERSION = 0x01 };

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

void qr_base45_encode(struct writer *out, struct span in)
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

int qr_base45_decode(struct writer *out, struct span text)
{
	uint8_t bytes[QR_BYTES_MAX];
	struct writer w = WRITER_ON(bytes);
	struct reader r = reader_from(text);
	int result = QR_REFUSED;

	while (r.len > 0 && !w.failed) {
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

void qr_bytes(struct writer *out, const struct qr *qr)
{
	writer_u8(out, (uint8_t)qr->kind);
	writer_u8(out, QR_VERSION);
	switch (qr->kind) {
	case QR_PAIR:
		writer_span(out, KEY_SPAN(&qr->pair.s));
		writer_span(out, KEY_SPAN(&qr->pair.r));
		writer_span(out, KEY_SPAN(&qr->pair.q));
		break;
	case QR_CODE:
		assert(!qr->code.spoken && qr->code.prs_len == CODE_SECRET_LEN);
		writer_u8(out, qr->code.number);
		writer_span(out, code_prs(&qr->code));
		break;
	case QR_MEET:
		writer_span(out, SPAN(qr->meet.ip));
		writer_u16(out, qr->meet.port);
		writer_span(out, KEY_SPAN(&qr->meet.n));
		break;
	case QR_TOP_UP:
		writer_span(out, KEY_SPAN(&qr->q));
		break;
	}
}

void qr_text(struct writer *out, const struct qr *qr)
{
	uint8_t bytes[QR_BYTES_MAX];
	struct writer w = WRITER_ON(bytes);

	qr_bytes(&w, qr);
	qr_base45_encode(out, writer_done(&w));
	sodium_memzero(bytes, sizeof(bytes));
}

static void read_body(struct qr *qr, struct reader *r)
{
	switch (qr->kind) {
	case QR_PAIR:
		reader_bytes(r, qr->pair.s.b, sizeof(qr->pair.s.b));
		reader_bytes(r, qr->pair.r.b, sizeof(qr->pair.r.b));
		reader_bytes(r, qr->pair.q.b, sizeof(qr->pair.q.b));
		break;
	case QR_CODE:
		qr->code.number = reader_u8(r);
		if (qr->code.number >= CODE_NUMBERS)
			reader_fail(r);
		reader_bytes(r, qr->code.prs, CODE_SECRET_LEN);
		qr->code.prs_len = CODE_SECRET_LEN;
		break;
	case QR_MEET:
		reader_bytes(r, qr->meet.ip, sizeof(qr->meet.ip));
		qr->meet.port = reader_u16(r);
		if (qr->meet.port == 0)
			reader_fail(r);
		reader_bytes(r, qr->meet.n.b, sizeof(qr->meet.n.b));
		break;
	case QR_TOP_UP:
		reader_bytes(r, qr->q.b, sizeof(qr->q.b));
		break;
	default:
		reader_fail(r);
	}
}

int qr_decode(struct qr *out, struct span bytes)
{
	struct reader r = reader_from(bytes);
	struct qr qr = { 0 };
	int result = QR_REFUSED;

	qr.kind = (enum qr_kind)reader_u8(&r);
	reader_expect_u8(&r, QR_VERSION);
	read_body(&qr, &r);
	if (reader_done(&r)) {
		*out = qr;
		result = 0;
	}
	qr_wipe(&qr);
	return result;
}

int qr_read(struct qr *out, struct span text)
{
	uint8_t bytes[QR_BYTES_MAX];
	struct writer w = WRITER_ON(bytes);
	int r = qr_base45_decode(&w, text);

	if (r == 0)
		r = qr_decode(out, writer_done(&w));
	sodium_memzero(bytes, sizeof(bytes));
	return r;
}

void qr_wipe(struct qr *qr)
{
	sodium_memzero(qr, sizeof(*qr));
}
