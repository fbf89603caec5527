/*
 * bluez.h: the system's bluetoothd, over D-Bus, under libuv: adapters, advertisements, scanning.
 *
 * After BlueZ's doc/adapter-api.txt and doc/advertising-api.txt, with what version 5.66 was seen to do. As an
 * ordinary user; nothing waits. It starts no bluetoothd, and of an adapter it uses what may be used by
 * several programs at once: a discovery session, which is its own, and the instances of advertisements. Both
 * end with the connection to the bus.
 *
 * What fails is tried again after 1 s, 2 s and so on up to a minute.
 *
 * Callbacks run inside the loop and call nothing of this header but what takes a const struct bluez.
 */
#ifndef TRANSPORT_BLUEZ_H
#define TRANSPORT_BLUEZ_H

#include <uv.h>

#include "node/base/wire.h"
#include "transport/bluez_object.h"
#include "transport/carrier.h"

enum {
	BLUEZ_SLOTS_MAX = 5, /* advertisements of an adapter at a time */
	BLUEZ_RETRY_FIRST_MS = 1000,
	BLUEZ_RETRY_MAX_MS = 60000,
	BLUEZ_DEVICES_MAX = 256, /* senders of our shape whose type of address is remembered */
	BLUEZ_QUESTIONS_MAX = 8, /* asked at a time for the type of another; the adverts of more are lost */
};

struct bluez;

struct bluez_callbacks {
	/* Something of bluez_adapters() or bluez_is_running() may have changed. */
	void (*changed)(void *arg);
	/* Service data of our shape was heard, ADVERT_LEN bytes, valid in the callback only. */
	void (*advert)(void *arg, const struct address *from, struct span uuid_and_data);
};

/* Of the adapters only those with these names, borrowed and outliving it; NULL: all. Returns 0 or an enum
 * err. */
must_check int bluez_new(struct bluez **out, uv_loop_t *loop, const char *const *names, size_t names_len,
                         const struct bluez_callbacks *callbacks, void *arg);
/* Closes it, then frees it and calls closed(). NULL is allowed: closed() is called at once. */
void bluez_close(struct bluez *b, void (*closed)(void *arg), void *arg);

bool bluez_is_running(const struct bluez *b);
/* The adapters, usable or not. Returns how many. */
size_t bluez_adapters(const struct bluez *b, struct bluez_adapter out[static RADIOS_MAX]);
/* Whether it can be used now. */
bool bluez_adapter_is_usable(const struct bluez_adapter *a);

/* What the adapter, which can be used, advertises from now on: n times ADVERT_LEN bytes, at most as many as
 * it can send and BLUEZ_SLOTS_MAX. Forgotten when the adapter cannot be used any more. */
void bluez_advertise(struct bluez *b, uint32_t number, const uint8_t (*adverts)[ADVERT_LEN], size_t n);
void bluez_scan(struct bluez *b, bool on);

#endif
