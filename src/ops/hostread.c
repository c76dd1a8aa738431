/* SPDX-License-Identifier: Apache-2.0
 *
 * Small reads of /proc and /sys; the contract is in hostread.h.
 */
#include "ops/hostread.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BLANKS " \t\n"

static int join(char *out, size_t size, const char *root, const char *path)
{
	int n = snprintf(out, size, "%s%s", root, path);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int rc_host_read(const char *root, const char *path, char *out, size_t size)
{
	char full[PATH_MAX];
	out[0] = '\0';
	int rc = join(full, sizeof(full), root, path);
	if (rc != 0)
		return rc;
	int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	size_t len = 0;
	ssize_t got = 0;
	while (len < size - 1 && (got = read(fd, out + len, size - 1 - len)) > 0)
		len += (size_t)got;
	if (got < 0)
		rc = -errno;
	close(fd);
	while (len > 0 && strchr(BLANKS, out[len - 1]) != NULL)
		len--;
	out[rc == 0 ? len : 0] = '\0';
	return rc;
}

int rc_host_sysctl(const char *root, const char *name, char *out, size_t size)
{
	char path[128] = "/proc/sys/";
	size_t prefix = strlen(path);
	out[0] = '\0';
	if (strlen(name) >= sizeof(path) - prefix)
		return -ENAMETOOLONG;
	for (size_t i = 0; name[i] != '\0'; i++)
		path[prefix + i] = name[i] == '.' ? '/' : name[i];
	return rc_host_read(root, path, out, size);
}

bool rc_host_field(const char *text, uint32_t field, uint64_t *out)
{
	text += strspn(text, BLANKS);
	for (uint32_t i = 0; i < field; i++) {
		text += strcspn(text, BLANKS);
		text += strspn(text, BLANKS);
	}
	size_t len = strcspn(text, BLANKS);
	if ((len == 3 && strncmp(text, "max", len) == 0) ||
		(len == 9 && strncmp(text, "unlimited", len) == 0)) {
		*out = UINT64_MAX;
		return true;
	}
	if (len == 0 || len > 20 || strspn(text, "0123456789") < len)
		return false;
	errno = 0;
	*out = strtoull(text, NULL, 10);
	return errno == 0;
}

bool rc_host_line(const char *text, const char *key, char *out, size_t size)
{
	size_t key_len = strlen(key);
	while (strncmp(text, key, key_len) != 0) {
		text += strcspn(text, "\n");
		if (*text == '\0')
			return false;
		text++;
	}
	text += key_len;
	text += strspn(text, " \t");
	size_t len = RC_MIN(strcspn(text, "\n"), size - 1);
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

bool rc_host_choice(const char *text, char *out, size_t size)
{
	const char *open_at = strchr(text, '[');
	const char *close_at = open_at == NULL ? NULL : strchr(open_at, ']');
	if (close_at == NULL || (size_t)(close_at - open_at) > size)
		return false;
	size_t len = (size_t)(close_at - open_at) - 1;
	memcpy(out, open_at + 1, len);
	out[len] = '\0';
	return true;
}

void rc_host_bytes(uint64_t bytes, char *out, size_t size)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	if (bytes == UINT64_MAX) {
		snprintf(out, size, "no limit");
		return;
	}
	uint32_t unit = 0;
	uint64_t tenths = bytes <= UINT64_MAX / 10 ? bytes * 10 : UINT64_MAX;
	for (; tenths >= 10240 && unit + 1 < RC_ARRAY_LEN(units); unit++)
		tenths /= 1024;
	if (tenths % 10 == 0)
		snprintf(out, size, "%llu %s", (unsigned long long)(tenths / 10), units[unit]);
	else
		snprintf(out, size, "%llu.%llu %s", (unsigned long long)(tenths / 10),
			(unsigned long long)(tenths % 10), units[unit]);
}

int rc_host_folder(
	const char *root, const char *path, bool (*each)(void *ctx, const char *name), void *ctx)
{
	char full[PATH_MAX];
	int rc = join(full, sizeof(full), root, path);
	if (rc != 0)
		return rc;
	DIR *dir = opendir(full);
	if (dir == NULL)
		return -errno;
	const struct dirent *entry;
	bool more = true;
	while (more && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			more = each(ctx, entry->d_name);
	closedir(dir);
	return 0;
}
