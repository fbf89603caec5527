/*
 * liar.h: somebody at a place who records everything and says it again.
 *
 * Of what is heard at these places a share is told once more, at any later time: as it was,
 * elsewhere, to others, from others, back to who said it, on the path of another session,
 * damaged, cut short, made longer, joined with something else. A flood is noise, calls of
 * nobody and datagrams of the right size in the name of the other side of an open path.
 *
 * Nothing of it may be answered (I5), but for one thing: the very bytes that a contact said,
 * in its name, while they are fresh and until they were answered once. A liar can be the
 * first to bring them, as any network can.
 */
#ifndef TOOLS_SIM_LIAR_H
#define TOOLS_SIM_LIAR_H

#include "tools/sim/scenario.h"

struct liar;
struct world;
struct frame;

/* w and s are borrowed and outlive it. */
struct liar *liar_new(struct world *w, const struct scenario *s);
void liar_free(struct liar *l); /* NULL is allowed */
/* What the day brings; for its floods. */
void liar_midnight(struct liar *l);
/* Faults end: it says nothing from now on. */
void liar_stop(struct liar *l);

/* For world_hooks: a frame is on the air; p hears one, and whether it may answer; it did. */
void liar_overhears(struct liar *l, const struct frame *f);
bool liar_may_answer(struct liar *l, const struct person *p, const struct frame *f);
void liar_answered(struct liar *l, const struct person *p, const struct frame *f);

#endif
