/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <errno.h>
#include <stdlib.h>

int load_names_open(
	struct load_names *n, const struct load_plan *plan, const struct load_draw *draw)
{
	size_t count = draw->count, used = 0, cap = 0;
	char name[128];

	*n = (struct load_names){.at = malloc((count + 1) * sizeof(*n->at))};
	if (n->at == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		size_t len = load_plan_channel_name(plan, load_draw_channel(draw, i), name);

		if (used + len > cap) {
			size_t wider = 2 * cap + count * 16 + sizeof(name);
			char *text = realloc(n->text, wider);

			if (text == NULL) {
				load_names_close(n);
				return -ENOMEM;
			}
			n->text = text;
			cap = wider;
		}
		memcpy(n->text + used, name, len);
		n->at[i] = (uint32_t)used;
		used += len;
	}
	n->at[count] = (uint32_t)used;
	return 0;
}

void load_names_close(struct load_names *n)
{
	free(n->text);
	free(n->at);
	*n = (struct load_names){0};
}

int load_names_path(const struct load_names *n, const struct load_draw *draw,
	const struct load_url *url, char out[LOAD_PATH_MAX], struct rc_str *path,
	struct rc_error *err)
{
	static const struct rc_str word = RC_STR("{channel}");
	const char *at = strstr(url->path, word.ptr);
	char *end = out;

	*path = rc_str_of(url->path);
	if (at == NULL || draw->count == 0)
		return 0;
	if (draw->count > 1) {
		rc_error_set(err,
			"{channel} in the path of the publisher's url leads to one channel, and it has "
			"%u. Use as many publishers as channels (--publishers), or name the channel in "
			"the target's event",
			draw->count);
		return -EINVAL;
	}
	end = rc_str_copy(end, (struct rc_str){url->path, (size_t)(at - url->path)});
	end = rc_str_copy(end, load_names_get(n, 0));
	end = rc_str_copy(end, rc_str_of(at + word.len));
	*path = (struct rc_str){out, (size_t)(end - out)};
	return 0;
}
