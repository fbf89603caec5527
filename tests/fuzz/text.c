#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "node/core/text.h"

/* A text that is read is, where all of it is known to us, written as the same bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buf[TEXT_MAX + TEXT_HEAD_MAX];
	struct text_message m;
	struct text_writer w;
	struct text t;
	unsigned count = 0;

	if (text_decode(&t, span_from(data, size)) != 0)
		return 0;
	assert(size <= TEXT_MAX && t.count >= 1 && t.count <= TEXT_MESSAGES_MAX);
	text_begin(&w, buf, TEXT_MAX, &t.head);
	for (; text_next(&t, &m); count++)
		if (text_add(&w, &m) != 0)
			return 0; /* a longer encoding than before: of keys that we skip nothing is left */
	assert(count == t.count && text_end(&w).len <= size);
	return 0;
}
