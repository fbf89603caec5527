/*
 * turn.h: the turns of a person's node: events in, one commit, effects out.
 */
#ifndef TOOLS_SIM_TURN_H
#define TOOLS_SIM_TURN_H

#include "tools/sim/person.h"

/* A new node over the open notebook, and the contacts that wait to be put in. Returns 0 or an enum err. */
must_check int turn_start(struct world *w, struct person *p);
/* The node is gone; what the open turn had is lost. */
void turn_drop(struct world *w, struct person *p);
/* The soonest that the node wants to be called again. */
void turn_arm(struct world *w, struct person *p);
void turn_end_is_due(struct world *w, struct due *d);
void turn_tick_is_due(struct world *w, struct due *d);

#endif
