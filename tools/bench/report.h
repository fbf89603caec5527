/*
 * report.h: the rows that were measured, for a person or for a program.
 */
#ifndef TOOLS_BENCH_REPORT_H
#define TOOLS_BENCH_REPORT_H

#include "tools/bench/timing.h"

enum { REPORT_ROWS_MAX = 64 };

struct row {
	const char *id;   /* for programs; static text */
	const char *what; /* for people; static text */
	const char *unit; /* of ours and reference; static text */
	double ours, reference;
	bool has_reference;
	double figure; /* what the bound is about: a ratio, or ours itself */
	double bound;
	bool at_least; /* the figure is to be the bound or more; else the bound or less */
	bool informs;  /* there is no bound */
};

struct report {
	struct row rows[REPORT_ROWS_MAX];
	size_t n;
};

/* A row that compares, round by round: `at_least` is about speed, the reference's time by ours; else about
 * time, ours by the reference's. ours and reference are of one kind: seconds, or what else grows with them. A
 * bound of 0 is none. */
void report_add_times(struct report *r, const char *id, const char *what, const struct series *ours,
                      const struct series *reference, bool at_least, double bound);
void report_add(struct report *r, const struct row *row);
void report_print(const struct report *r);
void report_print_json(const struct report *r);
/* Whether every figure is within its bound. */
bool report_is_good(const struct report *r);

#endif
