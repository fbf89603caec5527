/*
 * device.h: nodes in the small machine (machine): what runs and asks them, and what root does for a test.
 *
 * What goes wrong ends the program with a line that says what.
 */
#ifndef TESTS_BLUETOOTH_DEVICE_H
#define TESTS_BLUETOOTH_DEVICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

enum { DEVICE_PATIENCE_S = 120 };
#define DEVICE_PHRASE "a phrase for a test"

struct device {
	const char *name, *home, *interfaces; /* interfaces: as in flyleaf run --interfaces */
	pid_t pid;
	int control;
	FILE *replies;
};

/* The program that runs, and the library that makes guesses of pass-phrases quick. Both are borrowed. */
void device_program(const char *flyleaf, const char *quick_guess);
__attribute__((format(printf, 1, 2), noreturn)) void device_fail(const char *format, ...);
/* On a clock that only goes on. */
double device_now_s(void);
/* Whether a above b, of doubles, for qsort(). */
int device_ascending(const void *a, const void *b);

/* A vault without contacts in home. */
void device_init(const struct device *d);
/* Puts so many contacts into it that are never there, by the program absent; nobody may have it open. */
void device_add_absent(const struct device *d, const char *program, size_t number);
/* device_start() is device_run() and device_attach(), which waits until the node is open. */
void device_run(struct device *d);
void device_attach(struct device *d);
void device_start(struct device *d);
void device_end(struct device *d, int signal);

/* Runs a command of the shell as root. Returns its status. */
int device_root_status(const char *command);
void device_root(const char *command); /* which must succeed */

/* The reply to a request, which is given up; it is the caller's, and NULL where it was refused. */
json_t *device_ask(struct device *d, json_t *request);
void device_demand(struct device *d, json_t *request);
/* Waits until one of its adapters can be used, or none. */
void device_wait_for_radio(struct device *d, bool usable);

#endif
