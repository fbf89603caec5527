#include "store/pagevfs.h"

#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/crypto/random.h"
#include "store/sqlite.h"
#include "tools/sim/disk.h"
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
	struct sim_disk fresh, d;
	struct life l;
	uint64_t ops;

	(void)state;
	sim_disk_init(&fresh);
	life_init(&l, &fresh.base, "v");
	assert_int_equal(life_create(&l), 0);
	sim_disk_copy(&d, &fresh);
	l.disk = &d.base;
	d.ops = 0;
	assert_int_equal(run_life(&l), COUNT_OF(script));
	ops = d.ops;
	sim_disk_deinit(&d);
	assert_true(ops > 50);
	for (uint64_t at = 1; at <= ops; at++) {
		for (uint64_t seed = 0; seed < 2; seed++) {
			size_t done;

			sim_disk_copy(&d, &fresh);
			l.disk = &d.base;
			d.ops = 0;
			sim_disk_fail(&d, &(struct sim_disk_fault){ .at = at, .cut = SIM_DISK_CUT_HALF });
			done = run_life(&l);
			sim_disk_crash(&d, seed == 0 ? at % 2 : at % SIM_DISK_LEFTS, at);
			assert_survived(&l, done);
			sim_disk_deinit(&d);
		}
	}
	sim_disk_deinit(&fresh);
}

static void an_error_at_any_operation_loses_nothing_told(void **state)
{
	static const int errors[] = { ERR_IO, ERR_FULL };
	struct sim_disk fresh, d;
	struct life l;
	uint64_t ops = 1;

	(void)state;
	sim_disk_init(&fresh);
	life_init(&l, &fresh.base, "v");
	assert_int_equal(life_create(&l), 0);
	for (uint64_t at = 1; at <= ops; at++) {
		const unsigned mode = at % 2; /* for ever, once */
		size_t done;

		sim_disk_copy(&d, &fresh);
		l.disk = &d.base;
		d.ops = 0;
		sim_disk_fail(&d, &(struct sim_disk_fault){
		                          .at = at, .on = mode == 0, .half = true, .with = errors[mode] });
		done = run_life(&l);
		ops = MAX(ops, d.ops);
		sim_disk_mend(&d);
		sim_disk_exit(&d);
		assert_survived(&l, done);
		sim_disk_deinit(&d);
	}
	sim_disk_deinit(&fresh);
}

/* --- The log alone --- */

static const struct sym_key vk = { { 5 } };

static int mount_alone(struct pagelog **log, struct sim_disk *d, struct pagelog_report *report)
{
	static struct random_seeded rng;
	const struct pagelog_place where = { &d->base, "v", 2, 1, false };

	random_seeded_init(&rng, d->ops);
	return pagelog_mount(log, &where, &vk, &rng.base, report);
}

static void alone_init(struct sim_disk *d, struct pagelog **log)
{
	struct random_seeded rng;
	struct pagelog_report report;

	random_seeded_init(&rng, 8);
	sim_disk_init(d);
	assert_int_equal(pagelog_create(&d->base, "v", 2, &rng.base), 0);
	assert_int_equal(mount_alone(log, d, &report), 0);
	assert_int_equal(report.commits, 0);
}

static uint64_t len_of(const struct sim_disk *d, const char *path)
{
	uint64_t len = 0;

	assert_true(sim_disk_find(d, path, &len));
	return len;
}

static void put(struct pagelog *log, uint32_t pgno, uint8_t value)
{
	uint8_t page[RECORD_PAGE];

	memset(page, value, sizeof(page));
	assert_int_equal(pagelog_write(log, pgno, page), 0);
}

static void assert_page(struct pagelog *log, uint32_t pgno, uint8_t value)
{
	uint8_t page[RECORD_PAGE], want[RECORD_PAGE];

	memset(want, value, sizeof(want));
	assert_int_equal(pagelog_read(log, page, pgno), 0);
	assert_memory_equal(page, want, sizeof(page));
}

static void a_commit_of_many_parts_is_one(void **state)
{
	enum { PAGES = 2 * RECORD_PAGES_MAX + 5 };
	struct sim_disk d;
	struct pagelog *log;
	struct pagelog_report report;
	uint64_t syncs;

	(void)state;
	alone_init(&d, &log);
	for (uint32_t pgno = 1; pgno <= PAGES; pgno++)
		put(log, pgno, (uint8_t)pgno);
	put(log, 3, 77);     /* its part is on the disk already */
	put(log, PAGES, 78); /* its part is in memory */
	assert_page(log, 3, 77);
	assert_page(log, PAGES, 78);
	syncs = d.count[SIM_DISK_SYNC];
	assert_int_equal(pagelog_commit(log), 0);
	assert_int_equal(d.count[SIM_DISK_SYNC], syncs + 1);
	pagelog_unmount(log);
	sim_disk_crash(&d, SIM_DISK_LOST, 0);
	assert_int_equal(mount_alone(&log, &d, &report), 0);
	assert_int_equal(report.commits, 1);
	assert_int_equal(report.db_pages, PAGES);
	assert_page(log, 3, 77);
	assert_page(log, 4, 4);
	assert_page(log, PAGES, 78);
	pagelog_unmount(log);
	assert_int_equal(len_of(&d, "v/0"), len_of(&d, "v/1"));
	sim_disk_deinit(&d);
}

static void pages_that_were_cut_come_back_as_zeros(void **state)
{
	struct sim_disk d;
	struct pagelog *log;
	struct pagelog_report report;

	(void)state;
	alone_init(&d, &log);
	for (uint32_t pgno = 1; pgno <= 4; pgno++)
		put(log, pgno, 1);
	assert_int_equal(pagelog_commit(log), 0);
	pagelog_resize(log, 2); /* shorter and longer within one commit */
	put(log, 4, 2);
	assert_page(log, 3, 0);
	pagelog_rollback(log);
	assert_page(log, 3, 1);
	pagelog_resize(log, 2);
	put(log, 4, 2);
	assert_int_equal(pagelog_commit(log), 0);
	pagelog_resize(log, 3); /* a commit without a page */
	assert_int_equal(pagelog_commit(log), 0);
	put(log, 5, 3);
	assert_int_equal(pagelog_commit(log), 0);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(pagelog_pages(log), 5);
		assert_page(log, 2, 1);
		assert_page(log, 3, 0);
		assert_page(log, 4, 0);
		assert_page(log, 5, 3);
		pagelog_unmount(log);
		assert_int_equal(mount_alone(&log, &d, &report), 0);
		assert_int_equal(report.commits, 4);
	}
	pagelog_unmount(log);
	sim_disk_deinit(&d);
}

static void damage_is_told_and_never_read(void **state)
{
	struct sim_disk d;
	struct pagelog *log;
	struct pagelog_report report;
	uint8_t page[RECORD_PAGE];

	(void)state;
	alone_init(&d, &log);
	for (uint8_t i = 1; i <= 3; i++) {
		put(log, i, i);
		assert_int_equal(pagelog_commit(log), 0);
	}
	pagelog_unmount(log);
	/* A page of an earlier commit. */
	sim_disk_flip(&d, "v/1", 4096 + 100, 0);
	assert_int_equal(mount_alone(&log, &d, &report), 0);
	assert_int_equal(pagelog_read(log, page, 1), ERR_CORRUPT);
	assert_page(log, 2, 2);
	pagelog_unmount(log);
	/* A head with commits behind it: reads up to there, writes nothing. */
	sim_disk_flip(&d, "v/1", 12288 + 100, 0);
	d.readonly = true;
	assert_int_equal(mount_alone(&log, &d, &report), PAGELOG_DAMAGED);
	assert_int_equal(report.cut, PAGELOG_BROKEN);
	assert_int_equal(report.commits, 1);
	assert_int_equal(report.bytes_cut, 2 * 12288);
	assert_int_equal(pagelog_write(log, 1, page), ERR_READONLY);
	pagelog_unmount(log);
	sim_disk_deinit(&d);
}

static void after_a_failed_sync_nothing_is_written_until_mounted(void **state)
{
	struct sim_disk d;
	struct pagelog *log;
	struct pagelog_report report;
	uint8_t page[RECORD_PAGE] = { 0 };

	(void)state;
	alone_init(&d, &log);
	put(log, 1, 1);
	assert_int_equal(pagelog_commit(log), 0);
	put(log, 1, 2);
	sim_disk_fail(&d, &(struct sim_disk_fault){ .at = 2, .with = ERR_IO }); /* the write, then the sync */
	assert_int_equal(pagelog_commit(log), ERR_IO);
	assert_int_equal(pagelog_write(log, 1, page), ERR_IO);
	assert_page(log, 1, 1);
	pagelog_unmount(log);
	assert_int_equal(mount_alone(&log, &d, &report), 0);
	put(log, 2, 3);
	assert_int_equal(pagelog_commit(log), 0);
	pagelog_unmount(log);
	sim_disk_deinit(&d);
}

static void a_full_disk_refuses_and_works_on(void **state)
{
	struct sim_disk d;
	struct pagelog *log;

	(void)state;
	alone_init(&d, &log);
	put(log, 1, 1);
	assert_int_equal(pagelog_commit(log), 0);
	for (uint32_t pgno = 1; pgno <= 300; pgno++)
		put(log, pgno, 2);
	sim_disk_fail(&d,
	              &(struct sim_disk_fault){ .at = 2, .with = ERR_FULL }); /* room for the second log */
	assert_int_equal(pagelog_commit(log), ERR_FULL);
	assert_int_equal(len_of(&d, "v/0"), PAGELOG_STEP);
	assert_int_equal(len_of(&d, "v/1"), PAGELOG_STEP);
	assert_page(log, 1, 1);
	assert_int_equal(pagelog_pages(log), 1);
	put(log, 2, 3);
	assert_int_equal(pagelog_commit(log), 0);
	pagelog_unmount(log);
	sim_disk_deinit(&d);
}

static void sqlite_is_kept_to_its_settings(void **state)
{
	struct sim_disk d;
	struct life l;

	(void)state;
	sim_disk_init(&d);
	life_init(&l, &d.base, "v");
	assert_int_equal(life_create(&l), 0);
	assert_int_equal(life_open(&l), 0);
	assert_int_equal(exec(&l, "CREATE TABLE t(a)"), 0);
	assert_int_equal(exec(&l, "PRAGMA journal_mode=WAL"), SQLITE_ERROR);
	assert_int_equal(exec(&l, "PRAGMA journal_mode=DELETE"), SQLITE_ERROR);
	assert_int_equal(exec(&l, "PRAGMA synchronous=OFF"), SQLITE_ERROR);
	assert_int_equal(exec(&l, "ATTACH 'other' AS other"), SQLITE_CANTOPEN);
	assert_int_equal(exec(&l, "INSERT INTO t VALUES(1)"), 0);
	assert_whole(&l);
	life_close(&l);
	assert_int_equal(sim_disk_names(&d), 4); /* the folder, the slots, two logs */
	sim_disk_deinit(&d);
}

static void a_compacted_log_is_never_taken_for_empty(void **state)
{
	struct sim_disk d;
	struct sym_key before;
	struct life l;

	(void)state;
	sim_disk_init(&d);
	life_init(&l, &d.base, "v");
	assert_int_equal(life_create(&l), 0);
	assert_int_equal(life_open(&l), 0);
	assert_int_equal(exec(&l, "CREATE TABLE t(a)"), 0);
	before = l.match.content.vk;
	assert_int_equal(run_step(&l, 3), 0);
	assert_memory_not_equal(&l.match.content.vk, &before,
	                        sizeof(before)); /* what was deleted is under that one */
	life_close(&l);
	sim_disk_flip(&d, "v/0", 4096 + 5000, 0); /* a page */
	assert_int_equal(life_mount(&l), 0);
	assert_int_equal(l.report.commits, 1);
	life_close(&l);
	sim_disk_flip(&d, "v/0", 5, 0); /* the head */
	assert_int_equal(life_mount(&l), ERR_CORRUPT);
	life_close(&l);
	sim_disk_deinit(&d);
}

/* --- The blank --- */

/* A life whose log was made anew with one commit of so many pages, and is closed. */
static void anew_init(struct sim_disk *d, struct life *l, uint32_t pages)
{
	sim_disk_init(d);
	life_init(l, &d->base, "v");
	assert_int_equal(life_create(l), 0);
	assert_int_equal(life_mount(l), 0);
	for (uint32_t pgno = 1; pgno <= pages; pgno++)
		put(l->log, pgno, (uint8_t)pgno);
	assert_int_equal(pagelog_commit(l->log), 0);
	assert_int_equal(run_step(l, 3), 0);
	life_close(l);
}

/* The bytes of that log's blank as they must be. */
static void blank_of(const struct life *l, uint8_t out[static RECORD_BLANK * RECORD_BLOCK])
{
	struct sym_key k;

	record_key(&k, &l->match.content.vk);
	for (uint32_t i = 0; i < RECORD_BLANK; i++)
		record_blank(out + (size_t)i * RECORD_BLOCK, i, &k);
}

static void a_log_made_anew_is_as_long_as_its_blank_and_the_others(void **state)
{
	/* The blank behind 244 pages ends where the first step does; the commit of 252 pages ends there
	 * itself. */
	static const uint32_t pages[] = { 1, 243, 244, 246, 252, 253 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pages); i++) {
		uint8_t want[RECORD_BLANK * RECORD_BLOCK], found[sizeof(want)];
		const uint64_t end = record_len(pages[i]);
		struct sim_disk d;
		struct life l;
		uint64_t len, other;

		anew_init(&d, &l, pages[i]);
		assert_true(sim_disk_find(&d, "v/0", &len));
		assert_true(sim_disk_find(&d, "v/1", &other));
		assert_true(len == other && len % PAGELOG_STEP == 0);
		assert_int_equal(len, end + sizeof(want) > PAGELOG_STEP ? 2 * PAGELOG_STEP : PAGELOG_STEP);
		blank_of(&l, want);
		sim_disk_peek(&d, "v/0", found, sizeof(found), end);
		assert_memory_equal(found, want, sizeof(want));
		assert_int_equal(life_mount(&l), 0);
		assert_int_equal(l.report.end, end);
		life_close(&l);
		sim_disk_deinit(&d);
	}
}

/* Reads and syncs of one mount of the log alone. */
static void count_mount(struct sim_disk *d, struct life *l, uint64_t *reads, uint64_t *syncs)
{
	const uint64_t reads_before = d->count[SIM_DISK_READ], syncs_before = d->count[SIM_DISK_SYNC];

	assert_int_equal(life_mount(l), 0);
	assert_int_equal(l->report.cut, PAGELOG_WHOLE);
	*reads = d->count[SIM_DISK_READ] - reads_before;
	*syncs = d->count[SIM_DISK_SYNC] - syncs_before;
	life_close(l);
}

static void a_blank_that_stands_ends_the_look(void **state)
{
	struct sim_disk d;
	struct life l;
	uint64_t reads, syncs, more, later;

	(void)state;
	anew_init(&d, &l, 3);
	count_mount(&d, &l, &reads, &syncs);
	assert_int_equal(syncs, 0);
	/* One bit of its last block: everything is looked through, and nothing is found. */
	sim_disk_flip(&d, "v/0", record_len(3) + RECORD_BLANK * RECORD_BLOCK - 1, 7);
	count_mount(&d, &l, &more, &syncs);
	assert_true(more > reads);
	assert_int_equal(syncs, 0);
	/* A later commit may not be on the disk yet. */
	assert_int_equal(life_mount(&l), 0);
	put(l.log, 1, 9);
	assert_int_equal(pagelog_commit(l.log), 0);
	life_close(&l);
	count_mount(&d, &l, &later, &syncs);
	assert_int_equal(syncs, 1);
	sim_disk_deinit(&d);
}

static void what_was_written_over_a_blank_is_not_cut_off(void **state)
{
	const uint64_t end = record_len(3);
	uint8_t blank[RECORD_BLANK * RECORD_BLOCK];
	struct sim_disk d;
	struct life l;

	(void)state;
	anew_init(&d, &l, 3);
	blank_of(&l, blank);
	assert_int_equal(life_mount(&l), 0);
	for (uint8_t i = 1; i <= 4; i++) {
		put(l.log, 1, i);
		assert_int_equal(pagelog_commit(l.log), 0);
	}
	life_close(&l);
	/* The disk forgot to write the first commit, all three blocks of it. */
	sim_disk_poke(&d, "v/0", blank, 3 * RECORD_BLOCK, end);
	assert_int_equal(life_mount(&l), PAGELOG_DAMAGED);
	assert_int_equal(l.report.cut, PAGELOG_BROKEN);
	assert_int_equal(l.report.commits, 1);
	assert_int_equal(l.report.bytes_cut, 4 * record_len(1));
	life_close(&l);
	/* Three commits, and all of the blank but its last block. */
	sim_disk_poke(&d, "v/0", blank, sizeof(blank) - RECORD_BLOCK, end);
	assert_int_equal(life_mount(&l), PAGELOG_DAMAGED);
	life_close(&l);
	sim_disk_deinit(&d);
}

/* --- What SQLite calls --- */

/* Pages come and go whole, within bounds; what the log says reaches SQLite by a name that leads back. */
static void sqlite_gets_pages_and_no_more_than_there_may_be(void **state)
{
	static const int errors[][2] = { { ERR_NOMEM, SQLITE_IOERR_NOMEM },
		                         { ERR_FULL, SQLITE_FULL },
		                         { ERR_READONLY, SQLITE_READONLY },
		                         { ERR_CORRUPT, SQLITE_IOERR_DATA },
		                         { ERR_IO, SQLITE_IOERR_READ } };
	const sqlite3_int64 beyond = (sqlite3_int64)PAGELOG_DB_PAGES_MAX * RECORD_PAGE;
	uint8_t page[RECORD_PAGE], zeros[100] = { 0 };
	struct sim_disk d;
	struct pagelog *log;
	struct pagevfs *v;
	struct random_seeded rng;
	sqlite3_vfs *vfs;
	sqlite3_file *f;
	sqlite3_int64 size;
	int reserved = 1;

	(void)state;
	memset(page, 7, sizeof(page));
	random_seeded_init(&rng, 3);
	alone_init(&d, &log);
	assert_int_equal(pagevfs_new(&v, log, &rng.base), 0);
	vfs = sqlite3_vfs_find(pagevfs_name(v));
	f = calloc(1, (size_t)vfs->szOsFile);
	assert_int_equal(vfs->xOpen(vfs, "x", f, SQLITE_OPEN_MAIN_JOURNAL, NULL), SQLITE_CANTOPEN);
	assert_int_equal(vfs->xOpen(vfs, "x", f, SQLITE_OPEN_MAIN_DB, NULL), SQLITE_OK);
	assert_int_equal(f->pMethods->xSectorSize(f), RECORD_PAGE);
	assert_int_equal(f->pMethods->xCheckReservedLock(f, &reserved), SQLITE_OK);
	assert_int_equal(reserved, 0); /* by nobody */
	assert_int_equal(f->pMethods->xWrite(f, page, 512, 0), SQLITE_IOERR_WRITE);
	assert_int_equal(f->pMethods->xWrite(f, page, RECORD_PAGE, 512), SQLITE_IOERR_WRITE);
	assert_int_equal(f->pMethods->xWrite(f, page, RECORD_PAGE, beyond), SQLITE_FULL);
	assert_int_equal(f->pMethods->xTruncate(f, beyond + 1), SQLITE_FULL);
	assert_int_equal(f->pMethods->xFileSize(f, &size), SQLITE_OK);
	assert_int_equal(size, 0);
	assert_int_equal(f->pMethods->xWrite(f, page, RECORD_PAGE, 0), SQLITE_OK);
	assert_int_equal(f->pMethods->xWrite(f, page, RECORD_PAGE, RECORD_PAGE), SQLITE_OK);
	assert_int_equal(f->pMethods->xSync(f, 0), SQLITE_OK);
	for (size_t i = 0; i < COUNT_OF(errors); i++) {
		sim_disk_fail(&d, &(struct sim_disk_fault){
		                          .at = 1, .kinds = BIT(SIM_DISK_READ), .with = errors[i][0] });
		memset(page, 9, sizeof(page));
		assert_int_equal(f->pMethods->xRead(f, page, 100, 24), errors[i][1]);
		assert_memory_equal(page, zeros, 100); /* nothing of what was asked for, and nothing old */
		assert_int_equal(sqlite_err(errors[i][1]), errors[i][0]);
		sim_disk_mend(&d);
	}
	assert_int_equal(f->pMethods->xTruncate(f, 1), SQLITE_OK);
	assert_int_equal(f->pMethods->xFileSize(f, &size), SQLITE_OK);
	assert_int_equal(size, RECORD_PAGE);
	f->pMethods->xClose(f);
	free(f);
	pagevfs_free(v);
	pagelog_unmount(log);
	sim_disk_deinit(&d);
}

/* No clock, no sleep, no file beside the one, and no randomness but what was handed in. */
static void sqlite_has_nothing_of_the_system(void **state)
{
	struct sim_disk d;
	struct pagelog *log;
	struct pagevfs *v;
	struct random_seeded rng, twin;
	sqlite3_vfs *vfs;
	uint8_t ours[32], drawn[32];
	double days = 0;

	(void)state;
	random_seeded_init(&rng, 3);
	random_seeded_init(&twin, 3);
	alone_init(&d, &log);
	assert_int_equal(pagevfs_new(&v, log, &rng.base), 0);
	vfs = sqlite3_vfs_find(pagevfs_name(v));
	assert_int_equal(vfs->xDelete(vfs, "v/0", 1), SQLITE_IOERR_DELETE_NOENT);
	assert_true(sim_disk_find(&d, "v/0", NULL));
	assert_int_equal(vfs->xRandomness(vfs, sizeof(drawn), (char *)drawn), sizeof(drawn));
	random_bytes(&twin.base, ours, sizeof(ours));
	assert_memory_equal(ours, drawn, sizeof(ours));
	assert_int_equal(vfs->xSleep(vfs, 1000000000), 1000000000);
	assert_int_equal(vfs->xCurrentTime(vfs, &days), SQLITE_OK);
	assert_true(days == 2440587.5);
	pagevfs_free(v);
	pagelog_unmount(log);
	sim_disk_deinit(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sqlite_gets_pages_and_no_more_than_there_may_be),
		cmocka_unit_test(sqlite_has_nothing_of_the_system),
		cmocka_unit_test(a_commit_of_many_parts_is_one),
		cmocka_unit_test(pages_that_were_cut_come_back_as_zeros),
		cmocka_unit_test(damage_is_told_and_never_read),
		cmocka_unit_test(after_a_failed_sync_nothing_is_written_until_mounted),
		cmocka_unit_test(a_full_disk_refuses_and_works_on),
		cmocka_unit_test(sqlite_is_kept_to_its_settings),
		cmocka_unit_test(a_compacted_log_is_never_taken_for_empty),
		cmocka_unit_test(a_log_made_anew_is_as_long_as_its_blank_and_the_others),
		cmocka_unit_test(a_blank_that_stands_ends_the_look),
		cmocka_unit_test(what_was_written_over_a_blank_is_not_cut_off),
		cmocka_unit_test(a_crash_at_any_operation_loses_nothing_told),
		cmocka_unit_test(an_error_at_any_operation_loses_nothing_told),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
