#include "tools/sim/person.h"

#include <stdio.h>

#include "node/crypto/kdf.h"
#include "node/crypto/ratchet.h"
#include "node/crypto/secrets.h"
#include "tools/sim/need.h"
#include "tools/sim/turn.h"
#include "tools/sim/world.h"

enum { RESTARTS_MAX = 4, RESTART_CALM_S = 60 }; /* node/loop.h */
enum { STOPPED_S = 3600 };                      /* until the person tries again */

static void again_is_due(struct world *w, struct due *d);

static const struct device *blank_of(struct world *w)
{
	if (!w->blank.made) {
		device_init(&w->blank, DEVICE_LIGHT, w->seed * (2 * WORLD_PEOPLE_MAX) - 2);
		if (device_open(&w->blank) != 0 || device_lock(&w->blank) != 0)
			abort();
	}
	return &w->blank;
}

void person_init(struct world *w, struct person *p, const char *name, uint32_t number)
{
	*p = (struct person){
		.number = number,
		.place = NET_NOWHERE,
		.wifi = true,
		.online = true,
		.clock = { .began_us = w->now_us, .began_local_us = w->now_us + 1000000 },
		.turn_end.happen = turn_end_is_due,
		.tick.happen = turn_tick_is_due,
		.again.happen = again_is_due,
	};
	snprintf(p->name, sizeof(p->name), "%s", name);
	device_init(&p->device, w->devices, w->seed * (2 * WORLD_PEOPLE_MAX) + number);
	if (w->devices == DEVICE_LIGHT)
		device_begin_as(&p->device, blank_of(w));
	random_seeded_init(&p->rng, w->seed * (2 * WORLD_PEOPLE_MAX) + WORLD_PEOPLE_MAX + number);
}

void person_deinit(struct person *p)
{
	node_free(p->node);
	device_deinit(&p->device);
	effects_deinit(&p->fx);
	free(p->paths);
	ether_remove(p);
	for (size_t i = 0; i < p->ties_len; i++)
		talk_free(p->ties[i]);
	free(p->ties);
}

/* ---- Clocks ----------------------------------------------------------------- */

static uint64_t drifted(const struct person_clock *c, uint64_t us)
{
	const int64_t ppm = c->drift_ppm;
	const int64_t more = (int64_t)(us / 1000000) * ppm + (int64_t)(us % 1000000) * ppm / 1000000;

	return us + (uint64_t)more;
}

uint64_t person_local_us(const struct world *w, const struct person *p)
{
	return p->clock.began_local_us + drifted(&p->clock, w->now_us - p->clock.began_us);
}

uint64_t person_world_us(const struct person *p, uint64_t local_us)
{
	const struct person_clock *c = &p->clock;
	const uint64_t wanted = local_us - MIN(local_us, c->began_local_us);
	uint64_t us = wanted - wanted / 500; /* no clock drifts so much */

	if (c->drift_ppm == 0)
		return c->began_us + wanted;
	while (drifted(c, us) < wanted) {
		const uint64_t left = wanted - drifted(c, us);

		us += left - left / 500; /* never too far */
	}
	return c->began_us + us;
}

uint64_t person_clock(const struct world *w, const struct person *p)
{
	return WORLD_CLOCK0 + (uint64_t)((int64_t)(person_local_us(w, p) / 1000000) + p->clock.offset_s);
}

void person_set_clock(struct world *w, struct person *p, int64_t offset_s, int32_t drift_ppm)
{
	p->clock = (struct person_clock){
		.began_us = w->now_us,
		.began_local_us = person_local_us(w, p),
		.drift_ppm = drift_ppm,
		.offset_s = offset_s,
	};
	world_log(w, p, "has a clock that is %lld s off, and drifts by %d ppm", (long long)offset_s,
	          (int)drift_ppm);
	world_tell(w, p, WORLD_CLOCK);
	if (p->node != NULL && p->asleep_until_us == 0)
		person_event(w, p, &(struct event){ .kind = EV_TICK });
}

/* ---- The device ------------------------------------------------------------- */

static void tell_network(struct world *w, struct person *p)
{
	struct event ev = {
		.kind = EV_NETWORK,
		.locals = &p->address,
		.locals_len = p->wifi && p->online && p->place != NET_NOWHERE,
		.power = p->on_battery ? POWER_BATTERY : POWER_MAINS,
	};

	if (p->node != NULL && p->asleep_until_us == 0)
		person_event(w, p, &ev);
	ether_tell(w, p, false);
}

static int start(struct world *w, struct person *p)
{
	const unsigned torn = p->device.torn;
	int r = device_open(&p->device);

	w->counts.torn += p->device.torn - torn;
	return r == 0 ? turn_start(w, p) : r;
}

static void open_device(struct world *w, struct person *p)
{
	const bool after = p->fell, older = p->older; /* it may hold something else than when it was closed */
	const int r = start(w, p);

	if (r == 0) {
		p->fell = p->older = false;
		w->counts.opened++;
		world_log(w, p, "opens the notebook");
		world_tell(w, p, WORLD_OPENED);
		if (after)
			talk_audit(w, p, older);
		if (!w->stopped)
			tell_network(w, p);
		return;
	}
	device_kill(&p->device);
	world_log(w, p, "cannot open the notebook: %s", err_str(r));
	if (!w->faults || r == ERR_CORRUPT)
		world_broken(w, p, "I11", "cannot open the notebook: %s", err_str(r));
	if (device_is_dark(&p->device))
		person_power_cut(w, p, dice_between(&w->dice, 1000000, 60000000));
	else
		queue_put(&w->queue, &p->again, w->now_us + STOPPED_S * UINT64_C(1000000));
}

void person_open(struct world *w, struct person *p)
{
	if (p->wanted_open++ == 0 && p->node == NULL && p->again.place == 0)
		open_device(w, p);
}

void person_close(struct world *w, struct person *p)
{
	int r;

	assert(p->wanted_open > 0);
	if (--p->wanted_open != 0 || p->node == NULL)
		return;
	person_event(w, p, &(struct event){ .kind = EV_LOCK });
	person_end_turn(w, p);
	if (p->node == NULL) /* the turn failed, and it fell over */
		return;
	turn_drop(w, p);
	r = device_lock(&p->device);
	world_log(w, p, "locks the notebook");
	world_tell(w, p, WORLD_LOCKED);
	p->fell = r != 0;
	if (r != 0)
		world_log(w, p, "cannot tidy the notebook: %s", err_str(r));
	if (r != 0 && !w->faults)
		world_broken(w, p, "I11", "cannot tidy the notebook: %s", err_str(r));
	if (device_is_dark(&p->device))
		person_power_cut(w, p, dice_between(&w->dice, 1000000, 60000000));
}

static void back_later(struct world *w, struct person *p, uint64_t back_us)
{
	p->fell = true;
	queue_put(&w->queue, &p->again, w->now_us + back_us);
}

void person_kill(struct world *w, struct person *p, uint64_t back_us)
{
	world_log(w, p, "is killed");
	w->counts.kills++;
	world_tell(w, p, WORLD_KILLED);
	turn_drop(w, p);
	device_kill(&p->device);
	back_later(w, p, back_us);
}

void person_power_cut(struct world *w, struct person *p, uint64_t back_us)
{
	world_log(w, p, "loses power");
	w->counts.power_cuts++;
	world_tell(w, p, WORLD_POWER_CUT);
	turn_drop(w, p);
	device_power_cut(&p->device, dice_draw(&w->dice));
	back_later(w, p, back_us);
}

void person_fell_over(struct world *w, struct person *p)
{
	if (device_is_dark(&p->device)) {
		person_power_cut(w, p, dice_between(&w->dice, 1000000, 60000000));
		return;
	}
	world_tell(w, p, WORLD_FELL_OVER);
	if (w->now_us - p->failed_us > RESTART_CALM_S * UINT64_C(1000000))
		p->restarts = 0;
	p->failed_us = w->now_us;
	turn_drop(w, p);
	device_kill(&p->device);
	back_later(w, p, p->restarts++ < RESTARTS_MAX ? 0 : STOPPED_S * UINT64_C(1000000));
}

void person_put_back(struct world *w, struct person *p)
{
	world_log(w, p, "gets an older copy of the disk");
	w->counts.put_back++;
	world_tell(w, p, WORLD_PUT_BACK);
	turn_drop(w, p);
	device_put_back(&p->device);
	p->older = true;
	p->restored = true;
	back_later(w, p, 1000000);
}

void person_sleep(struct world *w, struct person *p, uint64_t until_us)
{
	if (p->node == NULL || p->asleep_until_us != 0)
		return;
	person_end_turn(w, p);
	if (p->node == NULL)
		return;
	world_log(w, p, "is suspended");
	world_tell(w, p, WORLD_SLEPT);
	p->asleep_until_us = until_us;
	ether_stop(w, p);
	queue_remove(&w->queue, &p->tick);
	queue_put(&w->queue, &p->again, until_us);
}

static void again_is_due(struct world *w, struct due *d)
{
	struct person *p = CONTAINER_OF(d, struct person, again);

	if (p->asleep_until_us != 0) {
		world_log(w, p, "wakes up");
		world_tell(w, p, WORLD_WOKE);
		p->asleep_until_us = 0;
		if (p->node != NULL) {
			ether_tell(w, p, true);
			tell_network(w, p);
		}
	}
	if (p->node == NULL && p->wanted_open != 0)
		open_device(w, p);
}

/* ---- Places ----------------------------------------------------------------- */

static void lease(struct world *w, struct person *p)
{
	if (p->place != NET_NOWHERE)
		p->address = net_address(&w->net.places[p->place], p->place, p->number, p->lease);
}

void person_go(struct world *w, struct person *p, int place)
{
	if (place == p->place)
		return;
	net_enter(w, p, place);
	lease(w, p);
	world_log(w, p, "is %s%s", place == NET_NOWHERE ? "nowhere" : "at ",
	          place == NET_NOWHERE ? "" : w->net.places[place].name);
	world_tell(w, p, WORLD_WENT);
	ether_moved(w, p);
	tell_network(w, p);
}

void person_network(struct world *w, struct person *p, bool online, bool new_lease)
{
	p->online = online;
	p->lease += new_lease;
	lease(w, p);
	world_log(w, p, "%s", online ? new_lease ? "has another address" : "is online" : "is offline");
	world_tell(w, p, online ? WORLD_ONLINE : WORLD_OFFLINE);
	tell_network(w, p);
}

/* ---- Pairing ---------------------------------------------------------------- */

struct half {
	struct key_pair s, r;
	enum pair_role role;
};

static struct tie *half_tie(struct world *w, struct person *me, struct person *other, const struct half *own,
                            const struct half *its, enum contact_mode mode,
                            const struct secrets_result *result, const struct ratchet_root *root)
{
	struct tie *t = talk_tie(me, other);
	struct tie_rows *rows = need(calloc(1, sizeof(*rows)));
	struct contact_record *c = &rows->contact;
	struct writer out = WRITER_ON(rows->conversation.ratchet);
	struct ratchet ratchet;
	int r;

	*c = (struct contact_record){ .state = CONTACT_CONFIRMED,
		                      .mode = mode,
		                      .s = own->s,
		                      .peer_s = its->s.public,
		                      .role = own->role,
		                      .cur = result->l0,
		                      .anchor = result->anchor };
	snprintf(c->name, sizeof(c->name), "%s", other->name);
	r = ratchet_init(&ratchet, own->role, root, &own->r, &its->r.public, &w->rng.base);
	assert(r == 0);
	ratchet_encode(&out, &ratchet);
	rows->conversation.ratchet_len = out.len;
	t->rows = rows;
	return t;
}

static void take_in(struct world *w, struct person *p)
{
	if (p->node == NULL)
		return;
	person_end_turn(w, p);
	if (p->node == NULL)
		return;
	turn_drop(w, p);
	if (turn_start(w, p) == 0)
		tell_network(w, p);
	else
		person_fell_over(w, p);
}

void person_pair(struct world *w, struct person *a, struct person *b, enum contact_mode mode_a,
                 enum contact_mode mode_b)
{
	struct half h[2];
	struct sym_key q[2];
	struct root_secret root;
	struct secrets_result result;
	struct ratchet_root ratchet;
	struct tie *ties[2];
	int r;

	for (size_t i = 0; i < 2; i++) {
		key_pair_new(&h[i].s, &w->rng.base);
		key_pair_new(&h[i].r, &w->rng.base);
		random_bytes(&w->rng.base, q[i].b, sizeof(q[i].b));
	}
	r = secrets_role(&h[0].role, &h[0].s.public, &h[1].s.public);
	assert(r == 0);
	h[1].role = h[0].role == ROLE_A ? ROLE_B : ROLE_A;
	const size_t ia = h[0].role == ROLE_A ? 0 : 1, ib = 1 - ia;
	const struct secrets_pair pair = { h[ia].s.public, h[ib].s.public, h[ia].r.public, h[ib].r.public };

	r = secrets_root_qr(&root, &pair, h[0].role, &h[0].s.secret, &h[0].r.secret, &q[ia], &q[ib]);
	assert(r == 0);
	secrets_of_root(&result, &root);
	ratchet = (struct ratchet_root){ .rk0 = result.rk0, .ha = result.ha, .nb = result.nb };
	secrets_aid(&ratchet.aid, &pair.s_a, &pair.s_b, 0);
	ties[0] = half_tie(w, a, b, &h[0], &h[1], mode_a, &result, &ratchet);
	ties[1] = half_tie(w, b, a, &h[1], &h[0], mode_b, &result, &ratchet);
	ties[0]->back = ties[1];
	ties[1]->back = ties[0];
	take_in(w, a);
	take_in(w, b);
}
