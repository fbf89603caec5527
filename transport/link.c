#include "transport/link.h"

#include <sodium.h>

#include "node/crypto/kdf.h"
#include "node/crypto/secrets.h"

/*
 * A flight, 256 bytes (PROTOCOL section 5):
 *
 *     0 +48 ChaCha20-Poly1305(M, nonce 0, ad n_I ‖ n_R, e) | 48 +16 Noise tag of no payload | 64 +192 random
 *
 * A datagram, 256 or 1,232 bytes; what is sealed begins at 24:
 *
 *     0 +24 nonce | 24 +8 pn | 32 +208 or +1,184 frames, then zeros | end-16 +16 tag
 *
 * Each flight's mask is used for one flight: n_I and n_R are fresh, and the own flight is made once. What
 * comes in is judged on a copy of the handshake, so that a bad flight leaves no trace.
 */
enum {
	NONCE_LEN = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG_LEN = crypto_aead_xchacha20poly1305_ietf_ABYTES,
	PN_LEN = 8,
	KEY_LEN = 32,
	MASKED_LEN = KEY_LEN + NOISE_TAG_LEN,
	NOISE_LEN = KEY_LEN + NOISE_TAG_LEN, /* of either handshake message */
	WIRE_PAD_LEN = LINK_WIRE_LEN - MASKED_LEN - NOISE_TAG_LEN,
};

static_assert(CARRIER_SMALL == NONCE_LEN + PN_LEN + CARRIER_SMALL_FRAMES + TAG_LEN, "small datagram");
static_assert(CARRIER_LARGE == NONCE_LEN + PN_LEN + CARRIER_LARGE_FRAMES + TAG_LEN, "large datagram");
static_assert(LINK_FRAMES_AT == NONCE_LEN + PN_LEN, "frames in a datagram");

/* Numbers beyond are refused; nobody gets there by counting. */
static const uint64_t pn_max = INT64_MAX;

static const bool allowed[][3] = {
	[LINK_CALLING] = { [LINK_ANSWERED] = true, [LINK_OPEN] = true },
	[LINK_ANSWERED] = { [LINK_OPEN] = true },
	[LINK_OPEN] = { false },
};

static void state_move(struct link *l, enum link_state to)
{
	assert(allowed[l->state][to]);
	l->state = to;
}

/* M_i ‖ M_r = B2("fl1:mask", L, 64, n_I ‖ n_R) */
static void masks_derive(struct link *l)
{
	uint8_t m[64];

	b2(m, sizeof(m), "fl1:mask", KEY_SPAN(&l->used), SPAN(l->n));
	memcpy(l->mask[LINK_INITIATOR].b, m, KEY_LEN);
	memcpy(l->mask[LINK_ANSWERER].b, m + KEY_LEN, KEY_LEN);
	sodium_memzero(m, sizeof(m));
}

void link_init(struct link *l, const struct link_config *c)
{
	static const char label[] = "fl1:link\x01"; /* 01 is the version */
	uint8_t prologue[9 + 32];
	struct sym_key psk;
	int r;

	*l = (struct link){ .role = c->role, .n = { *c->n_initiator, *c->n_answerer }, .used = *c->secret };
	masks_derive(l);
	memcpy(prologue, label, 9);
	memcpy(prologue + 9, l->n, sizeof(l->n));
	secrets_psk(&psk, c->secret);
	r = noise_init(&l->noise, &(struct noise_config){
	                                  .pattern = "KKpsk0",
	                                  .initiator = c->role == LINK_INITIATOR,
	                                  .prologue = SPAN(prologue),
	                                  .s = c->own,
	                                  .rs = c->peer,
	                                  .psks = &psk,
	                                  .psks_len = 1,
	                          });
	sodium_memzero(&psk, sizeof(psk));
	assert(r == 0);
	(void)r;
}

void link_deinit(struct link *l)
{
	sodium_memzero(l, sizeof(*l));
}

/* After the second flight: the keys stay, what they came from goes. */
static void keys_take(struct link *l)
{
	struct noise_keys keys;

	noise_split(&l->noise, &keys);
	l->send = l->role == LINK_INITIATOR ? keys.k_i_to_r : keys.k_r_to_i;
	l->receive = l->role == LINK_INITIATOR ? keys.k_r_to_i : keys.k_i_to_r;
	l->x = keys.x;
	sodium_memzero(&keys, sizeof(keys));
	sodium_memzero(&l->used, sizeof(l->used));
	sodium_memzero(l->mask, sizeof(l->mask));
	noise_deinit(&l->noise);
}

int link_wire(struct span *out, struct link *l, struct random *rng)
{
	uint8_t message[NOISE_LEN];
	struct writer noise_out = WRITER_ON(message), w = WRITER_ON(l->wire);

	assert(l->wire_made || l->state == (l->role == LINK_INITIATOR ? LINK_CALLING : LINK_ANSWERED));
	if (!l->wire_made) {
		if (noise_write(&l->noise, rng, &noise_out, SPAN_NONE) != 0)
			return LINK_REFUSED;
		noise_seal(&w, &l->mask[l->role], 0, SPAN(l->n), span_from(message, KEY_LEN));
		writer_bytes(&w, message + KEY_LEN, NOISE_TAG_LEN);
		random_bytes(rng, writer_skip(&w, WIRE_PAD_LEN), WIRE_PAD_LEN);
		assert(w.len == LINK_WIRE_LEN && !w.failed);
		l->wire_made = true;
		if (l->role == LINK_ANSWERER)
			keys_take(l);
	}
	*out = SPAN(l->wire);
	return 0;
}

int link_read_wire(struct link *l, struct span datagram)
{
	const enum link_role other = l->role == LINK_INITIATOR ? LINK_ANSWERER : LINK_INITIATOR;
	uint8_t message[NOISE_LEN], nothing[1];
	struct writer w = WRITER_ON(message), no_payload = writer_on(nothing, 0);
	struct noise attempt;
	int r = LINK_REFUSED;

	if (datagram.len != LINK_WIRE_LEN || l->state != LINK_CALLING)
		return LINK_REFUSED;
	if (l->role == LINK_INITIATOR && !l->wire_made)
		return LINK_REFUSED;
	/* The mask before any DH: noise costs a stranger more than it costs us. */
	if (noise_open(&w, &l->mask[other], 0, SPAN(l->n), span_from(datagram.p, MASKED_LEN)) != 0)
		return LINK_REFUSED;
	writer_bytes(&w, datagram.p + MASKED_LEN, NOISE_TAG_LEN);
	attempt = l->noise;
	if (noise_read(&attempt, &no_payload, SPAN(message)) != 0)
		goto out;
	l->noise = attempt;
	if (l->role == LINK_INITIATOR)
		keys_take(l);
	state_move(l, l->role == LINK_INITIATOR ? LINK_OPEN : LINK_ANSWERED);
	r = 0;
out:
	noise_deinit(&attempt);
	return r;
}

void link_opener(uint8_t out[static LINK_WIRE_LEN], struct random *rng)
{
	random_bytes(rng, out, LINK_WIRE_LEN);
}

const struct sym_key *link_x(const struct link *l)
{
	assert(l->state == LINK_OPEN);
	return &l->x;
}

size_t link_seal(uint64_t *pn, struct link *l, struct random *rng, uint8_t out[static CARRIER_LARGE],
                 struct span frames)
{
	const size_t room = frames.len <= CARRIER_SMALL_FRAMES ? CARRIER_SMALL_FRAMES : CARRIER_LARGE_FRAMES;

	assert(l->state == LINK_OPEN && frames.len <= CARRIER_LARGE_FRAMES && l->pn_next <= pn_max);
	if (frames.len > 0 && frames.p != out + LINK_FRAMES_AT)
		memcpy(out + LINK_FRAMES_AT, frames.p, frames.len);
	memset(out + LINK_FRAMES_AT + frames.len, 0, room - frames.len);
	*pn = l->pn_next++;
	store_u64(out + NONCE_LEN, *pn);
	random_bytes(rng, out, NONCE_LEN);
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE_LEN, NULL, out + NONCE_LEN, PN_LEN + room,
	                                           NULL, 0, NULL, out, l->send.b);
	return NONCE_LEN + PN_LEN + room + TAG_LEN;
}

int link_open(struct span *frames, uint64_t *pn, struct link *l, uint8_t plain[static LINK_PLAIN_MAX],
              struct span datagram)
{
	const size_t sealed_len = datagram.len - NONCE_LEN;
	uint64_t number;

	if (datagram.len != CARRIER_SMALL && datagram.len != CARRIER_LARGE)
		return LINK_REFUSED;
	if (l->state == LINK_CALLING || !l->wire_made)
		return LINK_REFUSED;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, datagram.p + NONCE_LEN, sealed_len,
	                                               NULL, 0, datagram.p, l->receive.b) != 0)
		return LINK_REFUSED;
	number = load_u64(plain);
	if (number > pn_max || !replay_take(&l->replay, number))
		return LINK_REFUSED;
	if (l->state == LINK_ANSWERED)
		state_move(l, LINK_OPEN);
	*pn = number;
	*frames = span_from(plain + PN_LEN, sealed_len - TAG_LEN - PN_LEN);
	return 0;
}
