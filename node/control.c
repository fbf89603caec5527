/*
 * Lines of a face are handled in order, and replies come in order. A line that changes something is given to
 * the loop at once, so that many of them share one turn and one sync; one that only looks waits until the
 * turn is committed: nothing is shown before it is durable. While a line waits, the face is not read.
 */
#include "node/control.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/lines.h"
#include "node/object.h"

enum { INPUT_FIRST = 4096, SLOT_BITS = 8 };
_Static_assert(CONTROL_ASKED_MAX <= 1 << SLOT_BITS, "a slot's number fits");

/* A change that waits for its reply. */
struct waiting {
	json_int_t id;
	struct request request; /* its spans are gone */
};

struct face {
	struct face *next;
	struct control *control;
	uv_pipe_t pipe;
	uint32_t number; /* from 1, never used again */
	bool follows;
	bool closing;
	bool reading;
	uint8_t *input; /* owned */
	size_t input_len, input_cap, scanned;
	bool held; /* asked waits for the end of the turn, or for the face to read */
	struct asked asked;
	struct waiting waiting[CONTROL_ASKED_MAX];
	size_t asked_first, asked_len; /* a ring: replies come in order */
};

struct control {
	struct loop *loop; /* borrowed */
	uv_loop_t *uv;
	uv_pipe_t listener;
	struct face *faces;
	size_t faces_len;
	uint32_t numbers;
	uint32_t pairing; /* the face whose pairing is under way; 0: none */
	unsigned refused; /* by the system, one after the other */
	bool knocked;     /* a face came for which there was no memory */
	size_t handles;
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- The end of a face ----------------------------------------------------- */

static void finish_closing(struct control *c)
{
	if (!c->closing || c->handles > 0)
		return;
	c->closed(c->closed_arg);
	free(c);
}

static void face_closed(uv_handle_t *handle)
{
	struct face *f = handle->data;
	struct control *c = f->control;

	lines_forget(&f->asked);
	if (f->input != NULL)
		sodium_memzero(f->input, f->input_cap);
	free(f->input);
	free(f);
	c->handles--;
	finish_closing(c);
}

static void face_close(struct face *f)
{
	struct control *c = f->control;
	struct face **at = &c->faces;
	int r;

	if (f->closing)
		return;
	f->closing = true;
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	c->faces_len--;
	uv_close((uv_handle_t *)&f->pipe, face_closed);
	if (c->pairing == f->number) { /* nobody is there any more to compare anything */
		c->pairing = 0;
		r = loop_request(c->loop, &(struct request){ .kind = REQ_PAIR_CANCEL });
		assert(r == 0); /* as that which began the pairing was taken */
	}
}

/* ---- Writing --------------------------------------------------------------- */

struct line {
	uv_write_t write;
	size_t len;
	char text[];
};

static void line_written(uv_write_t *write, int status)
{
	struct line *line = CONTAINER_OF(write, struct line, write);
	struct face *f = write->data;

	sodium_memzero(line, sizeof(*line) + line->len);
	free(line);
	if (status < 0 && status != UV_ECANCELED)
		face_close(f);
}

/* o is taken, and may be NULL: then there was no memory for it, and the face is cut off rather than misled.
 */
static void tell(struct face *f, json_t *o)
{
	const size_t len = o == NULL ? 0 : json_dumpb(o, NULL, 0, JSON_COMPACT);
	struct line *line = len == 0 ? NULL : malloc(sizeof(*line) + len + 1);
	uv_buf_t buf;

	assert(!f->closing);
	if (line != NULL && json_dumpb(o, line->text, len, JSON_COMPACT) != len) { /* it takes memory too */
		free(line);
		line = NULL;
	}
	if (line != NULL) {
		line->text[len] = '\n';
		line->len = len + 1;
		line->write.data = f;
		buf = uv_buf_init(line->text, (unsigned)line->len);
	}
	json_decref(o);
	if (line == NULL) {
		face_close(f);
		return;
	}
	if (uv_write(&line->write, (uv_stream_t *)&f->pipe, &buf, 1, line_written) != 0) {
		sodium_memzero(line, sizeof(*line) + line->len);
		free(line);
		face_close(f);
	} else if (uv_stream_get_write_queue_size((uv_stream_t *)&f->pipe) > CONTROL_QUEUE_MAX) {
		face_close(f);
	}
}

/* ---- Lines ----------------------------------------------------------------- */

static void ask(struct face *f)
{
	struct control *c = f->control;
	const size_t slot = (f->asked_first + f->asked_len++) % CONTROL_ASKED_MAX;
	struct request *request = &f->asked.request;
	int r;

	request->id = (uint64_t)f->number << SLOT_BITS | slot;
	f->waiting[slot] = (struct waiting){ f->asked.id, *request };
	f->waiting[slot].request.name = f->waiting[slot].request.text = SPAN_NONE;
	r = loop_request(c->loop, request);
	if (r == 0)
		return;
	f->asked_len--;
	tell(f, lines_error(f->asked.id, "failed", err_str(r)));
}

static void look(struct face *f)
{
	int err = 0;
	json_t *reply = lines_look(&f->asked, f->control->loop, &err);

	tell(f,
	     reply != NULL ? reply : lines_error(f->asked.id, "failed", err_str(err < 0 ? err : ERR_NOMEM)));
}

/* Whether the request that was read can be handled now. */
static bool may_go_on(const struct face *f)
{
	if (uv_stream_get_write_queue_size((const uv_stream_t *)&f->pipe) > CONTROL_WAITING_MAX)
		return false;
	if (f->asked.word != NULL && lines_kind(&f->asked) == LINES_CHANGES)
		return f->asked_len < CONTROL_ASKED_MAX;
	return f->asked_len == 0 && !loop_in_turn(f->control->loop);
}

static void handle(struct face *f)
{
	struct asked *a = &f->asked;

	f->held = false;
	if (a->word == NULL) {
		tell(f, a->bad);
		a->bad = NULL;
	} else if (lines_kind(a) == LINES_CHANGES) {
		ask(f);
	} else if (lines_kind(a) == LINES_LOOKS) {
		look(f);
	} else {
		if (lines_kind(a) == LINES_FOLLOW)
			f->follows = true;
		tell(f, lines_ok(a->id));
		if (lines_kind(a) == LINES_LOCK)
			loop_lock(f->control->loop);
	}
	lines_forget(a);
}

/* Takes the next whole line out of the input and reads it; false when there is none. */
static bool next_line(struct face *f)
{
	uint8_t *end = memchr(f->input + f->scanned, '\n', f->input_len - f->scanned);
	size_t len;

	if (end == NULL) {
		f->scanned = f->input_len;
		return false;
	}
	len = (size_t)(end - f->input) + 1;
	lines_parse(&f->asked, span_from(f->input, len - 1));
	f->held = true;
	memmove(f->input, f->input + len, f->input_len - len);
	sodium_memzero(f->input + f->input_len - len, len);
	f->input_len -= len;
	f->scanned = 0;
	return true;
}

static void face_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void face_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

/* Handles lines until one has to wait, and reads on unless one does. */
static void run(struct face *f)
{
	while (!f->closing && f->input != NULL && (f->held || next_line(f))) {
		if (!may_go_on(f))
			break;
		handle(f);
	}
	if (f->closing)
		return;
	if (!f->held && f->input_len >= CONTROL_LINE_MAX) {
		tell(f, lines_error(0, "bad-request", "the line is longer than 262,144 bytes"));
		face_close(f);
	} else if (f->held == f->reading) {
		f->reading = !f->held;
		if (f->held)
			uv_read_stop((uv_stream_t *)&f->pipe);
		else if (uv_read_start((uv_stream_t *)&f->pipe, face_alloc, face_read) != 0)
			face_close(f);
	}
}

/* The input grows up to one line; the old memory is wiped. */
static bool grow(struct face *f)
{
	const size_t cap = f->input_cap == 0 ? INPUT_FIRST : MIN(f->input_cap * 2, (size_t)CONTROL_LINE_MAX);
	uint8_t *p = malloc(cap);

	if (p == NULL)
		return false;
	if (f->input != NULL) {
		memcpy(p, f->input, f->input_len);
		sodium_memzero(f->input, f->input_cap);
		free(f->input);
	}
	f->input = p;
	f->input_cap = cap;
	return true;
}

static void face_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct face *f = handle->data;

	(void)suggested;
	*buf = uv_buf_init(NULL, 0);
	if (f->input_len < f->input_cap || grow(f))
		*buf = uv_buf_init((char *)f->input + f->input_len, (unsigned)(f->input_cap - f->input_len));
}

static void face_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct face *f = stream->data;

	(void)buf;
	if (n < 0) {
		face_close(f);
		return;
	}
	f->input_len += (size_t)n;
	run(f);
}

/* ---- Replies and events ---------------------------------------------------- */

static struct face *face_of(struct control *c, uint64_t request)
{
	for (struct face *f = c->faces; f != NULL; f = f->next)
		if (f->number == request >> SLOT_BITS)
			return f;
	return NULL;
}

static void note_pairing(struct control *c, const struct face *f, const struct request *request)
{
	if (request->kind == REQ_PAIR_SHOW || request->kind == REQ_PAIR_ENTER ||
	    request->kind == REQ_PAIR_BOTH)
		c->pairing = f->number;
	else if (request->kind == REQ_PAIR_CANCEL)
		c->pairing = 0;
}

void control_reply(struct control *c, const struct effect *e, struct span text)
{
	struct face *f = face_of(c, e->request);
	const struct waiting *w;

	if (f == NULL) {
		return; /* it is gone */
	}
	w = &f->waiting[f->asked_first];
	assert(f->asked_len > 0 && (e->request & (BIT(SLOT_BITS) - 1)) == f->asked_first);
	f->asked_first = (f->asked_first + 1) % CONTROL_ASKED_MAX;
	f->asked_len--;
	if (e->code == REPLY_OK)
		note_pairing(c, f, &w->request);
	tell(f, lines_reply(w->id, &w->request, e, text));
}

void control_notice(struct control *c, const struct effect *e, struct span text)
{
	if (e->notice == NOTICE_PAIR_COMPARE || e->notice == NOTICE_PAIR_FAILED)
		c->pairing = 0;
	for (struct face *f = c->faces, *next; f != NULL; f = next) {
		next = f->next;
		if (f->follows)
			tell(f, lines_event(c->loop, e, text));
	}
}

void control_room(struct control *c, enum loop_room room)
{
	for (struct face *f = c->faces, *next; f != NULL; f = next) {
		next = f->next;
		if (f->follows)
			tell(f, lines_room(room));
	}
}

void control_failed(struct control *c, int err)
{
	c->pairing = 0;
	for (struct face *f = c->faces, *next; f != NULL; f = next) {
		next = f->next;
		for (; f->asked_len > 0 && !f->closing; f->asked_len--) {
			tell(f, lines_error(f->waiting[f->asked_first].id, "failed", err_str(err)));
			f->asked_first = (f->asked_first + 1) % CONTROL_ASKED_MAX;
		}
	}
}

/* ---- Coming and going ------------------------------------------------------ */

static bool is_own_user(const uv_pipe_t *pipe)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	uv_os_fd_t fd;

	return uv_fileno((const uv_handle_t *)pipe, &fd) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid();
}

static void listener_closed(uv_handle_t *handle)
{
	struct control *c = handle->data;

	c->handles--;
	finish_closing(c);
}

/* libuv tries again at once, and does nothing else before it succeeds: the node would not even hear the
 * signal that ends it. A node that nobody can reach is locked. */
static void listener_failed(struct control *c, int status)
{
	if (++c->refused < CONTROL_REFUSED_MAX)
		return;
	fprintf(stderr, "flyleaf: no program can connect: %s; locking\n", uv_strerror(status));
	uv_close((uv_handle_t *)&c->listener, listener_closed);
	loop_lock(c->loop);
}

/* libuv listens no more until the face that came is taken. */
static void let_in(struct control *c)
{
	struct face *f = calloc(1, sizeof(*f));
	int r;

	c->knocked = f == NULL;
	if (f == NULL)
		return;
	uv_pipe_init(c->uv, &f->pipe, 0);
	f->control = c;
	f->number = ++c->numbers;
	f->pipe.data = f;
	f->next = c->faces;
	c->faces = f;
	c->faces_len++;
	c->handles++;
	r = uv_accept((uv_stream_t *)&c->listener, (uv_stream_t *)&f->pipe);
	assert(r == 0); /* somebody knocked */
	if (!is_own_user(&f->pipe)) {
		face_close(f);
	} else if (c->faces_len > CONTROL_FACES_MAX) {
		tell(f, lines_error(0, reply_word(REPLY_LIMIT), "too many programs are connected"));
		face_close(f);
	} else {
		run(f);
	}
}

static void face_came(uv_stream_t *listener, int status)
{
	struct control *c = listener->data;

	if (status < 0) {
		listener_failed(c, status);
		return;
	}
	c->refused = 0;
	let_in(c);
}

void control_resume(struct control *c)
{
	if (c->knocked)
		let_in(c);
	for (struct face *f = c->faces, *next; f != NULL; f = next) {
		next = f->next;
		if (f->held)
			run(f);
	}
}

static int remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : err_from_errno(errno);
	if (!S_ISSOCK(st.st_mode))
		return ERR_EXISTS;
	return unlink(path) == 0 ? 0 : err_from_errno(errno);
}

static void nobody(void *arg)
{
	(void)arg;
}

int control_new(struct control **out, struct loop *l, uv_loop_t *uv, const char *home)
{
	struct control *c;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	mode_t mask;
	int r;

	if (snprintf(path, sizeof(path), "%s/control", home) >= (int)sizeof(path))
		return ERR_SYSTEM; /* a socket's name is bounded */
	r = remove_stale(path);
	if (r != 0)
		return r;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return ERR_NOMEM;
	object_init();
	*c = (struct control){ .loop = l, .uv = uv };
	uv_pipe_init(uv, &c->listener, 0);
	c->listener.data = c;
	c->handles = 1;
	mask = umask(0177);
	r = uv_pipe_bind(&c->listener, path);
	umask(mask);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&c->listener, CONTROL_FACES_MAX, face_came);
	if (r == 0) {
		*out = c;
		return 0;
	}
	control_close(c, nobody, NULL);
	return err_from_errno(-r);
}

void control_close(struct control *c, void (*closed)(void *arg), void *arg)
{
	if (c == NULL) {
		closed(arg);
		return;
	}
	c->closing = true;
	c->closed = closed;
	c->closed_arg = arg;
	for (struct face *f = c->faces, *next; f != NULL; f = next) {
		next = f->next;
		if (f->follows)
			tell(f, lines_locked());
		face_close(f);
	}
	if (uv_is_closing((uv_handle_t *)&c->listener))
		finish_closing(c);
	else
		uv_close((uv_handle_t *)&c->listener, listener_closed); /* removes the socket's file too */
}
