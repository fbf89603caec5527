/*
 * What is read from /sys of adapters and switches, in a folder of ours that stands for it.
 */
#include "transport/hci.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static unsigned opened; /* files */

DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
int __real_openat64(int at, const char *path, int flags);
int __wrap_openat64(int at, const char *path, int flags);

int __wrap_openat64(int at, const char *path, int flags)
{
	opened++;
	return __real_openat64(at, path, flags);
}

DIR *__wrap_opendir(const char *path)
{
	static const char root[] = "/sys/class/";

	assert_true(strncmp(path, root, strlen(root)) == 0);
	return __real_opendir(path + strlen(root));
}

static void make_folder(const char *name)
{
	assert_int_equal(mkdir(name, 0700), 0);
}

/* A switch; a NULL among its values: there is none. */
static void make_switch(const char *name, const char *of, const char *soft, const char *hard)
{
	const char *const values[][2] = { { "name", of }, { "soft", soft }, { "hard", hard } };
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "rfkill/%s", name);
	make_folder(path);
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		if (values[i][1] == NULL)
			continue;
		snprintf(path, sizeof(path), "rfkill/%s/%s", name, values[i][0]);
		f = fopen(path, "w");
		assert_non_null(f);
		fputs(values[i][1], f);
		fclose(f);
	}
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st, (void)kind;
	return where->level == 0 ? 0 : remove(path);
}

static void forget(void)
{
	assert_int_equal(nftw(".", remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void an_adapter_is_there_or_not(void **state)
{
	(void)state;
	assert_false(hci_present());
	make_folder("bluetooth");
	assert_false(hci_present());
	make_folder("bluetooth/other");
	assert_false(hci_present());
	make_folder("bluetooth/hci0");
	assert_true(hci_present());
	forget();
}

static void a_switch_blocks_its_own_adapter(void **state)
{
	static const struct {
		const char *of, *soft, *hard;
		bool blocked; /* hci1 */
	} table[] = {
		{ "hci1\n", "0\n", "0\n", false },
		{ "hci1\n", "1\n", "0\n", true },
		{ "hci1\n", "0\n", "1\n", true },
		{ "hci1", "1", "1", true },
		{ "hci1\n", NULL, "1\n", true },
		{ "hci1\n", "1\n", NULL, true },
		{ "hci1\n", NULL, NULL, false },
		{ "hci1\n", "", "", false },
		{ "hci1\n", "2\n", "10\n", false },
		{ "hci0\n", "1\n", "1\n", false },
		{ "hci10\n", "1\n", "1\n", false },
		{ "phy0\n", "1\n", "1\n", false },
		{ "a name that is longer than any true one has ever been\n", "1\n", "1\n", false },
		{ "", "1\n", "1\n", false },
		{ NULL, "1\n", "1\n", false },
	};

	(void)state;
	assert_false(hci_blocked(1));
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		make_folder("rfkill");
		assert_false(hci_blocked(1));
		make_switch("rfkill3", table[i].of, table[i].soft, table[i].hard);
		assert_int_equal(hci_blocked(1), table[i].blocked);
		forget();
	}
	/* Of several, the one that counts; what is no switch is none, whatever is in it. */
	make_folder("rfkill");
	make_switch("rfkill0", "hci0\n", "1\n", "0\n");
	make_switch("rfkill1", "hci1\n", "0\n", "0\n");
	make_switch("other", "hci1\n", "1\n", "1\n");
	make_switch("rfkill-with-a-name-for-which-there-is-no-room-in-a-short-path", "hci1\n", "1\n", "1\n");
	make_folder("rfkill/rfkill9");
	make_folder("rfkill/rfkill9/name");
	assert_true(hci_blocked(0));
	assert_false(hci_blocked(1));
	forget();
}

static void a_crowd_of_switches_costs_little(void **state)
{
	char name[32];

	(void)state;
	make_folder("rfkill");
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "rfkill%d", i);
		make_switch(name, "phy0\n", "1\n", "1\n");
	}
	opened = 0;
	assert_false(hci_blocked(0));
	assert_in_range(opened, 32, 64);
	forget();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_adapter_is_there_or_not),
		cmocka_unit_test(a_switch_blocks_its_own_adapter),
		cmocka_unit_test(a_crowd_of_switches_costs_little),
	};

	char folder[] = "/tmp/flyleaf-hci-XXXXXX";
	int failed;

	if (mkdtemp(folder) == NULL || chdir(folder) != 0)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
