#include "tests/unit/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "node/crypto/random.h"
#include "node/power.h"
#include "store/messages.h"
#include "tests/failing_calls.h"
#include "tests/failing_memory.h"
#include "tests/unit/unit.h"
#include "transport/call.h"

enum { TICK_MS = 2, STALL_MS = 60, ALARM_S = 60, HURRY_MS = 20 };
enum { SOON_US = 30000 };
#define LATE_US (2 * UINT64_C(1000) * LOOP_TIMER_MAX_MS)
enum { PATH_ITSELF = 1, PATH_NOWHERE, PATH_DEAF, PATH_AIR, PSM = 0x85 };

struct driver *driver;

/* ---- The core ---------------------------------------------------------------- */

struct node {
	struct store *store;
	struct contact_record anna;
	int64_t next;
	struct address local; /* of IPv4 */
	uint64_t deadline_us;
};

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

static struct effect *add_effect(struct effects *fx, enum effect_kind kind, struct span bytes)
{
	if (fx->cap == 0) {
		const bool armed = failing_memory.armed;

		failing_memory.armed = false;
		fx->cap = 4096;
		fx->v = calloc(fx->cap, sizeof(*fx->v));
		fx->bytes = calloc(1, 65536);
		failing_memory.armed = armed;
	}
	assert(fx->n < fx->cap);
	fx->v[fx->n] = (struct effect){ .kind = kind, .at = fx->bytes_len, .len = bytes.len };
	if (bytes.len > 0)
		memcpy(fx->bytes + fx->bytes_len, bytes.p, bytes.len);
	fx->bytes_len += bytes.len;
	return &fx->v[fx->n++];
}

int node_new(struct node **out, struct store *store, struct random *rng, uint64_t clock)
{
	const bool armed = failing_memory.armed;
	struct node *n;

	(void)rng;
	(void)clock;
	if (driver->new_is != 0)
		return driver->new_is;
	failing_memory.armed = armed && driver->memory_at > 0; /* one that begins again has what it needs */
	n = calloc(1, sizeof(*n));
	failing_memory.armed = armed;
	if (n == NULL)
		return ERR_NOMEM;
	driver->news++;
	*n = (struct node){ .store = store,
		            .deadline_us = UINT64_MAX,
		            .anna = { .name = "Anna",
		                      .state = CONTACT_MET,
		                      .safety = "12345 67890",
		                      .s.public.b = { 1 },
		                      .peer_s.b = { 2 } } };
	*out = n;
	if (driver->locks)
		raise(SIGTERM);
	return contacts_add(store, &n->anna);
}

void node_free(struct node *n)
{
	free(n);
}

static void reply(struct effects *fx, const struct request *q, enum reply_code code, int64_t number,
                  const char *text)
{
	struct effect *e = add_effect(fx, FX_REPLY, span_str(text));

	e->request = q->id;
	e->code = code;
	e->number = number;
}

static void open_path(struct effects *fx, uint32_t path, const struct address *local, struct address remote,
                      uint16_t port)
{
	struct effect *e = add_effect(fx, FX_OPEN, SPAN_NONE);

	e->path = path;
	e->local = *local;
	e->remote = remote;
	e->port = port;
}

/* A call, which comes back, and three paths: to the node itself, to where nothing can be sent, and to where
 * nobody listens. */
static void use_the_network(const struct node *n, struct effects *fx)
{
	uint8_t call[CALL_SMALL_LEN];
	struct address there = n->local;
	const uint16_t port = (uint16_t)(20000 + 3 * (getpid() % 10000));

	memset(call, 'c', sizeof(call));
	add_effect(fx, FX_CALL, SPAN(call))->local = n->local;
	open_path(fx, PATH_ITSELF, &n->local, there, port);
	there.ip[15]++;
	open_path(fx, PATH_DEAF, &n->local, there, (uint16_t)(port + 1));
	there.ip[0] = 1; /* of another family */
	open_path(fx, PATH_NOWHERE, &n->local, there, (uint16_t)(port + 2));
	add_effect(fx, FX_SEND, span_str("to itself"))->path = PATH_ITSELF;
	add_effect(fx, FX_SEND, span_str("to nobody"))->path = PATH_DEAF;
	add_effect(fx, FX_CLOSE, SPAN_NONE)->path = PATH_AIR; /* which is closed */
}

static void use_the_air(struct effects *fx)
{
	const struct address here = { .interface = ADDRESS_BLUETOOTH };

	add_effect(fx, FX_SCAN, SPAN_NONE)->number = 1;
	add_effect(fx, FX_ADVERTISE, span_str("adverts"))->local = here;
	open_path(fx, PATH_AIR, &here, here, PSM);
	add_effect(fx, FX_SEND, span_str("by air"))->path = PATH_AIR;
}

static void leave_the_air(struct effects *fx)
{
	add_effect(fx, FX_SCAN, SPAN_NONE);
	add_effect(fx, FX_CLOSE, SPAN_NONE)->path = PATH_AIR;
}

static void let_fail(const char *order)
{
	static char calls[64];
	unsigned at;

	if (sscanf(order, "MEMORY %u", &at) == 1)
		failing_memory_arm(at, false);
	if (sscanf(order, "CALLS %u %63s", &at, calls) == 2)
		failing_calls_arm(calls, at, EPERM);
}

static void fail_nothing(void)
{
	if (failing_memory.armed || failing_calls.armed)
		driver->seen = failing_memory.armed ? failing_memory.seen : failing_calls.seen;
	failing_memory.armed = failing_calls.armed = false;
}

/* A signal does not end it. */
static void stall(void)
{
	struct timespec left = { .tv_nsec = STALL_MS * 1000000 };

	while (nanosleep(&left, &left) != 0)
		;
}

static bool obey(struct node *n, const char *order, struct effects *fx)
{
	let_fail(order);
	if (strcmp(order, "NET") == 0)
		use_the_network(n, fx);
	if (strcmp(order, "AIR") == 0)
		use_the_air(fx);
	if (strcmp(order, "SHUT") == 0)
		leave_the_air(fx);
	if (strcmp(order, "TICK") == 0)
		n->deadline_us = 1;
	if (strcmp(order, "STALL") == 0)
		stall();
	return failing_memory.armed; /* then the rows are not for it */
}

static int take_send(struct node *n, const struct request *q, struct effects *fx)
{
	const struct message m = { .position = n->next, .own = true, .claimed = 7, .content = q->text };
	char order[64] = "";
	struct effect *e;
	int r = 0;

	driver->sends++;
	memcpy(order, q->text.p, MIN(q->text.len, sizeof(order) - 1));
	if (strcmp(order, "FAIL") == 0)
		return ERR_IO;
	if (strcmp(order, "FULL") == 0)
		return ERR_FULL;
	fail_nothing();
	if (!obey(n, order, fx))
		r = messages_add(n->store, n->anna.id, &m);
	if (r != 0)
		return r;
	reply(fx, q, REPLY_OK, n->next, "");
	e = add_effect(fx, FX_NOTICE, SPAN_NONE);
	e->notice = strcmp(order, "MET") == 0     ? NOTICE_PAIR_COMPARE
	            : strcmp(order, "UNMET") == 0 ? NOTICE_PAIR_FAILED
	                                          : NOTICE_MESSAGE;
	e->contact = n->anna.id;
	e->number = n->next++;
	return 0;
}

static int take_request(struct node *n, const struct request *q, struct effects *fx)
{
	switch (q->kind) {
	case REQ_PAIR_CANCEL:
		driver->cancels++;
		reply(fx, q, REPLY_OK, 0, "");
		return 0;
	case REQ_PAIR_ENTER:
	case REQ_PAIR_BOTH:
		reply(fx, q, REPLY_OK, 0, "");
		return 0;
	case REQ_PAIR_SHOW:
		reply(fx, q, REPLY_OK, 0, q->flag ? "QRQR" : "12 one two three");
		return 0;
	case REQ_LOOK:
		reply(fx, q, REPLY_NO_NETWORK, 0, "");
		return 0;
	default:
		break;
	}
	if (node_contact_find(n, q->name) < 0)
		reply(fx, q, REPLY_UNKNOWN, 0, "");
	else if (q->kind == REQ_SEND)
		return take_send(n, q, fx);
	else
		reply(fx, q, q->kind == REQ_MODE && q->mode == MODE_CALL ? REPLY_OK : REPLY_PENDING, 0, "");
	return 0;
}

static int take_network(struct node *n, const struct event *ev)
{
	const int r = driver->network_is;

	for (size_t i = 0; i < ev->locals_len; i++)
		if (ev->locals[i].ip[10] == 0xff)
			n->local = ev->locals[i];
	driver->networks++;
	driver->told = ev->power;
	driver->network_is = 0;
	return r;
}

int node_step(struct node *n, const struct event *ev, struct effects *fx)
{
	driver->radios += ev->kind == EV_RADIOS && ev->radios_len > 0;
	driver->calls_heard += ev->kind == EV_CALL;
	driver->adverts += ev->kind == EV_ADVERT;
	driver->channels += ev->kind == EV_CHANNEL && ev->port == PSM;
	driver->datagrams += ev->kind == EV_DATAGRAM;
	driver->failed += ev->kind == EV_PATH_FAILED;
	driver->refused += ev->kind == EV_PATH_REFUSED;
	driver->ticks += ev->kind == EV_TICK;
	driver->locked += ev->kind == EV_LOCK;
	if (ev->kind == EV_TICK)
		n->deadline_us = ev->now_us + (n->deadline_us == 1 ? SOON_US : LATE_US);
	if (ev->kind == EV_ROOM)
		driver->room_low = ev->room_low;
	if (ev->kind == EV_NETWORK)
		return take_network(n, ev);
	return ev->kind == EV_REQUEST ? take_request(n, ev->request, fx) : 0;
}

int node_settle(struct node *n, uint64_t now_us, uint64_t clock, struct effects *fx)
{
	(void)n;
	(void)now_us;
	(void)clock;
	(void)fx;
	driver->settles++;
	return 0;
}

uint64_t node_deadline_us(const struct node *n)
{
	return n->deadline_us;
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
	return span_equal(name, span_str("Anna")) ? 0 : -1;
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

/* ---- Bluetooth ----------------------------------------------------------------- */

/* Of one adapter. Who is heard says something, who is advertised to opens a channel, and what is sent comes
 * back. */
struct bluetooth {
	struct bluetooth_callbacks callbacks;
	void *arg;
	uv_timer_t news;
	unsigned due; /* bits of an enum event_kind */
	bool open;
	void (*closed)(void *arg);
	void *closed_arg;
};

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	const size_t len = strlen(driver->air);
	va_list args;

	va_start(args, format);
	vsnprintf(driver->air + len, sizeof(driver->air) - len, format, args);
	va_end(args);
}

static void tell_news(uv_timer_t *timer)
{
	struct bluetooth *b = timer->data;
	const struct radio radio = { .interface = ADDRESS_BLUETOOTH, .adverts = 1 };
	const struct address from = { .interface = ADDRESS_BLUETOOTH };
	const unsigned due = b->due;

	b->due = 0;
	if (due & BIT(EV_RADIOS)) {
		b->callbacks.radios(b->arg, NULL, 0);
		b->callbacks.radios(b->arg, &radio, 1);
	}
	if (due & BIT(EV_ADVERT))
		b->callbacks.advert(b->arg, &from, span_str("advert"));
	if (due & BIT(EV_CHANNEL))
		b->callbacks.channel(b->arg, PATH_ACCEPTED | 1, &from, PSM, span_str("first"));
	if (due & BIT(EV_DATAGRAM))
		b->callbacks.datagram(b->arg, PATH_AIR, span_str("by air"));
}

static void will_tell(struct bluetooth *b, enum event_kind kind)
{
	b->due |= BIT(kind);
	uv_timer_start(&b->news, tell_news, 0, 0);
}

int bluetooth_new(struct bluetooth **out, uv_loop_t *loop, const struct bluetooth_options *options,
                  const struct bluetooth_callbacks *callbacks, void *arg)
{
	struct bluetooth *b = calloc(1, sizeof(*b));

	(void)options;
	if (b == NULL)
		return ERR_NOMEM;
	b->callbacks = *callbacks;
	b->arg = arg;
	uv_timer_init(loop, &b->news);
	b->news.data = b;
	will_tell(b, EV_RADIOS);
	*out = b;
	return 0;
}

static void news_closed(uv_handle_t *handle)
{
	struct bluetooth *b = handle->data;

	b->closed(b->closed_arg);
	free(b);
}

void bluetooth_close(struct bluetooth *b, void (*closed)(void *arg), void *arg)
{
	if (b == NULL) {
		closed(arg);
		return;
	}
	b->closed = closed;
	b->closed_arg = arg;
	uv_close((uv_handle_t *)&b->news, news_closed);
}

void bluetooth_advertise(struct bluetooth *b, uint32_t interface, struct span adverts)
{
	note("advertise %zu on %u, ", adverts.len, interface & ~ADDRESS_BLUETOOTH);
	will_tell(b, EV_CHANNEL);
}

void bluetooth_scan(struct bluetooth *b, bool on)
{
	note("scan %d, ", on);
	if (on)
		will_tell(b, EV_ADVERT);
}

int bluetooth_open(struct bluetooth *b, uint32_t path, const struct address *remote, uint16_t psm)
{
	(void)remote;
	note("open %u at %x, ", path, psm);
	b->open = driver->channel_is == 0;
	return driver->channel_is;
}

static bool has(const struct bluetooth *b, uint32_t path)
{
	return b->open && path == PATH_AIR;
}

bool bluetooth_send(struct bluetooth *b, uint32_t path, struct span bytes)
{
	if (!has(b, path))
		return false;
	note("send %zu over %u, ", bytes.len, path);
	will_tell(b, EV_DATAGRAM);
	return true;
}

void bluetooth_flush(struct bluetooth *b)
{
	assert(b->callbacks.radios != NULL);
}

bool bluetooth_close_path(struct bluetooth *b, uint32_t path)
{
	if (!has(b, path))
		return false;
	note("close %u, ", path);
	b->open = false;
	return true;
}

void bluetooth_drop_paths(struct bluetooth *b)
{
	note("drop, ");
	b->open = false;
}

size_t bluetooth_status(const struct bluetooth *b, struct bluetooth_status out[static RADIOS_MAX])
{
	(void)b;
	out[0] = (struct bluetooth_status){ .name = "hci0" };
	return 1;
}

/* ---- What is taken over ---------------------------------------------------------- */

int __real_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
enum power __wrap_power_now(const char *folder);
int __real_store_begin(struct store *s);
int __wrap_store_begin(struct store *s);

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
	return driver->hurries
	               ? __real_uv_timer_start(timer, cb, MIN(timeout, HURRY_MS), MIN(repeat, HURRY_MS))
	               : __real_uv_timer_start(timer, cb, timeout, repeat);
}

enum power __wrap_power_now(const char *folder)
{
	(void)folder;
	return driver->supply;
}

int __wrap_store_begin(struct store *s)
{
	const int r = driver->begin_is;

	driver->begins++;
	driver->begin_is = 0;
	return r == 0 ? __real_store_begin(s) : r;
}

/* ---- The child ------------------------------------------------------------------- */

static int open_rows(void *arg, struct store **out)
{
	static struct store *rows;
	const bool armed = failing_memory.armed;
	int r;

	(void)arg;
	store_close(rows);
	rows = NULL;
	if (driver->open_is != 0)
		return driver->open_is;
	failing_memory.armed = false; /* of the rows' memory are other tests */
	r = store_open(&rows, NULL, ":memory:");
	failing_memory.armed = armed;
	*out = rows;
	return r;
}

static int look_at_room(void *arg, bool now)
{
	(void)arg;
	driver->looks += now;
	return driver->room;
}

static int tidy(void *arg)
{
	(void)arg;
	driver->tidied++;
	if (driver->tidy_is != ERR_FULL)
		driver->room = LOOP_ROOM_ENOUGH; /* what fails otherwise fails once */
	return driver->tidy_is;
}

static int run_driver(void)
{
	static const int deadly[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS };
	static const char *const loopback[] = { "lo" };
	const struct loop_options options = { .open = open_rows,
		                              .tidy = driver->no_tidy ? NULL : tidy,
		                              .room = driver->no_room ? NULL : look_at_room,
		                              .home = driver->home,
		                              .read_only = driver->read_only,
		                              .report = driver->report,
		                              .lan = { loopback, 1 },
		                              .rng = random_system() };
	const int null = open("/dev/null", O_WRONLY);
	struct rlimit files;
	int r;

	getrlimit(RLIMIT_NOFILE, &files);
	for (size_t i = 0; i < COUNT_OF(deadly); i++)
		signal(deadly[i], SIG_DFL); /* they are the end of it, not of a test that goes on */
	alarm(ALARM_S);
	dup2(null, STDERR_FILENO);
	if (driver->calls_at > 0)
		failing_calls_arm(driver->calls, driver->calls_at, driver->calls_error);
	if (driver->memory_at > 0)
		failing_memory_arm(driver->memory_at, false);
	r = loop_run(&options);
	fail_nothing();
	setrlimit(RLIMIT_NOFILE, &files); /* what looks at its end needs some */
	return -r;
}

void driver_fork(void)
{
	pid_t child;

	if (!driver->again) {
		snprintf(driver->home, sizeof(driver->home), "/tmp/driver.XXXXXX");
		assert_non_null(mkdtemp(driver->home));
	}
	fflush(NULL);
	child = fork();
	assert_int_not_equal(child, -1);
	if (child == 0)
		exit(run_driver()); /* not _exit(): a leak sanitizer looks then */
	driver->child = child;
}

void driver_socket(char out[static DRIVER_PATH_MAX])
{
	snprintf(out, DRIVER_PATH_MAX, "%s/control", driver->home);
}

static bool has_ended(void)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)driver->child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid != 0;
}

void driver_start(void)
{
	char path[DRIVER_PATH_MAX];

	driver_fork();
	driver_socket(path);
	for (int i = 0; i < DRIVER_LIMIT_MS / TICK_MS && access(path, F_OK) != 0 && !has_ended(); i++)
		usleep(TICK_MS * 1000);
}

int driver_wait(void)
{
	int status = 0;

	assert_int_equal(waitpid(driver->child, &status, 0), driver->child);
	driver->child = 0;
	if (WIFSIGNALED(status))
		fail_msg("the driver ends by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

int driver_stop(int sig)
{
	char path[DRIVER_PATH_MAX];
	int r;

	kill(driver->child, sig);
	r = driver_wait();
	driver_socket(path);
	assert_int_equal(access(path, F_OK), -1);
	return r;
}

int driver_setup(void **state)
{
	(void)state;
	if (driver == NULL)
		driver = mmap(NULL, sizeof(*driver), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		              0);
	if (driver == MAP_FAILED)
		return -1;
	memset(driver, 0, sizeof(*driver));
	return 0;
}

int driver_teardown(void **state)
{
	char path[DRIVER_PATH_MAX];

	(void)state;
	if (driver->child != 0) {
		kill(driver->child, SIGKILL);
		waitpid(driver->child, NULL, 0);
	}
	driver_socket(path);
	unlink(path);
	rmdir(driver->home);
	return 0;
}

/* ---- Its socket ------------------------------------------------------------------ */

int driver_dial(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const struct timeval limit = { DRIVER_LIMIT_MS / 1000, 0 };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char path[DRIVER_PATH_MAX];

	driver_socket(path);
	assert_true(strlen(path) < sizeof(to.sun_path));
	memcpy(to.sun_path, path, strlen(path));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	for (int i = 0; i < DRIVER_LIMIT_MS / TICK_MS; i++) {
		if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
			return fd;
		usleep(TICK_MS * 1000);
	}
	fail_msg("nobody takes the connection");
	return -1;
}

const char *driver_hear(int fd)
{
	static char line[1 << 20];
	const char *end = NULL;
	size_t len = 0;

	while (end == NULL && len < sizeof(line) - 1) {
		const ssize_t there = recv(fd, line + len, sizeof(line) - 1 - len, MSG_PEEK);

		if (there < 0 && errno == EAGAIN)
			fail_msg("nothing comes");
		if (there <= 0)
			break;
		end = memchr(line + len, '\n', (size_t)there);
		len += (size_t)recv(fd, line + len,
		                    end == NULL ? (size_t)there : (size_t)(end + 1 - (line + len)), 0);
	}
	line[end == NULL ? len : len - 1] = '\0';
	return line;
}

void driver_say(int fd, const char *line)
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

void driver_ask(int fd, const char *line, const char *part)
{
	const char *heard;

	driver_say(fd, line);
	heard = driver_hear(fd);
	if (strstr(heard, part) == NULL)
		fail_msg("%s\n  gave %s\n  not  %s", line, heard, part);
}

void driver_send(int fd, const char *text, const char *part)
{
	char line[200];

	snprintf(line, sizeof(line), "{\"v\":1,\"id\":1,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"%s\"}",
	         text);
	driver_ask(fd, line, part);
}

void driver_becomes(const unsigned *count, unsigned wanted)
{
	for (int i = 0; i < DRIVER_LIMIT_MS / TICK_MS && *count < wanted; i++)
		usleep(TICK_MS * 1000);
	assert_true(*count >= wanted);
}
