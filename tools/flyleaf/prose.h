/*
 * prose.h: sentences for a person.
 *
 * On a terminal they are broken between words, at its width. A command in them, as `flyleaf pair NAME`, stays
 * in one piece and can be pasted: where the vault is in a folder that was given with --home, it says so too.
 */
#ifndef TOOLS_FLYLEAF_PROSE_H
#define TOOLS_FLYLEAF_PROSE_H

#include <stdio.h>

#include "node/base/wire.h"

enum { PROSE_LEN_MAX = 8192, PROSE_COLUMNS_USUAL = 80 };

/* Whether a word of letters is one of the command line. */
typedef bool (*prose_is_word)(struct span word);

/* What commands are completed with: home as it is typed in a shell (NULL: nothing), borrowed, outlives us. */
void prose_begin(const char *home, prose_is_word is_word);

/* Prints text, which begins in column at; the lines after the first are indented. Nothing is added at its
 * end. Text that came from elsewhere must have gone through show_plain() before. */
void prose_put(FILE *out, unsigned at, unsigned indent, const char *text);

/* The same of at most PROSE_LEN_MAX bytes, from the first column on, and a line end. */
void prose(FILE *out, const char *text, ...) __attribute__((format(printf, 2, 3)));

/* The same by hand, for what is printed on: columns is where a line is full (0: nowhere). */
void prose_fill(FILE *out, unsigned columns, unsigned at, unsigned indent, const char *text);

#endif
