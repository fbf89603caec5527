/*
 * call.h: calls, the datagrams by which two contacts find each other (PROTOCOL section 4).
 *
 * Makes calls, reads them strictly, says which contact's key one was made under and
 * whether it is live. It neither remembers what it has seen nor decides who is answered:
 * that is the core's. A call does not say its kind; who examines it tries the kinds that
 * it waits for.
 */
#ifndef TRANSPORT_CALL_H
#define TRANSPORT_CALL_H

#include "node/base/random.h"
#include "node/crypto/keys.h"
#include "transport/carrier.h"

enum {
	CALL_PLACES_MAX = 24,
	CALL_SMALL_LEN = 396,       /* 8 questions */
	CALL_LARGE_LEN = 1164,      /* 24 questions */
	CALL_DIRECT_LEN = 256,      /* 16 places, no question around them */
	CALL_ADVERT_NONCE = 10,     /* bytes of n in an advertisement; the others are zeros */
	CALL_UNIT_S = 600,          /* the clock in a proof counts these */
	CALL_UNITS_EITHER = 2,      /* a live call's unit differs by at most this */
	CALL_SEARCH_UNITS = 525960, /* ten years of units, either way */
};

enum {
	CALL_REFUSED = 1,        /* of call_read(): not a call */
	CALL_SEARCH_MORE = 2,    /* of call_search_step(): call it again */
	CALL_SEARCH_NOTHING = 3, /* of call_search_step(): no unit of the twenty years fits */
};

enum call_kind { CALL_KIND_CALL = 0, CALL_KIND_ANSWER = 1, CALL_KIND_BLUETOOTH = 2 };

/* Small and large are mDNS queries of 8 and 24 questions, direct is sent to an address. The value is the
 * number of places: the nonce and 7, 23 or 15 entries. */
enum call_shape { CALL_SMALL = 8, CALL_LARGE = 24, CALL_DIRECT = 16 };

/* place[0] is n, the others are entries or random bytes. Bits that a UUID fixes are overwritten already,
 * except in a direct call and in a Bluetooth advertisement, which has the shape of one with count 2. */
struct call {
	enum call_shape shape;
	size_t count;
	uint8_t place[CALL_PLACES_MAX][16];
};

/* What Q binds: the kind, and what proves that the entry was made here and now. */
struct call_proof {
	uint8_t len;
	uint8_t b[33]; /* kind, then 20 or 32 bytes */
};

struct call_entry {
	const struct sym_key *key; /* borrowed: the sender's directional key of a link secret */
	struct call_proof proof;
};

/* The proof of a call (kind call or Bluetooth) made at clock_s, seconds since 1970; 0 for a pairing call. */
struct call_proof call_proof_clock(enum call_kind kind, uint64_t clock_s, const struct address *source);
/* The proof of an answer to the call whose nonce is n_call. */
struct call_proof call_proof_answer(const struct nonce16 *n_call, const struct address *source);

/* A new call with the n entries at random places: draws 16 bytes for each place, then the places. n is at
 * most the number of places less one. */
void call_make(struct call *out, enum call_shape shape, const struct call_entry *entries, size_t n,
               struct random *rng);
/* The 396, 1,164 or 256 bytes of a call. */
void call_write(struct writer *w, const struct call *c);
/* Reads an mDNS query that came to the group. Returns 0 or CALL_REFUSED: anything that differs in one bit
 * from what call_write() makes. The caller has checked that its TTL is 255. */
must_check int call_read(struct call *out, struct span datagram);
/* Reads a direct call: 256 bytes of anything. Returns 0 or CALL_REFUSED. */
must_check int call_read_direct(struct call *out, struct span datagram);

/* The call of kind 02 in an advertisement: one entry. Draws 10 bytes. */
void call_advert_make(struct call *out, const struct call_entry *entry, struct random *rng);
/* The ADVERT_LEN bytes: UUID, then data. */
void call_advert_write(struct writer *w, const struct call *c);
/* Reads them: 26 bytes of anything. Returns 0 or CALL_REFUSED. */
must_check int call_advert_read(struct call *out, struct span bytes);
/* The PSM on which the answer to it is waited for, hex 80 to ff; key is the caller's, that of the entry. */
uint8_t call_psm(const struct sym_key *key, const struct nonce16 *n);

const struct nonce16 *call_nonce(const struct call *c); /* n; lives as long as c */
/* The place of the entry made under key (at least 1), or -1. Costs one B2. */
int call_find(const struct call *c, const struct sym_key *key);
/* Whether the entry at place, found under key, has exactly this proof: pairing calls and answers. */
bool call_is_live(const struct call *c, int place, const struct sym_key *key, const struct call_proof *proof);
/* The same for calls of contacts: a unit within CALL_UNITS_EITHER of (clock_s + offset_s) / 600, source being
 * the address that the call came from. clock_s is the own clock, offset_s the contact's less the own. */
bool call_is_live_by_clock(const struct call *c, int place, const struct sym_key *key, enum call_kind kind,
                           const struct address *source, uint64_t clock_s, int64_t offset_s);

/* Looks for the clock of a call that was recognised but is not live, for a person who asks for it. Holds no
 * key; can be dropped at any time. */
struct call_search {
	uint8_t n[16];
	uint64_t q, q_mask;
	enum call_kind kind;
	struct address source;
	uint32_t around;   /* the unit of the own clock */
	uint32_t distance; /* the next to be tried, on both sides */
};

void call_search_init(struct call_search *out, const struct call *c, int place, enum call_kind kind,
                      const struct address *source, uint64_t clock_s);
/* Tries the next distances, both sides of each, nearest first. Returns 0 and the caller's clock (to within a
 * unit), CALL_SEARCH_MORE or CALL_SEARCH_NOTHING. */
must_check int call_search_step(uint64_t *clock_s, struct call_search *s, const struct sym_key *key,
                                unsigned distances);

/* The UDP port of both sides for the link that follows; key is the caller's, of L_used. */
uint16_t call_port(const struct sym_key *key, const struct nonce16 *n_call, const struct nonce16 *n_answer);

enum { CALL_MEET_SLOT_S = 30, CALL_MEET_SLOTS = 20 };

/* Where and when two contacts in call mode try each other's last addresses, in unit `unit` of a's clock. */
struct call_meet {
	uint16_t port;
	uint8_t slot; /* 0 to 19: which 30 seconds of the unit */
};

struct call_meet call_meet(const struct link_secret *anchor, uint32_t unit);

#endif
