/*
 * relay.c: a bad cable. Carries Ethernet frames between two devices, and loses, doubles, delays and changes
 * some.
 *
 *     relay DEVICE DEVICE SEED [NAME=NUMBER]...
 *
 *     loss, multicast_loss, twice, corrupt    per cent of the frames (multicast_loss: of those to a group,
 * IPv4 or IPv6) delay, jitter                           ms; a jitter puts frames out of order mtu a larger
 * packet is lost, and nobody is told rate                                    bytes a second, each way; what
 * waits for more than a second is lost dead                                    1: nothing passes from the
 * first device to the second; 2: the other way
 *
 * Runs until it is killed. Says "ready" when frames pass. What a frame's header says of checksums that are
 * not made yet goes with it, so that a changed frame reaches the program it is for.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = sizeof(struct virtio_net_hdr), FRAME_MAX = 65550, WAITING_MAX = 8192, ETHER = 14 };

struct waiting {
	struct waiting *next;
	uint64_t due_us;
	int to;
	size_t len;
	uint8_t b[];
};

static const char *const names[] = { "loss", "multicast_loss", "twice", "corrupt", "delay", "jitter",
	                             "mtu",  "rate",           "dead" };
enum { LOSS, MULTICAST_LOSS, TWICE, CORRUPT, DELAY, JITTER, MTU, RATE, DEAD, KINDS };
static long faults[KINDS];
static uint64_t state, free_at_us[2];
static struct waiting *first;
static size_t count;

static uint64_t draw(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1d) >> 16;
}

static bool chance(int kind)
{
	return (long)(draw() % 100) < faults[kind];
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int open_device(const char *name)
{
	const unsigned number = if_nametoindex(name);
	const struct sockaddr_ll where = { .sll_family = AF_PACKET,
		                           .sll_protocol = htons(ETH_P_ALL),
		                           .sll_ifindex = (int)number };
	const struct packet_mreq all = { .mr_ifindex = (int)number, .mr_type = PACKET_MR_PROMISC };
	const int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) != 0 ||
	    bind(fd, (const struct sockaddr *)&where, sizeof(where)) != 0) {
		perror(name);
		exit(2);
	}
	return fd;
}

static void keep(int to, const uint8_t *b, size_t len, uint64_t due_us)
{
	struct waiting **at = &first, *w = count < WAITING_MAX ? malloc(sizeof(*w) + len) : NULL;

	if (w == NULL)
		return;
	*w = (struct waiting){ .due_us = due_us, .to = to, .len = len };
	memcpy(w->b, b, len);
	while (*at != NULL && (*at)->due_us <= due_us)
		at = &(*at)->next;
	w->next = *at;
	*at = w;
	count++;
}

static void carry(int way, int to, uint8_t *b, size_t len)
{
	const size_t frame = len - HEAD;
	const bool group = (b[HEAD] & 1) != 0 && b[HEAD] != 0xff;
	const uint64_t now = now_us();
	uint64_t due = now + (uint64_t)faults[DELAY] * 1000;

	if (faults[DEAD] == way + 1 || chance(LOSS) || (group && chance(MULTICAST_LOSS)) ||
	    (faults[MTU] != 0 && (long)(frame - ETHER) > faults[MTU]))
		return;
	if (faults[RATE] != 0) {
		if (free_at_us[way] < now)
			free_at_us[way] = now;
		if (free_at_us[way] > now + 1000000)
			return;
		free_at_us[way] += frame * 1000000 / (uint64_t)faults[RATE];
		due += free_at_us[way] - now;
	}
	if (chance(CORRUPT) && frame > ETHER + 1)
		b[HEAD + ETHER + draw() % (frame - ETHER)] ^= (uint8_t)(1 << draw() % 8);
	do
		keep(to, b, len,
		     due + (faults[JITTER] != 0 ? draw() % (uint64_t)(faults[JITTER] * 1000) : 0));
	while (chance(TWICE));
}

static void release(void)
{
	while (first != NULL && first->due_us <= now_us()) {
		struct waiting *w = first;

		(void)!write(w->to, w->b, w->len); /* a frame that cannot be sent is lost */
		first = w->next;
		count--;
		free(w);
	}
}

static int read_faults(int n, char **words)
{
	for (int i = 0; i < n; i++) {
		const char *is = strchr(words[i], '=');
		int kind = 0;

		while (is != NULL && kind < KINDS &&
		       (strlen(names[kind]) != (size_t)(is - words[i]) ||
		        strncmp(names[kind], words[i], (size_t)(is - words[i])) != 0))
			kind++;
		if (is == NULL || kind == KINDS)
			return -1;
		faults[kind] = atol(is + 1);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static uint8_t b[HEAD + FRAME_MAX];
	struct pollfd ends[2];

	if (argc < 4 || read_faults(argc - 4, &argv[4]) != 0) {
		fprintf(stderr, "usage: relay DEVICE DEVICE SEED [NAME=NUMBER]...\n");
		return 2;
	}
	state = strtoull(argv[3], NULL, 10) | 1;
	for (int i = 0; i < 2; i++)
		ends[i] = (struct pollfd){ .fd = open_device(argv[1 + i]), .events = POLLIN };
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		const uint64_t now = now_us();
		const int wait_ms = first == NULL          ? -1
		                    : first->due_us <= now ? 0
		                                           : (int)((first->due_us - now) / 1000) + 1;

		poll(ends, 2, wait_ms);
		for (int i = 0; i < 2; i++) {
			ssize_t len;

			while ((len = recv(ends[i].fd, b, sizeof(b), MSG_DONTWAIT)) > HEAD + ETHER)
				carry(i, ends[1 - i].fd, b, (size_t)len);
		}
		release();
	}
}
