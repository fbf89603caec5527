#include "tools/sim/talk.h"

#include <stdio.h>

#include "node/core/node.h"
#include "store/messages.h"
#include "tools/sim/dice.h"
#include "tools/sim/need.h"
#include "tools/sim/world.h"

/* ---- Ties ------------------------------------------------------------------- */

struct tie *talk_tie(struct person *me, struct person *other)
{
	struct tie *t = need(calloc(1, sizeof(*t)));

	t->me = me;
	t->other = other;
	if (me->ties_len == me->ties_cap) {
		me->ties_cap = MAX(me->ties_cap * 2, (size_t)4);
		me->ties = need(realloc(me->ties, me->ties_cap * sizeof(struct tie *)));
	}
	me->ties[me->ties_len++] = t;
	return t;
}

void talk_free(struct tie *t)
{
	free(t->rows);
	free(t->sent);
	free(t);
}

struct tie *talk_find(const struct person *me, uint32_t contact)
{
	/* Ids are given in order: mostly the tie is where its id says. */
	if (contact >= 1 && contact <= me->ties_len && me->ties[contact - 1]->contact == contact)
		return me->ties[contact - 1];
	for (size_t i = 0; i < me->ties_len; i++)
		if (me->ties[i]->contact == contact)
			return me->ties[i];
	return NULL;
}

struct tie *talk_with(const struct person *me, const struct person *other)
{
	for (size_t i = 0; i < me->ties_len; i++)
		if (me->ties[i]->other == other && !me->ties[i]->forgotten)
			return me->ties[i];
	return NULL;
}

/* ---- Texts ------------------------------------------------------------------ */

void talk_text(char *out, const struct tie *t, size_t n, size_t len)
{
	struct dice letters = dice_new(t->me->number + 1, n * WORLD_PEOPLE_MAX + t->other->number);
	char head[TALK_TEXT_MIN + 1];
	size_t at = (size_t)snprintf(head, sizeof(head), "%s%u to %u, #%zu ", "", (unsigned)t->me->number,
	                             (unsigned)t->other->number, n);
	uint64_t r = 0;

	assert(at < sizeof(head) && len >= at);
	memcpy(out, head, at);
	for (unsigned i = 0; at < len; i++, r /= 27) {
		if (i % 12 == 0)
			r = dice_draw(&letters);
		out[at++] = " abcdefghijklmnopqrstuvwxyz"[r % 27];
	}
}

/* Which message of t a text is, or SIZE_MAX: it is none. */
static size_t which(const struct tie *t, struct span text)
{
	static char buf[TALK_TEXT_MAX], want[TALK_TEXT_MAX];
	unsigned me, other;
	size_t n;
	int end = 0;

	if (text.len < TALK_TEXT_MIN || text.len > sizeof(buf) - 1)
		return SIZE_MAX;
	memcpy(buf, text.p, text.len);
	buf[text.len] = '\0';
	if (sscanf(buf, "%u to %u, #%zu %n", &me, &other, &n, &end) < 3 || me != t->me->number ||
	    other != t->other->number)
		return SIZE_MAX;
	if (n < t->sent_len && t->sent[n].len != text.len)
		return SIZE_MAX;
	talk_text(want, t, n, text.len);
	return memcmp(want, text.p, text.len) == 0 ? n : SIZE_MAX;
}

/* ---- Writing ---------------------------------------------------------------- */

static struct sent *add_sent(struct world *w, struct tie *t, int64_t position, size_t len)
{
	if (t->sent_len == t->sent_cap) {
		t->sent_cap = MAX(t->sent_cap * 2, (size_t)8);
		t->sent = need(realloc(t->sent, t->sent_cap * sizeof(*t->sent)));
	}
	t->sent[t->sent_len] =
	        (struct sent){ .position = position, .at_us = w->now_us, .len = (uint32_t)len };
	t->waiting++;
	w->counts.written++;
	world_tell(w, t->me, WORLD_WROTE);
	return &t->sent[t->sent_len++];
}

void talk_wrote(struct world *w, struct tie *t, int64_t position)
{
	world_log(w, t->me, "wrote #%zu to %s, %u bytes", t->sent_len, t->other->name,
	          (unsigned)t->asked_len);
	add_sent(w, t, position, t->asked_len);
}

void talk_told(struct world *w, struct tie *t, int64_t position)
{
	if (!w->checks)
		return;
	for (; t->told < t->sent_len; t->told++) {
		struct sent *s = &t->sent[t->told];

		if (s->flags & TALK_LOST)
			continue;
		if (s->position >= position)
			break;
		s->flags |= TALK_TOLD;
		w->counts.stored++;
		if (!(s->flags & TALK_ARRIVED)) {
			world_broken(w, t->me, "I1",
			             "was told that %s has stored #%zu, which never came there",
			             t->other->name, t->told);
			return;
		}
	}
}

bool talk_is_done(struct tie *t)
{
	while (t->told < t->sent_len && (t->sent[t->told].flags & TALK_LOST))
		t->told++;
	return t->back == NULL || t->forgotten || t->back->forgotten ||
	       (t->waiting == 0 && t->told == t->sent_len);
}

/* ---- Reading ---------------------------------------------------------------- */

struct look {
	struct world *w;
	struct tie *t; /* the reader's */
	bool own;      /* own messages count too: after a crash */
	bool older;
	size_t own_next; /* of my own, all before it were found or are known to be missing */
};

static void arrived(struct world *w, struct tie *from, size_t n)
{
	struct sent *s = &from->sent[n];

	s->flags &= (uint8_t)~TALK_UNSEEN;
	if (s->flags & TALK_ARRIVED)
		return;
	s->flags |= TALK_ARRIVED;
	s->arrived_us = w->now_us;
	w->counts.arrived++;
	if (!(s->flags & TALK_LOST))
		from->waiting--;
	if (w->hooks.arrived != NULL)
		w->hooks.arrived(w->hooks.arg, w, from, w->now_us - s->at_us);
}

/* Number n of what the other wrote stands next in the reader's conversation. */
static void received(struct look *l, size_t n)
{
	struct world *w = l->w;
	struct tie *t = l->t, *from = t->back;

	if (n >= from->sent_len) {
		world_broken(w, t->me, "I8", "shows #%zu of %s, which was never written", n, from->me->name);
		return;
	}
	if (n < t->seen) {
		world_broken(w, t->me, from->sent[n].flags & TALK_ARRIVED ? "I2" : "I3",
		             "shows #%zu of %s, after #%zu", n, from->me->name, t->seen - 1);
		return;
	}
	for (size_t i = t->seen; i < n; i++) {
		const uint8_t flags = from->sent[i].flags;

		if (!(flags & (TALK_LOST | TALK_UNSEEN)) && !l->older) {
			world_broken(w, t->me, "I3", "shows #%zu of %s, and not #%zu before it", n,
			             from->me->name, i);
			return;
		}
	}
	if (!l->own)
		world_log(w, t->me, "reads #%zu of %s", n, from->me->name);
	arrived(w, from, n);
	t->seen = n + 1;
}

/* An own message in the conversation, after a crash. */
static void found_own(struct look *l, const struct message *m, size_t n)
{
	struct tie *t = l->t;

	if (n > t->sent_len || n < l->own_next) {
		world_broken(l->w, t->me, "I11", "has an own #%zu to %s, which is not the next one", n,
		             t->other->name);
		return;
	}
	for (; l->own_next < n; l->own_next++) {
		struct sent *s = &t->sent[l->own_next];

		if (!(s->flags & TALK_LOST))
			world_broken(l->w, t->me, "I11", "has no #%zu to %s any more", l->own_next,
			             t->other->name);
	}
	if (n == t->sent_len) /* the power went after the commit, and before anybody heard of it */
		add_sent(l->w, t, m->position, m->content.len);
	t->sent[n].position = m->position;
	l->own_next = n + 1;
}

static int look_at(void *arg, const struct message *m)
{
	struct look *l = arg;
	struct tie *t = l->t;
	size_t n;

	t->seen_position = m->position + 1;
	if (m->own && !l->own)
		return 0;
	n = m->own ? which(t, m->content) : t->back == NULL ? SIZE_MAX : which(t->back, m->content);
	if (n == SIZE_MAX)
		world_broken(l->w, t->me, "I8", "shows what %s never wrote: %.*s",
		             m->own ? t->me->name : t->other->name, (int)MIN(m->content.len, (size_t)40),
		             (const char *)m->content.p);
	else if (m->own)
		found_own(l, m, n);
	else
		received(l, n);
	return l->w->stopped;
}

static int read_from(struct look *l, int64_t position)
{
	return messages_each(l->t->me->device.store, l->t->contact, position, INT64_MAX, look_at, l);
}

void talk_look(struct world *w, struct tie *t)
{
	struct look l = { .w = w, .t = t };
	int r;

	if (!w->checks)
		return;
	if (t->forgotten) {
		world_broken(w, t->me, "I12", "shows what %s wrote, who was forgotten", t->other->name);
		return;
	}
	r = read_from(&l, t->seen_position);
	if (r < 0 && !w->faults)
		world_broken(w, t->me, "I11", "cannot read what %s wrote: %s", t->other->name, err_str(r));
}

/* ---- After a crash ---------------------------------------------------------- */

/* The disk is older than it was: what came after it is gone. */
static void lose(struct world *w, struct tie *t, size_t from)
{
	for (size_t i = from; i < t->sent_len; i++) {
		if (!(t->sent[i].flags & (TALK_LOST | TALK_ARRIVED)))
			t->waiting--;
		t->sent[i].flags |= TALK_LOST;
	}
	t->told = MIN(t->told, from);
	(void)w;
}

static void unsee(struct tie *t)
{
	if (t->back == NULL)
		return;
	for (size_t i = 0; i < t->back->sent_len; i++)
		if (t->back->sent[i].flags & TALK_ARRIVED)
			t->back->sent[i].flags |= TALK_UNSEEN;
}

static void audit(struct world *w, struct tie *t, bool older)
{
	struct look l = { .w = w, .t = t, .own = true, .older = older };
	const size_t seen = t->seen;
	int r;

	if (older)
		unsee(t);
	t->seen = 0;
	t->seen_position = 0;
	r = read_from(&l, 0);
	if (w->stopped)
		return;
	if (r < 0) {
		if (!w->faults)
			world_broken(w, t->me, "I11", "cannot read what is said with %s: %s", t->other->name,
			             err_str(r));
		t->seen = seen;
		return;
	}
	world_log(w, t->me, "has %zu of what %s wrote, and %zu own", t->seen, t->other->name, l.own_next);
	if (older) {
		lose(w, t, l.own_next);
		return;
	}
	if (t->seen < seen)
		world_broken(w, t->me, "I1", "has no #%zu of %s any more", seen - 1, t->other->name);
	for (size_t i = l.own_next; i < t->sent_len; i++)
		if (!(t->sent[i].flags & TALK_LOST)) {
			world_broken(w, t->me, "I11", "has no #%zu to %s any more", i, t->other->name);
			return;
		}
}

static void audit_known(struct world *w, struct tie *t, size_t at, bool older)
{
	struct contact_view view;

	audit(w, t, older);
	/* What was told in a turn that the power ended is in the notebook, and is not told again. */
	node_contact_view(t->me->node, at, &view);
	if (!w->stopped)
		talk_told(w, t, view.stored_before);
}

void talk_audit(struct world *w, struct person *p, bool older)
{
	if (!w->checks)
		return;
	for (size_t i = 0; i < p->ties_len && !w->stopped; i++) {
		struct tie *t = p->ties[i];
		const int at = node_contact_find(p->node, span_str(t->other->name));

		if (t->rows != NULL)
			continue;
		/* A copy may be from before the two have met, or before one was forgotten. And where nobody
		 * heard whether that was done, only the notebook knows. */
		if (older || t->forgetting)
			t->forgotten = at < 0;
		t->forgetting = false;
		if (t->forgotten && at >= 0)
			world_broken(w, p, "I12", "knows %s again, who was forgotten", t->other->name);
		else if (!t->forgotten && t->contact != 0 && at < 0 && !older)
			world_broken(w, p, "I11", "does not know %s any more", t->other->name);
		else if (!t->forgotten && t->contact != 0 && at >= 0)
			audit_known(w, t, (size_t)at, older);
	}
}
