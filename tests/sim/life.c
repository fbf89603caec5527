#include "tests/sim/life.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/crypto/kdf.h"
#include "node/crypto/ratchet.h"
#include "node/crypto/secrets.h"
#include "store/conversations.h"
#include "store/messages.h"

enum { CLOCK0 = 1800000000, FLIGHT_US = 500, PEER = 1, GHOST_TEXTS = 20 };

struct life_flight {
	struct life_flight *next;
	uint64_t at_us;
	unsigned to;
	struct address source, target;
	uint16_t port; /* 0: to the group */
	size_t len;
	uint8_t bytes[];
};

static const struct sym_key kek = { { 'l', 'i', 'f', 'e' } };

/* --- The air --- */

static void fly(struct life *l, unsigned from, const struct address *source, const struct address *target,
                uint16_t port, struct span bytes)
{
	struct life_flight *f = malloc(sizeof(*f) + bytes.len);

	if (f == NULL)
		abort();
	*f = (struct life_flight){ .at_us = l->now_us + FLIGHT_US, .to = 1 - from, .source = *source };
	if (target != NULL)
		f->target = *target;
	f->port = port;
	f->len = bytes.len;
	memcpy(f->bytes, bytes.p, bytes.len);
	*l->flights_end = f;
	l->flights_end = &f->next;
}

static struct life_path *path_of(struct life_person *p, uint32_t id)
{
	for (size_t i = 0; i < p->paths_len; i++)
		if (p->paths[i].id == id)
			return &p->paths[i];
	return NULL;
}

/* --- Turns --- */

static void note(struct life_person *p, const struct effect *e)
{
	if (e->kind == FX_REPLY) {
		p->reply = e->code;
		p->replied = true;
	} else if (e->notice == NOTICE_ASKS_AGAIN) {
		p->asked_again = true;
	} else if (e->notice == NOTICE_STORED && e->contact == PEER) {
		p->ticked = MAX(p->ticked, e->number);
	} else if (e->notice == NOTICE_MESSAGE && e->contact == PEER) {
		p->shown = MAX(p->shown, e->number + 1);
	}
}

static void release(struct life *l, unsigned who, const struct effect *e)
{
	struct life_person *p = &l->people[who];
	const struct span bytes = effect_bytes(&p->fx, e);
	struct life_path *path = path_of(p, e->path);

	switch (e->kind) {
	case FX_CALL:
		fly(l, who, &e->local, NULL, 0, bytes);
		break;
	case FX_OPEN:
		assert(p->paths_len < LIFE_PATHS_MAX);
		p->paths[p->paths_len++] = (struct life_path){ e->path, e->port, e->local, e->remote };
		break;
	case FX_SEND:
		if (path != NULL)
			fly(l, who, &path->local, &path->remote, path->port, bytes);
		break;
	case FX_CLOSE:
		assert(path != NULL);
		*path = p->paths[--p->paths_len];
		break;
	case FX_REPLY:
	case FX_NOTICE:
		note(p, e);
		break;
	case FX_ADVERTISE:
	case FX_SCAN:
		assert(false); /* only of a node that was told of adapters */
	}
}

static uint64_t clock_of(const struct life *l)
{
	return CLOCK0 + l->now_us / 1000000;
}

static void shut_node(struct life_person *p)
{
	node_free(p->node);
	p->node = NULL;
	p->store = NULL;
	p->paths_len = 0;
	effects_clear(&p->fx);
}

static int commit(struct life *l, unsigned who)
{
	const int r = store_commit(l->people[who].store);

	if (r == 0 && l->committed != NULL)
		l->committed(l->arg, l, who);
	return r;
}

/* One turn with one event. */
static int turn(struct life *l, unsigned who, struct event *ev)
{
	struct life_person *p = &l->people[who];
	int r = store_begin(p->store);

	ev->now_us = l->now_us;
	ev->clock = clock_of(l);
	if (r == 0)
		r = node_step(p->node, ev, &p->fx);
	if (r == 0)
		r = node_settle(p->node, ev->now_us, ev->clock, &p->fx);
	if (r == 0)
		r = commit(l, who);
	else
		store_rollback(p->store);
	if (r != 0)
		return r;
	for (size_t i = 0; i < p->fx.n; i++)
		release(l, who, &p->fx.v[i]);
	effects_clear(&p->fx);
	return 0;
}

/* Compares what is there with what this person was told. A text that failed may have been taken. */
static int look_again(struct life_person *p, unsigned who)
{
	struct life_texts texts;
	const int r = life_texts(&texts, p->store, who);

	if (r < 0)
		return r;
	if (r > 0 || texts.own < p->said || texts.own > p->asked ||
	    texts.own + texts.received < MAX(p->shown, p->ticked))
		p->lost = true;
	p->said = p->asked = texts.own;
	return 0;
}

/* Opens the notebook of a vault that was found, and a node over it. */
static int open_node(struct life *l, unsigned who)
{
	struct life_person *p = &l->people[who];
	struct vault_guess guess;
	int r;

	life_guess(&guess, p->vault);
	r = vault_open(p->vault, &guess, &p->rng.base, &p->report);
	if (r != 0)
		return r;
	p->store = vault_store(p->vault);
	r = look_again(p, who);
	if (r != 0)
		return r;
	r = store_begin(p->store);
	if (r == 0)
		r = node_new(&p->node, p->store, &p->rng.base, clock_of(l));
	if (r == 0)
		r = commit(l, who);
	else
		store_rollback(p->store);
	if (r == 0)
		r = turn(l, who,
		         &(struct event){ .kind = EV_NETWORK, .locals = &p->address, .locals_len = 1 });
	return r;
}

/* As node/loop.c: PROTOCOL section 8, crash rule 4. */
static void start_again(struct life *l, unsigned who, int failure)
{
	struct life_person *p = &l->people[who];

	while (failure != 0) {
		p->failure = failure;
		shut_node(p);
		vault_forget(p->vault);
		if (p->restarts++ == LIFE_RESTARTS_MAX) {
			life_kill(l, who);
			return;
		}
		failure = open_node(l, who);
	}
}

/* A turn of whoever runs; after a failure it starts again. */
static void feed(struct life *l, unsigned who, struct event *ev)
{
	int r;

	if (l->people[who].node == NULL)
		return;
	r = turn(l, who, ev);
	if (r != 0)
		start_again(l, who, r);
}

int life_start(struct life *l, unsigned who)
{
	struct life_person *p = &l->people[who];
	int r = vault_find(&p->vault, &p->disk.base, LIFE_HOME);

	p->restarts = 0;
	if (r == 0)
		r = open_node(l, who);
	if (r != 0)
		life_kill(l, who);
	return r;
}

void life_kill(struct life *l, unsigned who)
{
	struct life_person *p = &l->people[who];

	shut_node(p);
	vault_close(p->vault);
	p->vault = NULL;
	sim_disk_exit(&p->disk);
}

int life_lock(struct life *l, unsigned who)
{
	struct life_person *p = &l->people[who];
	int r, locked;

	feed(l, who, &(struct event){ .kind = EV_LOCK });
	if (p->node == NULL)
		return p->failure;
	shut_node(p);
	locked = vault_lock(p->vault);
	r = open_node(l, who);
	if (r != 0)
		start_again(l, who, r);
	return locked;
}

/* --- Time --- */

static void land(struct life *l)
{
	struct life_flight *f = l->flights;
	struct life_person *p = &l->people[f->to];
	struct event ev = { .kind = EV_CALL, .bytes = { f->bytes, f->len }, .from = f->source, .ttl = 255 };

	l->flights = f->next;
	if (l->flights == NULL)
		l->flights_end = &l->flights;
	for (size_t i = 0; f->port != 0 && i < p->paths_len; i++) {
		const struct life_path *path = &p->paths[i];

		if (path->port != f->port || memcmp(path->local.ip, f->target.ip, 16) != 0 ||
		    memcmp(path->remote.ip, f->source.ip, 16) != 0)
			continue;
		ev.kind = EV_DATAGRAM;
		ev.path = path->id;
		break;
	}
	if (f->port == 0 || ev.kind == EV_DATAGRAM)
		feed(l, f->to, &ev);
	free(f);
}

void life_run(struct life *l, uint64_t for_us)
{
	const uint64_t until = l->now_us + for_us;

	for (;;) {
		uint64_t next = l->flights != NULL ? l->flights->at_us : UINT64_MAX;
		unsigned who = LIFE_PEOPLE;

		for (unsigned i = 0; i < LIFE_PEOPLE; i++) {
			const struct node *n = l->people[i].node;

			if (n != NULL && node_deadline_us(n) < next) {
				next = node_deadline_us(n);
				who = i;
			}
		}
		if (next > until)
			break;
		l->now_us = MAX(l->now_us, next);
		if (who == LIFE_PEOPLE)
			land(l);
		else
			feed(l, who, &(struct event){ .kind = EV_TICK });
		l->now_us++; /* a node that is due for ever must not stop the clock */
	}
	l->now_us = until;
}

/* --- People --- */

/* Text number n of a person: its name, and so many words that all lengths of envelopes come about. */
static struct span text_of(char buf[static LIFE_TEXT_MAX], unsigned who, unsigned n)
{
	const unsigned words = n % 50 == 49 ? 700 : n % 7 * n % 23;
	size_t len = (size_t)snprintf(buf, LIFE_TEXT_MAX, "%u.%u", who, n);

	for (unsigned i = 0; i < words; i++)
		len += (size_t)snprintf(buf + len, LIFE_TEXT_MAX - len, " %03u", (n + i) % 1000);
	return span_from(buf, len);
}

static bool ask(struct life *l, unsigned who, const struct request *q)
{
	struct life_person *p = &l->people[who];

	p->replied = false;
	feed(l, who, &(struct event){ .kind = EV_REQUEST, .request = q });
	return p->replied && p->reply == REPLY_OK;
}

bool life_say(struct life *l, unsigned who)
{
	struct life_person *p = &l->people[who];
	char buf[LIFE_TEXT_MAX];
	const struct request q = { .kind = REQ_SEND,
		                   .name = span_str("peer"),
		                   .text = text_of(buf, who, p->said) };
	bool taken;

	p->asked = p->said + 1;
	taken = ask(l, who, &q);
	p->said += taken;
	return taken;
}

/* Writes a contact with its conversation; the node learns of it by starting again. */
static int add_contact(struct life_person *p, struct contact_record *c, const struct ratchet *ratchet)
{
	struct conversation_record v = { 0 };
	struct writer out = WRITER_ON(v.ratchet);
	int r = contacts_add(p->store, c);

	ratchet_encode(&out, ratchet);
	v.contact = c->id;
	v.ratchet_len = out.len;
	return r == 0 ? conversation_save(p->store, &v) : r;
}

int life_ghost(struct life *l, unsigned who)
{
	struct life_person *p = &l->people[who];
	struct contact_record c = { .name = "ghost", .state = CONTACT_MET };
	struct ratchet ratchet = { 0 };
	char text[30 * sizeof(LIFE_GHOST)]; /* all of them fill some pages */
	struct message m = { .own = true, .claimed = CLOCK0, .content = SPAN(text) };
	struct ratchet_root root = { 0 };
	struct key_pair keys;
	int r;

	for (size_t i = 0; i < sizeof(text); i += sizeof(LIFE_GHOST))
		memcpy(text + i, LIFE_GHOST " ", sizeof(LIFE_GHOST));
	key_pair_new(&c.s, &p->rng.base);
	key_pair_new(&keys, &p->rng.base);
	c.peer_s = keys.public;
	r = ratchet_init(&ratchet, ROLE_A, &root, &c.s, &keys.public, &p->rng.base);
	if (r != 0)
		return ERR_SYSTEM;
	r = store_begin(p->store);
	if (r == 0)
		r = add_contact(p, &c, &ratchet);
	for (m.position = 0; r == 0 && m.position < GHOST_TEXTS; m.position++)
		r = messages_add(p->store, c.id, &m);
	if (r == 0)
		r = commit(l, who);
	else
		store_rollback(p->store);
	if (r != 0) {
		start_again(l, who, r);
		return r;
	}
	life_kill(l, who);
	return life_start(l, who);
}

bool life_start_again(struct life *l, unsigned who)
{
	return ask(l, who, &(struct request){ .kind = REQ_START_AGAIN, .name = span_str("peer") });
}

bool life_forget_ghost(struct life *l, unsigned who)
{
	return ask(l, who, &(struct request){ .kind = REQ_FORGET, .name = span_str("ghost") });
}

/* What a pairing would have left, as far as a conversation needs it. */
struct pair {
	struct key_pair s[2], r[2];
	struct secrets_result result;
	struct ratchet_root ratchet;
	enum pair_role role; /* of the first */
};

static int pair_make(struct pair *p, struct random *rng)
{
	struct sym_key q[2];
	struct root_secret root;
	int r;

	for (size_t i = 0; i < 2; i++) {
		key_pair_new(&p->s[i], rng);
		key_pair_new(&p->r[i], rng);
		random_bytes(rng, q[i].b, sizeof(q[i].b));
	}
	r = secrets_role(&p->role, &p->s[0].public, &p->s[1].public);
	if (r != 0)
		return r;
	const size_t a = p->role == ROLE_A ? 0 : 1, b = 1 - a;
	const struct secrets_pair keys = { p->s[a].public, p->s[b].public, p->r[a].public, p->r[b].public };

	r = secrets_root_qr(&root, &keys, p->role, &p->s[0].secret, &p->r[0].secret, &q[a], &q[b]);
	if (r != 0)
		return r;
	secrets_of_root(&p->result, &root);
	p->ratchet = (struct ratchet_root){ .rk0 = p->result.rk0, .ha = p->result.ha, .nb = p->result.nb };
	secrets_aid(&p->ratchet.aid, &keys.s_a, &keys.s_b, 0);
	return 0;
}

static int pair_tell(struct life *l, unsigned who, const struct pair *pair)
{
	struct life_person *p = &l->people[who];
	struct contact_record c = {
		.name = "peer",
		.state = CONTACT_CONFIRMED,
		.mode = who == 0 ? MODE_CALL : MODE_ANSWER,
		.s = pair->s[who],
		.peer_s = pair->s[1 - who].public,
		.role = who == 0               ? pair->role
		        : pair->role == ROLE_A ? ROLE_B
		                               : ROLE_A,
		.cur = pair->result.l0,
		.anchor = pair->result.anchor,
	};
	struct ratchet ratchet;
	int r = ratchet_init(&ratchet, c.role, &pair->ratchet, &pair->r[who], &pair->r[1 - who].public,
	                     &p->rng.base);

	if (r == 0)
		r = store_begin(p->store);
	if (r != 0)
		return r;
	r = add_contact(p, &c, &ratchet);
	if (r == 0)
		r = commit(l, who);
	else
		store_rollback(p->store);
	if (r != 0)
		return r;
	life_kill(l, who);
	return life_start(l, who);
}

int life_begin(struct life *l)
{
	struct random_seeded rng;
	struct pair pair;
	int r;

	random_seeded_init(&rng, l->seed * 3);
	r = pair_make(&pair, &rng.base);
	for (unsigned who = 0; r == 0 && who < LIFE_PEOPLE; who++) {
		r = life_start(l, who);
		if (r == 0)
			r = pair_tell(l, who, &pair);
	}
	return r;
}

/* --- A life --- */

void life_kek(struct sym_key *out)
{
	*out = kek;
}

void life_guess(struct vault_guess *out, const struct vault *v)
{
	vault_guess_for(out, v);
	out->kek = kek;
}

static void person_init(struct life *l, unsigned who, uint64_t seed)
{
	struct life_person *p = &l->people[who];

	random_seeded_init(&p->rng, seed * LIFE_PEOPLE + who);
	p->address = (struct address){ { [10] = 0xff, [11] = 0xff, 10, 0, 0, (uint8_t)(who + 1) }, 1 };
}

void life_init(struct life *l, uint64_t seed)
{
	*l = (struct life){ .seed = seed, .now_us = 1000000 };
	l->flights_end = &l->flights;
	for (unsigned who = 0; who < LIFE_PEOPLE; who++) {
		struct life_person *p = &l->people[who];
		struct vault_guess guess;

		person_init(l, who, seed);
		sim_disk_init(&p->disk);
		vault_guess_new(&guess, SLOTS_256_MIB, &p->rng.base);
		guess.kek = kek;
		if (vault_create(&p->disk.base, LIFE_HOME, SLOTS_PLACES_OWN, &guess, &p->rng.base) != 0)
			abort();
	}
}

void life_branch(struct life *to, const struct life *from, uint64_t seed)
{
	*to = *from;
	to->committed = NULL;
	to->flights = NULL;
	to->flights_end = &to->flights;
	for (unsigned who = 0; who < LIFE_PEOPLE; who++) {
		struct life_person *p = &to->people[who];

		sim_disk_copy(&p->disk, &from->people[who].disk);
		p->vault = NULL;
		p->store = NULL;
		p->node = NULL;
		p->fx = (struct effects){ 0 };
		p->paths_len = 0;
		p->restarts = 0;
		p->failure = 0;
		person_init(to, who, seed);
	}
}

void life_deinit(struct life *l)
{
	while (l->flights != NULL) {
		struct life_flight *f = l->flights;

		l->flights = f->next;
		free(f);
	}
	for (unsigned who = 0; who < LIFE_PEOPLE; who++) {
		life_kill(l, who);
		effects_deinit(&l->people[who].fx);
		sim_disk_deinit(&l->people[who].disk);
	}
}

/* --- Looking --- */

int life_text_number(const struct message *m, unsigned who)
{
	char buf[LIFE_TEXT_MAX] = { 0 };
	unsigned author = 0, number = 0;

	memcpy(buf, m->content.p, MIN(m->content.len, sizeof(buf) - 1));
	if (sscanf(buf, "%u.%u", &author, &number) != 2 || author != who ||
	    !span_equal(m->content, text_of(buf, who, number)))
		return -1;
	return (int)number;
}

struct looking {
	struct life_texts n;
	unsigned who;
	bool wrong;
};

static int look(void *arg, const struct message *m)
{
	struct looking *k = arg;
	unsigned *n = m->own ? &k->n.own : &k->n.received, *end = m->own ? &k->n.own_end : &k->n.received_end;
	const int number = life_text_number(m, m->own ? k->who : 1 - k->who);

	if (number < (int)*end)
		k->wrong = true;
	*end = (unsigned)(number + 1);
	++*n;
	return 0;
}

int life_each(struct store *s, int (*each)(void *arg, const struct message *m), void *arg)
{
	return messages_each(s, PEER, 0, INT64_MAX, each, arg);
}

int life_texts(struct life_texts *out, struct store *s, unsigned who)
{
	struct looking k = { .who = who };
	const int r = life_each(s, look, &k);

	*out = k.n;
	if (r != 0)
		return r;
	if (k.wrong)
		return LIFE_WRONG;
	return k.n.own == k.n.own_end && k.n.received == k.n.received_end ? 0 : LIFE_GAPS;
}
