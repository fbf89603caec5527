/*
 * pairing_code.c: both sides of a pairing by a spoken code or one camera (PROTOCOL section 2.2).
 *
 * Each side is the machine of node/core/pairing.h; its randomness is what the vector gives, in
 * the order in which pairing.h says that it draws.
 */
#include "node/core/pairing.h"

#include "transport/call.h"

#include "tests/vectors/run.h"

static bool knows_nobody(struct pairing_known *self, const struct public_key *s)
{
	(void)self;
	(void)s;
	return false;
}

static struct pairing_known nobody = { knows_nobody };

/* Feeds a side the values of these names, and its datagram nonces by number where the name is a digit. */
static struct random *feed(const json_t *in, const char *const *names, size_t n)
{
	const json_t *nonces = json_object_get(in, "datagram_nonces");
	uint8_t *bytes = case_alloc(1024);
	struct writer w = writer_on(bytes, 1024);

	for (size_t i = 0; i < n; i++) {
		const json_t *nonce =
		        names[i][1] == '\0' ? json_array_get(nonces, (size_t)(names[i][0] - '1')) : NULL;

		if (names[i][1] != '\0')
			writer_span(&w, hex_get(in, names[i]));
		else if (nonce != NULL)
			writer_span(&w, hex_of(nonce));
	}
	return random_given(writer_done(&w));
}

static struct code code_of(const json_t *in, const char *prs)
{
	const struct span s = hex_get(in, prs);
	struct code c = { .number = (uint8_t)int_get(in, "NN"),
		          .prs_len = (uint8_t)s.len,
		          .spoken = s.len != 16 };

	check_true(s.len <= sizeof(c.prs), "PRS has %zu bytes", s.len);
	if (s.len <= sizeof(c.prs))
		memcpy(c.prs, s.p, s.len);
	return c;
}

static void check_result(const struct pairing *e, const struct pairing *d, const json_t *out)
{
	struct secrets_result want;
	struct root_secret root;
	const struct pairing_result *a = e->result.role == ROLE_A ? &e->result : &d->result;

	check_true(e->state == PAIRING_DONE && d->state == PAIRING_DONE, "not done");
	hex_into(root.b, sizeof(root.b), out, "root");
	secrets_of_root(&want, &root);
	check_true(memcmp(&e->result.secrets, &want, sizeof(want)) == 0, "root of E differs");
	check_true(memcmp(&d->result.secrets, &want, sizeof(want)) == 0, "root of D differs");
	check_bytes(KEY_SPAN(&a->s.public), json_object_get(out, "S_a"), "S_a");
	check_bytes(KEY_SPAN(&a->peer_s), json_object_get(out, "S_b"), "S_b");
	check_bytes(KEY_SPAN(&a->r.public), json_object_get(out, "R_a"), "R_a");
	check_bytes(KEY_SPAN(&a->peer_r), json_object_get(out, "R_b"), "R_b");
	check_true(e->result.by_code && d->result.by_code, "not marked as paired by code");
	check_text(e->result.safety, d->result.safety, "safety number");
	if (json_object_get(out, "safety_number") != NULL)
		check_text(e->result.safety, text_get(out, "safety_number"), "safety number");
}

static void run(const json_t *test_case, const json_t *all)
{
	static const char *const draws_d[] = { "nD", "1", "y_D", "3", "s_D", "r_D", "e_D", "5", "7" };
	static const char *const draws_e[] = { "nE", "y_E", "2", "s_E", "r_E", "e_E", "4", "6" };
	const json_t *in = json_object_get(test_case, "in"), *out = json_object_get(test_case, "out");
	const json_t *datagrams = json_object_get(out, "datagrams");
	struct random *rng[2] = { feed(in, draws_d, COUNT_OF(draws_d)),
		                  feed(in, draws_e, COUNT_OF(draws_e)) };
	const struct code shown = code_of(in, json_object_get(in, "PRS_D") != NULL ? "PRS_D" : "PRS"),
	                  entered = code_of(in, "PRS");
	struct nonce16 n_call, n_answer;
	struct sym_key k;
	struct pairing side[2]; /* D, E */

	(void)all;
	hex_into(n_call.b, 16, in, "n_call");
	hex_into(n_answer.b, 16, in, "n_answer");
	pairing_begin(&side[0], PAIRING_DISPLAYS, &shown, &nobody, 0);
	pairing_begin(&side[1], PAIRING_ENTERS, &entered, &nobody, 0);
	code_key(&k, &entered);
	check_bytes(KEY_SPAN(&k), json_object_get(out, "K"), "K");
	check_int(call_port(&k, &n_call, &n_answer), int_get(out, "port"), "port");
	pairing_path(&side[0], rng[0], &n_call, &n_answer, 0);
	pairing_path(&side[1], rng[1], &n_call, &n_answer, 0);
	check_bytes(KEY_SPAN(&side[1].send_key), json_object_get(out, "kE"), "kE");
	check_bytes(KEY_SPAN(&side[0].send_key), json_object_get(out, "kD"), "kD");
	for (size_t i = 0; i < json_array_size(datagrams); i++) {
		struct pairing *from = &side[i % 2], *to = &side[1 - i % 2];
		const bool last = i + 1 == json_array_size(datagrams);

		check_bytes(SPAN(from->datagram), json_array_get(datagrams, i), "datagram");
		check_true(pairing_datagram(to, rng[1 - i % 2], SPAN(from->datagram), 0) == !last,
		           "flight %zu was not followed as it should", i + 1);
	}
	if (bool_get(out, "accepted", true))
		check_result(&side[1], &side[0], out);
	else
		check_true(side[0].state == PAIRING_FAILED && side[0].failure == PAIRING_WRONG_CODE &&
		                   side[1].state != PAIRING_DONE,
		           "a wrong code was not refused");
	pairing_deinit(&side[0]);
	pairing_deinit(&side[1]);
}

const struct part vectors_pairing_code = { .name = "pairing-code", .run = run };
