/*
 * rows.h: a store in memory and some rows for it, for the tests of store/.
 */
#ifndef TESTS_UNIT_ROWS_H
#define TESTS_UNIT_ROWS_H

#include <stdio.h>

#include "store/contacts.h"
#include "store/conversations.h"
#include "store/envelopes.h"
#include "store/messages.h"
#include "store/meta.h"
#include "store/skipped.h"
#include "tests/unit/unit.h"

/* The name of the VFS to open the store on; NULL: in memory. */
static const char *rows_vfs;

static inline struct store *rows_open(void)
{
	struct store *s = NULL;

	assert_int_equal(store_open(&s, rows_vfs, rows_vfs == NULL ? ":memory:" : "notebook"), 0);
	return s;
}

/* A contact whose every field differs from zero and from those of another seed. */
static inline struct contact_record rows_contact(uint8_t seed)
{
	struct contact_record c = {
		.mode = MODE_CALL,
		.state = CONTACT_MET,
		.blocked = true,
		.restored = true,
		.by_code = true,
		.paired_at = UINT64_MAX - seed,
		.role = ROLE_B,
		.has_prev = true,
		.prev_called = true,
		.clock_offset = -86400 - seed,
	};

	(void)snprintf(c.name, sizeof(c.name), "Maya %u", seed);
	(void)snprintf(c.safety, sizeof(c.safety), "11111 22222 33333 44444 55555 %05u", seed);
	memset(&c.s.secret, seed + 1, sizeof(c.s.secret));
	memset(&c.s.public, seed + 2, sizeof(c.s.public));
	memset(&c.peer_s, seed + 3, sizeof(c.peer_s));
	memset(&c.cur, seed + 4, sizeof(c.cur));
	memset(&c.prev, seed + 5, sizeof(c.prev));
	memset(&c.anchor, seed + 6, sizeof(c.anchor));
	memset(c.addresses, seed + 7, sizeof(c.addresses));
	return c;
}

static inline struct conversation_record rows_conversation(uint32_t contact, uint8_t fill)
{
	struct conversation_record c = {
		.contact = contact,
		.epoch = UINT32_MAX,
		.sent = 7,
		.handed = 5,
		.received = UINT64_MAX,
		.packed = 12,
		.stored_before = 9,
		.has_previous = true,
		.ratchet_len = RATCHET_BYTES_MAX,
	};

	memset(&c.previous, fill, sizeof(c.previous));
	memset(c.ratchet, fill, sizeof(c.ratchet));
	return c;
}

static inline struct message rows_message(int64_t position, bool own, const char *text)
{
	return (struct message){
		.position = position,
		.own = own,
		.claimed = 1700000000,
		.content = span_str(text),
	};
}

#endif
