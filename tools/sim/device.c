#include "tools/sim/device.h"

#include <sodium.h>

#include "tools/sim/need.h"

static const char home[] = "home", dir[] = "log";

void device_init(struct device *d, enum device_kind kind, uint64_t seed)
{
	*d = (struct device){ .kind = kind };
	sim_disk_init(&d->disk);
	random_seeded_init(&d->rng, seed);
}

void device_begin_as(struct device *d, const struct device *blank)
{
	assert(d->kind == DEVICE_LIGHT && !d->made && blank->made && blank->store == NULL);
	sim_disk_deinit(&d->disk);
	sim_disk_copy(&d->disk, &blank->disk);
	d->key = blank->key;
	d->made = true;
}

/* ---- Opening ---------------------------------------------------------------- */

static struct pagelog_place light_place(struct device *d)
{
	return (struct pagelog_place){ .disk = &d->disk.base, .dir = dir, .places = 1 };
}

static int make(struct device *d)
{
	struct vault_guess guess;
	int r;

	random_bytes(&d->rng.base, d->key.b, sizeof(d->key.b));
	if (d->kind == DEVICE_LIGHT)
		return pagelog_create(&d->disk.base, dir, 1, &d->rng.base);
	vault_guess_new(&guess, SLOTS_64_MIB, &d->rng.base);
	guess.kek = d->key;
	r = vault_create(&d->disk.base, home, SLOTS_PLACES_OWN, &guess, &d->rng.base);
	vault_guess_wipe(&guess);
	return r;
}

static int open_light(struct device *d, struct pagelog_report *report)
{
	const struct pagelog_place where = light_place(d);
	int r = pagelog_mount(&d->log, &where, &d->key, &d->rng.base, report);

	if (r == PAGELOG_DAMAGED)
		r = ERR_CORRUPT;
	if (r == 0)
		r = pagevfs_new(&d->vfs, d->log, &d->rng.base);
	if (r == 0)
		r = store_open(&d->store, pagevfs_name(d->vfs), "notebook");
	return r;
}

static int open_whole(struct device *d, struct pagelog_report *report)
{
	struct vault_report found = { 0 };
	struct vault_guess guess;
	int r = vault_find(&d->vault, &d->disk.base, home);

	if (r != 0)
		return r < 0 ? r : ERR_CORRUPT;
	vault_guess_for(&guess, d->vault);
	guess.kek = d->key;
	r = vault_open(d->vault, &guess, &d->rng.base, &found);
	vault_guess_wipe(&guess);
	if (r == 0 && found.damaged)
		r = ERR_CORRUPT;
	if (r == 0)
		d->store = vault_store(d->vault);
	*report = found.log;
	return r <= 0 ? r : ERR_CORRUPT;
}

/* Closes what is open, as the end of a process does. */
static void drop(struct device *d)
{
	if (d->kind == DEVICE_LIGHT) {
		store_close(d->store);
		pagevfs_free(d->vfs);
		pagelog_unmount(d->log);
	}
	vault_close(d->vault);
	d->vault = NULL;
	d->store = NULL;
	d->vfs = NULL;
	d->log = NULL;
}

int device_open(struct device *d)
{
	struct pagelog_report report = { 0 };
	int r = 0;

	if (!d->made)
		r = make(d);
	d->made |= r == 0;
	if (r == 0)
		r = d->kind == DEVICE_LIGHT ? open_light(d, &report) : open_whole(d, &report);
	if (r == 0)
		d->torn += report.cut == PAGELOG_TORN;
	else
		drop(d);
	return r;
}

/* ---- Closing ---------------------------------------------------------------- */

int device_lock(struct device *d)
{
	int r = 0;

	if (d->vault != NULL)
		r = vault_lock(d->vault);
	drop(d);
	return r;
}

/* What SQLite would still do on its way out is not done. */
static void drop_at_once(struct device *d)
{
	sim_disk_fail(&d->disk, &(struct sim_disk_fault){ .at = 1, .cut = SIM_DISK_CUT_BEFORE });
	drop(d);
}

void device_kill(struct device *d)
{
	const struct sim_disk_fault fault = d->disk.fault;
	const bool dark = d->disk.dark;

	drop_at_once(d);
	sim_disk_exit(&d->disk);
	sim_disk_fail(&d->disk, &fault);
	d->disk.dark = dark;
}

void device_power_cut(struct device *d, uint64_t seed)
{
	drop_at_once(d);
	sim_disk_crash(&d->disk, (enum sim_disk_left)(seed % SIM_DISK_LEFTS), seed / SIM_DISK_LEFTS);
}

bool device_is_dark(const struct device *d)
{
	return d->disk.dark;
}

/* ---- Copies ----------------------------------------------------------------- */

static void forget_copy(struct device *d)
{
	if (d->copy != NULL)
		sim_disk_deinit(d->copy);
	free(d->copy);
	d->copy = NULL;
}

void device_keep(struct device *d)
{
	forget_copy(d);
	d->copy = need(malloc(sizeof(*d->copy)));
	sim_disk_copy(d->copy, &d->disk);
}

void device_put_back(struct device *d)
{
	assert(d->copy != NULL);
	device_kill(d);
	sim_disk_put_back(&d->disk, d->copy);
}

void device_deinit(struct device *d)
{
	drop(d);
	forget_copy(d);
	sim_disk_deinit(&d->disk);
	sodium_memzero(&d->key, sizeof(d->key));
}
