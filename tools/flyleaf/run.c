/*
 * run.c: open the vault and be the node, until somebody locks it.
 *
 * The process is hardened before the pass-phrase is asked for, and confined before it serves. Argon2id runs
 * before the loop does. The notebook stays with the vault: the loop gets its rows, and when a turn failed and
 * it wants them again, the notebook is forgotten and opened from the disk once more.
 */
#include "tools/flyleaf/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sodium.h>

#include "node/confine.h"
#include "node/crypto/random.h"
#include "node/loop.h"
#include "node/process.h"
#include "store/vault.h"
#include "tools/flyleaf/passphrase.h"
#include "tools/flyleaf/prose.h"
#include "tools/flyleaf/report.h"
#include "tools/flyleaf/term.h"

enum { TRIES = 3, INTERFACE_LIST_MAX = 1024 };

struct run {
	const struct command_line *line;
	struct vault *vault;
	struct vault_guess *guess; /* owned, in guarded memory */
	bool memory_not_locked;    /* all of it, that is */
	bool keys_not_locked;
	bool given;        /* the loop has had the rows that are open now */
	bool read_only;    /* damaged, or on a disk that cannot be written */
	char noticed[256]; /* when the notebook was opened; "" */
	char list[INTERFACE_LIST_MAX];
	const char *interfaces[INTERFACES_MAX];
	size_t interfaces_len;
};

/* ---- Opening --------------------------------------------------------------- */

static int report_vault(int result, const struct command_line *line)
{
	switch (result) {
	case VAULT_NO_MATCH:
		return report(EXIT_PASSPHRASE,
		              "You can try again. Look at the keyboard's language and at Caps Lock.",
		              "this pass-phrase opens nothing here");
	case VAULT_NEWER:
		return report_err(ERR_VERSION, "the vault");
	case VAULT_TRUNCATED:
		return report(EXIT_VAULT,
		              "Nothing was changed. Bring back a whole copy of the folder, or begin anew "
		              "with --home.",
		              "the vault in %s is cut short", line->home);
	case VAULT_FOREIGN:
		return report(EXIT_VAULT,
		              "Nothing was changed. Is it the right folder? Choose another with --home.",
		              "what is in %s is not a vault of Flyleaf", line->home);
	case ERR_ABSENT:
		return report(EXIT_VAULT, "Make one with: flyleaf init; or choose the folder with --home.",
		              "there is no vault in %s", line->home);
	case ERR_BUSY:
		return report(EXIT_IN_USE, "Use it: flyleaf status; or end it first: flyleaf lock",
		              "the vault in %s is open in another process", line->home);
	default:
		return report_err(result, "opening the vault");
	}
}

static void notice(struct run *r, const struct vault_report *found)
{
	r->read_only = found->damaged || found->readonly;
	if (found->damaged)
		snprintf(r->noticed, sizeof(r->noticed),
		         "the vault is damaged: what was stored up to the damage can be read, and nothing is "
		         "sent or written; "
		         "copy the folder before anything else");
	else if (found->log.bytes_cut > 0)
		snprintf(r->noticed, sizeof(r->noticed),
		         "the last write before a crash was not whole: %llu bytes of it were cut off; "
		         "everything before is "
		         "there",
		         (unsigned long long)found->log.bytes_cut);
	else if (found->readonly)
		snprintf(r->noticed, sizeof(r->noticed),
		         "the vault is on a disk that cannot be written: it can be read, and nothing is sent "
		         "or kept");
	if (r->noticed[0] != '\0')
		report(EXIT_DONE, NULL, "%s", r->noticed);
}

/* What was typed cannot be a pass-phrase: said here, and it costs a try only. Ended there and then, the next
 * thing typed would be the pass-phrase, in clear and to the shell. */
static bool is_mistyped(const struct run *r, int result)
{
	if (r->line->passphrase_fd >= 0)
		return false;
	if (result != PASSPHRASE_EMPTY && result != PASSPHRASE_TOO_LONG && result != PASSPHRASE_NOT_TEXT)
		return false;
	passphrase_report(result);
	return true;
}

/* One pass-phrase, one try. Returns 0, or the exit code after having said why. */
static int try_once(struct run *r)
{
	struct passphrase p = { 0 };
	struct vault_report found = { 0 };
	int e = r->line->passphrase_fd >= 0
	                ? passphrase_from_fd(&p, r->line->passphrase_fd)
	                : passphrase_from_terminal(&p, "Pass-phrase (nothing is shown): ");

	if (e != 0)
		return is_mistyped(r, e) ? EXIT_PASSPHRASE : passphrase_report(e);
	if (isatty(STDOUT_FILENO)) {
		fputs("Opening ...\n", stdout);
		fflush(stdout);
	}
	vault_guess_for(r->guess, r->vault);
	e = vault_derive(r->guess, span_from(p.bytes, p.len));
	passphrase_wipe(&p);
	if (e == 0)
		e = vault_open(r->vault, r->guess, random_system(), &found);
	if (e != 0)
		return report_vault(e, r->line);
	notice(r, &found);
	return 0;
}

static int open_vault(struct run *r)
{
	int tries = r->line->passphrase_fd >= 0 ? 1 : TRIES;
	int e = vault_find(&r->vault, disk_posix(), r->line->home);

	if (e != 0)
		return report_vault(e, r->line);
	if (r->memory_not_locked && !r->keys_not_locked && isatty(STDERR_FILENO))
		report(EXIT_DONE, "This is usual. Whether it matters here says: flyleaf doctor",
		       "only the keys of the vault are locked in memory; the rest could be swapped out");
	do {
		e = try_once(r);
	} while (e == EXIT_PASSPHRASE && --tries > 0);
	return e;
}

/* ---- Serving --------------------------------------------------------------- */

static int give_rows(void *arg, struct store **out)
{
	struct run *r = arg;
	struct vault_report found;
	int e = 0;

	if (r->given) {
		vault_forget(r->vault);
		e = vault_open(r->vault, r->guess, random_system(), &found);
		if (e > 0) /* it opened a moment ago with this very key */
			e = ERR_CORRUPT;
	}
	r->given = true;
	if (e == 0)
		*out = vault_store(r->vault);
	return e;
}

static int tidy(void *arg)
{
	const struct run *r = arg;

	return vault_compact(r->vault);
}

static int look_at_room(void *arg, bool now)
{
	static const int rooms[] = {
		[0] = LOOP_ROOM_ENOUGH, [VAULT_ROOM_LOW] = LOOP_ROOM_LOW, [VAULT_ROOM_TIDY] = LOOP_ROOM_TIDY
	};
	const struct run *r = arg;
	const int found = vault_room(r->vault, now);

	return found < 0 ? found : rooms[found];
}

static int split_interfaces(struct run *r)
{
	const char *list = r->line->interfaces;
	char *rest = r->list;

	if (list == NULL)
		return 0;
	if ((size_t)snprintf(r->list, sizeof(r->list), "%s", list) >= sizeof(r->list))
		return report(EXIT_USAGE, "Name fewer.", "the list of interfaces is too long");
	for (const char *name; (name = strsep(&rest, ",")) != NULL;) {
		if (name[0] == '\0')
			continue;
		if (r->interfaces_len == COUNT_OF(r->interfaces))
			return report(EXIT_USAGE, "Name fewer.", "the list of interfaces is too long");
		r->interfaces[r->interfaces_len++] = name;
	}
	return 0;
}

static int serve(struct run *r)
{
	const struct loop_options options = {
		.open = give_rows,
		.tidy = tidy,
		.room = look_at_room,
		.arg = r,
		.read_only = r->read_only,
		.home = r->line->home,
		.report = r->noticed[0] != '\0' ? r->noticed : NULL,
		.lan = { .interfaces = r->line->interfaces != NULL ? r->interfaces : NULL,
		         .interfaces_len = r->interfaces_len },
		.bluetooth = { .adapters = r->line->interfaces != NULL ? r->interfaces : NULL,
		               .adapters_len = r->interfaces_len },
		.rng = random_system(),
	};
	int e;

	puts("Open. Ctrl-C locks.");
	if (isatty(STDOUT_FILENO))
		prose(stdout,
		      "Leave this terminal open. In a second one: flyleaf pair NAME, flyleaf chat NAME, "
		      "flyleaf status");
	fflush(stdout);
	e = loop_run(&options);
	if (e == 0 && !r->read_only && vault_store(r->vault) != NULL)
		e = vault_lock(r->vault); /* writes the log anew: what was deleted is gone now */
	if (e == ERR_FULL)
		return report(EXIT_SYSTEM,
		              "Make room on the disk; the next time that it is locked erases it.",
		              "locked, but without the room to erase from the disk what was deleted");
	if (e != 0)
		return report_err(e, "the node ended");
	puts("Locked.");
	return 0;
}

static int harden(struct run *r)
{
	int lacks = process_harden();

	if (lacks < 0)
		return report_err(lacks, "shielding the process");
	r->memory_not_locked = (lacks & PROCESS_MEMORY_NOT_LOCKED) != 0;
	r->keys_not_locked = (lacks & PROCESS_KEYS_NOT_LOCKED) != 0;
	if (r->keys_not_locked)
		report(EXIT_DONE, "How to allow it says: flyleaf doctor",
		       "the system allows no memory to be locked: the keys could reach the swap");
	return 0;
}

/* When the pass-phrase was read and the vault found: what comes from others is read behind these fences. */
static int confine(const struct run *r)
{
	const int lacks = confine_process(r->line->home);

	if (lacks < 0)
		return report_err(lacks, "confining the process");
	if (lacks != 0)
		report(EXIT_DONE, "More about it says: flyleaf doctor",
		       "this system cannot confine the program: a fault in it could reach other files of "
		       "yours");
	return 0;
}

int command_run(const struct command_line *given)
{
	struct command_line line = *given;
	struct run r = { .line = &line };
	int e = passphrase_keep_fd(&line.passphrase_fd);

	if (e == 0)
		e = split_interfaces(&r);
	if (e == 0)
		e = harden(&r);
	if (e != 0)
		return e;
	r.guess = sodium_malloc(sizeof(*r.guess));
	if (r.guess == NULL)
		return report_err(ERR_NOMEM, "opening the vault");
	e = open_vault(&r);
	if (e == 0)
		e = confine(&r);
	if (e == 0)
		e = serve(&r);
	vault_close(r.vault);
	sodium_free(r.guess); /* wipes it */
	return e;
}
