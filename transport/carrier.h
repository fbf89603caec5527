/*
 * carrier.h: what moves datagrams, and how large they are.
 *
 * A carrier takes a datagram to an address and hands in those that come: UDP in a local
 * network (lan), an L2CAP channel (bluetooth). It knows nothing of contacts, keys or
 * frames. A datagram may be lost, doubled, reordered or forged on the way; a carrier
 * never cuts or joins one, and never answers by itself. Calls (call.h) find a contact's
 * address over it, links (link.h) run over it.
 */
#ifndef TRANSPORT_CARRIER_H
#define TRANSPORT_CARRIER_H

#include "node/base/common.h"

/* Where a datagram came from or goes to. Ports are kept apart: a proof (PROTOCOL section 4) has none. */
struct address {
	uint8_t ip[16];     /* network order; IPv4 mapped, ::ffff:a.b.c.d */
	uint32_t interface; /* the system's index of the interface, which scopes the address */
};

/* Over Bluetooth: interface is ADDRESS_BLUETOOTH | the number of the adapter (hciN), ip begins with the 6
 * bytes of the device's address in the order in which people write it, then one byte of its type (1 public, 2
 * random), then zeros. */
#define ADDRESS_BLUETOOTH UINT32_C(0x80000000)

static inline bool address_is_bluetooth(const struct address *a)
{
	return (a->interface & ADDRESS_BLUETOOTH) != 0;
}

/* A Bluetooth adapter that can be used now. */
struct radio {
	uint32_t interface; /* ADDRESS_BLUETOOTH | its number */
	uint8_t adverts;    /* that it can send at once; 0: it can only listen */
};

/* Paths that somebody else opened have numbers of the carrier's, with this bit; the core's own have it not.
 */
#define PATH_ACCEPTED UINT32_C(0x80000000)

/* PROTOCOL section 9 */
enum {
	RADIOS_MAX = 8,
	ADVERT_LEN = 26, /* 16 of the UUID, 10 of the nonce */
};

/* PROTOCOL section 5: on the air a datagram of a link has one of two sizes, whatever is in it. */
enum {
	CARRIER_SMALL = 256,
	CARRIER_LARGE = 1232, /* fits every path that bears IPv6 without a fragment */
	CARRIER_SMALL_FRAMES = 208,
	CARRIER_LARGE_FRAMES = 1184,
};

#endif
