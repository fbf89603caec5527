/*
 * talk.h: what one person has written to another, and whether it got there.
 *
 * Each message says who wrote it, to whom, and which it is, and the rest of it follows from
 * that: so every text that turns up is compared as a whole. Of the rules of the tests:
 *
 *     I1   what the writer was told is stored was stored by the other
 *     I2   nothing is shown twice            I3   nothing is out of order or left out
 *     I8   nothing is shown but what this contact wrote
 *     I11  what was there before a crash is there after it
 *     I12  who was forgotten does not come back
 *
 * An older copy of a disk that is put back takes with it what came after it; that is known
 * of each message, and forgiven.
 */
#ifndef TOOLS_SIM_TALK_H
#define TOOLS_SIM_TALK_H

#include "store/contacts.h"
#include "store/conversations.h"

struct world;
struct person;

enum { TALK_TEXT_MIN = 32, TALK_TEXT_MAX = 32000 };

enum {
	TALK_LOST = 1,    /* the writer's disk was put back to before it */
	TALK_ARRIVED = 2, /* the other's notebook has it, or had it */
	TALK_UNSEEN = 4,  /* the other's disk was put back to before it */
	TALK_TOLD = 8,    /* the writer was told that it is stored */
};

struct sent {
	int64_t position; /* in the writer's conversation */
	uint64_t at_us, arrived_us;
	uint32_t len;
	uint8_t flags;
};

/* What a pairing puts into a notebook; until it is opened. */
struct tie_rows {
	struct contact_record contact;
	struct conversation_record conversation;
};

/* One person as a contact of another. */
struct tie {
	struct person *me, *other;
	struct tie *back;      /* the other way round; NULL: the other has no such contact */
	uint32_t contact;      /* its id in my notebook; 0: not in it */
	struct tie_rows *rows; /* owned; NULL once they are in the notebook */
	bool linked, forgotten;
	bool forgetting; /* it was asked for, and the device fell over before it was said to be done */
	bool asks_again; /* the other wants to start again */

	struct sent *sent; /* owned: what I wrote, in order */
	size_t sent_len, sent_cap;
	size_t told;        /* all before it are TALK_TOLD or TALK_LOST */
	uint32_t asked_len; /* of the message that the open turn writes */

	size_t seen;           /* of what the other wrote, all before it was shown to me, or never will be */
	int64_t seen_position; /* my conversation before it is compared */
	size_t waiting;        /* of mine, neither lost nor arrived */
};

struct tie *talk_tie(struct person *me, struct person *other); /* a new one, which the person owns */
void talk_free(struct tie *t);
struct tie *talk_find(const struct person *me, uint32_t contact); /* NULL: none */
struct tie *talk_with(const struct person *me, const struct person *other);

/* The text of message number n of t, len bytes and no terminator; len >= TALK_TEXT_MIN. */
void talk_text(char *out, const struct tie *t, size_t n, size_t len);

void talk_wrote(struct world *w, struct tie *t, int64_t position);
/* The writer hears that all own messages before position are stored. */
void talk_told(struct world *w, struct tie *t, int64_t position);
/* Whether all that I wrote has arrived, but for what was lost with my disk, and I know it. */
bool talk_is_done(struct tie *t);
/* Compares what has come since the last time. */
void talk_look(struct world *w, struct tie *t);
/* Compares everything in the notebook of p, after a crash; older: after an older copy was put back. */
void talk_audit(struct world *w, struct person *p, bool older);

#endif
