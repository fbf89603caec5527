/*
 * html.h: a run as one page: figures, map, timeline and curves, for a browser, a printer, a screen reader.
 *
 * The page is well-formed XML, needs nothing from elsewhere and no script, and is the same bytes for the
 * same seed. However many people there are, it stays below HTML_BYTES_MAX. Each picture is a module of its
 * own (map.h, timeline.h, curves.h), and has what it shows as a table beside it.
 */
#ifndef TOOLS_SIM_HTML_H
#define TOOLS_SIM_HTML_H

#include <stdio.h>

#include "tools/sim/report.h"
#include "tools/sim/scenario.h"
#include "tools/sim/story.h"

enum {
	HTML_BYTES_MAX = 2000000,
	HTML_WIDTH = 1000, /* of every picture */
	HTML_COLOURS =
	        6, /* classes c0 to c5: told apart by everybody's eyes, and black can be read on them */
};

struct html_scene {
	const struct scenario *scenario;
	const struct report *report; /* closed */
	const struct story *story;
};

void html_write(const struct html_scene *s, FILE *out);

/* For the pictures: text escaped; a time as "1d 06:00"; a duration in words. */
void html_text(FILE *out, const char *text);
void html_time(FILE *out, uint64_t us);
void html_duration(FILE *out, uint64_t us);
/* An svg is opened, with what a screen reader says of it; "</svg>" ends it. id: of one word. */
void html_picture(FILE *out, const char *id, unsigned height, const char *title, const char *about);
/* Lines and words for the time that goes from left to right. */
void html_time_axis(FILE *out, uint64_t end_us, double left, double right, double top, double bottom);
/* "nowhere" for NET_NOWHERE. */
const char *html_place(const struct html_scene *s, int place);

#endif
