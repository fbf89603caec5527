/*
 * schema.h: brings a database to the tables that this program knows.
 */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <sqlite3.h>

#include "node/base/common.h"

/* One step of a migration: sql turns a database of version `from` into one of version `to`. Never edited once
 * it was released. */
struct schema_step {
	unsigned from, to; /* 0: an empty database */
	const char *sql;
};

/* The steps of this program, and the version that they lead to. */
extern const struct schema_step schema_steps[];
extern const size_t schema_steps_len;
enum { SCHEMA_VERSION = 2 };

/* Runs the steps that lead from db's version to newest, all in one transaction. Returns 0, ERR_VERSION for a
 * database of a newer version or of another program, or another enum err; db is then as it was. */
must_check int schema_apply(sqlite3 *db, const struct schema_step *steps, size_t steps_len, unsigned newest);

#endif
