/*
 * test_log_faults.c: the nth request for memory or of the disk fails, for every n.
 *
 * Scripts over slots and page log are run again and again from one state; each time another request fails,
 * alone or with all that follow. Whatever happens: an enum err, no crash, no leak, and the next process finds
 * the pages as they were when a commit last returned, or as the commit that was under way would have left
 * them.
 *
 *     test_log_faults [TEST]     without a name: all of them
 */
#include "store/pagelog.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/crypto/random.h"
#include "tests/failing_memory.h"
#include "tests/unit/unit.h"
#include "tools/sim/disk.h"

enum {
	PLACES = 2,
	MANY = RECORD_PAGES_MAX + 3,
	CUT = 100,
	CUT_PAGES = 5,
	FULL_PAGES = 251 /* fill a step but for a block */
};
#define DIR "v"

static const struct slots_salt salt = { { 7 } };
static const struct sym_key kek = { { 1 } };

/* ---- What fails ------------------------------------------------------------ */

static int with, odd; /* what most requests of the disk return, and what open and read do */

/* A disk that fails with failing_memory, before the simulated one, whose own memory never runs out. */
struct weak_disk {
	struct disk base;
	struct sim_disk sim;
};

static struct disk *below(struct disk *d)
{
	return &CONTAINER_OF(d, struct weak_disk, base)->sim.base;
}

/* A request that fails with `how`, or goes on below. */
#define REQUEST(how, op, ...)                                                                                \
	do {                                                                                                 \
		const bool was = failing_memory.armed;                                                       \
		int result;                                                                                  \
                                                                                                             \
		if (failing_memory_now())                                                                    \
			return (how);                                                                        \
		failing_memory.armed = false;                                                                \
		result = below(d)->ops->op(below(d), __VA_ARGS__);                                           \
		failing_memory.armed = was;                                                                  \
		return result;                                                                               \
	} while (0)

static int weak_open(struct disk *d, int *out, const char *path, enum disk_mode mode)
{
	REQUEST(odd, open, out, path, mode);
}

static void weak_close(struct disk *d, int file)
{
	const bool was = failing_memory.armed;

	failing_memory.armed = false;
	below(d)->ops->close(below(d), file);
	failing_memory.armed = was;
}

static void weak_evict(struct disk *d, int file)
{
	const bool was = failing_memory.armed;

	failing_memory.armed = false;
	below(d)->ops->evict(below(d), file);
	failing_memory.armed = was;
}

static int weak_lock(struct disk *d, int file)
{
	REQUEST(with, lock, file);
}

static int weak_size(struct disk *d, int file, uint64_t *out)
{
	REQUEST(with, size, file, out);
}

static int weak_read(struct disk *d, int file, void *out, size_t len, uint64_t offset)
{
	REQUEST(odd == DISK_FOREIGN ? DISK_SHORT : odd, read, file, out, len, offset);
}

static int weak_write(struct disk *d, int file, const void *bytes, size_t len, uint64_t offset)
{
	REQUEST(with, write, file, bytes, len, offset);
}

static int weak_sync(struct disk *d, int file)
{
	REQUEST(with, sync, file);
}

static int weak_truncate(struct disk *d, int file, uint64_t size)
{
	REQUEST(with, truncate, file, size);
}

static int weak_allocate(struct disk *d, int file, uint64_t size)
{
	REQUEST(with, allocate, file, size);
}

static int weak_make_dir(struct disk *d, const char *path)
{
	REQUEST(with, make_dir, path);
}

static int weak_sync_dir(struct disk *d, const char *path)
{
	REQUEST(with, sync_dir, path);
}

static int weak_rename(struct disk *d, const char *from, const char *to)
{
	REQUEST(with, rename, from, to);
}

static int weak_unlink(struct disk *d, const char *path)
{
	REQUEST(with, unlink, path);
}

static const struct disk_ops weak_ops = {
	.open = weak_open,
	.close = weak_close,
	.lock = weak_lock,
	.size = weak_size,
	.read = weak_read,
	.write = weak_write,
	.sync = weak_sync,
	.evict = weak_evict,
	.truncate = weak_truncate,
	.allocate = weak_allocate,
	.make_dir = weak_make_dir,
	.sync_dir = weak_sync_dir,
	.rename = weak_rename,
	.unlink = weak_unlink,
};

/* ---- A notebook of one number ---------------------------------------------- */

struct life {
	struct weak_disk disk;
	struct random_seeded rng;
	struct slots *slots;
	struct slots_match match;
	struct pagelog *log;
	struct pagelog_report report;
	uint32_t told;   /* the number of the last commit that returned */
	uint32_t trying; /* and of the one that was begun */
	bool made;       /* a vault is there */
};

static void life_begin(struct life *l, const struct sim_disk *from)
{
	memset(l, 0, sizeof(*l));
	l->disk.base.ops = &weak_ops;
	random_seeded_init(&l->rng, 1);
	if (from != NULL)
		sim_disk_copy(&l->disk.sim, from);
	else
		sim_disk_init(&l->disk.sim);
}

static void life_close(struct life *l)
{
	pagelog_unmount(l->log);
	slots_close(l->slots);
	l->log = NULL;
	l->slots = NULL;
}

static int life_open(struct life *l)
{
	struct disk *const disk = &l->disk.base;
	int r = slots_open(&l->slots, disk, DIR);

	if (r == 0)
		r = slots_try(l->slots, &kek, &l->match);
	if (r == 0)
		r = slots_settle(l->slots, &l->match, &kek, &l->rng.base);
	if (r == 0) {
		const struct pagelog_place where = { disk, DIR, PLACES, l->match.place,
			                             l->match.content.generation > 1 };

		r = pagelog_mount(&l->log, &where, &l->match.content.vk, &l->rng.base, &l->report);
	}
	return r;
}

static void fill(uint8_t page[static RECORD_PAGE], uint32_t pgno, uint32_t number)
{
	memset(page, 0x5a, RECORD_PAGE);
	store_u32(page, pgno);
	store_u32(page + 4, number);
}

/* All pages up to n say the next number; page n + 1 on is cut off first. */
static int write_number(struct life *l, uint32_t n)
{
	uint8_t page[RECORD_PAGE];
	int r = 0;

	l->trying = l->told + 1;
	if (pagelog_pages(l->log) > 1)
		pagelog_resize(l->log, 1);
	for (uint32_t pgno = 1; r == 0 && pgno <= n; pgno++) {
		fill(page, pgno, l->trying);
		r = pagelog_write(l->log, pgno, page);
	}
	if (r == 0) /* once more: one that is on the disk already where there are many */
		r = pagelog_read(l->log, page, 1);
	if (r == 0)
		r = pagelog_write(l->log, 1, page);
	if (r == 0)
		r = pagelog_commit(l->log);
	else
		pagelog_rollback(l->log);
	if (r == 0)
		l->told = l->trying;
	return r;
}

/* The database is cut down to a page and grows again: what it had in between must not come back. Numbers
 * above CUT are written so. */
static int write_cut(struct life *l, uint32_t more)
{
	uint8_t page[RECORD_PAGE];
	int r;

	l->trying = CUT + l->told;
	pagelog_resize(l->log, 1);
	pagelog_resize(l->log, more);
	fill(page, 1, l->trying);
	r = pagelog_write(l->log, 1, page);
	fill(page, CUT_PAGES, l->trying);
	if (r == 0)
		r = pagelog_write(l->log, CUT_PAGES, page);
	if (r == 0)
		r = pagelog_commit(l->log);
	else
		pagelog_rollback(l->log);
	if (r == 0)
		l->told = l->trying;
	return r;
}

/* What the next process finds. */
static void look(struct life *l)
{
	uint8_t page[RECORD_PAGE], want[RECORD_PAGE];
	uint32_t number = 0;

	life_close(l);
	sim_disk_exit(&l->disk.sim);
	assert_int_equal(life_open(l), 0);
	for (uint32_t pgno = 1; pgno <= pagelog_pages(l->log); pgno++) {
		assert_int_equal(pagelog_read(l->log, page, pgno), 0);
		if (pgno == 1)
			number = load_u32(page + 4);
		fill(want, pgno, number);
		if (number > CUT && pgno > 1 && pgno < CUT_PAGES)
			memset(want, 0, sizeof(want));
		assert_memory_equal(page, want, sizeof(page));
	}
	assert_true(number == l->told || number == l->trying);
	life_close(l);
}

/* ---- The scripts ----------------------------------------------------------- */

static int make(struct life *l)
{
	int r = pagelog_create(&l->disk.base, DIR, PLACES, &l->rng.base);

	if (r == 0)
		r = slots_create(&l->disk.base, DIR, PLACES, &salt, &kek, &l->match, &l->rng.base);
	l->made = r == 0;
	return r;
}

/* A failed creation leaves nothing in the way of the next, where the disk let it clean up. */
static int creates(struct life *l)
{
	const int r = make(l);

	failing_memory.armed = false;
	if (!l->made && failing_memory.on && sim_disk_find(&l->disk.sim, DIR "/slots", NULL))
		sim_disk_remove(&l->disk.sim, DIR "/slots");
	if (!l->made)
		assert_int_equal(make(l), 0);
	return r;
}

static int writes(struct life *l)
{
	int r = life_open(l);

	for (uint32_t n = 4; r == 0 && n >= 2; n--)
		r = write_number(l, n);
	return r;
}

static int writes_many(struct life *l)
{
	int r = life_open(l);

	if (r == 0)
		r = write_number(l, MANY);
	if (r == 0)
		r = write_number(l, 2);
	return r;
}

static int compacts(struct life *l)
{
	int r = life_open(l);

	if (r == 0)
		r = pagelog_compact(l->log, l->slots, &l->match, &kek);
	if (r == 0)
		r = write_number(l, 3);
	return r;
}

static int cuts_and_compacts(struct life *l)
{
	int r = life_open(l);

	if (r == 0)
		r = write_cut(l, 2);
	if (r == 0)
		r = pagelog_compact(l->log, l->slots, &l->match, &kek);
	return r;
}

static int opens(struct life *l)
{
	return life_open(l);
}

/* The pass-phrase of another person, and the end of hers. */
static int adds_and_wipes(struct life *l)
{
	static const struct sym_key other = { { 2 } };
	struct slots_match m;
	int r = slots_open(&l->slots, &l->disk.base, DIR);
	struct pagelog_place where = { .disk = &l->disk.base, .dir = DIR, .places = PLACES, .place = 1 };

	if (r == 0)
		r = slots_add(l->slots, 1, &other, &m, &l->rng.base);
	if (r == 0)
		r = slots_replace(l->slots, &m, &m.content.vk, &other, &l->rng.base);
	if (r == 0)
		r = slots_wipe(l->slots, m.slot, &l->rng.base);
	if (r == 0)
		r = pagelog_refill(&where, &l->rng.base);
	return r;
}

/* Runs a script from a state with each request failing. */
static void all_fail(int (*script)(struct life *l), const struct sim_disk *from, uint32_t told)
{
	static const struct {
		int most, open;
		bool on;
	} ways[] = {
		{ ERR_IO, ERR_IO, false },
		{ ERR_IO, ERR_NOMEM, true },
		{ ERR_READONLY, DISK_FOREIGN, false }, /* and reads end early */
	};
	static struct life l;

	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		bool reached = true;

		for (uint64_t n = 1; reached; n++) {
			int r;

			life_begin(&l, from);
			l.told = l.trying = told;
			with = ways[i].most;
			odd = ways[i].open;
			failing_memory.on = ways[i].on;
			failing_memory.at = n;
			failing_memory.seen = 0;
			failing_memory.armed = true;
			r = script(&l);
			failing_memory.armed = false;
			reached = failing_memory.seen >= n;
			if (!reached)
				assert_int_equal(r, 0);
			if (ways[i].most == ERR_IO) /* what could not be read is not damaged */
				assert_int_not_equal(r, ERR_CORRUPT);
			look(&l);
			sim_disk_deinit(&l.disk.sim);
		}
	}
}

/* A made vault, with so many pages, and number 1. */
static void state_make(struct life *l, uint32_t pages)
{
	life_begin(l, NULL);
	assert_int_equal(make(l), 0);
	assert_int_equal(life_open(l), 0);
	assert_int_equal(write_number(l, pages), 0);
	life_close(l);
}

static void creation(void **state)
{
	(void)state;
	all_fail(creates, NULL, 0);
}

static void from_a_state(int (*script)(struct life *l), uint32_t pages)
{
	static struct life l;

	state_make(&l, pages);
	all_fail(script, &l.disk.sim, 1);
	sim_disk_deinit(&l.disk.sim);
}

static void writing(void **state)
{
	(void)state;
	from_a_state(writes, 3);
}

static void writing_two_parts(void **state)
{
	(void)state;
	from_a_state(writes_many, 3);
}

static void compaction(void **state)
{
	(void)state;
	from_a_state(compacts, 3);
}

static void cutting(void **state)
{
	(void)state;
	from_a_state(cuts_and_compacts, 4);
}

/* A mount reads commits of which the last is by far the shortest, and another log was left behind by a crash.
 */
static void opening(void **state)
{
	static struct life l;
	struct disk *d;
	int file;

	(void)state;
	state_make(&l, 60);
	assert_int_equal(life_open(&l), 0);
	assert_int_equal(write_number(&l, 120), 0);
	assert_int_equal(write_number(&l, 1), 0);
	life_close(&l);
	d = below(&l.disk.base);
	assert_int_equal(d->ops->open(d, &file, DIR "/1", DISK_WRITE), 0);
	assert_int_equal(d->ops->truncate(d, file, PAGELOG_STEP / 2), 0);
	d->ops->close(d, file);
	all_fail(opens, &l.disk.sim, l.told);
	sim_disk_deinit(&l.disk.sim);
}

static void another_place(void **state)
{
	(void)state;
	from_a_state(adds_and_wipes, 1);
}

/* ---- Bounds, and disks that cannot be written ------------------------------ */

static void bounds(void **state)
{
	static char dir[DISK_PATH_MAX + 16], path[DISK_PATH_MAX + 32];
	static struct life l;
	uint8_t page[RECORD_PAGE];
	struct pagelog_place where = { .disk = &l.disk.base, .dir = dir, .places = PLACES };
	struct slots_match m;
	struct pagelog *log;
	struct slots *slots;

	(void)state;
	life_begin(&l, NULL);
	assert_int_equal(make(&l), 0);
	assert_int_equal(life_open(&l), 0);
	assert_int_equal(pagelog_compact(l.log, l.slots, &l.match, &kek), 0); /* nothing to erase yet */
	life_close(&l);
	sim_disk_deinit(&l.disk.sim);
	state_make(&l, 2);
	assert_int_equal(life_open(&l), 0);
	fill(page, 1, 1);
	assert_int_equal(pagelog_write(l.log, PAGELOG_DB_PAGES_MAX + 1, page), ERR_FULL);
	pagelog_rollback(l.log);
	pagelog_resize(l.log, 5000); /* without a page: they are zeros */
	assert_int_equal(pagelog_read(l.log, page, 5000), 0);
	assert_true(sodium_is_zero(page, sizeof(page)));
	assert_int_equal(pagelog_read(l.log, page, 5001), 0);
	assert_int_equal(pagelog_commit(l.log), 0);
	pagelog_resize(l.log, 2);
	pagelog_resize(l.log, 5000);
	assert_int_equal(pagelog_commit(l.log), 0);
	sim_disk_put(&l.disk.sim, DIR "/0.new", page, sizeof(page)); /* in the way */
	assert_int_equal(pagelog_compact(l.log, l.slots, &l.match, &kek), 0);
	assert_int_equal(pagelog_pages(l.log), 5000);
	life_close(&l);
	/* Folders whose name leaves no room for that of a file in it. */
	for (size_t len = DISK_PATH_MAX - 16; len < DISK_PATH_MAX + 2; len++) {
		int r;

		memset(dir, 'd', len);
		dir[len] = '\0';
		r = pagelog_create(&l.disk.base, dir, PLACES, &l.rng.base);
		assert_int_equal(r, len + strlen("/slots") < DISK_PATH_MAX ? 0 : ERR_SYSTEM);
		r = pagelog_mount(&log, &where, &l.match.content.vk, &l.rng.base, &l.report);
		if (r == 0)
			pagelog_unmount(log); /* an empty one */
		assert_int_equal(r, len + strlen("/slots") < DISK_PATH_MAX ? 0
		                    : len + strlen("/0") < DISK_PATH_MAX   ? ERR_ABSENT
		                                                           : ERR_SYSTEM);
		r = pagelog_refill(&where, &l.rng.base);
		assert_int_equal(r == 0, len + strlen("/slots") < DISK_PATH_MAX);
		assert_int_equal(slots_open(&slots, &l.disk.base, dir),
		                 len + strlen("/slots") < DISK_PATH_MAX ? ERR_ABSENT : ERR_SYSTEM);
		r = slots_create(&l.disk.base, dir, PLACES, &salt, &kek, &m, &l.rng.base);
		assert_true(r == 0 || r == ERR_SYSTEM); /* what it is made as has a longer name */
	}
	/* There is a log, and no name for another beside it. */
	memset(dir, 'd', DISK_PATH_MAX - 4);
	dir[DISK_PATH_MAX - 4] = '\0';
	snprintf(path, sizeof(path), "%s/0", dir);
	sim_disk_put(&l.disk.sim, path, page, sizeof(page));
	where.places = 1;
	assert_int_equal(pagelog_mount(&log, &where, &l.match.content.vk, &l.rng.base, &l.report),
	                 ERR_SYSTEM);
	sim_disk_deinit(&l.disk.sim);
}

/* A disk whose files say of themselves that they are longer than any log. */
static int size_of_nothing(struct disk *d, int file, uint64_t *out)
{
	(void)d;
	(void)file;
	*out = PAGELOG_BYTES_MAX + 1;
	return 0;
}

static void a_log_that_is_too_long_is_damaged(void **state)
{
	static struct life l;
	struct disk_ops ops = weak_ops;
	struct pagelog_place where = { .disk = &l.disk.base, .dir = DIR, .places = PLACES };
	struct pagelog *log;

	(void)state;
	state_make(&l, 1);
	ops.size = size_of_nothing;
	l.disk.base.ops = &ops;
	assert_int_equal(pagelog_mount(&log, &where, &l.match.content.vk, &l.rng.base, &l.report),
	                 ERR_CORRUPT);
	sim_disk_deinit(&l.disk.sim);
}

/* The power goes before operation `at` of a compaction; 0: it does not. Returns how many it has. */
static uint64_t compact_until(struct life *l, uint64_t at)
{
	uint64_t ops;

	state_make(l, 3);
	assert_int_equal(life_open(l), 0);
	ops = l->disk.sim.ops;
	sim_disk_fail(&l->disk.sim,
	              &(struct sim_disk_fault){ .at = at,
	                                        .cut = at != 0 ? SIM_DISK_CUT_BEFORE : SIM_DISK_NO_CUT });
	assert_int_equal(pagelog_compact(l->log, l->slots, &l->match, &kek) == 0, at == 0);
	ops = l->disk.sim.ops - ops;
	life_close(l);
	sim_disk_crash(&l->disk.sim, SIM_DISK_KEPT, 0);
	return ops;
}

/* An interrupted compaction is finished or taken back, whatever fails meanwhile; and read as it is from a
 * disk that cannot be written, with the new log where the slot has its key, else with the old. */
static void an_interrupted_compaction(void **state)
{
	static struct life l;
	unsigned states = 0;
	uint64_t at = compact_until(&l, 0);

	(void)state;
	sim_disk_deinit(&l.disk.sim);
	for (; at > 0 && states < 6; at--) {
		compact_until(&l, at);
		if (sim_disk_find(&l.disk.sim, DIR "/0.new", NULL)) {
			states++;
			if (states % 2 == 1)
				all_fail(opens, &l.disk.sim, 1);
			l.disk.sim.readonly = true;
			assert_int_equal(slots_open(&l.slots, &l.disk.base, DIR), 0);
			assert_int_equal(slots_try(l.slots, &kek, &l.match), 0);
			const struct pagelog_place where = { &l.disk.base, DIR, PLACES, 0,
				                             l.match.content.generation > 1 };

			assert_int_equal(pagelog_mount(&l.log, &where, &l.match.content.vk, &l.rng.base,
			                               &l.report),
			                 0);
			assert_true(pagelog_readonly(l.log));
			assert_int_equal(pagelog_pages(l.log), 3);
			assert_int_equal(pagelog_compact(l.log, l.slots, &l.match, &kek), ERR_READONLY);
			pagelog_resize(l.log, 1);
			assert_int_equal(pagelog_commit(l.log), ERR_READONLY);
			life_close(&l);
		}
		sim_disk_deinit(&l.disk.sim);
	}
	assert_int_equal(states, 6);
}

/* The old log has to grow first, for the new one to have its room. */
static void compaction_of_a_log_that_is_full(void **state)
{
	static struct life l;
	bool reached = true;

	(void)state;
	for (uint64_t n = 1; reached; n++) {
		state_make(&l, FULL_PAGES);
		assert_int_equal(life_open(&l), 0);
		with = odd = ERR_FULL;
		failing_memory_arm(n, false);
		(void)!pagelog_compact(l.log, l.slots, &l.match, &kek);
		failing_memory.armed = false;
		reached = failing_memory.seen >= n;
		look(&l);
		sim_disk_deinit(&l.disk.sim);
	}
}

/* A disk that gives back other bytes than it was given. */
static int read_something_else(struct disk *d, int file, void *out, size_t len, uint64_t offset)
{
	const int r = weak_read(d, file, out, len, offset);

	((uint8_t *)out)[0] ^= 1;
	return r;
}

static void a_slot_that_reads_back_otherwise_was_not_written(void **state)
{
	static struct life l;
	struct disk_ops ops = weak_ops;
	struct slots_match m;

	(void)state;
	state_make(&l, 1);
	assert_int_equal(slots_open(&l.slots, &l.disk.base, DIR), 0);
	ops.read = read_something_else;
	l.disk.base.ops = &ops;
	assert_int_equal(slots_add(l.slots, 1, &kek, &m, &l.rng.base), ERR_IO);
	l.disk.base.ops = &weak_ops;
	life_close(&l);
	sim_disk_deinit(&l.disk.sim);
}

/* What does not begin a log is none, also under the right key. */
static void a_new_log_that_does_not_begin_goes(void **state)
{
	static struct life l;
	static struct record_head h;
	static const struct {
		uint64_t seq;
		uint16_t part;
		size_t len;
	} rows[] = { { 1, 0, RECORD_BLOCK }, { 0, 1, RECORD_BLOCK }, { 0, 0, 10 } };
	uint8_t block[RECORD_BLOCK] = { 1 };
	struct sym_key k;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		state_make(&l, 3);
		record_key(&k, &l.match.content.vk);
		h = (struct record_head){ .seq = rows[i].seq, .part = rows[i].part, .parts = 2 };
		record_seal_head(block, &h, &k);
		sim_disk_put(&l.disk.sim, DIR "/0.new", block, rows[i].len);
		look(&l);
		assert_false(sim_disk_find(&l.disk.sim, DIR "/0.new", NULL));
		sim_disk_deinit(&l.disk.sim);
	}
}

/* Of an interrupted compaction neither log opens. */
static void where_both_logs_are_damaged_nothing_is_thrown_away(void **state)
{
	static struct life l;
	static const uint8_t noise[RECORD_BLOCK] = { 9 };

	(void)state;
	state_make(&l, 3);
	sim_disk_put(&l.disk.sim, DIR "/0.new", noise, sizeof(noise));
	sim_disk_poke(&l.disk.sim, DIR "/0", noise, sizeof(noise), 0);
	assert_int_equal(life_open(&l), ERR_CORRUPT);
	assert_true(sim_disk_find(&l.disk.sim, DIR "/0.new", NULL));
	life_close(&l);
	sim_disk_deinit(&l.disk.sim);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds),
		cmocka_unit_test(creation),
		cmocka_unit_test(writing),
		cmocka_unit_test(writing_two_parts),
		cmocka_unit_test(compaction),
		cmocka_unit_test(cutting),
		cmocka_unit_test(opening),
		cmocka_unit_test(another_place),
		cmocka_unit_test(a_log_that_is_too_long_is_damaged),
		cmocka_unit_test(an_interrupted_compaction),
		cmocka_unit_test(compaction_of_a_log_that_is_full),
		cmocka_unit_test(a_slot_that_reads_back_otherwise_was_not_written),
		cmocka_unit_test(a_new_log_that_does_not_begin_goes),
		cmocka_unit_test(where_both_logs_are_damaged_nothing_is_thrown_away),
	};

	if (sodium_init() < 0)
		return 1;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
