/*
 * bluetooth.h: the carrier of Bluetooth LE (PROTOCOL section 9) under libuv.
 *
 * Advertisements and scanning go through the system's bluetoothd (bluez.h), channels through the kernel
 * (l2cap.h). Follows adapters that come, go, and are switched off, and a bluetoothd that ends and returns. It
 * advertises, listens and opens only what it is told to, and never changes anything of an adapter: no power,
 * no name, no discoverable, no record, no bond. A system without Bluetooth is no error: bluetooth_status()
 * says it.
 *
 * Nothing is lost or reordered on a path: an SDU comes whole, or the path fails.
 *
 * Callbacks run inside the loop, one at a time, and call nothing of this header but bluetooth_status().
 */
#ifndef TRANSPORT_BLUETOOTH_H
#define TRANSPORT_BLUETOOTH_H

#include <uv.h>

#include "node/base/wire.h"
#include "transport/carrier.h"

enum {
	BLUETOOTH_ADVERTS_MAX = 5,    /* of an adapter at a time */
	BLUETOOTH_ADVERT_LEN = 27,    /* ADVERT_LEN, and the PSM on which it is answered */
	BLUETOOTH_PATHS_MAX = 64,     /* channels at a time, those of others included */
	BLUETOOTH_QUEUE_MAX = 64,     /* datagrams of a path that wait; with one more it fails */
	BLUETOOTH_WAITING_MAX = 4,    /* channels of others that wait for their first SDU, */
	BLUETOOTH_WAIT_MS = 5000,     /* and for how long */
	BLUETOOTH_LISTEN_MS = 20000,  /* a PSM is listened on for so long after its advertisement */
	BLUETOOTH_CONNECT_MS = 20000, /* to open a channel: nobody listens longer */
	BLUETOOTH_PSM_FIRST = 0x80,
};

struct bluetooth;

struct bluetooth_options {
	const char *const *adapters; /* names to use, "hci0"; NULL: every one */
	size_t adapters_len;
};

struct bluetooth_callbacks {
	/* The adapters that can be used now, at most RADIOS_MAX: after every change, the first being from
	 * none. What was advertised on one that is not among them is forgotten. */
	void (*radios)(void *arg, const struct radio *radios, size_t n);
	/* An advertisement of our shape was heard: UUID(16) and data(10), valid in the callback only. The
	 * same one may come many times. */
	void (*advert)(void *arg, const struct address *from, struct span uuid_and_data);
	/* Somebody opened a channel to psm and sent a first SDU. From here on it is a path like any other, to
	 * be closed by bluetooth_close_path(). */
	void (*channel)(void *arg, uint32_t path, const struct address *from, uint16_t psm, struct span sdu);
	void (*datagram)(void *arg, uint32_t path, struct span bytes);
	/* The path could not be opened or has ended. It is closed already. */
	void (*failed)(void *arg, uint32_t path);
};

/* options and their names are borrowed and outlive the carrier. Returns 0 or an enum err. */
must_check int bluetooth_new(struct bluetooth **out, uv_loop_t *loop, const struct bluetooth_options *options,
                             const struct bluetooth_callbacks *callbacks, void *arg);
/* Ends everything, then frees it and calls closed(). NULL is allowed: closed() is called at once. */
void bluetooth_close(struct bluetooth *b, void (*closed)(void *arg), void *arg);

/* What the adapter advertises from now on, in place of what it did: n times UUID(16), data(10) and PSM(1); of
 * more than the adapter can send the first. Channels to the PSMs are taken. An adapter that cannot be used
 * is ignored. */
void bluetooth_advertise(struct bluetooth *b, uint32_t interface, struct span adverts);
/* Listens for advertisements on every adapter, now and when it comes, or does not. */
void bluetooth_scan(struct bluetooth *b, bool on);

/* Opens a channel to the device on psm (hex 80 to ff); path is a number that is not in use, without
 * PATH_ACCEPTED. What goes wrong is told by failed(), later. Returns 0 or ERR_NOMEM. */
must_check int bluetooth_open(struct bluetooth *b, uint32_t path, const struct address *remote, uint16_t psm);
/* bytes (at most CARRIER_LARGE) are copied, and leave at bluetooth_flush() or when the channel is open.
 * Returns whether it has such a path, open or being opened: another carrier may have it. */
bool bluetooth_send(struct bluetooth *b, uint32_t path, struct span bytes);
void bluetooth_flush(struct bluetooth *b);
/* When what was sent before has left our queue; the kernel may still drop it. At once while it is being
 * opened. Returns whether it has such a path. */
bool bluetooth_close_path(struct bluetooth *b, uint32_t path);
/* Closes every path at once, and what waits to become one; not from inside a callback. */
void bluetooth_drop_paths(struct bluetooth *b);

struct bluetooth_status {
	char name[16];       /* of the adapter; empty where none can be named */
	const char *why_not; /* NULL: it works; static text in plain words */
};

/* Every adapter there is, or, where there is none, one line that says why. Returns how many. */
size_t bluetooth_status(const struct bluetooth *b, struct bluetooth_status out[static RADIOS_MAX]);

#endif
