/*
 * command.h: the words of the command line. tools/flyleaf/main.c reads the options and calls one of them.
 *
 * Each returns an exit code (tools/flyleaf/report.h) after having said on stderr why, where it is not 0.
 */
#ifndef TOOLS_FLYLEAF_COMMAND_H
#define TOOLS_FLYLEAF_COMMAND_H

#include "node/base/common.h"

/* What was given on the command line; all of it borrowed. */
struct command_line {
	const char *home; /* the folder of the vault */
	bool home_given;  /* it is not where it is by itself */
	char **names;     /* the operands after the word */
	int names_len;
	bool json, follow, qr, both, off;
	unsigned places;
	int passphrase_fd; /* -1: ask on the terminal */
	const char *interfaces, *number;
};

int command_init(const struct command_line *line);
int command_run(const struct command_line *line);
int command_pair(const struct command_line *line);
int command_join(const struct command_line *line);
int command_confirm(const struct command_line *line);
int command_contacts(const struct command_line *line);
int command_show(const struct command_line *line);
int command_mode(const struct command_line *line);
int command_rename(const struct command_line *line);
int command_block(const struct command_line *line);
int command_forget(const struct command_line *line);
int command_again(const struct command_line *line);
int command_send(const struct command_line *line);
int command_read(const struct command_line *line);
int command_chat(const struct command_line *line);
int command_look(const struct command_line *line);
int command_status(const struct command_line *line);
int command_lock(const struct command_line *line);
int command_doctor(const struct command_line *line);

#endif
