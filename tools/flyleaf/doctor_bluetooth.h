/*
 * doctor_bluetooth.h: what of the system's Bluetooth keeps Flyleaf from being met, or shows more than it has
 * to.
 *
 * Seeing and judging are apart, so that systems can be judged that are not at hand.
 */
#ifndef TOOLS_FLYLEAF_DOCTOR_BLUETOOTH_H
#define TOOLS_FLYLEAF_DOCTOR_BLUETOOTH_H

#include "tools/flyleaf/doctor.h"
#include "transport/carrier.h"

enum {
	DOCTOR_NAME_MAX = 249, /* bytes of an adapter's name, with its end */
	DOCTOR_BLUETOOTH_MAX = RADIOS_MAX + 4
};

enum doctor_privacy { DOCTOR_PRIVACY_OFF, DOCTOR_PRIVACY_ON, DOCTOR_PRIVACY_UNKNOWN };
enum doctor_records { DOCTOR_RECORDS_NONE, DOCTOR_RECORDS_SOME, DOCTOR_RECORDS_HIDDEN };

struct doctor_adapter {
	uint32_t number; /* hciN */
	bool on, blocked, low_energy, discoverable, pairable;
	char name[DOCTOR_NAME_MAX]; /* that it tells others; empty: not known */
};

struct doctor_bluetooth {
	bool present;                               /* the kernel has an adapter */
	bool running;                               /* bluetoothd does */
	struct doctor_adapter adapters[RADIOS_MAX]; /* that bluetoothd knows */
	size_t adapters_len;
	enum doctor_privacy privacy;
	enum doctor_records records; /* of devices that were near */
};

/* Looks at this system. config is /etc/bluetooth/main.conf and records /var/lib/bluetooth, or others in
 * tests. Starts no bluetoothd, and changes nothing. */
void doctor_bluetooth_see(struct doctor_bluetooth *out, const char *config, const char *records);
/* Returns how many findings there are, one at least. */
size_t doctor_bluetooth_judge(struct doctor_finding out[static DOCTOR_BLUETOOTH_MAX],
                              const struct doctor_bluetooth *seen);

#endif
