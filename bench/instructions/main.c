/* SPDX-License-Identifier: Apache-2.0
 *
 *   instructions --list               a line for each path: name, times, times, crowd, crowd, each, what
 *   instructions NAME TIMES CROWD     does it
 *
 * Leaves its counters file's folder as it was; the folder is the current one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "path.h"

static const struct path *const tables[] = {
	path_turn, path_delivery, path_publish, path_client, path_text, path_users};

__attribute__((noinline)) void counted(void (*body)(void *ctx), void *ctx)
{
	body(ctx);
	/* Not a jump, or callgrind would not see the end. */
	__asm__ volatile("" : : : "memory");
}

struct turn {
	struct rig *rig;
	uint32_t shard;
};

static void turn_body(void *ctx)
{
	const struct turn *t = ctx;

	rig_turn(t->rig, t->shard);
}

void counted_turn(struct rig *rig, uint32_t shard)
{
	struct turn t = {rig, shard};

	counted(turn_body, &t);
}

static void list(void)
{
	for (size_t i = 0; i < RC_ARRAY_LEN(tables); i++) {
		for (const struct path *p = tables[i]; p->name; p++)
			(void)printf("%s\t%u\t%u\t%u\t%u\t%u\t%s\n", p->name, p->times[0],
				p->times[1], p->crowd[0], p->crowd[1], p->each, p->what);
	}
}

static uint32_t number(const char *text)
{
	return (uint32_t)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		list();
		return 0;
	}
	for (size_t i = 0; argc == 4 && i < RC_ARRAY_LEN(tables); i++) {
		for (const struct path *p = tables[i]; p->name; p++) {
			if (strcmp(p->name, argv[1]) != 0)
				continue;
			p->run(number(argv[2]), number(argv[3]));
			return 0;
		}
	}
	(void)fprintf(stderr, "usage: instructions --list | instructions NAME TIMES CROWD\n");
	return 2;
}
