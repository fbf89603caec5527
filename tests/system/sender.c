/*
 * sender.c: sends frames at a rate that a script does not reach.
 *
 *     sender DEVICE KIND COUNT RATE SEED < FRAMES
 *
 * FRAMES are IPv4 UDP frames, each behind its length (32 bits, little-endian); one of them is taken at random
 * each time, and sent on DEVICE, COUNT times in all, RATE a second (0: as fast as it goes). KIND says what
 * becomes of it:
 *
 *     same      it is sent as it is
 *     flip      one bit of the payload is another
 *     random    the payload is random bytes
 *     call      the payload is a well-formed call of nobody: the UUIDs in it are others (PROTOCOL section 4)
 *
 * With a `+` behind it the sender's address is random as well. Ends early with SIGTERM. Prints how many a
 * second it were.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { FRAMES_MAX = 4096, FRAME_MAX = 1514, BATCH = 50 };
enum { SOURCE_AT = 26, IP_SUM_AT = 24, IP_AT = 14, UDP_SUM_AT = 40, PAYLOAD_AT = 42 };
enum { CALL_HEAD = 12, CALL_QUESTION = 48 };

struct frame {
	uint32_t len;
	uint8_t b[FRAME_MAX];
};

static struct frame frames[FRAMES_MAX];
static uint64_t state;

/* xorshift64*: what is sent need not be secret, only quick and the same for a seed. */
static uint64_t draw(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1d;
}

static void fill(uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i += 8) {
		const uint64_t r = draw();

		memcpy(out + i, &r, n - i < 8 ? n - i : 8);
	}
}

static void new_uuid(uint8_t *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < 36; i++)
		if (i != 8 && i != 13 && i != 18 && i != 23)
			text[i] = (uint8_t)digits[draw() >> 60];
	text[14] = '4';
	text[19] = (uint8_t) "89ab"[draw() >> 62];
}

static void new_source(struct frame *f)
{
	uint32_t sum = 0;

	f->b[SOURCE_AT + 3] = (uint8_t)(draw() >> 56);
	f->b[IP_SUM_AT] = f->b[IP_SUM_AT + 1] = 0;
	for (size_t i = IP_AT; i < IP_AT + 20; i += 2)
		sum += (uint32_t)f->b[i] << 8 | f->b[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	f->b[IP_SUM_AT] = (uint8_t)(sum >> 8);
	f->b[IP_SUM_AT + 1] = (uint8_t)sum;
}

static void change(struct frame *f, const char *kind)
{
	const size_t payload = f->len - PAYLOAD_AT;

	if (kind[strlen(kind) - 1] == '+')
		new_source(f);
	if (strncmp(kind, "same", 4) != 0 || kind[4] == '+')
		f->b[UDP_SUM_AT] = f->b[UDP_SUM_AT + 1] = 0; /* none */
	if (payload == 0)
		return;
	if (strncmp(kind, "flip", 4) == 0) {
		const uint64_t r = draw() >> 20;

		f->b[PAYLOAD_AT + r / 8 % payload] ^= (uint8_t)(1 << r % 8);
	}
	if (strncmp(kind, "random", 6) == 0)
		fill(&f->b[PAYLOAD_AT], payload);
	if (strncmp(kind, "call", 4) == 0)
		for (size_t at = CALL_HEAD; at + CALL_QUESTION <= payload; at += CALL_QUESTION)
			new_uuid(&f->b[PAYLOAD_AT + at + 1]);
}

static size_t read_frames(void)
{
	size_t n = 0;

	while (n < FRAMES_MAX && fread(&frames[n].len, 4, 1, stdin) == 1) {
		if (frames[n].len < PAYLOAD_AT || frames[n].len > FRAME_MAX ||
		    fread(frames[n].b, frames[n].len, 1, stdin) != 1)
			return 0;
		n++;
	}
	return n;
}

static int open_device(const char *name)
{
	const struct sockaddr_ll where = { .sll_family = AF_PACKET,
		                           .sll_ifindex = (int)if_nametoindex(name) };
	const int fd = socket(AF_PACKET, SOCK_RAW, 0);

	return fd >= 0 && bind(fd, (const struct sockaddr *)&where, sizeof(where)) == 0 ? fd : -1;
}

static volatile sig_atomic_t ended;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void wait_until(double when)
{
	const double left = when - now();
	const struct timespec t = { (time_t)left, (long)((left - (double)(time_t)left) * 1e9) };

	if (left > 0)
		nanosleep(&t, NULL);
}

int main(int argc, char **argv)
{
	static struct frame batch[BATCH];
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	const size_t n = read_frames();
	const int fd = argc == 6 ? open_device(argv[1]) : -1;
	const double began = now();
	size_t sent = 0;

	if (fd < 0 || n == 0) {
		fprintf(stderr, "sender: no device or no frames\n");
		return 2;
	}
	state = strtoull(argv[5], NULL, 10) | 1;
	signal(SIGTERM, end);
	for (const size_t count = strtoull(argv[3], NULL, 10); sent < count && !ended;) {
		const size_t k = count - sent < BATCH ? count - sent : BATCH;
		const double rate = atof(argv[4]);

		memset(messages, 0, sizeof(messages));
		for (size_t i = 0; i < k; i++) {
			batch[i] = frames[(draw() >> 32) % n];
			change(&batch[i], argv[2]);
			parts[i] = (struct iovec){ batch[i].b, batch[i].len };
			messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
		}
		for (size_t i = 0; i < k;) {
			const int r = sendmmsg(fd, &messages[i], (unsigned)(k - i), 0);

			if (r <= 0) {
				perror("sender");
				return 1;
			}
			i += (size_t)r;
		}
		sent += k;
		if (rate > 0)
			wait_until(began + (double)sent / rate);
	}
	printf("%.0f\n", (double)sent / (now() - began));
	return 0;
}
