/*
 * quota.h: how much is taken from one contact in a day.
 *
 * It bounds what somebody who floods costs our disk, and lies far above what people write: what is beyond it
 * is not lost, it stays with its sender. Kept in memory only; a node that starts counts anew.
 */
#ifndef NODE_CORE_QUOTA_H
#define NODE_CORE_QUOTA_H

#include "node/base/common.h"

struct quota {
	uint64_t from_us, bytes; /* counted since then; no bytes: it has not begun */
};

/* Whether something is taken now. */
bool quota_is_left(const struct quota *q, uint64_t now_us);
/* An envelope of so many bytes, with so many messages, was taken. */
void quota_count(struct quota *q, uint64_t now_us, size_t envelope, int64_t messages);
/* When something is taken again, where it is used up. */
uint64_t quota_until_us(const struct quota *q);

#endif
