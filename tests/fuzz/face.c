#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/base/wire.h"
#include "tools/flyleaf/command.h"

enum { SAID_MAX = 60000 }; /* less than a socket takes at once */

/* A home folder with a node's socket, for as long as the process. */
static char home[] = "/tmp/flyleaf-face-XXXXXX", socket_path[sizeof(home) + 8];
static int listener, node_end = -1, no_signals;
static struct span said;

static void forget_home(void)
{
	unlink(socket_path);
	rmdir(home);
}

static void make_home(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert(nothing >= 0 && dup2(nothing, STDIN_FILENO) == STDIN_FILENO && mkdtemp(home) != NULL);
	snprintf(socket_path, sizeof(socket_path), "%s/control", home);
	strcpy(at.sun_path, socket_path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(listener >= 0 && bind(listener, (const struct sockaddr *)&at, sizeof(at)) == 0);
	assert(listen(listener, 1) == 0);
	no_signals = eventfd(0, EFD_CLOEXEC);
	assert(no_signals >= 0);
	atexit(forget_home);
}

/* The node has said everything before it is asked: so it needs no thread. */
int __wrap_connect(int fd, const struct sockaddr *at, socklen_t len);
int __real_connect(int fd, const struct sockaddr *at, socklen_t len);
int __wrap_term_signals(void);

int __wrap_connect(int fd, const struct sockaddr *at, socklen_t len)
{
	const int r = __real_connect(fd, at, len);

	if (r != 0)
		return r;
	node_end = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert(node_end >= 0);
	assert(said.len == 0 || send(node_end, said.p, said.len, MSG_NOSIGNAL) == (ssize_t)said.len);
	shutdown(node_end, SHUT_WR);
	return 0;
}

int __wrap_term_signals(void)
{
	return no_signals;
}

static int (*const commands[])(const struct command_line *line) = {
	command_status, command_contacts, command_show,  command_read, command_look, command_send,
	command_mode,   command_lock,     command_again, command_join, command_pair, command_confirm,
};

/* Byte 0: which command; byte 1: its options. The rest is what the node says. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *nowhere;
	static char name[] = "Ana", mode[] = "answer", code[] = "48 achieve certain podcast";
	struct reader in = reader_from(span_from(data, size));
	const uint8_t which = reader_u8(&in), how = reader_u8(&in);
	char *names[] = { name, (how & 64) != 0 ? code : mode, NULL };
	struct command_line line = { .home = home, .names = names, .passphrase_fd = -1 };
	FILE *const out = stdout, *const err = stderr;

	if (in.len > SAID_MAX)
		return 0;
	if (nowhere == NULL) {
		make_home();
		nowhere = fopen("/dev/null", "we");
		assert(nowhere != NULL);
	}
	said = reader_rest(&in);
	line.names_len = 1 + (how & 1);
	line.json = (how & 2) != 0;
	line.follow = (how & 4) != 0;
	line.qr = (how & 8) != 0;
	line.both = (how & 16) != 0;
	line.number = (how & 32) != 0 ? "12345" : NULL;
	stdout = stderr = nowhere;
	(void)commands[which % COUNT_OF(commands)](&line);
	stdout = out;
	stderr = err;
	if (node_end >= 0)
		close(node_end);
	node_end = -1;
	return 0;
}
