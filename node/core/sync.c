/*
 * sync.c: envelopes over a link.
 *
 *     out     store, or packed now -> out[] -> pieces -> the other says `stored` -> forgotten
 *     in      pieces -> in[] -> whole, and its turn -> opened -> messages -> `stored` after the commit
 *
 * Envelopes are opened in the order of their numbers, so that each author's order is kept
 * and nothing is shown twice: what is below conversation.received was stored before.
 *
 * From a contact that has used up its quota, and from all while the disk has no room,
 * nothing is opened: what came waits in in[], and the other side, which hears of nothing
 * being stored, comes to a halt at ENVELOPES_AHEAD and keeps the rest. The session goes on,
 * and so does what we send.
 *
 * A vault that was put back to an older state is noticed when the first states come, by
 * both sides alike (states_disagree). Both then say a fresh R', take a new ratchet under
 * the next epoch, jump over the numbers that one of them has forgotten, and pack again
 * what the other does not have. Pieces go only after the other has acknowledged our R', so
 * that none arrives under a ratchet that is not there yet. Where one side alone has a
 * reason it gives up its epoch (disown_ratchet) and ends the session: the states of the
 * next one disagree, and nothing was packed meanwhile that the numbers would miss.
 */
#include "node/core/sync.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/core/text.h"
#include "node/crypto/kdf.h"
#include "node/crypto/secrets.h"
#include "store/envelopes.h"
#include "store/messages.h"
#include "store/skipped.h"

enum { PROTOCOL_VERSION = 1 };
enum { REPEATED = 1 }; /* outcome of take_repeat() */
/* The newest messages only: a contact can ask for a re-init again and again. */
enum { REPEATS_LOOKED_AT = 65536 };
enum { PACKED_PER_TURN = 8 }; /* envelopes made in one transaction for one contact */

void sync_begin(struct sync *y)
{
	*y = (struct sync){ .say_state = true };
}

/* ---- Buffers --------------------------------------------------------------- */

static void outgoing_free(struct outgoing *o)
{
	if (o == NULL)
		return;
	free(o->bytes); /* sealed */
	free(o);
}

static struct outgoing *outgoing_new(uint64_t sequence, uint32_t size)
{
	struct outgoing *o = malloc(sizeof(*o));

	if (o == NULL)
		return NULL;
	*o = (struct outgoing){ .sequence = sequence, .size = size, .bytes = malloc(size) };
	if (o->bytes != NULL)
		return o;
	free(o);
	return NULL;
}

static void incoming_free(struct incoming *i)
{
	if (i == NULL)
		return;
	free(i->bytes); /* sealed */
	free(i);
}

static struct incoming *incoming_new(uint32_t size)
{
	struct incoming *i = malloc(sizeof(*i));

	if (i == NULL)
		return NULL;
	*i = (struct incoming){ .size = size, .bytes = malloc(size) };
	if (i->bytes != NULL)
		return i;
	free(i);
	return NULL;
}

static void drop_outgoing(struct sync *y, size_t count)
{
	for (size_t i = 0; i < count; i++)
		outgoing_free(y->out[i]);
	y->out_len -= count;
	memmove(&y->out[0], &y->out[count], y->out_len * sizeof(y->out[0]));
}

static void drop_incoming(struct sync *y)
{
	for (size_t i = 0; i < ENVELOPES_AHEAD; i++) {
		incoming_free(y->in[i]);
		y->in[i] = NULL;
	}
}

void sync_end(struct sync *y)
{
	drop_outgoing(y, y->out_len);
	drop_incoming(y);
	ratchet_cache_deinit(&y->cache);
	sodium_memzero(y, sizeof(*y));
}

/* ---- Re-init --------------------------------------------------------------- */

static void reinit_begin(struct node *n, struct contact *c, struct sync *y)
{
	y->reinit = REINIT_BEGUN;
	y->told = (struct ranges){ 0 }; /* it was said of the old epoch */
	/* PROTOCOL section 6: E = 1 + the larger epoch of the two states. */
	y->reinit_epoch = 1 + MAX(c->conversation.epoch, y->peer.epoch);
	key_pair_new(&y->reinit_r, n->rng);
	y->say_reinit = true;
}

/* A vault that was put back, here or there: somebody has stored what nobody has made. */
static bool states_disagree(const struct contact *c, const struct sync *y, const struct frame_state *peer)
{
	const struct conversation_record *v = &c->conversation;

	return peer->epoch != v->epoch || peer->stored > v->sent ||
	       peer->sent + y->opened_before < v->received;
}

/* The ratchet is of no use, and the other side does not know: gives up its epoch, so that the next session
 * begins with two states that disagree. The steps differ, so that both may do it at once. */
static int disown_ratchet(struct contact *c)
{
	c->conversation.epoch += c->record.role == ROLE_A ? 1 : 2;
	c->conversation_changed = true;
	return SYNC_BROKEN;
}

/* From here on our messages that the other does not hold are packed again. */
static int pack_again(struct node *n, struct contact *c, uint64_t from)
{
	struct conversation_record *v = &c->conversation;
	int64_t first, end;
	int r = envelopes_positions(n->store, c->record.id, from, &first, &end);

	if (r < 0)
		return r;
	if (r == 0)
		v->packed = MIN(v->packed, first);
	return envelopes_remove_from(n->store, c->record.id, from);
}

/* Numbers of envelopes that one side made or stored and the other does not know of are jumped over. */
static int renumber(struct node *n, struct contact *c, const struct frame_state *peer)
{
	struct conversation_record *v = &c->conversation;
	int r = envelopes_forget(n->store, c->record.id, v->handed,
	                         peer->stored); /* never told of by `stored` */

	if (r == 0)
		r = pack_again(n, c, peer->stored);
	if (r != 0)
		return r;
	v->sent = MAX(v->sent, peer->stored);
	v->handed = v->sent;
	v->may_repeat = true;
	v->repeats = MAX(c->next_position - REPEATS_LOOKED_AT, 0);
	v->stored_before = v->packed;
	return messages_count_own(n->store, c->record.id, v->stored_before, c->next_position, &c->waiting);
}

static int new_ratchet(struct node *n, struct contact *c, struct sync *y, const struct sym_key *x,
                       const struct public_key *peer_r)
{
	const bool is_a = c->record.role == ROLE_A;
	const struct secrets_pair pair = {
		.s_a = is_a ? c->record.s.public : c->record.peer_s,
		.s_b = is_a ? c->record.peer_s : c->record.s.public,
		.r_a = is_a ? y->reinit_r.public : *peer_r,
		.r_b = is_a ? *peer_r : y->reinit_r.public,
	};
	struct ratchet_root root;
	struct secrets_result result;
	struct root_secret secret;
	struct ratchet fresh;
	int r;

	secrets_root_reinit(&secret, x, y->reinit_epoch, &pair);
	secrets_of_root(&result, &secret);
	root = (struct ratchet_root){ .rk0 = result.rk0, .ha = result.ha, .nb = result.nb };
	secrets_aid(&root.aid, &pair.s_a, &pair.s_b, y->reinit_epoch);
	r = ratchet_init(&fresh, c->record.role, &root, &y->reinit_r, peer_r, n->rng);
	if (r == 0) {
		ratchet_deinit(&c->ratchet);
		c->ratchet = fresh;
	}
	sodium_memzero(&fresh, sizeof(fresh));
	sodium_memzero(&root, sizeof(root));
	sodium_memzero(&result, sizeof(result));
	sodium_memzero(&secret, sizeof(secret));
	return r == 0 ? 0 : SYNC_BROKEN;
}

/* Both R' are there: the new ratchet, in one transaction with the numbers. */
static int reinit_finish(struct node *n, struct contact *c, struct sync *y, const struct sym_key *x,
                         const struct public_key *peer_r)
{
	int r = new_ratchet(n, c, y, x, peer_r);

	if (r == 0)
		r = renumber(n, c, &y->peer);
	if (r != 0)
		return r;
	sodium_memzero(&y->reinit_r.secret, sizeof(y->reinit_r.secret));
	c->conversation.epoch = y->reinit_epoch;
	c->conversation_changed = true;
	y->jump_to = MAX(c->conversation.received, y->peer.sent);
	drop_outgoing(y, y->out_len);
	drop_incoming(y);
	ratchet_cache_deinit(&y->cache);
	y->reinit = REINIT_DONE;
	y->say_state = true;
	return 0;
}

/* The other side has the new ratchet too: the numbers that it does not use any more are jumped over. Were it
 * done before, and the session broke, what it has not packed again by then would count as stored. */
static void jump(struct contact *c, struct sync *y)
{
	if (y->jump_to <= c->conversation.received)
		return;
	c->conversation.received = y->jump_to;
	c->conversation_changed = true;
}

static int reinit_frame(struct node *n, struct contact *c, struct sync *y, const struct sym_key *x,
                        const struct frame_reinit *f)
{
	if (!y->met) {
		y->early = *f; /* it overtook the state */
		y->has_early = true;
		return 0;
	}
	if (f->epoch <= c->conversation.epoch)
		return 0; /* it came twice */
	if (y->reinit == REINIT_NONE)
		return disown_ratchet(c);
	if (y->reinit == REINIT_DONE || f->epoch != y->reinit_epoch)
		return SYNC_BROKEN;
	return reinit_finish(n, c, y, x, &f->r);
}

/* ---- State and stored ------------------------------------------------------ */

/* The other side has stored our envelopes below count, without a gap. */
static int handed(struct node *n, struct contact *c, struct sync *y, uint64_t count)
{
	struct conversation_record *v = &c->conversation;
	int64_t first, end, stored;
	int r;

	if (count <= v->handed)
		return 0;
	r = envelopes_positions(n->store, c->record.id, count - 1, &first, &end);
	if (r != 0)
		return r < 0 ? r : ERR_CORRUPT;
	r = envelopes_forget(n->store, c->record.id, v->handed, count);
	if (r != 0)
		return r;
	r = messages_count_own(n->store, c->record.id, v->stored_before, end, &stored);
	if (r != 0)
		return r;
	drop_outgoing(y, MIN(y->out_len, (size_t)(count - v->handed)));
	v->handed = count;
	v->stored_before = end;
	c->waiting -= stored;
	c->conversation_changed = true;
	effect_notice(n->fx, NOTICE_STORED, c->record.id, end, SPAN_NONE);
	return 0;
}

/* What the other side said of later envelopes before it said it of these. */
static int take_told(struct node *n, struct contact *c, struct sync *y)
{
	int r = 0;

	while (r == 0 && y->told.n > 0 && y->told.v[0].first <= c->conversation.handed) {
		const uint64_t end = y->told.v[0].end;

		ranges_drop_lowest(&y->told);
		r = handed(n, c, y, end);
	}
	return r;
}

static int handed_and_told(struct node *n, struct contact *c, struct sync *y, uint64_t count)
{
	const int r = handed(n, c, y, count);

	return r == 0 ? take_told(n, c, y) : r;
}

/* The first state of the session decides whether it goes on from where the last one ended. */
static int first_state(struct node *n, struct contact *c, struct sync *y, const struct sym_key *x,
                       const struct frame_state *f)
{
	if (f->epoch > EPOCH_MAX || f->sent > SEQUENCE_MAX || f->stored > SEQUENCE_MAX)
		return SYNC_BROKEN; /* ours would follow, and have nowhere to count on to */
	y->met = true;
	y->peer = *f;
	c->record.clock_offset = (int64_t)(f->clock_s - n->clock);
	c->record_changed = true;
	if (states_disagree(c, y, f)) {
		reinit_begin(n, c, y);
		return y->has_early ? reinit_frame(n, c, y, x, &y->early) : 0;
	}
	if (f->stored < c->conversation.handed || y->has_early)
		return disown_ratchet(c);
	return handed_and_told(n, c, y, f->stored);
}

static int state_frame(struct node *n, struct contact *c, struct sync *y, const struct sym_key *x,
                       const struct frame_state *f)
{
	if (!y->met)
		return first_state(n, c, y, x, f);
	/* Later ones repeat, at most, what `stored` has said; one from before a re-init says nothing any
	 * more. */
	if (y->reinit == REINIT_BEGUN || f->epoch != c->conversation.epoch ||
	    f->stored > c->conversation.sent)
		return 0;
	jump(c, y);
	return handed_and_told(n, c, y, f->stored);
}

/* One may overtake another, or the first state; it is acknowledged, so that nobody says it again. */
static int stored_frame(struct node *n, struct contact *c, struct sync *y, const struct frame_list *list)
{
	if (y->reinit == REINIT_BEGUN)
		return 0;
	for (size_t i = 0; i < list->n; i++) {
		const struct range run = frame_stored_run(list, i);

		if (run.end > c->conversation.sent)
			return y->met ? SYNC_BROKEN : 0;
		if (ranges_add(&y->told, run.first, run.end) != 0)
			return SYNC_BROKEN; /* so many gaps nobody leaves; the next session's state tells */
	}
	return y->met ? take_told(n, c, y) : 0;
}

/* ---- Receiving ------------------------------------------------------------- */

/* Looks for a message that came before. */
struct repeat {
	const struct text_message *m;
	int64_t position;
};

static int is_repeat(void *arg, const struct message *old)
{
	struct repeat *r = arg;
	const struct text_message *m = r->m;

	if (old->own || old->kind != MIN(m->kind, UINT16_MAX) || old->claimed != m->claimed ||
	    old->not_before != m->not_before || old->drop_after != m->drop_after ||
	    !span_equal(old->content, m->content))
		return 0;
	r->position = old->position;
	return REPEATED;
}

/* Who put an older vault back says again what had waited in it, though it had arrived since: the same
 * messages, in their order, before anything new. Returns 0, REPEATED, or an enum err. */
static int take_repeat(struct node *n, struct contact *c, const struct text_message *m)
{
	struct conversation_record *v = &c->conversation;
	struct repeat repeat = { .m = m };
	const int r = messages_each(n->store, c->record.id, v->repeats, INT64_MAX, is_repeat, &repeat);

	if (r < 0)
		return r;
	v->may_repeat = r == REPEATED;
	v->repeats = v->may_repeat ? repeat.position + 1 : 0;
	return r;
}

static int keep_message(struct node *n, struct contact *c, uint64_t sequence, uint16_t place,
                        const struct text_message *m)
{
	const struct message message = {
		.position = c->next_position,
		.sequence = sequence,
		.place = place,
		.kind = (uint16_t)MIN(m->kind, UINT16_MAX),
		.claimed = m->claimed,
		.arrived = n->clock,
		.not_before = m->not_before,
		.drop_after = m->drop_after,
		.content = m->content,
	};
	int r = 0;

	if (c->conversation.may_repeat)
		r = take_repeat(n, c, m);
	if (r == 0)
		r = messages_add(n->store, c->record.id, &message);
	if (r != 0)
		return MIN(r, 0);
	if (c->arrived_from < 0)
		c->arrived_from = c->next_position;
	/* Where nothing of ours waits to be packed, packing begins behind this one. */
	if (c->conversation.packed == c->next_position)
		c->conversation.packed++;
	c->next_position++;
	return 0;
}

/* Keeps the messages of a text. One that breaks the rules of section 6 comes from a broken program of the
 * contact's own: it counts as stored, since it would never get better, and says nothing. */
static int keep_text(struct node *n, struct contact *c, struct span bytes)
{
	struct text text;
	struct text_message m;
	uint16_t place = 0;
	int r = 0;

	if (text_decode(&text, bytes) != 0 || text.head.sequence != c->conversation.received)
		return 0;
	while (r == 0 && text_next(&text, &m))
		r = keep_message(n, c, text.head.sequence, place++, &m);
	return r;
}

static int open_envelope(struct node *n, struct contact *c, struct sync *y, struct span envelope)
{
	uint8_t *plain = malloc(envelope.len);
	struct skipped_rows skipped;
	struct writer text;
	int r;

	if (plain == NULL)
		return ERR_NOMEM;
	text = writer_on(plain, envelope.len);
	skipped_rows_init(&skipped, n->store, c->record.id, node_running_s(n));
	r = ratchet_open(&c->ratchet, &y->cache, n->rng, &skipped.base, envelope, &text);
	if (r == 0)
		r = keep_text(n, c, writer_done(&text));
	sodium_memzero(plain, envelope.len);
	free(plain);
	return r;
}

/* Envelope conversation.received is whole. */
static int open_next(struct node *n, struct contact *c, struct sync *y)
{
	struct incoming *i = y->in[0];
	const int64_t position = c->next_position;
	const int r = open_envelope(n, c, y, span_from(i->bytes, i->size));

	if (r < 0)
		return r;
	if (r != 0)
		return disown_ratchet(c); /* it is not for this ratchet: one of us is not who he was */
	quota_count(&c->quota, n->now_us, i->size, c->next_position - position);
	incoming_free(i);
	memmove(&y->in[0], &y->in[1], (ENVELOPES_AHEAD - 1) * sizeof(y->in[0]));
	y->in[ENVELOPES_AHEAD - 1] = NULL;
	if (!y->say_stored)
		y->stored_from = c->conversation.received;
	y->say_stored = true;
	c->conversation.received++;
	c->conversation_changed = true;
	y->opened_before += !y->met;
	return 0;
}

static bool is_whole(const struct incoming *i)
{
	return i != NULL && ranges_cover(&i->have, 0, i->size);
}

int sync_take(struct node *n, struct contact *c, struct sync *y)
{
	int r = 0;

	while (r == 0 && !n->room_low && is_whole(y->in[0])) {
		if (!contact_may_send(c, n->now_us)) {
			if (!c->held)
				effect_notice(n->fx, NOTICE_HELD, c->record.id, 0, SPAN_NONE);
			c->held = true;
			return 0;
		}
		c->held = false;
		r = open_next(n, c, y);
	}
	return r;
}

uint64_t sync_deadline_us(const struct node *n, const struct contact *c, const struct sync *y)
{
	const uint64_t until = quota_until_us(&c->quota);

	return c->held && !n->room_low && is_whole(y->in[0]) && contact_may_send(c, until) ? until : NEVER_US;
}

static int piece_frame(struct node *n, struct contact *c, struct sync *y, const struct frame_piece *f)
{
	struct incoming *i;
	uint64_t ahead;

	/* Pieces may overtake the other's state: it has seen ours, and found that it agrees. */
	if (y->reinit == REINIT_BEGUN)
		return 0; /* of the old ratchet: what it says is packed again */
	jump(c, y);
	ahead = f->seq - c->conversation.received;
	if (f->seq < c->conversation.received) {
		/* Stored before; say so again, that word may have been lost with a session. */
		if (!y->say_stored || y->stored_from > f->seq)
			y->stored_from = f->seq;
		y->say_stored = true;
		return 0;
	}
	if (ahead >= ENVELOPES_AHEAD)
		return SYNC_BROKEN;
	i = y->in[ahead];
	if (i == NULL)
		i = y->in[ahead] = incoming_new(f->total);
	if (i == NULL)
		return ERR_NOMEM;
	if (i->size != f->total || ranges_add(&i->have, f->offset, f->offset + f->bytes.len) != 0)
		return SYNC_BROKEN;
	memcpy(i->bytes + f->offset, f->bytes.p, f->bytes.len);
	return sync_take(n, c, y);
}

int sync_frame(struct node *n, struct contact *c, struct sync *y, const struct sym_key *x,
               const struct frame *f)
{
	switch (f->type) {
	case FRAME_STATE:
		return state_frame(n, c, y, x, &f->state);
	case FRAME_PIECE:
		return piece_frame(n, c, y, &f->piece);
	case FRAME_STORED:
		return stored_frame(n, c, y, &f->list);
	case FRAME_REINIT:
		return reinit_frame(n, c, y, x, &f->reinit);
	default:
		return 0; /* what couriers say is not heard */
	}
}

/* ---- Packing --------------------------------------------------------------- */

struct packing {
	struct text_writer text;
	int64_t end; /* one past the last message that went in */
	size_t count;
};

static int pack_message(void *arg, const struct message *m)
{
	struct packing *p = arg;
	const struct text_message message = {
		.kind = m->kind,
		.claimed = m->claimed,
		.not_before = m->not_before,
		.drop_after = m->drop_after,
		.has_not_before = m->not_before != 0,
		.has_drop_after = m->drop_after != 0,
		.content = m->content,
	};
	const int r = text_add(&p->text, &message);

	assert(r != TEXT_REFUSED); /* it was checked when it was written */
	if (r != 0)
		return r;
	p->end = m->position + 1;
	p->count++;
	return 0;
}

/* Seals the text as the next envelope and keeps it, with everything that it changes, in this transaction. */
static int seal(struct node *n, struct contact *c, struct sync *y, const struct packing *p, struct span text)
{
	struct conversation_record *v = &c->conversation;
	const size_t size = envelope_size_for(text.len);
	struct outgoing *o = outgoing_new(v->sent, (uint32_t)size);
	struct writer w;
	int r;

	if (o == NULL)
		return ERR_NOMEM;
	w = writer_on(o->bytes, size);
	r = ratchet_seal(&c->ratchet, n->rng, text, size, &w);
	assert(r == 0); /* there is room in the chain, and the text fits its class */
	r = envelopes_add(n->store, c->record.id, v->sent, v->packed, p->end, writer_done(&w));
	if (r != 0) {
		outgoing_free(o);
		return r;
	}
	y->out[y->out_len++] = o;
	text_hash(&v->previous, text);
	v->has_previous = true;
	v->sent++;
	v->packed = p->end;
	c->conversation_changed = true;
	return 0;
}

/* The next waiting messages, as many as fit into a text of at most limit bytes in buf. */
static int gather(struct packing *p, struct node *n, struct contact *c, uint8_t *buf, size_t limit)
{
	const struct conversation_record *v = &c->conversation;
	const struct text_head head = {
		.sequence = v->sent,
		.acknowledged = v->received,
		.has_previous = v->has_previous,
		.previous = v->previous,
	};
	int r;

	*p = (struct packing){ .end = v->packed };
	text_begin(&p->text, buf, limit, &head);
	r = messages_each_own(n->store, c->record.id, v->packed, TEXT_MESSAGES_MAX, pack_message, p);
	if (r == 0 && p->count < TEXT_MESSAGES_MAX)
		p->end = c->next_position; /* none of ours is left behind the last one */
	return MIN(r, 0);
}

/* Whether more than a quarter of the envelope would be zeros, and there is a smaller one. */
static bool wastes_room(const struct packing *p)
{
	const size_t len = text_len(&p->text), size = envelope_size_for(len);

	return size > ENVELOPE_MIN && len < size - size / 4;
}

/* Packs the next waiting messages into one envelope: into one that they fill, where there are enough. */
static int pack_one(struct node *n, struct contact *c, struct sync *y)
{
	const size_t room = TEXT_MAX + TEXT_HEAD_MAX;
	uint8_t *buf = malloc(room);
	struct packing p;
	int r;

	if (buf == NULL)
		return ERR_NOMEM;
	r = gather(&p, n, c, buf, TEXT_MAX);
	if (r == 0 && p.count > 1 && wastes_room(&p)) {
		r = gather(&p, n, c, buf, envelope_text_max(envelope_size_for(text_len(&p.text)) / 4));
		if (r == 0 && p.count == 0) /* the first one is too long for that */
			r = gather(&p, n, c, buf, TEXT_MAX);
	}
	if (r == 0 && p.count > 0)
		r = seal(n, c, y, &p, text_end(&p.text));
	else if (r == 0)
		c->conversation.packed = p.end;
	sodium_memzero(buf, room);
	free(buf);
	return r;
}

/* An envelope that an earlier session did not bring home. */
static int load_one(struct node *n, struct contact *c, struct sync *y, uint64_t sequence)
{
	uint8_t *buf = malloc(ENVELOPE_MAX);
	struct outgoing *o = NULL;
	size_t len = 0;
	int r = buf == NULL ? ERR_NOMEM
	                    : envelopes_read(n->store, c->record.id, sequence, buf, ENVELOPE_MAX, &len);

	if (r == ENVELOPES_NONE)
		r = ERR_CORRUPT;
	if (r == 0)
		o = outgoing_new(sequence, (uint32_t)len);
	if (r == 0 && o == NULL)
		r = ERR_NOMEM;
	if (r == 0) {
		memcpy(o->bytes, buf, len);
		y->out[y->out_len++] = o;
	}
	free(buf);
	return r;
}

static bool may_send_pieces(const struct sync *y)
{
	return y->met && (y->reinit == REINIT_NONE || (y->reinit == REINIT_DONE && y->reinit_acked));
}

int sync_pack(struct node *n, struct contact *c, struct sync *y)
{
	struct conversation_record *v = &c->conversation;
	int r = 0;

	if (!may_send_pieces(y))
		return 0;
	for (unsigned i = 0; r == 0 && i < PACKED_PER_TURN && y->out_len < ENVELOPES_AHEAD; i++) {
		const uint64_t next = v->handed + y->out_len;

		if (next < v->sent)
			r = load_one(n, c, y, next);
		else if (v->packed < c->next_position && c->waiting > 0 &&
		         ratchet_room(&c->ratchet, v->sent - v->handed) > 0)
			r = pack_one(n, c, y);
		else
			break;
	}
	return r;
}

/* ---- Sending --------------------------------------------------------------- */

static struct outgoing *next_outgoing(const struct sync *y)
{
	for (size_t i = 0; i < y->out_len; i++)
		if (y->out[i]->lost.n > 0 || y->out[i]->next < y->out[i]->size)
			return y->out[i];
	return NULL;
}

bool sync_has_more(const struct sync *y)
{
	return y->say_reinit || y->say_state || y->say_stored ||
	       (may_send_pieces(y) && next_outgoing(y) != NULL);
}

static bool fill_reinit(struct sync *y, struct writer *w, struct sent_frame *sent)
{
	const struct frame_reinit f = { .r = y->reinit_r.public, .epoch = y->reinit_epoch };

	if (!y->say_reinit || writer_left(w) < FRAME_REINIT_LEN)
		return false;
	frame_write_reinit(w, &f);
	*sent = (struct sent_frame){ .type = FRAME_REINIT };
	y->say_reinit = false;
	return true;
}

static bool fill_state(struct node *n, struct contact *c, struct sync *y, struct writer *w,
                       struct sent_frame *sent)
{
	const struct frame_state f = {
		.version_max = PROTOCOL_VERSION,
		.epoch = c->conversation.epoch,
		.sent = c->conversation.sent,
		.stored = c->conversation.received,
		.clock_s = n->clock,
	};

	if (!y->say_state || writer_left(w) < FRAME_STATE_LEN)
		return false;
	frame_write_state(w, &f);
	*sent = (struct sent_frame){ .type = FRAME_STATE };
	y->say_state = false;
	return true;
}

static bool fill_stored(struct contact *c, struct sync *y, struct writer *w, struct sent_frame *sent)
{
	struct range run = { y->stored_from, c->conversation.received };

	if (!y->say_stored || writer_left(w) < 2 + FRAME_STORED_RUN_LEN)
		return false;
	/* A count has 32 bits, and how far a re-init jumped was for the other side to say. */
	run.first = MAX(run.first, run.end - MIN(run.end, (uint64_t)UINT32_MAX));
	frame_write_stored(w, &run, 1);
	*sent = (struct sent_frame){ .type = FRAME_STORED, .a = run.first };
	y->say_stored = false;
	return true;
}

/* The next piece of o that fits: what was lost before what was never sent. */
static struct range next_piece(struct outgoing *o, size_t room)
{
	struct range piece;

	if (o->lost.n > 0) {
		const struct range lost = o->lost.v[0];

		piece = (struct range){ lost.first, MIN(lost.end, lost.first + room) };
		ranges_drop_lowest(&o->lost);
		if (piece.end < lost.end && ranges_add(&o->lost, piece.end, lost.end) != 0)
			assert(false); /* one was just taken out */
		return piece;
	}
	piece = (struct range){ o->next, MIN((uint64_t)o->size, o->next + room) };
	o->next = (uint32_t)piece.end;
	return piece;
}

static bool fill_piece(struct sync *y, struct writer *w, struct sent_frame *sent)
{
	struct outgoing *o = may_send_pieces(y) ? next_outgoing(y) : NULL;
	struct range piece;
	struct frame_piece f;

	if (o == NULL || writer_left(w) <= FRAME_PIECE_HEAD_LEN)
		return false;
	piece = next_piece(o, writer_left(w) - FRAME_PIECE_HEAD_LEN);
	f = (struct frame_piece){
		.seq = o->sequence,
		.offset = (uint32_t)piece.first,
		.total = o->size,
		.bytes = span_from(o->bytes + piece.first, piece.end - piece.first),
	};
	frame_write_piece(w, FRAME_PIECE, &f);
	*sent = (struct sent_frame){
		.type = FRAME_PIECE, .a = o->sequence, .b = f.offset, .c = (uint32_t)f.bytes.len
	};
	return true;
}

size_t sync_fill(struct node *n, struct contact *c, struct sync *y, struct writer *w, struct sent_frame *sent,
                 size_t max)
{
	size_t len = 0;

	assert(max >= 4);
	len += fill_reinit(y, w, &sent[len]);
	len += fill_state(n, c, y, w, &sent[len]);
	len += fill_stored(c, y, w, &sent[len]);
	while (len < max && fill_piece(y, w, &sent[len]))
		len++;
	return len;
}

void sync_acked(struct sync *y, const struct sent_frame *f)
{
	if (f->type == FRAME_REINIT)
		y->reinit_acked = true;
}

static void piece_lost(struct sync *y, const struct sent_frame *f)
{
	for (size_t i = 0; i < y->out_len; i++) {
		struct outgoing *o = y->out[i];

		if (o->sequence != f->a)
			continue;
		if (ranges_add(&o->lost, f->b, (uint64_t)f->b + f->c) != 0) {
			/* Too many holes to tell apart: all of it again. */
			o->lost = (struct ranges){ 0 };
			o->next = 0;
		}
		return;
	}
}

void sync_lost(struct sync *y, const struct sent_frame *f)
{
	switch (f->type) {
	case FRAME_REINIT:
		y->say_reinit = !y->reinit_acked;
		break;
	case FRAME_STATE:
		y->say_state = true;
		break;
	case FRAME_STORED:
		y->stored_from = y->say_stored ? MIN(y->stored_from, f->a) : f->a;
		y->say_stored = true;
		break;
	case FRAME_PIECE:
		piece_lost(y, f);
		break;
	default:
		break;
	}
}
