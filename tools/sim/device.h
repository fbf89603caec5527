/*
 * device.h: what a simulated person carries: a disk, and on it a notebook.
 *
 * The vault is the real one but for Argon2id: the key that it would give is drawn. A light
 * device has one page log and no slots, for worlds of thousands; it is never compacted.
 */
#ifndef TOOLS_SIM_DEVICE_H
#define TOOLS_SIM_DEVICE_H

#include "node/crypto/random.h"
#include "store/pagevfs.h"
#include "store/vault.h"
#include "tools/sim/disk.h"

enum device_kind { DEVICE_WHOLE, DEVICE_LIGHT };

struct device {
	enum device_kind kind;
	struct sim_disk disk, *copy; /* copy: owned; NULL while there is none */
	struct random_seeded rng;    /* of the vault */
	bool made;
	struct sym_key key;  /* KEK of the vault, VK of a light one */
	struct vault *vault; /* while it is open */
	struct pagelog *log; /* the same of a light one */
	struct pagevfs *vfs;
	struct store *store; /* borrowed from the vault, owned in a light one; NULL while it is closed */
	unsigned torn;       /* how often an opening found a torn commit */
};

void device_init(struct device *d, enum device_kind kind, uint64_t seed);
void device_deinit(struct device *d);

/* A light one that was never opened begins as another, which is closed: with its disk and its key, so that
 * thousands share what is written when a notebook is made. */
void device_begin_as(struct device *d, const struct device *blank);

/* Opens the notebook, which is made before the first time. Returns 0 or an enum err; ERR_CORRUPT where a
 * whole one is owed and there is none. */
must_check int device_open(struct device *d);
/* As its owner closes it: compacts. Returns 0 or an enum err; it is closed all the same. */
must_check int device_lock(struct device *d);
/* The process ends without warning. */
void device_kill(struct device *d);
/* The power goes, and comes again: what was not synced is torn as seed says. */
void device_power_cut(struct device *d, uint64_t seed);

/* Whether the power went in the middle of an operation (sim_disk_fail()): device_power_cut() is to follow. */
bool device_is_dark(const struct device *d);

/* Keeps a copy of the disk; puts it back, in place of what is there. Closed only, or closed by it. */
void device_keep(struct device *d);
void device_put_back(struct device *d);

#endif
