/*
 * c-toxcore over UDP on 127.0.0.1: two nodes that know each other's key and address, each in a process of its
 * own, which sleeps as long as tox_iteration_interval() says. Nothing is written to a disk, and nothing
 * leaves the machine.
 *
 * It can stall, so every wait has an end, and a row that was given up says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>
#include <tox/tox.h>

#include "tools/bench/bench.h"
#include "tools/bench/home.h"

enum { LINKINGS = 3, MESSAGES = 60, GAP_MAX_MS = 200 };
enum { LINKING_MAX = 15, MESSAGES_MAX = 15 }; /* seconds, for one of these and for all of those */

struct pair {
	Tox *tox[2];
	double began;
	bool online; /* this process sees the other */
	pid_t child;
	int said; /* from the other process: when it saw us, then when it had each message; seconds */
};

/* One turn of the loop that c-toxcore asks for, its sleep cut short at until. */
static void turn(struct pair *p, unsigned side, double until)
{
	tox_iterate(p->tox[side], p);
	const double left = MIN(tox_iteration_interval(p->tox[side]) / 1e3, until - timing_now());

	if (left > 0)
		usleep((useconds_t)(left * 1e6));
}

static void say_now(int fd)
{
	const double now = timing_now();

	if (write(fd, &now, sizeof(now)) != sizeof(now))
		_exit(2);
}

static Tox *make_node(void)
{
	struct Tox_Options *options = tox_options_new(NULL);
	Tox *tox;

	tox_options_set_ipv6_enabled(options, false);
	tox_options_set_local_discovery_enabled(options, false);
	tox = tox_new(options, NULL);
	if (tox == NULL)
		bench_fail("c-toxcore", "it does not start");
	tox_options_free(options);
	return tox;
}

static void introduce(Tox *to, const Tox *who)
{
	uint8_t key[TOX_PUBLIC_KEY_SIZE], dht[TOX_PUBLIC_KEY_SIZE];

	tox_self_get_public_key(who, key);
	tox_self_get_dht_id(who, dht);
	if (tox_friend_add_norequest(to, key, NULL) != 0 ||
	    !tox_bootstrap(to, "127.0.0.1", tox_self_get_udp_port(who, NULL), dht, NULL))
		bench_fail("c-toxcore", "the nodes cannot be introduced");
}

static void on_connection(Tox *tox, uint32_t friend, Tox_Connection connection, void *arg)
{
	struct pair *p = arg;

	(void)friend;
	if (p->online || connection == TOX_CONNECTION_NONE)
		return;
	p->online = true;
	if (tox == p->tox[1])
		say_now(p->said);
}

static void on_message(Tox *tox, uint32_t friend, Tox_Message_Type type, const uint8_t *text, size_t len,
                       void *arg)
{
	const struct pair *p = arg;

	(void)tox;
	(void)friend;
	(void)type;
	(void)text;
	(void)len;
	say_now(p->said);
}

/* The other process; alarm() ends it where nobody else does. */
static void answer(struct pair *p)
{
	alarm(LINKING_MAX + MESSAGES_MAX);
	tox_callback_friend_message(p->tox[1], on_message);
	for (;;)
		turn(p, 1, INFINITY);
}

static void start(struct pair *p)
{
	int ends[2];

	*p = (struct pair){ .began = timing_now() };
	for (unsigned i = 0; i < 2; i++) {
		p->tox[i] = make_node();
		tox_callback_friend_connection_status(p->tox[i], on_connection);
	}
	for (unsigned i = 0; i < 2; i++)
		introduce(p->tox[i], p->tox[1 - i]);
	if (pipe(ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 || (p->child = fork()) < 0)
		bench_fail("c-toxcore", "the system gives no process");
	p->said = ends[p->child == 0];
	close(ends[p->child != 0]);
	if (p->child == 0)
		answer(p);
}

static void stop(struct pair *p)
{
	kill(p->child, SIGKILL);
	waitpid(p->child, NULL, 0);
	close(p->said);
	for (unsigned i = 0; i < 2; i++)
		tox_kill(p->tox[i]);
}

/* Runs our node until the other process says a time. False: not before the end. */
static bool wait_for(struct pair *p, double *out, double end)
{
	for (;;) {
		const ssize_t n = read(p->said, out, sizeof(*out));

		if (n == sizeof(*out))
			return true;
		if (n == 0 || errno != EAGAIN)
			bench_fail("c-toxcore", "the other process has ended");
		if (timing_now() > end)
			return false;
		turn(p, 0, end);
	}
}

/* From the start of both until both see each other. */
static bool link_up(struct pair *p, struct series *out)
{
	const double end = p->began + LINKING_MAX;
	double theirs;

	if (!wait_for(p, &theirs, end))
		return false;
	while (!p->online) {
		if (timing_now() > end)
			return false;
		turn(p, 0, end);
	}
	series_add(out, timing_now() - p->began);
	return true;
}

/* From the sending, at any moment of either's sleep, to the callback. */
static bool send_many(struct pair *p, struct series *out)
{
	static const uint8_t text[HOME_TEXT_LEN] = "a message";
	const double end = timing_now() + MESSAGES_MAX;

	for (unsigned i = 0; i < MESSAGES; i++) {
		const double next = timing_now() + randombytes_uniform(GAP_MAX_MS) / 1e3;
		double began, there;

		while (timing_now() < next)
			turn(p, 0, next);
		began = timing_now();
		tox_friend_send_message(p->tox[0], 0, TOX_MESSAGE_TYPE_NORMAL, text, sizeof(text), NULL);
		if (!wait_for(p, &there, end))
			return false;
		series_add(out, there - began);
	}
	return true;
}

static void add_row(struct bench *b, const char *id, const char *what, const char *unit, double figure)
{
	report_add(&b->report, &(struct row){
	                               .id = id,
	                               .what = what,
	                               .unit = unit,
	                               .ours = figure,
	                               .figure = figure,
	                               .informs = true,
	                       });
}

void bench_toxcore(struct bench *b)
{
	struct series linkings = { .n = 0 }, messages = { .n = 0 };
	bool linked = true, sent = true;
	struct pair p;

	for (unsigned i = 0; i < LINKINGS && linked; i++) {
		start(&p);
		linked = link_up(&p, &linkings);
		if (linked && i == LINKINGS - 1)
			sent = send_many(&p, &messages);
		stop(&p);
	}
	if (!linked) {
		add_row(b, "toxcore-linked", "c-toxcore, two nodes start, to both linked: stalled", "s",
		        LINKING_MAX);
		return;
	}
	add_row(b, "toxcore-linked", "c-toxcore, two nodes start, to both linked, median", "s",
	        series_median(&linkings));
	if (sent)
		add_row(b, "toxcore-message", "c-toxcore, a message sent to received, in memory, median",
		        "ms", series_median(&messages) * 1e3);
	else
		add_row(b, "toxcore-message", "c-toxcore, a message sent to received: stalled", "ms",
		        MESSAGES_MAX * 1e3);
}
