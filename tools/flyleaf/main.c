/*
 * main.c: flyleaf, the command line.
 *
 * A word, its operands and its options in any order. One table says what each word takes and does; help,
 * usage and the checks are made from it. flyleaf(1) is the manual.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "node/process.h"
#include "tools/flyleaf/command.h"
#include "tools/flyleaf/prose.h"
#include "tools/flyleaf/report.h"
#include "tools/flyleaf/show.h"
#include "tools/flyleaf/term.h"

enum given {
	OPT_HOME = 256,
	OPT_PLACES,
	OPT_PASSPHRASE_FD,
	OPT_INTERFACES,
	OPT_NUMBER,
	OPT_QR,
	OPT_BOTH,
	OPT_OFF,
	OPT_FOLLOW,
	OPT_JSON,
	OPT_HELP,
	OPT_VERSION
};

enum { PLACES_MAX = 16, NAMES_ANY = 8 };

#define TAKES(option) BIT((option)-OPT_HOME)

static const struct option_text {
	const char *name, *value; /* value: NULL where it takes none */
	enum given option;
	const char *text;
} options[] = {
	{ "home", "DIR", OPT_HOME, "the folder of the vault (default: $XDG_DATA_HOME/flyleaf)" },
	{ "places", "N", OPT_PLACES, "room for N notebooks: 2 on a device of one's own, 16 on a shared one" },
	{ "passphrase-fd", "N", OPT_PASSPHRASE_FD, "read the pass-phrase from descriptor N, one line" },
	{ "interfaces", "A,B", OPT_INTERFACES, "use these network interfaces and Bluetooth adapters only" },
	{ "number", "N", OPT_NUMBER, "the first two groups of the number on the other screen" },
	{ "qr", NULL, OPT_QR, "show a QR code; the other device reads it" },
	{ "both", NULL, OPT_BOTH, "both show a QR code and both read: the safest way" },
	{ "off", NULL, OPT_OFF, "end the block" },
	{ "follow", NULL, OPT_FOLLOW, "go on and print what comes, until Ctrl-C" },
	{ "json", NULL, OPT_JSON, "for programs" },
	{ "help", NULL, OPT_HELP, "this text" },
	{ "version", NULL, OPT_VERSION, "the version" },
};

static const struct command {
	const char *word, *operands;
	int least, most;
	unsigned takes;
	int (*run)(const struct command_line *line);
	const char *text, *more;
} commands[] = {
	{ "init", "", 0, 0, TAKES(OPT_PLACES) | TAKES(OPT_PASSPHRASE_FD), command_init, "make a vault",
	  "The pass-phrase is asked twice, and a good one is suggested. Nobody can bring it back: not we, "
	  "not the other people. It is never given as an argument." },
	{ "run", "", 0, 0, TAKES(OPT_PASSPHRASE_FD) | TAKES(OPT_INTERFACES), command_run,
	  "open the vault and be reachable until Ctrl-C or `flyleaf lock`",
	  "Stays in this terminal; the other commands talk to it from another one." },
	{ "pair", "NAME", 1, 1, TAKES(OPT_QR) | TAKES(OPT_BOTH), command_pair,
	  "show a code to a person who is with you; NAME is what you call them",
	  "The other person enters it with `flyleaf join`. Then compare the number that both screens show." },
	{ "join", "NAME [CODE|PICTURE|-]", 1, NAMES_ANY, 0, command_join,
	  "enter the code that the other device shows",
	  "CODE is what was said (a number and three words; small slips are mended), or the text below a QR "
	  "code; "
	  "PICTURE is a PNG, JPEG or PNM file of the QR code; with - or nothing the code is asked for." },
	{ "confirm", "NAME", 1, 1, TAKES(OPT_NUMBER), command_confirm,
	  "say that the safety numbers are the same, after `pair` or `join`",
	  "With --number it compares by itself, without a question: the first two groups on the other "
	  "screen, as 12345-67890. Where they differ, the contact is removed." },
	{ "contacts", "", 0, 0, TAKES(OPT_JSON), command_contacts, "everybody, and who is here", NULL },
	{ "show", "NAME", 1, 1, TAKES(OPT_JSON), command_show, "one contact, with the safety number", NULL },
	{ "mode", "NAME call|answer|silent", 2, 2, 0, command_mode, "who speaks first",
	  "call: this device calls, and so says that it is there; for a worker on duty.\n"
	  "answer: it is quiet and answers when it is called; the default.\nsilent: neither." },
	{ "rename", "OLD NEW", 2, 2, 0, command_rename, "give a contact another name", NULL },
	{ "block", "NAME", 1, 1, TAKES(OPT_OFF), command_block,
	  "neither call nor answer a contact; --off ends it", "The other person is not told." },
	{ "forget", "NAME", 1, 1, 0, command_forget, "remove a contact and all that was said",
	  "On this device. On a terminal it asks first." },
	{ "again", "NAME", 1, 1, 0, command_again, "consent to a contact that asks to start again",
	  "A contact asks so after its device was restored from a copy. Make sure first that it is the "
	  "person: by their voice, or in a room." },
	{ "send", "NAME [TEXT|-]", 1, 2, 0, command_send,
	  "send a message; without TEXT, or with -, from standard input",
	  "TEXT as an argument can be seen in the list of processes and stays in the shell's history. `-` "
	  "and `flyleaf chat` have neither fault. A message that cannot arrive now waits." },
	{ "read", "[NAME]", 0, 1, TAKES(OPT_FOLLOW) | TAKES(OPT_JSON), command_read,
	  "the messages, of one contact or of all",
	  "What is printed stays in the terminal's scroll-back; `flyleaf chat` leaves nothing there." },
	{ "chat", "NAME", 1, 1, 0, command_chat, "write to each other, live",
	  "On a terminal it leaves nothing in the scroll-back. Enter sends, Ctrl-D leaves; Ctrl-C keeps a "
	  "line that is not sent, and drops it when pressed twice." },
	{ "look", "", 0, 0, 0, command_look, "look for my worker: call everybody for two minutes", NULL },
	{ "status", "", 0, 0, TAKES(OPT_JSON), command_status,
	  "who is here, what waits, which carriers work and why not", NULL },
	{ "lock", "", 0, 0, 0, command_lock, "close the vault and end the node", NULL },
	{ "doctor", "", 0, 0, 0, command_doctor, "what on this system weakens Flyleaf, and how to mend it",
	  "Exit code 0: all is well; 1: something is weak." },
};

static const struct command *find_command(const char *word)
{
	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		if (strcmp(commands[i].word, word) == 0)
			return &commands[i];
	}
	return NULL;
}

static bool is_word(struct span word)
{
	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		if (span_equal(word, span_str(commands[i].word)))
			return true;
	}
	return false;
}

static unsigned help_columns(void)
{
	const unsigned width = term_width(stdout);

	return width > 0 ? width : PROSE_COLUMNS_USUAL;
}

static bool takes(const struct command *c, enum given option)
{
	return option == OPT_HOME || option == OPT_HELP || option == OPT_VERSION ||
	       (c->takes & TAKES(option)) != 0;
}

/* Names at the left, what they mean at the right; on a narrow terminal below them. */
static void print_row(unsigned column, const char *name, const char *text)
{
	const unsigned columns = help_columns();

	if (columns < column + 40) {
		printf("  %s\n      ", name);
		column = 6;
	} else {
		printf("  %-*s", (int)column - 2, name);
	}
	prose_fill(stdout, columns, column, column, text);
	putchar('\n');
}

static void print_paragraph(unsigned indent, const char *text)
{
	printf("%*s", (int)indent, "");
	prose_fill(stdout, help_columns(), indent, indent, text);
	putchar('\n');
}

static int help(void)
{
	char name[64];

	print_paragraph(0, "flyleaf: write to each other when you are near, with nothing in between\n");
	puts("    flyleaf WORD [OPTIONS]\n");
	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		snprintf(name, sizeof(name), "%-9s %s", commands[i].word, commands[i].operands);
		print_row(37, name, commands[i].text);
	}
	print_row(37, "help      [WORD]", "this, or more about one word");
	print_paragraph(0,
	                "\n--home DIR before or after any word chooses the folder of the vault.\n\n"
	                "Begin with: flyleaf init; flyleaf run; and in a second terminal: flyleaf pair NAME\n"
	                "The manual: man flyleaf");
	return report_written();
}

static int help_command(const struct command *c)
{
	printf("flyleaf %s%s%s [OPTIONS]\n\n", c->word, c->operands[0] != '\0' ? " " : "", c->operands);
	print_paragraph(2, c->text);
	if (c->more != NULL) {
		putchar('\n');
		print_paragraph(0, c->more);
	}
	puts("\nOptions:");
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		char name[40];

		if (!takes(c, options[i].option) || options[i].option == OPT_VERSION)
			continue;
		snprintf(name, sizeof(name), "--%s%s%s", options[i].name, options[i].value != NULL ? " " : "",
		         options[i].value != NULL ? options[i].value : "");
		print_row(23, name, options[i].text);
	}
	return report_written();
}

/* what, then which as it was given. */
static int usage(const char *next, const char *what, const char *which)
{
	char *shown = show_plain(span_str(which));
	int r = report(EXIT_USAGE, next, "%s%s", what, shown != NULL ? shown : "");

	free(shown);
	return r;
}

static bool to_number(long *out, const char *text, long least, long most)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *out >= least && *out <= most;
}

/* One option into the line. Returns 0 or EXIT_USAGE. */
static int take_option(struct command_line *line, enum given option, const char *value)
{
	long n;

	switch (option) {
	case OPT_HOME:
		line->home = value;
		line->home_given = true;
		return value[0] != '\0'
		               ? 0
		               : report(EXIT_USAGE, "Give it as in: --home DIR", "--home needs a folder");
	case OPT_PLACES:
		if (!to_number(&n, value, 1, PLACES_MAX))
			return usage(NULL, "--places takes a number from 1 to 16, not ", value);
		line->places = (unsigned)n;
		return 0;
	case OPT_PASSPHRASE_FD:
		if (!to_number(&n, value, 0, INT_MAX))
			return usage("Give it as in: flyleaf run --passphrase-fd 3 3< FILE",
			             "--passphrase-fd takes the number of a descriptor, not ", value);
		line->passphrase_fd = (int)n;
		return 0;
	case OPT_INTERFACES:
		line->interfaces = value;
		return 0;
	case OPT_NUMBER:
		line->number = value;
		return 0;
	case OPT_QR:
		line->qr = true;
		return 0;
	case OPT_BOTH:
		line->both = true;
		return 0;
	case OPT_OFF:
		line->off = true;
		return 0;
	case OPT_FOLLOW:
		line->follow = true;
		return 0;
	case OPT_JSON:
		line->json = true;
		return 0;
	case OPT_HELP:
	case OPT_VERSION:
		return 0;
	}
	return 0;
}

/* $XDG_DATA_HOME/flyleaf, or ~/.local/share/flyleaf. Lives as long as the program. */
static const char *default_home(void)
{
	static char path[PATH_MAX];
	const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	int n = -1;

	if (data != NULL && data[0] == '/')
		n = snprintf(path, sizeof(path), "%s/flyleaf", data);
	else if (home != NULL && home[0] == '/')
		n = snprintf(path, sizeof(path), "%s/.local/share/flyleaf", home);
	return n > 0 && (size_t)n < sizeof(path) ? path : NULL;
}

struct parsed {
	unsigned given; /* TAKES() of each option */
	struct command_line line;
};

static int parse(struct parsed *p, int argc, char **argv)
{
	struct option longs[COUNT_OF(options) + 1] = { 0 };
	int option;

	for (size_t i = 0; i < COUNT_OF(options); i++)
		longs[i] = (struct option){ options[i].name,
			                    options[i].value != NULL ? required_argument : no_argument, NULL,
			                    (int)options[i].option };
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":hV", longs, NULL)) != -1) {
		int r;

		if (option == ':')
			return usage("See: flyleaf help", "a value is missing after ", argv[optind - 1]);
		if (option == '?')
			return usage("See: flyleaf help. A name or text that begins with - goes after --",
			             "there is no option ", argv[optind - 1]);
		if (option == 'h')
			option = OPT_HELP;
		if (option == 'V')
			option = OPT_VERSION;
		p->given |= TAKES(option);
		r = take_option(&p->line, (enum given)option, optarg);
		if (r != 0)
			return r;
	}
	p->line.names = argv + optind;
	p->line.names_len = argc - optind;
	return 0;
}

static int check(const struct command *c, const struct parsed *p)
{
	char next[80];

	snprintf(next, sizeof(next), "See: flyleaf help %s", c->word);
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		if ((p->given & TAKES(options[i].option)) != 0 && !takes(c, options[i].option))
			return report(EXIT_USAGE, next, "%s does not take --%s", c->word, options[i].name);
	}
	if (p->line.names_len < c->least)
		return report(EXIT_USAGE, next, "%s needs %s", c->word, c->operands);
	if (p->line.names_len > c->most)
		return report(EXIT_USAGE, next,
		              "%s does not take so much; put quotes around text with spaces", c->word);
	if (p->line.home == NULL)
		return report(EXIT_USAGE, "Choose one with --home DIR.",
		              "there is no home folder to keep the vault in");
	return 0;
}

/* The commands that a text names are for the folder that was given: without it they would be for another one.
 * Lives as long as the program. */
static int name_home(const struct command_line *line)
{
	const char *operand;

	if (!line->home_given)
		return 0;
	operand = show_operand(span_str(line->home));
	if (operand == NULL)
		return report_err(ERR_NOMEM, "reading the command");
	prose_begin(operand, is_word);
	return 0;
}

/* libsodium calls this where it cannot go on, which is where the system gives no random bytes. It may not
 * return. */
static void stop(void)
{
	(void)report_err(ERR_SYSTEM, "random numbers");
	_exit(EXIT_SYSTEM);
}

int main(int argc, char **argv)
{
	struct parsed p = { .line = { .passphrase_fd = -1 } };
	const struct command *c;
	const char *word;
	int r, written;

	setlocale(LC_CTYPE, "C.UTF-8");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a full disk */
	sodium_set_misuse_handler(stop);
	r = process_begin();
	if (r == 0)
		r = process_shield(); /* all of them: most take a pass-phrase or show what was said */
	if (r != 0)
		return report_err(r, "starting");
	if (sodium_init() < 0)
		return report_err(ERR_SYSTEM, "starting");
	p.line.home = default_home();
	prose_begin(NULL, is_word); /* what is said about words is for every folder */
	r = parse(&p, argc, argv);
	if (r != 0)
		return r;
	if ((p.given & TAKES(OPT_VERSION)) != 0)
		return puts("flyleaf " FLYLEAF_VERSION) < 0 ? EXIT_SYSTEM : report_written();
	if (p.line.names_len == 0 && (p.given & TAKES(OPT_HELP)) == 0)
		return report(EXIT_USAGE, "See: flyleaf help", "what should be done?");
	word = p.line.names_len > 0 ? p.line.names[0] : "help";
	if (strcmp(word, "help") == 0 && p.line.names_len < 2)
		return help();
	if (strcmp(word, "help") == 0) {
		word = p.line.names[1];
		p.given |= TAKES(OPT_HELP);
	}
	c = find_command(word);
	if (c == NULL)
		return usage("See: flyleaf help", "there is no word ", word);
	if ((p.given & TAKES(OPT_HELP)) != 0)
		return help_command(c);
	p.line.names++;
	p.line.names_len--;
	r = name_home(&p.line);
	if (r == 0)
		r = check(c, &p);
	if (r == 0)
		r = c->run(&p.line);
	written = report_written();
	return r != 0 ? r : written;
}
