#include <sodium.h>
#include <string.h>

#include "tests/vectors/run.h"

/*
 * RFC 9497, OPRF(ristretto255, SHA-512), mode 0. Flyleaf does not speak it, but it goes the same
 * ways through libsodium as CPace does: from a hash to an element, scalars, inversion.
 */

enum { ELEMENT = crypto_core_ristretto255_BYTES, WIDE = crypto_core_ristretto255_HASHBYTES, BLOCK = 128 };

/* expand_message_xmd of RFC 9380 for 64 bytes, which is one block of SHA-512. */
static void expand(uint8_t out[static WIDE], struct span message, const char *tag, struct span context)
{
	static const uint8_t zeros[BLOCK];
	uint8_t b0[WIDE], suffix[128];
	struct writer dst = WRITER_ON(suffix);
	crypto_hash_sha512_state state;

	writer_str(&dst, tag);
	writer_span(&dst, context);
	writer_u8(&dst, (uint8_t)dst.len);
	crypto_hash_sha512_init(&state);
	crypto_hash_sha512_update(&state, zeros, sizeof(zeros));
	crypto_hash_sha512_update(&state, message.p, message.len);
	crypto_hash_sha512_update(&state, (const uint8_t[]){ 0, WIDE, 0 }, 3);
	crypto_hash_sha512_update(&state, suffix, dst.len);
	crypto_hash_sha512_final(&state, b0);
	crypto_hash_sha512_init(&state);
	crypto_hash_sha512_update(&state, b0, sizeof(b0));
	crypto_hash_sha512_update(&state, (const uint8_t[]){ 1 }, 1);
	crypto_hash_sha512_update(&state, suffix, dst.len);
	crypto_hash_sha512_final(&state, out);
}

/* DeriveKeyPair: the first counter gives a scalar other than zero, but for one chance in 2^252. */
static void derive_key(uint8_t out[static 32], const json_t *suite, struct span context)
{
	const struct span seed = hex_get(suite, "seed"), info = hex_get(suite, "keyInfo");
	struct writer w = writer_on(case_alloc(256), 256);
	uint8_t wide[WIDE];

	writer_span(&w, seed);
	writer_u16_be(&w, (uint16_t)info.len);
	writer_span(&w, info);
	writer_u8(&w, 0);
	expand(wide, writer_done(&w), "DeriveKeyPair", context);
	crypto_core_ristretto255_scalar_reduce(out, wide);
}

static void hash_to_group(uint8_t out[static ELEMENT], struct span input, struct span context)
{
	uint8_t wide[WIDE];

	expand(wide, input, "HashToGroup-", context);
	crypto_core_ristretto255_from_hash(out, wide);
}

/* The output, from the evaluated element with the blind taken off. */
static void finalize(uint8_t out[static 64], struct span input, const uint8_t element[static ELEMENT])
{
	struct writer w = writer_on(case_alloc(256), 256);

	writer_u16_be(&w, (uint16_t)input.len);
	writer_span(&w, input);
	writer_u16_be(&w, ELEMENT);
	writer_bytes(&w, element, ELEMENT);
	writer_str(&w, "Finalize");
	check_true(!w.failed, "an input that is too long");
	crypto_hash_sha512(out, w.p, w.len);
}

static void run_vector(const json_t *suite, const json_t *vector)
{
	/* "OPRFV1-" ‖ mode ‖ "-" ‖ identifier is the end of groupDST. */
	const struct span dst = hex_get(suite, "groupDST"), input = hex_get(vector, "Input");
	const size_t tag_len = strlen("HashToGroup-");
	const struct span context =
	        dst.len > tag_len ? span_from(dst.p + tag_len, dst.len - tag_len) : SPAN_NONE;
	uint8_t sk[32], blind[32], unblind[32], point[ELEMENT], blinded[ELEMENT], evaluated[ELEMENT], out[64];

	derive_key(sk, suite, context);
	check_bytes(SPAN(sk), json_object_get(suite, "skSm"), "key");
	hex_into(blind, sizeof(blind), vector, "Blind");
	hash_to_group(point, input, context);
	check_true(crypto_scalarmult_ristretto255(blinded, blind, point) == 0, "not blinded");
	check_bytes(SPAN(blinded), json_object_get(vector, "BlindedElement"), "blinded element");
	check_true(crypto_scalarmult_ristretto255(evaluated, sk, blinded) == 0, "not evaluated");
	check_bytes(SPAN(evaluated), json_object_get(vector, "EvaluationElement"), "evaluation element");
	check_true(crypto_core_ristretto255_scalar_invert(unblind, blind) == 0, "no inverse");
	check_true(crypto_scalarmult_ristretto255(point, unblind, evaluated) == 0, "not unblinded");
	finalize(out, input, point);
	check_bytes(SPAN(out), json_object_get(vector, "Output"), "output");
}

static bool knows(const json_t *root)
{
	return json_object_get(json_array_get(root, 0), "groupDST") != NULL;
}

static void run_file(const char *file, const json_t *root)
{
	const json_t *suite, *vector;
	size_t s, v;

	json_array_foreach(root, s, suite)
	{
		json_array_foreach(json_object_get(suite, "vectors"), v, vector)
		{
			case_begin(file, "OPRF");
			run_vector(suite, vector);
			case_end();
		}
	}
}

const struct part vectors_voprf = { .knows = knows, .run_file = run_file };
