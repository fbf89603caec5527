/*
 * process.h: what a process that holds keys does before it holds any.
 */
#ifndef NODE_PROCESS_H
#define NODE_PROCESS_H

#include "node/base/common.h"

/* What the system did not grant: the program runs, but says so. */
enum process_lack {
	PROCESS_MEMORY_NOT_LOCKED = BIT(0), /* keys could reach the swap */
	PROCESS_PRIVILEGES_KEPT = BIT(1),   /* no_new_privs was refused */
};

/* No core files, no debugger of the same user, no new privileges, memory locked where the system allows it,
 * files for the own user only, inherited descriptors but 0, 1 and 2 closed. Returns the lacks, or an enum err
 * when the process would stay readable to others. */
must_check int process_harden(void);

#endif
