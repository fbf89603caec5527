/*
 * soak.h: random scenarios, one after the other, for as long as there is time.
 */
#ifndef TOOLS_SIM_SOAK_H
#define TOOLS_SIM_SOAK_H

#include <stdbool.h>
#include <stdint.h>

enum { SOAK_JOBS_MAX = 64 };

struct soak_options {
	uint64_t budget_us; /* no seed begins later */
	uint64_t seed_from, seeds_max;
	unsigned jobs;                       /* processes */
	const char *(*watcher)(bool begins); /* of plan_options */
};

/* The text of the random scenario of a seed; the caller frees it. */
char *soak_scenario(uint64_t seed);

/* Prints how many seeds were lived, and what was broken, with the command that repeats it. Returns the exit
 * status of the program: 0 or 1. */
int soak(const struct soak_options *o);

#endif
