/*
 * doctor.c: what on this system weakens Flyleaf, and how to mend it.
 *
 * A table of checks; each looks at one thing that an ordinary user can see, and changes nothing.
 */
#include "tools/flyleaf/doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "node/confine.h"
#include "store/vault.h"
#include "tools/flyleaf/command.h"
#include "tools/flyleaf/doctor_bluetooth.h"
#include "tools/flyleaf/prose.h"
#include "tools/flyleaf/report.h"
#include "tools/flyleaf/term.h"

enum {
	MEMLOCK_MIN = 1 << 20, /* bytes: what the node locks in memory besides Argon2id */
	CLOCK_MIN = 2024,      /* years */
	CLOCK_MAX = 2090,
	MEND_INDENT = 6
};

struct doctor_finding doctor_found(enum doctor_verdict verdict, const char *mend, const char *what, ...)
{
	struct doctor_finding f = { .verdict = verdict, .mend = mend };
	va_list args;

	va_start(args, what);
	vsnprintf(f.what, sizeof(f.what), what, args);
	va_end(args);
	return f;
}

/* The first line of a file, without its end; false where it cannot be read. */
static bool first_line(char *out, size_t cap, const char *path)
{
	FILE *f = fopen(path, "re");
	bool good = f != NULL && fgets(out, (int)cap, f) != NULL;

	if (f != NULL)
		fclose(f);
	if (good)
		out[strcspn(out, "\n")] = '\0';
	return good;
}

/* The closest folder of path that is there. */
static void existing_part(char out[static PATH_MAX], const char *path)
{
	snprintf(out, PATH_MAX, "%s", path);
	while (access(out, F_OK) != 0) {
		char *slash = strrchr(out, '/');

		if (slash == NULL || slash == out) {
			snprintf(out, PATH_MAX, slash == NULL ? "." : "/");
			return;
		}
		*slash = '\0';
	}
}

/* ---- Where memory ends up -------------------------------------------------- */

/* A swap device whose name is that of an encrypted mapping, or compressed memory. */
static bool swap_is_safe(const char *path)
{
	char real[PATH_MAX], file[PATH_MAX + 32], uuid[256];
	const char *name;

	if (strncmp(path, "/dev/zram", strlen("/dev/zram")) == 0)
		return true;
	if (realpath(path, real) == NULL)
		return false;
	name = strrchr(real, '/') + 1;
	snprintf(file, sizeof(file), "/sys/class/block/%s/dm/uuid", name);
	return first_line(uuid, sizeof(uuid), file) && strncmp(uuid, "CRYPT-", strlen("CRYPT-")) == 0;
}

static struct doctor_finding check_swap(const struct command_line *line)
{
	FILE *f = fopen("/proc/swaps", "re");
	char row[512], path[256], bad[256] = "";
	bool any = false;

	(void)line;
	if (f == NULL)
		return doctor_found(DOCTOR_UNKNOWN, NULL, "swap: /proc/swaps cannot be read");
	while (fgets(row, sizeof(row), f) != NULL) {
		if (row[0] != '/' || sscanf(row, "%255s", path) != 1)
			continue;
		any = true;
		if (!swap_is_safe(path))
			snprintf(bad, sizeof(bad), "%s", path);
	}
	fclose(f);
	if (bad[0] != '\0')
		return doctor_found(
		        DOCTOR_WEAK,
		        "Turn it off (swapoff -a, and its line in /etc/fstab), use zram, or encrypt it "
		        "with cryptsetup.",
		        "swap: %s is not encrypted; what programs hold in memory can end up on the disk",
		        bad);
	return doctor_found(DOCTOR_GOOD, NULL, "swap: %s", any ? "encrypted, or in memory" : "none");
}

static struct doctor_finding check_hibernation(const struct command_line *line)
{
	char resume[128], image[32];

	(void)line;
	if (!first_line(resume, sizeof(resume), "/sys/power/resume") || strcmp(resume, "0:0") == 0)
		return doctor_found(DOCTOR_GOOD, NULL, "hibernation: not set up");
	if (!first_line(image, sizeof(image), "/sys/power/state") || strstr(image, "disk") == NULL)
		return doctor_found(DOCTOR_GOOD, NULL, "hibernation: not possible");
	return doctor_found(
	        DOCTOR_WEAK,
	        "systemctl mask hibernate.target hybrid-sleep.target suspend-then-hibernate.target",
	        "hibernation: is set up; it writes the whole memory to the disk");
}

static struct doctor_finding check_cores(const struct command_line *line)
{
	char pattern[256];

	(void)line;
	if (!first_line(pattern, sizeof(pattern), "/proc/sys/kernel/core_pattern"))
		return doctor_found(DOCTOR_UNKNOWN, NULL, "core dumps: cannot be read");
	if (pattern[0] == '|' && strcmp(pattern, "|/bin/false") != 0)
		return doctor_found(
		        DOCTOR_WEAK,
		        "The node itself cannot be dumped. For the terminal and the desktop: Storage=none in "
		        "/etc/systemd/coredump.conf, or sysctl kernel.core_pattern='|/bin/false'",
		        "core dumps: a program keeps them (%.100s)", pattern + 1);
	return doctor_found(DOCTOR_GOOD, NULL, "core dumps: not collected by the system");
}

static struct doctor_finding check_memlock(const struct command_line *line)
{
	struct rlimit limit;

	(void)line;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
		return doctor_found(DOCTOR_UNKNOWN, NULL, "locked memory: the limit cannot be read");
	if (limit.rlim_cur < MEMLOCK_MIN)
		return doctor_found(DOCTOR_WEAK,
		                    "Raise it: `ulimit -l 8192`, or memlock in /etc/security/limits.conf",
		                    "locked memory: only %llu KiB are allowed; keys could be swapped out",
		                    (unsigned long long)limit.rlim_cur >> 10);
	return doctor_found(DOCTOR_GOOD, NULL, "locked memory: enough for the keys");
}

static struct doctor_finding check_confinement(const struct command_line *line)
{
	const int lacks = confine_lacks();

	(void)line;
	if ((lacks & CONFINE_FILES_OPEN) != 0)
		return doctor_found(
		        DOCTOR_WEAK,
		        "Use a kernel with Landlock, Linux 5.13 or later; where it is there and off, add "
		        "landlock to lsm= on the kernel's command line.",
		        "confinement: a fault in Flyleaf could reach other files of yours");
	if ((lacks & CONFINE_CALLS_OPEN) != 0)
		return doctor_found(DOCTOR_WEAK, "Use a kernel with seccomp filters.",
		                    "confinement: a fault in Flyleaf could start other programs");
	return doctor_found(DOCTOR_GOOD, NULL,
	                    "confinement: a node opens its own files and no others of yours");
}

/* ---- Where the vault rests ------------------------------------------------- */

static struct doctor_finding check_permissions(const struct command_line *line)
{
	struct stat st;

	if (stat(line->home, &st) != 0)
		return doctor_found(DOCTOR_UNKNOWN, "Make a vault with: flyleaf init",
		                    "folder: %.300s is not there yet", line->home);
	if (st.st_uid != geteuid())
		return doctor_found(DOCTOR_WEAK, "Use a folder of your own, with --home.",
		                    "folder: %.300s belongs to another user", line->home);
	if ((st.st_mode & 077) != 0)
		return doctor_found(DOCTOR_WEAK, "chmod 700 it.", "folder: other users can look into %.300s",
		                    line->home);
	return doctor_found(DOCTOR_GOOD, NULL, "folder: for you alone");
}

/* The mount of path: its type and options. Of several lines for one device the last counts. */
static bool find_mount(char type[static 64], char flags[static 512], const char *path)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char row[2048];
	struct stat st;
	bool found = false;

	if (f == NULL || stat(path, &st) != 0) {
		if (f != NULL)
			fclose(f);
		return false;
	}
	while (fgets(row, sizeof(row), f) != NULL) {
		unsigned major_n, minor_n;
		const char *rest = strstr(row, " - ");

		if (rest == NULL || sscanf(row, "%*d %*d %u:%u", &major_n, &minor_n) != 2)
			continue;
		if (major_n != major(st.st_dev) || minor_n != minor(st.st_dev))
			continue;
		found = sscanf(rest, " - %63s %*s %511s", type, flags) == 2 || found;
	}
	fclose(f);
	return found;
}

static struct doctor_finding check_file_system(const struct command_line *line)
{
	char path[PATH_MAX], type[64] = "", flags[512] = "";
	struct statfs fs;

	existing_part(path, line->home);
	if (statfs(path, &fs) != 0)
		return doctor_found(DOCTOR_UNKNOWN, NULL, "file system: cannot be read");
	find_mount(type, flags, path);
	if (fs.f_type == BTRFS_SUPER_MAGIC || strcmp(type, "zfs") == 0 || strcmp(type, "bcachefs") == 0)
		return doctor_found(
		        DOCTOR_WEAK,
		        "Leave the folder out of snapshots (a subvolume of its own), or choose an ext4 "
		        "or xfs disk with --home.",
		        "file system: copies on writing, and snapshots keep what was deleted");
	if (strcmp(type, "overlay") == 0)
		return doctor_found(DOCTOR_WEAK, "Choose a folder on a real disk with --home.",
		                    "file system: an overlay; what is deleted may stay below");
	if (fs.f_type == NFS_SUPER_MAGIC || strcmp(type, "cifs") == 0 || strcmp(type, "smb3") == 0 ||
	    strncmp(type, "fuse", strlen("fuse")) == 0)
		return doctor_found(DOCTOR_WEAK, "Choose a folder on a disk of this machine with --home.",
		                    "file system: %s; where the bytes rest cannot be known from here", type);
	if (strstr(flags, "data=journal") != NULL)
		return doctor_found(DOCTOR_WEAK, "Mount it with data=ordered (the default) in /etc/fstab.",
		                    "file system: journals all data; the journal keeps what was overwritten");
	return doctor_found(DOCTOR_GOOD, NULL, "file system: %s", type[0] != '\0' ? type : "of this machine");
}

/* As vault_room() sees it, for a vault of two places: all logs have one size. */
static struct doctor_finding check_room(const struct command_line *line)
{
	char path[PATH_MAX], log[PATH_MAX + 16];
	struct statvfs fs;
	struct stat st = { 0 };
	uint64_t room, need;

	existing_part(path, line->home);
	if (statvfs(path, &fs) != 0)
		return doctor_found(DOCTOR_UNKNOWN, NULL, "room: cannot be read");
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	snprintf(log, sizeof(log), "%s/notebooks/0", line->home);
	(void)!stat(log, &st); /* where there is no vault, nothing of it */
	need = (uint64_t)st.st_size + (uint64_t)SLOTS_PLACES_OWN * VAULT_RESERVE;
	if (room < need)
		return doctor_found(
		        DOCTOR_WEAK, "Remove something else from this disk.",
		        "room: %llu MiB are free where the vault is; with less than %llu nothing more is "
		        "taken from others, and what was deleted cannot be erased",
		        (unsigned long long)room >> 20, (unsigned long long)need >> 20);
	return doctor_found(DOCTOR_GOOD, NULL, "room: %llu MiB are free", (unsigned long long)room >> 20);
}

static bool in_path(const char *program)
{
	static const char *const folders[] = { "/usr/sbin", "/usr/bin", "/sbin", "/bin" };
	char path[128];

	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], program);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static struct doctor_finding check_snapshots(const struct command_line *line)
{
	(void)line;
	if (in_path("timeshift") || in_path("snapper"))
		return doctor_found(
		        DOCTOR_WEAK,
		        "Leave the folder out of its snapshots: a copy of before keeps what was deleted "
		        "after.",
		        "snapshots: timeshift or snapper is installed");
	return doctor_found(DOCTOR_GOOD, NULL, "snapshots: no tool for them is installed");
}

/* ---- The network ----------------------------------------------------------- */

/* Whether a line of the file begins so. */
static bool file_has(const char *path, const char *start)
{
	FILE *f = fopen(path, "re");
	char row[512];
	bool has = false;

	while (f != NULL && !has && fgets(row, sizeof(row), f) != NULL)
		has = strncmp(row, start, strlen(start)) == 0;
	if (f != NULL)
		fclose(f);
	return has;
}

static struct doctor_finding check_firewall(const struct command_line *line)
{
	(void)line;
	if (file_has("/etc/ufw/ufw.conf", "ENABLED=yes")) {
		if (access("/etc/ufw/before.rules", R_OK) == 0 &&
		    !file_has("/etc/ufw/before.rules",
		              "-A ufw-before-input -p udp -d 224.0.0.251 --dport 5353 -j ACCEPT"))
			return doctor_found(
			        DOCTOR_WEAK, "ufw allow in proto udp to 224.0.0.251 port 5353",
			        "firewall: ufw is on and its rule for 224.0.0.251:5353 is gone; calls "
			        "do not come in");
		return doctor_found(DOCTOR_GOOD, NULL, "firewall: ufw; its own rules let calls in");
	}
	if (access("/run/firewalld", F_OK) == 0 || access("/run/firewalld.pid", F_OK) == 0)
		return doctor_found(DOCTOR_UNKNOWN,
		                    "See that the zone allows it: firewall-cmd --list-services; if not: "
		                    "firewall-cmd --add-service=mdns --permanent",
		                    "firewall: firewalld; calls come in where the service mdns is allowed");
	if (access("/etc/nftables.conf", R_OK) == 0 && in_path("nft") &&
	    access("/etc/systemd/system/sysinit.target.wants/nftables.service", F_OK) == 0)
		return doctor_found(
		        DOCTOR_UNKNOWN,
		        "If nobody is found, allow UDP to 224.0.0.251 and ff02::fb, port 5353, in "
		        "/etc/nftables.conf",
		        "firewall: nftables is on; its rules cannot be read by an ordinary user");
	return doctor_found(DOCTOR_GOOD, NULL, "firewall: none that could be seen");
}

static struct doctor_finding check_avahi(const struct command_line *line)
{
	(void)line;
	if (access("/run/avahi-daemon/socket", F_OK) == 0)
		return doctor_found(
		        DOCTOR_GOOD, NULL,
		        "avahi: runs beside Flyleaf and is undisturbed (it tells this machine's name to "
		        "the network by itself)");
	return doctor_found(DOCTOR_GOOD, NULL, "avahi: not running, and not needed");
}

static struct doctor_finding check_clock(const struct command_line *line)
{
	time_t now = time(NULL);
	struct tm t;

	(void)line;
	if (gmtime_r(&now, &t) == NULL || t.tm_year + 1900 < CLOCK_MIN || t.tm_year + 1900 > CLOCK_MAX)
		return doctor_found(
		        DOCTOR_WEAK, "Set it (timedatectl set-time), then: flyleaf look",
		        "clock: cannot be right; calls older or newer than twenty minutes are not answered");
	return doctor_found(DOCTOR_GOOD, NULL, "clock: plausible");
}

/* ---- Flyleaf itself -------------------------------------------------------- */

static struct doctor_finding check_node(const struct command_line *line)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/control", line->home);
	if (access(path, F_OK) == 0)
		return doctor_found(DOCTOR_GOOD, NULL,
		                    "node: has been started here; `flyleaf status` says more");
	return doctor_found(DOCTOR_GOOD, NULL, "node: not running");
}

static struct doctor_finding (*const checks[])(const struct command_line *line) = {
	check_swap,        check_hibernation, check_cores, check_memlock,   check_confinement,
	check_permissions, check_file_system, check_room,  check_snapshots, check_firewall,
	check_avahi,       check_clock,       check_node,
};

/* Whether it is something weak. */
static bool print(const struct doctor_finding *f)
{
	static const struct {
		const char *word;
		enum term_style style;
	} verdicts[] = { [DOCTOR_GOOD] = { "good", TERM_GOOD },
		         [DOCTOR_WEAK] = { "WEAK", TERM_WARN },
		         [DOCTOR_UNKNOWN] = { "?   ", TERM_DIM } };

	term_style(stdout, verdicts[f->verdict].style);
	fputs(verdicts[f->verdict].word, stdout);
	term_style(stdout, TERM_PLAIN);
	fputs("  ", stdout);
	prose_put(stdout, MEND_INDENT, MEND_INDENT, f->what);
	if (f->mend != NULL) {
		printf("\n%*s", MEND_INDENT, "");
		prose_put(stdout, MEND_INDENT, MEND_INDENT, f->mend);
	}
	putchar('\n');
	return f->verdict == DOCTOR_WEAK;
}

/* Bluetooth has as many findings as there are adapters, and more. */
static unsigned print_bluetooth(void)
{
	struct doctor_finding findings[DOCTOR_BLUETOOTH_MAX];
	struct doctor_bluetooth seen;
	unsigned weak = 0;
	size_t n;

	doctor_bluetooth_see(&seen, "/etc/bluetooth/main.conf", "/var/lib/bluetooth");
	n = doctor_bluetooth_judge(findings, &seen);
	for (size_t i = 0; i < n; i++)
		weak += print(&findings[i]);
	return weak;
}

int command_doctor(const struct command_line *line)
{
	unsigned weak = 0;

	for (size_t i = 0; i < COUNT_OF(checks); i++) {
		const struct doctor_finding f = checks[i](line);

		weak += print(&f);
	}
	weak += print_bluetooth();
	if (weak == 0)
		prose(stdout, "\nNothing on this system weakens Flyleaf, as far as can be seen from here.");
	else
		printf("\n%u of these can be made better.\n", weak);
	return weak == 0 ? EXIT_DONE : EXIT_REFUSED;
}
