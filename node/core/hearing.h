/*
 * hearing.h: the calls of others, by whatever way they came (PROTOCOL sections 4 and 9).
 *
 * Says whose a call is and whether it counts: recognised under a key of a contact, live,
 * never heard before, not too soon after the last answer. How it is answered is for the
 * way it came by: finder.h on the local network, radio.h over Bluetooth.
 */
#ifndef NODE_CORE_HEARING_H
#define NODE_CORE_HEARING_H

#include "node/core/state.h"
#include "transport/call.h"

/* A call that was recognised; all borrowed. */
struct heard {
	struct contact *contact;
	enum secret_kind kind; /* the newest of its secrets that recognises it */
	const struct call *call;
	int place;
	const struct address *from;
};

/* A way by which calls come. */
struct hearing_way {
	enum call_kind kind;
	/* Where answers come by the same way: takes one to a call of ours and says so in *taken. NULL: they
	 * do not. */
	int (*answered)(struct node *n, const struct heard *h, bool *taken);
	int (*answer)(struct node *n, const struct heard *h); /* to a live call */
};

/* Whether this call may be looked at: what they cost in a second is bounded. */
bool hearing_may_examine(struct node *n, struct hearing *g);
/* Looks for the contact that a call is of, and does what follows. Returns 0 or an enum err. */
must_check int hearing_call(struct node *n, struct hearing *g, const struct hearing_way *way,
                            const struct call *call, const struct address *from);
/* Notes that a call of c came: *first says whether it counts. Returns 0 or ERR_NOMEM. */
must_check int hearing_note(struct node *n, struct contact *c, const struct nonce16 *nonce, bool *first);

#endif
