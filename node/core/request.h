/*
 * request.h: what a person asks for.
 */
#ifndef NODE_CORE_REQUEST_H
#define NODE_CORE_REQUEST_H

#include "node/core/state.h"

/* Does it, and puts a reply into the effects. Fails for our own store or memory only. */
must_check int request_handle(struct node *n, const struct request *q);

#endif
