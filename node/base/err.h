/*
 * err.h: what our own failures are called.
 *
 * A function that can fail returns 0 when done, a negative enum err when our
 * own memory, disk or system failed, and a positive outcome that its header
 * names when the input was at fault. What a peer sends is never a negative.
 */
#ifndef NODE_BASE_ERR_H
#define NODE_BASE_ERR_H

#define ERR_LIST(X)                                                                                          \
	X(ERR_NOMEM, -1, "out of memory")                                                                    \
	X(ERR_IO, -2, "input/output error")                                                                  \
	X(ERR_CORRUPT, -3, "stored data is damaged")                                                         \
	X(ERR_FULL, -4, "no space left on the disk")                                                         \
	X(ERR_READONLY, -5, "the disk or folder cannot be written")                                          \
	X(ERR_ABSENT, -6, "no such file or folder")                                                          \
	X(ERR_BUSY, -7, "in use by another process")                                                         \
	X(ERR_SYSTEM, -8, "the system refused a request")                                                    \
	X(ERR_VERSION, -9, "made by a newer version")                                                        \
	X(ERR_EXISTS, -10, "it is there already")

#define X(name, code, text) name = (code),
enum err { ERR_LIST(X) };
#undef X

/* The text of an enum err, or of 0; never NULL. */
const char *err_str(int err);

/* The enum err that says the same as errno value e (a positive number); ERR_SYSTEM where none does. */
int err_from_errno(int e);

#endif
