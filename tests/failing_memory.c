#include "tests/failing_memory.h"

#include <stdlib.h>

struct failing_memory failing_memory;

void failing_memory_arm(uint64_t at, bool on)
{
	failing_memory = (struct failing_memory){ .armed = true, .on = on, .at = at };
}

bool failing_memory_now(void)
{
	struct failing_memory *f = &failing_memory;

	if (!f->armed)
		return false;
	f->seen++;
	return f->seen == f->at || (f->on && f->seen > f->at);
}

void *__real_malloc(size_t len);
void *__wrap_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__real_realloc(void *p, size_t len);
void *__wrap_realloc(void *p, size_t len);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
void *__real_sodium_malloc(size_t len);
void *__wrap_sodium_malloc(size_t len);

void *__wrap_malloc(size_t len)
{
	return failing_memory_now() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
	return failing_memory_now() ? NULL : __real_calloc(n, len);
}

void *__wrap_realloc(void *p, size_t len)
{
	return failing_memory_now() ? NULL : __real_realloc(p, len);
}

char *__wrap_strdup(const char *text)
{
	return failing_memory_now() ? NULL : __real_strdup(text);
}

void *__wrap_sodium_malloc(size_t len)
{
	return failing_memory_now() ? NULL : __real_sodium_malloc(len);
}
