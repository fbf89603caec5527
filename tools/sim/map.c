/*
 * Places are put where the scenario says, those that are said to be at one point around it, and those that
 * are nowhere on the map in a ring. All of it is then made to fit the picture.
 */
#include "tools/sim/map.h"

#include <inttypes.h>
#include <math.h>

#include "tools/sim/need.h"

enum {
	HEIGHT = 560, /* at most */
	MARGIN = 70,
	SPREAD = 62,
	LABELS_MAX = 45,
	NAMES_MAX = 10, /* up to so many places, who was there is said */
	EDGES_MAX = 160,
	COUNTS_MAX = 14, /* edges with their number */
	TABLE_MAX = 40,
	TOP = 3
};

struct spot {
	int place;
	double x, y;
	uint64_t us; /* of all people together */
	uint32_t people;
	uint32_t top[TOP]; /* who was there the longest */
	uint64_t top_us[TOP];
	uint64_t written, read;
};

struct edge {
	int from, to; /* from <= to where both ways are one */
	uint64_t n;
};

struct map {
	const struct html_scene *s;
	struct spot *spots; /* owned; by place */
	size_t spots_len;
	struct spot **order; /* owned; the busiest first */
	struct edge *edges;  /* owned; each way, the busiest first */
	size_t edges_len;
	double height;
};

/* ---- What there is to show -------------------------------------------------- */

static void stayed(struct spot *p, uint32_t who, uint64_t us)
{
	size_t i = TOP;

	p->us += us;
	p->people++;
	while (i > 0 && us > p->top_us[i - 1])
		i--;
	if (i == TOP)
		return;
	memmove(p->top + i + 1, p->top + i, (TOP - 1 - i) * sizeof(p->top[0]));
	memmove(p->top_us + i + 1, p->top_us + i, (TOP - 1 - i) * sizeof(p->top_us[0]));
	p->top[i] = who;
	p->top_us[i] = us;
}

static void count_stays(struct map *m)
{
	const struct story *story = m->s->story;
	const uint64_t end_us = m->s->report->simulated_us;
	uint64_t *us = need(calloc(m->spots_len + 1, sizeof(*us)));

	for (uint32_t who = 0; who < story->lives_len; who++) {
		const struct story_life *l = &story->lives[who];

		for (size_t i = 0; i < l->stays_len; i++)
			if (l->stays[i].place != NET_NOWHERE)
				us[l->stays[i].place] += story_stay_ends(l, i, end_us) - l->stays[i].from_us;
		for (size_t i = 0; i < l->stays_len; i++) {
			const int place = l->stays[i].place;

			if (place == NET_NOWHERE || us[place] == 0)
				continue;
			stayed(&m->spots[place], who, us[place]);
			us[place] = 0;
		}
	}
	free(us);
}

static int by_ends(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return x->from != y->from ? (x->from < y->from ? -1 : 1) : (x->to > y->to) - (x->to < y->to);
}

static int by_number(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return x->n != y->n ? (x->n > y->n ? -1 : 1) : by_ends(a, b);
}

/* Those with the same ends become one; the busiest come first. */
static size_t gather(struct edge *e, size_t n)
{
	size_t kept = 0;

	qsort(e, n, sizeof(*e), by_ends);
	for (size_t i = 0; i < n; i++) {
		if (kept != 0 && by_ends(&e[kept - 1], &e[i]) == 0)
			e[kept - 1].n += e[i].n;
		else
			e[kept++] = e[i];
	}
	qsort(e, kept, sizeof(*e), by_number);
	return kept;
}

static void count_messages(struct map *m)
{
	const struct story *story = m->s->story;

	m->edges = need(calloc(story->arrivals_len + 1, sizeof(*m->edges)));
	for (size_t i = 0; i < story->arrivals_len; i++) {
		const struct story_arrival *a = &story->arrivals[i];

		m->edges[i] = (struct edge){ a->from, a->to, 1 };
		if (a->from != NET_NOWHERE)
			m->spots[a->from].written++;
		if (a->to != NET_NOWHERE)
			m->spots[a->to].read++;
	}
	m->edges_len = gather(m->edges, story->arrivals_len);
}

static int by_time(const void *a, const void *b)
{
	const struct spot *x = *(struct spot *const *)a, *y = *(struct spot *const *)b;

	return x->us != y->us ? (x->us > y->us ? -1 : 1) : (x->place > y->place) - (x->place < y->place);
}

/* ---- Where places are ------------------------------------------------------- */

struct box {
	double left, top, right, bottom;
};

static void place_all(struct map *m)
{
	const struct scenario_place *places = m->s->scenario->places;
	double ring = 0;

	for (size_t i = 0; i < m->spots_len; i++) {
		size_t same = 0, before = 0, all = 0;
		double turn;

		for (size_t k = 0; k < m->spots_len; k++) {
			all += !places[k].mapped;
			if (places[k].mapped == places[i].mapped && places[k].x == places[i].x &&
			    places[k].y == places[i].y) {
				before += k < i;
				same++;
			}
		}
		if (places[i].mapped) {
			/* Seeds of a sunflower keep their distance however many they are. */
			turn = 2.39996 * (double)before;
			ring = same == 1 ? 0 : SPREAD * sqrt((double)before + 0.4);
			m->spots[i].x = places[i].x * 8 + ring * cos(turn);
			m->spots[i].y = places[i].y * 5 + ring * sin(turn);
		} else {
			turn = 2 * 3.14159265358979 * (double)before / (double)all - 1.5707963267949;
			m->spots[i].x = 400 + (all == 1 ? 0 : 420 * cos(turn));
			m->spots[i].y = 250 + (all == 1 ? 0 : 230 * sin(turn));
		}
	}
}

static void fit(struct map *m)
{
	struct box b = { INFINITY, INFINITY, -INFINITY, -INFINITY };
	double scale;

	for (size_t i = 0; i < m->spots_len; i++) {
		b.left = fmin(b.left, m->spots[i].x);
		b.right = fmax(b.right, m->spots[i].x);
		b.top = fmin(b.top, m->spots[i].y);
		b.bottom = fmax(b.bottom, m->spots[i].y);
	}
	scale = fmin((HTML_WIDTH - 2 * MARGIN) / fmax(b.right - b.left, 1),
	             (HEIGHT - 2 * MARGIN) / fmax(b.bottom - b.top, 1));
	m->height = (b.bottom - b.top) * scale + 2 * MARGIN;
	for (size_t i = 0; i < m->spots_len; i++) {
		m->spots[i].x = HTML_WIDTH / 2.0 + (m->spots[i].x - (b.left + b.right) / 2) * scale;
		m->spots[i].y = m->height / 2 + (m->spots[i].y - (b.top + b.bottom) / 2) * scale;
	}
}

/* ---- The picture ------------------------------------------------------------ */

static void draw_edge(const struct map *m, const struct edge *e, uint64_t most, bool counted, FILE *out)
{
	const struct spot *a = &m->spots[e->from], *b = &m->spots[e->to];
	const double bend = 0.12, mx = (a->x + b->x) / 2 + (a->y - b->y) * bend,
	             my = (a->y + b->y) / 2 + (b->x - a->x) * bend;

	if (!counted)
		fprintf(out,
		        "<path class=\"carry\" stroke-width=\"%.1f\" d=\"M%.0f %.0fQ%.0f %.0f %.0f %.0f\" "
		        "/>\n",
		        1 + 9 * sqrt((double)e->n / (double)most), a->x, a->y, mx, my, b->x, b->y);
	else
		fprintf(out, "<text class=\"halo m soft\" x=\"%.0f\" y=\"%.0f\">%" PRIu64 "</text>\n",
		        (a->x + b->x) / 4 + mx / 2, (a->y + b->y) / 4 + my / 2 + 4, e->n);
}

/* Both ways as one. */
static void draw_edges(const struct map *m, bool counts, FILE *out)
{
	struct edge *e = need(calloc(m->edges_len + 1, sizeof(*e)));
	size_t n = 0;

	for (size_t i = 0; i < m->edges_len; i++) {
		const struct edge *x = &m->edges[i];

		if (x->from != x->to && x->from != NET_NOWHERE && x->to != NET_NOWHERE)
			e[n++] = (struct edge){ MIN(x->from, x->to), MAX(x->from, x->to), x->n };
	}
	n = gather(e, n);
	for (size_t i = 0; i < n && i < (counts ? (size_t)COUNTS_MAX : (size_t)EDGES_MAX); i++)
		draw_edge(m, &e[i], e[0].n, counts, out);
	free(e);
}

static void write_names(const struct map *m, const struct spot *p, FILE *out)
{
	const uint32_t named = MIN(p->people, (uint32_t)TOP);

	for (uint32_t i = 0; i < named; i++) {
		fputs(i == 0 ? "" : ", ", out);
		html_text(out, m->s->scenario->people[p->top[i]].name);
	}
	if (p->people > named)
		fprintf(out, " and %u more", (unsigned)(p->people - named));
	if (p->people == 0)
		fputs("nobody", out);
}

static double radius(const struct map *m, const struct spot *p)
{
	const double most = (double)MAX(m->order[0]->us, UINT64_C(1)), largest = m->spots_len > 24 ? 12 : 22;

	return 4 + largest * sqrt((double)p->us / most);
}

static void draw_spot(const struct map *m, const struct spot *p, FILE *out)
{
	fprintf(out, "<circle class=\"spot c%d\" cx=\"%.0f\" cy=\"%.0f\" r=\"%.1f\"%s><title>",
	        p->place % HTML_COLOURS, p->x, p->y, radius(m, p),
	        m->s->scenario->places[p->place].kind == NET_LAN ? "" : " stroke-dasharray=\"3 3\"");
	html_text(out, html_place(m->s, p->place));
	fputs(": ", out);
	write_names(m, p, out);
	fputs("</title></circle>\n", out);
}

static void draw_label(const struct map *m, const struct spot *p, FILE *out)
{
	const double y = p->y + radius(m, p) + 14;

	fprintf(out, "<text class=\"halo m\" x=\"%.0f\" y=\"%.0f\">", p->x, y);
	html_text(out, html_place(m->s, p->place));
	fputs("</text>\n", out);
	if (m->spots_len > NAMES_MAX)
		return;
	fprintf(out, "<text class=\"halo m soft\" font-size=\"10\" x=\"%.0f\" y=\"%.0f\">", p->x, y + 13);
	write_names(m, p, out);
	fputs("</text>\n", out);
}

static void draw(const struct map *m, FILE *out)
{
	fputs("<figure>\n", out);
	html_picture(
	        out, "map", (unsigned)m->height, "Map of the places",
	        "Each circle is a place; its size is the time that people spent there. Lines are messages "
	        "carried between two places; the table below has the same in words.");
	draw_edges(m, false, out);
	for (size_t i = m->spots_len; i-- > 0;)
		draw_spot(m, m->order[i], out);
	draw_edges(m, true, out);
	for (size_t i = 0; i < m->spots_len && i < LABELS_MAX; i++)
		draw_label(m, m->order[i], out);
	fputs("</svg>\n</figure>\n", out);
}

/* ---- In words --------------------------------------------------------------- */

static const char *kind_of(const struct scenario_place *p)
{
	return p->kind == NET_LAN ? "" : p->kind == NET_DEAF ? " (no multicast)" : " (guests kept apart)";
}

static void write_places(const struct map *m, FILE *out)
{
	fputs("<table>\n<caption>Places</caption>\n<thead><tr><th scope=\"col\">Place</th>"
	      "<th scope=\"col\">Who was there</th><th scope=\"col\" class=\"n\">Hours of all</th>"
	      "<th scope=\"col\" class=\"n\">Written there</th><th scope=\"col\" class=\"n\">Read there</th>"
	      "</tr></thead>\n<tbody>\n",
	      out);
	for (size_t i = 0; i < m->spots_len && i < TABLE_MAX; i++) {
		const struct spot *p = m->order[i];

		fputs("<tr><th scope=\"row\">", out);
		html_text(out, html_place(m->s, p->place));
		fprintf(out, "%s</th><td>", kind_of(&m->s->scenario->places[p->place]));
		write_names(m, p, out);
		fprintf(out,
		        "</td><td class=\"n\">%.1f</td><td class=\"n\">%" PRIu64
		        "</td><td class=\"n\">%" PRIu64 "</td></tr>\n",
		        (double)p->us / 3600e6, p->written, p->read);
	}
	fputs("</tbody>\n</table>\n", out);
	if (m->spots_len > TABLE_MAX)
		fprintf(out, "<p>and %zu places more</p>\n", m->spots_len - TABLE_MAX);
}

static void write_edges(const struct map *m, FILE *out)
{
	fputs("<table>\n<caption>Messages, by where they were written and where they were read</caption>\n"
	      "<thead><tr><th scope=\"col\">Written at</th><th scope=\"col\">Read at</th>"
	      "<th scope=\"col\" class=\"n\">Messages</th></tr></thead>\n<tbody>\n",
	      out);
	for (size_t i = 0; i < m->edges_len && i < TABLE_MAX / 2; i++) {
		fputs("<tr><td>", out);
		html_text(out, html_place(m->s, m->edges[i].from));
		fputs("</td><td>", out);
		html_text(out, html_place(m->s, m->edges[i].to));
		fprintf(out, "</td><td class=\"n\">%" PRIu64 "</td></tr>\n", m->edges[i].n);
	}
	if (m->edges_len == 0)
		fputs("<tr><td colspan=\"3\">none arrived</td></tr>\n", out);
	fputs("</tbody>\n</table>\n", out);
	if (m->edges_len > TABLE_MAX / 2)
		fprintf(out, "<p>and %zu pairs of places more</p>\n", m->edges_len - TABLE_MAX / 2);
}

void map_write(const struct html_scene *s, FILE *out)
{
	struct map m = { .s = s, .spots_len = s->scenario->places_len };

	fputs("<h2>Map</h2>\n", out);
	if (m.spots_len == 0) {
		fputs("<p>The scenario has no places.</p>\n", out);
		return;
	}
	m.spots = need(calloc(m.spots_len, sizeof(*m.spots)));
	m.order = need(calloc(m.spots_len, sizeof(struct spot *)));
	for (size_t i = 0; i < m.spots_len; i++) {
		m.spots[i].place = (int)i;
		m.order[i] = &m.spots[i];
	}
	count_stays(&m);
	count_messages(&m);
	qsort(m.order, m.spots_len, sizeof(struct spot *), by_time);
	place_all(&m);
	fit(&m);
	draw(&m, out);
	write_places(&m, out);
	write_edges(&m, out);
	free(m.spots);
	free(m.order);
	free(m.edges);
}
