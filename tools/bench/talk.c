/*
 * Two nodes that talk little: how soon a message is there, and how soon they find each other.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/bench/bench.h"
#include "tools/bench/home.h"
#include "tools/bench/peer.h"

enum { MESSAGES = 200, FINDINGS = 20, PAGE = 4096, TEXT = 150, DATAGRAM = 256 };

struct talk {
	const struct bench *bench;
	char dirs[2][BENCH_PATH_MAX];
	struct peer peers[2];
};

static double make_vaults(void *arg)
{
	struct talk *t = arg;

	home_make_pair((const char *const[]){ t->dirs[0], t->dirs[1] }, 0);
	return 0;
}

static void start(struct talk *t)
{
	for (unsigned i = 0; i < 2; i++)
		peer_start(&t->peers[i], t->bench->self, t->dirs[i], i);
	for (unsigned i = 0; i < 2; i++)
		peer_connect(&t->peers[i], t->dirs[i]);
}

static void stop(struct talk *t)
{
	for (unsigned i = 0; i < 2; i++)
		peer_stop(&t->peers[i]);
}

/* ---- One message ----------------------------------------------------------- */

/* From when one face asks until the other has read the text. */
static double one_message(struct talk *t, unsigned number)
{
	const double began = timing_now();
	char request[512];

	snprintf(request, sizeof(request), "\"do\":\"send\",\"name\":\"n1\",\"text\":\"%-*u\"", TEXT, number);
	peer_ask(&t->peers[0], request);
	peer_wait(&t->peers[1], "\"message\"");
	snprintf(request, sizeof(request), "\"do\":\"read\",\"name\":\"n0\",\"from\":%ld",
	         peer_number(&t->peers[1], "from"));
	peer_ask(&t->peers[1], request);
	snprintf(request, sizeof(request), "\"text\":\"%-*u\"", TEXT, number);
	peer_wait(&t->peers[1], request);
	return timing_now() - began;
}

/* The reference: a file and a socket, here and in a process that writes and answers. */
struct echo {
	int fd, file;
	pid_t child;
};

static int file_in(const char *dir, const char *name)
{
	static const uint8_t zeros[PAGE * 64];
	char path[BENCH_PATH_MAX];
	int fd;

	bench_path(path, dir, name);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || write(fd, zeros, sizeof(zeros)) != (ssize_t)sizeof(zeros) || fsync(fd) != 0)
		bench_fail(path, "it cannot be written");
	return fd;
}

static void write_durably(int file)
{
	static uint8_t page[PAGE];
	static unsigned at;

	page[0]++;
	if (pwrite(file, page, sizeof(page), (off_t)(at++ % 64) * PAGE) != PAGE || fdatasync(file) != 0)
		bench_fail("the reference of a message", "the disk does not write");
}

static int udp_at(struct sockaddr_in *name)
{
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = sizeof(*name);

	*name = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (fd < 0 || bind(fd, (struct sockaddr *)name, len) != 0 ||
	    getsockname(fd, (struct sockaddr *)name, &len) != 0)
		bench_fail("the reference of a message", "no socket");
	return fd;
}

static void echo_start(struct echo *e, const char *dir)
{
	struct sockaddr_in names[2];
	int ends[2] = { udp_at(&names[0]), udp_at(&names[1]) };
	uint8_t datagram[DATAGRAM];

	for (unsigned i = 0; i < 2; i++)
		if (connect(ends[i], (struct sockaddr *)&names[1 - i], sizeof(names[0])) != 0)
			bench_fail("the reference of a message", "no socket");
	e->child = fork();
	if (e->child == 0) {
		e->file = file_in(dir, "echo-b");
		while (recv(ends[1], datagram, sizeof(datagram), 0) > 0) {
			write_durably(e->file);
			send(ends[1], datagram, sizeof(datagram), 0);
		}
		_exit(0);
	}
	close(ends[1]);
	e->fd = ends[0];
	e->file = file_in(dir, "echo-a");
}

static double one_echo(struct echo *e)
{
	uint8_t datagram[DATAGRAM] = { 0 };
	const double began = timing_now();

	write_durably(e->file);
	if (send(e->fd, datagram, sizeof(datagram), 0) < 0 || recv(e->fd, datagram, sizeof(datagram), 0) < 0)
		bench_fail("the reference of a message", "no answer");
	return timing_now() - began;
}

static void messages(struct bench *b, struct talk *t)
{
	static struct series ours, reference;
	struct echo e;

	echo_start(&e, b->dir);
	one_echo(&e);
	for (unsigned i = 0; i < MESSAGES; i++) {
		series_add(&reference, one_echo(&e));
		series_add(&ours, one_message(t, i));
	}
	kill(e.child, SIGKILL);
	waitpid(e.child, NULL, 0);
	close(e.fd);
	close(e.file);
	report_add_times(&b->report, "message",
	                 "a message, durable at both ends and shown (UDP echo, 2 syncs)", &ours, &reference,
	                 false, 3);
	report_add(&b->report, &(struct row){
	                               .id = "message-median",
	                               .what = "the same",
	                               .unit = "ms",
	                               .ours = series_median(&ours) * 1e3,
	                               .figure = series_median(&ours) * 1e3,
	                               .bound = 5,
	                       });
}

/* ---- Finding each other ---------------------------------------------------- */

/* From when one person or both look until both are told that they are linked. */
static double find(struct talk *t, unsigned callers)
{
	double began;

	start(t);
	began = timing_now();
	for (unsigned i = 0; i < callers; i++)
		peer_ask(&t->peers[i], "\"do\":\"look\",\"on\":true");
	for (unsigned i = 0; i < 2; i++)
		peer_wait(&t->peers[i], "\"linked\"");
	return timing_now() - began;
}

static void findings(struct bench *b, struct talk *t, unsigned callers, const char *id, const char *what)
{
	struct series ours = { .n = 0 };

	for (unsigned i = 0; i < FINDINGS; i++) {
		series_add(&ours, find(t, callers));
		stop(t);
	}
	report_add(&b->report, &(struct row){
	                               .id = id,
	                               .what = what,
	                               .unit = "s",
	                               .ours = series_percentile(&ours, 95),
	                               .figure = series_percentile(&ours, 95),
	                               .bound = 2,
	                       });
}

void bench_talk(struct bench *b)
{
	static struct talk t;

	t.bench = b;
	bench_path(t.dirs[0], b->dir, "a");
	bench_path(t.dirs[1], b->dir, "b");
	timing_in_child(make_vaults, &t);
	findings(b, &t, 1, "linked", "one of two nodes calls, to both linked, 95th percentile");
	findings(b, &t, 2, "linked-both", "two nodes call each other at once, the same");
	find(&t, 1);
	messages(b, &t);
	stop(&t);
	for (unsigned i = 0; i < 2; i++)
		bench_remove(t.dirs[i]);
}
