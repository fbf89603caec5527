#include "node/crypto/safety.h"

#include "node/crypto/kdf.h"

enum { GROUPS = 6, GROUP_DIGITS = 5, GROUP_BYTES = 5 };

static uint64_t load_be40(const uint8_t *p)
{
	uint64_t value = 0;

	for (size_t i = 0; i < GROUP_BYTES; i++)
		value = value << 8 | p[i];
	return value;
}

void safety_number(char out[static SAFETY_TEXT_LEN + 1], const struct secrets_pair *pair)
{
	uint8_t data[4 * 32], hash[64];
	struct writer w = WRITER_ON(data);

	writer_span(&w, KEY_SPAN(&pair->s_a));
	writer_span(&w, KEY_SPAN(&pair->s_b));
	writer_span(&w, KEY_SPAN(&pair->r_a));
	writer_span(&w, KEY_SPAN(&pair->r_b));
	b2(hash, sizeof(hash), "fl1:safe", SPAN_NONE, writer_done(&w));
	for (size_t g = 0; g < GROUPS; g++) {
		uint64_t rest = load_be40(hash + g * GROUP_BYTES) % 100000;

		for (size_t d = GROUP_DIGITS; d-- > 0; rest /= 10)
			out[g * (GROUP_DIGITS + 1) + d] = (char)('0' + rest % 10);
		out[g * (GROUP_DIGITS + 1) + GROUP_DIGITS] = g + 1 < GROUPS ? ' ' : '\0';
	}
}
