/*
 * main.c: bench, which measures Flyleaf beside references that run in turns with it.
 *
 * Every row of ours has a figure that it must reach; the program fails where one is missed. References are
 * written here on libsodium, SQLite and sockets alone. Rows of other projects are there to compare, and only
 * where their libraries were found (option `others`).
 */
#include <ftw.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

#include <sodium.h>

#include "tools/bench/bench.h"
#include "tools/bench/peer.h"

static const struct {
	const char *name;
	void (*run)(struct bench *b);
} parts[] = {
	{ "primitives", bench_primitives },
#ifdef BENCH_OLM
	{ "olm", bench_olm },
#endif
#ifdef BENCH_SIGNAL
	{ "signal", bench_signal },
#endif
	{ "pages", bench_pages },
	{ "resting", bench_resting },
	{ "quiet", bench_quiet },
	{ "talk", bench_talk },
#ifdef BENCH_TOXCORE
	{ "toxcore", bench_toxcore },
#endif
	{ "sync", bench_sync },
};

void bench_fail(const char *what, const char *why)
{
	fprintf(stderr, "bench: %s: %s\n", what, why);
	exit(2);
}

void bench_must(int r, const char *what)
{
	if (r != 0)
		bench_fail(what, r < 0 ? err_str(r) : "refused");
}

void bench_path(char *out, const char *dir, const char *name)
{
	if (snprintf(out, BENCH_PATH_MAX, "%s/%s", dir, name) >= BENCH_PATH_MAX)
		bench_fail(dir, "the path is too long");
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

void bench_remove(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_dir(struct bench *b, const char *under)
{
	struct statfs fs;

	if (snprintf(b->dir, sizeof(b->dir), "%s/flyleaf-bench-XXXXXX", under) >= BENCH_PATH_MAX - 32)
		bench_fail(under, "the path is too long");
	if (mkdtemp(b->dir) == NULL)
		bench_fail(under, "no folder can be made there");
	if (statfs(b->dir, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC))
		fprintf(stderr, "bench: %s is in memory: durable work is faster there than it is\n", under);
}

static void usage(FILE *to)
{
	fprintf(to, "usage: bench [--json] [--dir DIR] [--rounds N] [--runs N] [--messages N] [PART...]\n"
	            "  --json        for programs\n"
	            "  --dir DIR     a folder on the disk that is measured (default: /var/tmp)\n"
	            "  --rounds N    of each work and of its reference, in turns (default: 5)\n"
	            "  --runs N      rounds of the sync (default: as --rounds)\n"
	            "  --messages N  of the sync (default: 100000)\n"
	            "parts:");
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		fprintf(to, " %s", parts[i].name);
	fprintf(to, "\nBuild it for speed, or run tools/bench/run, which does:\n"
	            "  meson setup --buildtype=release -Db_sanitize=none BUILD\n"
	            "The status is 1 where a figure is missed, 2 where a measurement failed.\n");
}

static bool is_wanted(const char *name, char *const *names)
{
	if (*names == NULL)
		return true;
	for (; *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static void check_names(char *const *names)
{
	for (; *names != NULL; names++) {
		bool known = false;

		for (size_t i = 0; i < COUNT_OF(parts); i++)
			known |= strcmp(*names, parts[i].name) == 0;
		if (!known)
			bench_fail(*names, "no such part; see --help");
	}
}

static unsigned number(const char *text, unsigned max)
{
	char *end;
	const unsigned long n = strtoul(text, &end, 10);

	if (*end != '\0' || n == 0 || n > max)
		bench_fail(text, "not a number that can be used here");
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "dir", required_argument, NULL, 'd' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "runs", required_argument, NULL, 'n' },
		{ "messages", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	static struct bench b = { .self = "/proc/self/exe", .rounds = 5, .messages = 100000 };
	const char *under = "/var/tmp";
	bool json = false;
	int c;

	if (sodium_init() < 0)
		bench_fail("libsodium", "it does not start");
	if (argc == 5 && strcmp(argv[1], "--node") == 0)
		return peer_main(argv[2], argv[3], argv[4]);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'j':
			json = true;
			break;
		case 'd':
			under = optarg;
			break;
		case 'r':
			b.rounds = number(optarg, 100);
			break;
		case 'n':
			b.runs = number(optarg, 100);
			break;
		case 'm':
			b.messages = number(optarg, 1000000);
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	check_names(&argv[optind]);
	b.runs = b.runs == 0 ? b.rounds : b.runs;
	make_dir(&b, under);
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (is_wanted(parts[i].name, &argv[optind]))
			parts[i].run(&b);
	bench_remove(b.dir);
	if (json)
		report_print_json(&b.report);
	else
		report_print(&b.report);
	return report_is_good(&b.report) ? 0 : 1;
}
