#include <stdio.h>

#include <sodium.h>

#include "node/crypto/random.h"
#include "tools/bench/bench.h"
#include "tools/bench/home.h"
#include "tools/bench/peer.h"

enum { CONTACTS = 100, MESSAGES_EACH = 1000, UNLOCK_ROUNDS = 4 };
static const char phrase[] = "seven small words that only this bench knows";

struct resting {
	char dir[BENCH_PATH_MAX];
	const char *passphrase;
	struct slots_cost cost;
};

static double make_full(void *arg)
{
	const struct resting *r = arg;
	struct vault *v;

	home_make(r->dir, r->passphrase);
	v = home_open(r->dir, r->passphrase);
	bench_must(store_begin(vault_store(v)), "a turn");
	for (unsigned i = 0; i < CONTACTS; i++) {
		struct home_pair p;
		char name[32];

		home_pair(&p);
		snprintf(name, sizeof(name), "contact %u", i);
		home_write(vault_store(v), home_add(vault_store(v), &p, 1, name), false, 0, MESSAGES_EACH);
		home_pair_free(&p);
	}
	bench_must(store_commit(vault_store(v)), "a turn");
	bench_must(vault_lock(v), "locking");
	vault_close(v);
	return 0;
}

/* A node that has read every message once for a face. */
static void memory(struct bench *b)
{
	static struct resting r;
	static struct peer p;
	size_t kib;

	bench_path(r.dir, b->dir, "memory");
	timing_in_child(make_full, &r);
	peer_start(&p, b->self, r.dir, 0);
	peer_connect(&p, r.dir);
	for (unsigned i = 0; i < CONTACTS; i++) {
		char request[128];

		for (unsigned from = 0; from < MESSAGES_EACH; from += 200) {
			snprintf(request, sizeof(request),
			         "\"do\":\"read\",\"name\":\"contact %u\",\"from\":%u", i, from);
			peer_ask(&p, request);
			peer_wait(&p, "\"messages\"");
		}
	}
	kib = peer_resident_kib(&p);
	peer_stop(&p);
	bench_remove(r.dir);
	report_add(&b->report,
	           &(struct row){
	                   .id = "memory",
	                   .what = "memory of a node with 100 contacts and 100,000 messages, all read",
	                   .unit = "MiB",
	                   .ours = (double)kib / 1024,
	                   .figure = (double)kib / 1024,
	                   .bound = 24,
	           });
}

static double unlock_ours(void *arg)
{
	const struct resting *r = arg;
	const double began = timing_now();

	vault_close(home_open(r->dir, r->passphrase));
	return timing_now() - began;
}

static double unlock_bare(void *arg)
{
	const struct resting *r = arg;
	uint8_t key[32], salt[crypto_pwhash_SALTBYTES] = { 1 };
	const double began = timing_now();

	if (crypto_pwhash(key, sizeof(key), r->passphrase, strlen(r->passphrase), salt, r->cost.passes,
	                  r->cost.memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0)
		bench_fail("Argon2id", "out of memory");
	return timing_now() - began;
}

static void unlock(struct bench *b)
{
	static struct resting r = { .passphrase = phrase };
	struct series ours = { .n = 0 }, bare = { .n = 0 };
	struct slots_salt salt;

	bench_path(r.dir, b->dir, "unlock");
	slots_salt_new(&salt, SLOTS_64_MIB, random_system());
	r.cost = slots_cost(&salt);
	timing_in_child(make_full, &r);
	timing_pair(&ours, &bare, UNLOCK_ROUNDS * b->rounds, unlock_ours, unlock_bare, &r);
	bench_remove(r.dir);
	report_add_times(&b->report, "unlock", "unlocking a notebook of 100,000 messages (bare Argon2id)",
	                 &ours, &bare, false, 1.05);
}

void bench_resting(struct bench *b)
{
	memory(b);
	unlock(b);
}
