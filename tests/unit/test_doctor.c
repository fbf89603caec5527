#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/flyleaf/doctor_bluetooth.h"

#include "tests/unit/unit.h"

static char folder[] = "/tmp/flyleaf-doctor-XXXXXX";

static struct doctor_bluetooth on_and_good(void)
{
	return (struct doctor_bluetooth){
		.present = true,
		.running = true,
		.adapters = { { .on = true, .low_energy = true, .name = "laptop" } },
		.adapters_len = 1,
		.privacy = DOCTOR_PRIVACY_ON,
	};
}

/* Something is said with these words, and so judged. */
static void says(const struct doctor_bluetooth *seen, enum doctor_verdict verdict, const char *words)
{
	struct doctor_finding findings[DOCTOR_BLUETOOTH_MAX];
	const size_t n = doctor_bluetooth_judge(findings, seen);

	assert_in_range(n, 1, DOCTOR_BLUETOOTH_MAX);
	for (size_t i = 0; i < n; i++) {
		if (strstr(findings[i].what, words) == NULL)
			continue;
		assert_int_equal(findings[i].verdict, verdict);
		assert_true(verdict != DOCTOR_WEAK || findings[i].mend != NULL);
		return;
	}
	fail_msg("nothing is said of: %s", words);
}

static unsigned weak(const struct doctor_bluetooth *seen)
{
	struct doctor_finding findings[DOCTOR_BLUETOOTH_MAX];
	const size_t n = doctor_bluetooth_judge(findings, seen);
	unsigned count = 0;

	for (size_t i = 0; i < n; i++)
		count += findings[i].verdict == DOCTOR_WEAK;
	return count;
}

static void without_bluetooth_nothing_is_weak(void **state)
{
	struct doctor_bluetooth seen = { .privacy = DOCTOR_PRIVACY_OFF };
	struct doctor_finding findings[DOCTOR_BLUETOOTH_MAX];

	(void)state;
	assert_int_equal(doctor_bluetooth_judge(findings, &seen), 1);
	says(&seen, DOCTOR_GOOD, "there is no adapter");
	seen.present = true;
	says(&seen, DOCTOR_GOOD, "service is not running");
	seen.running = true;
	says(&seen, DOCTOR_UNKNOWN, "knows no adapter");
	seen.adapters_len = 1;
	seen.adapters[0].low_energy = true;
	says(&seen, DOCTOR_GOOD, "hci0 is not used: it is switched off");
	seen.adapters[0].blocked = true;
	says(&seen, DOCTOR_GOOD, "hci0 is not used: blocked by a switch");
	seen.adapters[0].blocked = seen.adapters[0].low_energy = false;
	says(&seen, DOCTOR_GOOD, "hci0 is not used: it cannot do Low Energy");
	assert_int_equal(weak(&seen), 0);
}

static void what_an_adapter_shows_is_weak(void **state)
{
	struct doctor_bluetooth seen = on_and_good();

	(void)state;
	assert_int_equal(weak(&seen), 0);
	says(&seen, DOCTOR_GOOD, "hci0 is on");
	says(&seen, DOCTOR_GOOD, "another one every few minutes");
	says(&seen, DOCTOR_GOOD, "does not show itself");
	says(&seen, DOCTOR_UNKNOWN, "can read from it: laptop");
	says(&seen, DOCTOR_GOOD, "keeps none");
	seen.privacy = DOCTOR_PRIVACY_OFF;
	says(&seen, DOCTOR_WEAK, "always the same");
	seen.adapters[0].pairable = true;
	says(&seen, DOCTOR_WEAK, "hci0 can be asked by strangers to pair");
	seen.adapters[0].discoverable = true;
	says(&seen, DOCTOR_WEAK, "hci0 tells its name");
	assert_int_equal(weak(&seen), 2);
	seen.records = DOCTOR_RECORDS_HIDDEN;
	says(&seen, DOCTOR_UNKNOWN, "only root can look");
	seen.records = DOCTOR_RECORDS_SOME;
	says(&seen, DOCTOR_UNKNOWN, "keeps names and pairings");
	seen.privacy = DOCTOR_PRIVACY_UNKNOWN;
	says(&seen, DOCTOR_UNKNOWN, "cannot be read");
}

static void every_adapter_is_named(void **state)
{
	struct doctor_bluetooth seen = on_and_good();
	struct doctor_finding findings[DOCTOR_BLUETOOTH_MAX];
	size_t n;

	(void)state;
	seen.adapters_len = RADIOS_MAX;
	for (uint32_t i = 1; i < RADIOS_MAX; i++)
		seen.adapters[i] = (struct doctor_adapter){ .number = i, .on = true, .low_energy = true };
	seen.adapters[0].on = false;
	seen.adapters[0].discoverable = true; /* it says so, and is off */
	seen.adapters[7].discoverable = true;
	says(&seen, DOCTOR_GOOD, "hci0 is not used");
	says(&seen, DOCTOR_GOOD, "hci7 is on");
	says(&seen, DOCTOR_WEAK, "hci7 tells its name");
	/* A name is text from elsewhere. */
	memset(seen.adapters[1].name, '\a', sizeof(seen.adapters[1].name) - 1);
	says(&seen, DOCTOR_UNKNOWN, "can read from it: ");
	n = doctor_bluetooth_judge(findings, &seen);
	for (size_t i = 0; i < n; i++)
		assert_null(strchr(findings[i].what, '\a'));
}

static enum doctor_privacy privacy_of(const char *config)
{
	struct doctor_bluetooth seen;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/main.conf", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(config, f);
	fclose(f);
	doctor_bluetooth_see(&seen, path, folder);
	unlink(path);
	return seen.privacy;
}

static void privacy_is_read_as_bluetoothd_reads_it(void **state)
{
	struct doctor_bluetooth seen;

	(void)state;
	doctor_bluetooth_see(&seen, "/nowhere/main.conf", folder);
	assert_int_equal(seen.privacy, DOCTOR_PRIVACY_OFF);
	assert_int_equal(privacy_of(""), DOCTOR_PRIVACY_OFF);
	assert_int_equal(privacy_of("[General]\n#Privacy = device\n"), DOCTOR_PRIVACY_OFF);
	assert_int_equal(privacy_of("[General]\nPrivacy = off\n"), DOCTOR_PRIVACY_OFF);
	assert_int_equal(privacy_of("[Policy]\nPrivacy = device\n"), DOCTOR_PRIVACY_OFF);
	assert_int_equal(privacy_of("[General]\nName = a\nPrivacy = device\n[Policy]\n"), DOCTOR_PRIVACY_ON);
	assert_int_equal(privacy_of("[General]\nPrivacy=network\n"), DOCTOR_PRIVACY_ON);
	assert_int_equal(privacy_of("[General]\nPrivacy=device\nPrivacy=off\n"), DOCTOR_PRIVACY_OFF);
}

static void records_are_counted_where_they_can_be_seen(void **state)
{
	struct doctor_bluetooth seen;
	char path[64];

	(void)state;
	doctor_bluetooth_see(&seen, "/nowhere/main.conf", "/nowhere");
	assert_int_equal(seen.records, DOCTOR_RECORDS_NONE);
	doctor_bluetooth_see(&seen, "/nowhere/main.conf", folder);
	assert_int_equal(seen.records, DOCTOR_RECORDS_NONE);
	snprintf(path, sizeof(path), "%s/00:11:22:33:44:55", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	doctor_bluetooth_see(&seen, "/nowhere/main.conf", folder);
	rmdir(path);
	assert_int_equal(seen.records, DOCTOR_RECORDS_SOME);
	if (geteuid() == 0)
		return; /* nothing is hidden from root */
	chmod(folder, 0);
	doctor_bluetooth_see(&seen, "/nowhere/main.conf", folder);
	chmod(folder, 0700);
	assert_int_equal(seen.records, DOCTOR_RECORDS_HIDDEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_bluetooth_nothing_is_weak),
		cmocka_unit_test(what_an_adapter_shows_is_weak),
		cmocka_unit_test(every_adapter_is_named),
		cmocka_unit_test(privacy_is_read_as_bluetoothd_reads_it),
		cmocka_unit_test(records_are_counted_where_they_can_be_seen),
	};
	int r;

	/* Whatever this machine has: nobody is asked. */
	setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus", 1);
	if (mkdtemp(folder) == NULL)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return r;
}
