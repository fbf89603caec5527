#include "tools/sim/story.h"

#include "tools/sim/need.h"

/* Room for one more at the end. */
static void *more(void *array, size_t *len, size_t *cap, size_t size)
{
	if (*len == *cap) {
		*cap = MAX(*cap * 2, (size_t)8);
		array = need(realloc(array, *cap * size));
	}
	++*len;
	return array;
}

void story_init(struct story *s, size_t people)
{
	*s = (struct story){ .lives_len = people, .lives = need(calloc(people + 1, sizeof(*s->lives))) };
	for (size_t i = 0; i < people; i++) {
		struct story_life *l = &s->lives[i];

		l->stays = more(NULL, &l->stays_len, &l->stays_cap, sizeof(*l->stays));
		l->stays[0] = (struct story_stay){ .place = NET_NOWHERE };
	}
}

void story_deinit(struct story *s)
{
	for (size_t i = 0; i < s->lives_len; i++)
		free(s->lives[i].stays);
	free(s->lives);
	free(s->marks);
	free(s->written_us);
	free(s->arrivals);
	*s = (struct story){ 0 };
}

static void stay(struct story_life *l, uint64_t now_us, const struct person *p, bool open)
{
	const struct story_stay new = { .from_us = now_us, .place = (int16_t)p->place, .open = open };
	struct story_stay *last = &l->stays[l->stays_len - 1];

	if (last->place == new.place && last->open == new.open)
		return;
	if (last->from_us == now_us) {
		*last = new;
		return;
	}
	l->stays = more(l->stays, &l->stays_len, &l->stays_cap, sizeof(*l->stays));
	l->stays[l->stays_len - 1] = new;
}

static void mark(struct story *s, uint64_t now_us, const struct person *p, enum world_event what)
{
	/* A clock that is wrong from the beginning breaks into nothing, nor does one that is put right. */
	if (what == WORLD_CLOCK && (now_us == 0 || p->clock.offset_s == 0))
		return;
	s->marks = more(s->marks, &s->marks_len, &s->marks_cap, sizeof(*s->marks));
	s->marks[s->marks_len - 1] = (struct story_mark){ now_us, p->number, what };
	s->lives[p->number].breaks++;
}

void story_happened(struct story *s, uint64_t now_us, const struct person *p, enum world_event what)
{
	struct story_life *l = &s->lives[p->number];
	const bool open = l->stays[l->stays_len - 1].open;

	switch (what) {
	case WORLD_WENT:
		stay(l, now_us, p, open);
		break;
	case WORLD_OPENED:
		stay(l, now_us, p, true);
		break;
	case WORLD_LOCKED:
		stay(l, now_us, p, false);
		l->locks++;
		break;
	case WORLD_KILLED:
	case WORLD_FELL_OVER:
	case WORLD_POWER_CUT:
	case WORLD_PUT_BACK:
		stay(l, now_us, p, false);
		mark(s, now_us, p, what);
		break;
	case WORLD_SLEPT:
	case WORLD_OFFLINE:
	case WORLD_CLOCK:
		mark(s, now_us, p, what);
		break;
	case WORLD_WROTE:
		s->written_us = more(s->written_us, &s->written_len, &s->written_cap, sizeof(*s->written_us));
		s->written_us[s->written_len - 1] = now_us;
		l->written++;
		break;
	case WORLD_WOKE:
	case WORLD_ONLINE:
	case WORLD_EVENTS:
		break;
	}
}

int story_place(const struct story_life *l, uint64_t at_us)
{
	size_t low = 0, high = l->stays_len;

	while (high - low > 1) {
		const size_t middle = (low + high) / 2;

		if (l->stays[middle].from_us <= at_us)
			low = middle;
		else
			high = middle;
	}
	return l->stays[low].place;
}

void story_arrived(struct story *s, uint64_t now_us, const struct tie *from, uint64_t delay_us)
{
	struct story_life *reader = &s->lives[from->other->number];

	s->arrivals = more(s->arrivals, &s->arrivals_len, &s->arrivals_cap, sizeof(*s->arrivals));
	s->arrivals[s->arrivals_len - 1] = (struct story_arrival){
		.at_us = now_us,
		.delay_us = delay_us,
		.from = (int16_t)story_place(&s->lives[from->me->number], now_us - delay_us),
		.to = (int16_t)from->other->place,
	};
	reader->arrived++;
}
