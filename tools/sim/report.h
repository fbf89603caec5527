/*
 * report.h: what a run came to, in figures.
 */
#ifndef TOOLS_SIM_REPORT_H
#define TOOLS_SIM_REPORT_H

#include "tools/sim/world.h"

struct report {
	const struct scenario *scenario; /* borrowed */
	uint64_t seed;
	struct world_counts counts;
	uint64_t simulated_us;
	uint64_t *delays_us; /* owned: from written to arrived, each message, in order of size */
	size_t delays_len, delays_cap;
	uint64_t store_bytes; /* on all disks, but for what only fills them */
	size_t people;
	/* Not in the log, and not the same for the same seed. */
	uint64_t real_us;
	uint64_t rss_bytes; /* at its peak */
};

void report_delay(struct report *r, uint64_t delay_us);
/* Sorts; takes what the world counted. */
void report_close(struct report *r, struct world *w, uint64_t real_us);
void report_deinit(struct report *r);

/* The delay that `percent` of the messages that arrived had at most. */
uint64_t report_delay_at(const struct report *r, unsigned percent);
/* Figures that are the same for the same seed, a line each; then, with report_print(), those of this run. */
void report_figures(const struct report *r, FILE *out);
void report_print(const struct report *r, FILE *out);

#endif
