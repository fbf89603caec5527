/*
 * qr.h: a QR code in the terminal, and one out of an image file.
 */
#ifndef TOOLS_FLYLEAF_QR_H
#define TOOLS_FLYLEAF_QR_H

#include <stdio.h>

#include "node/base/common.h"

enum { QR_TEXT_MAX = 512, QR_FILE_MAX = 32 << 20 /* bytes of an image file */ };
enum {
	QR_NO_CODE = 1, /* the image holds no QR code that can be read */
	QR_NO_IMAGE,    /* no PNG, JPEG or PNM, damaged, or too large */
};

/* Draws text as half blocks, black on white whatever the terminal's colours are. Returns 0 or an enum err. */
must_check int qr_print(FILE *out, const char *text);

/* Finds the first QR code in the image file path. The image is decoded in a child process that may do nothing
 * but compute. Returns 0, an outcome, or an enum err (ERR_ABSENT: no such file). */
must_check int qr_read(char out[static QR_TEXT_MAX + 1], const char *path);

/* Whether path has the name of an image file. */
bool qr_is_image_name(const char *path);

#endif
