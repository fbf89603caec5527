/*
 * talk.c: two nodes and nothing between them but Bluetooth, in the small machine (machine).
 *
 *     talk FLYLEAF QUICK_GUESS [MESSAGES]
 *
 * As an ordinary user: two vaults, one node on hci0 and one on hci1. They pair by a spoken code, and write
 * MESSAGES to each other and one of the greatest length, while a node is killed, an adapter is switched off,
 * bluetoothd is restarted and both controllers are unplugged. Then they have a network as well, which goes
 * and comes back ten times while they write. At the end nothing is lost, nothing is there twice, and the
 * order is kept. How long a link took to come about is printed. Then `flyleaf doctor` is asked of this
 * machine while it is changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST = 32000, LINKS_MAX = 64, PATIENCE_S = 120 };

struct device {
	const char *name, *home, *interfaces, *other;
	const struct device *peer;
	pid_t pid;
	int control; /* -1: none */
	FILE *replies;
	unsigned written; /* messages to the other, numbered from 0 */
};

static const char *flyleaf, *quick_guess;
static char doctor[256]; /* the command */
static double links[LINKS_MAX];
static size_t links_len;

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("talk: ", stdout);
	vprintf(format, args);
	va_end(args);
	puts("");
	exit(1);
}

/* ---- Processes ---------------------------------------------------------------- */

/* flyleaf WORDS, which end with NULL, reading its pass-phrase from descriptor 3. */
static pid_t begin(const char *const *words)
{
	const char *argv[16] = { flyleaf };
	int phrase[2];
	pid_t pid;

	for (size_t i = 0; words[i] != NULL; i++)
		argv[i + 1] = words[i];
	if (pipe(phrase) != 0)
		fail("no pipe");
	pid = fork();
	if (pid == 0) {
		dup2(phrase[0], 3);
		setenv("LD_PRELOAD", quick_guess, 1);
		execv(flyleaf, (char *const *)argv);
		_exit(127);
	}
	close(phrase[0]);
	if (pid < 0 || write(phrase[1], "a phrase for a test", 19) != 19)
		fail("%s does not start", flyleaf);
	close(phrase[1]);
	return pid;
}

static void begin_control(struct device *d)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const double until = now_s() + PATIENCE_S;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/control", d->home);
	for (;;) {
		d->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(d->control, (struct sockaddr *)&at, sizeof(at)) == 0)
			break;
		close(d->control);
		if (now_s() > until || waitpid(d->pid, NULL, WNOHANG) != 0)
			fail("the node of %s does not open", d->name);
		usleep(50000);
	}
	d->replies = fdopen(d->control, "r");
}

static void start(struct device *d)
{
	d->pid = begin((const char *[]){ "run", "--home", d->home, "--interfaces", d->interfaces,
	                                 "--passphrase-fd", "3", NULL });
	begin_control(d);
}

static void end(struct device *d, int signal)
{
	kill(d->pid, signal);
	if (waitpid(d->pid, NULL, 0) != d->pid)
		fail("the node of %s does not end", d->name);
	fclose(d->replies);
}

/* What only root may do; the machine does it. */
static void root(const char *command)
{
	char answer[16] = "";
	FILE *f = fopen("/run/ask", "w");

	if (f == NULL)
		fail("nobody to ask");
	fprintf(f, "%s\n", command);
	fclose(f);
	f = fopen("/run/answer", "r");
	if (f == NULL || fgets(answer, sizeof(answer), f) == NULL || atoi(answer) != 0)
		fail("%s: status %s", command, answer);
	fclose(f);
}

/* ---- Requests ----------------------------------------------------------------- */

/* The reply to a request, which is given up; it is the caller's, and NULL where it was refused. */
static json_t *ask(struct device *d, json_t *request)
{
	char *line = NULL;
	size_t size = 0;
	json_t *reply;

	json_object_set_new(request, "v", json_integer(1));
	json_object_set_new(request, "id", json_integer(1));
	line = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (dprintf(d->control, "%s\n", line) < 0)
		fail("the node of %s does not listen", d->name);
	free(line);
	line = NULL;
	if (getline(&line, &size, d->replies) <= 0)
		fail("the node of %s does not answer", d->name);
	reply = json_loads(line, 0, NULL);
	free(line);
	if (reply == NULL || json_is_true(json_object_get(reply, "ok")))
		return reply;
	printf("talk: %s: refused: %s\n", d->name, json_string_value(json_object_get(reply, "text")));
	json_decref(reply);
	return NULL;
}

static void demand(struct device *d, json_t *request)
{
	json_t *reply = ask(d, request);

	if (reply == NULL)
		fail("refused");
	json_decref(reply);
}

static json_t *contact_of(struct device *d)
{
	json_t *reply = ask(d, json_pack("{s:s}", "do", "contacts")), *c;

	c = json_incref(json_array_get(json_object_get(reply, "contacts"), 0));
	json_decref(reply);
	return c;
}

static bool has_radio(struct device *d)
{
	json_t *reply = ask(d, json_pack("{s:s}", "do", "status")), *carrier;
	bool yes = false;
	size_t i;

	json_array_foreach(json_object_get(reply, "carriers"), i, carrier)
	{
		yes |= strcmp(json_string_value(json_object_get(carrier, "carrier")), "bluetooth") == 0 &&
		       json_is_true(json_object_get(carrier, "works"));
	}
	json_decref(reply);
	return yes;
}

static bool has_no_radio(struct device *d)
{
	return !has_radio(d);
}

static bool is_pending(struct device *d)
{
	json_t *c = contact_of(d);
	const char *state = json_string_value(json_object_get(c, "state"));
	const bool yes = state != NULL && strcmp(state, "pending") == 0;

	json_decref(c);
	return yes;
}

static bool is_linked(struct device *d)
{
	json_t *c = contact_of(d);
	const bool yes = json_is_true(json_object_get(c, "linked"));

	json_decref(c);
	return yes;
}

static bool is_over(struct device *d, const char *carrier)
{
	json_t *c = contact_of(d);
	const char *over = json_string_value(json_object_get(c, "over"));
	const bool yes = over != NULL && strcmp(over, carrier) == 0;

	json_decref(c);
	return yes;
}

static bool is_over_lan(struct device *d)
{
	return is_over(d, "lan");
}

static bool is_over_bluetooth(struct device *d)
{
	return is_over(d, "bluetooth");
}

static bool nothing_waits(struct device *d)
{
	json_t *c = contact_of(d);
	const bool yes = json_integer_value(json_object_get(c, "waiting")) == 0;

	json_decref(c);
	return yes;
}

static void print_status(struct device *d)
{
	json_t *status = ask(d, json_pack("{s:s}", "do", "status")), *c = contact_of(d);

	json_dumpf(status, stdout, 0);
	json_dumpf(c, stdout, 0);
	puts("");
	json_decref(status);
	json_decref(c);
}

static void wait_for(bool (*is)(struct device *d), struct device *d, const char *what)
{
	const double until = now_s() + PATIENCE_S;

	while (!is(d)) {
		if (now_s() > until)
			print_status(d);
		if (now_s() > until)
			fail("%s: not within %d s: %s", d->name, PATIENCE_S, what);
		usleep(50000);
	}
}

/* ---- What they do ------------------------------------------------------------- */

static void pair(struct device *a, struct device *b)
{
	json_t *shown;
	double began;
	const char *code;

	wait_for(has_radio, a, "an adapter");
	wait_for(has_radio, b, "an adapter");
	began = now_s();
	shown = ask(a, json_pack("{s:s, s:s, s:b}", "do", "pair_show", "name", a->other, "qr", 0));
	code = json_string_value(json_object_get(shown, "code"));

	demand(b, json_pack("{s:s, s:s, s:s}", "do", "pair_enter", "name", b->other, "code", code));
	json_decref(shown);
	wait_for(is_pending, a, "pairing");
	wait_for(is_pending, b, "pairing");
	printf("talk: paired by a spoken code after %.1f s\n", now_s() - began);
	demand(a, json_pack("{s:s, s:s, s:b}", "do", "pair_confirm", "name", a->other, "same", 1));
	demand(b, json_pack("{s:s, s:s, s:b}", "do", "pair_confirm", "name", b->other, "same", 1));
	demand(a, json_pack("{s:s, s:s, s:s}", "do", "mode", "name", a->other, "mode", "call"));
}

static void link_up(struct device *a, struct device *b, double began)
{
	wait_for(is_linked, a, "a link");
	wait_for(is_linked, b, "a link");
	if (links_len < LINKS_MAX)
		links[links_len++] = now_s() - began;
}

static void text_of(char *out, const struct device *d, unsigned number)
{
	int len = snprintf(out, LONGEST + 1, "%s writes number %u ", d->name, number);

	if (number % 500 == 100) {
		memset(out + len, 'x', LONGEST - (size_t)len);
		out[LONGEST] = '\0';
	}
}

static void write_some(struct device *d, unsigned n)
{
	static char text[LONGEST + 1];

	for (; n > 0; n--) {
		text_of(text, d, d->written++);
		demand(d, json_pack("{s:s, s:s, s:s}", "do", "send", "name", d->other, "text", text));
	}
}

/* Reads the whole conversation of d: the other's messages are there, once each and in order. */
static void look(struct device *d)
{
	static char text[LONGEST + 1];
	unsigned next = 0;
	json_int_t from = 0, end;

	do {
		json_t *reply =
		        ask(d, json_pack("{s:s, s:s, s:I}", "do", "read", "name", d->other, "from", from));
		json_t *list = json_object_get(reply, "messages"), *m;
		size_t i;

		json_array_foreach(list, i, m)
		{
			if (json_is_true(json_object_get(m, "own")))
				continue;
			text_of(text, d->peer, next);
			if (strcmp(json_string_value(json_object_get(m, "text")), text) != 0)
				fail("%s has \"%.60s\" where number %u of %s should be", d->name,
				     json_string_value(json_object_get(m, "text")), next, d->peer->name);
			next++;
		}
		end = json_integer_value(json_object_get(reply, "next"));
		i = json_array_size(list);
		json_decref(reply);
		if (i == 0 || end <= from)
			break;
		from = end;
	} while (true);
	if (next != d->peer->written)
		fail("%s has %u of the %u messages of %s", d->name, next, d->peer->written, d->peer->name);
}

/* Everything written is stored, and is there. */
static void audit(struct device *const both[2])
{
	for (size_t i = 0; i < 2; i++)
		wait_for(nothing_waits, both[i], "everything to be stored");
	for (size_t i = 0; i < 2; i++)
		look(both[i]);
}

/* With a network too: it goes and comes back while they write. */
static void roam(struct device *const both[2], unsigned times, unsigned messages)
{
	for (size_t i = 0; i < 2; i++)
		end(both[i], SIGTERM);
	both[0]->interfaces = "lo=127.0.0.1,hci0";
	both[1]->interfaces = "lo=127.0.0.2,hci1";
	for (size_t i = 0; i < 2; i++)
		start(both[i]);
	for (unsigned n = 0; n < times; n++) {
		const double began = now_s();

		wait_for(is_over_lan, both[0], "a link over the network");
		write_some(both[n % 2], messages / times);
		root("ip link set lo down");
		write_some(both[(n + 1) % 2], messages / times);
		wait_for(is_over_bluetooth, both[0], "a link over Bluetooth");
		root("ip link set lo up");
		printf("talk: from the network to Bluetooth, %.1f s\n", now_s() - began);
	}
	audit(both);
}

/* flyleaf doctor says this of the machine. */
static void doctor_says(const char *words)
{
	static char said[8192];
	size_t len;
	FILE *f = popen(doctor, "r");

	if (f == NULL)
		fail("no doctor");
	len = fread(said, 1, sizeof(said) - 1, f);
	said[len] = '\0';
	pclose(f);
	if (strstr(said, words) == NULL)
		fail("doctor does not say \"%s\", but:\n%s", words, said);
}

static void visit_doctor(void)
{
	snprintf(doctor, sizeof(doctor), "%s doctor", flyleaf);
	doctor_says("good  Bluetooth: hci0 is on");
	doctor_says("good  Bluetooth: hci1 is on");
	doctor_says("WEAK  Bluetooth address: always the same");
	doctor_says("good  Bluetooth visibility: this machine does not show itself");
	doctor_says("?     Bluetooth name: while this device calls, who is near can read from it: ");
	doctor_says("?     Bluetooth records: ");
	root("bluetoothctl discoverable on && sed -i 's/^.General.$/&\\nPrivacy = device/' "
	     "/etc/bluetooth/main.conf");
	doctor_says("WEAK  Bluetooth visibility: hci");
	doctor_says("good  Bluetooth address: another one every few minutes");
	root("for i in /sys/class/rfkill/rfkill*; do echo 1 >$i/soft; done");
	doctor_says("good  Bluetooth: hci1 is not used: blocked by a switch (rfkill)");
	root("bluetoothd off");
	doctor_says("good  Bluetooth: not used: the system's Bluetooth service is not running");
	root("controllers off");
	doctor_says("good  Bluetooth: there is no adapter");
	puts("talk: doctor says what there is to say of Bluetooth");
}

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	struct device ana = { .name = "ana", .home = "/home/user/ana", .interfaces = "hci0", .other = "Ben" };
	struct device ben = { .name = "ben", .home = "/home/user/ben", .interfaces = "hci1", .other = "Ana" };
	struct device *both[] = { &ana, &ben };
	unsigned messages;
	double began = now_s();

	if (argc < 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	flyleaf = argv[1];
	quick_guess = argv[2];
	messages = argc > 3 ? (unsigned)atoi(argv[3]) : 1000;
	ana.peer = &ben;
	ben.peer = &ana;
	for (size_t i = 0; i < 2; i++) {
		int status;
		const pid_t pid = begin(
		        (const char *[]){ "init", "--home", both[i]->home, "--passphrase-fd", "3", NULL });

		if (waitpid(pid, &status, 0) != pid || status != 0)
			fail("no vault for %s", both[i]->name);
		start(both[i]);
	}
	pair(&ana, &ben);
	link_up(&ana, &ben, now_s());
	for (unsigned round = 0; round < 10; round++) {
		write_some(&ana, messages / 10);
		write_some(&ben, messages / 10);
		began = now_s();
		switch (round) {
		case 1:
		case 5:
			end(&ben, SIGKILL);
			start(&ben);
			began = now_s();
			link_up(&ana, &ben, began);
			break;
		case 2:
		case 6:
			root("btmgmt --index 1 power off");
			root("btmgmt --index 1 power on");
			began = now_s();
			link_up(&ana, &ben, began);
			break;
		case 3:
			root("bluetoothd off");
			root("bluetoothd on");
			break;
		case 4:
			root("controllers off");
			for (size_t i = 0; i < 2; i++) /* else they have other names when they come back */
				wait_for(has_no_radio, both[i], "the adapters to be gone");
			root("controllers on");
			break;
		case 7:
			end(&ana, SIGKILL);
			start(&ana);
			began = now_s();
			link_up(&ana, &ben, began);
			break;
		default:
			break;
		}
		printf("talk: round %u, %.1f s\n", round, now_s() - began);
	}
	audit(both);
	qsort(links, links_len, sizeof(links[0]), ascending);
	printf("talk: %u and %u messages, nothing lost, doubled or out of order; %zu links, median %.1f s, "
	       "longest "
	       "%.1f s\n",
	       ana.written, ben.written, links_len, links[links_len / 2], links[links_len - 1]);
	roam(both, 10, 200);
	puts("talk: ten times from the network to Bluetooth and back: nothing lost, doubled or out of order");
	end(&ana, SIGTERM);
	end(&ben, SIGTERM);
	visit_doctor();
	return 0;
}
