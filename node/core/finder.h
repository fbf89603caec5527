/*
 * finder.h: finding contacts on the local network without being found (PROTOCOL section 4).
 *
 * Decides when we call and whom, takes the answers to our calls, and answers the calls
 * that prove to be live. A node that has nobody to call never sends.
 */
#ifndef NODE_CORE_FINDER_H
#define NODE_CORE_FINDER_H

#include "node/core/state.h"

void finder_init(struct finder *f);
void finder_deinit(struct finder *f);

void finder_network(struct node *n, const struct address *locals, size_t len, enum power power);
/* A datagram that came to the group. Fails for our own store or memory only. */
must_check int finder_call(struct node *n, struct span datagram, const struct address *from, uint8_t ttl);
must_check int finder_timer(struct node *n);
uint64_t finder_deadline_us(const struct node *n);

/* Somebody is to be called now: a message waits, a mode changed. */
void finder_call_now(struct node *n);
/* A contact went away, or seems to have: the same, but not again and again for who comes and goes. */
void finder_miss(struct node *n);
/* Look for my worker: everybody is called, for two minutes. */
void finder_look(struct node *n, bool on);

/* Whether c is to be called by whatever way, where it is not linked. */
bool finder_wants(const struct node *n, const struct contact *c);

/* Our address on the interface and of the family that a datagram came from; NULL when it is not ours. */
const struct address *finder_local_for(const struct node *n, const struct address *from);
/* Our address of the family of remote, on whatever interface; NULL where there is none. */
const struct address *finder_local_of_family(const struct node *n, const struct address *remote);
bool finder_is_local(const struct node *n, const struct address *address);
/* The nonce of our call, of those whose answers are still taken, that the entry at place, found under key,
 * answers; NULL when it is no answer to us. *local is the address that we called from. */
const struct nonce16 *finder_answered_call(const struct node *n, const struct call *call, int place,
                                           const struct sym_key *key, const struct address *from,
                                           const struct address **local);
/* Whether an answer of c to this call of ours may be taken: once, and never after one to a later call. */
must_check bool finder_take_answer(const struct node *n, struct contact *c, const struct nonce16 *n_call);
/* The same for a call that is remembered elsewhere, by its number (node.calls_made). */
must_check bool finder_is_newest_answer(struct contact *c, uint64_t number);
/* Remembers a call that was just made, so that its answer can be told from others. */
void finder_remember_call(struct node *n, const struct nonce16 *call_nonce, const struct address *local);

#endif
