/*
 * interfaces.h: the network interfaces of this machine, and which of them reach a local network.
 *
 * An interface is used when it is up, connected and can multicast, and is neither the loopback nor a tunnel:
 * a call over a tunnel would tell somebody far away. A list of names replaces this choice (the loopback then
 * too, when it is named). "name=address" in the list takes that IPv4 address of the interface in place of its
 * first one: two nodes of one machine need two addresses, because both ends of a path have the same port.
 */
#ifndef TRANSPORT_INTERFACES_H
#define TRANSPORT_INTERFACES_H

#include <net/if.h>

#include "transport/carrier.h"

enum { INTERFACES_MAX = 32 }; /* interfaces times address families that are looked at */

struct interface {
	char name[IF_NAMESIZE];
	bool ipv6;
	struct address
	        address; /* the first of its family, link-local for IPv6; meaningless when why_not is set */
	const char *why_not; /* NULL when it can be used, else the reason in plain words; static text */
};

/* The interfaces now, usable ones first. names limits the choice to these; NULL: every suitable one.
 * Returns 0 or an enum err; *n is at most INTERFACES_MAX. */
must_check int interfaces_list(struct interface out[static INTERFACES_MAX], size_t *n,
                               const char *const *names, size_t names_len);

/* A non-blocking socket that becomes readable when interfaces or addresses change. Returns 0 or an enum err.
 */
must_check int interfaces_watch(int *fd);
/* Empties it. */
void interfaces_seen(int fd);

#endif
