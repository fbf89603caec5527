/*
 * process.h: what a process that holds keys does before it holds any.
 */
#ifndef NODE_PROCESS_H
#define NODE_PROCESS_H

#include "node/base/common.h"

/* What the system did not grant: the program runs, but says so. */
enum process_lack {
	PROCESS_MEMORY_NOT_LOCKED = BIT(0), /* what is in no guarded memory could reach the swap */
	PROCESS_PRIVILEGES_KEPT = BIT(1),   /* no_new_privs was refused */
	PROCESS_KEYS_NOT_LOCKED =
	        BIT(2), /* nor are the keys: libsodium locks them where it may, and says nothing */
};

/* What every program does first: descriptors 0, 1 and 2 exist. Where one did not, the next file to be opened
 * would take its place, and what is said to a person would be written over the vault. Returns 0 or an enum
 * err. */
must_check int process_begin(void);

/* For every program through which a secret passes, a message on its way to the screen too: no core files, and
 * no other process of the same user reads its memory. Returns 0 or an enum err. */
must_check int process_shield(void);

/* The same for a process that holds keys, and no new privileges, memory locked where the system allows it,
 * files for the own user only, inherited descriptors but 0, 1 and 2 closed. Returns the lacks, or an enum err
 * when the process would stay readable to others. */
must_check int process_harden(void);

#endif
