/*
 * talk.h: messages as the control socket gives them, on the terminal.
 */
#ifndef TOOLS_FLYLEAF_TALK_H
#define TOOLS_FLYLEAF_TALK_H

#include "tools/flyleaf/client.h"

enum { TALK_PER_READ = 200 };

enum talk_notes {
	TALK_STATE = BIT(0), /* an own one that is not stored by the other yet says so */
	TALK_WHOM = BIT(1)   /* an own one says to whom it is: those of several people are shown */
};

/* One message of the conversation with name, on a line of its own (and more where it has more). notes: of
 * enum talk_notes. */
void talk_print(const char *name, const json_t *message, unsigned notes);

/* Calls each() for the messages of name from position from on (or the last `last` of them, where last > 0),
 * in order, and puts the position after the last one into *next. Returns 0 or an exit code, each()'s
 * included. */
must_check int talk_each(struct client *client, const char *name, int64_t from, int64_t last, int64_t *next,
                         int (*each)(void *arg, const char *name, const json_t *message), void *arg);

#endif
