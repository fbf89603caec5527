/*
 * pair.c: pair, join and confirm - two people who have met become contacts.
 *
 * One of them shows a code (pair), the other enters it (join). Then both screens show the same number, and
 * each person says so: on the terminal, or with `confirm` where there is no terminal to ask on. Ctrl-C
 * cancels the pairing up to that number; after it the contact waits for `confirm`, and nothing can be sent
 * before.
 */
#include "tools/flyleaf/command.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "tools/flyleaf/client.h"
#include "tools/flyleaf/picture.h"
#include "tools/flyleaf/prose.h"
#include "tools/flyleaf/report.h"
#include "tools/flyleaf/show.h"
#include "tools/flyleaf/term.h"

enum { GROUP_DIGITS = 5, GROUPS_COMPARED = 2, CODE_TEXT_MAX = PICTURE_TEXT_MAX };
enum { HINT_AFTER_S = 20 };

struct pairing {
	struct client *client;
	const char *name;
	char *shown;   /* owned; the name for the terminal */
	char *operand; /* owned; the name in a command that is shown */
	int signals;
	int hint; /* a timer, while nobody was found by the code that was entered; else less than 0 */
	char safety[64];
};

static int pairing_open(struct pairing *p, const struct command_line *line)
{
	int r;

	*p = (struct pairing){ .name = line->names[0], .signals = term_signals(), .hint = -1 };
	p->shown = show_plain(span_str(p->name));
	p->operand = show_operand(span_str(p->name));
	if (p->shown == NULL || p->operand == NULL || p->signals < 0)
		return report_err(p->signals < 0 ? ERR_SYSTEM : ERR_NOMEM, "preparing the pairing");
	r = client_open(&p->client, line->home);
	if (r == 0)
		r = client_do(p->client, "follow", NULL);
	return r;
}

static void pairing_close(struct pairing *p)
{
	client_close(p->client);
	free(p->shown);
	free(p->operand);
}

/* ---- What is shown --------------------------------------------------------- */

static void show_words(const struct pairing *p, const char *code)
{
	printf("Say these words to the other person:\n\n        ");
	term_style(stdout, TERM_BOLD);
	show_name(stdout, span_str(code));
	term_style(stdout, TERM_PLAIN);
	/* No --home of ours: it is the other person's command. */
	puts("\n");
	prose(stdout,
	      "On the other device they enter them, after this, with the name that they want to give you:");
	puts("\n    flyleaf join NAME\n");
	prose(stdout, "The code serves %s once, for ten minutes. Ctrl-C stops it.", p->shown);
}

static int show_picture(const char *text, const char *what)
{
	int r;

	prose(stdout, "%s\n", what);
	r = picture_print(stdout, text);
	if (r != 0)
		return report_err(r, "drawing the QR code");
	printf("\n%s\n\nIt serves once, for ten minutes. Ctrl-C stops it.\n", text);
	return 0;
}

static void show_safety(const struct pairing *p)
{
	printf("\nBoth screens now show a number:\n\n        ");
	term_style(stdout, TERM_BOLD);
	show_name(stdout, span_str(p->safety));
	term_style(stdout, TERM_PLAIN);
	puts("\n");
	prose(stdout, "Read it to each other. The first two groups are enough.");
}

static void say_met(const struct pairing *p)
{
	term_style(stdout, TERM_GOOD);
	prose(stdout, "%s is your contact now.", p->shown);
	term_style(stdout, TERM_PLAIN);
	prose(stdout,
	      "You can write once the other person has confirmed the number too. You answer when %s calls. "
	      "One of you two has to be the one who calls; to be that: flyleaf mode %s call",
	      p->shown, p->operand);
}

static void say_later(const struct pairing *p)
{
	prose(stdout,
	      "Nothing can be written before the numbers were compared. When the first two groups on the "
	      "other "
	      "screen are the same:\n\n    flyleaf confirm %s --number NNNNN-NNNNN\n\nWhen they are not:\n\n"
	      "    flyleaf forget %s",
	      p->operand, p->operand);
}

/* ---- The steps ------------------------------------------------------------- */

static int cancel(struct pairing *p)
{
	int r = client_do(p->client, "pair_cancel", NULL);

	if (r != 0)
		return r;
	return report(EXIT_INTERRUPTED, "Begin again whenever both of you are ready.",
	              "the pairing was stopped");
}

static int pairing_failed(const json_t *event)
{
	char *text = show_plain(span_str(client_text(event, "text")));
	int r = report(EXIT_PAIRING, "A code works once. One of you shows another: flyleaf pair NAME", "%s",
	               text != NULL && text[0] != '\0' ? text : "the pairing did not come about");

	free(text);
	return r;
}

/* A descriptor that is readable after so many seconds; less than 0 where there is none, which poll() reads
 * over. */
static int timer_after(time_t seconds)
{
	const struct itimerspec at = { .it_value = { .tv_sec = seconds } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	if (fd >= 0)
		timerfd_settime(fd, 0, &at, NULL);
	return fd;
}

static void end_hint(struct pairing *p)
{
	if (p->hint >= 0)
		close(p->hint);
	p->hint = -1;
}

static void say_nobody_yet(void)
{
	prose(stdout,
	      "Nobody was found yet. Is it the code that the other screen shows now, and are both on the "
	      "same network, or have Bluetooth on? See: flyleaf status. Ctrl-C stops it.");
	fflush(stdout);
}

/* Waits until the safety number is there. */
static int wait_compare(struct pairing *p)
{
	printf("Waiting for the other device ...\n");
	fflush(stdout);
	for (;;) {
		struct pollfd others[] = { { .fd = p->signals, .events = POLLIN },
			                   { .fd = p->hint, .events = POLLIN } };
		json_t *event;
		int r = client_event(&event, p->client, others, COUNT_OF(others));
		const char *state;

		if (r == CLIENT_NONE && others[0].revents != 0)
			return cancel(p);
		if (r == CLIENT_NONE) {
			say_nobody_yet();
			end_hint(p);
			continue;
		}
		if (r != 0)
			return r;
		state = strcmp(client_text(event, "event"), "pair") == 0 ? client_text(event, "state") : "";
		if (strcmp(state, "talking") == 0) {
			end_hint(p);
			printf("The other device is here. Making keys ...\n");
			fflush(stdout);
		}
		if (strcmp(state, "failed") == 0)
			r = pairing_failed(event);
		if (strcmp(state, "compare") == 0)
			snprintf(p->safety, sizeof(p->safety), "%s", client_text(event, "safety"));
		json_decref(event);
		if (r != 0 || p->safety[0] != '\0')
			return r;
	}
}

static int say_same(struct pairing *p, bool same)
{
	json_t *args = json_pack("{s:s, s:b}", "name", p->name, "same", same);
	int r = client_do(p->client, "pair_confirm", args);

	if (r != 0)
		return r;
	if (same) {
		say_met(p);
		return 0;
	}
	return report(
	        EXIT_PAIRING,
	        "Somebody may have been between the two devices. Begin again with a new code, side by side.",
	        "the numbers differ: %s was removed", p->shown);
}

static int compare(struct pairing *p)
{
	int answer;

	show_safety(p);
	if (!term_is_interactive()) {
		say_later(p);
		return 0;
	}
	answer = term_ask("\nDoes the other screen show the same number?", p->signals);
	if (answer == TERM_INTERRUPTED) {
		say_later(p);
		return EXIT_INTERRUPTED;
	}
	return say_same(p, answer == TERM_YES);
}

/* What a person gave as the code: the words, a QR text, or an image file with one. */
static int read_code(char out[static CODE_TEXT_MAX + 1], const char *given)
{
	int r;

	if (!picture_is_name(given)) {
		snprintf(out, CODE_TEXT_MAX + 1, "%s", given);
		return 0;
	}
	r = picture_read(out, given);
	if (r == PICTURE_NO_CODE)
		return report(
		        EXIT_REFUSED,
		        "Take the picture again: whole, straight and with light; or enter the text below it.",
		        "no QR code can be read in this picture");
	if (r == PICTURE_NO_IMAGE)
		return report(EXIT_REFUSED, "PNG, JPEG and PNM files of at most 32 MiB can be read.",
		              "this file is not a picture that can be read");
	if (r == ERR_ABSENT)
		return report(EXIT_REFUSED, "Look at the name of the file.", "there is no such picture");
	return r != 0 ? report_err(r, "reading the picture") : 0;
}

/* Mutual QR: both show, both read. */
static int read_other(char out[static CODE_TEXT_MAX + 1], struct pairing *p)
{
	char typed[CODE_TEXT_MAX + 1];

	do {
		putchar('\n');
		prose_put(
		        stdout, 0, 0,
		        "Now read the other screen. Enter the text below its code, or the name of a picture "
		        "of it: ");
		fflush(stdout);
		if (term_line(typed, sizeof(typed), p->signals) < 0) {
			fputc('\n', stdout);
			return cancel(p);
		}
	} while (typed[0] == '\0'); /* an empty text would ask for another code of our own */
	return read_code(out, typed);
}

static int pair_both(struct pairing *p)
{
	char other[CODE_TEXT_MAX + 1];
	json_t *reply;
	int r = client_ask(&reply, p->client, "pair_both", json_pack("{s:s}", "name", p->name));

	if (r != 0)
		return r;
	r = show_picture(client_text(reply, "qr"),
	                 "Both screens show a code; each device reads the other's:");
	json_decref(reply);
	if (r != 0)
		return r;
	do { /* a person who picked the wrong file picks another; both codes stay as they are */
		r = read_other(other, p);
		if (r == 0)
			r = client_do(p->client, "pair_both",
			              json_pack("{s:s, s:s}", "name", p->name, "text", other));
	} while (r == EXIT_REFUSED && term_is_interactive());
	return r;
}

static int pair_show(struct pairing *p, bool qr)
{
	json_t *reply;
	int r = client_ask(&reply, p->client, "pair_show",
	                   json_pack("{s:s, s:b}", "name", p->name, "qr", qr));

	if (r != 0)
		return r;
	if (qr) {
		puts("On the other device:\n\n    flyleaf join NAME PICTURE\n");
		r = show_picture(client_text(reply, "qr"),
		                 "PICTURE is a photo of this code; the text below it will do too:");
	} else {
		show_words(p, client_text(reply, "code"));
	}
	json_decref(reply);
	return r;
}

int command_pair(const struct command_line *line)
{
	struct pairing p;
	int r = pairing_open(&p, line);

	if (r == 0)
		r = line->both ? pair_both(&p) : pair_show(&p, line->qr);
	if (r == 0)
		r = wait_compare(&p);
	if (r == 0)
		r = compare(&p);
	pairing_close(&p);
	return r;
}

/* The operands after the name, joined by spaces: a code may be given as one word or as four. */
static int join_operands(char out[static CODE_TEXT_MAX + 1], const struct command_line *line)
{
	size_t len = 0;

	out[0] = '\0';
	for (int i = 1; i < line->names_len; i++) {
		int n = snprintf(out + len, CODE_TEXT_MAX + 1 - len, "%s%s", i > 1 ? " " : "",
		                 line->names[i]);

		if (n < 0 || len + (size_t)n > CODE_TEXT_MAX)
			return report(EXIT_REFUSED, "A code is a number of two digits and three words.",
			              "this is not a code");
		len += (size_t)n;
	}
	return 0;
}

static int given_code(char out[static CODE_TEXT_MAX + 1], struct pairing *p, const struct command_line *line)
{
	char typed[CODE_TEXT_MAX + 1];
	int r = join_operands(typed, line);

	if (r != 0)
		return r;
	if (line->names_len == 1 || strcmp(typed, "-") == 0) {
		if (term_is_interactive()) {
			printf("The code that the other person says: ");
			fflush(stdout);
		}
		if (term_line(typed, sizeof(typed), p->signals) < 0)
			return report(EXIT_INTERRUPTED, NULL, "no code was entered");
	}
	return read_code(out, typed);
}

/* A code that was asked for is asked for again when it cannot be one: nothing of the real one is spent. */
static int enter_code(struct pairing *p, const struct command_line *line)
{
	bool asked = line->names_len == 1 && term_is_interactive();
	char code[CODE_TEXT_MAX + 1] = "";
	const char *refused;
	int r;

	do {
		refused = "bad-code"; /* as much as a picture that cannot be read */
		r = given_code(code, p, line);
		if (r == 0) {
			r = client_do(p->client, "pair_enter",
			              json_pack("{s:s, s:s}", "name", p->name, "code", code));
			refused = client_refused(p->client);
		}
	} while (asked && r == EXIT_REFUSED && strcmp(refused, "bad-code") == 0);
	explicit_bzero(code, sizeof(code));
	return r;
}

int command_join(const struct command_line *line)
{
	struct pairing p;
	int r = pairing_open(&p, line);

	if (r == 0)
		r = enter_code(&p, line);
	if (r == 0) {
		p.hint = timer_after(HINT_AFTER_S);
		r = wait_compare(&p);
		end_hint(&p);
	}
	if (r == 0)
		r = compare(&p);
	pairing_close(&p);
	return r;
}

/* ---- confirm --------------------------------------------------------------- */

/* The digits of text, at most cap - 1 of them. False where anything but digits, spaces and dashes is in it.
 */
static bool only_digits(char *out, size_t cap, const char *text)
{
	size_t len = 0;

	for (; *text != '\0'; text++) {
		if (isdigit((unsigned char)*text) && len + 1 < cap)
			out[len++] = *text;
		else if (*text != ' ' && *text != '-')
			return false;
	}
	out[len] = '\0';
	return true;
}

/* Compares what is on the other screen, at least two groups of it, with the number here. */
static int confirm(struct pairing *p, const char *number)
{
	char theirs[64], ours[64];
	size_t len;

	if (!only_digits(theirs, sizeof(theirs), number) || !only_digits(ours, sizeof(ours), p->safety))
		return report(EXIT_USAGE,
		              "Give the first two groups on the other screen: --number 12345-67890",
		              "this is not a safety number");
	len = strlen(theirs);
	if (len < GROUPS_COMPARED * GROUP_DIGITS || len > strlen(ours) || len % GROUP_DIGITS != 0)
		return report(EXIT_USAGE,
		              "Give the first two groups on the other screen: --number 12345-67890",
		              "this is not a safety number");
	return say_same(p, strncmp(theirs, ours, len) == 0);
}

int command_confirm(const struct command_line *line)
{
	struct pairing p;
	json_t *reply;
	int r = pairing_open(&p, line);

	if (r == 0)
		r = client_ask(&reply, p.client, "show", json_pack("{s:s}", "name", p.name));
	if (r == 0) {
		snprintf(p.safety, sizeof(p.safety), "%s",
		         client_text(json_object_get(reply, "contact"), "safety"));
		json_decref(reply);
		if (line->number != NULL)
			r = confirm(&p, line->number);
		else
			r = compare(&p);
	}
	pairing_close(&p);
	return r;
}
