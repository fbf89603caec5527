#include "store/schema.h"

#include "store/schema_sql.h" /* made from schema.sql */
#include "store/sqlite.h"

enum { APPLICATION_ID = 0x466c796c }; /* as in schema.sql */

/* An empty database gets the newest tables at once; an older one goes version by version. */
const struct schema_step schema_steps[] = {
	{ 0, SCHEMA_VERSION, schema_sql },
	{ 1, 2, "ALTER TABLE conversations ADD COLUMN repeats INTEGER" },
};
const size_t schema_steps_len = COUNT_OF(schema_steps);

static int number(sqlite3 *db, const char *sql, int64_t *out)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &q, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return rc == SQLITE_DONE ? ERR_CORRUPT : sqlite_err(rc);
}

static int execute(sqlite3 *db, const char *sql)
{
	return sqlite_err(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static const struct schema_step *step_from(const struct schema_step *steps, size_t len, int64_t version)
{
	for (size_t i = 0; i < len; i++)
		if (steps[i].from == version)
			return &steps[i];
	return NULL;
}

static int walk(sqlite3 *db, const struct schema_step *steps, size_t len, int64_t version, unsigned newest)
{
	char set_version[48];
	int r = 0;

	while (r == 0 && version != newest) {
		const struct schema_step *step = step_from(steps, len, version);

		if (step == NULL)
			return ERR_CORRUPT; /* a version that never was */
		r = execute(db, step->sql);
		version = step->to;
	}
	if (r != 0)
		return r;
	/* A pragma takes no parameter; the number is our own. */
	sqlite3_snprintf(sizeof(set_version), set_version, "PRAGMA user_version = %u", newest);
	return execute(db, set_version);
}

int schema_apply(sqlite3 *db, const struct schema_step *steps, size_t steps_len, unsigned newest)
{
	int64_t application = 0, version = 0, things = 0;
	int r = number(db, "PRAGMA application_id", &application);

	if (r == 0)
		r = number(db, "PRAGMA user_version", &version);
	if (r == 0)
		r = number(db, "SELECT count(*) FROM sqlite_schema", &things);
	if (r != 0)
		return r;
	if (things > 0 && application != APPLICATION_ID)
		return ERR_VERSION;
	if (version > newest)
		return ERR_VERSION;
	if (version == newest)
		return 0;
	r = execute(db, "BEGIN IMMEDIATE");
	if (r == 0)
		r = walk(db, steps, steps_len, version, newest);
	if (r == 0)
		r = execute(db, "COMMIT");
	if (r != 0 && !sqlite3_get_autocommit(db))
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}
