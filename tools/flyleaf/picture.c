/*
 * picture.c
 *
 * An image file comes from a camera or a stranger, and image decoders are large. So they run in a child that
 * reads the file first, then gives up every descriptor but a pipe, and every system call but memory, reading
 * and writing what is open, and its own end; its one product is at most PICTURE_TEXT_MAX bytes in that pipe.
 */
#include "tools/flyleaf/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jpeglib.h>
#include <png.h>
#include <qrencode.h>
#include <seccomp.h>
#include <zbar.h>

enum { SIDE_MAX = 8192, SECONDS_MAX = 10, QUIET = 2 /* modules of white around a printed code */ };

struct grey_image {    /* 8 bits of grey */
	uint8_t *grey; /* owned */
	unsigned width, height;
};

/* ---- Printing -------------------------------------------------------------- */

static bool is_dark(const QRcode *q, int x, int y)
{
	return x >= 0 && y >= 0 && x < q->width && y < q->width && (q->data[y * q->width + x] & 1) != 0;
}

int picture_print(FILE *out, const char *text)
{
	QRcode *q = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1); /* alphanumeric where it can */

	if (q == NULL)
		return ERR_NOMEM;
	for (int y = -QUIET; y < q->width + QUIET; y += 2) {
		fputs("\033[38;2;0;0;0;48;2;255;255;255m", out);
		for (int x = -QUIET; x < q->width + QUIET; x++) {
			bool upper = is_dark(q, x, y), lower = is_dark(q, x, y + 1);

			fputs(upper ? lower ? "\u2588" : "\u2580" : lower ? "\u2584" : " ", out);
		}
		fputs("\033[0m\n", out);
	}
	QRcode_free(q);
	return 0;
}

/* ---- Decoding, in the child ------------------------------------------------ */

static bool image_new(struct grey_image *p, unsigned width, unsigned height)
{
	if (width == 0 || height == 0 || width > SIDE_MAX || height > SIDE_MAX)
		return false;
	p->grey = malloc((size_t)width * height);
	p->width = width;
	p->height = height;
	return p->grey != NULL;
}

static bool decode_png(struct grey_image *p, const uint8_t *file, size_t len)
{
	png_image image = { .version = PNG_IMAGE_VERSION };
	const png_color white = { 255, 255, 255 };
	bool good = false;

	if (png_image_begin_read_from_memory(&image, file, len) == 0)
		return false;
	image.format = PNG_FORMAT_GRAY;
	if (image_new(p, image.width, image.height))
		good = png_image_finish_read(&image, &white, p->grey, (png_int_32)p->width, NULL) != 0;
	png_image_free(&image);
	return good;
}

struct jpeg_failure {
	struct jpeg_error_mgr base;
	jmp_buf out;
};

static void jpeg_failed(j_common_ptr info)
{
	struct jpeg_failure *failure = CONTAINER_OF(info->err, struct jpeg_failure, base);

	longjmp(failure->out, 1);
}

static void jpeg_quiet(j_common_ptr info)
{
	(void)info;
}

static bool decode_jpeg(struct grey_image *p, const uint8_t *file, size_t len)
{
	struct jpeg_decompress_struct info;
	struct jpeg_failure failure;

	info.err = jpeg_std_error(&failure.base);
	failure.base.error_exit = jpeg_failed;
	failure.base.output_message = jpeg_quiet;
	if (setjmp(failure.out) != 0)
		return false; /* what is left over goes with the process */
	jpeg_create_decompress(&info);
	jpeg_mem_src(&info, file, len);
	jpeg_read_header(&info, TRUE);
	info.out_color_space = JCS_GRAYSCALE;
	jpeg_start_decompress(&info);
	if (info.output_components != 1 || !image_new(p, info.output_width, info.output_height))
		return false;
	while (info.output_scanline < info.output_height) {
		JSAMPROW row = p->grey + (size_t)info.output_scanline * p->width;

		jpeg_read_scanlines(&info, &row, 1);
	}
	return true;
}

/* A number of a PNM header; spaces and comments before it are skipped. False at the end of the file. */
static bool pnm_number(unsigned *out, const uint8_t *file, size_t len, size_t *at)
{
	unsigned n = 0, digits = 0;

	while (*at < len && (strchr(" \t\r\n", file[*at]) != NULL || file[*at] == '#')) {
		if (file[*at] == '#') {
			while (*at < len && file[*at] != '\n')
				(*at)++;
		} else {
			(*at)++;
		}
	}
	for (; *at < len && file[*at] >= '0' && file[*at] <= '9' && digits < 6; digits++)
		n = n * 10 + file[(*at)++] - '0';
	*out = n;
	return digits > 0;
}

/* P4 (bits), P5 (grey) and P6 (colours), 8 bits each. */
static bool decode_pnm(struct grey_image *p, const uint8_t *file, size_t len)
{
	size_t at = 2, row, channels = file[1] == '6' ? 3 : 1;
	unsigned width, height, largest = 255;

	if (!pnm_number(&width, file, len, &at) || !pnm_number(&height, file, len, &at))
		return false;
	if (file[1] != '4' && (!pnm_number(&largest, file, len, &at) || largest != 255))
		return false;
	at++; /* the one space before the bytes */
	if (!image_new(p, width, height))
		return false;
	row = file[1] == '4' ? (width + 7) / 8 : width * channels;
	if (at > len || len - at < row * height)
		return false;
	for (size_t y = 0; y < height; y++) {
		for (size_t x = 0; x < width; x++) {
			const uint8_t *b = file + at + y * row;

			if (file[1] == '4')
				p->grey[y * width + x] = (b[x / 8] >> (7 - x % 8) & 1) != 0 ? 0 : 255;
			else
				p->grey[y * width + x] = b[x * channels + channels / 2];
		}
	}
	return true;
}

static bool decode(struct grey_image *p, const uint8_t *file, size_t len)
{
	static const uint8_t png[] = { 0x89, 'P', 'N', 'G' }, jpeg[] = { 0xff, 0xd8, 0xff };

	if (len > sizeof(png) && memcmp(file, png, sizeof(png)) == 0)
		return decode_png(p, file, len);
	if (len > sizeof(jpeg) && memcmp(file, jpeg, sizeof(jpeg)) == 0)
		return decode_jpeg(p, file, len);
	if (len > 8 && file[0] == 'P' && file[1] >= '4' && file[1] <= '6')
		return decode_pnm(p, file, len);
	return false;
}

static size_t find_code(char out[static PICTURE_TEXT_MAX], const struct grey_image *p)
{
	zbar_image_scanner_t *scanner = zbar_image_scanner_create();
	zbar_image_t *image = zbar_image_create();
	const zbar_symbol_t *symbol = NULL;
	size_t len = 0;

	if (scanner == NULL || image == NULL)
		return 0;
	zbar_image_scanner_set_config(scanner, ZBAR_NONE, ZBAR_CFG_ENABLE, 0);
	zbar_image_scanner_set_config(scanner, ZBAR_QRCODE, ZBAR_CFG_ENABLE, 1);
	zbar_image_set_format(image, zbar_fourcc('Y', '8', '0', '0'));
	zbar_image_set_size(image, p->width, p->height);
	zbar_image_set_data(image, p->grey, (unsigned long)p->width * p->height, NULL);
	if (zbar_scan_image(scanner, image) > 0)
		symbol = zbar_image_first_symbol(image);
	if (symbol != NULL && zbar_symbol_get_data_length(symbol) <= PICTURE_TEXT_MAX) {
		len = zbar_symbol_get_data_length(symbol);
		memcpy(out, zbar_symbol_get_data(symbol), len);
	}
	return len;
}

/* zbar opens these when it reads a code; what they need is loaded while files can still be opened. */
static void load_encodings(void)
{
	static const char *const names[] = { "ISO8859-1", "SJIS", "BIG-5", "UTF-8" };

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		/* Stays open, so that it stays loaded; one that is missing does not matter here. */
		iconv_t unused = iconv_open("UTF-8", names[i]);

		(void)unused;
	}
}

/* The child was forked while its parent talks to the node and to the person: it keeps the pipe, which becomes
 * descriptor 0, and nothing else that it could write to. */
static bool keep_only(int to)
{
	return dup2(to, 0) == 0 && close_range(1, ~0u, 0) == 0;
}

static bool confine(void)
{
	static const int allowed[] = { SCMP_SYS(read),       SCMP_SYS(write),        SCMP_SYS(brk),
		                       SCMP_SYS(mmap),       SCMP_SYS(munmap),       SCMP_SYS(mremap),
		                       SCMP_SYS(madvise),    SCMP_SYS(futex),        SCMP_SYS(clock_gettime),
		                       SCMP_SYS(getrandom),  SCMP_SYS(rt_sigreturn), SCMP_SYS(exit_group),
		                       SCMP_SYS(sigaltstack) };
	const struct rlimit none = { 0, 0 }, seconds = { SECONDS_MAX, SECONDS_MAX };
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = filter == NULL ? -1 : 0;

	for (size_t i = 0; i < COUNT_OF(allowed) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	if (r == 0)
		r = setrlimit(RLIMIT_CPU, &seconds) | setrlimit(RLIMIT_CORE, &none) |
		    setrlimit(RLIMIT_FSIZE, &none);
	if (r == 0)
		r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (r == 0)
		r = seccomp_load(filter);
	if (filter != NULL)
		seccomp_release(filter);
	return r == 0;
}

static uint8_t *load(int fd, size_t len)
{
	uint8_t *file = malloc(len);
	size_t done = 0;

	while (file != NULL && done < len) {
		ssize_t n = read(fd, file + done, len - done);

		if (n <= 0)
			return NULL;
		done += (size_t)n;
	}
	return file;
}

/* The child: never returns. Its exit code is an outcome, or 0 with the text in the pipe. */
static void child(int fd, size_t len, int to)
{
	struct grey_image picture = { 0 };
	char text[PICTURE_TEXT_MAX];
	const uint8_t *file = load(fd, len);
	size_t n;

	load_encodings();
	if (file == NULL || !keep_only(to) || !confine())
		_exit(PICTURE_NO_IMAGE);
	if (!decode(&picture, file, len))
		_exit(PICTURE_NO_IMAGE);
	n = find_code(text, &picture);
	_exit(n > 0 && write(0, text, n) == (ssize_t)n ? 0 : PICTURE_NO_CODE);
}

/* ---- The parent ------------------------------------------------------------ */

static int take_text(char out[static PICTURE_TEXT_MAX + 1], int from, pid_t pid)
{
	size_t len = 0;
	int status;

	for (;;) {
		ssize_t n = read(from, out + len, PICTURE_TEXT_MAX - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || len == PICTURE_TEXT_MAX)
			break;
		len += (size_t)n;
	}
	out[len] = '\0';
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status))
		return PICTURE_NO_IMAGE;
	if (WEXITSTATUS(status) != 0)
		return WEXITSTATUS(status) == PICTURE_NO_CODE ? PICTURE_NO_CODE : PICTURE_NO_IMAGE;
	return len > 0 && strlen(out) == len ? 0 : PICTURE_NO_CODE;
}

int picture_read(char out[static PICTURE_TEXT_MAX + 1], const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ends[2];
	struct stat st;
	pid_t pid;
	int r;

	if (fd < 0)
		return err_from_errno(errno);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > PICTURE_FILE_MAX) {
		close(fd);
		return PICTURE_NO_IMAGE;
	}
	if (pipe2(ends, O_CLOEXEC) != 0) {
		close(fd);
		return ERR_SYSTEM;
	}
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child(fd, (size_t)st.st_size, ends[1]);
	close(fd);
	close(ends[1]);
	r = pid < 0 ? ERR_SYSTEM : take_text(out, ends[0], pid);
	close(ends[0]);
	return r;
}

bool picture_is_name(const char *path)
{
	static const char *const ends[] = { ".png", ".jpg", ".jpeg", ".pnm", ".pbm", ".pgm", ".ppm" };
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot != NULL && i < COUNT_OF(ends); i++) {
		if (strcasecmp(dot, ends[i]) == 0)
			return true;
	}
	return false;
}
