#include "node/core/fold.h"

#include "node/base/utf8.h"
#include "tests/unit/unit.h"

static void assert_folds(const char *text, const char *want)
{
	static uint8_t buf[FOLD_FOLDED_MAX];
	struct writer w = WRITER_ON(buf);

	assert_int_equal(fold(&w, span_str(text)), 0);
	assert_int_equal(w.len, strlen(want));
	if (w.len > 0)
		assert_memory_equal(buf, want, w.len);
}

static void ways_of_typing_fold_alike(void **state)
{
	(void)state;
	assert_folds("", "");
	assert_folds(" The RED kettle! ", "theredkettle");
	assert_folds("e\u0301\u0323 \u1EB9\u0301", "ee"); /* marks in either order */
	assert_folds("\u1E9E", "ss");                     /* capital sharp s */
	assert_folds("\u0345", "\u03B9");                 /* a mark that folds to a letter */
	assert_folds("\u2460\u00BD", "112");              /* circled one, one half */
	assert_folds("\u200D\uFE0F\u00AD", "\uFE0F");     /* the selector is a mark, the others are not */
	assert_folds("\u13A0\uAB70", "\u13A0\u13A0");     /* Cherokee folds to capitals */
}

static void what_is_no_text_is_refused(void **state)
{
	static const char *const bad[] = { "\xff",
		                           "a\x80",
		                           "\xc0\x80",
		                           "\xed\xa0\x80",
		                           "\xf4\x90\x80\x80",
		                           "\xe0\x9f\xbf",
		                           "\xf0\x8f\xbf\xbf",
		                           "\xe2\x82" };
	uint8_t buf[64];
	struct writer w = WRITER_ON(buf);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		assert_int_equal(fold(&w, span_str(bad[i])), FOLD_REFUSED);
		assert_false(utf8_valid(span_str(bad[i])));
	}
	assert_int_equal(w.len, 0);
	assert_false(w.failed);
}

static void everything_is_bounded(void **state)
{
	static uint8_t text[FOLD_TEXT_MAX + 1], buf[FOLD_FOLDED_MAX];
	struct writer w = WRITER_ON(buf), small = writer_on(buf, 2);

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_int_equal(fold(&w, SPAN(text)), FOLD_REFUSED);
	assert_int_equal(fold(&w, span_from(text, FOLD_TEXT_MAX)), 0);
	assert_int_equal(w.len, FOLD_TEXT_MAX);
	assert_int_equal(fold(&small, span_str("abc")), FOLD_REFUSED);
	assert_false(small.failed);
	/* U+FDFA is three bytes and becomes eighteen characters. */
	w.len = 0;
	for (size_t i = 0; i + 3 <= FOLD_TEXT_MAX; i += 3)
		memcpy(text + i, "\uFDFA", 3);
	assert_int_equal(fold(&w, span_from(text, FOLD_TEXT_MAX / 3 * 3)), FOLD_REFUSED);
	assert_int_equal(w.len, 0);
}

/* Every code point is text and every surrogate is not; utf8proc says the same. */
static void utf8_takes_what_is_well_formed(void **state)
{
	(void)state;
	assert_true(utf8_valid(SPAN_NONE));
	for (uint32_t c = 0; c < 0x110000; c += c < 0x11000 ? 1 : 251) {
		uint8_t b[4];
		struct writer w = WRITER_ON(b);

		if (c < 0x80) {
			writer_u8(&w, (uint8_t)c);
		} else if (c < 0x800) {
			writer_u8(&w, (uint8_t)(0xc0 | c >> 6));
		} else if (c < 0x10000) {
			writer_u8(&w, (uint8_t)(0xe0 | c >> 12));
		} else {
			writer_u8(&w, (uint8_t)(0xf0 | c >> 18));
			writer_u8(&w, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		}
		if (c >= 0x800)
			writer_u8(&w, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		if (c >= 0x80)
			writer_u8(&w, (uint8_t)(0x80 | (c & 0x3f)));
		assert_int_equal(utf8_valid(writer_done(&w)), c < 0xd800 || c > 0xdfff);
		assert_false(w.len > 1 && utf8_valid(span_from(b, w.len - 1)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ways_of_typing_fold_alike),
		cmocka_unit_test(what_is_no_text_is_refused),
		cmocka_unit_test(everything_is_bounded),
		cmocka_unit_test(utf8_takes_what_is_well_formed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
