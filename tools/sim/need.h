/*
 * need.h: memory for the simulator itself: without it there is nothing to go on with.
 */
#ifndef TOOLS_SIM_NEED_H
#define TOOLS_SIM_NEED_H

#include <stdlib.h>

#include "node/base/common.h"

static inline void *need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

#endif
