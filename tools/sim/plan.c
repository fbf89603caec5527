#include "tools/sim/plan.h"

#include <time.h>

#include "tools/sim/liar.h"
#include "tools/sim/need.h"

#define SECOND_US UINT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US   (60 * MINUTE_US)
#define DAY_US    (24 * HOUR_US)
enum { MILLION = 1000000, CHECK_S = 30, LOOK_AGAIN_S = 130, STRANGER_REMEMBERS = 64 };

enum step_kind {
	STEP_ARRIVE,
	STEP_LEAVE,
	STEP_OPEN,
	STEP_SHUT,
	STEP_WRITE,
	STEP_FAULT,
	STEP_UNDO,
	STEP_START_AGAIN,
	STEP_STRANGER
};

/* Something that is to happen; frees itself when it has. */
struct step {
	struct due due;
	struct step *next; /* of those that wait until the device is open */
	struct plan *plan;
	struct person *who;
	enum step_kind kind;
	int place;
	uint64_t for_us;
	const struct scenario_fault *fault;
	const struct scenario_write *write;
};

/* A frame that a stranger has heard, and says again. */
struct heard {
	bool radio;
	uint16_t port;
	struct address source, target;
	size_t len;
	uint8_t bytes[NET_FRAME_MAX];
};

struct plan {
	const struct scenario *s; /* borrowed */
	struct plan_options options;
	struct world *w;
	struct dice dice; /* of what people do: it must not change with what the net does */
	struct due midnight;
	struct step **waiting; /* owned: of each person, what is written when the device is opened */
	bool calm;
	struct heard *heard; /* owned: a ring, when there are strangers */
	size_t heard_n;
	struct liar *liar; /* owned, when there are some */
	struct report report;
	bool closed;
	uint64_t real_us;
};

static void step_is_due(struct world *w, struct due *d);

/* ---- Steps ------------------------------------------------------------------ */

static struct step *step_at(struct plan *p, uint64_t at_us, struct person *who, enum step_kind kind)
{
	struct step *s = need(calloc(1, sizeof(*s)));

	*s = (struct step){
		.due.happen = step_is_due, .plan = p, .who = who, .kind = kind, .place = NET_NOWHERE
	};
	queue_put(&p->w->queue, &s->due, MAX(at_us, p->w->now_us));
	return s;
}

static uint64_t drawn(struct plan *p, const struct range *r)
{
	return dice_between(&p->dice, (uint64_t)r->low, (uint64_t)r->high);
}

static int64_t drawn_signed(struct plan *p, const struct range *r)
{
	return r->low + (int64_t)dice_below(&p->dice, (uint64_t)(r->high - r->low) + 1);
}

/* How often something of this rate happens in a day. */
static uint64_t times(struct plan *p, uint32_t rate_ppm)
{
	return rate_ppm / MILLION + dice_chance(&p->dice, rate_ppm % MILLION);
}

static uint64_t some_time(struct plan *p)
{
	return p->w->now_us + dice_below(&p->dice, DAY_US);
}

/* What waited until the device was opened happens while it is. */
static void opened(struct plan *p, struct person *who, uint64_t for_us)
{
	struct step **list = &p->waiting[who->number];

	while (*list != NULL) {
		struct step *s = *list;

		*list = s->next;
		s->next = NULL;
		queue_put(&p->w->queue, &s->due,
		          p->w->now_us + dice_below(&p->dice, MAX(for_us / 2, SECOND_US)));
	}
}

static int home_of(const struct plan *p, const struct person *who)
{
	return p->s->people[who->number].home;
}

/* Everybody has come for good. */
static bool all_stay(const struct plan *p)
{
	return p->calm && p->s->end == SCENARIO_END_TOGETHER;
}

static void arrive(struct plan *p, struct step *s)
{
	if (all_stay(p))
		return;
	step_at(p, p->w->now_us + s->for_us, s->who, STEP_LEAVE)->place = s->place;
	person_go(p->w, s->who, s->place);
	person_open(p->w, s->who);
	opened(p, s->who, s->for_us);
}

static void leave(struct plan *p, struct step *s)
{
	if (s->who->place == s->place && !all_stay(p))
		person_go(p->w, s->who, home_of(p, s->who));
	person_close(p->w, s->who);
}

/* Somebody of the group whom this person knows, by chance; NULL: nobody. */
static struct tie *some_tie(struct plan *p, const struct person *who, const struct group *to)
{
	struct tie *found = NULL;
	uint64_t n = 0;

	for (size_t i = 0; i < who->ties_len; i++) {
		struct tie *t = who->ties[i];
		size_t low = 0, high = to->n;

		while (low < high) {
			const size_t middle = (low + high) / 2;

			if (to->v[middle] < t->other->number)
				low = middle + 1;
			else
				high = middle;
		}
		if (low < to->n && to->v[low] == t->other->number && !t->forgotten &&
		    dice_below(&p->dice, ++n) == 0)
			found = t;
	}
	return found;
}

/* True when it waits, and is not to be freed. */
static bool write_now(struct plan *p, struct step *s)
{
	struct tie *t;
	size_t len;

	if (p->calm)
		return false;
	if (s->who->node == NULL || s->who->asleep_until_us != 0) {
		s->next = p->waiting[s->who->number];
		p->waiting[s->who->number] = s;
		return true;
	}
	t = some_tie(p, s->who, &s->write->to);
	len = drawn(p, &s->write->bytes);
	if (t != NULL)
		person_write(p->w, t, MAX(len, (size_t)TALK_TEXT_MIN));
	return false;
}

static void ask_start_again(struct plan *p, struct tie *t)
{
	const struct request q = { .kind = REQ_START_AGAIN, .name = span_str(t->other->name) };

	if (t->me->node == NULL || t->me->asleep_until_us != 0 || t->rows != NULL)
		return;
	t->asks_again = false;
	world_log(p->w, t->me, "starts again with %s", t->other->name);
	person_ask(p->w, t->me, &q);
}

/* Somebody knows of an older copy, or was asked. */
static void start_again(struct plan *p, struct person *who)
{
	if (who->node == NULL || who->asleep_until_us != 0)
		return;
	for (size_t i = 0; i < who->ties_len; i++)
		if (who->restored || who->ties[i]->asks_again)
			ask_start_again(p, who->ties[i]);
	who->restored = false;
}

/* ---- Faults ----------------------------------------------------------------- */

static void lasting(struct plan *p, struct step *s, uint64_t for_us)
{
	struct step *undo = step_at(p, p->w->now_us + for_us, s->who, STEP_UNDO);

	undo->fault = s->fault;
	undo->place = s->who->place;
}

static void half_open(struct plan *p, struct step *s, uint64_t for_us)
{
	const struct person *who = s->who;

	if (who->ties_len != 0)
		net_wall(p->w, s->who, who->ties[dice_below(&p->dice, who->ties_len)]->other,
		         p->w->now_us + for_us);
}

static void power_in_write(struct plan *p, struct step *s)
{
	const struct sim_disk_fault fault = {
		.at = 1 + dice_below(&p->dice, 24),
		.cut = (enum sim_disk_cut)(SIM_DISK_CUT_BEFORE + dice_below(&p->dice, 3)),
	};

	sim_disk_fail(&s->who->device.disk, &fault);
}

static void broken_disk(struct plan *p, struct step *s)
{
	const struct sim_disk_fault fault = {
		.at = 1 + dice_below(&p->dice, 24),
		.kinds = SIM_DISK_ALL,
		.half = dice_chance(&p->dice, MILLION / 2),
		.with = ERR_IO,
	};

	sim_disk_fail(&s->who->device.disk, &fault);
}

static void full_disk(struct plan *p, struct step *s, uint64_t for_us)
{
	const struct sim_disk_fault fault = {
		.at = 1,
		.kinds = BIT(SIM_DISK_WRITE) | BIT(SIM_DISK_ALLOCATE) | BIT(SIM_DISK_CREATE),
		.on = true,
		.with = ERR_FULL,
	};

	sim_disk_fail(&s->who->device.disk, &fault);
	lasting(p, s, for_us);
}

static void older_copy(struct plan *p, struct step *s)
{
	struct device *d = &s->who->device;

	if (d->copy != NULL) {
		person_put_back(p->w, s->who);
		step_at(p, p->w->now_us + dice_between(&p->dice, 10, 1800) * SECOND_US, s->who,
		        STEP_START_AGAIN);
	}
	if (d->made && s->who->node == NULL)
		device_keep(d);
}

static void split_place(struct plan *p, struct step *s, uint64_t for_us)
{
	if (s->who->place == NET_NOWHERE)
		return;
	world_log(p->w, s->who, "is in a place that is split");
	p->w->net.places[s->who->place].split = dice_draw(&p->dice) | 1;
	lasting(p, s, for_us);
}

static void jump(struct plan *p, struct step *s, int64_t by_us)
{
	struct person *who = s->who;

	/* Before 1970 there is no time. */
	if ((int64_t)person_clock(p->w, who) + by_us / (int64_t)SECOND_US > 0)
		person_set_clock(p->w, who, who->clock.offset_s + by_us / (int64_t)SECOND_US,
		                 who->clock.drift_ppm);
}

static void forget(struct plan *p, struct person *who)
{
	struct tie *t = who->ties_len == 0 ? NULL : who->ties[dice_below(&p->dice, who->ties_len)];

	if (t == NULL || t->forgotten || t->rows != NULL || who->node == NULL || who->asleep_until_us != 0)
		return;
	const struct request q = { .kind = REQ_FORGET, .name = span_str(t->other->name) };

	world_log(p->w, who, "forgets %s", t->other->name);
	t->forgotten = person_ask(p->w, who, &q) == REPLY_OK;
	t->forgetting = !t->forgotten && who->node == NULL;
}

static void fault_now(struct plan *p, struct step *s)
{
	const struct scenario_fault *f = s->fault;
	struct world *w = p->w;
	struct person *who = s->who;
	const uint64_t for_us = drawn(p, &f->for_us), back_us = dice_between(&p->dice, 1, 90) * SECOND_US;

	if (p->calm)
		return;
	switch (f->kind) {
	case FAULT_OFFLINE:
		person_network(w, who, false, false);
		lasting(p, s, for_us);
		break;
	case FAULT_FLAP:
		for (unsigned i = 0; i < 4 && who->online; i++) {
			person_network(w, who, false, false);
			person_network(w, who, true, dice_chance(&p->dice, MILLION / 2));
		}
		break;
	case FAULT_RADIO_OFF:
		ether_switch(w, who, false);
		lasting(p, s, for_us);
		break;
	case FAULT_READDRESS:
		person_network(w, who, who->online, true);
		break;
	case FAULT_HALF_OPEN:
		half_open(p, s, for_us);
		break;
	case FAULT_SPLIT:
		split_place(p, s, for_us);
		break;
	case FAULT_KILL:
		if (who->node != NULL)
			person_kill(w, who, back_us);
		break;
	case FAULT_POWER:
		if (who->node != NULL)
			person_power_cut(w, who, back_us);
		break;
	case FAULT_POWER_IN_WRITE:
		power_in_write(p, s);
		break;
	case FAULT_PUT_BACK:
		older_copy(p, s);
		break;
	case FAULT_FULL:
		full_disk(p, s, for_us);
		break;
	case FAULT_BROKEN:
		broken_disk(p, s);
		break;
	case FAULT_SLEEP:
		person_sleep(w, who, w->now_us + for_us);
		break;
	case FAULT_FORGET:
		forget(p, who);
		break;
	case FAULT_JUMP:
		jump(p, s, drawn_signed(p, &f->by));
		break;
	default: /* those of the air, and the clocks: from the beginning */
		break;
	}
}

static void undo(struct plan *p, struct step *s)
{
	switch (s->fault->kind) {
	case FAULT_OFFLINE:
		if (!s->who->online)
			person_network(p->w, s->who, true, false);
		break;
	case FAULT_RADIO_OFF:
		ether_switch(p->w, s->who, true);
		break;
	case FAULT_FULL:
		sim_disk_mend(&s->who->device.disk);
		break;
	case FAULT_SPLIT:
		p->w->net.places[s->place].split = 0;
		break;
	default:
		break;
	}
}

static void set_air(struct plan *p, const struct scenario_fault *f)
{
	struct net_faults *air = &p->w->net.faults;

	switch (f->kind) {
	case FAULT_DROP:
		air->lost = f->share;
		break;
	case FAULT_DEAF:
		air->calls_lost = f->share;
		break;
	case FAULT_TWICE:
		air->twice = MIN(f->share, (uint32_t)900000); /* for ever is too long */
		break;
	case FAULT_CORRUPT:
		air->corrupt = f->share;
		break;
	case FAULT_CUT:
		air->cut = f->share;
		break;
	case FAULT_LONGER:
		air->longer = f->share;
		break;
	case FAULT_LATE:
		air->late = f->share;
		air->late_us = (uint64_t)f->for_us.high;
		break;
	default:
		break;
	}
}

static void set_clocks(struct plan *p, const struct scenario_fault *f)
{
	for (size_t i = 0; i < f->who.n; i++) {
		struct person *who = &p->w->people[f->who.v[i]];
		const int64_t by = drawn_signed(p, &f->by);

		if (f->kind == FAULT_CLOCK && (int64_t)WORLD_CLOCK0 + by / (int64_t)SECOND_US > 0)
			person_set_clock(p->w, who, by / (int64_t)SECOND_US, who->clock.drift_ppm);
		if (f->kind == FAULT_DRIFT)
			person_set_clock(p->w, who, who->clock.offset_s, (int32_t)by);
	}
}

/* ---- Strangers -------------------------------------------------------------- */

/* Remembers what was on the air, to say it again as somebody else. */
static void overheard(void *arg, struct world *w, const struct frame *f)
{
	struct plan *p = arg;
	struct heard *h;

	(void)w;
	if (p->liar != NULL)
		liar_overhears(p->liar, f);
	if (p->heard == NULL || f->from == NULL || f->bytes.len > NET_FRAME_MAX)
		return;
	h = &p->heard[p->heard_n++ % STRANGER_REMEMBERS];
	*h = (struct heard){ .radio = f->radio,
		             .port = f->port,
		             .source = f->source,
		             .target = f->target,
		             .len = f->bytes.len };
	memcpy(h->bytes, f->bytes.p, f->bytes.len);
}

/* Noise, or something that was heard, from an address of nobody's; or noise from the address of somebody. */
static void stranger(struct plan *p, struct step *s)
{
	struct world *w = p->w;
	uint8_t noise[NET_FRAME_MAX];
	struct frame f = { .place = s->place, .ttl = 255 };
	const struct heard *h = NULL;
	const uint64_t kind = dice_below(&p->dice, 4);
	size_t bit;

	if (p->calm)
		return;
	if (p->heard_n != 0)
		h = &p->heard[dice_below(&p->dice, MIN(p->heard_n, (size_t)STRANGER_REMEMBERS))];
	for (size_t i = 0; i < sizeof(noise); i += 8)
		store_u64(noise + i, dice_draw(&p->dice));
	f.bytes = span_from(noise, ((const size_t[]){ 256, 1232, 608, 0 })[dice_below(&p->dice, 4)]);
	f.source = net_address(&w->net.places[s->place], s->place, WORLD_PEOPLE_MAX - 1, 0);
	if (h != NULL && kind != 0) {
		f.port = h->port;
		f.target = h->target;
		f.radio = h->radio;
		if (f.radio)
			f.source = ether_nobodys_address();
		if (kind == 1)
			f.source = f.radio ? f.source : h->source; /* noise in the name of somebody */
		else
			f.bytes = span_from(h->bytes, h->len);
		/* Over Bluetooth no proof binds an address: what is the same is the contact's (liar.h). */
		if ((kind == 3 || (kind == 2 && f.radio)) && f.bytes.len != 0) {
			memcpy(noise, h->bytes, h->len);
			bit = dice_below(&p->dice, (f.radio ? MIN(h->len, (size_t)16) : h->len) * 8);
			noise[bit / 8] ^= (uint8_t)(1 << bit % 8);
			f.bytes = span_from(noise, h->len);
		}
	}
	net_send(w, &f);
}

/* ---- Steps, as they come ---------------------------------------------------- */

static void step_is_due(struct world *w, struct due *d)
{
	struct step *s = CONTAINER_OF(d, struct step, due);
	struct plan *p = s->plan;
	bool waits = false;

	(void)w;
	switch (s->kind) {
	case STEP_ARRIVE:
		arrive(p, s);
		break;
	case STEP_LEAVE:
		leave(p, s);
		break;
	case STEP_OPEN:
		step_at(p, w->now_us + s->for_us, s->who, STEP_SHUT);
		person_open(w, s->who);
		opened(p, s->who, s->for_us);
		break;
	case STEP_SHUT:
		person_close(w, s->who);
		break;
	case STEP_WRITE:
		waits = write_now(p, s);
		break;
	case STEP_FAULT:
		fault_now(p, s);
		break;
	case STEP_UNDO:
		undo(p, s);
		break;
	case STEP_START_AGAIN:
		start_again(p, s->who);
		break;
	case STEP_STRANGER:
		stranger(p, s);
		break;
	}
	if (!waits)
		free(s);
}

/* ---- Days ------------------------------------------------------------------- */

static void plan_visit(struct plan *p, const struct scenario_visit *v)
{
	const uint64_t midnight = p->w->now_us;

	for (size_t i = 0; i < v->who.n; i++) {
		uint64_t at = midnight + drawn(p, &v->time_us);
		const size_t stops = v->every_us != 0 ? v->where.n : 1;

		for (size_t k = 0; k < stops; k++, at += v->every_us) {
			const size_t where = v->every_us != 0 ? k : dice_below(&p->dice, v->where.n);
			struct step *s;

			if (!dice_chance(&p->dice, v->chance))
				continue;
			s = step_at(p, at, &p->w->people[v->who.v[i]], STEP_ARRIVE);
			s->place = (int)v->where.v[where];
			s->for_us = drawn(p, &v->stay_us);
		}
	}
}

static void plan_person(struct plan *p, size_t i)
{
	const struct scenario_person *s = &p->s->people[i];

	for (uint64_t n = s->always_open ? 0 : times(p, s->opens_ppm); n > 0; n--) {
		struct step *open = step_at(p, some_time(p), &p->w->people[i], STEP_OPEN);

		open->for_us = drawn(p, &s->open_us);
	}
}

static void plan_writes(struct plan *p, const struct scenario_write *v)
{
	for (size_t i = 0; i < v->who.n; i++)
		for (uint64_t n = times(p, v->rate_ppm); n > 0; n--)
			step_at(p, some_time(p), &p->w->people[v->who.v[i]], STEP_WRITE)->write = v;
}

static void plan_fault(struct plan *p, const struct scenario_fault *f)
{
	for (size_t i = 0; i < f->who.n; i++)
		for (uint64_t n = times(p, f->rate_ppm); n > 0; n--)
			step_at(p, some_time(p), &p->w->people[f->who.v[i]], STEP_FAULT)->fault = f;
}

static void plan_strangers(struct plan *p, const struct scenario_stranger *v)
{
	for (size_t i = 0; i < v->where.n; i++)
		for (uint64_t n = times(p, v->rate_ppm); n > 0; n--)
			step_at(p, some_time(p), NULL, STEP_STRANGER)->place = (int)v->where.v[i];
}

static void midnight(struct world *w, struct due *d)
{
	struct plan *p = CONTAINER_OF(d, struct plan, midnight);
	const struct scenario *s = p->s;
	const int64_t day = (int64_t)(w->now_us / DAY_US);

	for (size_t i = 0; i < s->visits_len; i++)
		if (day >= s->visits[i].days.low && day <= s->visits[i].days.high)
			plan_visit(p, &s->visits[i]);
	for (size_t i = 0; i < s->people_len; i++)
		plan_person(p, i);
	for (size_t i = 0; i < s->writes_len && !p->calm; i++)
		plan_writes(p, &s->writes[i]);
	for (size_t i = 0; i < s->faults_len && !p->calm; i++)
		plan_fault(p, &s->faults[i]);
	for (size_t i = 0; i < s->strangers_len && !p->calm; i++)
		plan_strangers(p, &s->strangers[i]);
	if (p->liar != NULL)
		liar_midnight(p->liar);
	queue_put(&w->queue, &p->midnight, w->now_us + DAY_US);
}

/* ---- The beginning ---------------------------------------------------------- */

static void once(struct plan *p, const struct scenario_fault *f)
{
	for (size_t i = 0; i < f->who.n && f->once; i++)
		step_at(p, dice_below(&p->dice, p->s->lasts_us), &p->w->people[f->who.v[i]], STEP_FAULT)
		        ->fault = f;
}

static bool may_answer(void *arg, struct world *w, const struct person *who, const struct frame *f)
{
	struct plan *p = arg;

	(void)w;
	return liar_may_answer(p->liar, who, f);
}

static void answered(void *arg, struct world *w, const struct person *who, const struct frame *f)
{
	struct plan *p = arg;

	(void)w;
	liar_answered(p->liar, who, f);
}

static void arrived(void *arg, struct world *w, const struct tie *from, uint64_t delay_us)
{
	struct plan *p = arg;

	report_delay(&p->report, delay_us);
	if (p->options.story != NULL)
		story_arrived(p->options.story, w->now_us, from, delay_us);
}

static void happened(void *arg, struct world *w, const struct person *who, enum world_event what)
{
	struct plan *p = arg;

	story_happened(p->options.story, w->now_us, who, what);
}

static void populate(struct plan *p)
{
	const struct scenario *s = p->s;
	struct world *w = p->w;

	for (size_t i = 0; i < s->places_len; i++) {
		const int n = net_add_place(&w->net, s->places[i].name, s->places[i].kind);

		w->net.places[n].ipv6 = s->places[i].ipv6;
		w->net.places[n].x = s->places[i].x;
		w->net.places[n].y = s->places[i].y;
	}
	for (size_t i = 0; i < s->people_len; i++) {
		struct person *who = world_add(w, s->people[i].name);

		who->firewall = s->people[i].firewall;
		who->on_battery = s->people[i].on_battery;
		who->wifi = s->people[i].wifi;
		if (s->people[i].bluetooth)
			ether_add(who);
	}
	for (size_t i = 0; i < s->pairs_len; i++) {
		struct person *a = &w->people[s->pairs[i].a], *b = &w->people[s->pairs[i].b];

		if (talk_with(a, b) == NULL)
			person_pair(w, a, b, s->pairs[i].mode_a, s->pairs[i].mode_b);
	}
}

struct plan *plan_new(const struct scenario *s, const struct plan_options *o)
{
	struct plan *p = need(calloc(1, sizeof(*p)));
	struct world *w = world_new(o->seed, s->people_len);

	if (o->watcher != NULL)
		(void)o->watcher(true);
	*p = (struct plan){
		.s = s,
		.options = *o,
		.w = w,
		.dice = dice_new(o->seed, 1),
		.midnight.happen = midnight,
		.waiting = need(calloc(s->people_len, sizeof(struct step *))),
		.report = { .scenario = s, .seed = o->seed },
	};
	w->log = o->log;
	w->devices = s->devices;
	w->hooks.arg = p;
	w->hooks.arrived = arrived;
	if (o->story != NULL)
		w->hooks.happened = happened;
	if (s->strangers_len != 0) {
		p->heard = need(calloc(STRANGER_REMEMBERS, sizeof(*p->heard)));
		w->hooks.frame = overheard;
	}
	if (s->liars_len != 0) {
		p->liar = liar_new(w, s);
		w->hooks.frame = overheard;
		w->hooks.may_answer = may_answer;
		w->hooks.answered = answered;
	}
	populate(p);
	w->faults = true;
	for (size_t i = 0; i < s->faults_len; i++) {
		set_air(p, &s->faults[i]);
		set_clocks(p, &s->faults[i]);
		once(p, &s->faults[i]);
	}
	queue_put(&w->queue, &p->midnight, 0);
	for (size_t i = 0; i < s->people_len; i++) {
		person_go(w, &w->people[i], s->people[i].home);
		if (s->people[i].always_open)
			person_open(w, &w->people[i]);
	}
	return p;
}

struct world *plan_world(struct plan *p)
{
	return p->w;
}

/* ---- The end ---------------------------------------------------------------- */

static void mend(struct plan *p, struct person *who)
{
	struct world *w = p->w;

	sim_disk_mend(&who->device.disk);
	if (who->firewall == NET_CLOSED) /* who has never met anybody could not */
		who->firewall = NET_GUARD;
	if (who->asleep_until_us != 0)
		queue_put(&w->queue, &who->again, w->now_us);
	if (!who->online)
		person_network(w, who, true, false);
	ether_switch(w, who, true);
	if (who->clock.offset_s != 0 || who->clock.drift_ppm != 0)
		person_set_clock(w, who, 0, 0);
	if (who->node == NULL && who->again.place != 0)
		queue_put(&w->queue, &who->again, w->now_us);
}

static void faults_end(struct plan *p)
{
	struct world *w = p->w;

	p->calm = true;
	if (p->liar != NULL)
		liar_stop(p->liar);
	w->net.faults = (struct net_faults){ 0 };
	w->net.walls_len = 0;
	for (size_t i = 0; i < w->net.places_len; i++)
		w->net.places[i].split = 0;
	for (size_t i = 0; i < w->people_len && !w->stopped; i++)
		mend(p, &w->people[i]);
	world_run(w, w->now_us + MINUTE_US);
	w->faults = false;
}

static const struct tie *undone(const struct world *w)
{
	for (size_t i = 0; i < w->people_len; i++)
		for (size_t k = 0; k < w->people[i].ties_len; k++)
			if (!talk_is_done(w->people[i].ties[k]))
				return w->people[i].ties[k];
	return NULL;
}

/* What people do who know that the others are here: look for them, and start again where it is needed. */
static void help(struct plan *p, struct person *who)
{
	const struct request look = { .kind = REQ_LOOK, .flag = true };

	if (who->node == NULL || who->asleep_until_us != 0)
		return;
	start_again(p, who);
	for (size_t i = 0; i < who->ties_len && who->node != NULL; i++) {
		struct tie *t = who->ties[i];

		if (t->back == NULL || (talk_is_done(t) && talk_is_done(t->back)))
			continue;
		/* A clock that is wrong, or was when they last met: only who looks finds out. */
		person_ask(p->w, who, &look);
		return;
	}
}

static void write_to_all(struct plan *p, struct person *who)
{
	for (size_t i = 0; i < who->ties_len && who->node != NULL && who->asleep_until_us == 0; i++)
		if (!who->ties[i]->forgotten && who->ties[i]->rows == NULL)
			person_write(p->w, who->ties[i], TALK_TEXT_MIN + dice_below(&p->dice, 3000));
}

static void come_together(struct plan *p)
{
	struct world *w = p->w;

	w->ether.gathered = true;
	for (size_t i = 0; i < w->people_len && !w->stopped; i++) {
		person_go(w, &w->people[i], (int)p->s->end_place);
		person_open(w, &w->people[i]);
	}
	/* They meet while the air is still bad: what it loses then must come over the links that are up. */
	world_run(w, w->now_us + MINUTE_US);
	for (size_t i = 0; i < w->people_len && !w->stopped; i++)
		write_to_all(p, &w->people[i]);
	world_run(w, w->now_us + MINUTE_US);
}

/* I10: faults have ended; what waits arrives within the time that the scenario says. */
static void finish(struct plan *p)
{
	struct world *w = p->w;
	const uint64_t until_us = w->now_us + p->s->end_us;
	uint64_t help_us = 0;
	const struct tie *t = NULL;

	p->calm = true;
	if (p->s->end == SCENARIO_END_TOGETHER)
		come_together(p);
	faults_end(p);
	while (!w->stopped && w->now_us < until_us && (t = undone(w)) != NULL) {
		if (w->now_us >= help_us) {
			for (size_t i = 0; i < w->people_len && !w->stopped; i++)
				help(p, &w->people[i]);
			help_us = w->now_us + LOOK_AGAIN_S * SECOND_US;
		}
		world_run(w, MIN(until_us, w->now_us + CHECK_S * SECOND_US));
	}
	t = undone(w);
	if (t != NULL && p->s->end == SCENARIO_END_TOGETHER)
		world_broken(w, t->me, "I10",
		             "still has %zu messages for %s that have not arrived, and is told of %zu of %zu",
		             t->waiting, t->other->name, t->told, t->sent_len);
}

/* Everything is compared once more, as it stands on the disks. */
static void look_at_everybody(struct plan *p)
{
	struct world *w = p->w;

	for (size_t i = 0; i < w->people_len && !w->stopped; i++) {
		struct person *who = &w->people[i];

		if (who->node == NULL && !who->device.made)
			continue;
		if (who->node != NULL) {
			person_end_turn(w, who);
			if (who->node != NULL)
				talk_audit(w, who, who->older);
		}
	}
}

static uint64_t real_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

bool plan_run(struct plan *p)
{
	const uint64_t began_us = real_now_us();
	struct world *w = p->w;
	const uint64_t until_us = p->options.until_us != 0 ? p->options.until_us : UINT64_MAX;

	w->until_us = until_us;
	world_run(w, MIN(p->s->lasts_us, until_us));
	if (!w->stopped && w->now_us < until_us && p->s->end != SCENARIO_END_NOTHING)
		finish(p);
	if (!w->stopped && w->now_us < until_us)
		look_at_everybody(p);
	if (p->options.watcher != NULL && p->options.watcher(false) != NULL)
		world_broken(w, w->people, "I4", "%s", p->options.watcher(false));
	p->real_us = real_now_us() - began_us;
	return w->broken[0] == '\0';
}

const struct report *plan_report(struct plan *p)
{
	if (!p->closed)
		report_close(&p->report, p->w, p->real_us);
	p->closed = true;
	return &p->report;
}

static void drop_step(struct due *d)
{
	free(CONTAINER_OF(d, struct step, due));
}

void plan_free(struct plan *p)
{
	struct world *w;

	if (p == NULL)
		return;
	w = p->w;
	liar_free(p->liar);
	queue_drop(&w->queue, step_is_due, drop_step);
	for (size_t i = 0; i < p->s->people_len; i++)
		while (p->waiting[i] != NULL) {
			struct step *s = p->waiting[i];

			p->waiting[i] = s->next;
			free(s);
		}
	world_free(w);
	report_deinit(&p->report);
	free(p->waiting);
	free(p->heard);
	free(p);
}
