/*
 * finder.c: calls and answers.
 *
 *     who is called    a contact in mode `call`, or anyone while the person looks, that is not linked
 *                      over the local network
 *     when             on joining a network, when a message is queued, and every U(8,12) s, on
 *                      battery U(25,35) s
 *     who is answered  hearing.c
 */
#include "node/core/finder.h"

#include <stdlib.h>

#include "node/core/hearing.h"
#include "node/core/session.h"
#include "transport/call.h"

enum { TTL_OF_A_NEIGHBOUR = 255 };
enum { CALL_ROUND_MAX = 8, CALL_ROUND_KEYS = CALL_ROUND_MAX * (CALL_LARGE - 1) }; /* on one interface */

void finder_init(struct finder *f)
{
	f->next_call_us = NEVER_US;
}

void finder_deinit(struct finder *f)
{
	free(f->calls); /* no secrets: all of it was on the air */
	f->calls = NULL;
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

void finder_network(struct node *n, const struct address *locals, size_t len, enum power power)
{
	struct finder *f = &n->finder;
	bool joined = false;

	len = MIN(len, (size_t)LOCALS_MAX);
	for (size_t i = 0; i < len; i++)
		joined |= !finder_is_local(n, &locals[i]);
	if (len != 0)
		memcpy(f->locals, locals, len * sizeof(*locals));
	f->locals_len = len;
	f->power = power;
	session_network_changed(n);
	meet_look_again(n);
	if (joined)
		finder_call_now(n);
}

/* ---- Calling --------------------------------------------------------------- */

bool finder_wants(const struct node *n, const struct contact *c)
{
	const bool wanted = c->record.mode == MODE_CALL ||
	                    (c->record.mode == MODE_ANSWER && n->finder.look_until_us != 0);

	return wanted && contact_is_open(c);
}

static bool is_called(const struct node *n, const struct contact *c)
{
	return finder_wants(n, c) && session_reach(c) != REACH_NETWORK;
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
	const bool saves = f->power != POWER_MAINS;
	const uint64_t low = saves ? 25 : 8, high = saves ? 35 : 12;

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

	if (f->calls == NULL)
		f->calls = calloc(CALLS_KEPT_MAX, sizeof(*f->calls));
	if (f->calls == NULL) {
		n->fx->failed = true;
		return;
	}
	f->calls[f->calls_next++ % CALLS_KEPT_MAX] = (struct own_call){
		.n = *call_nonce, .local = *local, .made_us = n->now_us, .number = ++n->calls_made
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

bool finder_is_newest_answer(struct contact *c, uint64_t number)
{
	/* What came once may come again, and a second handshake under the same two nonces would use its mask
	 * twice. */
	if (number <= c->taken)
		return false;
	c->taken = number;
	return true;
}

static const struct own_call *own_call_by_nonce(const struct finder *f, const struct nonce16 *nonce)
{
	for (size_t i = 0; i < CALLS_KEPT_MAX && i < f->calls_next; i++)
		if (memcmp(f->calls[i].n.b, nonce->b, sizeof(nonce->b)) == 0)
			return &f->calls[i];
	return NULL;
}

/* The call of ours that this entry answers, of those that are still open; NULL when it is no answer to us. */
static const struct own_call *answered_call(const struct node *n, const struct call *call, int place,
                                            const struct sym_key *key, const struct address *from)
{
	const struct finder *f = &n->finder;

	for (size_t i = 0; i < CALLS_KEPT_MAX && i < f->calls_next; i++) {
		const struct own_call *own = &f->calls[i];
		struct call_proof proof;

		if (n->now_us > own->made_us + CALL_ANSWER_S * SECOND_US ||
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

	return own != NULL && finder_is_newest_answer(c, own->number);
}

static int take_answer(struct node *n, const struct heard *h, bool *taken)
{
	const struct sym_key *key = &h->contact->keys[h->kind].in;
	const struct own_call *own = contact_calls_under(h->contact, h->kind)
	                                     ? answered_call(n, h->call, h->place, key, h->from)
	                                     : NULL;

	*taken = own != NULL;
	if (own == NULL || !finder_take_answer(n, h->contact, &own->n))
		return 0;
	return session_call_answered(n, h->contact,
	                             &(struct found){ .kind = h->kind,
	                                              .n_call = own->n,
	                                              .n_answer = *call_nonce(h->call),
	                                              .local = own->local,
	                                              .remote = *h->from });
}

/* ---- Answering ------------------------------------------------------------- */

static int answer(struct node *n, const struct heard *h)
{
	const struct address *local = finder_local_for(n, h->from);
	struct contact *c = h->contact;
	struct call_entry entry = { .key = &c->keys[h->kind].out };
	struct found found = { .kind = h->kind, .n_call = *call_nonce(h->call), .remote = *h->from };
	uint8_t bytes[CALL_SMALL_LEN];
	struct writer w = WRITER_ON(bytes);
	struct call own;

	if (local == NULL || !session_may_answer(n, c, h->from))
		return 0;
	entry.proof = call_proof_answer(call_nonce(h->call), local);
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

int finder_call(struct node *n, struct span datagram, const struct address *from, uint8_t ttl)
{
	static const struct hearing_way way = { CALL_KIND_CALL, take_answer, answer };
	struct call call;

	if (ttl != TTL_OF_A_NEIGHBOUR || call_read(&call, datagram) != 0)
		return 0;
	if (own_call_by_nonce(&n->finder, call_nonce(&call)) != NULL ||
	    !hearing_may_examine(n, &n->finder.hearing))
		return 0;
	meeting_call(n, &call, from);
	return hearing_call(n, &n->finder.hearing, &way, &call, from);
}
