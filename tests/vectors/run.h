/*
 * run.h: what the vector runner offers to its parts.
 *
 * The runner (run.c) reads the JSON files of the directories it is given, finds the
 * part of each by its shape, and calls it for every case. A part makes its case
 * again and says with check_*() what differs; one difference fails the case.
 */
#ifndef TESTS_VECTORS_RUN_H
#define TESTS_VECTORS_RUN_H

#include <jansson.h>

#include "node/base/random.h"
#include "node/base/wire.h"

/* --- Reading a case. Memory that these return lives until the case ends. --- */

/* Bytes of a value: a hex string, or {"stream": key, "len": n}. Missing or misshapen: the case fails, empty
 * span. */
struct span hex_of(const json_t *value);
struct span hex_get(const json_t *object, const char *key);
/* The same into a buffer of exactly len bytes. */
void hex_into(void *out, size_t len, const json_t *object, const char *key);
int64_t int_get(const json_t *object, const char *key);
const char *text_get(const json_t *object, const char *key); /* "" when missing */
bool bool_get(const json_t *object, const char *key, bool otherwise);
void *case_alloc(size_t len); /* zeroed */

/* --- Saying what differs. --- */

void check_true(bool holds, const char *what, ...) __attribute__((format(printf, 2, 3)));
/* Compares with a value as hex_of() reads it, or as {"len", "blake2b256"}. */
void check_bytes(struct span got, const json_t *want, const char *what);
void check_int(int64_t got, int64_t want, const char *what);
void check_text(const char *got, const char *want, const char *what);

/* A source of randomness that gives out the bytes it was fed, in order, and fails the case when it runs dry.
 */
struct random *random_given(struct span bytes);

/* --- The parts. Each is named like the "part" (or the file) it serves. --- */

/* Either name and run, for a flyleaf file, or knows and run_file, for one of any other form. */
struct part {
	const char *name; /* the "part" of a flyleaf file */
	void (*run)(const json_t *test_case, const json_t *all_cases);
	bool (*knows)(const json_t *root); /* by its shape */
	void (*run_file)(const char *file, const json_t *root);
};

/* run_file() calls these around each case of its own. */
void case_begin(const char *file, const char *name);
void case_end(void);

extern const struct part vectors_kdf, vectors_pairing_qr, vectors_pairing_code, vectors_link_secret,
        vectors_call, vectors_link, vectors_datagram, vectors_ratchet, vectors_person_check, vectors_slot,
        vectors_pagelog;

extern const struct part vectors_noise, vectors_cpace, vectors_ristretto255, vectors_x25519, vectors_voprf;

#endif
