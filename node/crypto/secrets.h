/*
 * secrets.h: what is derived from what two people share (PROTOCOL sections 2, 3 and 6).
 *
 * A root comes out of a pairing or of a re-init; link secrets, ratchet keys and names come out
 * of it. Each derivation is one function with a type of its own for what it gives. Whoever gets
 * a secret wipes it.
 */
#ifndef NODE_CRYPTO_SECRETS_H
#define NODE_CRYPTO_SECRETS_H

#include "node/base/random.h"
#include "node/crypto/keys.h"

enum { SECRETS_REFUSED = 1 }; /* equal keys, or one of small order */
enum { SECRETS_NOT_HELD = 1 };

struct root_secret {
	uint8_t b[32];
};

/* The public keys of a pair in the order of their roles. In a re-init r_a and r_b are the fresh R'. */
struct secrets_pair {
	struct public_key s_a, s_b, r_a, r_b;
};

/* What a root gives (section 2.3). After a re-init only rk0, ha and nb are taken. */
struct secrets_result {
	struct link_secret l0, anchor;
	struct sym_key rk0, ha, nb;
};

/* The own role in a pair (section 1). Returns 0, or SECRETS_REFUSED for equal keys. */
must_check int secrets_role(enum pair_role *out, const struct public_key *own,
                            const struct public_key *other);

/* root of a pairing by two QR codes (section 2.1); s and r are the own secret keys. Returns 0, or
 * SECRETS_REFUSED where a DH gives zero. */
must_check int secrets_root_qr(struct root_secret *out, const struct secrets_pair *pair, enum pair_role own,
                               const struct secret_key *s, const struct secret_key *r,
                               const struct sym_key *q_a, const struct sym_key *q_b);
/* root of a pairing by a spoken code (section 2.2), from X and h of its handshake. */
void secrets_root_code(struct root_secret *out, const struct sym_key *x, const struct secrets_pair *pair,
                       const struct hash64 *h);
/* root' of a re-init into this epoch (section 6), from X of the session that carries it; after an optical
 * top-up with the two secrets that were shown. */
void secrets_root_reinit(struct root_secret *out, const struct sym_key *x, uint32_t epoch,
                         const struct secrets_pair *pair);
void secrets_root_topup(struct root_secret *out, const struct sym_key *x, uint32_t epoch,
                        const struct secrets_pair *pair, const struct sym_key *q_a,
                        const struct sym_key *q_b);

void secrets_of_root(struct secrets_result *out, const struct root_secret *root);
/* aid: names the pair and its ratchet's epoch inside envelopes and person checks (section 2.3). */
void secrets_aid(struct hash32 *out, const struct public_key *s_a, const struct public_key *s_b,
                 uint32_t epoch);

/* psk of a pairing by a spoken code, from CPace's ISK (section 2.2). */
void secrets_pair_psk(struct sym_key *out, const struct hash64 *isk);
/* K of the calls of a spoken code: its number from 0 to 99 as two digits (section 2.2). */
void secrets_code_key(struct sym_key *out, unsigned number);

/* psk(L) of a session; k_ab(L) or k_ba(L), by which `from` calls; L' after a session under L (section 3). The
 * anchor is a link secret too, as far as these go. */
void secrets_psk(struct sym_key *out, const struct link_secret *l);
void secrets_call_key(struct sym_key *out, const struct link_secret *l, enum pair_role from);
void secrets_next(struct link_secret *out, const struct link_secret *l_used, const struct sym_key *x);
/* The commit of section 3: prev := used, cur := L'. Returns 0, or SECRETS_NOT_HELD (nothing changed) where
 * used is no longer cur, prev or the anchor: another session was committed meanwhile. */
must_check int secrets_commit(struct link_secret *cur, struct link_secret *prev, bool *has_prev,
                              const struct link_secret *anchor, const struct link_secret *l_used,
                              const struct sym_key *x);

/* The id of an envelope on one link, 8 bytes, keyed by X of its session (section 6). */
void secrets_courier_id(uint8_t out[static 8], const struct sym_key *x, struct span envelope);

#endif
