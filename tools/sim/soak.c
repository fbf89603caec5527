#include "tools/sim/soak.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/sim/need.h"
#include "tools/sim/plan.h"

enum { TEXT_MAX_LEN = 1 << 14, DAYS = 3, BROKEN_SHOWN = 5 };

/* ---- A random scenario ------------------------------------------------------ */

struct text {
	char *buf;
	size_t len;
	struct dice dice;
};

static unsigned draw(struct text *t, unsigned low, unsigned high)
{
	return (unsigned)dice_between(&t->dice, low, high);
}

static bool chance(struct text *t, unsigned percent)
{
	return draw(t, 1, 100) <= percent;
}

static void put(struct text *t, const char *from, size_t len)
{
	assert(t->len + len < TEXT_MAX_LEN);
	memcpy(t->buf + t->len, from, len);
	t->len += len;
	t->buf[t->len] = '\0';
}

/* "{3..8}" becomes a number, "{a|b|c}" one of them. */
static void put_drawn(struct text *t, const char *from, size_t len)
{
	unsigned low, high, choices = 1;
	char number[16];

	if (sscanf(from, "%u..%u", &low, &high) == 2) {
		put(t, number, (size_t)snprintf(number, sizeof(number), "%02u", draw(t, low, high)));
		return;
	}
	for (size_t i = 0; i < len; i++)
		choices += from[i] == '|';
	for (choices = draw(t, 0, choices - 1); choices > 0; choices--) {
		const size_t skip = (size_t)((const char *)memchr(from, '|', len) - from) + 1;

		from += skip;
		len -= skip;
	}
	put(t, from,
	    memchr(from, '|', len) == NULL ? len : (size_t)((const char *)memchr(from, '|', len) - from));
}

/* All chance within a line is drawn from the left to the right. */
static void say(struct text *t, const char *line)
{
	while (*line != '\0') {
		const size_t plain = strcspn(line, "{");
		const char *end = strchr(line, '}');

		put(t, line, plain);
		line += plain;
		if (*line == '\0')
			break;
		put_drawn(t, line + 1, (size_t)(end - line) - 1);
		line = end + 1;
	}
}

static void say_if(struct text *t, unsigned percent, const char *line)
{
	if (chance(t, percent))
		say(t, line);
}

/* Any two have one carrier at least in common. */
static const char *some_radios(struct text *t)
{
	static const char *const radios[] = { "", "", "", " with {both|both|wifi}",
		                              " with {both|bluetooth}" };

	return radios[draw(t, 0, COUNT_OF(radios) - 1)];
}

static void say_people(struct text *t, unsigned people)
{
	const char *radios = some_radios(t);
	char who[32];

	say(t, "place cafe lan{||| ipv6}\nplace other {lan|lan|lan|lan|deaf|deaf|isolated}\n");
	for (unsigned i = 0; i < people; i++) {
		put(t, who, (size_t)snprintf(who, sizeof(who), "people p%u", i));
		say_if(t, 30, " battery");
		say(t, radios);
		if (chance(t, 70))
			say(t, " opens {1..2}/day for {2..5}m..{6..20}m");
		else
			say(t, " opens visiting");
		say_if(t, 30, " firewall {guard|guard|closed}");
		say_if(t, 30, " home {cafe|other}");
		say(t, "\n");
	}
	for (unsigned i = 1; i < people; i++) {
		const unsigned with = draw(t, 0, i - 1);

		put(t, who, (size_t)snprintf(who, sizeof(who), "pair p%u with p%u", with, i));
		say(t, " {first|second|both} calls\n");
	}
	if (people > 2 && chance(t, 50)) {
		put(t, who, (size_t)snprintf(who, sizeof(who), "pair p0 with p%u", people - 1));
		say(t, " {first|second|both} calls\n");
	}
}

static void say_days(struct text *t)
{
	char time[32];

	for (unsigned i = draw(t, 1, 3); i > 0; i--) {
		const unsigned h = draw(t, 0, 22);

		put(t, time, (size_t)snprintf(time, sizeof(time), "day %02u:00..%02u", h, h));
		say(t, ":{31..59} * at {cafe|cafe|other} for {1..5}m..{6..25}m chance {50..100}%\n");
	}
	say(t, "writes * to * {1..8}/day {1..100}..{101..1500} bytes\n");
	say_if(t, 10, "writes p0 to * {1..3}/day 5000..30000 bytes\n");
}

static void say_air(struct text *t)
{
	say_if(t, 50, "fault drop {1..30}%\n");
	say_if(t, 30, "fault twice {1..50}%\n");
	say_if(t, 30, "fault late {1..20}% for {1..60}s\n");
	say_if(t, 30, "fault corrupt {1..20}%\n");
	say_if(t, 20, "fault cut {1..20}%\n");
	say_if(t, 20, "fault longer {1..20}%\n");
	say_if(t, 20, "fault deaf {1..90}%\n");
	say_if(t, 30, "strangers at * {10..200}/day\n");
	if (chance(t, 30)) {
		say(t, "liars at * {20..80}%");
		say_if(t, 30, " flood {1..4}/day");
		say(t, "\n");
	}
}

static void say_life(struct text *t)
{
	static const char *const faults[] = {
		"offline {1..6}/day for 1s..1h",
		"radio-off {1..6}/day for 1s..1h",
		"readdress {1..6}/day",
		"half-open {1..6}/day for 1s..30m",
		"flap {1..6}/day",
		"split {1..6}/day for 1s..30m",
		"kill {1..6}/day",
		"power {1..6}/day",
		"power-in-write {1..6}/day",
		"put-back {1..4}/day",
		"full {1..6}/day for 1m..2h",
		"broken {1..6}/day",
		"sleep {1..6}/day for 1s..8h",
		"forget of p0 {1..3}/day",
		"jump {1..6}/day by -1h..1h",
		"jump {1..6}/day by -1d..1d",
		"jump {1..6}/day by -10y..10y",
		"clock by -10y..10y",
		"clock of p0 by -56y..80y",
		"drift by -500..500",
	};

	for (unsigned i = draw(t, 0, 4); i > 0; i--) {
		say(t, "fault ");
		say(t, faults[draw(t, 0, COUNT_OF(faults) - 1)]);
		say(t, "\n");
	}
}

char *soak_scenario(uint64_t seed)
{
	struct text t = { .buf = need(calloc(1, TEXT_MAX_LEN)), .dice = dice_new(seed, 2) };

	t.len = (size_t)snprintf(t.buf, TEXT_MAX_LEN, "title random %" PRIu64 "\nlasts %dd\n", seed, DAYS);
	/* The slots of a whole one cost thousands of hashes each time it is opened. */
	say_if(&t, 85, "devices light\n");
	say_people(&t, chance(&t, 50) ? 2 : draw(&t, 3, 8));
	say_days(&t);
	say_air(&t);
	say_life(&t);
	say(&t, "place end lan\nend together at end within 3h\n");
	return t.buf;
}

/* ---- Living them ------------------------------------------------------------ */

struct lived {
	uint64_t seed, simulated_us;
	unsigned job;
	bool begins; /* it was not lived yet */
	bool broken;
	char what[256];
};

static void live(struct lived *l, uint64_t seed, const struct soak_options *o)
{
	char error[SCENARIO_ERROR_MAX];
	char *text = soak_scenario(seed);
	struct scenario s;
	struct plan *p;

	*l = (struct lived){ .seed = seed };
	if (scenario_parse(&s, "random", span_str(text), error) != 0) {
		fprintf(stderr, "%s\n", error);
		abort();
	}
	p = plan_new(&s, &(struct plan_options){ .seed = seed, .watcher = o->watcher });
	l->broken = !plan_run(p);
	l->simulated_us = plan_world(p)->now_us;
	snprintf(l->what, sizeof(l->what), "%.255s", plan_world(p)->broken);
	plan_free(p);
	scenario_deinit(&s);
	free(text);
}

static uint64_t real_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Job number j lives every jobs-th seed, and writes to a pipe what came of it. */
static void job(const struct soak_options *o, unsigned j, uint64_t until_us, int to)
{
	for (uint64_t i = j; i < o->seeds_max && real_now_us() < until_us; i += o->jobs) {
		struct lived l;

		/* Said before, so that a crash has a seed. */
		l = (struct lived){ .seed = o->seed_from + i, .job = j, .begins = true };
		if (write(to, &l, sizeof(l)) != sizeof(l))
			_exit(2);
		live(&l, o->seed_from + i, o);
		l.job = j;
		if (write(to, &l, sizeof(l)) != sizeof(l))
			_exit(2);
	}
	_exit(0);
}

struct sum {
	uint64_t seeds, broken, simulated_us;
};

static void count(struct sum *sum, const struct lived *l)
{
	sum->seeds++;
	sum->simulated_us += l->simulated_us;
	if (!l->broken || sum->broken++ >= BROKEN_SHOWN)
		return;
	printf("seed %" PRIu64 ": %s\nrepeat: flyleaf-sim run random --seed %" PRIu64 " --log -\n", l->seed,
	       l->what, l->seed);
	fflush(stdout);
}

/* That all jobs have used. */
static double core_ms(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_CHILDREN, &u) != 0)
		return 0;
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

int soak(const struct soak_options *o)
{
	const uint64_t began_us = real_now_us();
	struct sum sum = { 0 };
	struct lived last[SOAK_JOBS_MAX] = { 0 }, l;
	double minutes, years;
	int pipe_fds[2];

	fflush(stdout);
	if (pipe(pipe_fds) != 0)
		return 2;
	for (unsigned j = 0; j < o->jobs; j++) {
		const pid_t pid = fork();

		if (pid < 0)
			return 2;
		if (pid == 0) {
			close(pipe_fds[0]);
			job(o, j, began_us + o->budget_us, pipe_fds[1]);
		}
	}
	close(pipe_fds[1]);
	while (read(pipe_fds[0], &l, sizeof(l)) == sizeof(l)) {
		last[l.job] = l;
		if (!l.begins)
			count(&sum, &l);
	}
	close(pipe_fds[0]);
	for (unsigned j = 0; j < o->jobs; j++) {
		if (!last[j].begins)
			continue;
		last[j].broken = true; /* the job died of it */
		snprintf(last[j].what, sizeof(last[j].what), "the program crashed");
		count(&sum, &last[j]);
	}
	while (wait(NULL) > 0)
		;
	minutes = (double)(real_now_us() - began_us) / 60e6;
	years = (double)sum.simulated_us / 31557600e6;
	printf("%" PRIu64 " seeds, %" PRIu64
	       " broken; %.1f simulated years, %.1f a minute; %.0f ms of a core for a seed\n",
	       sum.seeds, sum.broken, years, years / minutes,
	       core_ms() / (double)MAX(sum.seeds, UINT64_C(1)));
	return sum.broken == 0 ? 0 : 1;
}
