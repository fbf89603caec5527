/*
 * failing_memory.h: the nth request for memory fails.
 *
 * A test that links this has malloc() and its kin of our own code taken over (tests/meson.build);
 * SQLite asks through our code too, other libraries do not. Nothing fails until it is armed.
 */
#ifndef TESTS_FAILING_MEMORY_H
#define TESTS_FAILING_MEMORY_H

#include "node/base/common.h"

struct failing_memory {
	volatile bool armed; /* compilers are sure that malloc() looks at nothing of ours */
	bool on;             /* all requests after it fail too */
	uint64_t at;         /* from 1 */
	uint64_t seen;       /* requests while armed */
};

extern struct failing_memory failing_memory;

/* From now on. */
void failing_memory_arm(uint64_t at, bool on);
/* Counts a request, of memory or of what the test counts among it; whether it fails. */
bool failing_memory_now(void);

#endif
