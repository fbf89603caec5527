/*
 * Which interfaces are used, and why the others are not: a system's list that is played. True ones are the
 * matter of test_lan.
 */
#include "transport/interfaces.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

enum { USABLE = IFF_UP | IFF_RUNNING | IFF_MULTICAST, LINKS_MAX = 64, GONE = -1 };

#define NOT_LISTED   "not in the list of interfaces to use"
#define LOOPBACK     "inside this machine only"
#define TUNNEL       "a tunnel, not a local network"
#define OFF          "switched off"
#define UNCONNECTED  "not connected"
#define NO_MULTICAST "it cannot reach several devices at once (no multicast)"
#define NO_IPV4      "it has no IPv4 address"
#define NO_IPV6      "it has no IPv6 address"
#define UNCHECKED    "its IPv6 address is not free to use yet"
#define ASKED_IPV4   "an IPv4 address of it was asked for"
#define ASKED_ODD    "what was asked for is no IPv4 address"

/* An address of an interface, as the system lists them. */
struct link {
	const char *name;
	unsigned flags;
	int family; /* 0: none; GONE: the interface is gone by now */
	const char *address;
};

static struct {
	const struct link *links;
	size_t links_len;
	const char *if_inet6; /* NULL: it cannot be read */
	int error;            /* of getifaddrs() */
	const int *received;  /* the errors of recv(), 0 for none */
} played;

int __wrap_getifaddrs(struct ifaddrs **out);
void __wrap_freeifaddrs(struct ifaddrs *all);
unsigned __wrap_if_nametoindex(const char *name);
FILE *__wrap_fopen64(const char *path, const char *mode);
ssize_t __wrap_recv(int fd, void *bytes, size_t len, int flags);

static struct ifaddrs list[LINKS_MAX];
static bool is_held;

int __wrap_getifaddrs(struct ifaddrs **out)
{
	static union {
		struct sockaddr plain;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at[LINKS_MAX];

	if (played.error != 0) {
		errno = played.error;
		return -1;
	}
	memset(at, 0, sizeof(at));
	for (size_t i = 0; i < played.links_len; i++) {
		const struct link *const l = &played.links[i];

		list[i] = (struct ifaddrs){ .ifa_next = i + 1 < played.links_len ? &list[i + 1] : NULL,
			                    .ifa_name = (char *)(uintptr_t)l->name,
			                    .ifa_flags = l->flags };
		if (l->family == 0)
			continue;
		list[i].ifa_addr = &at[i].plain;
		at[i].plain.sa_family = l->family == GONE ? AF_INET : (sa_family_t)l->family;
		if (l->family == AF_INET6)
			assert_int_equal(inet_pton(AF_INET6, l->address, &at[i].v6.sin6_addr), 1);
		else if (l->family == AF_INET)
			assert_int_equal(inet_pton(AF_INET, l->address, &at[i].v4.sin_addr), 1);
	}
	assert_false(is_held);
	is_held = true;
	*out = list;
	return 0;
}

void __wrap_freeifaddrs(struct ifaddrs *all)
{
	assert_true(is_held && all == list);
	is_held = false;
}

/* One more than the place of its first address. */
unsigned __wrap_if_nametoindex(const char *name)
{
	for (size_t i = 0; i < played.links_len; i++)
		if (strcmp(played.links[i].name, name) == 0)
			return played.links[i].family == GONE ? 0 : (unsigned)i + 1;
	return 0;
}

FILE *__wrap_fopen64(const char *path, const char *mode)
{
	assert_string_equal(path, "/proc/net/if_inet6");
	if (played.if_inet6 == NULL)
		return NULL;
	return fmemopen((char *)(uintptr_t)played.if_inet6, strlen(played.if_inet6), mode);
}

ssize_t __wrap_recv(int fd, void *bytes, size_t len, int flags)
{
	(void)bytes, (void)len, (void)flags;
	assert_int_equal(fd, 77);
	errno = *played.received++;
	return errno == 0 ? 16 : -1;
}

static void system_has(const struct link *links, size_t n)
{
	memset(&played, 0, sizeof(played));
	played.links = links;
	played.links_len = n;
	played.if_inet6 = " ";
}

static size_t list_all(struct interface out[static INTERFACES_MAX], const char *const *names,
                       size_t names_len)
{
	size_t n = 0;

	assert_int_equal(interfaces_list(out, &n, names, names_len), 0);
	assert_false(is_held);
	return n;
}

static void assert_address(const struct interface *i, const char *text)
{
	struct in6_addr a;

	assert_int_equal(inet_pton(AF_INET6, text, &a), 1);
	assert_memory_equal(i->address.ip, &a, sizeof(a));
}

static void assert_reason(const struct interface *i, const char *reason)
{
	if (reason == NULL)
		assert_null(i->why_not);
	else if (i->why_not == NULL)
		fail_msg("%s should not be used: %s", i->name, reason);
	else
		assert_string_equal(i->why_not, reason);
}

static void each_has_its_reason(void **state)
{
	static const char *const none[] = { "other" }, *const its[] = { "other", "eth" },
	                         *const longer[] = { "eth0", "eth=192.0.2.7" },
	                         *const odd[] = { "eth=192.0.2" };
	static const struct {
		struct link link;
		const char *const *names;
		size_t names_len;
		const char *ipv4, *ipv6;
	} table[] = {
		{ { "eth", USABLE, AF_INET, "192.0.2.1" }, NULL, 0, NULL, NO_IPV6 },
		{ { "eth", USABLE, AF_INET, "192.0.2.1" }, none, 1, NOT_LISTED, NOT_LISTED },
		{ { "eth", USABLE, AF_INET, "192.0.2.1" }, its, 2, NULL, NO_IPV6 },
		{ { "eth", USABLE, AF_INET, "192.0.2.1" }, longer, 1, NOT_LISTED, NOT_LISTED },
		{ { "eth", USABLE, AF_INET, "192.0.2.1" }, longer, 2, NULL, NO_IPV6 },
		{ { "eth", USABLE, AF_INET, "192.0.2.1" }, odd, 1, ASKED_ODD, NO_IPV6 },
		{ { "eth", USABLE, AF_INET6, "fe80::1" }, NULL, 0, NO_IPV4, NULL },
		{ { "eth", USABLE, AF_INET6, "fe80::1" }, its, 2, NO_IPV4, NULL },
		{ { "eth", USABLE, AF_INET6, "fe80::1" }, longer, 2, NO_IPV4, ASKED_IPV4 },
		{ { "eth", USABLE, AF_INET6, "2001:db8::1" }, NULL, 0, NO_IPV4, NO_IPV6 },
		{ { "eth", USABLE, AF_PACKET, NULL }, NULL, 0, NO_IPV4, NO_IPV6 },
		{ { "eth", USABLE, 0, NULL }, NULL, 0, NO_IPV4, NO_IPV6 },
		{ { "eth", USABLE, GONE, NULL }, NULL, 0, NO_IPV4, NO_IPV6 },
		{ { "eth", USABLE & ~IFF_UP, AF_INET, "192.0.2.1" }, NULL, 0, OFF, OFF },
		{ { "eth", USABLE & ~IFF_RUNNING, AF_INET, "192.0.2.1" }, its, 2, UNCONNECTED, UNCONNECTED },
		{ { "eth", USABLE & ~IFF_MULTICAST, AF_INET, "192.0.2.1" },
		  its,
		  2,
		  NO_MULTICAST,
		  NO_MULTICAST },
		{ { "eth", USABLE | IFF_POINTOPOINT, AF_INET, "192.0.2.1" }, NULL, 0, TUNNEL, TUNNEL },
		{ { "eth", USABLE | IFF_POINTOPOINT, AF_INET, "192.0.2.1" }, its, 2, NULL, NO_IPV6 },
		{ { "eth", IFF_UP | IFF_RUNNING | IFF_LOOPBACK, AF_INET, "127.0.0.1" },
		  NULL,
		  0,
		  LOOPBACK,
		  LOOPBACK },
		{ { "eth", IFF_UP | IFF_RUNNING | IFF_LOOPBACK, AF_INET, "127.0.0.1" },
		  its,
		  2,
		  NULL,
		  NO_IPV6 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct interface out[INTERFACES_MAX];

		system_has(&table[i].link, 1);
		assert_int_equal(list_all(out, table[i].names, table[i].names_len), 2);
		assert_true(!out[0].ipv6 && out[1].ipv6);
		assert_reason(&out[0], table[i].ipv4);
		assert_reason(&out[1], table[i].ipv6);
		if (table[i].ipv4 == NULL && table[i].names == longer)
			assert_address(&out[0], "::ffff:192.0.2.7");
		if (table[i].ipv6 == NULL)
			assert_address(&out[1], "fe80::1");
	}
}

/* A line of /proc/net/if_inet6: address, interface, length of the prefix, scope, flags, name. */
static void an_ipv6_address_is_checked_first(void **state)
{
	static const struct link link = { "eth", USABLE, AF_INET6, "fe80::1" };
	static const struct {
		const char *if_inet6, *ipv6;
	} table[] = {
		{ NULL, NULL }, /* nobody knows */
		{ "fe800000000000000000000000000001 01 40 20 80      eth\n", NULL },
		{ "fe800000000000000000000000000001 01 40 20 40      eth\n", UNCHECKED },
		{ "fe800000000000000000000000000001 01 40 20 88      eth\n", UNCHECKED },
		{ "fe800000000000000000000000000001 02 40 20 40     eth1\n", NULL },
		{ "fe800000000000000000000000000002 01 40 20 40      eth\n", NULL },
		{ "20010db8000000000000000000000001 01 40 00 40      eth\n"
		  "fe800000000000000000000000000001 01 40 20 c0      eth\n",
		  UNCHECKED },
		{ "fe800000000000000000000000000001\n", NULL },
		{ "fe80000000000000\n", NULL },
		{ "nonsense\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct interface out[INTERFACES_MAX];

		system_has(&link, 1);
		played.if_inet6 = table[i].if_inet6;
		assert_int_equal(list_all(out, NULL, 0), 2);
		assert_reason(&out[1], table[i].ipv6);
	}
}

static void the_first_address_of_a_family_counts(void **state)
{
	static const struct link links[] = {
		{ "lo", USABLE | IFF_LOOPBACK, AF_INET, "127.0.0.1" },
		{ "eth", USABLE, AF_PACKET, NULL },
		{ "eth", USABLE, AF_INET, "192.0.2.1" },
		{ "eth", USABLE, AF_INET, "192.0.2.2" },
		{ "eth", USABLE, AF_INET6, "2001:db8::1" },
		{ "eth", USABLE, AF_INET6, "fe80::1" },
		{ "eth", USABLE, AF_INET6, "fe80::2" },
	};
	struct interface out[INTERFACES_MAX];

	(void)state;
	system_has(links, COUNT_OF(links));
	assert_int_equal(list_all(out, NULL, 0), 4);
	/* Those that can be used come first. */
	assert_true(!out[0].ipv6 && out[0].why_not == NULL && out[1].ipv6 && out[1].why_not == NULL);
	assert_address(&out[0], "::ffff:192.0.2.1");
	assert_address(&out[1], "fe80::1");
	assert_int_equal(out[0].address.interface, 2);
	assert_reason(&out[2], LOOPBACK);
	assert_reason(&out[3], LOOPBACK);
}

static void a_crowd_leaves_out_what_is_of_no_use(void **state)
{
	static char names[LINKS_MAX][8];
	struct link links[LINKS_MAX];
	struct interface out[INTERFACES_MAX];

	(void)state;
	for (size_t i = 0; i < LINKS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "eth%zu", i);
		links[i] = (struct link){ names[i], i == LINKS_MAX - 1 ? USABLE : 0, AF_INET, "192.0.2.1" };
	}
	system_has(links, LINKS_MAX);
	assert_int_equal(list_all(out, NULL, 0), INTERFACES_MAX);
	assert_string_equal(out[0].name, "eth63");
	assert_null(out[0].why_not);
	assert_reason(&out[INTERFACES_MAX - 1], OFF);
}

static void a_system_that_fails_is_said(void **state)
{
	static const int received[] = { 0, ENOBUFS, 0, EINTR, EAGAIN, 0 };
	struct interface out[INTERFACES_MAX];
	size_t n = 7;

	(void)state;
	system_has(NULL, 0);
	played.error = ENOMEM;
	assert_int_equal(interfaces_list(out, &n, NULL, 0), ERR_NOMEM);
	assert_int_equal(n, 7);
	played.received = received;
	interfaces_seen(77);
	assert_ptr_equal(played.received, &received[5]); /* until there was nothing more */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_its_reason),
		cmocka_unit_test(an_ipv6_address_is_checked_first),
		cmocka_unit_test(the_first_address_of_a_family_counts),
		cmocka_unit_test(a_crowd_leaves_out_what_is_of_no_use),
		cmocka_unit_test(a_system_that_fails_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
