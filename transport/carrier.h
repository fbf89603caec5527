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
	uint8_t ip[16];     /* network order; IPv4 mapped, ::ffff:a.b.c.d; zeros over Bluetooth */
	uint32_t interface; /* the system's index of the interface, which scopes the address */
};

/* PROTOCOL section 5: on the air a datagram of a link has one of two sizes, whatever is in it. */
enum {
	CARRIER_SMALL = 256,
	CARRIER_LARGE = 1232, /* fits every path that bears IPv6 without a fragment */
	CARRIER_SMALL_FRAMES = 208,
	CARRIER_LARGE_FRAMES = 1184,
};

#endif
