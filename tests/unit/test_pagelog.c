#include "store/pagevfs.h"

#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/crypto/random.h"
#include "tests/memdisk.h"
#include "tests/unit/unit.h"

/* A vault of two places on a disk, with cheap guesses, and the database of place 0. */
struct life {
	struct disk *disk;
	const char *dir;
	struct random_seeded rng;
	struct sym_key kek;
	struct slots *slots;
	struct slots_match match;
	struct pagelog *log;
	struct pagelog_report report;
	struct pagevfs *vfs;
	sqlite3 *db;
};

static void kek_of(struct sym_key *kek, const char *passphrase)
{
	static const struct slots_salt salt = { { 7 } };
	static const struct slots_cost cheap = { 8192, 1 };

	assert_int_equal(slots_derive(kek, span_str(passphrase), &salt, &cheap), 0);
}

static void life_init(struct life *l, struct disk *disk, const char *dir)
{
	*l = (struct life){ .disk = disk, .dir = dir };
	random_seeded_init(&l->rng, 1);
	kek_of(&l->kek, "right");
}

static int life_create(struct life *l)
{
	const struct slots_salt salt = { { 7 } };
	int r = pagelog_create(l->disk, l->dir, 2, &l->rng.base);

	if (r == 0)
		r = slots_create(l->disk, l->dir, 2, &salt, &l->kek, &l->match, &l->rng.base);
	return r;
}

static void life_close(struct life *l)
{
	sqlite3_close(l->db);
	pagevfs_free(l->vfs);
	pagelog_unmount(l->log);
	slots_close(l->slots);
	l->db = NULL;
	l->vfs = NULL;
	l->log = NULL;
	l->slots = NULL;
}

static int exec(struct life *l, const char *sql)
{
	return sqlite3_exec(l->db, sql, NULL, NULL, NULL);
}

static int life_mount(struct life *l)
{
	int r = slots_open(&l->slots, l->disk, l->dir);

	if (r == 0)
		r = slots_try(l->slots, &l->kek, &l->match);
	if (r == 0 && !slots_readonly(l->slots))
		r = slots_settle(l->slots, &l->match, &l->kek, &l->rng.base);
	if (r == 0) {
		const struct pagelog_place where = { l->disk, l->dir, slots_places(l->slots), l->match.place,
			                             l->match.content.generation > 1 };

		r = pagelog_mount(&l->log, &where, &l->match.content.vk, &l->rng.base, &l->report);
	}
	return r;
}

static int life_open(struct life *l)
{
	int r = life_mount(l);

	if (r == 0)
		r = pagevfs_new(&l->vfs, l->log, &l->rng.base);
	if (r == 0)
		r = sqlite3_open_v2("notebook", &l->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE,
		                    pagevfs_name(l->vfs));
	if (r == 0)
		r = exec(
		        l,
		        "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY; PRAGMA temp_store=MEMORY;"
		        "PRAGMA cache_spill=OFF; PRAGMA synchronous=FULL;");
	return r;
}

static sqlite3_int64 number(struct life *l, const char *sql)
{
	sqlite3_stmt *stmt;
	sqlite3_int64 n = -1;

	if (sqlite3_prepare_v2(l->db, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
		n = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return n;
}

static void assert_whole(struct life *l)
{
	sqlite3_stmt *stmt;

	assert_int_equal(sqlite3_prepare_v2(l->db, "PRAGMA integrity_check", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
	sqlite3_finalize(stmt);
}

/* --- The scripted life: each step is one commit, or a compaction. After n whole steps the table tells n. ---
 */

static const char *const script[] = {
	"CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB); CREATE TABLE step(n); INSERT INTO step VALUES(0);",
	"INSERT INTO t(b) VALUES(zeroblob(100)), (zeroblob(20000));",
	"INSERT INTO t(b) SELECT zeroblob(3000) FROM (VALUES(1),(2),(3),(4),(5),(6),(7),(8));",
	NULL,
	"DELETE FROM t WHERE a % 2 = 0;",
	"INSERT INTO t(b) VALUES(zeroblob(900000));",
	"DELETE FROM t WHERE a > 8;",
	NULL,
	"UPDATE t SET b = zeroblob(5000);",
	"INSERT INTO t(b) VALUES(zeroblob(10));",
};

/* Runs a step; returns 0 when it is durable. */
static int run_step(struct life *l, size_t i)
{
	char sql[512];

	if (script[i] == NULL)
		return pagelog_compact(l->log, l->slots, &l->match, &l->kek);
	snprintf(sql, sizeof(sql), "BEGIN IMMEDIATE; %s UPDATE step SET n = %zu; COMMIT;", script[i], i);
	return exec(l, sql);
}

/* Runs the script until something fails; how many steps were told to be durable. */
static size_t run_life(struct life *l)
{
	size_t done = 0;

	if (life_open(l) == 0)
		while (done < COUNT_OF(script) && run_step(l, done) == 0)
			done++;
	life_close(l);
	return done;
}

/* The last step before number `done` that left its mark; -1: none. */
static sqlite3_int64 told(size_t done)
{
	while (done > 0 && script[done - 1] == NULL)
		done--;
	return (sqlite3_int64)done - 1;
}

/* After the fault: everything told is there, at most the step that ran is there besides. */
static void assert_survived(struct life *l, size_t done)
{
	sqlite3_int64 n;

	assert_int_equal(life_open(l), 0);
	assert_whole(l);
	n = number(l, "SELECT n FROM step");
	assert_true(n == told(done) || (done < COUNT_OF(script) && n == told(done + 1)));
	assert_int_equal(exec(l, "CREATE TABLE IF NOT EXISTS again(x); INSERT INTO again VALUES(1)"), 0);
	assert_whole(l);
	life_close(l);
}

static void a_crash_at_any_operation_loses_nothing_told(void **state)
{
	struct memdisk fresh, d;
	struct life l;
	uint64_t ops;

	(void)state;
	memdisk_init(&fresh);
	life_init(&l, &fresh.base, "v");
	assert_int_equal(life_create(&l), 0);
	memdisk_copy(&d, &fresh);
	l.disk = &d.base;
	d.ops = 0;
	assert_int_equal(run_life(&l), COUNT_OF(script));
	ops = d.ops;
	memdisk_deinit(&d);
	assert_true(ops > 50);
	for (uint64_t at = 1; at <= ops; at++) {
		for (uint64_t seed = 0; seed < 2; seed++) {
			size_t done;

			memdisk_copy(&d, &fresh);
			l.disk = &d.base;
			d.ops = 0;
			d.fail_at = at;
			d.fail_on = true;
			d.fail_with = ERR_SYSTEM;
			done = run_life(&l);
			memdisk_crash(&d, seed == 0 ? at % 2 : at + 2);
			assert_survived(&l, done);
			memdisk_deinit(&d);
		}
	}
	memdisk_deinit(&fresh);
}

static void an_error_at_any_operation_loses_nothing_told(void **state)
{
	static const int errors[] = { ERR_IO, ERR_FULL };
	struct memdisk fresh, d;
	struct life l;
	uint64_t ops = 1;

	(void)state;
	memdisk_init(&fresh);
	life_init(&l, &fresh.base, "v");
	assert_int_equal(life_create(&l), 0);
	for (uint64_t at = 1; at <= ops; at++) {
		for (unsigned mode = 0; mode < 2; mode++) {
			size_t done;

			memdisk_copy(&d, &fresh);
			l.disk = &d.base;
			d.ops = 0;
			d.fail_at = at;
			d.fail_on = mode == 0;
			d.fail_with = errors[mode];
			done = run_life(&l);
			ops = MAX(ops, d.ops);
			d.fail_at = 0;
			memdisk_exit(&d);
			assert_survived(&l, done);
			memdisk_deinit(&d);
		}
	}
	memdisk_deinit(&fresh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crash_at_any_operation_loses_nothing_told),
		cmocka_unit_test(an_error_at_any_operation_loses_nothing_told),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
