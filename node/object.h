/*
 * object.h: JSON read whole or not at all, in memory that is wiped.
 *
 * Both sides of the control socket read what people write to each other with it.
 */
#ifndef NODE_OBJECT_H
#define NODE_OBJECT_H

#include <jansson.h>

#include "node/base/err.h"
#include "node/base/wire.h"

enum { OBJECT_MALFORMED = 1 };

/* Makes jansson wipe what it frees. Once, before anything else of jansson's that is freed later. */
void object_init(void);

/* Reads bytes as json_loadb() does with these flags. *out is the caller's to json_decref(). Returns 0,
 * OBJECT_MALFORMED or ERR_NOMEM. */
must_check int object_load(json_t **out, struct span bytes, size_t flags);

#endif
