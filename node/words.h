/*
 * words.h: what faces say and are told, as JSON (node/CONTROL.md).
 *
 * Reads a line into what it asks for, answers what only looks, and builds replies and events. It knows no
 * socket: control.h does.
 */
#ifndef NODE_WORDS_H
#define NODE_WORDS_H

#include <jansson.h>

#include "node/loop.h"

enum {
	WORDS_VERSION = 1,
	WORDS_DEPTH_MAX = 2,
	WORDS_READ_MAX = 200,        /* messages of one reply ... */
	WORDS_READ_BYTES = 128 << 10 /* ... and, after the first, bytes of their texts */
};

struct word; /* an entry of the table of requests */

enum words_kind { WORDS_LOOKS, WORDS_CHANGES, WORDS_FOLLOW, WORDS_LOCK };

struct asked {
	const struct word *word; /* NULL: bad is the answer */
	json_t *root;            /* owned; the strings of request are borrowed from it */
	json_int_t id;
	struct request request;
	json_t *bad; /* owned */
};

/* Makes jansson wipe what it frees: it holds the texts of messages. Once, before anything else of jansson's.
 */
void words_init(void);

/* Reads a line, without its end. */
void words_parse(struct asked *out, struct span line);
void words_forget(struct asked *a); /* zeroed is fine */
enum words_kind words_kind(const struct asked *a);

/* The answer to a request that looks. NULL: out of memory, or *err says that the store failed. */
json_t *words_look(const struct asked *a, const struct loop *l, int *err);

json_t *words_ok(json_int_t id);
json_t *words_error(json_int_t id, const char *word, const char *text);
/* The reply to a request of this kind. */
json_t *words_reply(json_int_t id, const struct request *request, const struct effect *e, struct span text);
/* The event of a notice. */
json_t *words_event(const struct loop *l, const struct effect *e, struct span text);
json_t *words_locked(void);

#endif
