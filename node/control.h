/*
 * control.h: the socket HOME/control, through which faces talk to the node (node/CONTROL.md).
 *
 * Only processes of our own user are heard. What a face asks to change is a request to the loop; what it only
 * looks at is answered from committed state.
 */
#ifndef NODE_CONTROL_H
#define NODE_CONTROL_H

#include <uv.h>

#include "node/loop.h"

enum {
	CONTROL_LINE_MAX = 262144, /* a message of 32,000 bytes can escape to six times that */
	CONTROL_REFUSED_MAX = 100, /* times that the system lets no program connect, one after the other */
	CONTROL_FACES_MAX = 16,
	CONTROL_ASKED_MAX = 64,          /* changes of one face in one turn */
	CONTROL_WAITING_MAX = 256 << 10, /* a face that has not read this much is answered no more ... */
	CONTROL_QUEUE_MAX = 2 << 20      /* ... and one that events bring to this much is cut off */
};

struct control;

/* Whatever socket lies there is stale: the caller holds the notebook's lock. Returns 0, ERR_EXISTS when
 * something else lies there, or another enum err. */
must_check int control_new(struct control **out, struct loop *l, uv_loop_t *uv, const char *home);
/* Tells the faces, closes everything, frees it, then calls closed(). NULL is allowed: closed() is called at
 * once. */
void control_close(struct control *c, void (*closed)(void *arg), void *arg);

/* Goes on with what had to wait for the end of the turn, or for memory. */
void control_resume(struct control *c);
void control_reply(struct control *c, const struct effect *e, struct span text);
void control_notice(struct control *c, const struct effect *e, struct span text);
void control_room(struct control *c, enum loop_room room);
/* The turn was undone: every request that waits for its reply has failed. */
void control_failed(struct control *c, int err);

#endif
