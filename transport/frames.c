#include "transport/frames.h"

/*
 * Frames (PROTOCOL section 5), little-endian, offsets from the type:
 *
 *     00 pad      the rest is zeros
 *     01 ack      1 +8 largest | 9 +4 delay_us | 13 +1 n | n times: +2 gap | +2 run
 *     02 state    1 +1 version_max | 2 +4 epoch | 6 +8 sent | 14 +8 stored | 22 +8 clock
 *     03 piece    1 +8 seq | 9 +4 offset | 13 +4 total | 17 +2 len | 19 bytes
 *     04 stored   1 +1 n | n times: +8 first | +4 count
 *     05 have     1 +1 n | n times: +8 id                06 want  the same
 *     07 carried  1 +8 id | 9 +4 offset | 13 +4 total | 17 +2 len | 19 bytes
 *     08 re-init  1 +32 R' | 33 +4 epoch                 09 close
 */

static bool is_envelope_size(uint32_t total)
{
	return total == 1024 || total == 4096 || total == 16384 || total == 65536; /* section 6 */
}

bool frame_wants_ack(enum frame_type type)
{
	return type != FRAME_PAD && type != FRAME_ACK && type != FRAME_CLOSE;
}

/* --- Reading --- */

static void pad_read(struct reader *r)
{
	const struct span rest = reader_rest(r);

	for (size_t i = 0; i < rest.len; i++)
		if (rest.p[i] != 0)
			reader_fail(r);
}

struct frame_ack_cursor frame_ack_first(const struct frame_ack *ack)
{
	return (struct frame_ack_cursor){ reader_from(ack->ranges), ack->largest + 1, ack->n };
}

bool frame_ack_next(struct range *out, struct frame_ack_cursor *c)
{
	uint64_t gap, run;

	if (c->left == 0)
		return false;
	gap = reader_u16(&c->r);
	run = reader_u16(&c->r);
	c->left--;
	out->end = c->below - gap;
	out->first = out->end - run;
	c->below = out->first;
	return true;
}

static void ack_read(struct reader *r, struct frame_ack *ack)
{
	struct reader ranges;
	uint64_t room;

	ack->largest = reader_u64(r);
	ack->delay_us = reader_u32(r);
	ack->n = reader_u8(r);
	ack->ranges = reader_span(r, ack->n * FRAME_ACK_RANGE_LEN);
	if (r->failed || ack->n == 0) {
		reader_fail(r);
		return;
	}
	/* First gap 0, the others not; no run empty; nothing below 0. */
	ranges = reader_from(ack->ranges);
	room = ack->largest + 1; /* 0, hence no run fits, for a number that none can follow */
	for (size_t i = 0; i < ack->n; i++) {
		const uint32_t gap = reader_u16(&ranges), run = reader_u16(&ranges);

		if ((gap == 0) != (i == 0) || run == 0 || gap + run > room) {
			reader_fail(r);
			return;
		}
		room -= gap + run;
	}
}

static void state_read(struct reader *r, struct frame_state *state)
{
	state->version_max = reader_u8(r);
	state->epoch = reader_u32(r);
	state->sent = reader_u64(r);
	state->stored = reader_u64(r);
	state->clock_s = reader_u64(r);
}

static void piece_read(struct reader *r, struct frame_piece *piece)
{
	piece->seq = reader_u64(r);
	piece->offset = reader_u32(r);
	piece->total = reader_u32(r);
	piece->bytes = reader_span(r, reader_u16(r));
	if (!is_envelope_size(piece->total) || piece->bytes.len == 0 || piece->offset > piece->total ||
	    piece->bytes.len > piece->total - piece->offset)
		reader_fail(r);
}

static void list_read(struct reader *r, struct frame_list *list, size_t item_len)
{
	list->n = reader_u8(r);
	list->items = reader_span(r, list->n * item_len);
	if (list->n == 0)
		reader_fail(r);
}

struct range frame_stored_run(const struct frame_list *list, size_t i)
{
	const uint8_t *item = list->items.p + i * FRAME_STORED_RUN_LEN;
	const uint64_t first = load_u64(item);

	assert(i < list->n);
	return (struct range){ first, first + load_u32(item + 8) };
}

static void stored_read(struct reader *r, struct frame_list *list)
{
	list_read(r, list, FRAME_STORED_RUN_LEN);
	for (size_t i = 0; !r->failed && i < list->n; i++) {
		const struct range run = frame_stored_run(list, i);

		if (run.end <= run.first)
			reader_fail(r); /* empty, or past the last number there is */
	}
}

int frame_read(struct frame *out, struct reader *r)
{
	struct frame f = { FRAME_PAD };

	if (reader_done(r))
		return FRAME_END;
	f.type = reader_u8(r);
	switch (f.type) {
	case FRAME_PAD:
		pad_read(r);
		return r->failed ? FRAME_MALFORMED : FRAME_END;
	case FRAME_ACK:
		ack_read(r, &f.ack);
		break;
	case FRAME_STATE:
		state_read(r, &f.state);
		break;
	case FRAME_PIECE:
	case FRAME_CARRIED:
		piece_read(r, &f.piece);
		break;
	case FRAME_STORED:
		stored_read(r, &f.list);
		break;
	case FRAME_HAVE:
	case FRAME_WANT:
		list_read(r, &f.list, FRAME_ID_LEN);
		break;
	case FRAME_REINIT:
		reader_bytes(r, f.reinit.r.b, sizeof(f.reinit.r.b));
		f.reinit.epoch = reader_u32(r);
		break;
	case FRAME_CLOSE:
		break;
	default:
		reader_fail(r);
		break;
	}
	if (r->failed)
		return FRAME_MALFORMED;
	*out = f;
	return 0;
}

/* --- Writing --- */

bool frame_write_ack(struct writer *w, const struct range *ranges, size_t n, uint32_t delay_us)
{
	const size_t left = writer_left(w);
	const struct range *v = &ranges[n - 1];
	size_t most, written = 0;
	uint8_t *count;

	assert(n > 0);
	if (left < FRAME_ACK_HEAD_LEN + FRAME_ACK_RANGE_LEN)
		return false;
	most = MIN(MIN((left - FRAME_ACK_HEAD_LEN) / FRAME_ACK_RANGE_LEN, (size_t)FRAME_COUNT_MAX), n);
	writer_u8(w, FRAME_ACK);
	writer_u64(w, v->end - 1);
	writer_u32(w, delay_us);
	count = writer_skip(w, 1);
	for (; written < most; v--) {
		const uint64_t gap = written == 0 ? 0 : v[1].first - v->end, run = v->end - v->first;

		if (gap > UINT16_MAX)
			break;
		writer_u16(w, (uint16_t)gap);
		writer_u16(w, (uint16_t)MIN(run, (uint64_t)UINT16_MAX));
		written++;
		if (run > UINT16_MAX)
			break; /* what is older was acknowledged long ago */
	}
	*count = (uint8_t)written;
	return true;
}

void frame_write_state(struct writer *w, const struct frame_state *state)
{
	writer_u8(w, FRAME_STATE);
	writer_u8(w, state->version_max);
	writer_u32(w, state->epoch);
	writer_u64(w, state->sent);
	writer_u64(w, state->stored);
	writer_u64(w, state->clock_s);
}

void frame_write_piece(struct writer *w, enum frame_type type, const struct frame_piece *piece)
{
	assert(type == FRAME_PIECE || type == FRAME_CARRIED);
	assert(is_envelope_size(piece->total) && piece->bytes.len > 0);
	assert(piece->offset <= piece->total && piece->bytes.len <= piece->total - piece->offset);
	writer_u8(w, (uint8_t)type);
	writer_u64(w, piece->seq);
	writer_u32(w, piece->offset);
	writer_u32(w, piece->total);
	writer_u16(w, (uint16_t)piece->bytes.len);
	writer_span(w, piece->bytes);
}

void frame_write_stored(struct writer *w, const struct range *runs, size_t n)
{
	assert(n >= 1 && n <= FRAME_COUNT_MAX);
	writer_u8(w, FRAME_STORED);
	writer_u8(w, (uint8_t)n);
	for (size_t i = 0; i < n; i++) {
		assert(runs[i].end > runs[i].first && runs[i].end - runs[i].first <= UINT32_MAX);
		writer_u64(w, runs[i].first);
		writer_u32(w, (uint32_t)(runs[i].end - runs[i].first));
	}
}

void frame_write_ids(struct writer *w, enum frame_type type, const uint64_t *ids, size_t n)
{
	assert((type == FRAME_HAVE || type == FRAME_WANT) && n >= 1 && n <= FRAME_COUNT_MAX);
	writer_u8(w, (uint8_t)type);
	writer_u8(w, (uint8_t)n);
	for (size_t i = 0; i < n; i++)
		writer_u64(w, ids[i]);
}

void frame_write_reinit(struct writer *w, const struct frame_reinit *reinit)
{
	writer_u8(w, FRAME_REINIT);
	writer_bytes(w, reinit->r.b, sizeof(reinit->r.b));
	writer_u32(w, reinit->epoch);
}

void frame_write_close(struct writer *w)
{
	writer_u8(w, FRAME_CLOSE);
}
