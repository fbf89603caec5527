#include "store/pagevfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "store/sqlite.h"

enum { NAME_MAX_LEN = 32, PATH_MAX_LEN = 64 };

struct pagevfs {
	sqlite3_vfs base; /* pAppData is this struct */
	char name[NAME_MAX_LEN];
	struct pagelog *log; /* borrowed */
	struct random *rng;  /* borrowed */
	bool open;
};

struct pagefile {
	sqlite3_file base;
	struct pagevfs *v;
};

/* SQLite's name for err, from which sqlite_err() finds back; `otherwise` where there is none. */
static int code_of(int err, int otherwise)
{
	switch (err) {
	case ERR_NOMEM:
		return SQLITE_IOERR_NOMEM;
	case ERR_FULL:
		return SQLITE_FULL;
	case ERR_READONLY:
		return SQLITE_READONLY;
	case ERR_CORRUPT:
		return SQLITE_IOERR_DATA;
	default:
		return otherwise;
	}
}

static struct pagevfs *vfs_of(sqlite3_file *f)
{
	return ((struct pagefile *)(void *)f)->v;
}

/* --- The file --- */

static int file_close(sqlite3_file *f)
{
	struct pagevfs *v = vfs_of(f);

	pagelog_rollback(v->log);
	v->open = false;
	return SQLITE_OK;
}

/* A part of one page. */
static int read_within(struct pagevfs *v, uint8_t *out, uint32_t pgno, size_t from, size_t len)
{
	uint8_t page[RECORD_PAGE];
	int r;

	if (len == RECORD_PAGE)
		return pagelog_read(v->log, out, pgno);
	r = pagelog_read(v->log, page, pgno);
	if (r == 0)
		memcpy(out, page + from, len);
	return r;
}

static int file_read(sqlite3_file *f, void *out, int len, sqlite3_int64 offset)
{
	struct pagevfs *v = vfs_of(f);
	uint8_t *p = out;
	size_t left = (size_t)len;

	while (left > 0) {
		const uint64_t pgno = (uint64_t)offset / RECORD_PAGE + 1;
		const size_t from = (size_t)offset % RECORD_PAGE, n = MIN(left, RECORD_PAGE - from);
		int r;

		if (pgno > pagelog_pages(v->log)) {
			memset(p, 0, left);
			return SQLITE_IOERR_SHORT_READ;
		}
		r = read_within(v, p, (uint32_t)pgno, from, n);
		if (r != 0) {
			memset(out, 0, (size_t)len);
			return code_of(r, SQLITE_IOERR_READ);
		}
		p += n;
		left -= n;
		offset += (sqlite3_int64)n;
	}
	return SQLITE_OK;
}

static int file_write(sqlite3_file *f, const void *bytes, int len, sqlite3_int64 offset)
{
	struct pagevfs *v = vfs_of(f);
	int r;

	/* Whole pages only: another page size would come here. */
	if (len != RECORD_PAGE || offset % RECORD_PAGE != 0)
		return SQLITE_IOERR_WRITE;
	if (offset / RECORD_PAGE >= PAGELOG_DB_PAGES_MAX)
		return SQLITE_FULL;
	r = pagelog_write(v->log, (uint32_t)(offset / RECORD_PAGE) + 1, bytes);
	return r == 0 ? SQLITE_OK : code_of(r, SQLITE_IOERR_WRITE);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct pagevfs *v = vfs_of(f);
	const sqlite3_int64 pages = (size + RECORD_PAGE - 1) / RECORD_PAGE;

	if (pages > PAGELOG_DB_PAGES_MAX)
		return SQLITE_FULL;
	pagelog_resize(v->log, (uint32_t)pages);
	return SQLITE_OK;
}

static int file_sync(sqlite3_file *f, int flags)
{
	struct pagevfs *v = vfs_of(f);
	const int r = pagelog_commit(v->log);

	(void)flags;
	return r == 0 ? SQLITE_OK : code_of(r, SQLITE_IOERR_FSYNC);
}

static int file_size(sqlite3_file *f, sqlite3_int64 *out)
{
	*out = (sqlite3_int64)pagelog_pages(vfs_of(f)->log) * RECORD_PAGE;
	return SQLITE_OK;
}

/* The vault's lock keeps everybody else away, and the file can be opened once only. */
static int file_lock(sqlite3_file *f, int level)
{
	(void)f;
	(void)level;
	return SQLITE_OK;
}

static int file_reserved(sqlite3_file *f, int *out)
{
	(void)f;
	*out = 0;
	return SQLITE_OK;
}

/* Settings on which atomic commits, or silence on the disk, depend: the only values that they may be given.
 */
static int pragma(char **args)
{
	static const char *const fixed[][2] = {
		{ "journal_mode", "memory" }, { "locking_mode", "exclusive" }, { "synchronous", "full" },
		{ "temp_store", "memory" },   { "cache_spill", "off" },
	};

	for (size_t i = 0; i < COUNT_OF(fixed); i++) {
		if (strcasecmp(args[1], fixed[i][0]) != 0 || args[2] == NULL ||
		    strcasecmp(args[2], fixed[i][1]) == 0)
			continue;
		args[0] = sqlite3_mprintf("%s is always %s here", fixed[i][0], fixed[i][1]);
		return SQLITE_ERROR;
	}
	return SQLITE_NOTFOUND;
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
	(void)f;
	return op == SQLITE_FCNTL_PRAGMA ? pragma(arg) : SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *f)
{
	(void)f;
	return RECORD_PAGE;
}

static int file_traits(sqlite3_file *f)
{
	(void)f;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE | SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN;
}

/* Version 1: no shared memory, no mapping. */
static const sqlite3_io_methods file_methods = {
	.iVersion = 1,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_lock,
	.xCheckReservedLock = file_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_traits,
};

/* --- The VFS --- */

static int vfs_open(sqlite3_vfs *base, const char *name, sqlite3_file *f, int flags, int *flags_out)
{
	struct pagevfs *v = base->pAppData;
	struct pagefile *file = (struct pagefile *)(void *)f;

	(void)name;
	f->pMethods = NULL;
	/* Journals, WALs and temporary files would put plain pages on the disk. */
	if (!(flags & SQLITE_OPEN_MAIN_DB) || v->open)
		return SQLITE_CANTOPEN;
	if (flags_out != NULL)
		*flags_out = (flags & ~SQLITE_OPEN_READWRITE & ~SQLITE_OPEN_READONLY) |
		             (pagelog_readonly(v->log) ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
	*file = (struct pagefile){ { &file_methods }, v };
	v->open = true;
	return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *base, const char *name, int sync_dir)
{
	(void)base;
	(void)name;
	(void)sync_dir;
	return SQLITE_IOERR_DELETE_NOENT;
}

static int vfs_access(sqlite3_vfs *base, const char *name, int flags, int *out)
{
	(void)base;
	(void)name;
	(void)flags;
	*out = 0;
	return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *base, const char *name, int len, char *out)
{
	(void)base;
	sqlite3_snprintf(len, out, "%s", name);
	return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *base, int len, char *out)
{
	struct pagevfs *v = base->pAppData;

	random_bytes(v->rng, out, (size_t)len);
	return len;
}

static int vfs_sleep(sqlite3_vfs *base, int microseconds)
{
	(void)base;
	return microseconds;
}

/* Always 1970: times in the database are parameters. */
static int vfs_time(sqlite3_vfs *base, double *out)
{
	(void)base;
	*out = 2440587.5;
	return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *base, int len, char *out)
{
	(void)base;
	(void)len;
	(void)out;
	return 0;
}

int pagevfs_new(struct pagevfs **out, struct pagelog *log, struct random *rng)
{
	struct pagevfs *v;
	const int r = sqlite_setup();

	if (r != 0)
		return r;
	v = calloc(1, sizeof(*v));
	if (v == NULL)
		return ERR_NOMEM;
	v->log = log;
	v->rng = rng;
	snprintf(v->name, sizeof(v->name), "pagelog-%p", (void *)v);
	v->base = (sqlite3_vfs){
		.iVersion = 1,
		.szOsFile = sizeof(struct pagefile),
		.mxPathname = PATH_MAX_LEN,
		.zName = v->name,
		.pAppData = v,
		.xOpen = vfs_open,
		.xDelete = vfs_delete,
		.xAccess = vfs_access,
		.xFullPathname = vfs_full_path,
		.xRandomness = vfs_randomness,
		.xSleep = vfs_sleep,
		.xCurrentTime = vfs_time,
		.xGetLastError = vfs_last_error,
	};
	if (sqlite3_vfs_register(&v->base, 0) != SQLITE_OK) {
		free(v);
		return ERR_NOMEM;
	}
	*out = v;
	return 0;
}

void pagevfs_free(struct pagevfs *v)
{
	if (v == NULL)
		return;
	assert(!v->open);
	sqlite3_vfs_unregister(&v->base);
	free(v);
}

const char *pagevfs_name(const struct pagevfs *v)
{
	return v->name;
}
