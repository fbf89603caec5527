#include "tests/vectors/run.h"

#include "node/crypto/kdf.h"
#include "node/crypto/secrets.h"
#include "transport/link.h"

/* PROTOCOL section 5: whole handshakes, then single flights as one side must judge them. */

static void start(struct link *l, const json_t *in, enum link_role role)
{
	const bool initiator = role == LINK_INITIATOR;
	struct link_secret secret;
	struct nonce16 n_i, n_r;
	struct key_pair own;
	struct public_key peer;

	hex_into(secret.b, sizeof(secret.b), in, "L");
	hex_into(n_i.b, sizeof(n_i.b), in, "n_I");
	hex_into(n_r.b, sizeof(n_r.b), in, "n_R");
	hex_into(own.secret.b, sizeof(own.secret.b), in, initiator ? "s_I" : "s_R");
	public_key_of(&own.public, &own.secret);
	hex_into(peer.b, sizeof(peer.b), in, initiator ? "S_R" : "S_I");
	link_init(l, &(struct link_config){ role, &secret, &own, &peer, &n_i, &n_r });
}

/* What a side draws for its flight: e, then the padding. */
static struct random *draws(const json_t *in, const char *e, const char *pad)
{
	uint8_t *bytes = case_alloc(224);

	hex_into(bytes, 32, in, e);
	if (json_object_get(in, pad) != NULL)
		hex_into(bytes + 32, 192, in, pad);
	return random_given(span_from(bytes, 224));
}

static void run_flight(const json_t *in, const json_t *out)
{
	const bool initiator = strcmp(text_get(in, "role"), "I") == 0;
	struct span own_flight;
	struct link l;
	bool accepted;

	start(&l, in, initiator ? LINK_INITIATOR : LINK_ANSWERER);
	if (initiator)
		check_int(link_wire(&own_flight, &l, draws(in, "e_I", "pad1")), 0, "making wire1");
	accepted = link_read_wire(&l, hex_get(in, initiator ? "wire2" : "wire1")) == 0;
	check_int(accepted, bool_get(out, "accept", true), "accepted");
	check_int(l.state != LINK_CALLING, accepted, "moved on");
	link_deinit(&l);
}

/* A datagram each way: the initiator's first opens the answerer. */
static void check_open(struct link *i, struct link *r)
{
	static uint8_t zeros[64];
	uint8_t wire[CARRIER_LARGE], plain[LINK_PLAIN_MAX];
	struct span frames;
	uint64_t pn;
	size_t len;

	len = link_seal(&pn, i, random_given(SPAN(zeros)), wire, SPAN_NONE);
	check_int(link_open(&frames, &pn, r, plain, span_from(wire, len)), 0, "first datagram");
	check_int(r->state, LINK_OPEN, "state");
	len = link_seal(&pn, r, random_given(SPAN(zeros)), wire, SPAN_NONE);
	check_int(link_open(&frames, &pn, i, plain, span_from(wire, len)), 0, "first datagram back");
}

static void run_handshake(const json_t *in, const json_t *out)
{
	struct span wire1, wire2, again;
	struct link_secret next;
	struct link i, r;

	start(&i, in, LINK_INITIATOR);
	start(&r, in, LINK_ANSWERER);
	check_bytes(KEY_SPAN(&i.mask[LINK_INITIATOR]), json_object_get(out, "M_i"), "M_i");
	check_bytes(KEY_SPAN(&r.mask[LINK_ANSWERER]), json_object_get(out, "M_r"), "M_r");
	if (link_wire(&wire1, &i, draws(in, "e_I", "pad1")) != 0 || link_read_wire(&r, wire1) != 0 ||
	    link_wire(&wire2, &r, draws(in, "e_R", "pad2")) != 0 || link_read_wire(&i, wire2) != 0) {
		check_true(false, "the handshake fails");
		return;
	}
	check_bytes(wire1, json_object_get(out, "wire1"), "wire1");
	check_bytes(wire2, json_object_get(out, "wire2"), "wire2");
	check_int(link_wire(&again, &r, NULL), 0, "wire2 again");
	check_bytes(again, json_object_get(out, "wire2"), "wire2 again");
	check_int(link_read_wire(&r, wire1), LINK_REFUSED, "wire1 again");
	check_int(link_read_wire(&i, wire2), LINK_REFUSED, "wire2 again");

	check_bytes(KEY_SPAN(&i.send), json_object_get(out, "k_i_to_r"), "k_i_to_r");
	check_bytes(KEY_SPAN(&r.receive), json_object_get(out, "k_i_to_r"), "k_i_to_r of R");
	check_bytes(KEY_SPAN(&i.receive), json_object_get(out, "k_r_to_i"), "k_r_to_i");
	check_bytes(KEY_SPAN(&r.send), json_object_get(out, "k_r_to_i"), "k_r_to_i of R");
	check_open(&i, &r);
	check_bytes(KEY_SPAN(link_x(&i)), json_object_get(out, "X"), "X");
	check_bytes(KEY_SPAN(link_x(&r)), json_object_get(out, "X"), "X of R");
	hex_into(next.b, sizeof(next.b), in, "L");
	secrets_next(&next, &next, link_x(&i));
	check_bytes(KEY_SPAN(&next), json_object_get(out, "L_next"), "L_next");
	link_deinit(&i);
	link_deinit(&r);
}

static void run(const json_t *test_case, const json_t *all_cases)
{
	const json_t *in = json_object_get(test_case, "in"), *out = json_object_get(test_case, "out");

	(void)all_cases;
	if (json_object_get(in, "role") != NULL)
		run_flight(in, out);
	else
		run_handshake(in, out);
}

const struct part vectors_link = { "link", run };
