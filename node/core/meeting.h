/*
 * meeting.h: a pairing on the network (PROTOCOL section 2).
 *
 * One at a time. Who shows a code answers calls under it, who enters one calls under it;
 * what is then said is pairing.h. A pairing that is done adds a pending contact.
 */
#ifndef NODE_CORE_MEETING_H
#define NODE_CORE_MEETING_H

#include "node/core/node.h"
#include "transport/call.h"

struct meeting {
	int unused;
};

void meeting_deinit(struct meeting *m);

must_check int meeting_request(struct node *n, const struct request *q);
/* A call that came to the group, not our own. */
must_check int meeting_call(struct node *n, const struct call *call, const struct address *from);
bool meeting_owns(const struct node *n, uint32_t path);
must_check int meeting_datagram(struct node *n, struct span datagram);
void meeting_path_failed(struct node *n, uint32_t path);
must_check int meeting_timer(struct node *n);
uint64_t meeting_deadline_us(const struct node *n);

#endif
