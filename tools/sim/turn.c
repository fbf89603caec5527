#include "tools/sim/turn.h"

#include <stdio.h>

#include "tools/sim/need.h"
#include "tools/sim/world.h"

enum { TICKS_AT_ONCE_MAX = 4096, EFFECTS_KEPT = 16384 };

/* ---- Beginning and end ------------------------------------------------------ */

static int is_same(void *arg, const struct contact_record *c)
{
	struct contact_record *wanted = arg;

	if (memcmp(c->peer_s.b, wanted->peer_s.b, sizeof(c->peer_s.b)) == 0)
		wanted->id = c->id;
	return wanted->id != 0;
}

/* They may be in already, when the power went after a commit and before anybody heard of it. */
static int add_row(struct store *s, struct tie_rows *rows)
{
	int r;

	rows->contact.id = 0;
	r = contacts_each(s, is_same, &rows->contact);
	if (r != 0)
		return r < 0 ? r : 0;
	r = contacts_add(s, &rows->contact);
	rows->conversation.contact = rows->contact.id;
	return r == 0 ? conversation_save(s, &rows->conversation) : r;
}

static int add_rows(struct person *p)
{
	int r = 0;

	for (size_t i = 0; i < p->ties_len && r == 0; i++)
		if (p->ties[i]->rows != NULL)
			r = add_row(p->device.store, p->ties[i]->rows);
	return r;
}

static void rows_are_in(struct person *p)
{
	for (size_t i = 0; i < p->ties_len; i++) {
		struct tie *t = p->ties[i];

		if (t->rows == NULL)
			continue;
		t->contact = t->rows->contact.id;
		free(t->rows);
		t->rows = NULL;
	}
}

int turn_start(struct world *w, struct person *p)
{
	int r = store_begin(p->device.store);

	p->starts++;
	if (r == 0)
		r = add_rows(p);
	if (r == 0)
		r = node_new(&p->node, p->device.store, &p->rng.base, person_clock(w, p));
	if (r == 0)
		r = store_commit(p->device.store);
	else
		store_rollback(p->device.store);
	if (r == 0)
		rows_are_in(p);
	else
		turn_drop(w, p);
	return r;
}

static void close_paths(struct world *w, struct person *p)
{
	if (p->paths_len != 0)
		w->counts.radio_us += w->now_us - p->radio_since_us;
	p->paths_len = 0;
}

void turn_drop(struct world *w, struct person *p)
{
	queue_remove(&w->queue, &p->turn_end);
	queue_remove(&w->queue, &p->tick);
	node_free(p->node);
	p->node = NULL;
	p->in_turn = false;
	p->asking = NULL;
	effects_clear(&p->fx);
	close_paths(w, p);
	ether_stop(w, p);
	for (size_t i = 0; i < p->ties_len; i++)
		p->ties[i]->linked = false;
}

/* PROTOCOL section 8, crash rule 4: only the disk says what the state is. */
static void turn_failed(struct world *w, struct person *p, int r)
{
	w->counts.turns_failed++;
	world_log(w, p, "the notebook fails: %s", err_str(r));
	if (!w->faults)
		world_broken(w, p, "I11", "a turn failed on a good disk: %s", err_str(r));
	person_fell_over(w, p);
}

/* ---- Effects ---------------------------------------------------------------- */

static struct person_path *path_of(struct person *p, uint32_t id)
{
	for (size_t i = 0; i < p->paths_len; i++)
		if (p->paths[i].id == id)
			return &p->paths[i];
	return NULL;
}

static void open_path(struct world *w, struct person *p, const struct effect *e)
{
	if (address_is_bluetooth(&e->remote)) {
		ether_open(w, p, e);
		return;
	}
	if (p->paths_len == PERSON_PATHS_MAX || path_of(p, e->path) != NULL) {
		world_broken(w, p, "I9", "opens path %u: %zu are open", (unsigned)e->path, p->paths_len);
		return;
	}
	if (p->paths_len == p->paths_cap) {
		p->paths_cap = MAX(p->paths_cap * 2, (size_t)4);
		p->paths = need(realloc(p->paths, p->paths_cap * sizeof(*p->paths)));
	}
	if (p->paths_len == 0)
		p->radio_since_us = w->now_us;
	p->paths[p->paths_len++] = (struct person_path){
		.id = e->path, .port = e->port, .local = e->local, .remote = e->remote
	};
}

static void close_path(struct world *w, struct person *p, uint32_t id)
{
	struct person_path *path = path_of(p, id);

	if (path == NULL && ether_close(w, p, id))
		return;
	if (path == NULL) {
		world_broken(w, p, "I9", "closes path %u, which is not open", (unsigned)id);
		return;
	}
	if (p->paths_len == 1)
		close_paths(w, p);
	else
		*path = p->paths[--p->paths_len];
}

static bool is_linked(const struct world *w, const struct person *p, const struct address *remote)
{
	const uint32_t other = net_person(remote);
	const struct tie *t = other < w->people_len ? talk_with(p, &w->people[other]) : NULL;

	return t != NULL && t->linked;
}

static void send_over(struct world *w, struct person *p, const struct effect *e, struct span bytes)
{
	struct person_path *path = path_of(p, e->path);

	if (bytes.len != CARRIER_SMALL && bytes.len != CARRIER_LARGE) {
		world_broken(w, p, "I9", "sends a datagram of %zu bytes", bytes.len);
		return;
	}
	p->sent_datagrams++;
	p->sent_bytes += bytes.len;
	if (path == NULL) {
		ether_send(w, p, e->path, bytes);
		return;
	}
	path->sent_us = w->now_us;
	net_send(w, &(struct frame){ .place = p->place,
	                             .from = p,
	                             .source = path->local,
	                             .port = path->port,
	                             .target = path->remote,
	                             .bytes = bytes,
	                             .ttl = 255,
	                             .linked = is_linked(w, p, &path->remote) });
}

static void send_call(struct world *w, struct person *p, const struct effect *e, struct span bytes)
{
	p->sent_calls++;
	p->sent_bytes += bytes.len;
	net_send(w, &(struct frame){
	                    .place = p->place, .from = p, .source = e->local, .bytes = bytes, .ttl = 255 });
}

static void replied(struct world *w, struct person *p, const struct effect *e, struct span text)
{
	p->reply = e->code;
	p->reply_number = e->number;
	snprintf(p->reply_text, sizeof(p->reply_text), "%.*s", (int)text.len, (const char *)text.p);
	if (p->asking == NULL)
		return;
	if (e->code == REPLY_OK)
		talk_wrote(w, p->asking, e->number);
	else
		world_log(w, p, "cannot write to %s: %s", p->asking->other->name, reply_word(e->code));
	p->asking = NULL;
}

static void linked(struct world *w, struct person *p, struct tie *t, bool on)
{
	t->linked = on;
	w->counts.links += on;
	world_log(w, p, on ? "linked with %s" : "no longer linked with %s", t->other->name);
}

static void noticed(struct world *w, struct person *p, const struct effect *e, struct span text)
{
	struct tie *t = talk_find(p, e->contact);

	p->notices[e->notice]++;
	if (text.len != 0)
		snprintf(p->notice_text, sizeof(p->notice_text), "%.*s", (int)text.len, (const char *)text.p);
	if (t == NULL)
		return;
	switch (e->notice) {
	case NOTICE_MESSAGE:
		talk_look(w, t);
		break;
	case NOTICE_STORED:
		talk_told(w, t, e->number);
		break;
	case NOTICE_LINKED:
	case NOTICE_UNLINKED:
		linked(w, p, t, e->notice == NOTICE_LINKED);
		break;
	case NOTICE_ASKS_AGAIN:
		world_log(w, p, "hears that %s asks to start again", t->other->name);
		t->asks_again = true;
		break;
	default:
		break;
	}
}

static void release(struct world *w, struct person *p, const struct effect *e)
{
	const struct span bytes = effect_bytes(&p->fx, e);

	if (w->hooks.effect != NULL)
		w->hooks.effect(w->hooks.arg, w, p, e, bytes);
	switch (e->kind) {
	case FX_CALL:
		send_call(w, p, e, bytes);
		break;
	case FX_OPEN:
		open_path(w, p, e);
		break;
	case FX_SEND:
		send_over(w, p, e, bytes);
		break;
	case FX_CLOSE:
		close_path(w, p, e->path);
		break;
	case FX_REPLY:
		replied(w, p, e, bytes);
		break;
	case FX_NOTICE:
		noticed(w, p, e, bytes);
		break;
	case FX_ADVERTISE:
		ether_advertise(w, p, bytes);
		break;
	case FX_SCAN:
		ether_scan(w, p, e->number != 0);
		break;
	}
}

/* ---- Turns ------------------------------------------------------------------ */

void turn_arm(struct world *w, struct person *p)
{
	const uint64_t due = node_deadline_us(p->node);

	if (due == UINT64_MAX || p->asleep_until_us != 0)
		queue_remove(&w->queue, &p->tick);
	else /* a node that is due for ever must not stop the clock */
		queue_put(&w->queue, &p->tick, MAX(person_world_us(p, due), w->now_us + 1));
}

void person_end_turn(struct world *w, struct person *p)
{
	int r;

	if (!p->in_turn)
		return;
	p->in_turn = false;
	queue_remove(&w->queue, &p->turn_end);
	w->counts.turns++;
	r = node_settle(p->node, person_local_us(w, p), person_clock(w, p), &p->fx);
	if (r == 0)
		r = store_commit(p->device.store);
	else
		store_rollback(p->device.store);
	if (r != 0) {
		turn_failed(w, p, r);
		return;
	}
	for (size_t i = 0; i < p->fx.n && !w->stopped; i++)
		release(w, p, &p->fx.v[i]);
	effects_clear(&p->fx);
	if (p->fx.bytes_cap > EFFECTS_KEPT) /* thousands of others need it as well */
		effects_deinit(&p->fx);
	turn_arm(w, p);
}

void person_event(struct world *w, struct person *p, struct event *ev)
{
	int r = 0;

	w->counts.events++;
	ev->now_us = person_local_us(w, p);
	ev->clock = person_clock(w, p);
	if (!p->in_turn)
		r = store_begin(p->device.store);
	if (r == 0)
		r = node_step(p->node, ev, &p->fx);
	if (r != 0) {
		store_rollback(p->device.store);
		turn_failed(w, p, r);
		return;
	}
	if (p->in_turn)
		return;
	p->in_turn = true;
	if (w->commit_high_us == 0)
		person_end_turn(w, p);
	else
		queue_put(&w->queue, &p->turn_end,
		          w->now_us + dice_between(&w->dice, w->commit_low_us, w->commit_high_us));
}

void turn_end_is_due(struct world *w, struct due *d)
{
	person_end_turn(w, CONTAINER_OF(d, struct person, turn_end));
}

static void tick(struct world *w, struct person *p)
{
	person_event(w, p, &(struct event){ .kind = EV_TICK });
}

void turn_tick_is_due(struct world *w, struct due *d)
{
	tick(w, CONTAINER_OF(d, struct person, tick));
}

enum reply_code person_ask(struct world *w, struct person *p, const struct request *q)
{
	struct event ev = { .kind = EV_REQUEST, .request = q };

	person_end_turn(w, p);
	p->reply = REPLY_LIMIT;
	if (p->node != NULL)
		person_event(w, p, &ev);
	person_end_turn(w, p);
	return p->reply;
}

void person_write(struct world *w, struct tie *t, size_t len)
{
	struct person *p = t->me;
	char *text = need(malloc(len));
	const struct request q = { .kind = REQ_SEND,
		                   .name = span_str(t->other->name),
		                   .text = span_from(text, len) };

	if (p->asking != NULL) /* one message a turn: its reply tells whose it is */
		person_end_turn(w, p);
	talk_text(text, t, t->sent_len, len);
	t->asked_len = (uint32_t)len;
	if (p->node != NULL) { /* or it fell over meanwhile */
		p->asking = t;
		person_event(w, p, &(struct event){ .kind = EV_REQUEST, .request = &q });
	}
	free(text);
}

/* ---- From the air ----------------------------------------------------------- */

/* What is due anyway is done before, so that whatever leaves afterwards is an answer. */
static void settle_down(struct world *w, struct person *p)
{
	person_end_turn(w, p);
	for (unsigned i = 0; i < TICKS_AT_ONCE_MAX && p->node != NULL && !w->stopped &&
	                     node_deadline_us(p->node) <= person_local_us(w, p);
	     i++) {
		tick(w, p);
		person_end_turn(w, p);
	}
}

static uint64_t said(const struct person *p)
{
	return p->sent_calls + p->sent_datagrams + p->sent_adverts + p->opened;
}

/* PROTOCOL section 4: whatever no contact says is never answered. */
static void hears_stranger(struct world *w, struct person *p, struct event *ev)
{
	uint64_t before;

	settle_down(w, p);
	if (p->node == NULL || w->stopped)
		return;
	before = said(p);
	w->counts.strangers++;
	person_event(w, p, ev);
	person_end_turn(w, p);
	if (said(p) != before)
		world_broken(w, p, "I5", "answers a stranger's %s of %zu bytes",
		             ev->kind == EV_CALL      ? "call"
		             : ev->kind == EV_ADVERT  ? "advertisement"
		             : ev->kind == EV_CHANNEL ? "channel"
		                                      : "datagram",
		             ev->bytes.len);
}

/* Whether a call was answered is to be known. */
static void hears_call(struct world *w, struct person *p, struct event *ev, const struct frame *f)
{
	uint64_t before;

	settle_down(w, p);
	if (p->node == NULL || w->stopped)
		return;
	before = said(p);
	person_event(w, p, ev);
	person_end_turn(w, p);
	if (said(p) != before)
		w->hooks.answered(w->hooks.arg, w, p, f);
}

static bool let_in(struct world *w, struct person *p, struct person_path *path)
{
	static const uint64_t once_us = 30000000, twice_us = 120000000; /* as measured: plan of tests, 2.4 */
	const uint64_t age = w->now_us - path->sent_us;

	if (p->firewall == NET_OPEN)
		return true;
	return path->sent_us != 0 && age <= (path->heard_us != 0 ? twice_us : once_us);
}

static struct person_path *path_for(struct person *p, const struct frame *f)
{
	for (size_t i = 0; i < p->paths_len; i++) {
		struct person_path *path = &p->paths[i];

		if (path->port == f->port && memcmp(path->local.ip, f->target.ip, 16) == 0 &&
		    memcmp(path->remote.ip, f->source.ip, 16) == 0)
			return path;
	}
	return NULL;
}

void person_takes(struct world *w, struct person *p, struct event *ev, const struct frame *f)
{
	if (w->hooks.may_answer != NULL ? !w->hooks.may_answer(w->hooks.arg, w, p, f) : f->from == NULL)
		hears_stranger(w, p, ev);
	else if (w->hooks.answered != NULL && f->port == 0)
		hears_call(w, p, ev, f);
	else
		person_event(w, p, ev);
}

bool person_hears(struct world *w, struct person *p, const struct frame *f)
{
	struct event ev = { .kind = EV_CALL, .bytes = f->bytes, .from = f->source, .ttl = f->ttl };

	if (p->node == NULL || !p->wifi || !p->online || p->asleep_until_us != 0)
		return false;
	if (f->port == 0) {
		if (p->firewall == NET_CLOSED)
			return false;
	} else {
		struct person_path *path = path_for(p, f);

		if (path == NULL || !let_in(w, p, path))
			return false;
		path->heard_us = w->now_us;
		ev.kind = f->refused ? EV_PATH_REFUSED : EV_DATAGRAM;
		ev.path = path->id;
	}
	person_takes(w, p, &ev, f);
	return true;
}
