/*
 * peer.h: a node in a process of its own, and a face of it.
 *
 * The process is this program started again, with a real vault, the carrier of the local network on the
 * interface lo, and the driver. What it sends is counted where it goes to the system.
 */
#ifndef TOOLS_BENCH_PEER_H
#define TOOLS_BENCH_PEER_H

#include <sys/types.h>

#include "node/base/common.h"

enum { PEER_LINE_MAX = 1 << 16 };

/* Shared with the process. */
struct peer_counts {
	uint64_t datagrams, bytes; /* handed to UDP; bytes without any header */
};

struct peer {
	pid_t pid;
	int face; /* a socket; -1: not connected */
	const struct peer_counts *counts;
	size_t len; /* of what was read and not taken yet */
	char buf[PEER_LINE_MAX];
	char line[PEER_LINE_MAX]; /* the last one */
};

/* The process: what `bench --node DIR ADDRESS DESCRIPTOR` does. */
int peer_main(const char *dir, const char *address, const char *counts_fd);

/* Starts a node on the vault in dir, as 127.0.0.(2 + side). */
void peer_start(struct peer *p, const char *self, const char *dir, unsigned side);
/* Waits until it is up and on the network, with a face that follows. */
void peer_connect(struct peer *p, const char *dir);
/* Sends a request, its text without braces and version. */
void peer_ask(struct peer *p, const char *request);
/* Reads lines up to one in which word stands; fails after a minute without one. */
const char *peer_wait(struct peer *p, const char *word);
/* The number behind "key": in the last line. */
long peer_number(const struct peer *p, const char *key);
size_t peer_resident_kib(const struct peer *p);
/* Ends the process at once, as a power cut would, and waits for it. */
void peer_stop(struct peer *p);

#endif
