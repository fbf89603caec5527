#include "tests/vectors/run.h"

#include "node/crypto/kdf.h"
#include "node/crypto/ratchet.h"
#include "tests/skipped_memory.h"

/* PROTOCOL section 6: conversations of two ratchets, step by step. */

enum { SENT_MAX = 4096 };

struct side {
	struct ratchet ratchet;
	struct ratchet_cache cache;
	struct skipped_memory skipped;
	uint64_t unstored; /* sent by this side and not yet opened by the other */
};

struct sent {
	struct span envelope, text;
};

struct script {
	struct side a, b;
	struct sent *sent;
	size_t sent_len;
};

static void read_pair(struct key_pair *out, const json_t *in, const char *secret, const char *public)
{
	hex_into(out->secret.b, sizeof(out->secret.b), in, secret);
	hex_into(out->public.b, sizeof(out->public.b), in, public);
}

static void script_begin(struct script *s, const json_t *in)
{
	struct ratchet_root root;
	struct key_pair a, b;

	*s = (struct script){ .sent = case_alloc(SENT_MAX * sizeof(struct sent)) };
	read_pair(&a, in, "r_a", "R_a");
	read_pair(&b, in, "r_b", "R_b");
	hex_into(root.rk0.b, sizeof(root.rk0.b), in, "rk0");
	hex_into(root.ha.b, sizeof(root.ha.b), in, "ha");
	hex_into(root.nb.b, sizeof(root.nb.b), in, "nb");
	hex_into(root.aid.b, sizeof(root.aid.b), in, "aid");
	check_int(ratchet_init(&s->a.ratchet, ROLE_A, &root, &a, &b.public, random_given(SPAN_NONE)), 0,
	          "a's start");
	check_int(ratchet_init(&s->b.ratchet, ROLE_B, &root, &b, &a.public,
	                       random_given(hex_get(in, "fresh_b"))),
	          0, "b's start");
	skipped_memory_init(&s->a.skipped);
	skipped_memory_init(&s->b.skipped);
}

static void script_end(struct script *s)
{
	ratchet_cache_deinit(&s->a.cache);
	ratchet_cache_deinit(&s->b.cache);
	skipped_memory_deinit(&s->a.skipped);
	skipped_memory_deinit(&s->b.skipped);
}

static struct span state_of(const struct side *side)
{
	struct writer w = writer_on(case_alloc(RATCHET_BYTES), RATCHET_BYTES);

	ratchet_encode(&w, &side->ratchet);
	return writer_done(&w);
}

/* An end of the envelope, beside the hash of a long one. */
static void check_end(const json_t *want, const char *key, struct span envelope, bool at_end)
{
	const json_t *part = json_object_get(want, key);
	const size_t len = part != NULL ? hex_of(part).len : 0;

	if (part == NULL || len > envelope.len)
		return;
	check_bytes(span_from(envelope.p + (at_end ? envelope.len - len : 0), len), part, key);
}

static void run_send(struct script *s, const json_t *step, struct side *by)
{
	const size_t size = (size_t)int_get(step, "size");
	struct writer w = writer_on(case_alloc(ENVELOPE_MAX), ENVELOPE_MAX);
	struct sent *sent = &s->sent[s->sent_len];
	const json_t *want = json_object_get(step, "envelope");
	int r;

	sent->text = hex_get(step, "text");
	if (!bool_get(step, "accept", true)) {
		check_true(ratchet_room(&by->ratchet, by->unstored) == 0 ||
		                   sent->text.len > envelope_text_max(size),
		           "could be sent");
		return;
	}
	r = ratchet_seal(&by->ratchet, random_given(hex_get(step, "nonce")), sent->text, size, &w);
	check_int(r, 0, "send");
	sent->envelope = writer_done(&w);
	check_bytes(sent->envelope, want, "envelope");
	check_end(want, "head", sent->envelope, false);
	check_end(want, "tail", sent->envelope, true);
	by->unstored++;
	s->sent_len++;
}

static struct span envelope_to_open(const json_t *step, const struct sent *sent)
{
	const json_t *flip = json_object_get(step, "flip_bit0_of_byte");
	uint8_t *copy = case_alloc(sent->envelope.len);

	memcpy(copy, sent->envelope.p, sent->envelope.len);
	if (flip != NULL && (size_t)json_integer_value(flip) < sent->envelope.len)
		copy[json_integer_value(flip)] ^= 1;
	return span_from(copy, sent->envelope.len);
}

static const char *where_found(const struct ratchet *before, const struct ratchet *after)
{
	if (!span_equal(KEY_SPAN(&before->peer), KEY_SPAN(&after->peer)))
		return "next";
	return before->receiving.n != after->receiving.n ? "current" : "skipped";
}

static void run_recv(struct script *s, const json_t *step, struct side *by)
{
	const size_t number = (size_t)int_get(step, "envelope");
	const struct sent *sent = &s->sent[MIN(number, s->sent_len)];
	struct random *rng = random_given(hex_get(step, "fresh"));
	struct writer text = writer_on(case_alloc(ENVELOPE_MAX), ENVELOPE_MAX);
	const struct ratchet before = by->ratchet;
	const struct span state = state_of(by);
	const bool accept = bool_get(step, "accept", false);
	int r;

	if (number >= s->sent_len) {
		check_true(false, "no envelope %zu was sent", number);
		return;
	}
	r = ratchet_open(&by->ratchet, &by->cache, rng, &by->skipped.base, envelope_to_open(step, sent),
	                 &text);
	check_int((int64_t)by->skipped.n, int_get(step, "skipped_keys_after"), "number of skipped keys");
	check_true(r >= 0 && (r == 0) == accept, "envelope %zu: opening gives %d", number, r);
	if (r == 0) {
		check_true(span_equal(writer_done(&text), sent->text), "envelope %zu: another text", number);
		check_text(where_found(&before, &by->ratchet), text_get(step, "found"), "found");
		(by == &s->a ? &s->b : &s->a)->unstored--;
	} else {
		check_true(span_equal(state, state_of(by)), "the state changed");
		check_int((int64_t)text.len, 0, "text length");
	}
}

static void run_step(struct script *s, const json_t *step)
{
	struct side *by = strcmp(text_get(step, "by"), "a") == 0 ? &s->a : &s->b;
	const struct span state = state_of(by);
	const char *op = text_get(step, "op");

	/* Every step begins with a state that was at rest, as it may in the node. */
	check_int(ratchet_decode(&by->ratchet, state), 0, "decoding a state");
	if (s->sent_len < SENT_MAX && strcmp(op, "send") == 0)
		run_send(s, step, by);
	else if (strcmp(op, "recv") == 0)
		run_recv(s, step, by);
	else
		check_true(false, "unknown step %s", op);
}

static void run_script(const json_t *test_case)
{
	const json_t *out = json_object_get(test_case, "out"), *steps = json_object_get(test_case, "steps"),
	             *step;
	struct script s;
	size_t i;

	script_begin(&s, json_object_get(test_case, "in"));
	json_array_foreach(steps, i, step) run_step(&s, step);
	check_int((int64_t)s.sent_len, int_get(out, "sent"), "number of envelopes");
	check_int((int64_t)i, int_get(out, "steps"), "number of steps");
	script_end(&s);
}

static void run(const json_t *test_case, const json_t *all_cases)
{
	(void)all_cases;
	if (json_is_array(json_object_get(test_case, "steps")))
		run_script(test_case);
	else
		check_true(false, "neither a script nor a text");
}

const struct part vectors_ratchet = { "ratchet", run };
