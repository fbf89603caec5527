#include "transport/udp.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/call.h"

enum {
	BUFFER_SIZE = 65536, /* segments that the system joins arrive as one */
	CONTROL_SIZE = 64,
	SOCKET_BUFFER = 4 << 20, /* asked for; the system's own maximum decides */
	HOPS = 255
};

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
static const uint8_t group_ipv4[4] = { 224, 0, 0, 251 };
static const uint8_t group_ipv6[16] = { 0xff, 0x02, [15] = 0xfb };

union sockaddr_any {
	struct sockaddr plain;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct udp_inbox {
	struct mmsghdr messages[UDP_RECEIVE_BATCH];
	struct iovec parts[UDP_RECEIVE_BATCH];
	union sockaddr_any from[UDP_RECEIVE_BATCH];
	_Alignas(struct cmsghdr) uint8_t control[UDP_RECEIVE_BATCH][CONTROL_SIZE];
	uint8_t buffers[UDP_RECEIVE_BATCH]
	               [BUFFER_SIZE]; /* last: pages that nothing comes to stay untouched */
};

bool address_is_ipv4(const struct address *a)
{
	return memcmp(a->ip, mapped, sizeof(mapped)) == 0;
}

bool address_equal(const struct address *a, const struct address *b)
{
	return a->interface == b->interface && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

static socklen_t sockaddr_of(union sockaddr_any *out, const struct address *a, uint16_t port)
{
	*out = (union sockaddr_any){ 0 };
	if (address_is_ipv4(a)) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(port);
		memcpy(&out->v4.sin_addr, &a->ip[12], 4);
		return sizeof(out->v4);
	}
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(port);
	memcpy(&out->v6.sin6_addr, a->ip, 16);
	if (IN6_IS_ADDR_LINKLOCAL(&out->v6.sin6_addr) || IN6_IS_ADDR_MC_LINKLOCAL(&out->v6.sin6_addr))
		out->v6.sin6_scope_id = a->interface;
	return sizeof(out->v6);
}

static struct address group_of(const struct address *local)
{
	struct address group = { .interface = local->interface };

	if (!address_is_ipv4(local)) {
		memcpy(group.ip, group_ipv6, sizeof(group_ipv6));
		return group;
	}
	memcpy(group.ip, mapped, sizeof(mapped));
	memcpy(&group.ip[12], group_ipv4, sizeof(group_ipv4));
	return group;
}

static bool set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

/* ---- The group ------------------------------------------------------------- */

/* The filter counts from the UDP header on. */
static bool take_calls_only(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, sizeof(struct udphdr) + CALL_SMALL_LEN, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, sizeof(struct udphdr) + CALL_LARGE_LEN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, BUFFER_SIZE),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = { COUNT_OF(code), code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

static bool source_ipv4(int fd, const struct address *local)
{
	struct ip_mreqn request = { .imr_ifindex = (int)local->interface };

	memcpy(&request.imr_address, &local->ip[12], 4);
	return setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof(request)) == 0;
}

/* IP_MULTICAST_ALL off: what other sockets joined on other interfaces does not come to this one. */
static bool prepare_ipv4(int fd, const struct address *local)
{
	return set_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) &&
	       set_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, HOPS) &&
	       set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 1) && set_int(fd, IPPROTO_IP, IP_RECVTTL, 1) &&
	       source_ipv4(fd, local);
}

static bool prepare_ipv6(int fd, const struct address *local)
{
	return set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
	       set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, HOPS) &&
	       set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1) &&
	       set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) &&
	       set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)local->interface);
}

static bool join(int fd, const struct address *local)
{
	struct ip_mreqn v4 = { .imr_ifindex = (int)local->interface };
	struct ipv6_mreq v6 = { .ipv6mr_interface = local->interface };

	if (!address_is_ipv4(local)) {
		memcpy(&v6.ipv6mr_multiaddr, group_ipv6, sizeof(group_ipv6));
		return setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &v6, sizeof(v6)) == 0;
	}
	memcpy(&v4.imr_multiaddr, group_ipv4, sizeof(group_ipv4));
	return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &v4, sizeof(v4)) == 0;
}

int udp_open_group(const struct address *local, const char **why_not)
{
	const bool ipv4 = address_is_ipv4(local);
	const struct address group = group_of(local);
	const int fd = socket(ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	union sockaddr_any name;
	const socklen_t len = sockaddr_of(&name, &group, UDP_CALL_PORT);

	if (fd < 0) {
		*why_not = "the system gives no socket";
		return -1;
	}
	/* Not SO_REUSEPORT: such sockets take the calls of each other's interfaces. */
	if (!set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) || !take_calls_only(fd) ||
	    !(ipv4 ? prepare_ipv4(fd, local) : prepare_ipv6(fd, local)))
		*why_not = "the system refuses what the socket needs";
	else if (bind(fd, &name.plain, len) != 0)
		*why_not = errno == EADDRINUSE ? "another program keeps port 5353 to itself"
		                               : "the group's address cannot be used";
	else if (!join(fd, local))
		*why_not = errno == ENOBUFS ? "too many groups are joined already"
		                            : "the group cannot be joined";
	else
		return fd;
	close(fd);
	return -1;
}

void udp_readdress_group(int fd, const struct address *local)
{
	if (address_is_ipv4(local))
		(void)source_ipv4(fd, local); /* its interface may be gone again: the next list says so */
}

void udp_call(int fd, const struct address *local, struct span bytes)
{
	const struct address group = group_of(local);
	union sockaddr_any name;
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = { 0 };
	struct in6_pktinfo source = { .ipi6_ifindex = local->interface };
	struct iovec part = { (void *)(uintptr_t)bytes.p, bytes.len };
	struct msghdr m = { .msg_name = &name, .msg_iov = &part, .msg_iovlen = 1 };

	m.msg_namelen = sockaddr_of(&name, &group, UDP_CALL_PORT);
	if (!address_is_ipv4(local)) { /* IPv4: IP_MULTICAST_IF names the source */
		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		memcpy(&source.ipi6_addr, local->ip, 16);
		*CMSG_FIRSTHDR(&m) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(source)),
			                               .cmsg_level = IPPROTO_IPV6,
			                               .cmsg_type = IPV6_PKTINFO };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &source, sizeof(source));
	}
	(void)sendmsg(fd, &m, MSG_NOSIGNAL);
}

/* ---- Paths ----------------------------------------------------------------- */

int udp_open_path(const struct address *local, const struct address *remote, uint16_t port)
{
	const bool ipv4 = address_is_ipv4(local);
	union sockaddr_any name, peer;
	const socklen_t name_len = sockaddr_of(&name, local, port);
	const socklen_t peer_len = sockaddr_of(&peer, remote, port);
	int fd;

	if (ipv4 != address_is_ipv4(remote))
		return -1;
	fd = socket(ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* No fragments, and no heed to a path MTU that anybody can forge: every path bears CARRIER_LARGE. */
	if (ipv4)
		(void)set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	else
		(void)set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
	(void)set_int(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
	(void)set_int(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
	(void)set_int(fd, SOL_UDP, UDP_GRO, 1);
	if (bind(fd, &name.plain, name_len) == 0 && connect(fd, &peer.plain, peer_len) == 0)
		return fd;
	close(fd);
	return -1;
}

static int outcome_of(int e)
{
	switch (e) {
	case EAGAIN:
		return UDP_WAIT;
	case ECONNREFUSED: /* an ICMP message, which anybody can forge */
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENOPROTOOPT:
	case EPROTO:
		return UDP_HINT;
	case EINVAL: /* the local address is gone */
	case EADDRNOTAVAIL:
	case ENODEV:
	case EBADF:
	case ENOTSOCK:
		return UDP_BROKEN;
	default:
		return UDP_LOST;
	}
}

/* How many of v have the size of the first; one that is smaller may end the run. */
static size_t run_of_segments(const struct span *v, size_t n)
{
	size_t i = 1;

	while (i < n && v[i].len == v[0].len)
		i++;
	return i < n && v[i].len < v[0].len ? i + 1 : i;
}

static int send_segments(int fd, struct iovec *parts, size_t n)
{
	const uint16_t size = (uint16_t)parts[0].iov_len;
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(size))] = { 0 };
	struct msghdr m = {
		.msg_iov = parts,
		.msg_iovlen = n,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	*CMSG_FIRSTHDR(&m) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(size)),
		                               .cmsg_level = SOL_UDP,
		                               .cmsg_type = UDP_SEGMENT };
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &size, sizeof(size));
	return sendmsg(fd, &m, MSG_NOSIGNAL) < 0 ? -1 : (int)n;
}

int udp_send(int fd, const struct span *v, size_t n, bool *segments, size_t *sent)
{
	struct mmsghdr messages[UDP_BATCH];
	struct iovec parts[UDP_BATCH];

	assert(n <= UDP_BATCH);
	memset(messages, 0, n * sizeof(messages[0]));
	for (size_t i = 0; i < n; i++) {
		parts[i] = (struct iovec){ (void *)(uintptr_t)v[i].p, v[i].len };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	for (*sent = 0; *sent < n;) {
		const size_t run = run_of_segments(&v[*sent], n - *sent);
		const bool as_segments = *segments && run > 1;
		const size_t count = *segments ? run : n - *sent;
		const int r = as_segments ? send_segments(fd, &parts[*sent], run)
		                          : sendmmsg(fd, &messages[*sent], (unsigned)count, MSG_NOSIGNAL);

		if (r >= 0)
			*sent += (size_t)r;
		else if (as_segments && errno != EAGAIN && outcome_of(errno) != UDP_HINT)
			*segments = false; /* this interface has no use for them: one by one, which tells what
			                      is wrong */
		else if (errno != EINTR)
			return outcome_of(errno);
	}
	return 0;
}

/* ---- Receiving ------------------------------------------------------------- */

int udp_inbox_new(struct udp_inbox **out)
{
	*out = malloc(sizeof(**out)); /* not cleared: the buffers are large and mostly never touched */
	return *out == NULL ? ERR_NOMEM : 0;
}

void udp_inbox_free(struct udp_inbox *in)
{
	free(in);
}

/* How many came, or an outcome, negated. */
static int fill(int fd, struct udp_inbox *in)
{
	int r;

	for (size_t i = 0; i < UDP_RECEIVE_BATCH; i++) {
		in->parts[i] = (struct iovec){ in->buffers[i], BUFFER_SIZE };
		in->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &in->from[i],
			.msg_namelen = sizeof(in->from[i]),
			.msg_iov = &in->parts[i],
			.msg_iovlen = 1,
			.msg_control = in->control[i],
			.msg_controllen = CONTROL_SIZE,
		};
	}
	do
		r = recvmmsg(fd, in->messages, UDP_RECEIVE_BATCH, MSG_DONTWAIT, NULL);
	while (r < 0 && errno == EINTR);
	return r >= 0 ? r : -outcome_of(errno);
}

/* The integer of a control message, or none. */
static int control_int(struct msghdr *m, int level, int type, int none)
{
	int value = none;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == level && c->cmsg_type == type && c->cmsg_len >= CMSG_LEN(sizeof(value)))
			memcpy(&value, CMSG_DATA(c), sizeof(value));
	return value;
}

/* False unless it came from the port that calls come from. */
static bool sender_of(struct address *out, uint8_t *ttl, struct msghdr *m, uint32_t interface)
{
	const union sockaddr_any *from = m->msg_name;

	*out = (struct address){ .interface = interface };
	if (from->plain.sa_family == AF_INET) {
		memcpy(out->ip, mapped, sizeof(mapped));
		memcpy(&out->ip[12], &from->v4.sin_addr, 4);
		*ttl = (uint8_t)control_int(m, IPPROTO_IP, IP_TTL, 0);
		return from->v4.sin_port == htons(UDP_CALL_PORT);
	}
	memcpy(out->ip, &from->v6.sin6_addr, 16);
	*ttl = (uint8_t)control_int(m, IPPROTO_IPV6, IPV6_HOPLIMIT, 0);
	return from->plain.sa_family == AF_INET6 && from->v6.sin6_port == htons(UDP_CALL_PORT);
}

int udp_receive_calls(int fd, struct udp_inbox *in, uint32_t interface,
                      void (*each)(void *arg, const struct address *from, uint8_t ttl, struct span bytes),
                      void *arg)
{
	const int n = fill(fd, in);

	for (int i = 0; i < n; i++) {
		struct address from;
		uint8_t ttl;

		if (sender_of(&from, &ttl, &in->messages[i].msg_hdr, interface))
			each(arg, &from, ttl, span_from(in->buffers[i], in->messages[i].msg_len));
	}
	return n < 0 ? -n : n < UDP_RECEIVE_BATCH ? UDP_WAIT : 0;
}

int udp_receive_path(int fd, struct udp_inbox *in, void (*each)(void *arg, struct span bytes), void *arg)
{
	const int n = fill(fd, in);

	for (int i = 0; i < n; i++) {
		const size_t len = in->messages[i].msg_len;
		const int joined = control_int(&in->messages[i].msg_hdr, SOL_UDP, UDP_GRO, 0);
		const size_t size = joined > 0 ? (size_t)joined : len;

		for (size_t at = 0; at < len; at += size)
			each(arg, span_from(&in->buffers[i][at], MIN(size, len - at)));
	}
	return n < 0 ? -n : n < UDP_RECEIVE_BATCH ? UDP_WAIT : 0;
}
