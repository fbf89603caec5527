/*
 * map.h: the part of a page (html.h) that shows where the places are, who was there, and what was carried
 * between them.
 */
#ifndef TOOLS_SIM_MAP_H
#define TOOLS_SIM_MAP_H

#include "tools/sim/html.h"

void map_write(const struct html_scene *s, FILE *out);

#endif
