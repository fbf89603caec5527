#include "store/pagelog.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * The index says for each page where its newest copy is: seq of its commit in the upper half, offset in the
 * log / 8 in the lower (sealed pages lie at multiples of 8); 0 where there is none. Entries of the commit
 * that is being collected are in it too, known by their seq, which is the next one; `undo` holds what they
 * replaced.
 *
 * The commit that is being collected lies behind `end` as it will be written. Its last, growing part is in
 * `part`, already sealed; earlier, full parts are written as they fill up, and their heads last, because a
 * head says how many parts there are. What can go wrong:
 *
 *   no room to grow     nothing of the head was written: dropped, the log works on
 *   a failed write      the record may be on the disk or not: dropped here, and dead until mounted
 *   a failed sync       the same
 *   a crash             the mount finds the commit whole, or drops it
 */
enum {
	FILL_CHUNK = 128 * 1024,
	SCAN_CHUNK = 64 * RECORD_BLOCK,
	PART_FULL = 1008 * RECORD_BLOCK, /* record_len(RECORD_PAGES_MAX) */
	PART_SMALL = 16 * RECORD_BLOCK,
};
static_assert(PART_FULL >= RECORD_BLOCK + RECORD_PAGES_MAX * RECORD_SEALED &&
                      PART_FULL - RECORD_BLOCK < RECORD_BLOCK + RECORD_PAGES_MAX * RECORD_SEALED,
              "a full part");
static_assert(RECORD_SEALED % 8 == 0 && RECORD_BLOCK % 8 == 0, "offsets in the index are eighths");

struct undo {
	uint32_t pgno;
	uint64_t entry;
};

struct pagelog {
	struct disk *disk;  /* borrowed */
	struct random *rng; /* borrowed */
	char *dir;          /* owned */
	unsigned places, place;
	int files[SLOTS_PLACES_MAX]; /* all logs, -1 where there is none */
	uint64_t sizes[SLOTS_PLACES_MAX];
	struct sym_key *key; /* owned, guarded */
	bool readonly, dead, begun;

	uint64_t seq; /* of the next commit */
	uint64_t end; /* where it goes */
	uint32_t db_pages;
	uint8_t head_mac[RECORD_MAC];
	uint64_t *index; /* owned; page n at n - 1 */
	uint32_t index_len;

	uint32_t pages_now; /* db_pages after the commit that is being collected */
	uint32_t kept;      /* its shortest so far: pages beyond that are not in it read as zeros */
	bool shortened;     /* there may be entries beyond pages_now */
	uint32_t count;     /* pages in it */
	uint32_t *pgnos;    /* owned; count of them */
	uint8_t (*macs)[RECORD_MAC];
	uint32_t pgnos_cap;
	uint8_t *part; /* owned; the record that grows */
	uint32_t part_cap;
	struct undo *undo; /* owned */
	size_t undo_len, undo_cap;
};

static int own(const struct pagelog *log)
{
	return log->files[log->place];
}

static uint64_t *own_size(struct pagelog *log)
{
	return &log->sizes[log->place];
}

/* --- The index --- */

static uint64_t entry_of(uint64_t seq, uint64_t offset)
{
	return seq << 32 | offset / 8;
}

static uint64_t entry_seq(uint64_t entry)
{
	return entry >> 32;
}

static uint64_t entry_offset(uint64_t entry)
{
	return (entry & UINT32_MAX) * 8;
}

/* At least want items in *array, which holds *cap of item bytes each; new ones are zeros. */
static int reserve(void *array, size_t *cap, size_t want, size_t item)
{
	void **const p = array;
	const size_t more = MAX(want, MAX(*cap * 2, (size_t)64));
	uint8_t *grown;

	if (want <= *cap)
		return 0;
	grown = realloc(*p, more * item);
	if (grown == NULL)
		return ERR_NOMEM;
	memset(grown + *cap * item, 0, (more - *cap) * item);
	*p = grown;
	*cap = more;
	return 0;
}

static int index_reserve(struct pagelog *log, uint32_t pgno)
{
	size_t cap = log->index_len;
	const int r = reserve(&log->index, &cap, pgno, sizeof(log->index[0]));

	log->index_len = (uint32_t)cap;
	return r;
}

/* index[pgno] = entry, so that index_undo() brings the old one back. The first commit finds none. */
static int index_set(struct pagelog *log, uint32_t pgno, uint64_t entry)
{
	int r = index_reserve(log, pgno);

	if (r == 0 && log->seq > 0)
		r = reserve(&log->undo, &log->undo_cap, log->undo_len + 1, sizeof(log->undo[0]));
	if (r != 0)
		return r;
	if (log->seq > 0)
		log->undo[log->undo_len++] = (struct undo){ pgno, log->index[pgno - 1] };
	log->index[pgno - 1] = entry;
	return 0;
}

/* Takes back all settings of the commit seq but the first `keep` of them. */
static void index_undo(struct pagelog *log, uint64_t seq, size_t keep)
{
	if (seq == 0 && log->index_len > 0)
		memset(log->index, 0, log->index_len * sizeof(log->index[0]));
	while (log->undo_len > keep) {
		const struct undo *u = &log->undo[--log->undo_len];

		log->index[u->pgno - 1] = u->entry;
	}
}

/* Pages beyond db_pages are no more. */
static int index_shorten(struct pagelog *log, uint32_t db_pages)
{
	int r = 0;

	for (uint32_t pgno = db_pages + 1; r == 0 && pgno <= log->index_len; pgno++)
		if (log->index[pgno - 1] != 0)
			r = index_set(log, pgno, 0);
	return r;
}

/* --- Growing --- */

struct filler {
	struct sym_key key;
	uint64_t chunks;
	uint8_t *bytes; /* owned */
};

static int filler_init(struct filler *f, struct random *rng)
{
	*f = (struct filler){ .bytes = malloc(FILL_CHUNK) };
	if (f->bytes == NULL)
		return ERR_NOMEM;
	random_bytes(rng, f->key.b, sizeof(f->key.b));
	return 0;
}

static void filler_deinit(struct filler *f)
{
	sodium_memzero(&f->key, sizeof(f->key));
	free(f->bytes);
}

/* Random bytes from one offset to another. */
static int filler_write(struct filler *f, struct disk *disk, int file, uint64_t from, uint64_t to)
{
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
	int r = 0;

	while (r == 0 && from < to) {
		const size_t len = (size_t)MIN((uint64_t)FILL_CHUNK, to - from);

		store_u64(nonce, f->chunks++);
		crypto_stream_chacha20(f->bytes, len, nonce, f->key.b);
		r = disk->ops->write(disk, file, f->bytes, len, from);
		from += len;
	}
	return r;
}

/* Every log to `size`: first room in all, then random bytes, but for our own not before own_from, where the
 * caller writes at once. */
static int grow_all(struct pagelog *log, struct filler *f, uint64_t size, uint64_t own_from)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < log->places; i++)
		if (log->files[i] >= 0 && log->sizes[i] < size)
			r = log->disk->ops->allocate(log->disk, log->files[i], size);
	for (unsigned i = 0; r == 0 && i < log->places; i++) {
		const uint64_t from = i == log->place ? MAX(log->sizes[i], own_from) : log->sizes[i];

		if (log->files[i] >= 0)
			r = filler_write(f, log->disk, log->files[i], from, size);
	}
	return r;
}

/* Every log to `size`, with own_from as above. On failure all are as long as before. */
static int grow_to(struct pagelog *log, uint64_t size, uint64_t own_from)
{
	struct filler f;
	int r;

	if (size > PAGELOG_BYTES_MAX)
		return ERR_FULL;
	r = filler_init(&f, log->rng);
	if (r != 0)
		return r;
	r = grow_all(log, &f, size, own_from);
	filler_deinit(&f);
	for (unsigned i = 0; i < log->places; i++) {
		if (log->files[i] < 0 || log->sizes[i] >= size)
			continue;
		if (r == 0)
			log->sizes[i] = size;
		else
			(void)!log->disk->ops->truncate(log->disk, log->files[i], log->sizes[i]);
	}
	return r;
}

static uint64_t whole_steps(uint64_t bytes)
{
	return (bytes + PAGELOG_STEP - 1) / PAGELOG_STEP * PAGELOG_STEP;
}

/* Room for the log to reach `upto`, in whole steps; the bytes before upto are written by the caller next. */
static int grow(struct pagelog *log, uint64_t upto)
{
	if (upto <= *own_size(log))
		return 0;
	return grow_to(log, whole_steps(upto), upto);
}

/* --- Collecting a commit --- */

/* The record of a commit of a few pages is given back: it is soon there again. */
static void collect_nothing(struct pagelog *log)
{
	if (log->part_cap <= PART_SMALL) {
		free(log->part);
		log->part = NULL;
		log->part_cap = 0;
	}
	log->undo_len = 0;
	log->count = 0;
	log->shortened = false;
	log->pages_now = log->kept = log->db_pages;
}

void pagelog_rollback(struct pagelog *log)
{
	index_undo(log, log->seq, 0);
	collect_nothing(log);
}

static uint64_t part_offset(const struct pagelog *log, uint32_t part)
{
	return log->end + (uint64_t)part * PART_FULL;
}

/* Where page number i of the commit goes. */
static uint64_t page_offset(const struct pagelog *log, uint32_t i)
{
	return part_offset(log, i / RECORD_PAGES_MAX) + record_len_bare(i % RECORD_PAGES_MAX);
}

/* The part that page number i of the commit belongs to is the one in memory. */
static bool in_memory(const struct pagelog *log, uint32_t i)
{
	return i / RECORD_PAGES_MAX == (log->count - 1) / RECORD_PAGES_MAX;
}

static uint8_t *in_part(const struct pagelog *log, uint32_t i)
{
	return log->part + record_len_bare(i % RECORD_PAGES_MAX);
}

static uint32_t number_of(const struct pagelog *log, uint64_t entry)
{
	const uint64_t at = entry_offset(entry) - log->end;

	return (uint32_t)(at / PART_FULL * RECORD_PAGES_MAX +
	                  (at % PART_FULL - RECORD_BLOCK) / RECORD_SEALED);
}

static bool is_new(const struct pagelog *log, uint64_t entry)
{
	return entry != 0 && entry_seq(entry) == log->seq;
}

/* The part in memory is full, and is followed by another: its pages go to the disk, and random bytes where
 * its head will be. */
static int part_flush(struct pagelog *log)
{
	const uint64_t at = part_offset(log, (log->count - 1) / RECORD_PAGES_MAX);
	const size_t bare = (size_t)record_len_bare(RECORD_PAGES_MAX);
	const int r = grow(log, at + PART_FULL);

	if (r != 0)
		return r;
	random_bytes(log->rng, log->part, RECORD_BLOCK);
	random_bytes(log->rng, log->part + bare, PART_FULL - bare);
	return log->disk->ops->write(log->disk, own(log), log->part, PART_FULL, at);
}

static int part_reserve(struct pagelog *log, uint32_t count)
{
	size_t cap = log->part_cap;
	const int r = reserve(&log->part, &cap, (size_t)record_len(count), 1);

	log->part_cap = (uint32_t)cap;
	return r;
}

static int pgnos_reserve(struct pagelog *log, uint32_t count)
{
	size_t a = log->pgnos_cap, b = log->pgnos_cap;
	int r = reserve(&log->pgnos, &a, count, sizeof(log->pgnos[0]));

	if (r == 0)
		r = reserve(&log->macs, &b, count, sizeof(log->macs[0]));
	if (r == 0)
		log->pgnos_cap = (uint32_t)a;
	return r;
}

static void seal_at(struct pagelog *log, uint8_t *sealed, uint32_t i, const uint8_t *page)
{
	random_bytes(log->rng, sealed, RECORD_NONCE);
	record_seal_page(sealed, page, log->pgnos[i], log->seq, log->key);
	memcpy(log->macs[i], record_mac(sealed, RECORD_SEALED), RECORD_MAC);
}

/* A page that is in the commit already, once more. */
static int write_again(struct pagelog *log, uint32_t i, const uint8_t *page)
{
	uint8_t sealed[RECORD_SEALED];

	if (in_memory(log, i)) {
		seal_at(log, in_part(log, i), i, page);
		return 0;
	}
	seal_at(log, sealed, i, page);
	return log->disk->ops->write(log->disk, own(log), sealed, sizeof(sealed), page_offset(log, i));
}

static int write_first(struct pagelog *log, uint32_t pgno, const uint8_t *page)
{
	const uint32_t i = log->count;
	int r = pgnos_reserve(log, i + 1);

	if (r == 0 && i > 0 && i % RECORD_PAGES_MAX == 0)
		r = part_flush(log);
	if (r == 0)
		r = part_reserve(log, i % RECORD_PAGES_MAX + 1);
	if (r == 0 && page_offset(log, i) + RECORD_SEALED > PAGELOG_BYTES_MAX)
		r = ERR_FULL;
	if (r == 0)
		r = index_set(log, pgno, entry_of(log->seq, page_offset(log, i)));
	if (r != 0)
		return r;
	log->pgnos[i] = pgno;
	log->count++;
	seal_at(log, in_part(log, i), i, page);
	return 0;
}

static int writable(const struct pagelog *log)
{
	if (log->readonly)
		return ERR_READONLY;
	return log->dead ? ERR_IO : 0;
}

int pagelog_write(struct pagelog *log, uint32_t pgno, const uint8_t page[static RECORD_PAGE])
{
	uint64_t entry = 0;
	int r = writable(log);

	assert(pgno >= 1);
	if (r == 0 && (pgno > PAGELOG_DB_PAGES_MAX || log->seq == PAGELOG_COMMITS_MAX))
		r = ERR_FULL;
	if (r != 0)
		return r;
	if (pgno <= log->index_len)
		entry = log->index[pgno - 1];
	r = is_new(log, entry) ? write_again(log, number_of(log, entry), page) : write_first(log, pgno, page);
	if (r == 0)
		log->pages_now = MAX(log->pages_now, pgno);
	return r;
}

void pagelog_resize(struct pagelog *log, uint32_t db_pages)
{
	assert(db_pages <= PAGELOG_DB_PAGES_MAX);
	log->shortened |= db_pages < log->pages_now;
	log->pages_now = db_pages;
	log->kept = MIN(log->kept, db_pages);
}

/* --- Committing --- */

/* The database was shortened within the commit and grew again: what it had there before must not come back.
 */
static int zero_what_was_cut(struct pagelog *log)
{
	static const uint8_t zeros[RECORD_PAGE];
	int r = 0;

	for (uint32_t pgno = log->kept + 1; r == 0 && pgno <= MIN(log->pages_now, log->index_len); pgno++) {
		const uint64_t entry = log->index[pgno - 1];

		if (entry != 0 && !is_new(log, entry))
			r = pagelog_write(log, pgno, zeros);
	}
	return r;
}

static uint32_t parts_of(uint32_t count)
{
	return MAX(1, (count + RECORD_PAGES_MAX - 1) / RECORD_PAGES_MAX);
}

/* The head of a part, sealed to out; *mac is the one before, and becomes this one's. */
static void head_build(struct pagelog *log, uint8_t *out, uint32_t part, uint32_t parts, uint8_t *mac)
{
	const uint32_t first = part * RECORD_PAGES_MAX;
	struct record_head h = { .seq = log->seq, .part = (uint16_t)part, .parts = (uint16_t)parts };

	h.count = MIN(log->count - first, (uint32_t)RECORD_PAGES_MAX);
	h.db_pages = log->pages_now;
	memcpy(h.before, mac, RECORD_MAC);
	if (h.count > 0)
		memcpy(h.pgno, log->pgnos + first, h.count * sizeof(h.pgno[0]));
	record_macs(&h.macs, span_from(log->macs + first, h.count * sizeof(log->macs[0])));
	random_bytes(log->rng, out, RECORD_NONCE);
	record_seal_head(out, &h, log->key);
	memcpy(mac, record_mac(out, RECORD_BLOCK), RECORD_MAC);
}

/* The heads of the full parts, then the last part whole. *mac becomes that of the last head. */
static int write_record(struct pagelog *log, uint32_t parts, uint32_t last_count, uint8_t *mac)
{
	const size_t bare = (size_t)record_len_bare(last_count), len = (size_t)record_len(last_count);
	uint8_t head[RECORD_BLOCK];
	int r = 0;

	for (uint32_t part = 0; r == 0 && part + 1 < parts; part++) {
		head_build(log, head, part, parts, mac);
		r = log->disk->ops->write(log->disk, own(log), head, sizeof(head), part_offset(log, part));
	}
	if (r != 0)
		return r;
	head_build(log, log->part, parts - 1, parts, mac);
	random_bytes(log->rng, log->part + bare, len - bare);
	return log->disk->ops->write(log->disk, own(log), log->part, len, part_offset(log, parts - 1));
}

/* What is on the disk now is what the log goes on from. */
static void committed(struct pagelog *log, uint64_t end, const uint8_t *mac)
{
	log->end = end;
	log->seq++;
	log->db_pages = log->pages_now;
	memcpy(log->head_mac, mac, RECORD_MAC);
	for (uint32_t pgno = log->db_pages + 1; log->shortened && pgno <= log->index_len; pgno++)
		log->index[pgno - 1] = 0;
	collect_nothing(log);
}

int pagelog_commit(struct pagelog *log)
{
	uint8_t mac[RECORD_MAC];
	uint32_t parts, last_count;
	uint64_t end;
	int r = 0;

	if (log->count == 0 && log->pages_now == log->db_pages && log->kept == log->db_pages)
		return 0;
	r = writable(log);
	if (r == 0)
		r = zero_what_was_cut(log);
	parts = parts_of(log->count);
	last_count = log->count - (parts - 1) * RECORD_PAGES_MAX;
	end = part_offset(log, parts - 1) + record_len(last_count);
	if (r == 0 && parts > UINT16_MAX)
		r = ERR_FULL;
	if (r == 0)
		r = part_reserve(log, last_count);
	if (r == 0)
		r = grow(log, end);
	if (r != 0) {
		pagelog_rollback(log);
		return r;
	}
	memcpy(mac, log->head_mac, RECORD_MAC);
	r = write_record(log, parts, last_count, mac);
	if (r == 0)
		r = disk_sync(log->disk, own(log));
	if (r != 0) {
		log->dead = true;
		pagelog_rollback(log);
		return r;
	}
	committed(log, end, mac);
	return 0;
}

/* --- Reading --- */

/* Whether the page has a copy, and which; without one it reads as zeros. */
static uint64_t entry_to_read(const struct pagelog *log, uint32_t pgno)
{
	const uint64_t entry = pgno <= log->index_len ? log->index[pgno - 1] : 0;

	if (pgno > log->pages_now || (pgno > log->kept && !is_new(log, entry)))
		return 0;
	return entry;
}

int pagelog_read(struct pagelog *log, uint8_t out[static RECORD_PAGE], uint32_t pgno)
{
	const uint64_t entry = entry_to_read(log, pgno);
	uint8_t sealed[RECORD_SEALED];
	const uint8_t *from = sealed;

	assert(pgno >= 1);
	if (entry == 0) {
		memset(out, 0, RECORD_PAGE);
		return 0;
	}
	if (is_new(log, entry) && in_memory(log, number_of(log, entry))) {
		from = in_part(log, number_of(log, entry));
	} else {
		const int r = log->disk->ops->read(log->disk, own(log), sealed, sizeof(sealed),
		                                   entry_offset(entry));

		if (r != 0)
			return r > 0 ? ERR_CORRUPT : r;
	}
	return record_open_page(out, from, pgno, entry_seq(entry), log->key) == 0 ? 0 : ERR_CORRUPT;
}

uint32_t pagelog_pages(const struct pagelog *log)
{
	return log->pages_now;
}

bool pagelog_readonly(const struct pagelog *log)
{
	return log->readonly;
}

uint64_t pagelog_commits(const struct pagelog *log)
{
	return log->seq;
}

uint64_t pagelog_end(const struct pagelog *log)
{
	return log->end;
}

/* --- Mounting --- */

/* Where the log stood before a commit. */
struct mark {
	uint64_t seq, end;
	uint32_t db_pages;
	uint8_t head_mac[RECORD_MAC];
};

static struct mark mark_of(const struct pagelog *log)
{
	struct mark m = { log->seq, log->end, log->db_pages, { 0 } };

	memcpy(m.head_mac, log->head_mac, RECORD_MAC);
	return m;
}

static void back_to(struct pagelog *log, const struct mark *m)
{
	index_undo(log, m->seq, 0);
	log->seq = m->seq;
	log->end = m->end;
	log->db_pages = m->db_pages;
	memcpy(log->head_mac, m->head_mac, RECORD_MAC);
}

enum { HEAD_NONE = 1 }; /* no head that follows stands there */

/* Bytes that the size of the log says are there. */
static int read_within(struct pagelog *log, void *out, size_t len, uint64_t offset)
{
	const int r = log->disk->ops->read(log->disk, own(log), out, len, offset);

	return r > 0 ? ERR_IO : r;
}

/* The head at offset, where it is the next one after mac: part `part` of the commit log->seq. */
static int head_next(struct pagelog *log, struct record_head *h, uint64_t offset, uint32_t part, uint8_t *mac)
{
	uint8_t block[RECORD_BLOCK];
	int r;

	if (offset + RECORD_BLOCK > *own_size(log))
		return HEAD_NONE;
	r = read_within(log, block, sizeof(block), offset);
	if (r != 0)
		return r;
	if (record_open_head(h, block, log->key) != 0)
		return HEAD_NONE;
	if (h->seq != log->seq || h->part != part || memcmp(h->before, mac, RECORD_MAC) != 0 ||
	    h->db_pages > PAGELOG_DB_PAGES_MAX || offset + record_len(h->count) > *own_size(log))
		return HEAD_NONE;
	memcpy(mac, record_mac(block, sizeof(block)), RECORD_MAC);
	return 0;
}

static int head_apply(struct pagelog *log, const struct record_head *h, uint64_t offset)
{
	/* At once, but for no more copies than the file has room for. */
	int r = index_reserve(log, (uint32_t)MIN((uint64_t)h->db_pages, *own_size(log) / RECORD_SEALED));

	for (uint32_t i = 0; r == 0 && i < h->count; i++)
		if (h->pgno[i] <= h->db_pages)
			r = index_set(log, h->pgno[i], entry_of(log->seq, offset + record_len_bare(i)));
	return r;
}

/* Reads the heads of the next commit and puts its pages in the index. HEAD_NONE, with the index as it was,
 * where not all of them are there; *seen_end is the end of those that are. */
static int commit_next(struct pagelog *log, struct record_head *h, uint64_t *seen_end)
{
	const size_t undo_before = log->undo_len;
	uint64_t offset = log->end;
	uint8_t mac[RECORD_MAC];
	uint32_t parts = 0, db_pages = 0, part = 0;
	int r;

	memcpy(mac, log->head_mac, sizeof(mac));
	do {
		r = head_next(log, h, offset, part, mac);
		if (r == 0 && part > 0 && (h->parts != parts || h->db_pages != db_pages))
			r = HEAD_NONE;
		if (r == 0)
			r = head_apply(log, h, offset);
		if (r == 0)
			offset += record_len(h->count);
		parts = h->parts;
		db_pages = h->db_pages;
		part++;
	} while (r == 0 && part < parts);
	*seen_end = offset;
	if (r == 0 && db_pages < log->db_pages)
		r = index_shorten(log, db_pages);
	if (r != 0) {
		index_undo(log, log->seq, undo_before);
		return r;
	}
	log->seq++;
	log->end = offset;
	log->db_pages = db_pages;
	memcpy(log->head_mac, mac, sizeof(mac));
	return 0;
}

/* Opens every page of one part. HEAD_NONE where one is not whole, or not the one that the head means. */
static int part_check(struct pagelog *log, const struct record_head *h, uint64_t offset)
{
	uint8_t sealed[RECORD_SEALED], page[RECORD_PAGE], macs[RECORD_PAGES_MAX * RECORD_MAC];
	struct hash32 hash;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < h->count; i++) {
		r = read_within(log, sealed, sizeof(sealed), offset + record_len_bare(i));
		if (r == 0)
			r = record_open_page(page, sealed, h->pgno[i], h->seq, log->key);
		memcpy(macs + (size_t)i * RECORD_MAC, record_mac(sealed, sizeof(sealed)), RECORD_MAC);
	}
	sodium_memzero(page, sizeof(page));
	if (r != 0)
		return r < 0 ? r : HEAD_NONE;
	record_macs(&hash, span_from(macs, (size_t)h->count * RECORD_MAC));
	return memcmp(hash.b, h->macs.b, sizeof(hash.b)) == 0 ? 0 : HEAD_NONE;
}

/* Opens every page of the commit from m to where the log stands. */
static int commit_check(struct pagelog *log, const struct mark *m, struct record_head *h)
{
	uint64_t offset = m->end;
	uint8_t block[RECORD_BLOCK];
	int r = 0;

	while (r == 0 && offset < log->end) {
		r = read_within(log, block, sizeof(block), offset);
		if (r == 0)
			r = record_open_head(h, block, log->key);
		if (r == 0)
			r = part_check(log, h, offset);
		if (r == 0)
			offset += record_len(h->count);
	}
	return r > 0 ? HEAD_NONE : r;
}

/* The one commit of a log made anew, which was synced before its slot was. */
static bool is_anew(const struct pagelog *log)
{
	return log->begun && log->seq == 1;
}

/* --- The blank ---
 *
 * Whatever is written to a log made anew is written over its blank first. Where that still stands, nothing
 * was, and a mount need not look through everything behind the end. It is longer than one block, so that a
 * block whose writing the disk forgot does not hide what follows it. Every log made anew has one, whole: if
 * it were shorter where the file ends, one could see with the key that somebody else let the file grow since.
 */

static int blank_write(struct pagelog *log)
{
	uint8_t block[RECORD_BLOCK];
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < RECORD_BLANK; i++) {
		record_blank(block, i, log->key);
		r = log->disk->ops->write(log->disk, own(log), block, sizeof(block),
		                          log->end + (uint64_t)i * RECORD_BLOCK);
	}
	return r;
}

/* Whether the blank stands as it was written. */
static int blank_look(struct pagelog *log, bool *stands)
{
	uint8_t block[RECORD_BLOCK], found[RECORD_BLOCK];

	*stands = true;
	for (uint32_t i = 0; *stands && i < RECORD_BLANK; i++) {
		const int r = log->disk->ops->read(log->disk, own(log), found, sizeof(found),
		                                   log->end + (uint64_t)i * RECORD_BLOCK);

		if (r < 0)
			return r;
		record_blank(block, i, log->key);
		*stands = r == 0 && memcmp(found, block, sizeof(block)) == 0;
	}
	return 0;
}

/* --- Judging the end --- */

/* What stands behind the end: heads of the commit that should be there, or of later ones. */
struct behind {
	uint64_t seq_end; /* above the highest seq; 0: none */
	uint64_t end;     /* of the last of their records */
};

static int look_behind(struct pagelog *log, struct record_head *h, struct behind *out)
{
	const uint64_t size = *own_size(log) / RECORD_BLOCK * RECORD_BLOCK;
	uint8_t *bytes = malloc(SCAN_CHUNK);
	int r = 0;

	*out = (struct behind){ 0 };
	if (bytes == NULL)
		return ERR_NOMEM;
	for (uint64_t offset = log->end; r == 0 && offset < size; offset += SCAN_CHUNK) {
		const size_t len = (size_t)MIN((uint64_t)SCAN_CHUNK, size - offset);

		r = read_within(log, bytes, len, offset);
		for (size_t at = 0; r == 0 && at < len; at += RECORD_BLOCK) {
			if (!record_may_be_head(bytes + at, log->key) ||
			    record_open_head(h, bytes + at, log->key) != 0 || h->seq < log->seq)
				continue;
			out->seq_end = MAX(out->seq_end, h->seq + 1);
			out->end = offset + at + record_len(h->count);
		}
	}
	free(bytes);
	return r;
}

/* All heads are read, up to a place where the next one is not. A later commit behind it means damage. Without
 * one the last commit may be torn: then it is dropped, unless something stands behind it, because nothing is
 * written there before it is synced. */
static int judge_end(struct pagelog *log, struct record_head *h, const struct mark *before, uint64_t seen_end,
                     struct pagelog_report *report)
{
	struct behind behind = { 0 };
	bool blank = false;
	int r = is_anew(log) ? blank_look(log, &blank) : 0;

	if (r == 0 && !blank)
		r = look_behind(log, h, &behind);
	if (r != 0)
		return r;
	if (behind.seq_end > log->seq + 1)
		report->cut = PAGELOG_BROKEN;
	else if (log->seq > 0 && !is_anew(log))
		r = commit_check(log, before, h);
	if (r == HEAD_NONE && behind.seq_end > 0) {
		report->cut = PAGELOG_BROKEN;
	} else if (r == HEAD_NONE) {
		back_to(log, before);
		report->cut = PAGELOG_TORN;
	} else if (seen_end > log->end && report->cut == PAGELOG_WHOLE) {
		report->cut = PAGELOG_TORN;
	}
	report->bytes_cut = MAX(seen_end, behind.end) - log->end;
	return r < 0 ? r : 0;
}

/* Reads all heads, checks the last commit, looks for damage. */
static int scan(struct pagelog *log, struct pagelog_report *report)
{
	struct record_head *h = calloc(1, sizeof(*h));
	struct mark before = { 0 };
	uint64_t seen_end = 0;
	int r;

	if (h == NULL)
		return ERR_NOMEM;
	for (;;) {
		const struct mark here = mark_of(log);
		const size_t undo_before = log->undo_len;

		r = commit_next(log, h, &seen_end);
		if (r != 0)
			break;
		/* The commit before this one is older than a sync: nothing takes it back any more. */
		if (log->undo_len > undo_before)
			memmove(log->undo, log->undo + undo_before,
			        (log->undo_len - undo_before) * sizeof(log->undo[0]));
		log->undo_len -= undo_before;
		before = here;
	}
	if (r == HEAD_NONE)
		r = judge_end(log, h, &before, seen_end, report);
	collect_nothing(log);
	free(h);
	return r == 0 && log->begun && log->seq == 0 ? ERR_CORRUPT : r;
}

static int log_path(char out[static DISK_PATH_MAX], const char *dir, unsigned place, const char *suffix)
{
	char name[16];

	snprintf(name, sizeof(name), "%u%s", place, suffix);
	return disk_path(out, dir, name);
}

static void close_all(struct pagelog *log)
{
	for (unsigned i = 0; i < log->places; i++)
		if (log->files[i] >= 0)
			log->disk->ops->close(log->disk, log->files[i]);
}

void pagelog_unmount(struct pagelog *log)
{
	if (log == NULL)
		return;
	close_all(log);
	sodium_free(log->key);
	free(log->dir);
	free(log->index);
	free(log->pgnos);
	free(log->macs);
	free(log->part);
	free(log->undo);
	free(log);
}

static struct pagelog *log_new(struct disk *disk, const char *dir, unsigned places, unsigned place,
                               const struct sym_key *vk, struct random *rng)
{
	struct pagelog *log = calloc(1, sizeof(*log));

	assert(places <= SLOTS_PLACES_MAX && place < places);
	if (log == NULL)
		return NULL;
	*log = (struct pagelog){ .disk = disk, .rng = rng, .places = places, .place = place };
	for (unsigned i = 0; i < SLOTS_PLACES_MAX; i++)
		log->files[i] = -1;
	log->key = sodium_malloc(sizeof(*log->key));
	log->dir = strdup(dir);
	if (log->key == NULL || log->dir == NULL) {
		pagelog_unmount(log);
		return NULL;
	}
	record_key(log->key, vk);
	return log;
}

/* Opens the log of place i. A log that is none of ours to read is left alone if it cannot be opened. */
static int open_log(struct pagelog *log, unsigned i)
{
	char path[DISK_PATH_MAX];
	int r = log_path(path, log->dir, i, "");

	if (r != 0)
		return r;
	r = log->disk->ops->open(log->disk, &log->files[i], path, DISK_WRITE);
	if (r == ERR_READONLY && i == log->place) {
		log->readonly = true;
		r = log->disk->ops->open(log->disk, &log->files[i], path, DISK_READ);
	}
	if (r == 0)
		r = log->disk->ops->size(log->disk, log->files[i], &log->sizes[i]);
	if (r == 0 && log->sizes[i] > PAGELOG_BYTES_MAX)
		r = ERR_CORRUPT;
	if (r == 0 || (i != log->place && r != ERR_NOMEM))
		return 0;
	return r == DISK_FOREIGN ? ERR_CORRUPT : r;
}

/* Whether the first head of a file opens under our key: 0, HEAD_NONE, or an enum err. */
static int begins(struct pagelog *log, int file)
{
	uint8_t block[RECORD_BLOCK];
	struct record_head h;
	const int r = log->disk->ops->read(log->disk, file, block, sizeof(block), 0);

	if (r != 0)
		return r < 0 ? r : HEAD_NONE;
	return record_open_head(&h, block, log->key) == 0 && h.seq == 0 && h.part == 0 ? 0 : HEAD_NONE;
}

/* A compaction was interrupted: the new log counts where it opens under VK, then it takes the old one's
 * place; where the old one opens, the new one goes. */
static int finish_compaction(struct pagelog *log)
{
	char new_path[DISK_PATH_MAX], path[DISK_PATH_MAX];
	struct disk *const d = log->disk;
	int file = -1, r;

	r = log_path(path, log->dir, log->place, "");
	if (r == 0)
		r = log_path(new_path, log->dir, log->place, ".new");
	if (r == 0)
		r = d->ops->open(d, &file, new_path, log->readonly ? DISK_READ : DISK_WRITE);
	if (r != 0)
		return r == ERR_ABSENT || r == DISK_FOREIGN ? 0 : r;
	r = begins(log, file);
	if (r == 0) {
		d->ops->close(d, own(log));
		log->files[log->place] = file;
		r = d->ops->size(d, file, own_size(log));
		if (r == 0 && !log->readonly)
			r = d->ops->rename(d, new_path, path);
	} else {
		d->ops->close(d, file);
		if (r == HEAD_NONE)
			r = begins(log, own(log));
		if (r == HEAD_NONE)
			r = ERR_CORRUPT; /* neither is of this key */
		if (r == 0 && !log->readonly)
			r = d->ops->unlink(d, new_path);
	}
	return r == 0 && !log->readonly ? d->ops->sync_dir(d, log->dir) : r;
}

/* Brings logs that a crash left shorter to the size of the others; when there is no room, the next growth
 * does. */
static int level(struct pagelog *log)
{
	uint64_t longest = 0;
	int r = 0;

	for (unsigned i = 0; i < log->places; i++)
		longest = MAX(longest, log->sizes[i]);
	for (unsigned i = 0; r == 0 && i < log->places; i++)
		if (log->files[i] >= 0 && log->sizes[i] < longest)
			r = grow_to(log, longest, 0);
	return r == ERR_NOMEM ? r : 0;
}

static void report_fill(struct pagelog_report *report, struct pagelog *log)
{
	report->commits = log->seq;
	report->end = log->end;
	report->size = *own_size(log);
	report->db_pages = log->db_pages;
	memcpy(report->head_mac, log->head_mac, RECORD_MAC);
}

int pagelog_mount(struct pagelog **out, const struct pagelog_place *where, const struct sym_key *vk,
                  struct random *rng, struct pagelog_report *report)
{
	struct pagelog *log = log_new(where->disk, where->dir, where->places, where->place, vk, rng);
	int r = log != NULL ? 0 : ERR_NOMEM;

	*report = (struct pagelog_report){ 0 };
	if (r == 0)
		log->begun = where->begun;
	for (unsigned i = 0; r == 0 && i < where->places; i++)
		r = open_log(log, i);
	if (r == 0)
		r = finish_compaction(log);
	if (r == 0)
		r = scan(log, report);
	if (r == 0) {
		report_fill(report, log);
		log->readonly |= report->cut == PAGELOG_BROKEN;
	}
	/* The last commit may not be on the disk yet, when the process died before its sync came back. */
	if (r == 0 && !log->readonly && log->seq > 0 && !is_anew(log))
		r = disk_sync(log->disk, own(log));
	if (r == 0 && !log->readonly)
		r = level(log);
	if (r != 0) {
		pagelog_unmount(log);
		return r;
	}
	*out = log;
	return report->cut == PAGELOG_BROKEN ? PAGELOG_DAMAGED : 0;
}

/* --- Anew --- */

/* The blank behind the one commit of next, which becomes as long as log, and both longer where that is not
 * enough. */
static int copy_end(struct pagelog *next, struct pagelog *log)
{
	const uint64_t blank_end = next->end + RECORD_BLANK * RECORD_BLOCK;
	int r = blank_end > *own_size(log) ? grow_to(log, whole_steps(blank_end), 0) : 0;

	if (r == 0)
		r = grow_to(next, *own_size(log), blank_end);
	if (r == 0)
		r = blank_write(next);
	return r == 0 ? disk_sync(next->disk, own(next)) : r;
}

/* All pages of log as the one commit of next. */
static int copy_all(struct pagelog *next, struct pagelog *log)
{
	uint8_t page[RECORD_PAGE];
	int r = 0;

	for (uint32_t pgno = 1; r == 0 && pgno <= log->db_pages; pgno++) {
		if (entry_to_read(log, pgno) == 0)
			continue;
		r = pagelog_read(log, page, pgno);
		if (r == 0)
			r = pagelog_write(next, pgno, page);
	}
	sodium_memzero(page, sizeof(page));
	if (r == 0) {
		pagelog_resize(next, log->db_pages);
		r = pagelog_commit(next);
	}
	return r == 0 ? copy_end(next, log) : r;
}

/* log goes on as next, which is freed. */
static void become(struct pagelog *log, struct pagelog *next)
{
	struct pagelog old = *log;

	log->files[log->place] = own(next);
	*own_size(log) = *own_size(next);
	log->key = next->key;
	log->index = next->index;
	log->index_len = next->index_len;
	log->seq = next->seq;
	log->end = next->end;
	memcpy(log->head_mac, next->head_mac, RECORD_MAC);
	next->files[next->place] = own(&old);
	next->key = old.key;
	next->index = old.index;
	pagelog_unmount(next);
}

/* The new log, on the disk beside the old one under new_path. */
static int make_beside(struct pagelog **out, struct pagelog *log, const struct sym_key *vk,
                       const char *new_path)
{
	struct disk *const d = log->disk;
	struct pagelog *next = log_new(d, log->dir, log->places, log->place, vk, log->rng);
	int r;

	if (next == NULL)
		return ERR_NOMEM;
	r = d->ops->unlink(d, new_path);
	if (r == 0 || r == ERR_ABSENT)
		r = d->ops->open(d, &next->files[next->place], new_path, DISK_CREATE);
	if (r == 0)
		r = copy_all(next, log);
	if (r == 0)
		r = d->ops->sync_dir(d, log->dir);
	if (r == 0) {
		*out = next;
		return 0;
	}
	(void)!d->ops->unlink(d, new_path);
	pagelog_unmount(next);
	return r == DISK_FOREIGN ? ERR_SYSTEM : r;
}

int pagelog_compact(struct pagelog *log, struct slots *slots, struct slots_match *m,
                    const struct sym_key *kek)
{
	char new_path[DISK_PATH_MAX], path[DISK_PATH_MAX];
	struct disk *const d = log->disk;
	struct pagelog *next;
	struct sym_key vk;
	int r = writable(log);

	assert(log->count == 0 && m->place == log->place);
	/* A log without a commit has nothing to erase, and does not open under any key. */
	if (r != 0 || log->seq == 0)
		return r;
	r = log_path(path, log->dir, log->place, "");
	if (r == 0)
		r = log_path(new_path, log->dir, log->place, ".new");
	if (r != 0)
		return r;
	random_bytes(log->rng, vk.b, sizeof(vk.b));
	r = make_beside(&next, log, &vk, new_path);
	if (r == 0) {
		r = slots_replace(slots, m, &vk, kek, log->rng);
		if (r == 0)
			r = d->ops->rename(d, new_path, path);
		if (r == 0)
			r = d->ops->sync_dir(d, log->dir);
		if (r == 0) {
			become(log, next);
		} else {
			log->dead = true;
			pagelog_unmount(next);
		}
	}
	sodium_memzero(&vk, sizeof(vk));
	return r;
}

/* --- The logs of a vault --- */

/* Random bytes over a whole file, which becomes at least one step long. */
static int refill(struct disk *disk, int file, struct random *rng)
{
	uint64_t size = 0;
	struct filler f;
	int r = filler_init(&f, rng);

	if (r != 0)
		return r;
	r = disk->ops->size(disk, file, &size);
	size = MAX(size, (uint64_t)PAGELOG_STEP);
	if (r == 0)
		r = disk->ops->allocate(disk, file, size);
	if (r == 0)
		r = filler_write(&f, disk, file, 0, size);
	if (r == 0)
		r = disk_sync(disk, file);
	filler_deinit(&f);
	return r;
}

static int create_one(struct disk *disk, const char *dir, unsigned place, struct random *rng)
{
	char path[DISK_PATH_MAX];
	int file = -1, r;

	r = log_path(path, dir, place, "");
	if (r == 0)
		r = disk->ops->open(disk, &file, path, DISK_CREATE);
	if (r == ERR_EXISTS)
		r = disk->ops->open(disk, &file, path, DISK_WRITE);
	if (r != 0)
		return r == DISK_FOREIGN ? ERR_EXISTS : r;
	r = disk->ops->truncate(disk, file, 0);
	if (r == 0)
		r = refill(disk, file, rng);
	disk->ops->close(disk, file);
	return r;
}

int pagelog_create(struct disk *disk, const char *dir, unsigned places, struct random *rng)
{
	char path[DISK_PATH_MAX];
	int file = -1, r;

	assert(places >= 1 && places <= SLOTS_PLACES_MAX);
	r = disk->ops->make_dir(disk, dir);
	if (r == 0 || r == ERR_EXISTS)
		r = disk_path(path, dir, "slots");
	if (r == 0)
		r = disk->ops->open(disk, &file, path, DISK_READ);
	if (r != ERR_ABSENT) {
		if (r == 0)
			disk->ops->close(disk, file);
		return r < 0 ? r : ERR_EXISTS;
	}
	r = 0;
	for (unsigned i = 0; r == 0 && i < places; i++)
		r = create_one(disk, dir, i, rng);
	return r == 0 ? disk->ops->sync_dir(disk, dir) : r;
}

int pagelog_refill(const struct pagelog_place *where, struct random *rng)
{
	char path[DISK_PATH_MAX];
	struct disk *const d = where->disk;
	int file = -1, r;

	r = log_path(path, where->dir, where->place, ".new");
	if (r == 0)
		(void)!d->ops->unlink(d, path);
	r = log_path(path, where->dir, where->place, "");
	if (r == 0)
		r = d->ops->open(d, &file, path, DISK_WRITE);
	if (r != 0)
		return r == DISK_FOREIGN ? ERR_CORRUPT : r;
	r = refill(d, file, rng);
	d->ops->close(d, file);
	return r;
}
