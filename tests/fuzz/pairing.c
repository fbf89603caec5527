#include "tests/fuzz/fuzz.h"

#include <sodium.h>

#include "node/core/pairing.h"
#include "node/crypto/random.h"

enum { TURNS_MAX = 96, FLIGHTS_KEPT = 16, PLAIN_LEN = PAIRING_DATAGRAM_LEN - 40, NONCE_LEN = 24 };
enum { SAME_CODE, OTHER_NUMBER_ONLY, OTHER_WORDS };

enum act {
	FLIGHT,  /* the other side's last datagram arrives */
	OLD,     /* any datagram that ever was sent, reflected ones too */
	CHANGED, /* the last one, what it says changed by who knows the code's number */
	NOISE,   /* bytes from nowhere */
	WAIT,
	LOST, /* the path is lost; another is found */
	ACTS
};

struct person {
	struct pairing p;
	bool sends;
};

struct room {
	struct person people[2];
	struct random_seeded rng;
	struct reader in;
	uint64_t now_us;
	uint8_t flights[FLIGHTS_KEPT][PAIRING_DATAGRAM_LEN];
	unsigned sent;
};

static bool nobody_has(struct pairing_known *self, const struct public_key *s)
{
	(void)self;
	(void)s;
	return false;
}

static struct pairing_known nobody = { nobody_has };

static void sent(struct room *r, struct person *x, bool sends)
{
	if (!sends)
		return;
	x->sends = true;
	memcpy(r->flights[r->sent++ % FLIGHTS_KEPT], x->p.datagram, PAIRING_DATAGRAM_LEN);
}

static void hear(struct room *r, struct person *x, struct span datagram)
{
	sent(r, x, pairing_datagram(&x->p, &r->rng.base, datagram, r->now_us));
}

/* Opens what from says, xors it, and seals it again: kE and kD follow from the public number. */
static void change(struct room *r, uint8_t out[static PAIRING_DATAGRAM_LEN], const struct person *from)
{
	const uint8_t *key = from->p.send_key.b;
	uint8_t plain[PLAIN_LEN];

	memcpy(out, from->p.datagram, PAIRING_DATAGRAM_LEN);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, out + NONCE_LEN,
	                                               PAIRING_DATAGRAM_LEN - NONCE_LEN, NULL, 0, out,
	                                               key) != 0)
		return; /* an opener */
	for (unsigned n = reader_u8(&r->in) % 8 + 1; n > 0; n--) {
		const uint8_t at = reader_u8(&r->in) % PLAIN_LEN;

		plain[at] ^= reader_u8(&r->in);
	}
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE_LEN, NULL, plain, PLAIN_LEN, NULL, 0, NULL,
	                                           out, key);
}

static void meet(struct room *r, struct person *x)
{
	static const struct nonce16 n_call = { { 1 } }, n_answer = { { 2 } };

	if (x->p.state == PAIRING_WAITS)
		pairing_path(&x->p, &r->rng.base, &n_call, &n_answer, r->now_us);
}

static void turn(struct room *r)
{
	const uint8_t what = reader_u8(&r->in);
	struct person *x = &r->people[what & 1], *other = &r->people[1 - (what & 1)];
	uint8_t datagram[PAIRING_DATAGRAM_LEN];

	switch (what / 2 % ACTS) {
	case FLIGHT:
		sent(r, other, pairing_timer(&other->p, &r->rng.base, r->now_us));
		if (other->sends)
			hear(r, x, SPAN(other->p.datagram));
		break;
	case OLD:
		if (r->sent > 0)
			hear(r, x,
			     SPAN(r->flights[reader_u8(&r->in) % MIN(r->sent, (unsigned)FLIGHTS_KEPT)]));
		break;
	case CHANGED:
		change(r, datagram, other);
		hear(r, x, SPAN(datagram));
		break;
	case NOISE:
		reader_bytes(&r->in, datagram, sizeof(datagram));
		hear(r, x, span_from(datagram, reader_u8(&r->in) == 0 ? 255 : sizeof(datagram)));
		break;
	case WAIT:
		r->now_us += (uint64_t)reader_u8(&r->in) * 100000;
		(void)pairing_deadline_us(&x->p);
		sent(r, x, pairing_timer(&x->p, &r->rng.base, r->now_us));
		break;
	default:
		pairing_path_lost(&x->p);
		meet(r, x);
		break;
	}
}

/* Byte 0: whether both have one code. Two sides, and who is in between, as the input says: both succeed with
 * the same secrets or nobody is deceived; with different words nobody succeeds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct room r;
	struct pairing *const d = &r.people[0].p, *const e = &r.people[1].p;
	struct ratchet ratchet;
	struct code code, entered;
	uint8_t codes;

	memset(&r, 0, sizeof(r));
	r.in = reader_from(span_from(data, size));
	random_seeded_init(&r.rng, 1);
	code_new(&code, &r.rng.base);
	code_new(&entered, &r.rng.base);
	codes = reader_u8(&r.in) % 3;
	if (codes != OTHER_WORDS)
		entered = code;
	entered.number =
	        (uint8_t)(codes == OTHER_NUMBER_ONLY ? (code.number + 1) % CODE_NUMBERS : code.number);
	pairing_begin(d, PAIRING_DISPLAYS, &code, &nobody, 0);
	pairing_begin(e, PAIRING_ENTERS, &entered, &nobody, 0);
	meet(&r, &r.people[0]);
	meet(&r, &r.people[1]);
	r.people[0].sends = true; /* flight 1 is there */
	for (unsigned turns = 0; turns < TURNS_MAX && r.in.len > 0; turns++)
		turn(&r);
	if (codes != SAME_CODE)
		assert(d->state != PAIRING_DONE && e->state != PAIRING_DONE);
	if (e->state == PAIRING_DONE)
		assert(d->state == PAIRING_DONE);
	if (d->state == PAIRING_DONE && e->state == PAIRING_DONE) {
		assert(strcmp(d->result.safety, e->result.safety) == 0 && d->result.role != e->result.role);
		assert(memcmp(&d->result.secrets, &e->result.secrets, sizeof(d->result.secrets)) == 0);
		assert(pairing_ratchet(&ratchet, &e->result, &r.rng.base) == 0);
	}
	pairing_deinit(d);
	pairing_deinit(e);
	return 0;
}
