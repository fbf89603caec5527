/*
 * frames.h: what the datagrams of a link say (PROTOCOL section 5).
 *
 * Reads one frame after another out of an opened datagram, strictly, and writes them.
 * What a frame means, and whether it came before, is the core's.
 */
#ifndef TRANSPORT_FRAMES_H
#define TRANSPORT_FRAMES_H

#include "node/base/ranges.h"
#include "node/crypto/keys.h"

enum frame_type {
	FRAME_PAD = 0x00, /* never handed out: it ends the datagram */
	FRAME_ACK = 0x01,
	FRAME_STATE = 0x02,
	FRAME_PIECE = 0x03,
	FRAME_STORED = 0x04,
	FRAME_HAVE = 0x05,
	FRAME_WANT = 0x06,
	FRAME_CARRIED = 0x07,
	FRAME_REINIT = 0x08,
	FRAME_CLOSE = 0x09,
};

/* Outcomes of frame_read(). */
enum { FRAME_END = 1, FRAME_MALFORMED = 2 };

enum {
	FRAME_STATE_LEN = 30,
	FRAME_PIECE_HEAD_LEN = 19, /* of frames 03 and 07; the bytes follow */
	FRAME_REINIT_LEN = 37,
	FRAME_COUNT_MAX = 255, /* ranges, runs or ids in one frame */
	FRAME_ACK_HEAD_LEN = 14,
	FRAME_ACK_RANGE_LEN = 4,
	FRAME_STORED_RUN_LEN = 12,
	FRAME_ID_LEN = 8,
};

struct frame_ack {
	uint64_t largest;
	uint32_t delay_us;
	size_t n;           /* ranges, at least 1 */
	struct span ranges; /* borrowed from the datagram: frame_ack_next() */
};

struct frame_state {
	uint8_t version_max;
	uint32_t epoch;
	uint64_t sent, stored;
	uint64_t clock_s;
};

/* Frame 03, where seq is the envelope's number, and 07, where it is the 8 bytes of its id as load_u64() gives
 * them. bytes is not empty and lies within total, one of the four sizes of an envelope. */
struct frame_piece {
	uint64_t seq;
	uint32_t offset, total;
	struct span bytes; /* borrowed */
};

struct frame_list {
	size_t n;          /* at least 1 */
	struct span items; /* borrowed: frame_stored_run(); have and want: ids of FRAME_ID_LEN bytes */
};

struct frame_reinit {
	struct public_key r;
	uint32_t epoch;
};

struct frame {
	enum frame_type type;
	union {
		struct frame_ack ack;
		struct frame_state state;
		struct frame_piece piece; /* and carried */
		struct frame_list list;   /* stored, have, want */
		struct frame_reinit reinit;
	};
};

/* The next frame of a datagram. Spans in out are borrowed from it. Returns 0, FRAME_END, or FRAME_MALFORMED:
 * an unknown type, one cut short or against its rules; the session ends. */
must_check int frame_read(struct frame *out, struct reader *r);
/* Whether the other side must acknowledge a datagram with such a frame: all but pad, ack and close. */
bool frame_wants_ack(enum frame_type type);

/* Where in an acknowledgement one is; from frame_ack_first(). */
struct frame_ack_cursor {
	struct reader r;
	uint64_t below; /* the lowest number said so far */
	size_t left;
};

struct frame_ack_cursor frame_ack_first(const struct frame_ack *ack);
/* The next lower range; false after the last. */
bool frame_ack_next(struct range *out, struct frame_ack_cursor *c);
/* Run i of a frame stored; i is less than n. */
struct range frame_stored_run(const struct frame_list *list, size_t i);

/* Writers. Each fails its writer when the frame does not fit, but frame_write_ack(). */

/* As many of the highest of the n ranges, which ascend as in struct ranges, as fit and can be said; false,
 * nothing written, when not even one fits. n is at least 1. */
bool frame_write_ack(struct writer *w, const struct range *ranges, size_t n, uint32_t delay_us);
void frame_write_state(struct writer *w, const struct frame_state *state);
/* type: FRAME_PIECE or FRAME_CARRIED. */
void frame_write_piece(struct writer *w, enum frame_type type, const struct frame_piece *piece);
void frame_write_stored(struct writer *w, const struct range *runs, size_t n); /* n of 1 to 255 */
/* type: FRAME_HAVE or FRAME_WANT; n of 1 to 255. */
void frame_write_ids(struct writer *w, enum frame_type type, const uint64_t *ids, size_t n);
void frame_write_reinit(struct writer *w, const struct frame_reinit *reinit);
void frame_write_close(struct writer *w);

#endif
