#include "tests/fuzz/fuzz.h"

#include "node/lines.h"
#include "node/object.h"

/* A line of the control socket: a request, or a reply that says what is wrong with it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct asked a;

	if (size > 4096)
		return 0;
	object_init();
	lines_parse(&a, span_from(data, size));
	assert((a.word == NULL) == (a.bad != NULL));
	lines_forget(&a);
	return 0;
}
