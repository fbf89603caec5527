#include "tools/flyleaf/show.h"

#include <ctype.h>
#include <stdlib.h>
#include <time.h>

#include <utf8proc.h>

enum { JOINER_NONE = 0x200c, JOINER = 0x200d };
enum { VISIBLE_NONE = -1 }; /* bytes that are no UTF-8 */

/* The next character of text from *at on, which moves past it; VISIBLE_NONE for one byte that is none. */
static int32_t next_char(struct span text, size_t *at)
{
	utf8proc_int32_t c = VISIBLE_NONE;
	utf8proc_ssize_t n = utf8proc_iterate(text.p + *at, (utf8proc_ssize_t)(text.len - *at), &c);

	*at += n > 0 ? (size_t)n : 1;
	return n > 0 ? c : VISIBLE_NONE;
}

static bool is_mark(int32_t c)
{
	utf8proc_category_t k = utf8proc_category(c);

	return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_ME;
}

/* Letters that draw nothing: the Hangul fillers and the grapheme joiner. */
static bool is_blank(int32_t c)
{
	return c == 0x034f || c == 0x115f || c == 0x1160 || c == 0x17b4 || c == 0x17b5 || c == 0x2800 ||
	       c == 0x3164 || c == 0xffa0;
}

static bool is_plain(int32_t c)
{
	if (c == ' ')
		return true;
	if (c == VISIBLE_NONE || is_blank(c))
		return false;
	switch (utf8proc_category(c)) {
	case UTF8PROC_CATEGORY_CC: /* control */
	case UTF8PROC_CATEGORY_CF: /* direction overrides, zero widths, soft hyphen, tags */
	case UTF8PROC_CATEGORY_CN: /* not assigned */
	case UTF8PROC_CATEGORY_CO: /* private use */
	case UTF8PROC_CATEGORY_CS: /* surrogates */
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return false;
	default:
		return true;
	}
}

static void put_char(FILE *out, int32_t c)
{
	utf8proc_uint8_t b[4];
	utf8proc_ssize_t n = utf8proc_encode_char(c, b);

	if (n > 0)
		fwrite(b, 1, (size_t)n, out);
}

/* A mark that can be seen in place of c. */
static void put_mark(FILE *out, int32_t c)
{
	if (c == VISIBLE_NONE)
		put_char(out, 0xfffd);
	else if (c < 0x20)
		put_char(out, 0x2400 + c); /* the control pictures */
	else if (c == 0x7f)
		put_char(out, 0x2421);
	else
		fprintf(out, "<U+%04X>", (unsigned)c);
}

/* A joiner stays between two characters of scripts (or pictures) that are shaped by it, and nowhere else. */
static bool joiner_stays(int32_t before, struct span text, size_t at)
{
	int32_t after = at < text.len ? next_char(text, &at) : VISIBLE_NONE;

	return before > 0x2ff && after > 0x2ff && is_plain(before) && is_plain(after);
}

static void put(FILE *out, struct span text, bool one_line, unsigned indent)
{
	int32_t before = VISIBLE_NONE;
	unsigned marks = 0;
	size_t at = 0;

	while (at < text.len) {
		int32_t c = next_char(text, &at);

		marks = c != VISIBLE_NONE && is_mark(c) ? marks + 1 : 0;
		if (!one_line && c == '\n')
			fprintf(out, "\n%*s", (int)indent, "");
		else if (!one_line && c == '\t')
			fputc(' ', out);
		else if (!one_line && (c == JOINER || c == JOINER_NONE) && joiner_stays(before, text, at))
			put_char(out, c);
		else if (is_plain(c) && marks <= SHOW_MARKS_MAX)
			put_char(out, c);
		else
			put_mark(out, c);
		before = c;
	}
}

void show_name(FILE *out, struct span name)
{
	put(out, name, true, 0);
}

void show_text(FILE *out, struct span text, unsigned indent)
{
	put(out, text, false, indent);
}

char *show_plain(struct span name)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return NULL;
	show_name(out, name);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* What no shell takes apart: letters, digits, everything beyond ASCII, and a few signs. */
static bool is_one_word(const char *text)
{
	static const char signs[] = "._-@+,:/";

	for (const char *c = text; *c != '\0'; c++) {
		if ((uint8_t)*c < 0x80 && !isalnum((uint8_t)*c) && strchr(signs, *c) == NULL)
			return false;
	}
	return text[0] != '\0';
}

char *show_operand(struct span name)
{
	char *plain = show_plain(name), *text = NULL;
	size_t len;
	FILE *out;

	if (plain == NULL || is_one_word(plain))
		return plain;
	out = open_memstream(&text, &len);
	if (out != NULL) {
		fputc('\'', out);
		for (const char *c = plain; *c != '\0'; c++)
			fputs(*c == '\'' ? "'\\''" : (const char[]){ *c, '\0' }, out);
		fputc('\'', out);
		if (fclose(out) != 0) {
			free(text);
			text = NULL;
		}
	}
	free(plain);
	return text;
}

unsigned show_width(struct span name)
{
	char *text = show_plain(name);
	struct span shown;
	unsigned width = 0;
	size_t at = 0;

	if (text == NULL)
		return 0;
	shown = span_str(text);
	while (at < shown.len)
		width += (unsigned)utf8proc_charwidth(next_char(shown, &at));
	free(text);
	return width;
}

static long day_number(const struct tm *t)
{
	struct tm noon = { .tm_year = t->tm_year, .tm_mon = t->tm_mon, .tm_mday = t->tm_mday, .tm_hour = 12 };

	return (long)(timegm(&noon) / 86400);
}

void show_time(FILE *out, uint64_t when, uint64_t now)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const months[] = { "January",   "February", "March",    "April",
		                              "May",       "June",     "July",     "August",
		                              "September", "October",  "November", "December" };
	time_t w = (time_t)MIN(when, (uint64_t)INT32_MAX * 64),
	       n = (time_t)MIN(now, (uint64_t)INT32_MAX * 64);
	struct tm a, b;
	long ago;

	if (localtime_r(&w, &a) == NULL || localtime_r(&n, &b) == NULL)
		return;
	ago = day_number(&b) - day_number(&a);
	if (ago == 0)
		fputs("today", out);
	else if (ago == 1)
		fputs("yesterday", out);
	else
		fprintf(out, "%s %d %s", days[a.tm_wday], a.tm_mday, months[a.tm_mon]);
	if (a.tm_year != b.tm_year && ago != 0 && ago != 1)
		fprintf(out, " %d", a.tm_year + 1900);
	fprintf(out, " %02d:%02d", a.tm_hour, a.tm_min);
}
