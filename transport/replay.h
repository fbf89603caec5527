/*
 * replay.h: the window that drops a datagram which came before (PROTOCOL section 5).
 *
 * Ask it after the AEAD only: a forged number would move the window.
 */
#ifndef TRANSPORT_REPLAY_H
#define TRANSPORT_REPLAY_H

#include "node/base/common.h"

enum { REPLAY_WINDOW = 2048 };

struct replay {
	uint64_t next;                     /* one more than the largest number seen */
	uint64_t seen[REPLAY_WINDOW / 64]; /* a bit for each of the last REPLAY_WINDOW numbers */
};

/* True when pn, less than UINT64_MAX, is new, which is noted; false when it was seen or is too old. A zeroed
 * window has seen nothing. */
must_check bool replay_take(struct replay *r, uint64_t pn);

#endif
