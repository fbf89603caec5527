/*
 * The driver: turns that fail, room that comes and goes, timers, the network and Bluetooth, and what the
 * system refuses when it begins.
 */
#include "node/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/driver.h"
#include "tests/unit/unit.h"

static const char status[] = "{\"v\":1,\"id\":2,\"do\":\"status\"}";

static void says_room(int fd, const char *room)
{
	char part[32];

	snprintf(part, sizeof(part), "\"room\":\"%s\"", room);
	driver_ask(fd, status, part);
}

/* ---- Turns that fail ----------------------------------------------------------- */

static void a_failure_is_told_and_begun_anew(void **state)
{
	int fd;

	(void)state;
	driver_start();
	fd = driver_dial();
	for (unsigned i = 1; i <= LOOP_RESTARTS_MAX; i++) {
		driver_send(fd, "FAIL", "\"error\":\"failed\",\"text\":\"input/output error\"");
		driver_ask(fd, status, "\"ok\":true");
		assert_int_equal(driver->news, 1 + i);
	}
	driver_say(fd, "{\"v\":1,\"id\":1,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"FAIL\"}");
	assert_int_equal(driver_stop(0), -ERR_IO);
	close(fd);
}

/* Of one turn all or nothing, and a turn that cannot begin or leave has failed as well. */
static void all_that_a_failed_turn_was_asked_fails(void **state)
{
	static const char both[] = "{\"v\":1,\"id\":1,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"FAIL\"}\n"
	                           "{\"v\":1,\"id\":2,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"x\"}";
	int fd;

	(void)state;
	driver_start();
	fd = driver_dial();
	driver_ask(fd, both, "\"id\":1,\"ok\":false,\"error\":\"failed\"");
	assert_non_null(strstr(driver_hear(fd), "\"id\":2,\"ok\":false,\"error\":\"failed\""));
	driver_send(fd, "x", "\"position\":0}");
	driver->begin_is = ERR_BUSY;
	driver_send(fd, "x", "\"text\":\"in use by another process\"");
	driver->channel_is = ERR_NOMEM;
	driver_send(fd, "AIR", "\"text\":\"out of memory\"");
	driver_send(fd, "x", "\"position\":0}");
	close(fd);
	assert_int_equal(driver_stop(SIGTERM), 0);
}

/* At first, and after a failure. */
static void what_does_not_open_ends_it(void **state)
{
	static const struct driver table[] = { { .open_is = ERR_CORRUPT },
		                               { .new_is = ERR_NOMEM },
		                               { .begin_is = ERR_BUSY } };
	int fd;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		const int is = table[i].open_is + table[i].new_is + table[i].begin_is;

		*driver = table[i];
		driver_fork();
		assert_int_equal(driver_stop(0), -is);
		rmdir(driver->home);
		driver_setup(NULL);
		driver_start();
		fd = driver_dial();
		driver_send(fd, "x", "\"ok\":true"); /* what it begins with is done */
		driver_say(fd, "{\"v\":1,\"id\":1,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"STALL\"}\n"
		               "{\"v\":1,\"id\":1,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"FAIL\"}");
		driver_becomes(&driver->sends, 2); /* its turn is open, */
		driver->open_is = table[i].open_is;
		driver->new_is = table[i].new_is;
		driver->begin_is = table[i].begin_is; /* so that this is the next one's */
		assert_int_equal(driver_stop(0), -is);
		rmdir(driver->home);
		close(fd);
	}
}

/* ---- Room ------------------------------------------------------------------------ */

/* As often as it likes: what fails is told, people are heard, and the network waits for room. */
static void a_full_disk_ends_nothing(void **state)
{
	unsigned news, networks;
	int fd;

	(void)state;
	driver_start();
	fd = driver_dial();
	driver_send(fd, "before", "\"ok\":true");
	driver_becomes(&driver->networks, 1);
	news = driver->news;
	networks = driver->networks;
	driver->room = LOOP_ROOM_LOW; /* a little: not enough to go on with the network */
	for (unsigned i = 1; i <= 3 * LOOP_RESTARTS_MAX; i++) {
		driver_send(fd, "FULL", "\"error\":\"failed\",\"text\":\"no space left on the disk\"");
		says_room(fd, "none");
		assert_int_equal(driver->news, news + i);
	}
	driver_send(fd, "a little", "\"ok\":true");
	says_room(fd, "none");
	assert_int_equal(driver->networks, networks);
	driver->room = LOOP_ROOM_ENOUGH;
	driver_send(fd, "again", "\"ok\":true"); /* after which it looks */
	says_room(fd, "enough");
	assert_int_equal(driver->networks, networks + 1);
	close(fd);
	assert_int_equal(driver_stop(SIGTERM), 0);
}

/* Though nobody asks for anything. */
static void room_is_looked_for_by_itself(void **state)
{
	(void)state;
	driver->network_is = ERR_FULL;
	driver->room = LOOP_ROOM_LOW;
	driver->hurries = driver->no_tidy = true;
	driver_start();
	driver_becomes(&driver->news, 2);
	assert_int_equal(driver->networks, 1);
	driver->room = LOOP_ROOM_ENOUGH;
	driver_becomes(&driver->networks, 2);
	assert_int_equal(driver_stop(SIGTERM), 0);
}

static void the_node_is_told_of_room_and_tidying_makes_some(void **state)
{
	int follower, fd;

	(void)state;
	driver_start();
	follower = driver_dial();
	fd = driver_dial();
	driver_ask(follower, "{\"v\":1,\"id\":1,\"do\":\"follow\"}", "\"ok\":true");
	driver->room = LOOP_ROOM_LOW;
	driver_send(fd, "x", "\"ok\":true");
	says_room(fd, "low");
	assert_true(driver->room_low);
	assert_non_null(strstr(driver_hear(follower), "\"event\":\"message\""));
	assert_string_equal(driver_hear(follower), "{\"v\":1,\"event\":\"room\",\"room\":\"low\"}");
	driver->room = LOOP_ROOM_TIDY;
	driver_send(fd, "x", "\"ok\":true");
	says_room(fd, "enough");
	assert_int_equal(driver->tidied, 1);
	assert_false(driver->room_low);
	close(follower);
	close(fd);
	assert_int_equal(driver_stop(SIGTERM), 0);
}

/* Where nobody knows how much room there is, what was known last stands. */
static void room_that_nobody_knows_changes_nothing(void **state)
{
	int fd;

	(void)state;
	driver_start();
	fd = driver_dial();
	driver->room = ERR_IO;
	driver_send(fd, "x", "\"ok\":true");
	says_room(fd, "enough");
	driver->room = LOOP_ROOM_LOW;
	driver_send(fd, "x", "\"ok\":true");
	says_room(fd, "low"); /* it looks after it has replied */
	driver->room = ERR_IO;
	driver_send(fd, "x", "\"ok\":true");
	says_room(fd, "low");
	close(fd);
	assert_int_equal(driver_stop(SIGTERM), 0);
}

/* Tidying that finds no room changes nothing; tidying that fails is a failure like any other. */
static void tidying_may_fail(void **state)
{
	int fd;

	(void)state;
	driver_start();
	fd = driver_dial();
	driver->tidy_is = ERR_FULL;
	driver->room = LOOP_ROOM_TIDY;
	driver_send(fd, "x", "\"ok\":true");
	says_room(fd, "low");
	assert_int_equal(driver->tidied, 1);
	driver_send(fd, "x", "\"ok\":true");
	assert_int_equal(driver->tidied, 1); /* today */
	assert_int_equal(driver->news, 1);
	close(fd);
	assert_int_equal(driver_stop(SIGTERM), 0);
	driver->tidy_is = ERR_IO;
	driver->room = LOOP_ROOM_ENOUGH;
	driver->again = true;
	driver_start();
	fd = driver_dial();
	says_room(fd, "enough");
	driver->room = LOOP_ROOM_TIDY;
	driver_send(fd, "x", "\"ok\":true");
	driver_becomes(&driver->news, 3);
	driver_send(fd, "x", "\"position\":0}");
	close(fd);
	assert_int_equal(driver_stop(SIGTERM), 0);
}

/* What comes now is of the next turn, and timers are due by then. */
static void stall(int fd)
{
	const unsigned sends = driver->sends;

	driver_say(fd, "{\"v\":1,\"id\":1,\"do\":\"send\",\"name\":\"Anna\",\"text\":\"STALL\"}");
	driver_becomes(&driver->sends, sends + 1);
}

/* Between turns only, though a turn has begun with it. */
static void each_day_is_tidied(void **state)
{
	int fd;

	(void)state;
	driver->hurries = true;
	driver_start();
	driver_becomes(&driver->tidied, 3);
	fd = driver_dial();
	for (unsigned i = 0; i < LOOP_RESTARTS_MAX; i++) {
		const unsigned tidied = driver->tidied;

		stall(fd);
		driver_send(fd, "FAIL", "\"ok\":true"); /* this is the other's */
		assert_non_null(strstr(driver_hear(fd), "\"ok\":false"));
		driver_becomes(&driver->tidied, tidied + 2);
	}
	stall(fd); /* and not any more when it is told to lock */
	close(fd);
	assert_int_equal(driver_stop(SIGTERM), 0);
}

/* ---- What it does without ---------------------------------------------------------- */

static void a_notebook_that_can_only_be_read(void **state)
{
	int fd;

	(void)state;
	driver->read_only = driver->hurries = true; /* a day passes */
	driver->report = "it was mended";
	driver_start();
	fd = driver_dial();
	driver_send(fd, "x", "\"error\":\"failed\",\"text\":\"the disk or folder cannot be written\"");
	driver_ask(fd, status, "\"carriers\":[],");
	driver_ask(fd, status, "\"report\":\"it was mended\"}");
	driver->supply = POWER_LOW;
	for (int i = 0; i < 1000; i++) {
		driver_say(fd, status);
		if (strstr(driver_hear(fd), "\"on_battery\":true") != NULL)
			break;
		usleep(2000);
	}
	driver_ask(fd, status, "\"on_battery\":true");
	assert_int_equal(driver->tidied + driver->networks + driver->looks, 0);
	close(fd);
	assert_int_equal(driver_stop(SIGTERM), 0);
	assert_int_equal(driver->locked, 0);
}

static void nothing_is_tidied_or_looked_at_where_nothing_can(void **state)
{
	int fd;

	(void)state;
	driver->no_tidy = driver->no_room = driver->hurries = true;
	driver_start();
	fd = driver_dial();
	driver_becomes(&driver->networks, 1);
	driver->supply = POWER_BATTERY;
	driver_becomes(&driver->networks, 2);
	assert_int_equal(driver->told, POWER_BATTERY);
	driver_send(fd, "STALL", "\"ok\":true");
	says_room(fd, "enough");
	assert_int_equal(driver->tidied + driver->looks, 0);
	close(fd);
	assert_int_equal(driver_stop(SIGHUP), 0);
	assert_int_equal(driver->locked, 1);
}

/* ---- The network --------------------------------------------------------------------- */

static void what_the_node_asks_of_the_network_is_done(void **state)
{
	int fd;

	(void)state;
	driver_start();
	driver_becomes(&driver->networks, 1);
	fd = driver_dial();
	driver_send(fd, "NET", "\"ok\":true");
	driver_becomes(&driver->calls_heard, 1);
	driver_becomes(&driver->failed, 1);
	driver_becomes(&driver->datagrams, 1);
	driver_becomes(&driver->refused, 1);
	driver_send(fd, "TICK", "\"ok\":true");
	driver_becomes(&driver->ticks, 2);
	close(fd);
	assert_int_equal(driver_stop(SIGTERM), 0);
}

static void what_the_node_asks_of_bluetooth_is_done(void **state)
{
	int fd;

	(void)state;
	driver_start();
	driver_becomes(&driver->radios, 1);
	fd = driver_dial();
	driver_ask(fd, status, "{\"carrier\":\"bluetooth\",\"interface\":\"hci0\",\"works\":true}");
	driver_send(fd, "AIR", "\"ok\":true");
	driver_becomes(&driver->adverts, 1);
	driver_becomes(&driver->channels, 1);
	driver_becomes(&driver->datagrams, 1);
	driver_send(fd, "SHUT", "\"ok\":true");
	assert_string_equal(driver->air,
	                    "scan 1, advertise 7 on 0, open 4 at 85, send 6 over 4, scan 0, close 4, ");
	driver->air[0] = '\0';
	driver_send(fd, "FAIL", "\"ok\":false");
	driver_becomes(&driver->radios, 2);
	assert_string_equal(driver->air, "drop, "); /* without a word */
	close(fd);
	assert_int_equal(driver_stop(SIGTERM), 0);
}

/* ---- How it begins -------------------------------------------------------------------- */

static void what_the_system_refuses_is_told(void **state)
{
	static const struct {
		const char *call;
		unsigned at;
		int error, is;
	} table[] = {
		{ "pipe2", 1, EMFILE, ERR_SYSTEM },           { "pipe2", 2, EMFILE, ERR_SYSTEM },
		{ "uv_loop_init", 1, EMFILE, ERR_SYSTEM },    { "uv_signal_init", 2, ENOMEM, ERR_SYSTEM },
		{ "uv_signal_start", 1, EINVAL, ERR_SYSTEM }, { "lstat64", 1, EACCES, ERR_READONLY },
		{ "uv_pipe_bind", 1, EACCES, ERR_READONLY },  { "uv_listen", 1, EADDRINUSE, ERR_SYSTEM },
		{ "socket", 1, EMFILE, ERR_SYSTEM }, /* of the network */
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		driver_setup(NULL);
		driver->room = LOOP_ROOM_LOW; /* which the node is told first */
		driver->calls = table[i].call;
		driver->calls_at = table[i].at;
		driver->calls_error = table[i].error;
		driver_fork();
		assert_int_equal(driver_stop(0), -table[i].is);
		assert_true(driver->seen >= table[i].at);
		assert_int_equal(rmdir(driver->home), 0);
	}
}

static void memory_is_short_while_it_begins(void **state)
{
	int r = -1;

	(void)state;
	for (uint64_t at = 1; r != 0; at++) {
		driver_setup(NULL);
		driver->room = LOOP_ROOM_LOW;
		driver->locks = true;
		driver->memory_at = at;
		driver_fork();
		r = driver_stop(0);
		assert_true(r == 0 || r == -ERR_NOMEM);
		assert_true(r == 0 || driver->seen >= at);
		assert_int_equal(rmdir(driver->home), 0);
	}
}

int main(void)
{
#define WITH_DRIVER(test) cmocka_unit_test_setup_teardown(test, driver_setup, driver_teardown)
	const struct CMUnitTest tests[] = {
		WITH_DRIVER(a_failure_is_told_and_begun_anew),
		WITH_DRIVER(all_that_a_failed_turn_was_asked_fails),
		WITH_DRIVER(what_does_not_open_ends_it),
		WITH_DRIVER(a_full_disk_ends_nothing),
		WITH_DRIVER(room_is_looked_for_by_itself),
		WITH_DRIVER(the_node_is_told_of_room_and_tidying_makes_some),
		WITH_DRIVER(room_that_nobody_knows_changes_nothing),
		WITH_DRIVER(tidying_may_fail),
		WITH_DRIVER(each_day_is_tidied),
		WITH_DRIVER(a_notebook_that_can_only_be_read),
		WITH_DRIVER(nothing_is_tidied_or_looked_at_where_nothing_can),
		WITH_DRIVER(what_the_node_asks_of_the_network_is_done),
		WITH_DRIVER(what_the_node_asks_of_bluetooth_is_done),
		WITH_DRIVER(what_the_system_refuses_is_told),
		WITH_DRIVER(memory_is_short_while_it_begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
