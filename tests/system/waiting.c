/*
 * A carrier that waits: the group on the interfaces that are named, and a path to somebody who is not there.
 * waiting INTERFACE LOCAL REMOTE PORT
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "transport/lan.h"

static struct lan *lan;
static struct address local = { .ip = { [10] = 0xff, 0xff } }, remote = { .ip = { [10] = 0xff, 0xff } };
static uint16_t port;
static bool opened;

static void on_network(void *arg, const struct address *locals, size_t n)
{
	(void)arg;
	if (n == 0)
		return;
	local.interface = remote.interface = locals[0].interface;
	if (!opened && lan_open(lan, 1, &local, &remote, port) != 0)
		abort();
	opened = true;
	puts("waiting");
	fflush(stdout);
}

static void on_call(void *arg, const struct address *from, uint8_t ttl, struct span bytes)
{
	(void)arg;
	(void)from;
	(void)ttl;
	(void)bytes;
}

static void on_datagram(void *arg, uint32_t path, struct span bytes)
{
	(void)arg;
	(void)path;
	(void)bytes;
}

static void on_path(void *arg, uint32_t path)
{
	(void)arg;
	(void)path;
}

int main(int argc, char **argv)
{
	const struct lan_callbacks callbacks = { on_network, on_call, on_datagram, on_path, on_path };
	const char *const names[] = { argc == 5 ? argv[1] : "" };
	const struct lan_options options = { .interfaces = names, .interfaces_len = 1 };

	if (argc != 5 || inet_pton(AF_INET, argv[2], &local.ip[12]) != 1 ||
	    inet_pton(AF_INET, argv[3], &remote.ip[12]) != 1)
		return 2;
	port = (uint16_t)atoi(argv[4]);
	if (lan_new(&lan, uv_default_loop(), &options, &callbacks, NULL) != 0)
		return 1;
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
