/*
 * text.h: what an envelope holds: messages in CBOR (PROTOCOL section 6).
 *
 * A writer that takes messages as long as they fit, and a reader that gives them
 * back one by one. Neither allocates; a text has one encoding, and whatever is not
 * written in it is refused.
 */
#ifndef NODE_CORE_TEXT_H
#define NODE_CORE_TEXT_H

#include "node/crypto/envelope.h"

enum {
	TEXT_MAX = ENVELOPE_TEXT_MAX,
	TEXT_MESSAGES_MAX = 512,
	TEXT_NESTING_MAX = 16, /* of values that are skipped or kept as they are */
	TEXT_HEAD_MAX = 60     /* what stands before the messages */
};
enum { TEXT_FULL = 1 };    /* outcome of text_add() */
enum { TEXT_REFUSED = 2 }; /* outcome of text_add() and text_decode() */

enum text_kind { TEXT_WORDS = 0, TEXT_PERSON_CHECK = 1, TEXT_CARD = 2 }; /* there may be others */

struct text_message {
	uint64_t kind;
	uint64_t claimed; /* times: seconds since 1970, by the writer's clock */
	uint64_t not_before, drop_after;
	bool has_not_before, has_drop_after;
	/* Borrowed. Words: their UTF-8. Person check: its bytes. The card and unknown kinds: the CBOR item as
	 * it stands in the text, the card's a map. */
	struct span content;
};

struct text_head {
	uint64_t sequence;
	uint64_t acknowledged;  /* how many of the other's texts are stored without a gap */
	bool has_previous;      /* false in the first text */
	struct hash32 previous; /* text_hash() of the previous own text */
};

void text_hash(struct hash32 *out, struct span text);

/* --- Writing --- */

struct text_writer {
	struct text_head head;
	struct writer messages; /* on the caller's buffer, behind room for the head */
	size_t limit;
	unsigned count;
};

/* Begins a text of at most limit bytes (<= TEXT_MAX) in buf, which has room for TEXT_HEAD_MAX more than that
 * and is the caller's until the text was used. */
void text_begin(struct text_writer *t, void *buf, size_t limit, const struct text_head *head);
/* Adds a message. Returns 0, TEXT_FULL (it would be too long, or the 513th) or TEXT_REFUSED (the content is
 * not what its kind demands); nothing was added then. */
must_check int text_add(struct text_writer *t, const struct text_message *message);
size_t text_len(const struct text_writer *t); /* of the text if it ended now */
/* The text, within buf; t must have at least one message. */
struct span text_end(struct text_writer *t);

/* --- Reading --- */

struct text {
	struct text_head head;
	unsigned count; /* of messages, 1 to TEXT_MESSAGES_MAX */
	unsigned given; /* of them by text_next() */
	struct span messages;
};

/* Checks a whole text. Returns 0, after which text_next() gives its messages, or TEXT_REFUSED. in is borrowed
 * as long as they are read. */
must_check int text_decode(struct text *out, struct span in);
/* The next message, its content borrowed from the text; its place in the array is t->given before the call.
 * False when there is none left. */
bool text_next(struct text *t, struct text_message *out);

#endif
