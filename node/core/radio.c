/*
 * radio.c: calls and answers over Bluetooth.
 *
 *     who is called    a contact in mode `call`, or anyone while the person looks, that is not linked;
 *                      who shows the code that we enter
 *     when             in turns of U(0.8,1.2) s, as many at once as an adapter can: who was called
 *                      longest ago comes next, and the time of one for whom a message waits counts four
 *                      times, so that these come first and nobody waits for ever
 *     who listens      who has an open contact that is not silent and not linked, or shows a code
 *     when             always; on battery for 3 s, then not for U(10,14) s; on low battery for 1 s, then
 *                      not for U(12,16) s, and every second turn of calls is left out; unless a person
 *                      waits for it
 *     who is answered  hearing.c
 *
 * The pause on battery differs each time, so that a caller's turns and our listening cannot
 * miss each other for long. An advertisement stops as soon as nobody is to be called by it,
 * within the step that says so.
 */
#include "node/core/radio.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/core/finder.h"
#include "node/core/hearing.h"
#include "node/core/session.h"

enum { TURN_LOW_MS = 800, TURN_HIGH_MS = 1200 };
enum { WAITING_WEIGHT = 4 };
enum { RUNNING_MAX = RADIOS_MAX * ADVERTS_AT_ONCE };
enum { ADVERT_EFFECT_LEN = ADVERT_LEN + 1 }; /* and the PSM */
#define MS_US UINT64_C(1000)

/* Seconds. */
static const struct {
	uint64_t listen, pause_low, pause_high;
} windows[] = {
	[POWER_BATTERY] = { 3, 10, 14 },
	[POWER_LOW] = { 1, 12, 16 },
};

static_assert((int)ADVERTS_KEPT_MAX >= (int)RUNNING_MAX, "those that run are in the ring");

void radio_init(struct radio_state *s)
{
	s->next_turn_us = s->next_scan_us = NEVER_US;
}

void radio_deinit(struct radio_state *s)
{
	free(s->adverts); /* all of it was on the air */
	sodium_memzero(s, sizeof(*s));
}

/* ---- Adapters -------------------------------------------------------------- */

bool radio_is_there(const struct node *n, uint32_t interface)
{
	for (size_t i = 0; i < n->radio.radios_len; i++)
		if (n->radio.radios[i].interface == interface)
			return true;
	return false;
}

/* The adverts that run are among the last ones made. */
static struct own_advert *recent(struct radio_state *s, size_t i)
{
	return &s->adverts[(s->adverts_next - 1 - i) % ADVERTS_KEPT_MAX];
}

static size_t recent_len(const struct radio_state *s)
{
	return MIN(s->adverts_next, (size_t)RUNNING_MAX);
}

static void end_advert(const struct node *n, struct own_advert *a)
{
	a->runs = false;
	a->until_us = n->now_us + CALL_ANSWER_S * SECOND_US;
}

void radio_changed(struct node *n, const struct radio *radios, size_t len)
{
	struct radio_state *s = &n->radio;

	len = MIN(len, (size_t)RADIOS_MAX);
	for (size_t i = 0; i < len; i++)
		if (!radio_is_there(n, radios[i].interface))
			s->next_turn_us = n->now_us;
	if (len != 0)
		memcpy(s->radios, radios, len * sizeof(*radios));
	s->radios_len = len;
	for (size_t i = 0; i < recent_len(s); i++)
		if (recent(s, i)->runs && !radio_is_there(n, recent(s, i)->interface))
			end_advert(n, recent(s, i));
	session_network_changed(n);
}

/* A person sits before the screen until somebody is found: nothing is saved then. */
static bool somebody_waits(const struct node *n)
{
	return n->finder.look_until_us != 0 || meeting_waits_for_call(n) || meeting_calls_under(n) != NULL;
}

/* ---- Calling --------------------------------------------------------------- */

static bool is_called(const struct node *n, const struct contact *c)
{
	return finder_wants(n, c) && session_reach(c) == REACH_NONE;
}

static bool anybody_is_called(const struct node *n)
{
	if (meeting_calls_under(n) != NULL)
		return true;
	for (size_t i = 0; i < n->contacts_len; i++)
		if (is_called(n, n->contacts[i]))
			return true;
	return false;
}

static bool can_advertise(const struct node *n)
{
	for (size_t i = 0; i < n->radio.radios_len; i++)
		if (n->radio.radios[i].adverts > 0)
			return true;
	return false;
}

static bool is_wanted(struct node *n, const struct own_advert *a)
{
	const struct contact *c = node_contact_by_id(n, a->contact);

	return a->contact == 0 ? meeting_calls_under(n) != NULL : c != NULL && is_called(n, c);
}

/* What the adapter advertises from now on. */
static void say(struct node *n, uint32_t interface)
{
	struct radio_state *s = &n->radio;
	uint8_t bytes[ADVERTS_AT_ONCE * ADVERT_EFFECT_LEN];
	struct writer w = WRITER_ON(bytes);

	for (size_t i = recent_len(s); i-- > 0;) {
		const struct own_advert *a = recent(s, i);

		if (!a->runs || a->interface != interface)
			continue;
		writer_span(&w, SPAN(a->bytes));
		writer_u8(&w, a->psm);
	}
	effect_advertise(n->fx, interface, writer_done(&w));
}

static void begin_advert(struct node *n, uint32_t interface, uint32_t contact, const struct sym_key *key,
                         uint64_t clock)
{
	struct radio_state *s = &n->radio;
	const struct address own = { .interface = interface };
	const struct call_entry entry = {
		.key = key,
		.proof = call_proof_clock(CALL_KIND_BLUETOOTH, clock, &own),
	};
	struct own_advert *a = &s->adverts[s->adverts_next++ % ADVERTS_KEPT_MAX];
	struct writer w;
	struct call call;

	call_advert_make(&call, &entry, n->rng);
	*a = (struct own_advert){
		.n = *call_nonce(&call),
		.interface = interface,
		.contact = contact,
		.psm = call_psm(key, call_nonce(&call)),
		.runs = true,
		.number = ++n->calls_made,
	};
	w = WRITER_ON(a->bytes);
	call_advert_write(&w, &call);
}

/* Advertises for who has waited longest, of those who are not on this adapter yet; each key of a contact has
 * an advert of its own. False: for nobody. */
static bool advertise_next(struct node *n, uint32_t interface)
{
	const uint64_t turn = n->radio.turn;
	struct contact *who = NULL;
	enum secret_kind what = SECRET_CUR;
	uint64_t longest = 0;

	for (size_t i = 0; i < n->contacts_len; i++) {
		struct contact *c = n->contacts[i];

		for (unsigned kind = 0; is_called(n, c) && kind < SECRET_KINDS; kind++) {
			const uint64_t waits =
			        (turn - c->advertised[kind]) * (c->waiting > 0 ? WAITING_WEIGHT : 1);

			if (!contact_calls_under(c, kind) || waits <= longest)
				continue;
			longest = waits;
			who = c;
			what = kind;
		}
	}
	if (who == NULL)
		return false;
	who->advertised[what] = turn;
	begin_advert(n, interface, who->record.id, &who->keys[what].out, n->clock);
	return true;
}

static void take_turn(struct node *n, const struct radio *radio)
{
	struct radio_state *s = &n->radio;
	const struct sym_key *code = meeting_calls_under(n);
	unsigned room = s->rests ? 0 : MIN(radio->adverts, (uint8_t)ADVERTS_AT_ONCE);

	for (size_t i = 0; i < recent_len(s); i++)
		if (recent(s, i)->runs && recent(s, i)->interface == radio->interface)
			end_advert(n, recent(s, i));
	s->turn++;
	if (code != NULL && room > 0) {
		begin_advert(n, radio->interface, 0, code, 0); /* PROTOCOL section 2.2: a code has no clock */
		room--;
	}
	while (room > 0 && advertise_next(n, radio->interface))
		room--;
	say(n, radio->interface);
}

static void take_turns(struct node *n)
{
	struct radio_state *s = &n->radio;

	if (s->adverts == NULL)
		s->adverts = calloc(ADVERTS_KEPT_MAX, sizeof(*s->adverts));
	if (s->adverts == NULL) {
		n->fx->failed = true;
		return;
	}
	s->rests = n->finder.power == POWER_LOW && !somebody_waits(n) && s->next_turn_us != NEVER_US &&
	           !s->rests;
	for (size_t i = 0; i < s->radios_len; i++)
		if (s->radios[i].adverts > 0)
			take_turn(n, &s->radios[i]);
	s->next_turn_us = n->now_us + random_between(n->rng, TURN_LOW_MS * MS_US, TURN_HIGH_MS * MS_US);
}

/* Ends what is not wanted any more on this adapter. */
static void end_unwanted(struct node *n, uint32_t interface)
{
	struct radio_state *s = &n->radio;
	bool ended = false;

	for (size_t i = 0; i < recent_len(s); i++) {
		struct own_advert *a = recent(s, i);

		if (!a->runs || a->interface != interface || is_wanted(n, a))
			continue;
		end_advert(n, a);
		ended = true;
	}
	if (ended)
		say(n, interface);
}

static void call_everybody(struct node *n)
{
	struct radio_state *s = &n->radio;

	if (!can_advertise(n) || !anybody_is_called(n))
		s->next_turn_us = NEVER_US;
	else if (s->next_turn_us == NEVER_US || n->now_us >= s->next_turn_us)
		take_turns(n);
	for (size_t i = 0; i < s->radios_len; i++)
		end_unwanted(n, s->radios[i].interface);
}

/* ---- Listening ------------------------------------------------------------- */

static bool anybody_may_call(const struct node *n)
{
	if (meeting_waits_for_call(n))
		return true;
	for (size_t i = 0; i < n->contacts_len; i++) {
		const struct contact *c = n->contacts[i];

		if (contact_is_open(c) && c->record.mode != MODE_SILENT && session_reach(c) == REACH_NONE)
			return true;
	}
	return false;
}

static void scan(struct node *n, bool on)
{
	if (n->radio.scans != on)
		effect_scan(n->fx, on);
	n->radio.scans = on;
}

static void scan_for_a_while(struct node *n)
{
	struct radio_state *s = &n->radio;
	const bool on = s->next_scan_us == NEVER_US || !s->scans;
	const uint64_t pause_low = windows[n->finder.power].pause_low;
	const uint64_t pause_high = windows[n->finder.power].pause_high;

	if (s->next_scan_us != NEVER_US && n->now_us < s->next_scan_us)
		return;
	scan(n, on);
	s->next_scan_us =
	        n->now_us + (on ? windows[n->finder.power].listen * SECOND_US
	                        : random_between(n->rng, pause_low * SECOND_US, pause_high * SECOND_US));
}

static void listen(struct node *n)
{
	struct radio_state *s = &n->radio;
	const bool wanted = s->radios_len > 0 && anybody_may_call(n);

	if (wanted && n->finder.power != POWER_MAINS && !somebody_waits(n)) {
		scan_for_a_while(n);
		return;
	}
	scan(n, wanted);
	s->next_scan_us = NEVER_US;
}

/* ---- Time ------------------------------------------------------------------ */

void radio_timer(struct node *n)
{
	call_everybody(n);
	listen(n);
}

uint64_t radio_deadline_us(const struct node *n)
{
	return MIN(n->radio.next_turn_us, n->radio.next_scan_us);
}

void radio_stop(struct node *n)
{
	struct radio_state *s = &n->radio;

	for (size_t i = 0; i < recent_len(s); i++)
		if (recent(s, i)->runs)
			end_advert(n, recent(s, i));
	for (size_t i = 0; s->adverts != NULL && i < s->radios_len; i++)
		if (s->radios[i].adverts > 0)
			say(n, s->radios[i].interface);
	scan(n, false);
	s->next_turn_us = s->next_scan_us = NEVER_US;
}

/* ---- Being answered -------------------------------------------------------- */

static bool is_open(const struct node *n, const struct own_advert *a)
{
	return a->runs || n->now_us < a->until_us;
}

static int take_answer(struct node *n, const struct own_advert *a, uint32_t path, const struct call *answer,
                       const struct address *from, bool *taken)
{
	const struct call_proof proof = call_proof_answer(&a->n, from);
	struct contact *c = node_contact_by_id(n, a->contact);
	struct found found = {
		.n_call = a->n,
		.n_answer = *call_nonce(answer),
		.local = { .interface = from->interface },
		.remote = *from,
		.path = path,
	};

	if (a->contact == 0) {
		*taken = meeting_answered(n, path, &a->n, answer, &proof);
		return 0;
	}
	if (c == NULL || !contact_is_open(c) || c->record.mode == MODE_SILENT)
		return 0;
	for (unsigned kind = 0; kind < SECRET_KINDS; kind++) {
		const struct sym_key *key = &c->keys[kind].in;
		const int place = c->keys[kind].known ? call_find(answer, key) : -1;

		if (place < 0 || !call_is_live(answer, place, key, &proof) ||
		    !finder_is_newest_answer(c, a->number))
			continue;
		*taken = true;
		found.kind = kind;
		return session_call_answered(n, c, &found);
	}
	return 0;
}

static int find_advert(struct node *n, uint32_t path, uint16_t psm, const struct call *answer,
                       const struct address *from, bool *taken)
{
	const struct radio_state *s = &n->radio;
	const size_t len = MIN(s->adverts_next, (size_t)ADVERTS_KEPT_MAX);
	int r = 0;

	for (size_t i = 0; r == 0 && !*taken && i < len; i++) {
		const struct own_advert *a = &s->adverts[i];

		if (a->psm == psm && a->interface == from->interface && is_open(n, a))
			r = take_answer(n, a, path, answer, from, taken);
	}
	return r;
}

int radio_channel(struct node *n, uint32_t path, uint16_t psm, const struct address *from, struct span bytes)
{
	struct call answer;
	bool taken = false;
	int r = 0;

	if (call_read_direct(&answer, bytes) == 0)
		r = find_advert(n, path, psm, &answer, from, &taken);
	if (r == 0 && !taken)
		effect_close(n->fx, path);
	return r;
}

/* ---- Answering ------------------------------------------------------------- */

uint32_t radio_answer(struct node *n, const struct sym_key *in, const struct sym_key *out,
                      const struct call *call, const struct address *from, struct nonce16 *n_answer)
{
	const struct address own = { .interface = from->interface };
	const struct call_entry entry = {
		.key = out,
		.proof = call_proof_answer(call_nonce(call), &own),
	};
	const uint32_t path = node_new_path(n);
	struct call answer;
	struct writer w;
	uint8_t *buf;

	effect_open(n->fx, path, &own, from, call_psm(in, call_nonce(call)));
	call_make(&answer, CALL_DIRECT, &entry, 1, n->rng);
	*n_answer = *call_nonce(&answer);
	buf = effect_send(n->fx, path, CALL_DIRECT_LEN);
	if (buf == NULL)
		return path;
	w = writer_on(buf, CALL_DIRECT_LEN);
	call_write(&w, &answer);
	effect_sent(n->fx, w.len);
	return path;
}

static int answer(struct node *n, const struct heard *h)
{
	struct contact *c = h->contact;
	const struct call_keys *keys = &c->keys[h->kind];
	struct found found = {
		.kind = h->kind,
		.n_call = *call_nonce(h->call),
		.local = { .interface = h->from->interface },
		.remote = *h->from,
	};

	if (!session_may_answer(n, c, h->from))
		return 0;
	c->answered_us = n->now_us;
	found.path = radio_answer(n, &keys->in, &keys->out, h->call, h->from, &found.n_answer);
	return session_answered(n, c, &found);
}

static bool is_own(struct node *n, const struct nonce16 *nonce)
{
	struct radio_state *s = &n->radio;

	for (size_t i = 0; i < recent_len(s); i++)
		if (memcmp(recent(s, i)->n.b, nonce->b, sizeof(nonce->b)) == 0)
			return true;
	return false;
}

int radio_advert(struct node *n, struct span bytes, const struct address *from)
{
	static const struct hearing_way way = { CALL_KIND_BLUETOOTH, NULL, answer };
	struct call call;

	if (!n->radio.scans || !radio_is_there(n, from->interface) || call_advert_read(&call, bytes) != 0)
		return 0;
	if (is_own(n, call_nonce(&call)) || !hearing_may_examine(n, &n->radio.hearing))
		return 0;
	meeting_advert(n, &call, from);
	return hearing_call(n, &n->radio.hearing, &way, &call, from);
}
