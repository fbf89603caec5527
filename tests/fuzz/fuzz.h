/*
 * fuzz.h: an entry per decoder. Each is a file of its own with LLVMFuzzerTestOneInput(), for libFuzzer
 * (-Dfuzzing=true, clang) or for replay.c, which runs the corpus in every test run.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerInitialize(int *argc, char ***argv); /* begin.c; before the first input */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
