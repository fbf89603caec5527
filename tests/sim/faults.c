/*
 * faults.c: a disk that fails, fills up, rots or is put back, below a day of two people.
 *
 *     faults [--seed N] [--share N] [--only NAME] [--at N [--mode N]]
 *
 * io        Every request of one person's disk fails, in each of the ways below, once or from then on.
 *           Nothing that was told is lost, even when the power goes afterwards, and when the disk is well
 *           again both people go on until each has all of the other's texts (invariants I1 I2 I3 I4 I11).
 *           While it cannot be written, it is read.
 * rot       Bits turn, blocks become zeros or those of another place, in everything that is in use and at
 *           random elsewhere: the pages are what they were, or it is told (I8).
 * rollback  Every state of the day is put back at its end: noticed at the first contact, nothing twice,
 *           all of the other's texts are there again, what was deleted stays away from who deleted it (I2 I3
 *           I4 I12).
 */
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "store/messages.h"
#include "tests/sim/life.h"
#include "tools/sim/nonces.h"

#define DIR   LIFE_HOME "/notebooks"
#define SLOTS DIR "/slots"

enum { FAULTS_SHOWN = 10, SAVED_MAX = 256, TEXTS_MAX = 64, S = 1000000 };

static struct {
	uint64_t seed, share;
	const char *only;
	uint64_t at;
	unsigned mode;
	bool one_mode;
} options = { .seed = 1, .share = 1 };

static struct {
	uint64_t tried, faults;
} total;

static const char *now_at; /* the part that runs */

static void fault(uint64_t at, unsigned mode, const char *what)
{
	if (total.faults++ < FAULTS_SHOWN)
		fprintf(stderr, "faults: %s: %s\n  again: faults --seed %llu --only %s --at %llu --mode %u\n",
		        now_at, what, (unsigned long long)options.seed, now_at, (unsigned long long)at, mode);
}

/* Whether number `at` in this mode is one of those that are tried. */
static bool is_tried(uint64_t at, unsigned mode)
{
	if (options.at != 0)
		return at == options.at && (!options.one_mode || mode == options.mode);
	return (at + mode) % options.share == 0;
}

static uint64_t fresh_seed(void)
{
	static uint64_t n;

	return UINT64_C(1) << 61 | options.seed << 40 | ++n;
}

/* --- The day --- */

/* Two people who know each other; the first has a ghost to forget. Nobody runs. */
static void morning(struct life *l)
{
	life_init(l, options.seed);
	if (life_begin(l) != 0 || life_ghost(l, 0) != 0)
		abort();
	for (unsigned i = 0; i < 6; i++)
		if (!life_say(l, i % LIFE_PEOPLE))
			abort();
	life_run(l, 3 * S);
	for (unsigned who = 0; who < LIFE_PEOPLE; who++) {
		life_kill(l, who);
		sim_disk_crash(&l->people[who].disk, SIM_DISK_KEPT, 0);
	}
}

/* What fails is not looked at: the disk of the first may be ill. */
static void day(struct life *l)
{
	if (life_start(l, 1) != 0)
		abort();
	(void)!life_start(l, 0);
	(void)life_say(l, 0);
	(void)life_say(l, 1);
	life_run(l, 2 * S);
	(void)life_forget_ghost(l, 0);
	(void)life_say(l, 1);
	(void)life_say(l, 0);
	life_run(l, 1 * S);
	(void)life_lock(l, 0);
	(void)life_say(l, 0);
	life_run(l, 2 * S);
}

/* Both start, say one thing each, and wait until each has all of the other's. */
static const char *evening(struct life *l)
{
	struct life_texts texts[LIFE_PEOPLE] = { 0 };

	for (unsigned who = 0; who < LIFE_PEOPLE; who++) {
		if (l->people[who].node == NULL && life_start(l, who) != 0)
			return "a notebook does not open any more";
		if (l->people[who].lost)
			return "what was told is lost";
	}
	for (unsigned who = 0; who < LIFE_PEOPLE; who++)
		if (!life_say(l, who))
			return "nothing can be said any more";
	for (unsigned i = 0; i < 100; i++) {
		life_run(l, 1 * S);
		for (unsigned who = 0; who < LIFE_PEOPLE; who++)
			if (life_texts(&texts[who], l->people[who].store, who) != 0)
				return "texts are missing, doubled or mixed up";
		if (texts[0].own == texts[1].received && texts[1].own == texts[0].received)
			return nonces_broken() > 0 ? "a key sealed twice with one nonce" : NULL;
	}
	return "not everything arrives";
}

/* --- Requests that fail --- */

static const struct mode {
	const char *name;
	struct sim_disk_fault fault;
	bool blackout; /* the power goes at the end of the day */
} modes[] = {
	{ "EIO, once", { .kinds = SIM_DISK_ALL, .with = ERR_IO }, false },
	{ "EIO from then on", { .kinds = SIM_DISK_ALL, .on = true, .with = ERR_IO }, false },
	{ "EIO for a change, half done, once", { .half = true, .with = ERR_IO }, false },
	{ "EIO for a change, once, and the power goes", { .with = ERR_IO }, true },
	{ "EIO for changes from then on, and the power goes", { .on = true, .with = ERR_IO }, true },
	{ "ENOSPC, half done, once", { .half = true, .with = ERR_FULL }, false },
	{ "ENOSPC from then on, and the power goes", { .on = true, .with = ERR_FULL }, true },
	{ "EROFS from then on", { .on = true, .with = ERR_READONLY }, false },
	{ "a short read, once", { .kinds = BIT(SIM_DISK_READ), .with = DISK_SHORT }, false },
};

/* A disk that takes no change, for whatever reason, can be read. */
static const char *read_ill(struct life *l)
{
	struct life_person *p = &l->people[0];
	struct vault_report report;
	struct vault_guess guess;
	struct vault *v = NULL;
	struct life_texts texts;
	const char *wrong = NULL;

	life_kill(l, 0);
	p->disk.readonly = true;
	if (vault_find(&v, &p->disk.base, LIFE_HOME) != 0)
		return "the vault is not found on a disk that cannot be written";
	life_guess(&guess, v);
	if (vault_open(v, &guess, &p->rng.base, &report) != 0)
		wrong = "a notebook cannot be read on a disk that cannot be written";
	else if (report.damaged || life_texts(&texts, vault_store(v), 0) != 0 || texts.own < p->said)
		wrong = "what was told cannot be read on a disk that cannot be written";
	vault_close(v);
	p->disk.readonly = false;
	return wrong;
}

/* One day with one fault. How many requests counted for it. */
static uint64_t ill_day(const struct life *from, uint64_t at, unsigned mode)
{
	const struct mode *m = &modes[mode];
	struct sim_disk_fault f = m->fault;
	struct life l;
	uint64_t seen;
	const char *wrong = NULL;

	f.at = at;
	life_branch(&l, from, fresh_seed());
	sim_disk_fail(&l.people[0].disk, &f);
	day(&l);
	seen = l.people[0].disk.fault_seen;
	sim_disk_mend(&l.people[0].disk);
	life_kill(&l, 0);
	if (m->blackout)
		sim_disk_crash(&l.people[0].disk, SIM_DISK_LOST, 0);
	if (l.people[0].lost || l.people[1].lost)
		wrong = "what was told was lost during the day";
	if (wrong == NULL && f.on && f.kinds == 0)
		wrong = read_ill(&l);
	if (wrong == NULL)
		wrong = evening(&l);
	if (wrong != NULL)
		fault(at, mode, wrong);
	life_deinit(&l);
	return seen;
}

static void requests_fail(void)
{
	struct life from;

	morning(&from);
	for (unsigned mode = 0; mode < COUNT_OF(modes); mode++) {
		uint64_t requests = 1, tried = 0;

		/* The first is told how many there are: it fails at none. */
		for (uint64_t at = 1; at <= requests; at++) {
			if (at == 1)
				requests = ill_day(&from, UINT64_MAX, mode);
			if (!is_tried(at, mode))
				continue;
			(void)ill_day(&from, at, mode);
			tried++;
		}
		total.tried += tried;
		printf("  %-50s %5llu of %5llu requests\n", modes[mode].name, (unsigned long long)tried,
		       (unsigned long long)requests);
	}
	life_deinit(&from);
}

/* --- Rot --- */

/* The notebook of the first, as it was before. */
struct sound {
	struct life l;
	struct sym_key kek;
	struct slots_match match;
	char own[64]; /* path of the log */
	uint8_t hash[crypto_shorthash_siphashx24_BYTES], before[crypto_shorthash_siphashx24_BYTES];
	uint64_t last,
	        end; /* where the last commit begins, and where it ends; before it the pages were `before` */
};

static int hash_pages(uint8_t hash[static crypto_shorthash_siphashx24_BYTES], struct pagelog *log)
{
	static const uint8_t key[crypto_shorthash_siphashx24_KEYBYTES] = "all of the pages";
	uint8_t page[RECORD_PAGE + crypto_shorthash_siphashx24_BYTES] = { 0 };
	int r = 0;

	for (uint32_t pgno = 1; r == 0 && pgno <= pagelog_pages(log); pgno++) {
		r = pagelog_read(log, page, pgno);
		crypto_shorthash_siphashx24(page + RECORD_PAGE, page, sizeof(page), key);
	}
	memcpy(hash, page + RECORD_PAGE, crypto_shorthash_siphashx24_BYTES);
	return r;
}

static struct pagelog_place place_of(struct sim_disk *d, const struct slots_match *m)
{
	return (struct pagelog_place){ &d->base, DIR, SLOTS_PLACES_OWN, m->place, m->content.generation > 1 };
}

static int mount(struct pagelog **out, const struct sound *s, struct sim_disk *d,
                 struct pagelog_report *report, struct random_seeded *rng)
{
	const struct pagelog_place where = place_of(d, &s->match);

	random_seeded_init(rng, fresh_seed());
	return pagelog_mount(out, &where, &s->match.content.vk, &rng->base, report);
}

/* What is read is what it was, or it is told that it is not; NULL when so. */
static const char *look_at_log(const struct sound *s, struct sim_disk *d, uint64_t offset)
{
	struct random_seeded rng;
	struct pagelog *log = NULL;
	struct pagelog_report report;
	uint8_t hash[crypto_shorthash_siphashx24_BYTES];
	const char *wrong = NULL;

	if (mount(&log, s, d, &report, &rng) < 0)
		return NULL;
	/* Whether the last commit rots or was never whole, nobody can tell: it may be missing. */
	if (report.cut != PAGELOG_BROKEN && hash_pages(hash, log) == 0 &&
	    memcmp(hash, s->hash, sizeof(hash)) != 0 &&
	    (offset < s->last || memcmp(hash, s->before, sizeof(hash)) != 0))
		wrong = "other pages are read than were written";
	pagelog_unmount(log);
	return wrong;
}

static const char *look_at_slots(const struct sound *s, struct sim_disk *d)
{
	struct slots *slots = NULL;
	struct slots_match m = { 0 };
	const char *wrong = NULL;
	int r = slots_open(&slots, &d->base, DIR);

	if (r == 0)
		r = slots_try(slots, &s->kek, &m);
	if (r == 0 && memcmp(&m, &s->match, sizeof(m)) != 0)
		wrong = "a slot opens to something else";
	slots_close(slots);
	slots_match_wipe(&m);
	return wrong;
}

/* Goes back from the end block by block: while one that is zeros only takes the last commit away, it belongs
 * to it. */
static void find_last(struct sound *s, const char *path, uint64_t commits)
{
	static const uint8_t zeros[BLOCKS_SIZE];
	bool more = true;

	for (s->last = s->end; more && s->last > 0;) {
		struct sim_disk d;
		struct random_seeded rng;
		struct pagelog *log = NULL;
		struct pagelog_report report;

		sim_disk_copy(&d, &s->l.people[0].disk);
		sim_disk_poke(&d, path, zeros, sizeof(zeros), s->last - BLOCKS_SIZE);
		more = mount(&log, s, &d, &report, &rng) == 0 && report.commits == commits - 1 &&
		       hash_pages(s->before, log) == 0;
		s->last -= more ? BLOCKS_SIZE : 0;
		pagelog_unmount(log);
		sim_disk_deinit(&d);
	}
}

static void sound_init(struct sound *s)
{
	struct sim_disk *d = &s->l.people[0].disk;
	struct random_seeded rng;
	struct slots *slots = NULL;
	struct pagelog *log = NULL;
	struct pagelog_report report;
	int r;

	morning(&s->l);
	day(&s->l);
	for (unsigned who = 0; who < LIFE_PEOPLE; who++)
		life_kill(&s->l, who);
	life_kek(&s->kek);
	r = slots_open(&slots, &d->base, DIR);
	if (r == 0)
		r = slots_try(slots, &s->kek, &s->match);
	slots_close(slots);
	if (r == 0)
		r = mount(&log, s, d, &report, &rng);
	if (r != 0 || hash_pages(s->hash, log) != 0)
		abort();
	s->end = report.end;
	pagelog_unmount(log);
	sim_disk_crash(d, SIM_DISK_KEPT, 0);
	snprintf(s->own, sizeof(s->own), DIR "/%u", s->match.place);
	find_last(s, s->own, report.commits);
}

enum what { FLIP, ZERO, SWAP, WHATS };

/* Damages a copy at a place of a file, in one of the ways, and looks. */
static void rot(const struct sound *s, const char *path, uint64_t offset, enum what what, uint64_t luck)
{
	uint8_t block[BLOCKS_SIZE] = { 0 };
	const uint64_t at = offset / BLOCKS_SIZE * BLOCKS_SIZE;
	struct sim_disk d;
	const char *wrong;

	sim_disk_copy(&d, &s->l.people[0].disk);
	if (what == FLIP)
		sim_disk_flip(&d, path, offset, luck % 8);
	if (what == SWAP)
		sim_disk_peek(&d, path, block, sizeof(block), luck * BLOCKS_SIZE % s->end);
	if (what != FLIP)
		sim_disk_poke(&d, path, block, sizeof(block), at);
	wrong = strcmp(path, SLOTS) == 0 ? look_at_slots(s, &d) : look_at_log(s, &d, at);
	total.tried++;
	if (wrong != NULL)
		fault(offset + 1, what, wrong);
	sim_disk_deinit(&d);
}

/* Every byte from one place to another, or of every `step` one. */
static uint64_t rot_bytes(const struct sound *s, const char *path, uint64_t from, uint64_t to, uint64_t step)
{
	uint64_t n = 0;

	for (uint64_t offset = from; offset < to; offset += step) {
		if (!is_tried(offset + 1, FLIP))
			continue;
		rot(s, path, offset, FLIP, offset * 5 + offset / 8);
		n++;
	}
	return n;
}

static void everything_rots(void)
{
	static struct sound s;
	const bool full = getenv("FLYLEAF_FULL") != NULL;
	const uint64_t random_flips = full ? 1000000 : 100000;
	struct random_seeded rng;
	const char *own;
	uint64_t slot, len = 0, bytes, blocks = 0;

	sound_init(&s);
	own = s.own;
	slot = SLOTS_HEAD + (uint64_t)s.match.slot * SLOTS_SLOT;
	/* A slot takes a millisecond to try: its stripes, each of which counts alike, are a sample. */
	bytes = rot_bytes(&s, SLOTS, 0, SLOTS_SALT, 1);
	bytes += rot_bytes(&s, SLOTS, slot, slot + SLOTS_SPLIT, full ? 1 : 61);
	bytes += rot_bytes(&s, SLOTS, slot + SLOTS_SPLIT, slot + SLOTS_SLOT, full ? 1 : 3);
	bytes += rot_bytes(&s, own, 0, s.end, full ? 1 : 29);
	bytes += rot_bytes(&s, own, 0, RECORD_BLOCK + RECORD_SEALED, 1);
	for (uint64_t at = 0; at < s.end; at += BLOCKS_SIZE) {
		for (unsigned i = 0; i < 8; i++, blocks++)
			if (is_tried(at + 1, ZERO))
				rot(&s, own, at, i == 0 ? ZERO : SWAP, at / BLOCKS_SIZE * 13 + i);
	}
	random_seeded_init(&rng, options.seed);
	if (!sim_disk_find(&s.l.people[0].disk, own, &len))
		abort();
	for (uint64_t i = 0; i < random_flips; i++) {
		const uint64_t offset = random_below(&rng.base, (uint32_t)len);
		const unsigned bit = random_below(&rng.base, 8);

		if (options.at == 0 ? i % options.share == 0 : offset + 1 == options.at)
			rot(&s, own, offset, FLIP, bit);
	}
	printf("  %llu bytes in use, %llu blocks, %llu at random\n", (unsigned long long)bytes,
	       (unsigned long long)blocks, (unsigned long long)(random_flips / options.share));
	slots_match_wipe(&s.match);
	life_deinit(&s.l);
}

/* --- An older copy --- */

struct saved {
	struct sim_disk disk;
	unsigned own, stored; /* own texts in it, and those of them that the other was known to have */
};

static struct saved saved[SAVED_MAX];
static size_t saved_len;

static void save(void *arg, struct life *l, unsigned who)
{
	const struct life_person *p = &l->people[0];
	struct contact_view view;
	struct life_texts texts;

	(void)arg;
	if (who != 0 || p->node == NULL || saved_len == SAVED_MAX)
		return;
	node_contact_view(p->node, 0, &view);
	if (life_texts(&texts, p->store, 0) != 0)
		abort();
	sim_disk_copy(&saved[saved_len].disk, &p->disk);
	saved[saved_len].own = texts.own;
	saved[saved_len++].stored = texts.own - (unsigned)view.waiting;
}

/* How often each text of the first is at the second, and how often the order goes back. */
struct tally {
	unsigned times[TEXTS_MAX], back;
	int last;
	bool wrong;
};

static int count(void *arg, const struct message *m)
{
	struct tally *t = arg;
	const int n = life_text_number(m, m->own ? 1 : 0);

	if (n < 0 || n >= TEXTS_MAX)
		t->wrong = true;
	if (n < 0 || n >= TEXTS_MAX || m->own)
		return 0;
	t->times[n]++;
	t->back += n <= t->last;
	t->last = n;
	return 0;
}

/* What the second has: all that the first ever said, in order, and once. But what waited in the older copy,
 * and had arrived since, comes once more: nobody can tell that it is the same (PROTOCOL section 6). */
static const char *look_at_second(const struct life *l, const struct saved *older)
{
	struct tally t = { .last = -1 };

	if (life_each(l->people[1].store, count, &t) != 0 || t.wrong)
		return "a text is damaged";
	for (unsigned n = 0; n < l->people[0].said; n++) {
		const bool may_be_twice = n >= older->stored && n < older->own;

		if (t.times[n] == 0)
			return "the second has lost a text";
		if (t.times[n] > (may_be_twice ? 2 : 1))
			return "a text is shown twice";
	}
	return t.back > 1 ? "the order is lost" : NULL;
}

/* Both talk until all that is new has arrived, and nothing of the other's is missing at the first. */
static const char *meet_again(struct life *l, const struct saved *older)
{
	struct life_texts texts[LIFE_PEOPLE] = { 0 };
	bool all = false;

	for (unsigned i = 0; i < 100 && !all; i++) {
		life_run(l, 1 * S);
		for (unsigned who = 0; who < LIFE_PEOPLE; who++)
			if (l->people[who].store == NULL ||
			    life_texts(&texts[who], l->people[who].store, who) < 0)
				return "a notebook cannot be read";
		all = texts[0].received_end == l->people[1].said &&
		      texts[1].received_end == l->people[0].said;
	}
	if (!all)
		return "not everything new arrives";
	if (texts[0].received != l->people[1].said ||
	    life_texts(&texts[0], l->people[0].store, 0) % LIFE_GAPS != 0)
		return "the first does not have all that the second said";
	return look_at_second(l, older);
}

/* The first says that its vault was put back; the second is asked, and agrees. */
static const char *start_again(struct life *l)
{
	struct contact_view view;

	node_contact_view(l->people[1].node, 0, &view);
	if (!life_start_again(l, 0))
		return "the first cannot start again";
	life_run(l, 30 * S);
	if (!view.linked && !l->people[1].asked_again)
		return "the second does not notice";
	return life_start_again(l, 1) ? NULL : "the second cannot start again";
}

/* The vault of the first is as it was some time ago. Both say what is new, notice, start again, and go on. */
static const char *put_back(const struct life *from, const struct saved *older)
{
	struct life l;
	struct life_person *p = &l.people[0];
	const char *wrong = NULL;

	life_branch(&l, from, fresh_seed());
	sim_disk_put_back(&p->disk, &older->disk);
	sim_disk_crash(&p->disk, SIM_DISK_KEPT, 0);
	p->shown = p->ticked = 0;
	p->said = 0; /* less may be there now than was told */
	if (life_start(&l, 0) != 0 || life_start(&l, 1) != 0)
		wrong = "a notebook does not open";
	/* Numbers go on where they were, so that what is new can be told from what is old. */
	p->said = p->asked = from->people[0].said;
	for (unsigned who = 0; wrong == NULL && who < LIFE_PEOPLE; who++)
		if (!life_say(&l, who))
			wrong = "nothing can be said any more";
	life_run(&l, 30 * S);
	if (wrong == NULL)
		wrong = start_again(&l);
	if (wrong == NULL)
		wrong = meet_again(&l, older);
	if (wrong == NULL && nonces_broken() > 0)
		wrong = "a key sealed twice with one nonce";
	life_deinit(&l);
	return wrong;
}

static void copies_come_back(void)
{
	struct life l;
	uint64_t tried = 0;

	saved_len = 0;
	morning(&l);
	l.committed = save;
	day(&l);
	life_run(&l, 60 * S); /* the second has all of it */
	for (unsigned who = 0; who < LIFE_PEOPLE; who++)
		life_kill(&l, who);
	for (size_t i = 0; i < saved_len; i++) {
		const char *wrong;

		/* There are few: some of them even where the share is small. */
		if (options.at != 0 ? i + 1 != options.at : i % MIN(options.share, 5) != 0)
			continue;
		wrong = put_back(&l, &saved[i]);
		tried++;
		if (wrong != NULL)
			fault(i + 1, 0, wrong);
	}
	total.tried += tried;
	printf("  %llu of %zu states put back\n", (unsigned long long)tried, saved_len);
	for (size_t i = 0; i < saved_len; i++)
		sim_disk_deinit(&saved[i].disk);
	life_deinit(&l);
}

/* --- All of it --- */

static const struct part {
	const char *name;
	void (*run)(void);
} parts[] = { { "io", requests_fail }, { "rot", everything_rots }, { "rollback", copies_come_back } };

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run(const struct part *p)
{
	const double begun = seconds();
	const uint64_t tried = total.tried;

	now_at = p->name;
	nonces_reset();
	nonces_label(p->name);
	p->run();
	printf("%-10s %llu faults in %.1f s\n", p->name, (unsigned long long)(total.tried - tried),
	       seconds() - begun);
	fflush(stdout);
}

static bool option(const char *name, const char *value)
{
	const uint64_t n = strtoull(value, NULL, 10);

	if (strcmp(name, "--seed") == 0)
		options.seed = n;
	else if (strcmp(name, "--share") == 0)
		options.share = MAX(n, 1);
	else if (strcmp(name, "--only") == 0)
		options.only = value;
	else if (strcmp(name, "--at") == 0)
		options.at = n;
	else if (strcmp(name, "--mode") == 0)
		options.mode = (unsigned)n, options.one_mode = true;
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	if (sodium_init() < 0)
		return 1;
	/* Each mount takes a buffer that would be mapped and unmapped. */
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 < argc && option(argv[i], argv[i + 1]))
			continue;
		fprintf(stderr, "usage: faults [--seed N] [--share N] [--only NAME] [--at N [--mode N]]\n");
		return 2;
	}
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (options.only == NULL || strcmp(options.only, parts[i].name) == 0)
			run(&parts[i]);
	printf("seed %llu: %llu faults, %llu violations\n", (unsigned long long)options.seed,
	       (unsigned long long)total.tried, (unsigned long long)total.faults);
	return total.faults > 0 ? 1 : 0;
}
