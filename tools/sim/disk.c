#include "tools/sim/disk.h"

#include <stdlib.h>

enum { FOLDER = -1, NOBODY = -1, SECTOR = 512 };

struct sim_disk_file {
	struct blocks now, platter;
	/* After a sync that failed the system takes what it had not written for written: what the file was
	 * then. Only blocks that change after it are written by the next sync. */
	struct blocks forgotten;
	bool forgot;
	int locked_by; /* handle, or NOBODY */
};

struct name {
	char *path; /* owned */
	int file;   /* or FOLDER */
};

/* Never changed once it is a step. */
struct sim_disk_names {
	size_t n;
	struct name v[];
};

struct sim_disk_handle {
	int file; /* NOBODY: free */
	bool writable;
};

static struct sim_disk *disk_of(struct disk *d)
{
	return CONTAINER_OF(d, struct sim_disk, base);
}

static void *need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* --- Names --- */

static const struct sim_disk_names *names_now(const struct sim_disk *d)
{
	return d->steps[d->steps_len - 1];
}

static int find(const struct sim_disk *d, const char *path)
{
	const struct sim_disk_names *names = names_now(d);

	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->v[i].path, path) == 0)
			return (int)i;
	return NOBODY;
}

static struct sim_disk_names *names_new(size_t n)
{
	struct sim_disk_names *names = need(calloc(1, sizeof(*names) + n * sizeof(names->v[0])));

	names->n = n;
	return names;
}

/* A copy of from, in which the name number without (or NOBODY) is missing, with room for `more` at its end.
 */
static struct sim_disk_names *names_copy(const struct sim_disk_names *from, int without, size_t more)
{
	struct sim_disk_names *names = names_new(from->n - (without >= 0) + more);
	size_t n = 0;

	for (size_t i = 0; i < from->n; i++)
		if ((int)i != without)
			names->v[n++] = (struct name){ need(strdup(from->v[i].path)), from->v[i].file };
	return names;
}

static void names_free(struct sim_disk_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i].path);
	free(names);
}

static void step_add(struct sim_disk *d, struct sim_disk_names *names)
{
	d->steps = need(realloc(d->steps, (d->steps_len + 1) * sizeof(d->steps[0])));
	d->steps[d->steps_len++] = names;
}

static void name_add(struct sim_disk *d, const char *path, int file)
{
	struct sim_disk_names *names = names_copy(names_now(d), NOBODY, 1);

	names->v[names->n - 1] = (struct name){ need(strdup(path)), file };
	step_add(d, names);
}

/* Step number i is the only one, and durable. */
static void settle_on(struct sim_disk *d, size_t i)
{
	struct sim_disk_names *kept = d->steps[i];

	for (size_t k = 0; k < d->steps_len; k++)
		if (k != i)
			names_free(d->steps[k]);
	d->steps[0] = kept;
	d->steps_len = 1;
}

/* --- Files --- */

static int file_new(struct sim_disk *d)
{
	size_t i = 0;

	while (i < d->files_len && d->files[i] != NULL)
		i++;
	if (i == d->files_len) {
		d->files = need(realloc(d->files, (i + 1) * sizeof(d->files[0])));
		d->files_len++;
	}
	d->files[i] = need(calloc(1, sizeof(*d->files[i])));
	d->files[i]->locked_by = NOBODY;
	return (int)i;
}

static void file_free(struct sim_disk_file *f)
{
	if (f == NULL)
		return;
	blocks_free(&f->now);
	blocks_free(&f->platter);
	blocks_free(&f->forgotten);
	free(f);
}

static bool in_use(const struct sim_disk *d, int file)
{
	for (size_t h = 0; h < d->handles_len; h++)
		if (d->handles[h].file == file)
			return true;
	for (size_t s = 0; s < d->steps_len; s++)
		for (size_t i = 0; i < d->steps[s]->n; i++)
			if (d->steps[s]->v[i].file == file)
				return true;
	return false;
}

/* Files go when no name and no handle leads to them. */
static void sweep(struct sim_disk *d)
{
	for (size_t i = 0; i < d->files_len; i++) {
		if (d->files[i] != NULL && !in_use(d, (int)i)) {
			file_free(d->files[i]);
			d->files[i] = NULL;
		}
	}
}

static void file_sync(struct sim_disk_file *f)
{
	if (!f->forgot) {
		blocks_free(&f->platter);
		blocks_share(&f->platter, &f->now);
		return;
	}
	for (uint64_t i = 0; blocks_next_other(&f->now, &f->forgotten, &i); i++)
		blocks_take(&f->platter, &f->now, i);
	blocks_resize(&f->platter, f->now.len);
	blocks_free(&f->forgotten);
	blocks_share(&f->forgotten, &f->now);
}

static void file_forget(struct sim_disk_file *f)
{
	blocks_free(&f->forgotten);
	blocks_share(&f->forgotten, &f->now);
	f->forgot = true;
}

static struct sim_disk_file *file_called(const struct sim_disk *d, const char *path)
{
	const int name = find(d, path);

	assert(name >= 0 && names_now(d)->v[name].file >= 0);
	return d->files[names_now(d)->v[name].file];
}

/* --- Failing --- */

static void dark(struct sim_disk *d)
{
	d->dark = true;
	d->watch = NULL;
}

/* Counts an op; 0, or what it fails with before it does anything. */
static int begin(struct sim_disk *d, enum sim_disk_op op)
{
	const struct sim_disk_fault *f = &d->fault;
	const bool changes = (BIT(op) & SIM_DISK_CHANGES) != 0;
	int r = d->dark ? ERR_IO : 0;

	d->half_now = false;
	d->count[op]++;
	d->ops += changes;
	if (r == 0 && d->readonly && changes)
		r = ERR_READONLY;
	if (r == 0 && f->at != 0 && (BIT(op) & (f->kinds != 0 ? f->kinds : SIM_DISK_CHANGES)) != 0) {
		const uint64_t seen = ++d->fault_seen;

		d->half_now = seen == f->at && (f->half || f->cut == SIM_DISK_CUT_HALF);
		if (f->cut == SIM_DISK_NO_CUT && (seen == f->at || (f->on && seen > f->at)))
			r = f->with;
		if ((f->cut == SIM_DISK_CUT_BEFORE || f->cut == SIM_DISK_CUT_HALF) && seen == f->at) {
			dark(d);
			r = ERR_IO;
		}
	}
	if (r == 0 && changes && d->watch != NULL)
		d->watch(d->watch_arg, d, op, false);
	return r;
}

/* After an op that was done. */
static int end(struct sim_disk *d, enum sim_disk_op op)
{
	const bool counts = (BIT(op) & (d->fault.kinds != 0 ? d->fault.kinds : SIM_DISK_CHANGES)) != 0;

	if (d->fault.cut == SIM_DISK_CUT_AFTER && counts && d->fault_seen == d->fault.at) {
		dark(d);
		return ERR_IO;
	}
	if (d->watch != NULL && (BIT(op) & SIM_DISK_CHANGES) != 0)
		d->watch(d->watch_arg, d, op, true);
	return 0;
}

/* By how much all files together may become longer. */
static uint64_t room_of(const struct sim_disk *d)
{
	uint64_t used = 0;

	for (size_t i = 0; d->space != 0 && i < d->files_len; i++)
		if (d->files[i] != NULL)
			used += d->files[i]->now.len;
	return d->space == 0 ? UINT64_MAX : d->space - MIN(d->space, used);
}

static bool has_room(const struct sim_disk *d, uint64_t more)
{
	return more <= room_of(d);
}

/* --- The operations --- */

static int handle_new(struct sim_disk *d, int file, bool writable)
{
	size_t h = 0;

	while (h < d->handles_len && d->handles[h].file != NOBODY)
		h++;
	if (h == d->handles_len) {
		d->handles = need(realloc(d->handles, (h + 1) * sizeof(d->handles[0])));
		d->handles_len++;
	}
	d->handles[h] = (struct sim_disk_handle){ file, writable };
	return (int)h;
}

static int create(struct sim_disk *d, int *out, const char *path)
{
	int file, handle, r = begin(d, SIM_DISK_CREATE);

	if (r == 0 && find(d, path) >= 0)
		r = ERR_EXISTS;
	if (r != 0)
		return r;
	file = file_new(d);
	name_add(d, path, file);
	handle = handle_new(d, file, true);
	r = end(d, SIM_DISK_CREATE);
	if (r == 0)
		*out = handle;
	else
		d->handles[handle].file = NOBODY;
	return r;
}

static int sim_open(struct disk *base, int *out, const char *path, enum disk_mode mode)
{
	struct sim_disk *d = disk_of(base);
	int name, r;

	if (mode == DISK_CREATE)
		return create(d, out, path);
	r = begin(d, SIM_DISK_OPEN);
	name = find(d, path);
	if (r == 0 && mode == DISK_WRITE && d->readonly)
		r = ERR_READONLY;
	if (r == 0 && name < 0)
		r = ERR_ABSENT;
	if (r == 0 && names_now(d)->v[name].file == FOLDER)
		r = DISK_FOREIGN;
	if (r == 0)
		*out = handle_new(d, names_now(d)->v[name].file, mode != DISK_READ);
	return r;
}

static struct sim_disk_file *file_at(struct disk *base, int handle)
{
	struct sim_disk *d = disk_of(base);

	assert(handle >= 0 && (size_t)handle < d->handles_len && d->handles[handle].file != NOBODY);
	return d->files[d->handles[handle].file];
}

static void sim_close(struct disk *base, int handle)
{
	struct sim_disk_file *f = file_at(base, handle);

	if (f->locked_by == handle)
		f->locked_by = NOBODY;
	disk_of(base)->handles[handle].file = NOBODY;
	sweep(disk_of(base));
}

static int sim_lock(struct disk *base, int handle)
{
	struct sim_disk_file *f = file_at(base, handle);
	const int r = begin(disk_of(base), SIM_DISK_LOCK);

	if (r == 0 && f->locked_by != NOBODY)
		return ERR_BUSY;
	if (r == 0)
		f->locked_by = handle;
	return r;
}

static int sim_size(struct disk *base, int handle, uint64_t *out)
{
	const int r = begin(disk_of(base), SIM_DISK_SIZE);

	if (r == 0)
		*out = file_at(base, handle)->now.len;
	return r;
}

static int sim_read(struct disk *base, int handle, void *out, size_t len, uint64_t offset)
{
	const struct sim_disk_file *f = file_at(base, handle);
	const int r = begin(disk_of(base), SIM_DISK_READ);

	if (r != 0)
		return r;
	if (offset > f->now.len || len > f->now.len - offset)
		return DISK_SHORT;
	blocks_read(&f->now, out, len, offset);
	return 0;
}

static int sim_write(struct disk *base, int handle, const void *bytes, size_t len, uint64_t offset)
{
	struct sim_disk *d = disk_of(base);
	struct sim_disk_file *f = file_at(base, handle);
	int r = begin(d, SIM_DISK_WRITE);

	assert(d->handles[handle].writable);
	if (r == 0 && !has_room(d, offset + len - MIN(offset + len, f->now.len)))
		return ERR_FULL;
	if (r == 0 || d->half_now)
		blocks_write(&f->now, bytes, r == 0 ? len : len / 2, offset);
	return r == 0 ? end(d, SIM_DISK_WRITE) : r;
}

static int sim_sync(struct disk *base, int handle)
{
	struct sim_disk *d = disk_of(base);
	const int r = begin(d, SIM_DISK_SYNC);

	if (r == 0)
		file_sync(file_at(base, handle));
	else if (!d->dark && !d->readonly)
		file_forget(file_at(base, handle));
	return r == 0 ? end(d, SIM_DISK_SYNC) : r;
}

static void sim_evict(struct disk *base, int handle)
{
	struct sim_disk_file *f = file_at(base, handle);

	/* What the system takes for written is read from the platter again. */
	if (!f->forgot)
		return;
	for (uint64_t i = 0; blocks_next_other(&f->forgotten, &f->platter, &i); i++) {
		const uint8_t *old = blocks_at(&f->forgotten, i);

		if (blocks_at(&f->now, i) == old)
			blocks_take(&f->now, &f->platter, i);
	}
	blocks_free(&f->forgotten);
	blocks_share(&f->forgotten, &f->platter);
}

static int resize(struct disk *base, int handle, uint64_t size, enum sim_disk_op op)
{
	struct sim_disk *d = disk_of(base);
	struct blocks *now = &file_at(base, handle)->now;
	const int r = begin(d, op);

	if (r != 0)
		return r;
	if (size > now->len && !has_room(d, size - now->len))
		return ERR_FULL;
	if (op == SIM_DISK_TRUNCATE || size > now->len)
		blocks_resize(now, size);
	return end(d, op);
}

static int sim_truncate(struct disk *base, int handle, uint64_t size)
{
	return resize(base, handle, size, SIM_DISK_TRUNCATE);
}

static int sim_allocate(struct disk *base, int handle, uint64_t size)
{
	return resize(base, handle, size, SIM_DISK_ALLOCATE);
}

static int sim_room(struct disk *base, const char *path, uint64_t *out)
{
	(void)path;
	*out = room_of(disk_of(base));
	return 0;
}

static int sim_make_dir(struct disk *base, const char *path)
{
	struct sim_disk *d = disk_of(base);
	int r = begin(d, SIM_DISK_MAKE_DIR);

	if (r == 0 && find(d, path) >= 0)
		r = ERR_EXISTS;
	if (r != 0)
		return r;
	name_add(d, path, FOLDER);
	return end(d, SIM_DISK_MAKE_DIR);
}

static int sim_sync_dir(struct disk *base, const char *path)
{
	struct sim_disk *d = disk_of(base);
	const int r = begin(d, SIM_DISK_SYNC_DIR);

	(void)path; /* there is one that matters */
	if (r != 0)
		return r;
	settle_on(d, d->steps_len - 1);
	sweep(d);
	return end(d, SIM_DISK_SYNC_DIR);
}

static int sim_rename(struct disk *base, const char *from, const char *to)
{
	struct sim_disk *d = disk_of(base);
	struct sim_disk_names *names;
	int r = begin(d, SIM_DISK_RENAME);

	if (r == 0 && find(d, from) < 0)
		r = ERR_ABSENT;
	if (r != 0)
		return r;
	names = names_copy(names_now(d), find(d, to), 0);
	for (size_t i = 0; i < names->n; i++) {
		if (strcmp(names->v[i].path, from) == 0) {
			free(names->v[i].path);
			names->v[i].path = need(strdup(to));
		}
	}
	step_add(d, names);
	return end(d, SIM_DISK_RENAME);
}

static int sim_unlink(struct disk *base, const char *path)
{
	struct sim_disk *d = disk_of(base);
	const int name = find(d, path);
	int r = begin(d, SIM_DISK_UNLINK);

	if (r == 0 && name < 0)
		r = ERR_ABSENT;
	if (r != 0)
		return r;
	step_add(d, names_copy(names_now(d), name, 0));
	return end(d, SIM_DISK_UNLINK);
}

static const struct disk_ops sim_ops = {
	.open = sim_open,
	.close = sim_close,
	.lock = sim_lock,
	.size = sim_size,
	.read = sim_read,
	.write = sim_write,
	.sync = sim_sync,
	.evict = sim_evict,
	.truncate = sim_truncate,
	.allocate = sim_allocate,
	.room = sim_room,
	.make_dir = sim_make_dir,
	.sync_dir = sim_sync_dir,
	.rename = sim_rename,
	.unlink = sim_unlink,
};

/* --- The disk --- */

void sim_disk_init(struct sim_disk *d)
{
	*d = (struct sim_disk){ .base.ops = &sim_ops };
	step_add(d, names_new(0));
}

static void files_free(struct sim_disk *d)
{
	for (size_t i = 0; i < d->files_len; i++)
		file_free(d->files[i]);
	for (size_t i = 0; i < d->steps_len; i++)
		names_free(d->steps[i]);
	free(d->files);
	free(d->steps);
}

void sim_disk_deinit(struct sim_disk *d)
{
	files_free(d);
	free(d->handles);
	*d = (struct sim_disk){ 0 };
}

static void files_copy(struct sim_disk *to, const struct sim_disk *from)
{
	to->files = need(calloc(from->files_len + 1, sizeof(to->files[0])));
	to->files_len = from->files_len;
	for (size_t i = 0; i < from->files_len; i++) {
		const struct sim_disk_file *f = from->files[i];
		struct sim_disk_file *t;

		if (f == NULL)
			continue;
		t = to->files[i] = need(calloc(1, sizeof(*t)));
		t->locked_by = NOBODY;
		t->forgot = f->forgot;
		blocks_share(&t->now, &f->now);
		blocks_share(&t->platter, &f->platter);
		blocks_share(&t->forgotten, &f->forgotten);
	}
	to->steps = NULL;
	to->steps_len = 0;
	for (size_t i = 0; i < from->steps_len; i++)
		step_add(to, names_copy(from->steps[i], NOBODY, 0));
}

void sim_disk_copy(struct sim_disk *to, const struct sim_disk *from)
{
	*to = (struct sim_disk){
		.base.ops = &sim_ops, .readonly = from->readonly, .space = from->space, .ops = from->ops
	};
	memcpy(to->count, from->count, sizeof(to->count));
	files_copy(to, from);
}

void sim_disk_put_back(struct sim_disk *d, const struct sim_disk *from)
{
	for (size_t h = 0; h < d->handles_len; h++)
		assert(d->handles[h].file == NOBODY);
	files_free(d);
	files_copy(d, from);
}

void sim_disk_fail(struct sim_disk *d, const struct sim_disk_fault *fault)
{
	d->fault = *fault;
	d->fault_seen = 0;
}

void sim_disk_mend(struct sim_disk *d)
{
	sim_disk_fail(d, &(struct sim_disk_fault){ 0 });
}

void sim_disk_exit(struct sim_disk *d)
{
	for (size_t h = 0; h < d->handles_len; h++)
		if (d->handles[h].file != NOBODY)
			sim_close(&d->base, (int)h);
}

/* --- Losing power --- */

struct luck {
	uint64_t state;
	enum sim_disk_left left; /* as in sectors of 512 bytes */
	size_t sector;
	uint64_t at, chosen; /* sectors that changed: the one that is looked at, the one that was drawn */
	uint64_t trace;      /* of all that was decided */
};

static uint64_t draw(struct luck *l)
{
	uint64_t x = l->state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t draw_below(struct luck *l, uint64_t bound)
{
	return bound == 0 ? 0 : draw(l) % bound;
}

static void decided(struct luck *l, uint64_t what)
{
	l->trace = (l->trace ^ what) * UINT64_C(0x9fb21c651e98df25);
	l->trace ^= l->trace >> 29;
}

/* What becomes of one sector that changed. */
enum fate { OLD, NEW, NOISE };

static enum fate fate_of(struct luck *l)
{
	const uint64_t at = l->at++;

	switch (l->left) {
	case SIM_DISK_KEPT:
	case SIM_DISK_NAMELESS:
		return NEW;
	case SIM_DISK_TORN:
		return at < l->chosen ? NEW : OLD;
	case SIM_DISK_BACKWARD:
		return at < l->chosen ? OLD : NEW;
	case SIM_DISK_MIXED:
		return (draw(l) & 1) != 0 ? NEW : OLD;
	case SIM_DISK_RUBBISH:
		return (enum fate)(draw(l) % 8 == 7 ? NOISE : draw(l) % 2);
	case SIM_DISK_ALL_BUT:
		return at == l->chosen ? OLD : NEW;
	case SIM_DISK_ONLY:
		return at == l->chosen ? NEW : OLD;
	default:
		return OLD;
	}
}

static void sector_crash(struct luck *l, uint8_t *old, const uint8_t *now)
{
	const enum fate fate = fate_of(l);

	/* In blocks of either size the same bytes give the same trace. */
	for (size_t i = 0; i < l->sector; i += SECTOR)
		if (memcmp(old + i, now + i, SECTOR) != 0)
			decided(l, fate == NOISE ? draw(l) : fate + 1);
	switch (fate) {
	case OLD:
		break;
	case NEW:
		memcpy(old, now, l->sector);
		break;
	case NOISE:
		for (size_t i = 0; i < l->sector; i += sizeof(uint64_t))
			memcpy(old + i, &(uint64_t){ draw(l) }, sizeof(uint64_t));
		break;
	}
}

/* Goes through the sectors that changed: counts them, or with do_it lets each meet its fate. */
static uint64_t sectors(struct luck *l, struct sim_disk_file *f, bool do_it)
{
	uint64_t n = 0;

	for (uint64_t i = 0; blocks_next_other(&f->now, &f->platter, &i); i++) {
		const uint8_t *now = blocks_at(&f->now, i), *was = blocks_at(&f->platter, i);
		uint8_t mixed[BLOCKS_SIZE];

		memcpy(mixed, was, sizeof(mixed));
		for (size_t at = 0; at < BLOCKS_SIZE; at += l->sector) {
			if (memcmp(was + at, now + at, l->sector) == 0)
				continue;
			n++;
			if (do_it)
				sector_crash(l, mixed + at, now + at);
		}
		if (do_it && memcmp(mixed, now, sizeof(mixed)) == 0)
			blocks_take(&f->platter, &f->now, i);
		else if (do_it && memcmp(mixed, was, sizeof(mixed)) != 0)
			blocks_write(&f->platter, mixed, sizeof(mixed), i * BLOCKS_SIZE);
	}
	return n;
}

/* Whether the length of a file, or the names so far, came to the platter. */
static bool told(struct luck *l)
{
	if (l->left == SIM_DISK_LOST || l->left == SIM_DISK_NAMELESS)
		return false;
	if (l->left == SIM_DISK_KEPT || l->left == SIM_DISK_NAMES)
		return true;
	return (draw(l) & 1) != 0;
}

static void file_crash(struct luck *l, struct sim_disk_file *f)
{
	const uint64_t len = told(l) ? f->now.len : f->platter.len;

	decided(l, len);
	(void)sectors(l, f, true);
	f->platter.len = MAX(f->platter.len, f->now.len); /* so that what is cut off becomes zeros */
	blocks_resize(&f->platter, len);
	blocks_free(&f->now);
	blocks_free(&f->forgotten);
	blocks_share(&f->now, &f->platter);
	f->forgot = false;
}

static size_t steps_left(struct luck *l, size_t steps)
{
	if (l->left == SIM_DISK_LOST || l->left == SIM_DISK_NAMELESS)
		return 0;
	if (l->left == SIM_DISK_KEPT || l->left == SIM_DISK_NAMES)
		return steps - 1;
	return (size_t)draw_below(l, steps);
}

uint64_t sim_disk_crash(struct sim_disk *d, enum sim_disk_left left, uint64_t seed)
{
	const bool large = left >= SIM_DISK_TORN_4K;
	struct luck l = {
		.state = seed * SIM_DISK_LEFTS + left,
		.left = large ? left - SIM_DISK_TORN_4K + SIM_DISK_TORN : left,
		.sector = large ? BLOCKS_SIZE : SECTOR,
	};
	uint64_t changed = 0;
	size_t steps;

	sim_disk_exit(d);
	for (size_t i = 0; i < d->files_len; i++)
		if (d->files[i] != NULL)
			changed += sectors(&l, d->files[i], false);
	l.chosen = draw_below(&l, changed);
	for (size_t i = 0; i < d->files_len; i++)
		if (d->files[i] != NULL)
			file_crash(&l, d->files[i]);
	steps = steps_left(&l, d->steps_len);
	decided(&l, steps);
	settle_on(d, steps);
	sweep(d);
	sim_disk_mend(d);
	d->dark = false;
	return l.trace;
}

/* --- From outside --- */

bool sim_disk_find(const struct sim_disk *d, const char *path, uint64_t *out)
{
	const int name = find(d, path);

	if (name < 0 || names_now(d)->v[name].file == FOLDER)
		return false;
	if (out != NULL)
		*out = file_called(d, path)->now.len;
	return true;
}

void sim_disk_peek(const struct sim_disk *d, const char *path, void *out, size_t len, uint64_t offset)
{
	const struct blocks *now = &file_called(d, path)->now;

	assert(offset <= now->len && len <= now->len - offset);
	blocks_read(now, out, len, offset);
}

void sim_disk_poke(struct sim_disk *d, const char *path, const void *bytes, size_t len, uint64_t offset)
{
	struct sim_disk_file *f = file_called(d, path);

	blocks_write(&f->now, bytes, len, offset);
	blocks_write(&f->platter, bytes, len, offset);
}

void sim_disk_flip(struct sim_disk *d, const char *path, uint64_t offset, unsigned bit)
{
	uint8_t byte;

	sim_disk_peek(d, path, &byte, 1, offset);
	byte ^= (uint8_t)BIT(bit);
	sim_disk_poke(d, path, &byte, 1, offset);
}

void sim_disk_put(struct sim_disk *d, const char *path, const void *bytes, size_t len)
{
	const int file = file_new(d);

	assert(find(d, path) < 0);
	blocks_write(&d->files[file]->now, bytes, len, 0);
	file_sync(d->files[file]);
	name_add(d, path, file);
	settle_on(d, d->steps_len - 1);
}

void sim_disk_remove(struct sim_disk *d, const char *path)
{
	step_add(d, names_copy(names_now(d), find(d, path), 0));
	settle_on(d, d->steps_len - 1);
	sweep(d);
}

size_t sim_disk_names(const struct sim_disk *d)
{
	return names_now(d)->n;
}

bool sim_disk_same(const struct sim_disk *a, const struct sim_disk *b, const char *path)
{
	uint64_t from = 0;

	if (!sim_disk_find(a, path, NULL) || !sim_disk_find(b, path, NULL))
		return false;
	return file_called(a, path)->now.len == file_called(b, path)->now.len &&
	       !blocks_next_other(&file_called(a, path)->now, &file_called(b, path)->now, &from);
}
