/* SPDX-License-Identifier: Apache-2.0
 *
 * Which channels a client has. The same in every process, so nothing is kept: what is random is a hash of who asks.
 *
 * Zipf's law by rejection-inversion (W. Hörmann, G. Derflinger, 1996): a point below the area of the continuous hat is
 * taken back to its rank, and refused where the hat is above the step. A few calls of pow() for a draw, whatever the
 * number of channels.
 */
#include <math.h>

#include "plan.h"

/* load_plan_finish allows no more. */
#define SUBSCRIPTIONS_MAX 256
/* Draws for one subscription before the next free rank is taken: with steep exponents the first ranks come again and again. */
#define TRIES 32

/* The hat's area from 1 to x, (x^(1-q) - 1) / (1 - q), and its inverse; both go over into log and exp for q near 1. */
static double area(double x, double q)
{
	double one_less = 1 - q;

	return fabs(one_less) < 1e-9 ? log(x) : expm1(one_less * log(x)) / one_less;
}

static double area_inverse(double a, double q)
{
	double one_less = 1 - q;

	return fabs(one_less) < 1e-9 ? exp(a)
				     : exp(log1p(fmax(a * one_less, -1 + 1e-15)) / one_less);
}

/* The finalizer of splitmix64. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* 0 <= u < 1 */
static double unit(uint64_t *state)
{
	*state = mix(*state);
	return (double)(*state >> 11) * 0x1p-53;
}

/* 0 to n - 1; rank r has the weight 1 / (r + 1)^q. */
static uint32_t draw(uint64_t *state, uint32_t n, double q)
{
	double from = area(1.5, q) - 1, to = area(n + 0.5, q);
	double near = 2 - area_inverse(area(2.5, q) - pow(2, -q), q);

	for (;;) {
		double a = to + unit(state) * (from - to);
		double x = area_inverse(a, q);
		double k = fmin(fmax(floor(x + 0.5), 1), n);

		if (k - x <= near || a >= area(k + 0.5, q) - pow(k, -q))
			return (uint32_t)k - 1;
	}
}

static bool among(const uint32_t *list, uint32_t count, uint32_t what)
{
	for (uint32_t i = 0; i < count; i++)
		if (list[i] == what)
			return true;
	return false;
}

static uint32_t zipf(const struct load_group *g, uint32_t index, uint32_t k)
{
	uint64_t state = mix((uint64_t)g->first_channel << 32 | index);
	uint32_t drawn[SUBSCRIPTIONS_MAX];

	RC_ASSERT(k < SUBSCRIPTIONS_MAX);
	for (uint32_t i = 0; i <= k; i++) {
		uint32_t tries = 0;

		do
			drawn[i] = draw(&state, g->channels, g->zipf);
		while (among(drawn, i, drawn[i]) && ++tries < TRIES);
		while (among(drawn, i, drawn[i]))
			drawn[i] = (drawn[i] + 1) % g->channels;
	}
	return drawn[k];
}

uint32_t load_plan_channel(const struct load_group *g, uint32_t index, uint32_t k)
{
	RC_ASSERT(k < g->subscriptions && g->subscriptions <= g->channels);
	switch (g->spread) {
	case LOAD_EVEN:
		return g->first_channel +
		       (uint32_t)(((uint64_t)index * g->subscriptions + k) % g->channels);
	case LOAD_ZIPF:
		return g->first_channel + zipf(g, index, k);
	case LOAD_OWN:
		return g->first_channel + index % g->channels;
	}
	RC_FAIL("a spread that is not in the list");
}
