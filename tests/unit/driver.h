/*
 * driver.h: the driver of node/loop.c in a child, with its socket and its network.
 *
 * A small core of the test's own stands in for the node, and a Bluetooth of the test's own for the carrier.
 * Both the child and the test see `driver`: the test says there how the next driver begins and what it finds,
 * and reads what it did. driver_setup() and driver_teardown() belong to each test; the latter leaves no
 * process behind, however the test ended.
 *
 * The core knows one contact, Anna. What is sent to her comes back as a notice, and some texts are orders:
 *
 *     FAIL, FULL   the step fails, with ERR_IO or ERR_FULL
 *     MET, UNMET   the notice ends the pairing
 *     TICK         it waits for nothing, then for 30 ms, and then for hours
 *     NET, AIR     it uses the network, or Bluetooth; SHUT ends the latter
 *     MEMORY n     from now on until the next text that is none of the first two, the nth request for memory
 * fails CALLS n w    the same for the nth call of w (tests/failing_calls.h) STALL        it takes a while
 */
#ifndef TESTS_UNIT_DRIVER_H
#define TESTS_UNIT_DRIVER_H

#include <sys/types.h>

#include "node/loop.h"

enum { DRIVER_LIMIT_MS = 10000, DRIVER_HOME_MAX = 128, DRIVER_PATH_MAX = DRIVER_HOME_MAX + 8 };

struct driver {
	char home[DRIVER_HOME_MAX];
	pid_t child; /* 0: none */

	/* How the next one begins. */
	bool read_only, again; /* again: in the home of the one before */
	bool no_room, no_tidy; /* these are left out */
	bool hurries;          /* timers do not wait */
	bool locks;            /* as soon as it has begun */
	const char *report;
	const char *calls; /* of these the nth fails, from the beginning on; 0: none */
	unsigned calls_at;
	int calls_error;
	uint64_t memory_at; /* the nth request for memory that is not the rows'; 0: none */

	/* What it finds. */
	int room; /* enum loop_room or another outcome */
	enum power supply;
	int tidy_is, open_is, channel_is; /* what comes of it, until it is changed */
	int network_is, begin_is;         /* once */
	int new_is;

	/* What it did. */
	unsigned news, begins, settles, sends, looks, tidied, cancels;
	unsigned networks, radios, ticks, calls_heard, adverts, channels, datagrams, failed, refused, locked;
	bool room_low;   /* what the node was told last */
	enum power told; /* the same */
	char air[256];   /* what Bluetooth was asked for */
	uint64_t seen;   /* of what fails, while it was to */
};

extern struct driver *driver;

int driver_setup(void **state);
int driver_teardown(void **state);

/* A child that runs; driver_start() waits until its socket is there, or until it has ended. */
void driver_fork(void);
void driver_start(void);
/* Waits for its end. What loop_run() said, as a positive number. */
int driver_wait(void);
/* The same after sig, and sees that the socket went too. */
int driver_stop(int sig);

/* Where its socket is. */
void driver_socket(char out[static DRIVER_PATH_MAX]);
/* A connection. */
int driver_dial(void);
/* A line, without its end; empty when the other side is gone. Good until the next one. */
const char *driver_hear(int fd);
void driver_say(int fd, const char *line);
/* Says the line and fails unless the one that comes has this part. */
void driver_ask(int fd, const char *line, const char *part);
/* The same with a text for Anna. */
void driver_send(int fd, const char *text, const char *part);
/* Waits until *count is at least wanted, and fails where it does not become so. */
void driver_becomes(const unsigned *count, unsigned wanted);

#endif
