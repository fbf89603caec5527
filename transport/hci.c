#include "transport/hci.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { SWITCHES_MAX = 64 }; /* that are looked at */

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* The value of a switch: one short line. */
static bool switch_is(int folder, const char *of, const char *what, const char *value)
{
	char path[64], line[32];
	int fd;
	ssize_t n;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", of, what) >= sizeof(path))
		return false;
	fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n <= 0)
		return false;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return strcmp(line, value) == 0;
}

bool hci_blocked(uint32_t number)
{
	char name[16];
	bool blocked = false;
	DIR *const folder = opendir("/sys/class/rfkill");
	const struct dirent *e;

	if (folder == NULL)
		return false;
	snprintf(name, sizeof(name), "hci%u", number);
	for (int i = 0; i < SWITCHES_MAX && !blocked && (e = readdir(folder)) != NULL; i++)
		blocked = begins(e->d_name, "rfkill") && switch_is(dirfd(folder), e->d_name, "name", name) &&
		          (switch_is(dirfd(folder), e->d_name, "soft", "1") ||
		           switch_is(dirfd(folder), e->d_name, "hard", "1"));
	closedir(folder);
	return blocked;
}

bool hci_present(void)
{
	bool present = false;
	DIR *const folder = opendir("/sys/class/bluetooth");
	const struct dirent *e;

	if (folder == NULL)
		return false;
	while (!present && (e = readdir(folder)) != NULL)
		present = begins(e->d_name, "hci");
	closedir(folder);
	return present;
}
