/*
 * A message on the wire:  0 +16 tag of its text | 16 +150 sealed text, ChaCha20-Poly1305, the nonce counts
 * A batch ends with the chain's hash, 32 bytes; its answer is one byte.
 *
 * SQLite has its fastest durable settings for this: one big transaction a batch, in a WAL that nothing moves
 * to the database meanwhile.
 */
#include "tools/bench/full.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>
#include <sqlite3.h>

#include "tools/bench/bench.h"
#include "tools/bench/home.h"

enum { TAG = 16, WIRE = TAG + HOME_TEXT_LEN, HASH = 32, BATCH = 5000, NONCE = 24 };
enum { REST = NONCE + TAG + HOME_TEXT_LEN }; /* of a message on the receiver's disk */

static const uint8_t wire_key[32] = { 1 }, rest_key[32] = { 2 };

static void sql(sqlite3 *db, const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		bench_fail(text, sqlite3_errmsg(db));
}

static sqlite3 *open_db(const char *dir, const char *name)
{
	char path[BENCH_PATH_MAX];
	sqlite3 *db;

	bench_path(path, dir, name);
	if (sqlite3_open(path, &db) != SQLITE_OK)
		bench_fail(path, "it does not open");
	sql(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
	        "PRAGMA wal_autocheckpoint=0");
	return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *text)
{
	sqlite3_stmt *q;

	if (sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, &q, NULL) != SQLITE_OK)
		bench_fail(text, sqlite3_errmsg(db));
	return q;
}

static void make_queue(sqlite3 *db, unsigned count)
{
	char text[HOME_TEXT_LEN + 1];
	sqlite3_stmt *q;

	sql(db, "CREATE TABLE queue(id INTEGER PRIMARY KEY, text BLOB);"
	        "CREATE TABLE stored(before INTEGER); INSERT INTO stored VALUES(0); BEGIN");
	q = prepare(db, "INSERT INTO queue VALUES(?1, ?2)");
	for (unsigned i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%-*u", HOME_TEXT_LEN, i);
		sqlite3_bind_int64(q, 1, i);
		sqlite3_bind_blob(q, 2, text, HOME_TEXT_LEN, SQLITE_STATIC);
		if (sqlite3_step(q) != SQLITE_DONE)
			bench_fail("the queue", sqlite3_errmsg(db));
		sqlite3_reset(q);
	}
	sqlite3_finalize(q);
	sql(db, "COMMIT");
}

static void all(int fd, bool out, void *p, size_t len)
{
	for (uint8_t *at = p; len > 0;) {
		const ssize_t n = out ? write(fd, at, len) : read(fd, at, len);

		if (n <= 0)
			bench_fail("the reference of the sync", "its connection broke");
		at += n;
		len -= (size_t)n;
	}
}

static void nonce_of(uint8_t out[static 12], uint64_t number)
{
	memset(out, 0, 12);
	memcpy(out + 4, &number, sizeof(number));
}

static void chain(uint8_t hash[static HASH], const uint8_t message[static WIRE])
{
	uint8_t both[HASH + WIRE];

	memcpy(both, hash, HASH);
	memcpy(both + HASH, message, WIRE);
	crypto_generichash(hash, HASH, both, sizeof(both), NULL, 0);
}

static void send_all(int fd, sqlite3 *db, unsigned count)
{
	static uint8_t batch[BATCH * WIRE];
	uint8_t hash[HASH] = { 0 }, nonce[12], answer;
	sqlite3_stmt *read_queue = prepare(db, "SELECT text FROM queue ORDER BY id");
	sqlite3_stmt *store = prepare(db, "UPDATE stored SET before = ?1");
	unsigned answered = 0;

	for (unsigned i = 0; i < count;) {
		const unsigned n = MIN(count - i, (unsigned)BATCH);

		for (unsigned k = 0; k < n; k++, i++) {
			uint8_t *to = &batch[(size_t)k * WIRE];

			if (sqlite3_step(read_queue) != SQLITE_ROW)
				bench_fail("the queue", "it ends early");
			nonce_of(nonce, i);
			crypto_aead_chacha20poly1305_ietf_encrypt(to, NULL,
			                                          sqlite3_column_blob(read_queue, 0),
			                                          HOME_TEXT_LEN, NULL, 0, NULL, nonce,
			                                          wire_key);
			chain(hash, to);
		}
		all(fd, true, batch, (size_t)n * WIRE);
		all(fd, true, hash, sizeof(hash));
		/* One batch is on its way while the one before is answered. */
		if (i > BATCH) {
			all(fd, false, &answer, 1);
			answered += BATCH;
		}
	}
	sqlite3_reset(read_queue);
	while (answered < count) {
		all(fd, false, &answer, 1);
		answered += BATCH;
	}
	sqlite3_bind_int64(store, 1, count);
	if (sqlite3_step(store) != SQLITE_DONE)
		bench_fail("the queue", sqlite3_errmsg(db));
	sqlite3_finalize(read_queue);
	sqlite3_finalize(store);
}

static void keep(sqlite3 *db, sqlite3_stmt *q, unsigned number, const uint8_t message[static WIRE],
                 const uint8_t rest_nonce[static NONCE])
{
	uint8_t text[HOME_TEXT_LEN], rest[REST], nonce[12];

	nonce_of(nonce, number);
	if (crypto_aead_chacha20poly1305_ietf_decrypt(text, NULL, NULL, message, WIRE, NULL, 0, nonce,
	                                              wire_key) != 0)
		bench_fail("the reference of the sync", "a message does not open");
	memcpy(rest, rest_nonce, NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(rest + NONCE, NULL, text, sizeof(text), NULL, 0, NULL,
	                                           rest, rest_key);
	sqlite3_bind_int64(q, 1, number);
	sqlite3_bind_blob(q, 2, rest, sizeof(rest), SQLITE_STATIC);
	if (sqlite3_step(q) != SQLITE_DONE)
		bench_fail("the reference of the sync", sqlite3_errmsg(db));
	sqlite3_reset(q);
}

static void receive_all(int fd, const char *dir, unsigned count)
{
	static uint8_t batch[BATCH * WIRE], nonces[BATCH * NONCE];
	uint8_t hash[HASH] = { 0 }, said[HASH], answer = 1;
	sqlite3 *db = open_db(dir, "receiver");
	sqlite3_stmt *q;

	sql(db, "CREATE TABLE messages(id INTEGER PRIMARY KEY, sealed BLOB)");
	q = prepare(db, "INSERT INTO messages VALUES(?1, ?2)");
	all(fd, true, &answer, 1); /* ready */
	for (unsigned i = 0; i < count;) {
		const unsigned n = MIN(count - i, (unsigned)BATCH);

		all(fd, false, batch, (size_t)n * WIRE);
		all(fd, false, said, sizeof(said));
		randombytes_buf(nonces, (size_t)n * NONCE);
		sql(db, "BEGIN");
		for (unsigned k = 0; k < n; k++, i++) {
			chain(hash, &batch[(size_t)k * WIRE]);
			keep(db, q, i, &batch[(size_t)k * WIRE], &nonces[(size_t)k * NONCE]);
		}
		if (memcmp(hash, said, sizeof(hash)) != 0)
			bench_fail("the reference of the sync", "the chain is broken");
		sql(db, "COMMIT");
		all(fd, true, &answer, 1);
	}
	sqlite3_finalize(q);
	sqlite3_close(db);
}

/* Two connected ends of TCP over 127.0.0.1. */
static void connect_ends(int ends[2])
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(name);
	const int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (listener < 0 || ends[0] < 0 || bind(listener, (struct sockaddr *)&name, len) != 0 ||
	    listen(listener, 1) != 0 || getsockname(listener, (struct sockaddr *)&name, &len) != 0 ||
	    connect(ends[0], (struct sockaddr *)&name, len) != 0 ||
	    (ends[1] = accept(listener, NULL, NULL)) < 0)
		bench_fail("the reference of the sync", "TCP does not connect");
	setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(ends[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	close(listener);
}

double full_run(const char *dir, unsigned count)
{
	sqlite3 *db = open_db(dir, "sender");
	int ends[2], status;
	uint8_t ready;
	double seconds;
	pid_t child;

	make_queue(db, count);
	sqlite3_close(db);
	connect_ends(ends);
	child = fork();
	if (child < 0)
		bench_fail("the reference of the sync", "the system gives no process");
	if (child == 0) {
		close(ends[0]);
		receive_all(ends[1], dir, count);
		_exit(0);
	}
	close(ends[1]);
	db = open_db(dir, "sender");
	all(ends[0], false, &ready, 1);
	seconds = timing_now();
	send_all(ends[0], db, count);
	seconds = timing_now() - seconds;
	sqlite3_close(db);
	close(ends[0]);
	waitpid(child, &status, 0);
	if (status != 0)
		bench_fail("the reference of the sync", "the receiver failed");
	return seconds;
}
