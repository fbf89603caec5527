#include "tests/fuzz/fuzz.h"

#include "node/core/pairing.h"
#include "node/crypto/kdf.h"
#include "node/crypto/random.h"

enum { OWN = 1, KNOWN = 2 }; /* of byte 0: the own keys are scanned; what is scanned is a contact's */

struct list {
	struct pairing_known base;
	bool all;
};

static bool list_has(struct pairing_known *self, const struct public_key *s)
{
	(void)s;
	return CONTAINER_OF(self, struct list, base)->all;
}

/* What a camera read in place of the other screen: it becomes a contact with a working ratchet, or is
 * refused. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader in = reader_from(span_from(data, size));
	const uint8_t how = reader_u8(&in);
	struct list list = { { list_has }, (how & KNOWN) != 0 };
	struct pairing_result result;
	struct random_seeded rng;
	struct key_pair s, r;
	struct ratchet ratchet;
	struct qr_pair shown;
	struct qr qr;

	random_seeded_init(&rng, 1);
	pairing_qr_new(&shown, &s, &r, &rng.base);
	if ((how & OWN) != 0)
		qr = (struct qr){ .kind = QR_PAIR, .pair = shown };
	else if (qr_read(&qr, reader_rest(&in)) != 0 || qr.kind != QR_PAIR)
		return 0;
	if (pairing_qr(&result, &s, &r, &shown.q, &qr.pair, &list.base) != 0)
		return 0;
	assert((how & (OWN | KNOWN)) == 0);
	assert(strlen(result.safety) == SAFETY_TEXT_LEN);
	if (pairing_ratchet(&ratchet, &result, &rng.base) == 0)
		ratchet_deinit(&ratchet);
	return 0;
}
