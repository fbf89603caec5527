/*
 * lan.h: the carrier of the local network (PROTOCOL sections 4 and 5) under libuv.
 *
 * Calls go to and come from the mDNS group on every interface in use; paths are connected UDP sockets.
 * Follows interfaces that come, go and are renumbered. It sends nothing but what it is told to send, and
 * answers nothing.
 *
 * Callbacks run inside the loop, one at a time, and call nothing of this header but lan_locals().
 */
#ifndef TRANSPORT_LAN_H
#define TRANSPORT_LAN_H

#include <uv.h>

#include "node/base/wire.h"
#include "transport/interfaces.h"

enum {
	LAN_PATHS_MAX = 1280,  /* sockets open at a time: a path beyond it fails */
	LAN_QUEUE_MAX = 64,    /* datagrams of a path that wait for a full socket; more are lost */
	LAN_DEBOUNCE_MS = 250, /* interfaces change in several steps */
	LAN_REFRESH_MS = 60000 /* what failed may work by now */
};

struct lan;

struct lan_options {
	const char *const *interfaces; /* names to use; NULL: every suitable one */
	size_t interfaces_len;
};

struct lan_callbacks {
	/* The local addresses in use, at most INTERFACES_MAX: once soon after the start, then after each
	 * change. */
	void (*network)(void *arg, const struct address *locals, size_t n);
	/* A datagram of a call's size came to the group from port 5353; bytes are valid in the callback only.
	 */
	void (*call)(void *arg, const struct address *from, uint8_t ttl, struct span bytes);
	void (*datagram)(void *arg, uint32_t path, struct span bytes);
	/* The path could not be opened or broke. It is closed already. */
	void (*failed)(void *arg, uint32_t path);
	/* The system says that nobody listens there: only a hint, anybody can forge it. */
	void (*refused)(void *arg, uint32_t path);
};

/* options and their names are borrowed and outlive the carrier. Returns 0 or an enum err. */
must_check int lan_new(struct lan **out, uv_loop_t *loop, const struct lan_options *options,
                       const struct lan_callbacks *callbacks, void *arg);
/* Closes everything, then frees it and calls closed(). NULL is allowed: closed() is called at once. */
void lan_close(struct lan *l, void (*closed)(void *arg), void *arg);

/* The addresses that network() told last; borrowed until the next one. */
size_t lan_locals(const struct lan *l, const struct address **out);
void lan_call(struct lan *l, const struct address *local, struct span bytes);

/* Opens a path, bound to local and port and connected to remote and port; path is a number that is not in
 * use. What goes wrong is told by failed(), later. Returns 0 or ERR_NOMEM. */
must_check int lan_open(struct lan *l, uint32_t path, const struct address *local,
                        const struct address *remote, uint16_t port);
/* bytes (at most CARRIER_LARGE) are borrowed until lan_flush(). A path that is not open is ignored. */
void lan_send(struct lan *l, uint32_t path, struct span bytes);
void lan_flush(struct lan *l);
/* After what was sent before. A path that is not open is ignored. */
void lan_close_path(struct lan *l, uint32_t path);
/* Closes every path at once, without what waits; not from inside a callback. */
void lan_drop_paths(struct lan *l);

struct lan_status {
	char name[IF_NAMESIZE];
	bool ipv6;
	const char *why_not; /* NULL: it works; static text */
};

/* What there is, used or not. Writes at most INTERFACES_MAX entries and returns how many. */
size_t lan_status(const struct lan *l, struct lan_status out[static INTERFACES_MAX]);

#endif
