#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/power.h"

#include "tests/unit/unit.h"

static const char *const files[] = { "type", "status", "capacity", "scope" };

/* A supply says what is not NULL, in the order of files. */
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
		fprintf(f, "%s\n", said[i]);
		fclose(f);
	}
}

static void the_batteries_decide(void **state)
{
	static const struct {
		const char *first[COUNT_OF(files)], *second[COUNT_OF(files)];
		enum power power;
	} rows[] = {
		{ { "Mains" }, { NULL }, POWER_MAINS },
		{ { "Battery", "Charging", "5" }, { "Mains" }, POWER_MAINS },
		{ { "Battery", "Discharging", "95" }, { "Mains" }, POWER_BATTERY },
		{ { "Battery", "Discharging", "20" }, { "Mains" }, POWER_BATTERY },
		{ { "Battery", "Discharging", "19" }, { "Mains" }, POWER_LOW },
		{ { "Battery", "Discharging", "0" }, { "Mains" }, POWER_LOW },
		{ { "Battery", "Discharging" }, { "Mains" }, POWER_BATTERY },
		{ { "Battery", "Discharging", "few" }, { "Mains" }, POWER_BATTERY },
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
	char folder[] = "/tmp/flyleaf-power-XXXXXX", path[128];

	(void)state;
	assert_int_equal(power_now("/nowhere"), POWER_MAINS);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(power_now(folder), POWER_MAINS);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		supply(folder, "BAT0", rows[i].first);
		supply(folder, "BAT1", rows[i].second);
		assert_int_equal(power_now(folder), rows[i].power);
	}
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
