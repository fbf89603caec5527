#include "tools/bench/home.h"

#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "node/crypto/kdf.h"
#include "node/crypto/random.h"
#include "node/crypto/ratchet.h"
#include "node/crypto/secrets.h"
#include "store/conversations.h"
#include "store/messages.h"
#include "tools/bench/bench.h"

enum { CLOCK = 1700000000 };

static void derive(struct vault_guess *guess, const char *passphrase)
{
	if (passphrase != NULL)
		bench_must(vault_derive(guess, span_str(passphrase)), "Argon2id");
	else
		memset(guess->kek.b, 1, sizeof(guess->kek.b));
}

void home_make(const char *dir, const char *passphrase)
{
	struct vault_guess guess;

	vault_guess_new(&guess, SLOTS_64_MIB, random_system());
	derive(&guess, passphrase);
	bench_must(vault_create(disk_posix(), dir, SLOTS_PLACES_OWN, &guess, random_system()), dir);
	vault_guess_wipe(&guess);
}

struct vault *home_open(const char *dir, const char *passphrase)
{
	struct vault_guess guess;
	struct vault_report report;
	struct vault *v;

	bench_must(vault_find(&v, disk_posix(), dir), dir);
	vault_guess_for(&guess, v);
	derive(&guess, passphrase);
	bench_must(vault_open(v, &guess, random_system(), &report), dir);
	vault_guess_wipe(&guess);
	return v;
}

void home_pair(struct home_pair *out)
{
	struct random *rng = random_system();
	struct key_pair s[2], r[2];
	struct sym_key q[2];
	struct root_secret root;
	struct secrets_result result;
	enum pair_role role;

	*out = (struct home_pair){ 0 };
	for (size_t i = 0; i < 2; i++) {
		key_pair_new(&s[i], rng);
		key_pair_new(&r[i], rng);
		random_bytes(rng, q[i].b, sizeof(q[i].b));
	}
	bench_must(secrets_role(&role, &s[0].public, &s[1].public), "a pair");
	const size_t a = role == ROLE_A ? 0 : 1, b = 1 - a;
	const struct secrets_pair pair = { s[a].public, s[b].public, r[a].public, r[b].public };

	bench_must(secrets_root_qr(&root, &pair, role, &s[0].secret, &r[0].secret, &q[a], &q[b]), "a pair");
	secrets_of_root(&result, &root);
	struct ratchet_root begin = { .rk0 = result.rk0, .ha = result.ha, .nb = result.nb };

	secrets_aid(&begin.aid, &pair.s_a, &pair.s_b, 0);
	for (size_t i = 0; i < 2; i++) {
		out->record[i] = (struct contact_record){
			.state = CONTACT_CONFIRMED,
			.mode = MODE_ANSWER,
			.s = s[i],
			.peer_s = s[1 - i].public,
			.role = i == a ? ROLE_A : ROLE_B,
			.cur = result.l0,
			.anchor = result.anchor,
		};
		out->ratchet[i] = calloc(1, sizeof(*out->ratchet[i]));
		if (out->ratchet[i] == NULL)
			bench_fail("a pair", "out of memory");
		bench_must(ratchet_init(out->ratchet[i], out->record[i].role, &begin, &r[i], &r[1 - i].public,
		                        rng),
		           "a ratchet");
	}
}

void home_pair_free(struct home_pair *p)
{
	for (size_t i = 0; i < 2; i++) {
		ratchet_deinit(p->ratchet[i]);
		free(p->ratchet[i]);
	}
	sodium_memzero(p, sizeof(*p));
}

uint32_t home_add(struct store *s, const struct home_pair *p, unsigned side, const char *name)
{
	struct contact_record record = p->record[side];
	struct conversation_record v = { 0 };
	struct writer out = WRITER_ON(v.ratchet);

	snprintf(record.name, sizeof(record.name), "%s", name);
	bench_must(contacts_add(s, &record), "a contact");
	ratchet_encode(&out, p->ratchet[side]);
	v.ratchet_len = out.len;
	v.contact = record.id;
	bench_must(conversation_save(s, &v), "a conversation");
	return record.id;
}

void home_write(struct store *s, uint32_t contact, bool own, int64_t position, unsigned count)
{
	char text[HOME_TEXT_LEN + 1];

	for (unsigned i = 0; i < count; i++) {
		struct message m = {
			.position = position + i,
			.own = own,
			.claimed = CLOCK + i,
			.content = { (const uint8_t *)text, HOME_TEXT_LEN },
		};

		snprintf(text, sizeof(text), "%-*u", HOME_TEXT_LEN, i);
		bench_must(messages_add(s, contact, &m), "a message");
	}
}

void home_make_pair(const char *const dirs[2], unsigned waiting)
{
	static const char *const names[2] = { "n1", "n0" };
	struct home_pair p;

	home_pair(&p);
	for (unsigned i = 0; i < 2; i++) {
		home_make(dirs[i], NULL);
		struct vault *v = home_open(dirs[i], NULL);
		struct store *s = vault_store(v);

		bench_must(store_begin(s), "a turn");
		home_write(s, home_add(s, &p, i, names[i]), true, 0, i == 0 ? waiting : 0);
		bench_must(store_commit(s), "a turn");
		vault_close(v);
	}
	home_pair_free(&p);
}
