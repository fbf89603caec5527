/*
 * qr.h: what our QR codes say, as bytes and as the text that a camera reads.
 *
 * Every QR is Base45 (RFC 9285), the alphanumeric mode of QR codes, over a type, a version and
 * fields of fixed length. Reading is strict: what reads is exactly what would be shown.
 */
#ifndef NODE_CORE_QR_H
#define NODE_CORE_QR_H

#include "node/core/code.h"
#include "node/crypto/keys.h"
#include "transport/carrier.h"

enum {
	QR_BYTES_MAX = 98, /* the longest, QR_PAIR */
	QR_TEXT_MAX = 147, /* the same in Base45 */
};

enum { QR_REFUSED = 1 }; /* outcome of qr_decode() and qr_base45_decode() */

enum qr_kind {
	QR_PAIR = 0x51,   /* mutual QR, PROTOCOL section 2.1 */
	QR_CODE = 0x52,   /* one camera, section 2.2 */
	QR_MEET = 0x53,   /* stands for a call, section 4 */
	QR_TOP_UP = 0x54, /* optical top-up, section 6 */
};

struct qr_pair {
	struct public_key s, r;
	struct sym_key q;
};

struct qr_meet {
	uint8_t ip[16]; /* as in struct address */
	uint16_t port;
	struct nonce16 n;
};

struct qr {
	enum qr_kind kind;
	union {
		struct qr_pair pair;
		struct code code; /* never a spoken one */
		struct qr_meet meet;
		struct sym_key q; /* QR_TOP_UP */
	};
};

/* Appends the bytes; appends the text, without a zero byte. The caller wipes what it appended to. */
void qr_bytes(struct writer *out, const struct qr *qr);
void qr_text(struct writer *out, const struct qr *qr);
/* Reads bytes; reads a text. Returns 0 or QR_REFUSED (nothing written). The caller wipes out. */
must_check int qr_decode(struct qr *out, struct span bytes);
must_check int qr_read(struct qr *out, struct span text);
void qr_wipe(struct qr *qr);

/* Base45 of in, appended; of at most QR_TEXT_MAX characters back into bytes. */
void qr_base45_encode(struct writer *out, struct span in);
/* Returns 0, or QR_REFUSED (nothing appended): another character, a length or a value that no bytes give, or
 * no room. */
must_check int qr_base45_decode(struct writer *out, struct span text);

#endif
