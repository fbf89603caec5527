/*
 * client.h: the command line's end of the control socket (node/CONTROL.md).
 */
#ifndef TOOLS_FLYLEAF_CLIENT_H
#define TOOLS_FLYLEAF_CLIENT_H

#include <poll.h>

#include <jansson.h>

#include "node/base/common.h"

struct client;

enum { CLIENT_NONE = -1, CLIENT_OTHERS_MAX = 2 }; /* CLIENT_NONE: another descriptor is ready first */

/* Connects to the node of the vault in home. Returns 0, or the exit code after having said why. */
must_check int client_open(struct client **out, const char *home);
void client_close(struct client *c); /* NULL is allowed */

/* Asks for word with the members of args (stolen; NULL: none) and waits for the reply, which the caller owns.
 * Events that come meanwhile are kept for client_event(). Returns 0, or the exit code after having said why.
 */
must_check int client_ask(json_t **reply, struct client *c, const char *word, json_t *args);

/* The word of the last refusal, as "bad-code"; "" where nothing was refused. Borrowed from the client. */
const char *client_refused(const struct client *c);

/* As client_ask(), for who does not want the reply. */
must_check int client_do(struct client *c, const char *word, json_t *args);

/* Waits for an event, or until one of the n descriptors of others is ready, which their revents then tell.
 * The caller owns *event. Returns 0, CLIENT_NONE, or the exit code after having said why. */
must_check int client_event(json_t **event, struct client *c, struct pollfd *others, size_t n);

/* A member of an object as text; "" where it is absent. */
const char *client_text(const json_t *object, const char *key);
int64_t client_number(const json_t *object, const char *key); /* 0 where it is absent */
bool client_flag(const json_t *object, const char *key);

#endif
