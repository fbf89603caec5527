/*
 * sqlite.h: how this process uses the SQLite library.
 */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include "node/base/common.h"

/* Sets SQLite up for the process: one thread, and memory that is wiped before it is given back, because pages
 * and rows are in it in clear. Must come before the first other call of SQLite (to register a VFS is one);
 * again is nothing. store_open() and pagevfs_new() call it. Returns 0 or an enum err. */
must_check int sqlite_setup(void);

/* The enum err, or 0, that says the same as an extended result code of SQLite. */
int sqlite_err(int code);

#endif
