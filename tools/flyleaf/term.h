/*
 * term.h: the terminal, where there is one: colours, the second screen, questions, and signals as a
 * descriptor.
 */
#ifndef TOOLS_FLYLEAF_TERM_H
#define TOOLS_FLYLEAF_TERM_H

#include <stdio.h>

#include "node/base/common.h"

enum term_style { TERM_PLAIN, TERM_BOLD, TERM_DIM, TERM_GOOD, TERM_WARN };

/* Changes how out goes on. Nothing unless out is a terminal and NO_COLOR is not set. */
void term_style(FILE *out, enum term_style style);

/* A person sits at both ends: questions may be asked. */
bool term_is_interactive(void);

/* Columns of standard output; 80 where that is not known. */
unsigned term_columns(void);

/* Columns of the terminal that out goes to; 0 where it is none, or does not say. */
unsigned term_width(FILE *out);

/* From here on SIGINT, SIGTERM, SIGHUP and SIGQUIT no longer end the process but make the descriptor that is
 * returned readable (one for the process, closed at its end). Less than 0: ERR_SYSTEM. */
must_check int term_signals(void);

enum { TERM_YES = 1, TERM_NO = 0, TERM_INTERRUPTED = 2 };

/* A question on the terminal, asked until the answer is y, yes, n or no: a slip decides nothing. signals as
 * from term_signals(). */
must_check int term_ask(const char *question, int signals);

/* Reads a line from standard input into out of cap bytes, without its end. Returns its length, or less than 0
 * at the end of the input, after a signal, or when it does not fit. */
must_check long term_line(char *out, size_t cap, int signals);

/* The second screen, which leaves nothing behind in the scroll-back; nothing unless stdout is a terminal. */
void term_screen_enter(void);
void term_screen_leave(void);

#endif
