#include "tests/vectors/run.h"

#include "node/core/text.h"
#include "node/crypto/ratchet.h"
#include "tests/skipped_memory.h"

/* PROTOCOL section 6: conversations of two ratchets, step by step, and what envelopes hold. */

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
	uint8_t *scratch; /* ENVELOPE_MAX bytes */
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

	*s = (struct script){ .sent = case_alloc(SENT_MAX * sizeof(struct sent)),
		              .scratch = case_alloc(ENVELOPE_MAX) };
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
	struct writer w = writer_on(case_alloc(size), size);
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
	struct writer text = writer_on(s->scratch, ENVELOPE_MAX);
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

/* --- Texts --- */

static bool read_time(uint64_t *out, const json_t *message, const char *key)
{
	const json_t *value = json_object_get(message, key);

	*out = (uint64_t)json_integer_value(value);
	return json_is_integer(value);
}

static void read_message(struct text_message *out, const json_t *message)
{
	*out = (struct text_message){ .kind = (uint64_t)int_get(message, "kind") };
	out->claimed = (uint64_t)int_get(message, "claimed");
	out->has_not_before = read_time(&out->not_before, message, "not_before");
	out->has_drop_after = read_time(&out->drop_after, message, "drop_after");
	out->content = out->kind == TEXT_WORDS ? span_str(text_get(message, "content"))
	                                       : hex_get(message, "content");
}

static void check_message(const struct text_message *got, const struct text_message *want)
{
	check_int((int64_t)got->kind, (int64_t)want->kind, "kind");
	check_int((int64_t)got->claimed, (int64_t)want->claimed, "claimed time");
	check_int(got->has_not_before, want->has_not_before, "presence of not-before");
	check_int((int64_t)got->not_before, (int64_t)want->not_before, "not-before");
	check_int(got->has_drop_after, want->has_drop_after, "presence of drop-after");
	check_int((int64_t)got->drop_after, (int64_t)want->drop_after, "drop-after");
	check_true(span_equal(got->content, want->content), "content differs");
}

static void read_text_head(struct text_head *out, const json_t *in)
{
	*out = (struct text_head){ .sequence = (uint64_t)int_get(in, "sequence") };
	out->acknowledged = (uint64_t)int_get(in, "acknowledged");
	out->has_previous = json_object_get(in, "previous") != NULL;
	if (out->has_previous)
		text_hash(&out->previous, hex_get(in, "previous"));
}

static void encode_text(const json_t *in, const json_t *want)
{
	const json_t *messages = json_object_get(in, "messages"), *message;
	uint8_t *buf = case_alloc(TEXT_HEAD_MAX + TEXT_MAX);
	struct text_writer w;
	struct text_head head;
	struct text_message m;
	size_t i;

	read_text_head(&head, in);
	text_begin(&w, buf, TEXT_MAX, &head);
	json_array_foreach(messages, i, message)
	{
		read_message(&m, message);
		check_int(text_add(&w, &m), 0, "adding a message");
	}
	if (w.count > 0)
		check_bytes(text_end(&w), want, "text");
}

static void decode_text(const json_t *in, struct span bytes)
{
	const json_t *messages = json_object_get(in, "messages"), *message;
	struct text_head head;
	struct text_message got, want;
	struct text t;
	size_t i;

	read_text_head(&head, in);
	if (text_decode(&t, bytes) != 0) {
		check_true(false, "the text is refused");
		return;
	}
	check_int((int64_t)t.head.sequence, (int64_t)head.sequence, "sequence");
	check_int((int64_t)t.head.acknowledged, (int64_t)head.acknowledged, "acknowledged");
	check_int(t.head.has_previous, head.has_previous, "presence of the previous hash");
	check_true(span_equal(KEY_SPAN(&t.head.previous), KEY_SPAN(&head.previous)), "previous hash differs");
	json_array_foreach(messages, i, message)
	{
		read_message(&want, message);
		check_true(text_next(&t, &got), "too few messages");
		check_message(&got, &want);
	}
	check_true(!text_next(&t, &got), "too many messages");
}

static void run_text(const json_t *in, const json_t *out)
{
	const json_t *want = json_object_get(out, "text"), *given = json_object_get(in, "text");
	struct text t;

	if (given != NULL) {
		check_int(text_decode(&t, hex_of(given)) == 0, bool_get(out, "accept", true), "accepted");
		return;
	}
	encode_text(in, want);
	if (json_is_string(want))
		decode_text(in, hex_of(want));
}

static void run(const json_t *test_case, const json_t *all_cases)
{
	(void)all_cases;
	if (json_is_array(json_object_get(test_case, "steps")))
		run_script(test_case);
	else
		run_text(json_object_get(test_case, "in"), json_object_get(test_case, "out"));
}

const struct part vectors_ratchet = { "ratchet", run };
