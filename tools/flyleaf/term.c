#include "tools/flyleaf/term.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

void term_style(FILE *out, enum term_style style)
{
	static const char *const codes[] = {
		[TERM_PLAIN] = "\033[0m", [TERM_BOLD] = "\033[1m",  [TERM_DIM] = "\033[2m",
		[TERM_GOOD] = "\033[32m", [TERM_WARN] = "\033[33m",
	};
	const char *no_colour = getenv("NO_COLOR"), *kind = getenv("TERM");

	if (!isatty(fileno(out)) || (no_colour != NULL && no_colour[0] != '\0') ||
	    (kind != NULL && strcmp(kind, "dumb") == 0))
		return;
	fputs(codes[style], out);
}

bool term_is_interactive(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

unsigned term_width(FILE *out)
{
	struct winsize size;

	return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

unsigned term_columns(void)
{
	unsigned width = term_width(stdout);

	return width > 0 ? width : 80;
}

int term_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return ERR_SYSTEM;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? ERR_SYSTEM : fd;
}

long term_line(char *out, size_t cap, int signals)
{
	size_t len = 0;

	for (;;) {
		struct pollfd wait[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
			                  { .fd = signals, .events = POLLIN } };
		ssize_t n;
		char c;

		if (poll(wait, COUNT_OF(wait), -1) < 0 && errno != EINTR)
			return -1;
		if (wait[1].revents != 0)
			return -1;
		if (wait[0].revents == 0)
			continue;
		n = read(STDIN_FILENO, &c, 1);
		if (n < 0 || (n == 0 && len == 0) || len + 1 >= cap)
			return -1;
		if (n == 0 || c == '\n')
			break;
		out[len++] = c;
	}
	if (len > 0 && out[len - 1] == '\r')
		len--;
	out[len] = '\0';
	return (long)len;
}

int term_ask(const char *question, int signals)
{
	char answer[64];

	for (;;) {
		char word[4] = "", more[2] = "";

		printf("%s [y/n] ", question);
		fflush(stdout);
		if (term_line(answer, sizeof(answer), signals) < 0) {
			fputc('\n', stdout);
			return TERM_INTERRUPTED;
		}
		if (sscanf(answer, "%3s %1s", word, more) != 1)
			continue;
		if (strcasecmp(word, "y") == 0 || strcasecmp(word, "yes") == 0)
			return TERM_YES;
		if (strcasecmp(word, "n") == 0 || strcasecmp(word, "no") == 0)
			return TERM_NO;
	}
}

void term_screen_enter(void)
{
	if (isatty(STDOUT_FILENO))
		fputs("\033[?1049h\033[2J\033[H", stdout);
	fflush(stdout);
}

void term_screen_leave(void)
{
	if (isatty(STDOUT_FILENO))
		fputs("\033[2J\033[H\033[?1049l", stdout);
	fflush(stdout);
}
