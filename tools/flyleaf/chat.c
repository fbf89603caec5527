/*
 * chat.c: one conversation, live.
 *
 * On a terminal it takes the second screen, so that nothing stays in the scroll-back, and edits one line at
 * the bottom while messages come in above it. Elsewhere it sends each line of its input and prints what
 * comes.
 *
 * What was typed and not sent is never lost: Ctrl-C asks once before it drops a line, and when the node or
 * the terminal goes away the line is printed at the end.
 */
#include "tools/flyleaf/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <utf8proc.h>

#include "tools/flyleaf/client.h"
#include "tools/flyleaf/talk.h"
#include "tools/flyleaf/report.h"
#include "tools/flyleaf/show.h"
#include "tools/flyleaf/term.h"

enum {
	NAME_BYTES_MAX = 256,
	LINE_MAX_BYTES = 32000,
	SHOWN_AT_START = 20,
	READ_BYTES = 4096,
	SEQUENCE_MAX = 16
};

enum key_state { KEY_PLAIN, KEY_ESCAPE, KEY_SEQUENCE };

enum {
	CTRL_C = 3,
	CTRL_D = 4,
	BACKSPACE = 8,
	CTRL_L = 12,
	CTRL_U = 21,
	CTRL_W = 23,
	ESCAPE = 27,
	DELETE = 127
};

struct chat {
	struct client *client;
	char name[NAME_BYTES_MAX + 1]; /* as typed, then as the node has it */
	int signals;
	bool screen; /* a person types on a terminal */
	struct termios before;
	int64_t next;    /* position of the first message that is not shown yet */
	int64_t waiting; /* own messages that are not stored by the other yet */
	bool here;
	char line[LINE_MAX_BYTES + 1];
	size_t len;
	enum key_state keys;
	char sequence[SEQUENCE_MAX + 1];
	size_t sequence_len;
	bool pasting;
	bool leaving; /* Ctrl-C was pressed once on a line that is not sent */
	bool over;
};

/* ---- The line at the bottom ------------------------------------------------ */

/* The end of the typed line that fits into columns; a line end in a pasted text counts as one column. */
static struct span visible_tail(const struct chat *c, unsigned columns)
{
	size_t from = c->len;
	unsigned width = 0;

	while (from > 0) {
		size_t at = from - 1;
		utf8proc_int32_t ch = ' ';

		while (at > 0 && ((uint8_t)c->line[at] & 0xc0) == 0x80)
			at--;
		utf8proc_iterate((const utf8proc_uint8_t *)c->line + at, (utf8proc_ssize_t)(from - at), &ch);
		width += (unsigned)MAX(1, utf8proc_charwidth(ch));
		if (width > columns)
			break;
		from = at;
	}
	return span_from(c->line + from, c->len - from);
}

static void clear_line(const struct chat *c)
{
	if (c->screen)
		fputs("\r\033[K", stdout);
}

static unsigned columns_left(const char *prompt)
{
	unsigned used = (unsigned)strlen(prompt) + 1, all = term_columns();

	return all > used ? all - used : 1;
}

static void draw_line(const struct chat *c)
{
	char prompt[64];

	if (!c->screen)
		return;
	snprintf(prompt, sizeof(prompt), c->waiting > 0 ? "%s %lld waiting > " : "%s > ",
	         c->here ? "here" : "away", (long long)c->waiting);
	fputs("\r\033[K", stdout);
	term_style(stdout, TERM_DIM);
	fputs(prompt, stdout);
	term_style(stdout, TERM_PLAIN);
	show_name(stdout, visible_tail(c, columns_left(prompt)));
	fflush(stdout);
}

/* ---- What the node says ---------------------------------------------------- */

static int print_each(void *arg, const char *name, const json_t *message)
{
	(void)arg;
	talk_print(name, message, 0);
	return 0;
}

static int catch_up(struct chat *c)
{
	int r;

	clear_line(c);
	r = talk_each(c->client, c->name, c->next, 0, &c->next, print_each, NULL);
	fflush(stdout);
	return r;
}

static int refresh(struct chat *c)
{
	json_t *reply, *contact;
	int r = client_ask(&reply, c->client, "show", json_pack("{s:s}", "name", c->name));

	if (r != 0)
		return r;
	contact = json_object_get(reply, "contact");
	c->waiting = client_number(contact, "waiting");
	c->here = client_flag(contact, "linked");
	snprintf(c->name, sizeof(c->name), "%s", client_text(contact, "name"));
	json_decref(reply);
	return 0;
}

static int on_event(struct chat *c, const json_t *event)
{
	static const char *const changes[] = { "stored", "linked", "unlinked", "contacts" };
	const char *word = client_text(event, "event");

	if (strcmp(client_text(event, "name"), c->name) != 0)
		return 0;
	if (strcmp(word, "message") == 0)
		return catch_up(c);
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		if (strcmp(word, changes[i]) == 0)
			return refresh(c);
	}
	return 0;
}

/* ---- What the person types ------------------------------------------------- */

/* Sends the line; it stays where it is when the node refuses it. */
static int send_line(struct chat *c)
{
	json_t *args;
	int r;

	if (c->len == 0)
		return 0;
	clear_line(c);
	args = json_pack("{s:s, s:s%}", "name", c->name, "text", c->line, c->len);
	if (args == NULL)
		return report(EXIT_REFUSED, NULL, "this line is not valid UTF-8 text");
	r = client_do(c->client, "send", args);
	if (r != 0)
		return r == EXIT_REFUSED && c->screen ? 0 : r; /* said, and the person can mend it */
	explicit_bzero(c->line, c->len);
	c->len = 0;
	r = catch_up(c);
	return r == 0 ? refresh(c) : r;
}

static void erase_char(struct chat *c)
{
	while (c->len > 0 && ((uint8_t)c->line[--c->len] & 0xc0) == 0x80)
		;
}

static void erase_word(struct chat *c)
{
	while (c->len > 0 && c->line[c->len - 1] == ' ')
		c->len--;
	while (c->len > 0 && c->line[c->len - 1] != ' ')
		c->len--;
}

static void leave_or_warn(struct chat *c)
{
	if (c->len == 0 || c->leaving) {
		c->len = 0;
		c->over = true;
		return;
	}
	c->leaving = true;
	clear_line(c);
	puts("This line is not sent. Enter sends it; Ctrl-C again drops it and leaves.");
}

static int on_plain_key(struct chat *c, char key)
{
	switch (key) {
	case '\r':
	case '\n':
		if (!c->pasting)
			return send_line(c);
		key = '\n'; /* a pasted text of several lines is one message */
		break;
	case CTRL_C:
		leave_or_warn(c);
		return 0;
	case CTRL_D:
		c->over = c->len == 0;
		return 0;
	case BACKSPACE:
	case DELETE:
		erase_char(c);
		return 0;
	case CTRL_U:
		c->len = 0;
		return 0;
	case CTRL_W:
		erase_word(c);
		return 0;
	case ESCAPE:
		c->keys = KEY_ESCAPE;
		return 0;
	default:
		if ((uint8_t)key < ' ' && key != '\t')
			return 0;
	}
	if (c->len < LINE_MAX_BYTES)
		c->line[c->len++] = key;
	return 0;
}

/* Cursor keys and the like are read over; only the marks of a paste count. */
static void on_sequence_key(struct chat *c, char key)
{
	if (c->sequence_len < SEQUENCE_MAX)
		c->sequence[c->sequence_len++] = key;
	if (key < '@' || key > '~')
		return;
	c->sequence[c->sequence_len] = '\0';
	if (strcmp(c->sequence, "200~") == 0)
		c->pasting = true;
	if (strcmp(c->sequence, "201~") == 0)
		c->pasting = false;
	c->keys = KEY_PLAIN;
}

static int on_key(struct chat *c, char key)
{
	if (key != CTRL_C)
		c->leaving = false;
	switch (c->keys) {
	case KEY_PLAIN:
		return on_plain_key(c, key);
	case KEY_ESCAPE:
		c->sequence_len = 0;
		c->keys = key == '[' || key == 'O' ? KEY_SEQUENCE : KEY_PLAIN;
		return 0;
	case KEY_SEQUENCE:
		on_sequence_key(c, key);
		return 0;
	}
	return 0;
}

static int on_input(struct chat *c)
{
	char keys[READ_BYTES];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));
	int r = 0;

	if (n <= 0) {
		c->over = true;
		return c->screen ? 0 : send_line(c); /* a last line without an end */
	}
	for (ssize_t i = 0; i < n && r == 0 && !c->over; i++) {
		if (c->screen)
			r = on_key(c, keys[i]);
		else if (keys[i] == '\n')
			r = send_line(c);
		else if (c->len < LINE_MAX_BYTES)
			c->line[c->len++] = keys[i];
	}
	explicit_bzero(keys, sizeof(keys));
	return r;
}

/* ---- The whole ------------------------------------------------------------- */

static void screen_enter(struct chat *c)
{
	struct termios raw;

	if (!term_is_interactive() || tcgetattr(STDIN_FILENO, &c->before) != 0)
		return;
	raw = c->before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
	raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0)
		return;
	c->screen = true;
	term_screen_enter();
	fputs("\033[?2004h", stdout);
	puts("Enter sends. Ctrl-D leaves.\n");
}

static void screen_leave(struct chat *c)
{
	if (!c->screen)
		return;
	fputs("\033[?2004l", stdout);
	term_screen_leave();
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &c->before);
	if (c->len > 0) {
		fputs("This line was not sent:\n    ", stdout);
		show_text(stdout, span_from(c->line, c->len), 4);
		putchar('\n');
	}
}

static int talk(struct chat *c)
{
	int r = 0;

	while (r == 0 && !c->over) {
		struct pollfd wait[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
			                  { .fd = c->signals, .events = POLLIN } };
		json_t *event;

		draw_line(c);
		r = client_event(&event, c->client, wait, COUNT_OF(wait));
		if (r == 0) {
			r = on_event(c, event);
			json_decref(event);
			continue;
		}
		if (r != CLIENT_NONE)
			break;
		r = 0;
		if (wait[1].revents != 0)
			return EXIT_INTERRUPTED;
		if (wait[0].revents != 0)
			r = on_input(c);
	}
	return r;
}

static int begin(struct chat *c)
{
	int r = client_do(c->client, "follow", NULL);

	if (r == 0)
		r = refresh(c); /* says so when there is no such contact, before the screen changes */
	if (r != 0)
		return r;
	screen_enter(c);
	return talk_each(c->client, c->name, 0, SHOWN_AT_START, &c->next, print_each, NULL);
}

int command_chat(const struct command_line *line)
{
	struct chat *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		return report_err(ERR_NOMEM, "opening the conversation");
	snprintf(c->name, sizeof(c->name), "%s", line->names[0]);
	c->signals = term_signals();
	r = c->signals < 0 ? report_err(c->signals, "opening the conversation")
	                   : client_open(&c->client, line->home);
	if (r == 0)
		r = begin(c);
	if (r == 0)
		r = talk(c);
	if (r != 0 && c->screen) {
		screen_leave(c);
		report_again(); /* went with the second screen */
	} else {
		screen_leave(c);
	}
	client_close(c->client);
	explicit_bzero(c->line, sizeof(c->line));
	free(c);
	return r;
}
