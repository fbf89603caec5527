#include "tools/flyleaf/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "node/base/common.h"
#include "tools/flyleaf/prose.h"

enum { INDENT = 2 };

static char last[PROSE_LEN_MAX], last_next[PROSE_LEN_MAX];

static void say_last(void)
{
	static const char begin[] = "flyleaf: ";

	fputs(begin, stderr);
	prose_put(stderr, (unsigned)strlen(begin), INDENT, last);
	fputc('\n', stderr);
	if (last_next[0] == '\0')
		return;
	fprintf(stderr, "%*s", INDENT, "");
	prose_put(stderr, INDENT, INDENT, last_next);
	fputc('\n', stderr);
}

int report(enum report_exit code, const char *next, const char *what, ...)
{
	va_list args;

	fflush(stdout);
	va_start(args, what);
	vsnprintf(last, sizeof(last), what, args);
	va_end(args);
	snprintf(last_next, sizeof(last_next), "%s", next != NULL ? next : "");
	say_last();
	return code;
}

void report_again(void)
{
	if (last[0] != '\0')
		say_last();
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

int report_written(void)
{
	int failed = ferror(stdout) ? EIO : 0; /* earlier: why is not known any more */

	if (fflush(stdout) != 0)
		failed = errno;
	clearerr(stdout); /* said once */
	if (failed == EPIPE)
		return EXIT_INTERRUPTED;
	return failed != 0 ? report_err(err_from_errno(failed), "writing the answer") : 0;
}
