#include "tools/flyleaf/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "node/base/common.h"

/* Enough for a name of 256 bytes or a path of a usual length; a longer one is cut when it is said again. */
enum { LAST_MAX = 1024 };

static char last[LAST_MAX];

__attribute__((format(printf, 2, 0))) static void keep(const char *next, const char *what, va_list args)
{
	int n = vsnprintf(last, sizeof(last), what, args);

	if (next != NULL && n >= 0 && (size_t)n < sizeof(last))
		snprintf(last + n, sizeof(last) - (size_t)n, "\n  %s", next);
}

int report(enum report_exit code, const char *next, const char *what, ...)
{
	va_list args;

	fflush(stdout);
	fputs("flyleaf: ", stderr);
	va_start(args, what);
	vfprintf(stderr, what, args);
	va_end(args);
	fputc('\n', stderr);
	if (next != NULL)
		fprintf(stderr, "  %s\n", next);
	va_start(args, what);
	keep(next, what, args);
	va_end(args);
	return code;
}

void report_again(void)
{
	if (last[0] != '\0')
		fprintf(stderr, "flyleaf: %s\n", last);
}

int report_err(int err, const char *doing)
{
	static const struct {
		int err;
		enum report_exit code;
		const char *next;
	} known[] = {
		{ ERR_ABSENT, EXIT_VAULT, "Make a vault with: flyleaf init" },
		{ ERR_CORRUPT, EXIT_VAULT,
		  "Nothing was changed. Bring back a copy of the folder, or begin anew with --home." },
		{ ERR_VERSION, EXIT_VAULT, "Use the newer Flyleaf that made it." },
		{ ERR_BUSY, EXIT_IN_USE,
		  "Another flyleaf runs here already. Talk to it (flyleaf status), or end it: flyleaf lock" },
		{ ERR_EXISTS, EXIT_REFUSED, "Choose another folder with --home." },
		{ ERR_FULL, EXIT_SYSTEM,
		  "Make room on the disk and try again. What was stored before is whole." },
		{ ERR_READONLY, EXIT_SYSTEM,
		  "Flyleaf must be able to write there. Look at the folder's owner and how the disk is "
		  "mounted." },
		{ ERR_NOMEM, EXIT_SYSTEM,
		  "Close other programs and try again. This says nothing about the pass-phrase." },
	};

	for (size_t i = 0; i < COUNT_OF(known); i++) {
		if (known[i].err == err)
			return report(known[i].code, known[i].next, "%s: %s", doing, err_str(err));
	}
	return report(EXIT_SYSTEM, "Try again; if it stays, look at: flyleaf doctor", "%s: %s", doing,
	              err_str(err));
}
