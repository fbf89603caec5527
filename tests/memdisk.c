#include "tests/memdisk.h"

#include <stdio.h>
#include <stdlib.h>

static struct memdisk *disk_of(struct disk *d)
{
	return CONTAINER_OF(d, struct memdisk, base);
}

static void *need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static uint64_t draw(struct memdisk *d)
{
	d->rng ^= d->rng << 13;
	d->rng ^= d->rng >> 7;
	d->rng ^= d->rng << 17;
	return d->rng;
}

/* --- Files --- */

static int file_new(struct memdisk *d)
{
	for (int i = 0; i < MEMDISK_FILES_MAX; i++) {
		if (!d->files[i].used) {
			d->files[i] = (struct memdisk_file){ .used = true, .locked_by = -1 };
			return i;
		}
	}
	abort();
}

static void file_free(struct memdisk_file *f)
{
	free(f->now);
	free(f->platter);
	free(f->dirty);
	*f = (struct memdisk_file){ 0 };
}

static void file_reserve(struct memdisk_file *f, size_t len)
{
	const size_t cap = MAX(len, f->cap * 2);

	if (len <= f->cap)
		return;
	f->now = need(realloc(f->now, cap));
	f->platter = need(realloc(f->platter, cap));
	f->dirty = need(realloc(f->dirty, (cap / MEMDISK_SECTOR + 1) * sizeof(bool)));
	memset(f->now + f->cap, 0, cap - f->cap);
	memset(f->platter + f->cap, 0, cap - f->cap);
	memset(f->dirty + (f->cap == 0 ? 0 : f->cap / MEMDISK_SECTOR + 1), 0,
	       (cap / MEMDISK_SECTOR - (f->cap == 0 ? 0 : f->cap / MEMDISK_SECTOR + 1) + 1) * sizeof(bool));
	f->cap = cap;
}

static void file_resize(struct memdisk_file *f, size_t len)
{
	file_reserve(f, len);
	if (len < f->len)
		memset(f->now + len, 0, f->len - len);
	f->len = len;
}

static void file_write(struct memdisk_file *f, const void *bytes, size_t len, uint64_t offset)
{
	if (offset + len > f->len)
		file_resize(f, (size_t)offset + len);
	memcpy(f->now + offset, bytes, len);
	for (size_t s = (size_t)offset / MEMDISK_SECTOR; len > 0 && s * MEMDISK_SECTOR < offset + len; s++)
		f->dirty[s] = true;
}

static void file_sync(struct memdisk_file *f)
{
	if (f->cap == 0)
		return;
	for (size_t s = 0; s * MEMDISK_SECTOR < f->len; s++) {
		const size_t at = s * MEMDISK_SECTOR;

		if (f->dirty[s])
			memcpy(f->platter + at, f->now + at, MIN((size_t)MEMDISK_SECTOR, f->cap - at));
		f->dirty[s] = false;
	}
	f->platter_len = f->len;
}

/* --- Names --- */

static int find(const struct memdisk_names *names, const char *path)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->path[i], path) == 0)
			return (int)i;
	return -1;
}

static void name_add(struct memdisk_names *names, const char *path, int file)
{
	if (names->n == MEMDISK_NAMES_MAX || strlen(path) >= sizeof(names->path[0]))
		abort();
	strcpy(names->path[names->n], path);
	names->file[names->n++] = file;
}

static void name_drop(struct memdisk_names *names, int i)
{
	names->n--;
	if ((size_t)i == names->n)
		return;
	strcpy(names->path[i], names->path[names->n]);
	names->file[i] = names->file[names->n];
}

static void names_changed(struct memdisk *d)
{
	if (d->steps_n == COUNT_OF(d->steps)) /* so long ago that it is durable */
		memmove(d->steps, d->steps + 1, --d->steps_n * sizeof(d->steps[0]));
	d->steps[d->steps_n++] = d->names;
}

/* --- Failing --- */

/* Counts an operation that changes the disk; what it fails with, or 0. */
static int step(struct memdisk *d)
{
	d->ops++;
	if (d->readonly)
		return ERR_READONLY;
	if (d->fail_at != 0 && (d->ops == d->fail_at || (d->fail_on && d->ops > d->fail_at)))
		return d->fail_with == ERR_SYSTEM ? ERR_IO : d->fail_with;
	return 0;
}

/* --- The operations --- */

static int mem_open(struct disk *base, int *out, const char *path, enum disk_mode mode)
{
	struct memdisk *d = disk_of(base);
	const int name = find(&d->names, path);
	int r = 0;

	if (mode == DISK_CREATE)
		r = step(d);
	if (r == 0 && mode == DISK_CREATE && name >= 0)
		r = ERR_EXISTS;
	if (r == 0 && mode == DISK_WRITE && d->readonly)
		r = ERR_READONLY;
	if (r == 0 && mode != DISK_CREATE && name < 0)
		r = ERR_ABSENT;
	if (r == 0 && name >= 0 && d->names.file[name] < 0)
		r = DISK_FOREIGN;
	for (int h = 0; r == 0 && h < MEMDISK_OPEN_MAX; h++) {
		if (d->handles[h].file >= 0)
			continue;
		d->handles[h].writable = mode != DISK_READ;
		d->handles[h].file = mode == DISK_CREATE ? file_new(d) : d->names.file[name];
		if (mode == DISK_CREATE) {
			name_add(&d->names, path, d->handles[h].file);
			names_changed(d);
		}
		*out = h;
		return 0;
	}
	return r != 0 ? r : ERR_SYSTEM;
}

static struct memdisk_file *file_at(struct disk *base, int handle)
{
	struct memdisk *d = disk_of(base);

	assert(handle >= 0 && handle < MEMDISK_OPEN_MAX && d->handles[handle].file >= 0);
	return &d->files[d->handles[handle].file];
}

static void mem_close(struct disk *base, int handle)
{
	struct memdisk_file *f = file_at(base, handle);

	if (f->locked_by == handle)
		f->locked_by = -1;
	disk_of(base)->handles[handle].file = -1;
}

static int mem_lock(struct disk *base, int handle)
{
	struct memdisk_file *f = file_at(base, handle);

	if (f->locked_by >= 0)
		return ERR_BUSY;
	f->locked_by = handle;
	return 0;
}

static int mem_size(struct disk *base, int handle, uint64_t *out)
{
	*out = file_at(base, handle)->len;
	return 0;
}

static int mem_read(struct disk *base, int handle, void *out, size_t len, uint64_t offset)
{
	const struct memdisk_file *f = file_at(base, handle);

	if (offset > f->len || len > f->len - offset)
		return DISK_SHORT;
	memcpy(out, f->now + offset, len);
	return 0;
}

static int mem_write(struct disk *base, int handle, const void *bytes, size_t len, uint64_t offset)
{
	struct memdisk *d = disk_of(base);
	int r = step(d);

	assert(d->handles[handle].writable);
	d->writes++;
	if (r == 0 || (d->fail_with == ERR_SYSTEM && d->ops == d->fail_at))
		file_write(file_at(base, handle), bytes, r == 0 ? len : len / 2, offset);
	return r;
}

static int mem_sync(struct disk *base, int handle)
{
	struct memdisk *d = disk_of(base);
	const int r = step(d);

	d->syncs++;
	if (r == 0)
		file_sync(file_at(base, handle));
	return r;
}

static void mem_evict(struct disk *base, int handle)
{
	(void)base;
	(void)handle;
}

static int mem_resize(struct disk *base, int handle, uint64_t size)
{
	const int r = step(disk_of(base));

	if (r == 0)
		file_resize(file_at(base, handle), (size_t)size);
	return r;
}

static int mem_allocate(struct disk *base, int handle, uint64_t size)
{
	return mem_resize(base, handle, MAX(size, (uint64_t)file_at(base, handle)->len));
}

static int mem_make_dir(struct disk *base, const char *path)
{
	struct memdisk *d = disk_of(base);
	int r = step(d);

	if (r == 0 && find(&d->names, path) >= 0)
		r = ERR_EXISTS;
	if (r == 0) {
		name_add(&d->names, path, -1);
		names_changed(d);
	}
	return r;
}

static int mem_sync_dir(struct disk *base, const char *path)
{
	struct memdisk *d = disk_of(base);
	const int r = step(d);

	(void)path;
	d->syncs++;
	if (r == 0) {
		d->steps[0] = d->names;
		d->steps_n = 1;
	}
	return r;
}

static int mem_rename(struct disk *base, const char *from, const char *to)
{
	struct memdisk *d = disk_of(base);
	const int old = find(&d->names, to);
	int r = step(d);

	if (r == 0 && find(&d->names, from) < 0)
		r = ERR_ABSENT;
	if (r != 0)
		return r;
	if (old >= 0)
		name_drop(&d->names, old);
	strcpy(d->names.path[find(&d->names, from)], to);
	names_changed(d);
	return 0;
}

static int mem_unlink(struct disk *base, const char *path)
{
	struct memdisk *d = disk_of(base);
	const int name = find(&d->names, path);
	int r = step(d);

	if (r == 0 && name < 0)
		r = ERR_ABSENT;
	if (r == 0) {
		name_drop(&d->names, name);
		names_changed(d);
	}
	return r;
}

static const struct disk_ops mem_ops = {
	.open = mem_open,
	.close = mem_close,
	.lock = mem_lock,
	.size = mem_size,
	.read = mem_read,
	.write = mem_write,
	.sync = mem_sync,
	.evict = mem_evict,
	.truncate = mem_resize,
	.allocate = mem_allocate,
	.make_dir = mem_make_dir,
	.sync_dir = mem_sync_dir,
	.rename = mem_rename,
	.unlink = mem_unlink,
};

/* --- The disk --- */

void memdisk_init(struct memdisk *d)
{
	memset(d, 0, sizeof(*d));
	d->base.ops = &mem_ops;
	d->steps_n = 1;
	for (int h = 0; h < MEMDISK_OPEN_MAX; h++)
		d->handles[h].file = -1;
}

void memdisk_deinit(struct memdisk *d)
{
	for (int i = 0; i < MEMDISK_FILES_MAX; i++)
		file_free(&d->files[i]);
}

void memdisk_exit(struct memdisk *d)
{
	for (int h = 0; h < MEMDISK_OPEN_MAX; h++)
		if (d->handles[h].file >= 0)
			mem_close(&d->base, h);
}

/* One sector after the crash: old, new, or rubbish. */
static void sector_crash(struct memdisk *d, struct memdisk_file *f, size_t at, unsigned style)
{
	const size_t len = MIN((size_t)MEMDISK_SECTOR, f->cap - at);
	const unsigned luck = style == 0 ? 0 : style == 1 ? 1 : (unsigned)(draw(d) >> 33) % 8;

	if (luck == 7)
		for (size_t i = 0; i < len; i++)
			f->platter[at + i] = (uint8_t)(draw(d) >> 24);
	else if (luck % 2 == 1)
		memcpy(f->platter + at, f->now + at, len);
}

static void file_crash(struct memdisk *d, struct memdisk_file *f, unsigned style)
{
	const bool grown = style == 1 || (style >= 2 && draw(d) >> 63 != 0);

	if (f->cap == 0)
		return;
	for (size_t s = 0; s * MEMDISK_SECTOR < f->len; s++) {
		if (f->dirty[s])
			sector_crash(d, f, s * MEMDISK_SECTOR, style);
		f->dirty[s] = false;
	}
	if (grown)
		f->platter_len = f->len;
	memset(f->platter + f->platter_len, 0, f->cap - f->platter_len);
	memcpy(f->now, f->platter, f->cap);
	f->len = f->platter_len;
}

void memdisk_crash(struct memdisk *d, uint64_t seed)
{
	/* 0: nothing that was not synced is left. 1: all of it is. Others: anything between. */
	const unsigned style = seed < 2 ? (unsigned)seed : 2;

	d->rng = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	memdisk_exit(d);
	for (int i = 0; i < MEMDISK_FILES_MAX; i++)
		if (d->files[i].used)
			file_crash(d, &d->files[i], style);
	d->names = d->steps[style == 0 ? 0 : style == 1 ? d->steps_n - 1 : (draw(d) >> 33) % d->steps_n];
	d->steps[0] = d->names;
	d->steps_n = 1;
	d->fail_at = 0;
}

struct memdisk_file *memdisk_find(struct memdisk *d, const char *path)
{
	const int name = find(&d->names, path);

	return name >= 0 && d->names.file[name] >= 0 ? &d->files[d->names.file[name]] : NULL;
}

void memdisk_put(struct memdisk *d, const char *path, const void *bytes, size_t len)
{
	const int file = file_new(d);

	file_write(&d->files[file], bytes, len, 0);
	file_sync(&d->files[file]);
	name_add(&d->names, path, file);
	d->steps[0] = d->names;
	d->steps_n = 1;
}

void memdisk_copy(struct memdisk *to, const struct memdisk *from)
{
	*to = *from;
	for (int h = 0; h < MEMDISK_OPEN_MAX; h++)
		to->handles[h].file = -1;
	for (int i = 0; i < MEMDISK_FILES_MAX; i++) {
		const struct memdisk_file *f = &from->files[i];
		struct memdisk_file *t = &to->files[i];

		t->locked_by = -1;
		if (f->cap == 0)
			continue;
		t->now = need(malloc(f->cap));
		t->platter = need(malloc(f->cap));
		t->dirty = need(malloc((f->cap / MEMDISK_SECTOR + 1) * sizeof(bool)));
		memcpy(t->now, f->now, f->cap);
		memcpy(t->platter, f->platter, f->cap);
		memcpy(t->dirty, f->dirty, (f->cap / MEMDISK_SECTOR + 1) * sizeof(bool));
	}
}
