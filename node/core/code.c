#include "node/core/code.h"

#include <sodium.h>

#include "node/crypto/secrets.h"

void code_wipe(struct code *c)
{
	sodium_memzero(c, sizeof(*c));
}

struct span code_prs(const struct code *c)
{
	return span_from(c->prs, c->prs_len);
}

void code_key(struct sym_key *out, const struct code *c)
{
	secrets_code_key(out, c->number);
}

static void put_word(struct writer *prs, unsigned index)
{
	if (prs->len > 0)
		writer_u8(prs, ' ');
	writer_str(prs, words_at(index));
}

void code_new(struct code *out, struct random *rng)
{
	struct writer prs = WRITER_ON(out->prs);

	out->number = (uint8_t)random_below(rng, CODE_NUMBERS);
	for (unsigned i = 0; i < CODE_WORDS; i++)
		put_word(&prs, random_below(rng, WORDS_COUNT));
	out->prs_len = (uint8_t)prs.len;
	out->spoken = true;
}

void code_new_secret(struct code *out, struct random *rng)
{
	out->number = (uint8_t)random_below(rng, CODE_NUMBERS);
	random_bytes(rng, out->prs, CODE_SECRET_LEN);
	out->prs_len = CODE_SECRET_LEN;
	out->spoken = false;
}

void code_print(char out[static CODE_TEXT_MAX + 1], const struct code *c)
{
	struct writer w = writer_on(out, CODE_TEXT_MAX + 1);

	assert(c->spoken && c->number < CODE_NUMBERS);
	writer_u8(&w, (uint8_t)('0' + c->number / 10));
	writer_u8(&w, (uint8_t)('0' + c->number % 10));
	writer_u8(&w, ' ');
	writer_span(&w, code_prs(c));
	writer_u8(&w, 0);
	assert(!w.failed);
}

/* --- Reading what was typed --- */

enum token_kind { TOKEN_END, TOKEN_DIGITS, TOKEN_WORD };

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* How many bytes at the front part two words. Keyboards write dashes, quotes and hard blanks of their own:
 * U+2000 to U+203F and U+00A0. Any other character that is not ASCII belongs to a word, which nobody knows.
 */
static size_t gap_len(struct span in)
{
	if (in.len == 0 || is_digit(in.p[0]) || is_letter(in.p[0]))
		return 0;
	if (in.len >= 3 && in.p[0] == 0xe2 && in.p[1] == 0x80 && (in.p[2] & 0xc0) == 0x80)
		return 3;
	if (in.len >= 2 && in.p[0] == 0xc2 && in.p[1] == 0xa0)
		return 2;
	return in.p[0] < 0x80 ? 1 : 0;
}

static enum token_kind next_token(struct span *out, struct span *in)
{
	size_t len = 0;
	bool digits;

	while (gap_len(*in) > 0)
		*in = span_from(in->p + gap_len(*in), in->len - gap_len(*in));
	if (in->len == 0)
		return TOKEN_END;
	digits = is_digit(in->p[0]);
	while (len < in->len && is_digit(in->p[len]) == digits &&
	       gap_len(span_from(in->p + len, in->len - len)) == 0)
		len++;
	*out = span_from(in->p, len);
	*in = span_from(in->p + len, in->len - len);
	return digits ? TOKEN_DIGITS : TOKEN_WORD;
}

/* The number, said digit by digit or at once, and the token after it. */
static enum token_kind read_number(unsigned *out, unsigned *digits, struct span *token, struct span *in)
{
	enum token_kind kind;

	*out = *digits = 0;
	while ((kind = next_token(token, in)) == TOKEN_DIGITS) {
		for (size_t i = 0; i < token->len && *digits < 3; i++, (*digits)++)
			*out = *out * 10 + (unsigned)(token->p[i] - '0');
	}
	return kind;
}

int code_parse(struct code *out, struct code_trouble *why, struct span typed)
{
	struct code c = { .spoken = true };
	struct writer prs = WRITER_ON(c.prs);
	struct span token = SPAN_NONE;
	unsigned number, digits, index, i;
	enum token_kind kind;
	int r = CODE_TOO_LONG;

	*why = (struct code_trouble){ 0 };
	if (typed.len > CODE_TYPED_MAX)
		return CODE_TOO_LONG;
	kind = read_number(&number, &digits, &token, &typed);
	if (digits < 1 || digits > 2)
		return CODE_NO_NUMBER;
	for (i = 0; i < CODE_WORDS && kind == TOKEN_WORD; i++) {
		if (words_read(&index, token) != 0) {
			*why = (struct code_trouble){ .word = i, .typed = token };
			why->near_len = words_near(why->near, token);
			r = CODE_WORD_UNKNOWN;
			goto out;
		}
		put_word(&prs, index);
		kind = next_token(&token, &typed);
	}
	if (i < CODE_WORDS && kind == TOKEN_END) {
		why->word = i;
		r = CODE_TOO_SHORT;
	} else if (i == CODE_WORDS && kind == TOKEN_END) {
		c.number = (uint8_t)number;
		c.prs_len = (uint8_t)prs.len;
		*out = c;
		r = 0;
	}
out:
	code_wipe(&c);
	return r;
}
