/*
 * passphrase.c
 *
 * While the terminal waits, the signals that would end or stop the process are caught, so that echo is put
 * back first. A stop is then carried out, and after it the question is asked again; the others end the
 * question, and the caller ends the program.
 */
#include "tools/flyleaf/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <sodium.h>
#include <utf8proc.h>

#include "tools/flyleaf/report.h"

static const int caught_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU };
static volatile sig_atomic_t caught; /* the last of them; a handler has no argument to reach it by */

static void catch (int signal)
{
	caught = signal;
}

static bool is_stop(int signal)
{
	return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

int passphrase_normalise(struct passphrase *out, struct span raw)
{
	const utf8proc_option_t nfc = UTF8PROC_COMPOSE | UTF8PROC_STABLE;
	/* Room for the decomposed form; the re-encoding is written over it. */
	size_t cap = raw.len * 18 + 1;
	utf8proc_int32_t *chars;
	utf8proc_ssize_t n;

	if (raw.len == 0)
		return PASSPHRASE_EMPTY;
	if (raw.len > PASSPHRASE_BYTES_MAX)
		return PASSPHRASE_TOO_LONG;
	chars = sodium_allocarray(cap, sizeof(*chars));
	if (chars == NULL)
		return ERR_NOMEM;
	n = utf8proc_decompose(raw.p, (utf8proc_ssize_t)raw.len, chars, (utf8proc_ssize_t)cap - 1, nfc);
	if (n > 0 && (size_t)n < cap)
		n = utf8proc_reencode(chars, n, nfc);
	else
		n = -1;
	if (n <= 0) {
		sodium_free(chars);
		return PASSPHRASE_NOT_TEXT;
	}
	out->bytes = sodium_malloc((size_t)n);
	if (out->bytes != NULL) {
		memcpy(out->bytes, chars, (size_t)n);
		out->len = (size_t)n;
	}
	sodium_free(chars);
	return out->bytes == NULL ? ERR_NOMEM : 0;
}

/* A line from fd into buf of PASSPHRASE_BYTES_MAX + 1. On a terminal the caught signals are blocked, and open
 * is the mask under which it is waited; else NULL. Returns 0, ERR_IO, or an outcome. */
static int read_line(uint8_t *buf, size_t *len, int fd, const sigset_t *open)
{
	*len = 0;
	for (;;) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		uint8_t c = 0;
		ssize_t n;

		if (open != NULL && ppoll(&wait, 1, NULL, open) < 0)
			return PASSPHRASE_INTERRUPTED;
		n = read(fd, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return open != NULL ? PASSPHRASE_INTERRUPTED : ERR_IO;
		if (n == 0 && open != NULL && *len == 0)
			return PASSPHRASE_INTERRUPTED;
		if (n == 0 || c == '\n')
			return 0;
		if (*len > PASSPHRASE_BYTES_MAX)
			continue; /* too long: the rest of the line is read and dropped */
		buf[(*len)++] = c;
	}
}

static int take_line(struct passphrase *out, int fd, const sigset_t *open)
{
	uint8_t *buf = sodium_malloc(PASSPHRASE_BYTES_MAX + 1);
	size_t len;
	int r;

	if (buf == NULL)
		return ERR_NOMEM;
	r = read_line(buf, &len, fd, open);
	if (r == 0 && len > 0 && buf[len - 1] == '\r')
		len--;
	if (r == 0)
		r = passphrase_normalise(out, span_from(buf, len));
	sodium_free(buf);
	return r;
}

int passphrase_from_fd(struct passphrase *out, int fd)
{
	return take_line(out, fd, NULL);
}

static int ask_once(struct passphrase *out, int tty, const char *prompt)
{
	struct sigaction act = { .sa_handler = catch }, before[COUNT_OF(caught_signals)];
	struct termios shown, hidden;
	sigset_t open;
	int r;

	if (tcgetattr(tty, &shown) != 0)
		return PASSPHRASE_NO_TERMINAL;
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	hidden.c_lflag |= ICANON | ISIG;
	caught = 0;
	sigemptyset(&act.sa_mask);
	for (size_t i = 0; i < COUNT_OF(caught_signals); i++)
		sigaddset(&act.sa_mask, caught_signals[i]);
	sigprocmask(SIG_BLOCK, &act.sa_mask, &open);
	for (size_t i = 0; i < COUNT_OF(caught_signals); i++) {
		sigaction(caught_signals[i], &act, &before[i]);
		sigdelset(&open, caught_signals[i]);
	}
	r = tcsetattr(tty, TCSAFLUSH, &hidden) == 0 ? 0 : PASSPHRASE_INTERRUPTED;
	if (r == 0 && write(tty, prompt, strlen(prompt)) < 0)
		r = PASSPHRASE_INTERRUPTED;
	if (r == 0)
		r = take_line(out, tty, &open);
	tcsetattr(tty, TCSAFLUSH, &shown);
	if (write(tty, "\n", 1) < 0 && r == 0)
		r = 0; /* the phrase is here; a terminal that went away since is noticed later */
	sigprocmask(SIG_SETMASK, &open, NULL); /* one that came meanwhile is caught here */
	for (size_t i = 0; i < COUNT_OF(caught_signals); i++)
		sigaction(caught_signals[i], &before[i], NULL);
	return caught != 0 && !is_stop(caught) ? PASSPHRASE_INTERRUPTED : r;
}

int passphrase_keep_fd(int *fd)
{
	if (*fd <= STDERR_FILENO)
		return 0;
	if (dup2(*fd, STDIN_FILENO) < 0)
		return report(EXIT_USAGE, "Give it as in: flyleaf run --passphrase-fd 3 3< FILE",
		              "nothing can be read from descriptor %d", *fd);
	*fd = STDIN_FILENO;
	return 0;
}

bool passphrase_can_ask(void)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (tty >= 0)
		close(tty);
	return tty >= 0;
}

int passphrase_from_terminal(struct passphrase *out, const char *prompt)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	int r;

	if (tty < 0)
		return PASSPHRASE_NO_TERMINAL;
	do {
		r = ask_once(out, tty, prompt);
		if (is_stop(caught))
			kill(getpid(), caught); /* stops here, and goes on here */
	} while (r == PASSPHRASE_INTERRUPTED && is_stop(caught));
	close(tty);
	return r;
}

size_t passphrase_chars(const struct passphrase *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->len; i++)
		n += (p->bytes[i] & 0xc0) != 0x80;
	return n;
}

bool passphrase_equal(const struct passphrase *a, const struct passphrase *b)
{
	return a->len == b->len && sodium_memcmp(a->bytes, b->bytes, a->len) == 0;
}

void passphrase_wipe(struct passphrase *p)
{
	sodium_free(p->bytes);
	*p = (struct passphrase){ 0 };
}

int passphrase_report(int result)
{
	switch (result) {
	case PASSPHRASE_EMPTY:
		return report(EXIT_REFUSED, "Type at least 8 characters.", "the pass-phrase is empty");
	case PASSPHRASE_TOO_LONG:
		return report(EXIT_REFUSED, "Take a shorter one.",
		              "the pass-phrase is longer than 1,024 bytes");
	case PASSPHRASE_NOT_TEXT:
		return report(EXIT_REFUSED, "Type it on a terminal that is set to UTF-8.",
		              "the pass-phrase is not valid UTF-8 text");
	case PASSPHRASE_NO_TERMINAL:
		return report(EXIT_REFUSED, "Give it on a descriptor, as in: --passphrase-fd 3 3< FILE",
		              "there is no terminal to ask for the pass-phrase on");
	case PASSPHRASE_INTERRUPTED:
		return report(EXIT_INTERRUPTED, NULL, "stopped; nothing was changed");
	default:
		return report_err(result, "reading the pass-phrase");
	}
}
