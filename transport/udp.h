/*
 * udp.h: the UDP sockets of the local-network carrier, without a loop.
 *
 * A group socket belongs to one interface and family. It is bound to the group's address, never to the
 * wildcard, so that a port scan finds nothing and the system's own mDNS responder is undisturbed; being bound
 * to a group it still sends with the interface's own address. The kernel drops what has not the size of a
 * call, so that the network's other mDNS traffic does not even wake us.
 *
 * A path socket is bound to one address and port and connected to another: only that peer reaches it, and to
 * everybody else the port is closed.
 */
#ifndef TRANSPORT_UDP_H
#define TRANSPORT_UDP_H

#include "node/base/wire.h"
#include "transport/carrier.h"

enum {
	UDP_CALL_PORT = 5353,
	UDP_BATCH = 48, /* datagrams of one send: within the kernel's bound of segments and of 64 KiB */
	UDP_RECEIVE_BATCH = 16 /* buffers of one receive; each may hold UDP_BATCH datagrams of a path */
};

/* Outcomes */
enum {
	UDP_WAIT = 1,   /* the socket is full, or empty: poll */
	UDP_HINT = 2,   /* the system reports that the last datagram did not get there */
	UDP_LOST = 3,   /* the next datagram cannot be sent: it counts as lost */
	UDP_BROKEN = 4, /* the socket is of no use any more */
};

bool address_is_ipv4(const struct address *a);
bool address_equal(const struct address *a, const struct address *b);

/* A group socket for this local address. Returns the descriptor, or -1 and the reason in plain words (static
 * text). */
must_check int udp_open_group(const struct address *local, const char **why_not);
/* Goes on with another address of the same interface. */
void udp_readdress_group(int fd, const struct address *local);
/* Sends to the group from local. A failure is a lost datagram: calls are repeated. */
void udp_call(int fd, const struct address *local, struct span bytes);

/* Returns the descriptor, or -1: the port is taken, or there is no way to remote. */
must_check int udp_open_path(const struct address *local, const struct address *remote, uint16_t port);

/* Sends the n (at most UDP_BATCH) datagrams to the peer of a path, as segments of one where *segments, which
 * it clears when the system refuses them. *sent were sent. Returns 0 when all were, or an outcome. */
must_check int udp_send(int fd, const struct span *v, size_t n, bool *segments, size_t *sent);

struct udp_inbox; /* the buffers of a receive, shared by all sockets of one thread */
must_check int udp_inbox_new(struct udp_inbox **out);
void udp_inbox_free(struct udp_inbox *in);

/* One receive: each() for every datagram; from and ttl are those of a call's sender, of a path NULL and 0.
 * Returns 0 when there may be more, UDP_WAIT, UDP_HINT or UDP_BROKEN. */
must_check int udp_receive_calls(int fd, struct udp_inbox *in, uint32_t interface,
                                 void (*each)(void *arg, const struct address *from, uint8_t ttl,
                                              struct span bytes),
                                 void *arg);
must_check int udp_receive_path(int fd, struct udp_inbox *in, void (*each)(void *arg, struct span bytes),
                                void *arg);

#endif
