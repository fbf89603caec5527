/*
 * Few people have a lane each: a bar in the colour of the place where they are, thick while the notebook is
 * open. All bars of one colour and thickness are one path, in whole pixels, which bounds the page. Of many
 * people there are rows: how many are at a place, how many notebooks are open, how much breaks in.
 */
#include "tools/sim/timeline.h"

#include <inttypes.h>

#include "tools/sim/need.h"

enum {
	LANES_MAX = 60,
	LANE = 20,
	ROW = 30,
	ROWS_MAX = 24, /* places that have one */
	LEFT = 130,
	RIGHT = 985,
	TOP = 14,
	BUCKETS = 285,
	MARKS_MAX = 4000,
	NUMBERS_MAX = 1200, /* of places, in their bars */
	LEGEND_MAX = 30,
};

enum shape { SHAPE_CRASH, SHAPE_POWER, SHAPE_DISK, SHAPE_NET, SHAPE_SLEEP, SHAPE_CLOCK, SHAPES };

static const struct {
	const char *name;
	bool solid;
	const char *path; /* from the middle of the mark */
} shapes[SHAPES] = {
	[SHAPE_CRASH] = { "crash", false, "m-4-4l8 8m0-8l-8 8" },
	[SHAPE_POWER] = { "power lost", true, "m-5-4h10l-5 9z" },
	[SHAPE_DISK] = { "older disk put back", true, "m-4-4h8v8h-8z" },
	[SHAPE_NET] = { "offline", false, "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0" },
	[SHAPE_SLEEP] = { "suspended", false, "m-4-4h8l-8 8h8" },
	[SHAPE_CLOCK] = { "clock jumped", false, "m0-6l5 6l-5 6l-5-6z" },
};

static enum shape shape_of(enum world_event what)
{
	switch (what) {
	case WORLD_POWER_CUT:
		return SHAPE_POWER;
	case WORLD_PUT_BACK:
		return SHAPE_DISK;
	case WORLD_OFFLINE:
		return SHAPE_NET;
	case WORLD_SLEPT:
		return SHAPE_SLEEP;
	case WORLD_CLOCK:
		return SHAPE_CLOCK;
	default:
		return SHAPE_CRASH;
	}
}

static unsigned x_of(const struct html_scene *s, uint64_t us)
{
	return LEFT + (unsigned)((RIGHT - LEFT) * us / MAX(s->report->simulated_us, UINT64_C(1)));
}

static void draw_mark(enum shape shape, unsigned x, unsigned y, FILE *out)
{
	fprintf(out, "M%u %u%s", x, y, shapes[shape].path);
}

/* The days end where the scenario says; after that faults stop. */
static void draw_time(const struct html_scene *s, unsigned bottom, FILE *out)
{
	html_time_axis(out, s->report->simulated_us, LEFT, RIGHT, TOP, bottom);
	if (s->scenario->lasts_us < s->report->simulated_us)
		fprintf(out,
		        "<path class=\"axis\" stroke-dasharray=\"2 3\" d=\"M%u %uV%u\"><title>faults "
		        "end</title></path>\n",
		        x_of(s, s->scenario->lasts_us), (unsigned)TOP, bottom);
}

/* ---- A lane each ------------------------------------------------------------ */

static unsigned middle(size_t who)
{
	return TOP + LANE / 2 + LANE * (unsigned)who;
}

/* Bars of one colour, and either of open or of closed notebooks. */
static void draw_bars(const struct html_scene *s, int colour, bool open, FILE *out)
{
	fprintf(out, "<path class=\"bar c%d\" stroke-width=\"%d\" d=\"", colour, open ? 13 : 3);
	for (size_t who = 0; who < s->story->lives_len; who++) {
		const struct story_life *l = &s->story->lives[who];
		unsigned drawn = 0;

		for (size_t i = 0; i < l->stays_len; i++) {
			const struct story_stay *t = &l->stays[i];
			const unsigned from = MAX(x_of(s, t->from_us), drawn),
			               to = MAX(x_of(s, story_stay_ends(l, i, s->report->simulated_us)),
			                        from + open);

			if (t->place == NET_NOWHERE || t->place % HTML_COLOURS != colour || t->open != open)
				continue;
			if (to > from && to <= RIGHT) {
				fprintf(out, "M%u %uh%u", from, middle(who), to - from);
				drawn = to;
			}
		}
	}
	fputs("\" />\n", out);
}

static void draw_numbers(const struct html_scene *s, FILE *out)
{
	unsigned left = NUMBERS_MAX;

	for (size_t who = 0; who < s->story->lives_len; who++) {
		const struct story_life *l = &s->story->lives[who];

		for (size_t i = 0; i < l->stays_len && left > 0; i++) {
			const struct story_stay *t = &l->stays[i];
			const unsigned from = x_of(s, t->from_us),
			               to = x_of(s, story_stay_ends(l, i, s->report->simulated_us));

			if (!t->open || t->place == NET_NOWHERE || to - from < 20)
				continue;
			left--;
			fprintf(out, "<text class=\"on\" x=\"%u\" y=\"%u\">%d</text>\n", (from + to) / 2,
			        middle(who) + 4, t->place + 1);
		}
	}
}

/* Those that would lie on each other are one. Returns how many were left out. */
static size_t draw_marks(const struct html_scene *s, enum shape shape, size_t *left, FILE *out)
{
	unsigned *last = need(calloc(s->story->lives_len + 1, sizeof(*last)));
	size_t out_of_room = 0;

	fprintf(out, "<path class=\"mark%s\" d=\"", shapes[shape].solid ? " solid" : "");
	for (size_t i = 0; i < s->story->marks_len; i++) {
		const struct story_mark *m = &s->story->marks[i];
		const unsigned x = x_of(s, m->at_us);

		if (shape_of(m->what) != shape || x < last[m->who] + 3)
			continue;
		if (*left == 0) {
			out_of_room++;
			continue;
		}
		--*left;
		last[m->who] = x;
		draw_mark(shape, x, middle(m->who), out);
	}
	fputs("\" />\n", out);
	free(last);
	return out_of_room;
}

static size_t draw_lanes(const struct html_scene *s, FILE *out)
{
	const unsigned height = TOP + LANE * (unsigned)s->story->lives_len;
	size_t left = MARKS_MAX, unmarked = 0;

	fputs("<figure>\n", out);
	html_picture(
	        out, "timeline", height + 24, "Who was where",
	        "A lane for each person: a bar in the colour and with the number of the place, thick while "
	        "the notebook is open; signs where something broke in. The table below sums it up.");
	draw_time(s, height, out);
	for (size_t who = 0; who < s->story->lives_len; who++) {
		fprintf(out, "<text class=\"e\" x=\"%d\" y=\"%u\">", LEFT - 8, middle(who) + 4);
		html_text(out, s->scenario->people[who].name);
		fputs("</text>\n", out);
	}
	for (int colour = 0; colour < HTML_COLOURS; colour++)
		for (unsigned open = 0; open < 2; open++)
			draw_bars(s, colour, open, out);
	draw_numbers(s, out);
	for (enum shape shape = 0; shape < SHAPES; shape++)
		unmarked += draw_marks(s, shape, &left, out);
	fputs("</svg>\n</figure>\n", out);
	return unmarked;
}

static void write_places(const struct html_scene *s, FILE *out)
{
	const size_t n = MIN(s->scenario->places_len, (size_t)LEGEND_MAX);

	fputs("<p>", out);
	for (size_t i = 0; i < n; i++) {
		fprintf(out,
		        "<svg style=\"display:inline;width:22px;min-width:0;vertical-align:-3px\" "
		        "viewBox=\"0 0 22 14\" aria-hidden=\"true\"><path class=\"bar c%zu\" "
		        "stroke-width=\"13\" "
		        "d=\"M0 7h22\" /><text class=\"on\" x=\"11\" y=\"11\">%zu</text></svg> ",
		        i % HTML_COLOURS, i + 1);
		html_text(out, s->scenario->places[i].name);
		fputs(i + 1 == n ? "" : ", ", out);
	}
	fputs(n < s->scenario->places_len ? " and so on</p>\n" : "</p>\n", out);
}

static void write_signs(const struct html_scene *s, FILE *out)
{
	size_t n[SHAPES] = { 0 };

	for (size_t i = 0; i < s->story->marks_len; i++)
		n[shape_of(s->story->marks[i].what)]++;
	fputs("<p>", out);
	for (enum shape i = 0; i < SHAPES; i++) {
		if (n[i] == 0)
			continue;
		fprintf(out,
		        "<svg style=\"display:inline;width:16px;min-width:0;vertical-align:-3px\" "
		        "viewBox=\"0 0 16 16\" aria-hidden=\"true\"><path class=\"mark%s\" d=\"",
		        shapes[i].solid ? " solid" : "");
		draw_mark(i, 8, 8, out);
		fprintf(out, "\" /></svg> %s (%zu) ", shapes[i].name, n[i]);
	}
	fputs(s->story->marks_len == 0 ? "Nothing broke in.</p>\n" : "</p>\n", out);
}

static void write_life(const struct html_scene *s, size_t who, FILE *out)
{
	const struct story_life *l = &s->story->lives[who];
	uint64_t open_us = 0;

	for (size_t i = 0; i < l->stays_len; i++)
		if (l->stays[i].open)
			open_us += story_stay_ends(l, i, s->report->simulated_us) - l->stays[i].from_us;
	fputs("<tr><th scope=\"row\">", out);
	html_text(out, s->scenario->people[who].name);
	fprintf(out,
	        "</th><td class=\"n\">%.1f</td><td class=\"n\">%u</td><td class=\"n\">%u</td>"
	        "<td class=\"n\">%u</td><td class=\"n\">%u</td></tr>\n",
	        (double)open_us / 3600e6, (unsigned)l->locks, (unsigned)l->breaks, (unsigned)l->written,
	        (unsigned)l->arrived);
}

static void write_lives(const struct html_scene *s, FILE *out)
{
	fputs("<table>\n<caption>People</caption>\n<thead><tr><th scope=\"col\">Name</th>"
	      "<th scope=\"col\" class=\"n\">Hours open</th><th scope=\"col\" class=\"n\">Locked</th>"
	      "<th scope=\"col\" class=\"n\">Broke in</th><th scope=\"col\" class=\"n\">Wrote</th>"
	      "<th scope=\"col\" class=\"n\">Read</th></tr></thead>\n<tbody>\n",
	      out);
	for (size_t who = 0; who < s->story->lives_len; who++)
		write_life(s, who, out);
	fputs("</tbody>\n</table>\n", out);
}

/* ---- Rows of many ----------------------------------------------------------- */

struct row {
	int place; /* NET_NOWHERE: of something else */
	const char *name;
	uint64_t us[BUCKETS]; /* of all people together; or how many */
	uint64_t sum;
};

static size_t bucket_of(const struct html_scene *s, uint64_t us)
{
	return MIN((size_t)(us * BUCKETS / MAX(s->report->simulated_us, UINT64_C(1))), (size_t)BUCKETS - 1);
}

static void add_time(const struct html_scene *s, struct row *r, uint64_t from_us, uint64_t to_us)
{
	const uint64_t end_us = s->report->simulated_us;

	r->sum += to_us - from_us;
	for (size_t b = bucket_of(s, from_us); b < BUCKETS && end_us * b / BUCKETS < to_us; b++) {
		const uint64_t low = MAX(from_us, end_us * b / BUCKETS),
		               high = MIN(to_us, end_us * (b + 1) / BUCKETS);

		r->us[b] += high > low ? high - low : 0;
	}
}

static int by_sum(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->sum != y->sum ? (x->sum > y->sum ? -1 : 1) : (x->place > y->place) - (x->place < y->place);
}

/* One for each place, then open notebooks, then what broke in. */
static struct row *gather(const struct html_scene *s)
{
	const struct story *story = s->story;
	const size_t places = s->scenario->places_len;
	struct row *rows = need(calloc(places + 2, sizeof(*rows)));

	for (size_t i = 0; i < places; i++)
		rows[i] = (struct row){ .place = (int)i, .name = s->scenario->places[i].name };
	rows[places] = (struct row){ .place = NET_NOWHERE, .name = "notebooks open" };
	rows[places + 1] = (struct row){ .place = NET_NOWHERE, .name = "broke in" };
	for (size_t who = 0; who < story->lives_len; who++) {
		const struct story_life *l = &story->lives[who];

		for (size_t i = 0; i < l->stays_len; i++) {
			const uint64_t from = l->stays[i].from_us,
			               to = story_stay_ends(l, i, s->report->simulated_us);

			if (l->stays[i].place != NET_NOWHERE)
				add_time(s, &rows[l->stays[i].place], from, to);
			if (l->stays[i].open)
				add_time(s, &rows[places], from, to);
		}
	}
	for (size_t i = 0; i < story->marks_len; i++)
		rows[places + 1].us[bucket_of(s, story->marks[i].at_us)]++;
	qsort(rows, places, sizeof(*rows), by_sum);
	return rows;
}

static void draw_row(const struct html_scene *s, const struct row *r, bool counts, unsigned top, FILE *out)
{
	const double bucket_us = counts ? 1 : MAX((double)s->report->simulated_us / BUCKETS, 1);
	uint64_t most = 1;

	for (size_t b = 0; b < BUCKETS; b++)
		most = MAX(most, r->us[b]);
	fprintf(out, "<text class=\"e\" x=\"%d\" y=\"%u\">", LEFT - 8, top + ROW - 12);
	html_text(out, r->name);
	fprintf(out,
	        "</text>\n<text class=\"e soft\" font-size=\"10\" x=\"%d\" y=\"%u\">most %.*f</text>\n"
	        "<path class=\"area\" d=\"M%d %u",
	        LEFT - 8, top + ROW - 2, counts || (double)most / bucket_us >= 10 ? 0 : 1,
	        (double)most / bucket_us, LEFT, top + ROW);
	for (size_t b = 0; b < BUCKETS; b++)
		fprintf(out, "V%.1fh3", (double)(top + ROW) - (ROW - 5) * (double)r->us[b] / (double)most);
	fprintf(out, "V%uz\" />\n<path class=\"grid\" d=\"M%d %uH%d\" />\n", top + ROW, LEFT, top + ROW,
	        RIGHT);
}

static void draw_rows(const struct html_scene *s, FILE *out)
{
	const size_t all = s->scenario->places_len, places = MIN(all, (size_t)ROWS_MAX);
	const unsigned height = TOP + ROW * ((unsigned)places + 2);
	struct row *rows = gather(s);

	fputs("<figure>\n", out);
	html_picture(out, "timeline", height + 24, "How many were where",
	             "A row for each place: how many people are there over time. Then how many notebooks are "
	             "open, and how often something broke in: a crash, no power, no network, a wrong clock. "
	             "The table of places above sums it up.");
	draw_time(s, height, out);
	draw_row(s, &rows[all], false, TOP, out);
	draw_row(s, &rows[all + 1], true, TOP + ROW, out);
	for (size_t i = 0; i < places; i++)
		draw_row(s, &rows[i], false, TOP + ROW * ((unsigned)i + 2), out);
	fputs("</svg>\n</figure>\n", out);
	if (all > places)
		fprintf(out, "<p>The %zu busiest of %zu places.</p>\n", places, all);
	free(rows);
}

void timeline_write(const struct html_scene *s, FILE *out)
{
	const bool many = s->story->lives_len > LANES_MAX;
	size_t unmarked = 0;

	fputs("<h2>Timeline</h2>\n", out);
	if (many)
		draw_rows(s, out);
	else
		unmarked = draw_lanes(s, out);
	if (unmarked != 0)
		fprintf(out, "<p>%zu signs more are not drawn.</p>\n", unmarked);
	if (!many)
		write_places(s, out);
	write_signs(s, out);
	if (!many)
		write_lives(s, out);
}
