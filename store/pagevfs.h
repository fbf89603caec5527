/*
 * pagevfs.h: SQLite over a page log.
 *
 * A VFS of ours for one mounted log. One file can be opened on it, once, and it is
 * the database; there is no journal, no temporary file, no clock, and no randomness
 * but what was handed in. One xSync is one commit of the log.
 */
#ifndef STORE_PAGEVFS_H
#define STORE_PAGEVFS_H

#include <sqlite3.h>

#include "store/pagelog.h"

struct pagevfs;

/* Registers the VFS. log and rng are borrowed and outlive it. */
must_check int pagevfs_new(struct pagevfs **out, struct pagelog *log, struct random *rng);
/* The database must be closed. NULL is allowed. */
void pagevfs_free(struct pagevfs *v);

/* What SQLite knows it by; borrowed. Any file name opens the one database. */
const char *pagevfs_name(const struct pagevfs *v);

/* Opens the database with everything set as PROTOCOL section 8 wants it; setting it otherwise is refused from
 * then on. cache_kib bounds SQLite's page cache. An empty log is an empty database. Returns 0 or an enum err:
 * ERR_CORRUPT where what opens is no database. */
must_check int pagevfs_open(struct pagevfs *v, sqlite3 **out, unsigned cache_kib);

/* The enum err behind an SQLite result code (primary or extended) of this database; 0 for SQLITE_OK, _ROW and
 * _DONE. */
int pagevfs_err(const struct pagevfs *v, int sqlite_code);

#endif
