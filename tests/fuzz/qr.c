#include "tests/fuzz/fuzz.h"

#include "node/core/qr.h"

/* What is read is written as the same text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t text[QR_TEXT_MAX];
	struct writer w = WRITER_ON(text);
	struct qr qr;

	if (qr_decode(&qr, span_from(data, size)) == 0) {
		qr_bytes(&w, &qr);
		assert(span_equal(writer_done(&w), span_from(data, size)));
	}
	w = WRITER_ON(text);
	if (qr_read(&qr, span_from(data, size)) != 0)
		return 0;
	qr_text(&w, &qr);
	assert(writer_done(&w).len > 0);
	return 0;
}
