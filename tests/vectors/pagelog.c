#include "tests/vectors/run.h"

#include <stdio.h>

#include "store/pagelog.h"
#include "tools/sim/disk.h"

/*
 * PROTOCOL section 8: the commits of a file make one log, each checked to the byte; then mounts of that log,
 * whole or damaged, on a disk in memory.
 */

static const json_t *in_of(const json_t *test_case)
{
	return json_object_get(test_case, "in");
}

static bool is_commit(const json_t *test_case)
{
	return json_object_get(in_of(test_case), "pages") != NULL;
}

static struct sym_key key_of(const json_t *in)
{
	struct sym_key vk, k;

	hex_into(vk.b, sizeof(vk.b), in, "VK");
	record_key(&k, &vk);
	return k;
}

/* Padding is one for the record, or one for each part. */
static void pad(struct writer *w, const json_t *in, size_t part, size_t len)
{
	const json_t *padding = json_object_get(in, "padding");
	const struct span s = hex_of(json_is_array(padding) ? json_array_get(padding, part) : padding);

	check_true(s.len == len, "padding of %zu bytes, not %zu", s.len, len);
	writer_span(w, s);
}

/* Seals one part at the writer's end; *before is the MAC of the head before, and becomes this one's. */
static void seal_part(struct writer *w, const json_t *in, struct record_head *h, uint8_t *before)
{
	const json_t *pages = json_object_get(in, "pages");
	const struct sym_key k = key_of(in);
	const struct span nonce = hex_of(json_array_get(json_object_get(in, "head_nonces"), h->part));
	uint8_t *const head = writer_skip(w, RECORD_BLOCK);
	uint8_t macs[RECORD_PAGES_MAX * RECORD_MAC];
	struct writer mac_writer = WRITER_ON(macs);

	for (uint32_t i = 0; i < h->count; i++) {
		const json_t *page = json_array_get(pages, (size_t)h->part * RECORD_PAGES_MAX + i);
		const struct span plain = hex_get(page, "page");
		uint8_t *const sealed = writer_skip(w, RECORD_SEALED);

		check_true(plain.len == RECORD_PAGE, "a page of %zu bytes", plain.len);
		if (sealed == NULL || plain.len != RECORD_PAGE)
			return;
		hex_into(sealed, RECORD_NONCE, page, "nonce");
		h->pgno[i] = (uint32_t)int_get(page, "pgno");
		record_seal_page(sealed, plain.p, h->pgno[i], h->seq, &k);
		writer_bytes(&mac_writer, record_mac(sealed, RECORD_SEALED), RECORD_MAC);
	}
	check_true(nonce.len == RECORD_NONCE, "head nonce %u has %zu bytes", h->part, nonce.len);
	if (head == NULL || nonce.len != RECORD_NONCE)
		return;
	record_macs(&h->macs, writer_done(&mac_writer));
	memcpy(h->before, before, RECORD_MAC);
	memcpy(head, nonce.p, RECORD_NONCE);
	record_seal_head(head, h, &k);
	memcpy(before, record_mac(head, RECORD_BLOCK), RECORD_MAC);
	pad(w, in, h->part, (size_t)(record_len(h->count) - record_len_bare(h->count)));
}

/* The bytes of a commit; last_mac, where not NULL, becomes the MAC of its last head. */
static struct span commit_bytes(const json_t *in, uint8_t *last_mac)
{
	const size_t count = json_array_size(json_object_get(in, "pages"));
	const size_t parts = MAX((size_t)1, (count + RECORD_PAGES_MAX - 1) / RECORD_PAGES_MAX);
	const size_t cap = (size_t)record_len(RECORD_PAGES_MAX) * (parts - 1) +
	                   (size_t)record_len((uint32_t)(count - (parts - 1) * RECORD_PAGES_MAX));
	struct writer w = writer_on(case_alloc(cap), cap);
	struct record_head *h = case_alloc(sizeof(*h));
	uint8_t mac[RECORD_MAC];

	hex_into(mac, sizeof(mac), in, "previous_mac");
	for (size_t part = 0; part < parts; part++) {
		h->seq = (uint64_t)int_get(in, "seq");
		h->part = (uint16_t)part;
		h->parts = (uint16_t)parts;
		h->count = (uint32_t)MIN(count - part * RECORD_PAGES_MAX, (size_t)RECORD_PAGES_MAX);
		h->db_pages = (uint32_t)int_get(in, "db_pages");
		seal_part(&w, in, h, mac);
	}
	if (last_mac != NULL)
		memcpy(last_mac, mac, sizeof(mac));
	return writer_done(&w);
}

static void check_optional(struct span got, const json_t *out, const char *what)
{
	if (json_object_get(out, what) != NULL)
		check_bytes(got, json_object_get(out, what), what);
}

static void run_commit(const json_t *in, const json_t *out)
{
	uint8_t mac[RECORD_MAC];
	const struct span record = commit_bytes(in, mac);
	const struct sym_key k = key_of(in);
	struct record_head *h = case_alloc(sizeof(*h));

	check_int((int64_t)record.len, int_get(out, "len"), "len");
	if (record.len < RECORD_BLOCK)
		return;
	check_optional(span_from(record.p, RECORD_BLOCK), out, "head");
	check_optional(SPAN(mac), out, "head_mac");
	check_optional(record, out, "record");
	check_int(record_open_head(h, record.p, &k), 0, "record_open_head()");
	check_int((int64_t)h->seq, int_get(in, "seq"), "seq");
	check_int(h->db_pages, int_get(in, "db_pages"), "db_pages");
}

/* All commits of the file, then the tail, with the damage that the case names. */
static struct span log_bytes(const json_t *in, const json_t *all)
{
	const json_t *tail = json_object_get(in, "tail"), *c;
	const json_t *flip = json_object_get(in, "flip_bit0_of_byte"),
	             *from = json_object_get(in, "zero_from");
	const struct span end = json_is_null(tail) || tail == NULL ? SPAN_NONE : hex_of(tail);
	size_t cap = end.len, i;
	struct writer w;

	json_array_foreach(all, i, c) if (is_commit(c)) cap +=
	        (size_t)int_get(json_object_get(c, "out"), "len");
	w = writer_on(case_alloc(cap), cap);
	json_array_foreach(all, i, c) if (is_commit(c)) writer_span(&w, commit_bytes(in_of(c), NULL));
	writer_span(&w, end);
	check_true(!w.failed && w.len == cap, "the log has %zu bytes, not %zu", w.len, cap);
	if (flip != NULL && (size_t)json_integer_value(flip) < cap)
		w.p[json_integer_value(flip)] ^= 1;
	if (from != NULL && int_get(in, "zero_to") <= (int64_t)cap)
		memset(w.p + json_integer_value(from), 0,
		       (size_t)(int_get(in, "zero_to") - json_integer_value(from)));
	return writer_done(&w);
}

static void check_pages(struct pagelog *log, const json_t *out)
{
	const size_t len = (size_t)pagelog_pages(log) * RECORD_PAGE;
	const json_t *unreadable = json_object_get(out, "unreadable");
	struct writer w = writer_on(case_alloc(len), len);
	size_t bad = 0;

	for (uint32_t pgno = 1; pgno <= pagelog_pages(log); pgno++) {
		uint8_t page[RECORD_PAGE];
		const int r = pagelog_read(log, page, pgno);

		if (r == 0) {
			writer_bytes(&w, page, sizeof(page));
			continue;
		}
		check_int(r, ERR_CORRUPT, "pagelog_read()");
		check_int(pgno, json_integer_value(json_array_get(unreadable, bad++)), "unreadable page");
	}
	check_int((int64_t)bad, (int64_t)json_array_size(unreadable), "number of unreadable pages");
	check_optional(writer_done(&w), out, "pages_read");
}

static void check_mount(struct pagelog *log, const struct pagelog_report *report, const json_t *out)
{
	check_int((int64_t)report->commits, int_get(out, "commits"), "commits");
	check_int((int64_t)report->end, int_get(out, "end"), "end");
	check_int(report->db_pages, int_get(out, "db_pages"), "db_pages");
	check_optional(SPAN(report->head_mac), out, "head_mac");
	check_pages(log, out);
}

static void run_mount(const json_t *in, const json_t *out, const json_t *all)
{
	struct sim_disk *disk = case_alloc(sizeof(*disk));
	const struct pagelog_place where = { &disk->base, "v", 1, 0, false };
	const struct span bytes = log_bytes(in, all);
	struct pagelog_report report;
	struct pagelog *log = NULL;
	uint64_t len = 0;
	uint8_t *after;
	struct sym_key vk;
	int r;

	hex_into(vk.b, sizeof(vk.b), in, "VK");
	sim_disk_init(disk);
	sim_disk_put(disk, "v/0", bytes.p, bytes.len);
	r = pagelog_mount(&log, &where, &vk, random_given(SPAN_NONE), &report);
	if (bool_get(out, "accept", true)) {
		check_int(r, 0, "pagelog_mount()");
		if (r == 0)
			check_mount(log, &report, out);
	} else {
		check_int(r, PAGELOG_DAMAGED, "pagelog_mount()");
		check_int(report.cut, PAGELOG_BROKEN, "cut");
	}
	check_true(sim_disk_find(disk, "v/0", &len), "the log is gone");
	after = case_alloc((size_t)len);
	sim_disk_peek(disk, "v/0", after, (size_t)len, 0);
	check_true(span_equal(span_from(after, (size_t)len), bytes), "mounting wrote");
	pagelog_unmount(log);
	sim_disk_deinit(disk);
}

static void run(const json_t *test_case, const json_t *all)
{
	const json_t *in = in_of(test_case), *out = json_object_get(test_case, "out");

	if (is_commit(test_case))
		run_commit(in, out);
	else
		run_mount(in, out, all);
}

const struct part vectors_pagelog = { "pagelog", run };
