#include "tests/fuzz/fuzz.h"

#include "tools/sim/scenario.h"

/* A scenario file: read, or refused with a line that says why. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[SCENARIO_ERROR_MAX] = "";
	struct scenario s = { 0 };
	const int r = scenario_parse(&s, "scenario", span_from(data, size), error);

	assert(r == 0 || (r == SCENARIO_BAD && strncmp(error, "scenario:", 9) == 0));
	assert((r == 0) == (s.people_len > 0));
	scenario_deinit(&s);
	return 0;
}
