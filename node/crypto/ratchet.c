#include "node/crypto/ratchet.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/crypto/kdf.h"

/*
 * Three key chains (PROTOCOL section 6). The root chain takes a step with each DH,
 * a message chain one with each message, and a header chain beside it: from hk come
 * a tag, which says outside whose envelope it is, and a key for the head.
 *
 *     root:  rk -> rk' ck nh       message:  ck -> ck' mk       header:  hk -> hk' tag header-key
 *
 * Opening looks the tag up first, which costs one hash when the envelope is the
 * expected one. Everything that follows works on a copy: the keys that a gap leaves
 * are put away, the fresh key is drawn and the copy becomes the state only after the
 * envelope's authenticator was right. Keys of a gap are thus made twice, once to get
 * past it and once to keep them, which needs no room for what may have to be forgotten.
 */

/* --- The three chains --- */

/* KDF_RK: rk, ck and nh are replaced. */
static void root_step(struct sym_key *rk, struct sym_key *ck, struct sym_key *nh, const uint8_t dh[static 32])
{
	uint8_t out[64];

	b2(out, sizeof(out), "fl1:rk", KEY_SPAN(rk), span_from(dh, 32));
	b2(nh->b, sizeof(nh->b), "fl1:nh", KEY_SPAN(rk), span_from(dh, 32));
	memcpy(rk->b, out, 32);
	memcpy(ck->b, out + 32, 32);
	sodium_memzero(out, sizeof(out));
}

/* One step of a chain whose two outputs are made alike: KDF_CK without and KDF_HK with its tag. */
static void step(struct sym_key *key, const char *label, struct sym_key *made)
{
	uint8_t out[64];

	b2(out, sizeof(out), label, KEY_SPAN(key), SPAN_NONE);
	memcpy(key->b, out, 32);
	memcpy(made->b, out + 32, 32);
	sodium_memzero(out, sizeof(out));
}

static void message_step(struct sym_key *ck, struct sym_key *message_key)
{
	step(ck, "fl1:ck", message_key);
}

static void header_step(struct sym_key *hk, struct sym_key *header_key)
{
	step(hk, "fl1:hk", header_key);
}

static void header_tag(struct tag16 *out, const struct sym_key *hk)
{
	b2(out->b, sizeof(out->b), "fl1:et", KEY_SPAN(hk), SPAN_NONE);
}

/* All keys of the message at the chain's place, which is passed. */
static void chain_step(struct ratchet_chain *chain, struct envelope_keys *keys)
{
	header_tag(&keys->tag, &chain->hk);
	header_step(&chain->hk, &keys->header);
	message_step(&chain->ck, &keys->message);
	chain->n++;
}

static void header_skip(struct sym_key *hk, uint32_t places)
{
	struct sym_key unused;

	while (places-- > 0)
		header_step(hk, &unused);
	sodium_memzero(&unused, sizeof(unused));
}

static void message_skip(struct sym_key *ck, uint32_t places)
{
	struct sym_key unused;

	while (places-- > 0)
		message_step(ck, &unused);
	sodium_memzero(&unused, sizeof(unused));
}

/* --- Turning --- */

/* The receiving half of a DH step: a chain under the peer's new key. Returns 0 or KEY_WEAK. */
static int turn_receiving(struct ratchet *r, const struct public_key *peer)
{
	uint8_t dh[32];

	if (x25519(dh, &r->own.secret, peer) != 0)
		return KEY_WEAK;
	r->peer = *peer;
	r->receiving.hk = r->next_receiving_hk;
	r->receiving.n = 0;
	root_step(&r->rk, &r->receiving.ck, &r->next_receiving_hk, dh);
	r->has_receiving = true;
	sodium_memzero(dh, sizeof(dh));
	return 0;
}

/* The sending half: a chain under a fresh own key. turn_receiving() has seen that the peer's is one. */
static void turn_sending(struct ratchet *r, struct random *rng)
{
	uint8_t dh[32];
	int weak;

	key_pair_new(&r->own, rng);
	weak = x25519(dh, &r->own.secret, &r->peer);
	assert(weak == 0);
	(void)weak;
	r->previous = r->sending.n;
	r->sending.hk = r->next_sending_hk;
	r->sending.n = 0;
	root_step(&r->rk, &r->sending.ck, &r->next_sending_hk, dh);
	sodium_memzero(dh, sizeof(dh));
}

static int init_a(struct ratchet *r, const struct ratchet_root *root, const struct public_key *peer)
{
	uint8_t dh[32];

	if (x25519(dh, &r->own.secret, peer) != 0)
		return KEY_WEAK;
	r->peer = *peer;
	r->sending.hk = root->ha;
	r->next_receiving_hk = root->nb;
	root_step(&r->rk, &r->sending.ck, &r->next_sending_hk, dh);
	sodium_memzero(dh, sizeof(dh));
	return 0;
}

static int init_b(struct ratchet *r, const struct ratchet_root *root, const struct public_key *peer,
                  struct random *rng)
{
	r->next_sending_hk = root->nb;
	r->next_receiving_hk = root->ha;
	if (turn_receiving(r, peer) != 0)
		return KEY_WEAK;
	turn_sending(r, rng); /* at once, so that both can send first */
	return 0;
}

int ratchet_init(struct ratchet *out, enum pair_role role, const struct ratchet_root *root,
                 const struct key_pair *own, const struct public_key *peer, struct random *rng)
{
	struct ratchet r = { .aid = root->aid, .rk = root->rk0, .own = *own };
	const int weak = role == ROLE_A ? init_a(&r, root, peer) : init_b(&r, root, peer, rng);

	if (weak == 0)
		*out = r;
	ratchet_deinit(&r);
	return weak == 0 ? 0 : RATCHET_WEAK_KEY;
}

void ratchet_deinit(struct ratchet *r)
{
	if (r != NULL)
		sodium_memzero(r, sizeof(*r));
}

/* --- Sealing --- */

int ratchet_seal(struct ratchet *r, struct random *rng, struct span text, size_t size,
                 struct writer *envelope)
{
	const struct envelope_head head = { r->own.public, r->previous };
	struct envelope_keys keys;

	assert(envelope_text_max(size) > 0 && writer_left(envelope) >= size);
	if (text.len > envelope_text_max(size))
		return RATCHET_TOO_LONG;
	if (r->sending.n == UINT32_MAX) /* PN has 32 bits */
		return RATCHET_CHAIN_FULL;
	chain_step(&r->sending, &keys);
	envelope_seal(envelope, size, &keys, &head, &r->aid, text, rng);
	sodium_memzero(&keys, sizeof(keys));
	return 0;
}

unsigned ratchet_room(const struct ratchet *r, uint64_t unstored)
{
	const uint64_t in_chain = MIN(unstored, r->sending.n);

	return in_chain < RATCHET_UNSTORED_MAX ? RATCHET_UNSTORED_MAX - (unsigned)in_chain : 0;
}

/* --- Finding a tag --- */

/* The tags of RATCHET_WINDOW places from the one of hk on, their first 8 bytes; a ring. */
struct window {
	bool built;
	struct sym_key hk;  /* of the first place: a window whose hk is not the ratchet's is stale */
	struct sym_key end; /* of the first place behind the window */
	uint32_t first;     /* where in the ring the first place is */
	uint32_t behind;    /* places that were passed and not yet replaced by new ones */
	uint64_t tags[RATCHET_WINDOW];
};

struct ratchet_windows {
	struct window current, next;
};

/* A place in the current chain, or in the next, counted from the first that was not passed. */
struct place {
	bool next;
	uint32_t ahead;
};

void ratchet_cache_deinit(struct ratchet_cache *cache)
{
	if (cache->windows != NULL)
		sodium_memzero(cache->windows, sizeof(*cache->windows));
	free(cache->windows);
	cache->windows = NULL;
}

static bool tag_is(const struct sym_key *hk, const struct tag16 *tag)
{
	struct tag16 own;
	bool same;

	header_tag(&own, hk);
	same = sodium_memcmp(own.b, tag->b, sizeof(own.b)) == 0;
	sodium_memzero(&own, sizeof(own));
	return same;
}

/* Brings the window to the place of hk: by as many steps as were passed when it was there before, else anew.
 */
static void window_update(struct window *w, const struct sym_key *hk)
{
	struct sym_key unused;
	struct tag16 tag;

	if (!w->built || sodium_memcmp(w->hk.b, hk->b, sizeof(hk->b)) != 0) {
		*w = (struct window){ .built = true, .hk = *hk, .end = *hk, .behind = RATCHET_WINDOW };
	}
	for (; w->behind > 0; w->behind--) {
		header_tag(&tag, &w->end);
		header_step(&w->end, &unused);
		w->tags[w->first] = load_u64(tag.b);
		w->first = (w->first + 1) % RATCHET_WINDOW;
	}
	sodium_memzero(&unused, sizeof(unused));
	sodium_memzero(&tag, sizeof(tag));
}

/* The window's hk was followed over steps places to now. */
static void window_pass(struct window *w, const struct sym_key *before, const struct sym_key *now,
                        uint32_t steps)
{
	if (!w->built || sodium_memcmp(w->hk.b, before->b, sizeof(before->b)) != 0)
		return;
	w->hk = *now;
	w->behind += steps;
	if (w->behind > RATCHET_WINDOW)
		w->built = false;
}

/* How far ahead the tag is, or RATCHET_WINDOW. Looks at every place, whichever it is: future tags are secret.
 */
static uint32_t window_find(const struct window *w, uint64_t tag)
{
	uint32_t at = 0; /* 1 + its place in the ring */

	for (uint32_t i = 0; i < RATCHET_WINDOW; i++)
		at |= (0u - (uint32_t)(w->tags[i] == tag)) & (i + 1);
	return at == 0 ? RATCHET_WINDOW : (at - 1 + RATCHET_WINDOW - w->first) % RATCHET_WINDOW;
}

static bool find_ahead(struct window *w, const struct sym_key *hk, const struct tag16 *tag, uint32_t *ahead)
{
	struct sym_key there = *hk;
	bool found = false;

	window_update(w, hk);
	*ahead = window_find(w, load_u64(tag->b));
	if (*ahead < RATCHET_WINDOW) {
		header_skip(&there, *ahead);
		found = tag_is(&there, tag); /* all 16 bytes */
	}
	sodium_memzero(&there, sizeof(there));
	return found;
}

/* Returns 0, RATCHET_UNKNOWN or ERR_NOMEM. */
static int find_place(struct place *out, const struct ratchet *r, struct ratchet_cache *cache,
                      const struct tag16 *tag)
{
	*out = (struct place){ .next = false };
	if (r->has_receiving && tag_is(&r->receiving.hk, tag))
		return 0;
	out->next = true;
	if (tag_is(&r->next_receiving_hk, tag))
		return 0;
	if (cache->windows == NULL)
		cache->windows = calloc(1, sizeof(*cache->windows));
	if (cache->windows == NULL)
		return ERR_NOMEM;
	if (find_ahead(&cache->windows->next, &r->next_receiving_hk, tag, &out->ahead))
		return 0;
	out->next = false;
	if (r->has_receiving && find_ahead(&cache->windows->current, &r->receiving.hk, tag, &out->ahead))
		return 0;
	return RATCHET_UNKNOWN;
}

/* The cache follows a ratchet that went from before to after. */
static void cache_follow(struct ratchet_cache *cache, const struct ratchet *before,
                         const struct ratchet *after, const struct place *place)
{
	struct ratchet_windows *w = cache->windows;

	if (w == NULL)
		return;
	if (place->next) {
		w->current = w->next;
		sodium_memzero(&w->next, sizeof(w->next)); /* its tags are past ones soon */
	}
	window_pass(&w->current, place->next ? &before->next_receiving_hk : &before->receiving.hk,
	            &after->receiving.hk, place->ahead + 1);
}

/* --- Opening --- */

/* An envelope on its way in. */
struct opening {
	struct place place;
	struct envelope_head head;
	struct ratchet now; /* the state as it becomes */
	struct ratchet_chain
	        start; /* the receiving chain before its places up to this envelope were passed */
};

/* Keeps the keys of the next places of a chain, of which it wipes its copy. */
static int keep_gap(struct skipped_keys *skipped, struct ratchet_chain chain, const struct public_key *dh,
                    uint32_t places)
{
	struct skipped_key key = { .dh = *dh };
	struct envelope_keys keys = { 0 };
	int r = 0;

	for (uint32_t i = 0; i < places && r == 0; i++) {
		chain_step(&chain, &keys);
		key.tag = keys.tag;
		key.header = keys.header;
		key.message = keys.message;
		r = skipped->put(skipped, &key);
	}
	if (places > 0 && r == 0)
		r = skipped->trim(skipped, SKIPPED_MAX);
	sodium_memzero(&chain, sizeof(chain));
	sodium_memzero(&keys, sizeof(keys));
	sodium_memzero(&key, sizeof(key));
	return r;
}

/* PN of an envelope that begins a chain: what is missing of the chain before is at most a window long, and
 * there is none before the first (PROTOCOL section 6). */
static bool previous_fits(const struct ratchet *r, uint32_t previous)
{
	if (!r->has_receiving)
		return previous == 0;
	return previous >= r->receiving.n && previous - r->receiving.n <= RATCHET_WINDOW;
}

/* Whether the head belongs where the tag was found; turns o->now where a chain begins. */
static bool head_fits(struct opening *o)
{
	if (!o->place.next)
		return sodium_memcmp(o->head.dh.b, o->now.peer.b, sizeof(o->now.peer.b)) == 0;
	return previous_fits(&o->now, o->head.previous) && turn_receiving(&o->now, &o->head.dh) == 0;
}

/* Opens the envelope at o->place with the keys of o->now, which passes it. Returns 0 or RATCHET_REFUSED. */
static int open_at(struct opening *o, struct span envelope, struct writer *text)
{
	struct ratchet *now = &o->now;
	struct sym_key hk = o->place.next ? now->next_receiving_hk : now->receiving.hk;
	struct sym_key header_key, message_key = { 0 };
	int r = RATCHET_REFUSED;

	header_skip(&hk, o->place.ahead);
	header_step(&hk, &header_key);
	envelope_open_head(&o->head, envelope, &header_key);
	if (!head_fits(o) || now->receiving.n >= UINT32_MAX - o->place.ahead)
		goto out;
	o->start = now->receiving;
	message_skip(&now->receiving.ck, o->place.ahead);
	message_step(&now->receiving.ck, &message_key);
	now->receiving.hk = hk;
	now->receiving.n += o->place.ahead + 1;
	if (envelope_open_text(text, envelope, &message_key, &now->aid) == 0)
		r = 0;
out:
	sodium_memzero(&hk, sizeof(hk));
	sodium_memzero(&header_key, sizeof(header_key));
	sodium_memzero(&message_key, sizeof(message_key));
	return r;
}

/* What follows from an envelope that opened: the keys it jumped over are kept, and a chain of our own answers
 * a chain of the peer's. Returns 0 or what skipped returned. */
static int settle(struct opening *o, const struct ratchet *before, struct skipped_keys *skipped,
                  struct random *rng)
{
	int r = 0;

	if (o->place.next && before->has_receiving)
		r = keep_gap(skipped, before->receiving, &before->peer,
		             o->head.previous - before->receiving.n);
	if (r == 0)
		r = keep_gap(skipped, o->start, &o->now.peer, o->place.ahead);
	if (r == 0 && o->place.next)
		turn_sending(&o->now, rng);
	return r;
}

static int open_in_chain(struct ratchet *r, struct ratchet_cache *cache, struct random *rng,
                         struct skipped_keys *skipped, const struct place *place, struct span envelope,
                         struct writer *text)
{
	struct opening o = { .place = *place, .now = *r };
	int result = open_at(&o, envelope, text);

	if (result == 0)
		result = settle(&o, r, skipped, rng);
	if (result == 0) {
		cache_follow(cache, r, &o.now, place);
		*r = o.now;
	}
	sodium_memzero(&o, sizeof(o));
	return result;
}

static int open_skipped(const struct ratchet *r, struct skipped_keys *skipped, const struct tag16 *tag,
                        struct span envelope, struct writer *text)
{
	struct envelope_head head = { 0 };
	struct skipped_key key;
	int result = skipped->find(skipped, &key, tag);

	if (result != 0)
		return result == SKIPPED_NONE ? RATCHET_UNKNOWN : result;
	envelope_open_head(&head, envelope, &key.header);
	if (sodium_memcmp(head.dh.b, key.dh.b, sizeof(key.dh.b)) != 0 ||
	    envelope_open_text(text, envelope, &key.message, &r->aid) != 0)
		result = RATCHET_REFUSED;
	else
		result = skipped->remove(skipped, tag);
	sodium_memzero(&key, sizeof(key));
	sodium_memzero(&head, sizeof(head));
	return result;
}

int ratchet_open(struct ratchet *r, struct ratchet_cache *cache, struct random *rng,
                 struct skipped_keys *skipped, struct span envelope, struct writer *text)
{
	const size_t len_before = text->len;
	struct place place;
	struct tag16 tag;
	int result;

	if (envelope_text_max(envelope.len) == 0)
		return RATCHET_UNKNOWN;
	assert(writer_left(text) >= envelope.len);
	envelope_tag(&tag, envelope);
	result = find_place(&place, r, cache, &tag);
	if (result == 0)
		result = open_in_chain(r, cache, rng, skipped, &place, envelope, text);
	else if (result == RATCHET_UNKNOWN)
		result = open_skipped(r, skipped, &tag, envelope, text);
	if (result != 0) {
		sodium_memzero(text->p + len_before, text->len - len_before);
		text->len = len_before;
	}
	return result;
}

/* --- At rest --- */

/*
 * An encoded state, 366 bytes, little-endian:
 *
 *       0  1  version, 01                 162 32  CKs   194 32  HKs   226  4  Ns
 *       1  1  1: a receiving chain exists 230 32  CKr   262 32  HKr   294  4  Nr   (zeros where none exists)
 *       2 32  aid                         298 32  NHs
 *      34 32  rk                          330 32  NHr
 *      66 32  DHs secret                  362  4  PN
 *      98 32  DHs public
 *     130 32  DHr
 */
enum { STATE_VERSION = 1 };

static void write_chain(struct writer *out, const struct ratchet_chain *chain)
{
	writer_span(out, KEY_SPAN(&chain->ck));
	writer_span(out, KEY_SPAN(&chain->hk));
	writer_u32(out, chain->n);
}

static void read_chain(struct reader *in, struct ratchet_chain *chain)
{
	reader_bytes(in, chain->ck.b, sizeof(chain->ck.b));
	reader_bytes(in, chain->hk.b, sizeof(chain->hk.b));
	chain->n = reader_u32(in);
}

void ratchet_encode(struct writer *out, const struct ratchet *r)
{
	const size_t before = out->len;

	writer_u8(out, STATE_VERSION);
	writer_u8(out, r->has_receiving);
	writer_span(out, KEY_SPAN(&r->aid));
	writer_span(out, KEY_SPAN(&r->rk));
	writer_span(out, KEY_SPAN(&r->own.secret));
	writer_span(out, KEY_SPAN(&r->own.public));
	writer_span(out, KEY_SPAN(&r->peer));
	write_chain(out, &r->sending);
	write_chain(out, &r->receiving);
	writer_span(out, KEY_SPAN(&r->next_sending_hk));
	writer_span(out, KEY_SPAN(&r->next_receiving_hk));
	writer_u32(out, r->previous);
	assert(out->failed || out->len - before == RATCHET_BYTES);
}

/* The receiving chain is there as a whole or not at all. */
static bool receiving_sound(const struct ratchet *r)
{
	const struct ratchet_chain *c = &r->receiving;

	return r->has_receiving || (sodium_is_zero(c->ck.b, sizeof(c->ck.b)) == 1 &&
	                            sodium_is_zero(c->hk.b, sizeof(c->hk.b)) == 1 && c->n == 0);
}

int ratchet_decode(struct ratchet *out, struct span in)
{
	struct reader reader = reader_from(in);
	struct ratchet r = { 0 };
	const uint8_t version = reader_u8(&reader), flag = reader_u8(&reader);
	bool sound;

	if (version > STATE_VERSION)
		return ERR_VERSION;
	r.has_receiving = flag == 1;
	reader_bytes(&reader, r.aid.b, sizeof(r.aid.b));
	reader_bytes(&reader, r.rk.b, sizeof(r.rk.b));
	reader_bytes(&reader, r.own.secret.b, sizeof(r.own.secret.b));
	reader_bytes(&reader, r.own.public.b, sizeof(r.own.public.b));
	reader_bytes(&reader, r.peer.b, sizeof(r.peer.b));
	read_chain(&reader, &r.sending);
	read_chain(&reader, &r.receiving);
	reader_bytes(&reader, r.next_sending_hk.b, sizeof(r.next_sending_hk.b));
	reader_bytes(&reader, r.next_receiving_hk.b, sizeof(r.next_receiving_hk.b));
	r.previous = reader_u32(&reader);
	sound = reader_done(&reader) && version == STATE_VERSION && flag <= 1 && receiving_sound(&r);
	if (sound)
		*out = r;
	ratchet_deinit(&r);
	return sound ? 0 : ERR_CORRUPT;
}
