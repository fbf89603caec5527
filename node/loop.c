/*
 * An idle handle runs while a turn is open, so that the loop does not wait for the network before the check
 * handle ends it. Everything that can be released is released from there, never from inside an event.
 */
#include "node/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "node/control.h"
#include "node/power.h"

static const int locking_signals[] = { SIGTERM, SIGINT, SIGHUP };

struct loop {
	const struct loop_options *options;
	uv_loop_t uv;
	uv_idle_t idle;
	uv_check_t check;
	uv_timer_t tick, power, tidy, look;
	uv_signal_t signals[COUNT_OF(locking_signals)];
	size_t signals_open;
	struct lan *lan;
	struct bluetooth *bluetooth;
	struct radio radios[RADIOS_MAX];
	size_t radios_len;
	struct control *control;
	struct store *store; /* borrowed */
	struct node *node;
	struct effects fx;        /* of the open turn */
	struct effects releasing; /* of the one before: what a release causes belongs to the next turn */
	bool in_turn;
	int failure; /* of the open turn */
	bool locking;
	bool untidy;
	bool tidy_failed; /* today, for want of room */
	enum power supply;
	enum loop_room room;
	unsigned restarts;
	uint64_t failed_us;
	int result;
};

/* Runs on while the machine sleeps: what has grown old by then is old. */
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

/* ---- Events ---------------------------------------------------------------- */

static void keep_going(uv_idle_t *idle)
{
	(void)idle;
}

static void feed(struct loop *l, struct event *ev)
{
	if (l->locking)
		return;
	if (l->room == LOOP_ROOM_NONE && ev->kind != EV_REQUEST)
		return;
	ev->now_us = now_us();
	ev->clock = wall_clock();
	if (!l->in_turn) {
		l->in_turn = true;
		uv_idle_start(&l->idle, keep_going);
		l->failure = store_begin(l->store);
	}
	if (l->failure == 0)
		l->failure = node_step(l->node, ev, &l->fx);
}

static void feed_network(struct loop *l)
{
	struct event ev = { .kind = EV_NETWORK, .power = l->supply };

	if (l->lan == NULL)
		return;
	ev.locals_len = lan_locals(l->lan, &ev.locals);
	feed(l, &ev);
}

static void feed_radios(struct loop *l)
{
	feed(l, &(struct event){ .kind = EV_RADIOS, .radios = l->radios, .radios_len = l->radios_len });
}

/* What there is to meet over, all of it: for a node that begins. */
static void feed_carriers(struct loop *l)
{
	feed_network(l);
	feed_radios(l);
}

static void on_network(void *arg, const struct address *locals, size_t n)
{
	struct loop *l = arg;

	(void)locals;
	(void)n;
	l->supply = power_now("/sys/class/power_supply");
	feed_network(l);
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

static const struct lan_callbacks lan_callbacks = { on_network, on_call, on_datagram, on_failed, on_refused };

static void on_radios(void *arg, const struct radio *radios, size_t n)
{
	struct loop *l = arg;

	assert(n <= RADIOS_MAX);
	if (n > 0)
		memcpy(l->radios, radios, n * sizeof(*radios));
	l->radios_len = n;
	feed_radios(l);
}

static void on_advert(void *arg, const struct address *from, struct span uuid_and_data)
{
	feed(arg, &(struct event){ .kind = EV_ADVERT, .from = *from, .bytes = uuid_and_data });
}

static void on_channel(void *arg, uint32_t path, const struct address *from, uint16_t psm, struct span sdu)
{
	feed(arg,
	     &(struct event){ .kind = EV_CHANNEL, .path = path, .from = *from, .port = psm, .bytes = sdu });
}

static const struct bluetooth_callbacks bluetooth_callbacks = { on_radios, on_advert, on_channel, on_datagram,
	                                                        on_failed };

static void on_tick(uv_timer_t *timer)
{
	feed(timer->data, &(struct event){ .kind = EV_TICK });
}

static void on_power(uv_timer_t *timer)
{
	struct loop *l = timer->data;
	const enum power supply = power_now("/sys/class/power_supply");

	if (supply == l->supply)
		return;
	l->supply = supply;
	feed_network(l);
}

static void on_tidy(uv_timer_t *timer)
{
	struct loop *l = timer->data;

	l->tidy_failed = false;
	l->untidy = l->options->tidy != NULL && !l->options->read_only;
}

static void on_signal(uv_signal_t *signal, int number)
{
	(void)number;
	loop_lock(signal->data);
}

int loop_request(struct loop *l, const struct request *request)
{
	if (l->options->read_only)
		return ERR_READONLY;
	feed(l, &(struct event){ .kind = EV_REQUEST, .request = request });
	return 0;
}

/* ---- Room on the disk ------------------------------------------------------ */

static void feed_room(struct loop *l)
{
	feed(l, &(struct event){ .kind = EV_ROOM, .room_low = l->room == LOOP_ROOM_LOW });
}

static void look_at_room(struct loop *l, bool now);

static void on_look(uv_timer_t *timer)
{
	look_at_room(timer->data, true);
}

static void set_room(struct loop *l, enum loop_room room)
{
	const enum loop_room before = l->room;

	if (room == before)
		return;
	l->room = room;
	if (room == LOOP_ROOM_ENOUGH)
		uv_timer_stop(&l->look);
	else
		uv_timer_start(&l->look, on_look, LOOP_ROOM_MS, LOOP_ROOM_MS);
	control_room(l->control, room);
	feed_room(l);
	if (before == LOOP_ROOM_NONE)
		feed_carriers(l);
}

static void look_at_room(struct loop *l, bool now)
{
	int found = LOOP_ROOM_ENOUGH;

	if (l->locking)
		return;
	if (l->options->room != NULL)
		found = l->options->room(l->options->arg, now);
	if (found == LOOP_ROOM_TIDY && !l->tidy_failed) {
		l->untidy = true;
		return;
	}
	if (found == LOOP_ROOM_TIDY)
		found = LOOP_ROOM_LOW;
	/* What is gone is not back before there is enough: a little would be gone again at once. */
	if (found == LOOP_ROOM_ENOUGH || (found == LOOP_ROOM_LOW && l->room == LOOP_ROOM_ENOUGH))
		set_room(l, (enum loop_room)found);
}

/* ---- The end of a turn ----------------------------------------------------- */

static void arm(struct loop *l)
{
	const uint64_t due = node_deadline_us(l->node), now = now_us();

	uv_update_time(&l->uv);
	if (due == UINT64_MAX)
		uv_timer_stop(&l->tick);
	else
		uv_timer_start(&l->tick, on_tick,
		               due <= now ? 0 : MIN((due - now + 999) / 1000, LOOP_TIMER_MAX_MS), 0);
}

static int open_path(struct loop *l, const struct effect *e)
{
	if (address_is_bluetooth(&e->remote))
		return bluetooth_open(l->bluetooth, e->path, &e->remote, e->port);
	return lan_open(l->lan, e->path, &e->local, &e->remote, e->port);
}

static int release_one(struct loop *l, const struct effect *e)
{
	const struct span bytes = effect_bytes(&l->releasing, e);

	switch (e->kind) {
	case FX_CALL:
		lan_call(l->lan, &e->local, bytes);
		return 0;
	case FX_ADVERTISE:
		bluetooth_advertise(l->bluetooth, e->local.interface, bytes);
		return 0;
	case FX_SCAN:
		bluetooth_scan(l->bluetooth, e->number != 0);
		return 0;
	case FX_OPEN:
		return open_path(l, e);
	case FX_SEND:
		if (!bluetooth_send(l->bluetooth, e->path, bytes))
			lan_send(l->lan, e->path, bytes);
		return 0;
	case FX_CLOSE:
		if (!bluetooth_close_path(l->bluetooth, e->path))
			lan_close_path(l->lan, e->path);
		return 0;
	case FX_REPLY:
		control_reply(l->control, e, bytes);
		return 0;
	case FX_NOTICE:
		control_notice(l->control, e, bytes);
		return 0;
	}
	assert(false);
	return 0;
}

static int release(struct loop *l)
{
	const struct effects empty = l->releasing;
	int r = 0;

	l->releasing = l->fx;
	l->fx = empty;
	for (size_t i = 0; i < l->releasing.n && r == 0; i++)
		r = release_one(l, &l->releasing.v[i]);
	lan_flush(l->lan);
	bluetooth_flush(l->bluetooth);
	effects_clear(&l->releasing);
	return r;
}

static void shut_node(struct loop *l)
{
	node_free(l->node);
	l->node = NULL;
	l->store = NULL;
	effects_clear(&l->fx);
}

static int open_node(struct loop *l)
{
	int r = l->options->open(l->options->arg, &l->store);

	if (r != 0)
		return r;
	r = store_begin(l->store); /* it forgets what has grown old */
	if (r == 0)
		r = node_new(&l->node, l->store, l->options->rng, wall_clock());
	if (r == 0)
		r = store_commit(l->store);
	else
		store_rollback(l->store);
	if (r != 0)
		shut_node(l);
	return r;
}

/* PROTOCOL section 8, crash rule 4: the state is unknown, only the disk says what it is. A disk that is full
 * is not broken: that may happen as often as it likes. */
static void start_again(struct loop *l, int failure)
{
	const uint64_t now = now_us();
	const bool full = failure == ERR_FULL;

	if (now - l->failed_us > LOOP_RESTART_CALM_S * UINT64_C(1000000))
		l->restarts = 0;
	l->failed_us = now;
	fprintf(stderr, "flyleaf: the notebook: %s; starting again from the disk\n", err_str(failure));
	l->in_turn = false; /* the next one may have begun: it is lost too */
	l->failure = 0;
	shut_node(l);
	lan_drop_paths(l->lan);
	bluetooth_drop_paths(l->bluetooth);
	l->result = full || l->restarts++ < LOOP_RESTARTS_MAX ? open_node(l) : failure;
	if (l->result != 0) {
		fprintf(stderr, "flyleaf: the notebook: %s; stopping\n", err_str(l->result));
		loop_lock(l);
	}
	control_failed(l->control, failure);
	if (full)
		set_room(l, LOOP_ROOM_NONE);
	feed_room(l);
	feed_carriers(l);
}

static void end_turn(struct loop *l)
{
	int r = l->failure;

	if (r == 0)
		r = node_settle(l->node, now_us(), wall_clock(), &l->fx);
	if (r == 0)
		r = store_commit(l->store);
	else
		store_rollback(l->store);
	l->in_turn = false;
	l->failure = 0;
	uv_idle_stop(&l->idle);
	if (r == 0)
		r = release(l);
	if (r != 0) {
		start_again(l, r);
		return;
	}
	arm(l);
	look_at_room(l, false);
}

static void tidy(struct loop *l)
{
	const int r = l->options->tidy(l->options->arg);

	l->untidy = false;
	l->tidy_failed = r == ERR_FULL;
	if (r != 0 && r != ERR_FULL)
		start_again(l, r);
	else
		look_at_room(l, true);
}

static void handle_closed(uv_handle_t *handle)
{
	(void)handle;
}

static void part_closed(void *arg)
{
	(void)arg;
}

/* Whoever asks once more for what is under way would end the process in the middle of it, by the default of
 * signals that nobody handles any more. */
static void hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < COUNT_OF(locking_signals); i++)
		sigaddset(&set, locking_signals[i]);
	(void)!sigprocmask(SIG_BLOCK, &set, NULL);
}

static void close_all(struct loop *l)
{
	uv_handle_t *const handles[] = { (uv_handle_t *)&l->idle, (uv_handle_t *)&l->check,
		                         (uv_handle_t *)&l->tick, (uv_handle_t *)&l->power,
		                         (uv_handle_t *)&l->tidy, (uv_handle_t *)&l->look };

	hold_signals();
	for (size_t i = 0; i < COUNT_OF(handles); i++)
		uv_close(handles[i], handle_closed);
	for (size_t i = 0; i < l->signals_open; i++)
		uv_close((uv_handle_t *)&l->signals[i], handle_closed);
	control_close(l->control, part_closed, NULL);
	lan_close(l->lan, part_closed, NULL);
	bluetooth_close(l->bluetooth, part_closed, NULL);
	l->control = NULL;
	l->lan = NULL;
	l->bluetooth = NULL;
}

static void on_check(uv_check_t *check)
{
	struct loop *l = check->data;

	if (l->in_turn)
		end_turn(l);
	if (l->untidy && !l->in_turn && !l->locking)
		tidy(l);
	if (!l->locking)
		control_resume(l->control);
	else
		close_all(l); /* this is the last check */
}

void loop_lock(struct loop *l)
{
	if (l->node != NULL && l->lan != NULL)
		feed(l, &(struct event){ .kind = EV_LOCK });
	l->locking = true; /* no event more; the turn that is open is committed, and the farewells leave */
	uv_idle_start(&l->idle, keep_going);
}

/* ---- Beginning ------------------------------------------------------------- */

const struct loop_options *loop_options(const struct loop *l)
{
	return l->options;
}

bool loop_in_turn(const struct loop *l)
{
	return l->in_turn;
}

const struct node *loop_node(const struct loop *l)
{
	return l->node;
}

struct store *loop_store(const struct loop *l)
{
	return l->store;
}

const struct lan *loop_lan(const struct loop *l)
{
	return l->lan;
}

const struct bluetooth *loop_bluetooth(const struct loop *l)
{
	return l->bluetooth;
}

enum loop_room loop_room(const struct loop *l)
{
	return l->room;
}

bool loop_on_battery(const struct loop *l)
{
	return l->supply != POWER_MAINS;
}

static int init_handles(struct loop *l)
{
	int r = 0;

	uv_idle_init(&l->uv, &l->idle);
	uv_check_init(&l->uv, &l->check);
	uv_timer_init(&l->uv, &l->tick);
	uv_timer_init(&l->uv, &l->power);
	uv_timer_init(&l->uv, &l->tidy);
	uv_timer_init(&l->uv, &l->look);
	l->check.data = l->tick.data = l->power.data = l->tidy.data = l->look.data = l;
	uv_check_start(&l->check, on_check);
	uv_timer_start(&l->power, on_power, LOOP_POWER_MS, LOOP_POWER_MS);
	uv_timer_start(&l->tidy, on_tidy, LOOP_TIDY_MS, LOOP_TIDY_MS);
	for (size_t i = 0; i < COUNT_OF(locking_signals); i++) {
		if (uv_signal_init(&l->uv, &l->signals[i]) != 0)
			return ERR_SYSTEM;
		l->signals[l->signals_open++].data = l;
		r |= uv_signal_start(&l->signals[i], on_signal, locking_signals[i]);
	}
	return r == 0 ? 0 : ERR_SYSTEM;
}

/* libuv aborts where it gets no pipe for its signals; it opens another descriptor before. */
static bool may_open_enough(void)
{
	int one[2], two[2];
	bool enough;

	if (pipe2(one, O_CLOEXEC) != 0)
		return false;
	enough = pipe2(two, O_CLOEXEC) == 0;
	close(one[0]);
	close(one[1]);
	if (enough) {
		close(two[0]);
		close(two[1]);
	}
	return enough;
}

/* The last of all that has to be there: no turn may begin before. */
static int open_carriers(struct loop *l)
{
	int r = bluetooth_new(&l->bluetooth, &l->uv, &l->options->bluetooth, &bluetooth_callbacks, l);

	if (r == 0)
		r = lan_new(&l->lan, &l->uv, &l->options->lan, &lan_callbacks, l);
	if (r == 0)
		look_at_room(l, true);
	return r;
}

int loop_run(const struct loop_options *options)
{
	struct loop *l;
	int r = ERR_NOMEM, closed;

	if (!may_open_enough())
		return ERR_SYSTEM;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return r;
	l->options = options;
	signal(SIGPIPE, SIG_IGN); /* a face may go away while it is written to */
	if (uv_loop_init(&l->uv) != 0) {
		free(l);
		return ERR_SYSTEM;
	}
	r = init_handles(l);
	if (r == 0)
		r = open_node(l);
	if (r == 0)
		r = control_new(&l->control, l, &l->uv, options->home);
	if (r == 0 && !options->read_only)
		r = open_carriers(l);
	if (r != 0)
		loop_lock(l);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	if (r == 0)
		r = l->result;
	shut_node(l);
	effects_deinit(&l->fx);
	effects_deinit(&l->releasing);
	closed = uv_loop_close(&l->uv);
	assert(closed == 0);
	sodium_memzero(l, sizeof(*l));
	free(l);
	return r;
}
