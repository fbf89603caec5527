/*
 * full.h: the reference of a sync: everything that a sync must do, and nothing more, as fast as it goes.
 *
 * A process pair over TCP. The sender reads its queue from SQLite, seals each message and chains the hashes;
 * the receiver checks the chain, opens, seals again for the disk, inserts with synchronous=FULL and
 * acknowledges what is committed; the sender keeps that with synchronous=FULL too.
 */
#ifndef TOOLS_BENCH_FULL_H
#define TOOLS_BENCH_FULL_H

/* Makes a queue of count messages in dir, sends all of it, and returns the seconds from the first byte to the
 * sender's last commit. */
double full_run(const char *dir, unsigned count);

#endif
