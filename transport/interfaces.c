#include "transport/interfaces.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel's flags of an IPv6 address, 0 where they cannot be read. An address that is still being checked
 * for doubles cannot be sent from; when the check ends, the watch reports it. */
static unsigned ipv6_flags(const struct address *address)
{
	FILE *f = fopen("/proc/net/if_inet6", "re");
	char line[128];
	unsigned found = 0;

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		unsigned octet, index, flags;
		size_t same = 0;

		while (same < 16 && sscanf(&line[2 * same], "%2x", &octet) == 1 && octet == address->ip[same])
			same++;
		if (same == 16 && sscanf(&line[32], " %x %*x %*x %x", &index, &flags) == 2 &&
		    index == address->interface)
			found = flags;
	}
	fclose(f);
	return found;
}

/* What the list says of an interface: "" for its name alone, the address behind "name=", NULL for nothing. */
static const char *listed(const char *name, const char *const *names, size_t names_len)
{
	const size_t len = strlen(name);

	for (size_t i = 0; i < names_len; i++) {
		if (strncmp(name, names[i], len) != 0)
			continue;
		if (names[i][len] == '\0')
			return "";
		if (names[i][len] == '=')
			return &names[i][len + 1];
	}
	return NULL;
}

static bool is_named(const char *name, const char *const *names, size_t names_len)
{
	return listed(name, names, names_len) != NULL;
}

/* Puts the address that was asked for in place of the first one. */
static void choose_address(struct interface *e, const char *const *names, size_t names_len)
{
	const char *asked = listed(e->name, names, names_len);

	if (asked == NULL || asked[0] == '\0' || e->why_not != NULL)
		return;
	if (e->ipv6)
		e->why_not = "an IPv4 address of it was asked for";
	else if (inet_pton(AF_INET, asked, &e->address.ip[12]) != 1)
		e->why_not = "what was asked for is no IPv4 address";
}

static const char *why_not(const struct ifaddrs *i, const char *const *names, size_t names_len)
{
	const bool named = is_named(i->ifa_name, names, names_len);
	const bool loopback = (i->ifa_flags & IFF_LOOPBACK) != 0;

	if (names != NULL && !named)
		return "not in the list of interfaces to use";
	if (loopback && !named)
		return "inside this machine only";
	if ((i->ifa_flags & IFF_POINTOPOINT) != 0 && !named)
		return "a tunnel, not a local network";
	if ((i->ifa_flags & IFF_UP) == 0)
		return "switched off";
	if ((i->ifa_flags & IFF_RUNNING) == 0)
		return "not connected";
	if ((i->ifa_flags & IFF_MULTICAST) == 0 && !loopback)
		return "it cannot reach several devices at once (no multicast)";
	return NULL;
}

static struct interface *entry_of(struct interface *out, size_t n, const char *name, bool ipv6)
{
	for (size_t i = 0; i < n; i++)
		if (out[i].ipv6 == ipv6 && strcmp(out[i].name, name) == 0)
			return &out[i];
	return NULL;
}

/* The address of a family's entry in the one form of the program; false when it is of no use here. */
static bool read_address(struct address *out, const struct ifaddrs *i, bool ipv6)
{
	*out = (struct address){ .interface = if_nametoindex(i->ifa_name) };
	if (i->ifa_addr == NULL || i->ifa_addr->sa_family != (ipv6 ? AF_INET6 : AF_INET) ||
	    out->interface == 0)
		return false;
	if (ipv6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)(const void *)i->ifa_addr;

		memcpy(out->ip, &a->sin6_addr, 16);
		return IN6_IS_ADDR_LINKLOCAL(&a->sin6_addr);
	}
	out->ip[10] = out->ip[11] = 0xff;
	memcpy(&out->ip[12], &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr, 4);
	return true;
}

static void take(struct interface *out, size_t *n, const struct ifaddrs *i, bool ipv6, const char *reason)
{
	struct interface *e = entry_of(out, *n, i->ifa_name, ipv6);
	struct address address;

	if (e == NULL) {
		if (*n == INTERFACES_MAX)
			return;
		e = &out[(*n)++];
		*e = (struct interface){ .ipv6 = ipv6 };
		snprintf(e->name, sizeof(e->name), "%s", i->ifa_name);
		e->why_not = reason != NULL ? reason
		             : ipv6         ? "it has no IPv6 address"
		                            : "it has no IPv4 address";
		e->address.interface = if_nametoindex(i->ifa_name);
	}
	if (reason != NULL || e->why_not == NULL || !read_address(&address, i, ipv6))
		return;
	if (ipv6 && (ipv6_flags(&address) & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0) {
		e->why_not = "its IPv6 address is not free to use yet";
		return;
	}
	e->address = address;
	e->why_not = NULL;
}

int interfaces_list(struct interface out[static INTERFACES_MAX], size_t *n, const char *const *names,
                    size_t names_len)
{
	struct ifaddrs *all;

	if (getifaddrs(&all) != 0)
		return err_from_errno(errno);
	*n = 0;
	for (int useless = 0; useless <= 1; useless++)
		for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
			const char *reason = why_not(i, names, names_len);

			if ((reason != NULL) != useless)
				continue;
			take(out, n, i, false, reason);
			take(out, n, i, true, reason);
		}
	freeifaddrs(all);
	for (size_t i = 0; i < *n; i++)
		choose_address(&out[i], names, names_len);
	return 0;
}

int interfaces_watch(int *fd)
{
	const struct sockaddr_nl groups = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};
	const int s = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (s < 0)
		return err_from_errno(errno);
	if (bind(s, (const struct sockaddr *)&groups, sizeof(groups)) != 0) {
		const int e = errno;

		close(s);
		return err_from_errno(e);
	}
	*fd = s;
	return 0;
}

void interfaces_seen(int fd)
{
	uint8_t buf[8192];

	/* What changed is asked anew; ENOBUFS says that something did, too. */
	while (recv(fd, buf, sizeof(buf), 0) >= 0 || errno == ENOBUFS || errno == EINTR)
		;
}
