/*
 * power.h: whether this machine runs on its battery, and whether that is nearly empty.
 */
#ifndef NODE_POWER_H
#define NODE_POWER_H

#include "node/core/node.h"

/* folder is /sys/class/power_supply, or another in tests. POWER_LOW: below 20 per cent, on battery.
 * POWER_MAINS where nothing is known. */
enum power power_now(const char *folder);

#endif
