/*
 * talk.c: send and read.
 */
#include "tools/flyleaf/talk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "node/base/utf8.h"
#include "tools/flyleaf/command.h"
#include "tools/flyleaf/report.h"
#include "tools/flyleaf/show.h"
#include "tools/flyleaf/term.h"

enum { TEXT_BYTES_MAX = 32000, INDENT = 4 };

/* ---- Printing -------------------------------------------------------------- */

/* Own ones say how far they got, where that is not the usual. */
static const char *state_note(const json_t *message)
{
	if (!client_flag(message, "own") || strcmp(client_text(message, "state"), "stored") == 0)
		return "";
	return "  (waiting)";
}

void talk_print(const char *name, const json_t *message, unsigned notes)
{
	bool own = client_flag(message, "own");
	const json_t *text = json_object_get(message, "text");
	int64_t when = client_number(message, own ? "claimed" : "arrived");

	term_style(stdout, TERM_DIM);
	show_time(stdout, (uint64_t)when, (uint64_t)time(NULL));
	term_style(stdout, TERM_PLAIN);
	fputs("  ", stdout);
	term_style(stdout, own ? TERM_PLAIN : TERM_BOLD);
	if (own)
		fputs((notes & TALK_WHOM) != 0 ? "me to " : "me", stdout);
	if (!own || (notes & TALK_WHOM) != 0)
		show_name(stdout, span_str(name));
	term_style(stdout, TERM_PLAIN);
	fputs(": ", stdout);
	if (json_is_string(text))
		show_text(stdout, span_from(json_string_value(text), json_string_length(text)), INDENT);
	else
		printf("[something that this version cannot show, kind %lld]",
		       (long long)client_number(message, "kind"));
	term_style(stdout, TERM_DIM);
	fputs((notes & TALK_STATE) != 0 ? state_note(message) : "", stdout);
	term_style(stdout, TERM_PLAIN);
	putchar('\n');
}

static int print_each(void *arg, const char *name, const json_t *message)
{
	const struct command_line *line = arg;
	json_t *one;
	int r;

	if (!line->json) {
		talk_print(name, message, TALK_STATE | (line->names_len == 0 ? TALK_WHOM : 0));
		return 0;
	}
	/* A line each: the message with its contact. */
	one = json_pack("{s:s}", "name", name);
	r = json_object_update(one, (json_t *)(uintptr_t)message);
	if (r == 0)
		r = json_dumpf(one, stdout, JSON_ENSURE_ASCII | JSON_COMPACT);
	putchar('\n');
	json_decref(one);
	return r == 0 ? 0 : report_err(ERR_IO, "writing the messages");
}

/* ---- read ------------------------------------------------------------------ */

int talk_each(struct client *client, const char *name, int64_t from, int64_t last, int64_t *next,
              int (*each)(void *arg, const char *name, const json_t *message), void *arg)
{
	for (;;) {
		json_t *args = json_pack("{s:s, s:i}", "name", name, "limit", TALK_PER_READ), *reply, *list,
		       *one;
		size_t i, n;
		int r;

		json_object_set_new(args, last > 0 ? "last" : "from", json_integer(last > 0 ? last : from));
		r = client_ask(&reply, client, "read", args);
		if (r != 0)
			return r;
		list = json_object_get(reply, "messages");
		n = json_array_size(list);
		json_array_foreach(list, i, one)
		{
			r = each(arg, name, one);
			if (r != 0)
				break;
			from = MIN(client_number(one, "position"), INT64_MAX - 1) + 1;
		}
		from = MAX(from, client_number(reply, "next"));
		json_decref(reply);
		*next = from;
		last = 0;
		if (r != 0 || n == 0)
			return r;
	}
}

struct reading { /* how far each contact's conversation was shown, by name */
	struct client *client;
	const struct command_line *line;
	json_t *shown; /* object, owned: name -> next position */
};

static int read_on(struct reading *r, const char *name)
{
	int64_t next = client_number(r->shown, name);
	int e = talk_each(r->client, name, next, 0, &next, print_each, (void *)(uintptr_t)r->line);
	int written;

	json_object_set_new(r->shown, name, json_integer(next));
	written = report_written();
	return e != 0 ? e : written;
}

static int read_all(struct reading *r)
{
	json_t *reply, *contact;
	size_t i;
	int e;

	if (r->line->names_len > 0) { /* for the name as the node has it, which events tell */
		e = client_ask(&reply, r->client, "show", json_pack("{s:s}", "name", r->line->names[0]));
		if (e != 0)
			return e;
		e = read_on(r, client_text(json_object_get(reply, "contact"), "name"));
		json_decref(reply);
		return e;
	}
	e = client_ask(&reply, r->client, "contacts", NULL);
	if (e != 0)
		return e;
	json_array_foreach(json_object_get(reply, "contacts"), i, contact)
	{
		e = read_on(r, client_text(contact, "name"));
		if (e != 0)
			break;
	}
	json_decref(reply);
	return e;
}

static int follow(struct reading *r, int signals)
{
	int e = 0;

	while (e == 0) {
		struct pollfd stop = { .fd = signals, .events = POLLIN };
		json_t *event;
		const char *name;

		e = client_event(&event, r->client, &stop, 1);
		if (e == CLIENT_NONE)
			return 0; /* Ctrl-C is how one leaves */
		if (e != 0)
			break;
		name = client_text(event, "name");
		if (strcmp(client_text(event, "event"), "message") == 0 &&
		    (r->line->names_len == 0 || json_object_get(r->shown, name) != NULL))
			e = read_on(r, name);
		json_decref(event);
	}
	return e;
}

int command_read(const struct command_line *line)
{
	struct reading r = { .line = line, .shown = json_object() };
	int signals = line->follow ? term_signals() : 0;
	int e = signals < 0       ? report_err(signals, "following")
	        : r.shown == NULL ? report_err(ERR_NOMEM, "reading")
	                          : client_open(&r.client, line->home);

	if (e == 0 && line->follow)
		e = client_do(r.client, "follow", NULL); /* before the first read: nothing falls between */
	if (e == 0)
		e = read_all(&r);
	if (e == 0 && line->follow)
		e = follow(&r, signals);
	client_close(r.client);
	json_decref(r.shown);
	return e;
}

/* ---- send ------------------------------------------------------------------ */

/* All of standard input, without one line end at its end. *out is the caller's to free. */
static int read_input(char **out, size_t *len)
{
	size_t cap = TEXT_BYTES_MAX + 2; /* one more than is allowed, and the line end */

	*out = malloc(cap);
	*len = 0;
	if (*out == NULL)
		return report_err(ERR_NOMEM, "reading the message");
	while (*len < cap) {
		ssize_t n = read(STDIN_FILENO, *out + *len, cap - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return report_err(err_from_errno(errno), "reading the message");
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	if (*len > 0 && (*out)[*len - 1] == '\n')
		--*len;
	return 0;
}

static int send_text(const struct command_line *line, struct span text)
{
	struct client *client = NULL;
	json_t *args;
	int r;

	if (text.len == 0)
		return report(EXIT_REFUSED, "Write something, or leave it.", "the message is empty");
	if (text.len > TEXT_BYTES_MAX)
		return report(EXIT_REFUSED, "Send it in several parts.",
		              "the message is longer than 32,000 bytes");
	if (!utf8_valid(text))
		return report(EXIT_REFUSED, "Save the text as UTF-8 first.", "this is not valid UTF-8 text");
	if (memchr(text.p, '\0', text.len) != NULL)
		return report(EXIT_REFUSED, "Send it without NUL characters.", "this text cannot be sent");
	r = client_open(&client, line->home);
	if (r != 0)
		return r;
	args = json_pack("{s:s, s:s%}", "name", line->names[0], "text", (const char *)text.p, text.len);
	r = args == NULL ? report_err(ERR_NOMEM, "sending the message") : client_do(client, "send", args);
	client_close(client);
	return r;
}

int command_send(const struct command_line *line)
{
	const char *given = line->names_len > 1 ? line->names[1] : "-";
	char *input;
	size_t len;
	int r;

	if (strcmp(given, "-") != 0)
		return send_text(line, span_str(given));
	if (term_is_interactive())
		fputs("Write the message; Ctrl-D on an empty line sends it, Ctrl-C drops it.\n", stderr);
	r = read_input(&input, &len);
	if (r == 0)
		r = send_text(line, span_from(input, len));
	if (input != NULL)
		explicit_bzero(input, len);
	free(input);
	return r;
}
