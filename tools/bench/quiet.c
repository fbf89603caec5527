/*
 * Two nodes that have nothing new to say, on one virtual clock and a network of one delay: what is counted is
 * how often they wait for each other, which a disk or a busy machine would only hide.
 *
 * Their clocks differ, so that a node that knows the other's has read its state.
 */
#include <stdlib.h>

#include "node/core/node.h"
#include "node/crypto/random.h"
#include "tools/bench/bench.h"
#include "tools/bench/home.h"

enum { DELAY_US = 50000, APART_S = 5, CLOCK = 1700000000, FLIGHTS_MAX = 256, LIMIT_US = 30000000 };

struct quiet_node {
	struct store *store;
	struct node *node;
	struct effects fx;
	struct address address;
	uint32_t path; /* the last that was opened; 0: none */
	bool linked;
};

struct flight {
	uint64_t at_us;
	unsigned to;
	bool is_call;
	size_t len;
	uint8_t bytes[CARRIER_LARGE];
};

struct quiet {
	struct quiet_node nodes[2];
	struct flight flights[FLIGHTS_MAX]; /* a ring: all take the same time */
	size_t first, end;
	uint64_t now_us;
	uint64_t linked_us; /* the first of the two was */
};

static void release(struct quiet *q, unsigned i, const struct effect *e)
{
	struct quiet_node *n = &q->nodes[i];
	const struct span bytes = effect_bytes(&n->fx, e);
	struct flight *f = &q->flights[q->end % FLIGHTS_MAX];

	if (e->kind == FX_OPEN)
		n->path = e->path;
	if (e->kind == FX_NOTICE && e->notice == NOTICE_LINKED) {
		n->linked = true;
		q->linked_us = q->linked_us == 0 ? q->now_us : q->linked_us;
	}
	if (e->kind != FX_CALL && e->kind != FX_SEND)
		return;
	assert(q->end - q->first < FLIGHTS_MAX && bytes.len <= sizeof(f->bytes));
	*f = (struct flight){
		.at_us = q->now_us + DELAY_US, .to = 1 - i, .is_call = e->kind == FX_CALL, .len = bytes.len
	};
	memcpy(f->bytes, bytes.p, bytes.len);
	q->end++;
}

static void turn(struct quiet *q, unsigned i, struct event *ev)
{
	struct quiet_node *n = &q->nodes[i];

	ev->now_us = q->now_us;
	ev->clock = CLOCK + q->now_us / 1000000 + i * APART_S;
	bench_must(store_begin(n->store), "a turn");
	bench_must(node_step(n->node, ev, &n->fx), "a turn");
	bench_must(node_settle(n->node, ev->now_us, ev->clock, &n->fx), "a turn");
	bench_must(store_commit(n->store), "a turn");
	for (size_t k = 0; k < n->fx.n; k++)
		release(q, i, &n->fx.v[k]);
	effects_clear(&n->fx);
}

static bool knows(const struct quiet_node *n)
{
	struct contact_view v;

	node_contact_view(n->node, 0, &v);
	return n->linked && v.record->clock_offset != 0;
}

static void land(struct quiet *q)
{
	const struct flight *f = &q->flights[q->first++ % FLIGHTS_MAX];
	struct event ev = {
		.kind = f->is_call ? EV_CALL : EV_DATAGRAM,
		.path = q->nodes[f->to].path,
		.bytes = { f->bytes, f->len },
		.from = q->nodes[1 - f->to].address,
		.ttl = 255,
	};

	turn(q, f->to, &ev);
}

/* Whatever is due next. */
static void go_on(struct quiet *q)
{
	const uint64_t due[2] = { node_deadline_us(q->nodes[0].node), node_deadline_us(q->nodes[1].node) };
	const unsigned who = due[0] <= due[1] ? 0 : 1;
	const uint64_t lands = q->first < q->end ? q->flights[q->first % FLIGHTS_MAX].at_us : UINT64_MAX;

	if (lands <= due[who]) {
		q->now_us = MAX(q->now_us, lands);
		land(q);
		return;
	}
	q->now_us = MAX(q->now_us + 1, due[who]);
	if (q->now_us > LIMIT_US)
		bench_fail("two nodes on a virtual clock", "they do not find each other");
	turn(q, who, &(struct event){ .kind = EV_TICK });
}

static void begin(struct quiet *q)
{
	struct home_pair p;

	home_pair(&p);
	for (unsigned i = 0; i < 2; i++) {
		struct quiet_node *n = &q->nodes[i];

		n->address = (struct address){ { [10] = 0xff, [11] = 0xff, 10, 0, 0, (uint8_t)(i + 1) }, 1 };
		bench_must(store_open(&n->store, NULL, ":memory:"), "rows in memory");
		bench_must(store_begin(n->store), "a turn");
		home_add(n->store, &p, i, "other");
		bench_must(node_new(&n->node, n->store, random_system(), CLOCK), "a node");
		bench_must(store_commit(n->store), "a turn");
		turn(q, i, &(struct event){ .kind = EV_NETWORK, .locals = &n->address, .locals_len = 1 });
	}
	home_pair_free(&p);
}

/* Returns how many round trips it took. */
static double quiet_run(void *arg)
{
	static struct quiet q = { .now_us = 1000000 };
	const struct request look = { .kind = REQ_LOOK, .flag = true };

	(void)arg;
	begin(&q);
	turn(&q, 0, &(struct event){ .kind = EV_REQUEST, .request = &look });
	while (!knows(&q.nodes[0]) || !knows(&q.nodes[1]))
		go_on(&q);
	return (double)(q.now_us - q.linked_us) / (2.0 * DELAY_US);
}

void bench_quiet(struct bench *b)
{
	struct series trips = { .n = 0 };

	for (unsigned i = 0; i < b->rounds; i++)
		series_add(&trips, timing_in_child(quiet_run, NULL));
	report_add(&b->report,
	           &(struct row){
	                   .id = "quiet",
	                   .what = "nothing new to say, from the link to both knowing it (a round trip)",
	                   .unit = "trips",
	                   .ours = series_median(&trips),
	                   .reference = 1,
	                   .has_reference = true,
	                   .figure = series_median(&trips),
	                   .bound = 2,
	           });
}
