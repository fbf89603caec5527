/*
 * l2cap.h: the kernel's LE L2CAP channels (PROTOCOL section 9), without a loop.
 *
 * Connection-oriented channels with credits, SOCK_SEQPACKET: an SDU comes whole, in order and once, or the
 * channel ends. A full socket is the other side's back-pressure. The lowest security level: no pairing, no
 * bond. From PSM hex 80 on an ordinary user needs no privilege.
 */
#ifndef TRANSPORT_L2CAP_H
#define TRANSPORT_L2CAP_H

#include "node/base/wire.h"
#include "transport/carrier.h"

enum { L2CAP_PSM_FIRST = 0x80, L2CAP_PSM_LAST = 0xff };

/* Outcomes */
enum {
	L2CAP_WAIT = 1,   /* the socket is full, or empty: poll */
	L2CAP_BROKEN = 2, /* the channel has ended, or never began */
};

/* All descriptors are non-blocking and closed on exec. local is the adapter's own address. */

/* Returns the descriptor, or -1. */
must_check int l2cap_listen(const struct address *local, uint8_t psm);
/* The next channel that somebody opened, and his address, on the adapter of local. Returns 0, L2CAP_WAIT:
 * there is none, or L2CAP_BROKEN: it is of no use to go on. */
must_check int l2cap_accept(int *fd, int listener, const struct address *local, struct address *from);
/* Begins to open a channel; the socket becomes writable when l2cap_connected() knows the end of it. Returns
 * the descriptor, or -1. */
must_check int l2cap_connect(const struct address *local, const struct address *remote, uint8_t psm);
/* Returns 0 or L2CAP_BROKEN. */
must_check int l2cap_connected(int fd);

/* One SDU, whole or not at all. Returns 0 or an outcome. */
must_check int l2cap_send(int fd, struct span sdu);
/* One SDU of at most CARRIER_LARGE bytes: the kernel ends a channel over which more comes. Returns 0 or an
 * outcome. */
must_check int l2cap_receive(int fd, uint8_t buf[static CARRIER_LARGE], size_t *len);

#endif
