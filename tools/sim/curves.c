#include "tools/sim/curves.h"

#include <inttypes.h>
#include <math.h>

#include "tools/sim/need.h"

enum { HEIGHT = 300, LEFT = 60, RIGHT = 975, TOP = 16, BOTTOM = 260, STEPS = 300 };

static double per(double a, double b)
{
	return b == 0 ? 0 : a / b;
}

static double y_of(double share)
{
	return BOTTOM - (BOTTOM - TOP) * share;
}

/* ---- Share over delay ------------------------------------------------------- */

static const struct {
	const char *name;
	double s;
} marks[] = {
	{ "1 s", 1 },     { "10 s", 10 },     { "1 min", 60 },      { "10 min", 600 },      { "1 h", 3600 },
	{ "6 h", 21600 }, { "1 day", 86400 }, { "1 week", 604800 }, { "1 month", 2592000 },
};

/* From a tenth of a second on, each tenfold as wide as the last. */
static double delay_x(double s, double longest_s)
{
	return LEFT + (RIGHT - LEFT) * log10(fmax(s, 0.1) * 10) / log10(longest_s * 10);
}

static size_t arrived_within(const struct report *r, double s)
{
	size_t low = 0, high = r->delays_len;

	while (low < high) {
		const size_t middle = (low + high) / 2;

		if ((double)r->delays_us[middle] / 1e6 <= s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void draw_shares(FILE *out)
{
	for (unsigned i = 0; i <= 4; i++)
		fprintf(out,
		        "<path class=\"grid\" d=\"M%d %.1fH%d\" />\n"
		        "<text class=\"soft e\" x=\"%d\" y=\"%.1f\">%u %%</text>\n",
		        LEFT, y_of(i / 4.0), RIGHT, LEFT - 6, y_of(i / 4.0) + 4, i * 25);
}

static void draw_percentile(const struct report *r, double longest_s, unsigned percent, FILE *out)
{
	const uint64_t us = report_delay_at(r, percent);
	const double s = (double)us / 1e6, x = delay_x(s, longest_s),
	             y = y_of(per((double)arrived_within(r, s), (double)r->counts.written));

	fprintf(out, "<circle class=\"solid\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\" />\n", x, y);
	fprintf(out, "<text class=\"halo%s\" x=\"%.1f\" y=\"%.1f\">%u %% of those within ",
	        x > RIGHT - 190 ? " e" : "", x > RIGHT - 190 ? x - 10 : x + 10, y + 16, percent);
	html_duration(out, us);
	fputs("</text>\n", out);
}

static void draw_delays(const struct report *r, FILE *out)
{
	const double longest_s = fmax((double)report_delay_at(r, 100) / 1e6, 60) * 1.1;

	fputs("<figure>\n", out);
	html_picture(
	        out, "delay", HEIGHT, "Share delivered over delay",
	        "How large a share of all that was written had arrived within a time, which grows tenfold "
	        "from step to step. The table of figures has the delays.");
	draw_shares(out);
	for (size_t i = 0; i < COUNT_OF(marks) && marks[i].s < longest_s; i++)
		fprintf(out,
		        "<path class=\"grid\" d=\"M%.1f %dV%d\" />\n"
		        "<text class=\"soft m\" x=\"%.1f\" y=\"%d\">%s</text>\n",
		        delay_x(marks[i].s, longest_s), TOP, BOTTOM, delay_x(marks[i].s, longest_s),
		        BOTTOM + 16, marks[i].name);
	fprintf(out, "<text class=\"soft e\" x=\"%d\" y=\"%d\">delay</text>\n<path class=\"done\" d=\"M",
	        RIGHT, HEIGHT - 8);
	for (unsigned i = 0; i <= STEPS; i++) {
		const double s = 0.1 * pow(longest_s * 10, (double)i / STEPS);

		fprintf(out, "%s%.1f %.1f", i == 0 ? "" : "L", delay_x(s, longest_s),
		        y_of(per((double)arrived_within(r, s), (double)r->counts.written)));
	}
	fputs("\" />\n", out);
	for (size_t i = 0; i < 3 && r->delays_len != 0; i++)
		draw_percentile(r, longest_s, ((const unsigned[]){ 50, 90, 99 })[i], out);
	fputs("</svg>\n</figure>\n", out);
}

/* ---- Over time -------------------------------------------------------------- */

struct sums {
	uint64_t written[STEPS + 1], arrived[STEPS + 1];
};

static size_t step_of(const struct html_scene *s, uint64_t us)
{
	const uint64_t end_us = MAX(s->report->simulated_us, UINT64_C(1));

	return MIN((size_t)((us * STEPS + end_us - 1) / end_us), (size_t)STEPS);
}

static void add_up(const struct html_scene *s, struct sums *sums)
{
	for (size_t i = 0; i < s->story->written_len; i++)
		sums->written[step_of(s, s->story->written_us[i])]++;
	for (size_t i = 0; i < s->story->arrivals_len; i++)
		sums->arrived[step_of(s, s->story->arrivals[i].at_us)]++;
	for (size_t i = 1; i <= STEPS; i++) {
		sums->written[i] += sums->written[i - 1];
		sums->arrived[i] += sums->arrived[i - 1];
	}
}

static void draw_sum(const uint64_t *sum, uint64_t most, const char *class, FILE *out)
{
	fprintf(out, "<path class=\"%s\" d=\"M", class);
	for (unsigned i = 0; i <= STEPS; i++)
		fprintf(out, "%s%.1f %.1f", i == 0 ? "" : "L", LEFT + (RIGHT - LEFT) * (double)i / STEPS,
		        y_of((double)sum[i] / (double)most));
	fputs("\" />\n", out);
}

static void draw_waiting(const struct sums *sums, uint64_t most, FILE *out)
{
	fprintf(out, "<path class=\"late\" d=\"M%d %d", LEFT, BOTTOM);
	for (unsigned i = 0; i <= STEPS; i++)
		fprintf(out, "L%.1f %.1f", LEFT + (RIGHT - LEFT) * (double)i / STEPS,
		        y_of((double)(sums->written[i] - MIN(sums->written[i], sums->arrived[i])) /
		             (double)most));
	fprintf(out, "L%d %dz\" />\n", RIGHT, BOTTOM);
}

static void draw_legend(FILE *out)
{
	fprintf(out,
	        "<path class=\"asked\" d=\"M%d 30h30\" /><text class=\"halo\" x=\"%d\" "
	        "y=\"34\">written</text>\n"
	        "<path class=\"done\" d=\"M%d 48h30\" /><text class=\"halo\" x=\"%d\" "
	        "y=\"52\">arrived</text>\n"
	        "<path class=\"late\" d=\"M%d 60h30v10h-30z\" /><text class=\"halo\" x=\"%d\" "
	        "y=\"70\">waiting</text>\n",
	        LEFT + 14, LEFT + 52, LEFT + 14, LEFT + 52, LEFT + 14, LEFT + 52);
}

static void write_sums(const struct html_scene *s, const struct sums *sums, FILE *out)
{
	enum { ROWS = 10 };

	fputs("<table>\n<caption>Messages, up to a time</caption>\n<thead><tr><th scope=\"col\">Time</th>"
	      "<th scope=\"col\" class=\"n\">Written</th><th scope=\"col\" class=\"n\">Arrived</th>"
	      "<th scope=\"col\" class=\"n\">Waiting</th></tr></thead>\n<tbody>\n",
	      out);
	for (unsigned i = STEPS / ROWS; i <= STEPS; i += STEPS / ROWS) {
		fputs("<tr><th scope=\"row\">", out);
		html_time(out, s->report->simulated_us * i / STEPS);
		fprintf(out,
		        "</th><td class=\"n\">%" PRIu64 "</td><td class=\"n\">%" PRIu64
		        "</td><td class=\"n\">%" PRIu64 "</td></tr>\n",
		        sums->written[i], sums->arrived[i],
		        sums->written[i] - MIN(sums->written[i], sums->arrived[i]));
	}
	fputs("</tbody>\n</table>\n", out);
}

static void draw_time(const struct html_scene *s, FILE *out)
{
	struct sums *sums = need(calloc(1, sizeof(*sums)));
	uint64_t most;

	add_up(s, sums);
	most = MAX(sums->written[STEPS], UINT64_C(1));
	fputs("<figure>\n", out);
	html_picture(out, "sums", HEIGHT, "Written, arrived and waiting over time",
	             "All messages written so far, all that have arrived, and between them those that wait. "
	             "The table below has the same in words.");
	for (unsigned i = 0; i <= 4; i++)
		fprintf(out,
		        "<path class=\"grid\" d=\"M%d %.1fH%d\" />\n"
		        "<text class=\"soft e\" x=\"%d\" y=\"%.1f\">%.*f</text>\n",
		        LEFT, y_of(i / 4.0), RIGHT, LEFT - 6, y_of(i / 4.0) + 4, most < 20,
		        (double)most * i / 4);
	html_time_axis(out, s->report->simulated_us, LEFT, RIGHT, TOP, BOTTOM);
	draw_waiting(sums, most, out);
	draw_sum(sums->written, most, "asked", out);
	draw_sum(sums->arrived, most, "done", out);
	draw_legend(out);
	fputs("</svg>\n</figure>\n", out);
	write_sums(s, sums, out);
	free(sums);
}

void curves_write(const struct html_scene *s, FILE *out)
{
	fputs("<h2>Delivery</h2>\n", out);
	draw_delays(s->report, out);
	draw_time(s, out);
}
