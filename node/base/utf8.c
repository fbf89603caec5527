#include "node/base/utf8.h"

/* What may follow a first byte: how many bytes, and the range of the first of them, which keeps out overlong
 * forms, surrogates and what is too large. The others are 80 to bf. */
static const struct {
	uint8_t first, last;
	uint8_t more;
	uint8_t low, high;
} forms[] = {
	{ 0x00, 0x7f, 0, 0x00, 0x00 }, { 0xc2, 0xdf, 1, 0x80, 0xbf }, { 0xe0, 0xe0, 2, 0xa0, 0xbf },
	{ 0xe1, 0xec, 2, 0x80, 0xbf }, { 0xed, 0xed, 2, 0x80, 0x9f }, { 0xee, 0xef, 2, 0x80, 0xbf },
	{ 0xf0, 0xf0, 3, 0x90, 0xbf }, { 0xf1, 0xf3, 3, 0x80, 0xbf }, { 0xf4, 0xf4, 3, 0x80, 0x8f },
};

/* A character cut short reads as zeros, which cannot follow. */
/* How many bytes from p on are ASCII: whole eights first, most texts are little else. */
static size_t ascii_len(const uint8_t *p, size_t len)
{
	uint64_t eight;
	size_t n = 0;

	for (; len - n >= sizeof(eight); n += sizeof(eight)) {
		memcpy(&eight, p + n, sizeof(eight));
		if ((eight & 0x8080808080808080u) != 0)
			break;
	}
	while (n < len && p[n] < 0x80)
		n++;
	return n;
}

static bool skip_char(struct reader *r)
{
	const uint8_t first = reader_u8(r);
	size_t f = 0;

	while (f < COUNT_OF(forms) && (first < forms[f].first || first > forms[f].last))
		f++;
	if (f == COUNT_OF(forms))
		return false;
	for (unsigned i = 0; i < forms[f].more; i++) {
		const uint8_t next = reader_u8(r);

		if (next < (i == 0 ? forms[f].low : 0x80) || next > (i == 0 ? forms[f].high : 0xbf))
			return false;
	}
	return true;
}

bool utf8_valid(struct span text)
{
	struct reader r = reader_from(text);

	while (r.len > 0) {
		reader_span(&r, ascii_len(r.p, r.len));
		if (r.len > 0 && !skip_char(&r))
			return false;
	}
	return true;
}
