/*
 * Everything that is wanted is a state, and reconcile() does what leads there: connect to the bus, learn who
 * owns org.bluez, list its objects, then for each adapter that can be used a discovery session while there is
 * to be scanning, and one exported object for each advertisement. It runs after every message and when a
 * pause after a failure is over, so that no order of events needs a path of its own.
 *
 *     no connection -> connected -> bluetoothd has an owner -> its objects are listed -> adapters
 *
 * Each loss goes back to the left and forgets what stood to the right of it: slots of calls are dropped with
 * that, so no late answer finds a thing that is not its own any more.
 *
 * Signals are matched by the unique name of the owner: anybody on the bus may send any signal to us. Those of
 * devices, by far the most, are asked for only while we scan.
 *
 * An advertisement whose bytes change is changed in place, by the signal PropertiesChanged of its object:
 * bluetoothd takes that since 5.48. A property names no type of address (PROTOCOL section 9 needs it): it
 * comes with a new device, is remembered for those that send advertisements of our shape, and is asked for
 * otherwise.
 *
 * bluetoothd before 5.73, that of Debian 12 too, crashes when an advertisement ends, or its owner leaves the
 * bus, while a change of it is on its way to the controller, which can take as long as it takes to connect to
 * somebody. An advertisement therefore ends when its changes have arrived, and the carrier after that. When
 * one has arrived bluetoothd sets the property TxPower, asked or not; where the controller has no extended
 * advertising it does not, and the change takes no time.
 */
#include "transport/bluez.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define BUS           "org.freedesktop.DBus"
#define PROPERTIES    "org.freedesktop.DBus.Properties"
#define MANAGER       "org.freedesktop.DBus.ObjectManager"
#define BLUEZ         "org.bluez"
#define ADAPTER       "org.bluez.Adapter1"
#define DEVICE        "org.bluez.Device1"
#define ADVERTISER    "org.bluez.LEAdvertisingManager1"
#define ADVERTISEMENT "org.bluez.LEAdvertisement1"

enum {
	MESSAGES_PER_TURN = 64, /* others want the loop as well */
	OWNER_MAX = 64,
	PATH_MAX_LEN = 32, /* of an object of ours, and of an adapter */
	STEADY_MS = 60000, /* what lasted so long and ended is tried again quickly */
	SETTLE_MS = 500,   /* a change has arrived where nothing says so, */
	TELL_MS = 25000,   /* and where it should have been said, the longest connecting included, */
	LEAVE_MS = 2000,   /* and when we leave */
};

/* A pause that doubles with each failure in a row. */
struct patience {
	uint64_t due_ms; /* on the loop's clock */
	uint32_t pause_ms;
};

enum step { OFF, BEGINNING, ON };

/* One exported object; the number of its adapter and its own are in the path. */
struct advert {
	struct adapter *adapter;
	sd_bus_slot *object; /* owned; NULL while OFF */
	sd_bus_slot *call;   /* owned; the registration, while BEGINNING */
	enum step step;
	bool wanted;
	uint8_t bytes[ADVERT_LEN];
	uint8_t told[ADVERT_LEN]; /* what bluetoothd has read, or will */
	unsigned changing;        /* changes of which it was not said that they have arrived */
	bool is_told;             /* when they have arrived */
	uint64_t settled_ms;      /* they have, told or not */
	char path[PATH_MAX_LEN];
};

struct adapter {
	struct bluez *bluez;
	bool present; /* false: the place is free */
	struct bluez_adapter said;
	char path[PATH_MAX_LEN];
	enum step scan;
	sd_bus_slot *call; /* owned; StartDiscovery, while BEGINNING */
	struct patience scan_patience, advert_patience;
	struct advert adverts[BLUEZ_SLOTS_MAX];
};

struct sender {
	uint32_t number;
	uint8_t address[BLUEZ_ADDRESS_LEN];
	uint8_t address_type; /* 0: the place is free */
	uint64_t used;
};

/* An advertisement that waits for the type of its sender's address. */
struct question {
	struct bluez *bluez;
	sd_bus_slot *call; /* owned; NULL: the place is free */
	struct bluez_path from;
	uint8_t bytes[ADVERT_LEN];
};

/* Lives until both handles are closed, which is longer than the connection. */
struct connection {
	struct bluez *bluez;
	sd_bus *bus; /* owned */
	bool lost;   /* something failed that it needs: we begin again later */
	uv_poll_t poll;
	uv_timer_t timer;
	unsigned handles;
};

struct bluez {
	uv_loop_t *loop;          /* borrowed */
	const char *const *names; /* borrowed; NULL: every adapter */
	size_t names_len;
	struct bluez_callbacks callbacks;
	void *arg;
	struct connection *connection; /* owned; NULL: none */
	uv_timer_t retry;
	size_t handles; /* not closed yet, those of connections included */
	struct patience connect_patience, list_patience;
	uint64_t connected_ms;
	char owner[OWNER_MAX]; /* of org.bluez; empty: bluetoothd does not run */
	sd_bus_slot *owner_call, *list_call;
	sd_bus_slot *matches[3]; /* of the owner's signals */
	sd_bus_slot *device_match;
	bool listed;
	bool scan;
	struct adapter adapters[RADIOS_MAX];
	struct sender senders[BLUEZ_DEVICES_MAX];
	uint64_t uses;
	struct question questions[BLUEZ_QUESTIONS_MAX];
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

static void reconcile(struct bluez *b);

/* ---- Patience --------------------------------------------------------------- */

static bool is_due(const struct bluez *b, const struct patience *p)
{
	return uv_now(b->loop) >= p->due_ms;
}

/* What fails during a pause belongs to the failure that it is for. */
static void failed(struct bluez *b, struct patience *p)
{
	if (!is_due(b, p))
		return;
	p->pause_ms = p->pause_ms == 0 ? BLUEZ_RETRY_FIRST_MS : MIN(p->pause_ms * 2, BLUEZ_RETRY_MAX_MS);
	p->due_ms = uv_now(b->loop) + p->pause_ms;
}

static void sooner(uint64_t *due_ms, uint64_t now_ms, const struct patience *p)
{
	if (p->due_ms > now_ms)
		*due_ms = MIN(*due_ms, p->due_ms);
}

/* ---- Forgetting ------------------------------------------------------------- */

static void drop_slot(sd_bus_slot **slot)
{
	*slot = sd_bus_slot_unref(*slot);
}

static sd_bus *bus_of(const struct bluez *b)
{
	return b->connection->bus;
}

/* A call to bluetoothd whose answer nobody waits for. */
static void tell(struct bluez *b, const char *path, const char *interface, const char *member)
{
	(void)sd_bus_call_method_async(bus_of(b), NULL, b->owner, path, interface, member, NULL, NULL, NULL);
}

static void advert_end(struct advert *ad)
{
	const struct adapter *const a = ad->adapter;

	if (ad->step != OFF && a->bluez->owner[0] != '\0')
		(void)sd_bus_call_method_async(bus_of(a->bluez), NULL, a->bluez->owner, a->path, ADVERTISER,
		                               "UnregisterAdvertisement", NULL, NULL, "o", ad->path);
	ad->step = OFF;
	drop_slot(&ad->call);
	drop_slot(&ad->object);
}

/* It cannot be used any more: what we did with it is over. */
static void adapter_rest(struct adapter *a)
{
	drop_slot(&a->call);
	a->scan = OFF;
	a->scan_patience = a->advert_patience = (struct patience){ 0 };
	for (size_t i = 0; i < COUNT_OF(a->adverts); i++)
		a->adverts[i].wanted = false;
}

/* It is not there any more, nor what it advertised. */
static void adapter_forget(struct adapter *a)
{
	adapter_rest(a);
	for (size_t i = 0; i < COUNT_OF(a->adverts); i++)
		advert_end(&a->adverts[i]);
	a->present = false;
}

static void owner_forget(struct bluez *b)
{
	b->owner[0] = '\0';
	for (size_t i = 0; i < COUNT_OF(b->adapters); i++)
		adapter_forget(&b->adapters[i]);
	drop_slot(&b->list_call);
	for (size_t i = 0; i < COUNT_OF(b->matches); i++)
		drop_slot(&b->matches[i]);
	drop_slot(&b->device_match);
	for (size_t i = 0; i < COUNT_OF(b->questions); i++)
		drop_slot(&b->questions[i].call);
	memset(b->senders, 0, sizeof(b->senders));
	b->list_patience = (struct patience){ 0 };
	b->listed = false;
}

/* ---- Advertisements heard --------------------------------------------------- */

static struct sender *sender_find(struct bluez *b, const struct bluez_path *from)
{
	for (size_t i = 0; i < COUNT_OF(b->senders); i++) {
		struct sender *const s = &b->senders[i];

		if (s->address_type != 0 && s->number == from->number &&
		    memcmp(s->address, from->address, sizeof(s->address)) == 0)
			return s;
	}
	return NULL;
}

/* In the place of the one that was not heard for longest. */
static void sender_remember(struct bluez *b, const struct bluez_path *from, uint8_t address_type)
{
	struct sender *s = sender_find(b, from);

	if (s == NULL) {
		s = &b->senders[0];
		for (size_t i = 1; i < COUNT_OF(b->senders); i++)
			if (b->senders[i].used < s->used)
				s = &b->senders[i];
	}
	*s = (struct sender){ .number = from->number, .address_type = address_type, .used = ++b->uses };
	memcpy(s->address, from->address, sizeof(s->address));
}

static void advert_heard(struct bluez *b, const struct bluez_path *from, uint8_t address_type,
                         const uint8_t bytes[static ADVERT_LEN])
{
	struct address a = { .interface = ADDRESS_BLUETOOTH | from->number };

	memcpy(a.ip, from->address, sizeof(from->address));
	a.ip[sizeof(from->address)] = address_type;
	b->callbacks.advert(b->arg, &a, span_from(bytes, ADVERT_LEN));
}

static int on_address_type(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct question *const q = data;
	const char *text;
	uint8_t type;

	(void)error;
	drop_slot(&q->call);
	if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "v", "s", &text) <= 0)
		return 0;
	type = bluez_object_address_type(text);
	if (type == 0)
		return 0;
	sender_remember(q->bluez, &q->from, type);
	advert_heard(q->bluez, &q->from, type, q->bytes);
	return 0;
}

static void ask_address_type(struct bluez *b, const struct bluez_path *from, const char *path,
                             const uint8_t bytes[static ADVERT_LEN])
{
	for (size_t i = 0; i < COUNT_OF(b->questions); i++) {
		struct question *const q = &b->questions[i];

		if (q->call != NULL)
			continue;
		*q = (struct question){ .bluez = b, .from = *from };
		memcpy(q->bytes, bytes, sizeof(q->bytes));
		(void)sd_bus_call_method_async(bus_of(b), &q->call, b->owner, path, PROPERTIES, "Get",
		                               on_address_type, q, "ss", DEVICE, "AddressType");
		return;
	}
}

/* Reads the properties of a device. */
static bool device_seen(struct bluez *b, const char *path, const struct bluez_path *from, sd_bus_message *m)
{
	struct bluez_device d = { 0 };
	const bool whole = bluez_object_device(&d, m);
	struct sender *s;

	if (!b->scan || d.adverts_len == 0)
		return whole;
	if (d.address_type != 0)
		sender_remember(b, from, d.address_type);
	s = sender_find(b, from);
	if (s != NULL)
		s->used = ++b->uses;
	for (size_t i = 0; i < d.adverts_len; i++)
		if (s != NULL)
			advert_heard(b, from, s->address_type, d.adverts[i]);
		else
			ask_address_type(b, from, path, d.adverts[i]);
	return whole;
}

/* ---- Adapters --------------------------------------------------------------- */

bool bluez_adapter_is_usable(const struct bluez_adapter *a)
{
	return a->powered && !a->no_le && a->address_type != 0;
}

static struct adapter *adapter_find(struct bluez *b, uint32_t number)
{
	for (size_t i = 0; i < COUNT_OF(b->adapters); i++)
		if (b->adapters[i].present && b->adapters[i].said.number == number)
			return &b->adapters[i];
	return NULL;
}

static bool is_named(const struct bluez *b, uint32_t number)
{
	char name[16];

	snprintf(name, sizeof(name), "hci%u", number);
	for (size_t i = 0; i < b->names_len; i++)
		if (strcmp(b->names[i], name) == 0)
			return true;
	return b->names == NULL;
}

/* NULL: it is not to be used, or there are too many. */
static struct adapter *adapter_add(struct bluez *b, uint32_t number)
{
	struct adapter *a = b->adapters;

	if (!is_named(b, number))
		return NULL;

	while (a < b->adapters + COUNT_OF(b->adapters) && a->present)
		a++;
	if (a == b->adapters + COUNT_OF(b->adapters))
		return NULL;
	a->present = true;
	a->said = (struct bluez_adapter){ .number = number };
	snprintf(a->path, sizeof(a->path), "/org/bluez/hci%u", number);
	for (size_t i = 0; i < COUNT_OF(a->adverts); i++)
		snprintf(a->adverts[i].path, sizeof(a->adverts[i].path), "/advert/%u/%zu", number, i);
	return a;
}

static void adapter_settle(struct adapter *a)
{
	if (!bluez_adapter_is_usable(&a->said)) {
		adapter_rest(a);
	} else if (a->scan == ON && !a->said.discovering) { /* it was ended, and not by us */
		a->scan = OFF;
		failed(a->bluez, &a->scan_patience);
	}
}

/* Reads the properties of an interface of an object, or passes over them. */
static bool interface_seen(struct bluez *b, const char *path, const char *interface, sd_bus_message *m)
{
	const bool is_adapter = strcmp(interface, ADAPTER) == 0,
	           is_advertiser = strcmp(interface, ADVERTISER) == 0;
	struct bluez_path p;
	struct adapter *a = NULL;
	bool whole;

	if (!bluez_object_path(&p, path))
		return sd_bus_message_skip(m, "a{sv}") >= 0;
	if (p.is_device && strcmp(interface, DEVICE) == 0 && adapter_find(b, p.number) != NULL)
		return device_seen(b, path, &p, m);
	if (!p.is_device && (is_adapter || is_advertiser)) {
		a = adapter_find(b, p.number);
		if (a == NULL)
			a = adapter_add(b, p.number);
	}
	if (a == NULL)
		return sd_bus_message_skip(m, "a{sv}") >= 0;
	whole = is_adapter ? bluez_object_adapter(&a->said, m) : bluez_object_manager(&a->said, m);
	adapter_settle(a);
	return whole;
}

/* Reads the a{sa{sv}} of an object. */
static bool object_seen(struct bluez *b, const char *path, sd_bus_message *m)
{
	int r;

	if (sd_bus_message_enter_container(m, 'a', "{sa{sv}}") <= 0)
		return false;
	while ((r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
		const char *interface;

		if (sd_bus_message_read(m, "s", &interface) <= 0 || !interface_seen(b, path, interface, m) ||
		    sd_bus_message_exit_container(m) < 0)
			return false;
	}
	return r == 0 && sd_bus_message_exit_container(m) >= 0;
}

static int on_added(sd_bus_message *m, void *data, sd_bus_error *error)
{
	const char *path;

	(void)error;
	if (sd_bus_message_read(m, "o", &path) > 0)
		(void)object_seen(data, path, m);
	return 0;
}

static int on_removed(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct bluez *const b = data;
	struct bluez_path p;
	struct adapter *a;
	const char *text;

	(void)error;
	if (sd_bus_message_read(m, "o", &text) <= 0 || !bluez_object_path(&p, text))
		return 0;
	if (p.is_device) {
		struct sender *const s = sender_find(b, &p);

		if (s != NULL)
			*s = (struct sender){ 0 };
		return 0;
	}
	a = adapter_find(b, p.number);
	if (a == NULL || sd_bus_message_enter_container(m, 'a', "s") <= 0)
		return 0;
	while (sd_bus_message_read(m, "s", &text) > 0)
		if (strcmp(text, ADAPTER) == 0) {
			adapter_forget(a);
		} else if (strcmp(text, ADVERTISER) == 0) {
			a->said.adverts = 0;
		}
	return 0;
}

static int on_properties(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct bluez *const b = data;
	const char *interface, *const path = sd_bus_message_get_path(m);
	struct bluez_path p;

	(void)error;
	if (!bluez_object_path(&p, path) || sd_bus_message_read(m, "s", &interface) <= 0)
		return 0;
	if (adapter_find(b, p.number) != NULL)
		(void)interface_seen(b, path, interface, m);
	return 0;
}

/* What is known of devices is what they sent some time ago: only what is heard from now on counts. */
static int on_objects(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct bluez *const b = data;

	(void)error;
	drop_slot(&b->list_call);
	if (sd_bus_message_is_method_error(m, NULL) ||
	    sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}") <= 0) {
		failed(b, &b->list_patience);
		return 0;
	}
	b->listed = true;
	while (sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}") > 0) {
		struct bluez_path p;
		const char *path;
		bool whole;

		if (sd_bus_message_read(m, "o", &path) <= 0)
			break;
		whole = bluez_object_path(&p, path) && !p.is_device
		                ? object_seen(b, path, m)
		                : sd_bus_message_skip(m, "a{sa{sv}}") >= 0;
		if (!whole || sd_bus_message_exit_container(m) < 0)
			break;
	}
	return 0;
}

/* ---- The owner of org.bluez ------------------------------------------------- */

static void match(struct bluez *b, sd_bus_slot **slot, const char *interface, const char *member,
                  const char *of_interface, sd_bus_message_handler_t handler)
{
	char rule[320];

	snprintf(rule, sizeof(rule), "type='signal',sender='%s',interface='%s',member='%s'%s%s%s", b->owner,
	         interface, member, of_interface == NULL ? "" : ",arg0='",
	         of_interface == NULL ? "" : of_interface, of_interface == NULL ? "" : "'");
	/* Where the bus refuses a rule, sd-bus ends the connection itself. */
	if (sd_bus_add_match_async(bus_of(b), slot, rule, handler, NULL, b) < 0)
		b->connection->lost = true;
}

static void owner_is(struct bluez *b, const char *owner)
{
	if (strcmp(owner, b->owner) == 0)
		return;
	owner_forget(b);
	if (owner[0] != ':' || strlen(owner) >= sizeof(b->owner) || strchr(owner, '\'') != NULL)
		return;
	strcpy(b->owner, owner);
	/* How many advertisements fit is taken when the adapter comes: later one number may change before the
	 * other. */
	match(b, &b->matches[0], MANAGER, "InterfacesAdded", NULL, on_added);
	match(b, &b->matches[1], MANAGER, "InterfacesRemoved", NULL, on_removed);
	match(b, &b->matches[2], PROPERTIES, "PropertiesChanged", ADAPTER, on_properties);
}

static int on_owner_changed(sd_bus_message *m, void *data, sd_bus_error *error)
{
	const char *name, *old, *owner;

	(void)error;
	/* The name is that of the match, but sd-bus takes anybody for a sender that is named so. */
	if (strcmp(sd_bus_message_get_sender(m), BUS) == 0 &&
	    sd_bus_message_read(m, "sss", &name, &old, &owner) > 0)
		owner_is(data, owner);
	return 0;
}

static int on_owner(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct bluez *const b = data;
	const char *owner;

	(void)error;
	drop_slot(&b->owner_call);
	if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "s", &owner) > 0)
		owner_is(b, owner);
	else if (!sd_bus_message_is_method_error(m, BUS ".Error.NameHasNoOwner"))
		b->connection->lost = true;
	return 0;
}

/* ---- Advertising ------------------------------------------------------------ */

static int get_type(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *data, sd_bus_error *error)
{
	(void)bus, (void)path, (void)interface, (void)property, (void)data, (void)error;
	return sd_bus_message_append(reply, "s", "peripheral");
}

static int get_service_data(sd_bus *bus, const char *path, const char *interface, const char *property,
                            sd_bus_message *reply, void *data, sd_bus_error *error)
{
	struct advert *const ad = data;
	const uint8_t *const d = ad->bytes + BLUEZ_UUID_LEN;
	char uuid[BLUEZ_UUID_TEXT_LEN + 1];

	static_assert(ADVERT_LEN - BLUEZ_UUID_LEN == 10, "the bytes that follow");
	(void)bus, (void)path, (void)interface, (void)property, (void)error;
	memcpy(ad->told, ad->bytes, sizeof(ad->told));
	bluez_uuid_write(uuid, ad->bytes);
	return sd_bus_message_append(reply, "a{sv}", 1, uuid, "ay", 10, d[0], d[1], d[2], d[3], d[4], d[5],
	                             d[6], d[7], d[8], d[9]);
}

static int get_power(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *data, sd_bus_error *error)
{
	(void)bus, (void)path, (void)interface, (void)property, (void)data, (void)error;
	return sd_bus_message_append(reply, "n", INT16_MAX);
}

/* What is to be advertised has arrived. */
static int set_power(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *value, void *data, sd_bus_error *error)
{
	struct advert *const ad = data;

	(void)bus, (void)path, (void)interface, (void)property, (void)error;
	ad->is_told = true;
	ad->changing -= ad->changing > 0;
	return sd_bus_message_skip(value, "n"); /* it has to be passed over */
}

/* bluetoothd has ended the advertisement. */
static int on_release(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct advert *const ad = data;

	(void)error;
	ad->step = OFF;
	drop_slot(&ad->call);
	failed(ad->adapter->bluez, &ad->adapter->advert_patience);
	return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable advertisement[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Release", "", "", on_release, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Type", "s", get_type, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("ServiceData", "a{sv}", get_service_data, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	/* Hidden: who reads all properties of it would take it for a wish of ours. */
	SD_BUS_WRITABLE_PROPERTY("TxPower", "n", get_power, set_power, 0,
	                         SD_BUS_VTABLE_HIDDEN | SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static int on_registered(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct advert *const ad = data;
	struct adapter *const a = ad->adapter;

	(void)error;
	drop_slot(&ad->call);
	if (sd_bus_message_is_method_error(m, NULL)) {
		ad->step = OFF;
		failed(a->bluez, &a->advert_patience);
		return 0;
	}
	ad->step = ON;
	a->advert_patience = (struct patience){ 0 };
	return 0;
}

static void advert_begin(struct advert *ad)
{
	struct adapter *const a = ad->adapter;
	sd_bus *const bus = bus_of(a->bluez);

	if ((ad->object == NULL &&
	     sd_bus_add_object_vtable(bus, &ad->object, ad->path, ADVERTISEMENT, advertisement, ad) < 0) ||
	    sd_bus_call_method_async(bus, &ad->call, a->bluez->owner, a->path, ADVERTISER,
	                             "RegisterAdvertisement", on_registered, ad, "oa{sv}", ad->path, 0) < 0) {
		failed(a->bluez, &a->advert_patience);
		return;
	}
	memcpy(ad->told, ad->bytes, sizeof(ad->told));
	ad->changing = 0;
	ad->is_told = false;
	ad->settled_ms = 0;
	ad->step = BEGINNING;
}

static void reconcile_advert(struct advert *ad)
{
	struct adapter *const a = ad->adapter;

	if (!ad->wanted) {
		if ((ad->is_told && ad->changing == 0) || uv_now(a->bluez->loop) >= ad->settled_ms)
			advert_end(ad);
	} else if (ad->step == OFF && is_due(a->bluez, &a->advert_patience)) {
		advert_begin(ad);
	} else if (ad->step == ON && memcmp(ad->told, ad->bytes, sizeof(ad->told)) != 0) {
		memcpy(ad->told, ad->bytes, sizeof(ad->told));
		ad->changing++;
		ad->settled_ms = uv_now(a->bluez->loop) + (ad->is_told ? TELL_MS : SETTLE_MS);
		(void)sd_bus_emit_properties_changed(bus_of(a->bluez), ad->path, ADVERTISEMENT, "ServiceData",
		                                     NULL);
	}
}

void bluez_advertise(struct bluez *b, uint32_t number, const uint8_t (*adverts)[ADVERT_LEN], size_t n)
{
	struct adapter *const a = adapter_find(b, number);

	assert(a != NULL && bluez_adapter_is_usable(&a->said) && n <= MIN(a->said.adverts, BLUEZ_SLOTS_MAX));
	for (size_t i = 0; i < COUNT_OF(a->adverts); i++) {
		a->adverts[i].wanted = i < n;
		if (a->adverts[i].wanted)
			memcpy(a->adverts[i].bytes, adverts[i], ADVERT_LEN);
	}
	reconcile(b);
}

/* ---- Scanning --------------------------------------------------------------- */

static int on_discovery(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct adapter *const a = data;

	(void)error;
	drop_slot(&a->call);
	if (sd_bus_message_is_method_error(m, NULL)) {
		a->scan = OFF;
		failed(a->bluez, &a->scan_patience);
		return 0;
	}
	a->scan = ON;
	a->scan_patience = (struct patience){ 0 };
	return 0;
}

static void scan_begin(struct adapter *a)
{
	struct bluez *const b = a->bluez;

	if (sd_bus_call_method_async(bus_of(b), NULL, b->owner, a->path, ADAPTER, "SetDiscoveryFilter", NULL,
	                             NULL, "a{sv}", 2, "Transport", "s", "le", "DuplicateData", "b", 1) < 0 ||
	    sd_bus_call_method_async(bus_of(b), &a->call, b->owner, a->path, ADAPTER, "StartDiscovery",
	                             on_discovery, a, NULL) < 0) {
		failed(b, &a->scan_patience);
		return;
	}
	a->said.discovering = true; /* until it says otherwise */
	a->scan = BEGINNING;
}

static void reconcile_scan(struct adapter *a)
{
	struct bluez *const b = a->bluez;

	if (b->scan && a->scan == OFF && is_due(b, &a->scan_patience))
		scan_begin(a);
	if (b->scan || a->scan != ON)
		return;
	tell(b, a->path, ADAPTER, "StopDiscovery");
	a->scan = OFF;
}

void bluez_scan(struct bluez *b, bool on)
{
	b->scan = on;
	reconcile(b);
}

/* ---- The connection --------------------------------------------------------- */

static void finish_closing(struct bluez *b)
{
	void (*const closed)(void *arg) = b->closed;
	void *const arg = b->closed_arg;

	if (!b->closing || b->handles > 0)
		return;
	free(b);
	closed(arg);
}

static void connection_closed(uv_handle_t *handle)
{
	struct connection *const c = handle->data;
	struct bluez *const b = c->bluez;

	if (--c->handles > 0)
		return;
	free(c);
	b->handles--;
	finish_closing(b);
}

static void disconnect(struct bluez *b)
{
	struct connection *const c = b->connection;

	if (c == NULL)
		return;
	if (uv_now(b->loop) - b->connected_ms >= STEADY_MS)
		b->connect_patience = (struct patience){ 0 };
	failed(b, &b->connect_patience);
	owner_forget(b);
	drop_slot(&b->owner_call);
	b->connection = NULL;
	uv_close((uv_handle_t *)&c->poll, connection_closed);
	uv_close((uv_handle_t *)&c->timer, connection_closed);
	sd_bus_close_unref(c->bus);
}

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);

/* Waits for what sd-bus waits for. False: the connection is lost. */
static bool connection_wait(struct connection *c)
{
	const int events = sd_bus_get_events(c->bus);
	uint64_t due_us;

	if (events < 0 || sd_bus_get_timeout(c->bus, &due_us) < 0)
		return false;
	if (due_us == UINT64_MAX) {
		uv_timer_stop(&c->timer);
	} else {
		const uint64_t now_us = uv_hrtime() / 1000;

		uv_timer_start(&c->timer, on_timer, due_us <= now_us ? 0 : (due_us - now_us + 999) / 1000, 0);
	}
	return uv_poll_start(&c->poll,
	                     ((events & EPOLLIN) != 0 ? UV_READABLE : 0) |
	                             ((events & EPOLLOUT) != 0 ? UV_WRITABLE : 0) | UV_DISCONNECT,
	                     on_poll) == 0;
}

static void tell_changed(struct bluez *b)
{
	if (!b->closing)
		b->callbacks.changed(b->arg);
}

static void drive(struct connection *c)
{
	struct bluez *const b = c->bluez;
	int r = 1;

	for (int i = 0; i < MESSAGES_PER_TURN && r > 0; i++)
		r = sd_bus_process(c->bus, NULL);
	if (r < 0)
		disconnect(b);
	reconcile(b);
	tell_changed(b);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	drive(poll->data);
}

static void on_timer(uv_timer_t *timer)
{
	drive(timer->data);
}

static void connect_bus(struct bluez *b)
{
	struct connection *const c = calloc(1, sizeof(*c));

	if (c == NULL || sd_bus_open_system(&c->bus) < 0) {
		free(c);
		failed(b, &b->connect_patience);
		return;
	}
	c->bluez = b;
	if (uv_poll_init(b->loop, &c->poll, sd_bus_get_fd(c->bus)) != 0) {
		sd_bus_close_unref(c->bus);
		free(c);
		failed(b, &b->connect_patience);
		return;
	}
	uv_timer_init(b->loop, &c->timer);
	c->poll.data = c->timer.data = c;
	c->handles = 2;
	b->handles++;
	b->connection = c;
	b->connected_ms = uv_now(b->loop);
	c->lost = sd_bus_add_match_async(c->bus, NULL,
	                                 "type='signal',sender='" BUS "',interface='" BUS
	                                 "',member='NameOwnerChanged',arg0='" BLUEZ "'",
	                                 on_owner_changed, NULL, b) < 0 ||
	          sd_bus_call_method_async(c->bus, &b->owner_call, BUS, "/org/freedesktop/DBus", BUS,
	                                   "GetNameOwner", on_owner, b, "s", BLUEZ) < 0;
}

/* ---- What is wanted, and what is -------------------------------------------- */

static void reconcile_owner(struct bluez *b)
{
	if (!b->closing && !b->listed && b->list_call == NULL && is_due(b, &b->list_patience) &&
	    sd_bus_call_method_async(bus_of(b), &b->list_call, b->owner, "/", MANAGER, "GetManagedObjects",
	                             on_objects, b, NULL) < 0)
		failed(b, &b->list_patience);
	if (!b->scan)
		drop_slot(&b->device_match);
	else if (b->device_match == NULL)
		match(b, &b->device_match, PROPERTIES, "PropertiesChanged", DEVICE, on_properties);
	for (size_t i = 0; i < COUNT_OF(b->adapters); i++) {
		struct adapter *const a = &b->adapters[i];

		if (!a->present)
			continue;
		if (bluez_adapter_is_usable(&a->said))
			reconcile_scan(a);
		for (size_t j = 0; j < COUNT_OF(a->adverts); j++)
			reconcile_advert(&a->adverts[j]);
	}
}

static void on_retry(uv_timer_t *timer)
{
	struct bluez *const b = timer->data;

	reconcile(b);
	tell_changed(b);
}

/* What is not wanted any more and has not settled. */
static void sooner_settled(uint64_t *due_ms, const struct adapter *a)
{
	for (size_t i = 0; i < COUNT_OF(a->adverts); i++)
		if (a->adverts[i].step != OFF && !a->adverts[i].wanted)
			*due_ms = MIN(*due_ms, a->adverts[i].settled_ms);
}

/* Whatever waits for the end of a pause. What waits for nothing else is not late, and needs no timer. */
static void wait_for_pauses(struct bluez *b)
{
	const uint64_t now_ms = uv_now(b->loop);
	uint64_t due_ms = UINT64_MAX;

	if (b->connection == NULL)
		sooner(&due_ms, now_ms, &b->connect_patience);
	sooner(&due_ms, now_ms, &b->list_patience);
	for (size_t i = 0; i < COUNT_OF(b->adapters); i++) {
		sooner(&due_ms, now_ms, &b->adapters[i].scan_patience);
		sooner(&due_ms, now_ms, &b->adapters[i].advert_patience);
		sooner_settled(&due_ms, &b->adapters[i]);
	}
	if (due_ms == UINT64_MAX)
		uv_timer_stop(&b->retry);
	else
		uv_timer_start(&b->retry, on_retry, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

static bool is_advertising(const struct bluez *b)
{
	for (size_t i = 0; i < COUNT_OF(b->adapters); i++)
		for (size_t j = 0; j < COUNT_OF(b->adapters[i].adverts); j++)
			if (b->adapters[i].adverts[j].step != OFF)
				return true;
	return false;
}

static void retry_closed(uv_handle_t *handle)
{
	struct bluez *const b = handle->data;

	b->handles--;
	finish_closing(b);
}

static void reconcile(struct bluez *b)
{
	assert(!uv_is_closing((uv_handle_t *)&b->retry));
	if (b->connection == NULL && !b->closing && is_due(b, &b->connect_patience))
		connect_bus(b);
	if (b->connection != NULL && b->owner[0] != '\0')
		reconcile_owner(b);
	if (b->connection != NULL && (b->connection->lost || !connection_wait(b->connection)))
		disconnect(b);
	wait_for_pauses(b);
	if (b->closing && !is_advertising(b)) {
		disconnect(b);
		uv_close((uv_handle_t *)&b->retry, retry_closed);
	}
}

bool bluez_is_running(const struct bluez *b)
{
	return b->listed;
}

size_t bluez_adapters(const struct bluez *b, struct bluez_adapter out[static RADIOS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < COUNT_OF(b->adapters); i++)
		if (b->adapters[i].present)
			out[n++] = b->adapters[i].said;
	return n;
}

/* ---- Beginning and end ------------------------------------------------------ */

int bluez_new(struct bluez **out, uv_loop_t *loop, const char *const *names, size_t names_len,
              const struct bluez_callbacks *callbacks, void *arg)
{
	struct bluez *const b = calloc(1, sizeof(*b));

	if (b == NULL)
		return ERR_NOMEM;
	*b = (struct bluez){ .loop = loop,
		             .names = names,
		             .names_len = names_len,
		             .callbacks = *callbacks,
		             .arg = arg,
		             .handles = 1 };
	for (size_t i = 0; i < COUNT_OF(b->adapters); i++) {
		b->adapters[i].bluez = b;
		for (size_t j = 0; j < COUNT_OF(b->adapters[i].adverts); j++)
			b->adapters[i].adverts[j].adapter = &b->adapters[i];
	}
	uv_timer_init(loop, &b->retry);
	b->retry.data = b;
	uv_timer_start(&b->retry, on_retry, 0, 0);
	*out = b;
	return 0;
}

void bluez_close(struct bluez *b, void (*closed)(void *arg), void *arg)
{
	if (b == NULL) {
		closed(arg);
		return;
	}
	b->closing = true;
	b->closed = closed;
	b->closed_arg = arg;
	b->scan = false;
	for (size_t i = 0; i < COUNT_OF(b->questions); i++)
		drop_slot(&b->questions[i].call);
	for (size_t i = 0; i < COUNT_OF(b->adapters); i++)
		for (size_t j = 0; j < COUNT_OF(b->adapters[i].adverts); j++) {
			struct advert *const ad = &b->adapters[i].adverts[j];

			ad->wanted = false;
			ad->settled_ms = MIN(ad->settled_ms, uv_now(b->loop) + LEAVE_MS);
		}
	reconcile(b);
}
