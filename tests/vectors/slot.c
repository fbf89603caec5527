#include "tests/vectors/run.h"

#include <stdio.h>

#include "store/slots.h"

/* PROTOCOL section 8: Argon2id, splitting, sealing; then changed slots, which must stay shut. */

static struct slots_salt salt_of(const json_t *in)
{
	struct slots_salt salt;

	hex_into(salt.b, sizeof(salt.b), in, "salt");
	return salt;
}

static void derive(struct sym_key *kek, const json_t *in, const char *passphrase)
{
	const struct slots_salt salt = salt_of(in);
	const struct slots_cost cost = slots_cost(&salt);

	check_int(slots_derive(kek, span_str(passphrase), &salt, &cost), 0, "slots_derive()");
}

/* The randomness of slots_seal() in the order of its draws: S32, stripes, nonce. */
static struct random *draws(const json_t *in)
{
	const struct span s32 = hex_get(in, "S32"), stripes = hex_get(in, "random_stripes"),
	                  nonce = hex_get(in, "nonce");
	const size_t len = s32.len + stripes.len + nonce.len;
	struct writer w = writer_on(case_alloc(len), len);

	writer_span(&w, s32);
	writer_span(&w, stripes);
	writer_span(&w, nonce);
	return random_given(writer_done(&w));
}

static uint8_t *seal(const json_t *in, const struct sym_key *kek)
{
	const struct slots_salt salt = salt_of(in);
	struct slots_content content = { (uint32_t)int_get(in, "generation"), { { 0 } } };
	uint8_t *slot = case_alloc(SLOTS_SLOT);

	hex_into(content.vk.b, sizeof(content.vk.b), in, "VK");
	slots_seal(slot, &content, (unsigned)int_get(in, "slot_number"), kek, &salt, draws(in));
	return slot;
}

static void check_opens(const json_t *in, const uint8_t *slot, const struct sym_key *kek)
{
	const struct slots_salt salt = salt_of(in);
	struct slots_content content = { 0 };

	check_int(slots_unseal(&content, slot, (unsigned)int_get(in, "slot_number"), kek, &salt), 0,
	          "unsealing");
	check_int(content.generation, int_get(in, "generation"), "generation");
	check_bytes(KEY_SPAN(&content.vk), json_object_get(in, "VK"), "VK");
}

static void run_whole(const json_t *in, const json_t *out)
{
	struct sym_key kek;
	const uint8_t *slot;

	derive(&kek, in, text_get(in, "passphrase"));
	check_bytes(KEY_SPAN(&kek), json_object_get(out, "KEK"), "KEK");
	slot = seal(in, &kek);
	check_bytes(span_from(slot + SLOTS_SPLIT - SLOTS_STRIPE, SLOTS_STRIPE),
	            json_object_get(out, "last_stripe"), "last stripe");
	check_bytes(span_from(slot + SLOTS_SPLIT, SLOTS_BLOCK), json_object_get(out, "sealed_block"),
	            "sealed block");
	check_bytes(span_from(slot, SLOTS_SLOT), json_object_get(out, "slot"), "slot");
	check_opens(in, slot, &kek);
}

static void run_split(const json_t *in, const json_t *out)
{
	const struct span random_stripes = hex_get(in, "random_stripes");
	uint8_t *stripes = case_alloc(SLOTS_SPLIT), s32[32], joined[32];

	hex_into(s32, sizeof(s32), in, "S32");
	slots_split(stripes, s32, random_given(random_stripes));
	check_bytes(span_from(stripes, SLOTS_SPLIT), json_object_get(out, "stripes"), "stripes");
	check_bytes(span_from(stripes + SLOTS_SPLIT - SLOTS_STRIPE, SLOTS_STRIPE),
	            json_object_get(out, "last_stripe"), "last stripe");
	slots_join(joined, stripes);
	check_true(memcmp(joined, s32, sizeof(s32)) == 0, "joining does not give S32 back");
}

/* What a refused case does to the slot of the case that it names. */
static void damage(uint8_t *slot, const char *change)
{
	unsigned n, at;
	char what[16];

	if (sscanf(change, "a bit of stripe %u flipped", &n) == 1 && n >= 1 && n <= SLOTS_STRIPES)
		slot[(n - 1) * SLOTS_STRIPE] ^= 1;
	else if (strcmp(change, "a bit of the last stripe flipped") == 0)
		slot[SLOTS_SPLIT - SLOTS_STRIPE] ^= 1;
	else if (strcmp(change, "a bit of the block flipped") == 0)
		slot[SLOTS_SPLIT + SLOTS_BLOCK / 2] ^= 1;
	else if (sscanf(change, "%u bytes %15s at %u", &n, what, &at) == 3 && strcmp(what, "zeroed") == 0 &&
	         at <= SLOTS_SLOT && n <= SLOTS_SLOT - at)
		memset(slot + at, 0, n);
	else
		check_true(false, "unknown change: %s", change);
}

static const json_t *case_named(const json_t *all, const char *name)
{
	const json_t *c;
	size_t i;

	json_array_foreach(all, i, c)
	{
		if (strcmp(text_get(c, "name"), name) == 0)
			return json_object_get(c, "in");
	}
	check_true(false, "no case \"%s\"", name);
	return NULL;
}

static void run_refused(const json_t *in, const json_t *out, const json_t *all)
{
	const json_t *of = case_named(all, text_get(in, "of"));
	const char *change = json_string_value(json_object_get(in, "change"));
	const char *typed = json_string_value(json_object_get(in, "passphrase"));
	const bool moved = json_object_get(in, "slot_number") != NULL;
	struct slots_salt salt;
	struct slots_content content;
	struct sym_key kek;
	uint8_t *slot;

	if (of == NULL)
		return;
	salt = salt_of(of);
	derive(&kek, of, text_get(of, "passphrase"));
	slot = seal(of, &kek);
	if (change != NULL)
		damage(slot, change);
	if (typed != NULL) {
		derive(&kek, of, typed);
		check_bytes(KEY_SPAN(&kek), json_object_get(out, "KEK"), "KEK");
	}
	check_true(slots_unseal(&content, slot, (unsigned)int_get(moved ? in : of, "slot_number"), &kek,
	                        &salt) > 0,
	           "it opens");
}

static void run(const json_t *test_case, const json_t *all)
{
	const json_t *in = json_object_get(test_case, "in"), *out = json_object_get(test_case, "out");

	if (json_object_get(in, "of") != NULL)
		run_refused(in, out, all);
	else if (json_object_get(in, "passphrase") != NULL)
		run_whole(in, out);
	else
		run_split(in, out);
}

const struct part vectors_slot = { "slot", run };
