/*
 * power.h: whether this machine runs on its battery.
 */
#ifndef NODE_POWER_H
#define NODE_POWER_H

#include <stdbool.h>

/* folder is /sys/class/power_supply, or another in tests. False where nothing is known. */
bool power_on_battery(const char *folder);

#endif
