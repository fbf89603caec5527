/*
 * failing_calls.h: the nth call of the system fails.
 *
 * A test that links this has the calls of failing_calls.c taken over (tests/meson.build), those that our own
 * code makes; what libraries call themselves goes on. Nothing fails until it is armed.
 */
#ifndef TESTS_FAILING_CALLS_H
#define TESTS_FAILING_CALLS_H

#include "node/base/common.h"

struct failing_calls {
	bool armed;
	const char *name; /* those that are meant; NULL: any */
	unsigned at;      /* from 1; 0: each */
	unsigned seen;    /* while armed */
	int error;        /* an errno; 0: it does nothing, and says so */
};

extern struct failing_calls failing_calls;

/* From now on. */
void failing_calls_arm(const char *name, unsigned at, int error);

#endif
