#include "tests/fuzz/fuzz.h"

#include "tests/unit/rogue.h"

enum { TURNS_MAX = 24, FRAMES_MAX = 255 };

enum act { FRAMES, STATE, ACK, ENVELOPE, WAIT, WRITE, ACTS };

static struct rogue rogue;

/* An envelope with any text, whole, from the contact's own ratchet; what of it is said when is the input's.
 */
static void envelope(struct reader *in, uint64_t sequence)
{
	static uint8_t bytes[ENVELOPE_MIN];
	uint8_t frames[CARRIER_LARGE_FRAMES];
	struct writer w = WRITER_ON(bytes), out;
	const uint8_t how = reader_u8(in);
	const struct span text = reader_span(in, MIN(in->len, (size_t)how));
	struct frame_piece piece = { .seq = sequence, .total = ENVELOPE_MIN };

	if (ratchet_seal(&rogue.ratchet, &rogue.rng.base, text, ENVELOPE_MIN, &w) != 0)
		return;
	piece.bytes = SPAN(bytes);
	if (how % 4 == 3)
		bytes[ENVELOPE_MIN / 2] ^= 1;
	out = WRITER_ON(frames);
	frame_write_piece(&out, FRAME_PIECE, &piece);
	rogue_say(&rogue, writer_done(&out));
}

static void turn(struct reader *in, uint64_t *sequence)
{
	const uint8_t what = reader_u8(in), more = reader_u8(in);

	switch (what % ACTS) {
	case FRAMES:
		rogue_say(&rogue, reader_span(in, MIN(in->len, (size_t)more)));
		break;
	case STATE:
		rogue_state(&rogue, more / 16, reader_u8(in), reader_u8(in));
		break;
	case ACK:
		rogue_ack(&rogue);
		break;
	case ENVELOPE:
		envelope(in, *sequence);
		*sequence += more % 8 != 7;
		break;
	case WAIT:
		world_run(rogue.w, (uint64_t)more * more * 1000);
		break;
	default:
		world_say(rogue.w, 0, 1, "hello");
		break;
	}
}

/* A contact of ours says over its link what the input wants. The world ends the test where the core or the
 * store fails, in the end also when the node starts again from its store. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader in = reader_from(span_from(data, size));
	uint64_t sequence = 0;

	rogue_new(&rogue, 7);
	world_mode(rogue.w, 0, 1, MODE_CALL);
	rogue_meet(&rogue);
	world_say(rogue.w, 0, 1, "first");
	for (unsigned turns = 0; turns < TURNS_MAX && in.len > 0 && rogue_is_linked(&rogue); turns++)
		turn(&in, &sequence);
	world_crash(rogue.w, 0);
	world_run(rogue.w, 1000000);
	rogue_free(&rogue);
	return 0;
}
