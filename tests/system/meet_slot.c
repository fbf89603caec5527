/*
 * meet_slot.c: when two contacts without multicast try each other's addresses (PROTOCOL section 4).
 *
 *     meet_slot HOME CLOCK < PASSPHRASE      prints when the first slot opens in the ten minutes of CLOCK
 *
 * Of the only contact, by a's clock, seconds since 1970. No node may have the vault open.
 */
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "node/crypto/random.h"
#include "store/contacts.h"
#include "store/vault.h"
#include "transport/call.h"

enum { PASSPHRASE_MAX = 1024 };

static int print_slot(void *arg, const struct contact_record *record)
{
	const uint32_t unit = (uint32_t)(*(const long long *)arg / CALL_UNIT_S);
	const struct call_meet m = call_meet(&record->anchor, unit);

	printf("%lld\n", (long long)unit * CALL_UNIT_S + m.slot % (CALL_MEET_SLOTS / 2) * CALL_MEET_SLOT_S);
	return 0;
}

int main(int argc, char **argv)
{
	char passphrase[PASSPHRASE_MAX];
	const size_t len = fread(passphrase, 1, sizeof(passphrase), stdin);
	struct vault_report found;
	struct vault_guess guess;
	struct vault *v = NULL;
	long long clock;
	int r;

	if (argc != 3 || sodium_init() < 0)
		return 2;
	clock = atoll(argv[2]);
	r = vault_find(&v, disk_posix(), argv[1]);
	if (r == 0) {
		vault_guess_for(&guess, v);
		r = vault_derive(&guess, span_from(passphrase, len));
		if (r == 0)
			r = vault_open(v, &guess, random_system(), &found);
		vault_guess_wipe(&guess);
	}
	if (r == 0)
		r = contacts_each(vault_store(v), print_slot, &clock);
	vault_close(v);
	return r == 0 ? 0 : 1;
}
