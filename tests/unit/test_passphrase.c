/*
 * test_passphrase.c: pass-phrases from descriptors and from a terminal, which is a pair of pseudo-terminals
 * here.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <sodium.h>

#include "tools/flyleaf/passphrase.h"

static int from_bytes(struct passphrase *out, const char *bytes, size_t len)
{
	int ends[2], r;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], bytes, len), (ssize_t)len);
	close(ends[1]);
	r = passphrase_from_fd(out, ends[0]);
	close(ends[0]);
	return r;
}

static void check_fd(const char *bytes, const char *phrase)
{
	struct passphrase p = { 0 };

	assert_int_equal(from_bytes(&p, bytes, strlen(bytes)), 0);
	assert_int_equal(p.len, strlen(phrase));
	assert_memory_equal(p.bytes, phrase, p.len);
	passphrase_wipe(&p);
	assert_null(p.bytes);
}

static void one_line_is_taken(void **state)
{
	(void)state;
	check_fd("correct horse\n", "correct horse");
	check_fd("correct horse\r\n", "correct horse");
	check_fd("correct horse", "correct horse");
	check_fd(" two \nlines\n", " two ");
}

static void what_follows_the_line_stays_unread(void **state)
{
	struct passphrase p = { 0 };
	int ends[2];
	char rest[8];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "first\nsecond", 12), 12);
	assert_int_equal(passphrase_from_fd(&p, ends[0]), 0);
	assert_int_equal(read(ends[0], rest, sizeof(rest)), 6);
	assert_memory_equal(rest, "second", 6);
	passphrase_wipe(&p);
	close(ends[0]);
	close(ends[1]);
}

static void both_ways_of_typing_are_one_phrase(void **state)
{
	struct passphrase a = { 0 }, b = { 0 };

	(void)state;
	assert_int_equal(from_bytes(&a, "caf\u00e9 \u1e69", 9), 0);
	check_fd("cafe\u0301 s\u0323\u0307", "caf\u00e9 \u1e69");
	check_fd("cafe\u0301 s\u0307\u0323", "caf\u00e9 \u1e69");
	assert_int_equal(from_bytes(&b, "cafe\u0301 s\u0323\u0307", 12), 0);
	assert_true(passphrase_equal(&a, &b));
	assert_int_equal(passphrase_chars(&a), 6);
	passphrase_wipe(&a);
	passphrase_wipe(&b);
}

static void what_is_none_is_said(void **state)
{
	struct passphrase p = { 0 };
	char big[PASSPHRASE_BYTES_MAX + 100];

	(void)state;
	assert_int_equal(from_bytes(&p, "", 0), PASSPHRASE_EMPTY);
	assert_int_equal(from_bytes(&p, "\n", 1), PASSPHRASE_EMPTY);
	assert_int_equal(from_bytes(&p, "a\xff", 2), PASSPHRASE_NOT_TEXT);
	memset(big, 'x', sizeof(big));
	assert_int_equal(from_bytes(&p, big, sizeof(big)), PASSPHRASE_TOO_LONG);
	assert_int_equal(from_bytes(&p, big, PASSPHRASE_BYTES_MAX + 1), PASSPHRASE_TOO_LONG);
	assert_int_equal(passphrase_from_fd(&p, -1), ERR_IO);
	assert_null(p.bytes);
	assert_int_equal(from_bytes(&p, big, PASSPHRASE_BYTES_MAX), 0);
	passphrase_wipe(&p);
	/* A character that is longest when it is taken apart, as often as it fits. */
	for (size_t i = 0; i + 3 <= PASSPHRASE_BYTES_MAX; i += 3)
		memcpy(big + i, "\ufdfa", 3);
	assert_int_equal(from_bytes(&p, big, PASSPHRASE_BYTES_MAX / 3 * 3), 0);
	passphrase_wipe(&p);
}

/* ---- On a terminal --------------------------------------------------------- */

/* A child with a terminal of its own that asks, writes the phrase to a pipe and ends with the outcome. */
struct asker {
	pid_t pid;
	int terminal, answers;
};

static void asker_start(struct asker *a)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	a->pid = forkpty(&a->terminal, NULL, NULL, NULL);
	assert_true(a->pid >= 0);
	if (a->pid == 0) {
		struct passphrase p = { 0 };
		int r = passphrase_from_terminal(&p, "Pass-phrase: ");

		if (r == 0 && write(ends[1], p.bytes, p.len) != (ssize_t)p.len)
			r = 99;
		passphrase_wipe(&p);
		_exit(r);
	}
	close(ends[1]);
	a->answers = ends[0];
}

/* Reads from the terminal until text was seen at its end. */
static void wait_for(const struct asker *a, const char *text)
{
	char seen[512] = "";
	size_t len = 0;

	while (strstr(seen, text) == NULL) {
		struct pollfd wait = { .fd = a->terminal, .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&wait, 1, 10000), 1);
		n = read(a->terminal, seen + len, sizeof(seen) - 1 - len);
		assert_true(n > 0);
		len += (size_t)n;
		seen[len] = '\0';
	}
}

static bool echo_is_on(const struct asker *a)
{
	struct termios t;

	assert_int_equal(tcgetattr(a->terminal, &t), 0);
	return (t.c_lflag & ECHO) != 0;
}

static int asker_end(struct asker *a, char *answer, size_t cap)
{
	ssize_t n = read(a->answers, answer, cap - 1);
	int status;

	answer[n > 0 ? n : 0] = '\0';
	assert_int_equal(waitpid(a->pid, &status, 0), a->pid);
	assert_true(WIFEXITED(status));
	close(a->answers);
	close(a->terminal);
	return WEXITSTATUS(status);
}

static void type(const struct asker *a, const char *keys)
{
	assert_int_equal(write(a->terminal, keys, strlen(keys)), (ssize_t)strlen(keys));
}

static void it_is_typed_without_echo(void **state)
{
	struct asker a;
	char answer[64];

	(void)state;
	asker_start(&a);
	wait_for(&a, "Pass-phrase: ");
	assert_false(echo_is_on(&a));
	type(&a, "corrext\b\b\x7f\x7f");
	type(&a, "\x15");
	type(&a, "correct horse\n");
	assert_int_equal(asker_end(&a, answer, sizeof(answer)), 0);
	assert_string_equal(answer, "correct horse");
}

static void echo_comes_back_after_a_signal(void **state)
{
	static const struct {
		const char *keys;
		int signal;
	} ends[] = { { "\003", 0 }, { "\034", 0 }, { "", SIGTERM }, { "", SIGHUP }, { "\004", 0 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		struct asker a;
		char answer[64];

		asker_start(&a);
		wait_for(&a, "Pass-phrase: ");
		assert_false(echo_is_on(&a));
		type(&a, ends[i].keys);
		if (ends[i].signal != 0)
			kill(a.pid, ends[i].signal);
		wait_for(&a, "\n");
		assert_true(echo_is_on(&a));
		assert_int_equal(asker_end(&a, answer, sizeof(answer)), PASSPHRASE_INTERRUPTED);
	}
}

static void being_stopped_asks_again(void **state)
{
	struct asker a;
	char answer[64];
	int status;

	(void)state;
	asker_start(&a);
	wait_for(&a, "Pass-phrase: ");
	kill(a.pid, SIGSTOP); /* its own SIGTSTP would be ignored: its process group is an orphan */
	assert_int_equal(waitpid(a.pid, &status, WUNTRACED), a.pid);
	kill(a.pid, SIGCONT);
	kill(a.pid, SIGTSTP);
	wait_for(&a, "Pass-phrase: ");
	type(&a, "again here\n");
	assert_int_equal(asker_end(&a, answer, sizeof(answer)), 0);
	assert_string_equal(answer, "again here");
}

static void without_a_terminal_it_says_so(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		struct passphrase p = { 0 };

		setsid();
		_exit(passphrase_from_terminal(&p, "Pass-phrase: "));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), PASSPHRASE_NO_TERMINAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line_is_taken),
		cmocka_unit_test(what_follows_the_line_stays_unread),
		cmocka_unit_test(both_ways_of_typing_are_one_phrase),
		cmocka_unit_test(what_is_none_is_said),
		cmocka_unit_test(it_is_typed_without_echo),
		cmocka_unit_test(echo_comes_back_after_a_signal),
		cmocka_unit_test(being_stopped_asks_again),
		cmocka_unit_test(without_a_terminal_it_says_so),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
