#include "node/crypto/secrets.h"

#include <sodium.h>

#include "node/crypto/kdf.h"

/*
 * data of B2("fl1:root", ...), fields in this order, those in brackets not in each form:
 *
 *   form   1   01 two QR codes, 02 spoken code, 03 re-init, 04 optical top-up
 *   [epoch 4]  03, 04
 *   S_a   32
 *   S_b   32
 *   R_a   32
 *   R_b   32
 *   [q_a  32   q_b  32]                     01, 04
 *   [DH(s_a,S_b)  32   DH(r_a,R_b)  32]     01
 *   [h    64]                               02
 */
enum { ROOT_DATA_MAX = 1 + 4 * 32 + 2 * 32 + 2 * 32 };
enum root_form { FORM_QR = 1, FORM_CODE = 2, FORM_REINIT = 3, FORM_TOPUP = 4 };

int secrets_role(enum pair_role *out, const struct public_key *own, const struct public_key *other)
{
	const int order = memcmp(own->b, other->b, sizeof(own->b));

	if (order == 0)
		return SECRETS_REFUSED;
	*out = order < 0 ? ROLE_A : ROLE_B;
	return 0;
}

static void write_pair(struct writer *w, const struct secrets_pair *pair)
{
	writer_span(w, KEY_SPAN(&pair->s_a));
	writer_span(w, KEY_SPAN(&pair->s_b));
	writer_span(w, KEY_SPAN(&pair->r_a));
	writer_span(w, KEY_SPAN(&pair->r_b));
}

static void root_of(struct root_secret *out, struct span key, const struct writer *data)
{
	assert(!data->failed);
	b2(out->b, sizeof(out->b), "fl1:root", key, writer_done(data));
}

int secrets_root_qr(struct root_secret *out, const struct secrets_pair *pair, enum pair_role own,
                    const struct secret_key *s, const struct secret_key *r, const struct sym_key *q_a,
                    const struct sym_key *q_b)
{
	const struct public_key *other_s = own == ROLE_A ? &pair->s_b : &pair->s_a;
	const struct public_key *other_r = own == ROLE_A ? &pair->r_b : &pair->r_a;
	uint8_t data[ROOT_DATA_MAX], dh_s[32], dh_r[32];
	struct writer w = WRITER_ON(data);
	int result = SECRETS_REFUSED;

	if (x25519(dh_s, s, other_s) != 0 || x25519(dh_r, r, other_r) != 0)
		goto out;
	writer_u8(&w, FORM_QR);
	write_pair(&w, pair);
	writer_span(&w, KEY_SPAN(q_a));
	writer_span(&w, KEY_SPAN(q_b));
	writer_span(&w, SPAN(dh_s));
	writer_span(&w, SPAN(dh_r));
	root_of(out, SPAN_NONE, &w);
	result = 0;
out:
	sodium_memzero(data, sizeof(data));
	sodium_memzero(dh_s, sizeof(dh_s));
	sodium_memzero(dh_r, sizeof(dh_r));
	return result;
}

void secrets_root_code(struct root_secret *out, const struct sym_key *x, const struct secrets_pair *pair,
                       const struct hash64 *h)
{
	uint8_t data[ROOT_DATA_MAX];
	struct writer w = WRITER_ON(data);

	writer_u8(&w, FORM_CODE);
	write_pair(&w, pair);
	writer_span(&w, KEY_SPAN(h));
	root_of(out, KEY_SPAN(x), &w);
	sodium_memzero(data, sizeof(data));
}

void secrets_root_reinit(struct root_secret *out, const struct sym_key *x, uint32_t epoch,
                         const struct secrets_pair *pair)
{
	uint8_t data[ROOT_DATA_MAX];
	struct writer w = WRITER_ON(data);

	writer_u8(&w, FORM_REINIT);
	writer_u32(&w, epoch);
	write_pair(&w, pair);
	root_of(out, KEY_SPAN(x), &w);
}

void secrets_root_topup(struct root_secret *out, const struct sym_key *x, uint32_t epoch,
                        const struct secrets_pair *pair, const struct sym_key *q_a, const struct sym_key *q_b)
{
	uint8_t data[ROOT_DATA_MAX];
	struct writer w = WRITER_ON(data);

	writer_u8(&w, FORM_TOPUP);
	writer_u32(&w, epoch);
	write_pair(&w, pair);
	writer_span(&w, KEY_SPAN(q_a));
	writer_span(&w, KEY_SPAN(q_b));
	root_of(out, KEY_SPAN(x), &w);
	sodium_memzero(data, sizeof(data));
}

void secrets_of_root(struct secrets_result *out, const struct root_secret *root)
{
	const struct span key = KEY_SPAN(root);

	b2(out->l0.b, sizeof(out->l0.b), "fl1:link", key, SPAN_NONE);
	b2(out->anchor.b, sizeof(out->anchor.b), "fl1:anchor", key, SPAN_NONE);
	b2(out->rk0.b, sizeof(out->rk0.b), "fl1:dr-rk", key, SPAN_NONE);
	b2(out->ha.b, sizeof(out->ha.b), "fl1:dr-ha", key, SPAN_NONE);
	b2(out->nb.b, sizeof(out->nb.b), "fl1:dr-nb", key, SPAN_NONE);
}

void secrets_aid(struct hash32 *out, const struct public_key *s_a, const struct public_key *s_b,
                 uint32_t epoch)
{
	uint8_t data[32 + 32 + 4];
	struct writer w = WRITER_ON(data);

	writer_span(&w, KEY_SPAN(s_a));
	writer_span(&w, KEY_SPAN(s_b));
	writer_u32(&w, epoch);
	b2(out->b, sizeof(out->b), "fl1:aid", SPAN_NONE, writer_done(&w));
}

void secrets_pair_psk(struct sym_key *out, const struct hash64 *isk)
{
	b2(out->b, sizeof(out->b), "fl1:pair-psk", KEY_SPAN(isk), SPAN_NONE);
}

void secrets_code_key(struct sym_key *out, unsigned number)
{
	assert(number <= 99);
	*out = (struct sym_key){ { (uint8_t)('0' + number / 10), (uint8_t)('0' + number % 10) } };
}

void secrets_psk(struct sym_key *out, const struct link_secret *l)
{
	b2(out->b, sizeof(out->b), "fl1:psk", KEY_SPAN(l), SPAN_NONE);
}

void secrets_call_key(struct sym_key *out, const struct link_secret *l, enum pair_role from)
{
	const uint8_t direction[1] = { from == ROLE_A ? 0 : 1 };

	b2(out->b, sizeof(out->b), "fl1:call", KEY_SPAN(l), SPAN(direction));
}

void secrets_next(struct link_secret *out, const struct link_secret *l_used, const struct sym_key *x)
{
	struct link_secret next;

	b2(next.b, sizeof(next.b), "fl1:next", KEY_SPAN(x), KEY_SPAN(l_used));
	*out = next;
	sodium_memzero(&next, sizeof(next));
}

static bool is_same(const struct link_secret *a, const struct link_secret *b)
{
	return sodium_memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

int secrets_commit(struct link_secret *cur, struct link_secret *prev, bool *has_prev,
                   const struct link_secret *anchor, const struct link_secret *l_used,
                   const struct sym_key *x)
{
	struct link_secret used = *l_used; /* may be cur or prev itself */
	int r = SECRETS_NOT_HELD;

	if (is_same(&used, cur) || (*has_prev && is_same(&used, prev)) || is_same(&used, anchor)) {
		secrets_next(cur, &used, x);
		*prev = used;
		*has_prev = true;
		r = 0;
	}
	sodium_memzero(&used, sizeof(used));
	return r;
}

void secrets_courier_id(uint8_t out[static 8], const struct sym_key *x, struct span envelope)
{
	uint8_t hash[32], id[16];

	crypto_generichash(hash, sizeof(hash), envelope.p, envelope.len, NULL, 0);
	b2(id, sizeof(id), "fl1:sync", KEY_SPAN(x), SPAN(hash));
	memcpy(out, id, 8);
}
