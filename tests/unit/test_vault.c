/*
 * test_vault.c: a notebook from its pass-phrase to its rows and back, on a real disk.
 */
#include "tests/unit/rows.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/crypto/random.h"
#include "store/vault.h"
#include "tests/failing_memory.h"

static char home[] = "/tmp/flyleaf-vault-XXXXXX";
static struct random_seeded seeded;
static struct random *rng = &seeded.base;

static int make_home(void **state)
{
	(void)state;
	random_seeded_init(&seeded, 1);
	return sodium_init() < 0 || mkdtemp(home) == NULL ? -1 : 0;
}

static void in_home(char out[static 256], const char *name)
{
	(void)snprintf(out, 256, "%s/notebooks/%s", home, name);
}

static int remove_home(void **state)
{
	static const char *const names[] = { "slots", "0", "1" };
	char path[256];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		in_home(path, names[i]);
		(void)unlink(path);
	}
	in_home(path, "");
	if (rmdir(path) != 0 || rmdir(home) != 0)
		return -1; /* something else was left behind */
	memcpy(home + sizeof(home) - 7, "XXXXXX", 6);
	return 0;
}

/* What one guess costs is not what is tested here. */
static void derive(struct vault_guess *g, const char *passphrase)
{
	g->cost = (struct slots_cost){ .memory_bytes = 8192, .passes = 1 };
	assert_int_equal(vault_derive(g, span_str(passphrase)), 0);
}

static void create(const char *passphrase)
{
	struct vault_guess g;

	vault_guess_new(&g, SLOTS_64_MIB, rng);
	derive(&g, passphrase);
	assert_int_equal(vault_create(disk_posix(), home, SLOTS_PLACES_OWN, &g, rng), 0);
	assert_int_equal(vault_create(disk_posix(), home, SLOTS_PLACES_OWN, &g, rng), ERR_EXISTS);
	vault_guess_wipe(&g);
}

static int try_open(struct vault *v, const char *passphrase, struct vault_report *report)
{
	struct vault_guess g;
	int r;

	vault_guess_for(&g, v);
	assert_int_equal(g.cost.memory_bytes, 64 << 20);
	derive(&g, passphrase);
	r = vault_open(v, &g, rng, report);
	vault_guess_wipe(&g);
	return r;
}

/* The disk, but for how much room it says it has. */
static uint64_t disk_room;
static struct disk_ops ops;
static struct disk measured = { &ops };

static int say_room(struct disk *d, const char *path, uint64_t *out)
{
	(void)d;
	assert_non_null(strstr(path, home));
	*out = disk_room;
	return 0;
}

static struct vault *find(void)
{
	struct vault *v = NULL;

	assert_int_equal(vault_find(&v, disk_posix(), home), 0);
	return v;
}

static void say(struct vault *v, int64_t position, const char *text)
{
	struct store *s = vault_store(v);
	const struct message m = rows_message(position, true, text);

	assert_int_equal(store_begin(s), 0);
	assert_int_equal(messages_add(s, 1, &m), 0);
	assert_int_equal(store_commit(s), 0);
}

static int64_t said(struct vault *v)
{
	int64_t next = -1;

	assert_int_equal(messages_next_position(vault_store(v), 1, &next), 0);
	return next;
}

static void a_notebook_opens_with_its_pass_phrase_only(void **state)
{
	struct vault *v, *second = NULL;
	struct vault_report report;

	(void)state;
	create("red kettle");
	v = find();
	assert_int_equal(vault_find(&second, disk_posix(), home), ERR_BUSY);
	assert_int_equal(try_open(v, "red kettles", &report), VAULT_NO_MATCH);
	assert_int_equal(try_open(v, "red kettle", &report), 0);
	assert_false(report.damaged || report.readonly);
	assert_int_equal(report.log.commits, 0);
	say(v, 0, "hello");
	assert_int_equal(vault_lock(v), 0);
	assert_null(vault_store(v));
	assert_int_equal(try_open(v, "", &report), VAULT_NO_MATCH);
	assert_int_equal(try_open(v, "red kettle", &report), 0);
	assert_int_equal(said(v), 1);
	vault_close(v);
	v = find();
	assert_int_equal(try_open(v, "red kettle", &report), 0);
	assert_int_equal(said(v), 1);
	vault_close(v);
	vault_close(NULL);
}

static void locking_makes_the_log_anew_when_something_was_written(void **state)
{
	struct vault *v;
	struct vault_report report;
	uint8_t mac[RECORD_MAC];

	(void)state;
	create("red kettle");
	v = find();
	assert_int_equal(try_open(v, "red kettle", &report), 0);
	for (int64_t i = 0; i < 5; i++)
		say(v, i, "hello");
	assert_int_equal(vault_lock(v), 0);
	assert_int_equal(try_open(v, "red kettle", &report), 0);
	assert_int_equal(report.log.commits, 1);
	memcpy(mac, report.log.head_mac, sizeof(mac));
	assert_int_equal(vault_lock(v), 0); /* nothing was written */
	assert_int_equal(try_open(v, "red kettle", &report), 0);
	assert_memory_equal(mac, report.log.head_mac, sizeof(mac));
	say(v, 5, "bye");
	assert_int_equal(vault_compact(v), 0); /* the rows stay open */
	assert_int_equal(said(v), 6);
	say(v, 6, "bye");
	vault_close(v); /* as a crash would: nothing is made anew, nothing is lost */
	v = find();
	assert_int_equal(try_open(v, "red kettle", &report), 0);
	assert_int_equal(report.log.commits, 2);
	assert_int_equal(said(v), 7);
	vault_close(v);
}

static void an_idle_turn_leaves_the_log_as_it_is(void **state)
{
	struct vault *v;
	struct vault_report report;

	(void)state;
	create("red kettle");
	v = find();
	assert_int_equal(try_open(v, "red kettle", &report), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(store_begin(vault_store(v)), 0);
		assert_int_equal(store_commit(vault_store(v)), 0);
	}
	vault_close(v);
	v = find();
	assert_int_equal(try_open(v, "red kettle", &report), 0);
	assert_int_equal(report.log.commits, 1); /* the tables */
	vault_close(v);
}

/* Overwrites one byte of a file of the vault. */
static void spoil(const char *name, off_t at)
{
	char path[256];
	int file;
	uint8_t byte;

	in_home(path, name);
	file = open(path, O_RDWR);
	assert_true(file >= 0);
	assert_int_equal(pread(file, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(file, &byte, 1, at), 1);
	assert_int_equal(close(file), 0);
}

static void a_torn_tail_is_cut_and_damage_is_read_only(void **state)
{
	struct vault *v;
	struct vault_report report;
	uint64_t ends[4];
	int64_t next;

	(void)state;
	create("red kettle");
	for (int64_t i = 0; i < 3; i++) {
		v = find();
		assert_int_equal(try_open(v, "red kettle", &report), 0);
		ends[i] = report.log.end;
		say(v, i, "hello");
		vault_close(v);
	}
	spoil("0", (off_t)ends[2] + 5000); /* within the last commit */
	v = find();
	assert_int_equal(try_open(v, "red kettle", &report), 0);
	assert_false(report.damaged || report.readonly);
	assert_int_equal(report.log.cut, PAGELOG_TORN);
	assert_int_equal(said(v), 2);
	say(v, 2, "again");
	vault_close(v);

	spoil("0", (off_t)ends[1] + 50); /* a head with commits behind it */
	v = find();
	assert_int_equal(try_open(v, "red kettle", &report), 0);
	assert_true(report.damaged && report.readonly);
	assert_int_equal(report.log.cut, PAGELOG_BROKEN);
	assert_int_equal(messages_next_position(vault_store(v), 1, &next), 0);
	assert_int_equal(next, 1);
	assert_int_equal(store_begin(vault_store(v)), 0);
	assert_int_equal(meta_set(vault_store(v), META_LATEST_CLOCK, 1), ERR_READONLY);
	store_rollback(vault_store(v));
	assert_int_equal(vault_lock(v), 0);
	vault_close(v);
}

static void a_wiped_notebook_never_opens_again(void **state)
{
	struct vault *v;
	struct vault_report report;

	(void)state;
	create("red kettle");
	v = find();
	assert_int_equal(try_open(v, "red kettle", &report), 0);
	say(v, 0, "hello");
	assert_int_equal(vault_wipe(v, rng), 0);
	assert_null(vault_store(v));
	assert_int_equal(try_open(v, "red kettle", &report), VAULT_NO_MATCH);
	vault_close(v);
	v = find();
	assert_int_equal(try_open(v, "red kettle", &report), VAULT_NO_MATCH);
	vault_close(v);
}

/* Two megabytes of rows, then none: the log gets four longer, and as much of it is of no use. */
static void waste_some(struct vault *v)
{
	static char text[4001];
	struct store *s = vault_store(v);

	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(store_begin(s), 0);
	for (int64_t i = 0; i < 500; i++) {
		const struct message m = rows_message(i, true, text);

		assert_int_equal(messages_add(s, 1, &m), 0);
	}
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(messages_remove(s, 1), 0);
	assert_int_equal(store_commit(s), 0);
}

static uint64_t log_bytes(void)
{
	char path[256];
	struct stat st;

	in_home(path, "0");
	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

static void room_is_kept_for_the_person_and_for_a_compaction(void **state)
{
	struct vault *v = NULL;
	struct vault_report report;

	(void)state;
	create("red kettle");
	ops = *disk_posix()->ops;
	ops.room = say_room;
	assert_int_equal(vault_find(&v, &measured, home), 0);
	assert_int_equal(try_open(v, "red kettle", &report), 0);
	disk_room = 1 << 30;
	assert_int_equal(vault_room(v, false), 0);
	disk_room = log_bytes() + SLOTS_PLACES_OWN * (VAULT_RESERVE - PAGELOG_STEP);
	assert_int_equal(vault_room(v, false), 0); /* it need not look */
	assert_int_equal(vault_room(v, true), VAULT_ROOM_LOW);
	disk_room += SLOTS_PLACES_OWN * PAGELOG_STEP;
	assert_int_equal(vault_room(v, true), 0);
	disk_room -= log_bytes();
	waste_some(v);
	waste_some(v);
	assert_int_equal(vault_room(v, false), VAULT_ROOM_LOW);

	/* Where a compaction can be made and is worth it, it makes room. */
	waste_some(v);
	disk_room = log_bytes() - 1;
	assert_int_equal(vault_room(v, true), VAULT_ROOM_LOW);
	disk_room++;
	assert_int_equal(vault_room(v, true), VAULT_ROOM_TIDY);
	assert_int_equal(vault_compact(v), 0);
	assert_int_equal(vault_room(v, false), 0);

	/* And where the log is mostly waste. */
	disk_room = 1 << 30;
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(vault_room(v, true), 0);
		waste_some(v);
	}
	waste_some(v);
	assert_int_equal(vault_room(v, false), VAULT_ROOM_TIDY);
	vault_close(v);
}

/* Nobody knows how much room there is where the logs are gone, or are something else. */
static void room_without_a_log_is_not_known(void **state)
{
	struct vault_report report;
	struct vault *v;
	char path[256];

	(void)state;
	create("red kettle");
	v = find();
	assert_int_equal(try_open(v, "red kettle", &report), 0);
	for (unsigned i = 0; i < SLOTS_PLACES_OWN; i++) {
		in_home(path, i == 0 ? "0" : "1");
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(vault_room(v, true), ERR_ABSENT);
	for (unsigned i = 0; i < SLOTS_PLACES_OWN; i++) {
		in_home(path, i == 0 ? "0" : "1");
		assert_int_equal(mkdir(path, 0700), 0);
	}
	assert_int_equal(vault_room(v, true), ERR_CORRUPT);
	vault_close(v);
	for (unsigned i = 0; i < SLOTS_PLACES_OWN; i++) {
		in_home(path, i == 0 ? "0" : "1");
		assert_int_equal(rmdir(path), 0);
	}
}

static void what_is_no_vault_is_told(void **state)
{
	struct vault *v = NULL;
	char path[256];

	(void)state;
	assert_int_equal(vault_find(&v, disk_posix(), home), ERR_ABSENT);
	create("red kettle");
	in_home(path, "slots");
	assert_int_equal(truncate(path, 5000), 0);
	assert_int_equal(vault_find(&v, disk_posix(), home), VAULT_TRUNCATED);
	assert_int_equal(truncate(path, 64 << 20), 0);
	assert_int_equal(vault_find(&v, disk_posix(), home), VAULT_FOREIGN);
}

static void a_home_that_cannot_be_is_told(void **state)
{
	static char longest[DISK_PATH_MAX + 1];
	struct vault *v = NULL;
	struct vault_guess g;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	vault_guess_new(&g, SLOTS_64_MIB, rng);
	derive(&g, "red kettle");
	assert_int_equal(vault_create(disk_posix(), longest, SLOTS_PLACES_OWN, &g, rng), ERR_SYSTEM);
	assert_int_equal(vault_find(&v, disk_posix(), longest), ERR_SYSTEM);
	assert_int_equal(vault_create(disk_posix(), "/proc/nothing/home", SLOTS_PLACES_OWN, &g, rng),
	                 ERR_ABSENT);
	assert_null(v);
	vault_guess_wipe(&g);
}

/* The pass-phrase is right, and the log of its notebook is gone. */
static void a_notebook_without_its_log_is_told(void **state)
{
	struct vault_report report;
	struct vault *v;
	char path[256];

	(void)state;
	create("red kettle");
	for (unsigned i = 0; i < SLOTS_PLACES_OWN; i++) {
		in_home(path, i == 0 ? "0" : "1");
		(void)unlink(path);
	}
	v = find();
	assert_true(try_open(v, "red kettle", &report) < 0);
	assert_null(vault_store(v)); /* and may be tried again */
	assert_true(try_open(v, "red kettle", &report) < 0);
	vault_close(v);
}

/* Memory that is short opens nothing, leaks nothing, and is no reason not to try again. */
static void memory_is_short_while_a_notebook_opens(void **state)
{
	struct vault_report report;
	struct vault *v = NULL;
	bool failed = true;

	(void)state;
	create("red kettle");
	failing_memory_arm(1, false);
	assert_int_equal(vault_find(&v, disk_posix(), home), ERR_NOMEM);
	failing_memory.armed = false;
	v = find();
	for (uint64_t at = 1; failed; at++) {
		struct vault_guess g;
		int r;

		vault_guess_for(&g, v);
		derive(&g, "red kettle");
		failing_memory_arm(at, false);
		r = vault_open(v, &g, rng, &report);
		failed = failing_memory.seen >= at;
		failing_memory.armed = false;
		vault_guess_wipe(&g);
		if (r == 0)
			vault_forget(v); /* SQLite does without some */
		else
			assert_int_equal(r, ERR_NOMEM);
		assert_true(failed || r == 0);
	}
	assert_int_equal(try_open(v, "red kettle", &report), 0);
	vault_close(v);
}

int main(void)
{
#define IN_HOME(test) cmocka_unit_test_setup_teardown(test, make_home, remove_home)
	const struct CMUnitTest tests[] = {
		IN_HOME(a_notebook_opens_with_its_pass_phrase_only),
		IN_HOME(locking_makes_the_log_anew_when_something_was_written),
		IN_HOME(an_idle_turn_leaves_the_log_as_it_is),
		IN_HOME(a_torn_tail_is_cut_and_damage_is_read_only),
		IN_HOME(a_wiped_notebook_never_opens_again),
		IN_HOME(room_is_kept_for_the_person_and_for_a_compaction),
		IN_HOME(room_without_a_log_is_not_known),
		IN_HOME(what_is_no_vault_is_told),
		cmocka_unit_test(a_home_that_cannot_be_is_told),
		IN_HOME(a_notebook_without_its_log_is_told),
		IN_HOME(memory_is_short_while_a_notebook_opens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
