/*
 * wrong_clock.c: loaded into a program by LD_PRELOAD, makes its clock of the day wrong.
 *
 * WRONG_CLOCK is what it says at the start, in seconds since 1970, or +N: N seconds more than it should; from
 * there it goes on as it should.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static int real(clockid_t clock, struct timespec *now)
{
	static int (*next)(clockid_t, struct timespec *);

	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "clock_gettime");
	return next(clock, now);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	static time_t offset;
	const char *said = getenv("WRONG_CLOCK");
	const int r = real(clock, now);

	if (r != 0 || said == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
		return r;
	if (offset == 0)
		offset = (time_t)atoll(said) - (*said == '+' ? 0 : now->tv_sec);
	now->tv_sec += offset;
	return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &t) != 0)
		return -1;
	now->tv_sec = t.tv_sec;
	now->tv_usec = t.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *out)
{
	struct timespec t;

	if (clock_gettime(CLOCK_REALTIME, &t) != 0)
		return -1;
	if (out != NULL)
		*out = t.tv_sec;
	return t.tv_sec;
}
