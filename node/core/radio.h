/*
 * radio.h: finding contacts over Bluetooth without being found (PROTOCOL section 9).
 *
 * The finder's twin: decides what is advertised and when, takes the answers that come on
 * channels, answers advertisements that prove to be live by opening one, and says when the
 * adapters listen. A node that has nobody to call never advertises; one that waits for
 * nobody does not listen.
 */
#ifndef NODE_CORE_RADIO_H
#define NODE_CORE_RADIO_H

#include "node/core/state.h"
#include "transport/call.h"

void radio_init(struct radio_state *s);
void radio_deinit(struct radio_state *s);

/* The adapters that can be used now. */
void radio_changed(struct node *n, const struct radio *radios, size_t len);
bool radio_is_there(const struct node *n, uint32_t interface);

/* An advertisement was heard. Returns 0 or an enum err. */
must_check int radio_advert(struct node *n, struct span bytes, const struct address *from);
/* A channel was opened to us, and its first SDU came: taken up, or closed without a byte. Returns 0 or an
 * enum err. */
must_check int radio_channel(struct node *n, uint32_t path, uint16_t psm, const struct address *from,
                             struct span bytes);
/* Opens a channel to who sent this call of kind 02, and answers over it: in is the caller's key that it was
 * recognised under, out the own. Returns the path, and the nonce of the answer. */
uint32_t radio_answer(struct node *n, const struct sym_key *in, const struct sym_key *out,
                      const struct call *call, const struct address *from, struct nonce16 *n_answer);

/* Makes what is advertised and listened for follow from what is wanted now. */
void radio_timer(struct node *n);
uint64_t radio_deadline_us(const struct node *n);
/* Nothing is advertised or listened for any more. */
void radio_stop(struct node *n);

#endif
