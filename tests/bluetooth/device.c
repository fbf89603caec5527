#include "tests/bluetooth/device.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *flyleaf, *quick_guess;

void device_program(const char *program, const char *guess)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	flyleaf = program;
	quick_guess = guess;
}

double device_now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int device_ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void device_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("%s: ", program_invocation_short_name);
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
		device_fail("no pipe");
	pid = fork();
	if (pid == 0) {
		dup2(phrase[0], 3);
		setenv("LD_PRELOAD", quick_guess, 1);
		execv(flyleaf, (char *const *)argv);
		_exit(127);
	}
	close(phrase[0]);
	if (pid < 0 ||
	    write(phrase[1], DEVICE_PHRASE, strlen(DEVICE_PHRASE)) != (ssize_t)strlen(DEVICE_PHRASE))
		device_fail("%s does not start", flyleaf);
	close(phrase[1]);
	return pid;
}

void device_init(const struct device *d)
{
	int status;
	const pid_t pid = begin((const char *[]){ "init", "--home", d->home, "--passphrase-fd", "3", NULL });

	if (waitpid(pid, &status, 0) != pid || status != 0)
		device_fail("no vault for %s", d->name);
}

void device_add_absent(const struct device *d, const char *program, size_t number)
{
	char command[256];
	FILE *f;

	snprintf(command, sizeof(command), "LD_PRELOAD=%s %s %s %zu", quick_guess, program, d->home, number);
	f = popen(command, "w");
	if (f == NULL || fputs(DEVICE_PHRASE, f) < 0 || pclose(f) != 0)
		device_fail("%s does not work", program);
}

void device_run(struct device *d)
{
	d->pid = begin((const char *[]){ "run", "--home", d->home, "--interfaces", d->interfaces,
	                                 "--passphrase-fd", "3", NULL });
}

void device_attach(struct device *d)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const double until = device_now_s() + DEVICE_PATIENCE_S;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/control", d->home);
	for (;;) {
		d->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(d->control, (struct sockaddr *)&at, sizeof(at)) == 0)
			break;
		close(d->control);
		if (device_now_s() > until || waitpid(d->pid, NULL, WNOHANG) != 0)
			device_fail("the node of %s does not open", d->name);
		usleep(50000);
	}
	d->replies = fdopen(d->control, "r");
}

void device_start(struct device *d)
{
	device_run(d);
	device_attach(d);
}

void device_end(struct device *d, int signal)
{
	kill(d->pid, signal);
	if (waitpid(d->pid, NULL, 0) != d->pid)
		device_fail("the node of %s does not end", d->name);
	fclose(d->replies);
}

int device_root_status(const char *command)
{
	char answer[16] = "";
	FILE *f = fopen("/run/ask", "w");

	if (f == NULL)
		device_fail("nobody to ask");
	fprintf(f, "%s\n", command);
	fclose(f);
	f = fopen("/run/answer", "r");
	if (f == NULL || fgets(answer, sizeof(answer), f) == NULL)
		device_fail("%s: no answer", command);
	fclose(f);
	return atoi(answer);
}

void device_root(const char *command)
{
	const int status = device_root_status(command);

	if (status != 0)
		device_fail("%s: status %d", command, status);
}

/* ---- Requests ----------------------------------------------------------------- */

json_t *device_ask(struct device *d, json_t *request)
{
	char *line = NULL;
	size_t size = 0;
	json_t *reply;

	json_object_set_new(request, "v", json_integer(1));
	json_object_set_new(request, "id", json_integer(1));
	line = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (dprintf(d->control, "%s\n", line) < 0)
		device_fail("the node of %s does not listen", d->name);
	free(line);
	line = NULL;
	if (getline(&line, &size, d->replies) <= 0)
		device_fail("the node of %s does not answer", d->name);
	reply = json_loads(line, 0, NULL);
	free(line);
	if (reply == NULL || json_is_true(json_object_get(reply, "ok")))
		return reply;
	printf("%s: refused: %s\n", d->name, json_string_value(json_object_get(reply, "text")));
	json_decref(reply);
	return NULL;
}

void device_demand(struct device *d, json_t *request)
{
	json_t *reply = device_ask(d, request);

	if (reply == NULL)
		device_fail("refused");
	json_decref(reply);
}

static bool has_radio(struct device *d)
{
	json_t *reply = device_ask(d, json_pack("{s:s}", "do", "status")), *carrier;
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

void device_wait_for_radio(struct device *d, bool usable)
{
	const double until = device_now_s() + DEVICE_PATIENCE_S;

	while (has_radio(d) != usable) {
		if (device_now_s() > until)
			device_fail("%s: the adapters are as they were after %d s", d->name,
			            DEVICE_PATIENCE_S);
		usleep(50000);
	}
}
