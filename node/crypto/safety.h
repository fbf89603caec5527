/*
 * safety.h: the number by which two people see that nobody stands between them
 * (PROTOCOL section 2.3).
 */
#ifndef NODE_CRYPTO_SAFETY_H
#define NODE_CRYPTO_SAFETY_H

#include "node/crypto/secrets.h"

enum { SAFETY_TEXT_LEN = 35 }; /* six groups of five digits, spaces between */

/* Six groups, ended by a zero byte; the same on both sides. */
void safety_number(char out[static SAFETY_TEXT_LEN + 1], const struct secrets_pair *pair);

#endif
