#include "tools/bench/report.h"

#include <stdio.h>

void report_add(struct report *r, const struct row *row)
{
	assert(r->n < REPORT_ROWS_MAX);
	r->rows[r->n++] = *row;
	fprintf(stderr, "%s: %.4g\n", row->id, row->figure);
}

void report_add_times(struct report *r, const char *id, const char *what, const struct series *ours,
                      const struct series *reference, bool at_least, double bound)
{
	report_add(r,
	           &(struct row){
	                   .id = id,
	                   .what = what,
	                   .unit = "us",
	                   .ours = series_median(ours) * 1e6,
	                   .reference = series_median(reference) * 1e6,
	                   .has_reference = true,
	                   .figure = at_least ? series_ratio(reference, ours) : series_ratio(ours, reference),
	                   .bound = bound,
	                   .at_least = at_least,
	                   .informs = bound == 0,
	           });
}

static bool is_good(const struct row *row)
{
	return row->informs || (row->at_least ? row->figure >= row->bound : row->figure <= row->bound);
}

bool report_is_good(const struct report *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (!is_good(&r->rows[i]))
			return false;
	return true;
}

static void print_row(const struct row *row)
{
	char reference[32] = "-", bound[32] = "";

	if (row->has_reference)
		snprintf(reference, sizeof(reference), "%.5g", row->reference);
	if (!row->informs)
		snprintf(bound, sizeof(bound), "%s %g", row->at_least ? ">=" : "<=", row->bound);
	printf("%-66s %11.5g %11s %-8s %8.3f  %-8s %s\n", row->what, row->ours, reference, row->unit,
	       row->figure, bound, is_good(row) ? "" : "MISSED");
}

void report_print(const struct report *r)
{
	printf("%-66s %11s %11s %-8s %8s  %-8s\n", "work", "ours", "reference", "unit", "figure", "must be");
	for (size_t i = 0; i < r->n; i++)
		print_row(&r->rows[i]);
}

void report_print_json(const struct report *r)
{
	printf("{\"rows\":[");
	for (size_t i = 0; i < r->n; i++) {
		const struct row *row = &r->rows[i];

		printf("%s\n{\"id\":\"%s\",\"what\":\"%s\",\"unit\":\"%s\",\"ours\":%.9g", i == 0 ? "" : ",",
		       row->id, row->what, row->unit, row->ours);
		if (row->has_reference)
			printf(",\"reference\":%.9g", row->reference);
		printf(",\"figure\":%.9g", row->figure);
		if (!row->informs)
			printf(",\"bound\":%.9g,\"at_least\":%s", row->bound,
			       row->at_least ? "true" : "false");
		printf(",\"good\":%s}", is_good(row) ? "true" : "false");
	}
	printf("\n],\"good\":%s}\n", report_is_good(r) ? "true" : "false");
}
