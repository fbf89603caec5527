#include "tools/sim/liar.h"

#include "tools/sim/need.h"
#include "tools/sim/world.h"
#include "transport/call.h"

#define SECOND_US UINT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define DAY_US    (24 * 60 * MINUTE_US)

enum {
	TALES_MAX = 1 << 14, /* tales that wait to be told */
	SET_BITS = 16,       /* of what was heard and answered; what has no room is forgotten */
	KEPT_MAX = 64,       /* tales to join others with */
	HEAD_LEN = 16,       /* of a datagram: without it nothing opens */
	NONCE_AT = 12,
	NONCE_END = 49,      /* of a call: the first question's name */
	LIVE_MIN = 50,       /* longer than any call is live; clocks drift */
	REMEMBERED_S = 3600, /* PROTOCOL section 4: how long a call is remembered */
	FLOOD_FRAMES = 400,
	FLOOD_PAUSE_US = 2500,
};

/* Something heard, or made up, that is to be told; frees itself when it was. */
struct tale {
	struct due due;
	struct liar *liar;
	struct frame was; /* its bytes are ours */
	unsigned flood;   /* so many frames to come; 0: a tale */
	uint8_t bytes[];
};

struct kept {
	size_t len;
	uint8_t bytes[NET_FRAME_MAX];
};

struct liar {
	struct world *w;
	const struct scenario *s;
	struct dice dice;
	struct random_seeded rng; /* of the calls of nobody */
	bool stopped, clocks_differ;
	size_t waiting;
	struct kept *kept; /* owned: a ring of KEPT_MAX */
	size_t kept_n;
	uint64_t *heard;       /* owned: 1 << SET_BITS marks of datagrams that came to somebody */
	uint64_t *answered;    /* owned: the same of calls that were answered, */
	uint64_t *answered_us; /* and when */
};

static void tell(struct world *w, struct due *d);

struct liar *liar_new(struct world *w, const struct scenario *s)
{
	struct liar *l = need(calloc(1, sizeof(*l)));
	const size_t places = (size_t)1 << SET_BITS;

	*l = (struct liar){
		.w = w,
		.s = s,
		.dice = dice_new(w->seed, 3),
		.kept = need(calloc(KEPT_MAX, sizeof(*l->kept))),
		.heard = need(calloc(places, sizeof(*l->heard))),
		.answered = need(calloc(places, sizeof(*l->answered))),
		.answered_us = need(calloc(places, sizeof(*l->answered_us))),
	};
	random_seeded_init(&l->rng, w->seed ^ UINT64_C(0x6c696172));
	for (size_t i = 0; i < s->faults_len; i++)
		l->clocks_differ |= s->faults[i].kind == FAULT_JUMP || s->faults[i].kind == FAULT_CLOCK;
	return l;
}

static void drop_tale(struct due *d)
{
	free(CONTAINER_OF(d, struct tale, due));
}

void liar_free(struct liar *l)
{
	if (l == NULL)
		return;
	queue_drop(&l->w->queue, tell, drop_tale);
	free(l->kept);
	free(l->heard);
	free(l->answered);
	free(l->answered_us);
	free(l);
}

void liar_stop(struct liar *l)
{
	l->stopped = true;
}

/* ---- What may be answered --------------------------------------------------- */

static uint64_t mixed(uint64_t h, const void *bytes, size_t len)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len; i++)
		h = (h ^ b[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* What was said, whoever hears it: a call is known by its nonce. Over Bluetooth no proof binds an address
 * (PROTOCOL section 9). */
static uint64_t mark_of(const struct frame *f)
{
	const uint64_t none = UINT64_C(0xcbf29ce484222325);
	const uint64_t h = f->radio ? none : mixed(none, f->source.ip, sizeof(f->source.ip));

	if (f->radio)
		return mixed(h, f->bytes.p, f->bytes.len);
	return f->port == 0 && f->bytes.len >= NONCE_END
	               ? mixed(h, f->bytes.p + NONCE_AT, NONCE_END - NONCE_AT)
	               : mixed(h, f->bytes.p, f->bytes.len);
}

/* The same, and by which process of whom it is heard. */
static uint64_t mark(const struct person *p, const struct frame *f)
{
	uint64_t h = f->from == NULL ? f->said_mark : mark_of(f);

	h = mixed(h, &p->number, sizeof(p->number));
	h = mixed(h, &p->starts, sizeof(p->starts));
	h = mixed(h, &f->port, sizeof(f->port));
	return h == 0 ? 1 : h;
}

static uint64_t place_of(uint64_t mark)
{
	return mark >> (64 - SET_BITS);
}

/* An advertisement is one entry; the first word of a channel has noise beside it, as a call has. */
static bool is_honest_by_radio(const struct frame *was, const struct frame *now)
{
	if (was->port != now->port || was->bytes.len != now->bytes.len)
		return false;
	if (was->port == 0)
		return span_equal(was->bytes, now->bytes);
	return was->bytes.len >= HEAD_LEN && memcmp(was->bytes.p, now->bytes.p, HEAD_LEN) == 0 &&
	       memcmp(&was->target, &now->target, sizeof(was->target)) == 0;
}

/* It is what its own maker said, in the maker's name. What was changed behind the head may still be whole for
 * somebody: a call has entries for others too, and a flight ends in noise (PROTOCOL section 5). */
static bool is_honest(const struct frame *was, const struct frame *now)
{
	const size_t head = was->bytes.len == CARRIER_SMALL ? HEAD_LEN : was->bytes.len;
	const size_t from = was->port == 0 ? NONCE_AT : 0, to = was->port == 0 ? NONCE_END : head;

	if (was->radio || now->radio)
		return was->radio && now->radio && is_honest_by_radio(was, now);
	/* A direct call says nothing of ports: the next slot has another one. What went to where somebody was
	 * before, and is brought after them, is still said to them. */
	if ((was->port == 0) != (now->port == 0) ||
	    memcmp(was->source.ip, now->source.ip, sizeof(was->source.ip)) != 0 ||
	    was->bytes.len != now->bytes.len || was->bytes.len < to ||
	    (was->port != 0 && net_person(&was->target) != net_person(&now->target)))
		return false;
	return memcmp(was->bytes.p + from, now->bytes.p + from, to - from) == 0;
}

static bool may_answer_call(const struct liar *l, const struct person *p, const struct frame *f)
{
	const uint64_t m = mark(p, f), now_us = l->w->now_us;
	const bool once = l->answered[place_of(m)] == m;

	if (once && now_us - l->answered_us[place_of(m)] < (REMEMBERED_S - 60) * SECOND_US)
		return false;
	/* Who looks finds an old call too. */
	if (node_is_looking(p->node) || l->clocks_differ)
		return true;
	return !once && now_us - f->said_us < LIVE_MIN * MINUTE_US;
}

/* A direct call that came late, when a session has its path already: the node takes it for the session's, and
 * may still answer it when that has ended. */
static bool comes_too_late(const struct person *p, const struct frame *f)
{
	const struct tie *t = talk_with(p, f->from != NULL ? f->from : f->said_by);

	return !f->radio && !f->linked && t != NULL && t->linked;
}

bool liar_may_answer(struct liar *l, const struct person *p, const struct frame *f)
{
	uint64_t m;
	bool again;

	/* It is for a contact of its maker, who may have another address by now. */
	if (f->from == NULL && (!f->again || talk_with(p, f->said_by) == NULL))
		return false;
	if (f->port == 0)
		return f->from != NULL || may_answer_call(l, p, f);
	m = mark(p, f);
	again = l->heard[place_of(m)] == m;
	if (!comes_too_late(p, f) &&
	    (f->from != NULL || mark_of(f) == f->said_mark)) /* a damaged one may come to nothing */
		l->heard[place_of(m)] = m;
	return f->from != NULL || !again;
}

void liar_answered(struct liar *l, const struct person *p, const struct frame *f)
{
	const uint64_t m = mark(p, f);

	l->answered[place_of(m)] = m;
	l->answered_us[place_of(m)] = l->w->now_us;
}

/* ---- Hearing ---------------------------------------------------------------- */

static bool is_in(const struct group *g, int place)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->v[i] == (uint32_t)place)
			return true;
	return false;
}

static struct tale *tale_at(struct liar *l, uint64_t at_us, const struct frame *f)
{
	struct tale *t = need(calloc(1, sizeof(*t) + f->bytes.len));

	*t = (struct tale){ .due.happen = tell, .liar = l, .was = *f };
	if (f->bytes.len != 0)
		memcpy(t->bytes, f->bytes.p, f->bytes.len);
	t->was.bytes = span_from(t->bytes, f->bytes.len);
	queue_put(&l->w->queue, &t->due, at_us);
	l->waiting++;
	return t;
}

/* From a tenth of a millisecond to the end of the scenario, each order of size as often. */
static uint64_t later(struct liar *l)
{
	uint64_t most = 100;

	for (uint64_t n = dice_below(&l->dice, 32); n > 0 && most < l->s->lasts_us; n--)
		most *= 2;
	return l->w->now_us + dice_between(&l->dice, most / 2, most);
}

void liar_overhears(struct liar *l, const struct frame *f)
{
	struct kept *k = &l->kept[l->kept_n % KEPT_MAX];

	if (l->stopped || f->from == NULL || f->bytes.len > NET_FRAME_MAX)
		return;
	for (size_t i = 0; i < l->s->liars_len; i++) {
		if (!is_in(&l->s->liars[i].where, f->place))
			continue;
		if (f->bytes.len != 0)
			memcpy(k->bytes, f->bytes.p, f->bytes.len);
		k->len = f->bytes.len;
		l->kept_n++;
		if (l->waiting < TALES_MAX && dice_chance(&l->dice, l->s->liars[i].share)) {
			struct tale *t = tale_at(l, later(l), f);

			t->was.from = NULL;
			t->was.said_by = f->from;
			t->was.said_us = l->w->now_us;
			t->was.said_mark = mark_of(f);
		}
		return;
	}
}

/* ---- Telling ---------------------------------------------------------------- */

static struct person *somebody(struct liar *l, int place)
{
	const struct place *at = &l->w->net.places[place];

	return at->present_len == 0 ? NULL : at->present[dice_below(&l->dice, at->present_len)];
}

static void flip(struct liar *l, uint8_t *bytes, size_t len)
{
	const uint64_t bit = dice_below(&l->dice, MAX(len, (size_t)1) * 8);

	if (len != 0)
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

/* Over the path that somebody has open, in the name of its other side. */
static void over_another_path(struct liar *l, struct frame *f)
{
	struct person *p = somebody(l, f->place);
	const struct person_path *path;

	if (p == NULL || p->paths_len == 0)
		return;
	path = &p->paths[dice_below(&l->dice, p->paths_len)];
	f->radio = false;
	f->port = path->port;
	f->source = path->remote;
	f->target = path->local;
}

static struct address address_of(const struct person *p, bool radio)
{
	return radio ? ether_address(p) : p->address;
}

static struct address nobodys_address(const struct liar *l, const struct frame *f)
{
	return f->radio ? ether_nobodys_address()
	                : net_address(&l->w->net.places[f->place], f->place, WORLD_PEOPLE_MAX - 1, 0);
}

static void to_somebody(struct liar *l, struct frame *f)
{
	const struct person *p = somebody(l, f->place);

	if (p != NULL)
		f->target = address_of(p, f->radio);
}

static void from_somebody(struct liar *l, struct frame *f)
{
	const struct person *p = somebody(l, f->place);

	f->source =
	        p != NULL && dice_chance(&l->dice, 700000) ? address_of(p, f->radio) : nobodys_address(l, f);
}

/* To somebody's channel, on a PSM that is listened on. */
static void to_a_channel(struct liar *l, struct frame *f)
{
	const struct person *p = somebody(l, f->place);

	if (p == NULL || p->ether == NULL)
		return;
	f->radio = true;
	f->port = ether_some_psm(l->w, p, (unsigned)dice_below(&l->dice, 0x80));
	f->source = nobodys_address(l, f);
	f->target = ether_address(p);
}

static void reflect(struct frame *f)
{
	const struct address source = f->source;

	f->source = f->target;
	f->target = source;
}

/* The rest of something else behind its beginning, which goes so far that it is not the other, whole. */
static void join(struct liar *l, uint8_t *bytes, size_t *len)
{
	const struct kept *k = &l->kept[dice_below(&l->dice, MIN(l->kept_n, (size_t)KEPT_MAX))];
	const size_t most = MIN(*len, k->len), least = MIN(most, (size_t)NONCE_END);
	const size_t from = dice_between(&l->dice, least, most);

	memcpy(bytes + from, k->bytes + from, k->len - from);
	*len = k->len;
}

enum way {
	AS_IT_WAS,
	ELSEWHERE,
	TO_SOMEBODY,
	FROM_SOMEBODY,
	BACK,
	OTHER_PATH,
	OTHER_PATH_BACK,
	FLIPPED,
	CUT,
	LONGER,
	JOINED,
	TO_THE_GROUP,
	TO_A_CHANNEL,
	WAYS
};

static void change(struct liar *l, struct frame *f, enum way way, uint8_t *bytes, size_t *len)
{
	switch (way) {
	case ELSEWHERE:
		f->place = (int)dice_below(&l->dice, l->w->net.places_len);
		break;
	case TO_SOMEBODY:
		to_somebody(l, f);
		break;
	case FROM_SOMEBODY:
		from_somebody(l, f);
		break;
	case BACK:
		reflect(f);
		break;
	case OTHER_PATH:
		over_another_path(l, f);
		break;
	case OTHER_PATH_BACK:
		over_another_path(l, f);
		reflect(f);
		break;
	case FLIPPED:
		flip(l, bytes, *len);
		break;
	case CUT:
		*len = dice_below(&l->dice, *len + 1);
		break;
	case LONGER:
		*len = MIN(*len + dice_between(&l->dice, 1, 64), (size_t)NET_FRAME_MAX);
		break;
	case JOINED:
		join(l, bytes, len);
		break;
	case TO_THE_GROUP:
		f->port = 0;
		break;
	case TO_A_CHANNEL:
		to_a_channel(l, f);
		break;
	default:
		break;
	}
}

static void retell(struct liar *l, const struct tale *t)
{
	static const char *const names[WAYS] = { "as it was",
		                                 "elsewhere",
		                                 "to somebody",
		                                 "from somebody",
		                                 "back",
		                                 "over another path",
		                                 "over another path, back",
		                                 "flipped",
		                                 "cut",
		                                 "longer",
		                                 "joined",
		                                 "to the group",
		                                 "to a channel" };
	const enum way way = dice_chance(&l->dice, 300000) ? AS_IT_WAS : (enum way)dice_below(&l->dice, WAYS);
	uint8_t bytes[NET_FRAME_MAX] = { 0 };
	size_t len = t->was.bytes.len;
	struct frame f = t->was;

	if (len != 0)
		memcpy(bytes, t->bytes, len);
	change(l, &f, way, bytes, &len);
	f.bytes = span_from(bytes, len);
	f.again = is_honest(&t->was, &f);
	if (l->w->log != NULL)
		log_line(l->w->log, l->w->now_us, "(liar)", "says again, %s, what was said at %llu us",
		         names[way], (unsigned long long)f.said_us);
	net_send(l->w, &f);
}

/* ---- Floods ----------------------------------------------------------------- */

static void flood_frame(struct liar *l, int place)
{
	static const size_t sizes[] = { 256, 1232, 396, 1164, 0, 1, 255, 257, 1500, ADVERT_LEN };
	uint8_t bytes[NET_FRAME_MAX];
	struct frame f = { .place = place, .ttl = 255 };
	struct writer w = WRITER_ON(bytes);
	struct call call;

	for (size_t i = 0; i < sizeof(bytes); i += 8)
		store_u64(bytes + i, dice_draw(&l->dice));
	f.bytes = span_from(bytes, sizes[dice_below(&l->dice, COUNT_OF(sizes))]);
	from_somebody(l, &f);
	switch (dice_below(&l->dice, 5)) {
	case 0:
		break;
	case 2:
		f.radio = true;
		f.bytes.len = ADVERT_LEN;
		break;
	case 3:
		to_a_channel(l, &f);
		break;
	case 1:
		call_make(&call, dice_below(&l->dice, 2) == 0 ? CALL_SMALL : CALL_LARGE, NULL, 0,
		          &l->rng.base);
		call_write(&w, &call);
		f.bytes = writer_done(&w);
		break;
	default:
		over_another_path(l, &f);
		break;
	}
	net_send(l->w, &f);
}

static void tell(struct world *w, struct due *d)
{
	struct tale *t = CONTAINER_OF(d, struct tale, due);
	struct liar *l = t->liar;

	l->waiting--;
	if (!l->stopped && t->flood == 0)
		retell(l, t);
	if (!l->stopped && t->flood != 0) {
		flood_frame(l, t->was.place);
		if (t->flood > 1)
			tale_at(l, w->now_us + dice_below(&l->dice, 2 * FLOOD_PAUSE_US), &t->was)->flood =
			        t->flood - 1;
	}
	free(t);
}

void liar_midnight(struct liar *l)
{
	for (size_t i = 0; i < l->s->liars_len && !l->stopped; i++) {
		const struct scenario_liar *v = &l->s->liars[i];

		for (size_t k = 0; k < v->where.n; k++)
			for (uint64_t n = v->rate_ppm / DICE_MILLION +
			                  dice_chance(&l->dice, v->rate_ppm % DICE_MILLION);
			     n > 0; n--)
				tale_at(l, l->w->now_us + dice_below(&l->dice, DAY_US),
				        &(struct frame){ .place = (int)v->where.v[k] })
				        ->flood = FLOOD_FRAMES;
	}
}
