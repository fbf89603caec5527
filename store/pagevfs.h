/*
 * pagevfs.h: SQLite over a page log.
 *
 * A VFS of ours for one mounted log. One file can be opened on it, once, and it is
 * the database; there is no journal, no temporary file, no clock, and no randomness
 * but what was handed in. One xSync is one commit of the log.
 */
#ifndef STORE_PAGEVFS_H
#define STORE_PAGEVFS_H

#include "store/pagelog.h"

struct pagevfs;

/* Registers the VFS, under a name of its own. log and rng are borrowed and outlive it. Returns 0 or an enum
 * err. */
must_check int pagevfs_new(struct pagevfs **out, struct pagelog *log, struct random *rng);
/* The database must be closed. NULL is allowed. */
void pagevfs_free(struct pagevfs *v);
/* What store_open() takes; any name of a file will do. Borrowed from v. Once the database is open, the
 * settings of PROTOCOL section 8 cannot be changed to others. */
const char *pagevfs_name(const struct pagevfs *v);

#endif
