/*
 * test_show.c: what other people wrote, on our terminal.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <time.h>

#include "tools/flyleaf/show.h"

static void check_name(const char *name, const char *shown)
{
	char *text = show_plain(span_str(name));

	assert_string_equal(text, shown);
	free(text);
}

static void check_text(const char *given, const char *shown)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	show_text(out, span_str(given), 4);
	fclose(out);
	assert_string_equal(text, shown);
	free(text);
}

static void ordinary_text_stays(void **state)
{
	(void)state;
	check_name("Ana", "Ana");
	check_name("Żółć Ὀδυσσεύς Ольга", "Żółć Ὀδυσσεύς Ольга");
	check_name("فاطمة 王芳 🙂", "فاطمة 王芳 🙂");
	check_name("", "");
}

static void control_characters_are_shown(void **state)
{
	(void)state;
	check_name("a\033[31mb", "a\u241b[31mb");
	check_name("a\nb\tc\r", "a\u240ab\u2409c\u240d");
	check_name("\x7f\x01", "\u2421\u2401");
	check_name("\xc2\x9b"
	           "31m",
	           "<U+009B>31m"); /* the one-character form of ESC [ */
	check_name("\u2028", "<U+2028>");
}

static void directions_and_invisible_ones_are_shown(void **state)
{
	(void)state;
	check_name("A\u202enna", "A<U+202E>nna");
	check_name("A\u2066n\u2069na\u200f\u061c", "A<U+2066>n<U+2069>na<U+200F><U+061C>");
	check_name("A\u200bn\u200cn\u200da\ufeff\u00ad", "A<U+200B>n<U+200C>n<U+200D>a<U+FEFF><U+00AD>");
	check_name("\u3164\u115f\U000e0041", "<U+3164><U+115F><U+E0041>");
}

static void bytes_that_are_no_text_are_shown(void **state)
{
	(void)state;
	check_name("a\xff\xc3", "a\ufffd\ufffd");
	check_name("\xed\xa0\x80", "\ufffd\ufffd\ufffd"); /* a surrogate */
	check_name("\xc0\x80", "\ufffd\ufffd");           /* NUL in two bytes */
}

static void towers_of_marks_are_cut(void **state)
{
	(void)state;
	check_name("o\u0301\u0302\u0303\u0304", "o\u0301\u0302\u0303\u0304");
	check_name("o\u0301\u0301\u0301\u0301\u0301", "o\u0301\u0301\u0301\u0301<U+0301>");
}

static void lines_of_a_message_are_indented(void **state)
{
	(void)state;
	check_text("one\ntwo\tthree", "one\n    two three");
	check_text("\r\ntoday 10:04  Ana: no", "\u240d\n    today 10:04  Ana: no");
	check_text("\033]0;x\a", "\u241b]0;x\u2407");
}

static void joiners_stay_where_scripts_need_them(void **state)
{
	(void)state;
	check_text("می\u200cخواهم", "می\u200cخواهم");
	check_text("👩\u200d👧", "👩\u200d👧");
	check_text("a\u200cb\u200d", "a<U+200C>b<U+200D>");
	check_text("م\u200c\u200cم", "م<U+200C><U+200C>م");
}

static void width_is_of_what_is_shown(void **state)
{
	(void)state;
	assert_int_equal(show_width(span_str("Ana")), 3);
	assert_int_equal(show_width(span_str("王芳")), 4);
	assert_int_equal(show_width(span_str("e\u0301")), 1);
	assert_int_equal(show_width(span_str("\u202e")), 8);
}

static void check_time(uint64_t when, uint64_t now, const char *shown)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	show_time(out, when, now);
	fclose(out);
	assert_string_equal(text, shown);
	free(text);
}

static void times_are_said_as_people_say_them(void **state)
{
	const uint64_t now = 1715767440; /* Wed 15 May 2024 10:04 UTC */

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	check_time(now, now, "today 10:04");
	check_time(now - 10 * 3600 - 5 * 60, now, "yesterday 23:59");
	check_time(now + 86400, now, "Thu 16 May 10:04");
	check_time(now - 30 * 86400, now, "Mon 15 April 10:04");
	check_time(0, now, "Thu 1 January 1970 00:00");
	check_time(1704067200 - 60, 1704067200, "yesterday 23:59");
	check_time(UINT64_MAX, now, "Wed 8 April 6325 15:03");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_text_stays),
		cmocka_unit_test(control_characters_are_shown),
		cmocka_unit_test(directions_and_invisible_ones_are_shown),
		cmocka_unit_test(bytes_that_are_no_text_are_shown),
		cmocka_unit_test(towers_of_marks_are_cut),
		cmocka_unit_test(lines_of_a_message_are_indented),
		cmocka_unit_test(joiners_stay_where_scripts_need_them),
		cmocka_unit_test(width_is_of_what_is_shown),
		cmocka_unit_test(times_are_said_as_people_say_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
