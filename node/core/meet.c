#include "node/core/meet.h"

#include "node/core/finder.h"
#include "node/core/hearing.h"
#include "node/core/session.h"
#include "node/core/state.h"
#include "transport/call.h"

/* The clock counts whole seconds: in the last one before a slot it is looked at this often, so that both
 * sides begin together. */
enum { OPENING_LOOK_US = 50000 };
enum { PROMPT_PAUSE_US = 500000 }; /* calls of theirs that come sooner make us say nothing */

void meet_look_again(struct node *n)
{
	n->meet.next_us = 0;
}

void meet_look_soon(struct node *n)
{
	n->meet.next_us = MIN(n->meet.next_us, n->now_us + SECOND_US);
}

void meet_remember(struct contact *c, const struct address *remote)
{
	uint8_t(*known)[16] = c->record.addresses;
	size_t i = 0;

	while (i < CONTACT_ADDRESSES_MAX - 1 && memcmp(known[i], remote->ip, sizeof(known[i])) != 0)
		i++;
	memmove(known[1], known[0], i * sizeof(known[0]));
	memcpy(known[0], remote->ip, sizeof(known[0]));
	c->record_changed = true;
}

/* ---- The slot -------------------------------------------------------------- */

struct slot {
	uint16_t port;
	int64_t opens_s, closes_s; /* from now; the next one, or the one that is open */
};

/* The clock of `a` as far as we know; -1 where the other has said what no unit can count. */
static int64_t clock_of_a(const struct node *n, const struct contact *c)
{
	const int64_t offset = c->record.role == ROLE_A ? 0 : c->record.clock_offset;
	int64_t clock;

	if (n->clock > INT64_MAX || __builtin_add_overflow((int64_t)n->clock, offset, &clock))
		return -1;
	return clock >= 0 && clock / CALL_UNIT_S < UINT32_MAX ? clock : -1;
}

/* In units of the clock of `a`; one in each half of a unit, so that no two are ten minutes apart. */
static struct slot next_slot(const struct contact *c, int64_t clock)
{
	enum { HALF = CALL_MEET_SLOTS / 2 };

	for (int64_t half = clock / CALL_UNIT_S * 2;; half++) {
		const struct call_meet m = call_meet(&c->record.anchor, (uint32_t)(half / 2));
		const int64_t opens = (half * HALF + m.slot % HALF) * CALL_MEET_SLOT_S;

		if (opens + CALL_MEET_SLOT_S > clock)
			return (struct slot){ m.port, opens - clock, opens + CALL_MEET_SLOT_S - clock };
	}
}

static bool is_tried(const struct contact *c)
{
	static const uint8_t nowhere[16];

	return c->record.mode == MODE_CALL && contact_is_open(c) && session_reach(c) != REACH_NETWORK &&
	       memcmp(c->record.addresses[0], nowhere, sizeof(nowhere)) != 0;
}

/* ---- Paths ----------------------------------------------------------------- */

static struct meet_path *path_by_id(struct node *n, uint32_t path)
{
	for (size_t i = 0; i < n->meet.n; i++)
		if (n->meet.paths[i].path == path)
			return &n->meet.paths[i];
	return NULL;
}

static void forget_path(struct node *n, struct meet_path *p)
{
	*p = n->meet.paths[--n->meet.n];
}

void meet_path_failed(struct node *n, uint32_t path)
{
	struct meet_path *p = path_by_id(n, path);

	if (p != NULL)
		forget_path(n, p);
}

/* Paths whose slot is over, or whose address is gone, and over which no session runs. */
static void close_paths(struct node *n)
{
	for (size_t i = n->meet.n; i-- > 0;) {
		struct meet_path *p = &n->meet.paths[i];

		if (session_runs_over(n, p->path) ||
		    (n->now_us < p->until_us && finder_is_local(n, &p->local)))
			continue;
		effect_close(n->fx, p->path);
		forget_path(n, p);
	}
}

static bool has_paths(const struct node *n, const struct contact *c)
{
	for (size_t i = 0; i < n->meet.n; i++)
		if (n->meet.paths[i].contact == c->record.id)
			return true;
	return false;
}

static void open_paths(struct node *n, const struct contact *c, const struct slot *slot)
{
	static const uint8_t nowhere[16];

	for (size_t i = 0; i < CONTACT_ADDRESSES_MAX && n->meet.n < MEET_PATHS_MAX; i++) {
		struct address remote = { 0 };
		const struct address *local;

		memcpy(remote.ip, c->record.addresses[i], sizeof(remote.ip));
		if (memcmp(remote.ip, nowhere, sizeof(nowhere)) == 0)
			continue;
		local = finder_local_of_family(n, &remote);
		if (local == NULL)
			continue;
		remote.interface = local->interface;
		n->meet.paths[n->meet.n++] = (struct meet_path){
			.path = node_new_path(n),
			.contact = c->record.id,
			.until_us = n->now_us + (uint64_t)slot->closes_s * SECOND_US,
			.local = *local,
			.remote = remote,
		};
		effect_open(n->fx, n->meet.paths[n->meet.n - 1].path, local, &remote, slot->port);
	}
}

/* ---- Direct calls ---------------------------------------------------------- */

static void send_call(struct node *n, const struct meet_path *p, const struct call_entry *entries, size_t len,
                      struct call *call)
{
	uint8_t *buf = effect_send(n->fx, p->path, CALL_DIRECT_LEN);
	struct writer w;

	call_make(call, CALL_DIRECT, entries, len, n->rng);
	if (buf == NULL)
		return;
	w = writer_on(buf, CALL_DIRECT_LEN);
	call_write(&w, call);
	effect_sent(n->fx, w.len);
}

static void call_over(struct node *n, const struct contact *c, const struct meet_path *p)
{
	const struct call_proof proof = call_proof_clock(CALL_KIND_CALL, n->clock, &p->local);
	const struct call_entry entries[2] = {
		{ .key = &c->keys[SECRET_CUR].out, .proof = proof },
		{ .key = &c->keys[SECRET_PREV].out, .proof = proof },
	};
	struct call call;

	send_call(n, p, entries, contact_calls_under(c, SECRET_PREV) ? 2 : 1, &call);
	finder_remember_call(n, call_nonce(&call), &p->local);
}

static void call_all(struct node *n, const struct contact *c)
{
	for (size_t i = 0; i < n->meet.n; i++)
		if (n->meet.paths[i].contact == c->record.id && !session_runs_over(n, n->meet.paths[i].path))
			call_over(n, c, &n->meet.paths[i]);
}

static bool may_be_prompted(const struct node *n, struct meet_path *p)
{
	if (p->prompt_us != 0 && n->now_us < p->prompt_us + PROMPT_PAUSE_US)
		return false;
	p->prompt_us = n->now_us;
	return true;
}

/* `b` answers a live call of `a`, once, over the path that it came by. */
static int answer_over(struct node *n, struct contact *c, enum secret_kind kind, struct meet_path *p,
                       const struct call *call)
{
	const struct call_entry entry = {
		.key = &c->keys[kind].out,
		.proof = call_proof_answer(call_nonce(call), &p->local),
	};
	struct found found = {
		.kind = kind, .n_call = *call_nonce(call), .local = p->local, .remote = p->remote
	};
	struct call own;
	bool first;
	const int r = hearing_note(n, c, call_nonce(call), &first);

	if (r != 0 || !first || !session_may_answer(n, c, &p->remote) || !may_be_prompted(n, p))
		return r;
	send_call(n, p, &entry, 1, &own);
	found.n_answer = *call_nonce(&own);
	found.path = p->path;
	found.lent = true;
	return session_answered(n, c, &found);
}

/* The firewall of `b` is open by now, if it was not when ours came: no need to wait for the next second. */
static int call_back(struct node *n, struct contact *c, struct meet_path *p, const struct call *call)
{
	bool first;
	const int r = hearing_note(n, c, call_nonce(call), &first);

	if (r == 0 && first && !session_runs_over(n, p->path) && may_be_prompted(n, p))
		call_over(n, c, p);
	return r;
}

static int examine(struct node *n, struct contact *c, enum secret_kind kind, struct meet_path *p,
                   const struct call *call, int place, bool *taken)
{
	const struct sym_key *key = &c->keys[kind].in;
	struct found found = { .kind = kind, .remote = p->remote, .path = p->path, .lent = true };
	const struct address *local;
	const struct nonce16 *n_call;

	*taken = call_is_live_by_clock(call, place, key, CALL_KIND_CALL, &p->remote, n->clock,
	                               c->record.clock_offset) &&
	         !node_clock_is_wrong(n);
	if (c->record.role == ROLE_B)
		return *taken ? answer_over(n, c, kind, p, call) : 0;
	if (*taken)
		return call_back(n, c, p, call);
	n_call = contact_calls_under(c, kind) ? finder_answered_call(n, call, place, key, &p->remote, &local)
	                                      : NULL;
	*taken = n_call != NULL;
	/* `b` holds to its last answer: that to a later call takes the place of an earlier one's handshake.
	 */
	if (n_call == NULL || (session_runs_over(n, p->path) && !session_calls_over(c, p->path)) ||
	    !finder_take_answer(n, c, n_call))
		return 0;
	found.n_call = *n_call;
	found.n_answer = *call_nonce(call);
	found.local = p->local;
	return session_call_answered(n, c, &found);
}

int meet_datagram(struct node *n, uint32_t path, struct span datagram, bool *taken)
{
	struct meet_path *p = path_by_id(n, path);
	struct contact *c = p != NULL ? node_contact_by_id(n, p->contact) : NULL;
	struct call call;

	*taken = false;
	if (c == NULL || !is_tried(c) || call_read_direct(&call, datagram) != 0)
		return 0;
	for (unsigned kind = SECRET_CUR; kind <= SECRET_PREV; kind++) {
		const int place = c->keys[kind].known ? call_find(&call, &c->keys[kind].in) : -1;

		if (place >= 0)
			return examine(n, c, kind, p, &call, place, taken);
	}
	return 0;
}

/* ---- Time ------------------------------------------------------------------ */

/* Tries c when its slot is open. Returns when it is to be looked at next. */
static uint64_t try(struct node *n, const struct contact *c)
{
	const int64_t clock = clock_of_a(n, c);
	struct slot slot;

	if (clock < 0) /* no slot as long as it is so */
		return n->now_us + CALL_UNIT_S * SECOND_US;
	slot = next_slot(c, clock);
	if (slot.opens_s > 1)
		return n->now_us + (uint64_t)(slot.opens_s - 1) * SECOND_US;
	if (slot.opens_s > 0)
		return n->now_us + OPENING_LOOK_US;
	if (!has_paths(n, c))
		open_paths(n, c, &slot);
	call_all(n, c);
	return n->now_us + SECOND_US;
}

int meet_timer(struct node *n)
{
	struct meet *m = &n->meet;

	if (n->now_us < m->next_us)
		return 0;
	close_paths(n);
	m->next_us = NEVER_US;
	for (size_t i = 0; i < n->contacts_len && n->finder.locals_len > 0; i++) {
		const uint64_t due = is_tried(n->contacts[i]) ? try(n, n->contacts[i]) : NEVER_US;

		m->next_us = MIN(m->next_us, due);
	}
	for (size_t i = 0; i < m->n; i++)
		m->next_us = MIN(m->next_us, MAX(m->paths[i].until_us, n->now_us + SECOND_US));
	return 0;
}

uint64_t meet_deadline_us(const struct node *n)
{
	return n->meet.next_us;
}
