/*
 * meet.h: two contacts that both call, where no multicast gets through (PROTOCOL section 4).
 *
 * In two slots of 30 seconds of every ten minutes, which both derive from the anchor, each
 * sends a direct call a second to the addresses where it last met the other. The calls
 * of `a` are answered by `b`; those of `b` open its firewall. The link then runs over the
 * same path.
 */
#ifndef NODE_CORE_MEET_H
#define NODE_CORE_MEET_H

#include "node/core/node.h"

enum { MEET_PATHS_MAX = 64 };

struct contact;

struct meet_path {
	uint32_t path;
	uint32_t contact;
	uint64_t until_us;  /* the end of the slot */
	uint64_t prompt_us; /* when a call of theirs last made us say something; 0: never */
	struct address local, remote;
};

struct meet {
	struct meet_path paths[MEET_PATHS_MAX];
	size_t n;
	uint64_t next_us; /* when there is something to do; 0: to be found out */
};

/* What decides who is tried has changed: a mode, a link, an address. */
void meet_look_again(struct node *n);
/* The same, within a second: the other may decide how often. */
void meet_look_soon(struct node *n);
must_check int meet_timer(struct node *n);
uint64_t meet_deadline_us(const struct node *n);
/* A datagram on one of our paths that is a direct call of the contact: it is dealt with, and *taken says so.
 */
must_check int meet_datagram(struct node *n, uint32_t path, struct span datagram, bool *taken);
void meet_path_failed(struct node *n, uint32_t path);
/* Remembers where a contact was met, newest first. */
void meet_remember(struct contact *c, const struct address *remote);

#endif
