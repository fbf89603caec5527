/*
 * tie.h: a device as it sees one of its contacts, and what both write to each other.
 *
 * What is written is numbered, so that what is lost, doubled or out of order shows itself.
 */
#ifndef TESTS_BLUETOOTH_TIE_H
#define TESTS_BLUETOOTH_TIE_H

#include "tests/bluetooth/device.h"

enum { TIE_LONGEST = 32000 };

struct tie {
	struct device *at;
	const char *other; /* the name of the contact */
	const struct tie *peer;
	unsigned written; /* messages to the other, numbered from 0 */
};

/* Pairs both by a spoken code over whatever they have; then a calls b. */
void tie_pair(struct tie *a, struct tie *b);
/* The same after both have got a vault and a node. */
void tie_begin(struct tie *a, struct tie *b);
void tie_mode(struct tie *t, const char *mode);
/* Waits until it is so, or fails with what. */
void tie_wait(bool (*is)(struct tie *t), struct tie *t, const char *what);
/* What the node says of itself and of the contact, for whoever reads the log. */
void tie_print(struct tie *t);
bool tie_is_linked(struct tie *t);
bool tie_is_over(struct tie *t, const char *carrier);

/* n messages more, of a hundred characters; of a thousand two are as long as can be. */
void tie_write(struct tie *t, unsigned n);
/* Waits until everything that both wrote is stored, and reads both conversations: what the other wrote is
 * there, once each and in order. */
void tie_audit(struct tie *a, struct tie *b);

#endif
