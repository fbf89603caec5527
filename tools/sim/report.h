/*
 * report.h: what a run came to, in figures.
 */
#ifndef TOOLS_SIM_REPORT_H
#define TOOLS_SIM_REPORT_H

#include "tools/sim/world.h"

/* One hour of the scenario's time. */
struct report_hour {
	uint64_t written, arrived, waiting; /* waiting: at its end */
	uint64_t frames_bytes;
	uint32_t open;     /* devices that are, at its end */
	uint32_t *present; /* owned: people at each place, at its end */
};

struct report {
	const struct scenario *scenario; /* borrowed: its places have a map */
	uint64_t seed;
	struct world_counts counts;
	uint64_t simulated_us;
	uint64_t *delays_us; /* owned: from written to arrived, each message, in order of size */
	size_t delays_len, delays_cap;
	struct report_hour *hours; /* owned */
	size_t hours_len, hours_cap;
	uint64_t store_bytes; /* on all disks, but for what only fills them */
	size_t people;
	/* Not in the log, and not the same for the same seed. */
	uint64_t real_us;
	uint64_t rss_bytes; /* at its peak */
};

void report_delay(struct report *r, uint64_t delay_us);
void report_hour(struct report *r, struct world *w);
/* Sorts; takes what the world counted. */
void report_close(struct report *r, struct world *w, uint64_t real_us);
void report_deinit(struct report *r);

/* The delay that `percent` of the messages that arrived had at most. */
uint64_t report_delay_at(const struct report *r, unsigned percent);
void report_print(const struct report *r, FILE *out);

#endif
