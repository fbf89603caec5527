#include <string.h>

#include "node/core/fold.h"
#include "node/crypto/check.h"
#include "tests/vectors/run.h"

/*
 * The person check (PROTOCOL section 7): whole checks from the answers as typed to the result,
 * foldings alone, and messages that must be refused.
 */

/* Folds a text of the case; fails the case where it is refused. */
static struct span folded(const json_t *object, const char *key)
{
	struct writer w = writer_on(case_alloc(FOLD_FOLDED_MAX), FOLD_FOLDED_MAX);

	check_true(fold(&w, span_str(text_get(object, key))) == 0, "%s is not folded", key);
	return writer_done(&w);
}

static void run_fold(const json_t *in, const json_t *out)
{
	struct writer w = writer_on(case_alloc(FOLD_FOLDED_MAX), FOLD_FOLDED_MAX);
	const int r = fold(&w, span_str(text_get(in, "answer")));

	check_true((r == 0) == bool_get(out, "accept", true), "folded: %s", r == 0 ? "yes" : "refused");
	if (r == 0)
		check_bytes(writer_done(&w), json_object_get(out, "folded"), "folded");
}

/* The randomness of a side in the order in which it is drawn: what comes first, then two scalars. */
static struct random *randomness(struct span n, struct span unknown, const json_t *scalars)
{
	struct writer w = writer_on(case_alloc(16 + 3 * 32), 16 + 3 * 32);

	writer_span(&w, n);
	writer_span(&w, unknown);
	writer_span(&w, hex_of(json_array_get(scalars, 0)));
	writer_span(&w, hex_of(json_array_get(scalars, 1)));
	check_true(!w.failed, "more randomness than a side draws");
	return random_given(writer_done(&w));
}

/* The case's answers, folded. */
struct answers {
	struct span right, duress, typed;
	bool has_duress;
};

static void answers_get(struct answers *a, const json_t *in, const json_t *out)
{
	*a = (struct answers){ .right = folded(in, "right"),
		               .typed = folded(in, "typed"),
		               .has_duress = json_is_string(json_object_get(in, "duress")) };
	if (a->has_duress)
		a->duress = folded(in, "duress");
	if (json_object_get(out, "folded_right") != NULL)
		check_bytes(a->right, json_object_get(out, "folded_right"), "folded_right");
	if (json_object_get(out, "folded_typed") != NULL)
		check_bytes(a->typed, json_object_get(out, "folded_typed"), "folded_typed");
	if (a->has_duress && json_object_get(out, "folded_duress") != NULL)
		check_bytes(a->duress, json_object_get(out, "folded_duress"), "folded_duress");
}

static int ask(struct check_asked *asked, struct writer *message, const struct answers *a, const json_t *in)
{
	/* Not there where the answers may not be agreed: nothing is drawn then. */
	const struct span unknown = json_object_get(in, "PRS_2") != NULL ? hex_get(in, "PRS_2") : SPAN_NONE;
	struct hash32 aid;

	hex_into(aid.b, sizeof(aid.b), in, "aid");
	return check_ask(asked, message, randomness(hex_get(in, "nA"), unknown, json_object_get(in, "y_A")),
	                 &aid, span_str(text_get(in, "question")), a->right,
	                 a->has_duress ? &a->duress : NULL);
}

static int answer(struct writer *message, const struct answers *a, const json_t *in, struct span asking)
{
	struct hash32 aid;

	hex_into(aid.b, sizeof(aid.b), in, json_object_get(in, "aid_B") != NULL ? "aid_B" : "aid");
	return check_answer(message, randomness(SPAN_NONE, SPAN_NONE, json_object_get(in, "y_B")), &aid,
	                    asking, a->typed);
}

static void check_result(enum check_result result, const json_t *out)
{
	static const char *const names[] = { "wrong", "right", "duress" };

	check_text(names[result], text_get(out, "result"), "result");
}

/* A whole check; in.ask or in.answer replaces the message that would be made. Any of the three steps may be
 * the one that refuses. */
static void run_check(const json_t *in, const json_t *out)
{
	struct writer asking = writer_on(case_alloc(65536), 65536),
	              answering = writer_on(case_alloc(1024), 1024);
	const bool accept = bool_get(out, "accept", true);
	enum check_result result = CHECK_WRONG;
	struct check_asked asked;
	struct answers a;
	struct span message, reply, question;
	int r;

	answers_get(&a, in, out);
	r = ask(&asked, &asking, &a, in);
	message = json_object_get(in, "ask") != NULL ? hex_get(in, "ask") : writer_done(&asking);
	if (r == 0 && json_object_get(out, "ask") != NULL)
		check_bytes(message, json_object_get(out, "ask"), "ask");
	if (r == 0)
		r = answer(&answering, &a, in, message);
	reply = json_object_get(in, "answer") != NULL ? hex_get(in, "answer") : writer_done(&answering);
	if (r == 0 && json_object_get(out, "answer") != NULL)
		check_bytes(reply, json_object_get(out, "answer"), "answer");
	if (r == 0)
		r = check_judge(&result, &asked, reply);
	check_true((r == 0) == accept, r == 0 ? "taken" : "refused");
	if (r != 0 || !accept)
		return;
	check_true(check_question(&question, message) == 0, "no question");
	check_true(span_equal(question, span_str(text_get(in, "question"))), "question differs");
	check_result(result, out);
}

static void run(const json_t *test_case, const json_t *all_cases)
{
	const json_t *in = json_object_get(test_case, "in"), *out = json_object_get(test_case, "out");

	(void)all_cases;
	if (json_object_get(in, "aid") == NULL)
		run_fold(in, out);
	else
		run_check(in, out);
}

const struct part vectors_person_check = { .name = "person-check", .run = run };
