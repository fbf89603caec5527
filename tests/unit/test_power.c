#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/power.h"

#include "tests/unit/unit.h"

static const char *const files[] = { "type", "status", "capacity", "scope" };

/* A supply says what is not NULL, in the order of files; of an empty word not even the end of its line. */
static void supply(const char *folder, const char *name, const char *const said[static COUNT_OF(files)])
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	mkdir(path, 0700);
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s/%s", folder, name, files[i]);
		unlink(path);
		if (said[i] == NULL)
			continue;
		f = fopen(path, "w");
		assert_non_null(f);
		fputs(said[i], f);
		if (said[i][0] != '\0')
			fputc('\n', f);
		fclose(f);
	}
}

static void the_batteries_decide(void **state)
{
	static const struct {
		const char *first[COUNT_OF(files)], *second[COUNT_OF(files)];
		enum power power;
	} rows[] = {
		{ { NULL }, { NULL }, POWER_MAINS },
		{ { "Mains" }, { NULL }, POWER_MAINS },
		{ { "Battery" }, { NULL }, POWER_MAINS },
		{ { "Battery", "" }, { NULL }, POWER_MAINS },
		{ { "Battery", "Charging" }, { NULL }, POWER_MAINS },
		{ { "Battery", "Discharging" }, { NULL }, POWER_BATTERY },
		{ { "Battery", "Discharging", NULL, "System" }, { NULL }, POWER_BATTERY },
		{ { "Battery", "Discharging", NULL, "Device" }, { NULL }, POWER_MAINS },
		{ { "Battery", "Charging", "5" }, { "Mains" }, POWER_MAINS },
		{ { "Battery", "Discharging", "95" }, { "Mains" }, POWER_BATTERY },
		{ { "Battery", "Discharging", "20" }, { "Mains" }, POWER_BATTERY },
		{ { "Battery", "Discharging", "19" }, { "Mains" }, POWER_LOW },
		{ { "Battery", "Discharging", "0" }, { "Mains" }, POWER_LOW },
		{ { "Battery", "Discharging" }, { "Mains" }, POWER_BATTERY },
		{ { "Battery", "Discharging", "few" }, { "Mains" }, POWER_BATTERY },
		{ { "Battery", "Discharging", "5 of 20" }, { "Mains" }, POWER_BATTERY },
		/* Of two one is emptied first. */
		{ { "Battery", "Discharging", "5" }, { "Battery", "Unknown", "80" }, POWER_BATTERY },
		{ { "Battery", "Unknown", "3" }, { "Battery", "Discharging", "12" }, POWER_LOW },
		/* A mouse's is not the machine's. */
		{ { "Battery", "Discharging", "5", "Device" }, { "Mains" }, POWER_MAINS },
		{ { "Battery", "Discharging", "90", "Device" },
		  { "Battery", "Discharging", "5" },
		  POWER_LOW },
	};
	static const char *const none[COUNT_OF(files)] = { NULL };
	static const char *const runs_down[COUNT_OF(files)] = { "Battery", "Discharging" };
	char folder[] = "/tmp/flyleaf-power-XXXXXX", path[128], long_one[5000];

	(void)state;
	assert_int_equal(power_now("/nowhere"), POWER_MAINS);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(power_now(folder), POWER_MAINS);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		supply(folder, "BAT0", rows[i].first);
		supply(folder, "BAT1", rows[i].second);
		assert_int_equal(power_now(folder), rows[i].power);
	}
	/* The same folder, by a name that leaves no room for a file's. */
	memset(long_one, '/', sizeof(long_one));
	memcpy(long_one, folder, strlen(folder));
	long_one[4090] = '\0';
	supply(folder, "BAT0", runs_down);
	supply(folder, "BAT1", none);
	assert_int_equal(power_now(folder), POWER_BATTERY);
	assert_int_equal(power_now(long_one), POWER_MAINS);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "BAT%u", i);
		supply(folder, path, none);
		snprintf(path, sizeof(path), "%s/BAT%u", folder, i);
		rmdir(path);
	}
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_batteries_decide),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
