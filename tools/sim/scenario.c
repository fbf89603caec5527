/*
 * A line is read word by word. The first thing that is wrong is said, with what was expected in its place,
 * and nothing after it is read.
 */
#include "tools/sim/scenario.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "tools/sim/need.h"

enum { WORDS_MAX = 64, WORD_MAX = 200, MILLION = 1000000, SEND_BYTES_MAX = 32000 };
#define DAY_US UINT64_C(86400000000)

struct parser {
	struct scenario *s;
	const char *name;
	unsigned line;
	char words[WORDS_MAX][WORD_MAX + 1];
	size_t n, at;
	bool failed;
	char *error;
};

static void bad(struct parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void bad(struct parser *p, const char *format, ...)
{
	va_list args;
	int len;

	if (p->failed)
		return;
	p->failed = true;
	len = snprintf(p->error, SCENARIO_ERROR_MAX, "%.80s:%u: ", p->name, p->line);
	va_start(args, format);
	vsnprintf(p->error + len, SCENARIO_ERROR_MAX - (size_t)len, format, args);
	va_end(args);
}

/* ---- Words ------------------------------------------------------------------ */

/* The next word without taking it; "" at the end of the line. */
static const char *peek(const struct parser *p)
{
	return p->at < p->n ? p->words[p->at] : "";
}

static const char *take(struct parser *p, const char *expected)
{
	if (p->at == p->n)
		bad(p, "the line ends; expected %s", expected);
	return p->at < p->n ? p->words[p->at++] : "";
}

static bool take_if(struct parser *p, const char *word)
{
	if (strcmp(peek(p), word) != 0)
		return false;
	p->at++;
	return true;
}

static void take_word(struct parser *p, const char *word)
{
	const char *found = peek(p);

	if (!take_if(p, word))
		bad(p, "%s%s%s; expected \"%s\"", *found == '\0' ? "the line ends" : "\"", found,
		    *found == '\0' ? "" : "\" is out of place", word);
}

/* One of these words, by its number. */
static unsigned take_one_of(struct parser *p, const char *const *words, unsigned n, const char *expected)
{
	const char *found = take(p, expected);

	for (unsigned i = 0; i < n; i++)
		if (strcmp(found, words[i]) == 0)
			return i;
	bad(p, "\"%s\" is unknown; expected %s", found, expected);
	return 0;
}

/* Digits with at most six behind a point, in parts of a million; *text moves behind them. False: none are
 * there, or too many. */
static bool read_ppm(const char **text, uint64_t *out)
{
	const char *at = *text;
	uint64_t whole = 0, part = 0, scale = MILLION;

	if (*at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9'; at++) {
		whole = whole * 10 + (uint64_t)(*at - '0');
		if (whole > 1000000000)
			return false;
	}
	if (at[0] == '.' && at[1] >= '0' && at[1] <= '9')
		for (at++; *at >= '0' && *at <= '9'; at++) {
			scale /= 10;
			part += (uint64_t)(*at - '0') * scale;
		}
	*text = at;
	*out = whole * MILLION + part;
	return true;
}

static bool read_count(const char **text, uint64_t max, uint64_t *out)
{
	uint64_t ppm;

	if (!read_ppm(text, &ppm) || ppm % MILLION != 0 || ppm / MILLION > max)
		return false;
	*out = ppm / MILLION;
	return true;
}

/* ---- Amounts ---------------------------------------------------------------- */

/* "90s", "-2h": in microseconds. */
static bool read_duration(const char **text, int64_t *out)
{
	static const struct {
		const char *unit;
		uint64_t us;
	} units[] = { { "ms", 1000 },         { "s", 1000000 },     { "m", 60000000 },
		      { "h", 3600000000 },    { "d", 86400000000 }, { "w", 604800000000 },
		      { "y", 31557600000000 } };
	const bool minus = **text == '-';
	const char *at = *text + minus;
	uint64_t ppm;

	if (!read_ppm(&at, &ppm))
		return false;
	for (size_t i = 0; i < COUNT_OF(units); i++) {
		const size_t len = strlen(units[i].unit);

		if (strncmp(at, units[i].unit, len) != 0 || (at[len] >= 'a' && at[len] <= 'z'))
			continue;
		/* Beyond 100 years nothing is meant. */
		if (ppm / MILLION > UINT64_C(100) * 31557600000000 / units[i].us)
			return false;
		*out = (int64_t)(ppm / MILLION * units[i].us + ppm % MILLION * units[i].us / MILLION);
		*out = minus ? -*out : *out;
		*text = at + len;
		return true;
	}
	return false;
}

/* "09:30", of the day. */
static bool read_time(const char **text, int64_t *out)
{
	const char *t = *text;

	for (unsigned i = 0; i < 5; i++)
		if (i == 2 ? t[i] != ':' : t[i] < '0' || t[i] > '9')
			return false;
	*out = ((t[0] - '0') * 10 + t[1] - '0') * INT64_C(3600000000) +
	       ((t[3] - '0') * 10 + t[4] - '0') * INT64_C(60000000);
	*text += 5;
	return *out < (int64_t)DAY_US && t[3] < '6';
}

static bool read_number(const char **text, int64_t *out)
{
	const bool minus = **text == '-';
	const char *at = *text + minus;
	uint64_t n;

	if (!read_count(&at, 1000000000, &n))
		return false;
	*out = minus ? -(int64_t)n : (int64_t)n;
	*text = at;
	return true;
}

/* "A" or "A..B". */
static struct range take_range(struct parser *p, bool (*read)(const char **text, int64_t *out),
                               const char *expected)
{
	const char *word = take(p, expected), *at = word;
	struct range r = { 0 };
	bool fine = read(&at, &r.low);

	r.high = r.low;
	if (fine && strncmp(at, "..", 2) == 0) {
		at += 2;
		fine = read(&at, &r.high);
	}
	if (!p->failed && (!fine || *at != '\0'))
		bad(p, "\"%s\" is not understood; expected %s", word, expected);
	else if (r.low > r.high)
		bad(p, "\"%s\" goes down; expected the smaller one first", word);
	return r;
}

static struct range take_durations(struct parser *p, bool negative)
{
	const struct range r = take_range(p, read_duration, "a duration as 90s, 20m, 3h, 2d or 10m..30m");

	if (r.low < 0 && !negative)
		bad(p, "a duration below zero; expected one that is not");
	return r;
}

static uint64_t take_duration(struct parser *p)
{
	const struct range r = take_durations(p, false);

	if (r.low != r.high)
		bad(p, "a range; expected one duration");
	return (uint64_t)r.low;
}

/* "5/day", "2/hour": a day, in parts of a million. */
static uint32_t take_rate(struct parser *p)
{
	const char *word = take(p, "a rate as 5/day or 1/hour"), *at = word;
	uint64_t ppm = 0;
	bool fine = read_ppm(&at, &ppm);

	if (fine && strcmp(at, "/hour") == 0)
		ppm *= 24;
	else
		fine &= strcmp(at, "/day") == 0;
	if (!p->failed && (!fine || ppm > UINT32_MAX))
		bad(p, "\"%s\" is not understood; expected a rate as 5/day or 1/hour, at most 4000/day",
		    word);
	return (uint32_t)ppm;
}

static uint32_t take_share(struct parser *p)
{
	const char *word = take(p, "a share as 10%"), *at = word;
	uint64_t ppm = 0;

	if (!p->failed && (!read_ppm(&at, &ppm) || strcmp(at, "%") != 0 || ppm > 100 * UINT64_C(1000000)))
		bad(p, "\"%s\" is not understood; expected a share as 10%%, at most 100%%", word);
	return (uint32_t)(ppm / 100);
}

/* ---- Names and groups ------------------------------------------------------- */

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

/* "home" or "home*60": the name, and how many there are (0: one, without a number). */
static uint64_t take_new_name(struct parser *p, char name[static SCENARIO_NAME_MAX + 1], uint64_t max)
{
	const char *word = take(p, "a name");
	size_t len = 0;
	uint64_t count = 0;

	while (is_name_char(word[len]))
		len++;
	if (len == 0 || len > SCENARIO_NAME_MAX) {
		bad(p, "\"%s\" is no name; expected 1 to %d letters, digits or -", word, SCENARIO_NAME_MAX);
		return 0;
	}
	memcpy(name, word, len);
	name[len] = '\0';
	word += len;
	if (*word == '*') {
		word++;
		if (!read_count(&word, max, &count) || count == 0)
			bad(p, "how many is not understood; expected NAME*COUNT, at most %" PRIu64, max);
	}
	if (*word != '\0')
		bad(p, "\"%s\" does not belong to a name; expected NAME or NAME*COUNT", word);
	return count;
}

/* Whether name fits a pattern in which * stands for anything, and which ends at a comma. */
static bool fits(const char *pattern, const char *name)
{
	const char *star = NULL, *again = NULL;

	for (;;) {
		if (*pattern == '*') {
			star = ++pattern;
			again = name;
		} else if (*name == '\0') {
			return *pattern == '\0' || *pattern == ',';
		} else if (*pattern == *name) {
			pattern++;
			name++;
		} else if (star != NULL) {
			pattern = star;
			name = ++again;
		} else {
			return false;
		}
	}
}

static bool fits_one(const char *patterns, const char *name)
{
	const char *at = patterns;

	while (!fits(at, name)) {
		at = strchr(at, ',');
		if (at == NULL)
			return false;
		at++;
	}
	return true;
}

static const char *name_at(const struct scenario *s, bool places, size_t i)
{
	return places ? s->places[i].name : s->people[i].name;
}

static void group_of(struct parser *p, struct group *out, const char *patterns, bool places)
{
	struct scenario *s = p->s;
	const size_t all = places ? s->places_len : s->people_len;
	struct group g = { 0 };

	for (size_t i = 0; i < all; i++)
		g.n += fits_one(patterns, name_at(s, places, i));
	if (g.n == 0)
		bad(p, "nobody and nothing is called \"%s\"; expected %s that came before", patterns,
		    places ? "a place" : "people");
	if (s->members + g.n > SCENARIO_MEMBERS_MAX)
		bad(p, "too many people or places are meant in all; at most %d", SCENARIO_MEMBERS_MAX);
	if (p->failed)
		return;
	s->members += g.n;
	g.v = need(malloc(g.n * sizeof(*g.v)));
	g.n = 0;
	for (size_t i = 0; i < all; i++)
		if (fits_one(patterns, name_at(s, places, i)))
			g.v[g.n++] = (uint32_t)i;
	*out = g;
}

static void take_group(struct parser *p, struct group *out, bool places)
{
	const char *patterns =
	        take(p, places ? "a place or places as home*" : "people as client* or ann,bob");

	if (!p->failed)
		group_of(p, out, patterns, places);
}

static int take_place(struct parser *p)
{
	const char *name = take(p, "a place");

	for (size_t i = 0; i < p->s->places_len; i++)
		if (strcmp(p->s->places[i].name, name) == 0)
			return (int)i;
	bad(p, "no place is called \"%s\"; expected one that came before", name);
	return NET_NOWHERE;
}

/* Room for one more of what a scenario has many of. The new one is zeroed. */
static void *more(struct parser *p, void *list, size_t *len, size_t size, size_t max, const char *what)
{
	char **v = list;

	if (*len == max) {
		bad(p, "too many %s; at most %zu", what, max);
		return NULL;
	}
	/* Doubles at each power of two. */
	if ((*len & (*len - 1)) == 0)
		*v = need(realloc(*v, MAX(*len * 2, (size_t)1) * size));
	memset(*v + *len * size, 0, size);
	return *v + (*len)++ * size;
}

/* ---- Lines ------------------------------------------------------------------ */

static void line_title(struct parser *p)
{
	char *at = p->s->title, *end = at + sizeof(p->s->title) - 1;

	while (p->at < p->n) {
		const char *word = p->words[p->at++];

		at += snprintf(at, (size_t)(end - at), "%s%s", at == p->s->title ? "" : " ", word);
		at = MIN(at, end - 1);
	}
}

static void line_lasts(struct parser *p)
{
	p->s->lasts_us = take_duration(p);
	if (!p->failed && (p->s->lasts_us == 0 || p->s->lasts_us > SCENARIO_DAYS_MAX * DAY_US))
		bad(p, "no time, or too much; expected at most %dd", SCENARIO_DAYS_MAX);
}

static void line_devices(struct parser *p)
{
	static const char *const kinds[] = { "whole", "light" };

	p->s->devices = (enum device_kind)take_one_of(p, kinds, COUNT_OF(kinds), "whole or light");
}

/* By one of the first n. */
static bool is_taken(const struct scenario *s, bool places, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name_at(s, places, i), name) == 0)
			return true;
	return false;
}

static void numbered(char out[static SCENARIO_NAME_MAX + 8], const char *name, uint64_t count, uint64_t i)
{
	if (count == 0)
		snprintf(out, SCENARIO_NAME_MAX + 8, "%s", name);
	else
		snprintf(out, SCENARIO_NAME_MAX + 8, "%s%u", name, (unsigned)i + 1);
}

static void line_place(struct parser *p)
{
	static const char *const kinds[] = { "lan", "deaf", "isolated" };
	struct scenario *s = p->s;
	struct scenario_place model = { 0 };
	char name[SCENARIO_NAME_MAX + 1] = "";
	const uint64_t count = take_new_name(p, name, SCENARIO_PLACES_MAX);
	const size_t before = s->places_len;

	model.kind = (enum net_kind)take_one_of(p, kinds, COUNT_OF(kinds), "lan, deaf or isolated");
	while (!p->failed && p->at < p->n) {
		if (take_if(p, "ipv6")) {
			model.ipv6 = true;
		} else {
			take_word(p, "at");
			model.mapped = true;
			model.x = (int)take_range(p, read_number, "a number, across").low;
			model.y = (int)take_range(p, read_number, "a number, down").low;
		}
	}
	for (uint64_t i = 0; i < MAX(count, UINT64_C(1)) && !p->failed; i++) {
		numbered(model.name, name, count, i);
		if (is_taken(s, true, before, model.name)) {
			bad(p, "there is a place called \"%s\" already; expected a new name", model.name);
			return;
		}
		struct scenario_place *new = more(p, &s->places, &s->places_len, sizeof(*s->places),
		                                  SCENARIO_PLACES_MAX, "places");

		if (new != NULL)
			*new = model;
	}
}

static void take_opens(struct parser *p, struct scenario_person *model)
{
	model->always_open = false;
	if (take_if(p, "always")) {
		model->always_open = true;
	} else if (!take_if(p, "visiting")) {
		model->opens_ppm = take_rate(p);
		take_word(p, "for");
		model->open_us = take_durations(p, false);
	}
}

static void take_person_option(struct parser *p, struct scenario_person *model, struct group *homes)
{
	static const char *const firewalls[] = { "open", "guard", "closed" };
	static const char *const radios[] = { "wifi", "bluetooth", "both" };

	if (take_if(p, "home")) {
		free(homes->v);
		*homes = (struct group){ 0 };
		take_group(p, homes, true);
	} else if (take_if(p, "opens")) {
		take_opens(p, model);
	} else if (take_if(p, "battery")) {
		model->on_battery = true;
	} else if (take_if(p, "firewall")) {
		model->firewall = (enum net_firewall)take_one_of(p, firewalls, COUNT_OF(firewalls),
		                                                 "open, guard or closed");
	} else if (take_if(p, "with")) {
		const unsigned with = take_one_of(p, radios, COUNT_OF(radios), "wifi, bluetooth or both");

		model->wifi = with != 1;
		model->bluetooth = with != 0;
	} else {
		bad(p, "\"%s\" is unknown; expected home, opens, battery, firewall or with", peek(p));
	}
}

static void line_people(struct parser *p)
{
	struct scenario *s = p->s;
	struct scenario_person model = { .always_open = true, .wifi = true };
	struct group homes = { 0 };
	char name[SCENARIO_NAME_MAX + 1] = "";
	const uint64_t count = take_new_name(p, name, SCENARIO_PEOPLE_MAX);
	const size_t before = s->people_len;

	while (!p->failed && p->at < p->n)
		take_person_option(p, &model, &homes);
	for (uint64_t i = 0; i < MAX(count, UINT64_C(1)) && !p->failed; i++) {
		numbered(model.name, name, count, i);
		if (is_taken(s, false, before, model.name)) {
			bad(p, "there is somebody called \"%s\" already; expected a new name", model.name);
			break;
		}
		model.home = homes.n == 0 ? NET_NOWHERE : (int)homes.v[i % homes.n];
		struct scenario_person *new = more(p, &s->people, &s->people_len, sizeof(*s->people),
		                                   SCENARIO_PEOPLE_MAX, "people");

		if (new != NULL)
			*new = model;
	}
	free(homes.v);
}

static void add_pair(struct parser *p, uint32_t a, uint32_t b, unsigned callers)
{
	struct scenario *s = p->s;
	struct scenario_pair *new;

	new = more(p, &s->pairs, &s->pairs_len, sizeof(*s->pairs), SCENARIO_PAIRS_MAX, "pairs");
	if (new != NULL)
		*new = (struct scenario_pair){ a, b, callers == 1 ? MODE_ANSWER : MODE_CALL,
			                       callers == 0 ? MODE_ANSWER : MODE_CALL };
}

static void line_pair(struct parser *p)
{
	static const char *const who_calls[] = { "first", "second", "both" };
	struct group a = { 0 }, b = { 0 };
	unsigned callers = 0;
	int64_t each = INT64_MAX;
	size_t turn = 0;

	take_group(p, &a, false);
	take_word(p, "with");
	take_group(p, &b, false);
	while (!p->failed && p->at < p->n) {
		if (take_if(p, "each")) {
			each = take_range(p, read_number, "how many of the first each of the second has").low;
		} else {
			callers =
			        take_one_of(p, who_calls, COUNT_OF(who_calls), "each, first, second or both");
			take_word(p, "calls");
		}
	}
	if (!p->failed && each < 1)
		bad(p, "each has nobody; expected at least 1");
	for (size_t i = 0; i < b.n && !p->failed; i++) {
		const size_t n = (size_t)MIN(each, (int64_t)a.n);

		for (size_t k = 0; k < n && !p->failed; k++, turn++)
			if (a.v[turn % a.n] != b.v[i])
				add_pair(p, a.v[turn % a.n], b.v[i], callers);
	}
	free(a.v);
	free(b.v);
}

static void take_days(struct parser *p, struct range *days)
{
	*days = (struct range){ 0, SCENARIO_DAYS_MAX };
	if (strchr(peek(p), ':') != NULL)
		return;
	*days = take_range(p, read_number, "a time as 09:00 or 09:00..11:00, or days as 1 or 1..5");
	if (!p->failed && (days->low < 1 || days->high > SCENARIO_DAYS_MAX))
		bad(p, "there is no such day; expected 1 to %d", SCENARIO_DAYS_MAX);
	days->low--;
	days->high--;
}

static void line_visit(struct parser *p, bool round)
{
	struct scenario *s = p->s;
	struct scenario_visit *v =
	        more(p, &s->visits, &s->visits_len, sizeof(*s->visits), SCENARIO_LINES_MAX, "visits");

	if (v == NULL)
		return;
	v->chance = MILLION;
	take_days(p, &v->days);
	v->time_us = take_range(p, read_time, "a time as 09:00 or 09:00..11:00");
	take_group(p, &v->who, false);
	take_word(p, "at");
	take_group(p, &v->where, true);
	take_word(p, "for");
	v->stay_us = take_durations(p, false);
	if (round) {
		take_word(p, "every");
		v->every_us = take_duration(p);
		if (!p->failed && v->every_us < (uint64_t)v->stay_us.high)
			bad(p, "the next place comes before the stay is over; expected a longer time");
	}
	if (take_if(p, "chance"))
		v->chance = take_share(p);
}

static void line_day(struct parser *p)
{
	line_visit(p, false);
}

static void line_round(struct parser *p)
{
	line_visit(p, true);
}

static void line_writes(struct parser *p)
{
	struct scenario *s = p->s;
	struct scenario_write *v = more(p, &s->writes, &s->writes_len, sizeof(*s->writes), SCENARIO_LINES_MAX,
	                                "lines of writes");

	if (v == NULL)
		return;
	v->bytes = (struct range){ 20, 300 };
	take_group(p, &v->who, false);
	take_word(p, "to");
	take_group(p, &v->to, false);
	v->rate_ppm = take_rate(p);
	if (p->at == p->n)
		return;
	v->bytes = take_range(p, read_number, "a length as 20..400");
	take_word(p, "bytes");
	if (!p->failed && (v->bytes.low < 1 || v->bytes.high > SEND_BYTES_MAX))
		bad(p, "no such length; expected 1 to %d bytes", SEND_BYTES_MAX);
}

/* What a fault says of itself. */
enum { NEEDS_SHARE = 1, NEEDS_RATE = 2, NEEDS_FOR = 4, NEEDS_BY = 8, NEEDS_PPM = 16 };
static const struct {
	const char *name;
	unsigned needs;
} fault_kinds[FAULT_KINDS] = {
	[FAULT_DROP] = { "drop", NEEDS_SHARE },
	[FAULT_DEAF] = { "deaf", NEEDS_SHARE },
	[FAULT_TWICE] = { "twice", NEEDS_SHARE },
	[FAULT_CORRUPT] = { "corrupt", NEEDS_SHARE },
	[FAULT_CUT] = { "cut", NEEDS_SHARE },
	[FAULT_LONGER] = { "longer", NEEDS_SHARE },
	[FAULT_LATE] = { "late", NEEDS_SHARE | NEEDS_FOR },
	[FAULT_OFFLINE] = { "offline", NEEDS_RATE | NEEDS_FOR },
	[FAULT_RADIO_OFF] = { "radio-off", NEEDS_RATE | NEEDS_FOR },
	[FAULT_READDRESS] = { "readdress", NEEDS_RATE },
	[FAULT_HALF_OPEN] = { "half-open", NEEDS_RATE | NEEDS_FOR },
	[FAULT_FLAP] = { "flap", NEEDS_RATE },
	[FAULT_SPLIT] = { "split", NEEDS_RATE | NEEDS_FOR },
	[FAULT_KILL] = { "kill", NEEDS_RATE },
	[FAULT_POWER] = { "power", NEEDS_RATE },
	[FAULT_POWER_IN_WRITE] = { "power-in-write", NEEDS_RATE },
	[FAULT_PUT_BACK] = { "put-back", NEEDS_RATE },
	[FAULT_FULL] = { "full", NEEDS_RATE | NEEDS_FOR },
	[FAULT_BROKEN] = { "broken", NEEDS_RATE },
	[FAULT_FORGET] = { "forget", NEEDS_RATE },
	[FAULT_SLEEP] = { "sleep", NEEDS_RATE | NEEDS_FOR },
	[FAULT_JUMP] = { "jump", NEEDS_RATE | NEEDS_BY },
	[FAULT_CLOCK] = { "clock", NEEDS_BY },
	[FAULT_DRIFT] = { "drift", NEEDS_PPM },
};

const char *scenario_fault_name(enum fault_kind kind)
{
	return fault_kinds[kind].name;
}

static enum fault_kind take_fault_kind(struct parser *p)
{
	const char *names[FAULT_KINDS];

	for (unsigned i = 0; i < FAULT_KINDS; i++)
		names[i] = fault_kinds[i].name;
	return (enum fault_kind)take_one_of(
	        p, names, FAULT_KINDS,
	        "drop, deaf, twice, corrupt, cut, longer, late, offline, radio-off, readdress, half-open, "
	        "flap, split, kill, "
	        "power, power-in-write, put-back, full, broken, sleep, forget, jump, clock or drift");
}

static void line_fault(struct parser *p)
{
	struct scenario *s = p->s;
	struct scenario_fault *f =
	        more(p, &s->faults, &s->faults_len, sizeof(*s->faults), SCENARIO_LINES_MAX, "faults");
	unsigned needs;

	if (f == NULL)
		return;
	f->kind = take_fault_kind(p);
	needs = fault_kinds[f->kind].needs;
	if (take_if(p, "of"))
		take_group(p, &f->who, false);
	else if (!p->failed && !(needs & NEEDS_SHARE))
		group_of(p, &f->who, "*", false);
	if (needs & NEEDS_SHARE)
		f->share = take_share(p);
	if ((needs & NEEDS_RATE) && take_if(p, "once"))
		f->once = true;
	else if (needs & NEEDS_RATE)
		f->rate_ppm = take_rate(p);
	if (needs & NEEDS_FOR) {
		take_word(p, "for");
		f->for_us = take_durations(p, false);
	}
	if (needs & (NEEDS_BY | NEEDS_PPM))
		take_word(p, "by");
	if (needs & NEEDS_BY)
		f->by = take_durations(p, true);
	if (needs & NEEDS_PPM) {
		f->by = take_range(p, read_number, "parts of a million as -500..500");
		if (!p->failed && (f->by.low < -1000 || f->by.high > 1000))
			bad(p, "no clock is so bad; expected -1000 to 1000");
	}
}

static void line_strangers(struct parser *p)
{
	struct scenario *s = p->s;
	struct scenario_stranger *v = more(p, &s->strangers, &s->strangers_len, sizeof(*s->strangers),
	                                   SCENARIO_LINES_MAX, "strangers");

	if (v == NULL)
		return;
	take_word(p, "at");
	take_group(p, &v->where, true);
	v->rate_ppm = take_rate(p);
}

static void line_liars(struct parser *p)
{
	struct scenario *s = p->s;
	struct scenario_liar *v =
	        more(p, &s->liars, &s->liars_len, sizeof(*s->liars), SCENARIO_LINES_MAX, "liars");

	if (v == NULL)
		return;
	take_word(p, "at");
	take_group(p, &v->where, true);
	v->share = take_share(p);
	if (take_if(p, "flood"))
		v->rate_ppm = take_rate(p);
}

static void line_end(struct parser *p)
{
	static const char *const ends[] = { "nothing", "calm", "together" };
	struct scenario *s = p->s;

	s->end = (enum scenario_end)take_one_of(p, ends, COUNT_OF(ends), "nothing, calm or together");
	if (s->end == SCENARIO_END_NOTHING)
		return;
	if (s->end == SCENARIO_END_TOGETHER) {
		take_word(p, "at");
		s->end_place = (uint32_t)take_place(p);
		take_word(p, "within");
	} else {
		take_word(p, "for");
	}
	s->end_us = take_duration(p);
	if (!p->failed && (s->end_us == 0 || s->end_us > 30 * DAY_US))
		bad(p, "no time, or too much; expected at most 30d");
}

static const struct {
	const char *word;
	void (*read)(struct parser *p);
} lines[] = {
	{ "title", line_title }, { "lasts", line_lasts },         { "devices", line_devices },
	{ "place", line_place }, { "people", line_people },       { "pair", line_pair },
	{ "day", line_day },     { "round", line_round },         { "writes", line_writes },
	{ "fault", line_fault }, { "strangers", line_strangers }, { "liars", line_liars },
	{ "end", line_end },
};

static void read_line(struct parser *p)
{
	const char *word = take(p, "a line");

	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		if (strcmp(word, lines[i].word) != 0)
			continue;
		lines[i].read(p);
		if (!p->failed && p->at < p->n)
			bad(p, "\"%s\" is too much; expected the end of the line", peek(p));
		return;
	}
	bad(p,
	    "\"%s\" is unknown; expected title, lasts, devices, place, people, pair, day, round, writes, "
	    "fault, "
	    "strangers, liars or end",
	    word);
}

/* ---- The text --------------------------------------------------------------- */

static void split(struct parser *p, const char *line, size_t len)
{
	size_t word = 0;

	p->n = p->at = 0;
	for (size_t i = 0; i <= len && !p->failed; i++) {
		const char c = i == len || line[i] == '#' ? ' ' : line[i];

		if (c == ' ' || c == '\t' || c == '\r') {
			p->n += word > 0;
			word = 0;
		} else if ((unsigned char)c < ' ' || c == 0x7f) {
			bad(p, "there is a control character; expected text");
		} else if (p->n == WORDS_MAX || word == WORD_MAX) {
			bad(p, "the line or a word is too long; expected at most %d words of %d bytes",
			    WORDS_MAX, WORD_MAX);
		} else {
			p->words[p->n][word++] = c;
			p->words[p->n][word] = '\0';
		}
		if (i < len && line[i] == '#')
			break;
	}
}

static void read_text(struct parser *p, struct span text)
{
	const char *at = (const char *)text.p, *const end = at + text.len;

	if (text.len > SCENARIO_BYTES_MAX)
		bad(p, "the text is too long; expected at most %d bytes", SCENARIO_BYTES_MAX);
	while (text.len != 0 && at < end && !p->failed) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		const size_t len = stop == NULL ? (size_t)(end - at) : (size_t)(stop - at);

		if (++p->line > SCENARIO_LINES_MAX)
			bad(p, "too many lines; expected at most %d", SCENARIO_LINES_MAX);
		split(p, at, len);
		if (p->n > 0 && !p->failed)
			read_line(p);
		at += len + 1;
	}
	if (!p->failed && p->s->people_len == 0)
		bad(p, "there is nobody; expected a line with people");
}

int scenario_parse(struct scenario *out, const char *name, struct span text,
                   char error[static SCENARIO_ERROR_MAX])
{
	struct scenario s = { .lasts_us = DAY_US };
	struct parser *p = need(calloc(1, sizeof(*p)));
	bool failed;

	p->s = &s;
	p->name = name;
	p->error = error;
	read_text(p, text);
	failed = p->failed;
	free(p);
	if (failed) {
		scenario_deinit(&s);
		return SCENARIO_BAD;
	}
	*out = s;
	return 0;
}

void scenario_deinit(struct scenario *s)
{
	for (size_t i = 0; i < s->visits_len; i++) {
		free(s->visits[i].who.v);
		free(s->visits[i].where.v);
	}
	for (size_t i = 0; i < s->writes_len; i++) {
		free(s->writes[i].who.v);
		free(s->writes[i].to.v);
	}
	for (size_t i = 0; i < s->faults_len; i++)
		free(s->faults[i].who.v);
	for (size_t i = 0; i < s->strangers_len; i++)
		free(s->strangers[i].where.v);
	for (size_t i = 0; i < s->liars_len; i++)
		free(s->liars[i].where.v);
	free(s->places);
	free(s->people);
	free(s->pairs);
	free(s->visits);
	free(s->writes);
	free(s->faults);
	free(s->strangers);
	free(s->liars);
	*s = (struct scenario){ 0 };
}
