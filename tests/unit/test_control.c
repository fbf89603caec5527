/*
 * The socket of the driver, whole, and the faces that use it well and badly; and the process that they run
 * in.
 */
#include "node/control.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/lines.h"
#include "node/object.h"
#include "node/process.h"
#include "tests/failing_memory.h"
#include "tests/unit/driver.h"
#include "tests/unit/unit.h"

/* ---- Tests ----------------------------------------------------------------- */

static const char hello[] = "{\"v\":1,\"id\":1,\"do\":\"hello\"}";
static const char follow[] = "{\"v\":1,\"id\":1,\"do\":\"follow\"}";

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
	int fd;

	(void)state;
	driver_start();
	fd = driver_dial();
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		const char *heard;

		driver_say(fd, table[i].says);
		heard = driver_hear(fd);
		if (strstr(heard, table[i].hears) == NULL)
			fail_msg("%s\n  gave %s\n  not  %s", table[i].says, heard, table[i].hears);
	}
	close(fd);
	assert_int_equal(driver_stop(SIGTERM), 0);
}

static void lines_in_one_piece_are_answered_in_order(void **state)
{
	char all[200 * 80] = "";
	unsigned turns;
	int fd;

	(void)state;
	driver_start();
	fd = driver_dial();
	for (unsigned i = 0; i < 150; i++)
		snprintf(all + strlen(all), 80, "%s{\"v\":1,\"id\":%u,\"do\":\"%s}", i > 0 ? "\n" : "", i,
		         i % 50 == 49 ? "read\",\"name\":\"Anna\",\"last\":1"
		                      : "send\",\"name\":\"Anna\",\"text\":\"x\"");
	turns = driver->settles;
	driver_say(fd, all);
	for (unsigned i = 0; i < 150; i++) {
		char begins[32];
		const char *heard = driver_hear(fd);

		snprintf(begins, sizeof(begins), "{\"v\":1,\"id\":%u,\"ok\":true,", i);
		assert_memory_equal(heard, begins, strlen(begins));
	}
	assert_true(driver->settles - turns < 20); /* many of them share a turn */
	close(fd);
	assert_int_equal(driver_stop(SIGINT), 0);
}

static void a_line_may_be_long_but_not_longer(void **state)
{
	const size_t size = CONTROL_LINE_MAX + 100;
	char *line = malloc(size);
	int fd;

	(void)state;
	driver_start();
	fd = driver_dial();
	memset(line, ' ', size);
	memcpy(line, "{\"v\":1,\"id\":1,\"do\":\"hello\"", 26);
	memcpy(line + CONTROL_LINE_MAX - 2, "}", 2);
	driver_say(fd, line);
	assert_non_null(strstr(driver_hear(fd), "\"protocol\":1}"));
	memset(line, 'x', size);
	line[size - 1] = '\0';
	driver_say(fd, line);
	assert_non_null(strstr(driver_hear(fd), "bad-request"));
	assert_string_equal(driver_hear(fd), ""); /* cut off */
	close(fd);
	fd = driver_dial();
	driver_send(fd, "CALLS 2 uv_write", "\"ok\":true");
	driver_say(fd, line);
	assert_string_equal(driver_hear(fd), ""); /* also where that cannot be said */
	close(fd);
	free(line);
	assert_int_equal(driver_stop(SIGHUP), 0);
}

static void a_seventeenth_face_is_refused(void **state)
{
	int fds[CONTROL_FACES_MAX + 1];

	(void)state;
	driver_start();
	for (unsigned i = 0; i < COUNT_OF(fds); i++) {
		fds[i] = driver_dial();
		driver_say(fds[i], "{\"v\":1,\"id\":1,\"do\":\"hello\"}");
		assert_non_null(strstr(driver_hear(fds[i]),
		                       i < CONTROL_FACES_MAX ? "flyleaf" : "\"error\":\"limit\""));
	}
	close(fds[0]);
	close(fds[CONTROL_FACES_MAX]);
	usleep(50000);
	fds[0] = driver_dial();
	driver_say(fds[0], "{\"v\":1,\"id\":1,\"do\":\"hello\"}");
	assert_non_null(strstr(driver_hear(fds[0]), "flyleaf"));
	for (unsigned i = 0; i < CONTROL_FACES_MAX; i++)
		close(fds[i]);
	assert_int_equal(driver_stop(SIGTERM), 0);
}

static bool is_cut_off(int fd)
{
	struct pollfd gone = { fd, 0, 0 };

	return poll(&gone, 1, 0) == 1 && (gone.revents & POLLHUP) != 0;
}

static void who_follows_hears_and_who_does_not_read_is_cut_off(void **state)
{
	enum { AT_ONCE = CONTROL_ASKED_MAX - 1, TIMES_MAX = 1000 };
	static const char send_x[] = "{\"v\":1,\"id\":2,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"x\"}\n";
	static char lines[AT_ONCE * sizeof(send_x)];
	int deaf, follower, sender;
	char byte;
	unsigned times;

	(void)state;
	for (unsigned i = 0; i < AT_ONCE; i++)
		memcpy(lines + i * (sizeof(send_x) - 1), send_x, sizeof(send_x));
	lines[AT_ONCE * (sizeof(send_x) - 1) - 1] = '\0'; /* the last newline is said with it */
	driver_start();
	deaf = driver_dial();
	follower = driver_dial();
	sender = driver_dial();
	driver_say(deaf, follow);
	driver_ask(follower, follow, "\"ok\":true}");
	for (times = 0; times < TIMES_MAX && !is_cut_off(deaf); times++) {
		driver_say(sender, lines);
		for (unsigned i = 0; i < AT_ONCE; i++) {
			assert_non_null(strstr(driver_hear(sender), "\"position\""));
			assert_non_null(strstr(driver_hear(follower), "\"event\":\"message\""));
		}
	}
	assert_true(times > 0 && times < TIMES_MAX);
	while (recv(deaf, &byte, 1, 0) == 1)
		;
	driver_ask(sender, "{\"v\":1,\"id\":3,\"do\":\"lock\"}", "\"ok\":true}");
	assert_string_equal(driver_hear(follower), "{\"v\":1,\"event\":\"locked\"}");
	close(deaf);
	close(follower);
	close(sender);
	assert_int_equal(driver_stop(0), 0);
}

/* What was closed before this is gone for the driver too. */
static void settle(void)
{
	const int fd = driver_dial();

	for (int i = 0; i < 2; i++) /* the second comes in a later iteration of its loop */
		driver_ask(fd, hello, "\"protocol\":1}");
	close(fd);
}

/* Only a pairing that is under way is cancelled when its face goes. */
static void a_pairing_ends_with_its_face(void **state)
{
	static const struct {
		const char *begins, *ends;
		unsigned cancels;
	} table[] = {
		{ "\"pair_show\",\"name\":\"Eve\",\"qr\":false", NULL, 1 },
		{ "\"pair_enter\",\"name\":\"Eve\",\"code\":\"12 one\"", NULL, 1 },
		{ "\"pair_both\",\"name\":\"Eve\"", NULL, 1 },
		{ "\"pair_both\",\"name\":\"Eve\"", "\"pair_cancel\"", 1 }, /* its own */
		{ "\"pair_show\",\"name\":\"Eve\",\"qr\":false",
		  "\"send\",\"name\":\"Anna\",\"text\":\"MET\"", 0 },
		{ "\"pair_show\",\"name\":\"Eve\",\"qr\":false",
		  "\"send\",\"name\":\"Anna\",\"text\":\"UNMET\"", 0 },
		{ "\"pair_show\",\"name\":\"Eve\",\"qr\":false",
		  "\"send\",\"name\":\"Anna\",\"text\":\"FAIL\"", 0 }, /* the node forgot it */
	};

	(void)state;
	driver_start();
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		const int fd = driver_dial(), other = driver_dial();
		const unsigned before = driver->cancels;
		char line[128];

		snprintf(line, sizeof(line), "{\"v\":1,\"id\":1,\"do\":%s}", table[i].begins);
		driver_ask(fd, line, "\"ok\":true");
		close(other); /* another one's going changes nothing */
		settle();
		assert_int_equal(driver->cancels, before);
		if (table[i].ends != NULL) {
			snprintf(line, sizeof(line), "{\"v\":1,\"id\":1,\"do\":%s}", table[i].ends);
			driver_ask(fd, line, "\"ok\":");
		}
		close(fd);
		settle();
		assert_int_equal(driver->cancels, before + table[i].cancels);
	}
	assert_int_equal(driver_stop(SIGTERM), 0);
}

static void a_pairing_ends_with_the_driver(void **state)
{
	int fd;

	(void)state;
	driver_start();
	fd = driver_dial();
	driver_ask(fd, "{\"v\":1,\"id\":1,\"do\":\"pair_show\",\"name\":\"Eve\",\"qr\":false}",
	           "\"ok\":true");
	assert_int_equal(driver_stop(SIGTERM), 0);
	assert_int_equal(driver->cancels, 0); /* the node is told that it is locked, and no more */
	close(fd);
}

/* Who asks and does not read is not answered further, and not read, until it does; it loses nothing. */
static void who_asks_without_reading_is_waited_for(void **state)
{
	static const char line[] = "{\"v\":1,\"id\":1,\"do\":\"read\",\"name\":\"Anna\"}\n";
	unsigned idle = 0;
	size_t at = 0;
	int fd;

	(void)state;
	driver_start();
	fd = driver_dial();
	for (unsigned i = 0; i < 100; i++)
		driver_send(fd, "a text of some length, so that replies are long", "\"ok\":true");
	while (idle < 50) {
		const ssize_t n = send(fd, line + at, sizeof(line) - 1 - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		else
			usleep(2000);
		idle = n > 0 ? 0 : idle + 1;
		at %= sizeof(line) - 1;
	}
	for (unsigned i = 0; i < 100; i++)
		assert_non_null(strstr(driver_hear(fd), "\"messages\":["));
	close(fd); /* and what it was still to hear goes nowhere */
	fd = driver_dial();
	driver_ask(fd, hello, "\"protocol\":1}");
	close(fd);
	assert_int_equal(driver_stop(SIGTERM), 0);
}

/* What is asked after the lock is not done. */
static void nothing_is_asked_after_the_lock(void **state)
{
	int fd;

	(void)state;
	driver_start();
	fd = driver_dial();
	driver_ask(fd,
	           "{\"v\":1,\"id\":1,\"do\":\"lock\"}\n"
	           "{\"v\":1,\"id\":2,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"x\"}",
	           "\"id\":1,\"ok\":true}");
	assert_string_equal(driver_hear(fd), "");
	close(fd);
	assert_int_equal(driver_wait(), 0);
	assert_int_equal(driver->sends, 0);
}

static void another_user_is_not_heard(void **state)
{
	pid_t child;
	int status;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can be another user\n");
		skip();
	}
	driver_start();
	chmod(driver->home, 0755);
	child = fork();
	if (child == 0) {
		char path[DRIVER_PATH_MAX];
		int fd;

		driver_socket(path);
		chmod(path, 0666); /* even where the file would let it */
		if (setuid(65534) != 0)
			_exit(2);
		fd = driver_dial();
		driver_say(fd, "{\"v\":1,\"id\":1,\"do\":\"hello\"}");
		_exit(driver_hear(fd)[0] == '\0' ? 0 : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(driver_stop(SIGTERM), 0);
}

static void the_socket_is_for_its_owner_and_takes_no_others_place(void **state)
{
	struct stat st;
	char path[DRIVER_PATH_MAX];

	(void)state;
	driver_start();
	close(driver_dial());
	driver_socket(path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	kill(driver->child, SIGKILL);
	waitpid(driver->child, NULL, 0);
	driver->again = true;
	driver_start(); /* what was left behind is taken over */
	settle();
	assert_int_equal(driver_stop(SIGTERM), 0);
	close(creat(path, 0600));
	driver_fork();
	assert_int_equal(driver_wait(), -ERR_EXISTS);
	assert_int_equal(unlink(path), 0);
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

/* ---- What is refused ----------------------------------------------------------- */

static void a_home_whose_name_is_too_long_has_no_socket(void **state)
{
	(void)state;
	memset(driver->home, 'x', sizeof(driver->home) - 1);
	driver->again = true;
	driver_fork();
	assert_int_equal(driver_wait(), -ERR_SYSTEM);
}

static void a_socket_that_cannot_be_removed_is_told(void **state)
{
	(void)state;
	driver_start();
	close(driver_dial());
	kill(driver->child, SIGKILL);
	waitpid(driver->child, NULL, 0);
	driver->again = true;
	driver->calls = "unlink";
	driver->calls_at = 1;
	driver->calls_error = EPERM;
	driver_fork();
	assert_int_equal(driver_wait(), -ERR_READONLY);
}

/* A node that nobody can reach any more locks itself. */
static void a_driver_that_can_take_no_face_locks(void **state)
{
	struct rlimit few;
	int fd;

	(void)state;
	driver_start();
	settle(); /* it has all that it opens */
	assert_int_equal(prlimit(driver->child, RLIMIT_NOFILE, NULL, &few), 0);
	few.rlim_cur = 3;
	assert_int_equal(prlimit(driver->child, RLIMIT_NOFILE, &few, NULL), 0);
	fd = driver_dial();
	assert_string_equal(driver_hear(fd), "");
	assert_int_equal(driver_wait(), 0);
	close(fd);
}

/* A face that the system fails is cut off, and the next one is served. */
static void a_face_that_the_system_fails_is_cut_off(void **state)
{
	static const char *const calls[] = { "uv_fileno", "getsockopt", "uv_read_start", "uv_write" };
	int fd, failed;

	(void)state;
	driver_start();
	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		char order[32];

		fd = driver_dial();
		failed = driver_dial();
		driver_ask(failed, hello, "\"protocol\":1}");
		/* the reply to this is the first that is written */
		snprintf(order, sizeof(order), "CALLS 1 %s", calls[i]);
		driver_send(fd, order, i == 3 ? "" : "\"ok\":true");
		if (i < 3) {
			close(failed);
			failed = driver_dial();
			driver_say(failed, hello);
			assert_string_equal(driver_hear(failed), "");
			driver_send(fd, "x", "\"ok\":true");
		} else {
			driver_ask(failed, hello, "\"protocol\":1}");
			driver_send(failed, "x", "\"ok\":true");
		}
		assert_true(driver->seen >= 1);
		close(fd);
		close(failed);
	}
	assert_int_equal(driver_stop(SIGTERM), 0);
}

/* ---- Memory that is short ------------------------------------------------------ */

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

		failing_memory_arm(at, false);
		lines_parse(&a, span_str(line));
		reached = failing_memory.seen >= at;
		failing_memory.armed = false;
		if (a.word != NULL)
			assert_true(span_equal(a.request.text, span_str(text)));
		else
			assert_true(reached);
		lines_forget(&a);
	}
}

/* Once more as ever, or an error, or nothing and the end: never something else. */
static void hears_as_ever(int fd, const char *as_ever)
{
	const char *heard = driver_hear(fd);

	if (heard[0] != '\0' && strstr(heard, "\"error\":\"failed\",\"text\":\"out of memory\"}") == NULL)
		assert_non_null(strstr(heard, as_ever));
}

/* All that there is to fail: a reply, an event, a face that comes, a line that grows, a turn that is lost. */
static void use_every_way(const char *order)
{
	static const char full[] = "{\"v\":1,\"id\":1,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"FULL\"}\n"
	                           "{\"v\":1,\"id\":2,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"FULL\"}";
	static const char program[] =
	        "\"ok\":true,\"program\":\"flyleaf\",\"version\":\"0.1.0\",\"protocol\":1}";
	static char longer[6000];
	const int follower = driver_dial(), fd = driver_dial();
	int late;

	memset(longer, ' ', sizeof(longer) - 1);
	memcpy(longer, hello, sizeof(hello) - 1);
	driver_ask(follower, follow, "\"ok\":true");
	driver_send(fd, order, "");
	driver_say(fd, "{\"v\":1,\"id\":3,\"do\":\"read\",\"name\":\"Anna\",\"last\":1}");
	hears_as_ever(fd, "{\"v\":1,\"id\":3,\"ok\":true,\"messages\":[");
	late = driver_dial();
	driver_say(late, longer);
	hears_as_ever(late, program);
	driver_say(late, full);
	hears_as_ever(late,
	              "\"id\":1,\"ok\":false,\"error\":\"failed\",\"text\":\"no space left on the disk\"}");
	hears_as_ever(late,
	              "\"id\":2,\"ok\":false,\"error\":\"failed\",\"text\":\"no space left on the disk\"}");
	hears_as_ever(follower, "\"event\":\"message\"");
	close(fd);
	close(follower);
	close(late);
}

static void a_face_is_never_misled_when_memory_is_short(void **state)
{
	(void)state;
	driver_start();
	for (unsigned at = 1; at == 1 || driver->seen >= at - 1; at++) {
		unsigned tries = 0, sends;
		char order[32];

		snprintf(order, sizeof(order), "MEMORY %u", at);
		use_every_way(order);
		for (sends = driver->sends; driver->sends == sends;
		     tries++) { /* whom it cuts off comes again */
			const int fd = driver_dial();

			assert_true(tries < 2);
			driver_send(fd, "y", "");
			close(fd);
		}
	}
	assert_int_equal(driver_stop(SIGTERM), 0);
}

int main(void)
{
#define WITH_DRIVER(test) cmocka_unit_test_setup_teardown(test, driver_setup, driver_teardown)
	const struct CMUnitTest tests[] = {
		WITH_DRIVER(each_request_has_its_reply),
		WITH_DRIVER(lines_in_one_piece_are_answered_in_order),
		WITH_DRIVER(a_line_may_be_long_but_not_longer),
		WITH_DRIVER(a_seventeenth_face_is_refused),
		WITH_DRIVER(who_follows_hears_and_who_does_not_read_is_cut_off),
		WITH_DRIVER(a_pairing_ends_with_its_face),
		WITH_DRIVER(a_pairing_ends_with_the_driver),
		WITH_DRIVER(who_asks_without_reading_is_waited_for),
		WITH_DRIVER(nothing_is_asked_after_the_lock),
		WITH_DRIVER(another_user_is_not_heard),
		WITH_DRIVER(the_socket_is_for_its_owner_and_takes_no_others_place),
		WITH_DRIVER(a_home_whose_name_is_too_long_has_no_socket),
		WITH_DRIVER(a_socket_that_cannot_be_removed_is_told),
		WITH_DRIVER(a_driver_that_can_take_no_face_locks),
		WITH_DRIVER(a_face_that_the_system_fails_is_cut_off),
		WITH_DRIVER(a_face_is_never_misled_when_memory_is_short),
		cmocka_unit_test(a_hardened_process_shows_nothing),
		cmocka_unit_test(a_file_never_takes_the_place_of_the_output),
		cmocka_unit_test(a_request_is_whole_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
