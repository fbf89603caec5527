#include "node/base/err.h"

#include <errno.h>
#include <stddef.h>

#define X(name, code, text) { code, text },
static const struct {
	int code;
	const char *text;
} texts[] = { { 0, "done" }, ERR_LIST(X) };
#undef X

const char *err_str(int err)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].code == err)
			return texts[i].text;
	return "unknown error";
}

int err_from_errno(int e)
{
	switch (e) {
	case ENOMEM:
		return ERR_NOMEM;
	case EIO:
		return ERR_IO;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERR_FULL;
	case EROFS:
	case EACCES:
	case EPERM:
		return ERR_READONLY;
	case ENOENT:
	case ENOTDIR:
		return ERR_ABSENT;
	case EAGAIN:
	case EBUSY:
		return ERR_BUSY;
	case EEXIST:
		return ERR_EXISTS;
	default:
		return ERR_SYSTEM;
	}
}
