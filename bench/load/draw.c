/* SPDX-License-Identifier: Apache-2.0
 *
 * See draw.h. The alias table is Vose's: columns of equal height, each filled by one channel below and one above.
 */
#include "draw.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define SEED   0x6c6f6164u
#define FULL   4294967296.0 /* 2^32 */
#define SHARES ((uint64_t)1 << 32)

static double weight(const struct load_group *group, uint32_t channel)
{
	return pow((double)(channel - group->first_channel) + 1, -group->zipf);
}

/* height: each channel's part of the columns, 1 on average. Taken apart here. */
static void fill(struct load_draw_column *column, double *height, uint32_t *stack, uint32_t count)
{
	uint32_t low = 0,
		 high = count; /* the low ones grow from the left, the high ones from the right */

	for (uint32_t i = 0; i < count; i++) {
		if (height[i] < 1)
			stack[low++] = i;
		else
			stack[--high] = i;
	}
	while (low > 0 && high < count) {
		uint32_t small = stack[--low], large = stack[high];

		column[small].limit = (uint32_t)(height[small] * FULL);
		column[small].other = large;
		height[large] -= 1 - height[small];
		if (height[large] < 1) {
			high++;
			stack[low++] = large;
		}
	}
	/* What rounding has left over is full. */
	for (; low > 0; low--)
		column[stack[low - 1]] = (struct load_draw_column){UINT32_MAX, stack[low - 1]};
	for (; high < count; high++)
		column[stack[high]] = (struct load_draw_column){UINT32_MAX, stack[high]};
}

static int open_zipf(struct load_draw *d, const struct load_group *group)
{
	double *height = malloc(d->count * sizeof(*height));
	uint32_t *stack = malloc(d->count * sizeof(*stack));
	double own = 0, all = 0;

	d->alias = malloc(d->count * sizeof(*d->alias));
	if (height == NULL || stack == NULL || d->alias == NULL) {
		free(height);
		free(stack);
		load_draw_close(d);
		return -ENOMEM;
	}
	for (uint32_t c = 0; c < group->channels; c++)
		all += weight(group, group->first_channel + c);
	for (uint32_t i = 0; i < d->count; i++) {
		height[i] = weight(group, load_draw_channel(d, i));
		own += height[i];
	}
	for (uint32_t i = 0; i < d->count; i++)
		height[i] *= d->count / own;
	fill(d->alias, height, stack, d->count);
	free(height);
	free(stack);
	d->shares = SHARES;
	d->share = RC_MIN(RC_MAX((uint64_t)(own / all * (double)SHARES + 0.5), 1u), SHARES);
	return 0;
}

int load_draw_open(struct load_draw *d, const struct load_group *group, uint32_t number)
{
	uint32_t step = RC_MAX(group->publishers, 1u);
	uint32_t ahead = (number % step + step - group->first_channel % step) % step;

	*d = (struct load_draw){.first = group->first_channel + ahead, .step = step};
	if (ahead >= group->channels)
		return 0;
	d->count = (group->channels - ahead - 1) / step + 1;
	d->share = d->count;
	d->shares = group->channels;
	d->before = ahead;
	rc_prng_seed(&d->prng, SEED + ((uint64_t)group->first_channel << 32) + number);
	return group->spread == LOAD_ZIPF ? open_zipf(d, group) : 0;
}

void load_draw_close(struct load_draw *d)
{
	free(d->alias);
	d->alias = NULL;
}
