/*
 * The carrier of Bluetooth, in the small machine (tests/bluetooth/machine): two carriers in one process, each
 * with a controller of its own, as an ordinary user.
 *
 * usage: carrier [PART...]      the parts of the table at the end, all without arguments
 */
#include "transport/bluetooth.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "transport/l2cap.h"

enum { LIMIT_MS = 30000, TICK_MS = 20, OPEN_TRIES = 30 };
/* As in the core: so many datagrams are on their way. */
enum { WINDOW = 24, BULK = 400, ROUNDS = 5, ENDINGS = 12 };

struct node {
	const char *name;
	const char *const *names;
	struct bluetooth_options options;
	struct bluetooth *bluetooth;
	struct radio radios[RADIOS_MAX];
	size_t radios_len;
	unsigned radios_told, adverts, channels, datagrams, failures;
	uint8_t advert[ADVERT_LEN], wanted[ADVERT_LEN];
	unsigned wanted_heard;
	struct address from; /* of the wanted advertisement */
	struct address channel_from;
	uint32_t path, failed_path;
	uint16_t psm;
	uint8_t last[CARRIER_LARGE];
	size_t last_len;
	bool closed;
};

/* A controller that is plugged in again may have another number. */
static const char *const first_names[] = { "hci0", "hci2", "hci4" }, *const second_names[] = { "hci1", "hci3",
	                                                                                       "hci5" };
static struct node a = { .name = "a", .names = first_names }, b = { .name = "b", .names = second_names };
static uv_loop_t loop;
static uv_timer_t tick;
static unsigned checks, faults;

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool check(bool good, const char *what, int line)
{
	checks++;
	faults += !good;
	printf("%s %u - line %d: %s\n", good ? "ok" : "not ok", checks, line, what);
	fflush(stdout);
	return good;
}

#define CHECK(what) check((what), #what, __LINE__)

static void nothing(uv_timer_t *timer)
{
	(void)timer;
}

/* Runs the loop until what is true, or for so long; is what then. */
#define UNTIL_MS(what, limit_ms)                                                                             \
	__extension__({                                                                                      \
		const double end_s = now_s() + (limit_ms) / 1000.0;                                          \
		bool done;                                                                                   \
		while (!(done = (what)) && now_s() < end_s)                                                  \
			uv_run(&loop, UV_RUN_ONCE);                                                          \
		done;                                                                                        \
	})
#define UNTIL(what) UNTIL_MS(what, LIMIT_MS)

/* ---- What root does --------------------------------------------------------- */

static int ask(const char *command)
{
	char answer[16] = "";
	int fd = open("/run/ask", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || dprintf(fd, "%s\n", command) < 0)
		return -1;
	close(fd);
	fd = open("/run/answer", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, answer, sizeof(answer) - 1) <= 0)
		return -1;
	close(fd);
	printf("# %s: %s", command, answer);
	return atoi(answer);
}

/* ---- Callbacks -------------------------------------------------------------- */

static void keep(struct node *n, struct span bytes)
{
	memcpy(n->last, bytes.p, bytes.len);
	n->last_len = bytes.len;
}

static void on_radios(void *arg, const struct radio *radios, size_t len)
{
	struct node *const n = arg;

	n->radios_told++;
	memcpy(n->radios, radios, len * sizeof(*radios));
	n->radios_len = len;
	printf("# %s: %zu radios, %u adverts\n", n->name, len, len > 0 ? radios[0].adverts : 0);
}

static void on_advert(void *arg, const struct address *from, struct span bytes)
{
	struct node *const n = arg;

	n->adverts++;
	assert(bytes.len == ADVERT_LEN);
	memcpy(n->advert, bytes.p, bytes.len);
	if (memcmp(n->wanted, bytes.p, bytes.len) != 0)
		return;
	n->wanted_heard++;
	n->from = *from;
}

static void on_channel(void *arg, uint32_t path, const struct address *from, uint16_t psm, struct span sdu)
{
	struct node *const n = arg;

	n->channels++;
	n->channel_from = *from;
	n->path = path;
	n->psm = psm;
	keep(n, sdu);
}

static void on_datagram(void *arg, uint32_t path, struct span bytes)
{
	struct node *const n = arg;

	n->datagrams++;
	n->path = path;
	keep(n, bytes);
}

static void on_failed(void *arg, uint32_t path)
{
	struct node *const n = arg;

	n->failures++;
	n->failed_path = path;
}

static void on_closed(void *arg)
{
	((struct node *)arg)->closed = true;
}

static const struct bluetooth_callbacks callbacks = { on_radios, on_advert, on_channel, on_datagram,
	                                              on_failed };

static void begin(struct node *n)
{
	n->options = (struct bluetooth_options){ n->names, COUNT_OF(first_names) };
	n->closed = false;
	n->radios_len = 0;
	CHECK(bluetooth_new(&n->bluetooth, &loop, &n->options, &callbacks, n) == 0);
}

static void end(struct node *n)
{
	bluetooth_close(n->bluetooth, on_closed, n);
	CHECK(UNTIL(n->closed));
}

/* ---- Advertisements and channels -------------------------------------------- */

/* Whether the status of the one adapter, or of none, is this; NULL: it works. */
static bool says(const struct node *n, const char *why_not)
{
	struct bluetooth_status status[RADIOS_MAX];

	if (bluetooth_status(n->bluetooth, status) != 1)
		return false;
	if (why_not == NULL || status[0].why_not == NULL)
		return why_not == status[0].why_not;
	return strcmp(status[0].why_not, why_not) == 0;
}

static uint32_t interface_of(const struct node *n)
{
	return n->radios[0].interface;
}

/* n advertises a fresh advertisement on psm, alone, and the other waits for it. */
static void advertise(struct node *n, struct node *other, uint8_t psm)
{
	uint8_t bytes[BLUETOOTH_ADVERT_LEN];

	for (size_t i = 0; i < ADVERT_LEN; i++)
		bytes[i] = (uint8_t)rand();
	bytes[ADVERT_LEN] = psm;
	memcpy(other->wanted, bytes, ADVERT_LEN);
	other->wanted_heard = 0;
	bluetooth_advertise(n->bluetooth, interface_of(n), SPAN(bytes));
}

static void radios_part(void)
{
	CHECK(UNTIL(a.radios_len == 1 && a.radios[0].adverts > 0 && b.radios_len == 1 &&
	            b.radios[0].adverts > 0));
	CHECK(interface_of(&a) == (ADDRESS_BLUETOOTH | 0) && interface_of(&b) == (ADDRESS_BLUETOOTH | 1));
	CHECK(says(&a, NULL));
}

static void adverts_part(void)
{
	double start_s;

	bluetooth_scan(a.bluetooth, true);
	advertise(&b, &a, 0xf1);
	start_s = now_s();
	CHECK(UNTIL(a.wanted_heard > 0));
	printf("# heard after %.0f ms\n", (now_s() - start_s) * 1000);
	for (int i = 0; i < 12; i++) {
		start_s = now_s();
		advertise(&b, &a, (uint8_t)(0xe0 + i));
		if (!UNTIL(a.wanted_heard > 0))
			CHECK(!"changed in place, and heard");
		printf("# changed, heard after %.0f ms\n", (now_s() - start_s) * 1000);
		UNTIL_MS(false, 1000);
	}
	CHECK(a.wanted_heard > 0);
	CHECK(address_is_bluetooth(&a.from) && a.from.interface == interface_of(&a) && a.from.ip[6] == 1);
}

/* From a to b, which is heard by now, and goes on to advertise. */
static bool open_channel(uint32_t path, uint8_t psm, const uint8_t *sdu, size_t len)
{
	const unsigned channels = b.channels, failures = a.failures;
	const double start_s = now_s();

	if (bluetooth_open(a.bluetooth, path, &a.from, psm) != 0)
		return false;
	bluetooth_send(a.bluetooth, path, span_from(sdu, len));
	bluetooth_flush(a.bluetooth);
	for (int i = 0; i < OPEN_TRIES && b.channels == channels && a.failures == failures; i++) {
		UNTIL_MS(b.channels > channels || a.failures > failures, 1000);
		advertise(&b, &a, 0xff);
	}
	if (b.channels == channels)
		return false;
	printf("# channel and first SDU after %.0f ms\n", (now_s() - start_s) * 1000);
	return true;
}

/* bluetoothd before 5.73 crashes when an advertisement ends while a change of it is under way (bluez.c). */
static void endings_part(void)
{
	bluetooth_scan(a.bluetooth, true);
	for (int i = 0; i < ENDINGS; i++) {
		advertise(&b, &a, (uint8_t)(0xd0 + i));
		if (!UNTIL(a.wanted_heard > 0))
			CHECK(!"heard");
		advertise(&b, &a, (uint8_t)(0xd0 + i));
		bluetooth_advertise(b.bluetooth, interface_of(&b), SPAN_NONE);
	}
	/* And none is left behind, however little of its beginning was over. */
	for (int i = 0; i < ENDINGS; i++) {
		advertise(&b, &a, (uint8_t)(0xe0 + i));
		UNTIL_MS(false, 10 * i);
		end(&b);
		CHECK(ask("n=0; until dbus-send --system --print-reply --dest=org.bluez /org/bluez/hci1 "
		          "org.freedesktop.DBus.Properties.Get string:org.bluez.LEAdvertisingManager1 "
		          "string:ActiveInstances | grep 'byte 0'; do n=$((n + 1)); [ $n -lt 20 ] || exit 1; "
		          "usleep 100000; done") == 0);
		begin(&b);
		CHECK(UNTIL(b.radios_len == 1 && b.radios[0].adverts > 0));
	}
	/* Nor in the air. */
	bluetooth_scan(a.bluetooth, false);
	UNTIL_MS(false, 3000);
	a.adverts = 0;
	bluetooth_scan(a.bluetooth, true);
	UNTIL_MS(false, 5000);
	CHECK(a.adverts == 0);
	CHECK(ask("! cat /run/bluetoothd.ends") == 0);
}

static void channels_part(void)
{
	uint8_t sdu[CARRIER_LARGE];

	for (size_t i = 0; i < sizeof(sdu); i++)
		sdu[i] = (uint8_t)rand();
	advertise(&b, &a, 0xf1);
	CHECK(UNTIL(a.wanted_heard > 0));
	CHECK(open_channel(1, 0xf1, sdu, CARRIER_SMALL));
	CHECK(b.psm == 0xf1 && (b.path & PATH_ACCEPTED) != 0 && b.last_len == CARRIER_SMALL &&
	      memcmp(b.last, sdu, CARRIER_SMALL) == 0);
	CHECK(address_is_bluetooth(&b.channel_from) && b.channel_from.ip[6] == 1);
	for (size_t i = 0; i < 2; i++) {
		const size_t len = i == 0 ? CARRIER_SMALL : CARRIER_LARGE;
		const uint32_t theirs = b.path;

		sdu[0]++;
		bluetooth_send(a.bluetooth, 1, span_from(sdu, len));
		bluetooth_flush(a.bluetooth);
		CHECK(UNTIL(b.last_len == len && memcmp(b.last, sdu, len) == 0) && b.path == theirs);
		sdu[0]++;
		bluetooth_send(b.bluetooth, theirs, span_from(sdu, len));
		bluetooth_flush(b.bluetooth);
		CHECK(UNTIL(a.last_len == len && memcmp(a.last, sdu, len) == 0) && a.path == 1);
	}
	/* A PSM that was never advertised. */
	CHECK(!open_channel(2, 0xf2, sdu, CARRIER_SMALL) && UNTIL(a.failed_path == 2));
	/* The end of one side is the other's failure. */
	a.failures = 0;
	bluetooth_close_path(b.bluetooth, b.path);
	CHECK(UNTIL(a.failures == 1 && a.failed_path == 1));
}

/* ---- What strangers do ------------------------------------------------------ */

static unsigned ended(const int *fds, size_t n)
{
	unsigned count = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t sdu[CARRIER_LARGE];
		size_t len;

		if (fds[i] >= 0 && l2cap_connected(fds[i]) != 0)
			count++;
		else if (fds[i] >= 0)
			count += l2cap_receive(fds[i], sdu, &len) == L2CAP_BROKEN;
	}
	return count;
}

static bool writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1;
}

static struct address local_of(const char *variable, uint32_t interface)
{
	struct address at = { .interface = interface };
	const char *text = getenv(variable);

	assert(text != NULL);
	for (int i = 0; i < 6; i++)
		at.ip[i] = (uint8_t)strtoul(text + 3 * i, NULL, 16);
	at.ip[6] = 1;
	return at;
}

static void strangers_part(void)
{
	const struct address from = local_of("BT_ADDR0", interface_of(&a)),
	                     to = local_of("BT_ADDR1", interface_of(&b));
	const unsigned channels = b.channels;
	int fds[BLUETOOTH_WAITING_MAX + 1];
	double start_s = now_s();

	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		advertise(&b, &a, 0xf3);
		CHECK(UNTIL(a.wanted_heard > 0));
		fds[i] = l2cap_connect(&from, &to, 0xf3);
		if (!CHECK(fds[i] >= 0 && UNTIL(writable(fds[i]))))
			return;
		start_s = now_s();
	}
	/* One gives its place to the last; the others wait, and are closed without a word. */
	CHECK(UNTIL(ended(fds, COUNT_OF(fds)) >= 1));
	CHECK(UNTIL(ended(fds, COUNT_OF(fds)) == COUNT_OF(fds)));
	printf("# all are closed after %.1f s\n", now_s() - start_s);
	CHECK(now_s() - start_s < 12);
	CHECK(b.channels == channels);
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		close(fds[i]);
}

/* ---- What happens to machines ----------------------------------------------- */

static void works_again(uint32_t path, uint8_t psm)
{
	const uint8_t sdu[CARRIER_SMALL] = { 7 };

	CHECK(UNTIL(a.radios_len == 1 && b.radios_len == 1 && b.radios[0].adverts > 0));
	advertise(&b, &a, psm);
	CHECK(UNTIL(a.wanted_heard > 0));
	CHECK(open_channel(path, psm, sdu, sizeof(sdu)));
}

static void power_part(void)
{
	works_again(10, 0x90);
	b.failures = 0;
	CHECK(ask("btmgmt --index 1 power off") == 0);
	CHECK(UNTIL(b.radios_len == 0 && b.failures == 1));
	CHECK(UNTIL(says(&b, "Bluetooth is switched off")));
	CHECK(UNTIL(a.failed_path == 10));
	CHECK(ask("btmgmt --index 1 power on") == 0);
	works_again(11, 0x91);
	CHECK(ask("btmgmt --index 0 power off") == 0);
	CHECK(UNTIL(a.radios_len == 0 && a.failed_path == 11));
	CHECK(ask("btmgmt --index 0 power on") == 0);
	works_again(12, 0x92); /* scanning begins by itself */
	CHECK(ask("for i in /sys/class/rfkill/rfkill*; do echo 1 >$i/soft; done") == 0);
	CHECK(UNTIL(b.radios_len == 0 && a.radios_len == 0));
	CHECK(UNTIL(says(&a, "blocked by a switch (rfkill)")));
	CHECK(ask("for i in /sys/class/rfkill/rfkill*; do echo 0 >$i/soft; done") == 0);
	works_again(13, 0x93);
	bluetooth_drop_paths(a.bluetooth);
}

static void daemon_part(void)
{
	works_again(20, 0xa0);
	CHECK(ask("bluetoothd off") == 0);
	CHECK(UNTIL(a.radios_len == 0 && b.radios_len == 0));
	CHECK(UNTIL(says(&a, "the system's Bluetooth service is not running")));
	UNTIL_MS(false, 2500);
	CHECK(ask("bluetoothd on") == 0);
	works_again(21, 0xa1);
	bluetooth_drop_paths(a.bluetooth);
}

static void unplugged_part(void)
{
	works_again(30, 0xb0);
	CHECK(ask("controllers off") == 0);
	CHECK(UNTIL(a.radios_len == 0 && b.radios_len == 0 && a.failed_path == 30));
	CHECK(UNTIL(says(&a, "there is no Bluetooth adapter")));
	CHECK(ask("controllers on") == 0);
	works_again(31, 0xb1);
	bluetooth_drop_paths(a.bluetooth);
}

/* ---- How fast --------------------------------------------------------------- */

static uint8_t bulk[CARRIER_LARGE];

/* Over the carrier, with as many on their way as the core has. */
static double carrier_rate(uint32_t path)
{
	const unsigned before = b.datagrams;
	const double start_s = now_s();
	unsigned sent = 0;

	while (b.datagrams - before < BULK && now_s() - start_s < LIMIT_MS / 1000.0) {
		for (; sent < BULK && sent - (b.datagrams - before) < WINDOW; sent++)
			bluetooth_send(a.bluetooth, path, SPAN(bulk));
		bluetooth_flush(a.bluetooth);
		uv_run(&loop, UV_RUN_ONCE);
	}
	return (b.datagrams - before) * sizeof(bulk) / (now_s() - start_s);
}

/* Over a bare channel, both ends in one process too, with so many on their way. */
static double bare_rate(int out, int in, unsigned window)
{
	const double start_s = now_s();
	unsigned sent = 0, got = 0;

	while (got < BULK && now_s() - start_s < LIMIT_MS / 1000.0) {
		struct pollfd p[2] = { { in, POLLIN, 0 },
			               { sent < BULK && sent - got < window ? out : -1, POLLOUT, 0 } };
		uint8_t sdu[CARRIER_LARGE];
		size_t len;

		poll(p, 2, 1000);
		while (sent < BULK && sent - got < window && l2cap_send(out, SPAN(bulk)) == 0)
			sent++;
		while (l2cap_receive(in, sdu, &len) == 0)
			got++;
	}
	return got * sizeof(bulk) / (now_s() - start_s);
}

static double larger(double x, double y)
{
	return x > y ? x : y;
}

static int by_size(const void *x, const void *y)
{
	return (*(const double *)x > *(const double *)y) - (*(const double *)x < *(const double *)y);
}

static double middle(double v[static ROUNDS])
{
	qsort(v, ROUNDS, sizeof(v[0]), by_size);
	return v[ROUNDS / 2];
}

static void speed_part(void)
{
	const struct address from = local_of("BT_ADDR0", interface_of(&a)),
	                     to = local_of("BT_ADDR1", interface_of(&b));
	double rates[ROUNDS], all[ROUNDS], few[ROUNDS], bare;
	struct address caller;
	int out, in = -1, listener;

	works_again(40, 0xc0);
	listener = l2cap_listen(&to, 0xcf);
	out = l2cap_connect(&from, &to, 0xcf);
	if (!CHECK(listener >= 0 && out >= 0 &&
	           UNTIL(writable(out) && l2cap_accept(&in, listener, &to, &caller) == 0)))
		return;
	for (int i = 0; i < ROUNDS; i++) {
		all[i] = bare_rate(out, in, BULK);
		rates[i] = carrier_rate(40);
		few[i] = bare_rate(out, in, WINDOW);
		printf("# bare %.0f or %.0f kB/s, carrier %.0f kB/s\n", all[i] / 1000, few[i] / 1000,
		       rates[i] / 1000);
	}
	/* A bare channel with as many on their way as the kernel takes, or as many as we have: the faster. */
	bare = larger(middle(all), middle(few));
	printf("# in the middle %.2f of the bare one\n", middle(rates) / bare);
	CHECK(middle(rates) >= 0.7 * bare);
	bluetooth_drop_paths(a.bluetooth);
	close(out);
	close(in);
	close(listener);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} parts[] = {
		{ "radios", radios_part },       { "adverts", adverts_part },
		{ "endings", endings_part },     { "channels", channels_part },
		{ "strangers", strangers_part }, { "speed", speed_part },
		{ "power", power_part },         { "daemon", daemon_part },
		{ "unplugged", unplugged_part },
	};
	const double start_s = now_s();

	uv_loop_init(&loop);
	uv_timer_init(&loop, &tick);
	uv_timer_start(&tick, nothing, TICK_MS, TICK_MS);
	begin(&a);
	begin(&b);
	bluetooth_scan(a.bluetooth, true);
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		bool chosen = argc == 1 || i == 0;

		for (int j = 1; j < argc; j++)
			chosen |= strcmp(argv[j], parts[i].name) == 0;
		if (!chosen)
			continue;
		printf("# %s, at %.1f s\n", parts[i].name, now_s() - start_s);
		parts[i].run();
	}
	end(&a);
	end(&b);
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	CHECK(uv_loop_close(&loop) == 0);
	printf("1..%u\n# %.1f s\n", checks, now_s() - start_s);
	return faults != 0;
}
