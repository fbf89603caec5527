#include "tests/system/open_vault.h"

#include <stdio.h>

#include "node/crypto/random.h"

enum { PASSPHRASE_MAX = 1024 };

int open_vault(struct vault **out, const char *home, struct vault_report *found)
{
	char passphrase[PASSPHRASE_MAX];
	const size_t len = fread(passphrase, 1, sizeof(passphrase), stdin);
	struct vault_guess guess;
	int r;

	*out = NULL;
	r = vault_find(out, disk_posix(), home);
	if (r != 0)
		return r;
	vault_guess_for(&guess, *out);
	r = vault_derive(&guess, span_from(passphrase, len));
	if (r == 0)
		r = vault_open(*out, &guess, random_system(), found);
	vault_guess_wipe(&guess);
	return r;
}
