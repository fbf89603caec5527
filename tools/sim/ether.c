#include "tools/sim/ether.h"

#include "tools/sim/need.h"
#include "tools/sim/turn.h"
#include "tools/sim/world.h"

/* Side 0 opened it; a stranger's has nobody there. */
struct ether_channel {
	struct ether_channel *next;
	struct person *who[2];
	uint32_t path[2]; /* 0: closed, or not taken yet */
	uint16_t psm;
	bool taken;  /* the first word came */
	bool broken; /* nothing flies over it any more */
	unsigned flying, queued[2];
	uint64_t free_us[2]; /* the way from this side is free again, */
	uint64_t last_us[2]; /* and the last word from it has come */
};

/* Something on its way: an advertisement, a word over a channel, or its end. */
struct flight {
	struct due due;
	struct person *from, *to;
	uint64_t number;               /* of the set of advertisements that it is of */
	struct ether_channel *channel; /* NULL: an advertisement */
	int side;                      /* to which it goes */
	size_t len;                    /* 0: the end */
	uint8_t bytes[];
};

static void land(struct world *w, struct due *d);
static void stroll(struct world *w, struct due *d);

/* ---- Devices ---------------------------------------------------------------- */

void ether_add(struct person *p)
{
	p->ether = need(calloc(1, sizeof(*p->ether)));
	*p->ether = (struct ether_device){ .person = p, .on = true, .stroll.happen = stroll };
}

void ether_remove(struct person *p)
{
	free(p->ether);
	p->ether = NULL;
}

struct address ether_address(const struct person *p)
{
	return (struct address){
		{ 2, 0, 0, 0, (uint8_t)(p->number >> 8), (uint8_t)p->number, 1 },
		ADDRESS_BLUETOOTH,
	};
}

struct address ether_nobodys_address(void)
{
	return (struct address){ { 2, 0, 0, 0, 0xff, 0xff, 1 }, ADDRESS_BLUETOOTH };
}

static struct person *who_has(struct world *w, const struct address *a)
{
	const size_t number = (size_t)a->ip[4] << 8 | a->ip[5];
	struct person *p = number < w->people_len ? &w->people[number] : NULL;

	return p != NULL && p->ether != NULL && address_is_bluetooth(a) ? p : NULL;
}

static bool is_awake(const struct person *p)
{
	return p->ether != NULL && p->ether->on && p->node != NULL && p->asleep_until_us == 0;
}

static bool in_reach(const struct world *w, const struct person *a, const struct person *b)
{
	const int dx = a->ether->x - b->ether->x, dy = a->ether->y - b->ether->y;

	if (!is_awake(a) || !is_awake(b) || a->place != b->place || a->place == NET_NOWHERE)
		return false;
	return w->ether.gathered || dx * dx + dy * dy <= ETHER_RANGE_M * ETHER_RANGE_M;
}

static bool listens_on(const struct world *w, const struct person *p, uint16_t psm)
{
	return psm >= 0x80 && psm <= 0xff && p->ether->psm_until_us[psm - 0x80] > w->now_us;
}

uint16_t ether_some_psm(const struct world *w, const struct person *p, unsigned from)
{
	for (unsigned i = 0; i < 0x80; i++) {
		const uint16_t psm = (uint16_t)(0x80 + (from + i) % 0x80);

		if (listens_on(w, p, psm))
			return psm;
	}
	return (uint16_t)(0x80 + from);
}

/* ---- Flights ---------------------------------------------------------------- */

static void fly(struct world *w, const struct flight *model, struct span bytes, uint64_t at_us)
{
	struct flight *f = need(malloc(sizeof(*f) + bytes.len));

	*f = *model;
	f->due = (struct due){ .happen = land };
	f->len = bytes.len;
	if (bytes.len != 0)
		memcpy(f->bytes, bytes.p, bytes.len);
	if (f->channel != NULL)
		f->channel->flying++;
	queue_put(&w->queue, &f->due, at_us);
}

static void drop_flight(struct due *d)
{
	free(CONTAINER_OF(d, struct flight, due));
}

void ether_clear(struct world *w)
{
	queue_drop(&w->queue, land, drop_flight);
	while (w->ether.channels != NULL) {
		struct ether_channel *c = w->ether.channels;

		w->ether.channels = c->next;
		free(c);
	}
}

/* ---- Channels --------------------------------------------------------------- */

static struct ether_channel *add_channel(struct world *w, struct person *from, uint32_t path,
                                         struct person *to, uint16_t psm)
{
	struct ether_channel *c = need(calloc(1, sizeof(*c)));

	*c = (struct ether_channel){
		.next = w->ether.channels, .who = { from, to }, .path = { path }, .psm = psm
	};
	w->ether.channels = c;
	return c;
}

static struct ether_channel *channel_of(struct world *w, const struct person *p, uint32_t path, int *side)
{
	for (struct ether_channel *c = w->ether.channels; c != NULL && path != 0; c = c->next)
		for (*side = 0; *side < 2; ++*side)
			if (c->who[*side] == p && c->path[*side] == path)
				return c;
	return NULL;
}

/* Nobody holds it any more, and nothing flies. */
static void let_go(struct world *w, struct ether_channel *c)
{
	struct ether_channel **at = &w->ether.channels;

	if (c->path[0] != 0 || c->path[1] != 0 || c->flying != 0)
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	free(c);
}

/* This side hears that it is over. */
static void end_at(struct world *w, struct ether_channel *c, int side, uint64_t at_us)
{
	fly(w, &(struct flight){ .channel = c, .side = side }, SPAN_NONE, MAX(at_us, c->last_us[1 - side]));
}

static void break_off(struct world *w, struct ether_channel *c)
{
	if (c->broken)
		return;
	c->broken = true;
	for (int side = 0; side < 2; side++)
		end_at(w, c, side,
		       w->now_us + dice_between(&w->dice, ETHER_NOTICE_LOW_US, ETHER_NOTICE_HIGH_US));
}

/* What somebody's channels come to when something about it has changed. */
static void check_channels(struct world *w, struct person *p)
{
	for (struct ether_channel *c = w->ether.channels; c != NULL; c = c->next)
		if (c->taken && c->who[0] != NULL && (c->who[0] == p || c->who[1] == p) &&
		    !in_reach(w, c->who[0], c->who[1]))
			break_off(w, c);
}

static void tell_end(struct world *w, struct ether_channel *c, int side)
{
	struct event ev = { .kind = EV_PATH_FAILED, .path = c->path[side] };

	c->broken = true;
	if (ev.path != 0 && is_awake(c->who[side]))
		person_event(w, c->who[side], &ev);
}

static void first_word(struct world *w, struct ether_channel *c, const struct frame *frame)
{
	struct event ev = {
		.kind = EV_CHANNEL,
		.path = PATH_ACCEPTED | ++w->ether.accepted,
		.from = frame->source,
		.port = c->psm,
		.bytes = frame->bytes,
	};

	c->taken = true;
	c->path[1] = ev.path;
	person_takes(w, c->who[1], &ev, frame);
}

static void land_over(struct world *w, struct flight *f)
{
	struct ether_channel *c = f->channel;
	struct person *to = c->who[f->side], *from = c->who[1 - f->side];
	const struct frame frame = {
		.radio = true,
		.place = to != NULL ? to->place : NET_NOWHERE,
		.from = from,
		.port = c->psm,
		.bytes = { f->bytes, f->len },
	};
	struct event ev = { .kind = EV_DATAGRAM, .path = c->path[f->side], .bytes = frame.bytes };

	if (f->len == 0) {
		tell_end(w, c, f->side);
		return;
	}
	c->queued[1 - f->side]--;
	if (c->broken)
		return;
	if (f->side == 1 && !c->taken) {
		struct frame first = frame;

		first.source = ether_address(from);
		first.target = ether_address(to);
		if (in_reach(w, from, to) && listens_on(w, to, c->psm))
			first_word(w, c, &first);
		else
			tell_end(w, c, 0);
	} else if (ev.path != 0 && to != NULL && is_awake(to)) {
		person_takes(w, to, &ev, &frame);
	}
}

void ether_open(struct world *w, struct person *p, const struct effect *e)
{
	struct person *to = who_has(w, &e->remote);
	struct ether_channel *c;
	int side;

	if (channel_of(w, p, e->path, &side) != NULL || e->port < 0x80 || e->port > 0xff) {
		world_broken(w, p, "I9", "opens channel %u to %u", (unsigned)e->path, (unsigned)e->port);
		return;
	}
	p->opened++;
	c = add_channel(w, p, e->path, to, e->port);
	if (to == NULL || to == p || !in_reach(w, p, to)) {
		c->broken = true;
		end_at(w, c, 0, w->now_us + ETHER_GIVE_UP_US);
	}
	c->free_us[0] = w->now_us + dice_between(&w->dice, ETHER_CONNECT_LOW_US, ETHER_CONNECT_HIGH_US);
}

bool ether_send(struct world *w, struct person *p, uint32_t path, struct span bytes)
{
	int side;
	struct ether_channel *c = channel_of(w, p, path, &side);
	struct flight f = { .channel = c, .side = 1 - (c == NULL ? 0 : side) };
	uint64_t at_us;

	if (c == NULL)
		return false;
	if (c->broken || c->who[1 - side] == NULL)
		return true;
	if (++c->queued[side] > ETHER_QUEUE_MAX) {
		world_broken(w, p, "I9", "has %u datagrams waiting for a channel", c->queued[side]);
		return true;
	}
	net_note(w, &(struct frame){
	                    .radio = true,
	                    .place = p->place,
	                    .from = p,
	                    .source = ether_address(p),
	                    .port = c->psm,
	                    .target = ether_address(c->who[1 - side]),
	                    .bytes = bytes,
	            });
	c->free_us[side] = MAX(c->free_us[side], w->now_us) + bytes.len * ETHER_BYTE_US;
	at_us = c->free_us[side] + dice_between(&w->dice, ETHER_LATENCY_LOW_US, ETHER_LATENCY_HIGH_US);
	c->last_us[side] = MAX(c->last_us[side], at_us);
	fly(w, &f, bytes, c->last_us[side]);
	return true;
}

bool ether_close(struct world *w, struct person *p, uint32_t path)
{
	int side;
	struct ether_channel *c = channel_of(w, p, path, &side);

	if (c == NULL)
		return false;
	c->path[side] = 0;
	if (!c->broken && c->who[1 - side] != NULL)
		end_at(w, c, 1 - side, w->now_us + ETHER_LATENCY_HIGH_US);
	let_go(w, c);
	return true;
}

/* ---- Advertisements --------------------------------------------------------- */

static void hears_soon(struct world *w, struct person *from, struct person *to)
{
	const struct ether_device *d = from->ether;
	const struct flight f = { .from = from, .to = to, .number = d->adverts_number };

	for (size_t i = 0; i < d->adverts_len; i++) {
		uint64_t after_us = dice_below(&w->dice, ETHER_INTERVAL_US);

		while (!dice_chance(&w->dice, ETHER_HEARD))
			after_us += ETHER_INTERVAL_US + dice_below(&w->dice, 10000);
		fly(w, &f, SPAN(d->adverts[i]), w->now_us + after_us);
	}
}

/* Each hears the others. */
static void look_around(struct world *w, struct person *p, bool speaks, bool listens)
{
	const struct place *at = p->place != NET_NOWHERE ? &w->net.places[p->place] : NULL;

	for (size_t i = 0; at != NULL && i < at->present_len; i++) {
		struct person *other = at->present[i];

		if (other == p || other->ether == NULL || !in_reach(w, p, other))
			continue;
		if (speaks && other->ether->scans)
			hears_soon(w, p, other);
		if (listens && p->ether->scans)
			hears_soon(w, other, p);
	}
}

static void land_advert(struct world *w, struct flight *f)
{
	const struct frame frame = {
		.radio = true,
		.place = f->to->place,
		.from = f->from,
		.source = ether_address(f->from),
		.bytes = { f->bytes, f->len },
	};
	struct event ev = { .kind = EV_ADVERT, .bytes = frame.bytes, .from = frame.source };

	if (f->from->ether->adverts_number == f->number && f->to->ether->scans && in_reach(w, f->from, f->to))
		person_takes(w, f->to, &ev, &frame);
}

static void land(struct world *w, struct due *d)
{
	struct flight *f = CONTAINER_OF(d, struct flight, due);

	if (f->channel == NULL) {
		land_advert(w, f);
	} else {
		land_over(w, f);
		f->channel->flying--;
		let_go(w, f->channel);
	}
	free(f);
}

void ether_advertise(struct world *w, struct person *p, struct span adverts)
{
	struct ether_device *d = p->ether;

	p->sent_adverts++;
	if (adverts.len % (ADVERT_LEN + 1) != 0 || adverts.len > ETHER_ADVERTS * (ADVERT_LEN + 1)) {
		world_broken(w, p, "I9", "advertises %zu bytes", adverts.len);
		return;
	}
	for (size_t i = 0; i < COUNT_OF(d->psm_until_us); i++)
		d->psm_until_us[i] = MIN(d->psm_until_us[i], w->now_us + ETHER_LISTEN_US);
	d->adverts_len = adverts.len / (ADVERT_LEN + 1);
	d->adverts_number = ++w->ether.adverts_number;
	for (size_t i = 0; i < d->adverts_len; i++) {
		const uint8_t *at = adverts.p + i * (ADVERT_LEN + 1);

		memcpy(d->adverts[i], at, ADVERT_LEN);
		d->psm_until_us[at[ADVERT_LEN] & 0x7f] = UINT64_MAX;
		net_note(w, &(struct frame){
		                    .radio = true,
		                    .place = p->place,
		                    .from = p,
		                    .source = ether_address(p),
		                    .bytes = span_from(at, ADVERT_LEN),
		            });
	}
	look_around(w, p, true, false);
}

void ether_scan(struct world *w, struct person *p, bool on)
{
	p->ether->scans = on;
	if (on)
		look_around(w, p, false, true);
}

/* ---- What becomes of people ------------------------------------------------- */

void ether_tell(struct world *w, struct person *p, bool again)
{
	const struct radio radio = { ADDRESS_BLUETOOTH, ETHER_ADVERTS };
	struct event none = { .kind = EV_RADIOS };
	struct event ev = { .kind = EV_RADIOS, .radios = &radio, .radios_len = 1 };

	if (p->ether == NULL || p->node == NULL || p->asleep_until_us != 0)
		return;
	if (again || !p->ether->on)
		person_event(w, p, &none);
	if (p->ether->on && p->node != NULL && p->asleep_until_us == 0)
		person_event(w, p, &ev);
}

void ether_stop(struct world *w, struct person *p)
{
	struct ether_device *d = p->ether;

	if (d == NULL)
		return;
	d->scans = false;
	d->adverts_len = 0;
	d->adverts_number = 0;
	memset(d->psm_until_us, 0, sizeof(d->psm_until_us));
	for (struct ether_channel *c = w->ether.channels, *next; c != NULL; c = next) {
		next = c->next;
		for (int side = 0; side < 2; side++) {
			if (c->who[side] != p)
				continue;
			break_off(w, c);
			if (p->node == NULL)
				c->path[side] = 0;
		}
		let_go(w, c);
	}
}

void ether_switch(struct world *w, struct person *p, bool on)
{
	if (p->ether == NULL || p->ether->on == on)
		return;
	p->ether->on = on;
	world_log(w, p, "switches Bluetooth %s", on ? "on" : "off");
	if (!on)
		ether_stop(w, p);
	ether_tell(w, p, false);
}

static void find_spot(struct world *w, struct person *p)
{
	struct ether_device *d = p->ether;

	d->x = (int)dice_below(&w->dice, ETHER_AREA_M);
	d->y = (int)dice_below(&w->dice, ETHER_AREA_M);
	check_channels(w, p);
	look_around(w, p, true, true);
	queue_put(&w->queue, &d->stroll,
	          w->now_us + dice_between(&w->dice, ETHER_STROLL_LOW_US, ETHER_STROLL_HIGH_US));
}

static void stroll(struct world *w, struct due *d)
{
	find_spot(w, CONTAINER_OF(d, struct ether_device, stroll)->person);
}

void ether_moved(struct world *w, struct person *p)
{
	if (p->ether == NULL)
		return;
	if (p->place != NET_NOWHERE) {
		find_spot(w, p);
		return;
	}
	queue_remove(&w->queue, &p->ether->stroll);
	check_channels(w, p);
}

/* ---- Strangers -------------------------------------------------------------- */

static void stranger_advertises(struct world *w, const struct frame *f)
{
	const struct place *at = &w->net.places[f->place];

	for (size_t i = 0; i < at->present_len && !w->stopped; i++) {
		struct event ev = { .kind = EV_ADVERT, .bytes = f->bytes, .from = f->source };
		struct person *p = at->present[i];

		if (p->ether != NULL && is_awake(p) && p->ether->scans)
			person_takes(w, p, &ev, f);
	}
}

void ether_stranger(struct world *w, const struct frame *f)
{
	struct person *p = who_has(w, &f->target);

	if (f->place == NET_NOWHERE)
		return;
	if (f->port == 0) {
		stranger_advertises(w, f);
		return;
	}
	if (p == NULL || !is_awake(p) || p->place != f->place || !listens_on(w, p, f->port))
		return;
	first_word(w, add_channel(w, NULL, 0, p, f->port), f);
}
