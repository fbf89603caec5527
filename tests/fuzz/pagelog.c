#include "tests/fuzz/fuzz.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/crypto/random.h"
#include "store/pagelog.h"
#include "tools/sim/disk.h"

enum { BLOCKS = 48, LOG_LEN = BLOCKS * RECORD_BLOCK, PAGES_MAX = 8, PAGES_READ = 24 };

enum act { COMMIT, HEAD_AS_SAID, PAGE_CHANGED, BLOCK_CHANGED, SKIP, PAD, ACTS };

static const struct sym_key vk = { { 1 } };

/* A log that is being written, right but where the input wants it otherwise. */
struct maker {
	uint8_t bytes[LOG_LEN];
	size_t end; /* whole blocks */
	uint64_t seq;
	uint32_t db_pages;
	uint8_t head_mac[RECORD_MAC];
	struct sym_key k;
	struct reader in;
};

/* The content of a page says which it is. */
static void page_fill(uint8_t page[static RECORD_PAGE], uint32_t pgno, uint64_t seq)
{
	memset(page, 0x11, RECORD_PAGE);
	store_u32(page, pgno);
	store_u64(page + 4, seq);
}

/* A record; the head's fields were said by the caller. */
static void put(struct maker *m, struct record_head *h)
{
	uint8_t macs[PAGES_MAX * RECORD_MAC], page[RECORD_PAGE], *const at = m->bytes + m->end;

	for (uint32_t i = 0; i < h->count; i++) {
		uint8_t *const sealed = at + record_len_bare(i);

		page_fill(page, h->pgno[i], h->seq);
		memset(sealed, (int)i, RECORD_NONCE);
		record_seal_page(sealed, page, h->pgno[i], h->seq, &m->k);
		memcpy(macs + (size_t)i * RECORD_MAC, record_mac(sealed, RECORD_SEALED), RECORD_MAC);
	}
	record_macs(&h->macs, span_from(macs, (size_t)h->count * RECORD_MAC));
	memset(at, 0x77, RECORD_NONCE);
	record_seal_head(at, h, &m->k);
	memcpy(m->head_mac, record_mac(at, RECORD_BLOCK), RECORD_MAC);
	m->end += (size_t)record_len(h->count);
}

static bool has_room(const struct maker *m, uint32_t count)
{
	return m->end + record_len(count) <= LOG_LEN;
}

/* A commit of one or two parts as the format has it. */
static void commit(struct maker *m)
{
	static struct record_head h;
	const uint8_t what = reader_u8(&m->in);
	const uint16_t parts = (uint16_t)(1 + what / 8 % 2);

	m->db_pages = reader_u8(&m->in) % 16;
	for (uint16_t part = 0; part < parts; part++) {
		h = (struct record_head){
			.seq = m->seq, .part = part, .parts = parts, .count = what % PAGES_MAX
		};
		if (!has_room(m, h.count))
			return;
		h.db_pages = m->db_pages;
		memcpy(h.before, m->head_mac, RECORD_MAC);
		for (uint32_t i = 0; i < h.count; i++)
			h.pgno[i] = 1 + reader_u8(&m->in) % 16;
		put(m, &h);
	}
	m->seq++;
}

/* A head that says what the input wants, under the right key. */
static void head_as_said(struct maker *m)
{
	static struct record_head h;
	const uint8_t what = reader_u8(&m->in);

	h = (struct record_head){ .seq = m->seq + reader_u8(&m->in) % 5 - 1, .count = what % PAGES_MAX };
	h.parts = (uint16_t)(reader_u16(&m->in) | 1);
	h.part = (uint16_t)(reader_u16(&m->in) % h.parts);
	h.db_pages = (what & 0x40) != 0 ? reader_u32(&m->in) : m->db_pages;
	if ((what & 0x80) == 0)
		memcpy(h.before, m->head_mac, RECORD_MAC);
	if (!has_room(m, h.count))
		return;
	for (uint32_t i = 0; i < h.count; i++)
		h.pgno[i] = (what & 0x20) != 0 ? reader_u32(&m->in) | 1 : 1 + i;
	put(m, &h);
	m->seq = h.seq + 1;
}

static void make(struct maker *m)
{
	const uint8_t what = reader_u8(&m->in);
	const size_t back = reader_u8(&m->in);

	switch (what % ACTS) {
	case COMMIT:
		commit(m);
		break;
	case HEAD_AS_SAID:
		head_as_said(m);
		break;
	case PAGE_CHANGED: /* any byte of what was written last */
		if (m->end > 0)
			m->bytes[m->end - 1 - (back * 256 + reader_u8(&m->in)) % m->end] ^= 1;
		break;
	case BLOCK_CHANGED:
		if (m->end > 0)
			memset(m->bytes + m->end - (1 + back % (m->end / RECORD_BLOCK)) * RECORD_BLOCK, 0,
			       RECORD_BLOCK);
		break;
	case SKIP:
		m->end += m->end < LOG_LEN ? RECORD_BLOCK : 0;
		break;
	default: /* a commit that was never there */
		m->seq += back % 4;
		break;
	}
}

/* Every page opens, to what was sealed for it, in a commit that is used; or says that it does not. */
static void read_all(struct pagelog *log, uint32_t written)
{
	uint8_t page[RECORD_PAGE], want[RECORD_PAGE];

	for (uint32_t pgno = 1; pgno <= MIN(pagelog_pages(log), (uint32_t)PAGES_READ); pgno++) {
		const int r = pagelog_read(log, page, pgno);

		assert(r == 0 || r == ERR_CORRUPT);
		if (r != 0 || sodium_is_zero(page, sizeof(page)))
			continue;
		page_fill(want, pgno, pgno == written ? 0 : load_u64(page + 4));
		assert(memcmp(page, want, sizeof(page)) == 0 && load_u64(page + 4) < pagelog_commits(log));
	}
}

/* log is unmounted. */
static void write_and_mount(struct pagelog *log, const struct pagelog_place *where, struct random *rng,
                            const struct pagelog_report *before)
{
	uint8_t page[RECORD_PAGE];
	struct pagelog_report now;
	int r;

	page_fill(page, 1, 0);
	r = pagelog_write(log, 1, page);
	if (r == 0)
		r = pagelog_commit(log);
	assert(r == (pagelog_readonly(log) ? ERR_READONLY : 0));
	pagelog_unmount(log);
	if (r != 0)
		return;
	assert(pagelog_mount(&log, where, &vk, rng, &now) == 0);
	assert(now.commits == before->commits + 1 && now.cut == PAGELOG_WHOLE);
	read_all(log, 1);
	pagelog_unmount(log);
}

/* A log of right and wrong commits is mounted, read, written to where it can be, and mounted again. Byte 0:
 * whether its first commit must be there, whether the file ends with what was written last, whether it is
 * written to, and whether its last block is missing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sim_disk disk;
	static struct maker m;
	struct pagelog_place where = { .disk = &disk.base, .dir = "v", .places = 1, .begun = false };
	struct pagelog_report report;
	struct random_seeded rng;
	struct pagelog *log;
	size_t len;
	uint8_t how;
	int r;

	m = (struct maker){ .in = reader_from(span_from(data, size)) };
	memset(m.bytes, 0x99, sizeof(m.bytes));
	record_key(&m.k, &vk);
	random_seeded_init(&rng, 1);
	how = reader_u8(&m.in);
	where.begun = (how & 1) != 0;
	while (m.in.len > 0)
		make(&m);
	sim_disk_init(&disk);
	len = (how & 2) != 0 ? m.end : LOG_LEN;
	if ((how & 8) != 0 && len > 0)
		len -= RECORD_BLOCK;
	sim_disk_put(&disk, "v/0", m.bytes, len);
	r = pagelog_mount(&log, &where, &vk, &rng.base, &report);
	assert(r == 0 || r == PAGELOG_DAMAGED || r == ERR_CORRUPT);
	if (r >= 0) {
		assert((r == PAGELOG_DAMAGED) == pagelog_readonly(log));
		read_all(log, 0);
		if ((how & 4) != 0)
			write_and_mount(log, &where, &rng.base, &report);
		else
			pagelog_unmount(log);
	}
	sim_disk_deinit(&disk);
	return 0;
}
