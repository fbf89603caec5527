#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include <utf8proc.h>

#include "tools/flyleaf/show.h"

/* Nothing but visible characters, and for a message line ends. */
static void look(const char *text, size_t len, bool one_line)
{
	size_t at = 0;

	while (at < len) {
		utf8proc_int32_t c;
		const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
		                                            (utf8proc_ssize_t)(len - at), &c);

		assert(n > 0);
		at += (size_t)n;
		if (c == '\n' && !one_line)
			continue;
		assert(c >= ' ' && (c < 0x7f || c > 0x9f) && (c < 0x202a || c > 0x202e) &&
		       (c < 0x2066 || c > 0x2069));
	}
}

/* What somebody else wrote, as a terminal gets it. Eight bytes before it are a time. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader in = reader_from(span_from(data, size));
	const uint64_t when = reader_u64(&in), now = 1800000000;
	const struct span text = reader_rest(&in);
	char *out = NULL, *plain, *operand;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);

	assert(f != NULL);
	show_text(f, text, 4);
	assert(fclose(f) == 0);
	look(out, len, false);
	free(out);
	f = open_memstream(&out, &len);
	assert(f != NULL);
	show_time(f, when, now);
	assert(fclose(f) == 0);
	look(out, len, true);
	free(out);
	plain = show_plain(text);
	operand = show_operand(text);
	assert(plain != NULL && operand != NULL);
	look(plain, strlen(plain), true);
	look(operand, strlen(operand), true);
	(void)show_width(text);
	free(plain);
	free(operand);
	return 0;
}
