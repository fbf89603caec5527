#include "tools/flyleaf/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "node/base/common.h"

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
	return code;
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
