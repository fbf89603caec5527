#include "tools/live/resident.h"

#include <time.h>

static uint64_t now_us(void)
{
	struct timespec t;
	const int r = clock_gettime(CLOCK_BOOTTIME, &t);

	assert(r == 0);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t wall_clock(void)
{
	return (uint64_t)time(NULL);
}

/* ---- Events ----------------------------------------------------------------- */

static void keep_going(uv_idle_t *idle)
{
	(void)idle;
}

static void feed(struct resident *r, struct event *ev)
{
	if (r->node == NULL || r->failure != 0)
		return;
	ev->now_us = now_us();
	ev->clock = wall_clock();
	if (!r->in_turn) {
		r->in_turn = true;
		uv_idle_start(&r->idle, keep_going);
		r->failure = store_begin(r->device.store);
	}
	if (r->failure == 0)
		r->failure = node_step(r->node, ev, &r->fx);
}

static void on_network(void *arg, const struct address *locals, size_t n)
{
	feed(arg, &(struct event){ .kind = EV_NETWORK, .locals = locals, .locals_len = n });
}

static void on_call(void *arg, const struct address *from, uint8_t ttl, struct span bytes)
{
	feed(arg, &(struct event){ .kind = EV_CALL, .from = *from, .ttl = ttl, .bytes = bytes });
}

static void on_datagram(void *arg, uint32_t path, struct span bytes)
{
	feed(arg, &(struct event){ .kind = EV_DATAGRAM, .path = path, .bytes = bytes });
}

static void on_failed(void *arg, uint32_t path)
{
	feed(arg, &(struct event){ .kind = EV_PATH_FAILED, .path = path });
}

static void on_refused(void *arg, uint32_t path)
{
	feed(arg, &(struct event){ .kind = EV_PATH_REFUSED, .path = path });
}

static const struct lan_callbacks callbacks = { on_network, on_call, on_datagram, on_failed, on_refused };

static void on_tick(uv_timer_t *timer)
{
	feed(timer->data, &(struct event){ .kind = EV_TICK });
}

/* ---- The end of a turn ------------------------------------------------------ */

static void arm(struct resident *r)
{
	const uint64_t due = node_deadline_us(r->node), now = now_us();

	uv_update_time(r->uv);
	if (due == UINT64_MAX)
		uv_timer_stop(&r->tick);
	else
		uv_timer_start(&r->tick, on_tick, due <= now ? 0 : (due - now + 999) / 1000, 0);
}

static void take_reply(struct resident *r, const struct effect *e, struct span text)
{
	const size_t len = MIN(text.len, sizeof(r->reply_text) - 1);

	r->reply = e->code;
	if (len != 0)
		memcpy(r->reply_text, text.p, len);
	r->reply_text[len] = '\0';
}

static int release_one(struct resident *r, const struct effect *e)
{
	const struct span bytes = effect_bytes(&r->releasing, e);

	switch (e->kind) {
	case FX_CALL:
		lan_call(r->lan, &e->local, bytes);
		break;
	case FX_OPEN:
		return lan_open(r->lan, e->path, &e->local, &e->remote, e->port);
	case FX_SEND:
		lan_send(r->lan, e->path, bytes);
		break;
	case FX_CLOSE:
		lan_close_path(r->lan, e->path);
		break;
	case FX_REPLY:
		take_reply(r, e, bytes);
		break;
	case FX_NOTICE:
		r->noticed(r->arg, e, bytes);
		break;
	case FX_ADVERTISE:
	case FX_SCAN:
		assert(false); /* only of a node that was told of adapters */
	}
	return 0;
}

static void end_turn(struct resident *r)
{
	const struct effects empty = r->releasing;

	r->in_turn = false;
	uv_idle_stop(&r->idle);
	if (r->failure == 0)
		r->failure = node_settle(r->node, now_us(), wall_clock(), &r->fx);
	if (r->failure == 0)
		r->failure = store_commit(r->device.store);
	else
		store_rollback(r->device.store);
	r->releasing = r->fx;
	r->fx = empty;
	for (size_t i = 0; i < r->releasing.n && r->failure == 0; i++)
		r->failure = release_one(r, &r->releasing.v[i]);
	lan_flush(r->lan);
	effects_clear(&r->releasing);
	if (r->failure == 0)
		arm(r);
}

static void on_check(uv_check_t *check)
{
	struct resident *r = check->data;

	if (r->in_turn)
		end_turn(r);
}

enum reply_code resident_ask(struct resident *r, const struct request *q)
{
	r->reply = REPLY_LIMIT; /* of a turn that fails */
	r->reply_text[0] = '\0';
	feed(r, &(struct event){ .kind = EV_REQUEST, .request = q });
	if (r->in_turn)
		end_turn(r);
	return r->reply;
}

/* ---- Open and closed -------------------------------------------------------- */

static void carrier_closed(void *arg)
{
	(void)arg;
}

/* The node is gone, and what the open turn had is lost. */
static void drop(struct resident *r)
{
	if (r->in_turn)
		store_rollback(r->device.store);
	r->in_turn = false;
	uv_idle_stop(&r->idle);
	uv_timer_stop(&r->tick);
	node_free(r->node);
	r->node = NULL;
	effects_clear(&r->fx);
	if (r->lan != NULL)
		lan_close(r->lan, carrier_closed, NULL);
	r->lan = NULL;
}

static int start(struct resident *r)
{
	int e = store_begin(r->device.store);

	if (e != 0)
		return e;
	e = node_new(&r->node, r->device.store, random_system(), wall_clock());
	if (e == 0)
		e = store_commit(r->device.store);
	else
		store_rollback(r->device.store);
	return e == 0 ? lan_new(&r->lan, r->uv, &r->where, &callbacks, r) : e;
}

int resident_open(struct resident *r)
{
	int e = device_open(&r->device);

	if (e == 0)
		e = start(r);
	if (e != 0) {
		drop(r);
		device_kill(&r->device);
	}
	return e;
}

void resident_lock(struct resident *r)
{
	if (r->node == NULL)
		return;
	feed(r, &(struct event){ .kind = EV_LOCK });
	if (r->in_turn)
		end_turn(r);
	drop(r);
	if (r->failure == 0)
		r->failure = device_lock(&r->device);
	else
		device_kill(&r->device);
}

void resident_crash(struct resident *r)
{
	if (r->node == NULL)
		return;
	lan_drop_paths(r->lan);
	drop(r);
	device_kill(&r->device);
}

int resident_init(struct resident *r)
{
	uint64_t seed;

	random_bytes(random_system(), &seed, sizeof(seed));
	device_init(&r->device, DEVICE_LIGHT, seed);
	if (uv_idle_init(r->uv, &r->idle) != 0 || uv_check_init(r->uv, &r->check) != 0 ||
	    uv_timer_init(r->uv, &r->tick) != 0)
		return ERR_SYSTEM;
	r->check.data = r->tick.data = r;
	return uv_check_start(&r->check, on_check) == 0 ? 0 : ERR_SYSTEM;
}

void resident_close(struct resident *r)
{
	resident_lock(r);
	uv_close((uv_handle_t *)&r->idle, NULL);
	uv_close((uv_handle_t *)&r->check, NULL);
	uv_close((uv_handle_t *)&r->tick, NULL);
}

void resident_deinit(struct resident *r)
{
	effects_deinit(&r->fx);
	effects_deinit(&r->releasing);
	device_deinit(&r->device);
}
