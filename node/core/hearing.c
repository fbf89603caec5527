/*
 * hearing.c: which calls of others count.
 *
 *     who is answered  a contact in mode `call` or `answer` whose call is live, each call once, each
 *                      contact at most once in 5 s
 *
 * Whatever else comes is dropped without a word: a call of a stranger, a replayed one, one
 * that is recognised and not live.
 */
#include "node/core/hearing.h"

#include <stdlib.h>

enum { SEARCH_PAUSE_S = 5 };   /* between two searches over twenty years */
enum { HEARD_S = 3600 };       /* how long a call counts as seen */
enum { RECOGNISED_TAGS = 32 }; /* what it costs to look into a recognised call, counted as tags */

enum { HEARD_FIRST = 32 };

static struct heard_call heard_call(const struct nonce16 *nonce, uint64_t until_us)
{
	return (struct heard_call){
		.n = { load_u32(nonce->b), load_u32(nonce->b + 4) },
		.until_s = (uint32_t)(until_us / SECOND_US),
	};
}

static bool was_heard(const struct node *n, const struct contact *c, const struct nonce16 *nonce)
{
	const struct heard_call now = heard_call(nonce, n->now_us);

	for (size_t i = 0; i < c->heard_cap; i++)
		if (memcmp(c->heard[i].n, now.n, sizeof(now.n)) == 0 && c->heard[i].until_s > now.until_s)
			return true;
	return false;
}

/* The oldest comes first then, and what is free behind the newest. */
static int grow(struct contact *c)
{
	const size_t cap = c->heard_cap == 0 ? HEARD_FIRST : 2 * c->heard_cap, before = c->heard_cap;
	struct heard_call *heard = calloc(cap, sizeof(*heard));

	if (heard == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < before; i++)
		heard[i] = c->heard[(c->heard_next + i) % before];
	free(c->heard);
	c->heard = heard;
	c->heard_cap = cap;
	c->heard_next = before;
	return 0;
}

int hearing_note(struct node *n, struct contact *c, const struct nonce16 *nonce, bool *first)
{
	const uint64_t now_s = n->now_us / SECOND_US;

	*first = !was_heard(n, c, nonce);
	if (!*first)
		return 0;
	if (c->heard_cap == 0 || (c->heard[c->heard_next].until_s > now_s && c->heard_cap < CALLS_HEARD_MAX))
		if (grow(c) != 0)
			return ERR_NOMEM;
	c->heard[c->heard_next] = heard_call(nonce, n->now_us + HEARD_S * SECOND_US);
	c->heard_next = (c->heard_next + 1) % c->heard_cap;
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
static int live_call(struct node *n, const struct hearing_way *way, const struct heard *h)
{
	struct contact *c = h->contact;
	bool first;
	const int r = hearing_note(n, c, call_nonce(h->call), &first);

	if (r != 0 || !first)
		return r;
	if (h->kind == SECRET_ANCHOR && !c->record.restored) {
		asks_again(n, c);
		return 0;
	}
	if (c->answered_us != 0 && n->now_us < c->answered_us + ANSWER_PAUSE_S * SECOND_US)
		return 0;
	/* With a wrong clock nothing is answered by itself; a person who looks has asked for it. */
	if (node_clock_is_wrong(n) && n->finder.look_until_us == 0)
		return 0;
	return way->answer(n, h);
}

/* T is right and Q is not: the person may be near, or it is a replay, or a clock is wrong. Only who looks for
 * somebody may find out. */
static int search(struct node *n, struct hearing *g, const struct hearing_way *way, const struct heard *h)
{
	struct call_search s;
	uint64_t clock;
	bool first;

	if (n->finder.look_until_us == 0 ||
	    (g->searched_us != 0 && n->now_us < g->searched_us + SEARCH_PAUSE_S * SECOND_US))
		return 0;
	g->searched_us = n->now_us;
	call_search_init(&s, h->call, h->place, way->kind, h->from, n->clock);
	if (call_search_step(&clock, &s, &h->contact->keys[h->kind].in, CALL_SEARCH_UNITS) == 0)
		return live_call(n, way, h);
	return hearing_note(n, h->contact, call_nonce(h->call), &first); /* it is not searched twice */
}

static int recognised(struct node *n, struct hearing *g, const struct hearing_way *way, const struct heard *h)
{
	struct contact *c = h->contact;
	bool taken = false;
	int r = 0;

	if (was_heard(n, c, call_nonce(h->call)))
		return 0;
	g->tags += RECOGNISED_TAGS;
	if (way->answered != NULL)
		r = way->answered(n, h, &taken);
	if (r != 0 || taken)
		return r;
	if (call_is_live_by_clock(h->call, h->place, &c->keys[h->kind].in, way->kind, h->from, n->clock,
	                          c->record.clock_offset))
		return live_call(n, way, h);
	return search(n, g, way, h);
}

/* The newest secret that recognises the call decides. */
static int examine(struct node *n, struct hearing *g, const struct hearing_way *way, struct heard *h)
{
	const struct contact *c = h->contact;

	if (!contact_is_open(c) || c->record.mode == MODE_SILENT)
		return 0;
	for (unsigned kind = 0; kind < SECRET_KINDS; kind++) {
		if (!c->keys[kind].known)
			continue;
		g->tags++;
		h->kind = kind;
		h->place = call_find(h->call, &c->keys[kind].in);
		if (h->place >= 0)
			return recognised(n, g, way, h);
	}
	return 0;
}

int hearing_call(struct node *n, struct hearing *g, const struct hearing_way *way, const struct call *call,
                 const struct address *from)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n->contacts_len; i++)
		r = examine(n, g, way,
		            &(struct heard){ .contact = n->contacts[i], .call = call, .from = from });
	return r;
}

/* When they would cost more than the bound, as in the second before, each has the same chance. */
bool hearing_may_examine(struct node *n, struct hearing *g)
{
	if (n->now_us >= g->second_began_us + SECOND_US) {
		const bool next = n->now_us < g->second_began_us + 2 * SECOND_US;

		g->tags_before = next && g->examined > 0 ? g->tags * g->came / g->examined : 0;
		g->second_began_us = n->now_us;
		g->came = g->examined = g->tags = 0;
	}
	g->came++;
	if (g->tags >= CALL_TAGS_PER_S)
		return false;
	if (g->tags_before > CALL_TAGS_PER_S &&
	    random_below(n->rng, (uint32_t)MIN(g->tags_before, (uint64_t)UINT32_MAX)) >= CALL_TAGS_PER_S)
		return false;
	g->examined++;
	return true;
}
