#include "node/power.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOW_PERCENT = 20, FULL_PERCENT = 100, WORD_MAX = 64 };

/* What a file of this supply says; empty where it cannot be read. */
static void read_word(char out[static WORD_MAX], const char *folder, const char *supply, const char *file)
{
	char path[PATH_MAX];
	FILE *f;

	out[0] = '\0';
	if (snprintf(path, sizeof(path), "%s/%s/%s", folder, supply, file) >= (int)sizeof(path))
		return;
	f = fopen(path, "re");
	if (f == NULL)
		return;
	if (fgets(out, WORD_MAX, f) == NULL)
		out[0] = '\0';
	fclose(f);
	out[strcspn(out, "\n")] = '\0';
}

static bool says(const char *folder, const char *supply, const char *file, const char *word)
{
	char line[WORD_MAX];

	read_word(line, folder, supply, file);
	return strcmp(line, word) == 0;
}

/* Of a battery that does not say it nothing bad is thought. */
static long percent(const char *folder, const char *supply)
{
	char line[WORD_MAX], *end;
	long value;

	read_word(line, folder, supply, "capacity");
	value = strtol(line, &end, 10);
	return end == line || *end != '\0' ? FULL_PERCENT : value;
}

enum power power_now(const char *folder)
{
	DIR *d = opendir(folder);
	const struct dirent *e;
	bool discharging = false;
	long fullest = 0; /* of two batteries one may be empty by design */

	if (d == NULL)
		return POWER_MAINS;
	while ((e = readdir(d)) != NULL) {
		if (!says(folder, e->d_name, "type", "Battery") ||
		    says(folder, e->d_name, "scope", "Device")) /* a mouse's */
			continue;
		discharging |= says(folder, e->d_name, "status", "Discharging");
		fullest = MAX(fullest, percent(folder, e->d_name));
	}
	closedir(d);
	if (!discharging)
		return POWER_MAINS;
	return fullest < LOW_PERCENT ? POWER_LOW : POWER_BATTERY;
}
