/*
 * The driver and its socket, whole, with a small core of the test's own in place of the node.
 */
#include "node/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/crypto/random.h"
#include "node/lines.h"
#include "node/object.h"
#include "node/process.h"
#include "store/conversations.h"
#include "store/messages.h"
#include "tests/unit/unit.h"

/* ---- The stand-in ---------------------------------------------------------- */

/* One contact, Anna. A text that is "FAIL" or "FULL" fails the step; what is sent comes back as a notice. */
struct node {
	struct store *store;
	struct contact_record anna;
	int64_t next;
};

static struct counts { /* shared with the parent */
	unsigned news, networks, cancels, settles, sends, looks, tidied;
	int room;      /* what the disk has, enum loop_room */
	bool room_low; /* what the node was told last */
} * counts;

#define X(name, word, text) [name] = word,
static const char *const reply_words[] = { REPLY_LIST(X) };
#undef X
#define X(name, word, text) [name] = text,
static const char *const reply_texts[] = { REPLY_LIST(X) };
#undef X

const char *reply_word(enum reply_code code)
{
	return reply_words[code];
}

const char *reply_text(enum reply_code code)
{
	return reply_texts[code];
}

struct span effect_bytes(const struct effects *fx, const struct effect *e)
{
	return span_from(e->len == 0 ? NULL : fx->bytes + e->at, e->len);
}

void effects_clear(struct effects *fx)
{
	fx->n = fx->bytes_len = 0;
}

void effects_deinit(struct effects *fx)
{
	free(fx->v);
	free(fx->bytes);
	*fx = (struct effects){ 0 };
}

static struct effect *add_effect(struct effects *fx, const char *text)
{
	if (fx->cap == 0) {
		fx->cap = 4096;
		fx->v = calloc(fx->cap, sizeof(*fx->v));
		fx->bytes = calloc(1, 65536);
	}
	assert(fx->n < fx->cap);
	fx->v[fx->n] = (struct effect){ .at = fx->bytes_len, .len = strlen(text) };
	memcpy(fx->bytes + fx->bytes_len, text, strlen(text));
	fx->bytes_len += strlen(text);
	return &fx->v[fx->n++];
}

int node_new(struct node **out, struct store *store, struct random *rng, uint64_t clock)
{
	struct node *n = calloc(1, sizeof(*n));

	(void)rng;
	(void)clock;
	counts->news++;
	n->store = store;
	n->anna = (struct contact_record){ .name = "Anna",
		                           .state = CONTACT_MET,
		                           .safety = "12345 67890",
		                           .s.public.b = { 1 },
		                           .peer_s.b = { 2 } };
	*out = n;
	return contacts_add(store, &n->anna);
}

void node_free(struct node *n)
{
	free(n);
}

static void reply(struct effects *fx, const struct request *q, enum reply_code code, int64_t number,
                  const char *text)
{
	struct effect *e = add_effect(fx, text);

	e->kind = FX_REPLY;
	e->request = q->id;
	e->code = code;
	e->number = number;
}

static int take_send(struct node *n, const struct request *q, struct effects *fx)
{
	const struct message m = { .position = n->next, .own = true, .claimed = 7, .content = q->text };
	int r;

	counts->sends++;
	if (q->text.len == 4 && memcmp(q->text.p, "FAIL", 4) == 0)
		return ERR_IO;
	if (q->text.len == 4 && memcmp(q->text.p, "FULL", 4) == 0)
		return ERR_FULL;
	r = messages_add(n->store, n->anna.id, &m);
	if (r != 0)
		return r;
	reply(fx, q, REPLY_OK, n->next++, "");
	add_effect(fx, "")->kind = FX_NOTICE;
	fx->v[fx->n - 1].notice = NOTICE_MESSAGE;
	fx->v[fx->n - 1].contact = n->anna.id;
	fx->v[fx->n - 1].number = m.position;
	return 0;
}

int node_step(struct node *n, const struct event *ev, struct effects *fx)
{
	const struct request *q = ev->request;

	counts->networks += ev->kind == EV_NETWORK;
	if (ev->kind == EV_ROOM)
		counts->room_low = ev->room_low;
	if (ev->kind != EV_REQUEST)
		return 0;
	if (q->kind == REQ_PAIR_CANCEL) {
		counts->cancels++;
		reply(fx, q, REPLY_OK, 0, "");
	} else if (q->kind == REQ_PAIR_SHOW) {
		reply(fx, q, REPLY_OK, 0, q->flag ? "QRQR" : "12 one two three");
	} else if (q->kind == REQ_LOOK) {
		reply(fx, q, REPLY_NO_NETWORK, 0, "");
	} else if (q->name.len != 4 || memcmp(q->name.p, "Anna", 4) != 0) {
		reply(fx, q, REPLY_UNKNOWN, 0, "");
	} else if (q->kind == REQ_SEND) {
		return take_send(n, q, fx);
	} else {
		reply(fx, q, q->kind == REQ_MODE && q->mode == MODE_CALL ? REPLY_OK : REPLY_PENDING, 0, "");
	}
	return 0;
}

int node_settle(struct node *n, uint64_t now_us, uint64_t clock, struct effects *fx)
{
	(void)n;
	(void)now_us;
	(void)clock;
	(void)fx;
	counts->settles++;
	return 0;
}

uint64_t node_deadline_us(const struct node *n)
{
	(void)n;
	return UINT64_MAX;
}

size_t node_contact_count(const struct node *n)
{
	(void)n;
	return 1;
}

void node_contact_view(const struct node *n, size_t i, struct contact_view *out)
{
	(void)i;
	*out = (struct contact_view){
		.record = &n->anna, .waiting = n->next, .stored_before = 1, .next_position = n->next
	};
}

int node_contact_find(const struct node *n, struct span name)
{
	(void)n;
	return name.len == 4 && memcmp(name.p, "Anna", 4) == 0 ? 0 : -1;
}

bool node_is_looking(const struct node *n)
{
	(void)n;
	return false;
}

bool node_clock_is_wrong(const struct node *n)
{
	(void)n;
	return false;
}

/* ---- A driver in a child --------------------------------------------------- */

struct place {
	char home[32];
	pid_t child;
};

static int open_rows(void *arg, struct store **out)
{
	static struct store *rows;
	int r;

	(void)arg;
	store_close(rows);
	rows = NULL;
	r = store_open(&rows, NULL, ":memory:");
	*out = rows;
	return r;
}

static int look_at_room(void *arg, bool now)
{
	(void)arg;
	counts->looks += now;
	return counts->room;
}

static int tidy(void *arg)
{
	(void)arg;
	counts->tidied++;
	counts->room = LOOP_ROOM_ENOUGH;
	return 0;
}

static void start(struct place *p)
{
	static const char *const loopback[] = { "lo" };
	char path[64];

	snprintf(p->home, sizeof(p->home), "/tmp/control.XXXXXX");
	assert_non_null(mkdtemp(p->home));
	p->child = fork();
	assert_int_not_equal(p->child, -1);
	if (p->child == 0) {
		const struct loop_options options = { .open = open_rows,
			                              .tidy = tidy,
			                              .room = look_at_room,
			                              .home = p->home,
			                              .lan = { loopback, 1 },
			                              .rng = random_system() };
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 2);
		exit(loop_run(&options) == 0 ? 0 : 9); /* not _exit(): a leak sanitizer looks then */
	}
	snprintf(path, sizeof(path), "%s/control", p->home);
	for (int i = 0; i < 500 && access(path, F_OK) != 0; i++)
		usleep(5000);
}

static int dial(const struct place *p)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const struct timeval limit = { 3, 0 };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s/control", p->home);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	for (int i = 0; i < 500; i++) {
		if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
			return fd;
		usleep(5000);
	}
	fail_msg("no socket");
	return -1;
}

/* A line, without its end; empty when the other side is gone. */
static const char *hear(int fd)
{
	static char line[1 << 20];
	size_t n = 0;

	while (n < sizeof(line) - 1 && recv(fd, &line[n], 1, 0) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
	return line;
}

static void say(int fd, const char *line)
{
	const size_t len = strlen(line);
	size_t at = 0;

	while (at < len) {
		const ssize_t n = send(fd, line + at, len - at, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		at += (size_t)n;
	}
	(void)!send(fd, "\n", 1, MSG_NOSIGNAL);
}

static int stop(struct place *p, int sig)
{
	int status;
	char path[64];

	if (sig != 0)
		kill(p->child, sig);
	assert_int_equal(waitpid(p->child, &status, 0), p->child);
	snprintf(path, sizeof(path), "%s/control", p->home);
	assert_int_equal(access(path, F_OK), -1); /* the socket went too */
	rmdir(p->home);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* ---- Tests ----------------------------------------------------------------- */

static void each_request_has_its_reply(void **state)
{
	static const struct {
		const char *says, *hears; /* hears: a part of the reply */
	} table[] = {
		{ "{\"v\":1,\"id\":1,\"do\":\"hello\"}",
		  "{\"v\":1,\"id\":1,\"ok\":true,\"program\":\"flyleaf\",\"version\":\"0.1.0\",\"protocol\":"
		  "1}" },
		{ "{\"v\":1,\"id\":2,\"do\":\"status\"}",
		  "\"contacts\":1,\"linked\":[],\"waiting\":0,\"carriers\":[{" },
		{ "{\"v\":1,\"id\":3,\"do\":\"contacts\"}",
		  "\"contacts\":[{\"name\":\"Anna\",\"mode\":\"answer\",\"state\":\"met\"" },
		{ "{\"v\":1,\"id\":4,\"do\":\"show\",\"name\":\"Anna\"}", "\"safety\":\"12345 67890\"" },
		{ "{\"v\":1,\"id\":5,\"do\":\"show\",\"name\":\"Bob\"}",
		  "\"ok\":false,\"error\":\"unknown-contact\"" },
		{ "{\"v\":1,\"id\":6,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"h\\u00e9\"}",
		  "{\"v\":1,\"id\":6,\"ok\":true,\"position\":0}" },
		{ "{\"v\":1,\"id\":7,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"two\"}",
		  "\"position\":1}" },
		{ "{\"v\":1,\"id\":8,\"do\":\"read\",\"name\":\"Anna\"}",
		  "\"messages\":[{\"position\":0,\"own\":true,\"claimed\":7,\"text\":\"h\xc3\xa9\",\"state\":"
		  "\"stored\"},"
		  "{\"position\":1,\"own\":true,\"claimed\":7,\"text\":\"two\",\"state\":\"waiting\"}],"
		  "\"next\":2}" },
		{ "{\"v\":1,\"id\":9,\"do\":\"read\",\"name\":\"Anna\",\"last\":1}",
		  "\"messages\":[{\"position\":1," },
		{ "{\"v\":1,\"id\":9,\"do\":\"read\",\"name\":\"Anna\",\"from\":0,\"limit\":1}",
		  "\"state\":\"stored\"}],\"next\":1}" },
		{ "{\"v\":1,\"id\":9,\"do\":\"read\",\"name\":\"Anna\",\"limit\":201}", "bad-request" },
		{ "{\"v\":1,\"id\":10,\"do\":\"mode\",\"name\":\"Anna\",\"mode\":\"call\"}", "\"ok\":true}" },
		{ "{\"v\":1,\"id\":11,\"do\":\"mode\",\"name\":\"Anna\",\"mode\":\"loud\"}", "bad-request" },
		{ "{\"v\":1,\"id\":12,\"do\":\"look\",\"on\":true}",
		  "\"error\":\"no-network\",\"text\":\"neither a network nor Bluetooth is up\"}" },
		{ "{\"v\":1,\"id\":13,\"do\":\"pair_show\",\"name\":\"Eve\",\"qr\":false}",
		  "\"code\":\"12 one two three\"}" },
		{ "{\"v\":1,\"id\":14,\"do\":\"pair_show\",\"name\":\"Eve\",\"qr\":true}",
		  "\"qr\":\"QRQR\"}" },
		{ "{\"v\":1,\"id\":15,\"do\":\"dance\"}",
		  "{\"v\":1,\"id\":15,\"ok\":false,\"error\":\"unknown-request\"" },
		{ "{\"v\":2,\"id\":16,\"do\":\"hello\"}",
		  "{\"v\":1,\"id\":16,\"ok\":false,\"error\":\"bad-request\"" },
		{ "{\"v\":1,\"do\":\"hello\"}", "bad-request" },
		{ "{\"v\":1,\"id\":-1,\"do\":\"hello\"}", "bad-request" },
		{ "{\"v\":1,\"id\":1,\"id\":2,\"do\":\"hello\"}",
		  "{\"v\":1,\"id\":0,\"ok\":false,\"error\":\"bad-request\"" },
		{ "{\"v\":1,\"id\":17,\"do\":\"hello\",\"more\":1}", "bad-request" },
		{ "{\"v\":1,\"id\":18,\"do\":\"forget\"}", "bad-request" },
		{ "{\"v\":1,\"id\":19,\"do\":\"forget\",\"name\":7}", "bad-request" },
		{ "{\"v\":1,\"id\":20,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"\xff\"}", "bad-request" },
		{ "{\"v\":1,\"id\":20,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"\\u0000\"}",
		  "bad-request" },
		{ "[1,2]", "bad-request" },
		{ "\"hello\"", "bad-request" },
		{ "", "bad-request" },
		{ "{\"v\":1,\"id\":1,\"do\":\"hello\"} x", "bad-request" },
		{ "{\"v\":1,\"id\":1,\"do\":[[[[[[]]]]]]}", "bad-request" },
	};
	struct place p;
	int fd;

	(void)state;
	start(&p);
	fd = dial(&p);
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		const char *heard;

		say(fd, table[i].says);
		heard = hear(fd);
		if (strstr(heard, table[i].hears) == NULL)
			fail_msg("%s\n  gave %s\n  not  %s", table[i].says, heard, table[i].hears);
	}
	close(fd);
	assert_int_equal(stop(&p, SIGTERM), 0);
}

static void lines_in_one_piece_are_answered_in_order(void **state)
{
	struct place p;
	char all[200 * 80] = "";
	unsigned turns;
	int fd;

	(void)state;
	start(&p);
	fd = dial(&p);
	for (unsigned i = 0; i < 150; i++)
		snprintf(all + strlen(all), 80, "%s{\"v\":1,\"id\":%u,\"do\":\"%s}", i > 0 ? "\n" : "", i,
		         i % 50 == 49 ? "read\",\"name\":\"Anna\",\"last\":1"
		                      : "send\",\"name\":\"Anna\",\"text\":\"x\"");
	turns = counts->settles;
	say(fd, all);
	for (unsigned i = 0; i < 150; i++) {
		char begins[32];
		const char *heard = hear(fd);

		snprintf(begins, sizeof(begins), "{\"v\":1,\"id\":%u,\"ok\":true,", i);
		assert_memory_equal(heard, begins, strlen(begins));
	}
	assert_true(counts->settles - turns < 20); /* many of them share a turn */
	close(fd);
	assert_int_equal(stop(&p, SIGINT), 0);
}

static void a_line_may_be_long_but_not_longer(void **state)
{
	struct place p;
	const size_t size = CONTROL_LINE_MAX + 100;
	char *line = malloc(size);
	int fd;

	(void)state;
	start(&p);
	fd = dial(&p);
	memset(line, ' ', size);
	memcpy(line, "{\"v\":1,\"id\":1,\"do\":\"hello\"", 26);
	memcpy(line + CONTROL_LINE_MAX - 2, "}", 2);
	say(fd, line);
	assert_non_null(strstr(hear(fd), "\"protocol\":1}"));
	memset(line, 'x', size);
	line[size - 1] = '\0';
	say(fd, line);
	assert_non_null(strstr(hear(fd), "bad-request"));
	assert_string_equal(hear(fd), ""); /* cut off */
	close(fd);
	free(line);
	assert_int_equal(stop(&p, SIGHUP), 0);
}

static void a_seventeenth_face_is_refused(void **state)
{
	struct place p;
	int fds[CONTROL_FACES_MAX + 1];

	(void)state;
	start(&p);
	for (unsigned i = 0; i < COUNT_OF(fds); i++) {
		fds[i] = dial(&p);
		say(fds[i], "{\"v\":1,\"id\":1,\"do\":\"hello\"}");
		assert_non_null(
		        strstr(hear(fds[i]), i < CONTROL_FACES_MAX ? "flyleaf" : "\"error\":\"limit\""));
	}
	close(fds[0]);
	close(fds[CONTROL_FACES_MAX]);
	usleep(50000);
	fds[0] = dial(&p);
	say(fds[0], "{\"v\":1,\"id\":1,\"do\":\"hello\"}");
	assert_non_null(strstr(hear(fds[0]), "flyleaf"));
	for (unsigned i = 0; i < CONTROL_FACES_MAX; i++)
		close(fds[i]);
	assert_int_equal(stop(&p, SIGTERM), 0);
}

static void who_follows_hears_and_who_does_not_read_is_cut_off(void **state)
{
	struct place p;
	int deaf, follower, sender;
	char byte;
	unsigned i;

	(void)state;
	start(&p);
	deaf = dial(&p);
	follower = dial(&p);
	sender = dial(&p);
	say(follower, "{\"v\":1,\"id\":1,\"do\":\"follow\"}");
	say(deaf, "{\"v\":1,\"id\":1,\"do\":\"follow\"}");
	assert_non_null(strstr(hear(follower), "\"ok\":true}"));
	for (i = 0; i < 60000; i++) {
		say(sender, "{\"v\":1,\"id\":2,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"x\"}");
		assert_non_null(strstr(hear(sender), "\"position\""));
		hear(follower);
		if (i % 512 == 0 && send(deaf, "", 0, MSG_NOSIGNAL) < 0)
			break;
		if (i % 512 == 0) {
			struct pollfd gone = { deaf, 0, 0 };

			if (poll(&gone, 1, 0) == 1 && (gone.revents & POLLHUP) != 0)
				break;
		}
	}
	assert_true(i > 0 && i < 60000);
	while (recv(deaf, &byte, 1, 0) == 1)
		;
	say(sender, "{\"v\":1,\"id\":3,\"do\":\"lock\"}");
	assert_non_null(strstr(hear(sender), "\"ok\":true}"));
	assert_string_equal(hear(follower), "{\"v\":1,\"event\":\"locked\"}");
	close(deaf);
	close(follower);
	close(sender);
	assert_int_equal(stop(&p, 0), 0);
}

static void a_pairing_ends_with_its_face(void **state)
{
	struct place p;
	const unsigned before = counts->cancels;
	int fd;

	(void)state;
	start(&p);
	fd = dial(&p);
	say(fd, "{\"v\":1,\"id\":1,\"do\":\"pair_show\",\"name\":\"Eve\",\"qr\":false}");
	hear(fd);
	close(dial(&p)); /* another one's going changes nothing */
	usleep(50000);
	assert_int_equal(counts->cancels, before);
	close(fd);
	for (int i = 0; i < 400 && counts->cancels == before; i++)
		usleep(5000);
	assert_int_equal(counts->cancels, before + 1);
	assert_int_equal(stop(&p, SIGTERM), 0);
}

static void a_failure_is_told_and_begun_anew(void **state)
{
	struct place p;
	const unsigned before = counts->news;
	int fd;

	(void)state;
	start(&p);
	fd = dial(&p);
	for (unsigned i = 1; i <= LOOP_RESTARTS_MAX; i++) {
		say(fd, "{\"v\":1,\"id\":1,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"FAIL\"}");
		assert_non_null(strstr(hear(fd), "\"error\":\"failed\",\"text\":\"input/output error\""));
		say(fd, "{\"v\":1,\"id\":2,\"do\":\"status\"}");
		assert_non_null(strstr(hear(fd), "\"ok\":true"));
		assert_int_equal(counts->news, before + 1 + i);
	}
	say(fd, "{\"v\":1,\"id\":1,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"FAIL\"}");
	assert_int_equal(stop(&p, 0), 9);
	close(fd);
}

static void sends(int fd, const char *text, const char *reply)
{
	char line[128];

	snprintf(line, sizeof(line), "{\"v\":1,\"id\":1,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"%s\"}",
	         text);
	say(fd, line);
	assert_non_null(strstr(hear(fd), reply));
}

static void says_room(int fd, const char *room)
{
	say(fd, "{\"v\":1,\"id\":2,\"do\":\"status\"}");
	assert_non_null(strstr(hear(fd), room));
}

/* As often as it likes: what fails is told, people are heard, and the network waits for room. */
static void a_full_disk_ends_nothing(void **state)
{
	struct place p;
	unsigned news, networks;
	int fd;

	(void)state;
	start(&p);
	fd = dial(&p);
	sends(fd, "before", "\"ok\":true");
	news = counts->news;
	networks = counts->networks;
	counts->room = LOOP_ROOM_LOW; /* a little: not enough to go on with the network */
	for (unsigned i = 1; i <= 3 * LOOP_RESTARTS_MAX; i++) {
		sends(fd, "FULL", "\"error\":\"failed\",\"text\":\"no space left on the disk\"");
		says_room(fd, "\"room\":\"none\"");
		assert_int_equal(counts->news, news + i);
	}
	sends(fd, "a little", "\"ok\":true");
	says_room(fd, "\"room\":\"none\"");
	assert_int_equal(counts->networks, networks);
	counts->room = LOOP_ROOM_ENOUGH;
	sends(fd, "again", "\"ok\":true"); /* after which it looks */
	says_room(fd, "\"room\":\"enough\"");
	assert_int_equal(counts->networks, networks + 1);
	close(fd);
	assert_int_equal(stop(&p, SIGTERM), 0);
}

static void the_node_is_told_of_room_and_tidying_makes_some(void **state)
{
	struct place p;
	int follower, fd;

	(void)state;
	counts->tidied = 0;
	start(&p);
	follower = dial(&p);
	fd = dial(&p);
	say(follower, "{\"v\":1,\"id\":1,\"do\":\"follow\"}");
	hear(follower);
	counts->room = LOOP_ROOM_LOW;
	sends(fd, "x", "\"ok\":true");
	says_room(fd, "\"room\":\"low\"");
	assert_true(counts->room_low);
	assert_non_null(strstr(hear(follower), "\"event\":\"message\""));
	assert_string_equal(hear(follower), "{\"v\":1,\"event\":\"room\",\"room\":\"low\"}");
	counts->room = LOOP_ROOM_TIDY;
	sends(fd, "x", "\"ok\":true");
	says_room(fd, "\"room\":\"enough\"");
	assert_int_equal(counts->tidied, 1);
	assert_false(counts->room_low);
	close(follower);
	close(fd);
	assert_int_equal(stop(&p, SIGTERM), 0);
}

static void another_user_is_not_heard(void **state)
{
	struct place p;
	pid_t child;
	int status;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can be another user\n");
		skip();
	}
	start(&p);
	chmod(p.home, 0755);
	child = fork();
	if (child == 0) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "%s/control", p.home);
		chmod(path, 0666); /* even where the file would let it */
		if (setuid(65534) != 0)
			_exit(2);
		fd = dial(&p);
		say(fd, "{\"v\":1,\"id\":1,\"do\":\"hello\"}");
		_exit(hear(fd)[0] == '\0' ? 0 : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(stop(&p, SIGTERM), 0);
}

static void the_socket_is_for_its_owner_and_takes_no_others_place(void **state)
{
	struct place p;
	struct stat st;
	char path[64];
	int status, fd;

	(void)state;
	start(&p);
	close(dial(&p));
	snprintf(path, sizeof(path), "%s/control", p.home);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	kill(p.child, SIGKILL);
	waitpid(p.child, &status, 0);
	assert_int_equal(unlink(path), 0);
	fd = creat(path, 0600);
	close(fd);
	p.child = fork();
	if (p.child == 0) {
		const struct loop_options options = { .open = open_rows,
			                              .home = p.home,
			                              .rng = random_system() };

		_exit(loop_run(&options) == ERR_EXISTS ? 0 : 1);
	}
	waitpid(p.child, &status, 0);
	assert_int_equal(status, 0);
	unlink(path);
	rmdir(p.home);
}

static void a_hardened_process_shows_nothing(void **state)
{
	int status, r;
	struct stat st;
	const int leaked = open("/dev/null", O_RDONLY);
	const pid_t child = fork();

	(void)state;
	if (child == 0) {
		r = process_harden();
		_exit(r < 0 || fcntl(leaked, F_GETFD) != -1 || umask(0) != 077 ||
		      (r & PROCESS_PRIVILEGES_KEPT) != 0);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(fstat(leaked, &st), 0);
	close(leaked);
}

static void a_file_never_takes_the_place_of_the_output(void **state)
{
	int status;
	const pid_t child = fork();

	(void)state;
	if (child == 0) {
		close_range(0, 2, 0);
		if (process_begin() != 0 || write(STDOUT_FILENO, "x", 1) != 1)
			_exit(1);
		_exit(open("/dev/null", O_RDONLY) != 3);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

/* ---- Memory that is short ------------------------------------------------------ */

static unsigned fail_malloc_at; /* 0: none does */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
	return fail_malloc_at > 0 && --fail_malloc_at == 0 ? NULL : __real_malloc(size);
}

/* jansson drops a byte of a string that it could not grow, and says nothing. */
static void a_request_is_whole_or_refused(void **state)
{
	char text[1001], line[1100];
	bool reached = true;

	(void)state;
	object_init();
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	snprintf(line, sizeof(line), "{\"v\":1,\"id\":7,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"%s\"}",
	         text);
	for (unsigned at = 1; reached; at++) {
		struct asked a;

		fail_malloc_at = at;
		lines_parse(&a, span_str(line));
		reached = fail_malloc_at == 0;
		fail_malloc_at = 0;
		if (a.word != NULL)
			assert_true(span_equal(a.request.text, span_str(text)));
		else
			assert_true(reached);
		lines_forget(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_request_has_its_reply),
		cmocka_unit_test(lines_in_one_piece_are_answered_in_order),
		cmocka_unit_test(a_line_may_be_long_but_not_longer),
		cmocka_unit_test(a_seventeenth_face_is_refused),
		cmocka_unit_test(who_follows_hears_and_who_does_not_read_is_cut_off),
		cmocka_unit_test(a_pairing_ends_with_its_face),
		cmocka_unit_test(a_failure_is_told_and_begun_anew),
		cmocka_unit_test(a_full_disk_ends_nothing),
		cmocka_unit_test(the_node_is_told_of_room_and_tidying_makes_some),
		cmocka_unit_test(another_user_is_not_heard),
		cmocka_unit_test(the_socket_is_for_its_owner_and_takes_no_others_place),
		cmocka_unit_test(a_hardened_process_shows_nothing),
		cmocka_unit_test(a_file_never_takes_the_place_of_the_output),
		cmocka_unit_test(a_request_is_whole_or_refused),
	};

	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
