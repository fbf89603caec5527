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

#include "store/contacts.h"
#include "tests/system/open_vault.h"
#include "transport/call.h"

static int print_slot(void *arg, const struct contact_record *record)
{
	const uint32_t unit = (uint32_t)(*(const long long *)arg / CALL_UNIT_S);
	const struct call_meet m = call_meet(&record->anchor, unit);

	printf("%lld\n", (long long)unit * CALL_UNIT_S + m.slot % (CALL_MEET_SLOTS / 2) * CALL_MEET_SLOT_S);
	return 0;
}

int main(int argc, char **argv)
{
	struct vault_report found;
	struct vault *v;
	long long clock;
	int r;

	if (argc != 3 || sodium_init() < 0)
		return 2;
	clock = atoll(argv[2]);
	r = open_vault(&v, argv[1], &found);
	if (r == 0)
		r = contacts_each(vault_store(v), print_slot, &clock);
	vault_close(v);
	return r == 0 ? 0 : 1;
}
