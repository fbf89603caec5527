#include "tests/fuzz/fuzz.h"

#include "transport/call.h"

/* A call that is read is written as the same bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sym_key key = { { 1 } };
	uint8_t again[CALL_LARGE_LEN];
	struct writer w = WRITER_ON(again);
	struct call c;

	if (call_read_direct(&c, span_from(data, size)) == 0)
		assert(call_find(&c, &key) < (int)c.count);
	if (call_read(&c, span_from(data, size)) != 0)
		return 0;
	call_write(&w, &c);
	assert(span_equal(writer_done(&w), span_from(data, size)));
	return 0;
}
