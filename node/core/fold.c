#include "node/core/fold.h"

#include <sodium.h>
#include <utf8proc.h>

/*
 * Each step decomposes its input into code points and encodes those again. Everything is on the
 * stack and wiped: the answers are secrets.
 */
enum { CHARS_MAX = FOLD_FOLDED_MAX / 2, CHAR_LEN_MAX = 4 };

static const utf8proc_option_t NFKD = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;

/* L, M and N stand together in utf8proc's list of categories, Lu first and No last. */
static bool is_kept(utf8proc_int32_t c)
{
	const utf8proc_category_t category = utf8proc_category(c);

	return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO &&
	       !(c >= 0x300 && c <= 0x36f);
}

/* Appends in, decomposed as options say; of the last step only what is kept. Fails out where something does
 * not fit or is not text. */
static void step(struct writer *out, struct span in, utf8proc_option_t options, bool last)
{
	utf8proc_int32_t chars[CHARS_MAX];
	const utf8proc_ssize_t n =
	        in.len == 0 ? 0
	                    : utf8proc_decompose(in.p, (utf8proc_ssize_t)in.len, chars, CHARS_MAX, options);

	if (n < 0 || n > CHARS_MAX)
		writer_fail(out);
	for (utf8proc_ssize_t i = 0; !out->failed && i < n; i++) {
		uint8_t b[CHAR_LEN_MAX];

		if (!last || is_kept(chars[i]))
			writer_bytes(out, b, (size_t)utf8proc_encode_char(chars[i], b));
		sodium_memzero(b, sizeof(b));
	}
	sodium_memzero(chars, sizeof(chars));
}

int fold(struct writer *out, struct span text)
{
	uint8_t first[FOLD_FOLDED_MAX], second[FOLD_FOLDED_MAX], third[FOLD_FOLDED_MAX];
	struct writer w1 = WRITER_ON(first), w2 = WRITER_ON(second), w3 = WRITER_ON(third);
	int r = FOLD_REFUSED;

	if (text.len > FOLD_TEXT_MAX)
		return FOLD_REFUSED;
	step(&w1, text, NFKD, false);
	if (!w1.failed)
		step(&w2, writer_done(&w1), UTF8PROC_CASEFOLD, false);
	if (!w1.failed && !w2.failed)
		step(&w3, writer_done(&w2), NFKD, true);
	if (!w1.failed && !w2.failed && !w3.failed && w3.len <= writer_left(out)) {
		writer_span(out, writer_done(&w3));
		r = 0;
	}
	sodium_memzero(first, sizeof(first));
	sodium_memzero(second, sizeof(second));
	sodium_memzero(third, sizeof(third));
	return r;
}
