#include "store/vault.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/pagevfs.h"

/* Of an open notebook; in guarded memory. */
struct vault_keys {
	struct sym_key kek; /* the slot is sealed anew with each compaction */
	struct slots_match match;
};

struct vault {
	struct disk *disk; /* borrowed */
	char dir[DISK_PATH_MAX];
	struct slots *slots;
	/* Of the open notebook, all owned; NULL while none is. */
	struct vault_keys *keys;
	struct pagelog *log;
	struct pagevfs *vfs;
	struct store *store;
	int room;           /* what vault_room() found last, */
	uint64_t looked_at; /* where the log ended then; */
	bool looked;        /* if it did */
};

/* ---- A guess ---------------------------------------------------------------- */

void vault_guess_new(struct vault_guess *out, enum slots_profile profile, struct random *rng)
{
	memset(out, 0, sizeof(*out));
	slots_salt_new(&out->salt, profile, rng);
	out->cost = slots_cost(&out->salt);
}

void vault_guess_for(struct vault_guess *out, const struct vault *v)
{
	memset(out, 0, sizeof(*out));
	out->salt = *slots_salt(v->slots);
	out->cost = slots_cost(&out->salt);
}

int vault_derive(struct vault_guess *guess, struct span passphrase)
{
	return slots_derive(&guess->kek, passphrase, &guess->salt, &guess->cost);
}

void vault_guess_wipe(struct vault_guess *guess)
{
	sodium_memzero(guess, sizeof(*guess));
}

/* ---- The files -------------------------------------------------------------- */

int vault_create(struct disk *disk, const char *home, unsigned places, const struct vault_guess *guess,
                 struct random *rng)
{
	char dir[DISK_PATH_MAX];
	struct slots_match match = { 0 };
	int r = disk_path(dir, home, "notebooks");

	if (r != 0)
		return r;
	r = disk->ops->make_dir(disk, home);
	if (r == 0 || r == ERR_EXISTS)
		r = pagelog_create(disk, dir, places, rng);
	/* The slots last: a vault is there when they are. */
	if (r == 0)
		r = slots_create(disk, dir, places, &guess->salt, &guess->kek, &match, rng);
	slots_match_wipe(&match);
	return r;
}

int vault_find(struct vault **out, struct disk *disk, const char *home)
{
	struct vault *v = calloc(1, sizeof(*v));
	int r;

	if (v == NULL)
		return ERR_NOMEM;
	v->disk = disk;
	r = disk_path(v->dir, home, "notebooks");
	if (r == 0)
		r = slots_open(&v->slots, disk, v->dir);
	if (r != 0) {
		free(v);
		return r;
	}
	*out = v;
	return 0;
}

void vault_forget(struct vault *v)
{
	store_close(v->store);
	pagevfs_free(v->vfs);
	pagelog_unmount(v->log);
	sodium_free(v->keys);
	v->store = NULL;
	v->vfs = NULL;
	v->log = NULL;
	v->keys = NULL;
	v->looked = false;
}

void vault_close(struct vault *v)
{
	if (v == NULL)
		return;
	vault_forget(v);
	slots_close(v->slots);
	free(v);
}

/* ---- A notebook ------------------------------------------------------------- */

static struct pagelog_place place_of(const struct vault *v)
{
	return (struct pagelog_place){
		.disk = v->disk,
		.dir = v->dir,
		.places = slots_places(v->slots),
		.place = v->keys->match.place,
		.begun = v->keys->match.content.generation > 1,
	};
}

static int unlock(struct vault *v, struct random *rng)
{
	int r = slots_try(v->slots, &v->keys->kek, &v->keys->match);

	/* What a crash within a compaction left of the older key. */
	if (r == 0 && !slots_readonly(v->slots))
		r = slots_settle(v->slots, &v->keys->match, &v->keys->kek, rng);
	return r;
}

static int mount(struct vault *v, struct random *rng, struct vault_report *report)
{
	const struct pagelog_place where = place_of(v);
	int r = pagelog_mount(&v->log, &where, &v->keys->match.content.vk, rng, &report->log);

	report->damaged = r == PAGELOG_DAMAGED;
	if (r < 0)
		return r;
	report->readonly = pagelog_readonly(v->log);
	r = pagevfs_new(&v->vfs, v->log, rng);
	if (r == 0)
		r = store_open(&v->store, pagevfs_name(v->vfs), "notebook");
	return r;
}

int vault_open(struct vault *v, const struct vault_guess *guess, struct random *rng,
               struct vault_report *report)
{
	struct vault_report found = { 0 };
	int r;

	assert(v->keys == NULL);
	v->keys = sodium_malloc(sizeof(*v->keys));
	if (v->keys == NULL)
		return ERR_NOMEM;
	v->keys->kek = guess->kek;
	r = unlock(v, rng);
	if (r == 0)
		r = mount(v, rng, &found);
	if (r != 0) {
		vault_forget(v);
		return r;
	}
	*report = found;
	return 0;
}

struct store *vault_store(const struct vault *v)
{
	return v->store;
}

int vault_compact(struct vault *v)
{
	assert(v->log != NULL);
	/* The first commit is the compaction's own, or made the tables. */
	if (pagelog_readonly(v->log) || pagelog_commits(v->log) <= 1)
		return 0;
	return pagelog_compact(v->log, v->slots, &v->keys->match, &v->keys->kek);
}

static int log_size(const struct vault *v, uint64_t *out)
{
	char name[16], path[DISK_PATH_MAX];
	int file, r;

	snprintf(name, sizeof(name), "%u", v->keys->match.place);
	r = disk_path(path, v->dir, name);
	if (r == 0)
		r = v->disk->ops->open(v->disk, &file, path, DISK_READ);
	if (r != 0)
		return r < 0 ? r : ERR_CORRUPT;
	r = v->disk->ops->size(v->disk, file, out);
	v->disk->ops->close(v->disk, file);
	return r;
}

/* All logs grow together, and a compaction needs a second one of ours beside them. */
static int judge_room(const struct vault *v, uint64_t size, uint64_t room)
{
	const uint64_t end = pagelog_end(v->log), used = (uint64_t)pagelog_pages(v->log) * RECORD_SEALED;
	const uint64_t waste = end - MIN(end, used);
	const uint64_t spare = room - MIN(room, size);
	const bool may_compact = room >= size && pagelog_commits(v->log) > 1;
	const bool low = size - MIN(size, end) + spare / slots_places(v->slots) < VAULT_RESERVE;

	if (may_compact && (waste > used + VAULT_WASTE_MAX || (low && waste > VAULT_RESERVE)))
		return VAULT_ROOM_TIDY;
	return low ? VAULT_ROOM_LOW : 0;
}

int vault_room(struct vault *v, bool now)
{
	const uint64_t end = pagelog_end(v->log);
	uint64_t size, room;
	int r;

	if (v->looked && !now && end >= v->looked_at && end - v->looked_at < VAULT_LOOK_BYTES)
		return v->room;
	r = log_size(v, &size);
	if (r == 0)
		r = v->disk->ops->room(v->disk, v->dir, &room);
	if (r != 0)
		return r;
	v->room = judge_room(v, size, room);
	v->looked_at = end;
	v->looked = true;
	return v->room;
}

int vault_lock(struct vault *v)
{
	int r;

	assert(v->log != NULL);
	store_close(v->store); /* an open turn would be in the way */
	v->store = NULL;
	r = vault_compact(v);
	vault_forget(v);
	return r;
}

int vault_wipe(struct vault *v, struct random *rng)
{
	const unsigned slot = v->keys->match.slot;
	const struct pagelog_place where = place_of(v);
	int r, refilled;

	vault_forget(v);
	r = slots_wipe(v->slots, slot, rng);
	refilled = pagelog_refill(&where, rng);
	return r != 0 ? r : refilled;
}
