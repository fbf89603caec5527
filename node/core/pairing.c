/*
 * pairing.c: seven flights.
 *
 *     D  awaits   sends                           E  awaits   sends
 *        -        1  nD                              -        openers
 *        2        3  Y_D                             1        2  01 nE Y_E
 *        4        5  e,ee,s,es (R_D)                 3        4  psk,e
 *        6        7  final          D is done        5        6  s,se (R_E)
 *        6        7  again                           7        -              E is done
 *
 * The first flight 2 that opens, and the one answer that E takes up, bind the attempt:
 * from then on it succeeds or the code is burnt. A datagram that does not open, or
 * has a number that is not awaited, is dropped: kE and kD are no secrets, and flights are
 * resent. One that opens, is awaited and is not right ends it.
 */
#include "node/core/pairing.h"

#include <sodium.h>

#include "node/crypto/cpace.h"
#include "node/crypto/kdf.h"

enum { NONCE_LEN = 24, TAG_LEN = 16, PLAIN_LEN = PAIRING_DATAGRAM_LEN - NONCE_LEN - TAG_LEN }; /* 216 */
enum { FLIGHT_LEN_MAX = 128 };
enum { VERSION = 1 };
enum { AWAITS_NOTHING = 8 };
#define SECOND_US UINT64_C(1000000)

/* The length of each flight, PROTOCOL section 2.2. */
static const size_t flight_len[AWAITS_NOTHING] = { 0, 16, 49, 32, 48, 128, 96, 16 };

#define X(name, text) text,
static const char *const failure_texts[] = { PAIRING_FAILURE_LIST(X) };
#undef X

const char *pairing_failure_text(enum pairing_failure failure)
{
	return failure_texts[failure];
}

/* ---- Beginning and end ----------------------------------------------------- */

void pairing_begin(struct pairing *p, enum pairing_side side, const struct code *code,
                   struct pairing_known *known, uint64_t now_us)
{
	*p = (struct pairing){
		.side = side,
		.code = *code,
		.known = known,
		.expires_us = now_us + PAIRING_LIFE_S * SECOND_US,
	};
}

/* Everything of the attempt goes but its outcome. */
static void wipe_attempt(struct pairing *p)
{
	noise_deinit(&p->noise);
	code_wipe(&p->code);
	sodium_memzero(p->y_own, sizeof(p->y_own));
	sodium_memzero(&p->s, sizeof(p->s));
	sodium_memzero(&p->r, sizeof(p->r));
}

void pairing_deinit(struct pairing *p)
{
	wipe_attempt(p);
	sodium_memzero(p, sizeof(*p));
}

static void fail(struct pairing *p, enum pairing_failure why)
{
	wipe_attempt(p);
	p->state = PAIRING_FAILED;
	p->failure = why;
}

bool pairing_is_bound(const struct pairing *p)
{
	return p->state != PAIRING_WAITS && (p->side == PAIRING_ENTERS || p->awaits > 2);
}

/* What ends by itself at this time. Without a flight yet D is not bound by a path: the next call may bring a
 * better one. */
static void expire(struct pairing *p, uint64_t now_us)
{
	if (p->state == PAIRING_TALKS && now_us >= p->give_up_us) {
		if (pairing_is_bound(p))
			fail(p, PAIRING_WENT_SILENT);
		else
			p->state = PAIRING_WAITS;
	}
	if (p->state == PAIRING_WAITS && now_us >= p->expires_us)
		fail(p, PAIRING_EXPIRED);
}

/* ---- Datagrams ------------------------------------------------------------- */

/* datagram = N 24 | XChaCha20-Poly1305(k, N, number 1 | flight | zeros to 216) */
static void seal(struct pairing *p, struct random *rng, unsigned number, struct span flight)
{
	uint8_t plain[PLAIN_LEN] = { (uint8_t)number };

	assert(flight.len == flight_len[number]);
	memcpy(plain + 1, flight.p, flight.len);
	random_bytes(rng, p->datagram, NONCE_LEN);
	crypto_aead_xchacha20poly1305_ietf_encrypt(p->datagram + NONCE_LEN, NULL, plain, sizeof(plain), NULL,
	                                           0, NULL, p->datagram, p->send_key.b);
	sodium_memzero(plain, sizeof(plain));
}

/* The number of a flight, and its bytes in plain; 0 when the datagram is no flight. */
static unsigned open_flight(uint8_t plain[static PLAIN_LEN], const struct pairing *p, struct span datagram)
{
	static const uint8_t zeros[PLAIN_LEN];
	size_t used;

	if (datagram.len != PAIRING_DATAGRAM_LEN ||
	    crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, datagram.p + NONCE_LEN,
	                                               datagram.len - NONCE_LEN, NULL, 0, datagram.p,
	                                               p->receive_key.b) != 0)
		return 0;
	if (plain[0] == 0 || plain[0] >= AWAITS_NOTHING)
		return 0;
	used = 1 + flight_len[plain[0]];
	return memcmp(plain + used, zeros, PLAIN_LEN - used) == 0 ? plain[0] : 0;
}

void pairing_path(struct pairing *p, struct random *rng, const struct nonce16 *n_call,
                  const struct nonce16 *n_answer, uint64_t now_us)
{
	struct sym_key k;
	uint8_t nonces[32], keys[64];

	assert(p->state == PAIRING_WAITS || (p->state == PAIRING_TALKS && !pairing_is_bound(p)));
	code_key(&k, &p->code);
	memcpy(nonces, n_call->b, 16);
	memcpy(nonces + 16, n_answer->b, 16);
	b2(keys, sizeof(keys), "fl1:pair-mask", KEY_SPAN(&k), SPAN(nonces));
	memcpy(p->side == PAIRING_ENTERS ? p->send_key.b : p->receive_key.b, keys, 32);
	memcpy(p->side == PAIRING_ENTERS ? p->receive_key.b : p->send_key.b, keys + 32, 32);
	p->state = PAIRING_TALKS;
	p->awaits = p->side == PAIRING_ENTERS ? 1 : 2;
	p->give_up_us = now_us + PAIRING_FLIGHT_S * SECOND_US;
	p->resend_us = now_us;
	if (p->side == PAIRING_DISPLAYS) {
		random_bytes(rng, p->n_d.b, sizeof(p->n_d.b));
		seal(p, rng, 1, KEY_SPAN(&p->n_d));
	}
}

/* ---- CPace ----------------------------------------------------------------- */

/* PROTOCOL section 2.2: A = E, B = D, sid = nE nD. sid lies in the caller's buffer. */
static struct cpace run_of(const struct pairing *p, uint8_t sid[static 32])
{
	memcpy(sid, p->n_e.b, 16);
	memcpy(sid + 16, p->n_d.b, 16);
	return (struct cpace){
		.prs = code_prs(&p->code),
		.ci = span_str("fl1:pair/1"),
		.sid = span_from(sid, 32),
		.ad_a = span_str("E"),
		.ad_b = span_str("D"),
	};
}

static void make_share(struct pairing *p, struct random *rng)
{
	uint8_t sid[32];
	const struct cpace run = run_of(p, sid);
	struct cpace_scalar y;
	struct cpace_share share;

	cpace_scalar_new(&y, rng);
	cpace_share(&share, &run, &y);
	memcpy(p->y_own, y.b, sizeof(p->y_own));
	memcpy(p->side == PAIRING_ENTERS ? p->share_e : p->share_d, share.b, sizeof(share.b));
	sodium_memzero(&y, sizeof(y));
}

/* psk of the handshake. False when the other's share is none. */
static bool make_psk(const struct pairing *p, struct sym_key *psk)
{
	uint8_t sid[32];
	const struct cpace run = run_of(p, sid);
	struct cpace_share a, b;
	struct cpace_scalar y;
	struct hash64 isk;
	bool good;

	memcpy(a.b, p->share_e, sizeof(a.b));
	memcpy(b.b, p->share_d, sizeof(b.b));
	memcpy(y.b, p->y_own, sizeof(y.b));
	good = cpace_isk_ir(&isk, &run, &y, p->side == PAIRING_ENTERS, &a, &b) == 0;
	if (good)
		secrets_pair_psk(psk, &isk);
	sodium_memzero(&isk, sizeof(isk));
	sodium_memzero(&y, sizeof(y));
	return good;
}

/* ---- Noise ----------------------------------------------------------------- */

/* Draws s and r, and begins the handshake; prologue "fl1:pair" | 01 | nD | nE | Y_E | Y_D. */
static bool begin_noise(struct pairing *p, struct random *rng)
{
	uint8_t prologue[8 + 1 + 16 + 16 + 32 + 32];
	struct writer w = WRITER_ON(prologue);
	struct sym_key psk;
	struct noise_config config = {
		.pattern = "XXpsk0",
		.initiator = p->side == PAIRING_ENTERS,
		.s = &p->s,
		.psks = &psk,
		.psks_len = 1,
	};
	bool good = make_psk(p, &psk);

	key_pair_new(&p->s, rng);
	key_pair_new(&p->r, rng);
	writer_str(&w, "fl1:pair");
	writer_u8(&w, VERSION);
	writer_bytes(&w, p->n_d.b, 16);
	writer_bytes(&w, p->n_e.b, 16);
	writer_bytes(&w, p->share_e, 32);
	writer_bytes(&w, p->share_d, 32);
	config.prologue = writer_done(&w);
	good = good && noise_init(&p->noise, &config) == 0;
	sodium_memzero(&psk, sizeof(psk));
	return good;
}

/* ---- What a pairing gives -------------------------------------------------- */

static struct secrets_pair in_order(const struct pairing_result *r)
{
	const bool is_a = r->role == ROLE_A;

	return (struct secrets_pair){
		.s_a = is_a ? r->s.public : r->peer_s,
		.s_b = is_a ? r->peer_s : r->s.public,
		.r_a = is_a ? r->r.public : r->peer_r,
		.r_b = is_a ? r->peer_r : r->r.public,
	};
}

/* PROTOCOL section 2.3. */
static void derive(struct pairing_result *r, const struct root_secret *root, const struct secrets_pair *pair)
{
	secrets_of_root(&r->secrets, root);
	secrets_aid(&r->aid, &pair->s_a, &pair->s_b, 0);
	safety_number(r->safety, pair);
}

/* Whether who was authenticated may become a contact; ends the attempt when not. Each side asks before
 * its last flight, so that nobody is left with half a contact. */
static bool accept_peer(struct pairing *p)
{
	struct pairing_result *r = &p->result;
	uint8_t shared[32];
	bool weak;

	r->peer_s = *noise_remote_static(&p->noise);
	weak = x25519(shared, &p->r.secret, &r->peer_r) != 0; /* as the ratchet will */
	sodium_memzero(shared, sizeof(shared));
	if (weak)
		fail(p, PAIRING_BROKEN);
	else if (p->known->has(p->known, &r->peer_s) || secrets_role(&r->role, &p->s.public, &r->peer_s) != 0)
		fail(p, PAIRING_KNOWN);
	return p->state == PAIRING_TALKS;
}

/* The handshake is over and good. */
static void finish(struct pairing *p)
{
	struct secrets_pair pair;
	struct root_secret root;
	struct noise_keys keys;

	p->result.s = p->s;
	p->result.r = p->r;
	p->result.by_code = true;
	pair = in_order(&p->result);
	noise_split(&p->noise, &keys);
	secrets_root_code(&root, &keys.x, &pair, &keys.h);
	derive(&p->result, &root, &pair);
	sodium_memzero(&root, sizeof(root));
	sodium_memzero(&keys, sizeof(keys));
	wipe_attempt(p);
	p->state = PAIRING_DONE;
}

/* ---- What each flight does ------------------------------------------------- */

/* Sends what noise writes next as flight number. */
static bool write_noise(struct pairing *p, struct random *rng, unsigned number, struct span payload)
{
	uint8_t flight[FLIGHT_LEN_MAX];
	struct writer w = WRITER_ON(flight);

	if (noise_write(&p->noise, rng, &w, payload) != 0)
		return false;
	seal(p, rng, number, writer_done(&w));
	return true;
}

/* Reads a handshake message with a payload of exactly len bytes. */
static bool read_noise(struct pairing *p, void *payload, size_t len, struct span flight)
{
	struct writer w = writer_on(payload, len);

	return noise_read(&p->noise, &w, flight) == 0 && w.len == len;
}

static bool take_1(struct pairing *p, struct random *rng, struct span flight)
{
	uint8_t out[49] = { VERSION };

	memcpy(p->n_d.b, flight.p, 16);
	random_bytes(rng, p->n_e.b, sizeof(p->n_e.b));
	make_share(p, rng);
	memcpy(out + 1, p->n_e.b, 16);
	memcpy(out + 17, p->share_e, 32);
	seal(p, rng, 2, SPAN(out));
	return true;
}

static bool take_2(struct pairing *p, struct random *rng, struct span flight)
{
	if (flight.p[0] != VERSION) {
		fail(p, PAIRING_BROKEN);
		return false;
	}
	memcpy(p->n_e.b, flight.p + 1, 16);
	memcpy(p->share_e, flight.p + 17, 32);
	make_share(p, rng);
	seal(p, rng, 3, SPAN(p->share_d));
	return true;
}

static bool take_3(struct pairing *p, struct random *rng, struct span flight)
{
	memcpy(p->share_d, flight.p, 32);
	if (begin_noise(p, rng) && write_noise(p, rng, 4, SPAN_NONE)) /* psk, e */
		return true;
	fail(p, PAIRING_BROKEN);
	return false;
}

/* E's key confirmation: here a wrong code shows. */
static bool take_4(struct pairing *p, struct random *rng, struct span flight)
{
	uint8_t nothing[1];

	if (!begin_noise(p, rng)) {
		fail(p, PAIRING_BROKEN);
		return false;
	}
	if (read_noise(p, nothing, 0, flight) &&
	    write_noise(p, rng, 5, KEY_SPAN(&p->r.public))) /* e, ee, s, es */
		return true;
	fail(p, PAIRING_WRONG_CODE);
	return false;
}

static bool take_5(struct pairing *p, struct random *rng, struct span flight)
{
	if (!read_noise(p, p->result.peer_r.b, sizeof(p->result.peer_r.b), flight)) {
		fail(p, PAIRING_WRONG_CODE);
		return false;
	}
	if (!accept_peer(p))
		return false;
	if (write_noise(p, rng, 6, KEY_SPAN(&p->r.public))) /* s, se */
		return true;
	fail(p, PAIRING_BROKEN);
	return false;
}

/* The final flight: an empty message under k_r->i with nonce 0. */
static bool take_6(struct pairing *p, struct random *rng, struct span flight)
{
	uint8_t final[TAG_LEN];
	struct writer w = WRITER_ON(final);
	struct noise_keys keys;

	if (!read_noise(p, p->result.peer_r.b, sizeof(p->result.peer_r.b), flight)) {
		fail(p, PAIRING_BROKEN);
		return false;
	}
	if (!accept_peer(p))
		return false;
	noise_split(&p->noise, &keys);
	noise_seal(&w, &keys.k_r_to_i, 0, SPAN_NONE, SPAN_NONE);
	sodium_memzero(&keys, sizeof(keys));
	seal(p, rng, 7, writer_done(&w));
	finish(p);
	return true;
}

static bool take_7(struct pairing *p, struct random *rng, struct span flight)
{
	uint8_t none[1];
	struct writer nothing = writer_on(none, 0);
	struct noise_keys keys;
	bool good;

	(void)rng;
	noise_split(&p->noise, &keys);
	good = noise_open(&nothing, &keys.k_r_to_i, 0, SPAN_NONE, flight) == 0;
	sodium_memzero(&keys, sizeof(keys));
	if (good)
		finish(p);
	else
		fail(p, PAIRING_BROKEN);
	return false; /* nothing more to send */
}

static bool (*const take[AWAITS_NOTHING])(struct pairing *p, struct random *rng, struct span flight) = {
	NULL, take_1, take_2, take_3, take_4, take_5, take_6, take_7,
};

bool pairing_datagram(struct pairing *p, struct random *rng, struct span datagram, uint64_t now_us)
{
	uint8_t plain[PLAIN_LEN];
	unsigned number = 0;
	bool send = false;

	expire(p, now_us);
	if (p->state == PAIRING_TALKS || (p->state == PAIRING_DONE && p->side == PAIRING_DISPLAYS))
		number = open_flight(plain, p, datagram);
	if (p->state == PAIRING_DONE) {
		send = number == 6; /* D repeats 7 for every 6 it sees */
	} else if (number != 0 && number == p->awaits) {
		p->awaits += 2;
		p->give_up_us = now_us + PAIRING_FLIGHT_S * SECOND_US;
		p->resend_us = now_us + PAIRING_RESEND_MS * UINT64_C(1000);
		send = take[number](p, rng, span_from(plain + 1, flight_len[number]));
	}
	sodium_memzero(plain, sizeof(plain));
	return send;
}

/* ---- Time ------------------------------------------------------------------ */

void pairing_path_lost(struct pairing *p)
{
	if (p->state != PAIRING_TALKS)
		return;
	if (p->awaits > 2)
		fail(p, PAIRING_WENT_SILENT);
	else
		p->state = PAIRING_WAITS;
}

bool pairing_timer(struct pairing *p, struct random *rng, uint64_t now_us)
{
	expire(p, now_us);
	if (p->state != PAIRING_TALKS || now_us < p->resend_us)
		return false;
	p->resend_us = now_us + PAIRING_RESEND_MS * UINT64_C(1000);
	if (p->awaits == 1)
		random_bytes(rng, p->datagram, sizeof(p->datagram)); /* an opener */
	return true;
}

uint64_t pairing_deadline_us(const struct pairing *p)
{
	switch (p->state) {
	case PAIRING_WAITS:
		return p->expires_us;
	case PAIRING_TALKS:
		return MIN(p->resend_us, p->give_up_us);
	default:
		return UINT64_MAX;
	}
}

/* ---- Both scan ------------------------------------------------------------- */

void pairing_qr_new(struct qr_pair *shown, struct key_pair *s, struct key_pair *r, struct random *rng)
{
	key_pair_new(s, rng);
	key_pair_new(r, rng);
	*shown = (struct qr_pair){ .s = s->public, .r = r->public };
	random_bytes(rng, shown->q.b, sizeof(shown->q.b));
}

int pairing_qr(struct pairing_result *out, const struct key_pair *s, const struct key_pair *r,
               const struct sym_key *q, const struct qr_pair *scanned, struct pairing_known *known)
{
	struct pairing_result result = { .s = *s, .r = *r, .peer_s = scanned->s, .peer_r = scanned->r };
	struct secrets_pair pair;
	struct root_secret root;
	int outcome = PAIRING_REFUSED;

	if (secrets_role(&result.role, &s->public, &scanned->s) != 0 || known->has(known, &scanned->s))
		goto out;
	pair = in_order(&result);
	if (secrets_root_qr(&root, &pair, result.role, &s->secret, &r->secret,
	                    result.role == ROLE_A ? q : &scanned->q,
	                    result.role == ROLE_A ? &scanned->q : q) != 0)
		goto out;
	derive(&result, &root, &pair);
	*out = result;
	outcome = 0;
out:
	sodium_memzero(&root, sizeof(root));
	sodium_memzero(&result, sizeof(result));
	return outcome;
}

int pairing_ratchet(struct ratchet *out, const struct pairing_result *result, struct random *rng)
{
	struct ratchet_root root = {
		.rk0 = result->secrets.rk0,
		.ha = result->secrets.ha,
		.nb = result->secrets.nb,
		.aid = result->aid,
	};
	const int r = ratchet_init(out, result->role, &root, &result->r, &result->peer_r, rng);

	sodium_memzero(&root, sizeof(root));
	return r == 0 ? 0 : PAIRING_REFUSED;
}
