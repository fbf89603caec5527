/*
 * net.h: the air: places, who is where, and what becomes of a datagram.
 *
 * A place is one network. A call reaches everybody there, unless the place keeps its
 * guests apart; a datagram reaches whoever has this address there and a path that fits.
 * What the network does to them is drawn for each.
 */
#ifndef TOOLS_SIM_NET_H
#define TOOLS_SIM_NET_H

#include "node/base/wire.h"
#include "tools/sim/queue.h"
#include "transport/carrier.h"

struct person;

enum { NET_NOWHERE = -1, NET_NAME_MAX = 31, NET_FRAME_MAX = 2048 };
enum net_kind {
	NET_LAN,      /* everybody hears everybody */
	NET_DEAF,     /* no multicast gets through */
	NET_ISOLATED, /* guests are kept apart: nothing gets through */
};
/* What comes in at a device, as measured in the plan of tests, 2.4. */
enum net_firewall {
	NET_OPEN,   /* everything */
	NET_GUARD,  /* calls, and what answers a datagram of ours */
	NET_CLOSED, /* what answers a datagram of ours */
};

struct place {
	char name[NET_NAME_MAX + 1];
	enum net_kind kind;
	bool ipv6;
	int x, y;                /* on a map, in no unit */
	struct person **present; /* owned; in the order in which they came */
	size_t present_len, present_cap;
	uint64_t split; /* while it is not 0, the people here are two halves that do not hear each other */
};

/* In parts of a million, for each frame and each of its hearers. */
struct net_faults {
	uint32_t lost, twice, corrupt, cut, longer, late, calls_lost;
	uint64_t late_us; /* up to this, for those that are late */
};

/* Somebody's frames do not reach somebody else until then. */
struct net_wall {
	struct person *from, *to; /* to NULL: nobody */
	uint64_t until_us;
};

struct frame {
	int place;
	bool radio; /* over Bluetooth (ether.h): an advertisement (port 0), or a word over a channel */
	struct person *from;   /* NULL: a stranger's */
	struct address source; /* as it says */
	uint16_t port;         /* 0: a call, to everybody; of a channel the PSM */
	struct address target;
	struct span bytes;
	uint8_t ttl;
	bool linked;  /* who said it was linked with the other just then */
	bool refused; /* no datagram, but the news that nobody listens where one went */
	bool again;   /* a stranger's copy (liar.h) of what `said_by` said at said_us, in its name */
	const struct person *said_by;
	uint64_t said_us, said_mark;
};

struct net {
	struct place *places; /* owned */
	size_t places_len;
	struct net_faults faults;
	uint64_t delay_low_us, delay_high_us;
	struct net_wall *walls; /* owned */
	size_t walls_len, walls_cap;
};

void net_init(struct net *n);
void net_deinit(struct net *n);
/* Its number. */
int net_add_place(struct net *n, const char *name, enum net_kind kind);
int net_find_place(const struct net *n, const char *name); /* NET_NOWHERE: there is none */

/* Moves somebody; the caller tells the node (person_network()). */
void net_enter(struct world *w, struct person *p, int place);
/* What an address at a place is to somebody: it changes with every lease. */
struct address net_address(const struct place *at, int place, uint32_t person, unsigned lease);
/* Whose an address is, or was, wherever. */
uint32_t net_person(const struct address *a);

/* A frame leaves; it is copied. By Bluetooth only a stranger's come here. One of nobody's (from NULL) must
 * never be answered: I5. */
void net_send(struct world *w, const struct frame *f);
/* It is on the air: counts it, and tells whoever looks on. */
void net_note(struct world *w, const struct frame *f);
/* The end of the world: frees all that flies. */
void net_clear(struct world *w);
void net_wall(struct world *w, struct person *from, struct person *to, uint64_t until_us);

#endif
