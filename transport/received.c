#include "transport/received.h"

#include "transport/frames.h"

/* True when pn leaves a gap or fills one: the sender wants to know at once (RFC 9000, 13.2.1). */
static bool is_out_of_order(const struct ranges *numbers, uint64_t pn)
{
	return pn != (numbers->n > 0 ? numbers->v[numbers->n - 1].end : 0);
}

void received_note(struct received *r, uint64_t pn, bool wants_ack, uint64_t now_us)
{
	struct ranges *numbers = &r->numbers;
	const bool out_of_order = is_out_of_order(numbers, pn);
	const unsigned unsaid_max = r->reliable ? RECEIVED_RELIABLE_UNSAID_MAX : RECEIVED_UNSAID_MAX;

	if (numbers->n == 0 || pn >= numbers->v[numbers->n - 1].end)
		r->largest_us = now_us;
	while (ranges_add(numbers, pn, pn + 1) == RANGES_FULL) {
		if (pn < numbers->v[0].first)
			break; /* older than all that is remembered: it will be sent again */
		ranges_drop_lowest(numbers);
	}
	if (!wants_ack)
		return;
	if (r->unsaid++ == 0)
		r->due_us = now_us + (r->reliable ? RECEIVED_RELIABLE_DELAY_US : RECEIVED_ACK_DELAY_US);
	if (r->unsaid >= unsaid_max || (out_of_order && !r->reliable))
		r->due_us = MIN(r->due_us, now_us);
}

bool received_owes_ack(const struct received *r)
{
	return r->unsaid > 0;
}

uint64_t received_deadline_us(const struct received *r)
{
	return r->unsaid > 0 ? r->due_us : UINT64_MAX;
}

bool received_write_ack(struct received *r, struct writer *w, uint64_t now_us)
{
	const uint64_t delay_us = now_us - MIN(r->largest_us, now_us);

	if (r->numbers.n == 0)
		return false;
	if (!frame_write_ack(w, r->numbers.v, r->numbers.n, (uint32_t)MIN(delay_us, (uint64_t)UINT32_MAX)))
		return false;
	r->unsaid = 0;
	return true;
}
