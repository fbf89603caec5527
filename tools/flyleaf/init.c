/*
 * init.c: make a vault.
 *
 * On a terminal it takes the second screen: the pass-phrase that is suggested does not stay in the
 * scroll-back. The process is hardened before, as that of a node is: it holds the same secrets for a moment.
 */
#include "tools/flyleaf/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "node/core/words.h"
#include "node/crypto/random.h"
#include "node/process.h"
#include "store/vault.h"
#include "tools/flyleaf/passphrase.h"
#include "tools/flyleaf/prose.h"
#include "tools/flyleaf/report.h"
#include "tools/flyleaf/show.h"
#include "tools/flyleaf/term.h"

enum { SUGGESTED_WORDS = 6, TRIES = 3, GIB = 1 << 30 };

/* PROTOCOL section 8: the profile of 256 MiB where more than 1 GiB is available. */
static enum slots_profile profile_for_this_machine(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char row[128];

	while (f != NULL && fgets(row, sizeof(row), f) != NULL) {
		if (sscanf(row, "MemAvailable: %llu", &kib) == 1)
			break;
	}
	if (f != NULL)
		fclose(f);
	return kib << 10 > GIB ? SLOTS_256_MIB : SLOTS_64_MIB;
}

static void suggest(void)
{
	uint8_t words[SUGGESTED_WORDS * (WORDS_LEN_MAX + 1)] = { 0 }; /* the last byte stays so */
	struct writer w = WRITER_ON(words);

	words_suggest(&w, random_system(), SUGGESTED_WORDS);
	(void)writer_done(&w);
	prose(stdout, "Choose a pass-phrase. It opens your vault, and nobody can bring it back.\n"
	              "Six everyday words are strong, and easier to keep than signs. These were chosen by "
	              "chance just now:\n");
	printf("        ");
	prose_put(stdout, 8, 8, (const char *)words);
	prose(stdout, "\n\nTake these, or words of your own.\n");
	fflush(stdout);
	sodium_memzero(words, sizeof(words));
}

/* Returns 0, or the exit code after having said why. */
static int is_good(const struct passphrase *p)
{
	if (passphrase_chars(p) >= PASSPHRASE_CHARS_MIN)
		return 0;
	return report(EXIT_REFUSED, "Take at least 8 characters; six words are better.",
	              "this pass-phrase is too short");
}

/* Asks once for a new one and once more for the same. Returns 0, EXIT_REFUSED for another try, or another
 * code. */
static int ask_twice(struct passphrase *out)
{
	struct passphrase again = { 0 };
	int r = passphrase_from_terminal(out, "New pass-phrase (nothing is shown): ");

	if (r == 0) {
		r = is_good(out);
		if (r != 0)
			return r;
		r = passphrase_from_terminal(&again, "The same again: ");
	}
	if (r == 0 && !passphrase_equal(out, &again))
		r = report(EXIT_REFUSED, "Type it twice alike.", "these were two different pass-phrases");
	else if (r != 0)
		r = passphrase_report(r);
	passphrase_wipe(&again);
	return r;
}

static int new_passphrase(struct passphrase *out, const struct command_line *line)
{
	int r;

	if (line->passphrase_fd >= 0) {
		r = passphrase_from_fd(out, line->passphrase_fd);
		return r == 0 ? is_good(out) : passphrase_report(r);
	}
	if (!passphrase_can_ask())
		return passphrase_report(PASSPHRASE_NO_TERMINAL);
	term_screen_enter();
	suggest();
	for (int i = 0; i < TRIES; i++) {
		passphrase_wipe(out);
		r = ask_twice(out);
		if (r != EXIT_REFUSED)
			break;
	}
	term_screen_leave();
	if (r != 0 && isatty(STDOUT_FILENO))
		report_again(); /* went with the second screen */
	return r == EXIT_REFUSED
	               ? report(r, "Nothing was changed. Begin again with: flyleaf init", "no vault was made")
	               : r;
}

/* The folders above home, as mkdir -p makes them; home itself is vault_create()'s. */
static int make_parents(const char *home)
{
	char *path = strdup(home);
	int r = path == NULL ? ERR_NOMEM : 0;

	for (char *at = path; r == 0 && (at = strchr(at + 1, '/')) != NULL;) {
		*at = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			r = err_from_errno(errno);
		*at = '/';
	}
	free(path);
	return r;
}

static int make(const struct command_line *line, const struct passphrase *p)
{
	unsigned places = line->places != 0 ? line->places : SLOTS_PLACES_OWN;
	struct vault_guess guess;
	int r;

	vault_guess_new(&guess, profile_for_this_machine(), random_system());
	r = vault_derive(&guess, span_from(p->bytes, p->len));
	if (r == 0)
		r = make_parents(line->home);
	if (r == 0)
		r = vault_create(disk_posix(), line->home, places, &guess, random_system());
	vault_guess_wipe(&guess);
	if (r == ERR_EXISTS)
		return report(EXIT_REFUSED, "Open it with: flyleaf run; or make another with --home DIR.",
		              "there is a vault in %s already", line->home);
	if (r == ERR_ABSENT)
		return report(EXIT_REFUSED, "Choose another folder with --home DIR.", "%s cannot be made",
		              line->home);
	return r != 0 ? report_err(r, "making the vault") : 0;
}

/* Says early, before a pass-phrase is asked for, that there is a vault. */
static int is_free(const struct command_line *line)
{
	struct vault *vault;
	int r = vault_find(&vault, disk_posix(), line->home);

	if (r == ERR_ABSENT)
		return 0;
	if (r < 0 && r != ERR_BUSY)
		return report_err(r, "looking into the folder");
	if (r == 0)
		vault_close(vault);
	return report(EXIT_REFUSED, "Open it with: flyleaf run; or make another with --home DIR.",
	              "there is a vault in %s already", line->home);
}

static void print_made(const struct command_line *line)
{
	prose(stdout, "The vault is made, in %s.\nOpen it with: flyleaf run", line->home);
}

int command_init(const struct command_line *given)
{
	struct command_line line = *given;
	struct passphrase p = { 0 };
	int r = passphrase_keep_fd(&line.passphrase_fd), lacks;

	if (r != 0)
		return r;
	lacks = process_harden(); /* what it lacks, doctor and run say */
	if (lacks < 0)
		return report_err(lacks, "shielding the process");
	r = is_free(&line);
	if (r == 0)
		r = new_passphrase(&p, &line);
	if (r == 0)
		r = make(&line, &p);
	passphrase_wipe(&p);
	if (r == 0)
		print_made(&line);
	return r;
}
