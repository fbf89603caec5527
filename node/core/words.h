/*
 * words.h: the 1,296 words of spoken codes and pass-phrases (PROTOCOL section 2.2).
 *
 * Short words that most people know and that hurt nobody (words.txt, tools/choose-words). No two
 * share their first three letters and any two are at least three edits apart, so that three
 * letters suffice and one slip of the finger is put right without a guess.
 */
#ifndef NODE_CORE_WORDS_H
#define NODE_CORE_WORDS_H

#include "node/base/random.h"
#include "node/base/wire.h"

enum {
	WORDS_COUNT = 1296,
	WORDS_LEN_MIN = 3, /* letters of a word; also those that suffice for it */
	WORDS_LEN_MAX = 9,
	WORDS_TYPED_MAX = 32, /* longer is no word of ours */
	WORDS_NEAR_MAX = 3,
	WORDS_SUGGEST_MAX = 12, /* words of a pass-phrase */
};

enum { WORDS_UNKNOWN = 1 }; /* outcome of words_read() */

/* A word in lower case; index is below WORDS_COUNT. Lives as long as the program. */
const char *words_at(unsigned index);

/* The word that was typed, in any case, with blanks around it: the word itself, its first three or more
 * letters, or the word with one letter wrong, missing or too many. Returns 0, or WORDS_UNKNOWN also where
 * more than three letters begin one word and are one slip away from another. */
must_check int words_read(unsigned *out, struct span typed);

/* The words that typed may have been meant for, the nearest first; returns how many, at most
 * WORDS_NEAR_MAX. */
size_t words_near(unsigned out[static WORDS_NEAR_MAX], struct span typed);

/* The words that begin with typed (any case), in order of the alphabet, for completion while typing: writes
 * at most max indices and returns how many. */
size_t words_complete(unsigned *out, size_t max, struct span typed);

/* Appends count words of rng's choice, joined by one space, as a pass-phrase: 10.3 bits each. count is at
 * most WORDS_SUGGEST_MAX. */
void words_suggest(struct writer *out, struct random *rng, unsigned count);

#endif
