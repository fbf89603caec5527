#include "transport/frames.h"

#include "node/crypto/random.h"
#include "transport/carrier.h"

#include "tests/unit/unit.h"

/* Reads all frames; the outcome that ended it. */
static int read_all(struct span bytes, size_t *count)
{
	struct reader r = reader_from(bytes);
	struct frame f;
	int outcome;

	*count = 0;
	while ((outcome = frame_read(&f, &r)) == 0)
		++*count;
	return outcome;
}

static struct span write_each(uint8_t *buf, size_t cap)
{
	static const struct range ranges[] = { { 3, 4 }, { 9, 12 } };
	static const uint64_t ids[] = { 1, UINT64_MAX };
	struct writer w = writer_on(buf, cap);

	frame_write_ack(&w, ranges, 2, 100);
	frame_write_state(&w, &(struct frame_state){ 1, 2, 3, 4, 5 });
	frame_write_piece(&w, FRAME_PIECE, &(struct frame_piece){ 7, 1020, 1024, span_from("abcd", 4) });
	frame_write_stored(&w, ranges, 2);
	frame_write_ids(&w, FRAME_HAVE, ids, 2);
	frame_write_ids(&w, FRAME_WANT, ids, 2);
	frame_write_piece(&w, FRAME_CARRIED, &(struct frame_piece){ 8, 0, 65536, span_from("x", 1) });
	frame_write_reinit(&w, &(struct frame_reinit){ { { 1 } }, 9 });
	frame_write_close(&w);
	return writer_done(&w);
}

static void a_frame_cut_anywhere_is_malformed(void **state)
{
	uint8_t buf[CARRIER_SMALL_FRAMES];
	const struct span all = write_each(buf, sizeof(buf));
	size_t count, whole = 0;

	(void)state;
	assert_int_equal(read_all(all, &count), FRAME_END);
	assert_int_equal(count, 9);
	for (size_t len = 0; len < all.len; len++) {
		/* A cut between two frames is an end, and there are nine of those with none read. */
		whole += read_all(span_from(all.p, len), &count) == FRAME_END;
	}
	assert_int_equal(whole, 9);
}

static void limits(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int outcome;
	} rows[] = {
		{ "\x04\x00", 2, FRAME_MALFORMED },                          /* nothing stored */
		{ "\x04\x01\0\0\0\0\0\0\0\0\0\0\0\0", 14, FRAME_MALFORMED }, /* an empty run */
		{ "\x04\x01\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0", 14,
		  FRAME_MALFORMED }, /* past the end */
		{ "\x04\x01\xfe\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0", 14, FRAME_END },
		{ "\x05\x00", 2, FRAME_MALFORMED },
		{ "\x06\x00", 2, FRAME_MALFORMED },
		{ "\x01\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\x01\0\0\x01\0", 18, FRAME_MALFORMED },
		{ "\x01\x03\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\x04\0", 18, FRAME_END }, /* down to 0 */
		{ "\x01\x03\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\x05\0", 18, FRAME_MALFORMED },
		{ "\x01\x03\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0", 18, FRAME_MALFORMED },
		{ "\x09\x09\0", 3, FRAME_END },
		{ "\x09\x0a\0", 3, FRAME_MALFORMED },
		{ "\0\0\0\x09", 4, FRAME_MALFORMED },
		{ "", 0, FRAME_END },
		{ "\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x01\0x", 20, FRAME_END },         /* 65,536 */
		{ "\x03\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x01\0\x01\0x", 20, FRAME_MALFORMED }, /* no size */
	};
	size_t count;

	(void)state;
	for (int type = FRAME_PAD; type <= FRAME_CLOSE; type++)
		assert_int_equal(frame_wants_ack((enum frame_type)type),
		                 type != FRAME_PAD && type != FRAME_ACK && type != FRAME_CLOSE);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (read_all(span_from(rows[i].bytes, rows[i].len), &count) != rows[i].outcome)
			fail_msg("row %zu", i);
}

/* Any bytes: read to the end or refused, and what was read is within what was given. */
static void noise_is_harmless(void **state)
{
	struct random_seeded rng;
	uint8_t buf[CARRIER_SMALL_FRAMES];

	(void)state;
	random_seeded_init(&rng, 3);
	for (unsigned i = 0; i < 200000; i++) {
		const size_t len = random_below(&rng.base, sizeof(buf));
		struct reader r = reader_from(span_from(buf, len));
		struct frame f;

		random_bytes(&rng.base, buf, len);
		buf[0] = (uint8_t)random_below(&rng.base, 10);
		if (i % 2 == 0 && len > 20)
			memset(buf + 2, 0, 11);
		while (frame_read(&f, &r) == 0) {
			struct frame_ack_cursor cursor = frame_ack_first(&f.ack);
			struct range range, above = { UINT64_MAX, 0 };

			while (f.type == FRAME_ACK && frame_ack_next(&range, &cursor)) {
				assert_true(range.first < range.end && range.end < above.first);
				above = range;
			}
			if (f.type == FRAME_PIECE || f.type == FRAME_CARRIED)
				assert_true(f.piece.bytes.p + f.piece.bytes.len <= buf + len);
		}
	}
}

static void an_ack_takes_what_room_there_is(void **state)
{
	struct range ranges[100], got;
	uint8_t buf[CARRIER_SMALL_FRAMES];
	struct frame_ack_cursor cursor;
	struct reader r;
	struct writer w;
	struct frame f;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ranges); i++)
		ranges[i] = (struct range){ 10 * i, 10 * i + 3 };
	for (size_t room = 0; room <= sizeof(buf); room++) {
		w = writer_on(buf, room);
		if (!frame_write_ack(&w, ranges, COUNT_OF(ranges), 0)) {
			assert_true(room < FRAME_ACK_HEAD_LEN + FRAME_ACK_RANGE_LEN && w.len == 0);
			continue;
		}
		r = reader_from(writer_done(&w));
		assert_int_equal(frame_read(&f, &r), 0);
		assert_int_equal(f.ack.n, (room - FRAME_ACK_HEAD_LEN) / FRAME_ACK_RANGE_LEN);
		cursor = frame_ack_first(&f.ack);
		for (size_t i = COUNT_OF(ranges); frame_ack_next(&got, &cursor); i--)
			assert_memory_equal(&got, &ranges[i - 1], sizeof(got));
	}
}

/* Runs and gaps beyond 16 bits: what is said is true, the rest is left out. */
static void an_ack_says_nothing_false(void **state)
{
	const struct range wide[] = { { 0, 5 }, { 10, 200000 }, { 200001, 200002 } };
	const struct range far[] = { { 0, 5 }, { 100000, 100001 } };
	struct frame_ack_cursor cursor;
	uint8_t buf[64];
	struct writer w = WRITER_ON(buf);
	struct reader r;
	struct range got;
	struct frame f;

	(void)state;
	assert_true(frame_write_ack(&w, wide, 3, 0));
	r = reader_from(writer_done(&w));
	assert_int_equal(frame_read(&f, &r), 0);
	assert_int_equal(f.ack.n, 2);
	cursor = frame_ack_first(&f.ack);
	assert_true(frame_ack_next(&got, &cursor) && got.first == 200001);
	assert_true(frame_ack_next(&got, &cursor) && got.first == 200000 - UINT16_MAX && got.end == 200000);

	w = WRITER_ON(buf);
	assert_true(frame_write_ack(&w, far, 2, 0));
	r = reader_from(writer_done(&w));
	assert_int_equal(frame_read(&f, &r), 0);
	assert_int_equal(f.ack.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_cut_anywhere_is_malformed),
		cmocka_unit_test(limits),
		cmocka_unit_test(noise_is_harmless),
		cmocka_unit_test(an_ack_takes_what_room_there_is),
		cmocka_unit_test(an_ack_says_nothing_false),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
