/*
 * timing.h: how long things take, and what is said of many such times.
 *
 * Two works that are compared take turns, so that whatever else the machine does meets both.
 */
#ifndef TOOLS_BENCH_TIMING_H
#define TOOLS_BENCH_TIMING_H

#include "node/base/common.h"

enum { TIMING_MAX = 1024 }; /* times in one series */

struct series {
	double v[TIMING_MAX]; /* seconds */
	size_t n;
};

double timing_now(void);    /* seconds on a clock that never goes back */
double timing_worked(void); /* seconds that this process has computed */

void series_add(struct series *s, double seconds);
double series_median(const struct series *s);
double series_max(const struct series *s);
/* The median of what each time of ours is of the reference's in the same round: a machine that is busy for a
 * while slows both. */
double series_ratio(const struct series *ours, const struct series *reference);
/* The smallest time that so many per cent of the series do not exceed. */
double series_percentile(const struct series *s, unsigned percent);

/* One round of a work: does it, and returns the seconds that count. */
typedef double timing_work(void *arg);

/* One round in a process of its own. */
double timing_in_child(timing_work *work, void *arg);

/* So many rounds of ours and of the reference, in turns, each in a process of its own, so that nothing of one
 * is left for the next: no memory, no settings of a library. */
void timing_pair(struct series *ours, struct series *reference, unsigned rounds, timing_work *do_ours,
                 timing_work *do_reference, void *arg);

#endif
