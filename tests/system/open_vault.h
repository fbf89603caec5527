/*
 * open_vault.h: a vault that no node has open, for programs of the tests that look into it or change it.
 *
 * The pass-phrase comes from standard input. It is one of the tests, so that nothing here is shielded.
 */
#ifndef TESTS_SYSTEM_OPEN_VAULT_H
#define TESTS_SYSTEM_OPEN_VAULT_H

#include "store/vault.h"

/* *out is to be closed by vault_close(), whatever comes of it. Returns as vault_find() or vault_open(). */
must_check int open_vault(struct vault **out, const char *home, struct vault_report *found);

#endif
