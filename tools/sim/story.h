/*
 * story.h: who was where, and what became of them, as a run went: for pictures (html.h).
 *
 * Each person's life is a row of stays; what breaks in is a mark. Messages are kept by when
 * they were written and when they arrived, and between which places. Memory grows with what
 * happens, some tens of bytes each.
 */
#ifndef TOOLS_SIM_STORY_H
#define TOOLS_SIM_STORY_H

#include "tools/sim/world.h"

/* Somebody at a place, or nowhere, with the notebook open or closed, until the next stay. */
struct story_stay {
	uint64_t from_us;
	int16_t place;
	bool open;
};

struct story_life {
	struct story_stay *stays; /* owned; the first is from 0 on */
	size_t stays_len, stays_cap;
	uint32_t locks, breaks, written, arrived; /* breaks: marks; arrived: of what others wrote */
};

struct story_mark {
	uint64_t at_us;
	uint32_t who;
	enum world_event what;
};

struct story_arrival {
	uint64_t at_us, delay_us;
	int16_t from, to; /* where it was written, and where read */
};

struct story {
	/* All owned. */
	struct story_life *lives; /* one for each person */
	size_t lives_len;
	struct story_mark *marks;
	size_t marks_len, marks_cap;
	uint64_t *written_us;
	size_t written_len, written_cap;
	struct story_arrival *arrivals;
	size_t arrivals_len, arrivals_cap;
};

void story_init(struct story *s, size_t people);
void story_deinit(struct story *s);

/* In the order of time. */
void story_happened(struct story *s, uint64_t now_us, const struct person *p, enum world_event what);
void story_arrived(struct story *s, uint64_t now_us, const struct tie *from, uint64_t delay_us);

/* Where somebody was. */
int story_place(const struct story_life *l, uint64_t at_us);

/* Stay number i ends. */
static inline uint64_t story_stay_ends(const struct story_life *l, size_t i, uint64_t end_us)
{
	return i + 1 < l->stays_len ? l->stays[i + 1].from_us : end_us;
}

#endif
