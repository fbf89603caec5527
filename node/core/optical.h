/*
 * optical.h: what our QR codes say, as bytes and as the text that a camera reads.
 *
 * Every QR is Base45 (RFC 9285), the alphanumeric mode of QR codes, over a type, a version and
 * fields of fixed length. Reading is strict: what reads is exactly what would be shown.
 */
#ifndef NODE_CORE_OPTICAL_H
#define NODE_CORE_OPTICAL_H

#include "node/core/code.h"
#include "node/crypto/keys.h"
#include "transport/carrier.h"

enum {
	OPTICAL_BYTES_MAX = 98, /* the longest, OPTICAL_PAIR */
	OPTICAL_TEXT_MAX = 147, /* the same in Base45 */
};

enum { OPTICAL_REFUSED = 1 }; /* outcome of optical_decode() and optical_base45_decode() */

enum optical_kind {
	OPTICAL_PAIR = 0x51,   /* mutual QR, PROTOCOL section 2.1 */
	OPTICAL_CODE = 0x52,   /* one camera, section 2.2 */
	OPTICAL_MEET = 0x53,   /* stands for a call, section 4 */
	OPTICAL_TOP_UP = 0x54, /* optical top-up, section 6 */
};

struct optical_pair {
	struct public_key s, r;
	struct sym_key q;
};

struct optical_meet {
	uint8_t ip[16]; /* as in struct address */
	uint16_t port;
	struct nonce16 n;
};

struct optical {
	enum optical_kind kind;
	union {
		struct optical_pair pair;
		struct code code; /* never a spoken one */
		struct optical_meet meet;
		struct sym_key q; /* OPTICAL_TOP_UP */
	};
};

/* Appends the bytes; appends the text, without a zero byte. The caller wipes what it appended to. */
void optical_bytes(struct writer *out, const struct optical *o);
void optical_text(struct writer *out, const struct optical *o);
/* Reads bytes; reads a text. Returns 0 or OPTICAL_REFUSED (nothing written). The caller wipes out. */
must_check int optical_decode(struct optical *out, struct span bytes);
must_check int optical_read(struct optical *out, struct span text);
void optical_wipe(struct optical *o);

/* Base45 of in, appended; of at most OPTICAL_TEXT_MAX characters back into bytes. */
void optical_base45_encode(struct writer *out, struct span in);
/* Returns 0, or OPTICAL_REFUSED (nothing appended): another character, a length or a value that no bytes
 * give, or no room. */
must_check int optical_base45_decode(struct writer *out, struct span text);

#endif
