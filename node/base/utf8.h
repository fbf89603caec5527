/*
 * utf8.h: whether bytes from outside are text.
 */
#ifndef NODE_BASE_UTF8_H
#define NODE_BASE_UTF8_H

#include "node/base/wire.h"

/* Well-formed UTF-8 by RFC 3629: shortest forms, no surrogates, nothing above U+10FFFF. Empty is. */
bool utf8_valid(struct span text);

#endif
