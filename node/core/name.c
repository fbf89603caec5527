#include "node/core/name.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "node/base/utf8.h"

/* What a terminal or another person's eye cannot be trusted with. */
static bool is_allowed(utf8proc_int32_t c)
{
	switch (utf8proc_category(c)) {
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_CN:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return false;
	case UTF8PROC_CATEGORY_ZS:
		return c == ' ';
	default:
		/* Fillers that show nothing although they are letters or marks. */
		return c != 0x034f && c != 0x115f && c != 0x1160 && c != 0x17b4 && c != 0x17b5 &&
		       c != 0x2800 && c != 0x3164 && c != 0xffa0 && (c < 0xfe00 || c > 0xfe0f) &&
		       c < 0xe0100; /* behind these selectors nothing is assigned */
	}
}

static bool is_good(const utf8proc_uint8_t *name, size_t len)
{
	bool space_before = true; /* so that none may lead */

	for (size_t at = 0; at < len;) {
		utf8proc_int32_t c;
		const utf8proc_ssize_t n = utf8proc_iterate(name + at, (utf8proc_ssize_t)(len - at), &c);

		if (n <= 0 || !is_allowed(c) || (c == ' ' && space_before) || (at == 0 && c == '-'))
			return false;
		space_before = c == ' ';
		at += (size_t)n;
	}
	return len <= CONTACT_NAME_MAX && !space_before;
}

int name_read(char out[static CONTACT_NAME_MAX + 1], struct span typed)
{
	utf8proc_uint8_t *nfc = NULL;
	utf8proc_ssize_t len;
	int r = NAME_REFUSED;

	if (typed.len == 0 || typed.len > 4 * CONTACT_NAME_MAX || !utf8_valid(typed))
		return NAME_REFUSED;
	len = utf8proc_map(typed.p, (utf8proc_ssize_t)typed.len, &nfc, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	if (len == UTF8PROC_ERROR_NOMEM)
		return ERR_NOMEM;
	if (len > 0 && is_good(nfc, (size_t)len)) {
		memcpy(out, nfc, (size_t)len);
		out[len] = '\0';
		r = 0;
	}
	free(nfc);
	return r;
}

/* The next case-folded code point of a valid text; 0 at its end. Folding to several ends at the first. */
static utf8proc_int32_t next_folded(const char **text)
{
	utf8proc_int32_t c;
	const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)*text, -1, &c);

	if (**text == '\0' || n <= 0)
		return 0;
	*text += n;
	return utf8proc_tolower(utf8proc_toupper(c));
}

bool name_same(const char *a, const char *b)
{
	utf8proc_int32_t x, y;

	do {
		x = next_folded(&a);
		y = next_folded(&b);
	} while (x == y && x != 0);
	return x == y;
}
