#include "tests/vectors/run.h"

#include "transport/frames.h"
#include "transport/link.h"

/* PROTOCOL section 5: frames, sealed datagrams, the replay window and acks. */

enum { FRAMES_ROOM = 8192 }; /* a case may hold frames that no datagram does */

static const char *const names[] = {
	[FRAME_ACK] = "ack",         [FRAME_STATE] = "state",   [FRAME_PIECE] = "piece",
	[FRAME_STORED] = "stored",   [FRAME_HAVE] = "have",     [FRAME_WANT] = "want",
	[FRAME_CARRIED] = "carried", [FRAME_REINIT] = "reinit", [FRAME_CLOSE] = "close",
};

static enum frame_type type_of(const json_t *frame)
{
	const char *name = text_get(frame, "type");

	for (size_t i = 1; i < COUNT_OF(names); i++)
		if (strcmp(names[i], name) == 0)
			return (enum frame_type)i;
	check_true(false, "no frame %s", name);
	return FRAME_PAD;
}

static uint64_t u64_get(const json_t *object, const char *key)
{
	return (uint64_t)int_get(object, key);
}

static uint64_t pair_at(const json_t *pairs, size_t i, size_t which)
{
	return (uint64_t)json_integer_value(json_array_get(json_array_get(pairs, i), which));
}

static void write_ack(struct writer *w, const json_t *frame)
{
	const json_t *pairs = json_object_get(frame, "ranges");
	uint64_t below = u64_get(frame, "largest") + 1;
	struct range v[FRAME_COUNT_MAX];
	const size_t n = MIN(json_array_size(pairs), COUNT_OF(v));

	for (size_t i = 0; i < n; i++) {
		struct range *range = &v[n - 1 - i];

		range->end = below - pair_at(pairs, i, 0);
		range->first = range->end - pair_at(pairs, i, 1);
		below = range->first;
	}
	check_true(frame_write_ack(w, v, n, (uint32_t)int_get(frame, "delay_us")), "no room for an ack");
}

static void write_piece(struct writer *w, enum frame_type type, const json_t *frame)
{
	struct frame_piece piece = { .offset = (uint32_t)int_get(frame, "offset"),
		                     .total = (uint32_t)int_get(frame, "total"),
		                     .bytes = hex_get(frame, "bytes") };

	if (type == FRAME_PIECE)
		piece.seq = u64_get(frame, "seq");
	else
		piece.seq = load_u64(hex_get(frame, "id").p);
	frame_write_piece(w, type, &piece);
}

static void write_stored(struct writer *w, const json_t *frame)
{
	const json_t *runs = json_object_get(frame, "runs");
	struct range v[FRAME_COUNT_MAX];
	const size_t n = MIN(json_array_size(runs), COUNT_OF(v));

	for (size_t i = 0; i < n; i++)
		v[i] = (struct range){ pair_at(runs, i, 0), pair_at(runs, i, 0) + pair_at(runs, i, 1) };
	frame_write_stored(w, v, n);
}

static void write_ids(struct writer *w, enum frame_type type, const json_t *frame)
{
	const json_t *ids = json_object_get(frame, "ids"), *id;
	uint64_t v[FRAME_COUNT_MAX] = { 0 };
	size_t i;

	json_array_foreach(ids, i, id) if (i < COUNT_OF(v)) v[i] = load_u64(hex_of(id).p);
	frame_write_ids(w, type, v, MIN(json_array_size(ids), COUNT_OF(v)));
}

static void write_frame(struct writer *w, const json_t *frame)
{
	const enum frame_type type = type_of(frame);
	struct frame_reinit reinit;

	if (type == FRAME_ACK)
		write_ack(w, frame);
	else if (type == FRAME_PIECE || type == FRAME_CARRIED)
		write_piece(w, type, frame);
	else if (type == FRAME_STORED)
		write_stored(w, frame);
	else if (type == FRAME_HAVE || type == FRAME_WANT)
		write_ids(w, type, frame);
	else if (type == FRAME_STATE)
		frame_write_state(w, &(struct frame_state){ .version_max =
		                                                    (uint8_t)int_get(frame, "version_max"),
		                                            .epoch = (uint32_t)int_get(frame, "epoch"),
		                                            .sent = u64_get(frame, "sent"),
		                                            .stored = u64_get(frame, "stored"),
		                                            .clock_s = u64_get(frame, "clock") });
	else if (type == FRAME_CLOSE)
		frame_write_close(w);
	else if (type == FRAME_REINIT) {
		hex_into(reinit.r.b, sizeof(reinit.r.b), frame, "R");
		reinit.epoch = (uint32_t)int_get(frame, "epoch");
		frame_write_reinit(w, &reinit);
	}
}

/* Writes a frame that was read again. */
static void rewrite_frame(struct writer *w, const struct frame *f)
{
	struct range runs[FRAME_COUNT_MAX];
	uint64_t ids[FRAME_COUNT_MAX];
	struct frame_ack_cursor cursor;

	switch (f->type) {
	case FRAME_PAD:
		break;
	case FRAME_ACK:
		cursor = frame_ack_first(&f->ack);
		for (size_t i = f->ack.n; i-- > 0;)
			frame_ack_next(&runs[i], &cursor);
		frame_write_ack(w, runs, f->ack.n, f->ack.delay_us);
		break;
	case FRAME_STATE:
		frame_write_state(w, &f->state);
		break;
	case FRAME_PIECE:
	case FRAME_CARRIED:
		frame_write_piece(w, f->type, &f->piece);
		break;
	case FRAME_STORED:
		for (size_t i = 0; i < f->list.n; i++)
			runs[i] = frame_stored_run(&f->list, i);
		frame_write_stored(w, runs, f->list.n);
		break;
	case FRAME_HAVE:
	case FRAME_WANT:
		for (size_t i = 0; i < f->list.n; i++)
			ids[i] = load_u64(f->list.items.p + i * FRAME_ID_LEN);
		frame_write_ids(w, f->type, ids, f->list.n);
		break;
	case FRAME_REINIT:
		frame_write_reinit(w, &f->reinit);
		break;
	case FRAME_CLOSE:
		frame_write_close(w);
		break;
	}
}

/* Reads all frames of bytes; those read are written again to w. Returns whether all were good. */
static bool read_all(struct writer *w, struct span bytes)
{
	struct reader reader = reader_from(bytes);
	struct frame f;
	int r;

	while ((r = frame_read(&f, &reader)) == 0)
		rewrite_frame(w, &f);
	return r == FRAME_END;
}

static void run_frames(const json_t *frames, const json_t *out)
{
	uint8_t bytes[FRAMES_ROOM], again[FRAMES_ROOM];
	struct writer w = WRITER_ON(bytes), w_again = WRITER_ON(again);
	const json_t *frame;
	size_t i;

	json_array_foreach(frames, i, frame) write_frame(&w, frame);
	check_bytes(writer_done(&w), json_object_get(out, "bytes"), "frames");
	check_true(read_all(&w_again, writer_done(&w)), "they are refused");
	check_bytes(writer_done(&w_again), json_object_get(out, "bytes"), "frames read and written again");
}

static void run_seal(const json_t *in, const json_t *out)
{
	const struct span frames = hex_get(in, "frames");
	struct link sender = { .state = LINK_OPEN, .wire_made = true, .pn_next = u64_get(in, "pn") };
	struct link receiver = sender;
	uint8_t wire[CARRIER_LARGE], plain[LINK_PLAIN_MAX];
	struct span opened = SPAN_NONE;
	uint64_t pn = 0;
	size_t len;

	hex_into(sender.send.b, sizeof(sender.send.b), in, "k");
	receiver.receive = sender.send;
	if ((size_t)int_get(in, "size") == CARRIER_LARGE && frames.len <= CARRIER_SMALL_FRAMES) {
		/* A sender may pad further than it needs to: ours does so where its frames say so. */
		uint8_t *padded = case_alloc(CARRIER_LARGE_FRAMES);

		memcpy(padded, frames.p, frames.len);
		len = link_seal(&pn, &sender, random_given(hex_get(in, "nonce")), wire,
		                span_from(padded, CARRIER_LARGE_FRAMES));
	} else {
		len = link_seal(&pn, &sender, random_given(hex_get(in, "nonce")), wire, frames);
	}
	check_int((int64_t)len, int_get(in, "size"), "size");
	check_bytes(span_from(wire, len), json_object_get(out, "datagram"), "datagram");

	pn = 0;
	check_int(link_open(&opened, &pn, &receiver, plain, span_from(wire, len)), 0, "opening");
	check_int((int64_t)pn, int_get(in, "pn"), "pn");
	check_true(opened.len >= frames.len && memcmp(opened.p, frames.p, frames.len) == 0, "frames differ");
	check_int(link_open(&opened, &pn, &receiver, plain, span_from(wire, len)), LINK_REFUSED, "replay");
}

static void run_open(const json_t *in, const json_t *out)
{
	struct link receiver = { .state = LINK_OPEN, .wire_made = true };
	uint8_t plain[LINK_PLAIN_MAX];
	struct span frames;
	uint64_t pn;

	hex_into(receiver.receive.b, sizeof(receiver.receive.b), in, "k");
	check_int(link_open(&frames, &pn, &receiver, plain, hex_get(in, "datagram")) == 0,
	          bool_get(out, "accept", true), "accepted");
}

static void run_window(const json_t *numbers, const json_t *out)
{
	const json_t *accept = json_object_get(out, "accept"), *number;
	struct replay window = { 0 };
	size_t i;

	check_int((int64_t)json_array_size(numbers), (int64_t)json_array_size(accept), "numbers");
	json_array_foreach(numbers, i, number)
	        check_int(replay_take(&window, (uint64_t)json_integer_value(number)),
	                  json_is_true(json_array_get(accept, i)), "accepted");
}

static void run_ack(const json_t *in, const json_t *out)
{
	const json_t *received = json_object_get(in, "received"), *number;
	uint8_t bytes[CARRIER_LARGE_FRAMES];
	struct writer w = WRITER_ON(bytes);
	struct ranges set = { 0 };
	size_t i;

	json_array_foreach(received, i, number)
	{
		const uint64_t pn = (uint64_t)json_integer_value(number);

		check_int(ranges_add(&set, pn, pn + 1), 0, "ranges");
	}
	check_true(frame_write_ack(&w, set.v, set.n, (uint32_t)int_get(in, "delay_us")), "no room");
	check_bytes(writer_done(&w), json_object_get(out, "bytes"), "ack");
}

static void run(const json_t *test_case, const json_t *all_cases)
{
	const json_t *in = json_object_get(test_case, "in"), *out = json_object_get(test_case, "out");
	uint8_t scratch[FRAMES_ROOM];
	struct writer w = WRITER_ON(scratch);

	(void)all_cases;
	if (json_is_array(json_object_get(in, "frames")))
		run_frames(json_object_get(in, "frames"), out);
	else if (json_object_get(in, "frames") != NULL)
		run_seal(in, out);
	else if (json_object_get(in, "datagram") != NULL)
		run_open(in, out);
	else if (json_object_get(in, "bytes") != NULL)
		check_int(read_all(&w, hex_get(in, "bytes")), bool_get(out, "accept", true), "accepted");
	else if (json_object_get(in, "pn") != NULL)
		run_window(json_object_get(in, "pn"), out);
	else
		run_ack(in, out);
}

const struct part vectors_datagram = { "datagram", run };
