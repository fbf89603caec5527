/*
 * world.h: simulated people on one virtual clock, from one seed.
 *
 * Each person has a device with a real notebook (device.h) and, while it is open, a real
 * node. Time jumps from one thing that is due to the next (queue.h). What people hear of
 * each other goes through the net (net.h); what they write is remembered and compared with
 * what arrives (talk.h). A rule that is broken ends the run: world_broken().
 *
 * A turn of a node is as in node/loop.c: events go in as they come, and after a moment all
 * of them are settled and committed, and only then effects leave.
 */
#ifndef TOOLS_SIM_WORLD_H
#define TOOLS_SIM_WORLD_H

#include "node/core/node.h"
#include "tools/sim/dice.h"
#include "tools/sim/ether.h"
#include "tools/sim/log.h"
#include "tools/sim/net.h"
#include "tools/sim/person.h"
#include "tools/sim/queue.h"

enum { WORLD_PEOPLE_MAX = 1 << 14 /* an address has 14 bits for a person */ };
#define WORLD_CLOCK0 UINT64_C(1798761600) /* the first midnight of every scenario: 1 January 2027 */

/* What the whole run came to. */
struct world_counts {
	uint64_t events, turns, frames, frames_bytes, frames_lost; /* on the air */
	uint64_t calls, datagrams, by_radio;
	uint64_t written, arrived, stored;
	uint64_t links, opened, kills, power_cuts, put_back, turns_failed, torn;
	uint64_t strangers; /* frames of no contact that reached a device */
	uint64_t radio_us;  /* in which a device had a path open, of all people */
};

/* What becomes of somebody, or what somebody does. */
enum world_event {
	WORLD_WENT, /* came to a place or left one: p->place */
	WORLD_OPENED,
	WORLD_LOCKED,
	WORLD_KILLED,
	WORLD_FELL_OVER, /* a turn failed */
	WORLD_POWER_CUT,
	WORLD_PUT_BACK,
	WORLD_SLEPT,
	WORLD_WOKE,
	WORLD_OFFLINE,
	WORLD_ONLINE, /* with another address, maybe */
	WORLD_CLOCK,
	WORLD_WROTE,
	WORLD_EVENTS
};

/* Others that look on or interfere: adversaries, the story. All may be NULL. */
struct world_hooks {
	void *arg;
	/* Each effect as it leaves; notices and replies too. */
	void (*effect)(void *arg, struct world *w, struct person *p, const struct effect *e,
	               struct span bytes);
	/* Each frame as it is put on the air, before it may be lost. */
	void (*frame)(void *arg, struct world *w, const struct frame *f);
	/* Whether a frame that p hears may be answered; NULL: what people say may be. */
	bool (*may_answer)(void *arg, struct world *w, const struct person *p, const struct frame *f);
	/* A call was answered by p. */
	void (*answered)(void *arg, struct world *w, const struct person *p, const struct frame *f);
	/* A message is seen by the person whom it is for. */
	void (*arrived)(void *arg, struct world *w, const struct tie *from, uint64_t delay_us);
	void (*happened)(void *arg, struct world *w, const struct person *p, enum world_event what);
};

struct world {
	uint64_t seed;
	uint64_t now_us, until_us; /* until: world_run() goes no further; 0: no bound */
	struct queue queue;
	struct log *log;          /* borrowed; NULL: none */
	struct random_seeded rng; /* of the keys of pairs */
	struct dice dice;         /* of all that happens around the nodes */
	struct person *people;    /* owned; does not move */
	size_t people_len, people_cap;
	struct net net;
	struct ether ether;
	enum device_kind devices;
	struct device blank;                    /* what light devices begin as; made with the first of them */
	uint64_t commit_low_us, commit_high_us; /* how long a turn stays open; 0: one event, one turn */
	bool checks;                            /* what people write is remembered, and compared */
	bool faults;                            /* faults go on: what a broken device does is no surprise */
	bool stopped;                           /* a rule was broken */
	char broken[512];                       /* which, and how */
	struct world_counts counts;
	struct world_hooks hooks;
};

struct world *world_new(uint64_t seed, size_t people_max);
void world_free(struct world *w);

/* Somebody new, whose device stays closed. */
struct person *world_add(struct world *w, const char *name);
/* NULL: nobody has this name. */
struct person *world_find(struct world *w, const char *name);

/* Runs until nothing is due before until_us, which it is then, or a rule is broken. */
void world_run(struct world *w, uint64_t until_us);

/* rule: "I1" to "I12" of the plan of tests. The first one is kept, and ends the run. */
void world_broken(struct world *w, const struct person *p, const char *rule, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* Tells whoever looks on. */
void world_tell(struct world *w, const struct person *p, enum world_event what);

/* A line of the log about somebody. */
#define world_log(w, p, ...) log_line((w)->log, (w)->now_us, (p)->name, __VA_ARGS__)

#endif
