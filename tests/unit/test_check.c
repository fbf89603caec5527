#include "node/crypto/check.h"

#include <sodium.h>

#include "node/crypto/random.h"
#include "tests/unit/unit.h"

static const struct hash32 aid = { { 1, 2, 3 } };
static struct random_seeded rng;

struct asking {
	struct check_asked asked;
	uint8_t buf[CHECK_ASK_LEN + CHECK_QUESTION_MAX];
	struct span message;
};

static struct asking shared;

static int setup(void **state)
{
	random_seeded_init(&rng, 11);
	*state = &shared;
	return 0;
}

static void ask(struct asking *a, const char *duress)
{
	const struct span duress_span = span_str(duress != NULL ? duress : "");
	struct writer w = WRITER_ON(a->buf);

	assert_int_equal(check_ask(&a->asked, &w, &rng.base, &aid, span_str("Which table?"),
	                           span_str("kettle"), duress != NULL ? &duress_span : NULL),
	                 0);
	a->message = writer_done(&w);
}

static enum check_result judge(struct asking *a, const char *typed)
{
	uint8_t buf[CHECK_ANSWER_LEN];
	struct writer w = WRITER_ON(buf);
	struct check_asked asked = a->asked;
	enum check_result result = CHECK_WRONG;

	assert_int_equal(check_answer(&w, &rng.base, &aid, a->message, span_str(typed)), 0);
	assert_int_equal(w.len, CHECK_ANSWER_LEN);
	assert_int_equal(check_judge(&result, &asked, writer_done(&w)), 0);
	assert_true(sodium_is_zero((const uint8_t *)&asked, sizeof(asked)));
	return result;
}

static void there_are_three_outcomes(void **state)
{
	struct asking *a = *state;
	struct span question;

	ask(a, "teapot");
	assert_int_equal(check_question(&question, a->message), 0);
	assert_true(span_equal(question, span_str("Which table?")));
	assert_int_equal(judge(a, "kettle"), CHECK_RIGHT);
	assert_int_equal(judge(a, "teapot"), CHECK_DURESS);
	assert_int_equal(judge(a, "kettles"), CHECK_WRONG);
	assert_int_equal(judge(a, ""), CHECK_WRONG);
	ask(a, NULL);
	assert_int_equal(judge(a, "kettle"), CHECK_RIGHT);
	assert_int_equal(judge(a, "teapot"), CHECK_WRONG);
	assert_int_equal(judge(a, ""), CHECK_WRONG);
}

static void an_answer_is_for_one_question_of_one_pair(void **state)
{
	struct asking *a = *state;
	const struct hash32 other = { { 1, 2, 4 } };
	uint8_t buf[CHECK_ANSWER_LEN];
	struct writer w = WRITER_ON(buf);
	struct check_asked before;
	enum check_result result = CHECK_WRONG;

	ask(a, "teapot");
	assert_int_equal(check_answer(&w, &rng.base, &other, a->message, span_str("kettle")), 0);
	assert_int_equal(check_judge(&result, &a->asked, writer_done(&w)), 0);
	assert_int_equal(result, CHECK_WRONG);
	/* A replay of an earlier answer does not carry the nonce. */
	ask(a, "teapot");
	before = a->asked;
	assert_int_equal(check_judge(&result, &a->asked, writer_done(&w)), CHECK_REFUSED);
	assert_memory_equal(&before, &a->asked, sizeof(before));
}

static void answers_that_may_not_be_agreed_are_refused(void **state)
{
	struct asking *a = *state;
	const struct span empty = SPAN_NONE, same = span_str("kettle"), as_long = span_str("teapot"),
	                  longer = span_str("kettles");
	struct writer w = WRITER_ON(a->buf);

	assert_int_equal(check_agree(span_str("kettle"), NULL), 0);
	assert_int_equal(check_agree(SPAN_NONE, NULL), CHECK_REFUSED);
	assert_int_equal(check_agree(span_str("kettle"), &empty), CHECK_REFUSED);
	assert_int_equal(check_agree(span_str("kettle"), &same), CHECK_REFUSED);
	assert_int_equal(check_agree(span_str("kettle"), &as_long), 0);
	assert_int_equal(check_agree(span_str("kettle"), &longer), 0);
	assert_int_equal(check_ask(&a->asked, &w, &rng.base, &aid, span_str("?"), span_str("kettle"), &same),
	                 CHECK_REFUSED);
	assert_int_equal(check_ask(&a->asked, &w, &rng.base, &aid, span_str("\xff"), span_str("kettle"),
	                           NULL),
	                 CHECK_REFUSED);
	w.cap = CHECK_ASK_LEN;
	assert_int_equal(check_ask(&a->asked, &w, &rng.base, &aid, span_str("?"), span_str("kettle"), NULL),
	                 CHECK_REFUSED);
	assert_int_equal(w.len, 0);
}

static void a_question_has_a_longest_length(void **state)
{
	static uint8_t text[CHECK_QUESTION_MAX + 1], buf[CHECK_ASK_LEN + sizeof(text)];
	struct asking *a = *state;
	struct writer w = WRITER_ON(buf);
	struct span question;

	memset(text, 'q', sizeof(text));
	assert_int_equal(check_ask(&a->asked, &w, &rng.base, &aid, SPAN(text), span_str("x"), NULL),
	                 CHECK_REFUSED);
	assert_int_equal(check_ask(&a->asked, &w, &rng.base, &aid, span_from(text, CHECK_QUESTION_MAX),
	                           span_str("x"), NULL),
	                 0);
	assert_int_equal(check_question(&question, writer_done(&w)), 0);
	writer_u8(&w, 'q');
	assert_int_equal(check_question(&question, writer_done(&w)), CHECK_REFUSED);
	w.len--;
	buf[w.len - 1] = 0xff; /* no UTF-8 */
	assert_int_equal(check_question(&question, writer_done(&w)), CHECK_REFUSED);
}

static void misshapen_messages_are_refused(void **state)
{
	static const size_t shares[] = { 17, 49 };
	struct asking *a = *state;
	uint8_t buf[CHECK_ANSWER_LEN], out_buf[CHECK_ANSWER_LEN];
	struct writer w = WRITER_ON(buf), out = WRITER_ON(out_buf);
	enum check_result result = CHECK_WRONG;

	ask(a, "teapot");
	assert_int_equal(check_answer(&w, &rng.base, &aid, a->message, span_str("kettle")), 0);
	for (size_t len = 0; len < w.len; len++)
		assert_int_equal(check_judge(&result, &a->asked, span_from(buf, len)), CHECK_REFUSED);
	for (size_t len = 0; len < CHECK_ASK_LEN; len++)
		assert_int_equal(check_answer(&out, &rng.base, &aid, span_from(a->buf, len), SPAN_NONE),
		                 CHECK_REFUSED);
	assert_int_equal(check_answer(&out, &rng.base, &aid, writer_done(&w), SPAN_NONE), CHECK_REFUSED);
	assert_int_equal(check_judge(&result, &a->asked, a->message), CHECK_REFUSED);
	for (size_t i = 0; i < COUNT_OF(shares); i++) {
		uint8_t was[32];

		memcpy(was, a->buf + shares[i], 32);
		memset(a->buf + shares[i], 0, 32); /* the neutral element, in either run */
		assert_int_equal(check_answer(&out, &rng.base, &aid, a->message, SPAN_NONE), CHECK_REFUSED);
		memcpy(a->buf + shares[i], was, 32);
		memcpy(was, buf + shares[i], 32);
		memset(buf + shares[i], 0xff, 32); /* no encoding */
		assert_int_equal(check_judge(&result, &a->asked, writer_done(&w)), CHECK_REFUSED);
		memcpy(buf + shares[i], was, 32);
	}
	assert_int_equal(out.len, 0);
	out.cap = CHECK_ANSWER_LEN - 1;
	assert_int_equal(check_answer(&out, &rng.base, &aid, a->message, span_str("kettle")), CHECK_REFUSED);
	assert_int_equal(out.len, 0);
	assert_int_equal(check_judge(&result, &a->asked, writer_done(&w)), 0);
	assert_int_equal(result, CHECK_RIGHT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_are_three_outcomes),
		cmocka_unit_test(an_answer_is_for_one_question_of_one_pair),
		cmocka_unit_test(answers_that_may_not_be_agreed_are_refused),
		cmocka_unit_test(a_question_has_a_longest_length),
		cmocka_unit_test(misshapen_messages_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
