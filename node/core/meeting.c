#include "node/core/state.h"
void meeting_deinit(struct meeting *m)
{
	(void)m;
}
int meeting_request(struct node *n, const struct request *q)
{
	effect_reply(n->fx, q->id, REPLY_NO_PAIRING, 0, SPAN_NONE);
	return 0;
}
int meeting_call(struct node *n, const struct call *call, const struct address *from)
{
	(void)n;
	(void)call;
	(void)from;
	return 0;
}
bool meeting_owns(const struct node *n, uint32_t path)
{
	(void)n;
	(void)path;
	return false;
}
int meeting_datagram(struct node *n, struct span datagram)
{
	(void)n;
	(void)datagram;
	return 0;
}
void meeting_path_failed(struct node *n, uint32_t path)
{
	(void)n;
	(void)path;
}
int meeting_timer(struct node *n)
{
	(void)n;
	return 0;
}
uint64_t meeting_deadline_us(const struct node *n)
{
	(void)n;
	return NEVER_US;
}
