/*
 * doctor.h: what the checks of `flyleaf doctor` find.
 */
#ifndef TOOLS_FLYLEAF_DOCTOR_H
#define TOOLS_FLYLEAF_DOCTOR_H

#include "node/base/common.h"

enum doctor_verdict { DOCTOR_GOOD, DOCTOR_WEAK, DOCTOR_UNKNOWN };

struct doctor_finding {
	enum doctor_verdict verdict;
	char what[512];   /* what was found */
	const char *mend; /* how to mend it, or what else can be done; static, or NULL */
};

__attribute__((format(printf, 3, 4))) struct doctor_finding
doctor_found(enum doctor_verdict verdict, const char *mend, const char *what, ...);

#endif
