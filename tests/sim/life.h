/*
 * life.h: two people who write to each other, each with a vault on a simulated disk.
 *
 * The turns are those of the real driver (node/loop.c): begin, step, settle, commit,
 * and only then what others see. A turn that fails starts its node again from the
 * disk, three times at most. Everything follows from the seed. The network loses
 * nothing: it is the disks that are tried here.
 */
#ifndef TESTS_SIM_LIFE_H
#define TESTS_SIM_LIFE_H

#include "node/core/node.h"
#include "node/crypto/random.h"
#include "store/vault.h"
#include "tools/sim/disk.h"

enum { LIFE_PEOPLE = 2, LIFE_PATHS_MAX = 16, LIFE_RESTARTS_MAX = 3, LIFE_TEXT_MAX = 4096 };
#define LIFE_HOME "home"

struct life_path {
	uint32_t id;
	uint16_t port;
	struct address local, remote;
};

struct life_person {
	struct sim_disk disk;
	struct random_seeded rng;
	struct vault *vault; /* NULL: no process runs */
	struct store *store;
	struct node *node;
	struct effects fx;
	struct address address;
	struct life_path paths[LIFE_PATHS_MAX];
	size_t paths_len;
	struct vault_report report; /* of the last opening */
	unsigned restarts;          /* after failures, since it was started by hand */
	int failure;                /* the last one; 0: none yet */
	enum reply_code reply;
	bool replied;
	/* What this person was told. */
	unsigned asked, said; /* texts handed to the node; those that it took */
	int64_t shown;        /* messages of the other that are on the screen end before this position */
	int64_t ticked;       /* own messages before this position are stored by the other */
	bool lost;            /* an opening did not show all of that */
	bool asked_again;     /* the other asks to start again */
};

struct life {
	struct life_person people[LIFE_PEOPLE];
	uint64_t seed, now_us;
	struct life_flight *flights; /* in the air, soonest first */
	struct life_flight **flights_end;
	/* After each commit, before its effects leave; may be NULL. */
	void (*committed)(void *arg, struct life *l, unsigned who);
	void *arg;
};

/* Two vaults, empty, and nobody running. l is uninitialised; put a fault or a watch on a disk only after it.
 */
void life_init(struct life *l, uint64_t seed);
void life_deinit(struct life *l);
/* Makes the two vaults' contents: both know each other, and the first one calls. Returns 0 or an enum err. */
int life_begin(struct life *l);
/* to, uninitialised, has the same disks and the same past, nobody running, and randomness of its own. */
void life_branch(struct life *to, const struct life *from, uint64_t seed);

/* A process starts from the disk: 0, an outcome of vault_find() or vault_open(), or an enum err. */
int life_start(struct life *l, unsigned who);
/* It is gone between two instructions; the machine goes on. */
void life_kill(struct life *l, unsigned who);
/* The person locks the notebook, which compacts it, and opens it again. Returns what the locking did. */
int life_lock(struct life *l, unsigned who);
void life_run(struct life *l, uint64_t for_us);
/* The next text to the other; whether it was taken. They are numbered from 0. */
bool life_say(struct life *l, unsigned who);
/* A contact that is called "ghost", with messages that contain LIFE_GHOST; and away with it, by request. */
#define LIFE_GHOST "the ghost was here"
int life_ghost(struct life *l, unsigned who);
bool life_forget_ghost(struct life *l, unsigned who);
/* An older copy was put back: both sides say so. */
bool life_start_again(struct life *l, unsigned who);

/* The key that opens everybody's vault: nobody derives anything here. And it as a guess. */
void life_kek(struct sym_key *out);
void life_guess(struct vault_guess *out, const struct vault *v);

/* What a store holds: how many own texts and of the other's, and one past the highest number of each. */
struct life_texts {
	unsigned own, received, own_end, received_end;
};
/* The number of a text, which is whole and by this person; -1: it is not. */
struct message;
int life_text_number(const struct message *m, unsigned who);
/* Calls each() for every message of the conversation with the other. Returns 0 or an enum err. */
int life_each(struct store *s, int (*each)(void *arg, const struct message *m), void *arg);

/* Outcomes: what is there is not whole, not once, not in order; a number is missing. */
enum { LIFE_WRONG = 1, LIFE_GAPS = 2 };
/* Returns 0, LIFE_WRONG, LIFE_GAPS or an enum err. */
int life_texts(struct life_texts *out, struct store *s, unsigned who);

#endif
