/*
 * state.h: the inside of a node, for the files of node/core only.
 *
 *     node.c      one event, one turn            contact.c  one person
 *     finder.c    calls on the local network     session.c  a handshake, a link, its datagrams
 *     radio.c     calls over Bluetooth           sync.c     envelopes over a link
 *     hearing.c   the calls of others            meeting.c  a pairing
 *     meet.c      direct calls                   request.c  what a person asks for
 */
#ifndef NODE_CORE_STATE_H
#define NODE_CORE_STATE_H

#include "node/core/contact.h"
#include "node/core/effects.h"
#include "node/core/limits.h"
#include "node/core/meet.h"
#include "node/core/meeting.h"
#include "node/core/node.h"

#define SECOND_US UINT64_C(1000000)
#define NEVER_US  UINT64_MAX

/* What the calls of others cost that come by one way. */
struct hearing {
	/* Those that came in this second, those of them that were examined, and the tags that were computed
	 * for them; how many it would have taken for all that came in the second before. */
	uint64_t second_began_us, came, examined, tags, tags_before;
	uint64_t searched_us; /* the last search over twenty years */
};

/* A call of ours whose answers are still taken. */
struct own_call {
	struct nonce16 n;
	struct address local;
	uint64_t made_us;
	uint64_t number; /* from 1 on */
};

/* The same over Bluetooth, for one contact. */
struct own_advert {
	struct nonce16 n;
	uint32_t interface;
	uint32_t contact; /* its id; 0: who shows the code that we enter */
	uint8_t bytes[ADVERT_LEN];
	uint8_t psm;
	bool runs;
	uint64_t until_us; /* when it no longer runs: until when its answer is taken */
	uint64_t number;
};

struct radio_state {
	struct radio radios[RADIOS_MAX];
	size_t radios_len;
	struct own_advert *adverts; /* owned: a ring of ADVERTS_KEPT_MAX, once there is a first one */
	size_t adverts_next;
	uint64_t turn;         /* counts the adapters' turns */
	uint64_t next_turn_us; /* NEVER_US: nobody is called */
	bool scans;
	bool rests;            /* on low battery: nobody is called in this turn */
	uint64_t next_scan_us; /* on battery: when it begins or ends */
	struct hearing hearing;
};

struct finder {
	struct address locals[LOCALS_MAX];
	size_t locals_len;
	enum power power;
	uint64_t next_call_us, called_us; /* the next round of calls; the last one, 0: none */
	size_t turn;                      /* whose entries go first when a round cannot hold all */
	struct own_call *calls;           /* owned; a ring of CALLS_KEPT_MAX, NULL before the first */
	size_t calls_next;
	uint64_t look_until_us; /* 0: not looking */
	struct hearing hearing;
};

struct node {
	struct store *store;
	struct random *rng;
	struct contact **contacts; /* owned, in order of id */
	size_t contacts_len;
	struct session *sessions; /* all of them, a list */
	uint32_t next_path;
	struct finder finder;
	struct radio_state radio;
	uint64_t calls_made; /* over any carrier: each has a number */
	struct meeting meeting;
	struct meet meet;
	uint64_t now_us, clock;    /* of the event that is being handled */
	uint64_t latest_clock;     /* the latest that the store has seen */
	bool clock_was_wrong;      /* the notice was given */
	bool room_low;             /* nothing that others send is taken */
	uint64_t running_before_s; /* how long this notebook ran in earlier times */
	uint64_t began_us;         /* the first event of this time; 0: none yet */
	struct effects *fx;        /* of the step that is being made */
};

struct contact *node_contact_by_id(struct node *n, uint32_t id);
struct contact *node_contact_by_name(struct node *n, struct span name);
/* Adds a contact whose record and conversation are in the store already. */
must_check int node_contact_add(struct node *n, const struct contact_record *record);
/* Ends its sessions without a word and takes it out of memory; the store is the caller's. */
void node_contact_drop(struct node *n, struct contact *c);
uint32_t node_new_path(struct node *n);
/* How long this notebook has run in all: ages are counted in it, where clocks are not to be trusted. */
uint64_t node_running_s(const struct node *n);

#endif
