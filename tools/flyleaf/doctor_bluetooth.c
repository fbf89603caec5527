/*
 * An adapter that is missing or switched off is nothing weak: nobody is met over it, and nothing of it is
 * seen. What it shows while it is on is another thing; most of that Flyleaf cannot change, as it is the
 * system's.
 */
#include "tools/flyleaf/doctor_bluetooth.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "tools/flyleaf/show.h"
#include "transport/hci.h"

#define BLUEZ   "org.bluez"
#define ADAPTER "org.bluez.Adapter1"

enum { ANSWER_US = 3000000 };

/* ---- Seeing ---------------------------------------------------------------- */

/* The value of a property that is yes or no; no where there is none. */
static bool is_so(sd_bus *bus, const char *path, const char *property)
{
	int value = 0;

	return sd_bus_get_property_trivial(bus, BLUEZ, path, ADAPTER, property, NULL, 'b', &value) >= 0 &&
	       value != 0;
}

/* An old bluetoothd does not say what an adapter can do. */
static bool can_low_energy(sd_bus *bus, const char *path)
{
	char **roles = NULL;
	bool can = sd_bus_get_property_strv(bus, BLUEZ, path, ADAPTER, "Roles", NULL, &roles) < 0;

	for (char **role = roles; role != NULL && *role != NULL; role++) {
		can |= strcmp(*role, "central") == 0 || strcmp(*role, "peripheral") == 0;
		free(*role);
	}
	free(roles);
	return can;
}

static bool see_adapter(struct doctor_adapter *a, sd_bus *bus, uint32_t number)
{
	char path[32];
	char *name = NULL;

	snprintf(path, sizeof(path), "/org/bluez/hci%u", number);
	if (sd_bus_get_property_string(bus, BLUEZ, path, ADAPTER, "Alias", NULL, &name) < 0)
		return false;
	*a = (struct doctor_adapter){
		.number = number,
		.on = is_so(bus, path, "Powered"),
		.blocked = hci_blocked(number),
		.low_energy = can_low_energy(bus, path),
		.discoverable = is_so(bus, path, "Discoverable"),
		.pairable = is_so(bus, path, "Pairable"),
	};
	snprintf(a->name, sizeof(a->name), "%s", name);
	free(name);
	return true;
}

static int by_number(const void *a, const void *b)
{
	const struct doctor_adapter *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static void see_adapters(struct doctor_bluetooth *out, sd_bus *bus)
{
	DIR *folder = opendir("/sys/class/bluetooth");
	const struct dirent *e;

	while (folder != NULL && out->adapters_len < RADIOS_MAX && (e = readdir(folder)) != NULL) {
		unsigned number;
		char more;

		/* Connections stand there too: hci0:11 */
		if (sscanf(e->d_name, "hci%3u%c", &number, &more) == 1 &&
		    see_adapter(&out->adapters[out->adapters_len], bus, number))
			out->adapters_len++;
	}
	if (folder != NULL)
		closedir(folder);
	qsort(out->adapters, out->adapters_len, sizeof(out->adapters[0]), by_number);
}

/* Asking a name that has no owner would start bluetoothd. */
static void see_service(struct doctor_bluetooth *out)
{
	sd_bus *bus = NULL;

	if (sd_bus_open_system(&bus) < 0)
		return;
	sd_bus_set_method_call_timeout(bus, ANSWER_US);
	out->running = sd_bus_get_name_creds(bus, BLUEZ, 0, NULL) >= 0;
	if (out->running)
		see_adapters(out, bus);
	sd_bus_flush_close_unref(bus);
}

/* bluetoothd takes the last line of a key in its group, and knows words in small letters only. */
static enum doctor_privacy see_privacy(const char *config)
{
	FILE *f = fopen(config, "re");
	char row[512], value[32];
	bool general = false;
	enum doctor_privacy privacy = DOCTOR_PRIVACY_OFF; /* what it is by itself */

	if (f == NULL)
		return errno == ENOENT ? DOCTOR_PRIVACY_OFF : DOCTOR_PRIVACY_UNKNOWN;
	while (fgets(row, sizeof(row), f) != NULL) {
		if (row[0] == '[')
			general = strncmp(row, "[General]", strlen("[General]")) == 0;
		else if (general && sscanf(row, " Privacy = %31s", value) == 1)
			privacy = strcmp(value, "off") == 0 ? DOCTOR_PRIVACY_OFF : DOCTOR_PRIVACY_ON;
	}
	fclose(f);
	return privacy;
}

static enum doctor_records see_records(const char *records)
{
	DIR *folder = opendir(records);
	const struct dirent *e;
	enum doctor_records found = DOCTOR_RECORDS_NONE;

	if (folder == NULL)
		return errno == ENOENT ? DOCTOR_RECORDS_NONE : DOCTOR_RECORDS_HIDDEN;
	while ((e = readdir(folder)) != NULL)
		if (strchr(e->d_name, ':') != NULL) /* of an adapter */
			found = DOCTOR_RECORDS_SOME;
	closedir(folder);
	return found;
}

void doctor_bluetooth_see(struct doctor_bluetooth *out, const char *config, const char *records)
{
	*out = (struct doctor_bluetooth){ .present = hci_present() };
	see_service(out);
	out->privacy = see_privacy(config);
	out->records = see_records(records);
}

/* ---- Judging --------------------------------------------------------------- */

static struct doctor_finding judge_adapter(const struct doctor_adapter *a)
{
	if (a->blocked)
		return doctor_found(DOCTOR_GOOD,
		                    "To meet where there is no network: rfkill unblock bluetooth, or "
		                    "the switch on the case",
		                    "Bluetooth: hci%u is not used: blocked by a switch (rfkill)", a->number);
	if (!a->low_energy)
		return doctor_found(DOCTOR_GOOD,
		                    "To meet where there is no network: another adapter; any of the "
		                    "last ten years will do.",
		                    "Bluetooth: hci%u is not used: it cannot do Low Energy", a->number);
	if (!a->on)
		return doctor_found(DOCTOR_GOOD,
		                    "To meet where there is no network: switch it on in the system's "
		                    "settings, or: bluetoothctl power on",
		                    "Bluetooth: hci%u is not used: it is switched off", a->number);
	return doctor_found(DOCTOR_GOOD, NULL,
	                    "Bluetooth: hci%u is on; people can meet where there is no network", a->number);
}

static struct doctor_finding judge_privacy(const struct doctor_bluetooth *seen)
{
	switch (seen->privacy) {
	case DOCTOR_PRIVACY_OFF:
		return doctor_found(
		        DOCTOR_WEAK,
		        "Privacy = device, below [General] in /etc/bluetooth/main.conf, then: "
		        "systemctl restart bluetooth",
		        "Bluetooth address: always the same; it is seen while this device calls or is "
		        "linked, and it can be recognised by it");
	case DOCTOR_PRIVACY_ON:
		return doctor_found(DOCTOR_GOOD, NULL, "Bluetooth address: another one every few minutes");
	case DOCTOR_PRIVACY_UNKNOWN:
		break;
	}
	return doctor_found(DOCTOR_UNKNOWN, "See that it says Privacy = device below [General].",
	                    "Bluetooth address: /etc/bluetooth/main.conf cannot be read");
}

static struct doctor_finding judge_visible(const struct doctor_bluetooth *seen)
{
	for (size_t i = 0; i < seen->adapters_len; i++) {
		const struct doctor_adapter *a = &seen->adapters[i];

		if (a->on && a->discoverable)
			return doctor_found(
			        DOCTOR_WEAK,
			        "Close the Bluetooth page of the system's settings; if that is not "
			        "enough: bluetoothctl discoverable off",
			        "Bluetooth visibility: hci%u tells its name to everybody who is near",
			        a->number);
		if (a->on && a->pairable)
			return doctor_found(
			        DOCTOR_WEAK, "Flyleaf needs none of it: bluetoothctl pairable off",
			        "Bluetooth visibility: hci%u can be asked by strangers to pair with "
			        "the system",
			        a->number);
	}
	return doctor_found(DOCTOR_GOOD, NULL, "Bluetooth visibility: this machine does not show itself");
}

/* The name can be read from every device that can be connected to, without pairing. */
static struct doctor_finding judge_name(const struct doctor_adapter *a)
{
	char *name = show_plain(span_str(a->name));
	struct doctor_finding f =
	        doctor_found(DOCTOR_UNKNOWN, "If it says who you are: bluetoothctl system-alias ANOTHER",
	                     "Bluetooth name: while this device calls, who is near can read from it: %.300s",
	                     name != NULL ? name : "its name");

	free(name);
	return f;
}

static struct doctor_finding judge_records(const struct doctor_bluetooth *seen)
{
	static const char mend[] =
	        "Look, and forget what should not be there: bluetoothctl devices, bluetoothctl "
	        "remove ADDRESS; all of it: sudo find /var/lib/bluetooth";

	switch (seen->records) {
	case DOCTOR_RECORDS_NONE:
		break;
	case DOCTOR_RECORDS_SOME:
		return doctor_found(
		        DOCTOR_UNKNOWN, mend,
		        "Bluetooth records: the system keeps names and pairings of devices that were "
		        "near in /var/lib/bluetooth; none is Flyleaf's");
	case DOCTOR_RECORDS_HIDDEN:
		return doctor_found(
		        DOCTOR_UNKNOWN, mend,
		        "Bluetooth records: the system may keep names and pairings of devices that "
		        "were near in /var/lib/bluetooth, where only root can look; none is "
		        "Flyleaf's");
	}
	return doctor_found(DOCTOR_GOOD, NULL, "Bluetooth records: the system keeps none");
}

/* The adapter that is used first. */
static const struct doctor_adapter *one_that_is_on(const struct doctor_bluetooth *seen)
{
	for (size_t i = 0; i < seen->adapters_len; i++)
		if (seen->adapters[i].on)
			return &seen->adapters[i];
	return NULL;
}

size_t doctor_bluetooth_judge(struct doctor_finding out[static DOCTOR_BLUETOOTH_MAX],
                              const struct doctor_bluetooth *seen)
{
	const struct doctor_adapter *on = one_that_is_on(seen);
	size_t n = 0;

	if (!seen->present && seen->adapters_len == 0) {
		out[n++] =
		        doctor_found(DOCTOR_GOOD, NULL,
		                     "Bluetooth: there is no adapter; people can meet over a network only");
		return n;
	}
	if (!seen->running)
		out[n++] = doctor_found(
		        DOCTOR_GOOD,
		        "To meet where there is no network: systemctl enable --now bluetooth (on "
		        "Debian of the package bluez)",
		        "Bluetooth: not used: the system's Bluetooth service is not running");
	else if (seen->adapters_len == 0)
		out[n++] = doctor_found(
		        DOCTOR_UNKNOWN, "systemctl restart bluetooth",
		        "Bluetooth: the system's Bluetooth service knows no adapter, but there is "
		        "one");
	for (size_t i = 0; i < seen->adapters_len; i++)
		out[n++] = judge_adapter(&seen->adapters[i]);
	if (on != NULL) {
		out[n++] = judge_privacy(seen);
		out[n++] = judge_visible(seen);
		out[n++] = judge_name(on);
	}
	out[n++] = judge_records(seen);
	return n;
}
