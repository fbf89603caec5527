/*
 * check.h: the person check, "is it her, not only her phone?" (PROTOCOL section 7).
 *
 * The asker's device learns one of three things about what was typed on the other one; the
 * answering device learns nothing, not even whether the answer was right. Answers
 * come here folded (node/core/fold.h). How often a contact may be asked is the caller's to count.
 */
#ifndef NODE_CRYPTO_CHECK_H
#define NODE_CRYPTO_CHECK_H

#include "node/base/random.h"
#include "node/crypto/cpace.h"
#include "node/crypto/keys.h"

enum {
	CHECK_RUNS = 2,                           /* 0 for the right answer, 1 for the duress answer */
	CHECK_ASK_LEN = 1 + 16 + CHECK_RUNS * 32, /* and the question behind it */
	CHECK_ANSWER_LEN = 1 + 16 + CHECK_RUNS * 64,
	CHECK_QUESTION_MAX = 32000 - CHECK_ASK_LEN, /* so that the message is one that a text can carry */
};

enum { CHECK_REFUSED = 1 }; /* outcome of all that returns int here */

enum check_result { CHECK_WRONG, CHECK_RIGHT, CHECK_DURESS };

/* What the asker keeps until the answer comes; all secret. Wiped when an answer was judged. */
struct check_asked {
	struct nonce16 n;
	struct cpace_scalar y[CHECK_RUNS];
	struct cpace_share share[CHECK_RUNS];
};

/* Whether two folded answers may be agreed: neither is empty, and they differ. duress NULL: none is agreed.
 * Returns 0 or CHECK_REFUSED. */
must_check int check_agree(struct span right, const struct span *duress);

/* Appends the message that asks: CHECK_ASK_LEN bytes and the question. aid is that of the epoch that carries
 * it. Draws nA, then 32 bytes where no duress answer is agreed, then a scalar for each run. Returns 0, or
 * CHECK_REFUSED (nothing written): answers that may not be agreed, a question that is too long or no UTF-8,
 * no room in out. */
must_check int check_ask(struct check_asked *asked, struct writer *out, struct random *rng,
                         const struct hash32 *aid, struct span question, struct span right,
                         const struct span *duress);

/* The question of a message that asks, borrowed from it. Returns 0, or CHECK_REFUSED for what is no such
 * message. */
must_check int check_question(struct span *question, struct span ask);

/* Appends the answer to a message that asks, CHECK_ANSWER_LEN bytes, from what was typed, folded; it may be
 * empty. aid is that of the epoch that carried the question. Draws a scalar for each run and keeps nothing.
 * Returns 0, or CHECK_REFUSED (nothing written): no such message, a share that is no element, no room in out.
 */
must_check int check_answer(struct writer *out, struct random *rng, const struct hash32 *aid, struct span ask,
                            struct span typed);

/* What an answer tells. Takes the same time for all three. Returns 0, then asked is wiped; or CHECK_REFUSED:
 * no answer to this question, or a share that is no element; then asked is as it was. */
must_check int check_judge(enum check_result *result, struct check_asked *asked, struct span answer);

#endif
