/*
 * plan.h: makes a scenario happen in a world.
 *
 * First the days of the scenario, with its faults; then, as it says, faults end and what
 * waits must arrive within a time. Each midnight draws what the day brings.
 */
#ifndef TOOLS_SIM_PLAN_H
#define TOOLS_SIM_PLAN_H

#include "tools/sim/report.h"
#include "tools/sim/scenario.h"
#include "tools/sim/story.h"
#include "tools/sim/world.h"

struct plan;

struct plan_options {
	uint64_t seed;
	struct log *log;     /* borrowed; NULL: none */
	uint64_t until_us;   /* stops there; 0: at the end */
	struct story *story; /* borrowed; NULL: none is kept */
	/* Of a watcher over the whole program, told when a run begins and asked when it ends: what was wrong,
	 * or NULL. May be NULL. */
	const char *(*watcher)(bool begins);
};

/* Who there is and who knows whom; nothing has happened yet. s is borrowed and outlives it. */
struct plan *plan_new(const struct scenario *s, const struct plan_options *o);
void plan_free(struct plan *p);
struct world *plan_world(struct plan *p);
/* Runs to the end. True when no rule was broken; else world->broken says which was. */
bool plan_run(struct plan *p);
/* What came of it, so far; owned by the plan. */
const struct report *plan_report(struct plan *p);

#endif
