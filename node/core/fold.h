/*
 * fold.h: the answers of a person check, made alike however they were typed
 * (PROTOCOL section 7).
 */
#ifndef NODE_CORE_FOLD_H
#define NODE_CORE_FOLD_H

#include "node/base/wire.h"

enum {
	FOLD_TEXT_MAX = 4096,    /* bytes of an answer as typed */
	FOLD_FOLDED_MAX = 16384, /* and folded: some characters are short for several words */
};

enum { FOLD_REFUSED = 1 };

/* Appends the folded answer to out: NFKD, case folding, NFKD, then only letters, marks and digits (Unicode
 * L, M, N) without U+0300 to U+036F. Nothing may be left; who agrees on answers refuses that. Returns 0, or
 * FOLD_REFUSED (nothing appended): no UTF-8, too long, or no room in out. */
must_check int fold(struct writer *out, struct span text);

#endif
