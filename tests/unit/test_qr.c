#include "node/core/qr.h"

#include "node/crypto/random.h"
#include "tests/unit/unit.h"

static void base45_knows_the_examples_of_rfc_9285(void **state)
{
	static const struct {
		const char *plain, *coded;
	} examples[] = {
		{ "AB", "BB8" },
		{ "Hello!!", "%69 VD92EX0" },
		{ "base-45", "UJCLQE7W581" },
		{ "ietf!", "QED8WEX0" },
		{ "", "" },
	};
	uint8_t buf[64];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(examples); i++) {
		struct writer w = WRITER_ON(buf);

		qr_base45_encode(&w, span_str(examples[i].plain));
		assert_true(span_equal(writer_done(&w), span_str(examples[i].coded)));
		w = WRITER_ON(buf);
		assert_int_equal(qr_base45_decode(&w, span_str(examples[i].coded)), 0);
		assert_true(span_equal(writer_done(&w), span_str(examples[i].plain)));
	}
}

static void base45_is_strict(void **state)
{
	static const char *const bad[] = { "GGW", ":::", "A",   "BB8A",  "5U",
		                           "::",  "bb8", "BB_", "BB8\n", "B\xc3\xa9" };
	uint8_t buf[4] = { 0 }, long_text[QR_TEXT_MAX + 6];
	struct writer w = WRITER_ON(buf);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(qr_base45_decode(&w, span_str(bad[i])), QR_REFUSED);
	assert_int_equal(qr_base45_decode(&w, span_from("B\0008", 3)), QR_REFUSED);
	assert_int_equal(w.len, 0);
	assert_int_equal(qr_base45_decode(&w, span_str("FGWFGWFGW")), QR_REFUSED); /* no room */
	assert_int_equal(qr_base45_decode(&w, span_str("FGWFGW")), 0);
	assert_int_equal(w.len, 4);
	memset(long_text, '0', sizeof(long_text));
	assert_int_equal(qr_base45_decode(&w, SPAN(long_text)), QR_REFUSED);
}

static size_t make_text(uint8_t text[static QR_TEXT_MAX], enum qr_kind kind)
{
	struct writer w = writer_on(text, QR_TEXT_MAX);
	struct random_seeded rng;
	struct qr qr = { .kind = kind };

	random_seeded_init(&rng, (uint64_t)kind);
	switch (kind) {
	case QR_PAIR:
		random_bytes(&rng.base, &qr.pair, sizeof(qr.pair));
		break;
	case QR_CODE:
		code_new_secret(&qr.code, &rng.base);
		break;
	case QR_MEET:
		random_bytes(&rng.base, &qr.meet, sizeof(qr.meet));
		break;
	case QR_TOP_UP:
		random_bytes(&rng.base, &qr.q, sizeof(qr.q));
		break;
	}
	qr_text(&w, &qr);
	assert_false(w.failed);
	return w.len;
}

static void every_kind_reads_as_it_was_written(void **state)
{
	static const enum qr_kind kinds[] = { QR_PAIR, QR_CODE, QR_MEET, QR_TOP_UP };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		uint8_t text[QR_TEXT_MAX], again[QR_TEXT_MAX];
		const size_t len = make_text(text, kinds[i]);
		struct writer w = WRITER_ON(again);
		struct qr qr;

		assert_int_equal(qr_read(&qr, span_from(text, len)), 0);
		assert_int_equal(qr.kind, kinds[i]);
		qr_text(&w, &qr);
		assert_true(span_equal(writer_done(&w), span_from(text, len)));
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(qr_read(&qr, span_from(text, cut)), QR_REFUSED);
	}
}

static void fields_out_of_range_are_refused(void **state)
{
	uint8_t bytes[QR_BYTES_MAX] = { QR_CODE, 0x01, 99 };
	struct qr qr;

	(void)state;
	assert_int_equal(qr_decode(&qr, span_from(bytes, 19)), 0);
	assert_int_equal(qr_decode(&qr, span_from(bytes, 20)), QR_REFUSED);
	bytes[2] = 100;
	assert_int_equal(qr_decode(&qr, span_from(bytes, 19)), QR_REFUSED);
	bytes[0] = QR_MEET;
	assert_int_equal(qr_decode(&qr, span_from(bytes, 36)), QR_REFUSED); /* port 0 */
	bytes[19] = 1;
	assert_int_equal(qr_decode(&qr, span_from(bytes, 36)), 0);
	assert_int_equal(qr.meet.port, 256);
	bytes[1] = 0x02;
	assert_int_equal(qr_decode(&qr, span_from(bytes, 36)), QR_REFUSED);
	bytes[0] = 0x50;
	bytes[1] = 0x01;
	assert_int_equal(qr_decode(&qr, span_from(bytes, 2)), QR_REFUSED);
	assert_int_equal(qr_decode(&qr, SPAN_NONE), QR_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base45_knows_the_examples_of_rfc_9285),
		cmocka_unit_test(base45_is_strict),
		cmocka_unit_test(every_kind_reads_as_it_was_written),
		cmocka_unit_test(fields_out_of_range_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
