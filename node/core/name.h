/*
 * name.h: what a contact may be called.
 *
 * Names are typed, read and spoken by people, and shown in terminals: 1 to 64 bytes of
 * UTF-8 in NFC, no control, format (bidi, zero-width), line or private characters, no
 * space at either end or twice in a row, no leading '-', which the command line needs.
 */
#ifndef NODE_CORE_NAME_H
#define NODE_CORE_NAME_H

#include "node/base/wire.h"
#include "store/contacts.h"

enum { NAME_REFUSED = 1 };

/* Brings a name into NFC and writes it with its terminator. Returns 0, NAME_REFUSED or ERR_NOMEM. */
must_check int name_read(char out[static CONTACT_NAME_MAX + 1], struct span typed);

/* Whether two names that name_read() gave differ in case only, or not at all. */
bool name_same(const char *a, const char *b);

#endif
