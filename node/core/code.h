/*
 * code.h: the code that two people say to each other to pair (PROTOCOL section 2.2).
 *
 * "48 yellow lemon window": a public number, by which the two devices find each other, and a
 * password of three words. A one-camera code has 16 random bytes in place of the words and
 * travels as a QR (qr.h).
 */
#ifndef NODE_CORE_CODE_H
#define NODE_CORE_CODE_H

#include "node/core/words.h"
#include "node/crypto/keys.h"

enum {
	CODE_NUMBERS = 100,
	CODE_WORDS = 3,
	CODE_SECRET_LEN = 16,
	CODE_PRS_MAX = CODE_WORDS * (WORDS_TYPED_MAX + 1) - 1,
	CODE_TEXT_MAX = 3 + CODE_WORDS * (WORDS_LEN_MAX + 1),
	CODE_TYPED_MAX = 256, /* bytes of what a person typed */
};

struct code {
	uint8_t prs[CODE_PRS_MAX]; /* the password: the words in lower case joined by one space, or the secret
	                            */
	uint8_t prs_len;
	uint8_t number; /* 0 to 99 */
	bool spoken;    /* words, not a secret */
};

/* Outcomes of code_parse(). */
enum {
	CODE_NO_NUMBER = 1,    /* it does not begin with a number of one or two digits */
	CODE_WORD_UNKNOWN = 2, /* one word is not understood */
	CODE_TOO_SHORT = 3,    /* words are missing */
	CODE_TOO_LONG = 4,     /* there is more than a number and three words */
};

/* Which word was not understood (CODE_WORD_UNKNOWN) or is missing (CODE_TOO_SHORT). */
struct code_trouble {
	unsigned word;     /* 0 to 2 */
	struct span typed; /* borrowed from the input */
	unsigned near[WORDS_NEAR_MAX];
	size_t near_len;
};

/* A fresh spoken code; a fresh one-camera code. Draws the number, then the words or the secret. */
void code_new(struct code *out, struct random *rng);
void code_new_secret(struct code *out, struct random *rng);
void code_wipe(struct code *c);

/* The spoken code as it is shown, "07 yellow lemon window", ended by a zero byte. The caller wipes out. */
void code_print(char out[static CODE_TEXT_MAX + 1], const struct code *c);

/* Reads what a person typed: any case; blanks, commas, hyphens and other signs between the words; words as
 * words_read() takes them. Returns 0 or one of the outcomes above with *why filled where it says so. */
must_check int code_parse(struct code *out, struct code_trouble *why, struct span typed);

/* K of the calls that find the other side, and the password of the run. */
void code_key(struct sym_key *out, const struct code *c);
struct span code_prs(const struct code *c); /* borrowed */

#endif
