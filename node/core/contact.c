#include "node/core/contact.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/core/limits.h"
#include "node/core/text.h"
#include "node/crypto/secrets.h"
#include "store/messages.h"

bool contact_is_open(const struct contact *c)
{
	return c->record.state != CONTACT_PENDING && !c->record.blocked;
}

bool contact_may_send(const struct contact *c, uint64_t now_us)
{
	return quota_is_left(&c->quota, now_us) && c->next_position <= MESSAGES_MAX - TEXT_MESSAGES_MAX;
}

const struct link_secret *contact_secret(const struct contact *c, enum secret_kind kind)
{
	switch (kind) {
	case SECRET_CUR:
		return &c->record.cur;
	case SECRET_PREV:
		return c->record.has_prev ? &c->record.prev : NULL;
	case SECRET_ANCHOR:
		return &c->record.anchor;
	}
	return NULL;
}

bool contact_calls_under(const struct contact *c, enum secret_kind kind)
{
	switch (kind) {
	case SECRET_CUR:
		return true;
	case SECRET_PREV:
		return c->record.has_prev && c->record.prev_called;
	case SECRET_ANCHOR:
		return c->record.restored;
	}
	return false;
}

void contact_keys_update(struct contact *c)
{
	for (unsigned kind = 0; kind < SECRET_KINDS; kind++) {
		const struct link_secret *secret = contact_secret(c, kind);
		struct call_keys *keys = &c->keys[kind];

		sodium_memzero(keys, sizeof(*keys));
		if (secret == NULL)
			continue;
		keys->known = true;
		secrets_call_key(c->record.role == ROLE_A ? &keys->out : &keys->in, secret, ROLE_A);
		secrets_call_key(c->record.role == ROLE_A ? &keys->in : &keys->out, secret, ROLE_B);
	}
}

bool contact_secret_advance(struct contact *c, const struct link_secret *used, const struct sym_key *x)
{
	struct contact_record *k = &c->record;
	const bool by_anchor = sodium_memcmp(used->b, k->anchor.b, sizeof(used->b)) == 0;

	if (by_anchor && !k->restored)
		return false;
	if (secrets_commit(&k->cur, &k->prev, &k->has_prev, &k->anchor, used, x) != 0)
		return false;
	if (!by_anchor)
		k->restored = false; /* a session under a newer secret ends that */
	c->record_changed = true;
	contact_keys_update(c);
	return true;
}

static int count_messages(struct contact *c, struct store *s)
{
	const int r = messages_next_position(s, c->record.id, &c->next_position);

	if (r != 0)
		return r;
	return messages_count_own(s, c->record.id, c->conversation.stored_before, c->next_position,
	                          &c->waiting);
}

int contact_load(struct contact *c, struct store *s, const struct contact_record *record)
{
	int r;

	*c = (struct contact){ .record = *record, .arrived_from = -1 };
	r = conversation_load(s, record->id, &c->conversation);
	if (r == CONVERSATION_NONE)
		r = ERR_CORRUPT; /* it is written together with the contact */
	if (r == 0)
		r = ratchet_decode(&c->ratchet,
		                   span_from(c->conversation.ratchet, c->conversation.ratchet_len));
	if (r == 0)
		r = count_messages(c, s);
	if (r == 0)
		contact_keys_update(c);
	else
		contact_deinit(c);
	return r;
}

int contact_save(struct contact *c, struct store *s)
{
	int r = 0;

	if (c->record_changed)
		r = contacts_update(s, &c->record);
	if (r == 0 && c->conversation_changed) {
		struct writer w = WRITER_ON(c->conversation.ratchet);

		ratchet_encode(&w, &c->ratchet);
		c->conversation.ratchet_len = writer_done(&w).len;
		r = conversation_save(s, &c->conversation);
	}
	if (r == 0)
		c->record_changed = c->conversation_changed = false;
	return r;
}

void contact_deinit(struct contact *c)
{
	assert(c->up == NULL && c->calling == NULL && c->answering == NULL);
	ratchet_deinit(&c->ratchet);
	free(c->heard);
	sodium_memzero(c, sizeof(*c));
}
