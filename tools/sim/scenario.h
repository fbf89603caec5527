/*
 * scenario.h: who there is, who knows whom, where each is when, what they write, and what
 * goes wrong: a text that a tester writes (flyleaf-sim(1) has the language).
 */
#ifndef TOOLS_SIM_SCENARIO_H
#define TOOLS_SIM_SCENARIO_H

#include "node/base/wire.h"
#include "store/contacts.h"
#include "tools/sim/device.h"
#include "tools/sim/net.h"

enum {
	SCENARIO_PEOPLE_MAX = 1 << 14,
	SCENARIO_PLACES_MAX = 1 << 13,
	SCENARIO_LINES_MAX = 10000,
	SCENARIO_MEMBERS_MAX = 1 << 20, /* of all groups of all lines */
	SCENARIO_PAIRS_MAX = 1 << 18,
	SCENARIO_BYTES_MAX = 1 << 20,
	SCENARIO_NAME_MAX = 24,
	SCENARIO_DAYS_MAX = 200,
};

struct range { /* both ends count */
	int64_t low, high;
};

/* People or places, by their numbers, upwards. */
struct group {
	uint32_t *v; /* owned */
	size_t n;
};

struct scenario_place {
	char name[SCENARIO_NAME_MAX + 8];
	enum net_kind kind;
	bool ipv6, mapped;
	int x, y;
};

struct scenario_person {
	char name[SCENARIO_NAME_MAX + 8];
	int home; /* NET_NOWHERE: none */
	enum net_firewall firewall;
	bool wifi, bluetooth;
	bool on_battery;
	bool always_open;
	uint32_t opens_ppm; /* a day, in parts of a million; each time for: */
	struct range open_us;
};

struct scenario_pair {
	uint32_t a, b;
	enum contact_mode mode_a, mode_b;
};

struct scenario_visit {
	struct group who, where;
	struct range days, time_us, stay_us; /* days from 0 */
	uint64_t every_us;                   /* a round: from place to place; 0: one of the places */
	uint32_t chance;                     /* in parts of a million */
};

struct scenario_write {
	struct group who, to;
	uint32_t rate_ppm; /* messages a day, in parts of a million */
	struct range bytes;
};

enum fault_kind {
	/* Of the air, in parts of a million of all frames. */
	FAULT_DROP,
	FAULT_DEAF,
	FAULT_TWICE,
	FAULT_CORRUPT,
	FAULT_CUT,
	FAULT_LONGER,
	FAULT_LATE, /* up to for_us.high */
	/* Of somebody's network, for a time. */
	FAULT_OFFLINE,
	FAULT_RADIO_OFF,
	FAULT_READDRESS,
	FAULT_HALF_OPEN,
	FAULT_FLAP,
	FAULT_SPLIT, /* of the place where they are */
	/* Of a device. */
	FAULT_KILL,
	FAULT_POWER,
	FAULT_POWER_IN_WRITE,
	FAULT_PUT_BACK,
	FAULT_FULL,
	FAULT_BROKEN,
	FAULT_SLEEP,
	FAULT_FORGET, /* no fault: forgets somebody */
	FAULT_JUMP,   /* of the clock, by */
	FAULT_CLOCK,  /* from the beginning, by */
	FAULT_DRIFT,  /* by, in ppm */
	FAULT_KINDS
};

struct scenario_fault {
	enum fault_kind kind;
	struct group who;
	uint32_t share;    /* of the air: in parts of a million */
	uint32_t rate_ppm; /* a day and person, in parts of a million */
	bool once;         /* for each of them */
	struct range for_us, by;
};

struct scenario_stranger {
	struct group where;
	uint32_t rate_ppm; /* frames a day and place, in parts of a million */
};

struct scenario_liar {
	struct group where;
	uint32_t share;    /* of what is heard there that is said again, in parts of a million */
	uint32_t rate_ppm; /* floods a day and place, in parts of a million */
};

enum scenario_end {
	SCENARIO_END_NOTHING,  /* what was not delivered was not */
	SCENARIO_END_CALM,     /* life goes on without faults, and nobody writes: who meets delivers */
	SCENARIO_END_TOGETHER, /* everybody comes to one place */
};

struct scenario {
	char title[128];
	uint64_t lasts_us;
	enum device_kind devices;
	enum scenario_end end;
	uint32_t end_place;
	uint64_t end_us; /* all must have arrived within it */

	/* All owned. */
	struct scenario_place *places;
	struct scenario_person *people;
	struct scenario_pair *pairs;
	struct scenario_visit *visits;
	struct scenario_write *writes;
	struct scenario_fault *faults;
	struct scenario_stranger *strangers;
	struct scenario_liar *liars;
	size_t places_len, people_len, pairs_len, visits_len, writes_len, faults_len, strangers_len,
	        liars_len;
	size_t members; /* of all groups */
};

enum { SCENARIO_BAD = 1, SCENARIO_ERROR_MAX = 256 };

/* Reads a text; name is what errors call it. Returns 0, or SCENARIO_BAD with error[], "name:line: ..." */
must_check int scenario_parse(struct scenario *out, const char *name, struct span text,
                              char error[static SCENARIO_ERROR_MAX]);
void scenario_deinit(struct scenario *s); /* one that is all zeros is fine */

const char *scenario_fault_name(enum fault_kind kind);

#endif
