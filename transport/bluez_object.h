/*
 * bluez_object.h: what bluetoothd says of its objects, read from D-Bus messages.
 *
 * The names, types and meanings are those of BlueZ's doc/adapter-api.txt, doc/device-api.txt and
 * doc/advertising-api.txt. Half of it are the words of strangers on the air, so nothing is taken for granted:
 * what is missing, has another type or another shape is passed over.
 *
 * Pure: a message goes in, values come out.
 */
#ifndef TRANSPORT_BLUEZ_OBJECT_H
#define TRANSPORT_BLUEZ_OBJECT_H

#include <systemd/sd-bus.h>

#include "node/base/wire.h"
#include "transport/carrier.h"

enum {
	BLUEZ_ADVERTS_MAX = 4, /* of one message; a device of ours sends one at a time */
	BLUEZ_UUID_LEN = 16,
	BLUEZ_UUID_TEXT_LEN = 36,
	BLUEZ_ADDRESS_LEN = 6,
	BLUEZ_PUBLIC = 1, /* the types of an address, 0 is not known */
	BLUEZ_RANDOM = 2,
};

/* Of org.bluez.Adapter1 */
struct bluez_adapter {
	uint32_t number;                    /* hciN */
	uint8_t address[BLUEZ_ADDRESS_LEN]; /* in the order in which people write it */
	uint8_t address_type;               /* 0 while none is known: it cannot be used */
	bool powered;
	bool discovering;
	bool no_le;      /* it says what it can do, and Low Energy is not in it */
	uint8_t adverts; /* of org.bluez.LEAdvertisingManager1: how many it can send at once, ours included */
};

/* Of org.bluez.Device1 */
struct bluez_device {
	uint8_t address_type; /* 0: not said */
	uint8_t adverts_len;
	uint8_t adverts[BLUEZ_ADVERTS_MAX][ADVERT_LEN]; /* the service data of our shape: UUID, data */
};

/* Which object a path names. */
struct bluez_path {
	uint32_t number; /* hciN */
	bool is_device;
	uint8_t address[BLUEZ_ADDRESS_LEN]; /* of the device */
};

/* False: neither an adapter nor a device. */
bool bluez_object_path(struct bluez_path *out, const char *path);
/* Each reads an a{sv} of properties, all or some of them, and leaves what is not named as it is. False: the
 * message is damaged; what stood before the damage is taken. */
bool bluez_object_adapter(struct bluez_adapter *a, sd_bus_message *m);
bool bluez_object_manager(struct bluez_adapter *a, sd_bus_message *m);
bool bluez_object_device(struct bluez_device *d, sd_bus_message *m);
/* "public" or "random"; 0: anything else. */
uint8_t bluez_object_address_type(const char *text);

bool bluez_uuid_read(uint8_t out[static BLUEZ_UUID_LEN], const char *text);
void bluez_uuid_write(char out[static BLUEZ_UUID_TEXT_LEN + 1], const uint8_t uuid[static BLUEZ_UUID_LEN]);

#endif
