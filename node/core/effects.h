/*
 * effects.h: how the parts of the core say what is to be done.
 *
 * Memory that runs out sticks in fx->failed: the step that filled it returns ERR_NOMEM.
 */
#ifndef NODE_CORE_EFFECTS_H
#define NODE_CORE_EFFECTS_H

#include "node/core/node.h"

void effect_call(struct effects *fx, const struct address *local, struct span datagram);
/* adverts: those of the adapter from now on, UUID ‖ data ‖ PSM of each. */
void effect_advertise(struct effects *fx, uint32_t interface, struct span adverts);
void effect_scan(struct effects *fx, bool on);
void effect_open(struct effects *fx, uint32_t path, const struct address *local, const struct address *remote,
                 uint16_t port);
/* Room for a datagram of up to cap bytes over path; NULL when out of memory. Say its length with
 * effect_sent(), before any other effect. */
uint8_t *effect_send(struct effects *fx, uint32_t path, size_t cap);
void effect_sent(struct effects *fx, size_t len);
void effect_close(struct effects *fx, uint32_t path);
void effect_reply(struct effects *fx, uint64_t request, enum reply_code code, int64_t number,
                  struct span text);
void effect_notice(struct effects *fx, enum notice_kind kind, uint32_t contact, int64_t number,
                   struct span text);

#endif
