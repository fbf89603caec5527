/*
 * flyleaf-sim: simulated people, on one clock, from one seed. See flyleaf-sim(1).
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <sqlite3.h>

#include "tools/sim/html.h"
#include "tools/sim/need.h"
#include "tools/sim/plan.h"
#include "tools/sim/nonces.h"
#include "tools/sim/soak.h"

enum { EXIT_FINE = 0, EXIT_BROKEN = 1, EXIT_USAGE = 2 };
enum { WATCHED_PEOPLE_MAX = 500 };

static const char usage[] =
        "usage: flyleaf-sim run SCENARIO [--seed N] [--log FILE|-] [--from T] [--until T] [--who NAME]\n"
        "                                [--report] [--html FILE] [--hash]\n"
        "       flyleaf-sim soak [--budget TIME] [--jobs N] [--seed-from N] [--seeds N]\n"
        "       flyleaf-sim show random --seed N\n"
        "       flyleaf-sim check SCENARIO\n"
        "       flyleaf-sim live SCENARIO [OPTIONS]\n"
        "\n"
        "run     lives a scenario, a text that flyleaf-sim(1) explains; \"random\": one that the seed makes\n"
        "soak    lives random ones, one after the other, until the time is over\n"
        "show    prints the random scenario of a seed\n"
        "check   reads a scenario, and says what is wrong with it\n"
        "live    puts its people on this machine, for your own flyleaf to pair with: flyleaf-sim live "
        "--help\n"
        "\n"
        "  --seed N      all chance follows from it (1)\n"
        "  --log FILE    what happened, a line each; - is the standard output\n"
        "  --from T --until T --who NAME   only that part of it; T as 3h, 2d or 1d12:30:05.25\n"
        "  --report      figures at the end\n"
        "  --html FILE   the same as a page, with a map, a timeline and curves\n"
        "  --hash        the hash of the log at the end: the same for the same seed everywhere\n"
        "  --budget T    how long soak goes on (1m)\n"
        "\n"
        "Exit status: 0 nothing was broken; 1 a rule was, and how to repeat it is said; 2 not understood.\n";

struct options {
	const char *command, *scenario;
	uint64_t seed;
	const char *log, *who, *html;
	uint64_t from_us, until_us;
	bool report, hash;
	struct soak_options soak;
};

/* ---- Options ---------------------------------------------------------------- */

static bool read_number(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *text != '-';
}

/* "90s", "5m", "3h", "2d", "1d12:30:05.25", "12:30". */
static bool read_time(const char *text, uint64_t *out)
{
	unsigned days = 0, h = 0, m = 0;
	double s = 0;
	int end = 0;
	char unit;

	if (sscanf(text, "%lf%c%n", &s, &unit, &end) == 2 && text[end] == '\0' &&
	    strchr("smhd", unit) != NULL && s >= 0) {
		const double scale = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : 86400;

		*out = (uint64_t)(s * scale * 1e6 + 0.5);
		return s * scale < 1e9;
	}
	s = 0;
	if (sscanf(text, "%ud%n", &days, &end) != 1 || text[end - 1] != 'd')
		days = 0, end = 0;
	text += end;
	if (sscanf(text, "%u:%u%n:%lf%n", &h, &m, &end, &s, &end) < 2 || text[end] != '\0' || h > 23 ||
	    m > 59 || s < 0 || s >= 60 || days > 10000)
		return false;
	*out = ((uint64_t)days * 86400 + h * 3600 + m * 60) * 1000000 + (uint64_t)(s * 1e6 + 0.5);
	return true;
}

static bool take_flag(struct options *o, const char *name)
{
	if (strcmp(name, "--report") == 0)
		o->report = true;
	else if (strcmp(name, "--hash") == 0)
		o->hash = true;
	else
		return false;
	return true;
}

static bool take_value(struct options *o, const char *name, const char *value)
{
	uint64_t jobs;

	if (strcmp(name, "--seed") == 0)
		return read_number(value, &o->seed);
	if (strcmp(name, "--log") == 0)
		return o->log = value, true;
	if (strcmp(name, "--html") == 0)
		return o->html = value, true;
	if (strcmp(name, "--who") == 0)
		return o->who = value, true;
	if (strcmp(name, "--from") == 0)
		return read_time(value, &o->from_us);
	if (strcmp(name, "--until") == 0)
		return read_time(value, &o->until_us);
	if (strcmp(name, "--budget") == 0)
		return read_time(value, &o->soak.budget_us);
	if (strcmp(name, "--seed-from") == 0)
		return read_number(value, &o->soak.seed_from);
	if (strcmp(name, "--seeds") == 0)
		return read_number(value, &o->soak.seeds_max);
	if (strcmp(name, "--jobs") == 0 && read_number(value, &jobs) && jobs >= 1 && jobs <= SOAK_JOBS_MAX)
		return o->soak.jobs = (unsigned)jobs, true;
	return false;
}

static bool read_options(struct options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-' && argv[i][1] == '-') {
			if (take_flag(o, argv[i]))
				continue;
			if (i + 1 == argc || !take_value(o, argv[i], argv[i + 1])) {
				fprintf(stderr, "flyleaf-sim: %s: not understood; see flyleaf-sim --help\n",
				        argv[i]);
				return false;
			}
			i++;
		} else if (o->command == NULL) {
			o->command = argv[i];
		} else if (o->scenario == NULL) {
			o->scenario = argv[i];
		} else {
			fprintf(stderr, "flyleaf-sim: %s: too much; see flyleaf-sim --help\n", argv[i]);
			return false;
		}
	}
	return true;
}

/* ---- Commands --------------------------------------------------------------- */

static char *read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *text = need(malloc(SCENARIO_BYTES_MAX + 1));

	if (f == NULL) {
		fprintf(stderr, "flyleaf-sim: %s: %s\n", path, strerror(errno));
		free(text);
		return NULL;
	}
	*len = fread(text, 1, SCENARIO_BYTES_MAX + 1, f);
	fclose(f);
	return text;
}

static int load(const struct options *o, struct scenario *s)
{
	char error[SCENARIO_ERROR_MAX];
	size_t len = 0;
	char *text;
	int r;

	if (strcmp(o->scenario, "random") == 0) {
		text = soak_scenario(o->seed);
		len = strlen(text);
	} else {
		text = read_file(o->scenario, &len);
	}
	if (text == NULL)
		return EXIT_USAGE;
	r = scenario_parse(s, o->scenario, span_from(text, len), error);
	free(text);
	if (r != 0)
		fprintf(stderr, "%s\n", error);
	return r == 0 ? EXIT_FINE : EXIT_USAGE;
}

static void print_hash(struct log *log)
{
	struct hash32 hash;

	log_hash(log, &hash);
	printf("log ");
	for (size_t i = 0; i < sizeof(hash.b); i++)
		printf("%02x", hash.b[i]);
	printf("\n");
}

static void say_broken(const struct options *o, const struct world *w)
{
	char time[LOG_TIME_MAX];

	fflush(stdout);
	fprintf(stderr, "flyleaf-sim: broken at %s: %s\n", log_time(time, w->now_us), w->broken);
	fprintf(stderr, "repeat: flyleaf-sim run %s --seed %" PRIu64 " --until %" PRIu64 ".%06us --log -\n",
	        o->scenario, o->seed, (w->now_us + 1) / 1000000, (unsigned)((w->now_us + 1) % 1000000));
}

static bool write_page(const struct options *o, const struct scenario *s, struct plan *p,
                       const struct story *story)
{
	const struct html_scene scene = { s, plan_report(p), story };
	FILE *f = fopen(o->html, "w");

	if (f != NULL)
		html_write(&scene, f);
	if (f != NULL && fclose(f) == 0)
		return true;
	fprintf(stderr, "flyleaf-sim: %s: %s\n", o->html, strerror(errno));
	return false;
}

/* No key seals twice with one nonce (I4). */
static const char *watch_nonces(bool begins)
{
	if (begins)
		nonces_reset();
	return nonces_broken() > 0 ? "a key sealed twice with one nonce" : NULL;
}

static int run(const struct options *o)
{
	const bool logged = o->log != NULL || o->hash;
	struct log_options to = { .from_us = o->from_us, .who = o->who };
	struct plan_options how = { .seed = o->seed, .until_us = o->until_us };
	struct story story = { 0 };
	struct scenario s = { 0 };
	struct plan *p;
	int r = load(o, &s);
	bool fine;

	if (r != EXIT_FINE)
		return r;
	if (o->log != NULL)
		to.out = strcmp(o->log, "-") == 0 ? stdout : fopen(o->log, "w");
	if (o->log != NULL && to.out == NULL) {
		fprintf(stderr, "flyleaf-sim: %s: %s\n", o->log, strerror(errno));
		scenario_deinit(&s);
		return EXIT_USAGE;
	}
	how.log = logged ? log_new(&to) : NULL;
	if (o->html != NULL) {
		story_init(&story, s.people_len);
		how.story = &story;
	}
	/* It remembers each call: of a city too many. */
	if (s.people_len <= WATCHED_PEOPLE_MAX)
		how.watcher = watch_nonces;
	p = plan_new(&s, &how);
	fine = plan_run(p);
	if (o->report)
		report_print(plan_report(p), stdout);
	if (o->hash)
		print_hash(how.log);
	if (fine && !o->report && !logged && o->html == NULL)
		puts("Nothing was broken. What happened says --report, --log - or --html FILE.");
	if (!fine)
		say_broken(o, plan_world(p));
	if (o->html != NULL && !write_page(o, &s, p, &story))
		fine = false;
	plan_free(p);
	story_deinit(&story);
	log_free(how.log);
	if (to.out != NULL && to.out != stdout)
		fclose(to.out);
	scenario_deinit(&s);
	return fine ? EXIT_FINE : EXIT_BROKEN;
}

static int show(const struct options *o)
{
	char *text;

	if (strcmp(o->scenario, "random") != 0) {
		fprintf(stderr, "flyleaf-sim: show knows \"random\" only\n");
		return EXIT_USAGE;
	}
	text = soak_scenario(o->seed);
	fputs(text, stdout);
	free(text);
	return EXIT_FINE;
}

static int check(const struct options *o)
{
	struct scenario s = { 0 };
	const int r = load(o, &s);

	if (r == EXIT_FINE)
		printf("%s: %zu people, %zu pairs, %zu places\n", o->scenario, s.people_len, s.pairs_len,
		       s.places_len);
	scenario_deinit(&s);
	return r;
}

/* Another program: this one has no network. It lies beside this one, or where it is built. */
static int live(char **argv)
{
	static const char *const places[] = { "flyleaf-sim-live", "../live/flyleaf-sim-live" };
	char path[PATH_MAX];
	const ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *name;

	path[MAX(len, (ssize_t)0)] = '\0';
	name = strrchr(path, '/');
	for (size_t i = 0; name != NULL && i < COUNT_OF(places); i++) {
		if ((size_t)snprintf(name + 1, sizeof(path) - (size_t)(name + 1 - path), "%s", places[i]) >=
		    sizeof(path) - (size_t)(name + 1 - path))
			break;
		execv(path, argv);
	}
	fprintf(stderr, "flyleaf-sim: flyleaf-sim-live: %s\n", strerror(errno));
	return EXIT_USAGE;
}

static int not_understood(const char *what, const char *more)
{
	fprintf(stderr, "flyleaf-sim: %s%s; see flyleaf-sim --help\n", what, more);
	return EXIT_USAGE;
}

/* SQLite would set aside 200 KB for each notebook that is open, and there are thousands. It has not begun
 * yet, and cannot refuse. */
static void be_frugal(void)
{
	sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
	sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *word;
		int (*command)(const struct options *o);
	} of_scenario[] = { { "run", run }, { "show", show }, { "check", check } };
	struct options o = {
		.seed = 1,
		.soak = { .budget_us = 60000000, .jobs = 1, .seed_from = 1, .seeds_max = UINT64_MAX },
	};

	if (argc > 1 && strcmp(argv[1], "live") == 0)
		return live(argv + 1);
	be_frugal();
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(usage, stdout);
			return EXIT_FINE;
		}
	if (!read_options(&o, argc, argv))
		return EXIT_USAGE;
	if (o.command == NULL)
		return not_understood("nothing is to be done", "");
	if (strcmp(o.command, "soak") == 0) {
		if (o.scenario != NULL)
			return not_understood("soak makes its own scenarios; it does not take ", o.scenario);
		o.soak.watcher = watch_nonces;
		return soak(&o.soak);
	}
	for (size_t i = 0; i < COUNT_OF(of_scenario); i++) {
		if (strcmp(o.command, of_scenario[i].word) != 0)
			continue;
		if (o.scenario == NULL)
			return not_understood(
			        o.command,
			        " needs a scenario: a file, as tools/sim/scenarios/household.sim, or random");
		return of_scenario[i].command(&o);
	}
	return not_understood("there is no command ", o.command);
}
