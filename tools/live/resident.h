/*
 * resident.h: a simulated person on a real network: a node over a notebook in memory, and the carrier.
 *
 * A turn of the node is as in node/loop.c: what came in one iteration of the loop is one commit, and
 * effects leave after it. The notebook is a simulated device (tools/sim/device.h): nothing of it touches
 * the disk, it outlives a crash of its node, and it is gone with the program.
 */
#ifndef TOOLS_LIVE_RESIDENT_H
#define TOOLS_LIVE_RESIDENT_H

#include <uv.h>

#include "node/core/node.h"
#include "tools/sim/device.h"
#include "transport/lan.h"

enum { RESIDENT_TEXT_MAX = 512 };

struct resident {
	const char *name; /* borrowed */
	uv_loop_t *uv;    /* borrowed */
	struct lan_options where;
	/* Inside the end of a turn; it asks for nothing. */
	void (*noticed)(void *arg, const struct effect *e, struct span text);
	void *arg;

	struct device device;
	struct node *node; /* NULL: offline */
	struct lan *lan;
	struct effects fx, releasing;
	bool in_turn;
	uv_idle_t idle; /* runs while a turn is open */
	uv_check_t check;
	uv_timer_t tick;
	int failure; /* of our own memory: the program is to end */
	enum reply_code reply;
	char reply_text[RESIDENT_TEXT_MAX];
};

/* r->name, uv, where, noticed and arg are set. Returns 0 or an enum err; resident_deinit() undoes it. */
must_check int resident_init(struct resident *r);
/* Offline, and the loop has run since. */
void resident_deinit(struct resident *r);

/* Opens the notebook, and the node goes on the network. Returns 0 or an enum err. */
must_check int resident_open(struct resident *r);
/* Says farewell and locks. */
void resident_lock(struct resident *r);
/* The process ends without a word. */
void resident_crash(struct resident *r);
/* Offline for good: the loop frees the handles. */
void resident_close(struct resident *r);

/* In a turn that ends at once; text of the reply is in r. Online only, and not from inside noticed(). */
enum reply_code resident_ask(struct resident *r, const struct request *q);

#endif
