/*
 * envelopes.h: finished envelopes that the other side has not stored yet, and which
 * messages went into which envelope.
 *
 * The bytes go once the other says `stored`; the row stays, so that after the other's
 * vault was put back to an older state its messages can be sent again.
 */
#ifndef STORE_ENVELOPES_H
#define STORE_ENVELOPES_H

#include "node/base/wire.h"
#include "store/store.h"

#define ENVELOPES_SEQUENCE_MAX ((uint64_t)INT64_MAX) /* numbers are below it */
enum { ENVELOPES_NONE = 1 };                         /* outcome: no such row, or its bytes are gone */

/* Envelope number sequence holds the own messages of positions [first, end) (received ones between them
 * aside). Returns 0, ERR_EXISTS where the number is taken, ERR_ABSENT for an unknown contact, or another enum
 * err. */
must_check int envelopes_add(struct store *s, uint32_t contact, uint64_t sequence, int64_t first, int64_t end,
                             struct span bytes);
/* Copies the bytes of an envelope to buf; *len says how many. Returns 0, ENVELOPES_NONE or an enum err. */
must_check int envelopes_read(struct store *s, uint32_t contact, uint64_t sequence, uint8_t *buf, size_t cap,
                              size_t *len);
/* The positions of the messages of the first envelope numbered sequence or later. Returns 0, ENVELOPES_NONE
 * (there is none) or an enum err. */
must_check int envelopes_positions(struct store *s, uint32_t contact, uint64_t sequence, int64_t *first,
                                   int64_t *end);
/* Forgets the bytes of every envelope in [from, before). */
must_check int envelopes_forget(struct store *s, uint32_t contact, uint64_t from, uint64_t before);
/* Removes the rows from sequence on: their messages will be packed again. */
must_check int envelopes_remove_from(struct store *s, uint32_t contact, uint64_t sequence);

#endif
