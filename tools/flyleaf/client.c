/*
 * client.c
 *
 * One connection, one request at a time. Lines are read into one growing buffer; whole lines are taken off
 * its front. A line longer than LINE_MAX_BYTES, or one that is no JSON object, ends the connection: the node
 * is of another version, or no node.
 */
#include "tools/flyleaf/client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/object.h"
#include "tools/flyleaf/report.h"
#include "tools/flyleaf/show.h"

enum {
	PROTOCOL_VERSION = 1,
	LINE_MAX_BYTES = 64 << 20,
	READ_BYTES = 64 << 10,
	REFUSED_MAX = 32, /* a word of node/CONTROL.md */
	EVENTS_KEPT_MAX =
	        4096 /* while a reply is waited for; more are dropped, what they tell can be asked for */
};

struct client {
	int fd;
	int64_t next_id;
	char *buf; /* owned; bytes that are not taken as a line yet */
	size_t len, cap;
	json_t *events; /* array, owned: came before they were asked for */
	char refused[REFUSED_MAX];
};

static int gone(void)
{
	return report(EXIT_NO_NODE, "Start it again with: flyleaf run", "the node ended, or was locked");
}

/* Where others may write to the folder, anybody could listen in it. */
static bool is_own_node(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid();
}

static int connect_in(const char *home)
{
	/* The folder is reached by its descriptor: a socket's own path may have 108 bytes only. */
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int dir = open(home, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = -1, r;

	if (dir < 0)
		return -1;
	snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/control", dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r = fd < 0 ? -1 : connect(fd, (const struct sockaddr *)&at, sizeof(at));
	if (r == 0 && !is_own_node(fd)) {
		errno = EACCES;
		r = -1;
	}
	if (r != 0 && fd >= 0) {
		r = errno;
		close(fd);
		errno = r;
		fd = -1;
	}
	close(dir);
	return fd;
}

static bool has_vault(const char *home)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/notebooks", home);

	return n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0;
}

int client_open(struct client **out, const char *home)
{
	struct client *c;
	int fd;

	object_init();
	fd = connect_in(home);

	if (fd < 0 && errno == EACCES)
		return report(EXIT_NO_NODE,
		              "Use it as the person whose folder it is, or choose another with --home.",
		              "the node in %s belongs to somebody else", home);
	if (fd < 0 && !has_vault(home))
		return report(EXIT_NO_NODE, "Make one with: flyleaf init; or choose the folder with --home.",
		              "there is no vault in %s", home);
	if (fd < 0)
		return report(EXIT_NO_NODE, "Open it in another terminal with: flyleaf run",
		              "no node is running in %s", home);
	c = calloc(1, sizeof(*c));
	if (c == NULL || (c->events = json_array()) == NULL) {
		free(c);
		close(fd);
		return report_err(ERR_NOMEM, "connecting to the node");
	}
	c->fd = fd;
	*out = c;
	return 0;
}

void client_close(struct client *c)
{
	if (c == NULL)
		return;
	close(c->fd);
	json_decref(c->events);
	if (c->buf != NULL)
		explicit_bzero(c->buf, c->cap);
	free(c->buf);
	free(c);
}

static int send_line(struct client *c, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len, done = 0;

	if (text == NULL)
		return report_err(ERR_NOMEM, "asking the node");
	len = strlen(text);
	text[len] = '\n'; /* in place of the terminator */
	while (done <= len) {
		ssize_t n = send(c->fd, text + done, len + 1 - done, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	explicit_bzero(text, len + 1);
	free(text);
	return done > len ? 0 : gone();
}

/* Takes the first line off the buffer. Returns 0, CLIENT_NONE when there is no whole line, or an exit code.
 */
static int take_line(json_t **out, struct client *c)
{
	char *end = c->len > 0 ? memchr(c->buf, '\n', c->len) : NULL;
	size_t n;
	int r;

	if (end == NULL)
		return CLIENT_NONE;
	n = (size_t)(end - c->buf);
	*out = NULL;
	r = object_load(out, span_from(c->buf, n), JSON_ALLOW_NUL);
	memmove(c->buf, end + 1, c->len - n - 1);
	c->len -= n + 1;
	if (r < 0)
		return report_err(r, "reading from the node");
	if (!json_is_object(*out)) {
		json_decref(*out);
		return report(EXIT_NO_NODE, "Use a flyleaf of the same version as the node.",
		              "the node answers in a way that is not understood");
	}
	return 0;
}

static int fill(struct client *c)
{
	ssize_t n;

	if (c->cap - c->len < READ_BYTES) {
		size_t cap = MAX(c->cap * 2, (size_t)READ_BYTES * 2);
		char *buf = c->len < LINE_MAX_BYTES ? malloc(cap) : NULL;

		if (buf == NULL)
			return report_err(ERR_NOMEM, "reading from the node");
		if (c->buf != NULL) {
			memcpy(buf, c->buf, c->len);
			explicit_bzero(c->buf, c->cap); /* what people wrote to each other */
			free(c->buf);
		}
		c->buf = buf;
		c->cap = cap;
	}
	n = recv(c->fd, c->buf + c->len, c->cap - c->len, 0);
	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0)
		return gone();
	c->len += (size_t)n;
	return 0;
}

static void keep_event(struct client *c, json_t *event)
{
	if (json_array_size(c->events) >= EVENTS_KEPT_MAX || json_array_append_new(c->events, event) != 0)
		json_decref(event);
}

/* What a person can do about a refusal of the node, by its word. */
static const char *next_of(const char *word)
{
	static const struct {
		const char *word, *next;
	} known[] = {
		{ "unknown-contact", "See the names with: flyleaf contacts" },
		{ "name-taken", "Choose another name, or give that one another with: flyleaf rename" },
		{ "bad-name", "A name has 1 to 64 bytes and no control or invisible characters." },
		{ "bad-text", "Messages are UTF-8 text without control characters." },
		{ "too-long", "Send it in several parts." },
		{ "empty", "Write something, or leave it." },
		{ "pending", "Compare the numbers on both screens first: flyleaf confirm NAME" },
		{ "blocked", "Let the person in again with: flyleaf block NAME --off" },
		{ "busy", "Wait for its end, or stop it with Ctrl-C where it was started." },
		{ "bad-code",
		  "Ask for it again: a number of two digits and three words, or the text below a QR code." },
		{ "own-code", "A code is entered on the other device." },
		{ "known", "You are connected already. See: flyleaf contacts" },
		{ "no-network", "Join the same network as the other device, or switch Bluetooth on, then "
		                "see: flyleaf status" },
		{ "limit", "Forget somebody you no longer write to; who there is: flyleaf contacts" },
	};

	for (size_t i = 0; i < COUNT_OF(known); i++) {
		if (strcmp(known[i].word, word) == 0)
			return known[i].next;
	}
	return NULL;
}

/* next with the name that was asked about in place of NAME, to be pasted as it is; NULL where there is none.
 */
static char *with_name(const char *next, const json_t *request)
{
	const char *at = next != NULL ? strstr(next, "NAME") : NULL, *name = client_text(request, "name");
	char *operand, *text;

	if (at == NULL || name[0] == '\0')
		return NULL;
	operand = show_operand(span_str(name));
	if (operand == NULL ||
	    asprintf(&text, "%.*s%s%s", (int)(at - next), next, operand, at + strlen("NAME")) < 0)
		text = NULL;
	free(operand);
	return text;
}

static int refusal(struct client *c, const json_t *reply, const json_t *request)
{
	char *text = show_plain(span_str(client_text(reply, "text")));
	const char *next = next_of(client_text(reply, "error"));
	char *named = with_name(next, request);
	int r = report(EXIT_REFUSED, named != NULL ? named : next, "%s",
	               text != NULL && text[0] != '\0' ? text : "the node refused");

	snprintf(c->refused, sizeof(c->refused), "%s", client_text(reply, "error"));
	free(named);
	free(text);
	return r;
}

const char *client_refused(const struct client *c)
{
	return c->refused;
}

int client_ask(json_t **reply, struct client *c, const char *word, json_t *args)
{
	json_t *request = args != NULL ? args : json_object(), *line = NULL;
	int64_t id = ++c->next_id;
	int r;

	c->refused[0] = '\0';
	if (json_object_set_new(request, "v", json_integer(PROTOCOL_VERSION)) != 0 ||
	    json_object_set_new(request, "id", json_integer(id)) != 0 ||
	    json_object_set_new(request, "do", json_string(word)) != 0) {
		json_decref(request);
		return report_err(ERR_NOMEM, "asking the node");
	}
	r = send_line(c, request);
	while (r == 0) {
		r = take_line(&line, c);
		if (r == CLIENT_NONE) {
			r = fill(c);
			continue;
		}
		if (r != 0)
			break;
		if (json_object_get(line, "event") != NULL) {
			keep_event(c, line);
			continue;
		}
		if (client_flag(line, "ok") && client_number(line, "id") == id) {
			*reply = line;
			break;
		}
		r = refusal(c, line, request);
		json_decref(line);
	}
	json_decref(request);
	return r;
}

int client_do(struct client *c, const char *word, json_t *args)
{
	json_t *reply;
	int r = client_ask(&reply, c, word, args);

	if (r == 0)
		json_decref(reply);
	return r;
}

/* An event that is here already. Returns 0, CLIENT_NONE, or an exit code. */
static int event_here(json_t **event, struct client *c)
{
	int r;

	if (json_array_size(c->events) > 0) {
		*event = json_incref(json_array_get(c->events, 0));
		json_array_remove(c->events, 0);
		return 0;
	}
	do {
		r = take_line(event, c);
		if (r != 0 || json_object_get(*event, "event") != NULL)
			return r;
		json_decref(*event); /* a reply nobody waits for any more */
	} while (true);
}

int client_event(json_t **event, struct client *c, struct pollfd *others, size_t n)
{
	struct pollfd wait[1 + CLIENT_OTHERS_MAX] = { { .fd = c->fd, .events = POLLIN } };

	assert(n <= CLIENT_OTHERS_MAX);
	for (;;) {
		int r = event_here(event, c);

		if (r != CLIENT_NONE)
			return r;
		if (n > 0)
			memcpy(&wait[1], others, n * sizeof(*others));
		r = poll(wait, 1 + (nfds_t)n, -1);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return report_err(err_from_errno(errno), "waiting for the node");
		if (n > 0)
			memcpy(others, &wait[1], n * sizeof(*others));
		if (wait[0].revents == 0)
			return CLIENT_NONE;
		r = fill(c);
		if (r != 0)
			return r;
	}
}

const char *client_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

int64_t client_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

bool client_flag(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}
