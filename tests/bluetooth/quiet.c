/*
 * quiet.c: what a node shows that only answers, and one that is silent, in the small machine (machine).
 *
 *     quiet FLYLEAF QUICK_GUESS [SECONDS]
 *
 * Two nodes pair and write over Bluetooth. Then one of them is opened, left alone and locked, while
 * everything is recorded that goes to and from the controllers: it scans, with addresses that name nobody,
 * and does nothing else; silent, it does nothing at all. Nothing of the adapters has changed then, nothing
 * that bluetoothd keeps names us, and there is no bond. That the recording sees what it should is shown by
 * the same node when it calls.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bluetooth/tie.h"
#include "tests/bluetooth/trace.h"

enum { SECONDS = 60, SECONDS_FULL = 600, MESSAGES = 5 };

struct seen {
	unsigned scanning; /* commands and events of scanning */
	unsigned others;   /* everything else */
	unsigned named;    /* scans that would show an address which is the adapter's own */
	bool refused;      /* the controller took no random address for the scan that comes next */
	unsigned first;    /* opcode, or hex e000 | event: the first of the others */
};

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static bool is_scanning_command(uint16_t opcode)
{
	/* LE Set Random Address, Scan Parameters, Scan Enable, Extended Scan Parameters and Enable. The
	 * random address is for scanning only: there is no advertisement. */
	return opcode == 0x2005 || opcode == 0x200b || opcode == 0x200c || opcode == 0x2041 ||
	       opcode == 0x2042;
}

static bool is_scanning_event(const uint8_t *p, size_t len)
{
	if (len >= 6 && p[0] == 0x0e)
		return is_scanning_command(le16(p + 3));
	if (len >= 6 && p[0] == 0x0f)
		return is_scanning_command(le16(p + 4));
	/* Advertisements of others, in both forms. */
	return len >= 3 && p[0] == 0x3e && (p[2] == 0x02 || p[2] == 0x0d);
}

/* Scanning may ask an advertiser for more, by an address that has to be a random one. (btvirt takes none for
 * a while after a connection; then the kernel uses the adapter's own.) */
static bool shows_address(const uint8_t *p, size_t len)
{
	if (len >= 9 && le16(p) == 0x200b)
		return p[3] == 1 && (p[8] & 1) == 0;
	if (len >= 7 && le16(p) == 0x2041)
		return (p[6] & 1) == 1 && (p[3] & 1) == 0;
	return false;
}

static bool is_scanning_request(uint16_t opcode)
{
	/* Start and Stop Discovery, Start Service Discovery */
	return opcode == 0x23 || opcode == 0x24 || opcode == 0x3a;
}

static void look(void *arg, unsigned controller, unsigned kind, const uint8_t *p, size_t len)
{
	struct seen *const seen = arg;
	bool good;

	(void)controller;
	switch (kind) {
	case TRACE_COMMAND:
		good = len >= 3 && is_scanning_command(le16(p));
		seen->named += shows_address(p, len) && !seen->refused;
		break;
	case TRACE_EVENT:
		good = is_scanning_event(p, len);
		if (len >= 6 && p[0] == 0x0e && le16(p + 3) == 0x2005)
			seen->refused = p[5] != 0;
		break;
	case TRACE_CONTROL:
		/* After the cookie of the socket. */
		if (len < 6)
			return;
		good = is_scanning_request(le16(p + 4));
		break;
	case TRACE_ACL_OUT:
	case TRACE_ACL_IN:
		good = false;
		break;
	default:
		return;
	}
	seen->scanning += good;
	seen->others += !good;
	if (!good && seen->first == 0)
		seen->first = kind << 16 | (kind == TRACE_CONTROL ? le16(p + 4) : le16(p));
}

/* What is seen of a node that is opened, left alone and locked. */
static struct seen watch(struct device *d, unsigned seconds, bool radio)
{
	struct seen seen = { 0 };

	trace_begin();
	if (d != NULL) {
		device_start(d);
		if (radio)
			device_wait_for_radio(d, true);
	}
	sleep(seconds);
	if (d != NULL)
		device_end(d, SIGTERM);
	trace_end();
	trace_each(look, &seen);
	return seen;
}

/* All that bluetoothd says of itself; as it is while it scans for nobody. */
static void keep(const char *name)
{
	char command[512];

	snprintf(command, sizeof(command),
	         "dbus-send --system --print-reply --dest=org.bluez / "
	         "org.freedesktop.DBus.ObjectManager.GetManagedObjects | sed 1d >/tmp/says.%s && "
	         "find /var/lib/bluetooth -type f | sort | while read -r f; do echo \"$f\"; cat \"$f\"; done "
	         ">/tmp/keeps.%s",
	         name, name);
	device_root(command);
}

static void compare(const char *before, const char *after)
{
	char command[256];

	snprintf(command, sizeof(command),
	         "diff /tmp/says.%s /tmp/says.%s >/tmp/changed && diff /tmp/keeps.%s /tmp/keeps.%s "
	         ">>/tmp/changed",
	         before, after, before, after);
	if (device_root_status(command) == 0)
		return;
	(void)!system("cat /tmp/changed");
	device_fail("what bluetoothd says or keeps has changed");
}

static void answer_and_be_silent(struct tie *t, unsigned seconds)
{
	struct seen seen;

	keep("before");
	seen = watch(t->at, seconds, true);
	printf("quiet: answering for %u s: %u commands and events of scanning, %u others (%x), %u with the "
	       "own address\n",
	       seconds, seen.scanning, seen.others, seen.first, seen.named);
	if (seen.scanning == 0 || seen.others != 0 || seen.named != 0)
		device_fail("answering shows more than scanning");
	keep("after");
	compare("before", "after");

	device_start(t->at);
	tie_mode(t, "silent");
	device_end(t->at, SIGTERM);
	seen = watch(t->at, seconds / 4, true);
	printf("quiet: silent for %u s: %u of scanning, %u others (%x)\n", seconds / 4, seen.scanning,
	       seen.others, seen.first);
	if (seen.scanning != 0 || seen.others != 0)
		device_fail("silence is none");
	keep("after");
	compare("before", "after");
}

int main(int argc, char **argv)
{
	struct device ana = { .name = "ana", .home = "/home/user/quiet-ana", .interfaces = "hci0" };
	struct device ben = { .name = "ben", .home = "/home/user/quiet-ben", .interfaces = "hci1" };
	struct tie a = { .at = &ana, .other = "Zacharias" }, b = { .at = &ben, .other = "Yolanda" };
	const char *full = getenv("FLYLEAF_FULL");
	unsigned seconds = full != NULL && *full == '1' ? SECONDS_FULL : SECONDS;
	struct seen seen;

	if (argc < 3)
		return 2;
	device_program(argv[1], argv[2]);
	if (argc > 3)
		seconds = (unsigned)atoi(argv[3]);
	tie_begin(&a, &b);
	tie_wait(tie_is_linked, &a, "a link");
	tie_write(&a, MESSAGES);
	tie_write(&b, MESSAGES);
	tie_audit(&a, &b);
	device_end(&ana, SIGTERM);
	device_end(&ben, SIGTERM);
	/* Of a device that was heard bluetoothd keeps what it calls itself, for a while. */
	device_root("! grep -riE 'flyleaf|zacharias|yolanda|quiet|LongTermKey|LinkKey|IdentityResolving' "
	            "/var/lib/bluetooth");
	/* The link that was there ends, and bluetoothd forgets who was heard, which takes it half a minute.
	 */
	device_root(
	        "n=0; while ls -d /sys/class/bluetooth/hci*:* || dbus-send --system --print-reply "
	        "--dest=org.bluez / org.freedesktop.DBus.ObjectManager.GetManagedObjects | grep /dev_; do "
	        "n=$((n + 1)); [ $n -lt 90 ] || exit 1; sleep 1; done");
	answer_and_be_silent(&b, seconds);
	device_start(&ben);
	tie_mode(&b, "call");
	device_end(&ben, SIGTERM);
	seen = watch(&ben, 5, true);
	printf("quiet: calling for 5 s: %u of scanning, %u others (%x)\n", seen.scanning, seen.others,
	       seen.first);
	if (seen.others == 0)
		device_fail("what should be seen is not");
	return 0;
}
