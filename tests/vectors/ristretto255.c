#include <sodium.h>

#include "tests/vectors/run.h"

/*
 * Appendix A of RFC 9496, so that the calls that CPace builds on are known to be sound.
 */

static void run_multiples(const json_t *multiples)
{
	uint8_t point[crypto_core_ristretto255_BYTES] = { 0 }, base[crypto_core_ristretto255_BYTES];
	uint8_t again[crypto_core_ristretto255_BYTES];
	const json_t *want;
	size_t i;

	crypto_scalarmult_ristretto255_base(base, (const uint8_t[32]){ 1 });
	json_array_foreach(multiples, i, want)
	{
		const uint8_t scalar[crypto_core_ristretto255_SCALARBYTES] = { (uint8_t)i };
		const int r = crypto_scalarmult_ristretto255(again, scalar, base);

		check_bytes(SPAN(point), want, "sum");
		check_true((r == 0) == (i > 0), "multiple %zu: %s", i, r == 0 ? "taken" : "refused");
		if (r == 0)
			check_bytes(SPAN(again), want, "multiple");
		check_true(crypto_core_ristretto255_add(point, point, base) == 0, "not added");
	}
}

static void run_invalid(const json_t *list)
{
	const uint8_t scalar[crypto_core_ristretto255_SCALARBYTES] = { 2 };
	uint8_t out[crypto_core_ristretto255_BYTES];
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const struct span point = hex_of(item);

		if (point.len != crypto_core_ristretto255_BYTES) {
			check_true(false, "a point of %zu bytes", point.len);
			continue;
		}
		check_true(!crypto_core_ristretto255_is_valid_point(point.p), "encoding %zu is valid", i);
		check_true(crypto_scalarmult_ristretto255(out, scalar, point.p) != 0, "encoding %zu taken",
		           i);
	}
}

static void check_derived(const json_t *input, const json_t *want)
{
	const struct span hash = hex_of(input);
	uint8_t out[crypto_core_ristretto255_BYTES];

	check_true(hash.len == crypto_core_ristretto255_HASHBYTES, "an input of %zu bytes", hash.len);
	if (hash.len != crypto_core_ristretto255_HASHBYTES)
		return;
	crypto_core_ristretto255_from_hash(out, hash.p);
	check_bytes(SPAN(out), want, "element");
}

static bool knows(const json_t *root)
{
	return json_object_get(root, "multiples_of_generator") != NULL;
}

static void run_file(const char *file, const json_t *root)
{
	const json_t *same = json_object_get(root, "element_derivation_same_output"), *list, *item;
	const char *kind;
	size_t i;

	case_begin(file, "multiples of the generator");
	run_multiples(json_object_get(root, "multiples_of_generator"));
	case_end();
	json_object_foreach(json_object_get(root, "invalid_encodings"), kind, list)
	{
		case_begin(file, kind);
		run_invalid(list);
		case_end();
	}
	json_array_foreach(json_object_get(root, "element_derivation"), i, item)
	{
		case_begin(file, "element derivation");
		check_derived(json_object_get(item, "input"), json_object_get(item, "output"));
		case_end();
	}
	json_array_foreach(json_object_get(same, "inputs"), i, item)
	{
		case_begin(file, "inputs with the same element");
		check_derived(item, json_object_get(same, "output"));
		case_end();
	}
}

const struct part vectors_ristretto255 = { .knows = knows, .run_file = run_file };
