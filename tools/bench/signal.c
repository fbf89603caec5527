/*
 * libsignal-protocol-c's ratchet. It asks its user for hashes and AES, and for a store from which it reads a
 * session before each message and to which it writes it after: here libsodium, libcrypto and a buffer.
 */
#include <signal_protocol.h>
#include <protocol.h>
#include <session_cipher.h>
#include <session_state.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "tools/bench/bare.h"
#include "tools/bench/bench.h"
#include "tools/bench/home.h"

enum { MESSAGES = 2000, TURNS = 200, AES_BLOCK = 16 };

static const signal_protocol_address address = { "n", 1, 1 };

struct side {
	ratchet_identity_key_pair *identity;
	signal_protocol_store_context *store;
	session_cipher *cipher;
	signal_buffer *record; /* what the store holds */
};

static void must(int r)
{
	if (r < 0)
		bench_fail("libsignal-protocol-c", "it refuses");
}

/* ---- What it asks for ------------------------------------------------------ */

static int fill(uint8_t *data, size_t len, void *user)
{
	(void)user;
	randombytes_buf(data, len);
	return 0;
}

static int hmac_init(void **context, const uint8_t *key, size_t key_len, void *user)
{
	crypto_auth_hmacsha256_state *state = malloc(sizeof(*state));

	(void)user;
	if (state == NULL)
		return SG_ERR_NOMEM;
	*context = state;
	return crypto_auth_hmacsha256_init(state, key, key_len);
}

static int hmac_update(void *context, const uint8_t *data, size_t len, void *user)
{
	(void)user;
	return crypto_auth_hmacsha256_update(context, data, len);
}

static int hmac_final(void *context, signal_buffer **out, void *user)
{
	uint8_t tag[crypto_auth_hmacsha256_BYTES];

	(void)user;
	crypto_auth_hmacsha256_final(context, tag);
	*out = signal_buffer_create(tag, sizeof(tag));
	return *out == NULL ? SG_ERR_NOMEM : 0;
}

static void hmac_cleanup(void *context, void *user)
{
	(void)user;
	free(context);
}

static int aes(bool encrypts, signal_buffer **out, const uint8_t *key, const uint8_t *iv, const uint8_t *in,
               size_t in_len)
{
	static EVP_CIPHER *cbc;
	static EVP_CIPHER_CTX *c;
	uint8_t buf[512];
	int len, last;

	if (cbc == NULL) {
		cbc = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
		c = EVP_CIPHER_CTX_new();
	}
	assert(in_len + AES_BLOCK <= sizeof(buf));
	if (EVP_CipherInit_ex2(c, cbc, key, iv, encrypts, NULL) != 1 ||
	    EVP_CipherUpdate(c, buf, &len, in, (int)in_len) != 1 ||
	    EVP_CipherFinal_ex(c, buf + len, &last) != 1)
		return SG_ERR_UNKNOWN;
	*out = signal_buffer_create(buf, (size_t)(len + last));
	return *out == NULL ? SG_ERR_NOMEM : 0;
}

static int encrypt(signal_buffer **out, int cipher, const uint8_t *key, size_t key_len, const uint8_t *iv,
                   size_t iv_len, const uint8_t *in, size_t in_len, void *user)
{
	(void)user;
	assert(cipher == SG_CIPHER_AES_CBC_PKCS5 && key_len == 32 && iv_len == AES_BLOCK);
	return aes(true, out, key, iv, in, in_len);
}

static int decrypt(signal_buffer **out, int cipher, const uint8_t *key, size_t key_len, const uint8_t *iv,
                   size_t iv_len, const uint8_t *in, size_t in_len, void *user)
{
	(void)user;
	assert(cipher == SG_CIPHER_AES_CBC_PKCS5 && key_len == 32 && iv_len == AES_BLOCK);
	return aes(false, out, key, iv, in, in_len);
}

static int load_session(signal_buffer **record, signal_buffer **more, const signal_protocol_address *whose,
                        void *user)
{
	const struct side *s = user;

	(void)more;
	(void)whose;
	*record = signal_buffer_copy(s->record);
	return *record == NULL ? SG_ERR_NOMEM : 1;
}

static int store_session(const signal_protocol_address *whose, uint8_t *record, size_t len, uint8_t *more,
                         size_t more_len, void *user)
{
	struct side *s = user;

	(void)whose;
	(void)more;
	(void)more_len;
	signal_buffer_free(s->record);
	s->record = signal_buffer_create(record, len);
	return s->record == NULL ? SG_ERR_NOMEM : 0;
}

static int contains_session(const signal_protocol_address *whose, void *user)
{
	const struct side *s = user;

	(void)whose;
	return s->record != NULL;
}

static int is_trusted(const signal_protocol_address *whose, uint8_t *key, size_t key_len, void *user)
{
	(void)whose;
	(void)key;
	(void)key_len;
	(void)user;
	return 1;
}

static int save_identity(const signal_protocol_address *whose, uint8_t *key, size_t key_len, void *user)
{
	(void)whose;
	(void)key;
	(void)key_len;
	(void)user;
	return 0;
}

/* ---- Two sides ------------------------------------------------------------- */

static signal_context *make_context(void)
{
	const signal_crypto_provider provider = {
		.random_func = fill,
		.hmac_sha256_init_func = hmac_init,
		.hmac_sha256_update_func = hmac_update,
		.hmac_sha256_final_func = hmac_final,
		.hmac_sha256_cleanup_func = hmac_cleanup,
		.encrypt_func = encrypt,
		.decrypt_func = decrypt,
	};
	signal_context *g;

	must(signal_context_create(&g, NULL));
	must(signal_context_set_crypto_provider(g, &provider));
	return g;
}

static void make_side(struct side *out, signal_context *g)
{
	const signal_protocol_session_store sessions = {
		.load_session_func = load_session,
		.store_session_func = store_session,
		.contains_session_func = contains_session,
		.user_data = out,
	};
	const signal_protocol_identity_key_store identities = {
		.is_trusted_identity = is_trusted,
		.save_identity = save_identity,
	};
	ec_key_pair *keys;

	must(curve_generate_key_pair(g, &keys));
	must(ratchet_identity_key_pair_create(&out->identity, ec_key_pair_get_public(keys),
	                                      ec_key_pair_get_private(keys)));
	must(signal_protocol_store_context_create(&out->store, g));
	must(signal_protocol_store_context_set_session_store(out->store, &sessions));
	must(signal_protocol_store_context_set_identity_key_store(out->store, &identities));
	must(session_cipher_create(&out->cipher, out->store, &address, g));
}

static void keep(struct side *s, session_state *state, signal_context *g)
{
	session_record *record;

	must(session_record_create(&record, state, g));
	must(signal_protocol_session_store_session(s->store, &address, record));
	SIGNAL_UNREF(record);
}

/* The agreement of keys, with what a bundle and a first message would have carried. */
static void agree(struct side s[2], signal_context *g)
{
	alice_signal_protocol_parameters *alice;
	bob_signal_protocol_parameters *bob;
	session_state *states[2];
	ec_key_pair *base, *signed_key;

	must(curve_generate_key_pair(g, &base));
	must(curve_generate_key_pair(g, &signed_key));
	must(alice_signal_protocol_parameters_create(&alice, s[0].identity, base,
	                                             ratchet_identity_key_pair_get_public(s[1].identity),
	                                             ec_key_pair_get_public(signed_key), NULL,
	                                             ec_key_pair_get_public(signed_key)));
	must(bob_signal_protocol_parameters_create(&bob, s[1].identity, signed_key, NULL, signed_key,
	                                           ratchet_identity_key_pair_get_public(s[0].identity),
	                                           ec_key_pair_get_public(base)));
	for (unsigned i = 0; i < 2; i++)
		must(session_state_create(&states[i], g));
	must(ratcheting_session_alice_initialize(states[0], alice, g));
	must(ratcheting_session_bob_initialize(states[1], bob, g));
	for (unsigned i = 0; i < 2; i++)
		keep(&s[i], states[i], g);
}

static void hand_over(struct side *from, struct side *to, signal_context *g)
{
	static const uint8_t text[HOME_TEXT_LEN];
	ciphertext_message *sealed;
	signal_message *message;
	signal_buffer *bytes, *plain;

	must(session_cipher_encrypt(from->cipher, text, sizeof(text), &sealed));
	bytes = ciphertext_message_get_serialized(sealed);
	must(signal_message_deserialize(&message, signal_buffer_data(bytes), signal_buffer_len(bytes), g));
	must(session_cipher_decrypt_signal_message(to->cipher, message, NULL, &plain));
	if (signal_buffer_len(plain) != sizeof(text))
		bench_fail("libsignal-protocol-c", "the text differs");
	signal_buffer_free(plain);
	SIGNAL_UNREF(message);
	SIGNAL_UNREF(sealed);
}

static signal_context *pair(struct side s[2])
{
	signal_context *g = make_context();

	for (unsigned i = 0; i < 2; i++)
		make_side(&s[i], g);
	agree(s, g);
	hand_over(&s[0], &s[1], g);
	return g;
}

static double one_way(void *arg)
{
	struct side s[2] = { { .record = NULL }, { .record = NULL } };
	signal_context *g = pair(s);
	const double began = timing_worked();

	(void)arg;
	for (unsigned i = 0; i < MESSAGES; i++)
		hand_over(&s[0], &s[1], g);
	return (timing_worked() - began) / MESSAGES;
}

static double ping_pong(void *arg)
{
	struct side s[2] = { { .record = NULL }, { .record = NULL } };
	signal_context *g = pair(s);
	const double began = timing_worked();

	(void)arg;
	for (unsigned i = 0; i < TURNS; i++)
		hand_over(&s[(i + 1) % 2], &s[i % 2], g);
	return (timing_worked() - began) / TURNS;
}

void bench_signal(struct bench *b)
{
	bench_compare(b, "signal-one-way", "libsignal-protocol-c's ratchet, one direction (our steps, bare)",
	              one_way, bare_one_way, 0);
	bench_compare(b, "signal-ping-pong", "libsignal-protocol-c's ratchet, ping-pong (our steps, bare)",
	              ping_pong, bare_ping_pong, 0);
}
