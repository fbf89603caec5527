/*
 * contacts.c: contacts, show, mode, rename, block, forget, again.
 */
#include "tools/flyleaf/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tools/flyleaf/client.h"
#include "tools/flyleaf/prose.h"
#include "tools/flyleaf/report.h"
#include "tools/flyleaf/show.h"
#include "tools/flyleaf/term.h"

/* Asks for one thing, without arguments or about the first operand. */
static int ask(json_t **reply, const struct command_line *line, const char *word, json_t *args)
{
	struct client *client = NULL;
	int r = client_open(&client, line->home);

	if (r == 0)
		r = client_ask(reply, client, word, args);
	else
		json_decref(args);
	client_close(client);
	return r;
}

static int tell(const struct command_line *line, const char *word, json_t *args)
{
	json_t *reply;
	int r = ask(&reply, line, word, args);

	if (r == 0)
		json_decref(reply);
	return r;
}

static int print_json(const json_t *value)
{
	if (json_dumpf(value, stdout, JSON_ENSURE_ASCII | JSON_COMPACT) != 0)
		return report_err(ERR_IO, "writing the answer");
	putchar('\n');
	return 0;
}

/* What there is to know of a contact now, in a few words. */
static const char *state_words(const json_t *contact)
{
	const char *state = client_text(contact, "state");

	if (client_flag(contact, "blocked"))
		return "blocked";
	if (strcmp(state, "pending") == 0)
		return "number not confirmed";
	if (client_flag(contact, "asks_again"))
		return "asks to start again";
	if (client_flag(contact, "held"))
		return "sends too much";
	if (client_flag(contact, "linked"))
		return strcmp(client_text(contact, "over"), "bluetooth") == 0 ? "here now, by Bluetooth"
		                                                              : "here now";
	if (strcmp(state, "confirmed") == 0)
		return "not found yet";
	return "not here";
}

static void print_contact(const json_t *contact, unsigned column)
{
	struct span name = span_str(client_text(contact, "name"));
	int64_t waiting = client_number(contact, "waiting");
	unsigned width = show_width(name);

	show_name(stdout, name);
	printf("%*s  %-6s  ", (int)(width < column ? column - width : 0), "", client_text(contact, "mode"));
	if (client_flag(contact, "linked"))
		term_style(stdout, TERM_GOOD);
	fputs(state_words(contact), stdout);
	term_style(stdout, TERM_PLAIN);
	if (waiting > 0)
		printf(", %lld waiting", (long long)waiting);
	putchar('\n');
}

int command_contacts(const struct command_line *line)
{
	json_t *reply, *list, *contact;
	unsigned column = 0;
	size_t i;
	int r = ask(&reply, line, "contacts", NULL);

	if (r != 0)
		return r;
	list = json_object_get(reply, "contacts");
	if (line->json) {
		r = print_json(list);
	} else {
		json_array_foreach(list, i, contact) column =
		        MAX(column, MIN(show_width(span_str(client_text(contact, "name"))), 40u));
		json_array_foreach(list, i, contact) print_contact(contact, column);
		if (json_array_size(list) == 0)
			prose(stdout, "Nobody yet. Meet somebody and show them a code: flyleaf pair NAME");
	}
	json_decref(reply);
	return r;
}

static void print_details(const json_t *c)
{
	static const struct {
		const char *mode, *text;
	} modes[] = {
		{ "call",
		  "call: this device calls, and says to nearby devices of Flyleaf's kind that it is there" },
		{ "answer", "answer: this device is quiet and answers when it is called" },
		{ "silent", "silent: this device neither calls nor answers" },
	};

	printf("name            ");
	show_name(stdout, span_str(client_text(c, "name")));
	printf("\nstate           %s\nmode            ", state_words(c));
	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		if (strcmp(modes[i].mode, client_text(c, "mode")) == 0)
			prose_put(stdout, 16, 16, modes[i].text);
	}
	printf("\nsafety number   ");
	show_name(stdout, span_str(client_text(c, "safety")));
	printf("\npaired          ");
	show_time(stdout, (uint64_t)client_number(c, "paired"), (uint64_t)time(NULL));
	printf(client_flag(c, "by_code") ? ", by a code\n" : ", by two QR codes\n");
	printf("waiting         %lld\n", (long long)client_number(c, "waiting"));
	if (client_flag(c, "by_code"))
		prose(stdout, "\nWho records everything now and has a quantum computer one day could read it "
		              "then. Pairing with two cameras (flyleaf pair NAME --both) is safe from that.");
}

int command_show(const struct command_line *line)
{
	json_t *reply;
	int r = ask(&reply, line, "show", json_pack("{s:s}", "name", line->names[0]));

	if (r != 0)
		return r;
	if (line->json)
		r = print_json(json_object_get(reply, "contact"));
	else
		print_details(json_object_get(reply, "contact"));
	json_decref(reply);
	return r;
}

int command_mode(const struct command_line *line)
{
	const char *mode = line->names[1];

	if (strcmp(mode, "call") != 0 && strcmp(mode, "answer") != 0 && strcmp(mode, "silent") != 0)
		return report(EXIT_USAGE,
		              "call: you call. answer: you answer (the default). silent: neither.",
		              "there is no such mode; choose call, answer or silent");
	return tell(line, "mode", json_pack("{s:s, s:s}", "name", line->names[0], "mode", mode));
}

int command_rename(const struct command_line *line)
{
	return tell(line, "rename", json_pack("{s:s, s:s}", "name", line->names[0], "to", line->names[1]));
}

int command_block(const struct command_line *line)
{
	return tell(line, "block", json_pack("{s:s, s:b}", "name", line->names[0], "on", !line->off));
}

int command_again(const struct command_line *line)
{
	return tell(line, "start_again", json_pack("{s:s}", "name", line->names[0]));
}

int command_forget(const struct command_line *line)
{
	char question[512], *shown = show_plain(span_str(line->names[0]));
	int r = TERM_YES;

	if (shown == NULL)
		return report_err(ERR_NOMEM, "forgetting");
	if (term_is_interactive()) {
		snprintf(question, sizeof(question),
		         "This removes %.300s and everything you wrote to each other from this device. Go "
		         "on?",
		         shown);
		r = term_ask(question, term_signals());
	}
	free(shown);
	if (r == TERM_INTERRUPTED)
		return EXIT_INTERRUPTED;
	if (r != TERM_YES)
		return report(EXIT_REFUSED, NULL, "nothing was changed");
	return tell(line, "forget", json_pack("{s:s}", "name", line->names[0]));
}
