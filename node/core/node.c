/*
 * node.c: one event at a time, one turn at a time.
 *
 * Whatever an event changes is changed in memory and in the open transaction; what
 * leaves is put into the effects. The files that do the work are named in state.h.
 */
#include "node/core/node.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/core/finder.h"
#include "node/core/name.h"
#include "node/core/radio.h"
#include "node/core/request.h"
#include "node/core/session.h"
#include "node/core/state.h"
#include "store/meta.h"
#include "store/skipped.h"

/* The latest time seen is written at most this often, so that a small step back of a clock that is being set
 * right does not count as a wrong clock. */
enum { CLOCK_SAVE_S = 300 };

/* ---- Contacts -------------------------------------------------------------- */

struct contact *node_contact_by_id(struct node *n, uint32_t id)
{
	for (size_t i = 0; i < n->contacts_len; i++)
		if (n->contacts[i]->record.id == id)
			return n->contacts[i];
	return NULL;
}

int node_contact_find(const struct node *n, struct span name)
{
	char typed[CONTACT_NAME_MAX + 1];

	if (name_read(typed, name) != 0)
		return -1;
	for (size_t i = 0; i < n->contacts_len; i++)
		if (name_same(typed, n->contacts[i]->record.name))
			return (int)i;
	return -1;
}

struct contact *node_contact_by_name(struct node *n, struct span name)
{
	const int i = node_contact_find(n, name);

	return i < 0 ? NULL : n->contacts[i];
}

int node_contact_add(struct node *n, const struct contact_record *record)
{
	struct contact **contacts =
	        realloc(n->contacts, (n->contacts_len + 1) * sizeof(*n->contacts)); /* pointers, no secrets */
	struct contact *c = malloc(sizeof(*c));
	int r = ERR_NOMEM;

	if (contacts != NULL)
		n->contacts = contacts;
	if (contacts != NULL && c != NULL)
		r = contact_load(c, n->store, record);
	if (r == 0)
		n->contacts[n->contacts_len++] = c;
	else
		free(c);
	return r;
}

void node_contact_drop(struct node *n, struct contact *c)
{
	size_t i = 0;

	session_drop_all_of(n, c);
	while (n->contacts[i] != c)
		i++;
	n->contacts_len--;
	memmove(&n->contacts[i], &n->contacts[i + 1], (n->contacts_len - i) * sizeof(n->contacts[0]));
	contact_deinit(c);
	free(c);
}

uint32_t node_new_path(struct node *n)
{
	return ++n->next_path;
}

/* ---- Beginning and end ----------------------------------------------------- */

static int load_contact(void *arg, const struct contact_record *record)
{
	struct node *n = arg;

	return n->contacts_len == CONTACTS_MAX ? 0 : node_contact_add(n, record);
}

int node_new(struct node **out, struct store *store, struct random *rng, uint64_t clock)
{
	struct node *n = sodium_malloc(sizeof(*n));
	int r;

	if (n == NULL)
		return ERR_NOMEM;
	*n = (struct node){ .store = store, .rng = rng, .clock = clock };
	finder_init(&n->finder);
	radio_init(&n->radio);
	r = meta_get(store, META_LATEST_CLOCK, &n->latest_clock);
	if (r == 0)
		r = meta_get(store, META_RUNNING, &n->running_before_s);
	if (r == 0)
		r = contacts_each(store, load_contact, n);
	if (r == 0)
		*out = n;
	else
		node_free(n);
	return r;
}

void node_free(struct node *n)
{
	struct effects unheard = { 0 }; /* nobody is there any more to close paths for */

	if (n == NULL)
		return;
	n->fx = &unheard;
	meeting_deinit(&n->meeting);
	radio_deinit(&n->radio);
	finder_deinit(&n->finder);
	while (n->contacts_len > 0)
		node_contact_drop(n, n->contacts[n->contacts_len - 1]);
	effects_deinit(&unheard);
	free(n->contacts);
	sodium_free(n);
}

/* ---- The clock ------------------------------------------------------------- */

bool node_clock_is_wrong(const struct node *n)
{
	return n->clock < n->latest_clock;
}

uint64_t node_running_s(const struct node *n)
{
	return n->running_before_s + (n->now_us - n->began_us) / SECOND_US;
}

static int clock_save(struct node *n)
{
	int r;

	if (n->clock < n->latest_clock + CLOCK_SAVE_S)
		return 0;
	n->latest_clock = n->clock;
	r = meta_set(n->store, META_LATEST_CLOCK, n->latest_clock);
	if (r == 0)
		r = meta_set(n->store, META_RUNNING, node_running_s(n));
	return r == 0 ? skipped_rows_drop_old(n->store, node_running_s(n)) : r;
}

static void clock_notice(struct node *n)
{
	const bool wrong = node_clock_is_wrong(n);

	if (wrong && !n->clock_was_wrong)
		effect_notice(n->fx, NOTICE_CLOCK, 0, 0, SPAN_NONE);
	n->clock_was_wrong = wrong;
}

/* ---- Steps ----------------------------------------------------------------- */

/* Timers that are due. Every event brings the time with it, so each looks. */
static int timers(struct node *n)
{
	int r = finder_timer(n);

	if (r == 0)
		r = meeting_timer(n);
	if (r == 0)
		r = meet_timer(n);
	if (r == 0)
		r = session_timers(n);
	if (r == 0)
		radio_timer(n); /* last: it follows from who is linked now */
	return r;
}

static int datagram(struct node *n, uint32_t path, struct span bytes)
{
	bool taken;
	int r;

	if (meeting_owns(n, path))
		return meeting_datagram(n, bytes);
	r = meet_datagram(n, path, bytes, &taken);
	return r == 0 && !taken ? session_datagram(n, path, bytes) : r;
}

static int handle(struct node *n, const struct event *ev)
{
	switch (ev->kind) {
	case EV_TICK:
		return 0;
	case EV_NETWORK:
		finder_network(n, ev->locals, ev->locals_len, ev->power);
		return 0;
	case EV_RADIOS:
		radio_changed(n, ev->radios, ev->radios_len);
		return 0;
	case EV_CALL:
		return finder_call(n, ev->bytes, &ev->from, ev->ttl);
	case EV_ADVERT:
		return radio_advert(n, ev->bytes, &ev->from);
	case EV_CHANNEL:
		return radio_channel(n, ev->path, ev->port, &ev->from, ev->bytes);
	case EV_DATAGRAM:
		return datagram(n, ev->path, ev->bytes);
	case EV_PATH_FAILED:
		meeting_path_failed(n, ev->path);
		meet_path_failed(n, ev->path);
		session_path_failed(n, ev->path);
		return 0;
	case EV_PATH_REFUSED:
		session_path_refused(n, ev->path);
		return 0;
	case EV_ROOM:
		n->room_low = ev->room_low;
		return 0;
	case EV_REQUEST:
		return request_handle(n, ev->request);
	case EV_LOCK:
		for (size_t i = 0; i < n->contacts_len; i++)
			session_end_all_of(n, n->contacts[i]);
		radio_stop(n);
		return 0;
	}
	return 0;
}

int node_step(struct node *n, const struct event *ev, struct effects *fx)
{
	int r;

	n->now_us = ev->now_us;
	n->clock = ev->clock;
	n->fx = fx;
	if (n->began_us == 0)
		n->began_us = n->now_us;
	clock_notice(n);
	r = handle(n, ev);
	if (r == 0 && ev->kind != EV_LOCK) /* who leaves calls nobody back */
		r = timers(n);
	if (r == 0 && fx->failed)
		r = ERR_NOMEM;
	return r;
}

static int save_contact(struct node *n, struct contact *c)
{
	if (c->arrived_from >= 0) {
		effect_notice(n->fx, NOTICE_MESSAGE, c->record.id, c->arrived_from, SPAN_NONE);
		c->arrived_from = -1;
	}
	return contact_save(c, n->store);
}

int node_settle(struct node *n, uint64_t now_us, uint64_t clock, struct effects *fx)
{
	int r;

	n->now_us = now_us;
	n->clock = clock;
	n->fx = fx;
	r = session_settle(n);
	for (size_t i = 0; r == 0 && i < n->contacts_len; i++)
		r = save_contact(n, n->contacts[i]);
	if (r == 0)
		r = clock_save(n);
	if (r == 0 && fx->failed)
		r = ERR_NOMEM;
	return r;
}

uint64_t node_deadline_us(const struct node *n)
{
	uint64_t due = finder_deadline_us(n);

	due = MIN(due, meeting_deadline_us(n));
	due = MIN(due, meet_deadline_us(n));
	due = MIN(due, radio_deadline_us(n));
	return MIN(due, session_deadline_us(n));
}

/* ---- What faces show ------------------------------------------------------- */

size_t node_contact_count(const struct node *n)
{
	return n->contacts_len;
}

void node_contact_view(const struct node *n, size_t i, struct contact_view *out)
{
	const struct contact *c = n->contacts[i];

	assert(i < n->contacts_len);
	*out = (struct contact_view){
		.record = &c->record,
		.linked = session_reach(c) != REACH_NONE,
		.by_bluetooth = session_reach(c) == REACH_BLUETOOTH,
		.asks_again = c->asks_again,
		.held = c->held && !contact_may_send(c, n->now_us),
		.linked_since_us = c->up != NULL ? session_up_since_us(c->up) : 0,
		.waiting = c->waiting,
		.stored_before = c->conversation.stored_before,
		.next_position = c->next_position,
	};
}

bool node_is_looking(const struct node *n)
{
	return n->finder.look_until_us != 0;
}

/* ---- Replies --------------------------------------------------------------- */

#define X(name, word, text) { word, text },
static const struct {
	const char *word, *text;
} replies[] = { REPLY_LIST(X) };
#undef X

const char *reply_word(enum reply_code code)
{
	return replies[code].word;
}

const char *reply_text(enum reply_code code)
{
	return replies[code].text;
}
