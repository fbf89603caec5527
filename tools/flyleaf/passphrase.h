/*
 * passphrase.h: a pass-phrase from a person or a script, in the form that the vault takes.
 *
 * It comes from a file descriptor or from the terminal with echo off, never from an argument or the
 * environment; it is UTF-8 in NFC (PROTOCOL section 8), so that the same phrase typed on another keyboard
 * opens too; it lives in guarded memory only and is wiped there.
 */
#ifndef TOOLS_FLYLEAF_PASSPHRASE_H
#define TOOLS_FLYLEAF_PASSPHRASE_H

#include "node/base/wire.h"

enum {
	PASSPHRASE_BYTES_MAX = 1024, /* as typed */
	PASSPHRASE_CHARS_MIN = 8     /* for a new one */
};

enum {
	PASSPHRASE_EMPTY = 1,
	PASSPHRASE_TOO_LONG,
	PASSPHRASE_NOT_TEXT,    /* not valid UTF-8 */
	PASSPHRASE_NO_TERMINAL, /* there is none to ask on */
	PASSPHRASE_INTERRUPTED  /* by a signal or an end of input on the terminal */
};

struct passphrase {
	uint8_t *bytes; /* owned, from sodium_malloc() */
	size_t len;
};

/* Each returns 0, an enum err or an outcome above; passphrase_wipe() when done. sodium_init() was called. */

/* raw is what was typed; the caller wipes it. */
must_check int passphrase_normalise(struct passphrase *out, struct span raw);
/* One line, or all that there is; byte by byte, so that what follows stays unread. */
must_check int passphrase_from_fd(struct passphrase *out, int fd);
/* process_harden() will close all inherited descriptors but 0, 1 and 2: *fd, where it is another, becomes
 * standard input, which has no other use then. Returns 0, or an exit code after having said why. */
must_check int passphrase_keep_fd(int *fd);
/* There is a terminal to ask on. */
bool passphrase_can_ask(void);
/* Asks on the terminal of this process. Echo is off meanwhile and back on whatever happens, also across
 * being stopped and continued. One caller at a time. */
must_check int passphrase_from_terminal(struct passphrase *out, const char *prompt);

size_t passphrase_chars(const struct passphrase *p);
bool passphrase_equal(const struct passphrase *a, const struct passphrase *b); /* in constant time */
void passphrase_wipe(struct passphrase *p);                                    /* zeroed is allowed */
/* Says on stderr why there is none; takes an outcome or an enum err and returns the exit code. */
int passphrase_report(int result);

#endif
