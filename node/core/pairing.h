/*
 * pairing.h: how two people who have met become contacts (PROTOCOL section 2).
 *
 * A state machine without a network: what the other side sent goes in, what is to be sent
 * comes out, and in the end the keys of a contact. One side displays a code (D), the other
 * enters it (E); or both show a QR and scan the other's. Finding each other under the
 * code's number is meeting.h.
 *
 * Every attempt has keys of its own. It is wiped when it fails, and when it is let go.
 */
#ifndef NODE_CORE_PAIRING_H
#define NODE_CORE_PAIRING_H

#include "node/core/code.h"
#include "node/core/qr.h"
#include "node/crypto/noise.h"
#include "node/crypto/ratchet.h"
#include "node/crypto/safety.h"
#include "node/crypto/secrets.h"

enum {
	PAIRING_DATAGRAM_LEN = 256,
	PAIRING_LIFE_S = 600,  /* how long a code may be shown */
	PAIRING_FLIGHT_S = 20, /* without the next flight the attempt ends */
	PAIRING_RESEND_MS = 300,
};

enum pairing_side { PAIRING_DISPLAYS, PAIRING_ENTERS };

enum pairing_state {
	PAIRING_WAITS,  /* for the other side to be found */
	PAIRING_TALKS,  /* flights go */
	PAIRING_DONE,   /* the result is there */
	PAIRING_FAILED, /* the code is burnt; failure says why */
};

#define PAIRING_FAILURE_LIST(X)                                                                              \
	X(PAIRING_EXPIRED, "the code has expired: begin again with a new one")                               \
	X(PAIRING_WRONG_CODE, "the other side entered another code: begin again with a new one")             \
	X(PAIRING_WENT_SILENT,                                                                               \
	  "the other side went silent, or refused the code: begin again with a new one")                     \
	X(PAIRING_KNOWN, "these keys are known already: begin again with a new code")                        \
	X(PAIRING_BROKEN, "what came was not from a Flyleaf device: begin again with a new code")

#define X(name, text) name,
enum pairing_failure { PAIRING_FAILURE_LIST(X) };
#undef X

const char *pairing_failure_text(enum pairing_failure failure);

struct pairing_result {
	struct key_pair s, r; /* ours, for this contact only */
	struct public_key peer_s, peer_r;
	enum pair_role role;
	struct secrets_result secrets;
	struct hash32 aid; /* of epoch 0 */
	char safety[SAFETY_TEXT_LEN + 1];
	bool by_code;
};

/* Whether S is a contact's already, or was ours. */
struct pairing_known {
	bool (*has)(struct pairing_known *self, const struct public_key *s);
};

struct pairing {
	enum pairing_side side;
	enum pairing_state state;
	enum pairing_failure failure;
	struct code code;
	struct pairing_known *known; /* borrowed */
	uint64_t expires_us;

	/* From the path on. */
	struct sym_key send_key, receive_key; /* kE and kD: disguise only */
	unsigned awaits;                      /* the flight that comes next, 1 to 7; 8: none */
	uint64_t give_up_us, resend_us;
	uint8_t datagram[PAIRING_DATAGRAM_LEN]; /* the own last flight, or an opener */
	struct nonce16 n_d, n_e;
	uint8_t y_own[32]; /* scalar of CPace */
	uint8_t share_e[32], share_d[32];
	struct key_pair s, r;
	struct noise noise;

	struct pairing_result result; /* of PAIRING_DONE */
};

/* Begins as the side that displays code, or enters it. */
void pairing_begin(struct pairing *p, enum pairing_side side, const struct code *code,
                   struct pairing_known *known, uint64_t now_us);
void pairing_deinit(struct pairing *p); /* wipes; zeroed is fine */

/* A call under the code was answered; both nonces are those of call and answer. E takes up one answer ever. D
 * may be given a new path as long as no flight has come (pairing_is_bound()). Draws, D: nD 16, datagram
 * nonce 24. */
void pairing_path(struct pairing *p, struct random *rng, const struct nonce16 *n_call,
                  const struct nonce16 *n_answer, uint64_t now_us);
/* The path broke. As long as no flight has come, another may be taken; else the attempt has failed. */
void pairing_path_lost(struct pairing *p);
/* Whether the attempt is one with this other side, for better or worse. */
bool pairing_is_bound(const struct pairing *p);

/* A datagram that came over the path. True when p->datagram is to be sent now. Draws, E: flight 1: nE 16, y
 * 32, nonce 24; flight 3: s 32, r 32, e 32, nonce 24; flight 5: nonce 24. D: flight 2: y 32, nonce 24; flight
 * 4: s 32, r 32, e 32, nonce 24; flight 6: nonce 24. */
bool pairing_datagram(struct pairing *p, struct random *rng, struct span datagram, uint64_t now_us);
/* What is due. True when p->datagram is to be sent now; an opener draws 256. */
bool pairing_timer(struct pairing *p, struct random *rng, uint64_t now_us);
uint64_t pairing_deadline_us(const struct pairing *p);

/* Mutual QR (section 2.1): what the own screen shows. Draws s, r, q, 32 each. */
void pairing_qr_new(struct qr_pair *shown, struct key_pair *s, struct key_pair *r, struct random *rng);
/* What was scanned is combined with it. Returns 0, or PAIRING_REFUSED: the own code, a known S, a key of no
 * use. */
enum { PAIRING_REFUSED = 1 };
must_check int pairing_qr(struct pairing_result *out, const struct key_pair *s, const struct key_pair *r,
                          const struct sym_key *q, const struct qr_pair *scanned,
                          struct pairing_known *known);

/* The ratchet of a new contact. Returns 0 or PAIRING_REFUSED. */
must_check int pairing_ratchet(struct ratchet *out, const struct pairing_result *result, struct random *rng);

#endif
