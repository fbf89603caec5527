/*
 * finder.c: calls and answers.
 *
 *     who is called    a contact in mode `call`, or anyone while the person looks, that is not linked
 *     when             on joining a network, when a message is queued, and every U(8,12) s, on
 *                      battery U(25,35) s
 *     who is answered  a contact in mode `call` or `answer` whose call is live, each call once, each
 *                      contact at most once in 5 s
 *
 * Whatever else comes to the group is dropped without a word: a call of a stranger, a
 * replayed one, one that is recognised and not live, one from another network.
 */
#include "node/core/finder.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/core/session.h"
#include "transport/call.h"

enum { TTL_OF_A_NEIGHBOUR = 255 };
enum { CALL_ROUND_MAX = 8, CALL_ROUND_KEYS = CALL_ROUND_MAX * (CALL_LARGE - 1) }; /* on one interface */
enum { SEARCH_PAUSE_S = 5 };   /* between two searches over twenty years */
enum { HEARD_S = 3600 };       /* how long a call counts as seen */
enum { RECOGNISED_TAGS = 32 }; /* what it costs to look into a recognised call, counted as tags */

void finder_init(struct finder *f)
{
	f->next_call_us = NEVER_US;
}

/* ---- Networks -------------------------------------------------------------- */

static bool is_ipv4(const struct address *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(a->ip, mapped, sizeof(mapped)) == 0;
}

const struct address *finder_local_for(const struct node *n, const struct address *from)
{
	const struct finder *f = &n->finder;

	for (size_t i = 0; i < f->locals_len; i++)
		if (f->locals[i].interface == from->interface && is_ipv4(&f->locals[i]) == is_ipv4(from))
			return &f->locals[i];
	return NULL;
}

const struct address *finder_local_of_family(const struct node *n, const struct address *remote)
{
	const struct finder *f = &n->finder;

	for (size_t i = 0; i < f->locals_len; i++)
		if (is_ipv4(&f->locals[i]) == is_ipv4(remote))
			return &f->locals[i];
	return NULL;
}

bool finder_is_local(const struct node *n, const struct address *address)
{
	const struct finder *f = &n->finder;

	for (size_t i = 0; i < f->locals_len; i++)
		if (memcmp(&f->locals[i], address, sizeof(*address)) == 0)
			return true;
	return false;
}

void finder_network(struct node *n, const struct address *locals, size_t len, bool on_battery)
{
	struct finder *f = &n->finder;
	bool joined = false;

	len = MIN(len, (size_t)LOCALS_MAX);
	for (size_t i = 0; i < len; i++)
		joined |= !finder_is_local(n, &locals[i]);
	if (len != 0)
		memcpy(f->locals, locals, len * sizeof(*locals));
	f->locals_len = len;
	f->on_battery = on_battery;
	session_network_changed(n);
	meet_look_again(n);
	if (joined)
		finder_call_now(n);
}

/* ---- Calling --------------------------------------------------------------- */

static bool is_called(const struct node *n, const struct contact *c)
{
	const bool wanted = c->record.mode == MODE_CALL ||
	                    (c->record.mode == MODE_ANSWER && n->finder.look_until_us != 0);

	return wanted && contact_is_open(c) && (c->up == NULL || c->suspect);
}

static bool anybody_is_called(const struct node *n)
{
	for (size_t i = 0; i < n->contacts_len; i++)
		if (is_called(n, n->contacts[i]))
			return true;
	return false;
}

static void schedule(struct node *n)
{
	struct finder *f = &n->finder;
	const uint64_t low = f->on_battery ? 25 : 8, high = f->on_battery ? 35 : 12;

	f->next_call_us = n->now_us + random_between(n->rng, low * SECOND_US, high * SECOND_US);
}

void finder_call_now(struct node *n)
{
	n->finder.next_call_us = MIN(n->finder.next_call_us, n->now_us);
	meet_look_again(n);
}

void finder_miss(struct node *n)
{
	struct finder *f = &n->finder;
	const uint64_t soonest = f->called_us == 0 ? 0 : f->called_us + CALL_AGAIN_S * SECOND_US;

	f->next_call_us = MIN(f->next_call_us, MAX(n->now_us, soonest));
	meet_look_soon(n);
}

void finder_look(struct node *n, bool on)
{
	n->finder.look_until_us = on ? n->now_us + LOOK_S * SECOND_US : 0;
	if (on)
		finder_call_now(n);
}

/* The keys to call everybody with, those first for whom something waits. */
struct round {
	const struct sym_key *key[CONTACTS_MAX * SECRET_KINDS];
	size_t who[CONTACTS_MAX * SECRET_KINDS]; /* in the list of contacts */
	size_t n;
};

static void add_key(struct round *r, const struct sym_key *key, size_t who)
{
	r->key[r->n] = key;
	r->who[r->n++] = who;
}

static void add_keys(struct round *r, const struct contact *c, size_t who)
{
	static const enum secret_kind in_order[] = { SECRET_ANCHOR, SECRET_CUR, SECRET_PREV };

	for (size_t i = 0; i < COUNT_OF(in_order); i++)
		if (contact_calls_under(c, in_order[i]))
			add_key(r, &c->keys[in_order[i]].out, who);
}

static void add_contacts(struct round *r, const struct node *n, bool waiting)
{
	for (size_t i = 0; i < n->contacts_len; i++) {
		const size_t who = (n->finder.turn + i) % n->contacts_len;
		const struct contact *c = n->contacts[who];

		if (is_called(n, c) && (c->waiting > 0) == waiting)
			add_keys(r, c, who);
	}
}

void finder_remember_call(struct node *n, const struct nonce16 *call_nonce, const struct address *local)
{
	struct finder *f = &n->finder;

	f->calls_made++;
	f->calls[f->calls_made % CALLS_KEPT_MAX] = (struct own_call){
		.n = *call_nonce, .local = *local, .made_us = n->now_us, .number = f->calls_made
	};
}

static void call_with(struct node *n, const struct address *local, const struct sym_key *const *keys,
                      size_t len)
{
	const enum call_shape shape = len < CALL_SMALL ? CALL_SMALL : CALL_LARGE;
	struct call_entry entries[CALL_PLACES_MAX];
	uint8_t bytes[CALL_LARGE_LEN];
	struct writer w = WRITER_ON(bytes);
	struct call call;

	for (size_t i = 0; i < len; i++)
		entries[i] = (struct call_entry){
			.key = keys[i],
			.proof = call_proof_clock(CALL_KIND_CALL, n->clock, local),
		};
	call_make(&call, shape, entries, len, n->rng);
	call_write(&w, &call);
	finder_remember_call(n, call_nonce(&call), local);
	effect_call(n->fx, local, writer_done(&w));
}

static void call_everybody(struct node *n)
{
	struct finder *f = &n->finder;
	struct round *r = malloc(sizeof(*r));

	if (r == NULL) {
		n->fx->failed = true;
		return;
	}
	f->called_us = n->now_us;
	r->n = 0;
	add_contacts(r, n, true);
	add_contacts(r, n, false);
	for (size_t i = 0; i < f->locals_len; i++) {
		size_t at = 0;

		for (unsigned k = 0; k < CALL_ROUND_MAX && at < r->n; k++) {
			const size_t len = MIN(r->n - at, (size_t)CALL_LARGE - 1);

			call_with(n, &f->locals[i], &r->key[at], len);
			at += len;
		}
	}
	if (r->n > CALL_ROUND_KEYS)
		f->turn = r->who[CALL_ROUND_KEYS]; /* who found no place is the next round's first */
	free(r);                                   /* pointers only */
}

int finder_timer(struct node *n)
{
	struct finder *f = &n->finder;

	if (f->look_until_us != 0 && n->now_us >= f->look_until_us) {
		f->look_until_us = 0;
		effect_notice(n->fx, NOTICE_LOOK_ENDED, 0, 0, SPAN_NONE);
	}
	if (!anybody_is_called(n) || f->locals_len == 0) {
		f->next_call_us = NEVER_US;
		return 0;
	}
	if (f->next_call_us == NEVER_US)
		schedule(n);
	if (n->now_us >= f->next_call_us) {
		call_everybody(n);
		schedule(n);
	}
	return 0;
}

uint64_t finder_deadline_us(const struct node *n)
{
	const struct finder *f = &n->finder;

	return f->look_until_us != 0 ? MIN(f->look_until_us, f->next_call_us) : f->next_call_us;
}

/* ---- Being answered -------------------------------------------------------- */

static const struct own_call *own_call_by_nonce(const struct finder *f, const struct nonce16 *nonce)
{
	for (size_t i = 0; i < CALLS_KEPT_MAX && i <= f->calls_made; i++)
		if (f->calls[i].made_us != 0 && memcmp(f->calls[i].n.b, nonce->b, sizeof(nonce->b)) == 0)
			return &f->calls[i];
	return NULL;
}

/* The call of ours that this entry answers, of those that are still open; NULL when it is no answer to us. */
static const struct own_call *answered_call(const struct node *n, const struct call *call, int place,
                                            const struct sym_key *key, const struct address *from)
{
	const struct finder *f = &n->finder;

	for (size_t i = 0; i < CALLS_KEPT_MAX; i++) {
		const struct own_call *own = &f->calls[i];
		struct call_proof proof;

		if (own->made_us == 0 || n->now_us > own->made_us + CALL_ANSWER_S * SECOND_US ||
		    own->local.interface != from->interface)
			continue;
		proof = call_proof_answer(&own->n, from);
		if (call_is_live(call, place, key, &proof))
			return own;
	}
	return NULL;
}

const struct nonce16 *finder_answered_call(const struct node *n, const struct call *call, int place,
                                           const struct sym_key *key, const struct address *from,
                                           const struct address **local)
{
	const struct own_call *own = answered_call(n, call, place, key, from);

	if (own == NULL)
		return NULL;
	*local = &own->local;
	return &own->n;
}

bool finder_take_answer(const struct node *n, struct contact *c, const struct nonce16 *n_call)
{
	const struct own_call *own = own_call_by_nonce(&n->finder, n_call);

	/* What came once may come again, and a second handshake under the same two nonces would use its mask
	 * twice. */
	if (own == NULL || own->number <= c->taken)
		return false;
	c->taken = own->number;
	return true;
}

static int take_answer(struct node *n, struct contact *c, enum secret_kind kind, const struct own_call *own,
                       const struct call *answer, const struct address *from)
{
	if (!finder_take_answer(n, c, &own->n))
		return 0;
	return session_call_answered(n, c,
	                             &(struct found){ .kind = kind,
	                                              .n_call = own->n,
	                                              .n_answer = *call_nonce(answer),
	                                              .local = own->local,
	                                              .remote = *from });
}

/* ---- Answering ------------------------------------------------------------- */

static bool was_heard(const struct node *n, const struct contact *c, const struct nonce16 *nonce)
{
	for (size_t i = 0; c->heard != NULL && i < CALLS_HEARD_MAX; i++)
		if (c->heard[i].until_us > n->now_us &&
		    memcmp(c->heard[i].n.b, nonce->b, sizeof(nonce->b)) == 0)
			return true;
	return false;
}

int finder_hear(struct node *n, struct contact *c, const struct nonce16 *nonce, bool *first)
{
	*first = !was_heard(n, c, nonce);
	if (!*first)
		return 0;
	if (c->heard == NULL)
		c->heard = calloc(CALLS_HEARD_MAX, sizeof(*c->heard));
	if (c->heard == NULL)
		return ERR_NOMEM;
	c->heard[c->heard_next++ % CALLS_HEARD_MAX] =
	        (struct heard_call){ .n = *nonce, .until_us = n->now_us + HEARD_S * SECOND_US };
	return 0;
}

static int answer(struct node *n, struct contact *c, enum secret_kind kind, const struct call *call,
                  const struct address *from)
{
	const struct address *local = finder_local_for(n, from);
	struct call_entry entry = { .key = &c->keys[kind].out };
	struct found found = { .kind = kind, .n_call = *call_nonce(call), .remote = *from };
	uint8_t bytes[CALL_SMALL_LEN];
	struct writer w = WRITER_ON(bytes);
	struct call own;

	if (local == NULL || !session_may_answer(n, c))
		return 0;
	entry.proof = call_proof_answer(call_nonce(call), local);
	call_make(&own, CALL_SMALL, &entry, 1, n->rng);
	call_write(&w, &own);
	c->answered_us = n->now_us;
	/* The path first, so that it is open when the other side hears of it. */
	found.local = *local;
	found.n_answer = *call_nonce(&own);
	if (session_answered(n, c, &found) != 0)
		return ERR_NOMEM;
	effect_call(n->fx, local, writer_done(&w));
	return 0;
}

static void asks_again(struct node *n, struct contact *c)
{
	if (c->asks_again)
		return;
	c->asks_again = true;
	effect_notice(n->fx, NOTICE_ASKS_AGAIN, c->record.id, 0, SPAN_NONE);
}

/* A live call of a contact. */
static int live_call(struct node *n, struct contact *c, enum secret_kind kind, const struct call *call,
                     const struct address *from)
{
	bool first;
	const int r = finder_hear(n, c, call_nonce(call), &first);

	if (r != 0 || !first)
		return r;
	if (kind == SECRET_ANCHOR && !c->record.restored) {
		asks_again(n, c);
		return 0;
	}
	if (c->answered_us != 0 && n->now_us < c->answered_us + ANSWER_PAUSE_S * SECOND_US)
		return 0;
	/* With a wrong clock nothing is answered by itself; a person who looks has asked for it. */
	if (node_clock_is_wrong(n) && n->finder.look_until_us == 0)
		return 0;
	return answer(n, c, kind, call, from);
}

/* T is right and Q is not: the person may be near, or it is a replay, or a clock is wrong. Only who looks for
 * somebody may find out. */
static int search(struct node *n, struct contact *c, enum secret_kind kind, const struct call *call,
                  int place, const struct address *from)
{
	struct finder *f = &n->finder;
	struct call_search s;
	uint64_t clock;
	bool first;

	if (f->look_until_us == 0 ||
	    (f->searched_us != 0 && n->now_us < f->searched_us + SEARCH_PAUSE_S * SECOND_US) ||
	    was_heard(n, c, call_nonce(call)))
		return 0;
	f->searched_us = n->now_us;
	call_search_init(&s, call, place, CALL_KIND_CALL, from, n->clock);
	if (call_search_step(&clock, &s, &c->keys[kind].in, CALL_SEARCH_UNITS) == 0)
		return live_call(n, c, kind, call, from);
	return finder_hear(n, c, call_nonce(call), &first); /* it is not searched twice */
}

static int examine_key(struct node *n, struct contact *c, enum secret_kind kind, int place,
                       const struct call *call, const struct address *from)
{
	const struct sym_key *key = &c->keys[kind].in;
	const struct own_call *own;

	if (was_heard(n, c, call_nonce(call)))
		return 0;
	n->finder.tags += RECOGNISED_TAGS;
	own = contact_calls_under(c, kind) ? answered_call(n, call, place, key, from) : NULL;
	if (own != NULL)
		return take_answer(n, c, kind, own, call, from);
	if (call_is_live_by_clock(call, place, key, CALL_KIND_CALL, from, n->clock, c->record.clock_offset))
		return live_call(n, c, kind, call, from);
	return search(n, c, kind, call, place, from);
}

/* The newest secret that recognises the call decides. */
static int examine(struct node *n, struct contact *c, const struct call *call, const struct address *from)
{
	if (!contact_is_open(c) || c->record.mode == MODE_SILENT)
		return 0;
	for (unsigned kind = 0; kind < SECRET_KINDS; kind++) {
		int place;

		if (!c->keys[kind].known)
			continue;
		n->finder.tags++;
		place = call_find(call, &c->keys[kind].in);
		if (place >= 0)
			return examine_key(n, c, kind, place, call, from);
	}
	return 0;
}

/* What the calls of others may cost in a second is bounded. When they would cost more, as in the second
 * before, each has the same chance. */
static bool may_examine(struct node *n)
{
	struct finder *f = &n->finder;

	if (n->now_us >= f->second_began_us + SECOND_US) {
		const bool next = n->now_us < f->second_began_us + 2 * SECOND_US;

		f->tags_before = next && f->examined > 0 ? f->tags * f->came / f->examined : 0;
		f->second_began_us = n->now_us;
		f->came = f->examined = f->tags = 0;
	}
	f->came++;
	if (f->tags >= CALL_TAGS_PER_S)
		return false;
	if (f->tags_before > CALL_TAGS_PER_S &&
	    random_below(n->rng, (uint32_t)MIN(f->tags_before, (uint64_t)UINT32_MAX)) >= CALL_TAGS_PER_S)
		return false;
	f->examined++;
	return true;
}

int finder_call(struct node *n, struct span datagram, const struct address *from, uint8_t ttl)
{
	struct call call;
	int r = 0;

	if (ttl != TTL_OF_A_NEIGHBOUR || call_read(&call, datagram) != 0)
		return 0;
	if (own_call_by_nonce(&n->finder, call_nonce(&call)) != NULL || !may_examine(n))
		return 0;
	meeting_call(n, &call, from);
	for (size_t i = 0; r == 0 && i < n->contacts_len; i++)
		r = examine(n, n->contacts[i], &call, from);
	return r;
}
