/*
 * show.h: text from elsewhere, made harmless for a terminal.
 *
 * Names and messages come from other people. Written as they are, control characters could move the cursor,
 * recolour, rename the window or type; direction overrides and invisible characters could make one name look
 * like another. Here every character that is not plainly visible is replaced by a visible mark.
 */
#ifndef TOOLS_FLYLEAF_SHOW_H
#define TOOLS_FLYLEAF_SHOW_H

#include <stdio.h>

#include "node/base/wire.h"

enum { SHOW_MARKS_MAX = 4 }; /* combining marks on one character; more are shown as marks of their own */

/* A name, or any other text that has to stay on one line: a line end and a joiner are shown as marks too. */
void show_name(FILE *out, struct span name);

/* A message. Lines after the first begin with indent spaces, so that no line of a message can pass for one
 * that this program wrote; tabs become a space; joiners between letters of a script that needs them stay. */
void show_text(FILE *out, struct span text, unsigned indent);

/* The same as show_name() as a string that the caller frees; NULL when memory is out. */
char *show_plain(struct span name);

/* A name as an operand of a command that is shown to be typed: in quotes where the shell would take it apart.
 * The caller frees it; NULL when memory is out. */
char *show_operand(struct span name);

/* The columns that show_name() takes on a terminal. */
unsigned show_width(struct span name);

/* A time to the minute, as a person says it: "today 10:04", "yesterday 18:20", "Mon 4 May 09:30", and with
 * the year where it is another. Both are seconds since 1970 UTC; shown in local time. */
void show_time(FILE *out, uint64_t when, uint64_t now);

#endif
