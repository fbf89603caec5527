#include "tests/failing_calls.h"

#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <unistd.h>
#include <uv.h>

struct failing_calls failing_calls;

void failing_calls_arm(const char *name, unsigned at, int error)
{
	failing_calls = (struct failing_calls){ .armed = true, .name = name, .at = at, .error = error };
}

/* Of several names, with spaces between them. */
static bool is_among(const char *names, const char *name)
{
	const size_t len = strlen(name);

	for (const char *at = names; (at = strstr(at, name)) != NULL; at += len)
		if ((at == names || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	return false;
}

static bool fails(const char *name)
{
	struct failing_calls *f = &failing_calls;

	if (!f->armed || (f->name != NULL && !is_among(f->name, name)) || (++f->seen != f->at && f->at != 0))
		return false;
	errno = f->error;
	return true;
}

/* By the names that they have where a file may be large (_FILE_OFFSET_BITS=64, which meson sets).
 * result: what the call says where it fails. */
#define TAKE(type, name, parameters, arguments, result)                                                      \
	type __real_##name parameters;                                                                       \
	type __wrap_##name parameters;                                                                       \
	type __wrap_##name parameters                                                                        \
	{                                                                                                    \
		return fails(#name) ? (type)(result) : __real_##name arguments;                              \
	}
#define TAKE_SYSTEM(type, name, parameters, arguments)                                                       \
	TAKE(type, name, parameters, arguments, failing_calls.error == 0 ? 0 : -1)
/* Of libuv and sd-bus. */
#define TAKE_CODE(name, parameters, arguments) TAKE(int, name, parameters, arguments, -failing_calls.error)

TAKE_SYSTEM(int, fstat64, (int fd, struct stat *st), (fd, st))
TAKE_SYSTEM(ssize_t, pread64, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
TAKE_SYSTEM(ssize_t, pwrite64, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
TAKE_SYSTEM(int, fdatasync, (int fd), (fd))
TAKE_SYSTEM(int, fsync, (int fd), (fd))
TAKE_SYSTEM(int, ftruncate64, (int fd, off_t size), (fd, size))
TAKE_SYSTEM(int, fallocate64, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
TAKE_SYSTEM(int, ioctl, (int fd, unsigned long what, void *p), (fd, what, p))
TAKE_SYSTEM(int, rename, (const char *from, const char *to), (from, to))
TAKE_SYSTEM(int, unlink, (const char *path), (path))
TAKE_SYSTEM(int, lstat64, (const char *path, struct stat *st), (path, st))
TAKE(DIR *, opendir, (const char *path), (path), NULL)
TAKE_SYSTEM(int, close_range, (unsigned first, unsigned last, int flags), (first, last, flags))
TAKE_SYSTEM(int, pipe2, (int fds[2], int flags), (fds, flags))
TAKE_SYSTEM(int, prctl, (int what, unsigned long a, unsigned long b, unsigned long c, unsigned long d),
            (what, a, b, c, d))
TAKE_SYSTEM(int, getrlimit64, (__rlimit_resource_t what, struct rlimit *limit), (what, limit))
TAKE_SYSTEM(int, setrlimit64, (__rlimit_resource_t what, const struct rlimit *limit), (what, limit))
TAKE_SYSTEM(int, mlock, (const void *p, size_t len), (p, len))
TAKE_SYSTEM(int, mlockall, (int flags), (flags))

TAKE_SYSTEM(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
TAKE_SYSTEM(int, bind, (int fd, const struct sockaddr *a, socklen_t len), (fd, a, len))
TAKE_SYSTEM(int, connect, (int fd, const struct sockaddr *a, socklen_t len), (fd, a, len))
TAKE_SYSTEM(int, setsockopt, (int fd, int level, int name, const void *p, socklen_t len),
            (fd, level, name, p, len))
TAKE_SYSTEM(int, getsockopt, (int fd, int level, int name, void *p, socklen_t *len),
            (fd, level, name, p, len))
TAKE_SYSTEM(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
TAKE_SYSTEM(int, sendmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags), (fd, m, n, flags))
TAKE_SYSTEM(int, recvmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t),
            (fd, m, n, flags, t))
TAKE_SYSTEM(int, getifaddrs, (struct ifaddrs * *out), (out))

TAKE_CODE(uv_loop_init, (uv_loop_t * l), (l))
TAKE_CODE(uv_signal_init, (uv_loop_t * l, uv_signal_t *s), (l, s))
TAKE_CODE(uv_signal_start, (uv_signal_t * s, uv_signal_cb cb, int number), (s, cb, number))
TAKE_CODE(uv_poll_init, (uv_loop_t * l, uv_poll_t *p, int fd), (l, p, fd))
TAKE_CODE(uv_poll_start, (uv_poll_t * p, int events, uv_poll_cb cb), (p, events, cb))
TAKE_CODE(uv_pipe_bind, (uv_pipe_t * p, const char *name), (p, name))
TAKE_CODE(uv_listen, (uv_stream_t * s, int backlog, uv_connection_cb cb), (s, backlog, cb))
TAKE_CODE(uv_fileno, (const uv_handle_t *h, uv_os_fd_t *fd), (h, fd))
TAKE_CODE(uv_write, (uv_write_t * w, uv_stream_t *s, const uv_buf_t *b, unsigned n, uv_write_cb cb),
          (w, s, b, n, cb))
TAKE_CODE(uv_read_start, (uv_stream_t * s, uv_alloc_cb alloc, uv_read_cb cb), (s, alloc, cb))

TAKE_CODE(sd_bus_open_system, (sd_bus * *out), (out))
TAKE_CODE(sd_bus_process, (sd_bus * bus, sd_bus_message **m), (bus, m))
TAKE_CODE(sd_bus_get_events, (sd_bus * bus), (bus))
TAKE_CODE(sd_bus_get_timeout, (sd_bus * bus, uint64_t *due_us), (bus, due_us))
TAKE_CODE(sd_bus_add_match_async,
          (sd_bus * bus, sd_bus_slot **slot, const char *rule, sd_bus_message_handler_t matched,
           sd_bus_message_handler_t installed, void *arg),
          (bus, slot, rule, matched, installed, arg))
TAKE_CODE(sd_bus_add_object_vtable,
          (sd_bus * bus, sd_bus_slot **slot, const char *path, const char *interface,
           const sd_bus_vtable *vtable, void *arg),
          (bus, slot, path, interface, vtable, arg))

int __wrap_sd_bus_call_method_async(sd_bus *bus, sd_bus_slot **slot, const char *to, const char *path,
                                    const char *interface, const char *member,
                                    sd_bus_message_handler_t answered, void *arg, const char *types, ...);

int __wrap_sd_bus_call_method_async(sd_bus *bus, sd_bus_slot **slot, const char *to, const char *path,
                                    const char *interface, const char *member,
                                    sd_bus_message_handler_t answered, void *arg, const char *types, ...)
{
	va_list values;
	int r;

	if (fails("sd_bus_call_method_async"))
		return -failing_calls.error;
	va_start(values, types);
	r = sd_bus_call_method_asyncv(bus, slot, to, path, interface, member, answered, arg, types, values);
	va_end(values);
	return r;
}
