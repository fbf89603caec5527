/*
 * The process and its disk: each call of the system fails once, in every way that is told apart.
 */
#include "node/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/base/err.h"
#include "store/disk.h"
#include "tests/failing_calls.h"
#include "tests/unit/unit.h"

/* ---- Errors ------------------------------------------------------------------ */

static void each_errno_is_an_error_of_ours(void **state)
{
	static const struct {
		int system, ours;
	} table[] = { { ENOMEM, ERR_NOMEM },    { EIO, ERR_IO },         { ENOSPC, ERR_FULL },
		      { EDQUOT, ERR_FULL },     { EFBIG, ERR_FULL },     { EROFS, ERR_READONLY },
		      { EACCES, ERR_READONLY }, { EPERM, ERR_READONLY }, { ENOENT, ERR_ABSENT },
		      { ENOTDIR, ERR_ABSENT },  { EAGAIN, ERR_BUSY },    { EBUSY, ERR_BUSY },
		      { EEXIST, ERR_EXISTS },   { ENOSYS, ERR_SYSTEM },  { 0, ERR_SYSTEM } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++)
		assert_int_equal(err_from_errno(table[i].system), table[i].ours);
	assert_string_equal(err_str(0), "done");
	assert_string_equal(err_str(ERR_NOMEM), "out of memory");
	assert_string_equal(err_str(-1000), "unknown error");
}

/* ---- The disk ---------------------------------------------------------------- */

static char folder[] = "/tmp/process.XXXXXX";
static char path[64], other[64];

static int make_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/one", folder);
	snprintf(other, sizeof(other), "%s/two", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	(void)!unlink(path);
	(void)!unlink(other);
	return rmdir(folder);
}

enum op { OPEN, SIZE, READ, WRITE, SYNC, TRUNCATE, ALLOCATE, SYNC_DIR, RENAME, UNLINK };

static int file;

static int does(enum op op)
{
	struct disk *d = disk_posix();
	uint8_t bytes[4] = { 1, 2, 3, 4 };
	uint64_t size;
	int r, again;

	switch (op) {
	case OPEN:
		r = d->ops->open(d, &again, path, DISK_READ);
		if (r == 0)
			d->ops->close(d, again);
		return r;
	case SIZE:
		return d->ops->size(d, file, &size);
	case READ:
		r = d->ops->read(d, file, bytes, sizeof(bytes), 0);
		assert_true(r != 0 || bytes[3] == 4);
		return r;
	case WRITE:
		return d->ops->write(d, file, bytes, sizeof(bytes), 0);
	case SYNC:
		return disk_sync(d, file);
	case TRUNCATE:
		return d->ops->truncate(d, file, 4);
	case ALLOCATE:
		return d->ops->allocate(d, file, 4);
	case SYNC_DIR:
		return d->ops->sync_dir(d, folder);
	case RENAME:
		return d->ops->rename(d, path, other);
	case UNLINK:
		return d->ops->unlink(d, path);
	}
	return 0;
}

static void what_the_disk_refuses_is_told(void **state)
{
	static const struct {
		const char *call;
		enum op op;
		int error, is;
	} table[] = {
		{ "fstat64", OPEN, EIO, DISK_FOREIGN },
		{ "fstat64", SIZE, EIO, ERR_IO },
		{ "pread64", READ, EIO, ERR_IO },
		{ "pread64", READ, EINTR, 0 },
		{ "pread64", READ, 0, DISK_SHORT },
		{ "pwrite64", WRITE, ENOSPC, ERR_FULL },
		{ "pwrite64", WRITE, EINTR, 0 },
		{ "pwrite64", WRITE, 0, ERR_IO },
		{ "fdatasync", SYNC, EIO, ERR_IO },
		{ "ftruncate64", TRUNCATE, EIO, ERR_IO },
		{ "fallocate64", ALLOCATE, ENOSPC, ERR_FULL },
		{ "fallocate64", ALLOCATE, EOPNOTSUPP, 0 },
		{ "fallocate64", ALLOCATE, ENOSYS, 0 },
		{ "fsync", SYNC_DIR, EIO, ERR_IO },
		{ "rename", RENAME, ENOSPC, ERR_FULL },
		{ "unlink", UNLINK, EROFS, ERR_READONLY },
	};
	struct disk *d = disk_posix();

	(void)state;
	assert_int_equal(d->ops->open(d, &file, path, DISK_CREATE), 0);
	assert_int_equal(does(WRITE), 0);
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		failing_calls_arm(table[i].call, 1, table[i].error);
		assert_int_equal(does(table[i].op), table[i].is);
		assert_true(failing_calls.seen >= 1);
		failing_calls.armed = false;
		assert_int_equal(does(READ), 0); /* it is all there still, and under its name */
		assert_int_equal(does(OPEN), 0);
	}
	assert_int_equal(d->ops->sync_dir(d, other), ERR_ABSENT);
	d->ops->close(d, file);
	assert_int_equal(does(RENAME), 0);
	assert_int_equal(does(UNLINK), ERR_ABSENT);
}

/* A file system that knows no such wish, and one that grants it. */
static void a_file_may_be_made_without_its_wish(void **state)
{
	static const int errors[] = { 0, ENOTTY };
	struct disk *d = disk_posix();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(errors); i++) {
		failing_calls_arm("ioctl", 1, errors[i]);
		assert_int_equal(d->ops->open(d, &file, path, DISK_CREATE), 0);
		failing_calls.armed = false;
		d->ops->close(d, file);
		assert_int_equal(does(UNLINK), 0);
	}
}

static void what_is_no_file_is_foreign(void **state)
{
	struct disk *d = disk_posix();
	char longest[DISK_PATH_MAX], out[DISK_PATH_MAX];
	uint64_t room = 0;

	(void)state;
	assert_int_equal(symlink("nowhere", path), 0);
	assert_int_equal(does(OPEN), DISK_FOREIGN);
	assert_int_equal(does(UNLINK), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(does(OPEN), DISK_FOREIGN);
	assert_int_equal(does(UNLINK), 0);
	assert_int_equal(does(OPEN), ERR_ABSENT);
	assert_int_equal(d->ops->open(d, &file, folder, DISK_WRITE), DISK_FOREIGN);
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(disk_path(out, longest, "name"), ERR_SYSTEM);
	assert_int_equal(d->ops->room(d, path, &room), ERR_ABSENT);
	assert_int_equal(d->ops->room(d, folder, &room), 0);
	assert_int_not_equal(room, 0);
}

/* ---- The process ------------------------------------------------------------- */

/* Runs it in a child, where this call fails; the child's answer. */
static int in_child(int (*what)(void), const char *call, unsigned at, int error)
{
	int status;
	const pid_t child = fork();

	assert_int_not_equal(child, -1);
	if (child == 0) {
		int r;

		failing_calls_arm(call, at, error);
		r = what();
		failing_calls.armed = false;
		exit(r == 0 ? 0 : 1 + (r & 0x7f)); /* not _exit(): what it reached is counted */
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) == 0 ? 0 : WEXITSTATUS(status) - 1;
}

static int begin_without_output(void)
{
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	return process_begin() != 0 || open("/dev/null", O_RDONLY) <= STDERR_FILENO;
}

static int begin_without_descriptors(void)
{
	struct rlimit usual, none;
	int r;

	if (getrlimit(RLIMIT_NOFILE, &usual) != 0)
		return 1;
	none = usual;
	none.rlim_cur = 0;
	if (setrlimit(RLIMIT_NOFILE, &none) != 0)
		return 1;
	r = process_begin();
	return setrlimit(RLIMIT_NOFILE, &usual) == 0 && r == ERR_SYSTEM ? 0 : 1;
}

static int leaked;

static int harden(void)
{
	const int r = process_harden();

	return r < 0 || (fcntl(leaked, F_GETFD) == -1 && umask(0) == 077) ? r : 0x7f;
}

static struct within {
	rlim_t limit;
	uid_t uid;
	int lacks;
} within;

static int harden_within(void)
{
	const struct rlimit little = { within.limit, within.limit };
	int r;

	if (setrlimit(RLIMIT_MEMLOCK, &little) != 0 || seteuid(within.uid) != 0)
		return 0x7f;
	r = process_harden();
	return seteuid(0) == 0 ? r : 0x7f;
}

static void what_the_process_lacks_is_told(void **state)
{
	int all; /* that this machine lacks anyhow */

	(void)state;
	leaked = open("/dev/null", O_RDONLY | O_CLOEXEC);
	all = in_child(harden, "", 1, 0);
	assert_int_not_equal(all, 0x7f);
	assert_int_equal(in_child(begin_without_output, "", 1, 0), 0);
	assert_int_equal(in_child(begin_without_descriptors, "", 1, 0), 0);
	assert_int_equal(in_child(harden, "prctl", 1, EPERM), ERR_READONLY & 0x7f);
	assert_int_equal(in_child(harden, "setrlimit64", 1, EPERM), ERR_READONLY & 0x7f);
	assert_int_equal(in_child(harden, "prctl", 2, EPERM), all | PROCESS_PRIVILEGES_KEPT);
	assert_int_equal(in_child(harden, "opendir", 1, EMFILE), all); /* it has another way */
	assert_int_equal(in_child(harden, "opendir close_range", 0, ENOSYS), ERR_SYSTEM & 0x7f);
	assert_int_equal(in_child(harden, "getrlimit64", 1, EPERM), all | PROCESS_MEMORY_NOT_LOCKED);
	assert_int_equal(in_child(harden, "getrlimit64", 2, EPERM), all | PROCESS_KEYS_NOT_LOCKED);
	assert_int_equal(in_child(harden, "mlockall", 1, ENOMEM), all | PROCESS_MEMORY_NOT_LOCKED);
	assert_int_equal(in_child(harden, "mlock", 1, ENOMEM), all | PROCESS_KEYS_NOT_LOCKED);
	close(leaked);
}

/* With limits as ordinary users have them, which are none to root. */
static void memory_is_locked_within_limits(void **state)
{
	static const struct within table[] = {
		{ 1 << 16, 65534, PROCESS_MEMORY_NOT_LOCKED | PROCESS_KEYS_NOT_LOCKED },
		{ 2 << 20, 65534, PROCESS_MEMORY_NOT_LOCKED },
		{ 1 << 16, 0, 0 },
	};
	int all;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can be another user\n");
		skip();
	}
	all = in_child(harden, "", 1, 0);
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		within = table[i];
		assert_int_equal(in_child(harden_within, "", 1, 0), all | within.lacks);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_errno_is_an_error_of_ours),
		cmocka_unit_test(what_the_disk_refuses_is_told),
		cmocka_unit_test(a_file_may_be_made_without_its_wish),
		cmocka_unit_test(what_is_no_file_is_foreign),
		cmocka_unit_test(what_the_process_lacks_is_told),
		cmocka_unit_test(memory_is_locked_within_limits),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
