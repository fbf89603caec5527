/*
 * ether.h: the air of Bluetooth LE: who hears whose advertisements, and channels.
 *
 * Where a place is a network for Wi-Fi, here everybody stands on a spot of it, strolls to
 * another now and then, and reaches whoever is within 20 m. An advertisement is heard some
 * advertising intervals after it began by who listens; a channel takes 30 to 300 ms to come
 * about, bears 50 kB/s, loses nothing, and breaks when its two sides are out of reach, some
 * time before they notice. A place's walls, splits and kinds of network mean nothing here.
 */
#ifndef TOOLS_SIM_ETHER_H
#define TOOLS_SIM_ETHER_H

#include "node/core/node.h"
#include "tools/sim/net.h"
#include "tools/sim/queue.h"

enum {
	ETHER_AREA_M = 30, /* the side of the square on which people stand */
	ETHER_RANGE_M = 20,
	ETHER_ADVERTS = 5, /* of an adapter at once */
	ETHER_INTERVAL_US = 100000,
	ETHER_HEARD = 500000, /* an advertisement falls into a scan window, in parts of a million */
	ETHER_CONNECT_LOW_US = 30000,
	ETHER_CONNECT_HIGH_US = 300000,
	ETHER_GIVE_UP_US = 20000000, /* a connection to nobody */
	ETHER_BYTE_US = 20,
	ETHER_LATENCY_LOW_US = 5000,
	ETHER_LATENCY_HIGH_US = 40000,
	ETHER_NOTICE_LOW_US = 500000, /* how long after a break it is noticed */
	ETHER_NOTICE_HIGH_US = 5000000,
	ETHER_QUEUE_MAX = 64, /* transport/bluetooth.h */
	ETHER_LISTEN_US = 20000000,
	ETHER_STROLL_LOW_US = 60000000,
	ETHER_STROLL_HIGH_US = 600000000,
};

struct world;
struct ether_channel;

/* Somebody's adapter. */
struct ether_device {
	struct person *person;
	bool on; /* it has power */
	bool scans;
	int x, y; /* metres */
	struct due stroll;
	uint8_t adverts[ETHER_ADVERTS][ADVERT_LEN];
	size_t adverts_len;
	uint64_t adverts_number;     /* of the set that is advertised */
	uint64_t psm_until_us[0x80]; /* listened on; UINT64_MAX while it is advertised */
};

struct ether {
	struct ether_channel *channels; /* owned, a list */
	uint64_t adverts_number;
	uint32_t accepted;
	bool gathered; /* everybody stands together */
};

/* Gives p an adapter, on the same place in the order of things whatever else it has. */
void ether_add(struct person *p);
void ether_remove(struct person *p); /* the end of the world; none is fine */
void ether_clear(struct world *w);

struct address ether_address(const struct person *p);
struct address ether_nobodys_address(void);
/* One of the PSMs that p listens on, those from 0x80 + from on first; that one where there is none. */
uint16_t ether_some_psm(const struct world *w, const struct person *p, unsigned from);
/* The node is there, or is to be told again what there is; again: what it had is gone. */
void ether_tell(struct world *w, struct person *p, bool again);
/* The node, or the power, is gone: so are its advertisements and channels. */
void ether_stop(struct world *w, struct person *p);
void ether_switch(struct world *w, struct person *p, bool on);
/* Came to a place, or left one. */
void ether_moved(struct world *w, struct person *p);

/* Effects of a node. */
void ether_advertise(struct world *w, struct person *p, struct span adverts);
void ether_scan(struct world *w, struct person *p, bool on);
void ether_open(struct world *w, struct person *p, const struct effect *e);
/* False: there is no such channel. */
bool ether_send(struct world *w, struct person *p, uint32_t path, struct span bytes);
bool ether_close(struct world *w, struct person *p, uint32_t path);
/* A stranger says this: to all that listen at the place, or as the first word of a channel. */
void ether_stranger(struct world *w, const struct frame *f);

#endif
