/*
 * timeline.h: the part of a page (html.h) that shows who was where and when, and what broke in.
 */
#ifndef TOOLS_SIM_TIMELINE_H
#define TOOLS_SIM_TIMELINE_H

#include "tools/sim/html.h"

void timeline_write(const struct html_scene *s, FILE *out);

#endif
