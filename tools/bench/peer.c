#include "tools/bench/peer.h"

#include <errno.h>
#include <linux/memfd.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/crypto/random.h"
#include "node/loop.h"
#include "tools/bench/bench.h"
#include "tools/bench/home.h"

enum { WAIT_MS = 60000, UP_TRIES = 2000 };

/* ---- The process ----------------------------------------------------------- */

static struct peer_counts *counts;

/* The linker puts these in place of the system's for the objects of this program (--wrap). */
ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
int __real_sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags);

static size_t segment_of(const struct msghdr *m)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	uint16_t size;

	if (c == NULL || c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_SEGMENT)
		return 0;
	memcpy(&size, CMSG_DATA(c), sizeof(size));
	return size;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	const ssize_t r = __real_sendmsg(fd, m, flags);
	const size_t segment = segment_of(m);

	if (r > 0 && counts != NULL) {
		counts->bytes += (size_t)r;
		counts->datagrams += segment == 0 ? 1 : ((size_t)r + segment - 1) / segment;
	}
	return r;
}

int __wrap_sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags)
{
	const int r = __real_sendmmsg(fd, v, n, flags);

	for (int i = 0; i < r && counts != NULL; i++) {
		counts->bytes += v[i].msg_len;
		counts->datagrams++;
	}
	return r;
}

struct opener {
	const char *dir;
	struct vault *vault;
};

static int open_vault(void *arg, struct store **out)
{
	struct opener *o = arg;

	vault_close(o->vault);
	o->vault = home_open(o->dir, NULL);
	*out = vault_store(o->vault);
	return 0;
}

int peer_main(const char *dir, const char *address, const char *counts_fd)
{
	char interface[64];
	const char *const interfaces[] = { interface };
	struct opener opener = { .dir = dir };
	const struct loop_options options = {
		.open = open_vault,
		.arg = &opener,
		.home = dir,
		.lan = { interfaces, COUNT_OF(interfaces) },
		.rng = random_system(),
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(interface, sizeof(interface), "lo=%s", address);
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, atoi(counts_fd), 0);
	if (counts == MAP_FAILED)
		bench_fail("a node", "it cannot count");
	bench_must(loop_run(&options), "a node");
	vault_close(opener.vault);
	return 0;
}

/* ---- The face -------------------------------------------------------------- */

void peer_start(struct peer *p, const char *self, const char *dir, unsigned side)
{
	const int fd = memfd_create("counts", 0);
	char address[32], number[16];

	if (fd < 0 || ftruncate(fd, sizeof(*p->counts)) != 0)
		bench_fail("a node", "no memory to share");
	p->face = -1;
	p->len = 0;
	p->counts = mmap(NULL, sizeof(*p->counts), PROT_READ, MAP_SHARED, fd, 0);
	snprintf(address, sizeof(address), "127.0.0.%u", 2 + side);
	snprintf(number, sizeof(number), "%d", fd);
	p->pid = fork();
	if (p->pid == 0) {
		execl(self, "bench", "--node", dir, address, number, (char *)NULL);
		_exit(2);
	}
	close(fd);
	if (p->pid < 0 || p->counts == MAP_FAILED)
		bench_fail("a node", "it does not start");
}

void peer_connect(struct peer *p, const char *dir)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	snprintf(name.sun_path, sizeof(name.sun_path), "%s/control", dir);
	p->face = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (unsigned i = 0; connect(p->face, (struct sockaddr *)&name, sizeof(name)) != 0; i++) {
		if (i == UP_TRIES)
			bench_fail(dir, "its node does not come up");
		usleep(1000);
	}
	peer_ask(p, "\"do\":\"follow\"");
	peer_wait(p, "\"ok\":true");
	do
		peer_ask(p, "\"do\":\"status\"");
	while (strstr(peer_wait(p, "\"carriers\""), "\"works\":true") == NULL);
}

void peer_ask(struct peer *p, const char *request)
{
	char line[4096];
	const int len = snprintf(line, sizeof(line), "{\"v\":1,\"id\":1,%s}\n", request);

	assert((size_t)len < sizeof(line));
	if (write(p->face, line, (size_t)len) != len)
		bench_fail("a node", "it does not listen");
}

/* Takes a line out of the buffer. */
static bool take_line(struct peer *p)
{
	const char *end = memchr(p->buf, '\n', p->len);
	const size_t len = end == NULL ? 0 : (size_t)(end - p->buf);

	if (end == NULL)
		return false;
	memcpy(p->line, p->buf, len);
	p->line[len] = '\0';
	p->len -= len + 1;
	memmove(p->buf, end + 1, p->len);
	return true;
}

const char *peer_wait(struct peer *p, const char *word)
{
	for (;;) {
		struct pollfd poll_face = { .fd = p->face, .events = POLLIN };
		ssize_t got;

		while (take_line(p))
			if (strstr(p->line, word) != NULL)
				return p->line;
		if (p->len == sizeof(p->buf) || poll(&poll_face, 1, WAIT_MS) != 1)
			bench_fail(word, "a node did not say this");
		got = read(p->face, p->buf + p->len, sizeof(p->buf) - p->len);
		if (got <= 0)
			bench_fail(word, "a node went away before it said this");
		p->len += (size_t)got;
	}
}

long peer_number(const struct peer *p, const char *key)
{
	char quoted[64];
	const char *at;

	snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	at = strstr(p->line, quoted);
	if (at == NULL)
		bench_fail(key, "a node did not say this");
	return strtol(at + strlen(quoted), NULL, 10);
}

size_t peer_resident_kib(const struct peer *p)
{
	char path[64], line[256];
	size_t kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)p->pid);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmRSS: %zu", &kib) == 1)
			break;
	if (f != NULL)
		fclose(f);
	if (kib == 0)
		bench_fail(path, "it does not say how much memory there is");
	return kib;
}

void peer_stop(struct peer *p)
{
	if (p->face >= 0)
		close(p->face);
	munmap((void *)(uintptr_t)p->counts, sizeof(*p->counts));
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
}
