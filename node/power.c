#include "node/power.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Whether the file of this supply says this word. */
static bool says(const char *folder, const char *supply, const char *file, const char *word)
{
	char path[PATH_MAX], line[64] = "";
	FILE *f;

	if (snprintf(path, sizeof(path), "%s/%s/%s", folder, supply, file) >= (int)sizeof(path))
		return false;
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	if (fgets(line, sizeof(line), f) != NULL)
		line[strcspn(line, "\n")] = '\0';
	fclose(f);
	return strcmp(line, word) == 0;
}

bool power_on_battery(const char *folder)
{
	DIR *d = opendir(folder);
	bool found = false;

	if (d == NULL)
		return false;
	for (const struct dirent *e = readdir(d); e != NULL && !found; e = readdir(d))
		found = says(folder, e->d_name, "type", "Battery") &&
		        says(folder, e->d_name, "status", "Discharging") &&
		        !says(folder, e->d_name, "scope", "Device"); /* a mouse's */
	closedir(d);
	return found;
}
