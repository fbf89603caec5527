/*
 * common.h: the few words that every file of ours uses.
 */
#ifndef NODE_BASE_COMMON_H
#define NODE_BASE_COMMON_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "node/base/err.h"

/* The result of a call must be looked at. */
#define must_check __attribute__((warn_unused_result))

/* Runs fn(&variable) when the variable goes out of scope. */
#define scoped(fn) __attribute__((cleanup(fn)))

/* Some system headers bring <sys/param.h> with them, which has these two as well. */
#undef MIN
#undef MAX

#define BIT(n)                          (1u << (n))
#define COUNT_OF(array)                 (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b)                       ((a) < (b) ? (a) : (b))
#define MAX(a, b)                       ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
