/*
 * bare.h: the steps of our ratchet on bare libsodium, without checks, states or wiping: what nobody can go
 * below without another library. The reference of every ratchet that is measured.
 */
#ifndef TOOLS_BENCH_BARE_H
#define TOOLS_BENCH_BARE_H

/* Seals and opens many envelopes, all in one direction, or in turns with a DH step each. The arguments are
 * not used. Returns the processor's seconds for one envelope. */
double bare_one_way(void *arg);
double bare_ping_pong(void *arg);

#endif
