/*
 * crowd.c: one worker and many clients, all within range of each other, in the small machine (machine).
 *
 *     crowd FLYLEAF QUICK_GUESS CLIENTS [ABSENT]
 *
 * The worker on hci0 pairs with clients on hci1, hci2, ... and calls them; where there are not so many
 * controllers, all the clients share hci1. Everybody writes to the worker,
 * and the worker to everybody; all nodes are killed and started again, together, and write again. At the end
 * nothing is lost, nothing is there twice, the order is kept, and everybody is linked: nobody starves. How
 * long it took each of them to be linked is printed. Then the worker gets many contacts more that are never
 * there, put into its vault by the program ABSENT, calls them all, and finds those that are there all the
 * same.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bluetooth/tie.h"

enum { CLIENTS_MAX = 7, MESSAGES = 20, STARVED_S = 60, CONTACTS = 60 };

static struct device worker = { .name = "worker", .home = "/home/user/worker", .interfaces = "hci0" };
static struct client {
	char name[16], home[32], interface[8];
	struct device device;
	struct tie to, from; /* the worker as the client sees it, and the other way round */
	double linked_s;
} clients[CLIENTS_MAX];
static size_t clients_len;
static bool own_controllers; /* else the clients share one */

static void arrive(struct client *c, size_t number)
{
	snprintf(c->name, sizeof(c->name), "client%zu", number);
	snprintf(c->home, sizeof(c->home), "/home/user/client%zu", number);
	snprintf(c->interface, sizeof(c->interface), "hci%zu", own_controllers ? number : 1);
	c->device = (struct device){ .name = c->name, .home = c->home, .interfaces = c->interface };
	c->to = (struct tie){ .at = &c->device, .other = "Worker" };
	c->from = (struct tie){ .at = &worker, .other = c->name };
	device_init(&c->device);
	device_start(&c->device);
	tie_pair(&c->from, &c->to);
}

/* Everybody is linked at both ends. */
static void gather(double began)
{
	double times[CLIENTS_MAX];
	size_t linked = 0;

	for (size_t i = 0; i < clients_len; i++)
		clients[i].linked_s = 0;
	while (linked < clients_len && device_now_s() - began < DEVICE_PATIENCE_S) {
		for (size_t i = 0; i < clients_len; i++) {
			struct client *const c = &clients[i];

			if (c->linked_s > 0 || !tie_is_linked(&c->from) || !tie_is_linked(&c->to))
				continue;
			c->linked_s = device_now_s() - began;
			times[linked++] = c->linked_s;
		}
		usleep(50000);
	}
	for (size_t i = 0; i < clients_len; i++)
		if (clients[i].linked_s == 0) {
			tie_print(&clients[i].from);
			tie_print(&clients[i].to);
		}
	if (linked < clients_len)
		device_fail("%zu of %zu are linked after %d s", linked, clients_len, DEVICE_PATIENCE_S);
	qsort(times, linked, sizeof(times[0]), device_ascending);
	printf("crowd: %zu clients linked: first %.1f s, median %.1f s, p95 %.1f s, last %.1f s\n", linked,
	       times[0], times[linked / 2], times[(linked * 95 + 99) / 100 - 1], times[linked - 1]);
	if (times[linked - 1] > STARVED_S)
		device_fail("somebody starves");
}

static void write_all(void)
{
	for (size_t i = 0; i < clients_len; i++) {
		tie_write(&clients[i].to, MESSAGES / 2);
		tie_write(&clients[i].from, MESSAGES / 2);
	}
}

static void audit_all(void)
{
	for (size_t i = 0; i < clients_len; i++)
		tie_audit(&clients[i].from, &clients[i].to);
}

static void end_all(int signal)
{
	for (size_t i = 0; i < clients_len; i++)
		device_end(&clients[i].device, signal);
	device_end(&worker, signal);
}

/* Returns when everybody was open. */
static double start_all(void)
{
	double began;

	device_run(&worker);
	for (size_t i = 0; i < clients_len; i++)
		device_run(&clients[i].device);
	device_attach(&worker);
	for (size_t i = 0; i < clients_len; i++)
		device_attach(&clients[i].device);
	began = device_now_s();
	for (size_t i = 0; i < clients_len; i++)
		device_wait_for_radio(&clients[i].device, true);
	return began;
}

int main(int argc, char **argv)
{
	double began;

	if (argc < 4)
		return 2;
	device_program(argv[1], argv[2]);
	clients_len = (size_t)atoi(argv[3]);
	if (clients_len == 0 || clients_len > CLIENTS_MAX)
		return 2;
	own_controllers = atoi(getenv("BT_COUNT")) > (int)clients_len;
	device_init(&worker);
	device_start(&worker);
	for (size_t i = 0; i < clients_len; i++)
		arrive(&clients[i], i + 1);
	gather(device_now_s());
	began = device_now_s();
	write_all();
	audit_all();
	printf("crowd: %d messages each way for each, %.1f s\n", MESSAGES / 2, device_now_s() - began);
	write_all();
	end_all(SIGKILL);
	gather(start_all());
	audit_all();
	end_all(SIGTERM);
	gather(start_all());
	printf("crowd: nothing lost, doubled or out of order\n");
	if (argc == 5) {
		end_all(SIGTERM);
		device_add_absent(&worker, argv[4], CONTACTS - clients_len);
		printf("crowd: the worker has %d contacts\n", CONTACTS);
		gather(start_all());
		write_all();
		audit_all();
	}
	end_all(SIGTERM);
	return 0;
}
