#include "tests/fuzz/fuzz.h"

#include "transport/frames.h"

static void look(const struct frame *f)
{
	struct frame_ack_cursor c;
	struct range r;
	uint64_t above = UINT64_MAX;

	switch (f->type) {
	case FRAME_ACK:
		for (c = frame_ack_first(&f->ack); frame_ack_next(&r, &c); above = r.first)
			assert(r.first < r.end && r.end <= above);
		break;
	case FRAME_STORED:
		for (size_t i = 0; i < f->list.n; i++)
			assert(frame_stored_run(&f->list, i).first < frame_stored_run(&f->list, i).end);
		break;
	case FRAME_HAVE:
	case FRAME_WANT:
		assert(f->list.items.len == f->list.n * (size_t)FRAME_ID_LEN);
		break;
	case FRAME_PIECE:
	case FRAME_CARRIED:
		assert(f->piece.bytes.len > 0 && f->piece.offset + f->piece.bytes.len <= f->piece.total);
		break;
	default:
		break;
	}
}

/* The frames of one datagram, each within its rules. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_from(span_from(data, size));
	struct frame f;

	while (frame_read(&f, &r) == 0)
		look(&f);
	return 0;
}
