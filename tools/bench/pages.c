/*
 * The same SQL over the page log and over plain SQLite in WAL, both with synchronous=FULL.
 */
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>
#include <sqlite3.h>

#include "node/crypto/random.h"
#include "store/pagevfs.h"
#include "store/sqlite.h"
#include "tools/bench/bench.h"

enum {
	ROWS = 100000,
	ROWS_A_TURN = 2000,
	TEXT = 150,
	SINGLES = 200,
	RANGES = 300,
	RANGE = 500,
	CACHE_KIB = 2048,
	OPENS = 9,
	OPEN_ROUNDS = 4
};

struct pages {
	char log[BENCH_PATH_MAX], plain[BENCH_PATH_MAX];
	double (*work)(sqlite3 *db);
};

/* A database of one kind or the other. */
struct base {
	sqlite3 *db;
	struct slots *slots;
	struct slots_match match;
	struct pagelog *log;
	struct pagevfs *vfs;
};

/* As store_open() has them. */
#define LOG_PRAGMAS                                                                                          \
	"PRAGMA page_size=4096; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY; "                 \
	"PRAGMA temp_store=MEMORY; PRAGMA cache_size=-2048; PRAGMA cache_spill=OFF; PRAGMA "                 \
	"synchronous=FULL; "                                                                                 \
	"PRAGMA secure_delete=ON"

static const struct sym_key kek = { { 7 } };

static void sql(sqlite3 *db, const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		bench_fail(text, sqlite3_errmsg(db));
}

/* Up to where the rows could be opened: what is measured elsewhere. */
static void unlock_log(struct base *b, const char *dir)
{
	bench_must(slots_open(&b->slots, disk_posix(), dir), "the slots");
	bench_must(slots_try(b->slots, &kek, &b->match), "the slots");
}

static void mount_log(struct base *b, const char *dir)
{
	const struct pagelog_place where = {
		.disk = disk_posix(),
		.dir = dir,
		.places = slots_places(b->slots),
		.place = b->match.place,
		.begun = b->match.content.generation > 1,
	};
	struct pagelog_report report;

	bench_must(pagelog_mount(&b->log, &where, &b->match.content.vk, random_system(), &report), dir);
	bench_must(pagevfs_new(&b->vfs, b->log, random_system()), dir);
	if (sqlite3_open_v2("rows", &b->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
	                    pagevfs_name(b->vfs)) != SQLITE_OK)
		bench_fail(dir, "it does not open");
	sql(b->db, LOG_PRAGMAS);
}

static void make_log(const char *dir)
{
	struct slots_salt salt;
	struct slots_match match;

	bench_remove(dir);
	slots_salt_new(&salt, SLOTS_64_MIB, random_system());
	bench_must(pagelog_create(disk_posix(), dir, SLOTS_PLACES_OWN, random_system()), dir);
	bench_must(slots_create(disk_posix(), dir, SLOTS_PLACES_OWN, &salt, &kek, &match, random_system()),
	           dir);
}

static void open_plain(struct base *b, const char *path)
{
	char cache[64];

	if (sqlite3_open(path, &b->db) != SQLITE_OK)
		bench_fail(path, "it does not open");
	snprintf(cache, sizeof(cache), "PRAGMA cache_size=-%d", CACHE_KIB);
	sql(b->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
	sql(b->db, cache);
}

static void close_rows(struct base *b)
{
	sqlite3_close(b->db);
	pagevfs_free(b->vfs);
	pagelog_unmount(b->log);
}

static void close_base(struct base *b)
{
	close_rows(b);
	slots_close(b->slots);
}

/* ---- The works ------------------------------------------------------------- */

static void step(sqlite3 *db, sqlite3_stmt *q, int expected)
{
	if (sqlite3_step(q) != expected)
		bench_fail("SQLite", sqlite3_errmsg(db));
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *text)
{
	sqlite3_stmt *q;

	if (sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, &q, NULL) != SQLITE_OK)
		bench_fail(text, sqlite3_errmsg(db));
	return q;
}

static void insert(sqlite3 *db, sqlite3_stmt *q, int id)
{
	uint8_t text[TEXT];

	memset(text, 'a' + id % 26, sizeof(text));
	sqlite3_bind_int(q, 1, id);
	sqlite3_bind_blob(q, 2, text, sizeof(text), SQLITE_STATIC);
	step(db, q, SQLITE_DONE);
	sqlite3_reset(q);
}

static double bulk(sqlite3 *db)
{
	sqlite3_stmt *q;
	double began;

	sql(db, "CREATE TABLE m(id INTEGER PRIMARY KEY, text BLOB)");
	q = prepare(db, "INSERT INTO m VALUES(?1, ?2)");
	began = timing_now();
	for (int i = 0; i < ROWS; i++) {
		if (i % ROWS_A_TURN == 0)
			sql(db, "BEGIN IMMEDIATE");
		insert(db, q, i);
		if ((i + 1) % ROWS_A_TURN == 0)
			sql(db, "COMMIT");
	}
	began = timing_now() - began;
	sqlite3_finalize(q);
	return began;
}

static double singles(sqlite3 *db)
{
	sqlite3_stmt *q = prepare(db, "INSERT INTO m VALUES(?1 + (SELECT max(id) FROM m), ?2)");
	const double began = timing_now();

	for (int i = 0; i < SINGLES; i++)
		insert(db, q, 1);
	sqlite3_finalize(q);
	return (timing_now() - began) / SINGLES;
}

static double ranges(sqlite3 *db)
{
	sqlite3_stmt *q = prepare(db, "SELECT sum(length(text)) FROM m WHERE id >= ?1 AND id < ?1 + ?2");
	const double began = timing_now();

	for (int i = 0; i < RANGES; i++) {
		sqlite3_bind_int(q, 1, (int)((unsigned)i * 7919 * 13 % (ROWS - RANGE)));
		sqlite3_bind_int(q, 2, RANGE);
		step(db, q, SQLITE_ROW);
		if (sqlite3_column_int(q, 0) != RANGE * TEXT)
			bench_fail("a range", "rows are missing");
		sqlite3_reset(q);
	}
	sqlite3_finalize(q);
	return (timing_now() - began) / RANGES;
}

/* ---- Rounds ---------------------------------------------------------------- */

static void first_row(sqlite3 *db)
{
	sqlite3_stmt *q = prepare(db, "SELECT text FROM m WHERE id = 77777");

	step(db, q, SQLITE_ROW);
	sqlite3_finalize(q);
}

static double log_use(void *arg)
{
	const struct pages *p = arg;
	struct base b = { 0 };
	double seconds;

	bench_must(sqlite_setup(), "SQLite");
	unlock_log(&b, p->log);
	mount_log(&b, p->log);
	seconds = p->work(b.db);
	close_base(&b);
	return seconds;
}

static double plain_use(void *arg)
{
	const struct pages *p = arg;
	struct base b = { 0 };
	double seconds;

	open_plain(&b, p->plain);
	seconds = p->work(b.db);
	close_base(&b);
	return seconds;
}

static double log_make(void *arg)
{
	const struct pages *p = arg;

	make_log(p->log);
	return log_use(arg);
}

static double plain_make(void *arg)
{
	const struct pages *p = arg;

	bench_remove(p->plain);
	return plain_use(arg);
}

/* What locking does. SQLite's counterpart is its checkpoint, which closing does. */
static double compact(void *arg)
{
	const struct pages *p = arg;
	struct base b = { 0 };

	bench_must(sqlite_setup(), "SQLite");
	unlock_log(&b, p->log);
	mount_log(&b, p->log);
	bench_must(pagelog_compact(b.log, b.slots, &b.match, &kek), "the page log");
	close_base(&b);
	return 0;
}

static double log_open(void *arg)
{
	const struct pages *p = arg;
	struct series s = { .n = 0 };
	struct base b = { 0 };

	bench_must(sqlite_setup(), "SQLite");
	unlock_log(&b, p->log);
	for (unsigned i = 0; i < OPENS; i++) {
		const double began = timing_now();

		mount_log(&b, p->log);
		first_row(b.db);
		series_add(&s, timing_now() - began);
		close_rows(&b);
	}
	slots_close(b.slots);
	return series_median(&s);
}

static double plain_open(void *arg)
{
	const struct pages *p = arg;
	struct series s = { .n = 0 };

	for (unsigned i = 0; i < OPENS; i++) {
		struct base b = { 0 };
		const double began = timing_now();

		open_plain(&b, p->plain);
		first_row(b.db);
		series_add(&s, timing_now() - began);
		close_base(&b);
	}
	return series_median(&s);
}

static void measure(struct bench *b, unsigned rounds, struct pages *p, const char *id, const char *what,
                    timing_work *ours, timing_work *reference, double bound)
{
	struct series o = { .n = 0 }, r = { .n = 0 };

	timing_pair(&o, &r, rounds, ours, reference, p);
	report_add_times(&b->report, id, what, &o, &r, false, bound);
}

void bench_pages(struct bench *b)
{
	struct pages p;

	bench_path(p.log, b->dir, "log");
	bench_path(p.plain, b->dir, "plain.db");
	p.work = bulk;
	measure(b, b->rounds, &p, "pages-bulk",
	        "page log, 100,000 rows, 2,000 a turn (plain SQLite, WAL, FULL)", log_make, plain_make, 1.25);
	p.work = singles;
	measure(b, b->rounds, &p, "pages-single", "page log, a durable commit of one row (the same)", log_use,
	        plain_use, 1.15);
	p.work = ranges;
	measure(b, b->rounds, &p, "pages-range", "page log, a range of 500 rows, 2 MB of cache (the same)",
	        log_use, plain_use, 2.8);
	/* As it is after a day, whatever the rounds above have written. */
	p.work = bulk;
	timing_in_child(log_make, &p);
	timing_in_child(plain_make, &p);
	p.work = singles;
	timing_in_child(log_use, &p);
	timing_in_child(plain_use, &p);
	timing_in_child(compact, &p);
	measure(b, OPEN_ROUNDS * b->rounds, &p, "pages-open",
	        "page log, open and read a row, after a lock (the same)", log_open, plain_open, 1.3);
	bench_remove(p.log);
	bench_remove(p.plain);
}
