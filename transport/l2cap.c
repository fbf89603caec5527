/*
 * The kernel's types are those of the headers of libbluetooth; nothing of that library is called.
 */
#include "transport/l2cap.h"

#include <bluetooth/bluetooth.h>
#include <bluetooth/l2cap.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 8 };

static_assert(sizeof(bdaddr_t) == 6, "the bytes of an address");

/* The kernel has the bytes the other way round than people write them, and the type of an address is the same
 * number as ours. */
static struct sockaddr_l2 to_kernel(const struct address *a, uint8_t psm)
{
	struct sockaddr_l2 at = { .l2_family = AF_BLUETOOTH, .l2_psm = htobs(psm) };

	static_assert(BDADDR_LE_PUBLIC == 1 && BDADDR_LE_RANDOM == 2, "the types of struct address");
	for (size_t i = 0; i < sizeof(at.l2_bdaddr.b); i++)
		at.l2_bdaddr.b[i] = a->ip[sizeof(at.l2_bdaddr.b) - 1 - i];
	at.l2_bdaddr_type = a->ip[sizeof(at.l2_bdaddr.b)];
	return at;
}

static struct address from_kernel(const struct sockaddr_l2 *at, uint32_t interface)
{
	struct address a = { .interface = interface };

	for (size_t i = 0; i < sizeof(at->l2_bdaddr.b); i++)
		a.ip[i] = at->l2_bdaddr.b[sizeof(at->l2_bdaddr.b) - 1 - i];
	a.ip[sizeof(at->l2_bdaddr.b)] = at->l2_bdaddr_type;
	return a;
}

/* A socket that is bound to the adapter and takes SDUs of our size; psm 0: of a caller. */
static int channel(const struct address *local, uint8_t psm)
{
	const struct sockaddr_l2 at = to_kernel(local, psm);
	const struct bt_security security = { .level = BT_SECURITY_LOW };
	const uint16_t mtu = CARRIER_LARGE;
	const int fd = socket(AF_BLUETOOTH, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, BTPROTO_L2CAP);

	if (fd < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 &&
	    setsockopt(fd, SOL_BLUETOOTH, BT_SECURITY, &security, sizeof(security)) == 0 &&
	    setsockopt(fd, SOL_BLUETOOTH, BT_RCVMTU, &mtu, sizeof(mtu)) == 0)
		return fd;
	close(fd);
	return -1;
}

int l2cap_listen(const struct address *local, uint8_t psm)
{
	const int fd = channel(local, psm);

	assert(psm >= L2CAP_PSM_FIRST);
	if (fd < 0 || listen(fd, BACKLOG) == 0)
		return fd;
	close(fd);
	return -1;
}

int l2cap_accept(int *fd, int listener, const struct address *local, struct address *from)
{
	struct sockaddr_l2 at = { 0 };
	socklen_t len = sizeof(at);
	const int r = accept4(listener, (struct sockaddr *)&at, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (r < 0)
		return errno == EAGAIN || errno == EINTR ? L2CAP_WAIT : L2CAP_BROKEN;
	*fd = r;
	*from = from_kernel(&at, local->interface);
	return 0;
}

int l2cap_connect(const struct address *local, const struct address *remote, uint8_t psm)
{
	const struct sockaddr_l2 at = to_kernel(remote, psm);
	const int fd = channel(local, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 || errno == EINPROGRESS)
		return fd;
	close(fd);
	return -1;
}

int l2cap_connected(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0 ? 0 : L2CAP_BROKEN;
}

static int outcome_of_errno(void)
{
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM ? L2CAP_WAIT
	                                                                                : L2CAP_BROKEN;
}

int l2cap_send(int fd, struct span sdu)
{
	const ssize_t n = send(fd, sdu.p, sdu.len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return outcome_of_errno();
	return (size_t)n == sdu.len ? 0 : L2CAP_BROKEN;
}

int l2cap_receive(int fd, uint8_t buf[static CARRIER_LARGE], size_t *len)
{
	const ssize_t n = recv(fd, buf, CARRIER_LARGE, MSG_DONTWAIT);

	if (n < 0)
		return outcome_of_errno();
	*len = (size_t)n;
	return n > 0 ? 0 : L2CAP_BROKEN; /* nothing: the other side has closed it */
}
