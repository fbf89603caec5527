/*
 * prose.c
 *
 * The text is taken in pieces that are not broken: a word, or a whole command. A command begins with
 * "flyleaf" and a word of the command line, and goes on to the end of the line or of the clause. Nothing is
 * allocated: this says that there is no memory, too.
 */
#include "tools/flyleaf/prose.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>

#include <utf8proc.h>

#include "tools/flyleaf/term.h"

enum { ROOM_MIN = 16 }; /* columns; where there are fewer, nothing is broken here */

static const char program[] = "flyleaf ";

static const char *home_operand;
static prose_is_word is_word_of_ours;

void prose_begin(const char *home, prose_is_word is_word)
{
	home_operand = home;
	is_word_of_ours = is_word;
}

/* The length of "flyleaf" and its word where a command begins at text; else 0. */
static size_t begin_of_command(const char *text)
{
	const char *word = text + strlen(program);
	size_t len = 0;

	if (is_word_of_ours == NULL || strncmp(text, program, strlen(program)) != 0)
		return 0;
	while (isalpha((unsigned char)word[len]))
		len++;
	return is_word_of_ours(span_from(word, len)) ? strlen(program) + len : 0;
}

/* The end of a clause, outside of quotes. */
static bool ends_command(const char *at)
{
	if (*at == '\0' || strchr("\n;,)`", *at) != NULL)
		return true;
	if (*at == ' ')
		return at[1] == ' ' || at[1] == '(';
	return (*at == '.' || *at == ':' || *at == '?') && (at[1] == ' ' || at[1] == '\n' || at[1] == '\0');
}

static size_t command_len(const char *text)
{
	bool quoted = false;
	size_t len = 0;

	while (text[len] != '\0' && (quoted || !ends_command(text + len))) {
		if (text[len] == '\'')
			quoted = !quoted;
		len++;
	}
	return len;
}

/* How far the piece at text goes: up to a space or a line end, over a whole command. */
static size_t piece_len(const char *text)
{
	size_t len = 0;

	while (text[len] != '\0' && text[len] != ' ' && text[len] != '\n') {
		bool begins = len == 0 || !isalnum((unsigned char)text[len - 1]);

		len += begins && begin_of_command(text + len) > 0 ? command_len(text + len) : 1;
	}
	return len;
}

static unsigned width_of(const char *text, size_t len)
{
	unsigned width = 0;
	size_t at = 0;

	while (at < len) {
		utf8proc_int32_t c = ' ';
		utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
		                                      (utf8proc_ssize_t)(len - at), &c);

		width += n > 0 ? (unsigned)utf8proc_charwidth(c) : 1;
		at += n > 0 ? (size_t)n : 1;
	}
	return width;
}

/* Where --home goes in a piece: behind the word of its command; more than len where it has none. */
static size_t place_of_home(const char *piece, size_t len)
{
	for (size_t i = 0; home_operand != NULL && i < len; i++) {
		size_t begin = begin_of_command(piece + i);

		if (begin > 0 && (i == 0 || !isalnum((unsigned char)piece[i - 1])))
			return i + begin;
	}
	return len + 1;
}

static unsigned put_piece(FILE *out, const char *piece, size_t len, bool for_real)
{
	size_t home = place_of_home(piece, len);
	unsigned width = width_of(piece, len);

	if (home <= len)
		width += (unsigned)strlen("--home  ") + width_of(home_operand, strlen(home_operand));
	if (!for_real)
		return width;
	fwrite(piece, 1, MIN(home, len), out);
	if (home <= len) {
		fprintf(out, " --home %s", home_operand);
		fwrite(piece + home, 1, len - home, out);
	}
	return width;
}

void prose_fill(FILE *out, unsigned columns, unsigned at, unsigned indent, const char *text)
{
	bool fresh = at <= indent; /* nothing is on this line that could be left there alone */

	if (columns < indent + ROOM_MIN)
		columns = UINT_MAX;
	if (columns == UINT_MAX && home_operand == NULL && strchr(text, '\n') == NULL) {
		fputs(text, out); /* in one write where the stream has no buffer */
		return;
	}
	while (*text != '\0') {
		size_t spaces = strspn(text, " "), len = piece_len(text + spaces);
		unsigned width;

		if (text[spaces] == '\n') {
			const char after = text[spaces + 1];

			fprintf(out, "\n%*s", after != '\n' && after != '\0' ? (int)indent : 0, "");
			at = indent;
			fresh = true;
			text += spaces + 1;
			continue;
		}
		width = put_piece(out, text + spaces, len, false);
		if (!fresh && (size_t)at + spaces + width > columns) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else {
			fprintf(out, "%*s", (int)spaces, "");
			at += (unsigned)spaces;
		}
		at += put_piece(out, text + spaces, len, true);
		fresh = false;
		text += spaces + len;
	}
}

void prose_put(FILE *out, unsigned at, unsigned indent, const char *text)
{
	prose_fill(out, term_width(out), at, indent, text);
}

void prose(FILE *out, const char *text, ...)
{
	char whole[PROSE_LEN_MAX];
	va_list args;

	va_start(args, text);
	vsnprintf(whole, sizeof(whole), text, args);
	va_end(args);
	prose_put(out, 0, 0, whole);
	fputc('\n', out);
}
