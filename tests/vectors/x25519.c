#include <stdio.h>
#include <string.h>

#include "node/crypto/kdf.h"
#include "tests/vectors/run.h"

/*
 * Wycheproof's X25519 cases. x25519() gives the value wherever there is one, and refuses exactly
 * where the shared value is all zero.
 */

static void run_test(const json_t *test)
{
	const struct span want = hex_get(test, "shared");
	const uint8_t zeros[32] = { 0 };
	struct secret_key secret;
	struct public_key public;
	uint8_t shared[32];
	int r;

	hex_into(secret.b, sizeof(secret.b), test, "private");
	hex_into(public.b, sizeof(public.b), test, "public");
	r = x25519(shared, &secret, &public);
	check_true((r == KEY_WEAK) == span_equal(want, SPAN(zeros)), r == 0 ? "taken" : "refused");
	check_bytes(SPAN(shared), json_object_get(test, "shared"), "shared");
}

static bool knows(const json_t *root)
{
	const char *type = json_string_value(
	        json_object_get(json_array_get(json_object_get(root, "testGroups"), 0), "type"));

	return type != NULL && strcmp(type, "XdhComp") == 0;
}

static void run_file(const char *file, const json_t *root)
{
	const json_t *group, *test;
	size_t g, t;

	json_array_foreach(json_object_get(root, "testGroups"), g, group)
	{
		json_array_foreach(json_object_get(group, "tests"), t, test)
		{
			char name[32];

			snprintf(name, sizeof(name), "case %lld",
			         (long long)json_integer_value(json_object_get(test, "tcId")));
			case_begin(file, name);
			run_test(test);
			case_end();
		}
	}
}

const struct part vectors_x25519 = { .knows = knows, .run_file = run_file };
