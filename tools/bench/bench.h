/*
 * bench.h: what the rows of the measurement share.
 *
 *     sync.c        100,000 messages from one node to another     full.c    its reference
 *     talk.c        one message, finding each other               quiet.c   nothing new to say
 *     primitives.c  ratchet, handshake                            bare.c    the reference of ratchets
 *     pages.c       the page log                                  resting.c memory, unlocking
 *     olm.c         libolm, where it is                           signal.c  libsignal-protocol-c, where it is
 *     toxcore.c     c-toxcore, where it is
 *     home.c        vaults to measure with                        peer.c    nodes in processes of their own
 */
#ifndef TOOLS_BENCH_BENCH_H
#define TOOLS_BENCH_BENCH_H

#include "tools/bench/report.h"
#include "tools/bench/timing.h"

enum { BENCH_PATH_MAX = 80 }; /* the path of a Unix socket has little room */

struct bench {
	struct report report;
	const char *self;         /* this program, to be started as a node */
	char dir[BENCH_PATH_MAX]; /* for the files of all rows, made and removed by bench */
	unsigned rounds, runs;    /* of each work; of the sync */
	unsigned messages;        /* in a sync */
};

void bench_sync(struct bench *b);
void bench_quiet(struct bench *b);
void bench_talk(struct bench *b);
void bench_toxcore(struct bench *b);
void bench_primitives(struct bench *b);
void bench_olm(struct bench *b);
void bench_signal(struct bench *b);
void bench_pages(struct bench *b);
void bench_resting(struct bench *b);

/* A row about work that never waits: the processor's time, in many short rounds. bound: as in report.h, at
 * least. */
void bench_compare(struct bench *b, const char *id, const char *what, timing_work *ours,
                   timing_work *reference, double bound);

/* Ends the program, saying why: a measurement that failed is none. */
void bench_fail(const char *what, const char *why) __attribute__((noreturn));
/* The same where r is not 0; an enum err is put into words. */
void bench_must(int r, const char *what);
/* dir/name in a buffer of BENCH_PATH_MAX. */
void bench_path(char *out, const char *dir, const char *name);
/* Removes a file, or a folder with everything in it. */
void bench_remove(const char *path);

#endif
