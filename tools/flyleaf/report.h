/*
 * report.h: what the command line says when something did not go as asked, and its exit codes.
 */
#ifndef TOOLS_FLYLEAF_REPORT_H
#define TOOLS_FLYLEAF_REPORT_H

/* The codes are part of the interface: flyleaf(1) has the same table. */
enum report_exit {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1, /* the reason was said; doctor: something is weak */
	EXIT_USAGE = 2,
	EXIT_NO_NODE = 3,      /* no node is running for this home, or it went away */
	EXIT_PASSPHRASE = 4,   /* nothing opens with this pass-phrase */
	EXIT_VAULT = 5,        /* there is no vault, or it is damaged */
	EXIT_IN_USE = 6,       /* another node has this vault */
	EXIT_PAIRING = 7,      /* the pairing did not come about */
	EXIT_SYSTEM = 8,       /* our own memory, disk or system failed */
	EXIT_INTERRUPTED = 130 /* by a person or a signal */
};

/* Writes "flyleaf: what", then what to do next (NULL: nothing), to stderr. Text that came from elsewhere must
 * have gone through show_plain() before. Returns code. */
int report(enum report_exit code, const char *next, const char *what, ...)
        __attribute__((format(printf, 3, 4)));

/* The last report once more: the screen that it was written on has gone. */
void report_again(void);

/* The same for an enum err of ours, with what was being done. */
int report_err(int err, const char *doing);

/* Gives out what was printed on stdout. Returns 0, or the exit code where it could not be written; a reader
 * who went away (| head) is no news to anybody. */
int report_written(void);

#endif
