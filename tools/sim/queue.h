/*
 * queue.h: what is to happen, soonest first.
 *
 * A heap of things that their owners embed. Two at the same time come in the order in
 * which they were put in, so that a seed says everything.
 */
#ifndef TOOLS_SIM_QUEUE_H
#define TOOLS_SIM_QUEUE_H

#include "node/base/common.h"

struct world;

/* Zeroed: not in a queue. */
struct due {
	uint64_t at_us;
	uint64_t order;
	size_t place; /* in the heap, from 1; 0: not in it */
	void (*happen)(struct world *w, struct due *d);
};

struct queue {
	struct due **heap; /* owned; those in it are their owners' */
	size_t len, cap;
	uint64_t next_order;
};

void queue_deinit(struct queue *q);
/* Puts d in, or moves it to another time. */
void queue_put(struct queue *q, struct due *d, uint64_t at_us);
void queue_remove(struct queue *q, struct due *d); /* one that is not in it is fine */
/* The end of the world: takes out all that would happen so, and gives each to drop(). The rest keeps no
 * order. */
void queue_drop(struct queue *q, void (*happen)(struct world *w, struct due *d), void (*drop)(struct due *d));
/* The soonest, which stays; NULL: nothing. */
struct due *queue_first(const struct queue *q);

#endif
