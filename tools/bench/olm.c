/*
 * libolm's ratchet. It has no padding and no sealed header, and its messages are base64, which it cannot
 * leave out.
 */
#include <stdlib.h>

#include <olm/olm.h>
#include <sodium.h>

#include "tools/bench/bare.h"
#include "tools/bench/bench.h"
#include "tools/bench/home.h"

enum { MESSAGES = 2000, TURNS = 200, KEY_LEN = 43, MESSAGE_MAX = 1024, RANDOM_MAX = 8192 };

struct side {
	OlmAccount *account;
	OlmSession *session;
};

static size_t must(size_t r)
{
	if (r == olm_error())
		bench_fail("libolm", "it refuses");
	return r;
}

/* So many random bytes, good until the next call. */
static void *fresh(size_t len)
{
	static uint8_t bytes[RANDOM_MAX];

	assert(len <= sizeof(bytes));
	randombytes_buf(bytes, len);
	return bytes;
}

static void make_side(struct side *out)
{
	out->account = olm_account(malloc(olm_account_size()));
	out->session = olm_session(malloc(olm_session_size()));
	const size_t len = olm_create_account_random_length(out->account);

	must(olm_create_account(out->account, fresh(len), len));
}

static void hand_over(struct side *from, struct side *to)
{
	static const uint8_t text[HOME_TEXT_LEN];
	uint8_t message[MESSAGE_MAX], plain[MESSAGE_MAX];
	const size_t type = must(olm_encrypt_message_type(from->session));
	const size_t random = olm_encrypt_random_length(from->session);
	const size_t len = must(olm_encrypt(from->session, text, sizeof(text), fresh(random), random, message,
	                                    sizeof(message)));

	if (must(olm_decrypt(to->session, type, message, len, plain, sizeof(plain))) != sizeof(text))
		bench_fail("libolm", "the text differs");
}

/* Two sessions that have heard of each other, so that no message carries keys of the beginning. */
static void pair(struct side s[2])
{
	char identity[256] = "", once[256] = "";
	uint8_t message[MESSAGE_MAX], copy[MESSAGE_MAX], plain[MESSAGE_MAX];
	size_t random, len;

	make_side(&s[0]);
	make_side(&s[1]);
	random = olm_account_generate_one_time_keys_random_length(s[1].account, 1);
	must(olm_account_generate_one_time_keys(s[1].account, 1, fresh(random), random));
	/* {"curve25519":"KEY",...   and   {"curve25519":{"ID":"KEY"}} */
	must(olm_account_identity_keys(s[1].account, identity, sizeof(identity) - 1));
	must(olm_account_one_time_keys(s[1].account, once, sizeof(once) - 1));
	random = olm_create_outbound_session_random_length(s[0].session);
	must(olm_create_outbound_session(s[0].session, s[0].account, identity + strlen("{\"curve25519\":\""),
	                                 KEY_LEN, strstr(once, "\"}}") - KEY_LEN, KEY_LEN, fresh(random),
	                                 random));
	random = olm_encrypt_random_length(s[0].session);
	len = must(olm_encrypt(s[0].session, "", 1, fresh(random), random, message, sizeof(message)));
	memcpy(copy, message, len);
	must(olm_create_inbound_session(s[1].session, s[1].account, copy, len));
	must(olm_decrypt(s[1].session, OLM_MESSAGE_TYPE_PRE_KEY, message, len, plain, sizeof(plain)));
	hand_over(&s[1], &s[0]);
	hand_over(&s[0], &s[1]);
}

static double one_way(void *arg)
{
	struct side s[2];
	double began;

	(void)arg;
	pair(s);
	began = timing_worked();
	for (unsigned i = 0; i < MESSAGES; i++)
		hand_over(&s[0], &s[1]);
	return (timing_worked() - began) / MESSAGES;
}

static double ping_pong(void *arg)
{
	struct side s[2];
	double began;

	(void)arg;
	pair(s);
	began = timing_worked();
	for (unsigned i = 0; i < TURNS; i++)
		hand_over(&s[(i + 1) % 2], &s[i % 2]);
	return (timing_worked() - began) / TURNS;
}

void bench_olm(struct bench *b)
{
	bench_compare(b, "olm-one-way", "libolm's ratchet, one direction (our steps, bare)", one_way,
	              bare_one_way, 0);
	bench_compare(b, "olm-ping-pong", "libolm's ratchet, ping-pong (our steps, bare)", ping_pong,
	              bare_ping_pong, 0);
}
