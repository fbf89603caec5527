/*
 * meeting.c: two people with a code.
 *
 * D answers a call under K, again for a later call, until a flight comes over the path
 * that it opened; E calls on every network, and over Bluetooth (radio.h), until it is answered. From then on
 * pairing.c decides. The machine of D stays for a while after the end, since its last flight may be asked for
 * again.
 */
#include "node/core/meeting.h"

#include <sodium.h>
#include <stdio.h>

#include "node/core/finder.h"
#include "node/core/name.h"
#include "node/core/radio.h"
#include "node/core/state.h"
#include "node/crypto/kdf.h"

enum { CALL_LOW_MS = 1000, CALL_HIGH_MS = 2000 }; /* PROTOCOL section 2.2 */
enum { ANSWER_AGAIN_S = 1 };                      /* D answers one call at a time */
enum { ANSWER_AGAIN_BLUETOOTH_S = 5 };            /* there a path takes longer to come about */
enum { TROUBLE_MAX = 256 };
#define MS_US UINT64_C(1000)

void meeting_deinit(struct meeting *m)
{
	pairing_deinit(&m->pairing);
	sodium_memzero(m, sizeof(*m));
}

static void close_path(struct node *n)
{
	if (n->meeting.path != 0)
		effect_close(n->fx, n->meeting.path);
	n->meeting.path = 0;
}

static void spent_of(struct hash32 *out, const struct code *code)
{
	struct sym_key number = { { code->number } };

	b2(out->b, sizeof(out->b), "fl1:spent", KEY_SPAN(&number), code_prs(code));
}

static bool is_spent(const struct meeting *m, const struct code *code)
{
	struct hash32 h;

	spent_of(&h, code);
	for (size_t i = 0; i < CODES_SPENT_MAX; i++)
		if (sodium_memcmp(m->spent[i].b, h.b, sizeof(h.b)) == 0)
			return true;
	return false;
}

/* Everything of the meeting goes but the codes that are spent. */
static void end(struct node *n)
{
	struct meeting *m = &n->meeting;
	struct meeting kept = { .spent_next = m->spent_next };

	close_path(n);
	memcpy(kept.spent, m->spent, sizeof(kept.spent));
	meeting_deinit(m);
	*m = kept;
}

bool meeting_has_name(const struct meeting *m, const char *name)
{
	return m->kind != MEETING_NONE && name_same(m->name, name);
}

static void failed(struct node *n, enum pairing_failure why)
{
	effect_notice(n->fx, NOTICE_PAIR_FAILED, 0, why, span_str(pairing_failure_text(why)));
	end(n);
}

/* ---- The new contact ------------------------------------------------------- */

static bool is_known(struct pairing_known *self, const struct public_key *s)
{
	const struct node *n = CONTAINER_OF(self, struct node, meeting.known);

	for (size_t i = 0; i < n->contacts_len; i++) {
		const struct contact_record *c = &n->contacts[i]->record;

		if (memcmp(c->peer_s.b, s->b, sizeof(s->b)) == 0 ||
		    memcmp(c->s.public.b, s->b, sizeof(s->b)) == 0)
			return true;
	}
	return false;
}

static int store_contact(struct node *n, const struct pairing_result *p, struct contact_record *c)
{
	struct conversation_record v = { 0 };
	struct writer w = WRITER_ON(v.ratchet);
	struct ratchet ratchet;
	int r;

	if (pairing_ratchet(&ratchet, p, n->rng) != 0)
		return PAIRING_REFUSED;
	ratchet_encode(&w, &ratchet);
	v.ratchet_len = w.len;
	r = contacts_add(n->store, c);
	v.contact = c->id;
	if (r == 0)
		r = conversation_save(n->store, &v);
	if (r == 0)
		r = node_contact_add(n, c);
	ratchet_deinit(&ratchet);
	sodium_memzero(&v, sizeof(v));
	return r;
}

/* Returns 0, PAIRING_REFUSED or an enum err. */
static int add_contact(struct node *n, const struct pairing_result *p)
{
	struct contact_record c = {
		.mode = MODE_ANSWER,
		.state = CONTACT_PENDING,
		.by_code = p->by_code,
		.paired_at = n->clock,
		.s = p->s,
		.peer_s = p->peer_s,
		.role = p->role,
		.cur = p->secrets.l0,
		.anchor = p->secrets.anchor,
	};
	int r;

	memcpy(c.name, n->meeting.name, sizeof(c.name));
	memcpy(c.safety, p->safety, sizeof(c.safety));
	r = store_contact(n, p, &c);
	if (r == 0)
		effect_notice(n->fx, NOTICE_PAIR_COMPARE, c.id, 0, span_str(c.safety));
	sodium_memzero(&c, sizeof(c));
	return r;
}

/* ---- After each step of the machine ---------------------------------------- */

static void send_datagram(struct node *n)
{
	uint8_t *buf = effect_send(n->fx, n->meeting.path, PAIRING_DATAGRAM_LEN);

	if (buf == NULL)
		return;
	memcpy(buf, n->meeting.pairing.datagram, PAIRING_DATAGRAM_LEN);
	effect_sent(n->fx, PAIRING_DATAGRAM_LEN);
}

static int done(struct node *n)
{
	struct meeting *m = &n->meeting;
	const int r = add_contact(n, &m->pairing.result);

	if (r > 0)
		failed(n, PAIRING_BROKEN);
	if (r != 0)
		return MIN(r, 0);
	m->kind = MEETING_NONE;
	m->linger_us = n->now_us + PAIRING_FLIGHT_S * SECOND_US;
	sodium_memzero(&m->pairing.result, sizeof(m->pairing.result));
	return 0;
}

static int follow(struct node *n)
{
	struct meeting *m = &n->meeting;

	switch (m->pairing.state) {
	case PAIRING_WAITS:
		close_path(n);
		return 0;
	case PAIRING_TALKS:
		if (pairing_is_bound(&m->pairing) && !m->told)
			effect_notice(n->fx, NOTICE_PAIR_TALKING, 0, 0, SPAN_NONE);
		m->told = pairing_is_bound(&m->pairing);
		return 0;
	case PAIRING_DONE:
		return m->kind == MEETING_CODE ? done(n) : 0;
	case PAIRING_FAILED:
		failed(n, m->pairing.failure);
		return 0;
	}
	return 0;
}

bool meeting_owns(const struct node *n, uint32_t path)
{
	return path != 0 && n->meeting.path == path;
}

int meeting_datagram(struct node *n, struct span datagram)
{
	if (pairing_datagram(&n->meeting.pairing, n->rng, datagram, n->now_us))
		send_datagram(n);
	return follow(n);
}

void meeting_path_failed(struct node *n, uint32_t path)
{
	struct meeting *m = &n->meeting;

	if (!meeting_owns(n, path))
		return;
	close_path(n);
	pairing_path_lost(&m->pairing); /* where that was the end of it, meeting_timer() says so */
	m->next_call_us = n->now_us + CALL_LOW_MS * MS_US;
}

/* ---- Finding each other ---------------------------------------------------- */

static bool is_calling(const struct meeting *m)
{
	return m->kind == MEETING_CODE && m->pairing.side == PAIRING_ENTERS &&
	       m->pairing.state == PAIRING_WAITS;
}

static void take_path(struct node *n, uint32_t path, const struct nonce16 *n_call,
                      const struct nonce16 *n_answer)
{
	struct meeting *m = &n->meeting;

	close_path(n);
	m->path = path;
	pairing_path(&m->pairing, n->rng, n_call, n_answer, n->now_us);
}

static void open_path(struct node *n, const struct nonce16 *n_call, const struct nonce16 *n_answer,
                      const struct address *local, const struct address *remote)
{
	const uint32_t path = node_new_path(n);

	effect_open(n->fx, path, local, remote, call_port(&n->meeting.key, n_call, n_answer));
	take_path(n, path, n_call, n_answer);
}

static void answer(struct node *n, const struct call *call, const struct address *from)
{
	struct meeting *m = &n->meeting;
	const struct address *local = finder_local_for(n, from);
	struct call_entry entry = { .key = &m->key };
	uint8_t bytes[CALL_SMALL_LEN];
	struct writer w = WRITER_ON(bytes);
	struct call own;

	if (local == NULL)
		return;
	m->answer_again_us = n->now_us + ANSWER_AGAIN_S * SECOND_US;
	entry.proof = call_proof_answer(call_nonce(call), local);
	call_make(&own, CALL_SMALL, &entry, 1, n->rng);
	call_write(&w, &own);
	open_path(n, call_nonce(call), call_nonce(&own), local, from);
	effect_call(n->fx, local, writer_done(&w));
}

static void answer_over_bluetooth(struct node *n, const struct call *call, const struct address *from)
{
	struct meeting *m = &n->meeting;
	struct nonce16 n_answer;
	uint32_t path;

	m->answer_again_us = n->now_us + ANSWER_AGAIN_BLUETOOTH_S * SECOND_US;
	path = radio_answer(n, &m->key, &m->key, call, from, &n_answer);
	take_path(n, path, call_nonce(call), &n_answer);
}

/* Whether a call under the number of the code on our screen, with this entry, is one to be answered. */
static bool heard_by_displayer(const struct node *n, const struct call *call, int place, enum call_kind kind,
                               const struct address *from)
{
	const struct call_proof proof = call_proof_clock(kind, 0, from);

	return !pairing_is_bound(&n->meeting.pairing) && n->now_us >= n->meeting.answer_again_us &&
	       call_is_live(call, place, &n->meeting.key, &proof);
}

static void spend(struct meeting *m)
{
	spent_of(&m->spent[m->spent_next++ % CODES_SPENT_MAX], &m->pairing.code);
}

static void heard_by_enterer(struct node *n, const struct call *call, int place, const struct address *from)
{
	const struct address *local;
	const struct nonce16 *n_call = finder_answered_call(n, call, place, &n->meeting.key, from, &local);

	if (n_call == NULL || n->meeting.pairing.state != PAIRING_WAITS)
		return;
	spend(&n->meeting);
	open_path(n, n_call, call_nonce(call), local, from);
}

void meeting_call(struct node *n, const struct call *call, const struct address *from)
{
	struct meeting *m = &n->meeting;
	int place;

	if (m->kind != MEETING_CODE)
		return;
	place = call_find(call, &m->key);
	if (place < 0)
		return;
	if (m->pairing.side == PAIRING_ENTERS)
		heard_by_enterer(n, call, place, from);
	else if (heard_by_displayer(n, call, place, CALL_KIND_CALL, from))
		answer(n, call, from);
}

void meeting_advert(struct node *n, const struct call *call, const struct address *from)
{
	const struct meeting *m = &n->meeting;
	const int place = meeting_waits_for_call(n) ? call_find(call, &m->key) : -1;

	if (place >= 0 && heard_by_displayer(n, call, place, CALL_KIND_BLUETOOTH, from))
		answer_over_bluetooth(n, call, from);
}

bool meeting_answered(struct node *n, uint32_t path, const struct nonce16 *n_call, const struct call *answer,
                      const struct call_proof *proof)
{
	struct meeting *m = &n->meeting;
	const int place = is_calling(m) ? call_find(answer, &m->key) : -1;

	if (place < 0 || !call_is_live(answer, place, &m->key, proof))
		return false;
	spend(m);
	take_path(n, path, n_call, call_nonce(answer));
	return true;
}

const struct sym_key *meeting_calls_under(const struct node *n)
{
	return is_calling(&n->meeting) ? &n->meeting.key : NULL;
}

bool meeting_waits_for_call(const struct node *n)
{
	const struct meeting *m = &n->meeting;

	return m->kind == MEETING_CODE && m->pairing.side == PAIRING_DISPLAYS &&
	       !pairing_is_bound(&m->pairing);
}

/* Under a code's number, with unit 0 in place of the clock. */
static void call_out(struct node *n)
{
	struct meeting *m = &n->meeting;

	for (size_t i = 0; i < n->finder.locals_len; i++) {
		const struct address *local = &n->finder.locals[i];
		const struct call_entry entry = {
			.key = &m->key,
			.proof = call_proof_clock(CALL_KIND_CALL, 0, local),
		};
		uint8_t bytes[CALL_SMALL_LEN];
		struct writer w = WRITER_ON(bytes);
		struct call call;

		call_make(&call, CALL_SMALL, &entry, 1, n->rng);
		call_write(&w, &call);
		finder_remember_call(n, call_nonce(&call), local);
		effect_call(n->fx, local, writer_done(&w));
	}
	m->next_call_us = n->now_us + random_between(n->rng, CALL_LOW_MS * MS_US, CALL_HIGH_MS * MS_US);
}

/* ---- Time ------------------------------------------------------------------ */

int meeting_timer(struct node *n)
{
	struct meeting *m = &n->meeting;

	switch (m->kind) {
	case MEETING_NONE:
		if (m->path != 0 && n->now_us >= m->linger_us)
			end(n);
		return 0;
	case MEETING_BOTH:
		if (n->now_us >= m->expires_us)
			failed(n, PAIRING_EXPIRED);
		return 0;
	case MEETING_CODE:
		if (pairing_timer(&m->pairing, n->rng, n->now_us))
			send_datagram(n);
		if (is_calling(m) && n->now_us >= m->next_call_us)
			call_out(n);
		return follow(n);
	}
	return 0;
}

uint64_t meeting_deadline_us(const struct node *n)
{
	const struct meeting *m = &n->meeting;
	uint64_t due;

	switch (m->kind) {
	case MEETING_NONE:
		return m->path != 0 ? m->linger_us : NEVER_US;
	case MEETING_BOTH:
		return m->expires_us;
	case MEETING_CODE:
		due = pairing_deadline_us(&m->pairing);
		return is_calling(m) ? MIN(due, m->next_call_us) : due;
	}
	return NEVER_US;
}

/* ---- Requests -------------------------------------------------------------- */

static void reply(struct node *n, const struct request *q, enum reply_code code, struct span text)
{
	effect_reply(n->fx, q->id, code, 0, text);
}

/* The name of the contact to be. Returns REPLY_OK, the refusal in its place, or an enum err. */
static int take_name(struct node *n, struct span name, char out[static CONTACT_NAME_MAX + 1])
{
	const int r = name_read(out, name);

	if (r != 0)
		return r < 0 ? r : REPLY_BAD_NAME;
	if (node_contact_by_name(n, name) != NULL)
		return REPLY_NAME_TAKEN;
	return n->contacts_len == CONTACTS_MAX ? REPLY_LIMIT : REPLY_OK;
}

/* A meeting begins, where none is under way and the name can be given. Returns as take_name(). */
static int begin(struct node *n, const struct request *q, enum meeting_kind kind)
{
	char name[CONTACT_NAME_MAX + 1];
	int code = n->meeting.kind == MEETING_NONE ? REPLY_OK : REPLY_BUSY;

	if (code == REPLY_OK)
		code = take_name(n, q->name, name);
	if (code == REPLY_OK && kind == MEETING_CODE && n->finder.locals_len == 0 && n->radio.radios_len == 0)
		code = REPLY_NO_NETWORK;
	if (code != REPLY_OK)
		return code;
	end(n);
	n->meeting.kind = kind;
	n->meeting.known.has = is_known;
	memcpy(n->meeting.name, name, sizeof(name));
	return REPLY_OK;
}

static void begin_code(struct node *n, enum pairing_side side, const struct code *code)
{
	struct meeting *m = &n->meeting;

	code_key(&m->key, code);
	pairing_begin(&m->pairing, side, code, &m->known, n->now_us);
	m->next_call_us = n->now_us;
}

/* The code as it is said, or as a camera reads it. */
static void reply_code_text(struct node *n, const struct request *q, const struct code *code)
{
	char text[QR_TEXT_MAX + 1] = "";
	struct writer w = writer_on(text, QR_TEXT_MAX);
	struct qr qr = { .kind = QR_CODE, .code = *code };

	static_assert((int)CODE_TEXT_MAX <= (int)QR_TEXT_MAX, "a spoken code fits where a QR does");
	if (code->spoken)
		code_print(text, code);
	else
		qr_text(&w, &qr);
	reply(n, q, REPLY_OK, span_str(text));
	qr_wipe(&qr);
	sodium_memzero(text, sizeof(text));
}

static int show(struct node *n, const struct request *q)
{
	const int outcome = begin(n, q, MEETING_CODE);
	struct code code;

	if (outcome < 0)
		return outcome;
	if (outcome != REPLY_OK) {
		reply(n, q, (enum reply_code)outcome, SPAN_NONE);
		return 0;
	}
	if (q->flag)
		code_new_secret(&code, n->rng);
	else
		code_new(&code, n->rng);
	begin_code(n, PAIRING_DISPLAYS, &code);
	reply_code_text(n, q, &code);
	code_wipe(&code);
	return 0;
}

/* What is wrong with a code that was typed, for the person who typed it. */
static void say_trouble(char out[static TROUBLE_MAX], int outcome, const struct code_trouble *why)
{
	size_t len;

	out[0] = '\0';
	if (outcome == CODE_NO_NUMBER) {
		snprintf(out, TROUBLE_MAX, "a code begins with its number of two digits");
	} else if (outcome == CODE_TOO_SHORT) {
		snprintf(out, TROUBLE_MAX, "word %u of three is missing", why->word + 1);
	} else if (outcome == CODE_TOO_LONG) {
		snprintf(out, TROUBLE_MAX, "a code is a number and three words; there is more here");
	} else if (outcome == CODE_WORD_UNKNOWN) {
		len = (size_t)snprintf(out, TROUBLE_MAX, "word %u is none of the words", why->word + 1);
		for (size_t i = 0; i < why->near_len && len < TROUBLE_MAX; i++)
			len += (size_t)snprintf(out + len, TROUBLE_MAX - len, "%s%s",
			                        i == 0 ? "; did you mean " : " or ", words_at(why->near[i]));
		if (why->near_len > 0 && len + 1 < TROUBLE_MAX)
			snprintf(out + len, TROUBLE_MAX - len, "?");
	}
}

/* Reads what was typed or scanned. False, and trouble says why, when it is no code of one side. */
static bool read_code(struct code *code, struct span text, char trouble[static TROUBLE_MAX])
{
	struct code_trouble why;
	struct qr qr;
	int outcome;

	if (qr_read(&qr, text) == 0) {
		outcome = qr.kind == QR_CODE ? 0 : QR_REFUSED;
		if (outcome == 0)
			*code = qr.code;
		qr_wipe(&qr);
		snprintf(trouble, TROUBLE_MAX, "this QR is of another kind");
		return outcome == 0;
	}
	outcome = code_parse(code, &why, text);
	say_trouble(trouble, outcome, &why);
	return outcome == 0;
}

static bool is_own(const struct meeting *m, const struct code *code)
{
	return m->kind == MEETING_CODE && m->pairing.side == PAIRING_DISPLAYS &&
	       m->pairing.code.number == code->number &&
	       span_equal(code_prs(&m->pairing.code), code_prs(code));
}

static int enter(struct node *n, const struct request *q)
{
	char trouble[TROUBLE_MAX];
	struct code code;
	int outcome;

	if (!read_code(&code, q->text, trouble)) {
		reply(n, q, REPLY_BAD_CODE, span_str(trouble));
		return 0;
	}
	if (is_own(&n->meeting, &code))
		outcome = REPLY_OWN_CODE;
	else if (is_spent(&n->meeting, &code))
		outcome = REPLY_SPENT;
	else
		outcome = begin(n, q, MEETING_CODE);
	if (outcome == REPLY_OK)
		begin_code(n, PAIRING_ENTERS, &code);
	if (outcome >= 0)
		reply(n, q, (enum reply_code)outcome, SPAN_NONE);
	code_wipe(&code);
	return MIN(outcome, 0);
}

static int both_begin(struct node *n, const struct request *q)
{
	struct meeting *m = &n->meeting;
	const int outcome = begin(n, q, MEETING_BOTH);
	char text[QR_TEXT_MAX];
	struct writer w = WRITER_ON(text);
	struct qr qr = { .kind = QR_PAIR };

	if (outcome < 0)
		return outcome;
	if (outcome == REPLY_OK) {
		pairing_qr_new(&m->shown, &m->s, &m->r, n->rng);
		m->expires_us = n->now_us + PAIRING_LIFE_S * SECOND_US;
		qr.pair = m->shown;
		qr_text(&w, &qr);
	}
	reply(n, q, (enum reply_code)outcome, writer_done(&w));
	qr_wipe(&qr);
	sodium_memzero(text, sizeof(text));
	return 0;
}

static int both_scanned(struct node *n, const struct request *q)
{
	struct meeting *m = &n->meeting;
	struct pairing_result result;
	struct qr qr;
	int r;

	if (m->kind != MEETING_BOTH) {
		reply(n, q, REPLY_NO_PAIRING, SPAN_NONE);
		return 0;
	}
	if (qr_read(&qr, q->text) != 0 || qr.kind != QR_PAIR) {
		reply(n, q, REPLY_BAD_CODE, span_str("this is not the QR text that the other device shows"));
		return 0;
	}
	if (memcmp(qr.pair.s.b, m->shown.s.b, sizeof(m->shown.s.b)) == 0) {
		reply(n, q, REPLY_OWN_CODE, SPAN_NONE);
		return 0;
	}
	r = pairing_qr(&result, &m->s, &m->r, &m->shown.q, &qr.pair, &m->known);
	if (r == 0)
		r = add_contact(n, &result);
	if (r >= 0) {
		reply(n, q, r == 0 ? REPLY_OK : REPLY_KNOWN, SPAN_NONE);
		end(n);
	}
	sodium_memzero(&result, sizeof(result));
	qr_wipe(&qr);
	return MIN(r, 0);
}

static void cancel(struct node *n, const struct request *q)
{
	const bool under_way = n->meeting.kind != MEETING_NONE;

	if (under_way)
		end(n);
	reply(n, q, under_way ? REPLY_OK : REPLY_NO_PAIRING, SPAN_NONE);
}

int meeting_request(struct node *n, const struct request *q)
{
	switch (q->kind) {
	case REQ_PAIR_SHOW:
		return show(n, q);
	case REQ_PAIR_ENTER:
		return enter(n, q);
	case REQ_PAIR_BOTH:
		return q->text.len == 0 ? both_begin(n, q) : both_scanned(n, q);
	default:
		assert(q->kind == REQ_PAIR_CANCEL);
		cancel(n, q);
		return 0;
	}
}
