/*
 * The carrier of Bluetooth where things go wrong: a bus, a bluetoothd and a kernel's channels that are played
 * in this process, so that each answer can be another one, each byte of a message damaged, each call fail,
 * and an hour be over at once. A true bus is the matter of test_bluez, a true bluetoothd of tests/bluetooth.
 */
#include "transport/bluetooth.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/failing_calls.h"
#include "tests/failing_memory.h"
#include "tests/unit/unit.h"
#include "transport/bluez.h"
#include "transport/hci.h"
#include "transport/l2cap.h"

#define ADAPTER    "org.bluez.Adapter1"
#define DEVICE     "org.bluez.Device1"
#define ADVERTISER "org.bluez.LEAdvertisingManager1"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define MANAGER    "org.freedesktop.DBus.ObjectManager"
#define BUS        "org.freedesktop.DBus"
#define UUID       "00112233-4455-6677-8899-aabbccddeeff"

enum { TURNS_MAX = 20000, LISTENERS_MAX = 64, BODY_MAX = 4096, ADVERTS = 4 };

enum how { FINE, REFUSED, ODD, SILENT };

static const char *const members[] = { "Hello",
	                               "AddMatch",
	                               "GetNameOwner",
	                               "GetManagedObjects",
	                               "SetDiscoveryFilter",
	                               "StartDiscovery",
	                               "StopDiscovery",
	                               "RegisterAdvertisement",
	                               "UnregisterAdvertisement",
	                               "Get",
	                               "PropertiesChanged" };

/* The bus and bluetoothd. */
static struct {
	int listener;
	int carrier, relay; /* what passes between the carrier and the bus; -1: nobody is connected */
	sd_bus *bus;
	const char *owner; /* the name of bluetoothd; NULL: it does not run */
	unsigned adapters;
	const char *member; /* this call is answered so, so many times */
	enum how how;
	unsigned times;
	unsigned asked[COUNT_OF(members)];
	char advert[64]; /* the object that was registered last */
	uint8_t service_data[ADVERT_LEN];
	const char *address_type; /* of devices whose type is asked for */
	const char *damaged;      /* the next message of this name; NULL: none */
	size_t damage;            /* is it at this byte of its body */
	bool is_damaged;          /* it has such a byte */
	bool present, blocked;
} played;

/* The channels. */
static struct {
	struct {
		uint32_t interface;
		uint8_t psm;
		int fd; /* the other end: who knocks here opens a channel */
	} listeners[LISTENERS_MAX];
	size_t listeners_len;
	bool refuses, is_slow, is_not_connected;
	unsigned waits; /* so many times there is nothing to receive */
	int channel;    /* the other end of the one that was opened last, -1: none */
} kernel;

struct knock {
	int fd; /* -1: no channel can be taken any more */
	uint8_t from;
};

static struct {
	struct bluetooth *bluetooth;
	struct radio radios[RADIOS_MAX];
	size_t radios_len;
	unsigned told, adverts, channels, datagrams, failures;
	struct address from;
	uint32_t failed_path;
	bool closed;
} node;

static uv_loop_t loop;
static char folder[] = "/tmp/flyleaf-bluez-XXXXXX";
static unsigned files_before;
static const uint8_t sdu[CARRIER_SMALL] = { 1 };

/* ---- Time ------------------------------------------------------------------- */

static time_t now_s = 1000;

/* In place of the C library's, for libuv and sd-bus too: time stands still unless later() moves it. */
int clock_gettime(clockid_t clock, struct timespec *t)
{
	if (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE && clock != CLOCK_BOOTTIME)
		return (int)syscall(SYS_clock_gettime, clock, t);
	*t = (struct timespec){ .tv_sec = now_s };
	return 0;
}

/* ---- In place of the kernel ------------------------------------------------- */

int __wrap_l2cap_listen(const struct address *local, uint8_t psm);
int __wrap_l2cap_accept(int *fd, int listener, const struct address *local, struct address *from);
int __wrap_l2cap_connect(const struct address *local, const struct address *to, uint8_t psm);
int __wrap_l2cap_connected(int fd);
int __real_l2cap_receive(int fd, uint8_t *buf, size_t *len);
int __wrap_l2cap_receive(int fd, uint8_t *buf, size_t *len);
bool __wrap_hci_blocked(uint32_t number);
bool __wrap_hci_present(void);

static int pair(int *other)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	*other = fds[1];
	return fds[0];
}

int __wrap_l2cap_listen(const struct address *local, uint8_t psm)
{
	int fd;

	if (kernel.refuses)
		return -1;
	assert_true(kernel.listeners_len < LISTENERS_MAX);
	kernel.listeners[kernel.listeners_len].interface = local->interface;
	kernel.listeners[kernel.listeners_len].psm = psm;
	fd = pair(&kernel.listeners[kernel.listeners_len++].fd);
	assert_int_equal(send(fd, "", 1, 0), 1); /* so that an error is left where the other end is closed */
	return fd;
}

int __wrap_l2cap_accept(int *fd, int listener, const struct address *local, struct address *from)
{
	struct knock k = { .fd = -1 };

	if (recv(listener, &k, sizeof(k), 0) < 0)
		return L2CAP_WAIT;
	if (k.fd < 0)
		return L2CAP_BROKEN;
	*fd = k.fd;
	*from = *local;
	from->ip[5] = k.from;
	return 0;
}

int __wrap_l2cap_connect(const struct address *local, const struct address *to, uint8_t psm)
{
	const int small = 8192;
	int fd;

	assert_true(local->interface == to->interface && psm >= L2CAP_PSM_FIRST);
	if (kernel.refuses)
		return -1;
	if (kernel.channel >= 0)
		close(kernel.channel);
	fd = pair(&kernel.channel);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	while (kernel.is_slow && send(fd, sdu, sizeof(sdu), 0) > 0) /* it cannot be written to */
		;
	return fd;
}

int __wrap_l2cap_connected(int fd)
{
	(void)fd;
	return kernel.is_not_connected ? L2CAP_BROKEN : 0;
}

int __wrap_l2cap_receive(int fd, uint8_t *buf, size_t *len)
{
	if (kernel.waits > 0) {
		kernel.waits--;
		return L2CAP_WAIT;
	}
	return __real_l2cap_receive(fd, buf, len);
}

bool __wrap_hci_blocked(uint32_t number)
{
	return number == 0 && played.blocked;
}

bool __wrap_hci_present(void)
{
	return played.present;
}

/* The end at which to knock; NULL: nobody listens. */
static int *listener_of(uint32_t number, uint8_t psm)
{
	struct pollfd p = { .fd = -1 };
	int *found = NULL;

	for (size_t i = 0; i < kernel.listeners_len; i++)
		if (kernel.listeners[i].interface == (ADDRESS_BLUETOOTH | number) &&
		    kernel.listeners[i].psm == psm)
			found = &kernel.listeners[i].fd;
	p.fd = found == NULL ? -1 : *found;
	return p.fd >= 0 && poll(&p, 1, 0) >= 0 && (p.revents & POLLHUP) == 0 ? found : NULL;
}

static bool is_listening(uint32_t number, uint8_t psm)
{
	return listener_of(number, psm) != NULL;
}

/* Opens a channel to the carrier; returns its other end. */
static int knock(uint32_t number, uint8_t psm, uint8_t from)
{
	struct knock k = { .from = from };
	int other;

	assert_true(is_listening(number, psm));
	k.fd = pair(&other);
	assert_int_equal(send(*listener_of(number, psm), &k, sizeof(k), MSG_NOSIGNAL), sizeof(k));
	return other;
}

/* ---- The bus ---------------------------------------------------------------- */

int __real_sd_bus_process(sd_bus *bus, sd_bus_message **m);

static unsigned *count_of(const char *member)
{
	for (size_t i = 0; i < COUNT_OF(members); i++)
		if (strcmp(members[i], member) == 0)
			return &played.asked[i];
	fail_msg("nobody was to say %s", member);
	return NULL;
}

static unsigned asked(const char *member)
{
	return *count_of(member);
}

static bool carry(int from, int to);

/* Sends a message to the carrier. */
static void transmit(sd_bus_message *m, const char *name)
{
	uint8_t bytes[2 * BODY_MAX];
	uint64_t cookie; /* who keeps none expects no answer */
	uint32_t body;
	ssize_t n;

	carry(played.relay, played.carrier); /* what stands before it */
	assert_true(sd_bus_send(played.bus, m, &cookie) >= 0);
	sd_bus_message_unref(m);
	if (played.damaged == NULL || strcmp(played.damaged, name) != 0)
		return;
	played.damaged = NULL;
	n = recv(played.relay, bytes, sizeof(bytes), 0);
	assert_in_range(n, 17, sizeof(bytes) - 1);
	memcpy(&body, bytes + 4, sizeof(body));
	played.is_damaged = played.damage < body;
	if (played.is_damaged)
		bytes[(size_t)n - body + played.damage] ^= 0x80;
	assert_int_equal(send(played.carrier, bytes, (size_t)n, MSG_NOSIGNAL), n);
}

static void say(const char *sender, const char *path, const char *interface, const char *member,
                const char *types, ...)
{
	sd_bus_message *m = NULL;
	va_list values;

	if (played.bus == NULL) /* nobody hears it */
		return;
	assert_true(sd_bus_message_new_signal(played.bus, &m, path, interface, member) >= 0);
	assert_true(sd_bus_message_set_sender(m, sender) >= 0);
	va_start(values, types);
	assert_true(sd_bus_message_appendv(m, types, values) >= 0);
	va_end(values);
	transmit(m, member);
}

/* bluetoothd says it. */
#define SAY(...) say(played.owner, __VA_ARGS__)

static void append_adapter(sd_bus_message *m, unsigned number)
{
	char path[32];

	snprintf(path, sizeof(path), "/org/bluez/hci%u", number);
	sd_bus_message_append(m, "{oa{sa{sv}}}", path, 3, "org.freedesktop.DBus.Introspectable", 0, ADAPTER,
	                      5, "Address", "s", "00:AA:01:00:00:0F", "AddressType", "s", "public", "Powered",
	                      "b", 1, "Discovering", "b", 0, "Roles", "as", 2, "central", "peripheral",
	                      ADVERTISER, 2, "SupportedInstances", "y", ADVERTS, "ActiveInstances", "y", 0);
}

static void append_objects(sd_bus_message *m)
{
	sd_bus_message_open_container(m, 'a', "{oa{sa{sv}}}");
	sd_bus_message_append(m, "{oa{sa{sv}}}", "/org/bluez", 1, "org.bluez.AgentManager1", 0);
	for (unsigned i = 0; i < played.adapters; i++)
		append_adapter(m, i);
	sd_bus_message_append(m, "{oa{sa{sv}}}", "/org/bluez/hci0/dev_00_00_00_00_00_01", 1, DEVICE, 1,
	                      "AddressType", "s", "random");
	sd_bus_message_close_container(m);
}

/* bluetoothd calls the object of the advertisement that was registered last. */
static void call_advert(const char *interface, const char *member)
{
	sd_bus_message *m = NULL;

	assert_true(sd_bus_message_new_method_call(played.bus, &m, ":1.9", played.advert, interface,
	                                           member) >= 0);
	assert_true(sd_bus_message_set_sender(m, played.owner) >= 0);
	if (strcmp(member, "GetAll") == 0)
		sd_bus_message_append(m, "s", "org.bluez.LEAdvertisement1");
	transmit(m, member);
}

static void answer(sd_bus_message *call, const char *member)
{
	sd_bus_message *m = NULL;
	const char *object;

	if (strcmp(member, "RegisterAdvertisement") == 0 && sd_bus_message_read(call, "o", &object) > 0)
		snprintf(played.advert, sizeof(played.advert), "%s", object);
	assert_true(sd_bus_message_new_method_return(call, &m) >= 0);
	if (strcmp(member, "Hello") == 0)
		sd_bus_message_append(m, "s", ":1.9");
	else if (strcmp(member, "GetNameOwner") == 0)
		sd_bus_message_append(m, "s", played.owner);
	else if (strcmp(member, "GetManagedObjects") == 0)
		append_objects(m);
	else if (strcmp(member, "Get") == 0)
		sd_bus_message_append(m, "v", "s", played.address_type);
	transmit(m, member);
	if (strcmp(member, "RegisterAdvertisement") == 0)
		call_advert(PROPERTIES, "GetAll");
}

static void take_service_data(sd_bus_message *m)
{
	struct bluez_device d = { 0 };

	assert_true(bluez_object_device(&d, m));
	assert_int_equal(d.adverts_len, 1);
	memcpy(played.service_data, d.adverts[0], ADVERT_LEN);
}

/* What the carrier sends. */
static int on_message(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const char *const member = sd_bus_message_get_member(m), *interface;
	enum how how = FINE;
	uint8_t type;

	(void)arg, (void)error;
	assert_true(sd_bus_message_get_type(m, &type) >= 0);
	if (type == SD_BUS_MESSAGE_METHOD_RETURN && !sd_bus_message_is_empty(m))
		take_service_data(m); /* the answer to GetAll */
	if (member == NULL || strcmp(member, "RemoveMatch") == 0)
		return 1;
	++*count_of(member);
	if (type == SD_BUS_MESSAGE_SIGNAL) {
		assert_true(sd_bus_message_read(m, "s", &interface) > 0);
		take_service_data(m);
		return 1;
	}
	if (played.member != NULL && strcmp(played.member, member) == 0 && played.times > 0) {
		played.times--;
		how = played.how;
	} else if (strcmp(member, "GetNameOwner") == 0 && played.owner == NULL) {
		sd_bus_reply_method_errorf(m, BUS ".Error.NameHasNoOwner", "it does not run");
		return 1;
	}
	if (how == FINE)
		answer(m, member);
	else if (how == REFUSED)
		sd_bus_reply_method_errorf(m, "org.bluez.Error.Failed", "no");
	else if (how == ODD)
		sd_bus_reply_method_return(m, "(ub)", 7, 1);
	return 1;
}

static void bus_begin(int carrier)
{
	const sd_id128_t id = { { 1 } };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	played.carrier = carrier;
	played.relay = fds[0];
	assert_true(sd_bus_new(&played.bus) >= 0 && sd_bus_set_fd(played.bus, fds[1], fds[1]) >= 0);
	assert_true(sd_bus_set_server(played.bus, true, id) >= 0);
	assert_true(sd_bus_set_anonymous(played.bus, true) >= 0);
	assert_true(sd_bus_add_filter(played.bus, NULL, on_message, NULL) >= 0);
	assert_true(sd_bus_start(played.bus) >= 0);
}

static void bus_end(void)
{
	if (played.bus == NULL)
		return;
	played.bus = sd_bus_close_unref(played.bus);
	close(played.relay);
	close(played.carrier);
	played.relay = played.carrier = -1;
}

/* Whether something was carried over; when the sender has gone, the bus ends too. */
static bool carry(int from, int to)
{
	uint8_t bytes[65536];
	ssize_t n = from < 0 ? -1 : recv(from, bytes, sizeof(bytes), MSG_PEEK);

	if (n == 0)
		bus_end();
	if (n <= 0)
		return false;
	n = send(to, bytes, (size_t)n, MSG_NOSIGNAL);
	return n > 0 && recv(from, bytes, (size_t)n, 0) == n;
}

static bool turn(void)
{
	bool moved = false;
	int fd;

	uv_run(&loop, UV_RUN_NOWAIT);
	if (played.bus == NULL &&
	    (fd = accept4(played.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		bus_begin(fd);
	while (carry(played.carrier, played.relay))
		moved = true;
	while (played.bus != NULL && __real_sd_bus_process(played.bus, NULL) > 0)
		moved = true;
	while (carry(played.relay, played.carrier))
		moved = true;
	return moved;
}

/* Until nothing goes on any more. */
static void settle(void)
{
	int idle = 0;

	for (int i = 0; idle < 4; i++) {
		assert_true(i < TURNS_MAX);
		idle = turn() ? 0 : idle + 1;
	}
}

static void later(time_t seconds)
{
	now_s += seconds;
	settle();
}

/* ---- bluetoothd ------------------------------------------------------------- */

static void owner_is(const char *owner)
{
	const char *const old = played.owner == NULL ? "" : played.owner;

	played.owner = owner;
	say(BUS, "/org/freedesktop/DBus", BUS, "NameOwnerChanged", "sss", "org.bluez", old,
	    owner == NULL ? "" : owner);
	settle();
}

/* A device with an advertisement of our shape is heard for the first time. */
static void hear_new(uint8_t device)
{
	char path[64];

	snprintf(path, sizeof(path), "/org/bluez/hci0/dev_00_00_00_00_00_%02X", device);
	SAY("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", path, 1, DEVICE, 3, "AddressType", "s", "random",
	    "RSSI", "n", -50, "ServiceData", "a{sv}", 1, UUID, "ay", 10, 0, 1, 2, 3, 4, 5, 6, 7, 8, device);
}

/* And again, by this adapter. */
static void hear_change(unsigned number, uint8_t device)
{
	char path[64];

	snprintf(path, sizeof(path), "/org/bluez/hci%u/dev_00_00_00_00_00_%02X", number, device);
	SAY(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", DEVICE, 1, "ServiceData", "a{sv}", 1, UUID,
	    "ay", 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, device, 0);
}

#define ADAPTER_SAYS(key, type, ...)                                                                         \
	do {                                                                                                 \
		SAY("/org/bluez/hci0", PROPERTIES, "PropertiesChanged", "sa{sv}as", ADAPTER, 1, key, type,   \
		    __VA_ARGS__, 0);                                                                         \
		settle();                                                                                    \
	} while (0)

/* ---- The carrier ------------------------------------------------------------ */

static void on_radios(void *arg, const struct radio *radios, size_t n)
{
	(void)arg;
	node.told++;
	memcpy(node.radios, radios, n * sizeof(*radios));
	node.radios_len = n;
}

static void on_advert(void *arg, const struct address *from, struct span bytes)
{
	(void)arg;
	assert_int_equal(bytes.len, ADVERT_LEN);
	node.adverts++;
	node.from = *from;
}

static void on_channel(void *arg, uint32_t path, const struct address *from, uint16_t psm, struct span bytes)
{
	(void)arg, (void)from, (void)bytes;
	assert_true((path & PATH_ACCEPTED) != 0 && psm >= L2CAP_PSM_FIRST);
	node.channels++;
}

static void on_datagram(void *arg, uint32_t path, struct span bytes)
{
	(void)arg, (void)path, (void)bytes;
	node.datagrams++;
}

static void on_failed(void *arg, uint32_t path)
{
	(void)arg;
	node.failures++;
	node.failed_path = path;
}

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

static const struct bluetooth_callbacks callbacks = { on_radios, on_advert, on_channel, on_datagram,
	                                              on_failed };

static unsigned count_files(void)
{
	DIR *const d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* The worlds, without a carrier. */
static void prepare(void)
{
	const int listener = played.listener;

	failing_calls.armed = failing_memory.armed = false;
	memset(&node, 0, sizeof(node));
	memset(&played, 0, sizeof(played));
	memset(&kernel, 0, sizeof(kernel));
	played.listener = listener;
	played.carrier = played.relay = kernel.channel = -1;
	played.owner = ":1.1";
	played.adapters = 1;
	played.address_type = "random";
	assert_int_equal(uv_loop_init(&loop), 0);
	files_before = count_files();
}

static void start(const struct bluetooth_options *options)
{
	assert_int_equal(bluetooth_new(&node.bluetooth, &loop, options, &callbacks, NULL), 0);
	settle();
}

static const struct bluetooth_options every_adapter = { NULL, 0 };

static void begin(unsigned adapters)
{
	prepare();
	played.adapters = adapters;
	start(&every_adapter);
}

static void end(void)
{
	bluetooth_close(node.bluetooth, on_closed, &node.closed);
	later(1); /* an advertisement that was changed ends later */
	assert_true(node.closed);
	bus_end();
	for (size_t i = 0; i < kernel.listeners_len; i++)
		close(kernel.listeners[i].fd);
	if (kernel.channel >= 0)
		close(kernel.channel);
	assert_int_equal(count_files(), files_before);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void advertise_on(uint32_t number, uint8_t first, uint8_t n)
{
	uint8_t adverts[BLUETOOTH_ADVERTS_MAX][BLUETOOTH_ADVERT_LEN] = { 0 };

	for (uint8_t i = 0; i < n; i++) {
		adverts[i][0] = (uint8_t)(first + i);
		adverts[i][ADVERT_LEN] = (uint8_t)(0x80 + first + i);
	}
	bluetooth_advertise(node.bluetooth, ADDRESS_BLUETOOTH | number,
	                    span_from(adverts[0], (size_t)n * BLUETOOTH_ADVERT_LEN));
	settle();
}

static void advertise(uint8_t first, uint8_t n)
{
	advertise_on(0, first, n);
}

static void scan(bool on)
{
	bluetooth_scan(node.bluetooth, on);
	settle();
}

static const char *why_not(size_t n)
{
	struct bluetooth_status status[RADIOS_MAX];

	assert_int_equal(bluetooth_status(node.bluetooth, status), n);
	return status[0].why_not;
}

static const struct address remote = { { 0, 0, 0, 0, 0, 0x42, BLUEZ_RANDOM }, ADDRESS_BLUETOOTH };

/* A path that is open; returns the other end of its channel. */
static int open_path(uint32_t path)
{
	int fd;

	assert_int_equal(bluetooth_open(node.bluetooth, path, &remote, 0x90), 0);
	settle();
	fd = kernel.channel;
	kernel.channel = -1;
	assert_true(fd >= 0);
	return fd;
}

static bool is_ended(int fd)
{
	uint8_t got[CARRIER_LARGE];
	size_t len;
	int r;

	while ((r = __real_l2cap_receive(fd, got, &len)) == 0)
		;
	return r == L2CAP_BROKEN;
}

/* Closes this end; the bytes that were not read become an error at the other. */
static void break_channel(int fd)
{
	char c;

	assert_true(recv(fd, &c, 1, MSG_PEEK) > 0);
	close(fd);
}

/* ---- Everything that is done, while one thing fails -------------------------- */

/* What is asked of the carrier in a life; each part of it may come to nothing. */
static void live(void)
{
	int fd;

	settle();
	later(2);
	scan(true);
	advertise(1, 2);
	hear_change(0, 1);
	settle();
	if (bluetooth_open(node.bluetooth, 1, &remote, 0x90) == 0) {
		settle();
		bluetooth_send(node.bluetooth, 1, SPAN(sdu));
		bluetooth_flush(node.bluetooth);
		settle();
	}
	if (is_listening(0, 0x81)) {
		fd = knock(0, 0x81, 7);
		settle();
		(void)!send(fd, sdu, sizeof(sdu), MSG_NOSIGNAL);
		settle();
		close(fd);
	}
	advertise(3, 1);
	bluetooth_close_path(node.bluetooth, 1);
	scan(false);
	settle();
}

/* Whatever failed, after some minutes all is as it should be. */
static void assert_lives(void)
{
	const unsigned channels = node.channels, adverts = node.adverts;
	uint8_t got[CARRIER_LARGE];
	size_t len;
	int fd;

	for (int i = 0; i < 4; i++)
		later(70);
	assert_int_equal(node.radios_len, 1);
	assert_null(why_not(1));
	scan(true);
	advertise(5, 1);
	later(70);
	assert_true(asked("StartDiscovery") > 0 && asked("RegisterAdvertisement") > 0);
	assert_int_equal(played.service_data[0], 5);
	/* Channels, both ways. */
	fd = knock(0, 0x85, 7);
	settle();
	assert_int_equal(l2cap_send(fd, SPAN(sdu)), 0);
	settle();
	assert_int_equal(node.channels, channels + 1);
	close(fd);
	fd = open_path(2);
	assert_true(bluetooth_send(node.bluetooth, 2, SPAN(sdu)));
	bluetooth_flush(node.bluetooth);
	assert_true(__real_l2cap_receive(fd, got, &len) == 0 && len == sizeof(sdu));
	close(fd);
	/* What bluetoothd says of devices, of adapters, and that it comes and goes. */
	hear_new(9);
	settle();
	assert_int_equal(node.adverts, adverts + 1);
	ADAPTER_SAYS("Powered", "b", 0);
	assert_int_equal(node.radios_len, 0);
	owner_is(NULL);
	assert_string_equal(why_not(1), "there is no Bluetooth adapter");
	owner_is(":1.2");
	assert_int_equal(node.radios_len, 1);
}

static void each_call_may_fail(void **state)
{
	static const char calls[] =
	        "sd_bus_open_system sd_bus_process sd_bus_get_events sd_bus_get_timeout "
	        "sd_bus_add_match_async sd_bus_add_object_vtable sd_bus_call_method_async "
	        "uv_poll_init uv_poll_start";
	unsigned at = 0, seen;

	(void)state;
	do {
		prepare();
		failing_calls_arm(calls, ++at, ENOBUFS);
		start(&every_adapter);
		live();
		seen = failing_calls.seen;
		failing_calls.armed = false;
		assert_lives();
		end();
	} while (seen >= at);
	assert_in_range(at, 50, 500);
}

static void each_request_for_memory_may_fail(void **state)
{
	uint64_t at = 0, seen;

	(void)state;
	do {
		prepare();
		failing_memory_arm(++at, false);
		if (bluetooth_new(&node.bluetooth, &loop, &every_adapter, &callbacks, NULL) == 0)
			live();
		seen = failing_memory.seen;
		failing_memory.armed = false;
		if (node.bluetooth != NULL)
			assert_lives();
		end();
	} while (seen >= at);
	assert_in_range(at, 8, 50);
}

static void each_answer_may_be_another(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(members) - 1; i++)
		for (enum how how = REFUSED; how <= SILENT; how++)
			for (unsigned times = 1; times <= 2; times++) {
				prepare();
				played.member = members[i];
				played.how = how;
				played.times = times;
				start(&every_adapter);
				live();
				assert_lives();
				end();
			}
}

/* ---- Messages ----------------------------------------------------------------- */

static void say_device(void)
{
	hear_new(1);
}

static void say_change(void)
{
	hear_change(0, 1);
}

static void say_adapter(void)
{
	SAY("/org/bluez/hci0", PROPERTIES, "PropertiesChanged", "sa{sv}as", ADAPTER, 5, "Powered", "b", 1,
	    "Address", "s", "00:AA:01:00:00:0F", "AddressType", "s", "public", "Roles", "as", 2, "central",
	    "peripheral", "Name", "s", "somebody", 0);
}

/* Of an adapter that does not say that it is switched on. */
static void say_new_adapter(void)
{
	SAY("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", "/org/bluez/hci5", 3, "org.bluez.Media1", 1, "Any",
	    "u", 7, ADVERTISER, 2, "SupportedInstances", "y", 4, "ActiveInstances", "y", 0, ADAPTER, 3,
	    "Address", "s", "00:AA:01:00:00:0E", "Discovering", "b", 0, "Roles", "as", 1, "central");
}

/* Each has another type than it should. */
static void say_odd_adapter(void)
{
	SAY("/org/bluez/hci0", PROPERTIES, "PropertiesChanged", "sa{sv}as", ADAPTER, 5, "Powered", "s", "no",
	    "Address", "u", 7, "AddressType", "as", 1, "random", "Roles", "s", "peripheral", "Discovering",
	    "v", "s", "no", 0);
}

static void say_no_adapter(void)
{
	SAY("/", MANAGER, "InterfacesRemoved", "oas", "/org/bluez/hci5", 2, ADAPTER, ADVERTISER);
}

static void say_no_device(void)
{
	SAY("/", MANAGER, "InterfacesRemoved", "oas", "/org/bluez/hci0/dev_00_00_00_00_00_01", 1, DEVICE);
}

static void damage_costs_only_its_message(void **state)
{
	static const struct {
		const char *name;
		void (*message)(void);
	} table[] = {
		{ "InterfacesAdded", say_device },        { "PropertiesChanged", say_change },
		{ "PropertiesChanged", say_adapter },     { "InterfacesAdded", say_new_adapter },
		{ "InterfacesRemoved", say_no_device },   { "InterfacesRemoved", say_no_adapter },
		{ "PropertiesChanged", say_odd_adapter },
	};

	(void)state;
	begin(1);
	scan(true);
	hear_new(0xff);
	for (size_t i = 0; i < COUNT_OF(table); i++)
		for (size_t at = 0; at == 0 || played.is_damaged; at++) {
			unsigned adverts;

			played.damaged = table[i].name;
			played.damage = at;
			table[i].message();
			settle();
			adverts = node.adverts;
			hear_change(0, 0xff);
			settle();
			assert_int_equal(node.adverts, adverts + 1);
			assert_int_equal(node.radios_len, 1);
		}
	assert_int_equal(asked("Hello"), 1);
	end();
}

static void damaged_answers_cost_only_themselves(void **state)
{
	(void)state;
	begin(2);
	scan(true);
	for (size_t at = 0; at == 0 || played.is_damaged; at++) {
		owner_is(NULL);
		played.damaged = "GetManagedObjects";
		played.damage = at;
		owner_is(":1.1");
		assert_true(node.radios_len <= 2);
		if (node.radios_len < 2) {
			owner_is(NULL);
			owner_is(":1.1");
		}
		assert_int_equal(node.radios_len, 2);
	}
	for (size_t at = 0; at == 0 || played.is_damaged; at++) {
		const unsigned adverts = node.adverts;

		played.damaged = "Get";
		played.damage = at;
		hear_change(0, (uint8_t)(100 + at));
		settle();
		assert_int_equal(node.adverts, adverts + !played.is_damaged);
	}
	assert_int_equal(asked("Hello"), 1);
	end();
}

/* More properties than any adapter has; only the last one of them matters. */
static void say_crowd(void)
{
	sd_bus_message *m = NULL;

	assert_true(sd_bus_message_new_signal(played.bus, &m, "/org/bluez/hci0", PROPERTIES,
	                                      "PropertiesChanged") >= 0);
	assert_true(sd_bus_message_set_sender(m, played.owner) >= 0);
	sd_bus_message_append(m, "s", ADAPTER);
	sd_bus_message_open_container(m, 'a', "{sv}");
	for (int i = 0; i < 300; i++)
		sd_bus_message_append(m, "{sv}", "Name", "s", "somebody");
	sd_bus_message_append(m, "{sv}", "Powered", "b", 0);
	sd_bus_message_close_container(m);
	sd_bus_message_append(m, "as", 0);
	transmit(m, "PropertiesChanged");
}

static void what_is_odd_changes_nothing(void **state)
{
	static const char *const owners[] = {
		"org.bluez", ":1.1'", ":1.1111111111111111111111111111111111111111111111111111111111111"
	};

	(void)state;
	begin(1);
	scan(true);
	advertise(1, 1);
	for (int i = 0; i < 2; i++) {
		const char *const member = i == 0 ? "InterfacesAdded" : "InterfacesRemoved";

		SAY("/", MANAGER, member, "s", "/org/bluez/hci0");
		SAY("/", MANAGER, member, "o", "/org/bluez/hci0");
		SAY("/", MANAGER, member, "os", "/org/bluez/hci0", ADAPTER);
		SAY("/", MANAGER, member, "o(u)", "/org/bluez/hci0", 7);
	}
	SAY("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", "/org/other/hci1", 1, ADAPTER, 1, "Powered", "b",
	    1);
	SAY("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", "/org/bluez/hci0", 1, "org.bluez.Media1", 1,
	    "Powered", "b", 0);
	SAY("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", "/org/bluez/hci0/dev_00_00_00_00_00_01", 2,
	    "org.bluez.Battery1", 0, DEVICE, 1, "AddressType", "s", "random");
	SAY("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", "/org/bluez/hci6/dev_00_00_00_00_00_01", 1, DEVICE,
	    1, "ServiceData", "a{sv}", 1, UUID, "ay", 10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
	SAY("/", MANAGER, "InterfacesRemoved", "oas", "/org/other/hci0", 1, ADAPTER);
	SAY("/", MANAGER, "InterfacesRemoved", "oas", "/org/bluez/hci6", 1, ADAPTER);
	SAY("/", MANAGER, "InterfacesRemoved", "oas", "/org/bluez/hci0", 1, "org.bluez.Media1");
	SAY("/", MANAGER, "InterfacesRemoved", "oas", "/org/bluez/hci0/dev_00_00_00_00_00_77", 1, DEVICE);
	SAY("/org/other", PROPERTIES, "PropertiesChanged", "sa{sv}as", ADAPTER, 1, "Powered", "b", 0, 0);
	SAY("/org/bluez/hci6", PROPERTIES, "PropertiesChanged", "sa{sv}as", ADAPTER, 1, "Powered", "b", 1, 0);
	SAY("/org/bluez/hci0", PROPERTIES, "PropertiesChanged", "sa{sv}as", "org.bluez.Media1", 1, "Powered",
	    "b", 0, 0);
	say_crowd();
	say(":1.66", "/org/bluez/hci0", PROPERTIES, "PropertiesChanged", "sa{sv}as", ADAPTER, 1, "Powered",
	    "b", 0, 0);
	say(BUS, "/org/freedesktop/DBus", BUS, "NameOwnerChanged", "s", "org.bluez");
	say(BUS, "/org/freedesktop/DBus", BUS, "NameOwnerChanged", "sss", "org.other", "", "");
	say(":1.66", "/org/freedesktop/DBus", BUS, "NameOwnerChanged", "sss", "org.bluez", ":1.1", "");
	owner_is(":1.1"); /* it is already */
	assert_int_equal(node.radios_len, 1);
	assert_int_equal(node.told, 1);
	assert_int_equal(node.adverts, 0);
	assert_int_equal(asked("Hello"), 1);
	assert_int_equal(asked("GetManagedObjects"), 1);
	assert_int_equal(asked("StartDiscovery"), 1);
	assert_int_equal(asked("RegisterAdvertisement"), 1);
	/* Nobody can be asked who has such a name. */
	for (size_t i = 0; i < COUNT_OF(owners); i++) {
		owner_is(":1.1");
		assert_int_equal(node.radios_len, 1);
		owner_is(owners[i]);
		assert_int_equal(node.radios_len, 0);
		later(100);
		assert_int_equal(asked("GetManagedObjects"), i + 1);
	}
	end();
}

/* ---- Adapters ------------------------------------------------------------------- */

static void says_what_is_wrong_with_an_adapter(void **state)
{
	(void)state;
	begin(2);
	assert_int_equal(node.radios_len, 2);
	assert_null(why_not(2));
	ADAPTER_SAYS("Powered", "b", 0);
	assert_string_equal(why_not(2), "Bluetooth is switched off");
	assert_int_equal(node.radios_len, 1);
	assert_int_equal(node.radios[0].interface, ADDRESS_BLUETOOTH | 1);
	played.blocked = true;
	assert_string_equal(why_not(2), "blocked by a switch (rfkill)");
	ADAPTER_SAYS("Roles", "as", 1, "peripheral");
	assert_string_equal(why_not(2), "this adapter cannot do Low Energy");
	ADAPTER_SAYS("Powered", "b", 1);
	assert_string_equal(why_not(2), "this adapter cannot do Low Energy");
	assert_int_equal(node.radios_len, 1);
	ADAPTER_SAYS("Roles", "as", 2, "peripheral", "central");
	assert_null(why_not(2));
	assert_int_equal(node.radios_len, 2);
	owner_is(NULL);
	assert_string_equal(why_not(1), "there is no Bluetooth adapter");
	played.present = true;
	assert_string_equal(why_not(1), "the system's Bluetooth service is not running");
	played.adapters = 0;
	owner_is(":1.1");
	assert_string_equal(why_not(1), "there is no Bluetooth adapter");
	end();
}

static void bluetoothd_may_come_later(void **state)
{
	(void)state;
	prepare();
	played.owner = NULL;
	start(&every_adapter);
	later(200);
	assert_int_equal(asked("GetNameOwner"), 1); /* the bus says when there is one */
	assert_int_equal(node.told, 0);
	owner_is(":1.1");
	assert_int_equal(node.radios_len, 1);
	end();
}

static void uses_the_adapters_that_are_named(void **state)
{
	static const char *const names[] = { "hci7", "hci1" };
	static const struct bluetooth_options options = { names, COUNT_OF(names) };

	(void)state;
	prepare();
	played.adapters = 3;
	start(&options);
	scan(true);
	assert_int_equal(node.radios_len, 1);
	assert_int_equal(node.radios[0].interface, ADDRESS_BLUETOOTH | 1);
	assert_int_equal(asked("StartDiscovery"), 1);
	end();
}

static void follows_each_adapter(void **state)
{
	static const char *const addresses[] = { "", "00:AA:01:00:00", "00:AA:01:00:00:0G",
		                                 "00:AA:01:00:00:0E:", "00:AA:01:00:00:0E" };

	(void)state;
	begin(1);
	scan(true);
	advertise(1, 2);
	assert_int_equal(asked("RegisterAdvertisement"), 2);
	/* One that comes in parts. */
	SAY("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", "/org/bluez/hci1", 1, ADVERTISER, 2,
	    "SupportedInstances", "y", 3, "ActiveInstances", "y", 2);
	settle();
	assert_int_equal(node.radios_len, 1);
	SAY("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", "/org/bluez/hci1", 1, ADAPTER, 1, "Powered", "b",
	    1);
	for (size_t i = 0; i < COUNT_OF(addresses); i++) {
		settle();
		assert_int_equal(node.radios_len, 1);
		SAY("/org/bluez/hci1", PROPERTIES, "PropertiesChanged", "sa{sv}as", ADAPTER, 1, "Address",
		    "s", addresses[i], 0);
	}
	settle();
	assert_int_equal(node.radios_len, 2);
	assert_int_equal(node.radios[1].adverts, 5);
	assert_int_equal(asked("StartDiscovery"), 2);
	advertise_on(1, 1, 1); /* with the same PSM */
	assert_true(is_listening(0, 0x81) && is_listening(1, 0x81));
	assert_int_equal(asked("RegisterAdvertisement"), 3);
	/* One that cannot advertise any more. */
	SAY("/", MANAGER, "InterfacesRemoved", "oas", "/org/bluez/hci1", 1, ADVERTISER);
	settle();
	assert_true(node.radios_len == 2 && node.radios[1].adverts == 0);
	SAY("/", MANAGER, "InterfacesRemoved", "oas", "/org/bluez/hci0", 2, ADVERTISER, ADAPTER);
	settle();
	assert_int_equal(node.radios_len, 1);
	assert_true(!is_listening(0, 0x81) && is_listening(1, 0x81));
	assert_int_equal(asked("UnregisterAdvertisement"), 2);
	/* It comes again, and another one finds it where it was. */
	SAY("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", "/org/bluez/hci0", 2, ADAPTER, 2, "Address", "s",
	    "00:AA:01:00:00:0F", "Powered", "b", 1, ADVERTISER, 1, "SupportedInstances", "y", 255);
	settle();
	assert_int_equal(node.radios_len, 2);
	assert_int_equal(node.radios[0].adverts, BLUETOOTH_ADVERTS_MAX);
	assert_int_equal(asked("StartDiscovery"), 3);
	end();
}

static void a_discovery_that_others_end_begins_again(void **state)
{
	(void)state;
	begin(1);
	scan(true);
	ADAPTER_SAYS("Discovering", "b", 1);
	assert_int_equal(asked("StartDiscovery"), 1);
	ADAPTER_SAYS("Discovering", "b", 0);
	assert_int_equal(asked("StartDiscovery"), 1);
	later(2);
	assert_int_equal(asked("StartDiscovery"), 2);
	scan(false);
	ADAPTER_SAYS("Discovering", "b", 0);
	later(100);
	assert_int_equal(asked("StartDiscovery"), 2);
	assert_int_equal(asked("StopDiscovery"), 1);
	end();
}

/* ---- Advertisements --------------------------------------------------------------- */

static void advertises_what_fits(void **state)
{
	(void)state;
	begin(1);
	advertise(1, BLUETOOTH_ADVERTS_MAX);
	assert_int_equal(asked("RegisterAdvertisement"), ADVERTS);
	for (uint8_t i = 1; i <= BLUETOOTH_ADVERTS_MAX; i++)
		assert_int_equal(is_listening(0, 0x80 + i), i <= ADVERTS);
	advertise(1, 2);
	assert_int_equal(asked("UnregisterAdvertisement"), ADVERTS - 2);
	advertise_on(3, 9, 1); /* there is none */
	assert_int_equal(asked("RegisterAdvertisement"), ADVERTS);
	/* What changes while it is being registered is told after it. */
	played.member = "RegisterAdvertisement";
	played.how = SILENT;
	played.times = 1;
	advertise(1, 3);
	advertise(20, 3);
	assert_int_equal(asked("RegisterAdvertisement"), ADVERTS + 1);
	assert_int_equal(asked("PropertiesChanged"), 2);
	later(30); /* nobody answers */
	later(2);
	assert_int_equal(asked("RegisterAdvertisement"), ADVERTS + 2);
	assert_int_equal(played.service_data[0], 22);
	end();
}

static void what_bluetoothd_ends_begins_again(void **state)
{
	(void)state;
	begin(1);
	advertise(1, 1);
	call_advert("org.bluez.LEAdvertisement1", "Release");
	settle();
	assert_int_equal(asked("RegisterAdvertisement"), 1);
	later(2);
	assert_int_equal(asked("RegisterAdvertisement"), 2);
	assert_int_equal(asked("UnregisterAdvertisement"), 0);
	end();
}

/* However many fail at once: it is one failure. */
static void a_refusal_of_many_is_tried_again_as_soon(void **state)
{
	(void)state;
	begin(1);
	played.member = "RegisterAdvertisement";
	played.how = REFUSED;
	played.times = 3 * ADVERTS;
	advertise(1, ADVERTS);
	assert_int_equal(asked("RegisterAdvertisement"), ADVERTS);
	later(2);
	assert_int_equal(asked("RegisterAdvertisement"), 2 * ADVERTS);
	later(3);
	assert_int_equal(asked("RegisterAdvertisement"), 3 * ADVERTS);
	later(2);
	assert_int_equal(asked("RegisterAdvertisement"), 3 * ADVERTS);
	later(3);
	assert_int_equal(asked("RegisterAdvertisement"), 4 * ADVERTS);
	end();
}

static void asks_for_eight_types_at_a_time(void **state)
{
	(void)state;
	begin(2);
	scan(true);
	played.member = "Get";
	played.how = SILENT;
	played.times = 100;
	for (uint8_t i = 0; i < BLUEZ_QUESTIONS_MAX + 3; i++)
		hear_change(0, i);
	settle();
	assert_int_equal(asked("Get"), BLUEZ_QUESTIONS_MAX);
	assert_int_equal(node.adverts, 0);
	later(30); /* nobody answers */
	played.times = 0;
	hear_change(0, 1);
	settle();
	assert_int_equal(asked("Get"), BLUEZ_QUESTIONS_MAX + 1);
	assert_int_equal(node.adverts, 1);
	hear_change(0, 1);
	hear_new(1);
	settle();
	assert_int_equal(asked("Get"), BLUEZ_QUESTIONS_MAX + 1);
	assert_int_equal(node.adverts, 3);
	/* Another adapter hears it for itself; a type that is unknown is of no use. */
	hear_change(1, 1);
	settle();
	assert_int_equal(asked("Get"), BLUEZ_QUESTIONS_MAX + 2);
	assert_true(node.adverts == 4 && node.from.interface == (ADDRESS_BLUETOOTH | 1));
	say_no_device();
	played.address_type = "other";
	hear_change(0, 1);
	settle();
	assert_int_equal(asked("Get"), BLUEZ_QUESTIONS_MAX + 3);
	assert_int_equal(node.adverts, 4);
	/* What was heard before we were to listen does not count. */
	scan(false);
	hear_new(1);
	settle();
	assert_int_equal(node.adverts, 4);
	end();
}

static void many_messages_come_at_once(void **state)
{
	(void)state;
	begin(1);
	scan(true);
	hear_new(1);
	for (int i = 0; i < 200; i++)
		hear_change(0, 1);
	settle();
	assert_int_equal(node.adverts, 201);
	/* After a minute that was quiet a bus that ends is asked for again after a second. */
	for (int i = 0; i < 3; i++) {
		later(70);
		bus_end();
		settle();
		assert_int_equal(node.radios_len, 0);
		later(2);
		assert_int_equal(node.radios_len, 1);
	}
	end();
}

/* ---- Channels ------------------------------------------------------------------------ */

static void a_channel_that_does_not_open_fails_once(void **state)
{
	(void)state;
	begin(1);
	/* It is refused at once, */
	kernel.refuses = true;
	assert_int_equal(bluetooth_open(node.bluetooth, 1, &remote, 0x90), 0);
	assert_true(bluetooth_send(node.bluetooth, 1, SPAN(sdu)));
	assert_int_equal(node.failures, 0); /* and told later, */
	settle();
	assert_true(node.failures == 1 && node.failed_path == 1);
	kernel.refuses = false;
	/* or after a while, */
	kernel.is_not_connected = true;
	assert_int_equal(bluetooth_open(node.bluetooth, 2, &remote, 0x90), 0);
	settle();
	assert_true(node.failures == 2 && node.failed_path == 2);
	kernel.is_not_connected = false;
	/* or never answered: other adapters are not asked. */
	kernel.is_slow = true;
	assert_int_equal(bluetooth_open(node.bluetooth, 3, &remote, 0x90), 0);
	bluetooth_send(node.bluetooth, 3, SPAN(sdu));
	bluetooth_flush(node.bluetooth);
	settle();
	later(BLUETOOTH_CONNECT_MS / 1000 - 2);
	assert_int_equal(node.failures, 2);
	later(3);
	assert_true(node.failures == 3 && node.failed_path == 3);
	/* Who closes it before it is open hears nothing of it. */
	assert_int_equal(bluetooth_open(node.bluetooth, 4, &remote, 0x90), 0);
	bluetooth_send(node.bluetooth, 4, SPAN(sdu));
	assert_true(bluetooth_close_path(node.bluetooth, 4));
	assert_false(bluetooth_close_path(node.bluetooth, 4));
	assert_false(bluetooth_send(node.bluetooth, 4, SPAN(sdu)));
	later(100);
	/* An error, before it is open. */
	assert_int_equal(bluetooth_open(node.bluetooth, 5, &remote, 0x90), 0);
	break_channel(kernel.channel);
	kernel.channel = -1;
	settle();
	assert_true(node.failures == 4 && node.failed_path == 5);
	/* It is late, and nobody had time to look. */
	assert_int_equal(bluetooth_open(node.bluetooth, 6, &remote, 0x90), 0);
	now_s += 100;
	uv_update_time(&loop);
	bluetooth_advertise(node.bluetooth, ADDRESS_BLUETOOTH, SPAN_NONE);
	settle();
	assert_true(node.failures == 5 && node.failed_path == 6);
	end();
}

/* Reads what came until nothing does; returns how many, each of which begins with the next number. */
static unsigned read_numbered(int fd, unsigned next)
{
	uint8_t got[CARRIER_LARGE];
	unsigned n = 0;
	size_t len;

	while (__real_l2cap_receive(fd, got, &len) == 0) {
		assert_int_equal(len, sizeof(got));
		assert_int_equal(got[0], (uint8_t)(next + n++));
		settle();
	}
	return n;
}

static void send_numbered(uint32_t path, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const uint8_t bytes[CARRIER_LARGE] = { (uint8_t)i };

		assert_true(bluetooth_send(node.bluetooth, path, SPAN(bytes)));
	}
	bluetooth_flush(node.bluetooth);
	settle();
}

static void a_full_channel_is_waited_for(void **state)
{
	unsigned came;
	int fd;

	(void)state;
	begin(1);
	fd = open_path(1);
	send_numbered(1, 40);
	bluetooth_flush(node.bluetooth); /* as full as before */
	assert_int_equal(read_numbered(fd, 0), 40);
	/* What waits leaves before it is closed; nothing is taken any more, nor sent. */
	send_numbered(1, 30);
	assert_true(bluetooth_close_path(node.bluetooth, 1));
	assert_true(bluetooth_send(node.bluetooth, 1, SPAN(sdu)));
	assert_int_equal(send(fd, sdu, sizeof(sdu), 0), sizeof(sdu));
	settle();
	came = read_numbered(fd, 0);
	assert_int_equal(came, 30);
	assert_true(is_ended(fd));
	assert_false(bluetooth_send(node.bluetooth, 1, SPAN(sdu)));
	close(fd);
	/* The other side goes away before. */
	fd = open_path(2);
	send_numbered(2, 30);
	assert_true(bluetooth_close_path(node.bluetooth, 2));
	break_channel(fd);
	settle();
	assert_false(bluetooth_close_path(node.bluetooth, 2));
	/* All at once comes, too. */
	fd = open_path(3);
	for (int i = 0; i < 40; i++)
		assert_int_equal(send(fd, sdu, sizeof(sdu), 0), sizeof(sdu));
	settle();
	assert_int_equal(node.datagrams, 40);
	close(fd);
	settle();
	assert_true(node.failures == 1 && node.failed_path == 3);
	end();
}

static void a_channel_that_breaks_fails_once(void **state)
{
	int fd;

	(void)state;
	begin(1);
	/* It is seen when something is sent, */
	close(open_path(1));
	bluetooth_send(node.bluetooth, 1, SPAN(sdu));
	bluetooth_flush(node.bluetooth);
	assert_true(bluetooth_send(node.bluetooth, 1, SPAN(sdu))); /* for nobody: it has failed */
	bluetooth_flush(node.bluetooth);
	assert_int_equal(node.failures, 0);
	settle();
	assert_true(node.failures == 1 && node.failed_path == 1);
	/* or never told when it is closed before, */
	close(open_path(2));
	bluetooth_send(node.bluetooth, 2, SPAN(sdu));
	bluetooth_flush(node.bluetooth);
	assert_true(bluetooth_close_path(node.bluetooth, 2));
	settle();
	assert_int_equal(node.failures, 1);
	/* or by an error, even one that is not found at once, */
	for (uint32_t path = 3; path <= 4; path++) {
		fd = open_path(path);
		send_numbered(path, 1);
		kernel.waits = path - 3;
		break_channel(fd);
		settle();
		assert_true(node.failures == path - 1 && node.failed_path == path);
	}
	/* or there is no more waiting for it. */
	fd = open_path(5);
	send_numbered(5, 20);
	failing_calls_arm("uv_poll_start", 1, ENOMEM);
	assert_true(recv(fd, &(char){ 0 }, 1, 0) > 0);
	(void)read_numbered(fd, 1);
	failing_calls.armed = false;
	settle();
	assert_true(node.failures == 4 && node.failed_path == 5);
	close(fd);
	end();
}

static void strangers_are_held_apart(void **state)
{
	int fds[BLUETOOTH_WAITING_MAX], more[3];

	(void)state;
	begin(2);
	advertise(1, 1);
	advertise_on(1, 1, 1);
	/* Who has an adapter's places does not have those of another, under the same address. */
	for (unsigned i = 0; i < COUNT_OF(fds); i++) {
		fds[i] = knock(i == 0, 0x81, 1);
		settle();
	}
	more[0] = knock(1, 0x81, 1);
	settle();
	assert_true(is_ended(fds[1]) && !is_ended(fds[0]) && !is_ended(more[0]));
	close(fds[1]);
	/* One who goes away without a word leaves his place at once, and nobody is told. */
	close(fds[2]);
	more[1] = knock(0, 0x81, 2);
	more[2] = knock(0, 0x81, 3);
	settle();
	assert_true(!is_ended(more[1]) && !is_ended(more[2]) && is_ended(fds[0]) && !is_ended(fds[3]));
	later(BLUETOOTH_WAIT_MS / 1000 + 1);
	for (size_t i = 0; i < COUNT_OF(more); i++) {
		assert_true(is_ended(more[i]));
		close(more[i]);
	}
	assert_true(is_ended(fds[3]));
	close(fds[0]);
	close(fds[3]);
	assert_int_equal(node.channels + node.failures, 0);
	end();
}

static void no_channel_is_taken_beyond_the_last(void **state)
{
	int fds[BLUETOOTH_PATHS_MAX], fd;

	(void)state;
	begin(1);
	advertise(1, 1);
	for (uint32_t i = 0; i < COUNT_OF(fds); i++)
		fds[i] = open_path(i);
	fd = knock(0, 0x81, 1);
	settle();
	assert_true(is_ended(fd));
	close(fd);
	close(fds[0]);
	settle();
	fd = knock(0, 0x81, 1);
	settle();
	assert_false(is_ended(fd));
	close(fd);
	for (uint32_t i = 1; i < COUNT_OF(fds); i++)
		close(fds[i]);
	end();
}

static void listens_for_a_while(void **state)
{
	static const struct knock broken = { -1, 0 };

	(void)state;
	begin(1);
	advertise(1, 1);
	advertise(2, 1);
	later(BLUETOOTH_LISTEN_MS / 1000 - 2);
	assert_true(is_listening(0, 0x81) && is_listening(0, 0x82));
	later(3);
	assert_true(!is_listening(0, 0x81) && is_listening(0, 0x82));
	/* What is advertised again before is listened on for longer. */
	advertise(3, 1);
	advertise(2, 1);
	later(BLUETOOTH_LISTEN_MS / 1000 + 1);
	assert_true(is_listening(0, 0x82) && !is_listening(0, 0x83));
	/* A PSM that is in use is advertised for nobody. */
	kernel.refuses = true;
	advertise(4, 1);
	assert_true(!is_listening(0, 0x84) && played.service_data[0] == 4);
	kernel.refuses = false;
	later(BLUETOOTH_LISTEN_MS / 1000 + 1);
	/* It ends where no channel can be taken any more, or where its socket has an error; the next one is
	 * as good. */
	for (uint8_t i = 5; i < 8; i++) {
		int *fd;

		advertise(i, 1);
		fd = listener_of(0, 0x80 + i);
		assert_non_null(fd);
		if (i == 5) {
			assert_int_equal(send(*fd, &broken, sizeof(broken), 0), sizeof(broken));
		} else {
			close(*fd);
			*fd = -1;
		}
		if (i == 7)
			failing_calls_arm("uv_poll_start", 1, ENOMEM);
		settle();
		failing_calls.armed = false;
		assert_true(!is_listening(0, 0x80 + i));
	}
	advertise(8, 1);
	assert_true(is_listening(0, 0x88));
	end();
}

static void nothing_is_closed_at_once(void **state)
{
	bool closed[2] = { 0 };

	(void)state;
	bluetooth_close(NULL, on_closed, &closed[0]);
	bluez_close(NULL, on_closed, &closed[1]);
	assert_true(closed[0] && closed[1]);
}

static bool listen_bus(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char address[128];

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/bus", folder);
	snprintf(address, sizeof(address), "unix:path=%s/bus", folder);
	played.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return bind(played.listener, (const struct sockaddr *)&at, sizeof(at)) == 0 &&
	       listen(played.listener, 8) == 0 && setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1) == 0;
}

static int tear_down(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/bus", folder);
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call_may_fail),
		cmocka_unit_test(each_request_for_memory_may_fail),
		cmocka_unit_test(each_answer_may_be_another),
		cmocka_unit_test(damage_costs_only_its_message),
		cmocka_unit_test(damaged_answers_cost_only_themselves),
		cmocka_unit_test(what_is_odd_changes_nothing),
		cmocka_unit_test(says_what_is_wrong_with_an_adapter),
		cmocka_unit_test(bluetoothd_may_come_later),
		cmocka_unit_test(uses_the_adapters_that_are_named),
		cmocka_unit_test(follows_each_adapter),
		cmocka_unit_test(a_discovery_that_others_end_begins_again),
		cmocka_unit_test(advertises_what_fits),
		cmocka_unit_test(what_bluetoothd_ends_begins_again),
		cmocka_unit_test(a_refusal_of_many_is_tried_again_as_soon),
		cmocka_unit_test(asks_for_eight_types_at_a_time),
		cmocka_unit_test(many_messages_come_at_once),
		cmocka_unit_test(a_channel_that_does_not_open_fails_once),
		cmocka_unit_test(a_full_channel_is_waited_for),
		cmocka_unit_test(a_channel_that_breaks_fails_once),
		cmocka_unit_test(strangers_are_held_apart),
		cmocka_unit_test(no_channel_is_taken_beyond_the_last),
		cmocka_unit_test(listens_for_a_while),
		cmocka_unit_test(nothing_is_closed_at_once),
	};

	if (mkdtemp(folder) == NULL || !listen_bus())
		return 1;
	return cmocka_run_group_tests(tests, NULL, tear_down);
}
