/* SPDX-License-Identifier: Apache-2.0
 *
 * The edit distance with swaps (optimal string alignment), over three rows of a small table.
 */
#include "config/nearest.h"

#define WORD_MAX 63

uint32_t rc_edit_distance(const char *a, const char *b)
{
	uint32_t rows[3][WORD_MAX + 1];
	uint32_t *before = rows[0], *above = rows[1], *row = rows[2];
	size_t m = strlen(a), n = strlen(b);

	if (m > WORD_MAX || n > WORD_MAX)
		return UINT32_MAX;
	for (uint32_t j = 0; j <= n; j++)
		above[j] = j;
	memcpy(before, above, sizeof(rows[0]));

	for (uint32_t i = 1; i <= m; i++) {
		uint32_t *spare = before;

		row[0] = i;
		for (uint32_t j = 1; j <= n; j++) {
			uint32_t best = above[j - 1] + (a[i - 1] != b[j - 1]);

			best = RC_MIN(best, above[j] + 1);
			best = RC_MIN(best, row[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = RC_MIN(best, before[j - 2] + 1);
			row[j] = best;
		}
		before = above;
		above = row;
		row = spare;
	}
	return above[n];
}

void rc_nearest_init(struct rc_nearest *n, const char *word)
{
	size_t len = strlen(word);

	/* A third of the word may be wrong; more would suggest things that nobody meant. */
	*n = (struct rc_nearest){
		.word = word,
		.distance = (uint32_t)RC_MAX((size_t)2, RC_MIN(len, (size_t)WORD_MAX) / 3) + 1,
	};
}

void rc_nearest_offer(struct rc_nearest *n, const char *candidate)
{
	uint32_t distance = rc_edit_distance(n->word, candidate);

	/* Of a short word nothing would be left: "a" is no misspelt "raw". */
	if (distance < n->distance && distance < strlen(candidate)) {
		n->distance = distance;
		n->best = candidate;
	}
}
