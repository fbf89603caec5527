#include "tests/vectors/run.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * BUILD/tests/vectors DIR...
 *
 * Reads every *.json below the directories, in order of name, and runs each case in
 * a part of ours. A file that no part knows fails, so that none is passed over in
 * silence. Closes with "N passed, N failed"; exit code 1 when anything failed.
 */

static const struct part *const parts[] = {
	&vectors_kdf,     &vectors_pairing_code, &vectors_pairing_qr, &vectors_link_secret,
	&vectors_noise,   &vectors_person_check, &vectors_cpace,      &vectors_ristretto255,
	&vectors_voprf,   &vectors_x25519,       &vectors_ratchet,    &vectors_slot,
	&vectors_pagelog, &vectors_call,         &vectors_link,       &vectors_datagram,
};

/* --- The case that runs --- */

static struct {
	const char *file, *name;
	bool failed;
	void *memory[1 << 16]; /* long scripts hold some hundred envelopes at once */
	size_t memory_len;
} now;

static unsigned passed, failed;

static void __attribute__((format(printf, 1, 0))) complain(const char *what, va_list args)
{
	printf("%s: %s: ", now.file, now.name);
	vprintf(what, args);
	putchar('\n');
	now.failed = true;
}

void check_true(bool holds, const char *what, ...)
{
	va_list args;

	if (holds)
		return;
	va_start(args, what);
	complain(what, args);
	va_end(args);
}

void case_begin(const char *file, const char *name)
{
	now.file = file;
	now.name = name;
	now.failed = false;
}

void case_end(void)
{
	while (now.memory_len > 0)
		free(now.memory[--now.memory_len]);
	if (now.failed)
		failed++;
	else
		passed++;
}

void *case_alloc(size_t len)
{
	void *p = calloc(1, len + 1);

	if (p == NULL || now.memory_len == COUNT_OF(now.memory)) {
		fprintf(stderr, "vectors: out of memory\n");
		exit(2);
	}
	now.memory[now.memory_len++] = p;
	return p;
}

/* --- Reading --- */

static struct span hex_decode(const char *text)
{
	const size_t len = strlen(text);
	uint8_t *bytes = case_alloc(len / 2);
	size_t got = 0;

	if (sodium_hex2bin(bytes, len / 2 + 1, text, len, NULL, &got, NULL) != 0 || got * 2 != len)
		check_true(false, "not hex: %.40s", text);
	return span_from(bytes, got);
}

struct span hex_of(const json_t *value)
{
	const json_t *stream = json_object_get(value, "stream");

	if (json_is_string(value))
		return hex_decode(json_string_value(value));
	if (json_is_string(stream)) {
		const struct span key = hex_decode(json_string_value(stream));
		const size_t len = (size_t)json_integer_value(json_object_get(value, "len"));
		const uint8_t nonce[crypto_stream_xchacha20_NONCEBYTES] = { 0 };
		uint8_t *bytes = case_alloc(len);

		check_true(key.len == crypto_stream_xchacha20_KEYBYTES, "stream key of %zu bytes", key.len);
		if (key.len == crypto_stream_xchacha20_KEYBYTES)
			crypto_stream_xchacha20(bytes, len, nonce, key.p);
		return span_from(bytes, len);
	}
	check_true(false, "neither hex nor a stream");
	return SPAN_NONE;
}

struct span hex_get(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (value == NULL) {
		check_true(false, "%s is missing", key);
		return SPAN_NONE;
	}
	return hex_of(value);
}

void hex_into(void *out, size_t len, const json_t *object, const char *key)
{
	const struct span s = hex_get(object, key);

	memset(out, 0, len);
	check_true(s.len == len, "%s has %zu bytes, not %zu", key, s.len, len);
	if (s.len == len)
		memcpy(out, s.p, len);
}

int64_t int_get(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	check_true(json_is_integer(value), "%s is not a number", key);
	return json_integer_value(value);
}

const char *text_get(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	check_true(text != NULL, "%s is not a text", key);
	return text != NULL ? text : "";
}

bool bool_get(const json_t *object, const char *key, bool otherwise)
{
	const json_t *value = json_object_get(object, key);

	return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

/* --- Saying what differs --- */

static void print_hex(const char *label, struct span s)
{
	const size_t shown = MIN(s.len, (size_t)48);

	printf("    %s (%zu) ", label, s.len);
	for (size_t i = 0; i < shown; i++)
		printf("%02x", s.p[i]);
	puts(shown < s.len ? "..." : "");
}

void check_bytes(struct span got, const json_t *want, const char *what)
{
	struct span expected;

	if (json_object_get(want, "blake2b256") != NULL) {
		uint8_t *digest = case_alloc(32);

		check_int((int64_t)got.len, int_get(want, "len"), what);
		crypto_generichash(digest, 32, got.p, got.len, NULL, 0);
		got = span_from(digest, 32);
		expected = hex_get(want, "blake2b256");
	} else {
		expected = hex_of(want);
	}
	if (span_equal(got, expected))
		return;
	check_true(false, "%s differs", what);
	print_hex("got ", got);
	print_hex("want", expected);
}

void check_int(int64_t got, int64_t want, const char *what)
{
	check_true(got == want, "%s is %lld, not %lld", what, (long long)got, (long long)want);
}

void check_text(const char *got, const char *want, const char *what)
{
	check_true(strcmp(got, want) == 0, "%s is \"%s\", not \"%s\"", what, got, want);
}

struct given {
	struct random base;
	struct span left;
};

static void fill_from_given(struct random *self, void *out, size_t len)
{
	struct given *g = CONTAINER_OF(self, struct given, base);

	check_true(len <= g->left.len, "more randomness drawn than the vector gives");
	memset(out, 0, len);
	if (len > g->left.len)
		return;
	memcpy(out, g->left.p, len);
	g->left = span_from(g->left.p + len, g->left.len - len);
}

struct random *random_given(struct span bytes)
{
	struct given *g = case_alloc(sizeof(*g));

	g->base.fill = fill_from_given;
	g->left = bytes;
	return &g->base;
}

/* --- Files --- */

static void run_part(const char *file, const json_t *root, const struct part *part)
{
	const json_t *cases = json_object_get(root, "cases"), *test_case;
	size_t i;

	json_array_foreach(cases, i, test_case)
	{
		const char *name = json_string_value(json_object_get(test_case, "name"));

		case_begin(file, name != NULL ? name : "(no name)");
		part->run(test_case, cases);
		case_end();
	}
}

static bool run_known(const char *file, const json_t *root)
{
	const char *name = json_string_value(json_object_get(root, "part"));

	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		const struct part *part = parts[i];

		if (part->name != NULL && name != NULL && strcmp(part->name, name) == 0) {
			run_part(file, root, part);
			return true;
		}
		if (part->knows != NULL && part->knows(root)) {
			part->run_file(file, root);
			return true;
		}
	}
	return false;
}

static void run_file(const char *path, const char *file)
{
	json_error_t error;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	const unsigned before = passed + failed, failed_before = failed;

	if (root == NULL || !run_known(file, root)) {
		case_begin(file, "file");
		check_true(false, "%s", root == NULL ? error.text : "no part of ours knows this file");
		case_end();
	}
	printf("%-48s %u of %u\n", file, passed + failed - before - (failed - failed_before),
	       passed + failed - before);
	json_decref(root);
}

static int is_json(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot != NULL && strcmp(dot, ".json") == 0;
}

static void run_dir(const char *dir)
{
	struct dirent **entries;
	const int n = scandir(dir, &entries, is_json, alphasort);

	if (n < 0) {
		fprintf(stderr, "vectors: %s: %s\n", dir, strerror(errno));
		failed++;
		return;
	}
	for (int i = 0; i < n; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		run_file(path, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: vectors DIR...\n");
		return 2;
	}
	if (sodium_init() < 0)
		return 2;
	for (int i = 1; i < argc; i++)
		run_dir(argv[i]);
	printf("%u passed, %u failed\n", passed, failed);
	return failed == 0 && passed > 0 ? 0 : 1;
}
