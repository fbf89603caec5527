/*
 * world.h: a few nodes on one network and one virtual clock, for the tests of the core.
 *
 * The network delivers calls to everybody and datagrams to the path that is connected
 * the other way round; it may lose, double and delay them. Over Bluetooth who listens
 * hears who advertises ten times a second, and a channel loses nothing until it breaks.
 * Everything follows from the seed. Each node has a real store in a file of its own.
 */
#ifndef TESTS_UNIT_WORLD_H
#define TESTS_UNIT_WORLD_H

#include "node/core/node.h"
#include "node/crypto/random.h"

enum { WORLD_NODES_MAX = 8, WORLD_PATHS_MAX = 64, WORLD_CHANNELS_MAX = 64, WORLD_PSMS_MAX = 256 };

/* Side 0 opened it. */
struct world_channel {
	bool used, taken; /* the first SDU has come */
	uint32_t number;  /* what flies over an earlier one does not land on this */
	size_t node[2];
	uint32_t path[2]; /* 0: closed, or side 1 before the first SDU */
	uint16_t psm;
	uint64_t ready_us[2]; /* nothing lands on this side before that */
};

/* What is listened on, while its advertisement runs and 20 s after. */
struct world_psm {
	uint8_t psm;
	uint64_t until_us; /* UINT64_MAX while it runs */
};

struct world_path {
	uint32_t id;
	uint16_t port;
	struct address local, remote;
};

struct world_node {
	struct node *node;
	struct store *store;
	char file[256];
	struct random_seeded rng;
	struct effects fx;
	struct address address;
	bool up;              /* on the network */
	int64_t clock_offset; /* its clock minus the world's */
	struct world_path paths[WORLD_PATHS_MAX];
	size_t paths_len;
	/* Bluetooth. */
	bool radio; /* there is an adapter, and it is on */
	bool scans;
	uint8_t adverts_at_once;
	uint8_t adverts[16][ADVERT_LEN];
	size_t adverts_len;
	struct world_psm psms[WORLD_PSMS_MAX]; /* a ring */
	size_t psms_next;
	uint64_t advertisements; /* effects that advertised something */
	/* What came out. */
	enum reply_code reply;
	int64_t reply_number;
	char reply_text[256];
	unsigned notices[NOTICE_CLOCK + 1];
	char notice_text[256]; /* of the last notice that had one */
	uint64_t sent_calls, sent_datagrams, sent_bytes;
};

struct world {
	struct world_node nodes[WORLD_NODES_MAX];
	size_t n;
	uint64_t now_us, clock0;
	struct random_seeded rng;
	unsigned loss, twice; /* per cent */
	bool deaf;            /* no multicast gets through */
	bool shut;            /* no channel comes about */
	bool far;             /* nobody is within reach by Bluetooth */
	struct world_channel channels[WORLD_CHANNELS_MAX];
	uint32_t accepted, opened;
	uint64_t next_air_us;
	size_t mtu; /* what is larger is lost; 0: nothing is too large */
	uint64_t delay_low_us, delay_high_us;
	struct flight *flights; /* in the air, soonest first */
	void (*watch)(struct world *w, size_t node, const struct effect *e,
	              struct span bytes); /* may be NULL */
	/* Before and after the turns of a node; may be NULL. */
	void (*around)(struct world *w, size_t node, bool begins);
	/* A turn failed with an enum err; the node starts again from its store. NULL: the test fails. */
	void (*failed)(struct world *w, size_t node, int err);
};

struct world *world_new(uint64_t seed, size_t n);
void world_free(struct world *w);

/* Two contacts, as a pairing would leave them: `confirmed`, mode answer. Names are "n0", "n1" ... */
void world_pair(struct world *w, size_t a, size_t b);
/* One turn with a request; what came back is in the node. */
enum reply_code world_ask(struct world *w, size_t i, const struct request *q);
enum reply_code world_say(struct world *w, size_t from, size_t to, const char *text);
enum reply_code world_mode(struct world *w, size_t i, size_t contact, enum contact_mode mode);
/* One turn with an event. */
void world_event(struct world *w, size_t i, struct event *ev);
/* The system closes a path of node i, and says so. */
void world_path_fails(struct world *w, size_t i, uint32_t path);
/* On or off the network. */
void world_network(struct world *w, size_t i, bool up);
/* The adapter is switched on or off. */
void world_radio(struct world *w, size_t i, bool on);
struct address world_radio_address(size_t i);
/* Somebody of nobody's opens a channel, and this is its first word. Returns its path. */
uint32_t world_stranger(struct world *w, size_t to, const struct address *from, uint16_t psm,
                        struct span bytes);
/* All channels break, as when two walk apart. */
void world_break(struct world *w);
void world_run(struct world *w, uint64_t for_us);
/* The process ends without warning and starts again from its store. */
void world_crash(struct world *w, size_t i);
/* Keeps a copy of the store; puts it back. */
void world_backup(struct world *w, size_t i);
void world_restore(struct world *w, size_t i);

bool world_linked(const struct world *w, size_t i, size_t contact);
/* The texts that i has of contact, in order, own or received ones, joined with '|'. */
const char *world_texts(struct world *w, size_t i, size_t contact, bool own);
int64_t world_waiting(const struct world *w, size_t i, size_t contact);

#endif
