/*
 * rogue.h: a contact that does what it likes: the keys of node 1 of a world, without its node.
 *
 * It is a real contact to node 0, so that whatever it says opens and is believed. It hears the
 * effects of node 0 through the world's watch; one rogue at a time.
 */
#ifndef TESTS_UNIT_ROGUE_H
#define TESTS_UNIT_ROGUE_H

#include "node/crypto/ratchet.h"
#include "transport/call.h"
#include "transport/frames.h"
#include "transport/link.h"

#include "tests/unit/world.h"

struct rogue {
	struct world *w;
	struct random_seeded rng;
	struct contact_record c; /* node 0, as node 1 sees it */
	struct ratchet ratchet;
	struct link link;
	bool asking;       /* a call of ours is being heard: a path that opens now is ours */
	uint32_t path;     /* of node 0 to us */
	bool open;         /* it is */
	struct call heard; /* the last call of node 0, for us where there are others */
	struct call overheard;
	struct call said; /* our last answer to one */
	struct call_proof proof;
	unsigned calls, opened;
	unsigned datagrams;       /* opened ones, since the link is up */
	uint64_t largest;         /* of their numbers */
	uint64_t pieces_end;      /* one more than the largest envelope number seen in a piece */
	struct frame_state state; /* the last that node 0 said */
	uint64_t stored;          /* how many envelopes of ours node 0 says it has stored */
	unsigned answers;         /* calls of node 0 that answer `asked` */
	struct nonce16 asked;
	uint8_t wire[LINK_WIRE_LEN]; /* the last 256 bytes that came while no link was up */
};

/* Two nodes, paired; node 1 is off the network and r speaks in its place. */
void rogue_new(struct rogue *r, uint64_t seed);
/* The same among n nodes: the others are contacts of node 0 too, and real. */
void rogue_new_among(struct rogue *r, uint64_t seed, size_t n);
void rogue_free(struct rogue *r);

/* Waits for a call of node 0 and makes a link. Says nothing over it. */
void rogue_meet(struct rogue *r);
/* The same, with the call that was heard last. */
void rogue_link(struct rogue *r);
/* Answers the last call heard, as made by `made`. */
void rogue_answer(struct rogue *r, const struct call *made);
/* A live call of ours reaches node 0; copied to out unless that is NULL. */
void rogue_call(struct rogue *r, struct call *out);
/* This call reaches node 0, once more. */
void rogue_call_again(struct rogue *r, const struct call *c);
void rogue_group(struct rogue *r, struct span bytes);
/* These bytes reach node 0 over the path. */
void rogue_send(struct rogue *r, struct span bytes);
/* The same, sealed: at most 1,184 bytes of frames. */
void rogue_say(struct rogue *r, struct span frames);
void rogue_state(struct rogue *r, uint32_t epoch, uint64_t sent, uint64_t stored);
/* Acknowledges everything that came. */
void rogue_ack(struct rogue *r);
bool rogue_is_linked(const struct rogue *r);

#endif
