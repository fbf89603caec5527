/*
 * picture.h: a QR code in the terminal, and one out of an image file.
 */
#ifndef TOOLS_FLYLEAF_PICTURE_H
#define TOOLS_FLYLEAF_PICTURE_H

#include <stdio.h>

#include "node/base/common.h"

enum { PICTURE_TEXT_MAX = 512, PICTURE_FILE_MAX = 32 << 20 /* bytes of an image file */ };
enum {
	PICTURE_NO_CODE = 1, /* the image holds no QR code that can be read */
	PICTURE_NO_IMAGE,    /* no PNG, JPEG or PNM, damaged, or too large */
};

/* Draws text as half blocks, black on white whatever the terminal's colours are. Returns 0 or an enum err. */
must_check int picture_print(FILE *out, const char *text);

/* Finds the first QR code in the image file path. The image is decoded in a child process that may do nothing
 * but compute. Returns 0, an outcome, or an enum err (ERR_ABSENT: no such file). */
must_check int picture_read(char out[static PICTURE_TEXT_MAX + 1], const char *path);

/* Whether path has the name of an image file. */
bool picture_is_name(const char *path);

#endif
