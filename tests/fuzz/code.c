#include "tests/fuzz/fuzz.h"

#include "node/core/code.h"

/* What a person typed: a code that is understood is printed and understood again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char printed[CODE_TEXT_MAX + 1];
	struct code_trouble why;
	struct code c, again;
	const int r = code_parse(&c, &why, span_from(data, size));

	assert(r >= 0);
	if (r != 0)
		return 0;
	code_print(printed, &c);
	assert(code_parse(&again, &why, span_str(printed)) == 0);
	assert(again.number == c.number && span_equal(code_prs(&again), code_prs(&c)));
	return 0;
}
