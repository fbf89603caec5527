#include <string.h>

#include "node/crypto/kdf.h"
#include "node/crypto/noise.h"
#include "tests/vectors/run.h"

/*
 * The published Noise vectors (cacophony, snow, noise-c): both sides are played, with every
 * message compared and read by the other side. After the handshake come transport messages.
 */

static const char PREFIX[] = "Noise_", SUFFIX[] = "_25519_ChaChaPoly_BLAKE2b";

enum { INITIATOR, RESPONDER, SIDES };

/* A key pair from a private key, or NULL where the vector has none. */
static const struct key_pair *pair_get(const json_t *vector, const char *key)
{
	struct key_pair *pair;

	if (json_object_get(vector, key) == NULL)
		return NULL;
	pair = case_alloc(sizeof(*pair));
	hex_into(pair->secret.b, sizeof(pair->secret.b), vector, key);
	public_key_of(&pair->public, &pair->secret);
	return pair;
}

static const struct public_key *public_get(const json_t *vector, const char *key)
{
	struct public_key *public;

	if (json_object_get(vector, key) == NULL)
		return NULL;
	public = case_alloc(sizeof(*public));
	hex_into(public->b, sizeof(public->b), vector, key);
	return public;
}

static void psks_get(struct noise_config *c, const json_t *list)
{
	struct sym_key *psks = case_alloc((json_array_size(list) + 1) * sizeof(*psks));
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const struct span psk = hex_of(item);

		check_true(psk.len == sizeof(psks[i].b), "psk of %zu bytes", psk.len);
		if (psk.len == sizeof(psks[i].b))
			memcpy(psks[i].b, psk.p, psk.len);
	}
	c->psks = psks;
	c->psks_len = json_array_size(list);
}

static void config_get(struct noise_config *c, const json_t *vector, bool initiator)
{
	*c = (struct noise_config){
		.initiator = initiator,
		.prologue = hex_get(vector, initiator ? "init_prologue" : "resp_prologue"),
		.s = pair_get(vector, initiator ? "init_static" : "resp_static"),
		.e = pair_get(vector, initiator ? "init_ephemeral" : "resp_ephemeral"),
		.rs = public_get(vector, initiator ? "init_remote_static" : "resp_remote_static"),
	};
	psks_get(c, json_object_get(vector, initiator ? "init_psks" : "resp_psks"));
}

/* The pattern out of the protocol's name; "" for another suite. */
static const char *pattern_of(const char *protocol)
{
	const size_t len = strlen(protocol), around = strlen(PREFIX) + strlen(SUFFIX);
	char *pattern;

	if (len <= around || strncmp(protocol, PREFIX, strlen(PREFIX)) != 0 ||
	    strcmp(protocol + len - strlen(SUFFIX), SUFFIX) != 0)
		return "";
	pattern = case_alloc(len);
	memcpy(pattern, protocol + strlen(PREFIX), len - around);
	return pattern;
}

static void run_handshake_message(struct noise *from, struct noise *to, const json_t *message)
{
	const struct span payload = hex_get(message, "payload");
	struct writer sent = writer_on(case_alloc(NOISE_MESSAGE_MAX), NOISE_MESSAGE_MAX);
	struct writer got = writer_on(case_alloc(payload.len), payload.len);

	check_true(noise_write(from, NULL, &sent, payload) == 0, "message not written");
	check_bytes(writer_done(&sent), json_object_get(message, "ciphertext"), "handshake message");
	check_true(noise_read(to, &got, writer_done(&sent)) == 0, "message refused");
	check_true(span_equal(writer_done(&got), payload), "payload differs");
}

static void run_transport_message(const struct sym_key *key, uint64_t nonce, const json_t *message)
{
	const struct span payload = hex_get(message, "payload");
	const size_t len = payload.len + NOISE_TAG_LEN;
	struct writer sent = writer_on(case_alloc(len), len);
	struct writer got = writer_on(case_alloc(payload.len), payload.len);

	noise_seal(&sent, key, nonce, SPAN_NONE, payload);
	check_bytes(writer_done(&sent), json_object_get(message, "ciphertext"), "transport message");
	check_true(noise_open(&got, key, nonce, SPAN_NONE, writer_done(&sent)) == 0, "message refused");
	check_true(span_equal(writer_done(&got), payload), "payload differs");
}

static void run_messages(struct noise side[static SIDES], const json_t *vector)
{
	const json_t *messages = json_object_get(vector, "messages"), *message, *hash;
	struct noise_keys keys[SIDES] = { 0 };
	uint64_t nonces[SIDES] = { 0 };
	bool one_way;
	size_t i, handshakes;

	for (i = 0; !noise_is_done(&side[INITIATOR]) && i < json_array_size(messages); i++)
		run_handshake_message(&side[i % 2], &side[(i + 1) % 2], json_array_get(messages, i));
	handshakes = i;
	one_way = handshakes == 1;
	if (!noise_is_done(&side[INITIATOR]) || !noise_is_done(&side[RESPONDER])) {
		check_true(false, "the handshake did not end");
		return;
	}
	noise_split(&side[INITIATOR], &keys[INITIATOR]);
	noise_split(&side[RESPONDER], &keys[RESPONDER]);
	check_true(memcmp(&keys[INITIATOR], &keys[RESPONDER], sizeof(keys[0])) == 0, "the sides differ");
	hash = json_object_get(vector, "handshake_hash");
	if (hash != NULL)
		check_bytes(KEY_SPAN(&keys[INITIATOR].h), hash, "handshake hash");
	json_array_foreach(messages, i, message)
	{
		const size_t from = one_way ? INITIATOR : i % 2;

		if (i >= handshakes)
			run_transport_message(from == INITIATOR ? &keys[0].k_i_to_r : &keys[0].k_r_to_i,
			                      nonces[from]++, message);
	}
	check_true(nonces[INITIATOR] + nonces[RESPONDER] > 0 || json_array_size(messages) == handshakes,
	           "no transport message");
}

static const char *name_of(const json_t *vector)
{
	const char *name = json_string_value(json_object_get(vector, "protocol_name"));

	return name != NULL ? name : json_string_value(json_object_get(vector, "name"));
}

static void run_vector(const json_t *vector)
{
	struct noise side[SIDES];
	bool ready = true;

	for (int i = 0; i < SIDES; i++) {
		struct noise_config c;

		config_get(&c, vector, i == INITIATOR);
		c.pattern = pattern_of(name_of(vector));
		ready = noise_init(&side[i], &c) == 0 && ready;
	}
	check_true(ready, "pattern or keys not taken");
	if (ready)
		run_messages(side, vector);
	noise_deinit(&side[INITIATOR]);
	noise_deinit(&side[RESPONDER]);
}

static bool knows(const json_t *root)
{
	const json_t *first = json_array_get(json_object_get(root, "vectors"), 0);

	return name_of(first) != NULL && json_is_array(json_object_get(first, "messages"));
}

static void run_file(const char *file, const json_t *root)
{
	const json_t *vector;
	size_t i;

	json_array_foreach(json_object_get(root, "vectors"), i, vector)
	{
		const char *name = name_of(vector);

		case_begin(file, name != NULL ? name : "(no name)");
		if (name != NULL)
			run_vector(vector);
		check_true(name != NULL, "a vector without a name");
		case_end();
	}
}

const struct part vectors_noise = { .knows = knows, .run_file = run_file };
