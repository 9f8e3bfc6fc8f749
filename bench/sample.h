/* SPDX-License-Identifier: MIT */
#ifndef SAMPLE_H
#define SAMPLE_H

/*
 * Figures of many rounds. Samples with equal indices were taken in the same round, one
 * after the other, so that load, frequency and placement hit all alike: compare things
 * by the median of their ratios within a round, never by two medians.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES_MAX	4000

static inline int compare_samples(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of a[i], or with @b of a[i] / b[i]. NAN where there is nothing. */
static inline double median(const double *a, const double *b, int nr)
{
	static double sorted[SAMPLES_MAX];
	int i, kept = 0;

	for (i = 0; i < nr; i++) {
		double x = b ? a[i] / b[i] : a[i];

		if (!isnan(x))
			sorted[kept++] = x;
	}
	if (!kept)
		return NAN;
	qsort(sorted, (size_t)kept, sizeof(*sorted), compare_samples);
	return (sorted[(kept - 1) / 2] + sorted[kept / 2]) / 2;
}

static inline double least(const double *a, int nr)
{
	double best = NAN;
	int i;

	for (i = 0; i < nr; i++)
		best = isnan(best) || a[i] < best ? a[i] : best;
	return best;
}

#endif /* SAMPLE_H */
