#include "node/core/code.h"

#include <stdio.h>

#include "node/crypto/random.h"
#include "tests/unit/unit.h"

static int parse(struct code *out, struct code_trouble *why, const char *typed)
{
	memset(out, 0, sizeof(*out));
	return code_parse(out, why, span_str(typed));
}

static void a_new_code_reads_as_it_prints(void **state)
{
	struct random_seeded rng;
	char text[CODE_TEXT_MAX + 1];
	struct code_trouble why;
	struct code a, b;
	bool numbers[CODE_NUMBERS] = { false };

	(void)state;
	random_seeded_init(&rng, 1);
	for (int i = 0; i < 2000; i++) {
		code_new(&a, &rng.base);
		code_print(text, &a);
		assert_int_equal(text[2], ' ');
		assert_int_equal(parse(&b, &why, text), 0);
		assert_int_equal(a.number, b.number);
		assert_true(span_equal(code_prs(&a), code_prs(&b)));
		assert_true(b.spoken);
		numbers[a.number] = true;
	}
	for (int i = 0; i < CODE_NUMBERS; i++)
		assert_true(numbers[i]);
}

static void hands_and_keyboards_are_forgiven(void **state)
{
	const char *x = words_at(0), *y = words_at(700), *z = words_at(1295);
	const char *forms[] = { "48 %s %s %s",
		                " 48,%s,%s,%s. ",
		                "48-%s-%s-%s",
		                "4 8 %s %s %s",
		                "48%s %s %s\n",
		                "48: %s; %s / %s!",
		                "48 %s\xe2\x80\x93%s %s",
		                "48\xc2\xa0%s %s %s" };
	char text[128], want[64];
	struct code_trouble why;
	struct code c;

	(void)state;
	snprintf(want, sizeof(want), "%s %s %s", x, y, z);
	for (size_t i = 0; i < COUNT_OF(forms); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof(text), forms[i], x, y, z);
#pragma GCC diagnostic pop
		assert_int_equal(parse(&c, &why, text), 0);
		assert_int_equal(c.number, 48);
		assert_true(span_equal(code_prs(&c), span_str(want)));
	}
	snprintf(text, sizeof(text), "7 %.3s %sq %s", x, y, z);
	text[2] = (char)(text[2] - 'a' + 'A');
	assert_int_equal(parse(&c, &why, text), 0);
	assert_int_equal(c.number, 7);
	assert_true(span_equal(code_prs(&c), span_str(want)));
}

static void what_is_wrong_is_named(void **state)
{
	char text[400];
	struct code_trouble why;
	struct code c;

	(void)state;
	assert_int_equal(parse(&c, &why, ""), CODE_NO_NUMBER);
	assert_int_equal(parse(&c, &why, "one two three"), CODE_NO_NUMBER);
	assert_int_equal(parse(&c, &why, "123 one two three"), CODE_NO_NUMBER);
	assert_int_equal(parse(&c, &why, "99999999999999999999"), CODE_NO_NUMBER);
	snprintf(text, sizeof(text), "12 %s", words_at(3));
	assert_int_equal(parse(&c, &why, text), CODE_TOO_SHORT);
	assert_int_equal(why.word, 1);
	snprintf(text, sizeof(text), "12 %s %sqq %s", words_at(3), words_at(4), words_at(5));
	assert_int_equal(parse(&c, &why, text), CODE_WORD_UNKNOWN);
	assert_int_equal(why.word, 1);
	assert_int_equal(why.typed.len, strlen(words_at(4)) + 2);
	assert_true(why.near_len >= 1);
	assert_int_equal(why.near[0], 4);
	snprintf(text, sizeof(text), "12 %s %s\xc3\xa9 qqqqqqq", words_at(3), words_at(4));
	assert_int_equal(parse(&c, &why, text), CODE_WORD_UNKNOWN);
	snprintf(text, sizeof(text), "12 %s %s %s %s", words_at(3), words_at(4), words_at(5), words_at(6));
	assert_int_equal(parse(&c, &why, text), CODE_TOO_LONG);
	snprintf(text, sizeof(text), "12 %s %s %s 4", words_at(3), words_at(4), words_at(5));
	assert_int_equal(parse(&c, &why, text), CODE_TOO_LONG);
	snprintf(text, sizeof(text), "12 %s 4 %s %s", words_at(3), words_at(4), words_at(5));
	assert_int_equal(parse(&c, &why, text), CODE_TOO_LONG);
	/* Of what is not ASCII only some signs part words; other bytes belong to the word, which one may. */
	static const char *const signs[] = { "\xe2\x82\xac", "\xe2\x80\x20", "\xc2\xa9", "\xe2", "\xc2" };
	for (size_t i = 0; i < COUNT_OF(signs); i++) {
		snprintf(text, sizeof(text), "12 %s%s %s %s", words_at(3), signs[i], words_at(4),
		         words_at(5));
		assert_int_equal(parse(&c, &why, text), strlen(signs[i]) == 1 ? 0 : CODE_WORD_UNKNOWN);
	}
	code_wipe(&c);
	memset(text, ' ', sizeof(text));
	assert_int_equal(code_parse(&c, &why, SPAN(text)), CODE_TOO_LONG);
	assert_int_equal(c.prs_len, 0);
}

static void the_number_is_the_key(void **state)
{
	const uint8_t want[32] = { '0', '9' };
	struct random_seeded rng;
	struct sym_key key;
	struct code c;

	(void)state;
	random_seeded_init(&rng, 3);
	code_new_secret(&c, &rng.base);
	assert_false(c.spoken);
	assert_int_equal(code_prs(&c).len, CODE_SECRET_LEN);
	c.number = 9;
	code_key(&key, &c);
	assert_memory_equal(key.b, want, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_code_reads_as_it_prints),
		cmocka_unit_test(hands_and_keyboards_are_forgiven),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(the_number_is_the_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
