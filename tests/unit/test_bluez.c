/*
 * The carrier of Bluetooth against a bluetoothd that is played, on a bus of its own: what it asks for, and
 * what it makes of a bluetoothd that refuses, floods, talks nonsense, ends and returns. In place of the
 * kernel's channels stand sockets of this machine, so that strangers can be played; true ones are the matter
 * of tests/bluetooth.
 */
#include "transport/bluez.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "transport/bluetooth.h"
#include "transport/l2cap.h"

enum { LIMIT_MS = 20000, TICK_MS = 5, FLOOD = 3000 };

#define DEVICE  "org.bluez.Device1"
#define ADAPTER "org.bluez.Adapter1"

/* The bluetoothd that is played. */
static struct {
	sd_bus *bus;
	unsigned lists, filters, starts, stops, registers, unregisters, questions, changes;
	bool refuses;
	bool is_odd; /* what it lists has the wrong types */
	unsigned adapters;
	char client[64], advert[64];
	unsigned properties; /* of the advertisement, when it was registered */
	uint8_t service_data[ADVERT_LEN];
} played;

static struct {
	struct bluetooth *bluetooth;
	struct radio radios[RADIOS_MAX];
	size_t radios_len;
	unsigned told, adverts, channels, datagrams, failures;
	struct address from;
	uint8_t advert[ADVERT_LEN];
	uint32_t path, failed_path;
	uint16_t psm;
	size_t len;
	bool closed;
} node;

static uv_loop_t loop;
static uv_timer_t tick;
static char folder[] = "/tmp/flyleaf-bluez-XXXXXX", address[128];
static pid_t daemon_pid;

/* ---- In place of the kernel's channels -------------------------------------- */

int __wrap_l2cap_listen(const struct address *local, uint8_t psm);
int __wrap_l2cap_accept(int *fd, int listener, const struct address *local, struct address *from);
int __wrap_l2cap_connect(const struct address *local, const struct address *remote, uint8_t psm);

static uint8_t caller; /* the last byte of the address of who opens a channel next */

static socklen_t name_of(struct sockaddr_un *out, uint8_t psm)
{
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	                   (size_t)snprintf(out->sun_path + 1, sizeof(out->sun_path) - 1, "%s/%u", folder,
	                                    psm));
}

static int channel(void)
{
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int __wrap_l2cap_listen(const struct address *local, uint8_t psm)
{
	struct sockaddr_un at;
	const socklen_t len = name_of(&at, psm);
	const int fd = channel();

	assert_memory_equal(local->ip, "\x00\xaa\x01\x00\x00\x0f\x01", 8);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

int __wrap_l2cap_accept(int *fd, int listener, const struct address *local, struct address *from)
{
	*fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	*from = *local;
	from->ip[5] = caller;
	return *fd >= 0 ? 0 : L2CAP_WAIT;
}

int __wrap_l2cap_connect(const struct address *local, const struct address *remote, uint8_t psm)
{
	struct sockaddr_un at;
	const socklen_t len = name_of(&at, psm);
	const int fd = channel();

	(void)local, (void)remote;
	if (connect(fd, (const struct sockaddr *)&at, len) == 0)
		return fd;
	close(fd);
	return -1;
}

/* ---- The bus ---------------------------------------------------------------- */

static bool start_bus(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/bus", folder);
	unlink(path);
	daemon_pid = fork();
	if (daemon_pid == 0) {
		char config[80];

		snprintf(config, sizeof(config), "--config-file=%s/bus.conf", folder);
		execlp("dbus-daemon", "dbus-daemon", config, "--nofork", "--nopidfile", "--nosyslog",
		       (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < LIMIT_MS / 10 && access(path, F_OK) != 0; i++) {
		if (waitpid(daemon_pid, NULL, WNOHANG) == daemon_pid)
			return false;
		usleep(10000);
	}
	return true;
}

static void stop_bus(void)
{
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
}

static void write_config(void)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/bus.conf", folder);
	f = fopen(path, "w");
	assert(f != NULL);
	fprintf(f,
	        "<busconfig><type>session</type><listen>unix:path=%s/bus</listen><policy context='default'>"
	        "<allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/><allow own='*'/>"
	        "</policy></busconfig>",
	        folder);
	fclose(f);
	snprintf(address, sizeof(address), "unix:path=%s/bus", folder);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
}

/* ---- A bluetoothd ----------------------------------------------------------- */

static void append_adapter(sd_bus_message *m, unsigned number)
{
	char path[32];

	snprintf(path, sizeof(path), "/org/bluez/hci%u", number);
	sd_bus_message_open_container(m, 'e', "oa{sa{sv}}");
	sd_bus_message_append(m, "o", path);
	if (played.is_odd)
		sd_bus_message_append(m, "a{sa{sv}}", 2, ADAPTER, 4, "Address", "b", 1, "Powered", "s", "yes",
		                      "Roles", "s", "central", "", "v", "v", "u", 1,
		                      "org.bluez.LEAdvertisingManager1", 1, "SupportedInstances", "s",
		                      "many");
	else
		sd_bus_message_append(m, "a{sa{sv}}", 3, "org.freedesktop.DBus.Introspectable", 0, ADAPTER, 5,
		                      "Address", "s", "00:AA:01:00:00:0F", "AddressType", "s", "public",
		                      "Powered", "b", 1, "Discovering", "b", 0, "Roles", "as", 2, "central",
		                      "peripheral", "org.bluez.LEAdvertisingManager1", 2,
		                      "SupportedInstances", "y", 4, "ActiveInstances", "y", 0);
	sd_bus_message_close_container(m);
}

static int answer_objects(sd_bus_message *call)
{
	sd_bus_message *m = NULL;

	sd_bus_message_new_method_return(call, &m);
	sd_bus_message_open_container(m, 'a', "{oa{sa{sv}}}");
	sd_bus_message_append(m, "{oa{sa{sv}}}", "/org/bluez", 1, "org.bluez.AgentManager1", 0);
	for (unsigned i = 0; i < played.adapters; i++)
		append_adapter(m, i);
	sd_bus_message_close_container(m);
	sd_bus_send(played.bus, m, NULL);
	sd_bus_message_unref(m);
	return 1;
}

static int on_properties(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct bluez_device d = { 0 };
	unsigned count = 0;

	(void)arg, (void)error;
	if (sd_bus_message_is_method_error(m, NULL) || !bluez_object_device(&d, m) || d.adverts_len != 1)
		return 0;
	memcpy(played.service_data, d.adverts[0], ADVERT_LEN);
	sd_bus_message_rewind(m, true);
	sd_bus_message_enter_container(m, 'a', "{sv}");
	while (sd_bus_message_skip(m, "{sv}") > 0)
		count++;
	played.properties = count;
	return 0;
}

static int on_change(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct bluez_device d = { 0 };
	const char *interface;

	(void)arg, (void)error;
	if (sd_bus_message_read(m, "s", &interface) <= 0 ||
	    strcmp(interface, "org.bluez.LEAdvertisement1") != 0 || !bluez_object_device(&d, m) ||
	    d.adverts_len != 1)
		return 0;
	played.changes++;
	memcpy(played.service_data, d.adverts[0], ADVERT_LEN);
	return 0;
}

static int refuse(sd_bus_message *m)
{
	return sd_bus_reply_method_errorf(m, "org.bluez.Error.Failed", "no");
}

static int on_call(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const char *object;

	(void)arg, (void)error;
	if (sd_bus_message_is_method_call(m, NULL, "GetManagedObjects")) {
		played.lists++;
		return answer_objects(m);
	}
	if (sd_bus_message_is_method_call(m, ADAPTER, "SetDiscoveryFilter")) {
		played.filters++;
		return sd_bus_reply_method_return(m, NULL);
	}
	if (sd_bus_message_is_method_call(m, ADAPTER, "StartDiscovery")) {
		played.starts++;
		return played.refuses ? refuse(m) : sd_bus_reply_method_return(m, NULL);
	}
	if (sd_bus_message_is_method_call(m, ADAPTER, "StopDiscovery")) {
		played.stops++;
		return sd_bus_reply_method_return(m, NULL);
	}
	if (sd_bus_message_is_method_call(m, NULL, "RegisterAdvertisement")) {
		played.registers++;
		if (played.refuses)
			return refuse(m);
		sd_bus_message_read(m, "o", &object);
		snprintf(played.client, sizeof(played.client), "%s", sd_bus_message_get_sender(m));
		snprintf(played.advert, sizeof(played.advert), "%s", object);
		sd_bus_call_method_async(played.bus, NULL, played.client, object,
		                         "org.freedesktop.DBus.Properties", "GetAll", on_properties, NULL,
		                         "s", "org.bluez.LEAdvertisement1");
		return sd_bus_reply_method_return(m, NULL);
	}
	if (sd_bus_message_is_method_call(m, NULL, "UnregisterAdvertisement")) {
		played.unregisters++;
		return sd_bus_reply_method_return(m, NULL);
	}
	if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Get")) {
		played.questions++;
		return played.refuses ? refuse(m) : sd_bus_reply_method_return(m, "v", "s", "random");
	}
	return 0;
}

static void appear(void)
{
	assert_true(sd_bus_open_system(&played.bus) >= 0);
	assert_true(sd_bus_add_filter(played.bus, NULL, on_call, NULL) >= 0);
	assert_true(sd_bus_match_signal(played.bus, NULL, NULL, NULL, "org.freedesktop.DBus.Properties",
	                                "PropertiesChanged", on_change, NULL) >= 0);
	assert_true(sd_bus_request_name(played.bus, "org.bluez", 0) >= 0);
}

static void vanish(void)
{
	played.bus = sd_bus_flush_close_unref(played.bus);
}

/* A device with an advertisement of our shape, number i, heard by hci0. */
static void device_path(char out[static 64], unsigned i)
{
	snprintf(out, 64, "/org/bluez/hci0/dev_00_00_00_%02X_%02X_%02X", i >> 16 & 255, i >> 8 & 255,
	         i & 255);
}

static void hear_new(sd_bus *from, unsigned i)
{
	static const char uuid[] = "00112233-4455-6677-8899-aabbccddeeff";
	sd_bus_message *m = NULL;
	char path[64];

	device_path(path, i);
	assert_true(sd_bus_message_new_signal(from, &m, "/", "org.freedesktop.DBus.ObjectManager",
	                                      "InterfacesAdded") >= 0);
	assert_true(sd_bus_message_append(m, "oa{sa{sv}}", path, 1, DEVICE, 3, "AddressType", "s", "random",
	                                  "RSSI", "n", -50, "ServiceData", "a{sv}", 2, uuid, "ay", 10, 0, 1,
	                                  2, 3, 4, 5, 6, 7, 8, i & 255,
	                                  "0000180f-0000-1000-8000-00805f9b34fb", "ay", 1, 7) >= 0);
	assert_true(sd_bus_send(from, m, NULL) >= 0);
	sd_bus_message_unref(m);
}

static void hear_change(unsigned i)
{
	char path[64];
	sd_bus_message *m = NULL;

	device_path(path, i);
	assert_true(sd_bus_message_new_signal(played.bus, &m, path, "org.freedesktop.DBus.Properties",
	                                      "PropertiesChanged") >= 0);
	assert_true(sd_bus_message_append(m, "sa{sv}as", DEVICE, 1, "ServiceData", "a{sv}", 1,
	                                  "f0112233-4455-6677-8899-aabbccddeeff", "ay", 10, 9, 1, 2, 3, 4, 5,
	                                  6, 7, 8, 9, 0) >= 0);
	assert_true(sd_bus_send(played.bus, m, NULL) >= 0);
	sd_bus_message_unref(m);
}

static void set_powered(bool on)
{
	sd_bus_message *m = NULL;

	assert_true(sd_bus_message_new_signal(played.bus, &m, "/org/bluez/hci0",
	                                      "org.freedesktop.DBus.Properties", "PropertiesChanged") >= 0);
	assert_true(sd_bus_message_append(m, "sa{sv}as", ADAPTER, 1, "Powered", "b", on, 0) >= 0);
	assert_true(sd_bus_send(played.bus, m, NULL) >= 0);
	sd_bus_message_unref(m);
}

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
	memcpy(node.advert, bytes.p, bytes.len);
}

static void on_channel(void *arg, uint32_t path, const struct address *from, uint16_t psm, struct span sdu)
{
	(void)arg;
	node.channels++;
	node.from = *from;
	node.path = path;
	node.psm = psm;
	node.len = sdu.len;
}

static void on_datagram(void *arg, uint32_t path, struct span bytes)
{
	(void)arg;
	node.datagrams++;
	assert_int_equal(path, node.path);
	node.len = bytes.len;
}

static void on_failed(void *arg, uint32_t path)
{
	(void)arg;
	node.failures++;
	node.failed_path = path;
}

static void on_closed(void *arg)
{
	(void)arg;
	node.closed = true;
}

static void nothing(uv_timer_t *timer)
{
	(void)timer;
}

static void turn(void)
{
	uv_run(&loop, UV_RUN_ONCE);
	while (played.bus != NULL && sd_bus_process(played.bus, NULL) > 0)
		;
}

#define UNTIL_MS(what, limit_ms)                                                                             \
	for (uint64_t end_ms = uv_hrtime() / 1000000 + (limit_ms);                                           \
	     !(what) && uv_hrtime() / 1000000 < end_ms;)                                                     \
	turn()
#define UNTIL(what)                                                                                          \
	do {                                                                                                 \
		UNTIL_MS(what, LIMIT_MS);                                                                    \
		assert_true(what);                                                                           \
	} while (0)

static void begin(void)
{
	static const struct bluetooth_callbacks callbacks = { on_radios, on_advert, on_channel, on_datagram,
		                                              on_failed };
	static const struct bluetooth_options options = { NULL, 0 };

	memset(&node, 0, sizeof(node));
	memset(&played, 0, sizeof(played));
	played.adapters = 1;
	uv_loop_init(&loop);
	uv_timer_init(&loop, &tick);
	uv_timer_start(&tick, nothing, TICK_MS, TICK_MS);
	assert_int_equal(bluetooth_new(&node.bluetooth, &loop, &options, &callbacks, NULL), 0);
}

static void end(void)
{
	bluetooth_close(node.bluetooth, on_closed, NULL);
	UNTIL(node.closed);
	if (played.bus != NULL)
		vanish();
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void assert_why(const char *why)
{
	struct bluetooth_status status[RADIOS_MAX];

	assert_int_equal(bluetooth_status(node.bluetooth, status), 1);
	if (why == NULL)
		assert_null(status[0].why_not);
	else
		assert_string_equal(status[0].why_not, why);
}

static void advertise(uint8_t first)
{
	uint8_t advert[BLUETOOTH_ADVERT_LEN] = { first, 1, 2, 3 };

	advert[ADVERT_LEN] = 0x80;
	bluetooth_advertise(node.bluetooth, ADDRESS_BLUETOOTH, SPAN(advert));
}

/* ---- Tests ------------------------------------------------------------------ */

static void a_system_without_a_bus_is_no_error(void **state)
{
	const struct address nobody = { .interface = ADDRESS_BLUETOOTH };
	struct bluetooth_status status[RADIOS_MAX];

	(void)state;
	setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent", 1);
	begin();
	bluetooth_scan(node.bluetooth, true);
	advertise(1);
	assert_int_equal(bluetooth_open(node.bluetooth, 5, &nobody, 0x80), 0);
	UNTIL_MS(false, 1500);
	assert_int_equal(node.told, 0);
	assert_true(node.failures == 1 && node.failed_path == 5);
	assert_int_equal(bluetooth_status(node.bluetooth, status), 1);
	assert_string_equal(status[0].name, "");
	assert_non_null(status[0].why_not);
	end();
	setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
}

static void asks_for_what_is_wanted_and_nothing_else(void **state)
{
	(void)state;
	begin();
	appear();
	UNTIL(node.radios_len == 1);
	assert_int_equal(node.radios[0].interface, ADDRESS_BLUETOOTH);
	assert_int_equal(node.radios[0].adverts, 4);
	assert_why(NULL);
	UNTIL_MS(false, 300);
	assert_int_equal(played.starts + played.registers + played.filters, 0); /* it is silent by itself */
	bluetooth_scan(node.bluetooth, true);
	UNTIL(played.starts == 1 && played.filters == 1);
	advertise(1);
	UNTIL(played.registers == 1 && played.properties != 0);
	assert_int_equal(played.properties, 2); /* Type and ServiceData */
	assert_int_equal(played.service_data[0], 1);
	advertise(2); /* in place */
	UNTIL(played.changes == 1);
	assert_int_equal(played.service_data[0], 2);
	bluetooth_advertise(node.bluetooth, ADDRESS_BLUETOOTH, SPAN_NONE);
	UNTIL(played.unregisters == 1);
	bluetooth_scan(node.bluetooth, false);
	UNTIL(played.stops == 1);
	assert_int_equal(played.registers, 1);
	assert_int_equal(played.starts, 1);
	end();
}

static uint64_t now_ms(void)
{
	uv_update_time(&loop);
	return uv_now(&loop);
}

static void begin_one_that_changes(void)
{
	begin();
	appear();
	UNTIL(node.radios_len == 1);
	advertise(1);
	UNTIL(played.registers == 1 && played.properties != 0);
	UNTIL_MS(false, 100);
}

static void change(uint8_t first)
{
	const unsigned changes = played.changes;

	advertise(first);
	UNTIL(played.changes == changes + 1);
}

static void stop_advertising(void)
{
	bluetooth_advertise(node.bluetooth, ADDRESS_BLUETOOTH, SPAN_NONE);
}

static void close_node(void)
{
	bluetooth_close(node.bluetooth, on_closed, NULL);
	node.bluetooth = NULL;
}

/* As bluetoothd does when a change has reached the controller. */
static void say_arrived(void)
{
	assert_true(sd_bus_call_method_async(played.bus, NULL, played.client, played.advert,
	                                     "org.freedesktop.DBus.Properties", "Set", NULL, NULL, "ssv",
	                                     "org.bluez.LEAdvertisement1", "TxPower", "n", 4) >= 0);
}

enum { SETTLED_MS = 500, LEFT_MS = 2000 };

/* bluetoothd before 5.73 crashes when an advertisement ends while a change of it is under way. */
static void an_advertisement_ends_when_its_changes_have_arrived(void **state)
{
	(void)state;
	begin_one_that_changes();
	say_arrived();
	UNTIL_MS(false, 100);
	change(2);
	change(3);
	stop_advertising();
	say_arrived();
	UNTIL_MS(false, SETTLED_MS + 200);
	assert_int_equal(played.unregisters, 0);
	say_arrived();
	UNTIL(played.unregisters == 1);
	/* The end of the carrier waits as well. */
	played.properties = 0;
	advertise(4);
	UNTIL(played.registers == 2 && played.properties != 0);
	say_arrived();
	UNTIL_MS(false, 100);
	change(5);
	close_node();
	UNTIL_MS(false, SETTLED_MS + 200);
	assert_true(played.unregisters == 1 && !node.closed);
	say_arrived();
	UNTIL(node.closed && played.unregisters == 2);
	end();
}

static void a_change_arrives_in_time_where_nothing_says_so(void **state)
{
	uint64_t changed_ms;

	(void)state;
	begin_one_that_changes();
	changed_ms = now_ms();
	change(2);
	stop_advertising();
	UNTIL(played.unregisters == 1);
	assert_true(now_ms() - changed_ms >= SETTLED_MS);
	end();
	/* And nobody waits for ever. */
	begin_one_that_changes();
	say_arrived();
	UNTIL_MS(false, 100);
	change(2);
	changed_ms = now_ms();
	close_node();
	UNTIL(node.closed && played.unregisters == 1);
	assert_true(now_ms() - changed_ms >= LEFT_MS);
	end();
}

static void hears_what_has_our_shape(void **state)
{
	sd_bus *liar = NULL;
	sd_bus_message *m = NULL;
	const char *name;

	(void)state;
	begin();
	appear();
	UNTIL(node.radios_len == 1);
	hear_new(played.bus, 1);
	UNTIL_MS(false, 200);
	assert_int_equal(node.adverts, 0); /* nobody listens yet */
	bluetooth_scan(node.bluetooth, true);
	UNTIL(played.starts == 1);
	hear_new(played.bus, 0x010203);
	UNTIL(node.adverts == 1);
	assert_int_equal(node.from.interface, ADDRESS_BLUETOOTH);
	assert_memory_equal(node.from.ip, "\0\0\0\1\2\3\2", 8);
	assert_memory_equal(node.advert, "\x00\x11\x22\x33\x44", 5);
	hear_change(0x010203);
	UNTIL(node.adverts == 2);
	assert_int_equal(node.advert[0], 0xf0);
	assert_int_equal(played.questions, 0);
	/* Of a device that was there before, the type of its address is asked for. */
	hear_change(7);
	UNTIL(node.adverts == 3);
	assert_int_equal(played.questions, 1);
	assert_int_equal(node.from.ip[5], 7);
	/* Anybody on the bus can send such a signal. */
	assert_true(sd_bus_open_system(&liar) >= 0);
	hear_new(liar, 9);
	sd_bus_flush(liar);
	UNTIL_MS(false, 300);
	assert_int_equal(node.adverts, 3);
	/* And one that is addressed to us comes even where we asked for none of his: that he is bluetoothd.
	 */
	advertise(1);
	UNTIL(played.registers == 1);
	assert_true(sd_bus_message_new_signal(liar, &m, "/org/freedesktop/DBus", "org.freedesktop.DBus",
	                                      "NameOwnerChanged") >= 0);
	assert_true(sd_bus_get_unique_name(liar, &name) >= 0 &&
	            sd_bus_message_set_destination(m, played.client) >= 0);
	assert_true(sd_bus_message_append(m, "sss", "org.bluez", "", name) >= 0);
	assert_true(sd_bus_send(liar, m, NULL) >= 0);
	sd_bus_message_unref(m);
	sd_bus_flush(liar);
	UNTIL_MS(false, 300);
	assert_true(node.told == 1 && node.radios_len == 1);
	sd_bus_flush_close_unref(liar);
	end();
}

static void a_flood_costs_no_memory(void **state)
{
	size_t before;

	(void)state;
	begin();
	appear();
	bluetooth_scan(node.bluetooth, true);
	UNTIL(played.starts == 1);
	for (unsigned i = 0; i < 300; i++) {
		hear_new(played.bus, i);
		turn();
	}
	UNTIL(node.adverts == 300);
	before = mallinfo2().uordblks;
	for (unsigned i = 0; i < FLOOD; i++) {
		hear_new(played.bus, 1000 + i);
		if (i % 16 == 0)
			turn();
	}
	UNTIL(node.adverts == 300 + FLOOD);
	assert_true(mallinfo2().uordblks < before + 65536);
	/* Who fell out of the memory is asked for. */
	hear_change(1);
	UNTIL(node.adverts == 301 + FLOOD);
	assert_int_equal(played.questions, 1);
	end();
}

static void nonsense_is_passed_over(void **state)
{
	struct bluetooth_status status[RADIOS_MAX];

	(void)state;
	begin();
	played.is_odd = true;
	played.adapters = RADIOS_MAX + 3;
	appear();
	bluetooth_scan(node.bluetooth, true);
	UNTIL(played.lists == 1);
	UNTIL_MS(false, 300);
	assert_int_equal(node.told, 0);
	assert_int_equal(bluetooth_status(node.bluetooth, status), RADIOS_MAX);
	assert_string_equal(status[0].why_not, "Bluetooth is switched off");
	end();
}

static void a_refusal_is_not_answered_with_a_storm(void **state)
{
	(void)state;
	begin();
	played.refuses = true;
	appear();
	UNTIL(node.radios_len == 1);
	bluetooth_scan(node.bluetooth, true);
	advertise(1);
	/* At once, after one second and after three. */
	UNTIL_MS(false, 4000);
	assert_in_range(played.starts, 2, 3);
	assert_in_range(played.registers, 2, 3);
	for (int i = 0; i < 100; i++) {
		advertise((uint8_t)i);
		bluetooth_scan(node.bluetooth, true);
		turn();
	}
	assert_in_range(played.starts, 2, 3);
	played.refuses = false;
	UNTIL(played.starts == 4 && played.registers == 4);
	end();
}

static void follows_what_comes_and_goes(void **state)
{
	(void)state;
	begin();
	appear();
	bluetooth_scan(node.bluetooth, true);
	UNTIL(node.radios_len == 1 && played.starts == 1);
	advertise(1);
	UNTIL(played.registers == 1);
	set_powered(false);
	UNTIL(node.radios_len == 0);
	assert_why("Bluetooth is switched off");
	advertise(2); /* ignored */
	set_powered(true);
	UNTIL(node.radios_len == 1 && played.starts == 2);
	assert_int_equal(played.registers, 1);
	/* bluetoothd */
	vanish();
	UNTIL(node.radios_len == 0);
	appear();
	UNTIL(node.radios_len == 1 && played.starts == 3);
	/* The bus */
	stop_bus();
	played.bus = sd_bus_close_unref(played.bus);
	UNTIL(node.radios_len == 0);
	UNTIL_MS(false, 1500);
	assert_true(start_bus());
	appear();
	UNTIL(node.radios_len == 1 && played.starts == 4);
	end();
}

/* ---- Channels --------------------------------------------------------------- */

static int stranger(uint8_t number, uint8_t psm)
{
	const int fd = __wrap_l2cap_connect(NULL, NULL, psm);

	caller = number;
	UNTIL_MS(false, 60);
	return fd;
}

static bool is_ended(int fd)
{
	uint8_t sdu[CARRIER_LARGE];
	size_t len;

	return l2cap_receive(fd, sdu, &len) == L2CAP_BROKEN;
}

static int accepted(int listener)
{
	int fd = -1;

	UNTIL_MS((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0, LIMIT_MS);
	assert_true(fd >= 0);
	return fd;
}

static size_t count_ended(const int *fds, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += is_ended(fds[i]);
	return count;
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static void begin_advertising(void)
{
	begin();
	appear();
	UNTIL(node.radios_len == 1);
	advertise(1);
	UNTIL(played.registers == 1);
}

static void strangers_wait_in_four_places(void **state)
{
	const uint8_t sdu[CARRIER_SMALL] = { 1 };
	int fds[BLUETOOTH_WAITING_MAX + 1], other, third;

	(void)state;
	begin_advertising();
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		fds[i] = stranger(1, 0x80);
	/* The fifth of one device takes the oldest place of its own, */
	assert_true(is_ended(fds[0]) && count_ended(fds, COUNT_OF(fds)) == 1);
	/* and another that of him who has most. */
	other = stranger(2, 0x80);
	assert_true(!is_ended(other) && is_ended(fds[1]) && count_ended(fds, COUNT_OF(fds)) == 2);
	third = stranger(3, 0x80);
	assert_true(!is_ended(third) && !is_ended(other) && is_ended(fds[2]));
	/* He who has many cannot take theirs. */
	close(fds[0]);
	close(fds[1]);
	fds[0] = stranger(1, 0x80);
	fds[1] = stranger(1, 0x80);
	assert_true(!is_ended(third) && !is_ended(other) && !is_ended(fds[1]));
	assert_int_equal(l2cap_send(other, SPAN(sdu)), 0);
	UNTIL(node.channels == 1);
	assert_int_equal(node.from.ip[5], 2);
	assert_int_equal(node.psm, 0x80);
	assert_int_equal(node.len, CARRIER_SMALL);
	assert_true((node.path & PATH_ACCEPTED) != 0);
	/* Who says nothing is closed; a path is not. */
	UNTIL(is_ended(third) && count_ended(fds, COUNT_OF(fds)) == COUNT_OF(fds));
	assert_int_equal(l2cap_send(other, SPAN(sdu)), 0);
	UNTIL(node.datagrams == 1);
	assert_int_equal(node.failures, 0);
	close_all(fds, COUNT_OF(fds));
	close(third);
	close(other);
	UNTIL(node.failures == 1);
	assert_int_equal(node.failed_path, node.path);
	end();
}

static void a_queue_that_is_full_is_a_failure(void **state)
{
	const struct address remote = { .interface = ADDRESS_BLUETOOTH },
	                     local = { { 0, 0xaa, 1, 0, 0, 15, 1 }, 0 };
	uint8_t sdu[CARRIER_LARGE] = { 0 }, got[CARRIER_LARGE];
	size_t len = 0, sent = 0, came = 0;
	int fd, listener;

	(void)state;
	begin();
	appear();
	UNTIL(node.radios_len == 1);
	listener = __wrap_l2cap_listen(&local, 0x90);
	assert_int_equal(bluetooth_open(node.bluetooth, 1, &remote, 0x90), 0);
	fd = accepted(listener);
	/* What a full socket does not take waits, and comes whole and in order. */
	for (unsigned i = 0; i < BLUETOOTH_QUEUE_MAX; i++) {
		sdu[0] = (uint8_t)sent++;
		bluetooth_send(node.bluetooth, 1, SPAN(sdu));
	}
	bluetooth_flush(node.bluetooth);
	while (came < sent) {
		if (l2cap_receive(fd, got, &len) == 0)
			assert_true(len == sizeof(got) && got[0] == (uint8_t)came++);
		turn();
	}
	assert_int_equal(node.failures, 0);
	for (unsigned i = 0; i <= BLUETOOTH_QUEUE_MAX; i++)
		bluetooth_send(node.bluetooth, 1, SPAN(sdu));
	UNTIL(node.failures == 1 && node.failed_path == 1);
	/* What is sent before a path is closed still leaves. */
	len = 0;
	assert_int_equal(bluetooth_open(node.bluetooth, 2, &remote, 0x90), 0);
	close(fd);
	fd = accepted(listener);
	UNTIL_MS(false, 60); /* it is open by now: while it is not, it is closed at once */
	bluetooth_send(node.bluetooth, 2, SPAN(sdu));
	bluetooth_close_path(node.bluetooth, 2);
	UNTIL_MS(l2cap_receive(fd, got, &len) == 0, LIMIT_MS);
	assert_true(len == sizeof(got));
	UNTIL(is_ended(fd));
	close(fd);
	close(listener);
	assert_int_equal(node.failures, 1);
	end();
}

static void there_are_no_more_paths_than_that(void **state)
{
	const struct address remote = { .interface = ADDRESS_BLUETOOTH };

	(void)state;
	begin_advertising();
	caller = 9;
	for (uint32_t i = 0; i < BLUETOOTH_PATHS_MAX / 2; i++) {
		const uint8_t sdu[CARRIER_SMALL] = { 1 };

		assert_int_equal(bluetooth_open(node.bluetooth, i, &remote, 0x80), 0);
		bluetooth_send(node.bluetooth, i, SPAN(sdu));
		bluetooth_flush(node.bluetooth);
		UNTIL(node.channels == i + 1); /* we are the other side too: two paths each */
	}
	assert_int_equal(bluetooth_open(node.bluetooth, 1000, &remote, 0x80), 0);
	UNTIL(node.failures == 1 && node.failed_path == 1000);
	bluetooth_drop_paths(node.bluetooth);
	assert_int_equal(node.failures, 1);
	end();
}

static int tear_down(void **state)
{
	char path[64];

	(void)state;
	stop_bus();
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, i == 0 ? "bus" : "bus.conf");
		unlink(path);
	}
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_system_without_a_bus_is_no_error),
		cmocka_unit_test(asks_for_what_is_wanted_and_nothing_else),
		cmocka_unit_test(an_advertisement_ends_when_its_changes_have_arrived),
		cmocka_unit_test(a_change_arrives_in_time_where_nothing_says_so),
		cmocka_unit_test(hears_what_has_our_shape),
		cmocka_unit_test(a_flood_costs_no_memory),
		cmocka_unit_test(nonsense_is_passed_over),
		cmocka_unit_test(a_refusal_is_not_answered_with_a_storm),
		cmocka_unit_test(follows_what_comes_and_goes),
		cmocka_unit_test(strangers_wait_in_four_places),
		cmocka_unit_test(a_queue_that_is_full_is_a_failure),
		cmocka_unit_test(there_are_no_more_paths_than_that),
	};

	if (mkdtemp(folder) == NULL)
		return 1;
	write_config();
	if (!start_bus()) {
		printf("1..0 # skipped: there is no dbus-daemon\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, tear_down);
}
