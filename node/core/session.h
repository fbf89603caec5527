/*
 * session.h: a path to a contact: the handshake, then the link and what goes over it.
 *
 * A contact has at most one link that is up and one handshake either way (contact.h).
 * Openers, flights and keep-alives are sent from here, and acknowledgements; what the
 * frames mean is sync.h. PROTOCOL sections 3, 4 (the two sockets) and 5.
 */
#ifndef NODE_CORE_SESSION_H
#define NODE_CORE_SESSION_H

#include "node/core/state.h"

/* What a call and its answer bring: two nonces, two addresses, and the secret that recognised them. */
struct found {
	enum secret_kind kind;
	struct nonce16 n_call, n_answer;
	struct address local, remote;
	uint32_t path; /* one that is open already; 0: it is opened here, on the local network */
	bool lent;     /* that path stays its owner's (meet.h) */
};

/* By what a contact is linked. A link that seems to be gone counts as none. PROTOCOL section 9: one over
 * Bluetooth gives way to one over the local network. */
enum reach { REACH_NONE, REACH_BLUETOOTH, REACH_NETWORK };

enum reach session_reach(const struct contact *c);

/* Our call was answered: begins the handshake as its initiator, or closes the path that found brings where it
 * leads nowhere. Returns 0 or ERR_NOMEM. */
must_check int session_call_answered(struct node *n, struct contact *c, const struct found *f);
/* Whether an answer to a call of c, which came from there, would lead anywhere. */
bool session_may_answer(const struct node *n, const struct contact *c, const struct address *from);
/* We answer a call: waits for the handshake to begin. Returns 0 or ERR_NOMEM. */
must_check int session_answered(struct node *n, struct contact *c, const struct found *f);

must_check int session_datagram(struct node *n, uint32_t path, struct span datagram);
void session_path_failed(struct node *n, uint32_t path);
void session_path_refused(struct node *n, uint32_t path);
/* Sessions from an address that is ours no longer, or over an adapter that is gone, are dropped. */
void session_network_changed(struct node *n);
must_check int session_timers(struct node *n);
/* Packs what waits and builds every datagram that may leave in this turn. */
must_check int session_settle(struct node *n);
uint64_t session_deadline_us(const struct node *n);

/* Ends what there is with c, with a farewell; or without a word. */
void session_end_all_of(struct node *n, struct contact *c);
void session_drop_all_of(struct node *n, struct contact *c);

/* Whether a handshake or a link uses this path. */
bool session_runs_over(const struct node *n, uint32_t path);
/* Whether it is a handshake with c that we began, and nothing more yet. */
bool session_calls_over(const struct contact *c, uint32_t path);
uint64_t session_up_since_us(const struct session *s);

#endif
