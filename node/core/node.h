/*
 * node.h: what a node knows and decides.
 *
 * Events go in, effects come out; nothing in here reads a clock, draws from the
 * system's randomness, opens a socket or waits. Time is in the event, randomness
 * and the store are handed in, paths (the carriers' sockets) are numbers.
 *
 * A turn of the driver:
 *
 *     store_begin -> node_step(event) ... -> node_settle -> store_commit -> release the effects
 *
 * Effects leave after the commit of their turn only: durable first, visible second.
 * A negative result of node_step() or node_settle() means our own memory or disk
 * failed: the driver rolls back and starts the node again from its store.
 */
#ifndef NODE_CORE_NODE_H
#define NODE_CORE_NODE_H

#include "node/core/limits.h"
#include "node/crypto/keys.h"
#include "store/contacts.h"
#include "store/store.h"
#include "transport/carrier.h"

struct node;

/* ---- Events ---------------------------------------------------------------- */

enum event_kind {
	EV_TICK,         /* time passed; nothing else */
	EV_NETWORK,      /* the interfaces in use, now and after every change */
	EV_RADIOS,       /* the Bluetooth adapters that can be used, now and after every change */
	EV_CALL,         /* a datagram came to the multicast group */
	EV_ADVERT,       /* an advertisement was heard: UUID ‖ data */
	EV_CHANNEL,      /* somebody opened a channel to us, and its first datagram came: the path is the
	                    node's from now on */
	EV_DATAGRAM,     /* a datagram came over a path */
	EV_PATH_FAILED,  /* a path could not be opened or broke: it is closed */
	EV_PATH_REFUSED, /* the other side's system says that nobody listens; only a hint, anybody can forge
	                    it */
	EV_ROOM,         /* the disk's room changed */
	EV_REQUEST,      /* a person asks for something */
	EV_LOCK,         /* the last event: the links are ended with a farewell */
};

enum request_kind {
	REQ_SEND,       /* text to name */
	REQ_MODE,       /* mode of name */
	REQ_RENAME,     /* name becomes text */
	REQ_BLOCK,      /* flag: block or let in again */
	REQ_FORGET,     /* the contact and everything said with it */
	REQ_LOOK,       /* look for my worker: call everybody for two minutes; flag false stops it */
	REQ_PAIR_SHOW,  /* show a code for name; flag: as a QR text */
	REQ_PAIR_ENTER, /* enter the code or the QR text that name shows */
	REQ_PAIR_BOTH,  /* mutual QR: text empty begins and gives the own QR text, else it is what was read */
	REQ_PAIR_CANCEL,  /* stop showing or entering */
	REQ_PAIR_CONFIRM, /* flag: the safety numbers are the same, or are not */
	REQ_START_AGAIN,  /* call and be called under the anchor: a vault was put back (PROTOCOL section 3) */
};

struct request {
	enum request_kind kind;
	uint64_t id;      /* of the caller's choice; comes back in the reply */
	struct span name; /* of the contact, UTF-8 */
	struct span text;
	enum contact_mode mode;
	bool flag;
};

enum power { POWER_MAINS, POWER_BATTERY, POWER_LOW /* on battery, and little is left */ };

struct event {
	enum event_kind kind;
	uint64_t now_us; /* a clock that never goes back, microseconds */
	uint64_t clock;  /* seconds since 1970 UTC, as wrong as it may be */
	uint32_t path;   /* EV_DATAGRAM, EV_CHANNEL, EV_PATH_* */
	struct span bytes;
	struct address from;          /* EV_CALL, EV_ADVERT, EV_CHANNEL */
	uint16_t port;                /* EV_CHANNEL: the PSM */
	uint8_t ttl;                  /* EV_CALL */
	const struct address *locals; /* EV_NETWORK: our addresses, one for each interface and family */
	size_t locals_len;
	const struct radio *radios; /* EV_RADIOS */
	size_t radios_len;
	enum power power; /* EV_NETWORK */
	bool room_low;    /* EV_ROOM: nothing more is taken from others until it is enough again */
	const struct request *request;
};

/* ---- Effects --------------------------------------------------------------- */

enum effect_kind {
	FX_CALL,      /* send bytes to the group, from local */
	FX_ADVERTISE, /* what adapter local.interface advertises from now on: bytes, of each UUID ‖ data ‖
	                 PSM; or nothing */
	FX_SCAN,      /* listen for advertisements on every adapter, or do not: number */
	FX_OPEN,   /* open path: bound to local and port, connected to remote and port; over Bluetooth port is
	              the PSM */
	FX_SEND,   /* send bytes over path */
	FX_CLOSE,  /* close path, after what was sent before */
	FX_REPLY,  /* to the request */
	FX_NOTICE, /* to every face */
};

#define REPLY_LIST(X)                                                                                        \
	X(REPLY_OK, "ok", "done")                                                                            \
	X(REPLY_UNKNOWN, "unknown-contact", "there is no contact of this name")                              \
	X(REPLY_NAME_TAKEN, "name-taken", "there is a contact of this name already")                         \
	X(REPLY_BAD_NAME, "bad-name", "this name cannot be used")                                            \
	X(REPLY_BAD_TEXT, "bad-text", "this is not valid UTF-8 text")                                        \
	X(REPLY_TOO_LONG, "too-long", "the message is longer than 32,000 bytes")                             \
	X(REPLY_EMPTY, "empty", "the message is empty")                                                      \
	X(REPLY_PENDING, "pending", "the safety number is not confirmed yet")                                \
	X(REPLY_BLOCKED, "blocked", "this contact is blocked")                                               \
	X(REPLY_BUSY, "busy", "a pairing is under way already")                                              \
	X(REPLY_BAD_CODE, "bad-code", "this is not a code")                                                  \
	X(REPLY_OWN_CODE, "own-code", "this code is shown by this very device")                              \
	X(REPLY_SPENT, "spent", "this code has had its one attempt: ask for a new one")                      \
	X(REPLY_KNOWN, "known", "these keys are a contact's already")                                        \
	X(REPLY_NO_PAIRING, "no-pairing", "no pairing is under way")                                         \
	X(REPLY_NO_NETWORK, "no-network", "neither a network nor Bluetooth is up")                           \
	X(REPLY_LIMIT, "limit", "there is no room for more")

#define X(name, word, text) name,
enum reply_code { REPLY_LIST(X) };
#undef X

const char *reply_word(enum reply_code code); /* for the control socket */
const char *reply_text(enum reply_code code); /* for a person */

enum notice_kind {
	NOTICE_MESSAGE,      /* messages of contact from position number on are durable: show them */
	NOTICE_STORED,       /* number: every message before this position is stored by contact */
	NOTICE_LINKED,       /* contact */
	NOTICE_UNLINKED,     /* contact */
	NOTICE_PAIR_TALKING, /* the other side was found */
	NOTICE_PAIR_COMPARE, /* contact, text: the safety number that both screens show */
	NOTICE_PAIR_FAILED,  /* number: an enum pairing_failure; text says it to a person */
	NOTICE_ASKS_AGAIN,   /* contact asks to start again */
	NOTICE_LOOK_ENDED,   /* the two minutes are over */
	NOTICE_CONTACTS,     /* the list of contacts changed */
	NOTICE_HELD,         /* contact sends more than is taken: the rest stays there until later */
	NOTICE_CLOCK,        /* the own clock is earlier than it once was: nothing is answered by itself */
};

struct effect {
	enum effect_kind kind;
	uint32_t path;
	uint16_t port;
	struct address local, remote;
	size_t at, len;   /* of the bytes or the text in effects->bytes */
	uint64_t request; /* FX_REPLY */
	enum reply_code code;
	enum notice_kind notice;
	uint32_t contact;
	int64_t number;
};

/* A list that the driver empties after each turn; zeroed is empty. */
struct effects {
	struct effect *v;
	size_t n, cap;
	uint8_t *bytes;
	size_t bytes_len, bytes_cap;
	bool failed; /* memory ran out: effects are missing */
};

struct span effect_bytes(const struct effects *fx, const struct effect *e);
void effects_clear(struct effects *fx); /* keeps the memory */
void effects_deinit(struct effects *fx);

/* ---- The node -------------------------------------------------------------- */

/* A node over an open store; both borrowed, both outlive it. Reads all contacts. Returns 0 or an enum err. */
must_check int node_new(struct node **out, struct store *store, struct random *rng, uint64_t clock);
void node_free(struct node *n); /* wipes; NULL is allowed */

must_check int node_step(struct node *n, const struct event *ev, struct effects *fx);

/* Ends a turn: fills the datagrams that may leave now and writes what changed to the store. */
must_check int node_settle(struct node *n, uint64_t now_us, uint64_t clock, struct effects *fx);

/* When the next EV_TICK is due at the latest, on the clock of now_us; UINT64_MAX: nothing to wait for. */
uint64_t node_deadline_us(const struct node *n);

/* ---- What faces show ------------------------------------------------------- */

struct contact_view {
	const struct contact_record *record; /* borrowed until the next step */
	bool linked;
	bool by_bluetooth; /* and that over Bluetooth */
	bool asks_again;
	bool held;                /* it has sent all that is taken from it today, and more waits */
	uint64_t linked_since_us; /* on the clock of now_us */
	int64_t waiting;          /* own messages that are not stored by the contact yet */
	int64_t stored_before;    /* own messages before this position are stored by the contact */
	int64_t next_position;    /* one past the last message of the conversation */
};

size_t node_contact_count(const struct node *n);
void node_contact_view(const struct node *n, size_t i, struct contact_view *out);
/* The contact of this name (as a person types it: any case), or -1. */
int node_contact_find(const struct node *n, struct span name);
bool node_is_looking(const struct node *n);
bool node_clock_is_wrong(const struct node *n);

#endif
