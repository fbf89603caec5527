/*
 * person.h: one simulated person: where, with which device, and the node on it.
 */
#ifndef TOOLS_SIM_PERSON_H
#define TOOLS_SIM_PERSON_H

#include "node/core/node.h"
#include "tools/sim/device.h"
#include "tools/sim/net.h"
#include "tools/sim/queue.h"
#include "tools/sim/talk.h"

enum { PERSON_PATHS_MAX = 4096 };

struct person_path {
	uint32_t id;
	uint16_t port;
	struct address local, remote;
	uint64_t sent_us, heard_us; /* 0: never; a firewall remembers */
};

/* A device's clocks. */
struct person_clock {
	uint64_t began_us, began_local_us; /* the same moment, on the world's clock and on its own */
	int32_t drift_ppm;
	int64_t offset_s; /* of what it takes for the time of day */
};

struct person {
	char name[CONTACT_NAME_MAX + 1];
	uint32_t number; /* in the world */
	struct device device;
	struct random_seeded rng; /* of the node */
	struct node *node;        /* NULL while the device is closed */
	struct effects fx;
	struct person_clock clock;

	int place;
	unsigned lease;
	bool wifi;                  /* there is such an interface */
	bool online;                /* and it is up */
	struct ether_device *ether; /* owned: a Bluetooth adapter; NULL: none */
	bool on_battery;
	struct address address;
	enum net_firewall firewall;

	bool in_turn;
	struct due turn_end, tick, again; /* again: starts again after it fell over */
	uint64_t asleep_until_us;         /* suspended; 0: awake */
	unsigned wanted_open;             /* reasons for the device to be open */
	bool fell;                        /* it ended in another way than it should */
	bool older;                       /* the copy that was put back was not opened yet */
	bool restored;                    /* an older copy was put back: all contacts are to start again */
	unsigned restarts;                /* in a row, after turns that failed */
	unsigned starts;                  /* nodes so far: what one has heard the next does not know */
	uint64_t failed_us;

	struct person_path *paths; /* owned */
	size_t paths_len, paths_cap;
	uint64_t radio_since_us;

	struct tie **ties; /* owned; one for each contact, in no order */
	size_t ties_len, ties_cap;
	struct tie *asking; /* whose message the open turn writes; NULL: nobody's */

	/* The last reply, for who asks in a turn of its own. */
	enum reply_code reply;
	int64_t reply_number;
	char reply_text[256];
	unsigned notices[NOTICE_CLOCK + 1];
	char notice_text[256]; /* of the last notice that had one */
	uint64_t sent_calls, sent_datagrams, sent_bytes, sent_adverts, opened;
};

void person_init(struct world *w, struct person *p, const char *name, uint32_t number);
void person_deinit(struct person *p);

uint64_t person_local_us(const struct world *w, const struct person *p);
uint64_t person_world_us(const struct person *p, uint64_t local_us); /* the other way round */
uint64_t person_clock(const struct world *w, const struct person *p);
void person_set_clock(struct world *w, struct person *p, int64_t offset_s, int32_t drift_ppm);

/* One reason more, or less, to have the device open. Opens it with the first, locks it with the last. */
void person_open(struct world *w, struct person *p);
void person_close(struct world *w, struct person *p);
/* What becomes of the device by itself; it starts again after a while if there is a reason to be open. */
void person_kill(struct world *w, struct person *p, uint64_t back_us);
void person_power_cut(struct world *w, struct person *p, uint64_t back_us);
void person_put_back(struct world *w, struct person *p);
void person_sleep(struct world *w, struct person *p, uint64_t until_us);
/* A turn failed: as node/loop.c does, the node starts again from the disk, some times in a row. */
void person_fell_over(struct world *w, struct person *p);

/* Goes somewhere, or nowhere. */
void person_go(struct world *w, struct person *p, int place);
/* The interface goes down or comes up; each time with another address if new_lease. */
void person_network(struct world *w, struct person *p, bool online, bool new_lease);

/* An event for the node, in the open turn or a new one. The device must be open. */
void person_event(struct world *w, struct person *p, struct event *ev);
/* Settles, commits, releases. */
void person_end_turn(struct world *w, struct person *p);
/* A request in a turn of its own; the reply is in p. REPLY_LIMIT as well when the turn failed. */
enum reply_code person_ask(struct world *w, struct person *p, const struct request *q);
/* Writes the next message of this conversation. It may be lost with the turn; otherwise it counts. */
void person_write(struct world *w, struct tie *t, size_t len);

/* Two contacts as a pairing would leave them: confirmed, mode answer. Where the device is open its node
 * starts again. */
void person_pair(struct world *w, struct person *a, struct person *b, enum contact_mode mode_a,
                 enum contact_mode mode_b);

/* Something that came is for the node, which is awake; f says who said it. */
void person_takes(struct world *w, struct person *p, struct event *ev, const struct frame *f);
/* Something came off the air. True when somebody took it. */
bool person_hears(struct world *w, struct person *p, const struct frame *f);

#endif
