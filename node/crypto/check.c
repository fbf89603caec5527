#include "node/crypto/check.h"

#include <sodium.h>

#include "node/base/utf8.h"

/*
 * ask     0   1  00
 *         1  16  nA
 *        17  32  Y_A of run 1
 *        49  32  Y_A of run 2
 *        81  ..  question, UTF-8
 *
 * answer  0   1  01
 *         1  16  nA
 *        17  32  Y_B of run 1
 *        49  32  Y_B of run 2
 *        81  32  T of run 1
 *       113  32  T of run 2
 *
 * The runs are numbered 1 and 2 on the wire and 0 and 1 here. Both are always computed to the end before
 * anything is looked at: who measures us must not learn which of them matched.
 */
enum { TYPE_ASK = 0, TYPE_ANSWER = 1 };
enum { SID_LEN = 16 + 1, TAG_LEN = 32, CI_MAX = CHECK_QUESTION_MAX + 64 };

/* What the runs of one check have in common, and what each has of its own. */
struct run {
	uint8_t sid[SID_LEN];
	struct cpace cpace;
};

/* ci and prs are only needed to make a share. run is where it stays: cpace borrows from it. */
static void run_init(struct run *run, unsigned i, const struct nonce16 *n, struct span ci, struct span prs)
{
	memcpy(run->sid, n->b, sizeof(n->b));
	run->sid[SID_LEN - 1] = (uint8_t)(i + 1);
	run->cpace = (struct cpace){
		.prs = prs, .ci = ci, .sid = SPAN(run->sid), .ad_a = span_str("A"), .ad_b = span_str("B")
	};
}

/* CI = lv_cat("fl1:check/1", aid, question) */
static struct span channel(struct writer *w, const struct hash32 *aid, struct span question)
{
	const struct span parts[] = { span_str("fl1:check/1"), KEY_SPAN(aid), question };

	cpace_lv_cat(w, parts, COUNT_OF(parts));
	assert(!w->failed);
	return writer_done(w);
}

/* T = HMAC-SHA-512(SHA-512("CPaceMac" ‖ sid ‖ ISK), lv_cat(Y_B, "B"))[0..32) */
static void tag_of(uint8_t out[static TAG_LEN], const struct run *run, const struct hash64 *isk,
                   const struct cpace_share *share_b)
{
	const struct span parts[] = { KEY_SPAN(share_b), run->cpace.ad_b };
	uint8_t key[crypto_hash_sha512_BYTES], mac[crypto_auth_hmacsha512_BYTES], text[64];
	struct writer w = WRITER_ON(text);
	crypto_auth_hmacsha512_state hmac;
	crypto_hash_sha512_state hash;

	crypto_hash_sha512_init(&hash);
	crypto_hash_sha512_update(&hash, (const uint8_t *)"CPaceMac", strlen("CPaceMac"));
	crypto_hash_sha512_update(&hash, run->sid, sizeof(run->sid));
	crypto_hash_sha512_update(&hash, isk->b, sizeof(isk->b));
	crypto_hash_sha512_final(&hash, key);
	cpace_lv_cat(&w, parts, COUNT_OF(parts));
	assert(!w.failed);
	crypto_auth_hmacsha512_init(&hmac, key, sizeof(key));
	crypto_auth_hmacsha512_update(&hmac, text, w.len);
	crypto_auth_hmacsha512_final(&hmac, mac);
	memcpy(out, mac, TAG_LEN);
	sodium_memzero(key, sizeof(key));
	sodium_memzero(mac, sizeof(mac));
	sodium_memzero(&hash, sizeof(hash));
	sodium_memzero(&hmac, sizeof(hmac));
}

int check_agree(struct span right, const struct span *duress)
{
	if (right.len == 0 || (duress != NULL && duress->len == 0))
		return CHECK_REFUSED;
	if (duress != NULL && duress->len == right.len && sodium_memcmp(right.p, duress->p, right.len) == 0)
		return CHECK_REFUSED;
	return 0;
}

int check_ask(struct check_asked *asked, struct writer *out, struct random *rng, const struct hash32 *aid,
              struct span question, struct span right, const struct span *duress)
{
	uint8_t ci_buf[CI_MAX], unknown[32];
	struct writer ci_writer = WRITER_ON(ci_buf);
	struct span prs[CHECK_RUNS] = { right, SPAN(unknown) }, ci;

	if (check_agree(right, duress) != 0 || question.len > CHECK_QUESTION_MAX || !utf8_valid(question) ||
	    writer_left(out) < CHECK_ASK_LEN + question.len)
		return CHECK_REFUSED;
	ci = channel(&ci_writer, aid, question);
	random_bytes(rng, asked->n.b, sizeof(asked->n.b));
	if (duress != NULL)
		prs[1] = *duress;
	else
		random_bytes(rng, unknown, sizeof(unknown));
	writer_u8(out, TYPE_ASK);
	writer_span(out, KEY_SPAN(&asked->n));
	for (unsigned i = 0; i < CHECK_RUNS; i++) {
		struct run run;

		run_init(&run, i, &asked->n, ci, prs[i]);
		cpace_scalar_new(&asked->y[i], rng);
		cpace_share(&asked->share[i], &run.cpace, &asked->y[i]);
		writer_span(out, KEY_SPAN(&asked->share[i]));
	}
	writer_span(out, question);
	sodium_memzero(unknown, sizeof(unknown));
	return 0;
}

static int ask_decode(struct nonce16 *n, struct cpace_share share[static CHECK_RUNS], struct span *question,
                      struct span in)
{
	struct reader r = reader_from(in);

	reader_expect_u8(&r, TYPE_ASK);
	reader_bytes(&r, n->b, sizeof(n->b));
	for (unsigned i = 0; i < CHECK_RUNS; i++)
		reader_bytes(&r, share[i].b, sizeof(share[i].b));
	*question = reader_rest(&r);
	return reader_done(&r) && question->len <= CHECK_QUESTION_MAX && utf8_valid(*question)
	               ? 0
	               : CHECK_REFUSED;
}

int check_question(struct span *question, struct span ask)
{
	struct cpace_share share[CHECK_RUNS];
	struct nonce16 n;
	struct span q;

	if (ask_decode(&n, share, &q, ask) != 0)
		return CHECK_REFUSED;
	*question = q;
	return 0;
}

/* The answerer's side of run i: its share and its tag. */
static int answer_run(struct cpace_share *share_b, uint8_t tag[static TAG_LEN], const struct run *run,
                      struct random *rng, const struct cpace_share *share_a)
{
	struct cpace_scalar y;
	struct hash64 isk;
	int r;

	cpace_scalar_new(&y, rng);
	cpace_share(share_b, &run->cpace, &y);
	r = cpace_isk_ir(&isk, &run->cpace, &y, false, share_a, share_b);
	if (r == 0)
		tag_of(tag, run, &isk, share_b);
	sodium_memzero(&y, sizeof(y));
	sodium_memzero(&isk, sizeof(isk));
	return r == 0 ? 0 : CHECK_REFUSED;
}

int check_answer(struct writer *out, struct random *rng, const struct hash32 *aid, struct span ask,
                 struct span typed)
{
	struct cpace_share share_a[CHECK_RUNS], share_b[CHECK_RUNS];
	uint8_t ci_buf[CI_MAX], tag[CHECK_RUNS][TAG_LEN];
	struct writer ci_writer = WRITER_ON(ci_buf);
	struct span question, ci;
	struct nonce16 n;

	if (ask_decode(&n, share_a, &question, ask) != 0 || writer_left(out) < CHECK_ANSWER_LEN)
		return CHECK_REFUSED;
	ci = channel(&ci_writer, aid, question);
	for (unsigned i = 0; i < CHECK_RUNS; i++) {
		struct run run;

		run_init(&run, i, &n, ci, typed);
		if (answer_run(&share_b[i], tag[i], &run, rng, &share_a[i]) != 0)
			return CHECK_REFUSED;
	}
	writer_u8(out, TYPE_ANSWER);
	writer_span(out, KEY_SPAN(&n));
	for (unsigned i = 0; i < CHECK_RUNS; i++)
		writer_span(out, KEY_SPAN(&share_b[i]));
	for (unsigned i = 0; i < CHECK_RUNS; i++)
		writer_span(out, SPAN(tag[i]));
	return 0;
}

static int answer_decode(struct nonce16 *n, struct cpace_share share[static CHECK_RUNS],
                         uint8_t tag[static CHECK_RUNS][TAG_LEN], struct span in)
{
	struct reader r = reader_from(in);

	reader_expect_u8(&r, TYPE_ANSWER);
	reader_bytes(&r, n->b, sizeof(n->b));
	for (unsigned i = 0; i < CHECK_RUNS; i++)
		reader_bytes(&r, share[i].b, sizeof(share[i].b));
	for (unsigned i = 0; i < CHECK_RUNS; i++)
		reader_bytes(&r, tag[i], TAG_LEN);
	return reader_done(&r) ? 0 : CHECK_REFUSED;
}

/* Whether run i has this tag, as 0 or 1 in *matches. */
static int judge_run(unsigned *matches, unsigned i, const struct check_asked *asked,
                     const struct cpace_share *share_b, const uint8_t tag[static TAG_LEN])
{
	uint8_t expected[TAG_LEN];
	struct hash64 isk;
	struct run run;

	run_init(&run, i, &asked->n, SPAN_NONE, SPAN_NONE);
	if (cpace_isk_ir(&isk, &run.cpace, &asked->y[i], true, &asked->share[i], share_b) != 0)
		return CHECK_REFUSED;
	tag_of(expected, &run, &isk, share_b);
	*matches = (unsigned)(1 + sodium_memcmp(expected, tag, TAG_LEN));
	sodium_memzero(expected, sizeof(expected));
	sodium_memzero(&isk, sizeof(isk));
	return 0;
}

int check_judge(enum check_result *result, struct check_asked *asked, struct span answer)
{
	/* Both at once takes equal answers, which check_ask() refuses. */
	static const enum check_result outcomes[] = { CHECK_WRONG, CHECK_RIGHT, CHECK_DURESS, CHECK_WRONG };
	struct cpace_share share_b[CHECK_RUNS];
	uint8_t tag[CHECK_RUNS][TAG_LEN];
	unsigned matches[CHECK_RUNS];
	struct nonce16 n;

	if (answer_decode(&n, share_b, tag, answer) != 0 || memcmp(n.b, asked->n.b, sizeof(n.b)) != 0)
		return CHECK_REFUSED;
	for (unsigned i = 0; i < CHECK_RUNS; i++) {
		if (judge_run(&matches[i], i, asked, &share_b[i], tag[i]) != 0)
			return CHECK_REFUSED;
	}
	*result = outcomes[matches[0] | matches[1] << 1];
	sodium_memzero(asked, sizeof(*asked));
	sodium_memzero(matches, sizeof(matches));
	return 0;
}
