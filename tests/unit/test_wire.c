#include "node/base/wire.h"

#include "tests/unit/unit.h"

static void reads_what_was_written(void **state)
{
	uint8_t buf[64];
	struct writer w = WRITER_ON(buf);
	struct reader r;
	uint8_t tail[3];

	(void)state;
	writer_u8(&w, 0x51);
	writer_u16(&w, 0x1234);
	writer_u16_be(&w, 0x1234);
	writer_u32(&w, 0xdeadbeef);
	writer_u64(&w, UINT64_C(0x0123456789abcdef));
	writer_str(&w, "abc");
	writer_zeros(&w, 2);
	assert_int_equal(w.len, 1 + 2 + 2 + 4 + 8 + 3 + 2);
	assert_int_equal(buf[1], 0x34); /* little-endian */
	assert_int_equal(buf[3], 0x12); /* big-endian */

	r = reader_from(writer_done(&w));
	reader_expect_u8(&r, 0x51);
	assert_int_equal(reader_u16(&r), 0x1234);
	assert_int_equal(reader_u16_be(&r), 0x1234);
	assert_int_equal(reader_u32(&r), 0xdeadbeef);
	assert_true(reader_u64(&r) == UINT64_C(0x0123456789abcdef));
	reader_bytes(&r, tail, sizeof(tail));
	assert_memory_equal(tail, "abc", 3);
	assert_false(reader_done(&r)); /* two bytes left over */
	assert_int_equal(reader_rest(&r).len, 2);
	assert_true(reader_done(&r));
}

static void a_reader_that_failed_stays_failed(void **state)
{
	const uint8_t in[3] = { 1, 2, 3 };
	struct reader r = reader_from(SPAN(in));
	uint8_t out[4] = { 9, 9, 9, 9 };

	(void)state;
	reader_bytes(&r, out, sizeof(out));
	assert_memory_equal(out, "\0\0\0\0", 4);
	assert_true(r.failed);
	assert_int_equal(reader_u8(&r), 0);
	assert_int_equal(reader_span(&r, 0).len, 0);
	assert_false(reader_done(&r));

	r = reader_from(SPAN(in));
	reader_expect_u8(&r, 2);
	assert_true(r.failed);
	r = reader_from(SPAN(in));
	assert_int_equal(reader_span(&r, SIZE_MAX).len, 0);
	assert_true(r.failed);
}

static void a_writer_never_passes_its_end(void **state)
{
	uint8_t buf[4] = { 0 };
	struct writer w = writer_on(buf, 3);

	(void)state;
	writer_u16(&w, 1);
	assert_int_equal(writer_left(&w), 1);
	writer_u16(&w, 0xffff);
	assert_true(w.failed);
	writer_u8(&w, 0xff);
	assert_int_equal(writer_done(&w).len, 0);
	assert_int_equal(writer_left(&w), 0);
	assert_null(writer_skip(&w, 0));
	assert_int_equal(buf[2], 0);
	assert_int_equal(buf[3], 0);
	w = writer_on(buf, 4);
	assert_null(writer_skip(&w, SIZE_MAX));
	for (size_t len = 0; len < 8; len++) {
		uint8_t room[8] = { 0 }, untouched[8] = { 0 };

		w = writer_on(room, len);
		writer_u64(&w, UINT64_MAX);
		assert_true(w.failed);
		w = writer_on(room, MIN(len, (size_t)3));
		writer_u32(&w, UINT32_MAX);
		assert_true(w.failed);
		w = writer_on(room, len);
		writer_zeros(&w, len + 1);
		assert_true(w.failed);
		writer_zeros(&w, 0);
		assert_true(w.failed);
		assert_memory_equal(room, untouched, sizeof(room));
	}
	assert_true(span_equal(SPAN_NONE, span_from(buf, 0)) && !span_equal(SPAN_NONE, SPAN(buf)));
	assert_false(span_equal(span_str("one"), span_str("two")));
	w = writer_on(buf, 4);
	writer_zeros(&w, 0);
	assert_true(!w.failed && w.len == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_was_written),
		cmocka_unit_test(a_reader_that_failed_stays_failed),
		cmocka_unit_test(a_writer_never_passes_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
