#include "store/sqlite.h"

#include <sodium.h>
#include <sqlite3.h>

static sqlite3_mem_methods below; /* what SQLite would have used */

static void wiping_free(void *p)
{
	if (p == NULL)
		return;
	sodium_memzero(p, (size_t)below.xSize(p));
	below.xFree(p);
}

/* Moving within the allocator would leave the old block behind as it was. */
static void *wiping_realloc(void *p, int size)
{
	const int old_size = below.xSize(p);
	void *moved;

	if (size <= old_size && size >= old_size / 2)
		return p;
	moved = below.xMalloc(size);
	if (moved == NULL)
		return NULL;
	memcpy(moved, p, (size_t)MIN(size, old_size));
	wiping_free(p);
	return moved;
}

int sqlite_setup(void)
{
	static bool done;
	sqlite3_mem_methods wiping;

	if (done)
		return 0;
	if (sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) != SQLITE_OK ||
	    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK ||
	    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &below) != SQLITE_OK)
		return ERR_SYSTEM;
	wiping = below;
	wiping.xFree = wiping_free;
	wiping.xRealloc = wiping_realloc;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &wiping) != SQLITE_OK)
		return ERR_SYSTEM;
	done = true;
	return sqlite_err(sqlite3_initialize());
}

int sqlite_err(int code)
{
	switch (code) { /* those that say more than their first byte */
	case SQLITE_IOERR_NOMEM:
		return ERR_NOMEM;
	case SQLITE_IOERR_CORRUPTFS:
	case SQLITE_IOERR_DATA:
		return ERR_CORRUPT;
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_ROWID:
	case SQLITE_CONSTRAINT_UNIQUE:
		return ERR_EXISTS;
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		return ERR_ABSENT;
	}
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return ERR_NOMEM;
	case SQLITE_IOERR:
		return ERR_IO;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT:
		return ERR_CORRUPT;
	case SQLITE_FULL:
		return ERR_FULL;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return ERR_READONLY;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_CANTOPEN:
		return ERR_ABSENT;
	default:
		return ERR_SYSTEM;
	}
}
