/*
 * link.h: a session of two contacts over datagrams (PROTOCOL sections 3 and 5).
 *
 * The masked handshake of two flights, then sealed datagrams either way. It keeps neither
 * time nor address: its caller resends the flights, every 300 ms for 20 s, and resends
 * nothing else. What the datagrams say is frames.h, what was lost is recovery.h.
 *
 *     initiator   link_init   link_wire1 ...............  link_read_wire2        link_seal
 *     answerer    link_init   openers, link_read_wire1 ->  link_wire2, resent     link_open, then link_seal
 */
#ifndef TRANSPORT_LINK_H
#define TRANSPORT_LINK_H

#include "node/crypto/noise.h"
#include "transport/carrier.h"
#include "transport/replay.h"

enum {
	LINK_WIRE_LEN = CARRIER_SMALL,             /* of a flight and of an opener */
	LINK_PLAIN_MAX = 8 + CARRIER_LARGE_FRAMES, /* what link_open() opens into */
	LINK_FRAMES_AT = 24 + 8, /* where in a datagram the frames are, before it is sealed */
};

enum { LINK_REFUSED = 1 }; /* outcome: drop the datagram, answer nothing; the link is as it was */

enum link_role { LINK_INITIATOR, LINK_ANSWERER };

enum link_state {
	LINK_CALLING,  /* no flight of the other side came yet */
	LINK_ANSWERED, /* answerer: wire1 came, the keys are there; no datagram may be sent */
	LINK_OPEN,     /* initiator: wire2 came. answerer: the first valid datagram came */
};

/* Fields are the link's own; read state and pn_next at will. */
struct link {
	enum link_role role;
	enum link_state state;
	bool wire_made;
	uint8_t wire[LINK_WIRE_LEN];     /* the own flight, to be resent */
	struct nonce16 n[2];             /* n_I, n_R */
	struct sym_key mask[2];          /* M_i, M_r */
	struct noise noise;              /* wiped when the keys are there */
	struct sym_key send, receive, x; /* k_dir of either direction; X[0..32) */
	struct link_secret used;         /* L_used, until the keys are there */
	uint64_t pn_next;                /* of the next datagram to be sent */
	struct replay replay;
};

/* What a link starts from; all borrowed for the call only. */
struct link_config {
	enum link_role role;
	const struct link_secret *secret; /* L_used */
	const struct key_pair *own;       /* the static pair of this contact */
	const struct public_key *peer;
	const struct nonce16 *n_initiator, *n_answerer; /* of the call and of the answer */
};

void link_init(struct link *l, const struct link_config *c);
/* Wipes it; a zeroed link is allowed. */
void link_deinit(struct link *l);

/* The 256 bytes of the own flight: wire1 of an initiator, wire2 of an answerer that has read wire1. Made when
 * first asked for, drawing e (32) and the padding (192); the same bytes ever after. Borrowed, as long as l.
 * Returns 0 or LINK_REFUSED: the other side's key is of no use; close the link. */
must_check int link_wire(struct span *out, struct link *l, struct random *rng);
/* The other side's flight: wire2 for an initiator that has sent, wire1 for an answerer. Returns 0 or
 * LINK_REFUSED, also for a flight that comes again. An initiator is open after it. */
must_check int link_read_wire(struct link *l, struct span datagram);
/* What an answerer sends until wire1 comes: 256 random bytes. */
void link_opener(uint8_t out[static LINK_WIRE_LEN], struct random *rng);

/* X[0..32), from when the state is open: for L', which is committed (PROTOCOL section 3) before the first
 * datagram is sealed, for re-initialisation and for courier ids. */
const struct sym_key *link_x(const struct link *l);

/* Seals frames, at most 1,184 bytes, into out: 256 bytes long, or 1,232 where they do not fit in that. frames
 * may lie in out at LINK_FRAMES_AT already. Draws 24 bytes. The link is open. Returns the length, and the
 * number in pn. */
size_t link_seal(uint64_t *pn, struct link *l, struct random *rng, uint8_t out[static CARRIER_LARGE],
                 struct span frames);
/* Opens a datagram into plain. Returns 0, the frames with their padding (borrowed from plain) and the number;
 * or LINK_REFUSED: not of this link, seen before, or too old. An answerer is open after its first. */
must_check int link_open(struct span *frames, uint64_t *pn, struct link *l,
                         uint8_t plain[static LINK_PLAIN_MAX], struct span datagram);

#endif
