/*
 * absent.c: puts contacts that are never there into a vault, and calls them.
 *
 *     absent HOME NUMBER < PASSPHRASE
 *
 * No node may have it open.
 */
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "node/crypto/kdf.h"
#include "node/crypto/random.h"
#include "node/crypto/ratchet.h"
#include "node/crypto/secrets.h"
#include "store/contacts.h"
#include "store/conversations.h"
#include "tests/system/open_vault.h"

/* As after a pairing with somebody who has gone home since. */
static int add(struct store *s, struct random *rng, unsigned number)
{
	struct contact_record c = { .mode = MODE_CALL, .state = CONTACT_MET };
	struct conversation_record conversation = { 0 };
	struct writer out = WRITER_ON(conversation.ratchet);
	struct key_pair r, peer_s, peer_r;
	struct root_secret root;
	struct secrets_result result;
	struct ratchet_root from;
	struct ratchet ratchet;
	int e;

	snprintf(c.name, sizeof(c.name), "absent%u", number);
	key_pair_new(&c.s, rng);
	key_pair_new(&r, rng);
	key_pair_new(&peer_s, rng);
	key_pair_new(&peer_r, rng);
	random_bytes(rng, root.b, sizeof(root.b));
	secrets_of_root(&result, &root);
	c.peer_s = peer_s.public;
	c.cur = result.l0;
	c.anchor = result.anchor;
	e = secrets_role(&c.role, &c.s.public, &peer_s.public);
	if (e != 0)
		return e;
	from = (struct ratchet_root){ .rk0 = result.rk0, .ha = result.ha, .nb = result.nb };
	secrets_aid(&from.aid, c.role == ROLE_A ? &c.s.public : &peer_s.public,
	            c.role == ROLE_A ? &peer_s.public : &c.s.public, 0);
	e = ratchet_init(&ratchet, c.role, &from, &r, &peer_r.public, rng);
	if (e != 0)
		return e;
	ratchet_encode(&out, &ratchet);
	ratchet_deinit(&ratchet);
	conversation.ratchet_len = out.len;
	e = contacts_add(s, &c);
	conversation.contact = c.id;
	return e == 0 ? conversation_save(s, &conversation) : e;
}

static int add_all(struct store *s, unsigned number)
{
	int r = store_begin(s);

	for (unsigned i = 0; i < number && r == 0; i++)
		r = add(s, random_system(), i);
	return r == 0 ? store_commit(s) : r;
}

int main(int argc, char **argv)
{
	struct vault_report found;
	struct vault *v;
	int r;

	if (argc != 3 || sodium_init() < 0)
		return 2;
	r = open_vault(&v, argv[1], &found);
	if (r == 0)
		r = add_all(vault_store(v), (unsigned)atoi(argv[2]));
	vault_close(v);
	if (r != 0)
		printf("absent: %d\n", r);
	return r != 0;
}
