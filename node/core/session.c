/*
 * session.c: the life of a path.
 *
 *     CALLING    our call was answered: wire1 every 300 ms until wire2 comes
 *     HELD       the same, but the call of `a` goes first: CALLING after 1 s (PROTOCOL section 4)
 *     WAITING    we answered: openers every 300 ms until wire1 comes
 *     ANSWERING  wire1 came: wire2 every 300 ms until the first datagram comes
 *     UP         frames
 *
 *     HELD -> CALLING -> UP        WAITING -> ANSWERING -> UP        any -> gone
 *
 * Over Bluetooth nothing is lost: openers do not go, a flight goes once, nothing is resent.
 * A contact has one link, and that over the local network where there is one (PROTOCOL
 * section 9): a session over Bluetooth gives way when one over the network comes up.
 *
 * A path that does not come up in 20 s is given up. The link secret moves on when a
 * session comes up (PROTOCOL section 3), in the transaction of that turn, so that nothing
 * of the session is on the air before it.
 */
#include "node/core/session.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/core/finder.h"
#include "node/core/radio.h"
#include "node/core/sync.h"
#include "transport/call.h"
#include "transport/link.h"
#include "transport/received.h"
#include "transport/recovery.h"

enum { HELD_S = 1 }; /* how long `b` waits for the call of `a`, and an answer for what follows it */
enum { KEEPALIVE_LOW_S = 60, KEEPALIVE_HIGH_S = 100 };
enum { SUSPECT_PTOS = 3 };    /* probes without an answer, and the contact is called again */
enum { SUSPECT_STALLS = 1 };  /* the same over Bluetooth, where no probe goes (recovery.h) */
enum { SMALL_PTOS = 2 };      /* the same before a large datagram ever came through */
enum { LARGE_LOST_MAX = 12 }; /* pieces that filled one, lost in a row, and no more are tried */
enum { SETTLED_S = 5 };       /* a link this old has seen what was on its way when it came up */
enum { SUSPECT_CHECK_S = 1 }; /* how soon a hint that nobody listens is looked into */

enum session_state { SESSION_CALLING, SESSION_HELD, SESSION_WAITING, SESSION_ANSWERING, SESSION_UP };

struct session {
	struct session *next;
	struct contact *contact; /* borrowed: the contact drops its sessions before it goes */
	uint32_t path;
	enum session_state state;
	bool lent;     /* the path is another's: it is not closed here */
	bool reliable; /* it is a Bluetooth channel */
	struct address local, remote;
	struct link_secret used; /* L_used */
	struct link link;
	uint64_t began_us;       /* the path; since SESSION_UP, when that was */
	uint64_t held_until_us;  /* of SESSION_HELD */
	uint64_t next_flight_us; /* opener, wire1, wire2 */

	/* From SESSION_UP on. */
	struct recovery recovery;
	struct received received;
	struct sync sync;
	unsigned large_lost; /* in a row */
	bool large_came;     /* one of ours was acknowledged */
	bool small;          /* the path bears no large ones */
	uint64_t keepalive_us;
	unsigned keepalives; /* sent since something was heard */
	bool more;           /* the turn had no room for all: go on at once */
};

enum reach session_reach(const struct contact *c)
{
	if (c->up == NULL || c->suspect)
		return REACH_NONE;
	return c->up->reliable ? REACH_BLUETOOTH : REACH_NETWORK;
}

uint64_t session_up_since_us(const struct session *s)
{
	return s->began_us;
}

/* ---- Coming and going ------------------------------------------------------ */

static struct session **place_of(struct contact *c, const struct session *s)
{
	if (c->up == s)
		return &c->up;
	return c->calling == s ? &c->calling : &c->answering;
}

/* The path closes; nothing is said. */
static void drop(struct node *n, struct session *s)
{
	struct contact *c = s->contact;
	struct session **at = &n->sessions;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	*place_of(c, s) = NULL;
	if (!s->lent)
		effect_close(n->fx, s->path);
	recovery_deinit(&s->recovery);
	sync_end(&s->sync);
	link_deinit(&s->link);
	sodium_memzero(s, sizeof(*s));
	free(s);
}

/* The same, and where it was the link, it is missed. */
static void lose(struct node *n, struct session *s)
{
	struct contact *c = s->contact;
	const bool was_up = c->up == s;

	drop(n, s);
	if (!was_up)
		return;
	c->suspect = false;
	effect_notice(n->fx, NOTICE_UNLINKED, c->record.id, 0, SPAN_NONE);
	finder_miss(n);
}

void session_drop_all_of(struct node *n, struct contact *c)
{
	struct session *all[] = { c->up, c->calling, c->answering };

	for (size_t i = 0; i < COUNT_OF(all); i++)
		if (all[i] != NULL)
			lose(n, all[i]);
}

static void send_frames(struct node *n, struct session *s, uint8_t *buf, size_t len,
                        const struct sent_frame *sent, size_t sent_len);

static void say_close(struct node *n, struct session *s)
{
	uint8_t *buf = effect_send(n->fx, s->path, CARRIER_LARGE);
	struct writer w;

	if (buf == NULL)
		return;
	w = writer_on(buf + LINK_FRAMES_AT, CARRIER_SMALL_FRAMES);
	frame_write_close(&w);
	send_frames(n, s, buf, w.len, NULL, 0);
}

void session_end_all_of(struct node *n, struct contact *c)
{
	if (c->up != NULL)
		say_close(n, c->up);
	session_drop_all_of(n, c);
}

/* Begins a handshake, over a path of its own or one that is lent; NULL when out of memory. */
static struct session *begin(struct node *n, struct contact *c, enum link_role role, const struct found *f)
{
	const struct sym_key *caller = role == LINK_INITIATOR ? &c->keys[f->kind].out : &c->keys[f->kind].in;
	struct session *s = calloc(1, sizeof(*s));
	struct link_config config;

	if (s == NULL)
		return NULL;
	s->contact = c;
	s->lent = f->lent;
	s->reliable = address_is_bluetooth(&f->remote);
	s->path = f->path != 0 ? f->path : node_new_path(n);
	s->state = role == LINK_INITIATOR ? SESSION_CALLING : SESSION_WAITING;
	s->local = f->local;
	s->remote = f->remote;
	s->used = *contact_secret(c, f->kind);
	s->began_us = s->next_flight_us = n->now_us;
	if (s->reliable && role == LINK_ANSWERER)
		s->next_flight_us = NEVER_US; /* there is no firewall to open */
	config = (struct link_config){
		.role = role,
		.secret = &s->used,
		.own = &c->record.s,
		.peer = &c->record.peer_s,
		.n_initiator = &f->n_call,
		.n_answerer = &f->n_answer,
	};
	link_init(&s->link, &config);
	s->next = n->sessions;
	n->sessions = s;
	if (f->path == 0)
		effect_open(n->fx, s->path, &s->local, &s->remote,
		            call_port(caller, &f->n_call, &f->n_answer));
	return s;
}

/* The call of `a` goes first. It does not live longer for being held. */
static void hold(struct node *n, struct session *s)
{
	s->state = SESSION_HELD;
	s->held_until_us = n->now_us + HELD_S * SECOND_US;
}

/* PROTOCOL section 4: a side that has both answered and been answered goes on with the call of `a`. */
int session_call_answered(struct node *n, struct contact *c, const struct found *f)
{
	struct session *waiting = c->answering, *s;
	const bool half_done = waiting != NULL && waiting->state == SESSION_ANSWERING;
	/* The last answer to an advertisement that ended when the link came up. */
	const bool late = address_is_bluetooth(&f->remote) && session_reach(c) != REACH_NONE;

	if (half_done || late) {
		if (f->path != 0 && !f->lent)
			effect_close(n->fx, f->path);
		return 0;
	}
	if (c->calling != NULL)
		drop(n, c->calling);
	if (waiting != NULL && c->record.role == ROLE_A)
		drop(n, waiting);
	s = begin(n, c, LINK_INITIATOR, f);
	if (s == NULL)
		return ERR_NOMEM;
	c->calling = s;
	if (c->answering != NULL)
		hold(n, s);
	return 0;
}

bool session_may_answer(const struct node *n, const struct contact *c, const struct address *from)
{
	/* Who advertises is not linked: where we think it is, it has lost the link, unless this is from
	 * before it came up. */
	if (address_is_bluetooth(from) && session_reach(c) != REACH_NONE &&
	    n->now_us < c->up->began_us + SETTLED_S * SECOND_US)
		return false;
	if (c->calling != NULL && c->record.role == ROLE_A)
		return false; /* our own call was answered, and goes first */
	if (c->answering == NULL)
		return true;
	/* A call may come by two ways at once, or be followed by another: the first answer has its chance. */
	return c->answering->state == SESSION_WAITING &&
	       n->now_us >= c->answering->began_us + HELD_S * SECOND_US;
}

int session_answered(struct node *n, struct contact *c, const struct found *f)
{
	if (c->answering != NULL)
		drop(n, c->answering);
	c->answering = begin(n, c, LINK_ANSWERER, f);
	if (c->answering == NULL)
		return ERR_NOMEM;
	if (c->calling != NULL) {
		hold(n, c->calling);
	}
	return 0;
}

/* ---- The handshake --------------------------------------------------------- */

static void send_bytes(struct node *n, struct session *s, struct span bytes)
{
	uint8_t *buf = effect_send(n->fx, s->path, bytes.len);

	if (buf == NULL)
		return;
	memcpy(buf, bytes.p, bytes.len);
	effect_sent(n->fx, bytes.len);
}

/* Sends what this state sends again and again. False where the other's key is of no use. */
static bool send_flight(struct node *n, struct session *s)
{
	struct span wire;
	uint8_t opener[LINK_WIRE_LEN];

	s->next_flight_us = s->reliable ? NEVER_US : n->now_us + RESEND_MS * UINT64_C(1000);
	if (s->state == SESSION_WAITING) {
		link_opener(opener, n->rng);
		send_bytes(n, s, SPAN(opener));
		return true;
	}
	if (link_wire(&wire, &s->link, n->rng) != 0)
		return false;
	send_bytes(n, s, wire);
	return true;
}

/* What else there is with the contact of s, which has come up. A handshake over Bluetooth has nothing to
 * offer beside a link over the network. */
static void drop_others(struct node *n, const struct session *s)
{
	struct contact *c = s->contact;

	if (c->up != NULL)
		drop(n, c->up);
	if (c->calling != NULL)
		drop(n, c->calling);
	if (c->answering != NULL && c->answering->reliable && !s->reliable)
		drop(n, c->answering);
}

/* The keys are there: the link secret moves on, and whatever else there was with this contact goes. */
static void go_up(struct node *n, struct session *s)
{
	struct contact *c = s->contact;
	struct session **place = place_of(c, s);

	if (!contact_secret_advance(c, &s->used, link_x(&s->link))) {
		drop(n, s);
		return;
	}
	c->record.prev_called = s->link.role == LINK_INITIATOR;
	if (c->record.state == CONTACT_CONFIRMED)
		c->record.state = CONTACT_MET;
	*place = NULL;
	drop_others(n, s);
	c->up = s;
	if (!s->reliable)
		meet_remember(c, &s->remote);
	c->suspect = false;
	c->asks_again = false;
	s->state = SESSION_UP;
	s->received.reliable = s->reliable;
	if (s->reliable)
		recovery_init_reliable(&s->recovery);
	else
		recovery_init(&s->recovery, 0, n->now_us);
	sync_begin(&s->sync);
	s->began_us = n->now_us;
	s->keepalive_us =
	        n->now_us + random_between(n->rng, KEEPALIVE_LOW_S * SECOND_US, KEEPALIVE_HIGH_S * SECOND_US);
	if (n->finder.look_until_us != 0)
		n->latest_clock = 0; /* a session that a person asked for: the own clock counts from now on */
	effect_notice(n->fx, NOTICE_LINKED, c->record.id, 0, SPAN_NONE);
}

/* wire1 came. */
static void answer_flight(struct node *n, struct session *s)
{
	struct contact *c = s->contact;

	s->state = SESSION_ANSWERING;
	if (c->calling != NULL)
		drop(n, c->calling); /* one handshake per contact at a time */
	if (!send_flight(n, s))
		drop(n, s);
}

/* ---- Frames ---------------------------------------------------------------- */

struct frame_sink {
	struct recovery_sink base;
	struct session *session;
};

/* Some paths bear small datagrams only, and nobody says so (PROTOCOL section 5). */
static void note_large(struct session *s, enum recovery_fate fate)
{
	if (fate == RECOVERY_ACKED) {
		s->large_came = true;
		s->large_lost = 0;
	} else if (++s->large_lost >= LARGE_LOST_MAX) {
		s->small = true;
	}
}

static void frame_fate(struct recovery_sink *self, const struct sent_frame *f, enum recovery_fate fate)
{
	struct session *s = CONTAINER_OF(self, struct frame_sink, base)->session;

	if (f->type == FRAME_PIECE && f->c > CARRIER_SMALL_FRAMES)
		note_large(s, fate);
	if (fate == RECOVERY_ACKED)
		sync_acked(&s->sync, f);
	else
		sync_lost(&s->sync, f);
}

static int take_frame(struct node *n, struct session *s, const struct frame *f)
{
	struct frame_sink sink = { { frame_fate }, s };

	switch (f->type) {
	case FRAME_ACK:
		return recovery_on_ack(&s->recovery, &f->ack, n->now_us, &sink.base) == 0 ? 0 : SYNC_BROKEN;
	case FRAME_CLOSE:
		return SYNC_BROKEN;
	default:
		return sync_frame(n, s->contact, &s->sync, link_x(&s->link), f);
	}
}

/* All frames of one datagram. Returns 0, SYNC_BROKEN or an enum err. */
static int take_frames(struct node *n, struct session *s, uint64_t pn, struct span frames)
{
	struct reader reader = reader_from(frames);
	struct frame f;
	bool wants_ack = false;
	int r;

	while ((r = frame_read(&f, &reader)) == 0) {
		wants_ack |= frame_wants_ack(f.type);
		r = take_frame(n, s, &f);
		if (r != 0)
			return r;
	}
	if (r != FRAME_END)
		return SYNC_BROKEN;
	received_note(&s->received, pn, wants_ack, n->now_us);
	return 0;
}

static void heard(struct session *s)
{
	struct contact *c = s->contact;

	s->keepalives = 0;
	c->suspect = false;
	if (s->link.role == LINK_INITIATOR && c->record.prev_called) {
		c->record.prev_called = false; /* the other side holds cur too */
		c->record_changed = true;
	}
}

static int take_datagram(struct node *n, struct session *s, struct span datagram)
{
	struct contact *c = s->contact;
	uint8_t plain[LINK_PLAIN_MAX];
	struct span frames;
	uint64_t pn;
	int r = 0;

	if (link_open(&frames, &pn, &s->link, plain, datagram) != 0)
		return 0;
	if (s->state != SESSION_UP)
		go_up(n, s); /* or gone, where another session was faster */
	if (c->up == s) {
		heard(s);
		r = take_frames(n, s, pn, frames);
		if (r == SYNC_BROKEN) {
			lose(n, s);
			r = 0;
		}
	}
	sodium_memzero(plain, sizeof(plain));
	return r;
}

static struct session *by_path(struct node *n, uint32_t path)
{
	for (struct session *s = n->sessions; s != NULL; s = s->next)
		if (s->path == path)
			return s;
	return NULL;
}

int session_datagram(struct node *n, uint32_t path, struct span datagram)
{
	struct session *s = by_path(n, path);

	if (s == NULL)
		return 0;
	switch (s->state) {
	case SESSION_HELD: /* wire2 says that the other side has taken up ours after all */
	case SESSION_CALLING:
		if (link_read_wire(&s->link, datagram) == 0)
			go_up(n, s);
		return 0;
	case SESSION_WAITING:
		if (link_read_wire(&s->link, datagram) == 0)
			answer_flight(n, s);
		return 0;
	case SESSION_ANSWERING:
	case SESSION_UP:
		return take_datagram(n, s, datagram);
	}
	return 0;
}

/* ---- Trouble --------------------------------------------------------------- */

void session_path_failed(struct node *n, uint32_t path)
{
	struct session *s = by_path(n, path);

	if (s != NULL)
		lose(n, s);
}

/* Anybody can forge this word, so that it ends nothing: it is looked into. */
void session_path_refused(struct node *n, uint32_t path)
{
	struct session *s = by_path(n, path);

	if (s == NULL || s->state != SESSION_UP)
		return;
	s->keepalive_us = MIN(s->keepalive_us, n->now_us + SUSPECT_CHECK_S * SECOND_US);
	if (!s->contact->suspect) {
		s->contact->suspect = true;
		finder_miss(n);
	}
}

bool session_runs_over(const struct node *n, uint32_t path)
{
	for (const struct session *s = n->sessions; s != NULL; s = s->next)
		if (s->path == path)
			return true;
	return false;
}

bool session_calls_over(const struct contact *c, uint32_t path)
{
	return c->calling != NULL && c->calling->path == path;
}

void session_network_changed(struct node *n)
{
	for (struct session *s = n->sessions, *next; s != NULL; s = next) {
		next = s->next;
		if (s->reliable ? !radio_is_there(n, s->local.interface) : !finder_is_local(n, &s->local))
			lose(n, s);
	}
}

/* ---- Time ------------------------------------------------------------------ */

static void keep_alive(struct node *n, struct session *s)
{
	if (s->keepalives >= KEEPALIVES_MAX) {
		lose(n, s);
		return;
	}
	s->keepalives++;
	s->sync.say_state = true;
	s->keepalive_us =
	        n->now_us + random_between(n->rng, KEEPALIVE_LOW_S * SECOND_US, KEEPALIVE_HIGH_S * SECOND_US);
}

static int up_timer(struct node *n, struct session *s)
{
	struct frame_sink sink = { { frame_fate }, s };
	struct contact *c = s->contact;
	const unsigned before = recovery_pto_count(&s->recovery);
	unsigned ptos;
	int r;

	recovery_on_timer(&s->recovery, n->now_us, &sink.base);
	ptos = recovery_pto_count(&s->recovery);
	/* What was in flight may be of no interest any more; the probe must ask for an answer all the same.
	 */
	if (!s->reliable && ptos > before && !sync_has_more(&s->sync))
		s->sync.say_state = true;
	if (!s->reliable && ptos >= SMALL_PTOS && !s->large_came)
		s->small = true;
	if (ptos >= (s->reliable ? SUSPECT_STALLS : SUSPECT_PTOS) && !c->suspect) {
		c->suspect = true;
		finder_miss(n);
	}
	r = sync_take(n, c, &s->sync);
	if (r == SYNC_BROKEN)
		lose(n, s);
	else if (n->now_us >= s->keepalive_us)
		keep_alive(n, s);
	return MIN(r, 0);
}

static void handshake_timer(struct node *n, struct session *s)
{
	if (s->state == SESSION_HELD && n->now_us >= s->held_until_us) {
		s->state = SESSION_CALLING;
		s->next_flight_us = n->now_us;
	}
	if (n->now_us >= s->began_us + HANDSHAKE_S * SECOND_US)
		drop(n, s);
	else if (s->state != SESSION_HELD && n->now_us >= s->next_flight_us && !send_flight(n, s))
		drop(n, s);
}

int session_timers(struct node *n)
{
	int r = 0;

	for (struct session *s = n->sessions, *next; r == 0 && s != NULL; s = next) {
		next = s->next;
		if (s->state == SESSION_UP)
			r = up_timer(n, s);
		else
			handshake_timer(n, s);
	}
	return r;
}

static uint64_t deadline_of(const struct node *n, const struct session *s)
{
	uint64_t due;

	switch (s->state) {
	case SESSION_HELD:
		return s->held_until_us;
	case SESSION_UP:
		if (s->more)
			return 0;
		due = MIN(recovery_deadline_us(&s->recovery), received_deadline_us(&s->received));
		due = MIN(due, sync_deadline_us(n, s->contact, &s->sync));
		return MIN(due, s->keepalive_us);
	default:
		return MIN(s->next_flight_us, s->began_us + HANDSHAKE_S * SECOND_US);
	}
}

uint64_t session_deadline_us(const struct node *n)
{
	uint64_t due = NEVER_US;

	for (const struct session *s = n->sessions; s != NULL; s = s->next)
		due = MIN(due, deadline_of(n, s));
	return due;
}

/* ---- Sending --------------------------------------------------------------- */

/* Seals len bytes of frames that lie in buf at LINK_FRAMES_AT already. */
static void send_frames(struct node *n, struct session *s, uint8_t *buf, size_t len,
                        const struct sent_frame *sent, size_t sent_len)
{
	uint64_t pn;
	const size_t size = link_seal(&pn, &s->link, n->rng, buf, span_from(buf + LINK_FRAMES_AT, len));

	effect_sent(n->fx, size);
	if (recovery_on_sent(&s->recovery, pn, size, sent, sent_len, n->now_us) != 0)
		n->fx->failed = true;
}

/* One datagram. False when there is none to be sent. */
static bool send_one(struct node *n, struct session *s)
{
	const bool may = sync_has_more(&s->sync) && recovery_can_send(&s->recovery, CARRIER_LARGE, n->now_us);
	const bool ack = received_deadline_us(&s->received) <= n->now_us;
	struct sent_frame sent[RECOVERY_FRAMES_MAX];
	size_t sent_len = 0;
	struct writer w;
	uint8_t *buf;

	if (!may && !ack)
		return false;
	buf = effect_send(n->fx, s->path, CARRIER_LARGE);
	if (buf == NULL)
		return false;
	/* An acknowledgement alone is small, so that it comes through wherever the link does. */
	w = writer_on(buf + LINK_FRAMES_AT, may && !s->small ? CARRIER_LARGE_FRAMES : CARRIER_SMALL_FRAMES);
	if (received_owes_ack(&s->received) && !received_write_ack(&s->received, &w, n->now_us))
		return false;
	if (may)
		sent_len = sync_fill(n, s->contact, &s->sync, &w, sent, COUNT_OF(sent));
	send_frames(n, s, buf, w.len, sent, sent_len);
	return true;
}

static int settle(struct node *n, struct session *s)
{
	const int r = sync_pack(n, s->contact, &s->sync);

	if (r != 0)
		return r;
	s->more = true;
	while (n->fx->bytes_len < EFFECT_BYTES_PER_TURN) {
		if (!send_one(n, s)) {
			s->more = false;
			break;
		}
	}
	return 0;
}

int session_settle(struct node *n)
{
	int r = 0;

	for (struct session *s = n->sessions; r == 0 && s != NULL; s = s->next)
		if (s->state == SESSION_UP)
			r = settle(n, s);
	return r;
}
