#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/messages.h"
#include "tools/bench/bench.h"
#include "tools/bench/full.h"
#include "tools/bench/home.h"
#include "tools/bench/peer.h"

enum { UDP_IPV4_HEADERS = 8 + 20 };

struct sync_run {
	const struct bench *bench;
	char dirs[2][BENCH_PATH_MAX], reference[BENCH_PATH_MAX];
	struct peer peers[2];
	double wire; /* bytes on the wire by bytes of messages, of the last run */
};

struct check {
	unsigned count;
};

static int check_one(void *arg, const struct message *m)
{
	struct check *c = arg;
	char text[HOME_TEXT_LEN + 1];

	snprintf(text, sizeof(text), "%-*u", HOME_TEXT_LEN, c->count++);
	return m->content.len == HOME_TEXT_LEN && memcmp(m->content.p, text, HOME_TEXT_LEN) == 0 ? 0 : 1;
}

/* Everything that was sent is on the receiver's disk, once and in order. Runs in a process of its own. */
static double check_receiver(void *arg)
{
	struct sync_run *s = arg;
	struct vault *v = home_open(s->dirs[1], NULL);
	struct check c = { 0 };

	bench_must(messages_each(vault_store(v), 1, 0, INT64_MAX, check_one, &c), "a received message");
	vault_close(v);
	if (c.count != s->bench->messages)
		bench_fail("the sync", "a message is missing");
	return 0;
}

static double make_vaults(void *arg)
{
	struct sync_run *s = arg;

	home_make_pair((const char *const[]){ s->dirs[0], s->dirs[1] }, s->bench->messages);
	return 0;
}

static double run_ours(struct sync_run *s)
{
	const unsigned count = s->bench->messages;
	const struct peer_counts *a, *b;
	uint64_t before, after;
	double seconds;

	timing_in_child(make_vaults, s);
	for (unsigned i = 2; i-- > 0;) {
		peer_start(&s->peers[i], s->bench->self, s->dirs[i], i);
		peer_connect(&s->peers[i], s->dirs[i]);
	}
	a = s->peers[0].counts;
	b = s->peers[1].counts;
	peer_ask(&s->peers[0], "\"do\":\"look\",\"on\":true");
	peer_wait(&s->peers[0], "\"linked\"");
	seconds = timing_now();
	before = a->bytes + b->bytes + UDP_IPV4_HEADERS * (a->datagrams + b->datagrams);
	do
		peer_wait(&s->peers[0], "\"stored\"");
	while (peer_number(&s->peers[0], "before") < count);
	seconds = timing_now() - seconds;
	after = a->bytes + b->bytes + UDP_IPV4_HEADERS * (a->datagrams + b->datagrams);
	s->wire = (double)(after - before) / ((double)count * HOME_TEXT_LEN);
	for (unsigned i = 0; i < 2; i++)
		peer_stop(&s->peers[i]);
	timing_in_child(check_receiver, s);
	for (unsigned i = 0; i < 2; i++)
		bench_remove(s->dirs[i]);
	return seconds;
}

static double run_reference(void *arg)
{
	struct sync_run *s = arg;
	double seconds;

	if (mkdir(s->reference, 0700) != 0)
		bench_fail(s->reference, "it cannot be made");
	seconds = full_run(s->reference, s->bench->messages);
	bench_remove(s->reference);
	return seconds;
}

static void add_rows(struct bench *b, const struct series *ours, const struct series *reference,
                     const struct series *wire)
{
	const double o = series_median(ours), r = series_median(reference);
	const double worst = series_max(ours) / o;

	report_add(&b->report, &(struct row){
	                               .id = "sync",
	                               .what = "sync of queued 150-byte messages, both ends durable (full)",
	                               .unit = "1/s",
	                               .ours = b->messages / o,
	                               .reference = b->messages / r,
	                               .has_reference = true,
	                               .figure = r / o,
	                               .bound = 0.6,
	                               .at_least = true,
	                       });
	report_add(&b->report, &(struct row){
	                               .id = "sync-worst",
	                               .what = "its slowest run, none lost (median)",
	                               .unit = "s",
	                               .ours = series_max(ours),
	                               .reference = o,
	                               .has_reference = true,
	                               .figure = worst,
	                               .bound = 2,
	                       });
	report_add(&b->report, &(struct row){
	                               .id = "sync-wire",
	                               .what = "its bytes on the wire, both ways, with UDP and IPv4 headers",
	                               .unit = "bytes",
	                               .ours = series_median(wire) * HOME_TEXT_LEN,
	                               .reference = HOME_TEXT_LEN,
	                               .has_reference = true,
	                               .figure = series_median(wire),
	                               .bound = 1.35,
	                       });
}

void bench_sync(struct bench *b)
{
	static struct sync_run s;
	static struct series ours, reference, wire;

	s.bench = b;
	bench_path(s.dirs[0], b->dir, "a");
	bench_path(s.dirs[1], b->dir, "b");
	bench_path(s.reference, b->dir, "full");
	for (unsigned i = 0; i < b->runs; i++) {
		series_add(&reference, timing_in_child(run_reference, &s));
		series_add(&ours, run_ours(&s));
		series_add(&wire, s.wire);
		fprintf(stderr, "sync %u: %.3f s, reference %.3f s, wire %.3f\n", i + 1, ours.v[i],
		        reference.v[i], s.wire);
	}
	add_rows(b, &ours, &reference, &wire);
}
