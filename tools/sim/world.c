#include "tools/sim/world.h"

#include <sodium.h>
#include <stdarg.h>

#include "tools/sim/need.h"

struct world *world_new(uint64_t seed, size_t people_max)
{
	struct world *w = need(calloc(1, sizeof(*w)));

	if (sodium_init() < 0)
		abort();
	assert(people_max <= WORLD_PEOPLE_MAX);
	w->seed = seed;
	w->people = need(calloc(people_max + 1, sizeof(*w->people)));
	w->people_cap = people_max;
	w->dice = dice_new(seed, 0);
	w->commit_low_us = 100;
	w->commit_high_us = 2000;
	w->checks = true;
	random_seeded_init(&w->rng, seed * (2 * WORLD_PEOPLE_MAX) - 1);
	net_init(&w->net);
	return w;
}

void world_free(struct world *w)
{
	if (w == NULL)
		return;
	/* What flies is all that is still queued and owned by nobody else. */
	net_clear(w);
	ether_clear(w);
	for (size_t i = 0; i < w->people_len; i++)
		person_deinit(&w->people[i]);
	free(w->people);
	device_deinit(&w->blank);
	net_deinit(&w->net);
	queue_deinit(&w->queue);
	free(w);
}

struct person *world_add(struct world *w, const char *name)
{
	struct person *p = &w->people[w->people_len];

	assert(w->people_len < w->people_cap);
	person_init(w, p, name, (uint32_t)w->people_len++);
	return p;
}

struct person *world_find(struct world *w, const char *name)
{
	for (size_t i = 0; i < w->people_len; i++)
		if (strcmp(w->people[i].name, name) == 0)
			return &w->people[i];
	return NULL;
}

void world_run(struct world *w, uint64_t until_us)
{
	struct due *d;

	if (w->until_us != 0 && until_us >= w->until_us)
		until_us = w->until_us;
	while (!w->stopped && (d = queue_first(&w->queue)) != NULL && d->at_us <= until_us) {
		queue_remove(&w->queue, d);
		w->now_us = MAX(w->now_us, d->at_us);
		d->happen(w, d);
	}
	if (!w->stopped)
		w->now_us = MAX(w->now_us, until_us);
	w->stopped |= w->now_us == w->until_us;
}

void world_tell(struct world *w, const struct person *p, enum world_event what)
{
	if (w->hooks.happened != NULL)
		w->hooks.happened(w->hooks.arg, w, p, what);
}

void world_broken(struct world *w, const struct person *p, const char *rule, const char *format, ...)
{
	int len;
	va_list args;

	if (w->stopped)
		return;
	w->stopped = true;
	len = snprintf(w->broken, sizeof(w->broken), "%s: %s ", rule, p->name);
	va_start(args, format);
	vsnprintf(w->broken + len, sizeof(w->broken) - (size_t)len, format, args);
	va_end(args);
	world_log(w, p, "BROKEN %s", w->broken);
}
