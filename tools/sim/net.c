#include "tools/sim/net.h"

#include <stdio.h>

#include "tools/sim/need.h"
#include "tools/sim/world.h"

/* A frame on its way. */
struct flight {
	struct due due;
	struct frame frame;
	uint8_t bytes[];
};

void net_init(struct net *n)
{
	*n = (struct net){ .delay_low_us = 200, .delay_high_us = 2000 };
}

void net_deinit(struct net *n)
{
	for (size_t i = 0; i < n->places_len; i++)
		free(n->places[i].present);
	free(n->places);
	free(n->walls);
}

/* ---- Places ----------------------------------------------------------------- */

int net_add_place(struct net *n, const char *name, enum net_kind kind)
{
	struct place *p;

	n->places = need(realloc(n->places, (n->places_len + 1) * sizeof(*n->places)));
	p = &n->places[n->places_len];
	*p = (struct place){ .kind = kind };
	snprintf(p->name, sizeof(p->name), "%s", name);
	return (int)n->places_len++;
}

int net_find_place(const struct net *n, const char *name)
{
	for (size_t i = 0; i < n->places_len; i++)
		if (strcmp(n->places[i].name, name) == 0)
			return (int)i;
	return NET_NOWHERE;
}

void net_enter(struct world *w, struct person *p, int place)
{
	if (p->place != NET_NOWHERE) {
		struct place *at = &w->net.places[p->place];
		size_t i = 0;

		while (at->present[i] != p)
			i++;
		at->present_len--;
		memmove(&at->present[i], &at->present[i + 1], (at->present_len - i) * sizeof(at->present[0]));
	}
	p->place = place;
	if (place != NET_NOWHERE) {
		struct place *at = &w->net.places[place];

		if (at->present_len == at->present_cap) {
			at->present_cap = MAX(at->present_cap * 2, (size_t)8);
			at->present = need(realloc(at->present, at->present_cap * sizeof(at->present[0])));
		}
		at->present[at->present_len++] = p;
	}
}

/* 10.x.y.z or fd00::x.y.z: ten bits of the lease, fourteen of the person. Another place, another lease. */
struct address net_address(const struct place *at, int place, uint32_t person, unsigned lease)
{
	const uint32_t host = ((((uint32_t)place * 7 + lease) & 0x3ff) << 14) | person;
	struct address a = { { 0 }, 1 };

	if (at->ipv6)
		a.ip[0] = 0xfd;
	else
		a.ip[10] = a.ip[11] = 0xff;
	a.ip[12] = 10;
	a.ip[13] = (uint8_t)(host >> 16);
	a.ip[14] = (uint8_t)(host >> 8);
	a.ip[15] = (uint8_t)host;
	return a;
}

uint32_t net_person(const struct address *a)
{
	return (uint32_t)(a->ip[14] & 0x3f) << 8 | a->ip[15];
}

static struct person *who_has(struct world *w, int place, const struct address *a)
{
	const uint32_t person = net_person(a);
	struct person *p = person < w->people_len ? &w->people[person] : NULL;

	return p != NULL && p->place == place && memcmp(p->address.ip, a->ip, sizeof(a->ip)) == 0 ? p : NULL;
}

/* ---- Between two ------------------------------------------------------------ */

void net_wall(struct world *w, struct person *from, struct person *to, uint64_t until_us)
{
	struct net *n = &w->net;

	for (size_t i = 0; i < n->walls_len; i++)
		if (n->walls[i].until_us <= w->now_us)
			n->walls[i--] = n->walls[--n->walls_len];
	if (n->walls_len == n->walls_cap) {
		n->walls_cap = MAX(n->walls_cap * 2, (size_t)8);
		n->walls = need(realloc(n->walls, n->walls_cap * sizeof(*n->walls)));
	}
	n->walls[n->walls_len++] = (struct net_wall){ from, to, until_us };
}

static bool side(const struct place *at, const struct person *p)
{
	struct dice d = { at->split + p->number };

	return dice_draw(&d) & 1;
}

static bool is_walled(const struct world *w, const struct frame *f, const struct person *to)
{
	const struct net *n = &w->net;
	const struct place *at = &n->places[f->place];

	if (f->from == NULL)
		return false;
	if (at->split != 0 && side(at, f->from) != side(at, to))
		return true;
	for (size_t i = 0; i < n->walls_len; i++)
		if (n->walls[i].from == f->from && (n->walls[i].to == to || n->walls[i].to == NULL) &&
		    n->walls[i].until_us > w->now_us)
			return true;
	return false;
}

/* ---- Flights ---------------------------------------------------------------- */

static void land(struct world *w, struct due *d);

static void fly(struct world *w, const struct frame *f, size_t len)
{
	const struct net_faults *faults = &w->net.faults;
	struct flight *g = need(malloc(sizeof(*g) + len));
	uint64_t at = w->now_us + dice_between(&w->dice, w->net.delay_low_us, w->net.delay_high_us);

	if (dice_chance(&w->dice, faults->late))
		at += dice_below(&w->dice, faults->late_us + 1);
	*g = (struct flight){ .due.happen = land, .frame = *f };
	memset(g->bytes, 0, len);
	if (f->bytes.len != 0)
		memcpy(g->bytes, f->bytes.p, MIN(f->bytes.len, len));
	g->frame.bytes = span_from(g->bytes, len);
	queue_put(&w->queue, &g->due, at);
}

static uint64_t mark_of(struct span bytes)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < bytes.len; i++)
		h = (h ^ bytes.p[i]) * UINT64_C(0x100000001b3);
	return h;
}

void net_note(struct world *w, const struct frame *f)
{
	w->counts.frames++;
	w->counts.frames_bytes += f->bytes.len;
	w->counts.calls += f->port == 0;
	w->counts.by_radio += f->radio;
	if (w->log != NULL)
		log_line(w->log, w->now_us, f->from != NULL ? f->from->name : "(stranger)",
		         "%s %zu bytes%s, %016llx",
		         f->refused     ? "refuses"
		         : f->port == 0 ? "calls,"
		                        : "sends",
		         f->bytes.len, f->radio ? " by Bluetooth" : "",
		         (unsigned long long)mark_of(f->bytes));
	if (w->hooks.frame != NULL && !f->refused)
		w->hooks.frame(w->hooks.arg, w, f);
}

void net_send(struct world *w, const struct frame *f)
{
	const struct net_faults *faults = &w->net.faults;

	net_note(w, f);
	if (f->radio) {
		ether_stranger(w, f);
		return;
	}
	if (f->place == NET_NOWHERE || w->net.places[f->place].kind == NET_ISOLATED ||
	    (f->from != NULL && !(f->from->online && f->from->wifi)))
		return;
	if (f->port == 0) {
		if (w->net.places[f->place].kind == NET_LAN)
			fly(w, f, f->bytes.len);
		return;
	}
	do {
		size_t len = f->bytes.len;

		if (dice_chance(&w->dice, faults->lost)) {
			w->counts.frames_lost++;
			continue;
		}
		if (dice_chance(&w->dice, faults->cut))
			len = dice_below(&w->dice, len + 1);
		if (!f->refused && dice_chance(&w->dice, faults->longer))
			len = MIN(len + dice_between(&w->dice, 1, 64), (size_t)NET_FRAME_MAX);
		fly(w, f, len);
	} while (dice_chance(&w->dice, faults->twice));
}

/* Nobody listens there, and the system says so, unless a firewall is in the way. */
static void refuse(struct world *w, struct person *by, const struct frame *f)
{
	const struct frame answer = {
		.place = f->place,
		.from = by,
		.source = f->target,
		.port = f->port,
		.target = f->source,
		.refused = true,
	};

	if (by->online && by->firewall == NET_OPEN && by->asleep_until_us == 0 && f->from != NULL)
		net_send(w, &answer);
}

static void spoil(struct world *w, struct flight *g)
{
	size_t bit;

	if (g->frame.bytes.len == 0 || !dice_chance(&w->dice, w->net.faults.corrupt))
		return;
	bit = dice_below(&w->dice, g->frame.bytes.len * 8);
	g->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

static void land_on_everybody(struct world *w, struct flight *g)
{
	const struct place *at = &w->net.places[g->frame.place];

	spoil(w, g);
	for (size_t i = 0; i < at->present_len && !w->stopped; i++) {
		struct person *p = at->present[i];

		if (p == g->frame.from || p->node == NULL || is_walled(w, &g->frame, p) ||
		    dice_chance(&w->dice, w->net.faults.lost + w->net.faults.calls_lost))
			continue;
		do
			person_hears(w, p, &g->frame);
		while (dice_chance(&w->dice, w->net.faults.twice));
	}
}

static void land(struct world *w, struct due *d)
{
	struct flight *g = CONTAINER_OF(d, struct flight, due);
	struct person *p;

	if (g->frame.port == 0) {
		land_on_everybody(w, g);
		free(g);
		return;
	}
	p = who_has(w, g->frame.place, &g->frame.target);
	if (p != NULL && !is_walled(w, &g->frame, p)) {
		spoil(w, g);
		if (!person_hears(w, p, &g->frame) && !g->frame.refused)
			refuse(w, p, &g->frame);
	}
	free(g);
}

static void drop_flight(struct due *d)
{
	free(CONTAINER_OF(d, struct flight, due));
}

void net_clear(struct world *w)
{
	queue_drop(&w->queue, land, drop_flight);
}
