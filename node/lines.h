/*
 * lines.h: what faces say and are told, as JSON (node/CONTROL.md).
 *
 * Reads a line into what it asks for, answers what only looks, and builds replies and events. It knows no
 * socket: control.h does.
 */
#ifndef NODE_LINES_H
#define NODE_LINES_H

#include <jansson.h>

#include "node/loop.h"

enum {
	LINES_VERSION = 1,
	LINES_DEPTH_MAX = 2,
	LINES_READ_MAX = 200,        /* messages of one reply ... */
	LINES_READ_BYTES = 128 << 10 /* ... and, after the first, bytes of their texts */
};

struct word; /* an entry of the table of requests */

enum lines_kind { LINES_LOOKS, LINES_CHANGES, LINES_FOLLOW, LINES_LOCK };

struct asked {
	const struct word *word; /* NULL: bad is the answer */
	json_t *root;            /* owned; the strings of request are borrowed from it */
	json_int_t id;
	struct request request;
	json_t *bad; /* owned */
};

/* Reads a line, without its end. */
void lines_parse(struct asked *out, struct span line);
void lines_forget(struct asked *a); /* zeroed is fine */
enum lines_kind lines_kind(const struct asked *a);

/* The answer to a request that looks. NULL: out of memory, or *err says that the store failed. */
json_t *lines_look(const struct asked *a, const struct loop *l, int *err);

json_t *lines_ok(json_int_t id);
json_t *lines_error(json_int_t id, const char *word, const char *text);
/* The reply to a request of this kind. */
json_t *lines_reply(json_int_t id, const struct request *request, const struct effect *e, struct span text);
/* The event of a notice. */
json_t *lines_event(const struct loop *l, const struct effect *e, struct span text);
json_t *lines_room(enum loop_room room);
json_t *lines_locked(void);

#endif
