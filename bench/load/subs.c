/* SPDX-License-Identifier: Apache-2.0
 *
 * See subs.h.
 */
#include "subs.h"

#include <stdio.h>
#include <stdlib.h>

struct load_sub *load_subs_search(struct load_subs *more, uint32_t channel)
{
	uint32_t low = 0, high = more->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (more->sub[middle].channel < channel)
			low = middle + 1;
		else
			high = middle;
	}
	return low < more->count && more->sub[low].channel == channel ? &more->sub[low] : NULL;
}

struct load_place *load_subs_place(
	struct load_sub *first, struct load_subs *more, const struct load_sub *sub)
{
	if (!more || !more->place)
		return NULL;
	return sub == first ? &more->place[0] : &more->place[1 + (sub - more->sub)];
}

static int by_channel(const void *a, const void *b)
{
	uint32_t x = ((const struct load_sub *)a)->channel,
		 y = ((const struct load_sub *)b)->channel;

	return x < y ? -1 : x > y;
}

struct load_subs *load_subs_open(const uint32_t *channel, uint32_t count, bool places)
{
	struct load_subs *more = calloc(1, sizeof(*more) + count * sizeof(more->sub[0]));

	if (!more)
		return NULL;
	if (places) {
		more->place = calloc(count + 1, sizeof(*more->place));
		if (!more->place) {
			free(more);
			return NULL;
		}
	}
	more->count = count;
	for (uint32_t i = 0; i < count; i++)
		more->sub[i].channel = channel[i];
	qsort(more->sub, count, sizeof(more->sub[0]), by_channel);
	return more;
}

void load_subs_close(struct load_subs *more)
{
	if (more)
		free(more->place);
	free(more);
}

size_t load_subs_memory(const struct load_subs *more)
{
	if (!more)
		return 0;
	return sizeof(*more) + more->count * sizeof(more->sub[0]) +
	       (more->place ? (more->count + 1) * sizeof(*more->place) : 0);
}

/* Digits from `at`; 0 when there are none. */
static uint64_t number(const char *at, const char *end)
{
	uint64_t value = 0;

	for (; at < end && *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	return value;
}

bool load_place_read(struct load_place *place, struct rc_str text, struct rc_str name)
{
	const char *at = text.ptr, *end = text.ptr + text.len;

	/* The name stands in the acknowledgement more than once; the one with a position behind it is meant. */
	while (at < end && (at = memmem(at, (size_t)(end - at), name.ptr, name.len))) {
		static const char between[] = "\":\"";
		const char *epoch = at + name.len + sizeof(between) - 1, *mark;

		at += name.len;
		if (end - at <= (ptrdiff_t)sizeof(between) ||
			memcmp(at, between, sizeof(between) - 1) != 0)
			continue;
		mark = memchr(epoch, '@', (size_t)(end - epoch));
		if (!mark || (size_t)(mark - epoch) >= sizeof(place->epoch) ||
			memchr(epoch, '"', (size_t)(mark - epoch)))
			continue;
		memcpy(place->epoch, epoch, (size_t)(mark - epoch));
		place->epoch[mark - epoch] = '\0';
		place->offset = number(mark + 1, end);
		return true;
	}
	return false;
}

uint64_t load_place_offset(struct rc_str before)
{
	static const char key[] = "\"offset\":";
	const char *at = memmem(before.ptr, before.len, key, sizeof(key) - 1), *next = at;

	if (!at)
		return 0;
	while ((next = memmem(next + 1, (size_t)(before.ptr + before.len - next - 1), key,
			sizeof(key) - 1)))
		at = next;
	return number(at + sizeof(key) - 1, before.ptr + before.len);
}

size_t load_place_since(const struct load_place *place, const char *since, char *out, size_t cap)
{
	static const char word[] = "{position}";
	const char *at;
	int len;

	if (!place || place->epoch[0] == '\0' || since[0] == '\0')
		return 0;
	at = strstr(since, word);
	if (!at)
		len = snprintf(out, cap, "%s", since);
	else
		len = snprintf(out, cap, "%.*s%s@%llu%s", (int)(at - since), since, place->epoch,
			(unsigned long long)place->offset, at + sizeof(word) - 1);
	return len > 0 && (size_t)len < cap ? (size_t)len : 0;
}
