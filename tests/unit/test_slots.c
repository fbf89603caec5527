#include "store/slots.h"

#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/crypto/random.h"
#include "tools/sim/disk.h"
#include "tests/unit/unit.h"

/* A vault of two places in a folder of its own, its pass-phrase "right". */
static struct random_seeded rng;
static char dir[64], path[96];
static const struct slots_salt salt = { { 7 } };
static struct sym_key right, wrong;
static struct slots_match made;

static void kek_of(struct sym_key *kek, const char *passphrase)
{
	static const struct slots_cost cheap = { 8192, 1 };

	assert_int_equal(slots_derive(kek, span_str(passphrase), &salt, &cheap), 0);
}

static int with_vault(void **state)
{
	(void)state;
	random_seeded_init(&rng, 3);
	kek_of(&right, "right");
	kek_of(&wrong, "wrong");
	snprintf(dir, sizeof(dir), "/tmp/slots-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/slots", dir);
	return slots_create(disk_posix(), dir, 2, &salt, &right, &made, &rng.base);
}

static int without_vault(void **state)
{
	(void)state;
	if (unlink(path) != 0)
		rmdir(path);
	return rmdir(dir);
}

static int try(const struct sym_key *kek, struct slots_match *m)
{
	struct slots *s = NULL;
	int r = slots_open(&s, disk_posix(), dir);

	if (r == 0)
		r = slots_try(s, kek, m);
	slots_close(s);
	return r;
}

static void opens_with_its_passphrase_only(void **state)
{
	struct slots_match m;
	struct stat st;

	(void)state;
	assert_int_equal(try(&right, &m), 0);
	assert_memory_equal(&m, &made, sizeof(m));
	assert_int_equal(try(&wrong, &m), SLOTS_NO_MATCH);
	assert_int_equal(slots_create(disk_posix(), dir, 2, &salt, &right, &m, &rng.base), ERR_EXISTS);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, 4096 + 4 * 131072);
}

static void tells_what_is_no_vault(void **state)
{
	struct slots_match m;

	(void)state;
	assert_int_equal(truncate(path, 4096 + 4 * 131072 - 1), 0);
	assert_int_equal(try(&right, &m), SLOTS_TRUNCATED);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(try(&right, &m), SLOTS_TRUNCATED);
	assert_int_equal(truncate(path, 4096 + 32 * 131072 + 1), 0);
	assert_int_equal(try(&right, &m), SLOTS_FOREIGN);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(try(&right, &m), ERR_ABSENT);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(try(&right, &m), SLOTS_FOREIGN);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(try(&right, &m), SLOTS_FOREIGN);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(try(&right, &m), SLOTS_FOREIGN);
}

static void a_second_process_is_refused_until_the_first_dies(void **state)
{
	int ready[2], status;
	struct slots_match m;
	char byte;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		struct slots *s;

		if (slots_open(&s, disk_posix(), dir) != 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(try(&right, &m), ERR_BUSY);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(try(&right, &m), 0);
	close(ready[0]);
	close(ready[1]);
}

static void flip(off_t at)
{
	const int file = open(path, O_RDWR);
	uint8_t byte;

	assert_int_equal(pread(file, &byte, 1, at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(file, &byte, 1, at), 1);
	close(file);
}

static void one_bit_anywhere_in_the_slot_or_the_salt_shuts_it(void **state)
{
	struct slots_match m;

	(void)state;
	for (off_t at = 0; at < 4096 + 131072; at += at < 16 ? 1 : at == 16 ? 4080 : 16001) {
		const bool matters = at < 16 || at >= 4096;

		flip(at);
		assert_int_equal(try(&right, &m), matters ? SLOTS_NO_MATCH : 0);
		flip(at);
	}
	assert_int_equal(try(&right, &m), 0);
}

/* A fresh vault on a disk in memory. */
static void memory_vault(struct sim_disk *d)
{
	struct slots_match m;

	sim_disk_init(d);
	assert_int_equal(slots_create(&d->base, "v", 2, &salt, &right, &m, &rng.base), 0);
}

static int memory_try(struct sim_disk *d, struct slots_match *m, struct slots **s)
{
	const int r = slots_open(s, &d->base, "v");

	assert_int_equal(r, 0);
	return slots_try(*s, &right, m);
}

static void a_replacing_cut_short_leaves_the_old_key_or_the_new(void **state)
{
	const struct sym_key vk = { { 9 } };

	(void)state;
	for (uint64_t at = 1; at <= 4; at++) {
		for (enum sim_disk_left left = 0; left < SIM_DISK_LEFTS; left++) {
			struct sim_disk d;
			struct slots_match m;
			struct slots *s;
			bool is_new;

			memory_vault(&d);
			assert_int_equal(memory_try(&d, &m, &s), 0);
			sim_disk_fail(&d, &(struct sim_disk_fault){ .at = at, .cut = SIM_DISK_CUT_HALF });
			assert_int_equal(slots_replace(s, &m, &vk, &right, &rng.base), ERR_IO);
			slots_close(s);
			sim_disk_crash(&d, left, at);
			assert_int_equal(memory_try(&d, &m, &s), 0);
			is_new = memcmp(&m.content.vk, &vk, sizeof(vk)) == 0;
			assert_int_equal(m.content.generation, is_new ? 2 : 1);
			assert_true(at < 3 || is_new); /* it was synced before the old one went */
			assert_int_equal(slots_settle(s, &m, &right, &rng.base), 0);
			slots_close(s);
			sim_disk_deinit(&d);
		}
	}
}

static void a_wipe_cut_short_opens_or_never_will(void **state)
{
	(void)state;
	for (uint64_t at = 1; at <= 6; at++) {
		for (enum sim_disk_left left = 0; left < SIM_DISK_LEFTS; left++) {
			struct sim_disk d;
			struct slots_match m;
			struct slots *s;
			int r;

			memory_vault(&d);
			assert_int_equal(memory_try(&d, &m, &s), 0);
			sim_disk_fail(&d, &(struct sim_disk_fault){ .at = at, .cut = SIM_DISK_CUT_HALF });
			assert_int_equal(slots_wipe(s, 0, &rng.base), ERR_IO);
			slots_close(s);
			sim_disk_crash(&d, left, at);
			r = memory_try(&d, &m, &s);
			assert_true(r == SLOTS_NO_MATCH || (r == 0 && at <= 2));
			slots_close(s);
			sim_disk_deinit(&d);
		}
	}
}

/* A place of the disk that can be written no more saves no key. */
static void a_wipe_goes_on_after_a_step_that_failed(void **state)
{
	(void)state;
	for (uint64_t at = 1; at <= 6; at++) {
		struct sim_disk d;
		struct slots_match m;
		struct slots *s;

		memory_vault(&d);
		assert_int_equal(memory_try(&d, &m, &s), 0);
		sim_disk_fail(&d, &(struct sim_disk_fault){ .at = at, .with = ERR_IO });
		assert_int_equal(slots_wipe(s, 0, &rng.base), ERR_IO);
		slots_close(s);
		assert_int_equal(memory_try(&d, &m, &s), SLOTS_NO_MATCH);
		slots_close(s);
		sim_disk_deinit(&d);
	}
}

static void a_readonly_disk_opens_and_refuses_to_write(void **state)
{
	struct sim_disk d;
	struct slots_match m;
	struct slots *s;

	(void)state;
	memory_vault(&d);
	d.readonly = true;
	assert_int_equal(memory_try(&d, &m, &s), 0);
	assert_true(slots_readonly(s));
	assert_int_equal(slots_wipe(s, 0, &rng.base), ERR_READONLY);
	assert_int_equal(slots_replace(s, &m, &m.content.vk, &right, &rng.base), ERR_READONLY);
	slots_close(s);
	sim_disk_deinit(&d);
}

/* Bytes of address space in use. */
static rlim_t mapped(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu", &pages), 1);
	fclose(f);
	return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void no_memory_is_no_wrong_passphrase(void **state)
{
	const struct slots_cost cost = { UINT64_C(1) << 30, 1 };
	struct rlimit before, tight;
	struct sym_key kek;
	int r;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
	tight = before;
	tight.rlim_cur = mapped() + (64 << 20);
	assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
	r = slots_derive(&kek, span_str("right"), &salt, &cost);
	assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
	assert_int_equal(r, ERR_NOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(opens_with_its_passphrase_only, with_vault, without_vault),
		cmocka_unit_test_setup_teardown(tells_what_is_no_vault, with_vault, without_vault),
		cmocka_unit_test_setup_teardown(a_second_process_is_refused_until_the_first_dies, with_vault,
		                                without_vault),
		cmocka_unit_test_setup_teardown(one_bit_anywhere_in_the_slot_or_the_salt_shuts_it, with_vault,
		                                without_vault),
		cmocka_unit_test_setup_teardown(a_replacing_cut_short_leaves_the_old_key_or_the_new,
		                                with_vault, without_vault),
		cmocka_unit_test_setup_teardown(a_wipe_goes_on_after_a_step_that_failed, with_vault,
		                                without_vault),
		cmocka_unit_test_setup_teardown(a_wipe_cut_short_opens_or_never_will, with_vault,
		                                without_vault),
		cmocka_unit_test_setup_teardown(a_readonly_disk_opens_and_refuses_to_write, with_vault,
		                                without_vault),
		cmocka_unit_test(no_memory_is_no_wrong_passphrase),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
