/*
 * log.h: what happened, a line each, the same bytes for the same seed.
 *
 *     2d 09:00:03.000250 client7      linked worker1
 *
 * Nothing that differs between two runs of a seed goes in: no pointer, no real time. The hash
 * is of all lines, those too that a filter leaves out of the output.
 */
#ifndef TOOLS_SIM_LOG_H
#define TOOLS_SIM_LOG_H

#include <stdio.h>

#include "node/crypto/keys.h"

enum { LOG_TIME_MAX = 32 };

struct log;

struct log_options {
	FILE *out;        /* borrowed; NULL: only the hash */
	uint64_t from_us; /* earlier lines are left out, */
	const char *who;  /* and those of other people; NULL: nobody's are */
};

struct log *log_new(const struct log_options *o);
void log_free(struct log *l); /* NULL is allowed */
/* NULL: nothing is logged. */
void log_line(struct log *l, uint64_t now_us, const char *who, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
/* Of all lines so far. */
void log_hash(struct log *l, struct hash32 *out);

/* "2d 09:00:03.000250": whole days since the scenario began, then the time of day. */
const char *log_time(char out[static LOG_TIME_MAX], uint64_t us);

#endif
