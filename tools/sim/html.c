#include "tools/sim/html.h"

#include <inttypes.h>

#include "node/base/utf8.h"
#include "tools/sim/curves.h"
#include "tools/sim/map.h"
#include "tools/sim/need.h"
#include "tools/sim/timeline.h"

#define SECOND_US UINT64_C(1000000)
enum { LABEL_LEN = 11, TICKS_MAX = 12 }; /* of a line of the report: as report_figures() pads it */

static const char head[] =
        "<!DOCTYPE html>\n"
        "<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta charset=\"utf-8\" />\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n<style>\n"
        ":root { color-scheme: light dark; --paper: #fff; --ink: #1c1c1c; --soft: #5a5a5a; --line: #d4d4d4; "
        "--wash: #f1f1ee; --late: #b34700; --done: #00609c }\n"
        "@media screen and (prefers-color-scheme: dark) { :root { --paper: #17181a; --ink: #ececec; "
        "--soft: #b0b0b0; --line: #44464a; --wash: #232528; --late: #ff9d5c; --done: #6cc4ff } }\n"
        "body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; "
        "max-width: 70rem; margin: 0 auto; padding: 1rem }\n"
        "h1 { font-size: 1.5rem; margin: .5rem 0 } h2 { font-size: 1.15rem; margin: 2rem 0 .4rem }\n"
        "p { margin: .4rem 0; color: var(--soft) }\n"
        "figure { margin: 0; overflow-x: auto }\n"
        "svg { display: block; width: 100%; min-width: 40rem; height: auto; "
        "font: 12px system-ui, sans-serif; fill: var(--ink) }\n"
        "table { border-collapse: collapse; margin: .6rem 0; font-size: .9rem }\n"
        "th, td { text-align: left; padding: .15rem .9rem .15rem 0; border-bottom: 1px solid var(--line); "
        "vertical-align: top } td.n, th.n { text-align: right }\n"
        "tbody th { font-weight: 600 } caption { text-align: left; color: var(--soft); white-space: nowrap "
        "}\n"
        ".soft { fill: var(--soft) } .halo { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; "
        "stroke-linejoin: round } .m { text-anchor: middle } .e { text-anchor: end }\n"
        ".grid { stroke: var(--line); fill: none } .axis { stroke: var(--soft); fill: none }\n"
        ".carry { stroke: var(--soft); fill: none; stroke-opacity: .45; stroke-linecap: round }\n"
        ".wash { fill: var(--wash); stroke: none } .mark { stroke: var(--ink); stroke-width: 1.6; "
        "fill: none } .solid { fill: var(--ink) }\n"
        ".done { stroke: var(--done); stroke-width: 2.5; fill: none } .asked { stroke: var(--ink); "
        "stroke-width: 1.5; stroke-dasharray: 5 4; fill: none }\n"
        ".late { fill: var(--late); fill-opacity: .3; stroke: var(--late); stroke-width: 1.5 } "
        ".area { fill: var(--done); fill-opacity: .55; stroke: none }\n"
        ".on { font-size: 10px; fill: #000; text-anchor: middle }\n"
        ".c0 { --c: #e69f00 } .c1 { --c: #56b4e9 } .c2 { --c: #00a878 } .c3 { --c: #f0e442 } "
        ".c4 { --c: #d98ab5 } .c5 { --c: #e56b1f }\n"
        ".bar { stroke: var(--c); fill: none } .spot { fill: var(--c); stroke: var(--ink) }\n"
        "@media print { body { font-size: 11px; max-width: none; padding: 0 } figure, tr { "
        "break-inside: avoid } svg { min-width: 0 } * { print-color-adjust: exact } }\n"
        "</style>\n";

/* ---- For the pictures ------------------------------------------------------- */

void html_text(FILE *out, const char *text)
{
	const bool valid = utf8_valid(span_str(text));

	for (const char *c = text; *c != '\0'; c++)
		switch (*c) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			putc((uint8_t)*c < ' ' || *c == 0x7f || (!valid && (uint8_t)*c >= 0x80) ? '?' : *c,
			     out);
		}
}

void html_time(FILE *out, uint64_t us)
{
	const uint64_t minutes = us / SECOND_US / 60;

	fprintf(out, "%" PRIu64 "d %02u:%02u", minutes / 1440, (unsigned)(minutes / 60 % 24),
	        (unsigned)(minutes % 60));
}

void html_duration(FILE *out, uint64_t us)
{
	const double s = (double)us / 1e6;

	if (s < 60)
		fprintf(out, "%.1f s", s);
	else if (s < 3600)
		fprintf(out, "%.1f min", s / 60);
	else if (s < 2 * 86400)
		fprintf(out, "%.1f h", s / 3600);
	else
		fprintf(out, "%.1f days", s / 86400);
}

void html_picture(FILE *out, const char *id, unsigned height, const char *title, const char *about)
{
	fprintf(out,
	        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %u\" role=\"img\" "
	        "aria-labelledby=\"%s-title %s-desc\">\n<title id=\"%s-title\">%s</title>\n"
	        "<desc id=\"%s-desc\">%s</desc>\n",
	        HTML_WIDTH, height, id, id, id, title, id, about);
}

static uint64_t tick_us(uint64_t end_us)
{
	static const unsigned minutes[] = { 1,   5,    10,   30,    60,    180,   360,
		                            720, 1440, 2880, 10080, 20160, 43200, 86400 };

	for (size_t i = 0; i < COUNT_OF(minutes); i++)
		if (end_us / (minutes[i] * 60 * SECOND_US) <= TICKS_MAX)
			return minutes[i] * 60 * SECOND_US;
	return end_us;
}

void html_time_axis(FILE *out, uint64_t end_us, double left, double right, double top, double bottom)
{
	const uint64_t step_us = tick_us(end_us);

	for (uint64_t t = 0; t <= end_us && step_us != 0; t += step_us) {
		const double x = left + (right - left) * (double)t / (double)end_us;

		fprintf(out, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\" />", x, top, bottom);
		if (x > right - 24 && t != 0)
			continue;
		fprintf(out, "<text class=\"soft%s\" x=\"%.1f\" y=\"%.1f\">", t == 0 ? "" : " m", x,
		        bottom + 15);
		if (t % (86400 * SECOND_US) == 0)
			fprintf(out, "day %" PRIu64, t / (86400 * SECOND_US));
		else
			html_time(out, t);
		fputs("</text>\n", out);
	}
}

const char *html_place(const struct html_scene *s, int place)
{
	return place == NET_NOWHERE ? "nowhere" : s->scenario->places[place].name;
}

/* ---- The page --------------------------------------------------------------- */

/* A line of the report is a label and what it says; one that begins with a space belongs to the label above.
 */
static void write_figure(FILE *out, char *line, char label[static LABEL_LEN + 1])
{
	char *value = line + LABEL_LEN;

	if (line[0] != ' ')
		snprintf(label, LABEL_LEN + 1, "%s", line);
	label[strcspn(label, " ")] = line[0] == ' ' ? '\0' : label[strcspn(label, " ")];
	if (strlen(line) <= LABEL_LEN)
		return;
	if (line[0] == ' ')
		value = line + strspn(line, " ");
	fputs("<tr><th scope=\"row\">", out);
	html_text(out, label);
	fputs("</th><td>", out);
	html_text(out, value);
	fputs("</td></tr>\n", out);
}

static void write_figures(const struct html_scene *s, FILE *out)
{
	char *text = NULL, *line, *rest, label[LABEL_LEN + 1] = "";
	size_t len = 0;
	FILE *f = need(open_memstream(&text, &len));

	report_figures(s->report, f);
	fclose(f);
	line = strtok_r(need(text), "\n", &rest);
	fputs("<h2>Figures</h2>\n<p>", out);
	html_text(out, line == NULL ? "" : line);
	fputs("</p>\n<table>\n<tbody>\n", out);
	while ((line = strtok_r(NULL, "\n", &rest)) != NULL)
		write_figure(out, line, label);
	fputs("</tbody>\n</table>\n", out);
	free(text);
}

void html_write(const struct html_scene *s, FILE *out)
{
	const char *title = s->scenario->title[0] != '\0' ? s->scenario->title : "a simulated world";

	fputs(head, out);
	fputs("<title>", out);
	html_text(out, title);
	fputs("</title>\n</head>\n<body>\n<main>\n<h1>", out);
	html_text(out, title);
	fputs("</h1>\n", out);
	write_figures(s, out);
	map_write(s, out);
	timeline_write(s, out);
	curves_write(s, out);
	fputs("</main>\n</body>\n</html>\n", out);
}
