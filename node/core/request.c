#include "node/core/request.h"

#include "node/base/utf8.h"
#include "node/core/finder.h"
#include "node/core/name.h"
#include "node/core/session.h"
#include "store/messages.h"

static void reply(struct node *n, const struct request *q, enum reply_code code)
{
	effect_reply(n->fx, q->id, code, 0, SPAN_NONE);
}

/* ---- Messages -------------------------------------------------------------- */

static enum reply_code may_write(const struct contact *c, struct span text)
{
	if (c->record.blocked)
		return REPLY_BLOCKED;
	if (c->record.state == CONTACT_PENDING)
		return REPLY_PENDING;
	if (text.len == 0)
		return REPLY_EMPTY;
	if (text.len > MESSAGE_BYTES_MAX)
		return REPLY_TOO_LONG;
	if (!utf8_valid(text) || memchr(text.p, '\0', text.len) != NULL)
		return REPLY_BAD_TEXT;
	if (c->waiting >= WAITING_MAX || c->next_position >= MESSAGES_MAX)
		return REPLY_LIMIT;
	return REPLY_OK;
}

static int send_message(struct node *n, struct contact *c, const struct request *q)
{
	const enum reply_code code = may_write(c, q->text);
	const struct message m = {
		.position = c->next_position,
		.own = true,
		.claimed = n->clock,
		.content = q->text,
	};
	int r;

	if (code != REPLY_OK) {
		reply(n, q, code);
		return 0;
	}
	r = messages_add(n->store, c->record.id, &m);
	if (r != 0)
		return r;
	c->next_position++;
	c->waiting++;
	finder_call_now(n);
	effect_reply(n->fx, q->id, REPLY_OK, m.position, SPAN_NONE);
	return 0;
}

/* ---- Contacts -------------------------------------------------------------- */

static void contact_changed(struct node *n, struct contact *c)
{
	c->record_changed = true;
	effect_notice(n->fx, NOTICE_CONTACTS, c->record.id, 0, SPAN_NONE);
}

static int set_mode(struct node *n, struct contact *c, const struct request *q)
{
	c->record.mode = q->mode;
	if (q->mode == MODE_SILENT)
		session_end_all_of(n, c);
	else
		finder_call_now(n);
	contact_changed(n, c);
	reply(n, q, REPLY_OK);
	return 0;
}

static int rename_contact(struct node *n, struct contact *c, const struct request *q)
{
	char name[CONTACT_NAME_MAX + 1];
	const int r = name_read(name, q->text);
	const struct contact *other = node_contact_by_name(n, q->text);

	if (r < 0)
		return r;
	if (r != 0) {
		reply(n, q, REPLY_BAD_NAME);
	} else if ((other != NULL && other != c) || meeting_has_name(&n->meeting, name)) {
		reply(n, q, REPLY_NAME_TAKEN);
	} else {
		memcpy(c->record.name, name, sizeof(name));
		contact_changed(n, c);
		reply(n, q, REPLY_OK);
	}
	return 0;
}

/* A blocked contact meets what a stranger meets: nothing, not even a farewell. */
static int block(struct node *n, struct contact *c, const struct request *q)
{
	c->record.blocked = q->flag;
	if (q->flag)
		session_drop_all_of(n, c);
	else
		finder_call_now(n);
	contact_changed(n, c);
	reply(n, q, REPLY_OK);
	return 0;
}

static int forget(struct node *n, struct contact *c, const struct request *q)
{
	const uint32_t id = c->record.id;

	node_contact_drop(n, c);
	effect_notice(n->fx, NOTICE_CONTACTS, id, 0, SPAN_NONE);
	reply(n, q, REPLY_OK);
	return contacts_remove(n->store, id);
}

/* The safety numbers were compared. */
static int confirm(struct node *n, struct contact *c, const struct request *q)
{
	if (c->record.state != CONTACT_PENDING) {
		reply(n, q, REPLY_NO_PAIRING);
		return 0;
	}
	if (!q->flag)
		return forget(n, c, q);
	c->record.state = CONTACT_CONFIRMED;
	finder_call_now(n);
	contact_changed(n, c);
	reply(n, q, REPLY_OK);
	return 0;
}

/* PROTOCOL section 3: the person knows that a vault was put back, here or there. For two minutes we call
 * under the anchor; a session comes about when the other person has said the same. */
static int start_again(struct node *n, struct contact *c, const struct request *q)
{
	if (!contact_is_open(c)) {
		reply(n, q, c->record.blocked ? REPLY_BLOCKED : REPLY_PENDING);
		return 0;
	}
	c->asks_again = false;
	c->record.restored = true;
	finder_look(n, true);
	contact_changed(n, c);
	reply(n, q, REPLY_OK);
	return 0;
}

/* ---- The table ------------------------------------------------------------- */

static int of_contact(struct node *n, const struct request *q)
{
	struct contact *c = node_contact_by_name(n, q->name);

	if (c == NULL) {
		reply(n, q, REPLY_UNKNOWN);
		return 0;
	}
	switch (q->kind) {
	case REQ_SEND:
		return send_message(n, c, q);
	case REQ_MODE:
		return set_mode(n, c, q);
	case REQ_RENAME:
		return rename_contact(n, c, q);
	case REQ_BLOCK:
		return block(n, c, q);
	case REQ_FORGET:
		return forget(n, c, q);
	case REQ_PAIR_CONFIRM:
		return confirm(n, c, q);
	case REQ_START_AGAIN:
		return start_again(n, c, q);
	default:
		assert(false);
		return 0;
	}
}

int request_handle(struct node *n, const struct request *q)
{
	switch (q->kind) {
	case REQ_LOOK:
		finder_look(n, q->flag);
		reply(n, q,
		      q->flag && n->finder.locals_len == 0 && n->radio.radios_len == 0 ? REPLY_NO_NETWORK
		                                                                       : REPLY_OK);
		return 0;
	case REQ_PAIR_SHOW:
	case REQ_PAIR_ENTER:
	case REQ_PAIR_BOTH:
	case REQ_PAIR_CANCEL:
		return meeting_request(n, q);
	default:
		return of_contact(n, q);
	}
}
