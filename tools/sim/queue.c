#include "tools/sim/queue.h"

#include "tools/sim/need.h"

static bool before(const struct due *a, const struct due *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void put_at(struct queue *q, size_t place, struct due *d)
{
	q->heap[place - 1] = d;
	d->place = place;
}

static void rise(struct queue *q, size_t place, struct due *d)
{
	while (place > 1 && before(d, q->heap[place / 2 - 1])) {
		put_at(q, place, q->heap[place / 2 - 1]);
		place /= 2;
	}
	put_at(q, place, d);
}

static void sink(struct queue *q, size_t place, struct due *d)
{
	for (;;) {
		size_t child = 2 * place;

		if (child > q->len)
			break;
		if (child < q->len && before(q->heap[child], q->heap[child - 1]))
			child++;
		if (!before(q->heap[child - 1], d))
			break;
		put_at(q, place, q->heap[child - 1]);
		place = child;
	}
	put_at(q, place, d);
}

void queue_deinit(struct queue *q)
{
	free(q->heap);
	*q = (struct queue){ 0 };
}

void queue_put(struct queue *q, struct due *d, uint64_t at_us)
{
	if (d->place != 0 && d->at_us == at_us)
		return;
	queue_remove(q, d);
	if (q->len == q->cap) {
		q->cap = MAX(q->cap * 2, (size_t)64);
		q->heap = need(realloc(q->heap, q->cap * sizeof(struct due *)));
	}
	d->at_us = at_us;
	d->order = q->next_order++;
	q->len++;
	rise(q, q->len, d);
}

void queue_remove(struct queue *q, struct due *d)
{
	const size_t place = d->place;
	struct due *last;

	if (place == 0)
		return;
	d->place = 0;
	last = q->heap[--q->len];
	if (last == d)
		return;
	if (place > 1 && before(last, q->heap[place / 2 - 1]))
		rise(q, place, last);
	else
		sink(q, place, last);
}

struct due *queue_first(const struct queue *q)
{
	return q->len == 0 ? NULL : q->heap[0];
}

void queue_drop(struct queue *q, void (*happen)(struct world *w, struct due *d), void (*drop)(struct due *d))
{
	for (size_t i = q->len; i-- > 0;) {
		struct due *d = q->heap[i];

		if (d->happen != happen)
			continue;
		q->heap[i] = q->heap[--q->len];
		drop(d);
	}
}
