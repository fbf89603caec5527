/*
 * curves.h: the part of a page (html.h) that shows how soon what was written arrived, and how much was
 * waiting.
 */
#ifndef TOOLS_SIM_CURVES_H
#define TOOLS_SIM_CURVES_H

#include "tools/sim/html.h"

void curves_write(const struct html_scene *s, FILE *out);

#endif
