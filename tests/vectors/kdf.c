#include <string.h>

#include "node/crypto/kdf.h"
#include "node/crypto/safety.h"
#include "node/crypto/secrets.h"
#include "tests/vectors/run.h"
#include "transport/call.h"

/*
 * One derivation for each case (PROTOCOL sections 1, 2.3, 3, 4 and 6), known by a key of its
 * input that only it has.
 */

static void check_key(const struct sym_key *got, const json_t *out, const char *what)
{
	check_bytes(KEY_SPAN(got), json_object_get(out, what), what);
}

static void run_b2(const json_t *in, const json_t *out)
{
	const int64_t n = int_get(in, "n");
	const struct span key = hex_get(in, "key"), data = hex_get(in, "data");
	const char *label = text_get(in, "label");
	uint8_t bytes[B2_MAX];

	if (n < B2_MIN || n > B2_MAX || key.len > 64 || strlen(label) > B2_LABEL_MAX) {
		check_true(!bool_get(out, "accept", true), "not within the bounds of B2");
		return;
	}
	b2(bytes, (size_t)n, label, key, data);
	check_bytes(span_from(bytes, (size_t)n), json_object_get(out, "bytes"), "bytes");
}

static void pair_get(struct secrets_pair *pair, const json_t *in)
{
	hex_into(pair->s_a.b, 32, in, "S_a");
	hex_into(pair->s_b.b, 32, in, "S_b");
	hex_into(pair->r_a.b, 32, in, "R_a");
	hex_into(pair->r_b.b, 32, in, "R_b");
}

static void run_results(const json_t *in, const json_t *out)
{
	char text[SAFETY_TEXT_LEN + 1];
	struct secrets_result result;
	struct secrets_pair pair;
	struct root_secret root;
	struct hash32 aid;

	pair_get(&pair, in);
	hex_into(root.b, sizeof(root.b), in, "root");
	secrets_of_root(&result, &root);
	check_bytes(KEY_SPAN(&result.l0), json_object_get(out, "L0"), "L0");
	check_bytes(KEY_SPAN(&result.anchor), json_object_get(out, "anchor"), "anchor");
	check_key(&result.rk0, out, "rk0");
	check_key(&result.ha, out, "ha");
	check_key(&result.nb, out, "nb");
	secrets_aid(&aid, &pair.s_a, &pair.s_b, (uint32_t)int_get(in, "epoch"));
	check_bytes(KEY_SPAN(&aid), json_object_get(out, "aid"), "aid");
	safety_number(text, &pair);
	check_text(text, text_get(out, "safety_number"), "safety number");
}

/* q_a and q_b are empty where nothing was shown. */
static void run_reinit(const json_t *in, const json_t *out)
{
	const uint32_t epoch = (uint32_t)int_get(in, "epoch");
	struct secrets_pair pair;
	struct root_secret root;
	struct sym_key x, q_a, q_b;

	pair_get(&pair, in);
	hex_into(x.b, sizeof(x.b), in, "X");
	if (hex_get(in, "q_a").len == 0 && hex_get(in, "q_b").len == 0) {
		secrets_root_reinit(&root, &x, epoch, &pair);
	} else {
		hex_into(q_a.b, sizeof(q_a.b), in, "q_a");
		hex_into(q_b.b, sizeof(q_b.b), in, "q_b");
		secrets_root_topup(&root, &x, epoch, &pair, &q_a, &q_b);
	}
	check_bytes(KEY_SPAN(&root), json_object_get(out, "root"), "root");
}

static void run_link_keys(const json_t *in, const json_t *out)
{
	struct link_secret l, next;
	struct sym_key x, key;

	hex_into(l.b, sizeof(l.b), in, "L");
	hex_into(x.b, sizeof(x.b), in, "X");
	secrets_psk(&key, &l);
	check_key(&key, out, "psk");
	secrets_call_key(&key, &l, ROLE_A);
	check_key(&key, out, "k_ab");
	secrets_call_key(&key, &l, ROLE_B);
	check_key(&key, out, "k_ba");
	secrets_next(&next, &l, &x);
	check_bytes(KEY_SPAN(&next), json_object_get(out, "L_next"), "L_next");
}

static void check_halves(const char *label, struct span key, struct span data, const json_t *out,
                         const char *first, const char *second)
{
	uint8_t o[64];

	b2(o, sizeof(o), label, key, data);
	check_bytes(span_from(o, 32), json_object_get(out, first), first);
	check_bytes(span_from(o + 32, 32), json_object_get(out, second), second);
}

/* The formulas of section 6; the ratchet's own steps are judged by its own vectors. */
static void run_ratchet_steps(const json_t *in, const json_t *out)
{
	const struct span rk = hex_get(in, "rk"), dh = hex_get(in, "dh"), hk = hex_get(in, "hk");
	struct sym_key nh;
	struct tag16 tag;

	check_halves("fl1:rk", rk, dh, out, "rk_next", "ck_new");
	b2(nh.b, sizeof(nh.b), "fl1:nh", rk, dh);
	check_key(&nh, out, "nh");
	check_halves("fl1:ck", hex_get(in, "ck"), SPAN_NONE, out, "ck_next", "mk");
	check_halves("fl1:hk", hk, SPAN_NONE, out, "hk_next", "header_key");
	b2(tag.b, sizeof(tag.b), "fl1:et", hk, SPAN_NONE);
	check_bytes(KEY_SPAN(&tag), json_object_get(out, "tag"), "tag");
}

static void run_courier_id(const json_t *in, const json_t *out)
{
	struct sym_key x;
	uint8_t id[8];

	hex_into(x.b, sizeof(x.b), in, "X");
	secrets_courier_id(id, &x, hex_get(in, "envelope"));
	check_bytes(SPAN(id), json_object_get(out, "id"), "id");
}

static void run_meeting(const json_t *in, const json_t *out)
{
	struct link_secret anchor;
	struct call_meet meet;

	hex_into(anchor.b, sizeof(anchor.b), in, "anchor");
	meet = call_meet(&anchor, (uint32_t)int_get(in, "unit"));
	check_int(meet.port, int_get(out, "port"), "port");
	check_int(meet.slot, int_get(out, "slot"), "slot");
}

static void run_port(const json_t *in, const json_t *out)
{
	struct nonce16 n_call, n_answer;
	struct sym_key key;

	hex_into(key.b, sizeof(key.b), in, "K_caller");
	hex_into(n_call.b, sizeof(n_call.b), in, "n_call");
	hex_into(n_answer.b, sizeof(n_answer.b), in, "n_answer");
	check_int(call_port(&key, &n_call, &n_answer), int_get(out, "port"), "port");
}

static void run_code_key(const json_t *in, const json_t *out)
{
	const int64_t number = int_get(in, "NN");
	struct sym_key key;

	if (number < 0 || number > 99) {
		check_true(!bool_get(out, "accept", true), "no number of two digits");
		return;
	}
	secrets_code_key(&key, (unsigned)number);
	check_key(&key, out, "K");
}

static const struct {
	const char *key;
	void (*run)(const json_t *in, const json_t *out);
} derivations[] = {
	{ "label", run_b2 },       { "root", run_results },     { "q_a", run_reinit },
	{ "L", run_link_keys },    { "rk", run_ratchet_steps }, { "envelope", run_courier_id },
	{ "anchor", run_meeting }, { "K_caller", run_port },    { "NN", run_code_key },
};

static void run(const json_t *test_case, const json_t *all_cases)
{
	const json_t *in = json_object_get(test_case, "in");
	size_t i = 0;

	(void)all_cases;
	while (i < COUNT_OF(derivations) && json_object_get(in, derivations[i].key) == NULL)
		i++;
	check_true(i < COUNT_OF(derivations), "no derivation of ours");
	if (i < COUNT_OF(derivations))
		derivations[i].run(in, json_object_get(test_case, "out"));
}

const struct part vectors_kdf = { .name = "kdf", .run = run };
