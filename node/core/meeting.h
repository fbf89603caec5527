/*
 * meeting.h: a pairing with a device that is near (PROTOCOL section 2).
 *
 * One at a time. Who shows a code answers calls under its number, who enters one calls
 * under it, on the network and over Bluetooth; what is then said is pairing.h. A pairing that is done adds a
 * pending contact, which the person confirms or forgets.
 */
#ifndef NODE_CORE_MEETING_H
#define NODE_CORE_MEETING_H

#include "node/core/node.h"
#include "node/core/pairing.h"
#include "transport/call.h"

enum meeting_kind {
	MEETING_NONE, /* or done: the other side may still ask for the last flight again */
	MEETING_CODE, /* by a code that one side shows: pairing says which */
	MEETING_BOTH, /* both show a QR and scan the other's */
};

struct meeting {
	enum meeting_kind kind;
	char name[CONTACT_NAME_MAX + 1]; /* of the contact to be */
	struct pairing_known known;

	/* MEETING_CODE. */
	struct pairing pairing;
	struct sym_key key; /* K */
	uint32_t path;      /* 0: none */
	uint64_t next_call_us;
	uint64_t answer_again_us; /* not before */
	bool told;                /* that the other side was found */
	uint64_t linger_us;       /* of MEETING_NONE: until when the path stays */

	/* Codes that were entered and met somebody: one attempt each, PROTOCOL section 2.2. Stays when the
	 * rest goes. */
	struct hash32 spent[CODES_SPENT_MAX]; /* a ring */
	size_t spent_next;

	/* MEETING_BOTH. */
	struct qr_pair shown;
	struct key_pair s, r;
	uint64_t expires_us;
};

void meeting_deinit(struct meeting *m);
/* Whether a pairing that is under way has taken this name for the contact to be. */
bool meeting_has_name(const struct meeting *m, const char *name);

must_check int meeting_request(struct node *n, const struct request *q);
/* A call that came to the group, not our own. */
void meeting_call(struct node *n, const struct call *call, const struct address *from);
/* An advertisement was heard. */
void meeting_advert(struct node *n, const struct call *call, const struct address *from);
/* K while we call under a code, NULL while we do not. */
const struct sym_key *meeting_calls_under(const struct node *n);
/* Whether a code of ours is on the screen and nobody has been found by it. */
bool meeting_waits_for_call(const struct node *n);
/* What came first over a channel, after our advertisement n_call: true when it was an answer, and the path is
 * the meeting's from now on. */
bool meeting_answered(struct node *n, uint32_t path, const struct nonce16 *n_call, const struct call *answer,
                      const struct call_proof *proof);
bool meeting_owns(const struct node *n, uint32_t path);
must_check int meeting_datagram(struct node *n, struct span datagram);
void meeting_path_failed(struct node *n, uint32_t path);
must_check int meeting_timer(struct node *n);
uint64_t meeting_deadline_us(const struct node *n);

#endif
