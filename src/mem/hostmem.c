/* SPDX-License-Identifier: Apache-2.0 */
#include "mem/hostmem.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Reads a small file as a string; false when there is none. */
static bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size_t len = 0;
	ssize_t n;
	while (len < size - 1 && (n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	(void)close(fd);
	text[len] = '\0';
	return len > 0;
}

/* A file with one number of bytes, or "max"; UINT64_MAX for anything else, and for 0, which would be no memory. */
static uint64_t read_limit(const char *path)
{
	char text[64];
	if (!read_text(path, text, sizeof(text)) || text[0] < '0' || text[0] > '9')
		return UINT64_MAX;
	uint64_t value = strtoull(text, NULL, 10);
	return value == 0 ? UINT64_MAX : value;
}

static uint64_t physical(const char *root)
{
	char path[PATH_MAX];
	char text[1024];
	(void)snprintf(path, sizeof(path), "%s/proc/meminfo", root);
	if (!read_text(path, text, sizeof(text)))
		return UINT64_MAX;
	const char *at = strstr(text, "MemTotal:");
	uint64_t kib = at == NULL ? 0 : strtoull(at + strlen("MemTotal:"), NULL, 10);
	return kib == 0 || kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024;
}

/*
 * The smallest limit in `group` and all groups above it. In a container the path may be the host's, which does not exist
 * here; going up leads to the container's own root, where its limit is.
 */
static uint64_t smallest_up_the_tree(
	const char *root, const char *mount, const char *group, const char *file)
{
	char dir[PATH_MAX / 2];
	char path[PATH_MAX];
	uint64_t least = UINT64_MAX;
	int len = snprintf(dir, sizeof(dir), "%s%s%s", root, mount, group);
	if (len < 0 || (size_t)len >= sizeof(dir))
		return least;
	size_t bottom = strlen(root) + strlen(mount);
	for (;;) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
		uint64_t limit = read_limit(path);
		least = RC_MIN(least, limit);
		char *slash = strrchr(dir + bottom, '/');
		if (slash == NULL)
			return least;
		*slash = '\0';
	}
}

/* Does a comma-separated list hold the word "memory"? */
static bool lists_memory(const char *list, size_t len)
{
	const struct rc_str word = RC_STR("memory");
	while (len > 0) {
		const char *comma = memchr(list, ',', len);
		size_t item = comma == NULL ? len : (size_t)(comma - list);
		if (rc_str_eq((struct rc_str){list, item}, word))
			return true;
		if (comma == NULL)
			return false;
		len -= item + 1;
		list += item + 1;
	}
	return false;
}

/* Each line is "id:controllers:path"; version 2 has id 0 and no controllers. */
static uint64_t cgroup_limit(const char *root)
{
	char path[PATH_MAX];
	char text[8192];
	uint64_t least = UINT64_MAX;
	(void)snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	if (!read_text(path, text, sizeof(text)))
		return least;
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save)) {
		char *list = strchr(line, ':');
		char *group = list == NULL ? NULL : strchr(list + 1, ':');
		if (group == NULL)
			continue;
		list++;
		size_t list_len = (size_t)(group - list);
		group++;
		uint64_t limit = UINT64_MAX;
		if (list_len == 0)
			limit = smallest_up_the_tree(root, "/sys/fs/cgroup", group, "memory.max");
		else if (lists_memory(list, list_len))
			limit = smallest_up_the_tree(
				root, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
		least = RC_MIN(least, limit);
	}
	return least;
}

uint64_t rc_hostmem_limit(const char *root)
{
	uint64_t host = physical(root);
	uint64_t group = cgroup_limit(root);
	return RC_MIN(host, group);
}
