/*
 * status.c: status, look and lock.
 */
#include "tools/flyleaf/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/flyleaf/client.h"
#include "tools/flyleaf/prose.h"
#include "tools/flyleaf/report.h"
#include "tools/flyleaf/show.h"
#include "tools/flyleaf/term.h"

enum { COLUMN = 16 };

/* What there is to say under a label at the left. */
__attribute__((format(printf, 2, 3))) static void row(const char *label, const char *text, ...)
{
	char whole[PROSE_LEN_MAX];
	va_list args;

	va_start(args, text);
	vsnprintf(whole, sizeof(whole), text, args);
	va_end(args);
	printf("%-*s", COLUMN, label);
	prose_put(stdout, COLUMN, COLUMN, whole);
	putchar('\n');
}

static void print_carriers(const json_t *status)
{
	json_t *carrier;
	size_t i;

	json_array_foreach(json_object_get(status, "carriers"), i, carrier)
	{
		bool works = client_flag(carrier, "works");
		char what[64];

		term_style(stdout, works ? TERM_GOOD : TERM_WARN);
		if (strcmp(client_text(carrier, "carrier"), "bluetooth") == 0)
			snprintf(what, sizeof(what), "bluetooth %s", client_text(carrier, "interface"));
		else
			snprintf(what, sizeof(what), "%s %s", client_text(carrier, "interface"),
			         client_text(carrier, "family"));
		printf("%-14s  %s", what, works ? "works" : "does not work");
		term_style(stdout, TERM_PLAIN);
		if (client_text(carrier, "why")[0] != '\0') {
			char *why = show_plain(span_str(client_text(carrier, "why")));

			fputs(": ", stdout);
			prose_put(stdout, COLUMN + (unsigned)strlen("does not work: "), COLUMN,
			          why != NULL ? why : "");
			free(why);
		}
		putchar('\n');
	}
}

/* A line about one contact that the person should do something about, with the word that does it. */
static void print_call_to(const char *label, const json_t *contact, const char *what, const char *word)
{
	char *name = show_plain(span_str(client_text(contact, "name")));
	char *operand = show_operand(span_str(client_text(contact, "name")));

	row(label, "%s: %s: flyleaf %s %s", name != NULL ? name : "", what, word,
	    operand != NULL ? operand : "NAME");
	free(operand);
	free(name);
}

/* The usual reason why two who are near do not find each other: each waits for the other. */
static bool nobody_is_called(const json_t *contacts)
{
	json_t *contact;
	size_t i;

	json_array_foreach(contacts, i, contact)
	{
		if (strcmp(client_text(contact, "mode"), "call") == 0)
			return false;
	}
	return json_array_size(contacts) > 0;
}

static void print_people(const json_t *contacts, bool looking)
{
	json_t *contact;
	uint64_t waiting = 0;
	unsigned here = 0;
	size_t i;

	json_array_foreach(contacts, i, contact)
	{
		waiting += (uint64_t)client_number(contact, "waiting");
		if (!client_flag(contact, "linked"))
			continue;
		fputs(here++ == 0 ? "here now        " : ", ", stdout);
		show_name(stdout, span_str(client_text(contact, "name")));
	}
	if (here > 0)
		putchar('\n');
	else if (json_array_size(contacts) == 0)
		row("here now", "nobody: you have no contacts yet. Meet somebody, then: flyleaf pair NAME");
	else
		printf("here now        nobody of %zu\n", json_array_size(contacts));
	if (here == 0 && !looking && nobody_is_called(contacts))
		row("calling", "nobody: you answer when you are called, and somebody has to begin. To call "
		               "somebody: flyleaf mode NAME call; everybody, for two minutes: flyleaf look");
	json_array_foreach(contacts, i, contact)
	{
		if (client_flag(contact, "asks_again"))
			print_call_to("asks again", contact, "see that it is the person, then", "again");
		if (client_flag(contact, "held"))
			print_call_to("sends too much", contact,
			              "the rest is taken within a day; to take no more at all", "block");
	}
	printf("waiting         %llu\n", (unsigned long long)waiting);
}

static void print_room(const char *room)
{
	if (strcmp(room, "low") == 0)
		row("disk", "is nearly full: nothing more is taken from others until there is room; "
		            "they keep it and send it then");
	else if (strcmp(room, "none") == 0)
		row("disk", "is full: nothing is sent or taken until there is room; everything up to now is "
		            "there");
}

int command_status(const struct command_line *line)
{
	struct client *client = NULL;
	json_t *status = NULL, *contacts = NULL;
	int r = client_open(&client, line->home);

	if (r == 0)
		r = client_ask(&status, client, "status", NULL);
	if (r == 0)
		r = client_ask(&contacts, client, "contacts", NULL);
	if (r == 0 && line->json) {
		json_object_set(status, "contacts", json_object_get(contacts, "contacts"));
		json_object_del(status, "id");
		r = json_dumpf(status, stdout, JSON_ENSURE_ASCII | JSON_COMPACT) == 0
		            ? 0
		            : report_err(ERR_IO, "writing the status");
		putchar('\n');
	} else if (r == 0) {
		print_carriers(status);
		print_people(json_object_get(contacts, "contacts"), client_flag(status, "looking"));
		if (client_text(status, "report")[0] != '\0')
			row("vault", "%s", client_text(status, "report"));
		print_room(client_text(status, "room"));
		if (client_flag(status, "looking"))
			row("looking", "for your worker");
		if (client_flag(status, "clock_wrong"))
			row("clock", "is earlier than it once was: nothing is answered by itself. "
			             "Set it, then look: flyleaf look");
	}
	json_decref(status);
	json_decref(contacts);
	client_close(client);
	return r;
}

static void say_here(const char *name)
{
	show_name(stdout, span_str(name));
	puts(" is here.");
	fflush(stdout);
}

/* Shows who is found until the looking ends. found: somebody was here before. */
static int look_on(struct client *client, int signals, bool found)
{
	for (;;) {
		struct pollfd stop = { .fd = signals, .events = POLLIN };
		json_t *event;
		int r = client_event(&event, client, &stop, 1);
		const char *word;

		if (r == CLIENT_NONE) {
			r = client_do(client, "look", json_pack("{s:b}", "on", 0));
			return r != 0 ? r : EXIT_INTERRUPTED;
		}
		if (r != 0)
			return r;
		word = client_text(event, "event");
		if (strcmp(word, "linked") == 0) {
			found = true;
			say_here(client_text(event, "name"));
		}
		if (strcmp(word, "look_ended") == 0) {
			json_decref(event);
			if (found)
				return 0;
			return report(EXIT_REFUSED,
			              "Are both on the same network or have Bluetooth on, and is the other "
			              "open? See: flyleaf doctor",
			              "nobody was found");
		}
		json_decref(event);
	}
}

/* Says who is here already. Looking for nobody, or for nobody else, would take two minutes. */
static int say_who_is_here(struct client *client, size_t *here, size_t *others)
{
	json_t *reply, *contact;
	size_t i;
	int r = client_ask(&reply, client, "contacts", NULL);

	if (r != 0)
		return r;
	*here = *others = 0;
	json_array_foreach(json_object_get(reply, "contacts"), i, contact)
	{
		if (client_flag(contact, "linked")) {
			say_here(client_text(contact, "name"));
			++*here;
		} else if (!client_flag(contact, "blocked")) {
			++*others;
		}
	}
	if (json_array_size(json_object_get(reply, "contacts")) == 0)
		r = report(EXIT_REFUSED, "Meet somebody and show them a code: flyleaf pair NAME",
		           "there is nobody to look for yet");
	else if (*here == 0 && *others == 0)
		r = report(EXIT_REFUSED, "Let one of them in again with: flyleaf block NAME --off",
		           "all your contacts are blocked");
	json_decref(reply);
	return r;
}

int command_look(const struct command_line *line)
{
	struct client *client = NULL;
	size_t here, others = 0;
	int signals = term_signals();
	int r = signals < 0 ? report_err(signals, "looking") : client_open(&client, line->home);

	if (r == 0)
		r = client_do(client, "follow", NULL); /* before: nobody comes in between */
	if (r == 0)
		r = say_who_is_here(client, &here, &others);
	if (r == 0 && others > 0)
		r = client_do(client, "look", json_pack("{s:b}", "on", 1));
	if (r == 0 && others > 0) {
		puts(here > 0 ? "Looking for the others for two minutes. Ctrl-C stops it."
		              : "Looking for two minutes. Ctrl-C stops it.");
		fflush(stdout);
		r = look_on(client, signals, here > 0);
	}
	client_close(client);
	return r;
}

int command_lock(const struct command_line *line)
{
	struct client *client = NULL;
	int r = client_open(&client, line->home);

	if (r == 0)
		r = client_do(client, "lock", NULL);
	client_close(client);
	return r;
}
