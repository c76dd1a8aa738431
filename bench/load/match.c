/* SPDX-License-Identifier: Apache-2.0 */
#include "match.h"

bool load_match_open(struct load_match *m, const char *text)
{
	size_t len = strlen(text);

	memset(m, 0, sizeof(*m));
	if (len > LOAD_MATCH_MAX)
		return false;
	m->text = (const unsigned char *)text;
	m->len = (uint8_t)len;
	for (size_t i = 1, seen = 0; i < len; i++) {
		while (seen > 0 && text[i] != text[seen])
			seen = m->back[seen - 1];
		if (text[i] == text[seen])
			seen++;
		m->back[i] = (uint8_t)seen;
	}
	return true;
}

bool load_match_next(struct load_match *m, const unsigned char **bytes, size_t *len)
{
	const unsigned char *at = *bytes, *end = at + *len;
	uint8_t state = m->state;
	bool found = false;

	if (m->len == 0)
		at = end;
	while (at < end) {
		if (state == 0) {
			at = memchr(at, m->text[0], (size_t)(end - at));
			if (at == NULL) {
				at = end;
				break;
			}
		}
		while (state > 0 && *at != m->text[state])
			state = m->back[state - 1];
		if (*at == m->text[state])
			state++;
		at++;
		if (state == m->len) {
			state = 0;
			found = true;
			break;
		}
	}
	m->state = state;
	*bytes = at;
	*len = (size_t)(end - at);
	return found;
}

uint64_t load_match_count(struct load_match *m, const unsigned char *bytes, size_t len)
{
	uint64_t count = 0;

	while (load_match_next(m, &bytes, &len))
		count++;
	return count;
}
