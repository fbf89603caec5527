#include "tools/bench/timing.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/bench/bench.h"

static double seconds_on(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) != 0)
		abort();
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double timing_now(void)
{
	return seconds_on(CLOCK_MONOTONIC);
}

double timing_worked(void)
{
	return seconds_on(CLOCK_PROCESS_CPUTIME_ID);
}

void series_add(struct series *s, double seconds)
{
	assert(s->n < TIMING_MAX);
	s->v[s->n++] = seconds;
}

static int compare(const void *a, const void *b)
{
	double x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

double series_percentile(const struct series *s, unsigned percent)
{
	struct series sorted = *s;

	assert(s->n > 0 && percent > 0 && percent <= 100);
	qsort(sorted.v, sorted.n, sizeof(sorted.v[0]), compare);
	return sorted.v[(sorted.n * percent + 99) / 100 - 1];
}

double series_median(const struct series *s)
{
	return series_percentile(s, 50);
}

double series_max(const struct series *s)
{
	return series_percentile(s, 100);
}

double series_ratio(const struct series *ours, const struct series *reference)
{
	struct series ratios = { .n = 0 };

	assert(ours->n == reference->n);
	for (size_t i = 0; i < ours->n; i++)
		series_add(&ratios, ours->v[i] / reference->v[i]);
	return series_median(&ratios);
}

double timing_in_child(timing_work *work, void *arg)
{
	int ends[2], status;
	double seconds = 0;
	pid_t child;

	if (pipe(ends) != 0 || (child = fork()) < 0)
		bench_fail("a round", "the system gives no process");
	if (child == 0) {
		seconds = work(arg);
		_exit(write(ends[1], &seconds, sizeof(seconds)) == sizeof(seconds) ? 0 : 2);
	}
	close(ends[1]);
	if (read(ends[0], &seconds, sizeof(seconds)) != sizeof(seconds))
		bench_fail("a round", "it did not end well");
	close(ends[0]);
	waitpid(child, &status, 0);
	return seconds;
}

void timing_pair(struct series *ours, struct series *reference, unsigned rounds, timing_work *do_ours,
                 timing_work *do_reference, void *arg)
{
	for (unsigned i = 0; i < rounds; i++) {
		/* Neither always comes after the other, whatever that one leaves the disk to do. */
		if (i % 2 == 0)
			series_add(reference, timing_in_child(do_reference, arg));
		series_add(ours, timing_in_child(do_ours, arg));
		if (i % 2 == 1)
			series_add(reference, timing_in_child(do_reference, arg));
	}
}
