/*
 * talk.c: two nodes and nothing between them but Bluetooth, in the small machine (machine).
 *
 *     talk FLYLEAF QUICK_GUESS [MESSAGES [TIMES]]
 *
 * As an ordinary user: two vaults, one node on hci0 and one on hci1. They pair by a spoken code, and write
 * MESSAGES to each other and one of the greatest length, while a node is killed, an adapter is switched off,
 * bluetoothd is restarted and both controllers are unplugged. Then they have a network as well, which goes
 * and comes back so many TIMES while they write. At the end nothing is lost, nothing is there twice, and the
 * order is kept. How long a link took to come about is printed. Then `flyleaf doctor` is asked of this
 * machine while it is changed.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bluetooth/tie.h"

enum { LINKS_MAX = 64 };

static char doctor[256]; /* the command */
static double links[LINKS_MAX];
static size_t links_len;

static void link_up(struct tie *a, struct tie *b, double began)
{
	tie_wait(tie_is_linked, a, "a link");
	tie_wait(tie_is_linked, b, "a link");
	if (links_len < LINKS_MAX)
		links[links_len++] = device_now_s() - began;
}

static bool is_over_lan(struct tie *t)
{
	return tie_is_over(t, "lan");
}

static bool is_over_bluetooth(struct tie *t)
{
	return tie_is_over(t, "bluetooth");
}

/* With a network too: it goes and comes back while they write. */
static void roam(struct tie *const both[2], unsigned times, unsigned messages)
{
	for (size_t i = 0; i < 2; i++)
		device_end(both[i]->at, SIGTERM);
	both[0]->at->interfaces = "lo=127.0.0.1,hci0";
	both[1]->at->interfaces = "lo=127.0.0.2,hci1";
	for (size_t i = 0; i < 2; i++)
		device_start(both[i]->at);
	for (unsigned n = 0; n < times; n++) {
		const double began = device_now_s();

		tie_wait(is_over_lan, both[0], "a link over the network");
		tie_write(both[n % 2], messages / times);
		device_root("ip link set lo down");
		tie_write(both[(n + 1) % 2], messages / times);
		tie_wait(is_over_bluetooth, both[0], "a link over Bluetooth");
		device_root("ip link set lo up");
		printf("talk: from the network to Bluetooth, %.1f s\n", device_now_s() - began);
	}
	tie_audit(both[0], both[1]);
}

/* flyleaf doctor says this of the machine. */
static void doctor_says(const char *words)
{
	static char said[8192];
	size_t len;
	FILE *f = popen(doctor, "r");

	if (f == NULL)
		device_fail("no doctor");
	len = fread(said, 1, sizeof(said) - 1, f);
	said[len] = '\0';
	pclose(f);
	if (strstr(said, words) == NULL)
		device_fail("doctor does not say \"%s\", but:\n%s", words, said);
}

static void visit_doctor(const char *flyleaf)
{
	snprintf(doctor, sizeof(doctor), "%s doctor", flyleaf);
	doctor_says("good  Bluetooth: hci0 is on");
	doctor_says("good  Bluetooth: hci1 is on");
	doctor_says("WEAK  Bluetooth address: always the same");
	doctor_says("good  Bluetooth visibility: this machine does not show itself");
	doctor_says("?     Bluetooth name: while this device calls, who is near can read from it: ");
	doctor_says("?     Bluetooth records: ");
	device_root("bluetoothctl discoverable on && sed -i 's/^.General.$/&\\nPrivacy = device/' "
	            "/etc/bluetooth/main.conf");
	doctor_says("WEAK  Bluetooth visibility: hci");
	doctor_says("good  Bluetooth address: another one every few minutes");
	device_root("for i in /sys/class/rfkill/rfkill*; do echo 1 >$i/soft; done");
	doctor_says("good  Bluetooth: hci1 is not used: blocked by a switch (rfkill)");
	device_root("bluetoothd off");
	doctor_says("good  Bluetooth: not used: the system's Bluetooth service is not running");
	device_root("controllers off");
	doctor_says("good  Bluetooth: there is no adapter");
	puts("talk: doctor says what there is to say of Bluetooth");
}

/* What happens in a round; the link is up again afterwards, or on its way. */
static void hurt(struct tie *a, struct tie *b, unsigned round)
{
	double began;

	switch (round) {
	case 1:
	case 5:
	case 7: {
		struct device *const d = round == 7 ? a->at : b->at;

		device_end(d, SIGKILL);
		device_start(d);
		break;
	}
	case 2:
	case 6:
		device_root("btmgmt --index 1 power off");
		device_root("btmgmt --index 1 power on");
		break;
	case 3:
		device_root("bluetoothd off");
		device_root("bluetoothd on");
		return;
	case 4:
		device_root("controllers off");
		/* Else they have other names when they come back. */
		device_wait_for_radio(a->at, false);
		device_wait_for_radio(b->at, false);
		device_root("controllers on");
		return;
	default:
		return;
	}
	began = device_now_s();
	link_up(a, b, began);
}

int main(int argc, char **argv)
{
	struct device ana = { .name = "ana", .home = "/home/user/ana", .interfaces = "hci0" };
	struct device ben = { .name = "ben", .home = "/home/user/ben", .interfaces = "hci1" };
	struct tie a = { .at = &ana, .other = "Ben" }, b = { .at = &ben, .other = "Ana" };
	struct tie *both[] = { &a, &b };
	unsigned messages, times;

	if (argc < 3)
		return 2;
	device_program(argv[1], argv[2]);
	messages = argc > 3 ? (unsigned)atoi(argv[3]) : 1000;
	times = argc > 4 ? (unsigned)atoi(argv[4]) : 10;
	tie_begin(&a, &b);
	link_up(&a, &b, device_now_s());
	for (unsigned round = 0; round < 10; round++) {
		const double began = device_now_s();

		tie_write(&a, messages / 10);
		tie_write(&b, messages / 10);
		hurt(&a, &b, round);
		printf("talk: round %u, %.1f s\n", round, device_now_s() - began);
	}
	tie_audit(&a, &b);
	qsort(links, links_len, sizeof(links[0]), device_ascending);
	printf("talk: %u and %u messages, nothing lost, doubled or out of order; %zu links, median %.1f s, "
	       "longest %.1f s\n",
	       a.written, b.written, links_len, links[links_len / 2], links[links_len - 1]);
	roam(both, times, 20 * times);
	printf("talk: %u times from the network to Bluetooth and back: nothing lost, doubled or out of "
	       "order\n",
	       times);
	device_end(&ana, SIGTERM);
	device_end(&ben, SIGTERM);
	visit_doctor(argv[1]);
	return 0;
}
