/*
 * The carrier of the local network over the loopback, and, as root, in network namespaces of its own.
 */
#include "transport/lan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/failing_calls.h"
#include "tests/failing_memory.h"
#include "tests/unit/unit.h"
#include "transport/call.h"
#include "transport/udp.h"

enum { LIMIT_MS = 5000, PORT = 50123 };

struct peer {
	struct lan *lan;
	struct lan_options options;
	unsigned networks, calls, datagrams, failures, refusals;
	struct address from;
	uint8_t ttl;
	uint8_t last[CARRIER_LARGE];
	size_t last_len;
	size_t bytes;
	uint32_t last_path;
	bool closed;
};

static uv_loop_t loop;
static bool in_child; /* where a failed test of cmocka's would go on with the next one */
static const char *const loopback[] = { "lo" };

/* Whether no path holds this port of 127.0.0.1. */
static bool port_is_free(uint16_t port)
{
	const struct sockaddr_in at = { .sin_family = AF_INET,
		                        .sin_port = htons(port),
		                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const bool is_free = bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;

	close(fd);
	return is_free;
}

static void check_at(bool true_one, const char *what, int line)
{
	if (!true_one && in_child) {
		fprintf(stderr, "line %d: %s\n", line, what);
		_exit(1);
	}
	_assert_true(true_one, what, __FILE__, line);
}

#define CHECK(what) check_at((what), #what, __LINE__)

static void on_network(void *arg, const struct address *locals, size_t n)
{
	(void)locals;
	(void)n;
	((struct peer *)arg)->networks++;
}

static void keep(struct peer *p, struct span bytes)
{
	CHECK(bytes.len <= sizeof(p->last));
	memcpy(p->last, bytes.p, bytes.len);
	p->last_len = bytes.len;
	p->bytes += bytes.len;
}

static void on_call(void *arg, const struct address *from, uint8_t ttl, struct span bytes)
{
	struct peer *p = arg;

	p->calls++;
	p->from = *from;
	p->ttl = ttl;
	keep(p, bytes);
}

static void on_datagram(void *arg, uint32_t path, struct span bytes)
{
	struct peer *p = arg;

	p->datagrams++;
	p->last_path = path;
	keep(p, bytes);
}

static void on_failed(void *arg, uint32_t path)
{
	struct peer *p = arg;

	p->failures++;
	p->last_path = path;
}

static void on_refused(void *arg, uint32_t path)
{
	struct peer *p = arg;

	p->refusals++;
	p->last_path = path;
}

static const struct lan_callbacks callbacks = { on_network, on_call, on_datagram, on_failed, on_refused };

static void on_closed(void *arg)
{
	((struct peer *)arg)->closed = true;
}

static void nothing(uv_timer_t *timer)
{
	(void)timer;
}

/* Runs the loop until *counter is at least wanted, or for limit_ms; says whether it is. The timer keeps a
 * turn from waiting for long after the one that counted. */
static bool reach(const unsigned *counter, unsigned wanted, unsigned limit_ms)
{
	uv_timer_t timer;
	const uint64_t end = uv_now(&loop) + limit_ms;

	uv_timer_init(&loop, &timer);
	uv_timer_start(&timer, nothing, 5, 5);
	while (*counter < wanted && uv_now(&loop) < end)
		uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
	return *counter >= wanted;
}

static void peer_start(struct peer *p, const char *const *names, size_t n)
{
	*p = (struct peer){ .options = { names, n } };
	CHECK(lan_new(&p->lan, &loop, &p->options, &callbacks, p) == 0);
	CHECK(reach(&p->networks, 1, LIMIT_MS));
}

static void peer_stop(struct peer *p)
{
	lan_close(p->lan, on_closed, p);
	while (!p->closed)
		uv_run(&loop, UV_RUN_ONCE);
}

static struct address ipv4(const char *text, uint32_t interface)
{
	struct address a = { .ip = { [10] = 0xff, 0xff }, .interface = interface };

	assert_int_equal(inet_pton(AF_INET, text, &a.ip[12]), 1);
	return a;
}

static int loop_open(void **state)
{
	(void)state;
	return uv_loop_init(&loop);
}

static int loop_shut(void **state)
{
	(void)state;
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

/* ---- The group ------------------------------------------------------------- */

static void a_call_reaches_every_node_of_the_machine(void **state)
{
	struct peer a, b;
	const struct address *locals;
	uint8_t call[CALL_SMALL_LEN] = { 0x5a, [CALL_SMALL_LEN - 1] = 0xa5 };

	(void)state;
	peer_start(&a, loopback, 1);
	peer_start(&b, loopback, 1);
	assert_int_equal(lan_locals(a.lan, &locals), 1);
	lan_call(a.lan, &locals[0], SPAN(call));
	assert_true(reach(&a.calls, 1, LIMIT_MS) && reach(&b.calls, 1, LIMIT_MS));
	assert_int_equal(b.ttl, 255);
	assert_true(address_equal(&b.from, &locals[0]));
	assert_int_equal(b.last_len, sizeof(call));
	assert_memory_equal(b.last, call, sizeof(call));
	peer_stop(&a);
	peer_stop(&b);
}

/* From a socket of any kind: what is not a call's size, or not from the port of calls, does not come up. */
static void what_cannot_be_a_call_is_not_seen(void **state)
{
	struct peer a;
	const struct address *locals;
	const uint8_t bytes[1500] = { 0 };
	static const size_t sizes[] = { 0, 1, 60, 395, 397, 1163, 1165, 1500 };
	const struct sockaddr_in group = { .sin_family = AF_INET,
		                           .sin_port = htons(UDP_CALL_PORT),
		                           .sin_addr.s_addr = inet_addr("224.0.0.251") };
	const struct ip_mreqn via = { .imr_ifindex = 1 };
	const int other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	peer_start(&a, loopback, 1);
	(void)lan_locals(a.lan, &locals);
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		lan_call(a.lan, &locals[0], span_from(bytes, sizes[i]));
	assert_int_equal(setsockopt(other, IPPROTO_IP, IP_MULTICAST_IF, &via, sizeof(via)), 0);
	assert_int_equal(sendto(other, bytes, CALL_SMALL_LEN, 0, (const struct sockaddr *)&group,
	                        sizeof(group)),
	                 CALL_SMALL_LEN);
	assert_false(reach(&a.calls, 1, 100));
	lan_call(a.lan, &locals[0], span_from(bytes, CALL_LARGE_LEN));
	assert_true(reach(&a.calls, 1, LIMIT_MS));
	close(other);
	peer_stop(&a);
}

static void the_loopback_is_used_only_when_named(void **state)
{
	struct peer a;
	struct lan_status status[INTERFACES_MAX];
	size_t n, found = 0;

	(void)state;
	peer_start(&a, NULL, 0);
	n = lan_status(a.lan, status);
	for (size_t i = 0; i < n; i++)
		if (strcmp(status[i].name, "lo") == 0) {
			assert_non_null(status[i].why_not);
			found++;
		}
	assert_int_equal(found, 2);
	peer_stop(&a);
}

static void an_address_of_an_interface_can_be_chosen(void **state)
{
	static const char *const here[] = { "lo=127.0.0.2" }, *const bad[] = { "lo=nowhere" };
	const struct address chosen = ipv4("127.0.0.2", 1), *locals;
	const uint8_t call[CALL_SMALL_LEN] = { 0 };
	struct peer a;

	(void)state;
	peer_start(&a, here, COUNT_OF(here));
	assert_int_equal(lan_locals(a.lan, &locals), 1);
	assert_memory_equal(locals[0].ip, chosen.ip, sizeof(chosen.ip));
	lan_call(a.lan, &locals[0], SPAN(call));
	assert_true(reach(&a.calls, 1, LIMIT_MS));
	assert_memory_equal(a.from.ip, chosen.ip, sizeof(chosen.ip));
	peer_stop(&a);
	peer_start(&a, bad, COUNT_OF(bad));
	assert_int_equal(lan_locals(a.lan, &locals), 0);
	peer_stop(&a);
}

/* ---- Paths ----------------------------------------------------------------- */

static void open_pair(struct peer *a, struct peer *b)
{
	const struct address here = ipv4("127.0.0.1", 1), there = ipv4("127.0.0.2", 1);

	assert_int_equal(lan_open(a->lan, 7, &here, &there, PORT), 0);
	assert_int_equal(lan_open(b->lan, 9, &there, &here, PORT), 0);
}

static void datagrams_of_a_path_keep_their_edges(void **state)
{
	struct peer a, b;
	static uint8_t bytes[200][CARRIER_LARGE];
	size_t sent = 0;
	unsigned n = 0;

	(void)state;
	peer_start(&a, loopback, 1);
	peer_start(&b, loopback, 1);
	open_pair(&a, &b);
	for (size_t i = 0; i < COUNT_OF(bytes); i++) {
		/* Runs of large ones, ended or broken by small ones. */
		const size_t len = i % 7 == 3 || i % 11 == 0 ? CARRIER_SMALL : CARRIER_LARGE;

		bytes[i][0] = (uint8_t)i;
		bytes[i][len - 1] = (uint8_t)~i;
		lan_send(a.lan, 7, span_from(bytes[i], len));
		sent += len;
		if (i % 40 == 39) {
			lan_flush(a.lan);
			assert_true(reach(&b.datagrams, (unsigned)i + 1, LIMIT_MS));
			assert_int_equal(b.last[0], (uint8_t)i);
			assert_int_equal(b.last[b.last_len - 1], (uint8_t)~i);
			n++;
		}
	}
	assert_int_equal(n, 5);
	assert_int_equal(b.bytes, sent);
	assert_int_equal(b.last_path, 9);
	assert_int_equal(a.datagrams + a.failures + b.failures, 0);
	lan_close_path(a.lan, 7);
	lan_close_path(a.lan, 7);
	lan_send(a.lan, 7, SPAN(bytes[0]));
	lan_flush(a.lan);
	assert_true(port_is_free(PORT));
	peer_stop(&a);
	peer_stop(&b);
}

static void a_stranger_does_not_reach_a_path(void **state)
{
	struct peer a, b;
	const struct sockaddr_in to = { .sin_family = AF_INET,
		                        .sin_port = htons(PORT),
		                        .sin_addr.s_addr = inet_addr("127.0.0.2") };
	const int other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char c = 0;

	(void)state;
	peer_start(&a, loopback, 1);
	peer_start(&b, loopback, 1);
	open_pair(&a, &b);
	assert_int_equal(connect(other, (const struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(send(other, &c, 1, 0), 1);
	assert_false(reach(&b.datagrams, 1, 50));
	/* To the stranger the port is closed like any other. */
	assert_int_equal(recv(other, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(other);
	peer_stop(&a);
	peer_stop(&b);
}

static void nobody_there_is_a_hint_and_no_more(void **state)
{
	struct peer a, b;
	const struct address here = ipv4("127.0.0.1", 1), there = ipv4("127.0.0.2", 1);
	const uint8_t bytes[CARRIER_SMALL] = { 1 };

	(void)state;
	peer_start(&a, loopback, 1);
	peer_start(&b, loopback, 1);
	assert_int_equal(lan_open(a.lan, 7, &here, &there, PORT), 0);
	for (unsigned i = 1; i <= 3; i++) {
		lan_send(a.lan, 7, SPAN(bytes));
		lan_flush(a.lan);
		assert_true(reach(&a.refusals, i, LIMIT_MS));
	}
	assert_int_equal(a.failures, 0);
	assert_int_equal(lan_open(b.lan, 9, &there, &here, PORT), 0);
	lan_send(a.lan, 7, SPAN(bytes));
	lan_flush(a.lan);
	assert_true(reach(&b.datagrams, 1, LIMIT_MS));
	peer_stop(&a);
	peer_stop(&b);
}

static void a_taken_port_fails_the_path(void **state)
{
	struct peer a;
	const struct address here = ipv4("127.0.0.1", 1), there = ipv4("127.0.0.2", 1);
	const uint8_t bytes[CARRIER_SMALL] = { 1 };

	(void)state;
	peer_start(&a, loopback, 1);
	assert_int_equal(lan_open(a.lan, 1, &here, &there, PORT), 0);
	assert_int_equal(lan_open(a.lan, 2, &here, &there, PORT), 0);
	assert_int_equal(a.failures, 0); /* told from the loop only */
	lan_send(a.lan, 2, SPAN(bytes));
	lan_flush(a.lan);
	assert_true(reach(&a.failures, 1, LIMIT_MS));
	assert_int_equal(a.last_path, 2);
	assert_false(port_is_free(PORT));
	peer_stop(&a);
}

/* A datagram of the other side comes and a path's last words go out, however they are mixed with its end. */
static void the_last_words_of_a_path_leave(void **state)
{
	struct peer a, b;
	const uint8_t bytes[CARRIER_LARGE] = { 1 };

	(void)state;
	peer_start(&a, loopback, 1);
	peer_start(&b, loopback, 1);
	open_pair(&a, &b);
	for (unsigned i = 0; i < 30; i++)
		lan_send(a.lan, 7, SPAN(bytes));
	lan_close_path(a.lan, 7);
	lan_flush(a.lan);
	assert_true(reach(&b.datagrams, 30, LIMIT_MS));
	peer_stop(&a);
	peer_stop(&b);
}

static void a_flood_does_not_grow(void **state)
{
	struct peer a, b;
	static uint8_t bytes[CARRIER_LARGE];
	const struct address *locals;
	size_t before;

	(void)state;
	peer_start(&a, loopback, 1);
	peer_start(&b, loopback, 1);
	open_pair(&a, &b);
	(void)lan_locals(a.lan, &locals);
	before = mallinfo2().uordblks;
	for (unsigned i = 0; i < 20000; i++) {
		bytes[0]++;
		lan_send(a.lan, 7, SPAN(bytes));
		if (i % 4 == 0)
			lan_call(a.lan, &locals[0], span_from(bytes, CALL_SMALL_LEN));
		if (i % 2000 == 0)
			reach(&b.datagrams, UINT32_MAX, 1);
	}
	lan_flush(a.lan);
	assert_true(mallinfo2().uordblks <= before + 2 * LAN_QUEUE_MAX * (CARRIER_LARGE + 16));
	reach(&b.datagrams, UINT32_MAX, 50);
	assert_true(mallinfo2().uordblks <= before + 4096);
	assert_true(b.datagrams > 0 && b.calls > 0);
	peer_stop(&a);
	peer_stop(&b);
}

static void every_number_of_paths_can_be_open(void **state)
{
	struct peer a;
	unsigned open = 0, failures;
	const struct address here = ipv4("127.0.0.1", 1), there = ipv4("127.0.0.2", 1);

	(void)state;
	peer_start(&a, loopback, 1);
	for (uint32_t i = 0; i < LAN_PATHS_MAX + 10; i++)
		assert_int_equal(lan_open(a.lan, i, &here, &there, (uint16_t)(20000 + i)), 0);
	assert_true(reach(&a.failures, 10, LIMIT_MS)); /* and more where fewer descriptors are allowed */
	for (uint32_t i = 0; i < LAN_PATHS_MAX + 10; i++)
		open += !port_is_free((uint16_t)(20000 + i));
	assert_int_equal(open, LAN_PATHS_MAX + 10 - a.failures);
	failures = a.failures;
	lan_close_path(a.lan, 0);
	assert_int_equal(lan_open(a.lan, LAN_PATHS_MAX + 10, &here, &there, 20000), 0);
	assert_false(reach(&a.failures, failures + 1, 50)); /* there is room for another */
	assert_false(port_is_free(20000));
	peer_stop(&a);
}

/* ---- Namespaces ------------------------------------------------------------ */

static void sh(const char *command)
{
	CHECK(system(command) == 0);
}

/* Runs the test in a child in a network of its own, where x and y are the two ends of one cable. */
static void in_namespace(void (*test)(void))
{
	int status;
	pid_t child;

	if (geteuid() != 0) {
		print_message("only root can make a network namespace\n");
		skip();
	}
	child = fork();
	assert_int_not_equal(child, -1);
	if (child == 0) {
		in_child = true;
		if (unshare(CLONE_NEWNET) != 0)
			_exit(77);
		sh("ip link set lo up && ip link add x type veth peer name y && ip link set y up && ip link "
		   "set x up"
		   " && ip addr add 10.7.0.1/24 dev x && ip addr add 10.7.0.2/24 dev y"
		   " && echo 1 >/proc/sys/net/ipv4/conf/all/accept_local"); /* both ends are ours */
		uv_loop_fork(&loop);
		test();
		exit(uv_loop_close(&loop) == 0 ? 0 : 1); /* not _exit(): what it reached is counted */
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("the system makes no network namespace\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static const char *const cable_x[] = { "x" }, *const cable_y[] = { "y" };

/* Until the peer has both families: IPv6 addresses are checked for doubles first. */
static const struct address *both_families(struct peer *p)
{
	const struct address *locals;

	for (unsigned more = 2; lan_locals(p->lan, &locals) < 2; more++)
		CHECK(reach(&p->networks, more, LIMIT_MS));
	CHECK(lan_locals(p->lan, &locals) == 2);
	return locals;
}

static void calls_over_a_cable(void)
{
	struct peer a, b;
	const struct address *locals;
	const uint8_t call[CALL_LARGE_LEN] = { 1 };

	peer_start(&a, cable_x, 1);
	peer_start(&b, cable_y, 1);
	both_families(&b);
	locals = both_families(&a);
	for (unsigned family = 0; family < 2; family++) {
		lan_call(a.lan, &locals[family], SPAN(call));
		CHECK(reach(&b.calls, family + 1, LIMIT_MS));
		CHECK(b.ttl == 255);
		CHECK(memcmp(b.from.ip, locals[family].ip, 16) == 0);
		CHECK(b.from.interface == if_nametoindex("y"));
	}
	reach(&b.calls, 3, 50);
	CHECK(b.calls == 2);
	peer_stop(&a);
	peer_stop(&b);
}

static void each_family_and_interface_has_its_call(void **state)
{
	(void)state;
	in_namespace(calls_over_a_cable);
}

static void renumber(void)
{
	const uint8_t call[CALL_LARGE_LEN] = { 1 };
	struct peer a, b;
	const struct address *locals;
	struct address old, kept;
	unsigned networks;

	peer_start(&a, cable_x, 1);
	locals = both_families(&a);
	old = locals[0];
	kept = locals[1];
	CHECK(lan_open(a.lan, 4, &kept, &kept, PORT) == 0);
	CHECK(lan_open(a.lan, 3, &old, &(struct address){ .ip = { [10] = 0xff, 0xff, 10, 7, 0, 2 } }, PORT) ==
	      0);
	networks = a.networks;
	sh("ip addr flush dev x scope global && ip addr add 10.9.0.1/24 dev x");
	CHECK(reach(&a.networks, networks + 1, LIMIT_MS));
	CHECK(lan_locals(a.lan, &locals) == 2);
	CHECK(locals[0].ip[13] == 9);
	CHECK(reach(&a.failures, 1, LIMIT_MS)); /* the path had the old address */
	sh("ip addr flush dev x scope global");
	CHECK(reach(&a.networks, networks + 2, LIMIT_MS));
	CHECK(lan_locals(a.lan, &locals) == 1 && memcmp(&locals[0], &kept, sizeof(kept)) == 0);
	reach(&a.failures, 2, 20);
	CHECK(a.failures == 1 && a.last_path == 3); /* that of the other family goes on, as do its calls */
	peer_start(&b, cable_y, 1);
	both_families(&b);
	lan_call(a.lan, &kept, SPAN(call));
	CHECK(reach(&b.calls, 1, LIMIT_MS));
	peer_stop(&b);
	sh("ip link set x down");
	CHECK(reach(&a.networks, networks + 3, LIMIT_MS));
	CHECK(lan_locals(a.lan, &locals) == 0);
	sh("ip link set x up && ip addr add 10.9.0.1/24 dev x");
	both_families(&a);
	sh("ip link del x");
	for (unsigned more = a.networks + 1; lan_locals(a.lan, &locals) > 0; more++)
		CHECK(reach(&a.networks, more, LIMIT_MS));
	peer_stop(&a);
}

static void a_new_address_gives_a_new_list(void **state)
{
	(void)state;
	in_namespace(renumber);
}

static void link_local_path(void)
{
	struct peer a, b;
	struct address local, remote;
	const uint8_t bytes[CARRIER_LARGE] = { 1 };

	peer_start(&a, cable_x, 1);
	peer_start(&b, cable_y, 1);
	local = both_families(&a)[1];
	remote = both_families(&b)[1];
	/* Each side knows the other's address on its own interface. */
	CHECK(lan_open(a.lan, 1, &local, &(struct address){ 0 }, PORT) == 0);
	lan_close_path(a.lan, 1);
	struct address there = remote, here = local;
	there.interface = local.interface;
	here.interface = remote.interface;
	CHECK(lan_open(a.lan, 2, &local, &there, PORT) == 0);
	CHECK(lan_open(b.lan, 2, &remote, &here, PORT) == 0);
	for (unsigned i = 0; i < 20; i++)
		lan_send(a.lan, 2, SPAN(bytes));
	lan_flush(a.lan);
	CHECK(reach(&b.datagrams, 20, LIMIT_MS));
	peer_stop(&a);
	peer_stop(&b);
}

static void a_path_between_link_local_addresses(void **state)
{
	(void)state;
	in_namespace(link_local_path);
}

/* ---- What the system refuses ----------------------------------------------- */

static void nobody(void *arg)
{
	(void)arg;
}

/* A carrier begins, calls and ends while memory or a call of the system fails. Either there is none, or it
 * goes on with less, and says of each interface that it does not use why. */
static void begins_anyhow(const char *const *names)
{
	struct peer p = { .options = { names, 1 } };
	struct lan_status status[INTERFACES_MAX];
	const struct address *locals;
	const uint8_t call[CALL_LARGE_LEN] = { 1 };
	const int r = lan_new(&p.lan, &loop, &p.options, &callbacks, &p);
	size_t n, works = 0;

	CHECK(r <= 0);
	if (r != 0)
		return;
	reach(&p.networks, 1, 30);
	failing_memory.armed = failing_calls.armed = false;
	n = lan_status(p.lan, status);
	for (size_t i = 0; i < n; i++) {
		CHECK(status[i].why_not == NULL || strlen(status[i].why_not) > 5);
		works += status[i].why_not == NULL;
	}
	CHECK(lan_locals(p.lan, &locals) == works);
	for (size_t i = 0; i < works; i++)
		lan_call(p.lan, &locals[i], SPAN(call));
	peer_stop(&p);
}

static void begins_whatever_fails(const char *const *names)
{
	static const int errors[] = { ENOBUFS, EADDRINUSE };

	for (size_t e = 0; e < COUNT_OF(errors); e++)
		for (unsigned at = 1, more = 1; more != 0; at++) {
			failing_calls_arm(NULL, at, errors[e]);
			begins_anyhow(names);
			failing_calls.armed = false;
			more = failing_calls.seen >= at;
		}
	for (uint64_t at = 1, more = 1; more != 0; at++) {
		failing_memory_arm(at, false);
		begins_anyhow(names);
		failing_memory.armed = false;
		more = failing_memory.seen >= at;
	}
}

static void a_carrier_begins_whatever_fails(void **state)
{
	(void)state;
	begins_whatever_fails(loopback);
	lan_close(NULL, nobody, NULL);
}

static void a_cable_whatever_fails(void)
{
	struct peer a;

	peer_start(&a, cable_x, 1);
	both_families(&a);
	peer_stop(&a);
	begins_whatever_fails(cable_x);
}

static void a_carrier_begins_on_a_cable_whatever_fails(void **state)
{
	(void)state;
	in_namespace(a_cable_whatever_fails);
}

/* Ten datagrams of one size, which go as one message of segments, and one more that goes by itself. */
static void what_a_path_cannot_send(void **state)
{
	static const struct {
		int error;
		unsigned come[2], failures, refusals; /* where sendmsg() fails, and where sendmmsg() does */
	} table[] = {
		{ EAGAIN, { 11, 11 }, 0, 0 },       /* later */
		{ EINTR, { 11, 11 }, 0, 0 },        /* at once again */
		{ ENOBUFS, { 11, 10 }, 0, 0 },      /* one by one, and lost */
		{ ECONNREFUSED, { 11, 11 }, 0, 1 }, /* of one before */
		{ EINVAL, { 11, 10 }, 1, 0 },       /* broken, which one by one tells */
	};
	static const char *const calls[] = { "sendmsg", "sendmmsg" };
	const uint8_t bytes[CARRIER_LARGE] = { 1 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++)
		for (size_t c = 0; c < COUNT_OF(calls); c++) {
			struct peer a, b;
			const bool tells = c == 1 || table[i].error == ECONNREFUSED;

			peer_start(&a, loopback, 1);
			peer_start(&b, loopback, 1);
			open_pair(&a, &b);
			failing_calls_arm(calls[c], 1, table[i].error);
			for (unsigned n = 0; n < 10; n++)
				lan_send(a.lan, 7, SPAN(bytes));
			lan_flush(a.lan);
			lan_send(a.lan, 7, span_from(bytes, CARRIER_SMALL));
			lan_flush(a.lan);
			failing_calls.armed = false;
			reach(&b.datagrams, table[i].come[c] + 1, 100);
			assert_int_equal(b.datagrams, table[i].come[c]);
			assert_int_equal(a.failures, tells ? table[i].failures : 0);
			assert_int_equal(a.refusals, tells ? table[i].refusals : 0);
			peer_stop(&a);
			peer_stop(&b);
		}
}

/* What waits for a writable socket leaves in its order, also when the path is closed meanwhile. */
static void what_waits_leaves(void **state)
{
	const uint8_t bytes[CARRIER_LARGE] = { 1 };

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		struct peer a, b;

		peer_start(&a, loopback, 1);
		peer_start(&b, loopback, 1);
		open_pair(&a, &b);
		failing_calls_arm("sendmsg sendmmsg", 0, EAGAIN);
		for (unsigned n = 0; n < LAN_QUEUE_MAX + 10; n++)
			lan_send(a.lan, 7, SPAN(bytes));
		lan_flush(a.lan);
		for (int i = 0; i < 3; i++) /* the socket seems to have room, and has none */
			uv_run(&loop, UV_RUN_NOWAIT);
		failing_calls.armed = false;
		if (round == 1) {
			lan_close_path(a.lan, 7);
			lan_send(b.lan, 9, SPAN(bytes)); /* for nobody any more */
			lan_flush(b.lan);
		}
		if (round == 2)
			lan_drop_paths(a.lan);
		reach(&b.datagrams, LAN_QUEUE_MAX + 1, 100);
		assert_int_equal(b.datagrams, round == 2 ? 0 : LAN_QUEUE_MAX);
		assert_int_equal(a.datagrams, 0);
		peer_stop(&a);
		peer_stop(&b);
	}
}

/* Each call that opening a path makes: what a path cannot do without fails it, and is told. */
static void a_path_opens_or_fails(void **state)
{
	(void)state;
	for (unsigned at = 1, more = 1; more != 0; at++) {
		struct peer a, b;
		const uint8_t bytes[CARRIER_LARGE] = { 1 };

		peer_start(&a, loopback, 1);
		peer_start(&b, loopback, 1);
		failing_calls_arm("socket bind connect uv_poll_init uv_poll_start", at, ENOBUFS);
		open_pair(&a, &b);
		failing_calls.armed = false;
		more = failing_calls.seen >= at;
		lan_send(a.lan, 7, SPAN(bytes));
		lan_flush(a.lan);
		CHECK(reach(more == 0 ? &b.datagrams : at <= 5 ? &a.failures : &b.failures, 1, LIMIT_MS));
		assert_int_equal(a.failures + b.failures, more);
		peer_stop(&a);
		peer_stop(&b);
	}
}

static void a_path_needs_memory_and_one_family(void **state)
{
	struct peer a;
	const struct address here = ipv4("127.0.0.1", if_nametoindex("lo"));
	const struct address there = { .ip = { [15] = 1 }, .interface = here.interface };
	const uint8_t bytes[CARRIER_LARGE] = { 1 };

	(void)state;
	peer_start(&a, loopback, 1);
	failing_memory_arm(1, false);
	assert_int_equal(lan_open(a.lan, 1, &here, &here, PORT), ERR_NOMEM);
	failing_memory.armed = false;
	assert_int_equal(lan_open(a.lan, 2, &here, &there, PORT), 0);
	assert_true(reach(&a.failures, 1, LIMIT_MS));
	assert_int_equal(a.last_path, 2);
	assert_int_equal(lan_open(a.lan, 3, &here, &here, PORT), 0);
	failing_calls_arm("sendmsg sendmmsg", 0, EAGAIN);
	failing_memory_arm(1, true);
	lan_send(a.lan, 3, SPAN(bytes));
	lan_flush(a.lan); /* there is no memory to let it wait: it is lost */
	failing_memory.armed = failing_calls.armed = false;
	lan_send(a.lan, 3, SPAN(bytes));
	lan_drop_paths(a.lan); /* and this one goes with its path */
	lan_flush(a.lan);
	reach(&a.failures, 2, 50);
	assert_int_equal(a.failures, 1);
	peer_stop(&a);
}

static void a_path_that_cannot_be_read(void **state)
{
	static const struct {
		int error;
		unsigned come, failures;
	} table[] = { { EAGAIN, 1, 0 }, { EINTR, 1, 0 }, { ENOMEM, 1, 1 }, { ENODEV, 1, 1 } };
	const uint8_t bytes[CARRIER_LARGE] = { 1 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct peer a, b;

		peer_start(&a, loopback, 1);
		peer_start(&b, loopback, 1);
		open_pair(&a, &b);
		lan_send(a.lan, 7, SPAN(bytes));
		lan_flush(a.lan);
		failing_calls_arm("recvmmsg", 1, table[i].error);
		reach(&b.datagrams, 1, 100);
		failing_calls.armed = false;
		assert_int_equal(b.failures, table[i].failures);
		assert_int_equal(b.datagrams, table[i].failures > 0 ? 0 : 1);
		peer_stop(&a);
		peer_stop(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_reaches_every_node_of_the_machine),
		cmocka_unit_test(what_cannot_be_a_call_is_not_seen),
		cmocka_unit_test(the_loopback_is_used_only_when_named),
		cmocka_unit_test(an_address_of_an_interface_can_be_chosen),
		cmocka_unit_test(datagrams_of_a_path_keep_their_edges),
		cmocka_unit_test(a_stranger_does_not_reach_a_path),
		cmocka_unit_test(nobody_there_is_a_hint_and_no_more),
		cmocka_unit_test(a_taken_port_fails_the_path),
		cmocka_unit_test(the_last_words_of_a_path_leave),
		cmocka_unit_test(a_flood_does_not_grow),
		cmocka_unit_test(every_number_of_paths_can_be_open),
		cmocka_unit_test(each_family_and_interface_has_its_call),
		cmocka_unit_test(a_new_address_gives_a_new_list),
		cmocka_unit_test(a_path_between_link_local_addresses),
		cmocka_unit_test(a_carrier_begins_whatever_fails),
		cmocka_unit_test(a_carrier_begins_on_a_cable_whatever_fails),
		cmocka_unit_test(what_a_path_cannot_send),
		cmocka_unit_test(what_waits_leaves),
		cmocka_unit_test(a_path_opens_or_fails),
		cmocka_unit_test(a_path_needs_memory_and_one_family),
		cmocka_unit_test(a_path_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, loop_open, loop_shut);
}
