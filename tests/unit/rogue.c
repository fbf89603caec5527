#include "tests/unit/rogue.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/crypto/secrets.h"
#include "store/conversations.h"

#include "tests/unit/unit.h"

static struct rogue *listening; /* the world's watch has no argument */

static enum pair_role other(enum pair_role role)
{
	return role == ROLE_A ? ROLE_B : ROLE_A;
}

static int keep_contact(void *arg, const struct contact_record *c)
{
	*(struct contact_record *)arg = *c;
	return 0;
}

/* ---- Hearing --------------------------------------------------------------- */

static void hear_call(struct rogue *r, struct span bytes)
{
	struct sym_key key;
	int place;

	assert_int_equal(call_read(&r->overheard, bytes), 0);
	secrets_call_key(&key, &r->c.cur, other(r->c.role));
	place = call_find(&r->overheard, &key);
	if (place < 0 && r->w->n > 2)
		return; /* for another */
	r->heard = r->overheard;
	r->calls++;
	if (place >= 0) {
		const struct call_proof proof = call_proof_answer(&r->asked, &r->w->nodes[0].address);

		r->answers += call_is_live(&r->heard, place, &key, &proof);
	}
}

static void hear_frames(struct rogue *r, struct span frames)
{
	struct reader reader = reader_from(frames);
	struct frame f;

	while (frame_read(&f, &reader) == 0) {
		if (f.type == FRAME_STATE)
			r->state = f.state;
		if (f.type == FRAME_PIECE)
			r->pieces_end = MAX(r->pieces_end, f.piece.seq + 1);
		if (f.type == FRAME_STORED)
			r->stored = frame_stored_run(&f.list, f.list.n - 1).end;
	}
}

static void hear_datagram(struct rogue *r, struct span bytes)
{
	uint8_t plain[LINK_PLAIN_MAX];
	struct span frames;
	uint64_t pn;

	if (r->link.state == LINK_CALLING) {
		if (bytes.len == sizeof(r->wire))
			memcpy(r->wire, bytes.p, sizeof(r->wire));
		return;
	}
	if (link_open(&frames, &pn, &r->link, plain, bytes) != 0)
		return;
	r->datagrams++;
	r->largest = MAX(r->largest, pn);
	hear_frames(r, frames);
}

static void hear(struct world *w, size_t node, const struct effect *e, struct span bytes)
{
	struct rogue *r = listening;

	if (node != 0 || r->w != w)
		return;
	switch (e->kind) {
	case FX_CALL:
		hear_call(r, bytes);
		break;
	case FX_OPEN:
		if (!r->asking)
			break; /* a slot without multicast (meet.h) has come */
		r->path = e->path;
		r->open = true;
		r->opened++;
		break;
	case FX_CLOSE:
		if (e->path == r->path)
			r->open = false;
		break;
	case FX_SEND:
		if (e->path == r->path)
			hear_datagram(r, bytes);
		break;
	default:
		break;
	}
}

/* ---- Speaking -------------------------------------------------------------- */

void rogue_send(struct rogue *r, struct span bytes)
{
	struct event ev = { .kind = EV_DATAGRAM, .path = r->path, .bytes = bytes };

	world_event(r->w, 0, &ev);
}

void rogue_group(struct rogue *r, struct span bytes)
{
	struct event ev = { .kind = EV_CALL, .bytes = bytes, .from = r->w->nodes[1].address, .ttl = 255 };

	r->asking = true;
	world_event(r->w, 0, &ev);
	r->asking = false;
}

void rogue_say(struct rogue *r, struct span frames)
{
	uint8_t datagram[CARRIER_LARGE];
	uint64_t pn;
	const size_t len = link_seal(&pn, &r->link, &r->rng.base, datagram, frames);

	rogue_send(r, span_from(datagram, len));
}

void rogue_state(struct rogue *r, uint32_t epoch, uint64_t sent, uint64_t stored)
{
	const struct frame_state state = {
		.version_max = 1, .epoch = epoch, .sent = sent, .stored = stored, .clock_s = r->w->clock0
	};
	uint8_t buf[FRAME_STATE_LEN];
	struct writer w = WRITER_ON(buf);

	frame_write_state(&w, &state);
	rogue_say(r, writer_done(&w));
}

void rogue_ack(struct rogue *r)
{
	const struct range all = { 0, r->largest + 1 };
	uint8_t buf[64];
	struct writer w = WRITER_ON(buf);

	assert_true(frame_write_ack(&w, &all, 1, 0));
	rogue_say(r, writer_done(&w));
}

void rogue_call_again(struct rogue *r, const struct call *c)
{
	uint8_t bytes[CALL_LARGE_LEN];
	struct writer w = WRITER_ON(bytes);

	call_write(&w, c);
	rogue_group(r, writer_done(&w));
}

void rogue_call(struct rogue *r, struct call *out)
{
	struct sym_key key;
	const struct call_entry entry = {
		.key = &key,
		.proof = call_proof_clock(CALL_KIND_CALL, r->w->clock0 + r->w->now_us / 1000000,
		                          &r->w->nodes[1].address),
	};
	struct call c;

	secrets_call_key(&key, &r->c.cur, r->c.role);
	call_make(&c, CALL_SMALL, &entry, 1, &r->rng.base);
	r->asked = *call_nonce(&c);
	rogue_call_again(r, &c);
	if (out != NULL)
		*out = c;
}

void rogue_answer(struct rogue *r, const struct call *made)
{
	struct sym_key key;
	const struct call_entry entry = {
		.key = &key,
		.proof = call_proof_answer(call_nonce(made), &r->w->nodes[1].address),
	};
	const struct nonce16 asked = *call_nonce(made);
	struct call answer;

	secrets_call_key(&key, &r->c.cur, r->c.role);
	call_make(&answer, CALL_SMALL, &entry, 1, &r->rng.base);
	link_deinit(&r->link);
	link_init(&r->link, &(struct link_config){ LINK_ANSWERER, &r->c.cur, &r->c.s, &r->c.peer_s, &asked,
	                                           call_nonce(&answer) });
	r->said = answer;
	rogue_call_again(r, &answer);
}

void rogue_link(struct rogue *r)
{
	struct span wire;

	rogue_answer(r, &r->heard);
	world_run(r->w, 2000000); /* it may hold its call back, for the one of `a` */
	assert_int_equal(link_read_wire(&r->link, SPAN(r->wire)), 0);
	assert_int_equal(link_wire(&wire, &r->link, &r->rng.base), 0);
	r->datagrams = 0;
	r->largest = 0;
	rogue_send(r, wire);
	assert_true(r->datagrams > 0); /* its state */
	assert_int_equal(r->link.state, LINK_OPEN);
	secrets_next(&r->c.cur, &r->c.cur, link_x(&r->link));
}

void rogue_meet(struct rogue *r)
{
	const unsigned before = r->calls;

	for (unsigned i = 0; i < 60 && r->calls == before; i++)
		world_run(r->w, 1000000);
	assert_true(r->calls > before);
	rogue_link(r);
}

bool rogue_is_linked(const struct rogue *r)
{
	return world_linked(r->w, 0, 1);
}

/* ---- Beginning and end ----------------------------------------------------- */

void rogue_new(struct rogue *r, uint64_t seed)
{
	rogue_new_among(r, seed, 2);
}

void rogue_new_among(struct rogue *r, uint64_t seed, size_t n)
{
	struct conversation_record v;

	*r = (struct rogue){ .w = world_new(seed, n) };
	world_pair(r->w, 0, 1);
	for (size_t i = 2; i < n; i++)
		world_pair(r->w, 0, i);
	world_network(r->w, 1, false);
	random_seeded_init(&r->rng, ~seed); /* no stream that a node has */
	assert_int_equal(contacts_each(r->w->nodes[1].store, keep_contact, &r->c), 0);
	assert_int_equal(conversation_load(r->w->nodes[1].store, r->c.id, &v), 0);
	assert_int_equal(ratchet_decode(&r->ratchet, span_from(v.ratchet, v.ratchet_len)), 0);
	listening = r;
	r->w->watch = hear;
}

void rogue_free(struct rogue *r)
{
	link_deinit(&r->link);
	ratchet_deinit(&r->ratchet);
	world_free(r->w);
}
