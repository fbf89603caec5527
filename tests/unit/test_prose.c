/*
 * test_prose.c: sentences at the width of a terminal.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "tools/flyleaf/prose.h"

static bool is_word(struct span word)
{
	return span_equal(word, span_str("pair")) || span_equal(word, span_str("mode"));
}

static void check(unsigned columns, unsigned at, unsigned indent, const char *given, const char *shown)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	prose_fill(out, columns, at, indent, given);
	fclose(out);
	assert_string_equal(text, shown);
	free(text);
}

static void lines_end_between_words(void **state)
{
	(void)state;
	check(20, 0, 0, "one two three four five six", "one two three four\nfive six");
	check(20, 0, 0, "12345678901234567890 and", "12345678901234567890\nand");
	check(20, 0, 0, "longer than any line can be", "longer than any line\ncan be");
	check(20, 0, 2, "123456789012345678901234 and", "123456789012345678901234\n  and");
	check(20, 9, 4, "what was found", "what was\n    found");
	check(20, 18, 4, "first", "\n    first");
	check(20, 4, 4, "alone-though-it-is-long", "alone-though-it-is-long");
	check(20, 0, 0, "żółć żółć żółć żółć!", "żółć żółć żółć żółć!");
	check(20, 0, 0, "王芳王芳王芳王芳王芳 ab", "王芳王芳王芳王芳王芳\nab");
	check(20, 0, 0, "", "");
}

static void what_was_written_stays(void **state)
{
	(void)state;
	check(0, 0, 2, "one two three four five six seven", "one two three four five six seven");
	check(12, 0, 2, "too narrow for anything", "too narrow for anything");
	check(40, 2, 2, "one  two\n\nthree\n", "one  two\n\n  three\n");
	check(20, 0, 0, "ends in a space: ", "ends in a space: ");
	check(20, 0, 0, "\xff\xfe bad bytes \xc3", "\xff\xfe bad bytes \xc3");
}

static void a_command_is_in_one_piece(void **state)
{
	(void)state;
	check(30, 0, 2, "To be the one who calls: flyleaf mode Ana call",
	      "To be the one who calls:\n  flyleaf mode Ana call");
	check(30, 0, 0, "One shows it (flyleaf pair NAME --both) to the other",
	      "One shows it\n(flyleaf pair NAME --both) to\nthe other");
	check(30, 0, 0, "First flyleaf pair 'Ana, B'; then go on",
	      "First flyleaf pair 'Ana, B';\nthen go on");
	check(30, 0, 0, "Another flyleaf runs here already", "Another flyleaf runs here\nalready");
	check(30, 0, 0, "flyleaf flyleaf", "flyleaf flyleaf");
}

static void a_command_says_which_home(void **state)
{
	(void)state;
	prose_begin("'a b'", is_word);
	check(0, 0, 0, "Use `flyleaf pair NAME`, or flyleaf mode. flyleaf nothing",
	      "Use `flyleaf pair --home 'a b' NAME`, or flyleaf mode --home 'a b'. flyleaf nothing");
	check(30, 0, 2, "Begin with: flyleaf pair", "Begin with:\n  flyleaf pair --home 'a b'");
	prose_begin(NULL, is_word);
	check(0, 0, 0, "flyleaf pair", "flyleaf pair");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_end_between_words),
		cmocka_unit_test(what_was_written_stays),
		cmocka_unit_test(a_command_is_in_one_piece),
		cmocka_unit_test(a_command_says_which_home),
	};

	prose_begin(NULL, is_word);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
