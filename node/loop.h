/*
 * loop.h: the driver of a node: what happens outside becomes events, what the core decides leaves after the
 * commit.
 *
 * All events of one loop iteration are one turn and one transaction:
 *
 *     the first event: store_begin | every event: node_step | before the next wait: node_settle,
 * store_commit, then the effects go to the carrier and to the faces
 *
 * When our own memory or disk fails, the turn is rolled back, paths are closed without a word, and node and
 * store start again from the disk (PROTOCOL section 8, crash rule 4); when that fails too, or again and
 * again, the loop ends.
 *
 * A disk that fills up ends nothing. While its room is low nothing more is taken from others (EV_ROOM); when
 * a turn found none at all, only what a person asks for is heard, until there is enough again.
 */
#ifndef NODE_LOOP_H
#define NODE_LOOP_H

#include "node/core/node.h"
#include "transport/bluetooth.h"
#include "transport/lan.h"

enum {
	LOOP_RESTARTS_MAX = 4,    /* in a row, ... */
	LOOP_RESTART_CALM_S = 60, /* ... which a minute without a failure ends */
	LOOP_TIDY_MS = 86400000,  /* PROTOCOL section 8: compaction */
	LOOP_POWER_MS = 60000,    /* the battery is looked at this often */
	LOOP_ROOM_MS = 10000,     /* the disk is looked at this often while its room is not enough */
	LOOP_TIMER_MAX_MS = 3600000
};

/* Of the disk. NONE: a turn failed for it, and there was not enough since. */
enum loop_room { LOOP_ROOM_ENOUGH, LOOP_ROOM_LOW, LOOP_ROOM_NONE };

enum { LOOP_ROOM_TIDY = 3 }; /* another outcome of loop_options.room: tidy() would make some */

struct loop_options {
	/* Gives the rows of the open notebook, which stay the opener's; when it is asked again, a turn
	 * failed: it forgets them and opens the notebook from the disk. Whoever calls loop_run() holds the
	 * notebook's lock all the while. Returns 0 or an enum err. */
	int (*open)(void *arg, struct store **out);
	/* Erases what was deleted, once a day and when room() says so, between two turns; NULL: nothing does.
	 * Returns 0 or an enum err; after ERR_FULL all is as before. */
	int (*tidy)(void *arg);
	/* How much room the disk has: LOOP_ROOM_ENOUGH, _LOW, _TIDY, or an enum err where nobody knows. Asked
	 * after every turn, when it need not look each time, and now and then, with `now` set. NULL: enough.
	 */
	int (*room)(void *arg, bool now);
	void *arg;
	bool read_only; /* the notebook can be read and nothing more: no carrier is opened, nothing changes */
	const char *home;   /* the folder of the control socket */
	const char *report; /* what was noticed when the notebook was opened, for status; NULL: nothing */
	struct lan_options lan;
	struct bluetooth_options bluetooth;
	struct random *rng;
};

struct loop;

/* Runs until a face, SIGTERM, SIGINT or SIGHUP locks it. options outlive it. Returns 0 or the enum err that
 * ended it; what failed is said on stderr. */
must_check int loop_run(const struct loop_options *options);

/* For the control socket. The node and the store are what was committed unless loop_in_turn(). */
const struct loop_options *loop_options(const struct loop *l);
bool loop_in_turn(const struct loop *l);
const struct node *loop_node(const struct loop *l);
struct store *loop_store(const struct loop *l);
const struct lan *loop_lan(const struct loop *l);             /* NULL where there is no carrier */
const struct bluetooth *loop_bluetooth(const struct loop *l); /* the same */
bool loop_on_battery(const struct loop *l);
enum loop_room loop_room(const struct loop *l);
/* Its reply comes after the commit, by control_reply(), or control_failed() when the turn fails. Returns 0,
 * or ERR_READONLY: it is not taken. */
must_check int loop_request(struct loop *l, const struct request *request);
void loop_lock(struct loop *l);

#endif
