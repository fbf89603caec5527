#include "tests/vectors/run.h"

#include <arpa/inet.h>

#include "transport/call.h"

/*
 * PROTOCOL section 4: calls are made with the randomness of the case and compared, then
 * read back by each receiver. Where call_make() puts an entry is drawn after the fill:
 * the draws that lead to the case's places are found by walking the same shuffle.
 */

static struct address source_of(const char *text)
{
	struct address a = { 0 };

	if (strchr(text, ':') != NULL) {
		check_true(inet_pton(AF_INET6, text, a.ip) == 1, "no address: %s", text);
		return a;
	}
	memset(a.ip + 10, 0xff, 2);
	check_true(inet_pton(AF_INET, text, a.ip + 12) == 1, "no address: %s", text);
	return a;
}

static struct call_proof proof_of(const json_t *in, const json_t *entry)
{
	const struct address source = source_of(text_get(in, "source"));
	const enum call_kind kind = (enum call_kind)int_get(in, "kind");
	struct nonce16 n_call;

	if (kind != CALL_KIND_ANSWER)
		return call_proof_clock(kind, (uint64_t)int_get(entry, "clock"), &source);
	hex_into(n_call.b, sizeof(n_call.b), in, "n_call");
	return call_proof_answer(&n_call, &source);
}

/* The draw that makes random_below(rng, left) say where place now lies in the shuffle. */
static uint32_t draw_for(uint8_t *free_places, size_t left, int64_t place)
{
	for (uint32_t i = 0; i < left; i++) {
		if (free_places[i] != place)
			continue;
		free_places[i] = free_places[left - 1];
		return i + (uint32_t)left; /* one bound up: never among the draws that are refused */
	}
	check_true(false, "no place %lld", (long long)place);
	return 0;
}

static void make(struct call *out, const json_t *in, enum call_shape shape)
{
	const json_t *fill = json_object_get(in, "fill"), *entries = json_object_get(in, "entries"), *entry;
	const size_t n = json_array_size(entries);
	struct sym_key *keys = case_alloc((n + 1) * sizeof(*keys));
	struct call_entry *made = case_alloc((n + 1) * sizeof(*made));
	uint8_t free_places[CALL_PLACES_MAX], *draws = case_alloc((size_t)shape * 16 + n * 4);
	struct writer w = writer_on(draws, (size_t)shape * 16 + n * 4);
	size_t i;

	for (i = 0; i < (size_t)shape; i++) {
		writer_span(&w, hex_of(json_array_get(fill, i)));
		free_places[i] = (uint8_t)(i + 1);
	}
	json_array_foreach(entries, i, entry)
	{
		const uint32_t draw = draw_for(free_places, (size_t)shape - 1 - i, int_get(entry, "slot"));

		hex_into(keys[i].b, sizeof(keys[i].b), entry, "K");
		made[i] = (struct call_entry){ &keys[i], proof_of(in, entry) };
		writer_bytes(&w, &draw, sizeof(draw));
	}
	check_true(!w.failed && writer_left(&w) == 0, "a fill is not 16 bytes");
	call_make(out, shape, made, n, random_given(span_from(draws, w.len)));
}

static void receive(const struct call *c, const json_t *in, const json_t *receiver)
{
	const struct address source = source_of(text_get(receiver, "source"));
	const enum call_kind kind = (enum call_kind)int_get(in, "kind");
	const char *verdict = "not for me";
	struct nonce16 n_call;
	struct call_proof proof;
	struct sym_key key;
	bool live;
	int place;

	hex_into(key.b, sizeof(key.b), receiver, "K");
	place = call_find(c, &key);
	if (place >= 1 && kind == CALL_KIND_ANSWER) {
		hex_into(n_call.b, sizeof(n_call.b), in, "n_call");
		proof = call_proof_answer(&n_call, &source);
		live = call_is_live(c, place, &key, &proof);
		verdict = live ? "live" : "recognised, not live";
	} else if (place >= 1) {
		live = call_is_live_by_clock(c, place, &key, kind, &source,
		                             (uint64_t)int_get(receiver, "clock"),
		                             int_get(receiver, "offset"));
		verdict = live ? "live" : "recognised, not live";
	}
	check_text(verdict, text_get(receiver, "verdict"), text_get(receiver, "who"));
}

static void check_port(const struct call *answer, const json_t *in, const json_t *out)
{
	struct sym_key key;
	struct nonce16 n_call;

	hex_into(key.b, sizeof(key.b), in, "K_caller");
	hex_into(n_call.b, sizeof(n_call.b), in, "n_call");
	check_int(call_port(&key, &n_call, call_nonce(answer)), int_get(out, "port"), "port");
}

static void run_call(const json_t *in, const json_t *out)
{
	const size_t places = json_array_size(json_object_get(in, "fill"));
	const enum call_shape shape = (enum call_shape)places;
	uint8_t bytes[CALL_LARGE_LEN];
	struct writer w = WRITER_ON(bytes);
	const json_t *value;
	struct call c;
	size_t i;

	check_true(places == CALL_SMALL || places == CALL_LARGE || places == CALL_DIRECT, "%zu places",
	           places);
	if (places != CALL_SMALL && places != CALL_LARGE && places != CALL_DIRECT)
		return;
	make(&c, in, shape);
	check_bytes(KEY_SPAN(call_nonce(&c)), json_object_get(out, "n"), "n");
	json_array_foreach(json_object_get(out, "slots"), i, value)
	        check_bytes(SPAN(c.place[i]), value, "slot");
	call_write(&w, &c);
	check_bytes(writer_done(&w), json_object_get(out, "datagram"), "datagram");

	memset(&c, 0, sizeof(c));
	check_int(shape == CALL_DIRECT ? call_read_direct(&c, writer_done(&w))
	                               : call_read(&c, writer_done(&w)),
	          0, "reading it back");
	json_array_foreach(json_object_get(out, "receivers"), i, value) receive(&c, in, value);
	if (json_object_get(out, "port") != NULL)
		check_port(&c, in, out);
}

static void run(const json_t *test_case, const json_t *all_cases)
{
	const json_t *in = json_object_get(test_case, "in"), *out = json_object_get(test_case, "out");
	struct call c;

	(void)all_cases;
	if (json_object_get(in, "fill") != NULL)
		run_call(in, out);
	else
		check_int(call_read(&c, hex_get(in, "datagram")) == 0, bool_get(out, "accept", true),
		          "accepted");
}

const struct part vectors_call = { "call", run };
