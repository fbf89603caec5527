/*
 * test_picture.c: QR codes onto the terminal and out of image files.
 */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jpeglib.h>
#include <png.h>
#include <qrencode.h>

#include "tools/flyleaf/picture.h"

enum { SCALE = 4, MARGIN = 4, SIDE_MAX = 800 };

/* As a pairing shows it: Base45 of 98 bytes. */
static const char code[] =
        "$AA*S5HX50OU932J/D5ULT*6XMA$89KG6KPI%GN*DR3/M0OCM:Q9*5E94BDCTBPG05T.S4G2ZMGL.J/C6+ISO60ZJV."
        "9KVZLI12R*9MT3MZANUL YH9LK3R1Z7NWC72:GMPL9DA8UJCX9PMIFP1";

static char folder[] = "/tmp/flyleaf-test-qr-XXXXXX";
static char path[sizeof(folder) + 16];
static uint8_t grey[SIDE_MAX * SIDE_MAX];
static unsigned side;

static void draw(const char *text)
{
	QRcode *q = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1);

	side = (unsigned)(q->width + 2 * MARGIN) * SCALE;
	assert_true(side <= SIDE_MAX);
	memset(grey, 255, sizeof(grey));
	for (unsigned y = 0; y < (unsigned)q->width * SCALE; y++) {
		for (unsigned x = 0; x < (unsigned)q->width * SCALE; x++) {
			if ((q->data[y / SCALE * (unsigned)q->width + x / SCALE] & 1) != 0)
				grey[(y + MARGIN * SCALE) * side + x + MARGIN * SCALE] = 0;
		}
	}
	QRcode_free(q);
}

static FILE *create(const char *name)
{
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "wb");
	assert_non_null(f);
	return f;
}

static void write_pnm(const char *name, char kind)
{
	FILE *f = create(name);

	fprintf(f, "P%c\n# a picture\n%u %u\n%s", kind, side, side, kind == '4' ? "" : "255\n");
	for (unsigned y = 0; y < side; y++) {
		for (unsigned x = 0; x < side; x += kind == '4' ? 8 : 1) {
			uint8_t bits = 0;

			for (unsigned i = 0; i < 8; i++)
				bits |= (uint8_t)((x + i < side && grey[y * side + x + i] == 0) << (7 - i));
			for (int i = 0; i < (kind == '6' ? 3 : 1); i++)
				fputc(kind == '4' ? bits : grey[y * side + x], f);
		}
	}
	fclose(f);
}

static void write_png(const char *name)
{
	png_image image = {
		.version = PNG_IMAGE_VERSION, .width = side, .height = side, .format = PNG_FORMAT_GRAY
	};
	FILE *f = create(name);

	assert_int_not_equal(png_image_write_to_stdio(&image, f, 0, grey, (png_int_32)side, NULL), 0);
	fclose(f);
}

static void write_jpeg(const char *name)
{
	struct jpeg_compress_struct info;
	struct jpeg_error_mgr errors;
	FILE *f = create(name);

	info.err = jpeg_std_error(&errors);
	jpeg_create_compress(&info);
	jpeg_stdio_dest(&info, f);
	info.image_width = info.image_height = side;
	info.input_components = 1;
	info.in_color_space = JCS_GRAYSCALE;
	jpeg_set_defaults(&info);
	jpeg_start_compress(&info, TRUE);
	while (info.next_scanline < side) {
		JSAMPROW row = grey + info.next_scanline * side;

		jpeg_write_scanlines(&info, &row, 1);
	}
	jpeg_finish_compress(&info);
	jpeg_destroy_compress(&info);
	fclose(f);
}

static void expect_code(const char *text)
{
	char found[PICTURE_TEXT_MAX + 1];

	assert_int_equal(picture_read(found, path), 0);
	assert_string_equal(found, text);
	unlink(path);
}

static void every_kind_of_picture_is_read(void **state)
{
	(void)state;
	draw(code);
	write_png("code.png");
	expect_code(code);
	write_jpeg("code.jpg");
	expect_code(code);
	write_pnm("code.pbm", '4');
	expect_code(code);
	write_pnm("code.pgm", '5');
	expect_code(code);
	write_pnm("code.ppm", '6');
	expect_code(code);
	draw("47 apple river stone");
	write_png("words.png");
	expect_code("47 apple river stone");
}

static void expect_outcome(int outcome)
{
	char found[PICTURE_TEXT_MAX + 1];

	assert_int_equal(picture_read(found, path), outcome);
}

static void pictures_without_a_code_are_refused(void **state)
{
	(void)state;
	side = 200;
	memset(grey, 255, sizeof(grey));
	write_png("blank.png");
	expect_outcome(PICTURE_NO_CODE);
	unlink(path);
}

static void what_is_no_picture_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{ "P5\n10 10\n255\nshort", 18 },
		{ "P5\n99999 99999\n255\n", 19 },
		{ "P5\n0 10\n255\n12345", 17 },
		{ "P6\n", 3 },
		{ "P5\n# no end of the comment", 27 },
		{ "\x89PNG\r\n\x1a\n and then nothing", 24 },
		{ "\xff\xd8\xff\xe0 and then nothing", 21 },
		{ "hello", 5 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		FILE *f = create("bad.png");

		fwrite(bad[i].bytes, 1, bad[i].len, f);
		fclose(f);
		expect_outcome(PICTURE_NO_IMAGE);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/absent", folder);
	expect_outcome(ERR_ABSENT);
	snprintf(path, sizeof(path), "%s", folder);
	expect_outcome(PICTURE_NO_IMAGE);
}

/* A printed code is read back from its half blocks. */
static void a_printed_code_is_the_code(void **state)
{
	char *text = NULL;
	size_t len, at = 0;
	FILE *out = open_memstream(&text, &len);
	unsigned row = 0, column = 0;

	(void)state;
	assert_int_equal(picture_print(out, code), 0);
	fclose(out);
	memset(grey, 255, sizeof(grey));
	side = 400;
	while (at < len) {
		unsigned upper = 0, lower = 0;
		size_t n = 1;

		if (text[at] == '\n') {
			row += 2;
			column = 0;
		} else if (text[at] == '\033') {
			n = strcspn(text + at, "m") + 1;
		} else {
			n = text[at] == ' ' ? 1 : 3;
			upper = n == 3 && memcmp(text + at, "\u2584", 3) != 0;
			lower = n == 3 && memcmp(text + at, "\u2580", 3) != 0;
			for (unsigned y = 0; y < 2 * SCALE; y++) {
				for (unsigned x = 0; x < SCALE; x++) {
					bool dark = y < SCALE ? upper : lower;

					grey[(row * SCALE + y) * side + column * SCALE + x] = dark ? 0 : 255;
				}
			}
			column++;
		}
		at += n;
	}
	free(text);
	write_pnm("printed.pgm", '5');
	expect_code(code);
}

/* Whether it has a descriptor, and no more; it has to live on until that was seen. */
static bool has_one_descriptor(int process)
{
	char at[64], link[64];
	unsigned n = 0;
	DIR *d;

	snprintf(at, sizeof(at), "/proc/%d/fd", process);
	d = opendir(at);
	if (d == NULL)
		return false;
	for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d))
		n += e->d_name[0] != '.';
	closedir(d);
	snprintf(at, sizeof(at), "/proc/%d/fd/0", process);
	return n == 1 && readlink(at, link, sizeof(link)) > 0;
}

/* Looks at the other children of its parent; ends well once it has seen one with a single descriptor. */
static void watch(void)
{
	char at[64];

	snprintf(at, sizeof(at), "/proc/%d/task/%d/children", getppid(), getppid());
	for (;;) {
		FILE *f = fopen(at, "r");
		int child;

		while (f != NULL && fscanf(f, "%d", &child) == 1)
			if (child != getpid() && has_one_descriptor(child))
				_exit(0);
		if (f != NULL)
			fclose(f);
	}
}

/* Whoever breaks the decoder could speak to the node in the person's name over an open descriptor. */
static void the_child_keeps_nothing_but_its_pipe(void **state)
{
	char found[PICTURE_TEXT_MAX + 1];
	const pid_t watcher = fork();
	bool seen = false;
	int status;

	(void)state;
	if (watcher == 0)
		watch();
	draw(code);
	write_pnm("code.pgm", '5');
	for (unsigned i = 0; i < 100 && !seen; i++) {
		assert_int_equal(picture_read(found, path), 0);
		seen = waitpid(watcher, &status, WNOHANG) == watcher;
	}
	unlink(path);
	if (!seen) {
		kill(watcher, SIGKILL);
		waitpid(watcher, &status, 0);
	}
	assert_true(seen);
}

static void names_of_pictures_are_known(void **state)
{
	(void)state;
	assert_true(picture_is_name("a/b.PNG"));
	assert_true(picture_is_name("x.jpeg"));
	assert_false(picture_is_name("47 apple river stone"));
	assert_false(picture_is_name(code));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_picture_is_read),
		cmocka_unit_test(pictures_without_a_code_are_refused),
		cmocka_unit_test(what_is_no_picture_is_refused),
		cmocka_unit_test(a_printed_code_is_the_code),
		cmocka_unit_test(the_child_keeps_nothing_but_its_pipe),
		cmocka_unit_test(names_of_pictures_are_known),
	};
	int r;

	if (mkdtemp(folder) == NULL)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return r;
}
