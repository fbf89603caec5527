/*
 * hci.h: what the kernel says of Bluetooth adapters, read from /sys.
 *
 * Only to give the reason when something does not work: whether there is an adapter at all, and whether a
 * switch (rfkill) blocks it.
 */
#ifndef TRANSPORT_HCI_H
#define TRANSPORT_HCI_H

#include "node/base/common.h"

/* Whether there is any adapter. */
bool hci_present(void);
/* Whether a switch, in software or of the case, blocks adapter hci<number>. */
bool hci_blocked(uint32_t number);

#endif
