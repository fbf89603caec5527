/*
 * cpace.h: CPace-ristretto255-SHA512 of the CFRG draft (PROTOCOL sections 1, 2.2 and 7).
 *
 * Two people who share a weak password get a strong secret from it; who does not know it
 * has one guess in each run and no way to try more of them afterwards.
 */
#ifndef NODE_CRYPTO_CPACE_H
#define NODE_CRYPTO_CPACE_H

#include "node/base/random.h"
#include "node/crypto/keys.h"

enum { CPACE_REFUSED = 1 }; /* outcome of cpace_isk_ir() */

struct cpace_scalar {
	uint8_t b[32];
};

struct cpace_share { /* Y: an encoded ristretto255 element */
	uint8_t b[32];
};

/* One run; borrowed. Names as in the draft: A is the initiator. */
struct cpace {
	struct span prs;        /* the password */
	struct span ci;         /* channel identifier */
	struct span sid;        /* session id */
	struct span ad_a, ad_b; /* what each side says of itself; for cpace_isk_ir() only */
};

/* A fresh scalar, uniform from 1 to the group's order - 1; draws 32 bytes, again in the rare case that they
 * are none. The caller wipes it. */
void cpace_scalar_new(struct cpace_scalar *out, struct random *rng);
/* The own share: y times the generator that password, channel and session give. */
void cpace_share(struct cpace_share *out, const struct cpace *c, const struct cpace_scalar *y);
/* ISK_IR, 64 bytes; the caller wipes it. y is the own scalar, initiator tells which share is the own. Returns
 * 0, or CPACE_REFUSED (nothing written): the other's share is no element, or the neutral one. */
must_check int cpace_isk_ir(struct hash64 *out, const struct cpace *c, const struct cpace_scalar *y,
                            bool initiator, const struct cpace_share *share_a,
                            const struct cpace_share *share_b);

/* prepend_len(part) of the draft: the length in LEB128, then the bytes. */
void cpace_prepend_len(struct writer *w, struct span part);
/* lv_cat: prepend_len of each part, joined. */
void cpace_lv_cat(struct writer *w, const struct span *parts, size_t parts_len);

#endif
