/*
 * crash.c: the power goes at every operation of a life, and everything told is there.
 *
 * Two people write to each other (tests/sim/life.h). After every operation that changes
 * a disk the disk is copied and loses power in many ways (tools/sim/disk.h); each of
 * these states is opened, compared and gone on from, while the life itself goes on.
 *
 *     crash [--seed N] [--texts N] [--tries N] [--share N] [--only NAME] [--point N [--try N]]
 *
 * What must hold (invariants I1 I2 I3 I4 I11 I12): the log mounts, every page of it opens,
 * and all pages together are those of the last commit, or of the one that was under way,
 * which then is the next. What a commit holds is looked at once, through SQLite and row by
 * row: its integrity, every text in order and once, all that was told, nothing that was
 * forgotten. So each state stands for the same looks. Each sixteenth state is written to
 * and mounted again; from each GO_ON-th both people go on with a real node until all has
 * arrived. No key seals twice with one nonce anywhere (tools/sim/nonces.h).
 */
#include <malloc.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "store/pagevfs.h"
#include "store/schema.h"
#include "tests/sim/life.h"
#include "tools/sim/nonces.h"

#define DIR   LIFE_HOME "/notebooks"
#define SLOTS DIR "/slots"

enum {
	TRACES_MAX = 1024,
	FAULTS_SHOWN = 10,
	WRITE_ON = 16,
	GO_ON = 512,
	FULL_STATES = 10000000,
	FULL_TRIES = 480
};

static struct {
	uint64_t seed;
	unsigned texts, tries, share;
	const char *only;
	uint64_t point; /* 0: all */
	unsigned attempt;
	bool one_attempt;
} options = { .seed = 1, .texts = 1000, .tries = 64, .share = 1 };

static struct {
	uint64_t points, states, same, gone_on, commits, seals, twice;
	uint64_t faults;
} total;

/* All pages of a log. */
struct content {
	uint8_t hash[crypto_shorthash_siphashx24_BYTES];
	uint32_t pages;
};

/* One disk of a life, and what is known of it. */
struct watch {
	const char *name; /* of the scenario */
	struct life *life;
	unsigned who;
	uint64_t point; /* operations so far */
	struct content told, next;
	bool has_next;              /* a state was seen that a commit must make */
	struct sim_disk slots_disk; /* the slots for which match was found */
	struct slots_match match;
	bool has_slots, ghost_gone;
	uint32_t generation_told; /* no slot of an earlier one may open */
	bool two_keys;            /* the other pass-phrase may open it too */
	bool no_nodes;            /* nobody goes on from here but by pages */
	bool all_points;          /* there are few: options.share does not matter */
};

static void fault(const struct watch *w, unsigned attempt, const char *what)
{
	if (total.faults++ < FAULTS_SHOWN)
		fprintf(stderr,
		        "crash: %s: %s\n  again: crash --seed %llu --texts %u --only %s --point %llu --try "
		        "%u\n",
		        w->name, what, (unsigned long long)options.seed, options.texts, w->name,
		        (unsigned long long)w->point, attempt);
}

/* --- A disk, opened --- */

struct opened {
	struct random_seeded rng;
	struct pagelog *log;
	struct pagelog_report report;
	const char *fault;
};

static uint64_t fresh_seed(void)
{
	static uint64_t n;

	return UINT64_C(1) << 62 | options.seed << 40 | ++n;
}

/* The pass-phrase, as a key, and the one after it was changed. */
static struct sym_key keks[2] = { { { 0 } }, { { 'o', 't', 'h', 'e', 'r' } } };

static int try_keys(struct watch *w, struct slots *s, struct random *rng)
{
	int r = SLOTS_NO_MATCH;

	for (size_t i = 0; r == SLOTS_NO_MATCH && i < (w->two_keys ? 2 : 1); i++) {
		r = slots_try(s, &keks[i], &w->match);
		if (r == 0)
			r = slots_settle(s, &w->match, &keks[i], rng);
	}
	return r;
}

/* The slot that opens; what it was is kept as long as nobody writes to the file. */
static const char *try_slots(struct watch *w, struct sim_disk *d, struct random *rng)
{
	struct slots *s = NULL;
	int r;

	if (w->has_slots && sim_disk_same(d, &w->slots_disk, SLOTS))
		return w->match.content.generation < w->generation_told ? "an old slot opens" : NULL;
	r = slots_open(&s, &d->base, DIR);
	if (r == 0)
		r = try_keys(w, s, rng);
	slots_close(s);
	if (r != 0)
		return "no slot opens";
	if (w->has_slots)
		sim_disk_deinit(&w->slots_disk);
	sim_disk_copy(&w->slots_disk, d);
	w->has_slots = true;
	return w->match.content.generation < w->generation_told ? "an old slot opens" : NULL;
}

static const char *log_open(struct opened *o, struct watch *w, struct sim_disk *d)
{
	int r;

	*o = (struct opened){ 0 };
	random_seeded_init(&o->rng, fresh_seed());
	o->fault = try_slots(w, d, &o->rng.base);
	if (o->fault != NULL)
		return o->fault;
	const struct pagelog_place where = { &d->base, DIR, SLOTS_PLACES_OWN, w->match.place,
		                             w->match.content.generation > 1 };

	r = pagelog_mount(&o->log, &where, &w->match.content.vk, &o->rng.base, &o->report);
	if (r != 0)
		o->fault = r == PAGELOG_DAMAGED ? "the log is damaged" : "the log does not mount";
	return o->fault;
}

static void log_close(struct opened *o)
{
	pagelog_unmount(o->log);
	o->log = NULL;
}

static bool read_content(struct content *out, struct pagelog *log)
{
	static const uint8_t key[crypto_shorthash_siphashx24_KEYBYTES] = "all of the pages";
	uint8_t page[RECORD_PAGE + sizeof(out->hash)] = { 0 };

	*out = (struct content){ .pages = pagelog_pages(log) };
	for (uint32_t pgno = 1; pgno <= out->pages; pgno++) {
		if (pagelog_read(log, page, pgno) != 0)
			return false;
		memcpy(page + RECORD_PAGE, out->hash, sizeof(out->hash));
		crypto_shorthash_siphashx24(out->hash, page, sizeof(page), key);
	}
	return true;
}

static bool same(const struct content *a, const struct content *b)
{
	return a->pages == b->pages && memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

/* --- What a commit holds --- */

static bool page_has_ghost(struct pagelog *log)
{
	uint8_t page[RECORD_PAGE];

	for (uint32_t pgno = 1; pgno <= pagelog_pages(log); pgno++)
		if (pagelog_read(log, page, pgno) == 0 &&
		    memmem(page, sizeof(page), LIFE_GHOST, strlen(LIFE_GHOST)) != NULL)
			return true;
	return false;
}

static bool is_whole(sqlite3 *db)
{
	sqlite3_stmt *q = NULL;
	bool whole = sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &q, NULL) == SQLITE_OK &&
	             sqlite3_step(q) == SQLITE_ROW &&
	             strcmp((const char *)sqlite3_column_text(q, 0), "ok") == 0;

	sqlite3_finalize(q);
	whole = whole && sqlite3_prepare_v2(db, "PRAGMA foreign_key_check", -1, &q, NULL) == SQLITE_OK &&
	        sqlite3_step(q) == SQLITE_DONE;
	if (whole)
		sqlite3_finalize(q);
	return whole;
}

static const char *look_at_rows(struct watch *w, const char *vfs)
{
	const struct life_person *p = &w->life->people[w->who], *other = &w->life->people[1 - w->who];
	struct store *s = NULL;
	struct life_texts texts;
	const char *wrong = NULL;

	if (store_open(&s, vfs, "notebook") != 0)
		return "the store does not open";
	if (life_texts(&texts, s, w->who) != 0)
		wrong = "texts are missing, doubled, mixed up or damaged";
	else if (texts.own < p->said || texts.own > p->asked)
		wrong = "an own text that was taken is missing";
	else if (texts.received > other->asked || texts.own + texts.received < MAX(p->shown, p->ticked))
		wrong = "a text that was shown is missing";
	store_close(s);
	return wrong;
}

/* Everything about what d holds; the life is between commit and release. */
static const char *look_closely(struct watch *w, struct opened *o)
{
	struct pagevfs *vfs = NULL;
	sqlite3 *db = NULL;
	const char *wrong = NULL;

	if (pagevfs_new(&vfs, o->log, &o->rng.base) != 0)
		return "no memory";
	if (w->ghost_gone && page_has_ghost(o->log))
		wrong = "what was deleted and compacted is still there";
	if (sqlite3_open_v2("notebook", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE,
	                    pagevfs_name(vfs)) != SQLITE_OK ||
	    sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY;", NULL, NULL,
	                 NULL) != SQLITE_OK ||
	    !is_whole(db))
		wrong = "the database is not whole";
	sqlite3_close(db);
	if (wrong == NULL)
		wrong = look_at_rows(w, pagevfs_name(vfs));
	pagevfs_free(vfs);
	return wrong;
}

/* The life has committed: what is on the disk now is what must be there from now on. */
static void commit_seen(struct watch *w)
{
	struct sim_disk d;
	struct opened o;
	struct content now = { 0 };
	const char *wrong;

	total.commits++;
	sim_disk_copy(&d, &w->life->people[w->who].disk);
	wrong = log_open(&o, w, &d);
	if (wrong == NULL && !read_content(&now, o.log))
		wrong = "a page does not open";
	if (wrong == NULL && w->has_next && !same(&now, &w->next))
		wrong = "a crash before this commit showed another one";
	if (wrong == NULL && !same(&now, &w->told))
		wrong = look_closely(w, &o);
	if (wrong != NULL)
		fault(w, 0, wrong);
	w->told = now;
	w->has_next = false;
	log_close(&o);
	sim_disk_deinit(&d);
}

/* --- A state after a crash --- */

/* Both people go on from here, with real nodes, until each has all of the other's texts. */
static const char *go_on(struct watch *w, struct sim_disk *d)
{
	struct life b;
	struct life_texts texts[LIFE_PEOPLE] = { 0 };
	const char *wrong = NULL;
	bool all = false;

	total.gone_on++;
	life_branch(&b, w->life, fresh_seed());
	for (unsigned who = 0; who < LIFE_PEOPLE; who++)
		sim_disk_crash(&b.people[who].disk, SIM_DISK_KEPT, 0);
	sim_disk_put_back(&b.people[w->who].disk, d);
	for (unsigned who = 0; wrong == NULL && who < LIFE_PEOPLE; who++)
		if (life_start(&b, who) != 0 || b.people[who].lost)
			wrong = "a node does not start, or has lost something";
	for (unsigned who = 0; wrong == NULL && who < LIFE_PEOPLE; who++)
		if (!life_say(&b, who))
			wrong = "nothing can be said any more";
	for (unsigned i = 0; wrong == NULL && !all && i < 100; i++) {
		life_run(&b, 1000000);
		for (unsigned who = 0; wrong == NULL && who < LIFE_PEOPLE; who++)
			if (b.people[who].store == NULL ||
			    life_texts(&texts[who], b.people[who].store, who) != 0 || b.people[who].lost)
				wrong = "texts are missing, doubled or mixed up";
		all = texts[0].own == texts[1].received && texts[1].own == texts[0].received;
	}
	if (wrong == NULL && (!all || texts[0].own < b.people[0].said || texts[1].own < b.people[1].said))
		wrong = "not everything arrives";
	life_deinit(&b);
	return wrong;
}

/* One more commit on top, which is there after another start. */
static const char *write_on(struct watch *w, struct sim_disk *d, struct opened *o)
{
	uint8_t page[RECORD_PAGE];
	struct content want, found;
	const char *wrong = NULL;

	if (pagelog_pages(o->log) == 0)
		return NULL;
	if (pagelog_read(o->log, page, 1) != 0)
		return "a page does not open";
	page[RECORD_PAGE - 1] ^= 1;
	if (pagelog_write(o->log, 1, page) != 0 || pagelog_commit(o->log) != 0 ||
	    !read_content(&want, o->log))
		return "it cannot be written to";
	log_close(o);
	sim_disk_crash(d, SIM_DISK_LOST, 0);
	wrong = log_open(o, w, d);
	if (wrong == NULL && (!read_content(&found, o->log) || !same(&want, &found)))
		wrong = "what was written after the crash is not there";
	return wrong;
}

static const char *look(struct watch *w, struct sim_disk *d)
{
	struct opened o;
	struct content found;
	const char *wrong = log_open(&o, w, d);

	if (wrong == NULL && !read_content(&found, o.log))
		wrong = "a page does not open";
	if (wrong == NULL && !same(&found, &w->told)) {
		if (w->has_next && !same(&found, &w->next))
			wrong = "half of a commit is there, or one that was told is not";
		w->next = found;
		w->has_next = true;
	}
	if (wrong == NULL && total.states % WRITE_ON == 0)
		wrong = write_on(w, d, &o);
	log_close(&o);
	return wrong;
}

/* --- Every way of losing power, here and now --- */

/* Calls each() for every different state that is found in so many tries. */
static void each_crash(struct watch *w, const struct sim_disk *d, unsigned tries, uint64_t salt,
                       void (*each)(struct watch *w, struct sim_disk *d, unsigned attempt))
{
	uint64_t traces[TRACES_MAX];
	size_t traces_len = 0;

	for (unsigned attempt = 0; attempt < tries && traces_len < TRACES_MAX; attempt++) {
		const enum sim_disk_left left = attempt % SIM_DISK_LEFTS;
		struct sim_disk copy;
		uint64_t trace;
		size_t i = 0;

		if (attempt >= SIM_DISK_LEFTS && left < SIM_DISK_TORN)
			continue; /* nothing is drawn for these */
		sim_disk_copy(&copy, d);
		trace = sim_disk_crash(&copy, left, options.seed + (salt << 16) + attempt);
		while (i < traces_len && traces[i] != trace)
			i++;
		total.same += i < traces_len;
		if (i == traces_len) {
			traces[traces_len++] = trace;
			total.states++;
			if (!options.one_attempt || options.attempt == attempt)
				each(w, &copy, attempt);
		}
		sim_disk_deinit(&copy);
	}
}

/* Whether this is one of the points that are looked at. */
static bool point_counts(struct watch *w)
{
	w->point++;
	if (options.point != 0 ? w->point != options.point : !w->all_points && w->point % options.share != 0)
		return false;
	total.points++;
	return true;
}

static void look_at_state(struct watch *w, struct sim_disk *d, unsigned attempt)
{
	const char *wrong = look(w, d);

	if (wrong == NULL && !w->two_keys && !w->no_nodes &&
	    total.states % GO_ON == 1 /* and not one that was written to */)
		wrong = go_on(w, d);
	if (wrong == NULL && nonces_broken() > 0)
		wrong = "a key sealed twice with one nonce";
	if (wrong != NULL)
		fault(w, attempt, wrong);
}

static void every_crash(void *arg, struct sim_disk *d, enum sim_disk_op op, bool done)
{
	struct watch *w = arg;

	(void)op;
	if (done && point_counts(w))
		each_crash(w, d, options.tries, w->point, look_at_state);
}

/* --- The long life --- */

static void committed(void *arg, struct life *l, unsigned who)
{
	struct watch *watches = arg;

	(void)l;
	commit_seen(&watches[who]);
}

typedef void watch_fn(void *arg, struct sim_disk *d, enum sim_disk_op op, bool done);

static void watch_begin(struct watch *w, const char *name, struct life *l, unsigned who, watch_fn *watch)
{
	*w = (struct watch){ .name = name, .life = l, .who = who };
	commit_seen(w);
	l->people[who].disk.watch = watch;
	l->people[who].disk.watch_arg = w;
}

static void watch_end(struct watch *w)
{
	w->life->people[w->who].disk.watch = NULL;
	if (w->has_slots)
		sim_disk_deinit(&w->slots_disk);
	sodium_memzero(&w->match, sizeof(w->match));
}

/* What was deleted before is gone for good now, and no earlier slot opens. */
static void locked(struct watch *w)
{
	struct sim_disk d;
	struct opened o;

	sim_disk_copy(&d, &w->life->people[w->who].disk);
	if (log_open(&o, w, &d) == NULL && page_has_ghost(o.log) && w->ghost_gone)
		fault(w, 0, "what was deleted and compacted is still there");
	log_close(&o);
	sim_disk_deinit(&d);
	w->generation_told = w->match.content.generation;
}

/* One step of the life of a person: mostly talk; in turns everything else that changes a disk. */
static bool live(struct life *l, struct watch *w, unsigned who, unsigned n)
{
	const bool grows = n >= 100 && n < 160; /* no compaction: beyond one step of the logs */
	bool well = true;

	switch (n % 20) {
	case 4:
		w->ghost_gone = false;
		well = life_ghost(l, who) == 0;
		break;
	case 8:
		life_kill(l, who);
		well = life_start(l, who) == 0;
		break;
	case 12:
		well = life_forget_ghost(l, who);
		break;
	case 16:
		if (grows)
			break;
		well = life_lock(l, who) == 0;
		w->ghost_gone = true;
		locked(w);
		break;
	default:
		break;
	}
	for (unsigned i = 0; well && i < 1 + n % 3 / 2; i++)
		well = life_say(l, who);
	life_run(l, n % 5 == 0 ? 3000000 : 2000);
	return well && !l->people[who].lost && l->people[who].failure == 0;
}

/* A life of so many texts, from its first commit on. */
static void whole_life(const char *name, unsigned texts, watch_fn *watch)
{
	struct life l;
	struct watch watches[LIFE_PEOPLE];
	bool well;

	life_init(&l, options.seed);
	well = life_begin(&l) == 0;
	for (unsigned who = 0; well && who < LIFE_PEOPLE; who++)
		watch_begin(&watches[who], name, &l, who, watch);
	l.committed = committed;
	l.arg = watches;
	for (unsigned n = 0; well && l.people[0].said + l.people[1].said < texts; n++)
		for (unsigned who = 0; well && who < LIFE_PEOPLE; who++)
			well = live(&l, &watches[who], who, n);
	if (!well)
		fault(&watches[0], 0, "the life itself goes wrong");
	for (unsigned who = 0; who < LIFE_PEOPLE; who++)
		watch_end(&watches[who]);
	life_deinit(&l);
}

static void the_life(void)
{
	whole_life("life", options.texts, every_crash);
}

/* --- A crash while it recovers from a crash --- */

/* A state after a crash is opened, and written to; the power goes again at each operation of that. */
static void second_crash(void *arg, struct sim_disk *d, enum sim_disk_op op, bool done)
{
	struct watch *w = arg;

	(void)op;
	if (done)
		each_crash(w, d, SIM_DISK_LEFTS, total.states, look_at_state);
}

static void crash_again(struct watch *w, struct sim_disk *d, unsigned attempt)
{
	struct opened o;
	const char *wrong;

	d->watch = second_crash;
	d->watch_arg = w;
	wrong = log_open(&o, w, d);
	d->watch = NULL;
	log_close(&o);
	if (wrong == NULL)
		wrong = look(w, d);
	if (wrong != NULL)
		fault(w, attempt, wrong);
}

static void every_crash_twice(void *arg, struct sim_disk *d, enum sim_disk_op op, bool done)
{
	struct watch *w = arg;

	(void)op;
	if (done && point_counts(w))
		each_crash(w, d, SIM_DISK_LEFTS, w->point, crash_again);
}

static void the_short_life(void)
{
	whole_life("twice", 50, every_crash_twice);
}

/* --- A life that is ready for something --- */

/* One person's disk after a short life, with nobody running; told is what it holds. */
static void quiet_begin(struct watch *w, struct life *l, const char *name)
{
	life_init(l, options.seed);
	*w = (struct watch){ .name = name, .life = l, .all_points = true };
	if (life_begin(l) != 0)
		abort();
	for (unsigned i = 0; i < 10; i++)
		if (!life_say(l, i % LIFE_PEOPLE))
			abort();
	life_run(l, 5000000);
	for (unsigned who = 0; who < LIFE_PEOPLE; who++) {
		life_kill(l, who);
		sim_disk_crash(&l->people[who].disk, SIM_DISK_KEPT, 0);
	}
	commit_seen(w);
}

static void quiet_end(struct watch *w)
{
	watch_end(w);
	life_deinit(w->life);
}

/* --- Wiping --- */

static bool wiped; /* a state was seen in which it is: no later one may open */

static void look_at_wipe(struct watch *w, struct sim_disk *d, unsigned attempt)
{
	struct vault_report report;
	struct vault_guess guess;
	struct vault *v = NULL;
	struct random_seeded rng;
	int r = vault_find(&v, &d->base, LIFE_HOME);

	random_seeded_init(&rng, fresh_seed());
	if (r != 0) {
		fault(w, attempt, "the files of the vault are gone");
		return;
	}
	life_guess(&guess, v);
	r = vault_open(v, &guess, &rng.base, &report);
	vault_close(v);
	if (r == 0 && wiped)
		fault(w, attempt, "a notebook opens after its key was gone");
	else if (r == 0)
		look_at_state(w, d, attempt);
	else if (r != VAULT_NO_MATCH)
		fault(w, attempt, "half of a notebook is left");
}

static void every_crash_of_wipe(void *arg, struct sim_disk *d, enum sim_disk_op op, bool done)
{
	struct watch *w = arg;
	struct slots *s = NULL;
	struct slots_match m;
	struct sim_disk lost;

	(void)op;
	if (!done)
		return;
	if (point_counts(w))
		each_crash(w, d, options.tries, w->point, look_at_wipe);
	/* What is on the platter for certain. */
	sim_disk_copy(&lost, d);
	sim_disk_crash(&lost, SIM_DISK_LOST, 0);
	if (slots_open(&s, &lost.base, DIR) == 0)
		wiped |= slots_try(s, &keks[0], &m) == SLOTS_NO_MATCH;
	slots_close(s);
	sim_disk_deinit(&lost);
}

static void the_wipe(void)
{
	struct life l;
	struct watch w;
	struct vault *v = NULL;
	struct vault_guess guess;
	struct vault_report report;
	struct sim_disk *d = &l.people[0].disk;
	int r;

	quiet_begin(&w, &l, "wipe");
	wiped = false;
	r = vault_find(&v, &d->base, LIFE_HOME);
	if (r == 0) {
		life_guess(&guess, v);
		r = vault_open(v, &guess, &l.people[0].rng.base, &report);
	}
	d->watch = every_crash_of_wipe;
	d->watch_arg = &w;
	if (r == 0)
		r = vault_wipe(v, &l.people[0].rng.base);
	d->watch = NULL;
	vault_close(v);
	if (r != 0 || !wiped)
		fault(&w, 0, "the wipe itself goes wrong");
	quiet_end(&w);
}

/* --- Another pass-phrase --- */

static void the_change(void)
{
	struct life l;
	struct watch w;
	struct slots *s = NULL;
	struct slots_match m = { 0 };
	struct sim_disk *d = &l.people[0].disk;
	int r;

	quiet_begin(&w, &l, "change");
	w.two_keys = true;
	r = slots_open(&s, &d->base, DIR);
	if (r == 0)
		r = slots_try(s, &keks[0], &m);
	d->watch = every_crash;
	d->watch_arg = &w;
	if (r == 0)
		r = slots_replace(s, &m, &m.content.vk, &keks[1], &l.people[0].rng.base);
	slots_close(s);
	w.generation_told = m.content.generation; /* the old one does not open any more */
	every_crash(&w, d, SIM_DISK_SYNC, true);
	if (r != 0 || m.content.generation != 2)
		fault(&w, 0, "the change itself goes wrong");
	slots_match_wipe(&m);
	quiet_end(&w);
}

/* --- A schema that moves on --- */

/* The steps of a version to come: rows of all tables are rewritten. */
static const struct schema_step steps[] = {
	{ SCHEMA_VERSION, SCHEMA_VERSION + 1,
	  "ALTER TABLE contacts ADD COLUMN colour INTEGER NOT NULL DEFAULT 0;"
	  "CREATE TABLE drafts(contact INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;"
	  "INSERT INTO drafts SELECT id, content FROM messages;"
	  "UPDATE messages SET claimed = claimed + 1;" },
};

static int migrate(struct opened *o)
{
	struct pagevfs *vfs = NULL;
	sqlite3 *db = NULL;
	int r = pagevfs_new(&vfs, o->log, &o->rng.base);

	if (r != 0)
		return r;
	r = sqlite3_open_v2("notebook", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE,
	                    pagevfs_name(vfs));
	if (r == 0)
		r = sqlite3_exec(db,
		                 "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY;"
		                 "PRAGMA synchronous=FULL; PRAGMA cache_spill=OFF;",
		                 NULL, NULL, NULL);
	if (r == 0)
		r = schema_apply(db, steps, COUNT_OF(steps), SCHEMA_VERSION + 1);
	if (r == 0 && !is_whole(db))
		r = ERR_CORRUPT;
	sqlite3_close(db);
	pagevfs_free(vfs);
	return r;
}

static void the_migration(void)
{
	struct life l;
	struct watch w;
	struct opened o;
	struct content now;
	struct sim_disk *d = &l.people[0].disk;

	quiet_begin(&w, &l, "migration");
	w.no_nodes = true; /* they are of today */
	if (log_open(&o, &w, d) != NULL)
		abort();
	d->watch = every_crash_twice;
	d->watch_arg = &w;
	if (migrate(&o) != 0 || !read_content(&now, o.log) || (w.has_next && !same(&now, &w.next)))
		fault(&w, 0, "the migration itself goes wrong");
	log_close(&o);
	quiet_end(&w);
}

/* --- A vault that is being made --- */

static void look_at_creation(struct watch *w, struct sim_disk *d, unsigned attempt)
{
	struct vault_report report;
	struct vault_guess guess;
	struct vault *v = NULL;
	struct random_seeded rng;
	int r = vault_find(&v, &d->base, LIFE_HOME);

	random_seeded_init(&rng, fresh_seed());
	if (r == ERR_ABSENT) {
		vault_guess_new(&guess, SLOTS_256_MIB, &rng.base);
		guess.kek = keks[0];
		r = vault_create(&d->base, LIFE_HOME, SLOTS_PLACES_OWN, &guess, &rng.base);
		if (r == 0)
			r = vault_find(&v, &d->base, LIFE_HOME);
	}
	if (r == 0) {
		life_guess(&guess, v);
		r = vault_open(v, &guess, &rng.base, &report);
	}
	vault_close(v);
	if (r != 0)
		fault(w, attempt,
		      r < 0                 ? err_str(r)
		      : r == VAULT_NO_MATCH ? "a vault that nobody opens"
		                            : "half of a vault");
}

static void every_crash_of_creation(void *arg, struct sim_disk *d, enum sim_disk_op op, bool done)
{
	(void)op;
	if (done && point_counts(arg))
		each_crash(arg, d, options.tries, ((struct watch *)arg)->point, look_at_creation);
}

static void the_creation(void)
{
	struct watch w = { .name = "creation" };
	struct sim_disk d;
	struct random_seeded rng;
	struct vault_guess guess;

	sim_disk_init(&d);
	random_seeded_init(&rng, options.seed);
	vault_guess_new(&guess, SLOTS_256_MIB, &rng.base);
	guess.kek = keks[0];
	d.watch = every_crash_of_creation;
	d.watch_arg = &w;
	if (vault_create(&d.base, LIFE_HOME, SLOTS_PLACES_OWN, &guess, &rng.base) != 0)
		fault(&w, 0, "the creation itself goes wrong");
	d.watch = NULL;
	sim_disk_deinit(&d);
}

/* --- All of them --- */

static const struct scenario {
	const char *name;
	void (*run)(void);
} scenarios[] = {
	{ "creation", the_creation }, { "life", the_life },     { "twice", the_short_life },
	{ "wipe", the_wipe },         { "change", the_change }, { "migration", the_migration },
};

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_one(const struct scenario *s)
{
	const double begun = seconds();
	const uint64_t states = total.states, points = total.points, gone_on = total.gone_on;

	/* Each begins with the same seed as the one before: what that sealed, it may seal too. */
	nonces_reset();
	nonces_label(s->name);
	s->run();
	total.seals += nonces_sealed();
	total.twice += nonces_broken();
	printf("%-10s %7llu crash states at %llu operations, %llu gone on from, %.1f s\n", s->name,
	       (unsigned long long)(total.states - states), (unsigned long long)(total.points - points),
	       (unsigned long long)(total.gone_on - gone_on), seconds() - begun);
	fflush(stdout);
}

static void run_all(void)
{
	for (size_t i = 0; i < COUNT_OF(scenarios); i++)
		if (options.only == NULL || strcmp(options.only, scenarios[i].name) == 0)
			run_one(&scenarios[i]);
}

static int usage(void)
{
	fprintf(stderr, "usage: crash [--seed N] [--texts N] [--tries N] [--share N] [--only NAME] [--point "
	                "N [--try N]]\n");
	return 2;
}

static bool option(const char *name, const char *value)
{
	const uint64_t n = strtoull(value, NULL, 10);

	if (strcmp(name, "--seed") == 0)
		options.seed = n;
	else if (strcmp(name, "--texts") == 0)
		options.texts = (unsigned)n;
	else if (strcmp(name, "--tries") == 0)
		options.tries = (unsigned)n;
	else if (strcmp(name, "--share") == 0)
		options.share = MAX((unsigned)n, 1);
	else if (strcmp(name, "--only") == 0)
		options.only = value;
	else if (strcmp(name, "--point") == 0)
		options.point = n;
	else if (strcmp(name, "--try") == 0)
		options.attempt = (unsigned)n, options.one_attempt = true;
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
	for (int i = 1; i < argc; i += 2)
		if (i + 1 == argc || !option(argv[i], argv[i + 1]))
			return usage();
	life_kek(&keks[0]);
	run_all();
	/* The long run: so many as a release is to have survived, under one seed after another. */
	while (getenv("FLYLEAF_FULL") != NULL && options.point == 0 && total.states < FULL_STATES) {
		options.seed++;
		options.tries = FULL_TRIES;
		run_all();
	}
	printf("up to seed %llu: explored %llu crash states, %llu violations; %llu commits, %llu seals, %llu "
	       "nonces twice\n",
	       (unsigned long long)options.seed, (unsigned long long)total.states,
	       (unsigned long long)total.faults, (unsigned long long)total.commits,
	       (unsigned long long)total.seals, (unsigned long long)total.twice);
	return total.faults > 0 ? 1 : 0;
}
