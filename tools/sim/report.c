#include "tools/sim/report.h"

#include <inttypes.h>
#include <sys/resource.h>

#include "tools/sim/blocks.h"
#include "tools/sim/need.h"
#include "tools/sim/scenario.h"

void report_delay(struct report *r, uint64_t delay_us)
{
	if (r->delays_len == r->delays_cap) {
		r->delays_cap = MAX(r->delays_cap * 2, (size_t)256);
		r->delays_us = need(realloc(r->delays_us, r->delays_cap * sizeof(*r->delays_us)));
	}
	r->delays_us[r->delays_len++] = delay_us;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void report_close(struct report *r, struct world *w, uint64_t real_us)
{
	struct rusage usage = { 0 };

	getrusage(RUSAGE_SELF, &usage);
	r->rss_bytes = (uint64_t)usage.ru_maxrss * 1024;
	r->real_us = real_us;
	r->counts = w->counts;
	r->simulated_us = w->now_us;
	r->people = w->people_len;
	r->store_bytes = blocks_memory();
	if (r->delays_len != 0)
		qsort(r->delays_us, r->delays_len, sizeof(*r->delays_us), by_size);
}

void report_deinit(struct report *r)
{
	free(r->delays_us);
	*r = (struct report){ 0 };
}

uint64_t report_delay_at(const struct report *r, unsigned percent)
{
	return r->delays_len == 0 ? 0 : r->delays_us[(r->delays_len - 1) * percent / 100];
}

static void print_delay(const struct report *r, FILE *out, unsigned percent)
{
	const uint64_t s = report_delay_at(r, percent) / 1000000;

	fprintf(out, "  %3u %%  %" PRIu64 "d %02u:%02u:%02u\n", percent, s / 86400, (unsigned)(s / 3600 % 24),
	        (unsigned)(s / 60 % 60), (unsigned)(s % 60));
}

static double per(double a, double b)
{
	return b == 0 ? 0 : a / b;
}

void report_figures(const struct report *r, FILE *out)
{
	const struct world_counts *c = &r->counts;
	const double days = (double)r->simulated_us / 86400e6, people = (double)r->people;

	fprintf(out, "%s, seed %" PRIu64 ": %zu people, %.2f days\n",
	        r->scenario->title[0] != '\0' ? r->scenario->title : "(no title)", r->seed, r->people, days);
	fprintf(out,
	        "messages   %" PRIu64 " written, %" PRIu64 " arrived (%.2f %%), %" PRIu64
	        " known to be stored\n",
	        c->written, c->arrived, 100 * per((double)c->arrived, (double)c->written), c->stored);
	fprintf(out, "delay\n");
	for (size_t i = 0; i < 4; i++)
		print_delay(r, out, ((const unsigned[]){ 50, 90, 99, 100 })[i]);
	fprintf(out,
	        "on the air %" PRIu64 " frames, %" PRIu64
	        " calls of them, %.1f kB a person and day; %.0f bytes a message\n",
	        c->frames, c->calls, per((double)c->frames_bytes / 1000, days * people),
	        per((double)c->frames_bytes, (double)c->arrived));
	fprintf(out, "radio on   %.1f minutes a person and day\n",
	        per((double)c->radio_us / 60e6, days * people));
	fprintf(out, "notebooks  %.1f kB a person; opened %" PRIu64 " times\n",
	        per((double)r->store_bytes / 1000, people), c->opened);
	fprintf(out,
	        "happened   %" PRIu64 " links, %" PRIu64 " kills, %" PRIu64 " power cuts (%" PRIu64
	        " commits torn), %" PRIu64 " failed turns, %" PRIu64 " older copies put back, %" PRIu64
	        " frames of strangers\n",
	        c->links, c->kills, c->power_cuts, c->torn, c->turns_failed, c->put_back, c->strangers);
}

void report_print(const struct report *r, FILE *out)
{
	const struct world_counts *c = &r->counts;

	report_figures(r, out);
	fprintf(out,
	        "this run   %.2f s, %.0f times as fast as life; %" PRIu64 " events in %" PRIu64
	        " turns; %.1f MiB of memory\n",
	        (double)r->real_us / 1e6, per((double)r->simulated_us, (double)r->real_us), c->events,
	        c->turns, (double)r->rss_bytes / 1048576);
}
