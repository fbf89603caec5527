/*
 * What the kernel is asked for when a channel is opened, and what is made of each of its answers. The kernel
 * of this machine need not know Bluetooth: its calls are taken over, and bytes go through a pair of sockets.
 */
#include "transport/l2cap.h"

#include <bluetooth/bluetooth.h>
#include <bluetooth/l2cap.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static const struct address local = { { 0x00, 0xaa, 0x01, 0x02, 0x03, 0x0f, BDADDR_LE_PUBLIC },
	                              ADDRESS_BLUETOOTH | 3 },
                            remote = { { 0xc1, 0x22, 0x33, 0x44, 0x55, 0x66, BDADDR_LE_RANDOM },
	                               ADDRESS_BLUETOOTH | 3 };
static const uint8_t local_bytes[] = { 0x0f, 0x03, 0x02, 0x01, 0xaa, 0x00 },
                     remote_bytes[] = { 0x66, 0x55, 0x44, 0x33, 0x22, 0xc1 };

static struct {
	const char *failing; /* the call that fails, */
	int error;           /* and how; of send: 0 takes less than it was given */
	int option;          /* the option that setsockopt() fails for */
	int channel_error;   /* what getsockopt() says of the channel */
	int fd, other;       /* both ends of the socket that was made */
	int backlog;
	struct sockaddr_l2 bound, connected;
	struct bt_security security;
	uint16_t mtu;
} kernel;

static bool fails(const char *call)
{
	if (kernel.failing == NULL || strcmp(kernel.failing, call) != 0)
		return false;
	errno = kernel.error;
	return true;
}

int __wrap_socket(int domain, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *at, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_listen(int fd, int backlog);
int __wrap_accept4(int fd, struct sockaddr *at, socklen_t *len, int flags);
int __wrap_connect(int fd, const struct sockaddr *at, socklen_t len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
ssize_t __real_send(int fd, const void *bytes, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags);
ssize_t __real_recv(int fd, void *bytes, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t len, int flags);

int __wrap_socket(int domain, int type, int protocol)
{
	int fds[2];

	assert_int_equal(domain, AF_BLUETOOTH);
	assert_int_equal(type, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_int_equal(protocol, BTPROTO_L2CAP);
	if (fails("socket"))
		return -1;
	assert_int_equal(socketpair(AF_UNIX, type, 0, fds), 0);
	kernel.fd = fds[0];
	kernel.other = fds[1];
	return kernel.fd;
}

int __wrap_bind(int fd, const struct sockaddr *at, socklen_t len)
{
	assert_true(fd == kernel.fd && len == sizeof(kernel.bound));
	memcpy(&kernel.bound, at, len);
	return fails("bind") ? -1 : 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	assert_true(fd == kernel.fd && level == SOL_BLUETOOTH);
	if (name == BT_SECURITY) {
		assert_int_equal(len, sizeof(kernel.security));
		memcpy(&kernel.security, value, len);
	} else {
		assert_true(name == BT_RCVMTU && len == sizeof(kernel.mtu));
		memcpy(&kernel.mtu, value, len);
	}
	return name == kernel.option && fails("setsockopt") ? -1 : 0;
}

int __wrap_listen(int fd, int backlog)
{
	assert_int_equal(fd, kernel.fd);
	kernel.backlog = backlog;
	return fails("listen") ? -1 : 0;
}

int __wrap_accept4(int fd, struct sockaddr *at, socklen_t *len, int flags)
{
	struct sockaddr_l2 from = { .l2_family = AF_BLUETOOTH, .l2_bdaddr_type = BDADDR_LE_RANDOM };

	assert_true(*len == sizeof(from) && flags == (SOCK_NONBLOCK | SOCK_CLOEXEC));
	if (fails("accept4"))
		return -1;
	memcpy(from.l2_bdaddr.b, remote_bytes, sizeof(remote_bytes));
	memcpy(at, &from, sizeof(from));
	return fd + 1;
}

int __wrap_connect(int fd, const struct sockaddr *at, socklen_t len)
{
	assert_true(fd == kernel.fd && len == sizeof(kernel.connected));
	memcpy(&kernel.connected, at, len);
	return fails("connect") ? -1 : 0;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	assert_true(fd == kernel.fd && level == SOL_SOCKET && name == SO_ERROR && *len == sizeof(int));
	memcpy(value, &kernel.channel_error, sizeof(int));
	return fails("getsockopt") ? -1 : 0;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags)
{
	if (fails("send"))
		return kernel.error == 0 ? (ssize_t)len - 1 : -1;
	return __real_send(fd, bytes, len, flags);
}

ssize_t __wrap_recv(int fd, void *bytes, size_t len, int flags)
{
	return fails("recv") ? -1 : __real_recv(fd, bytes, len, flags);
}

static void kernel_is(const char *failing, int error)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.failing = failing;
	kernel.error = error;
	kernel.fd = kernel.other = -1;
}

/* Whether our end is closed; the other one is then closed too. */
static bool is_closed(void)
{
	const bool closed = kernel.fd < 0 || fcntl(kernel.fd, F_GETFD) == -1;

	if (kernel.other >= 0)
		close(kernel.other);
	return closed;
}

static void assert_bound(uint8_t psm)
{
	assert_int_equal(kernel.bound.l2_family, AF_BLUETOOTH);
	assert_memory_equal(kernel.bound.l2_bdaddr.b, local_bytes, sizeof(local_bytes));
	assert_int_equal(kernel.bound.l2_bdaddr_type, BDADDR_LE_PUBLIC);
	assert_int_equal(btohs(kernel.bound.l2_psm), psm);
	assert_int_equal(kernel.bound.l2_cid, 0);
	assert_int_equal(kernel.security.level, BT_SECURITY_LOW);
	assert_int_equal(kernel.mtu, CARRIER_LARGE);
}

static void asks_for_channels_of_our_shape(void **state)
{
	struct address from;
	int fd, channel;

	(void)state;
	kernel_is(NULL, 0);
	fd = l2cap_listen(&local, 0x91);
	assert_true(fd >= 0 && fd == kernel.fd);
	assert_bound(0x91);
	assert_true(kernel.backlog > 0);
	assert_int_equal(l2cap_accept(&channel, fd, &local, &from), 0);
	assert_int_equal(channel, fd + 1);
	assert_memory_equal(&from, &remote, sizeof(from));
	assert_int_equal(close(fd), 0);
	assert_true(is_closed());

	kernel_is(NULL, 0);
	fd = l2cap_connect(&local, &remote, 0xf7);
	assert_true(fd >= 0 && fd == kernel.fd);
	assert_bound(0);
	assert_memory_equal(kernel.connected.l2_bdaddr.b, remote_bytes, sizeof(remote_bytes));
	assert_int_equal(kernel.connected.l2_bdaddr_type, BDADDR_LE_RANDOM);
	assert_int_equal(btohs(kernel.connected.l2_psm), 0xf7);
	assert_int_equal(l2cap_connected(fd), 0);
	assert_int_equal(close(fd), 0);
	assert_true(is_closed());
}

static void what_fails_leaves_no_socket(void **state)
{
	static const struct {
		const char *call;
		int error, option;
		bool listen, connect; /* whether it matters to it */
	} table[] = {
		{ "socket", EAFNOSUPPORT, 0, true, true },
		{ "bind", EADDRINUSE, 0, true, true }, /* the PSM is in use */
		{ "bind", EADDRNOTAVAIL, 0, true, true },
		{ "setsockopt", ENOPROTOOPT, BT_SECURITY, true, true },
		{ "setsockopt", ENOPROTOOPT, BT_RCVMTU, true, true },
		{ "listen", EOPNOTSUPP, 0, true, false },
		{ "connect", EHOSTUNREACH, 0, false, true },
		{ "connect", EINPROGRESS, 0, false, false }, /* it has begun */
	};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT_OF(table); i++) {
		const bool listens = i % 2 == 0;
		int fd;

		kernel_is(table[i / 2].call, table[i / 2].error);
		kernel.option = table[i / 2].option;
		fd = listens ? l2cap_listen(&local, 0x80) : l2cap_connect(&local, &remote, 0x80);
		if (listens ? table[i / 2].listen : table[i / 2].connect) {
			assert_int_equal(fd, -1);
		} else {
			assert_true(fd >= 0 && fd == kernel.fd);
			close(fd);
		}
		assert_true(is_closed());
	}
}

static void tells_what_waits_from_what_is_broken(void **state)
{
	enum { ACCEPT = BIT(0), SEND = BIT(1), RECEIVE = BIT(2) };
	static const struct {
		int error;
		unsigned waits; /* for all others it is broken */
	} table[] = {
		{ EAGAIN, ACCEPT | SEND | RECEIVE },
		{ EINTR, ACCEPT | SEND | RECEIVE },
		{ ENOBUFS, SEND | RECEIVE },
		{ ENOMEM, SEND | RECEIVE },
		{ EMFILE, 0 },
		{ ECONNABORTED, 0 },
		{ ENOTCONN, 0 },
		{ ECONNRESET, 0 },
		{ EPIPE, 0 },
	};
	uint8_t sdu[CARRIER_LARGE] = { 0 };
	struct address from;
	size_t len;
	int fd;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		const int broken = L2CAP_BROKEN, wait = L2CAP_WAIT;

		kernel_is("accept4", table[i].error);
		assert_int_equal(l2cap_accept(&fd, -1, &local, &from),
		                 table[i].waits & ACCEPT ? wait : broken);
		kernel_is("send", table[i].error);
		assert_int_equal(l2cap_send(-1, SPAN(sdu)), table[i].waits & SEND ? wait : broken);
		kernel_is("recv", table[i].error);
		assert_int_equal(l2cap_receive(-1, sdu, &len), table[i].waits & RECEIVE ? wait : broken);
	}
	kernel_is("send", 0); /* in part */
	assert_int_equal(l2cap_send(-1, SPAN(sdu)), L2CAP_BROKEN);
	kernel_is("getsockopt", EBADF);
	assert_int_equal(l2cap_connected(kernel.fd), L2CAP_BROKEN);
	kernel_is(NULL, 0);
	kernel.channel_error = ECONNREFUSED;
	assert_int_equal(l2cap_connected(kernel.fd), L2CAP_BROKEN);
}

static void an_sdu_comes_whole_until_the_end(void **state)
{
	uint8_t sdu[CARRIER_LARGE], got[CARRIER_LARGE];
	size_t len = 0, sent = 0, came = 0;
	int fd, r;

	(void)state;
	kernel_is(NULL, 0);
	fd = l2cap_connect(&local, &remote, 0x80);
	assert_int_equal(l2cap_receive(kernel.other, got, &len), L2CAP_WAIT);
	do {
		memset(sdu, (int)sent, sizeof(sdu));
		r = l2cap_send(fd, SPAN(sdu));
		sent += r == 0;
	} while (r == 0);
	assert_int_equal(r, L2CAP_WAIT); /* it is full */
	while (l2cap_receive(kernel.other, got, &len) == 0) {
		memset(sdu, (int)came++, sizeof(sdu));
		assert_true(len == sizeof(sdu) && memcmp(got, sdu, len) == 0);
	}
	assert_true(sent > 0 && came == sent);
	close(fd);
	assert_int_equal(l2cap_receive(kernel.other, got, &len), L2CAP_BROKEN);
	assert_int_equal(l2cap_send(kernel.other, SPAN(sdu)), L2CAP_BROKEN); /* and no SIGPIPE */
	assert_true(is_closed());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_for_channels_of_our_shape),
		cmocka_unit_test(what_fails_leaves_no_socket),
		cmocka_unit_test(tells_what_waits_from_what_is_broken),
		cmocka_unit_test(an_sdu_comes_whole_until_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
