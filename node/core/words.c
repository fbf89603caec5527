#include "node/core/words.h"

#include <sodium.h>

/*
 * The list is sorted. Searching it from end to end costs some ten microseconds even with a
 * distance for each word, and it happens when a person presses a key.
 */
static const char *const words[] = {
#include "node/core/words.inc"
};

static_assert(COUNT_OF(words) == WORDS_COUNT, "words.txt has another number of words");

/* What was typed, in lower case and without blanks around it; wiped by its user. */
struct typed {
	char text[WORDS_TYPED_MAX + 1];
	size_t len; /* 0: nothing, or too long to be a word */
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void tidy(struct typed *out, struct span in)
{
	memset(out, 0, sizeof(*out));
	while (in.len > 0 && is_blank(in.p[0]))
		in = span_from(in.p + 1, in.len - 1);
	while (in.len > 0 && is_blank(in.p[in.len - 1]))
		in.len--;
	if (in.len > WORDS_TYPED_MAX)
		return;
	for (out->len = 0; out->len < in.len; out->len++) {
		const uint8_t c = in.p[out->len];

		out->text[out->len] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
}

static bool begins(const struct typed *t, const char *word)
{
	return strncmp(word, t->text, t->len) == 0;
}

/* How many letters must be put in, taken out or changed to make one from the other. */
static unsigned edits(const struct typed *t, const char *word)
{
	unsigned row[WORDS_LEN_MAX + 1];
	const size_t len = strlen(word);

	for (unsigned j = 0; j <= len; j++)
		row[j] = j;
	for (unsigned i = 1; i <= t->len; i++) {
		unsigned before = row[0];

		row[0] = i;
		for (size_t j = 1; j <= len; j++) {
			const unsigned changed = before + (t->text[i - 1] != word[j - 1]);

			before = row[j];
			row[j] = MIN(MIN(row[j], row[j - 1]) + 1, changed);
		}
	}
	return row[len];
}

const char *words_at(unsigned index)
{
	assert(index < WORDS_COUNT);
	return words[index];
}

/* No two words are both within one edit of the same text, so the first of each kind is the only one. */
static int read_tidy(unsigned *out, const struct typed *t)
{
	unsigned begun = WORDS_COUNT, slipped = WORDS_COUNT;

	if (t->len < WORDS_LEN_MIN)
		return WORDS_UNKNOWN;
	for (unsigned i = 0; i < WORDS_COUNT; i++) {
		if (begins(t, words[i]))
			begun = i;
		if (edits(t, words[i]) <= 1)
			slipped = i;
	}
	if (begun < WORDS_COUNT && (t->len == WORDS_LEN_MIN || words[begun][t->len] == '\0'))
		slipped = begun; /* three letters are a way to write a word, not a slip */
	if (begun == WORDS_COUNT)
		begun = slipped;
	else if (slipped == WORDS_COUNT)
		slipped = begun;
	if (begun == WORDS_COUNT || begun != slipped)
		return WORDS_UNKNOWN;
	*out = begun;
	return 0;
}

int words_read(unsigned *out, struct span typed)
{
	struct typed t;
	int r;

	tidy(&t, typed);
	r = read_tidy(out, &t);
	sodium_memzero(&t, sizeof(t));
	return r;
}

size_t words_near(unsigned out[static WORDS_NEAR_MAX], struct span typed)
{
	unsigned far[WORDS_NEAR_MAX];
	struct typed t;
	size_t n = 0;

	tidy(&t, typed);
	for (unsigned i = 0; t.len > 0 && i < WORDS_COUNT; i++) {
		const unsigned d = begins(&t, words[i]) ? 0 : edits(&t, words[i]);
		size_t at = n;

		if (d > MAX(t.len / 2, (size_t)1))
			continue; /* nothing of it is left */
		while (at > 0 && far[at - 1] > d)
			at--;
		if (at == WORDS_NEAR_MAX)
			continue;
		n = MIN(n + 1, (size_t)WORDS_NEAR_MAX);
		memmove(far + at + 1, far + at, (n - at - 1) * sizeof(far[0]));
		memmove(out + at + 1, out + at, (n - at - 1) * sizeof(out[0]));
		far[at] = d;
		out[at] = i;
	}
	sodium_memzero(&t, sizeof(t));
	return n;
}

size_t words_complete(unsigned *out, size_t max, struct span typed)
{
	struct typed t;
	size_t n = 0;

	tidy(&t, typed);
	for (unsigned i = 0; t.len > 0 && i < WORDS_COUNT && n < max; i++) {
		if (begins(&t, words[i]))
			out[n++] = i;
	}
	sodium_memzero(&t, sizeof(t));
	return n;
}

void words_suggest(struct writer *out, struct random *rng, unsigned count)
{
	assert(count <= WORDS_SUGGEST_MAX);
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			writer_u8(out, ' ');
		writer_str(out, words[random_below(rng, WORDS_COUNT)]);
	}
}
